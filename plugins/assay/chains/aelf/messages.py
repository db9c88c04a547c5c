"""The few protobuf messages of aelf that a balance needs, and the signed call that carries them.

Messages: https://github.com/AElfProject/AElf/blob/dev/protobuf/aelf/core.proto (`Transaction`, `Address`) and `token_contract.proto`
(`GetBalanceInput`, `GetBalanceOutput`, `GetTokenInfoInput`, `TokenInfo`); encoding: https://protobuf.dev/programming-guides/encoding/.
Written out here because the protobuf runtime would want generated code for five messages of two or three fields.

A node only executes a call whose signature is right (`TransactionAppService.ExecuteTransactionAsync`), though a view needs no
account. So calls are signed with a key that anybody may know and that must never hold anything; signatures are deterministic
(RFC 6979), so the same question is always the same bytes.
"""

from __future__ import annotations

import hashlib
from functools import cache

import base58
import coincurve

from assay.chains.answers import AnswerError

ADDRESS_BYTES = 32
_KEY = coincurve.PrivateKey(hashlib.sha256(b"assay: view calls on aelf").digest())
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_SIGNATURE = 10000  # field number in Transaction
_SIGN_BIT, _SPAN = 1 << 63, 1 << 64
_Field = int | bytes


def call(contract: str, method: str, params: bytes, *, height: int, block_hash: str) -> str:
    """Return a signed call of a view as hexadecimal text.

    Args:
        contract: Address of the contract.
        method: Its name.
        params: The encoded input.
        height: Of the block that the transaction refers to; a view may be called whatever it is.
        block_hash: Its hash.
    """
    unsigned = b"".join(
        (
            _bytes(1, _bytes(1, _caller())),
            _bytes(2, _bytes(1, base58.b58decode_check(contract))),
            _number(3, height),
            _bytes(4, bytes.fromhex(block_hash)[:4]),
            _bytes(5, method.encode()),
            _bytes(6, params),
        )
    )
    signature = _KEY.sign_recoverable(hashlib.sha256(unsigned).digest(), hasher=None)
    return (unsigned + _bytes(_SIGNATURE, signature)).hex()


def balance_question(symbol: str, owner: str) -> bytes:
    """Encode `GetBalanceInput`."""
    return _bytes(1, symbol.encode()) + _bytes(2, _bytes(1, base58.b58decode_check(owner)))


def token_question(symbol: str) -> bytes:
    """Encode `GetTokenInfoInput`."""
    return _bytes(1, symbol.encode())


def parse_balance(answer: object, symbol: str, owner: str) -> int:
    """Read `GetBalanceOutput`, which repeats what was asked; a balance of zero is written by leaving it out.

    Raises:
        AnswerError: It is not one, is of another symbol or owner, or is negative.
    """
    fields = _decode(_from_hex(answer))
    if fields.get(1) != symbol.encode() or fields.get(2) != _bytes(1, base58.b58decode_check(owner)):
        raise AnswerError("the answer is not of the symbol and owner that were asked")
    return _signed(fields.get(3, 0))


def parse_decimals(answer: object, symbol: str) -> int | None:
    """Read the decimals of `TokenInfo`; None where there is no such token, which is an empty message.

    Raises:
        AnswerError: It is not one, or is of another symbol.
    """
    fields = _decode(_from_hex(answer))
    if not fields:
        return None
    if fields.get(1) != symbol.encode():
        raise AnswerError("the answer is not of the token that was asked")
    return _signed(fields.get(5, 0))


@cache
def _caller() -> bytes:
    """Return the address of the key that calls are signed with: SHA-256, twice, of the whole public key."""
    public = _KEY.public_key.format(compressed=False)
    return hashlib.sha256(hashlib.sha256(public).digest()).digest()


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    groups = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        groups.append(low | (0x80 if value else 0))
        if not value:
            return bytes(groups)


def _decode(raw: bytes) -> dict[int, _Field]:
    """Take a message apart; of a field that stands there twice nothing is believed."""
    fields: dict[int, _Field] = {}
    place = 0
    while place < len(raw):
        tag, place = _read_varint(raw, place)
        field, wire = tag >> 3, tag & 7
        value: _Field
        if wire == _VARINT:
            value, place = _read_varint(raw, place)
        else:
            if wire == _BYTES:
                length, place = _read_varint(raw, place)
            elif wire in _FIXED:
                length = _FIXED[wire]
            else:
                raise AnswerError("the answer is not a protobuf message")
            value, place = raw[place : place + length], place + length
        if place > len(raw):
            raise AnswerError("the answer is cut off")
        # The fields that are read here are single ones; repeated ones that a newer node adds are of no concern.
        fields[field] = value if field not in fields else b""
    return fields


def _read_varint(raw: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(raw):
            raise AnswerError("the answer is cut off")
        group = raw[place]
        value |= (group & 0x7F) << shift
        place += 1
        if group < 0x80:  # noqa: PLR2004  (the bit that says "more follows")
            break
    else:
        raise AnswerError("the answer holds an over-long number")
    if value >= _SPAN:
        raise AnswerError("the answer holds a number of more than 64 bits")
    return value, place


def _signed(value: _Field) -> int:
    if not isinstance(value, int):
        raise AnswerError("the answer's number is none, or stands there twice")
    if value >= _SIGN_BIT:
        raise AnswerError(f"the answer's number is negative: {value - _SPAN}")
    return value


def _from_hex(answer: object) -> bytes:
    if not isinstance(answer, str):
        raise AnswerError("the answer is not text")
    try:
        return bytes.fromhex(answer) if answer.isascii() and answer.isalnum() else _empty(answer)
    except ValueError as error:
        raise AnswerError("the answer is not hexadecimal") from error


def _empty(answer: str) -> bytes:
    if answer:
        raise ValueError
    return b""
