"""The last block before a moment: the search that families whose blocks have heights and times share, and the snapshot block that it gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from assay.chains.answers import AnswerError, data
from assay.chains.http import HttpClient
from assay.chains.interface import SnapshotBlock
from assay.config import Chain


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


class Dated(Protocol):
    """A block as far as the snapshot is concerned; attributes as in `Header`, times in whatever units the family counts."""

    @property
    def number(self) -> int: ...  # noqa: D102

    @property
    def hash(self) -> str: ...  # noqa: D102

    @property
    def time(self) -> int: ...  # noqa: D102


B = TypeVar("B", bound=Dated)


async def snapshot(
    chain: Chain,
    client: HttpClient,
    as_of: datetime,
    *,
    moment: int,
    top: B,
    find: Callable[[], Awaitable[tuple[B, B] | None]],
    utc: Callable[[int], datetime],
    finality: str = "finalized",
) -> tuple[tuple[B, B], SnapshotBlock]:
    """Find the snapshot block: the last one at or before `as_of`, provably the last, because the one after it is final as well.

    Args:
        chain: Facts about the chain.
        client: Who is asked, for errors.
        as_of: The attested moment.
        moment: The same in the family's units.
        top: The newest final block.
        find: Gives the block and the one after it, or None where all are later.
        utc: Turns the family's times into UTC.
        finality: The rule by which the blocks are final.

    Returns:
        The block and the one after it, whose answers the family archives, and the snapshot block.

    Raises:
        SourceBehindError: No final block is after `as_of` yet.
        SourceMismatchError: The blocks contradict each other, or the last one lies farther back than the chain allows.
    """
    about = "snapshot block"
    if top.time <= moment:
        raise client.behind(
            f"its last final block, {top.number}, is of {utc(top.time).isoformat()}, and one after {as_of.isoformat()} is needed",
            of="as_of",
        )
    try:
        found = await find()
    except AnswerError as error:
        raise client.wrong(str(error), about) from error
    if found is None:
        raise client.wrong(f"the chain has no block at or before as_of {as_of.isoformat()}", about)
    block, time = found[0], utc(found[0].time)
    distance = (as_of - time) // timedelta(seconds=1)
    if distance > chain.max_distance_seconds:
        raise client.wrong(
            f"the last block before as_of, {block.number}, lies {distance} s before it and at most {chain.max_distance_seconds} s are allowed",
            about,
        )
    return found, SnapshotBlock(
        chain=chain.name, height=block.number, hash=block.hash, time=time, finality=finality, distance_seconds=distance
    )
