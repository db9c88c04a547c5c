"""Recursive Length Prefix, read strictly: one text for each value, nothing left over.

Specification: Ethereum yellow paper, appendix B; https://ethereum.org/en/developers/docs/data-structures-and-encoding/rlp/.
"""

from __future__ import annotations

from typing import TypeAlias

from assay_verify.findings import MalformedError

Item: TypeAlias = "bytes | list[Item]"

_SHORT_TEXT, _LONG_TEXT, _SHORT_LIST, _LONG_LIST = 0x80, 0xB7, 0xC0, 0xF7
_LARGEST_SHORT = 55
_DEEPEST = 64
"""Nodes of a trie hold nodes of under 32 bytes, so real data is far shallower; deeper data would only exhaust the stack."""


def decode(data: bytes) -> Item:
    """Read the one item that the bytes are.

    Raises:
        MalformedError: Cut off, something is left over, or a length is not written in its shortest form.
    """
    item, end = _item(data, 0, 0)
    if end != len(data):
        raise MalformedError(f"RLP with {len(data) - end} bytes left over")
    return item


def encode(item: Item) -> bytes:
    """Write an item."""
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < _SHORT_TEXT else _length(len(item), _SHORT_TEXT, _LONG_TEXT) + item
    content = b"".join(map(encode, item))
    return _length(len(content), _SHORT_LIST, _LONG_LIST) + content


def integer(item: Item) -> int:
    """Read a number: big-endian, without leading zeros.

    Raises:
        MalformedError: A list, or a number with leading zeros.
    """
    if not isinstance(item, bytes):
        raise MalformedError("RLP with a list where a number should be")
    if item[:1] == b"\0":
        raise MalformedError("RLP with a number that has leading zeros")
    return int.from_bytes(item, "big")


def number(value: int) -> bytes:
    """Return the text of a number: big-endian, without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _item(data: bytes, start: int, depth: int) -> tuple[Item, int]:
    """Return the item that begins at a position, and the position after it."""
    if start >= len(data):
        raise MalformedError("RLP that is cut off")
    first = data[start]
    if first < _SHORT_TEXT:
        return data[start : start + 1], start + 1
    if first < _SHORT_LIST:
        begin, end = _span(data, start, _SHORT_TEXT, _LONG_TEXT)
        text = data[begin:end]
        if len(text) == 1 and text[0] < _SHORT_TEXT:
            raise MalformedError("RLP with a length where none is needed")
        return text, end
    if depth == _DEEPEST:
        raise MalformedError("RLP that is nested too deeply")
    begin, end = _span(data, start, _SHORT_LIST, _LONG_LIST)
    items: list[Item] = []
    while begin < end:
        item, begin = _item(data, begin, depth + 1)
        items.append(item)
    if begin != end:
        raise MalformedError("RLP with an item that reaches out of its list")
    return items, end


def _span(data: bytes, start: int, short: int, long: int) -> tuple[int, int]:
    """Return where the content of the item at a position begins and ends."""
    first = data[start]
    begin = start + 1
    if first <= long:
        size = first - short
    else:
        width = first - long
        written = data[begin : begin + width]
        begin += width
        size = int.from_bytes(written, "big")
        if len(written) != width or written[0] == 0 or size <= _LARGEST_SHORT:
            raise MalformedError("RLP with a length that is cut off or not in its shortest form")
    if begin + size > len(data):
        raise MalformedError("RLP that is cut off")
    return begin, begin + size


def _length(size: int, short: int, long: int) -> bytes:
    if size <= _LARGEST_SHORT:
        return bytes([short + size])
    written = number(size)
    return bytes([long + len(written)]) + written
