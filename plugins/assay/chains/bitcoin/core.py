"""Reads the Bitcoin family from a node itself: Bitcoin Core and the nodes derived from it, over JSON-RPC.

The node keeps unspent outputs of its tip only and no index by script, so a balance is the sum of one scan of all of them
(`scantxoutset`), and is read only while the tip is the snapshot block: on a node that is held there (`invalidateblock` of the block after it, or
one that is stopped from receiving blocks). For any other block the error names the two ways that answer for the past. One scan takes
minutes on a main network and is made for each chunk of wallets: give the source a long `timeout_seconds` and the run a large `chunk_size`. What the node says of outputs is taken on its word;
headers are recomputed and linked. API: https://developer.bitcoin.org/reference/rpc/ and `help` of the node.

Credentials stand in the address: `http://user:password@host:port`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, DecimalException, Inexact
from typing import Any, Self

from assay.chains.bitcoin.addresses import parse_address
from assay.chains.bitcoin.base import HASH_LENGTH, BitcoinReader, Stretch
from assay.chains.http import server_address
from assay.chains.interface import Archive, Balance, SnapshotBlock
from assay.chains.jsonrpc import Call, JsonRpc, RefusedError
from assay.config import Asset, Chain, Source
from assay.errors import AssayError
from assay.money import check_amount

_SCAN, _HASH, _HEADER, _COUNT = "scantxoutset", "getblockhash", "getblockheader", "getblockcount"
_DECIMALS = 8
_WARMING_UP, _OUT_OF_RANGE = -28, -8
"""Error codes (Bitcoin Core, `rpc/protocol.h`): still loading; a parameter is wrong, such as a height over the tip, or a scan is under way."""
_SCANNING = "Scan already in progress"
_EXACT = Context(prec=60, traps=[Inexact])
_LARGEST = 10**50  # over any amount; what is over 38 digits is refused as an amount


class CoreRpc(JsonRpc):
    """The node's JSON-RPC.

    Every call goes as a batch: alone, the node answers an error of its own with HTTP status 500, which says nothing.
    """

    async def ask(self, calls: Sequence[Call], *, about: str) -> list[Any]:
        """Return the results of calls, in their order.

        Raises:
            RefusedError: The node answered a call with an error that will not pass.
            SourceUnavailableError: No full answer, the node is still loading, or another scan is under way.
        """
        if self.tape is not None:
            return [self._played(self.tape, method, params, about) for method, params in calls]
        found: list[Any] = []
        for start in range(0, len(calls), self.source.batch_size):
            try:
                found += await self.batch(calls[start : start + self.source.batch_size], about=lambda _: about)
            except RefusedError as error:
                if error.code == _WARMING_UP or _SCANNING in error.problem:
                    raise self.unavailable(error.problem, about) from None
                raise
        return found


class CoreReader(BitcoinReader):
    """A chain of the family read from its node. See `Reader`."""

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        server_address(source, url)

    async def __aenter__(self) -> Self:
        self._rpc = await CoreRpc(self.source, self._url, self.meter).__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._rpc.__aexit__(*error)

    async def tip(self) -> int:
        """Return the height of the node's last block."""
        (height,) = await self._rpc.ask([(_COUNT, [])], about="the height of its tip")
        if type(height) is not int:
            raise self.mismatch("its tip has no height")
        return height

    async def raw_headers(self, stretches: Sequence[Stretch], *, archived: bool = False) -> list[list[bytes]]:
        """Return the headers of each stretch, by the hashes that the node has for the heights. See `BitcoinReader`."""
        heights = sorted({height for first, last in stretches for height in range(first, last + 1)})
        about = f"headers {heights[0]} to {heights[-1]}"
        by_height: list[Call] = [(_HASH, [height]) for height in heights]
        try:
            hashes = await self._rpc.ask(by_height, about=about)
        except RefusedError as error:
            if error.code == _OUT_OF_RANGE:
                raise self.mismatch(f"it has no block {heights[-1]}") from None
            raise
        by_hash: list[Call] = [(_HEADER, [name, False]) for name in hashes]
        texts = await self._rpc.ask(by_hash, about=about)
        try:
            found = {height: bytes.fromhex(text) for height, text in zip(heights, texts, strict=True)}
        except (TypeError, ValueError) as error:
            raise self.mismatch(f"its {about} have not the form of headers") from error
        if archived:
            for calls, answers in ((by_height, hashes), (by_hash, texts)):
                for (method, params), answer in zip(calls, answers, strict=True):
                    self.archive.record(method, params, answer)
        return [[found[height] for height in range(first, last + 1)] for first, last in stretches]

    async def block_hash(self, height: int) -> str:
        """Return the hash that the node has for a height, computed from the header; Dash's is the node's word."""
        if self.rules.has_ids:
            return await super().block_hash(height)
        (name,) = await self._rpc.ask([(_HASH, [height])], about=f"the hash of block {height}")
        self.archive.record(_HASH, [height], name)
        return str(name)

    async def recheck(self, block: SnapshotBlock, *, since: int | None) -> str:  # noqa: ARG002 (unspent outputs rest on no header)
        """Return the hash that the node now has at the block's height."""
        return await self.block_hash(block.height)

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002 (nothing to prove)
        """Read balances from one scan; the evidence of each is the digest of the whole scan."""
        scripts = {address: parse_address(self.chain.network, address).script.hex() for address in addresses}
        wanted = sorted(set(scripts.values()))
        params = ["start", [{"desc": f"raw({script})"} for script in wanted]]
        (scan,) = await self._rpc.ask([(_SCAN, params)], about=f"a scan for {len(wanted)} scripts")
        amounts = self._sums(scan, block, wanted)
        evidence = self.archive.record(_SCAN, params, scan)
        return [
            Balance(
                address=address,
                asset=self.chain.asset,
                amount=check_amount(amounts[scripts[address]], subject=f"chain {self.chain.name}, address {address}"),
                evidence=evidence,
            )
            for address in addresses
        ]

    def _sums(self, scan: Any, block: SnapshotBlock, wanted: Sequence[str]) -> dict[str, int]:
        """Return what each script holds in base units, zeros included; the scan must be whole, of the block, and agree with its own total."""
        amounts = dict.fromkeys(wanted, 0)
        seen: set[tuple[str, int]] = set()
        try:
            if scan["success"] is not True:
                raise self._rpc.unavailable("its scan did not finish", "the unspent outputs")
            if (scan["bestblock"], scan["height"]) != (block.hash, block.height):
                raise self._elsewhere(scan, block)
            if not isinstance(scan["unspents"], list):
                raise self.mismatch("its scan has no list of outputs")
            for item in scan["unspents"]:
                outpoint = (item["txid"], item["vout"])
                if item["scriptPubKey"] not in amounts:
                    raise self.mismatch(
                        f"its scan has an output of a script that was not asked for ({str(item['scriptPubKey'])[:HASH_LENGTH]})"
                    )
                if outpoint in seen:
                    raise self.mismatch(f"its scan has the output {str(outpoint[0])[:HASH_LENGTH]}:{outpoint[1]} twice")
                if not 0 <= item["height"] <= block.height or not isinstance(outpoint[0], str) or len(outpoint[0]) != HASH_LENGTH:
                    raise self.mismatch("its scan has an output that is not of the chain up to the block")
                seen.add(outpoint)
                amounts[item["scriptPubKey"]] += self._units(item["amount"])
            total = self._units(scan["total_amount"])
        except (TypeError, KeyError) as error:
            raise self.mismatch("its scan has not the form of one") from error
        if total != sum(amounts.values()):
            raise self.mismatch(f"its scan adds up to {sum(amounts.values())} and says {total} base units")
        return amounts

    def _elsewhere(self, scan: Any, block: SnapshotBlock) -> AssayError:
        if type(scan["height"]) is int and scan["height"] < block.height:
            return self.behind(block, scan["height"])
        return self.mismatch(
            f"its unspent outputs are those of block {scan['height']} {str(scan['bestblock'])[:HASH_LENGTH]} and not of the snapshot block "
            f"{block.height} {block.hash}",
            next_step="read a UTXO-set file of the block (Bitcoin Core: dumptxoutset FILE rollback), or an Electrum or Esplora server, "
            "which answer for past blocks; or hold the node at the block",
        )

    def _units(self, amount: Any) -> int:
        """Return an amount of whole coins, which the node writes as a fraction, in base units."""
        if type(amount) is int:
            amount = Decimal(amount)
        try:
            units = _EXACT.scaleb(amount, _DECIMALS)
            if amount is not True and 0 <= units < _LARGEST and units == _EXACT.to_integral_value(units):
                return int(units)
        except (TypeError, DecimalException):
            pass  # no number, or one of too many digits
        raise self.mismatch(f"its scan has the amount {str(amount)[:HASH_LENGTH]!r}, which is no number of the chain's base units")
