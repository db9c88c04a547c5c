"""The `evm` family: Ethereum and the chains that answer like it, read over JSON-RPC.

All balances are read at the snapshot block's hash (EIP-1898), through Multicall3 where its canonical code stands at
its address in that block and one by one in batches where not. Where the chain's registry says `proofs`, each balance is then proven
(`proofs.py`) and its evidence is the proof. What is taken on the source's word: which block is final, balances without a
proof (the quorum compares sources), and the hash of the block on the chains that `blocks.py` names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain as chained
from typing import Any, cast

from assay.chains.answers import AnswerError, quantity, word
from assay.chains.evidence import Exchange
from assay.chains.evm.abi import (
    BALANCE_OF,
    GET_ETH_BALANCE,
    MULTICALL3,
    MULTICALL3_CODE_HASH,
    address_call,
    pack_aggregate3,
    unpack_aggregate3,
)
from assay.chains.evm.addresses import check_address
from assay.chains.evm.proofs import Prover
from assay.chains.evm.rpc import EvmRpc, at, side_by_side
from assay.chains.evm.tokens import check_contracts, check_token
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, assets_of, scale_of
from assay.chains.jsonrpc import BATCH
from assay.chains.search import Header, last_at, snapshot
from assay.config import Asset, Chain, Source
from assay.money import check_amount

__all__ = ["FACTS", "NATIVE_DECIMALS", "EvmReader", "check_address", "reader"]

NATIVE_DECIMALS = 18
"""Every EVM chain counts its native asset in units of 10^-18."""

FACTS = Facts(
    past="state at the block hash (archive node)",
    finality=("finalized", "confirmations"),
    kinds=("jsonrpc",),
    evidence="account and storage proofs (EIP-1186) to the block's state root; archived answers where the chain or the token has none",
    documentation="https://ethereum.org/en/developers/docs/apis/json-rpc/",
    identity=("chain_id",),
)
_SURELY_FITS = 10**38  # below it an amount is not looked at, so that the words of an error are not made for each one
_Wanted = tuple[str, str]  # address, asset


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> EvmReader:
    """Return a reader of the chain through the source."""
    return EvmReader(chain, source, assets=assets, archive=archive, url=url)


class EvmReader(Reader):
    """An EVM chain read through one JSON-RPC server.

    Args:
        chain: Facts about the chain.
        source: The server; `batch_size` bounds the calls of a batch and of one Multicall3 call alike.
        assets: All known assets by symbol, for decimals.
        archive: Receives every response that a number rests on.
        url: Address of the server with its credentials.

    Attributes:
        rpc: Questions to the server.

    Raises:
        RegistryError: An asset has fewer decimals than the chain counts it in, or a token's contract is no address or the native asset under
            another name.
        ConfigError: Proofs are wanted of a chain that has none.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        check_contracts(chain)
        self._client = self.rpc = EvmRpc(chain, source, url, self.meter, archive)
        self._assets = assets_of(chain)
        self._scales = {
            symbol: scale_of(chain, assets, symbol, chain.tokens[symbol].decimals if symbol in chain.tokens else NATIVE_DECIMALS)
            for symbol in self._assets
        }
        self._getters = {chain.asset: (MULTICALL3, GET_ETH_BALANCE)} | {
            symbol: (token.contract, BALANCE_OF) for symbol, token in chain.tokens.items()
        }
        self._prover = Prover(self.rpc, self._scales) if chain.proofs else None

    async def check_network(self) -> None:  # noqa: D102  (described by the interface)
        about = "chain id"
        found = self.rpc.parsed(quantity, await self.rpc.call("eth_chainId", [], about=about), about)
        if found != self.chain.chain_id:
            raise self.rpc.mismatch(f"it serves chain id {found} and {self.chain.name} has {self.chain.chain_id}", about)

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last block at or before `as_of`, provably the last: the block after it is final as well.

        A block that is not final may still be replaced by one with an earlier time, which would then be the last one
        before `as_of`; so the answer can't change any more only if the next block is final too.
        """
        moment = int(as_of.timestamp())
        top = await self.final_header()
        found, block = await snapshot(
            self.chain,
            self.rpc,
            as_of,
            moment=moment,
            top=top,
            find=lambda: last_at(moment, top, self.rpc.last_header),
            utc=_utc,
            finality="finalized" if self._by_tag else f"{self.chain.confirmations} confirmations",
        )
        for header in found:
            self.rpc.record_header(header)
        return block

    async def block_hash(self, height: int) -> str:  # noqa: D102  (described by the interface)
        header = await self.rpc.header(height)
        self.rpc.record_header(header)
        return header.hash

    async def contract_code(self, block: SnapshotBlock, address: str) -> bytes:  # noqa: D102  (described by the interface)
        return await self.rpc.code(address, block, f"code of {address}")

    async def contract_answer(self, block: SnapshotBlock, address: str, call: bytes) -> bytes | None:  # noqa: D102  (as above)
        return await self.rpc.answer(address, call, block, f"answer of {address}")

    async def movement(self, block: SnapshotBlock, address: str, transaction: str) -> list[Exchange]:
        """Return a transaction's block with all that it holds, all its receipts, and what the account had sent by the snapshot block."""
        lines: list[Exchange] = []

        async def ask(method: str, params: list[Any], about: str, *, nullable: bool = False) -> Any:
            result = await self.rpc.call(method, params, about=about, nullable=nullable)
            self.archive.record(method, params, result)
            lines.append((method, params, result))
            return result

        about = f"transaction {transaction}"
        found = await ask("eth_getTransactionByHash", [transaction], about, nullable=True)
        if not isinstance(found, dict) or found.get("blockNumber") is None:
            return []
        height = self.rpc.parsed(quantity, found["blockNumber"], about)
        if height > block.height:
            return []
        # By height, as these are the blocks of the source's chain and of no branch beside it.
        await ask("eth_getBlockByNumber", [hex(height), True], f"block {height}")
        await ask("eth_getBlockReceipts", [hex(height)], f"receipts of block {height}")
        if self.chain.proofs:
            await ask("eth_getBlockByNumber", [hex(block.height), False], f"block {block.height}")
            await ask("eth_getProof", [address, [], at(block)], f"account {address}")
        return lines

    async def check_assets(self, block: SnapshotBlock) -> None:  # noqa: D102  (described by the interface)
        for token in self.chain.tokens.values():
            await check_token(self.rpc, token, block)

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: D102  (described by the interface)
        wanted = [(address, asset) for address in addresses for asset in self._assets]
        if not wanted:
            return []
        fetch = self._fetch_aggregated if await self._has_multicall3(block) else self._fetch_batched
        size = self.source.batch_size
        chunks = (partial(fetch, block, wanted[start : start + size]) for start in range(0, len(wanted), size))
        balances = list(chained.from_iterable(await side_by_side(chunks, self.rpc.workers)))
        return await self._prover.prove(block, balances) if prove and self._prover else balances

    async def _fetch_aggregated(self, block: SnapshotBlock, wanted: Sequence[_Wanted]) -> list[Balance]:
        about = f"{len(wanted)} balances from {_words(wanted[0])}"
        calls = [(*self._getters[asset], address) for address, asset in wanted]
        params = [{"to": MULTICALL3, "data": pack_aggregate3(calls)}, at(block)]
        result = await self.rpc.call("eth_call", params, about=about)
        await asyncio.sleep(0)  # the next request goes out before this answer is taken apart
        amounts = self.rpc.parsed(lambda answer: unpack_aggregate3(answer, len(calls)), result, about)
        evidence = self.archive.record("eth_call", params, result)
        if None in amounts:
            about = _words(wanted[amounts.index(None)])
            raise self.rpc.mismatch("the call inside Multicall3 failed or its result has not 32 bytes", about)
        return self._balances(wanted, cast("list[int]", amounts), evidence)

    async def _fetch_batched(self, block: SnapshotBlock, wanted: Sequence[_Wanted]) -> list[Balance]:
        named = at(block)
        calls = [(method, (what, named)) for method, what in map(self._single_request, wanted)]
        results = await self.rpc.batch(calls, about=lambda position: _words(wanted[position]))
        await asyncio.sleep(0)  # as above
        evidence = self.archive.record(BATCH, calls, results)
        amounts: list[int] = []
        try:
            for (_, asset), result in zip(wanted, results, strict=True):
                amounts.append(quantity(result) if asset == self.chain.asset else word(result))
        except AnswerError as error:
            raise self.rpc.mismatch(str(error), _words(wanted[len(amounts)])) from error
        return self._balances(wanted, amounts, evidence)

    def _single_request(self, wanted: _Wanted) -> tuple[str, str | dict[str, str]]:
        """Return method and first parameter of a call that reads one balance; the second one is the block."""
        address, asset = wanted
        if asset == self.chain.asset:
            return "eth_getBalance", address
        return "eth_call", {"to": self.chain.tokens[asset].contract, "data": address_call(BALANCE_OF, address)}

    def _balances(self, wanted: Sequence[_Wanted], amounts: Sequence[int], evidence: str) -> list[Balance]:
        scaled = [amount * self._scales[asset] for (_, asset), amount in zip(wanted, amounts, strict=True)]
        if max(scaled) >= _SURELY_FITS:
            for item, amount in zip(wanted, scaled, strict=True):
                check_amount(amount, subject=f"source {self.source.name}, {_words(item)}")
        return [
            Balance(address=address, asset=asset, amount=amount, evidence=evidence)
            for (address, asset), amount in zip(wanted, scaled, strict=True)
        ]

    async def _has_multicall3(self, block: SnapshotBlock) -> bool:
        return await self.rpc.code_hash(MULTICALL3, block, "code of Multicall3") == MULTICALL3_CODE_HASH

    @property
    def _by_tag(self) -> bool:
        return self.chain.finality == "finalized"

    async def final_header(self) -> Header:
        """Return the newest header that is final by the chain's rule.

        Raises:
            SourceBehindError: The chain has fewer blocks than confirmations are needed.
            SourceMismatchError: The answer is malformed or contradicts itself.
            SourceUnavailableError: No full answer.
        """
        if self._by_tag:
            return await self.rpc.header("finalized")
        about = "newest height"
        height = self.rpc.parsed(quantity, await self.rpc.call("eth_blockNumber", [], about=about), about)
        if height < self.chain.confirmations:
            raise self.rpc.behind(f"it has {height} blocks and {self.chain.confirmations} confirmations are needed", of="as_of")
        return await self.rpc.last_header(height - self.chain.confirmations)


def _words(wanted: _Wanted) -> str:
    return f"{wanted[1]} balance of {wanted[0]}"


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
