"""Assets and chains: what the registry's TOML files say of them.

`assets.toml` and `chains.toml` say what is counted and whom is asked. Facts that are the same for everybody ship with the program in its
catalogue: whatever an entry of the same name does not state itself is taken from there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from assay.catalogue import Catalogue, copies
from assay.catalogue.differences import check_copies
from assay.catalogue.entries import check_without, known_chain, merged_chain
from assay.errors import ConfigError, did_you_mean
from assay.toml_table import TomlTable


@dataclass(frozen=True, kw_only=True)
class Asset:
    """An asset that the entity owes or holds.

    Attributes:
        symbol: Ticker, the key everywhere: `BTC`.
        name: For people: `Bitcoin`.
        decimals: Base units per whole unit, as a power of ten. Amounts of the asset are counted in these units on
            every chain; a chain whose token has fewer decimals is scaled up exactly.
    """

    symbol: str
    name: str
    decimals: int


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token contract of one chain.

    Attributes:
        asset: Symbol of the asset it counts as.
        contract: Address on the chain.
        decimals: What the contract itself must answer; checked at the snapshot block.
        source: Where the contract's address was taken from.
        balance_slot: EVM: position of the mapping in which the contract keeps balances; -1 where they stand in no plain slot.
        slot_layout: EVM: `solidity` (key before position) or `vyper` (position before key) in the hash that gives the slot.
        balance_bits: EVM: how many low bits of the slot are the balance; a contract may keep flags in the others.
        slot_note: EVM: why there is no plain slot (rebasing, shares), published under coverage.
    """

    asset: str
    contract: str
    decimals: int
    source: str
    balance_slot: int = -1
    slot_layout: str = "solidity"
    balance_bits: int = 256
    slot_note: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One server that answers for a chain.

    Attributes:
        name: Unique over all chains; also the name of its Airflow pool.
        kind: Protocol, one that the chain's family speaks: `jsonrpc`, `electrum`, …
        connection: Airflow Connection with its address and credentials.
        batch_size: Requests in one batch.
        concurrency: Batches under way at once in one task.
        parallel_tasks: Tasks that may read from it at once: the slots of its pool.
        requests_per_second: Ceiling for requests sent by all its reading tasks together (a batch counts each of its requests); 0 for none.
        timeout_seconds: Until one batch counts as unanswered.
    """

    name: str
    kind: str
    connection: str
    batch_size: int = 500
    concurrency: int = 2
    parallel_tasks: int = 2
    requests_per_second: int = 0
    timeout_seconds: int = 60

    @property
    def task_requests_per_second(self) -> int:
        """One task's part of the ceiling, as many tasks may read at once as the pool has slots; 0 for none."""
        return self.requests_per_second and max(1, self.requests_per_second // self.parallel_tasks)


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A chain: facts about it, and the sources asked for it.

    Attributes:
        name: Key everywhere: `bitcoin`, `ethereum`.
        family: Which reader: `bitcoin`, `evm`, … (`chains/families.py`).
        asset: Symbol of the native asset.
        network: Name of the network, for families that tell networks apart by name (Bitcoin family: `bitcoin`, `regtest`, `litecoin`, …).
        chain_id: Number of the network, for families that have one (EVM: EIP-155); 0 elsewhere.
        genesis: Hash of block 0 where the family checks it; empty where it doesn't.
        finality: One of the family's rules: `finalized` (the source's own word for it), `confirmations`, …
        confirmations: Blocks on top of the snapshot block before it counts as final, for `confirmations`.
        max_distance_seconds: How far before `as_of` the snapshot block may lie.
        max_lag_seconds: Where the chain can't answer for the past: how long after `as_of` its state may be read.
        chunk_size: Wallets read by one task; 0 for the configuration's. Some sources are better asked for all wallets at once.
        proofs: Whether balances are proven beyond the archived answers, where the family and the chain's servers can (EVM: EIP-1186).
        tokens: By asset symbol.
        sources: At least one.
    """

    name: str
    family: str
    asset: str
    network: str = ""
    chain_id: int = 0
    genesis: str = ""
    finality: str = "confirmations"
    confirmations: int = 0
    max_distance_seconds: int = 7200
    max_lag_seconds: int = 900
    chunk_size: int = 0
    proofs: bool = False
    tokens: Mapping[str, Token] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()

    def source(self, name: str) -> Source:
        """Return the source of that name.

        Raises:
            ConfigError: The chain has no such source.
        """
        for source in self.sources:
            if source.name == name:
                return source
        raise ConfigError(f"it has no source {name!r}", subject=f"chain {self.name}", next_step="correct its sources in chains.toml")


@dataclass(frozen=True)
class Registry:
    """What the registry's TOML files say.

    Attributes:
        assets: By symbol.
        chains: By name.
        digests: SHA-256 of `assets.toml`, `chains.toml`, and both files of the catalogue in force; empty where a kept registry has none.
    """

    assets: Mapping[str, Asset]
    chains: Mapping[str, Chain]
    digests: tuple[str, ...]


def read_registry(folder: Path, *, kept: bool = False) -> Registry:
    """Read assets and chains, with what is known of them taken over.

    Args:
        folder: Of `assets.toml` and `chains.toml`.
        kept: It is a registry that was kept with its publication: the catalogue is the copy that was kept with it, not today's.

    Raises:
        ConfigError: A file is missing or malformed, a key is unknown or missing, or a copy of the catalogue contradicts the catalogue.
    """
    assets_raw, assets_digest = TomlTable.read(folder / "assets.toml")
    chains_raw, chains_digest = TomlTable.read(folder / "chains.toml")
    catalogue = Catalogue.copied(folder) if kept else Catalogue.shipped()
    if not kept and copies(folder):
        check_copies(folder, assets_raw, chains_raw, catalogue)
    _check_names(assets_raw, catalogue.assets, ("name", "decimals"))
    _check_names(chains_raw, catalogue.chains, ("family", "asset"))
    assets = {
        symbol: assets_raw.table(symbol).over(catalogue.assets.table(symbol)).build(Asset, symbol=symbol) for symbol in assets_raw.values
    }
    chains = {name: _used_chain(chains_raw.table(name), catalogue.chains, name, assets) for name in chains_raw.values}
    return Registry(MappingProxyType(assets), MappingProxyType(chains), (assets_digest, chains_digest, *catalogue.digests))


def _check_names(raw: TomlTable, catalogue: TomlTable, keys: Collection[str]) -> None:
    """Name an entry that neither the catalogue knows nor says itself what only it could say: a misspelt one, more often than a new one."""
    for name in raw.values:
        if name not in catalogue.values and not set(keys) & set(raw.table(name).values):
            raise ConfigError(
                f"the catalogue knows no {name!r}{did_you_mean(name, catalogue.values)}",
                subject=raw.subject,
                next_step=f"correct the name, or state {' and '.join(keys)} of it; `assay registry show` lists what is known",
            )


def read_catalogue() -> tuple[dict[str, Asset], dict[str, Chain]]:
    """Return all that is known: assets by symbol, and chains by name, without sources.

    Raises:
        ConfigError: A file of the catalogue is malformed, or a key is unknown or missing.
    """
    catalogue = Catalogue.shipped()
    return (
        {symbol: catalogue.assets.table(symbol).build(Asset, symbol=symbol) for symbol in catalogue.assets.values},
        {name: _chain(catalogue.chains.table(name), name) for name in catalogue.chains.values},
    )


def _used_chain(raw: TomlTable, known_chains: TomlTable, name: str, assets: Collection[str]) -> Chain:
    known = known_chain(raw, known_chains, name)
    if known is not None:
        # What is wrong there is said with that file's name.
        _chain(known, name)
        check_without(raw, known)
    return _chain(merged_chain(raw, known, assets), name)


def _chain(raw: TomlTable, name: str) -> Chain:
    tokens = raw.table("tokens")
    return raw.without("tokens", "sources").build(
        Chain,
        name=name,
        tokens=MappingProxyType({symbol: tokens.table(symbol).build(Token, asset=symbol) for symbol in tokens.values}),
        sources=tuple(item.build(Source) for item in raw.tables("sources")),
    )
