"""Block headers of Tron, checked against their own id.

A block's id is the SHA-256 of its header's raw data in protobuf encoding, with the first eight bytes replaced by the
block's number (https://github.com/tronprotocol/java-tron, `BlockCapsule.BlockId`; fields by `Tron.proto`, message
`BlockHeader.raw`). It is recomputed here, so a source cannot give a block another time, number or parent than it has.

The encoding is written out because a compiled message definition would be a file of generated code for eight fields.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from assay.chains.answers import AnswerError
from assay.chains.search import Header

_ID = re.compile(r"[0-9a-f]{64}")
_INT64 = 1 << 63

# Number and JSON name of each field, in the order in which protobuf writes them; what has its default is left out.
_FIELDS = (
    (1, "timestamp", int),
    (2, "txTrieRoot", bytes),
    (3, "parentHash", bytes),
    (7, "number", int),
    (8, "witness_id", int),
    (9, "witness_address", bytes),
    (10, "version", int),
    (11, "accountStateRoot", bytes),
)


def parse_block(raw: object, *, number: int | None = None) -> Header:
    """Read and check an answer of `getblock` (https://tronprotocol.github.io/documentation-en/api/http/).

    Args:
        raw: The answer, asked without `visible`, so that addresses are hexadecimal.
        number: The height that was asked; None for the newest block.

    Returns:
        The header; its time is in **milliseconds** since 1970, as the chain has it.

    Raises:
        AnswerError: A field is malformed, it is another height, or its id is not that of its fields.
    """
    if not isinstance(raw, dict) or not isinstance(raw.get("block_header"), dict):
        raise AnswerError("the answer is not a block")
    data = raw["block_header"].get("raw_data")
    if not isinstance(data, dict):
        raise AnswerError("the block has no raw data")
    if unknown := set(data) - {name for _, name, _ in _FIELDS}:
        raise AnswerError(f"the block's header has a field {min(unknown)[:60]!r}, with which its id cannot be recomputed")
    named = raw.get("blockID")
    if not isinstance(named, str) or not _ID.fullmatch(named):
        raise AnswerError("the block's id is not 64 hexadecimal digits")
    header = Header(
        number=_integer(data, "number"), hash=named, parent=_bytes(data, "parentHash").hex(), time=_integer(data, "timestamp"), raw=raw
    )
    if number is not None and header.number != number:
        raise AnswerError(f"block {number} was asked and block {header.number} was given")
    if (computed := block_id(data)) != named:
        raise AnswerError(f"block {header.number} has the id {named} and its fields give {computed}")
    return header


def block_id(data: Mapping[str, Any]) -> str:
    """Compute the id of a block from the raw data of its header.

    Raises:
        AnswerError: A field is malformed.
    """
    encoded = b"".join(_encode(tag, name, kind, data) for tag, name, kind in _FIELDS)
    return _integer(data, "number").to_bytes(8, "big").hex() + hashlib.sha256(encoded).hexdigest()[16:]


def _encode(tag: int, name: str, kind: type, data: Mapping[str, Any]) -> bytes:
    if kind is int:
        value = _integer(data, name)
        return _varint(tag << 3) + _varint(value) if value else b""
    content = _bytes(data, name)
    return _varint(tag << 3 | 2) + _varint(len(content)) + content if content else b""


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004  (seven bits a byte)
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _integer(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name, 0)
    if type(value) is not int or not 0 <= value < _INT64:
        raise AnswerError(f"the block's {name} is not a number")
    return value


def _bytes(data: Mapping[str, Any], name: str) -> bytes:
    value = data.get(name, "")
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError) as error:
        raise AnswerError(f"the block's {name} is not hexadecimal") from error
