"""The partially signed transaction (version 0) that a proof of funds is written as, all of whose inputs are finalized.

BIP-174 (https://github.com/bitcoin/bips/blob/master/bip-0174.mediawiki). BIP-322 adds the message as global field 9, and lets a transaction that
several inputs spend from stand with the first of them alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from assay_verify.ownership.bitcoin_script import is_pay_to_script_hash, witness_program
from assay_verify.ownership.bitcoin_script_transaction import (
    Input,
    Output,
    Reader,
    Transaction,
    read_output,
    read_stack,
    read_transaction,
)
from assay_verify.ownership.interface import NotVerifiedError, UnsupportedError

MAGIC = b"psbt\xff"
_UNSIGNED_TRANSACTION, _MESSAGE, _VERSION = b"\x00", b"\x09", b"\xfb"
_TRANSACTION, _OUTPUT, _SCRIPT, _WITNESS = b"\x00", b"\x01", b"\x07", b"\x08"

Fields = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof of funds says.

    Attributes:
        transaction: With the scripts and witnesses that unlock its inputs.
        spent: What each input spends; None where it is not told.
        message: The text that it names; None for none.
    """

    transaction: Transaction
    spent: tuple[Output | None, ...]
    message: bytes | None


def read(raw: bytes) -> Proof:
    """Read a proof of funds.

    Raises:
        NotVerifiedError: It is malformed, or an output is told otherwise than the transaction that it stands in.
        UnsupportedError: It is of version 2 (BIP-370).
    """
    reader = Reader(raw)
    if reader.take(len(MAGIC)) != MAGIC:
        raise NotVerifiedError("a proof of funds that is not a partially signed transaction")
    fields = _read_map(reader)
    if int.from_bytes(fields.get(_VERSION, b""), "little"):
        raise UnsupportedError("the proof of funds is of a later version than 0 (BIP-174); have it written in version 0")
    if _UNSIGNED_TRANSACTION not in fields:
        raise NotVerifiedError("a proof of funds without a transaction")
    unsigned = read_transaction(fields[_UNSIGNED_TRANSACTION], with_witnesses=False)
    if any(item.script for item in unsigned.inputs):
        raise NotVerifiedError("a proof of funds whose transaction is signed already")
    maps = [_read_map(reader) for _ in unsigned.inputs]
    for _ in unsigned.outputs:
        _read_map(reader)
    reader.end()
    inputs = tuple(_finalized(item, own) for item, own in zip(unsigned.inputs, maps, strict=True))
    return Proof(replace(unsigned, inputs=inputs), _spent(inputs, maps), fields.get(_MESSAGE))


def _read_map(reader: Reader) -> Fields:
    fields: Fields = {}
    while key := reader.text():
        if key in fields:
            raise NotVerifiedError("a proof of funds with a field that is there twice")
        fields[key] = reader.text()
    return fields


def _finalized(item: Input, fields: Fields) -> Input:
    return replace(item, script=fields.get(_SCRIPT, b""), witness=read_stack(fields[_WITNESS]) if _WITNESS in fields else ())


def _spent(inputs: tuple[Input, ...], maps: list[Fields]) -> tuple[Output | None, ...]:
    """Return what each input spends."""
    earlier: dict[bytes, Transaction] = {}
    spent = []
    for item, fields in zip(inputs, maps, strict=True):
        txid, place = item.outpoint[:32], int.from_bytes(item.outpoint[32:], "little")
        if _TRANSACTION in fields:
            transaction = read_transaction(fields[_TRANSACTION])
            if transaction.txid != txid:
                raise NotVerifiedError("a proof of funds with a transaction that is not the one which its input spends from")
            earlier[txid] = transaction
        stated = _stated(item, fields)
        if txid in earlier:
            outputs = earlier[txid].outputs
            if place >= len(outputs) or stated not in (None, outputs[place]):
                raise NotVerifiedError("a proof of funds that tells an output otherwise than the transaction which it stands in")
            stated = outputs[place]
        spent.append(stated)
    return tuple(spent)


def _stated(item: Input, fields: Fields) -> Output | None:
    """Return the output that is told without its transaction: only where the signature in a witness binds its amount."""
    if _OUTPUT not in fields:
        return None
    output = read_output(fields[_OUTPUT])
    nested = is_pay_to_script_hash(output.script) and item.witness
    return output if nested or witness_program(output.script) else None
