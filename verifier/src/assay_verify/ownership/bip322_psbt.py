"""The partially signed transaction (version 0) that a proof of funds is written as, all of whose inputs are finalized.

BIP-174 (https://github.com/bitcoin/bips/blob/master/bip-0174.mediawiki). BIP-322 adds the message as global field 9, and lets a transaction that
several inputs spend from stand with the first of them alone.
"""

from __future__ import annotations

from collections.abc import Collection
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
_EXTENDED_KEY, _PROPRIETARY = 0x01, 0xFC
_GLOBAL = ({_UNSIGNED_TRANSACTION, _MESSAGE, _VERSION}, (_EXTENDED_KEY, _PROPRIETARY))
_INPUT = ({_TRANSACTION, _OUTPUT, _SCRIPT, _WITNESS}, (_PROPRIETARY,))
_NOTHING: tuple[set[bytes], tuple[int, ...]] = (set(), (_PROPRIETARY,))
"""What the parts of a finalized one hold: keys as they are, and types of keys that have something behind them."""

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
    fields = _read_map(reader, *_GLOBAL)
    if int.from_bytes(fields.get(_VERSION, b""), "little"):
        raise UnsupportedError("the proof of funds is of a later version than 0 (BIP-174); have it written in version 0")
    if _UNSIGNED_TRANSACTION not in fields:
        raise NotVerifiedError("a proof of funds without a transaction")
    unsigned = read_transaction(fields[_UNSIGNED_TRANSACTION], with_witnesses=False)
    if any(item.script for item in unsigned.inputs):
        raise NotVerifiedError("a proof of funds whose transaction is signed already")
    maps = [_read_map(reader, *_INPUT) for _ in unsigned.inputs]
    for _ in unsigned.outputs:
        _read_map(reader, *_NOTHING)
    reader.end()
    inputs = tuple(_finalized(item, own) for item, own in zip(unsigned.inputs, maps, strict=True))
    return Proof(replace(unsigned, inputs=inputs), _spent(inputs, maps), fields.get(_MESSAGE))


def _read_map(reader: Reader, known: Collection[bytes], types: Collection[int]) -> Fields:
    """Read the fields of one part, which may be these alone."""
    fields: Fields = {}
    while key := reader.text():
        if key in fields:
            raise NotVerifiedError("a proof of funds with a field that is there twice")
        if key not in known and (len(key) == 1 or key[0] not in types):
            raise NotVerifiedError(f"a proof of funds with a field of type {key[0]:#x}, which is not for a finalized one")
        fields[key] = reader.text()
    return fields


def _finalized(item: Input, fields: Fields) -> Input:
    return replace(item, script=fields.get(_SCRIPT, b""), witness=read_stack(fields[_WITNESS]) if _WITNESS in fields else ())


def _spent(inputs: tuple[Input, ...], maps: list[Fields]) -> tuple[Output | None, ...]:
    """Return what each input spends. The first spends what the verifier makes up itself and compares."""
    earlier: dict[bytes, Transaction] = {}
    spent: list[Output | None] = []
    for item, fields in zip(inputs, maps, strict=True):
        txid, place = item.outpoint[:32], int.from_bytes(item.outpoint[32:], "little")
        if _TRANSACTION in fields:
            transaction = read_transaction(fields[_TRANSACTION])
            if transaction.txid != txid:
                raise NotVerifiedError("a proof of funds with a transaction that is not the one which its input spends from")
            earlier[txid] = transaction
        stated = read_output(fields[_OUTPUT]) if _OUTPUT in fields else None
        if txid in earlier:
            outputs = earlier[txid].outputs
            if place >= len(outputs) or stated not in (None, outputs[place]):
                raise NotVerifiedError("a proof of funds that tells an output otherwise than the transaction which it stands in")
            stated = outputs[place]
        elif stated and spent and not _is_bound(stated, item):
            stated = None
        spent.append(stated)
    return tuple(spent)


def _is_bound(output: Output, item: Input) -> bool:
    """Tell whether the signature is over the amount, so that an output may be told without its transaction."""
    return bool(witness_program(output.script) or (is_pay_to_script_hash(output.script) and item.witness))
