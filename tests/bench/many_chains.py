"""An exchange's 23,000 wallets on ten chains: the nodes that hold them, and the configuration that reads them.

Eight EVM chains of different ids on anvil, Bitcoin on libbitcoinkernel and Litecoin on litecoind behind ElectrumX; where
litecoind is not installed, a ninth EVM chain takes its place. Everything was there a day before the attested moment and a day after it,
so that the offsets can be read too.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import tomli_w

from sandbox.anvil import Anvil
from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, CONFIRMATIONS, LITECOIN, Network, mine
from sandbox.evm import AFTER, BEFORE, MULTICALL3
from sandbox.evm_accounts import TOKEN_STORAGE, artifact
from sandbox.evm_crowd import Funded, fund_crowd
from sandbox.litecoin import LitecoinNode, find_litecoind
from sandbox.scenario import SECOND, WalletPlan

TOKENS = {
    "USDT": "0xdAC17F958D2ee523a2206206994597C13D831ec7",
    "LINK": "0x514910771AF9Ca656af840dff83E8264EcF986CA",
    "UNI": "0x1f9840a85d5aF5bf1D1762F925BDADdC4201F984",
}
DECIMALS = {"BTC": 8, "LTC": 8, "ETH": 18, "BNB": 18, "POL": 18, "XDAI": 18, "ETC": 18, "CRO": 18} | dict.fromkeys(TOKENS, 6)
BITCOIN_WALLETS, LITECOIN_WALLETS = 4_000, 2_000
DAY = timedelta(days=1)
_FINAL = 10  # blocks on top of the last offset's; anvil's finalized block is the fourth from the top

Held = dict[tuple[str, str, str], int]
"""Base units by chain, address and asset."""


@dataclass(frozen=True, kw_only=True)
class EvmChain:
    """What stands on an EVM chain.

    Attributes:
        chain_id: EIP-155 chain id.
        asset: Native asset.
        wallets: How many.
        multicall: Whether Multicall3 is there; where it is not, balances are asked one by one in batches.
        proofs: Whether each balance is proven. Anvil works the whole trie of accounts out again for each proof, so not many.
        sources: Independent nodes.
    """

    chain_id: int
    asset: str
    wallets: int
    multicall: bool = True
    proofs: bool = False
    sources: int = 1


EVM_CHAINS = {
    "ethereum": EvmChain(chain_id=1, asset="ETH", wallets=700, proofs=True, sources=2),
    "base": EvmChain(chain_id=8453, asset="ETH", wallets=300, proofs=True),
    "bnb": EvmChain(chain_id=56, asset="BNB", wallets=5_000),
    "polygon": EvmChain(chain_id=137, asset="POL", wallets=3_000),
    "optimism": EvmChain(chain_id=10, asset="ETH", wallets=2_000),
    "linea": EvmChain(chain_id=59144, asset="ETH", wallets=2_000),
    "gnosis": EvmChain(chain_id=100, asset="XDAI", wallets=2_000, multicall=False),
    "ethereum_classic": EvmChain(chain_id=61, asset="ETC", wallets=2_000, multicall=False),
}
INSTEAD_OF_LITECOIN = {"cronos": EvmChain(chain_id=25, asset="CRO", wallets=LITECOIN_WALLETS)}


class CrowdNode(Anvil):
    """Anvil with a crowd of funded addresses and the blocks around the attested moment; a context manager."""

    def __init__(self, *, folder: Path, facts: EvmChain) -> None:
        super().__init__(folder=folder, chain_id=facts.chain_id)
        self._facts = facts
        self.crowd: list[Funded] = []

    def prepare(self) -> None:
        """Put contracts and balances there, and mine."""
        first, *others = TOKENS.values()
        self.call("anvil_setCode", first, artifact("token")["runtime"])
        if self._facts.multicall:
            self.call("anvil_setCode", MULTICALL3, artifact("multicall3")["runtime"])
        self.mine(SECOND - DAY - timedelta(hours=1))
        self.crowd = fund_crowd(self, token_contract=first, count=self._facts.wallets, further_tokens=others)
        for moment in (SECOND - DAY, SECOND, SECOND + DAY):
            self.mine(moment - BEFORE)
            self.mine(moment + AFTER)
        self.mine_many(_FINAL, 12)


@dataclass
class Exchange:
    """What runs, and what must be found.

    Attributes:
        chains: `chains.toml`.
        urls: Address by connection.
        held: What every wallet holds at the attested moment.
    """

    chains: dict[str, Any] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    held: Held = field(default_factory=dict)

    @property
    def wallets(self) -> list[tuple[str, str]]:
        """Chain and address of each wallet."""
        return list(dict.fromkeys((chain, address) for chain, address, _ in self.held))

    def add(self, name: str, *, kind: str, urls: Sequence[str], **facts: object) -> None:
        """Configure a chain with a source for each of the addresses."""
        sources = [{"name": f"{name}_{number}", "kind": kind, "connection": f"assay_{name}_{number}"} for number in range(len(urls))]
        self.urls |= {source["connection"]: url for source, url in zip(sources, urls, strict=True)}
        self.chains[name] = {**facts, "sources": sources}

    def write(self, folder: Path, *, offsets: Sequence[int]) -> Path:
        """Write the configuration and its registry, and return the configuration's path."""
        registry = folder / "registry"
        registry.mkdir(parents=True)
        config = {
            "series": "bench",
            "entity": "Bench",
            "lake": "lake",
            "registry": "registry",
            "schedule": "0 16 17 * *",
            "ledger": {"kind": "postgres", "connection": "none", "pseudonym_connection": "none"},
            "prices": {"sources": [{"name": "none", "path": "none.csv"}]},
            "sign_off": {"required": False},
            "stability": {"offsets_seconds": list(offsets)},
        }
        used = {asset for _, _, asset in self.held}
        assets = {symbol: {"name": symbol, "decimals": decimals} for symbol, decimals in DECIMALS.items() if symbol in used}
        for path, content in ((folder / "assay.toml", config), (registry / "assets.toml", assets), (registry / "chains.toml", self.chains)):
            path.write_text(tomli_w.dumps(content))
        with (registry / "wallets.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["chain", "address", "custody", "encumbrance", "label"])
            writer.writerows([chain, address, "hot", "none", str(number)] for number, (chain, address) in enumerate(self.wallets))
        return folder / "assay.toml"


def start(stack: ExitStack, folder: Path) -> Exchange:
    """Start all nodes, two at a time; `stack` ends them."""
    exchange = Exchange()
    with_litecoin = find_litecoind() is not None
    evm = EVM_CHAINS | ({} if with_litecoin else INSTEAD_OF_LITECOIN)
    with ThreadPoolExecutor(2) as threads:
        started = {
            name: [
                threads.submit(stack.enter_context, CrowdNode(folder=folder / f"{name}_{number}", facts=facts))
                for number in range(facts.sources)
            ]
            for name, facts in evm.items()
        }
        _add_coins(exchange, stack, folder / "bitcoin", BITCOIN, BITCOIN_WALLETS)
        if with_litecoin:
            _add_coins(exchange, stack, folder / "litecoin", LITECOIN, LITECOIN_WALLETS)
        for name, futures in started.items():
            _add_evm(exchange, name, evm[name], [future.result() for future in futures])
    return exchange


def _add_evm(exchange: Exchange, name: str, facts: EvmChain, nodes: Sequence[CrowdNode]) -> None:
    exchange.add(
        name,
        kind="jsonrpc",
        urls=[node.url for node in nodes],
        family="evm",
        asset=facts.asset,
        chain_id=facts.chain_id,
        finality="finalized",
        proofs=facts.proofs,
        tokens={symbol: {"contract": contract, "decimals": 6, "source": "sandbox", **TOKEN_STORAGE} for symbol, contract in TOKENS.items()},
    )
    for member in nodes[0].crowd:
        exchange.held[name, member.address, facts.asset] = member.native
        exchange.held |= {(name, member.address, symbol): member.token for symbol in TOKENS}


def _add_coins(exchange: Exchange, stack: ExitStack, folder: Path, network: Network, count: int) -> None:
    planned = list(_plans(network, count))
    mined = mine(network, planned)
    node: BitcoinNode | LitecoinNode = (BitcoinNode if network is BITCOIN else LitecoinNode)(folder=folder, mined=mined)
    stack.enter_context(node)
    exchange.add(
        network.chain,
        kind="electrum",
        urls=[node.electrum_url],
        family="bitcoin",
        asset=network.asset,
        network=network.network,
        genesis=network.genesis,
        confirmations=CONFIRMATIONS,
    )
    for plan in planned:
        exchange.held[network.chain, mined.addresses[plan.index], network.asset] = plan.second[network.asset]


def _plans(network: Network, count: int) -> Iterator[WalletPlan]:
    """Yield wallets of the commonest kinds whose balance changes from moment to moment, so that each has a history."""
    draw = random.Random(count)
    kinds = ("p2wpkh", "p2pkh", "p2sh_p2wpkh", *(("p2tr",) if network is BITCOIN else ()))
    for index in range(count):
        first, second, later = ({network.asset: draw.randrange(1_000, 1_000_000)} for _ in range(3))
        yield WalletPlan(
            chain=network.chain,
            index=index,
            kind=kinds[index % len(kinds)],
            custody="hot",
            encumbrance="none",
            first=first,
            second=second,
            later=later,
        )
