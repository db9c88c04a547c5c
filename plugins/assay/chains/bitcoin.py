"""Reads the Bitcoin family (Bitcoin, Litecoin) through an Electrum server.

A balance at the snapshot block is the replay of the address's confirmed history up to that block. Transaction ids and
block hashes are recomputed, each transaction is proven to stand under its header's Merkle root, and each history is held
against the transactions. The server's word is taken for two things, and a second source is the check on both: which
transactions concern a script, and that the headers of their blocks belong to the chain of the snapshot block (neither
proof of work nor the links between them are examined).
"""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Self

from assay.chains.bitcoin_addresses import parse_address
from assay.chains.coins import ContradictionError, check_inclusion, replay
from assay.chains.electrum import ElectrumSession, gather
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, batches
from assay.chains.transactions import HEADER_BYTES, Header, MalformedError, Transaction, parse_header, parse_transaction
from assay.config import Asset, Chain, Source
from assay.errors import ConfigError, RegistryError, SourceBehindError, SourceMismatchError
from assay.money import check_amount

FACTS = Facts(
    past="replay of each address's history up to the block",
    finality=("confirmations",),
    kinds=("electrum",),
    evidence="the transactions of each address with their Merkle branches and headers",
    documentation="https://electrum-protocol.readthedocs.io",
)
_MEDIAN_SPAN = 11
"""Blocks whose times' median is a block's median time past: itself and ten before it (Bitcoin Core, `GetMedianTimePast`)."""

_PROBES = 32
"""Heights asked at once in the search for the snapshot block: 33^4 is over a million blocks, so four round trips do."""

_TXID_LENGTH = 64
_HISTORY = "blockchain.scripthash.get_history"


def check_address(chain: Chain, address: str) -> str:
    """Return the address in its canonical form. See `Family`."""
    return parse_address(chain.network, address).text


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> Reader:
    """Return a reader of the chain through the source. See `Family`."""
    if source.kind != "electrum":
        raise ConfigError(f"the kind {source.kind!r} is unknown to this family", subject=f"source {source.name}", next_step="use electrum")
    if chain.finality != "confirmations" or chain.confirmations < 1:
        raise ConfigError(
            "this family knows finality by at least one confirmation only",
            subject=f"chain {chain.name}",
            next_step='set finality = "confirmations" and confirmations in chains.toml',
        )
    return ElectrumReader(chain, source, assets=assets, archive=archive, url=url)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A confirmed transaction of an address's history."""

    txid: str
    height: int


class ElectrumReader(Reader):
    """A chain of the family read through an Electrum server. See `Reader`; addresses of servers as in `ElectrumSession`."""

    async def __aenter__(self) -> Self:
        self._session = ElectrumSession(self.source, self._url, self.meter)
        await self._session.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def check_network(self) -> None:
        """Compare the genesis block that the server names, and the one that it serves, with the chain's."""
        (features,) = await self._session.call_batch([("server.features", [])])
        named = features.get("genesis_hash") if isinstance(features, dict) else None
        served = await self.block_hash(0)
        for genesis in (named, served):
            if genesis != self.chain.genesis:
                raise self._mismatch(
                    f"its genesis block is {str(genesis)[:_TXID_LENGTH]} and that of {self.chain.name} is {self.chain.genesis}",
                    next_step="point the source at a server of the right network",
                )

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last block whose median time past is not after `as_of`.

        The block after it, which makes it the last, must be final as well: until then another block could take its place
        and still belong before `as_of`.
        """
        (tip,) = await self._session.call_batch([("blockchain.headers.subscribe", [])])
        height = tip.get("height") if isinstance(tip, dict) else None
        if not isinstance(height, int):
            raise self._mismatch("its tip has no height")
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
            raise self._mismatch(f"the chain began after as_of {as_of.isoformat()}", next_step="choose a later as_of")
        found, median = await self._search(moment, final, ends)
        distance = int((as_of - _utc(median)) / timedelta(seconds=1))
        if distance > self.chain.max_distance_seconds:
            raise self._mismatch(
                f"the last block before as_of, {found}, lies {distance} s before it and at most {self.chain.max_distance_seconds} s are allowed",
                next_step="raise max_distance_seconds if the chain was that slow, or choose another as_of",
            )
        headers = await self._headers([(max(0, found + 1 - _MEDIAN_SPAN), found + 1)], archived=True)
        return SnapshotBlock(
            chain=self.chain.name,
            height=found,
            hash=headers[0][-2].hash,
            time=_utc(median),
            finality=f"{self.chain.confirmations} confirmations",
            distance_seconds=distance,
        )

    async def block_hash(self, height: int) -> str:
        """Return the hash of the header that the server has at a height, computed from the header."""
        (headers,) = await self._headers([(height, height)], archived=True)
        return headers[0].hash

    async def check_assets(self, block: SnapshotBlock) -> None:  # noqa: ARG002 (the family has nothing to ask the block)
        """Make sure that no token is configured and that the native asset counts in the chain's own base units."""
        problem = ""
        if self.chain.tokens:
            problem = f"the bitcoin family carries no tokens, and {', '.join(sorted(self.chain.tokens))} are configured"
        elif self.assets[self.chain.asset].decimals != 8:  # noqa: PLR2004 (satoshi and litoshi: 10^-8)
            problem = f"{self.chain.asset} has {self.assets[self.chain.asset].decimals} decimals in the registry and 8 on the chain"
        if problem:
            raise RegistryError(problem, subject=f"chain {self.chain.name}", next_step="correct assets.toml or chains.toml")

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002 (always)
        """Read balances; the evidence of each is the digest of its summary: the history, with each transaction's digests."""
        if (found := await self.block_hash(block.height)) != block.hash:
            raise self._mismatch(f"its block {block.height} is {found} and not the snapshot block {block.hash}")
        scripts, histories = await self._histories(addresses, block.height)
        heights = self._heights(histories)
        transactions, digests = await self._transactions(heights)
        try:
            amounts = replay({script: [entry.txid for entry in history] for script, history in histories.items()}, transactions)
        except ContradictionError as error:
            raise self._mismatch(str(error)) from error
        return [
            Balance(
                address=address,
                asset=self.chain.asset,
                amount=check_amount(amounts[scripts[address]], subject=f"chain {self.chain.name}, address {address}"),
                evidence=self._summarise(scripts[address], histories[scripts[address]], digests),
                since=min((entry.height for entry in histories[scripts[address]]), default=None),
            )
            for address in addresses
        ]

    async def _histories(self, addresses: Sequence[str], height: int) -> tuple[dict[str, bytes], dict[bytes, list[_Entry]]]:
        """Return the addresses' scripts, and the scripts' confirmed histories up to a height."""
        scripts: dict[str, bytes] = {}
        histories: dict[bytes, list[_Entry]] = {}
        places = asyncio.Semaphore(self.source.concurrency)

        async def ask(group: Sequence[str]) -> None:
            # Addresses are decoded while the server is busy with the batches before: it takes a third of its time.
            async with places:
                parsed = [parse_address(self.chain.network, address).script for address in group]
                calls = [(_HISTORY, [_script_hash(script)]) for script in parsed]
                replies = await self._session.call_batch(calls)
                scripts.update(zip(group, parsed, strict=True))
                histories.update((script, self._history(reply, height)) for script, reply in zip(parsed, replies, strict=True))

        await gather([ask(group) for group in batches(addresses, self.source.batch_size)])
        return scripts, histories

    def _history(self, reply: Any, height: int) -> list[_Entry]:
        try:
            # Height 0 and -1 stand for unconfirmed transactions, which count for nothing.
            entries = [_Entry(item["tx_hash"], item["height"]) for item in reply if 0 < item["height"] <= height]
        except (TypeError, KeyError) as error:
            raise self._mismatch("a history has not the form of one") from error
        if any(not isinstance(entry.txid, str) or len(entry.txid) != _TXID_LENGTH for entry in entries):
            raise self._mismatch("a history names something else than transactions")
        if len({entry.txid for entry in entries}) != len(entries):
            raise self._mismatch("a history names a transaction twice")
        return entries

    def _heights(self, histories: Mapping[bytes, Sequence[_Entry]]) -> dict[str, int]:
        heights: dict[str, int] = {}
        for history in histories.values():
            for entry in history:
                if heights.setdefault(entry.txid, entry.height) != entry.height:
                    raise self._mismatch(
                        f"transaction {entry.txid} stands at block {heights[entry.txid]} in one history and at {entry.height} in another"
                    )
        return heights

    async def _transactions(self, heights: Mapping[str, int]) -> tuple[dict[str, Transaction], dict[str, list[str]]]:
        """Fetch transactions and prove that each stands in its block.

        Returns:
            By id: the transaction, and the digests of its archived bytes, Merkle branch and block header.
        """
        txids = list(heights)
        raw = await self._session.call_many([("blockchain.transaction.get", [txid]) for txid in txids])
        branches = await self._session.call_many([("blockchain.transaction.get_merkle", [txid, heights[txid]]) for txid in txids])
        places = sorted(set(heights.values()))
        texts = dict(zip(places, await self._session.call_many([("blockchain.block.header", [height]) for height in places]), strict=True))
        transactions, digests = {}, {}
        try:
            roots = {height: parse_header(bytes.fromhex(text)).merkle_root for height, text in texts.items()}
            for txid, text, branch in zip(txids, raw, branches, strict=True):
                transactions[txid] = parse_transaction(bytes.fromhex(text), txid=txid)
                siblings = [bytes.fromhex(item)[::-1] for item in branch["merkle"]]
                check_inclusion(txid, siblings, branch["pos"], roots[heights[txid]])
                digests[txid] = [
                    self.archive.record("blockchain.transaction.get", [txid], text),
                    self.archive.record("blockchain.transaction.get_merkle", [txid, heights[txid]], branch),
                    self.archive.record("blockchain.block.header", [heights[txid]], texts[heights[txid]]),
                ]
        except (MalformedError, ContradictionError) as error:
            raise self._mismatch(str(error)) from error
        except (TypeError, KeyError, ValueError) as error:
            raise self._mismatch("a transaction, its branch or its header has not the form of one") from error
        return transactions, digests

    def _summarise(self, script: bytes, history: Sequence[_Entry], digests: Mapping[str, Sequence[str]]) -> str:
        """Archive what the server said of a script, without what came after the block, and where the rest is archived."""
        entries = [{"tx_hash": entry.txid, "height": entry.height, "evidence": digests[entry.txid]} for entry in history]
        return self.archive.record(_HISTORY, [_script_hash(script)], entries)

    async def _search(self, moment: int, final: int, ends: Sequence[int]) -> tuple[int, int]:
        """Return height and median time of the last block that is not after `moment`, given that 0 is not and `final` is."""
        heights, medians = [0, final], list(ends)
        while True:
            place = bisect_right(medians, moment)
            low, high = heights[place - 1], heights[place]
            if high - low == 1:
                return low, medians[place - 1]
            probes = sorted({low + (high - low) * number // (_PROBES + 1) for number in range(1, _PROBES + 1)} - {low})
            heights = [low, *probes, high]
            medians = [medians[place - 1], *await self._median_times(probes), medians[place]]
            if any(later < earlier for earlier, later in pairwise(medians)):
                raise self._mismatch(f"the median times of its blocks {low} to {high} go backwards")

    async def _median_times(self, heights: Sequence[int]) -> list[int]:
        stretches = await self._headers([(max(0, height + 1 - _MEDIAN_SPAN), height) for height in heights])
        return [sorted(header.time for header in headers)[len(headers) // 2] for headers in stretches]

    async def _headers(self, stretches: Sequence[tuple[int, int]], *, archived: bool = False) -> list[list[Header]]:
        """Return the headers from a first to a last height, each linked to the one before."""
        calls = [("blockchain.block.headers", [first, last - first + 1]) for first, last in stretches]
        replies = await self._session.call_many(calls)
        found = []
        for (first, last), (method, params), reply in zip(stretches, calls, replies, strict=True):
            try:
                # From protocol 1.6 on the headers come one by one.
                raw = bytes.fromhex("".join(reply["headers"]) if "headers" in reply else reply["hex"])
                headers = [parse_header(raw[start : start + HEADER_BYTES]) for start in range(0, len(raw), HEADER_BYTES)]
            except (TypeError, KeyError, ValueError) as error:
                raise self._mismatch(f"its headers {first} to {last} have not the form of headers") from error
            if len(headers) != last - first + 1:
                raise self._mismatch(f"it has no block {last}")
            if any(header.previous != before.hash for before, header in pairwise(headers)):
                raise self._mismatch(f"its headers {first} to {last} do not form a chain")
            if archived:
                self.archive.record(method, params, {"hex": raw.hex()})
            found.append(headers)
        return found

    def _mismatch(self, problem: str, *, next_step: str = "ask another source; replace this one if it is wrong") -> SourceMismatchError:
        return SourceMismatchError(problem, subject=f"chain {self.chain.name}, source {self.source.name}", next_step=next_step)


def _script_hash(script: bytes) -> str:
    """Return the name that the protocol has for a locking script."""
    return hashlib.sha256(script).digest()[::-1].hex()


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
