"""Transactions with all that a script sees of them: read, written, and hashed for signing.

Formats: https://developer.bitcoin.org/reference/transactions.html, BIP-144. Digests with SIGHASH_ALL, the only kind that BIP-322 allows:
https://en.bitcoin.it/wiki/OP_CHECKSIG, BIP-143 for version 0 witnesses, BIP-341 and BIP-342 for Taproot.

Beside `assay_verify.transactions`, which keeps only what moves coins, as blocks hold millions of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from assay_verify.digests import double_sha256
from assay_verify.ownership.bitcoin_script import compact_size, sha256, tagged_hash, with_length
from assay_verify.ownership.interface import NotVerifiedError

_ALL = b"\1\0\0\0"
_NO_CODE_SEPARATOR = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class Output:
    """An amount in satoshi and the script that locks it."""

    value: int
    script: bytes

    def serialize(self) -> bytes:
        """Write it as in a transaction."""
        return self.value.to_bytes(8, "little") + with_length(self.script)


@dataclass(frozen=True, slots=True)
class Input:
    """What an input spends (outpoint in the order of the wire) and how it is unlocked."""

    outpoint: bytes
    script: bytes = b""
    sequence: int = 0
    witness: tuple[bytes, ...] = ()

    def serialize(self) -> bytes:
        """Write it without its witness."""
        return self.outpoint + with_length(self.script) + self.sequence.to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class Transaction:
    """A whole transaction."""

    version: int
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    lock_time: int

    def serialize(self) -> bytes:
        """Write it without witnesses: what its id is the hash of."""
        inputs = compact_size(len(self.inputs)) + b"".join(item.serialize() for item in self.inputs)
        outputs = compact_size(len(self.outputs)) + b"".join(item.serialize() for item in self.outputs)
        return self.version.to_bytes(4, "little") + inputs + outputs + self.lock_time.to_bytes(4, "little")

    @property
    def txid(self) -> bytes:
        """Its id, in the order of the wire."""
        return double_sha256(self.serialize())


class Reader:
    """Reads fields one after another."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._position = 0

    @property
    def rest(self) -> int:
        """How many bytes are left."""
        return len(self._raw) - self._position

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        if size > self.rest:
            raise NotVerifiedError("the signature is cut off")
        self._position += size
        return self._raw[self._position - size : self._position]

    def number(self, size: int) -> int:
        """Return a number of so many bytes."""
        return int.from_bytes(self.take(size), "little")

    def count(self) -> int:
        """Return a length, which must be written in as few bytes as it takes."""
        first = self.number(1)
        number = first if first < 0xFD else self.number(1 << (first - 0xFC))  # noqa: PLR2004
        if len(compact_size(number)) != (1 if first < 0xFD else 1 + (1 << (first - 0xFC))):  # noqa: PLR2004
            raise NotVerifiedError("the signature holds a length that could be shorter")
        if number > self.rest:
            raise NotVerifiedError("the signature is cut off")
        return number

    def text(self) -> bytes:
        """Return bytes that follow their length."""
        return self.take(self.count())

    def stack(self) -> tuple[bytes, ...]:
        """Return a witness."""
        return tuple(self.text() for _ in range(self.count()))

    def output(self) -> Output:
        """Return an output."""
        return Output(self.number(8), self.text())

    def end(self) -> None:
        """Raise if anything is left."""
        if self.rest:
            raise NotVerifiedError("the signature has something left over")


def read_stack(raw: bytes) -> tuple[bytes, ...]:
    """Read a witness and nothing else."""
    reader = Reader(raw)
    stack = reader.stack()
    reader.end()
    return stack


def read_output(raw: bytes) -> Output:
    """Read an output and nothing else."""
    reader = Reader(raw)
    output = reader.output()
    reader.end()
    return output


def read_transaction(raw: bytes, *, with_witnesses: bool = True) -> Transaction:
    """Read a transaction and nothing else.

    Raises:
        NotVerifiedError: It is malformed.
    """
    reader = Reader(raw)
    version = reader.number(4)
    extended = with_witnesses and raw[4:6] == b"\0\1"
    if extended:
        reader.take(2)
    inputs = tuple(Input(reader.take(36), reader.text(), reader.number(4)) for _ in range(reader.count()))
    outputs = tuple(reader.output() for _ in range(reader.count()))
    if extended:
        inputs = tuple(replace(item, witness=reader.stack()) for item in inputs)
        if not any(item.witness for item in inputs):
            raise NotVerifiedError("the transaction has the form for witnesses and none")
    lock_time = reader.number(4)
    reader.end()
    if not inputs:
        raise NotVerifiedError("the transaction has no inputs")
    return Transaction(version, inputs, outputs, lock_time)


class Spend:
    """One input of a transaction being unlocked.

    Args:
        transaction: The transaction.
        index: Which input.
        spent: What each input spends.
    """

    def __init__(self, transaction: Transaction, index: int, spent: tuple[Output, ...]) -> None:
        self.transaction = transaction
        self.index = index
        self.spent = spent
        self.input = transaction.inputs[index]
        self.output = spent[index]

    def legacy_digest(self, script: bytes) -> bytes:
        """Return what is signed outside of witnesses, with the script that is being run in the place of the input's own."""
        blank = (replace(item, script=script if place == self.index else b"") for place, item in enumerate(self.transaction.inputs))
        return double_sha256(replace(self.transaction, inputs=tuple(blank)).serialize() + _ALL)

    def witness_digest(self, script: bytes) -> bytes:
        """Return what is signed in version 0 witnesses (BIP-143)."""
        outpoints, sequences, outputs = (double_sha256(field) for field in self._fields)
        tail = with_length(script) + self.output.value.to_bytes(8, "little") + self.input.sequence.to_bytes(4, "little") + outputs
        version, lock_time = self._version_and_lock_time
        return double_sha256(version + outpoints + sequences + self.input.outpoint + tail + lock_time + _ALL)

    def taproot_digest(self, hash_type: int, annex: bytes, leaf: bytes) -> bytes:
        """Return what is signed in Taproot witnesses (BIP-341; BIP-342 where a leaf's hash is given)."""
        outpoints, sequences, outputs = (sha256(field) for field in self._fields)
        values = sha256(b"".join(item.value.to_bytes(8, "little") for item in self.spent))
        scripts = sha256(b"".join(with_length(item.script) for item in self.spent))
        common = b"".join(self._version_and_lock_time) + outpoints + values + scripts + sequences + outputs
        kind = bytes([(2 if leaf else 0) + bool(annex)]) + self.index.to_bytes(4, "little")
        extension = leaf + b"\0" + _NO_CODE_SEPARATOR if leaf else b""
        return tagged_hash("TapSighash", bytes([0, hash_type]) + common + kind + (sha256(with_length(annex)) if annex else b"") + extension)

    @property
    def _version_and_lock_time(self) -> tuple[bytes, bytes]:
        return self.transaction.version.to_bytes(4, "little"), self.transaction.lock_time.to_bytes(4, "little")

    @cached_property
    def _fields(self) -> tuple[bytes, bytes, bytes]:
        inputs = self.transaction.inputs
        outpoints = b"".join(item.outpoint for item in inputs)
        sequences = b"".join(item.sequence.to_bytes(4, "little") for item in inputs)
        return outpoints, sequences, b"".join(item.serialize() for item in self.transaction.outputs)
