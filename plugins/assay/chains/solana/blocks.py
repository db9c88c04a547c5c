"""Blocks of Solana, and the search for the last one before a moment.

A slot may stay without a block, so slots are listed before they are asked. Forms: https://solana.com/docs/rpc/http/getblock and
https://solana.com/docs/rpc/http/getblocks. A block's hash is not that of its header and can't be recomputed from it; each block
names its parent's slot and hash, which is checked between the snapshot block and the one after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import base58

from assay.chains.answers import AnswerError

SLOT_MILLISECONDS = 400
"""How long a slot is meant to take; only the search's first guess rests on it."""

KEY_BYTES = 32
"""Length of addresses and hashes."""

_FIRST_HALF, _LARGEST_HALF = 1024, 249_999  # slots on either side of a guess; getBlocks lists 500,000 at most
_WINDOWS = 100  # that are listed before the search is given up; guesses by time come close in a few


@dataclass(frozen=True, kw_only=True)
class Block:
    """What the search needs of a block.

    Attributes:
        slot: Its slot.
        hash: Base58.
        parent_slot: Slot of the block below.
        parent_hash: Hash of the block below.
        time: Seconds since 1970 in UTC, as its validators estimated it.
        raw: The source's answer.
    """

    slot: int
    hash: str
    parent_slot: int
    parent_hash: str
    time: int
    raw: Mapping[str, Any]

    @property
    def number(self) -> int:
        """What blocks are counted by: the slot."""
        return self.slot


def parse_block(raw: object, *, slot: int) -> Block:
    """Read and check an answer of `getBlock`, asked without transactions.

    Raises:
        AnswerError: A field is missing or malformed.
    """
    if not isinstance(raw, dict):
        raise AnswerError("the answer is not a block")
    parent, time = raw.get("parentSlot"), raw.get("blockTime")
    if type(parent) is not int or not (0 <= parent < slot or slot == parent == 0):
        raise AnswerError(f"block {slot} names no block below itself as its parent")
    if type(time) is not int or time < 0:
        raise AnswerError(f"block {slot} has no time")
    return Block(slot=slot, hash=_key(raw, "blockhash"), parent_slot=parent, parent_hash=_key(raw, "previousBlockhash"), time=time, raw=raw)


def is_key(text: object) -> bool:
    """Tell whether a text is 32 bytes in base58, in the one form that they have."""
    if not isinstance(text, str):
        return False
    try:
        raw = base58.b58decode(text)
    except ValueError:
        return False
    return len(raw) == KEY_BYTES and base58.b58encode(raw).decode() == text


async def last_at(
    moment: int, top: Block, listed: Callable[[int, int], Awaitable[Sequence[int]]], fetch: Callable[[int], Awaitable[Block]]
) -> tuple[Block, Block] | None:
    """Find the last block at or before a moment, and the one after it.

    The slot is guessed from the time, a window of slots around it is listed, and the window moves and grows until it
    holds both blocks; then it is halved.

    Args:
        moment: Seconds since 1970 in UTC.
        top: A block after the moment.
        listed: Gives the slots with blocks from a first to a last slot.
        fetch: Gives the block of a slot.

    Returns:
        Neighbours, the first at or before the moment and the second after it; None when the first block is after it.

    Raises:
        AnswerError: Times or parents contradict the order of slots, or the blocks around the moment are not kept.
    """
    centre, half, bottom = top.slot - _slots(top.time - moment), _FIRST_HALF, -1
    for _ in range(_WINDOWS):
        first, last = max(0, min(centre, top.slot) - half), min(top.slot, max(centre, 0) + half)
        slots = await listed(first, last)
        if any(later <= earlier for earlier, later in pairwise([first - 1, *slots, last + 1])):
            raise AnswerError(f"the slots listed from {first} to {last} are not in order")
        if slots:
            lowest, highest = await fetch(slots[0]), await fetch(slots[-1])
            if lowest.time <= moment < highest.time:
                return await _halve(moment, lowest, highest, slots, fetch)
            if lowest.time > moment:
                if lowest.slot == 0:
                    return None
                if lowest.slot == bottom and (first == 0 or half == _LARGEST_HALF):
                    raise AnswerError(f"no blocks are listed from slot {first} to {bottom - 1}: the node keeps only part of the chain")
                centre, bottom = lowest.slot - _slots(lowest.time - moment), lowest.slot
            else:
                if last == top.slot:
                    raise AnswerError(f"block {highest.slot} is the last one listed up to {top.slot}, which is after the moment asked")
                centre = highest.slot + _slots(moment - highest.time)
        elif half == _LARGEST_HALF:
            raise AnswerError(f"no blocks are listed from slot {first} to {last}: the node keeps only part of the chain")
        half = min(half * 2, _LARGEST_HALF)
    raise AnswerError("the times of its blocks lead nowhere")


async def _halve(
    moment: int, below: Block, above: Block, slots: Sequence[int], fetch: Callable[[int], Awaitable[Block]]
) -> tuple[Block, Block]:
    low, high = 0, len(slots) - 1
    while high - low > 1:
        place = (low + high) // 2
        middle = await fetch(slots[place])
        if not below.time <= middle.time <= above.time:
            raise AnswerError(f"block {middle.slot} is not between blocks {below.slot} and {above.slot} in time")
        if middle.time <= moment:
            low, below = place, middle
        else:
            high, above = place, middle
    if (above.parent_slot, above.parent_hash) != (below.slot, below.hash):
        raise AnswerError(
            f"block {above.slot} does not follow from block {below.slot}: its parent is {above.parent_slot} {above.parent_hash}"
        )
    return below, above


def _slots(seconds: int) -> int:
    return seconds * 1000 // SLOT_MILLISECONDS


def _key(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not is_key(value):
        raise AnswerError(f"the block's {name} is not 32 bytes in base58")
    return value
