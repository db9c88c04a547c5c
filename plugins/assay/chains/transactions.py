"""Reads raw transactions and headers of the Bitcoin family: as much of them as balances need.

Own code, because the libraries at hand build objects and addresses for every input and output, where balances need ids and
amounts alone. It computes ids, outpoints and outputs and judges no script; whatever is cut
off, over-long or left over is an error. Formats: Bitcoin's developer reference, BIP-144; Litecoin's LIP-3 for flag 8.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

HEADER_BYTES = 80
_WITNESS_FLAG, _MWEB_FLAG = 1, 8
_MIN_INPUT, _MIN_OUTPUT = 41, 9


class MalformedError(ValueError):
    """The bytes are not what they are said to be."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a transaction does to coins.

    Attributes:
        txid: Id in its usual, reversed text form, computed from the bytes.
        spends: Outpoints of the inputs: 32 bytes of id in wire order and 4 of position, little endian.
        outputs: Value in base units and locking script, by position.
    """

    txid: str
    spends: tuple[bytes, ...]
    outputs: tuple[tuple[int, bytes], ...]

    def outpoint(self, position: int) -> bytes:
        """Return the outpoint of an output, as a later input writes it."""
        return bytes.fromhex(self.txid)[::-1] + struct.pack("<I", position)


@dataclass(frozen=True, slots=True)
class Header:
    """A block header.

    Attributes:
        hash: Double SHA-256 in its usual, reversed text form, computed from the bytes.
        previous: Hash of the block before, in the same form.
        merkle_root: In wire order.
        time: Unix seconds.
    """

    hash: str
    previous: str
    merkle_root: bytes
    time: int


def parse_header(raw: bytes) -> Header:
    """Read a block header of 80 bytes.

    Raises:
        MalformedError: Another length.
    """
    if len(raw) != HEADER_BYTES:
        raise MalformedError(f"a header of {len(raw)} bytes")
    (time,) = struct.unpack_from("<I", raw, 68)
    return Header(double_sha256(raw)[::-1].hex(), raw[4:36][::-1].hex(), raw[36:68], time)


def parse_transaction(raw: bytes, *, txid: str) -> Transaction:
    """Read a transaction that somebody says has the id `txid`.

    Raises:
        MalformedError: Cut off, over-long, without inputs, of an unknown form, or with another id.
    """
    try:
        transaction = _parse(raw)
    except (IndexError, struct.error) as error:
        raise MalformedError("a transaction that ends too early") from error
    if transaction.txid != txid:
        raise MalformedError(f"transaction {transaction.txid} in the place of {txid}")
    return transaction


def double_sha256(data: bytes) -> bytes:
    """Return SHA-256 of SHA-256, in wire order."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def _parse(raw: bytes) -> Transaction:
    # No transaction has zero inputs, so a zero here marks the extended form, and the byte after it says of what kind.
    flag = raw[5] if raw[4] == 0 else 0
    if raw[4] == 0 and (not flag or flag & ~(_WITNESS_FLAG | _MWEB_FLAG)):
        raise MalformedError(f"a transaction with the unknown flag {flag}")
    start = position = 6 if flag else 4
    count, position = _length(raw, position, _MIN_INPUT)
    spends = []
    for _ in range(count):
        spends.append(raw[position : position + 36])
        length, position = _length(raw, position + 36, 1)
        position += length + 4
    count, position = _length(raw, position, _MIN_OUTPUT)
    outputs = []
    for _ in range(count):
        (value,) = struct.unpack_from("<q", raw, position)
        length, position = _length(raw, position + 8, 1)
        outputs.append((value, raw[position : position + length]))
        position += length
    end = position
    if flag & _WITNESS_FLAG:
        position = _after_witnesses(raw, position, len(spends))
    if flag & _MWEB_FLAG:
        # A block's integrating transaction carries one zero byte here; anything else exists outside of blocks only.
        if raw[position] != 0:
            raise MalformedError("a transaction with extension data")
        position += 1
    if len(raw) != position + 4:
        raise MalformedError(f"a transaction of {len(raw)} bytes that describes {position + 4}")
    if any(value < 0 for value, _ in outputs):
        raise MalformedError("a transaction with a negative output")
    stripped = raw[:4] + raw[start:end] + raw[-4:] if flag else raw
    return Transaction(double_sha256(stripped)[::-1].hex(), tuple(spends), tuple(outputs))


def _after_witnesses(raw: bytes, position: int, inputs: int) -> int:
    for _ in range(inputs):
        items, position = _length(raw, position, 1)
        for _ in range(items):
            length, position = _length(raw, position, 1)
            position += length
    return position


def _length(raw: bytes, position: int, unit: int) -> tuple[int, int]:
    """Read a variable-length integer that counts things of at least `unit` bytes each, and the position after it."""
    number = raw[position]
    position += 1
    if number >= 0xFD:  # noqa: PLR2004
        form, width = {0xFD: ("<H", 2), 0xFE: ("<I", 4), 0xFF: ("<Q", 8)}[number]
        (number,) = struct.unpack_from(form, raw, position)
        position += width
    if number * unit > len(raw) - position:
        raise MalformedError("a transaction that ends too early")
    return number, position
