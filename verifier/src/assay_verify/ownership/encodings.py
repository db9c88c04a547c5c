"""How signatures, keys and addresses are written: hexadecimal, base58, Bech32 and base32, as strictly as their specifications.

Base58: https://datatracker.ietf.org/doc/html/draft-msporny-base58-03. Bech32: BIP-173. Base32: RFC 4648. Written here because addresses are
derived and then compared as whole texts, so that only writing is needed, at the speed of a list with hundreds of thousands of rows.
"""

from __future__ import annotations

import base64
import hashlib

from Crypto.Hash import RIPEMD160

from assay_verify.addresses import _polymod
from assay_verify.digests import double_sha256
from assay_verify.ownership.interface import NotVerifiedError, Statement

BASE58_BITCOIN = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE58_RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CONFLUX = "abcdefghjkmnprstuvwxyz0123456789"
_CONFLUX_GENERATOR = (0x98F2BC8E61, 0x79B76D99E2, 0xF33E5FB3C4, 0xAE2EABE2A8, 0x1E4F43E470)
_LONGEST_BASE58 = 128
_CHUNK = 58**10
"""A power of 58 that fits a machine word."""
_ONE_BYTE, _TWO_BYTES = 0xFD, 0x10000


def text_of(statement: Statement) -> bytes:
    """Return the signed text in UTF-8.

    Raises:
        NotVerifiedError: It is not text that UTF-8 can write.
    """
    try:
        return statement.message.encode()
    except UnicodeEncodeError:
        raise NotVerifiedError("the message holds a lone surrogate, which no text has") from None


def only_signature(statement: Statement) -> str:
    """Return the signature of a scheme in which one key signs.

    Raises:
        NotVerifiedError: There are more, or none.
    """
    if len(statement.signatures) != 1:
        raise NotVerifiedError(f"one signature is expected, and {len(statement.signatures)} are given")
    return statement.signatures[0]


def hexadecimal(text: str, length: int, name: str) -> bytes:
    """Return bytes written in hexadecimal, with 0x in front or without.

    Raises:
        NotVerifiedError: Another length, or other letters (`bytes.fromhex` would pass over spaces).
    """
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raise NotVerifiedError(f"{name} is not written in hexadecimal") from None
    if len(raw) != length or len(digits) != 2 * length:
        raise NotVerifiedError(f"{name} has {len(digits)} hexadecimal digits and must have {2 * length}")
    return raw


def prefixed(data: bytes) -> bytes:
    """Return data behind its length as Bitcoin writes it (compact size)."""
    length = len(data)
    if length < _ONE_BYTE:
        return bytes([length]) + data
    if length < _TWO_BYTES:
        return b"\xfd" + length.to_bytes(2, "little") + data
    return b"\xfe" + length.to_bytes(4, "little") + data


def hash160(data: bytes) -> bytes:
    """Return RIPEMD-160 of SHA-256; from pycryptodome, because newer OpenSSL builds leave RIPEMD-160 out."""
    return RIPEMD160.new(hashlib.sha256(data).digest()).digest()


def base58(data: bytes, alphabet: str = BASE58_BITCOIN) -> str:
    """Write bytes in base58; each leading zero byte is one first letter of the alphabet."""
    number, chunks = int.from_bytes(data, "big"), []
    while number:
        number, rest = divmod(number, _CHUNK)
        chunks.append(rest)
    letters: list[str] = []
    for rest in reversed(chunks):
        # Ten letters without a loop: lists have hundreds of thousands of addresses.
        high, low = divmod(rest, 58**5)
        letters += (alphabet[high // 58**4], alphabet[high // 58**3 % 58], alphabet[high // 58**2 % 58], alphabet[high // 58 % 58])
        letters += (alphabet[high % 58], alphabet[low // 58**4], alphabet[low // 58**3 % 58], alphabet[low // 58**2 % 58])
        letters += (alphabet[low // 58 % 58], alphabet[low % 58])
    return alphabet[0] * (len(data) - len(data.lstrip(b"\0"))) + "".join(letters).lstrip(alphabet[0])


def base58_check(data: bytes, alphabet: str = BASE58_BITCOIN) -> str:
    """Write bytes in base58 with the first four bytes of their double SHA-256 behind them."""
    return base58(data + double_sha256(data)[:4], alphabet)


def from_base58(text: str, length: int, name: str) -> bytes:
    """Read base58 of a known length.

    Raises:
        NotVerifiedError: Other letters, another length, or too many or too few leading zeros.
    """
    number = 0
    for letter in text[:_LONGEST_BASE58]:
        place = BASE58_BITCOIN.find(letter)
        if place < 0:
            raise NotVerifiedError(f"{name} is not written in base58")
        number = number * 58 + place
    if number >> 8 * length or base58(data := number.to_bytes(length, "big")) != text:
        raise NotVerifiedError(f"{name} does not hold {length} bytes in base58")
    return data


def bech32(human: str, data: bytes) -> str:
    """Write bytes in Bech32 with the checksum of BIP-173, as Cosmos and Cardano do."""
    groups = _groups_of_five(data)
    expanded = [*(ord(letter) >> 5 for letter in human), 0, *(ord(letter) & 31 for letter in human)]
    checksum = _polymod([*expanded, *groups, *[0] * 6], 30, _BECH32_GENERATOR) ^ 1
    groups += [checksum >> 5 * place & 31 for place in reversed(range(6))]
    return f"{human}1" + "".join(_BECH32[group] for group in groups)


def conflux_base32(human: str, account: bytes) -> str:
    """Write a Conflux account (CIP-37, https://github.com/Conflux-Chain/CIPs/blob/master/CIPs/cip-37.md), short form in lower case."""
    groups = _groups_of_five(b"\0" + account)
    checksum = _polymod([*(ord(letter) & 31 for letter in human), 0, *groups, *[0] * 8], 40, _CONFLUX_GENERATOR) ^ 1
    groups += [checksum >> 5 * place & 31 for place in reversed(range(8))]
    return f"{human}:" + "".join(_CONFLUX[group] for group in groups)


def base32(data: bytes) -> str:
    """Write bytes in the base32 of RFC 4648, without padding, in capitals."""
    return base64.b32encode(data).decode().rstrip("=")


def _groups_of_five(data: bytes) -> list[int]:
    rest = -len(data) * 8 % 5
    number, count = int.from_bytes(data, "big") << rest, (len(data) * 8 + rest) // 5
    return [number >> 5 * place & 31 for place in reversed(range(count))]
