"""Reads raw transactions and headers of the Bitcoin family: as much of them as balances need.

Own code, because the libraries at hand build objects and addresses for every input and output, where balances need ids and
amounts alone. It computes ids, outpoints and outputs and judges no script; whatever is cut
off, over-long or left over is an error. Formats: Bitcoin's developer reference, BIP-144; Litecoin's LIP-3 for flag 8; Dash's
DIP-2 for the payload of special transactions; CHIP-2022-02-CashTokens (https://github.com/cashtokens/cashtokens) for the
tokens that Bitcoin Cash writes in front of a locking script.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

HEADER_BYTES = 80
_WITNESS_FLAG, _MWEB_FLAG = 1, 8
_MIN_INPUT, _MIN_OUTPUT = 41, 9
_SPECIAL_VERSION = 3
_TOKEN_PREFIX = b"\xef"
_TOKEN_CATEGORY = 32  # bytes of its id
_TOKEN_RESERVED, _TOKEN_COMMITMENT, _TOKEN_NFT, _TOKEN_AMOUNT, _TOKEN_CAPABILITY = 0x80, 0x40, 0x20, 0x10, 0x0F
_TOKEN_CAPABILITIES = 3


class MalformedError(ValueError):
    """The bytes are not what they are said to be."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a chain's transactions may have beyond the original form.

    Attributes:
        witness: Witnesses behind a flag (BIP-144).
        mweb: The flag of Litecoin's extension blocks.
        payload: Dash's special transactions: a type in the version, an extra payload behind the lock time, and some without inputs.
        tokens: Bitcoin Cash's tokens in front of locking scripts; the script is what is behind them.
    """

    witness: bool = False
    mweb: bool = False
    payload: bool = False
    tokens: bool = False


BITCOIN_FORM = Form(witness=True)


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


def parse_transaction(raw: bytes, *, txid: str, form: Form = BITCOIN_FORM) -> Transaction:
    """Read a transaction that somebody says has the id `txid`.

    Raises:
        MalformedError: Cut off, over-long, of a form that the chain does not have, or with another id.
    """
    transaction, end = read_transaction(raw, 0, form)
    if end != len(raw):
        raise MalformedError(f"a transaction of {len(raw)} bytes that describes {end}")
    if transaction.txid != txid:
        raise MalformedError(f"transaction {transaction.txid} in the place of {txid}")
    return transaction


def read_transaction(raw: bytes, start: int, form: Form) -> tuple[Transaction, int]:
    """Read the transaction that begins at a position, and return the position after it.

    Raises:
        MalformedError: Cut off, or of a form that the chain does not have.
    """
    try:
        transaction, end = _read(raw, start, form)
    except (IndexError, struct.error) as error:
        raise MalformedError("a transaction that ends too early") from error
    if end > len(raw):
        raise MalformedError(f"a transaction of {len(raw) - start} bytes that describes {end - start}")
    return transaction, end


def read_length(raw: bytes, position: int, unit: int) -> tuple[int, int]:
    """Read a variable-length integer that counts things of at least `unit` bytes each, and the position after it.

    Raises:
        MalformedError: More than there is room for.
        IndexError, struct.error: It is cut off.
    """
    number = raw[position]
    position += 1
    if number >= 0xFD:  # noqa: PLR2004
        form, width = {0xFD: ("<H", 2), 0xFE: ("<I", 4), 0xFF: ("<Q", 8)}[number]
        (number,) = struct.unpack_from(form, raw, position)
        position += width
    if number * unit > len(raw) - position:
        raise MalformedError("a transaction that ends too early")
    return number, position


def double_sha256(data: bytes) -> bytes:
    """Return SHA-256 of SHA-256, in wire order."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def _read(raw: bytes, start: int, form: Form) -> tuple[Transaction, int]:
    flag = _flag(raw, start, form)
    body = position = start + (6 if flag else 4)
    count, position = read_length(raw, position, _MIN_INPUT)
    spends = []
    for _ in range(count):
        spends.append(raw[position : position + 36])
        length, position = read_length(raw, position + 36, 1)
        position += length + 4
    count, position = read_length(raw, position, _MIN_OUTPUT)
    outputs = []
    for _ in range(count):
        (value,) = struct.unpack_from("<q", raw, position)
        length, position = read_length(raw, position + 8, 1)
        script = raw[position : position + length]
        outputs.append((value, _without_token(script) if form.tokens and script[:1] == _TOKEN_PREFIX else script))
        position += length
    bare = position
    if flag & _WITNESS_FLAG:
        position = _after_witnesses(raw, position, len(spends))
    if flag & _MWEB_FLAG:
        # A block's integrating transaction carries one zero byte here; anything else exists outside of blocks only.
        if raw[position] != 0:
            raise MalformedError("a transaction with extension data")
        position += 1
    end = position + 4
    (version,) = struct.unpack_from("<I", raw, start)
    if form.payload and version & 0xFFFF >= _SPECIAL_VERSION and version >> 16:
        length, position = read_length(raw, end, 1)
        end = position + length
    if any(value < 0 for value, _ in outputs):
        raise MalformedError("a transaction with a negative output")
    whole = raw[start : start + 4] + raw[body:bare] + raw[end - 4 : end] if flag else raw[start:end]
    return Transaction(double_sha256(whole)[::-1].hex(), tuple(spends), tuple(outputs)), end


def _flag(raw: bytes, start: int, form: Form) -> int:
    """Return the flag of the extended form, 0 for the original one."""
    if raw[start + 4] != 0 or form.payload:
        return 0  # only Dash has transactions in blocks without inputs, and it has no extended form
    # No other transaction has zero inputs, so a zero here marks the extended form, and the byte after it says of what kind.
    flag = raw[start + 5]
    known = (_WITNESS_FLAG if form.witness else 0) | (_MWEB_FLAG if form.mweb else 0)
    if not flag or flag & ~known:
        raise MalformedError(f"a transaction with the unknown flag {flag}")
    return flag


def _after_witnesses(raw: bytes, position: int, inputs: int) -> int:
    for _ in range(inputs):
        items, position = read_length(raw, position, 1)
        for _ in range(items):
            length, position = read_length(raw, position, 1)
            position += length
    return position


def _without_token(script: bytes) -> bytes:
    """Return the locking script behind a token; a script that only looks as if it had one is nobody's and stays as it is."""
    try:
        fields = script[1 + _TOKEN_CATEGORY]
        position = 2 + _TOKEN_CATEGORY
        length, amount = 1, 1
        if fields & _TOKEN_COMMITMENT:
            length, position = read_length(script, position, 1)
            position += length
        if fields & _TOKEN_AMOUNT:
            amount, position = read_length(script, position, 0)
    except (IndexError, struct.error, MalformedError):
        return script
    nft = fields & _TOKEN_NFT
    well_formed = (
        not fields & _TOKEN_RESERVED
        and (nft or fields & _TOKEN_AMOUNT)
        and (nft or not fields & (_TOKEN_COMMITMENT | _TOKEN_CAPABILITY))
        and fields & _TOKEN_CAPABILITY < _TOKEN_CAPABILITIES
        and length > 0
        and 0 < amount < 1 << 63
    )
    return script[position:] if well_formed else script
