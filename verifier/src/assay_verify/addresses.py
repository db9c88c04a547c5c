"""Addresses of the Bitcoin family, turned into the locking scripts that they stand for.

Base58Check: https://en.bitcoin.it/wiki/Base58Check_encoding. Bech32: BIP-173, and BIP-350 for later witness versions. CashAddr:
https://reference.cash/protocol/blockchain/encoding/cashaddr. Versions and prefixes: `chainparams.cpp` of each chain's node software.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import xor

from assay_verify.digests import double_sha256
from assay_verify.findings import MalformedError

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_FROM_BASE58 = {letter: place for place, letter in enumerate(_BASE58)}
_FROM_BASE32 = {letter: place for place, letter in enumerate(_BASE32)}
_LONGEST = 120
_HASH = 20
_CHECKED = 1 + _HASH + 4


@dataclass(frozen=True)
class Network:
    """How a network writes addresses.

    Attributes:
        p2pkh: Version bytes.
        p2sh: Version bytes.
        bech32: Human-readable part; empty where there are no witnesses.
        cashaddr: Prefix; empty where there is none.
    """

    p2pkh: tuple[int, ...]
    p2sh: tuple[int, ...]
    bech32: str = ""
    cashaddr: str = ""


NETWORKS = {
    "bitcoin": Network((0x00,), (0x05,), "bc"),
    "testnet": Network((0x6F,), (0xC4,), "tb"),
    "testnet4": Network((0x6F,), (0xC4,), "tb"),
    "signet": Network((0x6F,), (0xC4,), "tb"),
    "regtest": Network((0x6F,), (0xC4,), "bcrt"),
    "litecoin": Network((0x30,), (0x32, 0x05), "ltc"),
    "litecoin_testnet": Network((0x6F,), (0x3A, 0xC4), "tltc"),
    "litecoin_regtest": Network((0x6F,), (0x3A, 0xC4), "rltc"),
    "dogecoin": Network((0x1E,), (0x16,)),
    "dogecoin_testnet": Network((0x71,), (0xC4,)),
    "dogecoin_regtest": Network((0x6F,), (0xC4,)),
    "dash": Network((0x4C,), (0x10,)),
    "dash_testnet": Network((0x8C,), (0x13,)),
    "dash_regtest": Network((0x8C,), (0x13,)),
    "bitcoin_cash": Network((0x00,), (0x05,), cashaddr="bitcoincash"),
    "bitcoin_cash_testnet": Network((0x6F,), (0xC4,), cashaddr="bchtest"),
    "bitcoin_cash_regtest": Network((0x6F,), (0xC4,), cashaddr="bchreg"),
}


_BITCOIN_TESTS = frozenset({"testnet", "testnet4", "signet", "regtest"})


def locking_script(network: str, address: str) -> bytes:
    """Return the script that coins of an address are locked with.

    Raises:
        MalformedError: It is no address of the network.
    """
    if network not in NETWORKS:
        raise MalformedError(f"the network {network!r} is unknown to this verifier")
    known = NETWORKS[network]
    if len(address) > _LONGEST or not address.isascii():
        raise MalformedError("an address that is none")
    if known.bech32 and address.lower().startswith(known.bech32 + "1"):
        return _witness_script(address, known.bech32)
    if known.cashaddr and (":" in address or address.lower()[:1] in {"q", "p"}):
        return _cash_script(address, known.cashaddr)
    return _hash_script(address, known)


def test_network_of(network: str, address: str) -> str:
    """Return the test network of a coin that an address is of; empty where it is of none.

    Addresses in base58 are the same on all of a coin's test networks, and the first one is named.

    Args:
        network: The coin's main one.
        address: Any text.
    """
    sisters = (name for name in NETWORKS if (name in _BITCOIN_TESTS if network == "bitcoin" else name.startswith(f"{network}_")))
    for name in sisters:
        try:
            locking_script(name, address)
        except MalformedError:
            continue
        return name
    return ""


def script_hash(script: bytes) -> str:
    """Return what an Electrum server calls a script: its SHA-256, reversed."""
    return hashlib.sha256(script).digest()[::-1].hex()


def _hash_script(address: str, network: Network) -> bytes:
    number = 0
    try:
        for letter in address:
            number = number * 58 + _FROM_BASE58[letter]
        content = number.to_bytes(_CHECKED, "big")
    except (KeyError, OverflowError):
        raise _bad(address) from None
    # Each leading zero byte is written as one 1, so every other number of them is another text.
    zeros = _CHECKED - len(content.lstrip(b"\0"))
    if len(address) - len(address.lstrip("1")) != zeros or double_sha256(content[:-4])[:4] != content[-4:]:
        raise _bad(address)
    version, payload = content[0], content[1 : 1 + _HASH]
    if version in network.p2pkh:
        return _to_key(payload)
    if version in network.p2sh:
        return _to_script(payload)
    raise MalformedError(f"{address} is an address of another network")


def _witness_script(address: str, human: str) -> bytes:
    if address not in (address.lower(), address.upper()):
        raise _bad(address)
    text = address.lower()
    values = _base32(address, text[len(human) + 1 :])
    expanded = [*(ord(letter) >> 5 for letter in human), 0, *(ord(letter) & 31 for letter in human)]
    checksum = _polymod((*expanded, *values), 30, (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3))
    version = values[0]
    program = _bytes(address, values[1:-6])
    allowed = {20, 32} if version == 0 else range(2, 41)
    if version > 16 or checksum != (1 if version == 0 else 0x2BC830A3) or len(program) not in allowed:  # noqa: PLR2004 (BIP-141, BIP-350)
        raise _bad(address)
    return bytes([version + 0x50 if version else 0, len(program)]) + program


def _cash_script(address: str, prefix: str) -> bytes:
    if address not in (address.lower(), address.upper()):
        raise _bad(address)
    named, _, text = address.lower().rpartition(":")
    if named not in ("", prefix):
        raise MalformedError(f"{address} is an address of another network")
    values = _base32(address, text)
    expanded = [*(ord(letter) & 31 for letter in prefix), 0]
    generator = (0x98F2BC8E61, 0x79B76D99E2, 0xF33E5FB3C4, 0xAE2EABE2A8, 0x1E4F43E470)
    if _polymod((*expanded, *values), 40, generator) != 1:
        raise _bad(address)
    content = _bytes(address, values[:-8])
    kind, payload = content[0] & 0x78, content[1:]
    if content[0] & 0x80 or len(payload) != {0: 20, 3: 32}.get(content[0] & 7):
        raise _bad(address)
    # Kinds 2 and 3 announce that their holder knows tokens (CashTokens); the scripts are the same.
    if kind in (0, 0x10) and len(payload) == _HASH:
        return _to_key(payload)
    if kind in (0x08, 0x18):
        return _to_script(payload) if len(payload) == _HASH else b"\xaa\x20" + payload + b"\x87"
    raise _bad(address)


def _base32(address: str, text: str) -> list[int]:
    values = [_FROM_BASE32.get(letter, -1) for letter in text]
    if min(values, default=-1) < 0 or len(values) < 9:  # noqa: PLR2004 (a version and the longest checksum)
        raise _bad(address)
    return values


def _polymod(values: Iterable[int], bits: int, generator: tuple[int, ...]) -> int:
    """Return the checksum of a BCH code over groups of five bits; both address forms are of this kind."""
    terms, shift = _terms(generator), bits - 5
    checksum, low = 1, (1 << shift) - 1
    for value in values:
        checksum = (checksum & low) << 5 ^ value ^ terms[checksum >> shift]
    return checksum


@cache
def _terms(generator: tuple[int, ...]) -> tuple[int, ...]:
    """Return what each value of the five bits that are shifted out adds: a table, as lists of a million addresses are read."""
    return tuple(reduce(xor, (term for number, term in enumerate(generator) if top >> number & 1), 0) for top in range(32))


def _bytes(address: str, values: Sequence[int]) -> bytes:
    """Join groups of five bits; what does not fill a byte must be under five zero bits."""
    number = 0
    for value in values:
        number = number << 5 | value
    length, rest = divmod(len(values) * 5, 8)
    if rest >= 5 or number & ((1 << rest) - 1):  # noqa: PLR2004
        raise _bad(address)
    return (number >> rest).to_bytes(length, "big")


def _to_key(payload: bytes) -> bytes:
    return b"\x76\xa9\x14" + payload + b"\x88\xac"


def _to_script(payload: bytes) -> bytes:
    return b"\xa9\x14" + payload + b"\x87"


def _bad(address: str) -> MalformedError:
    return MalformedError(f"{address[:_LONGEST]!r} is not an address: letters, length or checksum are wrong")
