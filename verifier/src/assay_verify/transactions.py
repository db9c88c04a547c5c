"""Transactions of the Bitcoin family, read from their bytes; and whether one stands in a block.

Formats: https://developer.bitcoin.org/reference/transactions.html; BIP-144 (witnesses); Litecoin's LIP-3 (flag 8); Dash's DIP-2 (types
with a payload); Bitcoin Cash's CHIP-2022-02-CashTokens (a prefix of the script that is no part of it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay_verify.digests import double_sha256
from assay_verify.findings import MalformedError, require

_WITNESS, _EXTENSION = 1, 8
_FLAGS = (_WITNESS, _EXTENSION, _WITNESS | _EXTENSION)
_INNER_NODE = 64
_TOKEN_PREFIX = 0xEF
_COMMITMENT, _NFT, _AMOUNT = 0x40, 0x20, 0x10


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a transaction does to coins.

    Attributes:
        txid: In the order of the wire.
        spends: Outpoints of the inputs: id in the order of the wire, and position in four bytes, little endian.
        outputs: Value and locking script, by position.
    """

    txid: bytes
    spends: tuple[bytes, ...]
    outputs: tuple[tuple[int, bytes], ...]


def read(raw: bytes, network: str) -> Transaction:
    """Read a transaction.

    Args:
        raw: Its bytes, with witnesses where it has any.
        network: As in chains.json.

    Raises:
        MalformedError: Cut off, something is left over, or of an unknown form.
    """
    cursor = _Cursor(raw)
    version = cursor.take(4)
    is_dash = network.startswith("dash")
    # No transaction has no inputs, so that marks the extended form; but for Dash, which has no extended form and has such transactions.
    flag = 0 if is_dash or raw[4:5] != b"\0" else cursor.take(2)[1]
    require((raw[4:5] == b"\0" and not is_dash) == (flag in _FLAGS), "a transaction of an unknown form")
    begin = cursor.position
    spends = tuple(cursor.spend() for _ in range(cursor.count(41)))
    outputs = tuple(cursor.output() for _ in range(cursor.count(9)))
    end = cursor.position
    if flag & _WITNESS:
        for _ in spends:
            for _ in range(cursor.count(1)):
                cursor.text()
    require(not flag & _EXTENSION or cursor.take(1) == b"\0", "a transaction with extension data, which no block holds")
    cursor.take(4)
    if is_dash and _has_payload(version):
        cursor.text()
    require(cursor.position == len(raw), "a transaction with something left over")
    if network.startswith("bitcoin_cash"):
        outputs = tuple((value, _without_token(script)) for value, script in outputs)
    stripped = version + raw[begin:end] + raw[-4:] if flag else raw
    # Bytes of that length could as well be two hashes in the middle of a Merkle tree.
    require(len(stripped) != _INNER_NODE, "a transaction of 64 bytes, which no block should hold")
    return Transaction(double_sha256(stripped), spends, outputs)


def branch_root(txid: bytes, branch: Sequence[bytes], position: int) -> bytes:
    """Return the Merkle root that a branch leads to.

    Args:
        txid: In the order of the wire, like everything here.
        branch: The other child's hash, from the leaf up.
        position: Of the transaction in its block.

    Raises:
        MalformedError: The position lies outside a tree of that depth.
    """
    node = txid
    for sibling in branch:
        node = double_sha256(sibling + node if position & 1 else node + sibling)
        position >>= 1
    if position:
        raise MalformedError("a Merkle branch that is too short for its position")
    return node


class _Cursor:
    """Reads the fields of a transaction one after another."""

    def __init__(self, raw: bytes, position: int = 0) -> None:
        self._raw = raw
        self.position = position

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        end = self.position + size
        if end > len(self._raw):
            raise MalformedError("a transaction that is cut off")
        taken = self._raw[self.position : end]
        self.position = end
        return taken

    def count(self, unit: int) -> int:
        """Return a variable-length integer that counts things of at least so many bytes."""
        first = self.take(1)[0]
        number = first if first < 0xFD else int.from_bytes(self.take({0xFD: 2, 0xFE: 4, 0xFF: 8}[first]), "little")  # noqa: PLR2004
        if number * unit > len(self._raw) - self.position:
            raise MalformedError("a transaction that is cut off")
        return number

    def text(self) -> bytes:
        """Return bytes that follow their length."""
        return self.take(self.count(1))

    def spend(self) -> bytes:
        """Return the outpoint of an input."""
        outpoint = self.take(36)
        self.text()
        self.take(4)
        return outpoint

    def output(self) -> tuple[int, bytes]:
        """Return value and script of an output."""
        value = int.from_bytes(self.take(8), "little", signed=True)
        if value < 0:
            raise MalformedError("a transaction with a negative output")
        return value, self.text()


def _has_payload(version: bytes) -> bool:
    """Tell whether a transaction of Dash is of a special type, which its version's upper half names."""
    return int.from_bytes(version[:2], "little") >= 3 and version[2:] != b"\0\0"  # noqa: PLR2004 (DIP-2)


def _without_token(script: bytes) -> bytes:
    """Return the locking script of an output that may carry tokens as well."""
    if script[:1] != bytes([_TOKEN_PREFIX]):
        return script
    try:
        cursor = _Cursor(script, 33)  # the prefix, and the 32 bytes of the token's category
        field = cursor.take(1)[0]
        commitment = cursor.text() if field & _COMMITMENT else b"\0"
        amount = cursor.count(0) if field & _AMOUNT else 1
    except MalformedError:
        return script
    ability = field & 0x0F
    is_token = field & (_NFT | _AMOUNT) and (field & _NFT or not field & (_COMMITMENT | 0x0F)) and not field & 0x80
    # Anything else is no prefix, and such an output belongs to nobody.
    return script[cursor.position :] if is_token and ability <= 2 and commitment and 0 < amount < 1 << 63 else script  # noqa: PLR2004
