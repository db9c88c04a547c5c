"""Lists for the tests: rows that are really signed, with keys made from numbers."""

from __future__ import annotations

from coincurve import PrivateKey
from Crypto.Hash import keccak

TOTALS = "coin,snapshot height,amount"
HEADER = "coin,Network,Snapshot Height,address,amount,message,signature1,signature2,redeem script/ public key, eoa1, eoa2"
TYPED_HEADER = HEADER.replace("coin,", "coin,Type,", 1)
MESSAGE = "I am an OKX address"


def digest(content: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=content).digest()


def account(number: int) -> str:
    key = PrivateKey(number.to_bytes(32, "big"))
    return "0x" + digest(key.public_key.format(compressed=False)[1:])[12:].hex()


def sign(number: int, message: str = MESSAGE) -> str:
    """Sign in the hashed form of an EVM account."""
    key = PrivateKey(number.to_bytes(32, "big"))
    hashed = digest(b"\x19Ethereum Signed Message:\n32" + digest(message.encode()))
    signature = bytearray(key.sign_recoverable(hashed, hasher=None))
    signature[64] += 27
    return "0x" + signature.hex()


def row(number: int, *, amount: str = "1.5", message: str = MESSAGE, coin: str = "ETH", network: str = "ETH") -> str:
    return f"{coin},{network},100,{account(number)},{amount},{message},{sign(number, message)},,,,"


def text(rows: list[str], *, totals: list[str], header: str = HEADER) -> str:
    return "\n".join([TOTALS, *totals, "", header, *rows, ""])


def honest(count: int) -> str:
    return text([row(number) for number in range(1, count + 1)], totals=[f"ETH,100,{count * 3 / 2:.1f}"])
