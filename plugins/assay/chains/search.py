"""The last block before a moment: the search that families whose blocks have heights and times share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assay.chains.answers import AnswerError, data


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the search needs of a block header.

    Attributes:
        number: Height.
        hash: `0x…`, lower case.
        parent: Hash of the block below.
        time: Seconds since 1970 in UTC.
        raw: The source's answer.
    """

    number: int
    hash: str
    parent: str
    time: int
    raw: Mapping[str, Any]

    @property
    def state_root(self) -> bytes:
        """Root of the trie of accounts.

        Raises:
            AnswerError: It is malformed.
        """
        return data(self.raw.get("stateRoot"))


async def last_at(moment: int, top: Header, fetch: Callable[[int], Awaitable[Header]]) -> tuple[Header, Header] | None:
    """Find the last block at or before a moment, and the one after it.

    It goes down from the top in growing steps before it closes in, because nodes may no longer keep a chain's
    earliest blocks (EIP-4444), and closes in by interpolation and halving in turn: block times are regular, mostly.

    Args:
        moment: Seconds since 1970 in UTC.
        top: A block after the moment.
        fetch: Gives the header of the last block at or below a height; it may lie below where a height has no block.

    Returns:
        Neighbours, the first at or before the moment and the second after it; None when block 0 is after it.

    Raises:
        AnswerError: Times or parent hashes contradict the order of heights.
    """
    above, below, step = top, top, 1
    while below.time > moment:
        if below.number == 0:
            return None
        above = below
        below = await fetch(max(0, above.number - step))
        step *= 4
    floor, halve = below.number, False  # between the block below and the floor there is no other block
    while (span := above.number - floor) > 1:
        stride = span // 2 if halve else (moment - below.time) * span // (above.time - below.time)
        asked = floor + min(max(stride, 1), span - 1)
        middle = await fetch(asked)
        if middle.number > floor and not below.time <= middle.time <= above.time:
            raise AnswerError(f"block {middle.number} is not between blocks {below.number} and {above.number} in time")
        if middle.number > floor and middle.time > moment:
            above = middle
        else:
            below, floor = (middle if middle.number > floor else below), asked
        halve = not halve
    if above.parent != below.hash:
        raise AnswerError(f"block {above.number} does not follow from block {below.number}: its parent is {above.parent}")
    return below, above
