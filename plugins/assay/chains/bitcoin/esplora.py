"""Reads the Bitcoin family through an Esplora HTTP API.

Like Electrum's histories, with more requests: pages of an address's transactions, and for each transaction its bytes, its Merkle branch and the
header of its block. Everything is recomputed and replayed as there. API: https://github.com/Blockstream/esplora/blob/master/API.md.

Archived are the requests under their own names. Only the first page of a history (`GET /scripthash/HASH/txs/chain`) is archived as something else than it came: as the whole
history up to the block, newest first, each entry cut to `txid` and `status` and with the digests of its transaction, branch and header as
`evidence`; pages shift with every new transaction, and a history up to a block does not.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import aiohttp
import msgspec

from assay.chains.bitcoin.addresses import parse_address
from assay.chains.bitcoin.base import HASH_LENGTH, BitcoinReader, Stretch, check_histories, proven
from assay.chains.bitcoin.coins import ContradictionError, replay
from assay.chains.bitcoin.electrum import script_hash
from assay.chains.bitcoin.headers import check_work
from assay.chains.bitcoin.transactions import Header, MalformedError, Transaction, parse_header
from assay.chains.evidence import Exchange
from assay.chains.http import HTTP_NOT_FOUND, HTTP_OK, Reply, Rest, server_address
from assay.chains.interface import Archive, Balance, SnapshotBlock
from assay.chains.pacing import gather
from assay.config import Asset, Chain, Source
from assay.money import check_amount
from assay_verify.ownership.movement_bitcoin import BRANCH, HEADER, TRANSACTION

_LARGEST_HISTORY = 1_000_000
"""Transactions of one address, so that a server that makes up new ones for ever comes to an end."""

_HEADER_FIELDS = ("id", "height", "version", "timestamp", "bits", "nonce", "merkle_root", "previousblockhash")


class EsploraClient(Rest):
    """A REST client for an API that answers ids, heights and bytes in hexadecimal as plain text: a text becomes a JSON string."""

    async def _send(
        self, session: aiohttp.ClientSession, verb: str, path: str, query: Mapping[str, str] | None, data: bytes | None, about: str
    ) -> tuple[int, bytes]:
        status, content = await super()._send(session, verb, path, query, data, about)
        plain = status != HTTP_OK or (content[:1] not in {b"[", b"{"} and not content.isdigit())
        return status, msgspec.json.encode(content.decode(errors="replace").strip()) if plain else content


@dataclass(frozen=True, slots=True)
class _Entry:
    """A confirmed transaction of an address's history."""

    txid: str
    height: int
    block: str


class EsploraReader(BitcoinReader):
    """A chain of the family read through an Esplora server. See `Reader`."""

    PROBES: ClassVar[int] = 7
    """Heights asked at once in the search for the snapshot block, of some two requests each: 8^7 is over two million blocks."""

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        server_address(source, url)

    async def __aenter__(self) -> Self:
        self._http = await EsploraClient(self.source, self._url, self.meter).__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.__aexit__(*error)

    async def tip(self) -> int:
        """Return the height of the server's last block."""
        reply = await self._http.get("/blocks/tip/height", about="the height of its tip")
        if type(reply.body) is not int:
            raise self.mismatch("its tip has no height")
        return reply.body

    async def raw_headers(self, stretches: Sequence[Stretch], *, archived: bool = False) -> list[list[bytes]]:
        """Return the headers of each stretch, put together from what the server says of blocks. See `BitcoinReader`."""
        return await gather([self._stretch(first, last, archived=archived) for first, last in stretches])

    async def used(self, block: SnapshotBlock, addresses: Sequence[str]) -> list[bool]:
        """Tell for each address whether it has a confirmed transaction up to the block."""
        await self.require_block(block)
        scripts = [parse_address(self.chain.network, address).script for address in addresses]
        return [bool(history) for history in await gather([self._history(script, block.height) for script in scripts])]

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002 (always)
        """Read balances; the evidence of each is the digest of its history, with each transaction's digests."""
        await self.require_block(block)
        scripts = {address: parse_address(self.chain.network, address).script for address in addresses}
        wanted = list(dict.fromkeys(scripts.values()))
        histories = dict(zip(wanted, await gather([self._history(script, block.height) for script in wanted]), strict=True))
        try:
            check_histories({script: [(entry.txid, entry.height) for entry in history] for script, history in histories.items()})
            transactions, digests = await self._transactions({entry.txid: entry for history in histories.values() for entry in history})
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
        """Return what shows a movement, in the words of Electrum's protocol, in which it is checked; see `Reader`.

        Not as the chain's first source: verifiers look for movements in that one's archive, and read those words alone.
        """
        if self.source.name == self.chain.sources[0].name:
            return await super().movement(block, address, transaction)
        script = parse_address(self.chain.network, address).script
        path = f"/scripthash/{script_hash(script)}/txs/chain"
        history = [entry for entry in await self._history(script, block.height) if entry.txid == transaction]
        # Played back, the history is this one transaction.
        self.archive.record(f"GET {path}/{transaction}", {}, {"status": HTTP_OK, "body": []})
        try:
            moved, digests = await self._transactions({entry.txid: entry for entry in history})
        except (MalformedError, ContradictionError) as error:
            raise self.mismatch(str(error)) from error
        self._summarise(script, history, digests)
        lines: list[Exchange] = []
        for entry in history:
            spent = sorted({outpoint[:32][::-1].hex() for outpoint in moved[entry.txid].spends})
            lines += [
                (TRANSACTION, [txid], await self._recorded(f"/tx/{txid}/hex", f"transaction {txid}")) for txid in (entry.txid, *spent)
            ]
            lines.append(
                (BRANCH, [entry.txid, entry.height], await self._recorded(f"/tx/{entry.txid}/merkle-proof", f"branch of {entry.txid}"))
            )
            lines.append((HEADER, [entry.height], await self._recorded(f"/block/{entry.block}/header", f"header of {entry.block}")))
        return lines

    async def _recorded(self, path: str, about: str) -> Any:
        reply = await self._get(path, about)
        reply.record(self.archive)
        return reply.body

    async def _get(self, path: str, about: str) -> Reply:
        """Fetch; what the server does not know is an error, because only things are asked for that it named itself."""
        reply = await self._http.get(path, about=about, accept=(HTTP_OK, HTTP_NOT_FOUND))
        if reply.status != HTTP_OK:
            raise self.mismatch(f"it has no {about}")
        return reply

    async def _stretch(self, first: int, last: int, *, archived: bool) -> list[bytes]:
        """Return headers from pages of blocks that go downwards from a height; how many a page has is the server's choice."""
        found: dict[int, bytes] = {}
        top = last
        while top >= first:
            reply = await self._get(f"/blocks/{top}", f"block {top}")
            try:
                page = [{name: item[name] for name in _HEADER_FIELDS if name in item} for item in reply.body]
                headers = {item["height"]: _header(item) for item in page}
                ids = {item["height"]: item["id"] for item in page}
            except (TypeError, KeyError, AttributeError, ValueError, struct.error) as error:
                raise self.mismatch(f"its blocks from {top} down have not the form of blocks") from error
            if sorted(headers, reverse=True) != list(range(top, top - len(page), -1)) or not page:
                raise self.mismatch(f"it has no block {top}, or its blocks from there down are not in order")
            if any(parse_header(header).hash != ids[height] for height, header in headers.items()):
                raise self.mismatch(f"a block from {top} down has another id than its header")
            if archived:
                self.archive.record(reply.method, reply.params, {"status": reply.status, "body": page})
            found |= headers
            top -= len(page)
        return [found[height] for height in range(first, last + 1)]

    async def _history(self, script: bytes, height: int) -> list[_Entry]:
        """Return a script's confirmed transactions up to a height, newest first, from pages until there are no more."""
        path = f"/scripthash/{script_hash(script)}/txs/chain"
        about = f"the history of script {script.hex()[:HASH_LENGTH]}"
        seen: dict[str, _Entry] = {}
        page = await self._page(path, about)
        while page:
            before = len(seen)
            seen |= {entry.txid: entry for entry in page}
            if len(seen) != before + len(page):
                raise self.mismatch(f"{about} repeats a transaction")
            if len(seen) > _LARGEST_HISTORY:
                raise self.mismatch(f"{about} has more than {_LARGEST_HISTORY} transactions", next_step="read it from a UTXO-set file")
            page = await self._page(f"{path}/{page[-1].txid}", about)
        heights = [entry.height for entry in seen.values()]
        if heights != sorted(heights, reverse=True):
            raise self.mismatch(f"{about} is not in order")
        history = [entry for entry in seen.values() if entry.height <= height]
        if history:
            self.archive.record(f"GET {path}/{history[-1].txid}", {}, {"status": HTTP_OK, "body": []})
        return history

    async def _page(self, path: str, about: str) -> list[_Entry]:
        reply = await self._get(path, about)
        # An empty page ends a history, and an empty history is a balance of zero: nothing else that is empty may pass for one.
        if not isinstance(reply.body, list):
            raise self.mismatch(f"{about} is not a list")
        try:
            entries = [_Entry(item["txid"], item["status"]["block_height"], item["status"]["block_hash"]) for item in reply.body]
        except (TypeError, KeyError) as error:
            raise self.mismatch(f"{about} has not the form of one") from error
        for entry in entries:
            if type(entry.height) is not int or entry.height < 0 or not _is_id(entry.txid) or not _is_id(entry.block):
                raise self.mismatch(f"{about} names something else than confirmed transactions")
        # The genesis block's coin was never part of the unspent outputs, and Electrum servers do not count it either.
        return [entry for entry in entries if entry.height > 0]

    async def _transactions(self, entries: Mapping[str, _Entry]) -> tuple[dict[str, Transaction], dict[str, list[str]]]:
        """Fetch transactions and prove that each stands in its block; returns like `ElectrumReader._transactions`."""
        blocks = sorted({entry.block for entry in entries.values()})
        raws = await gather([self._get(f"/tx/{txid}/hex", f"transaction {txid}") for txid in entries])
        branches = await gather([self._get(f"/tx/{txid}/merkle-proof", f"Merkle branch of {txid}") for txid in entries])
        replies = dict(zip(blocks, await gather([self._get(f"/block/{name}/header", f"header of {name}") for name in blocks]), strict=True))
        transactions, digests = {}, {}
        try:
            headers = {name: bytes.fromhex(reply.body) for name, reply in replies.items()}
            roots = {name: self._of_block(header, name).merkle_root for name, header in headers.items()}
            check_work(list(headers.values()), self.rules)
            for (txid, entry), raw, branch in zip(entries.items(), raws, branches, strict=True):
                if branch.body["block_height"] != entry.height:
                    raise self.mismatch(f"transaction {txid} stands at block {entry.height} and, by its branch, at another")
                transactions[txid] = proven(txid, bytes.fromhex(raw.body), branch.body, roots[entry.block], self.rules.form)
                digests[txid] = [reply.record(self.archive) for reply in (raw, branch, replies[entry.block])]
        except (MalformedError, ContradictionError):
            raise
        except (TypeError, KeyError, ValueError) as error:
            raise self.mismatch("a transaction, its branch or its header has not the form of one") from error
        return transactions, digests

    def _of_block(self, raw: bytes, name: str) -> Header:
        header = parse_header(raw)
        if header.hash != name:
            raise self.mismatch(f"the header of block {name} has the hash {header.hash}")
        return header

    def _summarise(self, script: bytes, history: Sequence[_Entry], digests: Mapping[str, Sequence[str]]) -> str:
        entries = [
            {
                "txid": entry.txid,
                "status": {"confirmed": True, "block_height": entry.height, "block_hash": entry.block},
                "evidence": digests[entry.txid],
            }
            for entry in history
        ]
        return self.archive.record(f"GET /scripthash/{script_hash(script)}/txs/chain", {}, {"status": HTTP_OK, "body": entries})


def _is_id(text: object) -> bool:
    """Tell whether something is an id and nothing else, because it becomes part of a path."""
    return isinstance(text, str) and len(text) == HASH_LENGTH and set(text) <= set("0123456789abcdef")


def _header(item: Mapping[str, Any]) -> bytes:
    """Return the bytes of a header from its fields; the first block has none before it."""
    previous = bytes.fromhex(item.get("previousblockhash") or "00" * 32)[::-1]
    root = bytes.fromhex(item["merkle_root"])[::-1]
    # The version is written as a signed or as an unsigned number, and both stand for the same four bytes.
    version = struct.pack("<I", item["version"] & 0xFFFFFFFF)
    return version + previous + root + struct.pack("<III", item["timestamp"], item["bits"], item["nonce"])
