"""Asking EVM readers in tests: chains, sources, an archive to look into, and nodes with the sandbox's history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from assay.chains.evm import EvmReader
from assay.chains.interface import Balance, SnapshotBlock
from assay.config import Asset, Chain, Source, Token
from sandbox.evm import EvmNode
from sandbox.evm_accounts import TOKEN_STORAGE
from sandbox.scenario import SECOND, wallets
from tests.chains.lying_proxy import Lie, LyingProxy

T = TypeVar("T")

TOKENS = {"ethereum": "0xdAC17F958D2ee523a2206206994597C13D831ec7", "arbitrum": "0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9"}
ABSENT = "0x00000000000000000000000000000000000000fF"
"""An account that no sandbox chain has."""
CHAIN_IDS = {"ethereum": 1, "arbitrum": 42161}
ASSETS = {"ETH": Asset(symbol="ETH", name="Ether", decimals=18), "USDT": Asset(symbol="USDT", name="Tether USD", decimals=6)}


@dataclass
class Recorded:
    """An archive that keeps exchanges as they are."""

    exchanges: list[tuple[str, Any, Any]] = field(default_factory=list)

    def record(self, method: str, params: object, result: object) -> str:
        self.exchanges.append((method, params, result))
        return f"{len(self.exchanges):064x}"

    def record_error(self, method: str, params: object, error: object) -> str:
        return self.record(method, params, error)


def chain_of(name: str, **changes: Any) -> Chain:
    token = Token(asset="USDT", contract=TOKENS[name], decimals=6, source="")
    chain = Chain(
        name=name,
        family="evm",
        asset="ETH",
        chain_id=CHAIN_IDS[name],
        finality="finalized",
        max_distance_seconds=600,
        tokens={"USDT": token},
    )
    return replace(chain, **changes)


def proven_chain(name: str = "ethereum", **changes: Any) -> Chain:
    """Return a chain whose balances are proven, the token's included."""
    token = Token(asset="USDT", contract=TOKENS[name], decimals=6, source="", **TOKEN_STORAGE)
    return chain_of(name, proofs=True, tokens={"USDT": token}, **changes)


def source_of(**changes: Any) -> Source:
    return replace(Source(name="node_a", kind="jsonrpc", connection="unused", batch_size=50, timeout_seconds=20), **changes)


def ask(
    url: str, question: Callable[[EvmReader], Awaitable[T]], *, chain: Chain | None = None, source: Source | None = None, **kwargs: Any
) -> T:
    """Open a reader, ask it, close it."""

    async def run() -> T:
        archive = kwargs.get("archive") or Recorded()
        async with EvmReader(
            chain or chain_of("ethereum"), source or source_of(), assets=kwargs.get("assets", ASSETS), archive=archive, url=url
        ) as reader:
            return await question(reader)

    return asyncio.run(run())


def ask_liar(node: EvmNode, lie: Lie, question: Callable[[EvmReader], Awaitable[T]], **kwargs: Any) -> T:
    with LyingProxy(node.url, lie) as proxy:
        return ask(proxy.url, question, **kwargs)


def started(folder: Path, chain: str) -> Iterator[EvmNode]:
    plans = wallets(litecoin=False)
    with EvmNode(folder=folder, chain=chain, chain_id=CHAIN_IDS[chain], plans=plans, token_contract=TOKENS[chain]) as node:
        yield node


def newest(node: EvmNode) -> SnapshotBlock:
    raw = node.call("eth_getBlockByNumber", "latest", False)
    return SnapshotBlock(
        chain=node.chain, height=int(raw["number"], 16), hash=raw["hash"], time=SECOND, finality="finalized", distance_seconds=0
    )


def any_block(chain: str) -> SnapshotBlock:
    """Return a block for servers that look at no block."""
    return SnapshotBlock(chain=chain, height=1, hash="0x" + "ab" * 32, time=SECOND, finality="finalized", distance_seconds=0)


def planned(node: EvmNode, moment: str) -> list[tuple[str, str, int]]:
    return [(node.addresses[plan.index], asset, getattr(plan, moment)[asset]) for plan in node.plans for asset in ("ETH", "USDT")]


def told(balances: list[Balance]) -> list[tuple[str, str, int]]:
    return [(balance.address, balance.asset, balance.amount) for balance in balances]


def read_at(block: SnapshotBlock, addresses: list[str]) -> Callable[[EvmReader], Awaitable[list[Balance]]]:
    return lambda reader: reader.read(block, addresses)


def read_proven(url: str, at: SnapshotBlock, addresses: list[str], *, chain: Chain | None = None, **kwargs: Any) -> list[Balance]:
    return ask(url, lambda reader: reader.read(at, addresses, prove=True), chain=chain or proven_chain(), **kwargs)
