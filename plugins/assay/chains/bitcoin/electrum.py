"""Reads the Bitcoin family through an Electrum server.

A balance at the snapshot block is the replay of the address's confirmed history up to that block. Transaction ids and
block hashes are recomputed, each transaction is proven to stand under its header's Merkle root, and each history is held
against the transactions. What the server's word is taken for stands in the package's own docstring.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from assay.chains.bitcoin.addresses import parse_address
from assay.chains.bitcoin.base import BitcoinReader, Stretch, check_histories, proven
from assay.chains.bitcoin.coins import ContradictionError, replay
from assay.chains.bitcoin.electrum_session import Call, ElectrumSession, server_address
from assay.chains.bitcoin.headers import check_work, split_headers
from assay.chains.bitcoin.transactions import HEADER_BYTES, MalformedError, Transaction, parse_header
from assay.chains.evidence import Exchange
from assay.chains.interface import Archive, Balance, SnapshotBlock, batches
from assay.chains.pacing import gather
from assay.config import Asset, Chain, Source
from assay.money import check_amount

_HISTORY = "blockchain.scripthash.get_history"
_TRANSACTION = "blockchain.transaction.get"
_BRANCH = "blockchain.transaction.get_merkle"
_HEADER, _HEADERS = "blockchain.block.header", "blockchain.block.headers"
_UNCONFIRMED = -1
"""The lowest height of a history's entry: it and 0 stand for unconfirmed transactions, which count for nothing."""
_SMALL_STRETCH = 64
"""Headers up to which stretches share a batch; a reply of the largest ones takes a third of what servers send in one message by default."""


class _Entry(NamedTuple):
    """A confirmed transaction of an address's history."""

    txid: str
    height: int


class ElectrumReader(BitcoinReader):
    """A chain of the family read through an Electrum server. See `Reader`; addresses of servers as in `ElectrumSession`."""

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        server_address(source, url)

    async def __aenter__(self) -> Self:
        self._session = ElectrumSession(self.source, self._url, self.meter)
        await self._session.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def check_network(self) -> None:
        """Compare the genesis block that the server names as well."""
        (features,) = await self._session.call_batch([("server.features", [])])
        if self.chain.genesis:
            self.compare_genesis(features.get("genesis_hash") if isinstance(features, dict) else None)
        await super().check_network()

    async def tip(self) -> int:
        """Return the height of the server's last block."""
        (tip,) = await self._session.call_batch([("blockchain.headers.subscribe", [])])
        height = tip.get("height") if isinstance(tip, dict) else None
        if type(height) is not int:
            raise self.mismatch("its tip has no height")
        return height

    async def raw_headers(self, stretches: Sequence[Stretch], *, archived: bool = False) -> list[list[bytes]]:
        """Return the headers of each stretch; see `BitcoinReader`. They are archived without merged work."""
        calls: list[Call] = [(_HEADERS, [first, last - first + 1]) for first, last in stretches]
        if all(last - first < _SMALL_STRETCH for first, last in stretches):
            replies = await self._session.call_many(calls)
        else:
            replies = [reply for (reply,) in await gather([self._session.call_batch([call]) for call in calls])]
        found = []
        for (first, last), (method, params), reply in zip(stretches, calls, replies, strict=True):
            count = last - first + 1
            try:
                # From protocol 1.6 on the headers come one by one.
                pieces = reply["headers"] if "headers" in reply else [reply["hex"]]
                raw = bytes.fromhex("".join(pieces))
                if (len(pieces) if "headers" in reply else reply.get("count", count)) < count:
                    raise self.mismatch(f"it has no block {last}")
                headers = split_headers(raw, count, self.rules)
            except (TypeError, KeyError, AttributeError, ValueError) as error:
                raise self.mismatch(f"its headers {first} to {last} have not the form of headers") from error
            if archived:
                self.archive.record(method, params, {"hex": b"".join(header[:HEADER_BYTES] for header in headers).hex()})
            found.append(headers)
        return found

    async def used(self, block: SnapshotBlock, addresses: Sequence[str]) -> list[bool]:
        """Tell for each address whether it has a confirmed transaction up to the block."""
        await self.require_block(block)
        scripts, histories = await self._histories(addresses, block.height)
        return [bool(histories[scripts[address]]) for address in addresses]

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002 (always)
        """Read balances; the evidence of each is the digest of its summary: the history, with each transaction's digests."""
        await self.require_block(block)
        scripts, histories = await self._histories(addresses, block.height)
        try:
            heights = check_histories(histories)
            transactions, digests = await self._transactions(heights)
            amounts = replay({script: [entry.txid for entry in history] for script, history in histories.items()}, transactions)
        except (MalformedError, ContradictionError) as error:
            raise self.mismatch(str(error)) from error
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

    async def movement(self, block: SnapshotBlock, address: str, transaction: str) -> list[Exchange]:
        """Return a transaction of the address's history with its branch and header, and the transactions that it spends coins of."""
        script = parse_address(self.chain.network, address).script
        (reply,) = await self._session.call_batch([(_HISTORY, [script_hash(script)])])
        heights = {entry.txid: entry.height for entry in self._history(reply, block.height) if entry.txid == transaction}
        self.archive.record(_HISTORY, [script_hash(script)], [{"tx_hash": txid, "height": height} for txid, height in heights.items()])
        if not heights:
            return []
        try:
            (found,) = (await self._transactions(heights))[0].values()
        except (MalformedError, ContradictionError) as error:
            raise self.mismatch(str(error)) from error
        spent = sorted({outpoint[:32][::-1].hex() for outpoint in found.spends})
        calls: list[Call] = [(_TRANSACTION, [txid]) for txid in (transaction, *spent)]
        calls += [(_BRANCH, [transaction, heights[transaction]]), (_HEADER, [heights[transaction]])]
        lines = [(method, params, answer) for (method, params), answer in zip(calls, await self._session.call_many(calls), strict=True)]
        for line in lines:
            self.archive.record(*line)
        return lines

    async def _histories(self, addresses: Sequence[str], height: int) -> tuple[dict[str, bytes], dict[bytes, list[_Entry]]]:
        """Return the addresses' scripts, and the scripts' confirmed histories up to a height."""
        scripts: dict[str, bytes] = {}
        histories: dict[bytes, list[_Entry]] = {}
        places = asyncio.Semaphore(self.source.concurrency)

        async def ask(group: Sequence[str]) -> None:
            # Addresses are decoded while the server is busy with the batches before: it takes a third of its time.
            async with places:
                parsed = [parse_address(self.chain.network, address).script for address in group]
                calls = [(_HISTORY, [script_hash(script)]) for script in parsed]
                replies = await self._session.call_batch(calls)
                scripts.update(zip(group, parsed, strict=True))
                histories.update((script, self._history(reply, height)) for script, reply in zip(parsed, replies, strict=True))

        await gather([ask(group) for group in batches(addresses, self.source.batch_size)])
        return scripts, histories

    def _history(self, reply: Any, height: int) -> list[_Entry]:
        # An empty history is a balance of zero, so nothing else that is empty may pass for a list, and no entry may be left out for an odd height.
        if not isinstance(reply, list):
            raise self.mismatch("a history is not a list")
        try:
            entries = [_Entry(item["tx_hash"], item["height"]) for item in reply]
        except (TypeError, KeyError) as error:
            raise self.mismatch("a history has not the form of one") from error
        if any(type(entry.height) is not int or entry.height < _UNCONFIRMED for entry in entries):
            raise self.mismatch("a history has an entry at something else than a height")
        return [entry for entry in entries if 0 < entry.height <= height]

    async def _transactions(self, heights: Mapping[str, int]) -> tuple[dict[str, Transaction], dict[str, list[str]]]:
        """Fetch transactions and prove that each stands in its block.

        Returns:
            By id: the transaction, and the digests of its archived bytes, Merkle branch and block header.
        """
        txids = list(heights)
        raw = await self._session.call_many([(_TRANSACTION, [txid]) for txid in txids])
        branches = await self._session.call_many([(_BRANCH, [txid, heights[txid]]) for txid in txids])
        places = sorted(set(heights.values()))
        texts = dict(zip(places, await self._session.call_many([(_HEADER, [height]) for height in places]), strict=True))
        transactions, digests = {}, {}
        try:
            headers = [bytes.fromhex(text) for text in texts.values()]
            roots = {height: self._root(header) for height, header in zip(texts, headers, strict=True)}
            await asyncio.to_thread(check_work, headers, self.rules)
            for txid, text, branch in zip(txids, raw, branches, strict=True):
                transactions[txid] = proven(txid, bytes.fromhex(text), branch, roots[heights[txid]], self.rules.form)
                digests[txid] = [
                    self.archive.record(_TRANSACTION, [txid], text),
                    self.archive.record(_BRANCH, [txid, heights[txid]], branch),
                    self.archive.record(_HEADER, [heights[txid]], texts[heights[txid]]),
                ]
        except (MalformedError, ContradictionError):
            raise
        except (TypeError, KeyError, ValueError) as error:
            raise self.mismatch("a transaction, its branch or its header has not the form of one") from error
        return transactions, digests

    def _root(self, raw: bytes) -> bytes:
        (header,) = split_headers(raw, 1, self.rules)
        return parse_header(header[:HEADER_BYTES]).merkle_root

    def _summarise(self, script: bytes, history: Sequence[_Entry], digests: Mapping[str, Sequence[str]]) -> str:
        """Archive what the server said of a script, without what came after the block, and where the rest is archived."""
        entries = [{"tx_hash": entry.txid, "height": entry.height, "evidence": digests[entry.txid]} for entry in history]
        return self.archive.record(_HISTORY, [script_hash(script)], entries)


def script_hash(script: bytes) -> str:
    """Return the name that the protocol has for a locking script."""
    return hashlib.sha256(script).digest()[::-1].hex()
