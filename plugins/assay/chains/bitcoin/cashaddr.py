"""Bitcoin Cash's own form of addresses: base 32 with a prefix and a checksum of 40 bits.

Own code, because none of the libraries at hand knows it. A token-aware address (types 2 and 3 of CHIP-2022-02-CashTokens) stands for the same
locking script as the plain one and only tells wallets that tokens may be sent there; it is brought to the plain form, so that
one script cannot be counted as two addresses. Hashes of 20 bytes for keys, and of 20 or 32 bytes for scripts (P2SH32, CHIP-2022-05), are
what the chain has rules for; other lengths that the format could carry are refused. Specification:
https://github.com/bitcoincashorg/bitcoincash.org/blob/master/spec/cashaddr.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_CHECKSUM = 8  # characters
_GENERATORS = (0x98F2BC8E61, 0x79B76D99E2, 0xF33E5FB3C4, 0xAE2EABE2A8, 0x1E4F43E470)
_SIZES = (20, 24, 28, 32, 40, 48, 56, 64)
_KEY, _SCRIPT, _TOKEN_AWARE = 0, 1, 2
_LONG = 32


class NotCashAddrError(ValueError):
    """The text is no address of the prefix."""


def decode(prefix: str, text: str) -> bytes:
    """Return the locking script of an address; the prefix may be missing from the text.

    Raises:
        NotCashAddrError: Bad checksum, another prefix, an unknown type or length, or not of this form at all.
    """
    if text not in {text.lower(), text.upper()}:
        raise NotCashAddrError("it mixes small letters and capitals")
    named, separator, payload = text.lower().rpartition(":")
    if separator and named != prefix:
        raise NotCashAddrError(f"its prefix {named!r} belongs to another network than {prefix!r}")
    if not payload.isascii() or any(letter not in _ALPHABET for letter in payload):
        raise NotCashAddrError("its letters are wrong")
    values = [_ALPHABET.index(letter) for letter in payload]
    if len(values) <= _CHECKSUM or _polymod([*_expanded(prefix), *values]):
        raise NotCashAddrError("its checksum is wrong")
    content = _regrouped(values[:-_CHECKSUM])
    kind, size = content[0] >> 3, _SIZES[content[0] & 7]
    if len(content) != 1 + size:
        raise NotCashAddrError(f"it carries {len(content) - 1} bytes and says {size}")
    if kind in {_KEY, _KEY + _TOKEN_AWARE} and size == _SIZES[0]:
        return b"\x76\xa9\x14" + content[1:] + b"\x88\xac"
    if kind in {_SCRIPT, _SCRIPT + _TOKEN_AWARE} and size == _SIZES[0]:
        return b"\xa9\x14" + content[1:] + b"\x87"
    if kind in {_SCRIPT, _SCRIPT + _TOKEN_AWARE} and size == _LONG:
        return b"\xaa\x20" + content[1:] + b"\x87"
    raise NotCashAddrError(f"its type {kind} with {size} bytes has no locking script")


def encode(prefix: str, script: bytes) -> str:
    """Return the plain address of a locking script, which is one that `decode` returns."""
    if script[0] == 0x76:  # noqa: PLR2004 (OP_DUP)
        content = bytes([_KEY << 3]) + script[3:23]
    else:
        payload = script[2:-1]
        content = bytes([_SCRIPT << 3 | _SIZES.index(len(payload))]) + payload
    bits = "".join(f"{byte:08b}" for byte in content)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[start : start + 5], 2) for start in range(0, len(bits), 5)]
    checksum = _polymod([*_expanded(prefix), *values, *[0] * _CHECKSUM])
    values += [checksum >> 5 * place & 31 for place in reversed(range(_CHECKSUM))]
    return f"{prefix}:" + "".join(_ALPHABET[value] for value in values)


def _expanded(prefix: str) -> list[int]:
    return [ord(letter) & 31 for letter in prefix] + [0]


def _regrouped(values: Sequence[int]) -> bytes:
    """Return groups of five bits as bytes; what is left over must be less than a group and zero."""
    bits = "".join(f"{value:05b}" for value in values)
    whole = len(bits) - len(bits) % 8
    if len(bits) - whole > 4 or "1" in bits[whole:]:  # noqa: PLR2004 (five bits would be a group too many)
        raise NotCashAddrError("its padding is wrong")
    return bytes(int(bits[start : start + 8], 2) for start in range(0, whole, 8))


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 35
        checksum = (checksum & 0x07FFFFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATORS):
            if top >> place & 1:
                checksum ^= generator
    return checksum ^ 1
