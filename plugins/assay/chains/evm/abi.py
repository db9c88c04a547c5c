"""Exact encoding and decoding of the few EVM calls that balances need; no I/O.

Written by hand because the general encoder takes longer than the node does: every call here has one 32-byte argument
and one 32-byte result, so requests and answers have a fixed layout. Tests hold both against `eth_abi`.
Layout: https://docs.soliditylang.org/en/latest/abi-spec.html; function: https://github.com/mds1/multicall3 (`aggregate3`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from struct import Struct

from assay.chains.answers import AnswerError, data

MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
"""Multicall3's address, the same on every chain that has it."""
MULTICALL3_CODE_HASH = "0xd5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891"
"""Keccak-256 of its canonical code. Another contract stands at the address on at least one chain."""

BALANCE_OF = "70a08231"
"""Selector of ERC-20's `balanceOf(address)`."""
GET_ETH_BALANCE = "4d2301cc"
"""Selector of Multicall3's `getEthBalance(address)`."""
DECIMALS = bytes.fromhex("313ce567")
"""Selector of ERC-20's `decimals()`, which takes nothing."""
DEPRECATED = bytes.fromhex("0e136b19")
"""Selector of Tether's `deprecated()`, which takes nothing."""

_AGGREGATE3 = "82ad56cb"
_WORD = 32
_ITEM = 6 * _WORD  # target, allowFailure, offset, length, and 36 bytes padded to two words
_ANSWER = 4 * _WORD  # success, offset, length, and one word
_ZEROS = "0" * 24  # before an address, to make a word of it
_CALL_END = "0" * 56  # after the 36 bytes of a call, to make two words of them
_ANSWERS = Struct(f"{3 * _WORD}s{_WORD}s")
_OK = bytes.fromhex(f"{1:064x}{64:064x}{32:064x}")  # success, where the bytes start, how many there are


def address_call(selector: str, address: str) -> str:
    """Return the data of a call of a function whose only argument is an address."""
    return f"0x{selector}000000000000000000000000{address[2:]}"


def pack_aggregate3(calls: Sequence[tuple[str, str, str]]) -> str:
    """Return the data of `aggregate3` for calls of one address argument each, all allowed to fail on their own.

    They may fail so that the one that did can be named; `unpack_aggregate3` lets none pass.

    Args:
        calls: Target, selector, address argument.
    """
    items = "".join([f"{_call_head(target, selector)}{address[2:]}{_CALL_END}" for target, selector, address in calls])
    return f"0x{_AGGREGATE3}{_list_head(len(calls), _ITEM)}{items}"


def unpack_aggregate3(value: object, count: int) -> list[int | None]:
    """Read the results of `aggregate3`, each an unsigned integer of exactly 32 bytes.

    Args:
        value: The result of the `eth_call`.
        count: How many calls were made.

    Returns:
        One integer a call, or None for a call that failed or returned anything but 32 bytes.

    Raises:
        AnswerError: The answer as a whole is not one of `aggregate3` to so many calls.
    """
    content = data(value)
    start = 2 * _WORD
    if content[:start] != _WORD.to_bytes(_WORD, "big") + count.to_bytes(_WORD, "big") or len(content) < start + _WORD * count:
        raise AnswerError(f"the result is not a list of {count} answers")
    first = start + _WORD * count
    if content[:first] == bytes.fromhex(_list_head(count, _ANSWER)) and len(content) == first + _ANSWER * count:
        # All answers have the length of one word, as they have unless a call failed.
        return [int.from_bytes(amount, "big") if head == _OK else None for head, amount in _ANSWERS.iter_unpack(content[first:])]
    heads = [start + int.from_bytes(content[at : at + _WORD], "big") for at in range(start, first, _WORD)]
    # Canonical encoding has no gaps and no overlaps: the first answer follows the heads, each other one the one before.
    ends = [*heads[1:], len(content)]
    if heads[:1] != [first][:count] or any(end <= head for head, end in zip(heads, ends, strict=True)):
        raise AnswerError("the answers do not follow one another")
    return [_answer(content[head:end]) for head, end in zip(heads, ends, strict=True)]


def _answer(content: bytes) -> int | None:
    good = len(content) == _ANSWER and content.startswith(_OK)
    return int.from_bytes(content[3 * _WORD :], "big") if good else None


@cache
def _list_head(count: int, size: int) -> str:
    """Return the start of a list of so many items of one size: where the list begins, its length, and where each item begins."""
    return f"{_WORD:064x}{count:064x}" + "".join([f"{_WORD * count + size * index:064x}" for index in range(count)])


@cache
def _call_head(target: str, selector: str) -> str:
    """Return what stands before the address argument of a call: target, that it may fail, where its 36 bytes begin, and the selector."""
    return f"{_ZEROS}{target[2:]}{1:064x}{96:064x}{36:064x}{selector}{_ZEROS}"
