"""What the Bitcoin family's readers have in common, whatever server they ask: the chain of headers.

A block is resolved from headers alone, by the same search and the same rule for every kind of source, so that all of them name the
same block: the last one whose median time past (of the headers' own times) is not after `as_of`.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, ClassVar

from assay.chains.bitcoin.coins import ContradictionError, check_inclusion
from assay.chains.bitcoin.headers import follow, parse_chain
from assay.chains.bitcoin.rules import RULES, Rules
from assay.chains.bitcoin.transactions import Form, Header, MalformedError, Transaction, parse_header, parse_transaction
from assay.chains.interface import Archive, Reader, SnapshotBlock
from assay.config import Asset, Chain, Source
from assay.errors import RegistryError, SourceBehindError, SourceMismatchError

MEDIAN_SPAN = 11
"""Blocks whose times' median is a block's median time past: itself and ten before it (Bitcoin Core, `GetMedianTimePast`)."""

HASH_LENGTH = 64
"""Characters of a block's or transaction's id."""

STRETCH = 2016
"""Headers asked for at once: the most that the Electrum protocol gives."""

Stretch = tuple[int, int]
"""A first and a last height."""


def check_units(chain: Chain, assets: Mapping[str, Asset]) -> None:
    """Make sure that no token is configured and that the native asset counts in the chain's own base units.

    Raises:
        RegistryError: One is, or it does not.
    """
    problem = ""
    if chain.tokens:
        problem = f"the bitcoin family carries no tokens, and {', '.join(sorted(chain.tokens))} are configured"
    elif assets[chain.asset].decimals != 8:  # noqa: PLR2004 (10^-8 of a coin on every chain of the family)
        problem = f"{chain.asset} has {assets[chain.asset].decimals} decimals in the registry and 8 on the chain"
    if problem:
        raise RegistryError(problem, subject=f"chain {chain.name}", next_step="correct assets.toml or chains.toml")


class BitcoinReader(Reader):
    """A chain of the family read through one source. See `Reader`."""

    PROBES: ClassVar[int] = 32
    """Heights asked at once in the search for the snapshot block: 33^4 is over a million blocks, so four round trips do."""

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self.rules: Rules = RULES[chain.network]

    @abstractmethod
    async def tip(self) -> int:
        """Return the height of the source's last block."""

    @abstractmethod
    async def raw_headers(self, stretches: Sequence[Stretch], *, archived: bool = False) -> list[list[bytes]]:
        """Return the headers of each stretch, as many as it names, each with the merged work behind it that the source sends."""

    async def check_network(self) -> None:
        """Compare the block that the source serves as the genesis block, and one that sister chains don't share, with the chain's."""
        if self.chain.genesis:
            self.compare_genesis(await self.block_hash(0))
        if self.rules.landmark is not None:
            height, expected = self.rules.landmark
            if (found := await self.block_hash(height)) != expected:
                raise self.mismatch(
                    f"its block {height} is {found} and that of {self.chain.network} is {expected}: it serves a sister chain",
                    next_step="point the source at a server of the right network",
                )

    def compare_genesis(self, found: object) -> None:
        """Compare a genesis block's hash with the chain's."""
        if found != self.chain.genesis:
            raise self.mismatch(
                f"its genesis block is {str(found)[:HASH_LENGTH]} and that of {self.chain.name} is {self.chain.genesis}",
                next_step="point the source at a server of the right network",
            )

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last block whose median time past is not after `as_of`.

        The block after it, which makes it the last, must be final as well: until then another block could take its place
        and still belong before `as_of`.
        """
        height = await self.tip()
        final = height - self.chain.confirmations
        moment = int(as_of.timestamp())
        ends = await self._median_times([0, final]) if final > 0 else []
        if not ends or ends[1] <= moment:
            raise SourceBehindError(
                f"its final blocks end at {_utc(ends[1]).isoformat() if ends else 'the genesis block'} (block {max(final, 0)} of {height}), "
                f"behind as_of {as_of.isoformat()}",
                subject=f"chain {self.chain.name}, source {self.source.name}",
                next_step="wait until the node has caught up and the next blocks are final",
            )
        if ends[0] > moment:
            raise self.mismatch(f"the chain began after as_of {as_of.isoformat()}", next_step="choose a later as_of")
        found, median = await self._search(moment, final, ends)
        distance = int((as_of - _utc(median)) / timedelta(seconds=1))
        if distance > self.chain.max_distance_seconds:
            raise self.mismatch(
                f"the last block before as_of, {found}, lies {distance} s before it and at most {self.chain.max_distance_seconds} s are allowed",
                next_step="raise max_distance_seconds if the chain was that slow, or choose another as_of",
            )
        (headers,) = await self._headers([(max(0, found + 1 - MEDIAN_SPAN), found + 1)], archived=True)
        return SnapshotBlock(
            chain=self.chain.name,
            height=found,
            hash=headers[-2].hash,
            time=_utc(median),
            finality=f"{self.chain.confirmations} confirmations",
            distance_seconds=distance,
        )

    async def block_hash(self, height: int) -> str:
        """Return the hash of the header that the source has at a height, computed from the header (Dash: named by the next one)."""
        (headers,) = await self._headers([(height, height)], archived=True)
        return headers[0].hash

    async def recheck(self, block: SnapshotBlock, *, since: int | None) -> str:
        """Return the hash now at the block's height, and archive the headers that link the oldest evidence to it.

        Every header from `since` on must name the one before and carry the work that it claims. Dash's ids cannot be computed: its
        headers are archived, and the block's hash is what the header after it names.
        """
        if since is None:
            return await self.block_hash(block.height)
        end = block.height if self.rules.has_ids else block.height + 1
        stretches = [(first, min(first + STRETCH - 1, end)) for first in range(since, end + 1, STRETCH)]
        before: bytes | None = None
        for start in range(0, len(stretches), self.source.concurrency):
            group = stretches[start : start + self.source.concurrency]
            for (first, last), raws in zip(group, await self.raw_headers(group, archived=True), strict=True):
                try:
                    if self.rules.has_ids:
                        before = await asyncio.to_thread(follow, raws, self.rules, before)
                    else:
                        before = bytes.fromhex(parse_header(raws[-1]).previous)[::-1]
                except (MalformedError, ContradictionError) as error:
                    raise self.mismatch(f"its headers {first} to {last} are wrong: {error}") from error
        return before[::-1].hex() if before else ""

    async def check_assets(self, block: SnapshotBlock) -> None:  # noqa: ARG002 (the family has nothing to ask the block)
        """Make sure that no token is configured and that the native asset counts in the chain's own base units."""
        check_units(self.chain, self.assets)

    async def require_block(self, block: SnapshotBlock) -> None:
        """Make sure that the source has the snapshot block at its height.

        Raises:
            SourceBehindError: Its last block is before the snapshot block.
            SourceMismatchError: It has another block there.
        """
        try:
            found = await self.block_hash(block.height)
        except SourceMismatchError:
            if not self.replayed and (tip := await self.tip()) < block.height:
                raise self.behind(block, tip) from None
            raise
        if found != block.hash:
            raise self.mismatch(f"its block {block.height} is {found} and not the snapshot block {block.hash}")

    def behind(self, block: SnapshotBlock, tip: int) -> SourceBehindError:
        """Return the error of a source that has not come to the snapshot block yet."""
        return SourceBehindError(
            f"its last block is {tip}, before the snapshot block {block.height}",
            subject=f"chain {self.chain.name}, source {self.source.name}",
            next_step="wait until the node has caught up",
        )

    def mismatch(self, problem: str, *, next_step: str = "ask another source; replace this one if it is wrong") -> SourceMismatchError:
        """Return the error of an answer that cannot be right."""
        return SourceMismatchError(problem, subject=f"chain {self.chain.name}, source {self.source.name}", next_step=next_step)

    async def _search(self, moment: int, final: int, ends: Sequence[int]) -> tuple[int, int]:
        """Return height and median time of the last block that is not after `moment`, given that 0 is not and `final` is."""
        heights, medians = [0, final], list(ends)
        while True:
            place = bisect_right(medians, moment)
            low, high = heights[place - 1], heights[place]
            if high - low == 1:
                return low, medians[place - 1]
            probes = sorted({low + (high - low) * number // (self.PROBES + 1) for number in range(1, self.PROBES + 1)} - {low})
            heights = [low, *probes, high]
            medians = [medians[place - 1], *await self._median_times(probes), medians[place]]
            if any(later < earlier for earlier, later in pairwise(medians)):
                raise self.mismatch(f"the median times of its blocks {low} to {high} go backwards")

    async def _median_times(self, heights: Sequence[int]) -> list[int]:
        stretches = await self._headers([(max(0, height + 1 - MEDIAN_SPAN), height) for height in heights])
        return [sorted(header.time for header in headers)[len(headers) // 2] for headers in stretches]

    async def _headers(self, stretches: Sequence[Stretch], *, archived: bool = False) -> list[list[Header]]:
        """Return the headers from a first to a last height, each linked to the one before."""
        further = 0 if self.rules.has_ids else 1
        asked = [(first, last + further) for first, last in stretches]
        found = []
        for (first, last), raws in zip(stretches, await self.raw_headers(asked, archived=archived), strict=True):
            try:
                found.append(parse_chain(raws, self.rules))
            except ContradictionError as error:
                raise self.mismatch(f"its headers {first} to {last} do not form a chain") from error
            except MalformedError as error:
                raise self.mismatch(f"its headers {first} to {last} have not the form of headers") from error
        return found


def proven(txid: str, raw: bytes, branch: Mapping[str, Any], root: bytes, form: Form) -> Transaction:
    """Read a transaction and make sure that it stands in its block.

    Args:
        txid: What the server calls it.
        raw: Its bytes.
        branch: `merkle` and `pos`, as `blockchain.transaction.get_merkle` of the Electrum protocol gives them.
        root: Of the block's header, in wire order.
        form: Of the chain's transactions.

    Raises:
        MalformedError: The bytes are no transaction of that id.
        ContradictionError: The branch leads to another root.
        TypeError, KeyError, ValueError: The branch has not the form of one.
    """
    transaction = parse_transaction(raw, txid=txid, form=form)
    check_inclusion(txid, [bytes.fromhex(item)[::-1] for item in branch["merkle"]], branch["pos"], root)
    return transaction


def check_histories(histories: Mapping[bytes, Sequence[tuple[str, int]]]) -> dict[str, int]:
    """Return the heights of all transactions of the scripts' histories, given as ids and heights.

    Raises:
        ContradictionError: A history names something else than a transaction, or one twice; or two histories differ in a height.
    """
    heights: dict[str, int] = {}
    for history in histories.values():
        if len({txid for txid, _ in history}) != len(history):
            raise ContradictionError("a history names a transaction twice")
        for txid, height in history:
            if type(height) is not int or not isinstance(txid, str) or len(txid) != HASH_LENGTH:
                raise ContradictionError("a history names something else than transactions")
            if heights.setdefault(txid, height) != height:
                raise ContradictionError(f"transaction {txid} stands at block {heights[txid]} in one history and at {height} in another")
    return heights


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
