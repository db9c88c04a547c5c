"""The configuration: one TOML file, and the registry of assets and chains beside it.

Only the standard library is imported here and nothing is read over a network, because every parse of every DAG file
loads it. Wallets are read by `registry.py`, in tasks. No secret stands in these files: a source names an Airflow
Connection, and the Connection holds the address and the key.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Self

from assay.errors import ConfigError
from assay.toml_table import TomlTable

APPROVALS = 2
"""People who sign off, from groups without a common member."""

MAX_DECIMALS = 24
"""Of an asset; beyond it a user's value in USD would leave exact 128-bit arithmetic."""

_NAME = r"[a-z0-9][a-z0-9_-]*"

CONFIG_VARIABLE = "ASSAY_CONFIG"
"""Environment variable that names the configuration file; `assay.toml` in AIRFLOW_HOME when unset."""


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
        kind: Protocol: `jsonrpc` (EVM), `electrum`.
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
        family: Which reader: `bitcoin` or `evm`.
        asset: Symbol of the native asset.
        network: Bitcoin family: network of addresses and genesis block (`bitcoin`, `regtest`, `litecoin`, …).
        chain_id: EVM: the EIP-155 chain id; 0 elsewhere.
        genesis: Hash of block 0 where the family checks it; empty where it doesn't.
        finality: `finalized` (EVM: the node's finalized tag) or `confirmations`.
        confirmations: Blocks on top of the snapshot block before it counts as final, for `confirmations`.
        max_distance_seconds: How far before `as_of` the snapshot block may lie.
        max_lag_seconds: Where the chain can't answer for the past: how long after `as_of` its state may be read.
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


@dataclass(frozen=True, kw_only=True)
class LedgerSettings:
    """Where liabilities come from.

    Attributes:
        kind: `postgres`.
        connection: Airflow Connection of the ledger database.
        pseudonym_connection: Airflow Connection whose password keys the hash that stands for a user id.
        schema: Schema that holds the three views `assay_balances`, `assay_control_totals`, `assay_flows`.
        account_types: Account types in scope; a row of any other type stops the snapshot.
        excluded: Products that are not in the liabilities, in words; published under coverage.
    """

    kind: str
    connection: str
    pseudonym_connection: str
    schema: str = "public"
    account_types: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PriceSource:
    """A CSV of prices: `asset,price,currency,time`, one row an asset and time."""

    name: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class PriceSettings:
    """Where prices come from.

    Attributes:
        currency: Only USD is known to the tables' column names.
        max_age_seconds: How far before `as_of` a price may lie.
        tolerance_bps: How far apart two sources may be, in hundredths of a percent of the first one's price.
        sources: The first one's prices are used, the others are compared with it.
    """

    currency: str = "USD"
    max_age_seconds: int = 3600
    tolerance_bps: int = 100
    sources: tuple[PriceSource, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SignOffSettings:
    """Who approves before anything is published.

    Attributes:
        required: Two distinct people approve in Airflow; off only in the open (it is published under coverage).
        approvers: Two groups of Airflow user names without a common member.
    """

    required: bool = True
    approvers: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration.

    Attributes:
        path: The file it was read from.
        digest: SHA-256 over the digests of the configuration file, `assets.toml`, `chains.toml` and `wallets.csv`; the manifest carries it.
        series: Name of the reporting entity's line of publications, a folder name.
        entity: The reporting entity, for people.
        lake: Root folder of raw, snapshot, marts and publications.
        registry: Folder of `assets.toml`, `chains.toml` and `wallets.csv`.
        schedule: Cron expression in UTC for the snapshots; the attested moment is the cron time.
        chunk_size: Wallets read by one task.
        memory_limit: For each DuckDB session.
        notes: Further statements for the coverage table.
    """

    path: Path
    digest: str
    series: str
    entity: str
    lake: Path
    registry: Path
    schedule: str
    chunk_size: int
    memory_limit: str
    ledger: LedgerSettings
    prices: PriceSettings
    sign_off: SignOffSettings
    assets: Mapping[str, Asset]
    chains: Mapping[str, Chain]
    notes: tuple[str, ...] = ()

    def chain(self, name: str) -> Chain:
        """Return a chain of the registry.

        Raises:
            ConfigError: There is none of that name.
        """
        if name not in self.chains:
            raise ConfigError(
                f"chain {name!r} is unknown", subject=str(self.registry / "chains.toml"), next_step="add it, or correct the name"
            )
        return self.chains[name]

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read the configuration file and its registry's assets and chains.

        Args:
            path: The file; by default the one that ASSAY_CONFIG names, or `assay.toml` in AIRFLOW_HOME.

        Raises:
            ConfigError: A file is missing or malformed, a key is unknown, or two entries contradict each other.
        """
        path = (path or default_path()).resolve()
        raw, digest = TomlTable.read(path)
        registry = (path.parent / raw.text("registry")).resolve()
        assets_raw, assets_digest = TomlTable.read(registry / "assets.toml")
        chains_raw, chains_digest = TomlTable.read(registry / "chains.toml")
        assets = {symbol: assets_raw.table(symbol).build(Asset, symbol=symbol) for symbol in assets_raw.values}
        settings = cls(
            path=path,
            digest=_combine(digest, assets_digest, chains_digest, _digest_of(registry / "wallets.csv")),
            series=raw.text("series"),
            entity=raw.text("entity"),
            lake=(path.parent / raw.text("lake")).resolve(),
            registry=registry,
            schedule=raw.text("schedule"),
            chunk_size=raw.integer("chunk_size", 200),
            memory_limit=raw.text("memory_limit", "2GB"),
            ledger=raw.table("ledger").build(LedgerSettings),
            prices=_prices(raw.table("prices")),
            sign_off=_sign_off(raw.table("sign_off")),
            assets=MappingProxyType(assets),
            chains=MappingProxyType({name: _chain(chains_raw.table(name), name) for name in chains_raw.values}),
            notes=tuple(raw.values.get("notes", ())),
        )
        raw.refuse_unknown({item.name for item in fields(cls)} - {"path", "digest", "assets", "chains"})
        _check(settings)
        return settings


def default_path() -> Path:
    """Return the configuration file in force: ASSAY_CONFIG, or `assay.toml` in AIRFLOW_HOME or the current folder."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else Path(os.environ.get("AIRFLOW_HOME", ".")) / "assay.toml"


def _chain(raw: TomlTable, name: str) -> Chain:
    tokens = {symbol: raw.table("tokens").table(symbol).build(Token, asset=symbol) for symbol in raw.table("tokens").values}
    sources = tuple(item.build(Source) for item in raw.tables("sources"))
    rest = TomlTable(raw.subject, {key: value for key, value in raw.values.items() if key not in {"tokens", "sources"}})
    return rest.build(Chain, name=name, tokens=MappingProxyType(tokens), sources=sources)


def _prices(raw: TomlTable) -> PriceSettings:
    folder = Path(raw.subject.partition(" [")[0]).parent
    sources = tuple(PriceSource(name=item.text("name"), path=(folder / item.text("path")).resolve()) for item in raw.tables("sources"))
    rest = TomlTable(raw.subject, {key: value for key, value in raw.values.items() if key != "sources"})
    return rest.build(PriceSettings, sources=sources)


def _sign_off(raw: TomlTable) -> SignOffSettings:
    groups = raw.values.get("approvers", [])
    if not isinstance(groups, list) or not all(
        isinstance(group, list) and all(isinstance(name, str) for name in group) for group in groups
    ):
        raise raw.fail("approvers is not a list of lists of user names")
    approvers = tuple(tuple(group) for group in groups)
    rest = TomlTable(raw.subject, {key: value for key, value in raw.values.items() if key != "approvers"})
    return rest.build(SignOffSettings, approvers=approvers)


def _digest_of(path: Path) -> str:
    # A missing registry of wallets is an error of the run that reads it, not of every parse.
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _combine(*digests: str) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _check(settings: Settings) -> None:
    """Hold entries against each other; what one table cannot know alone."""
    _check_names(settings)
    for asset in settings.assets.values():
        if not 0 <= asset.decimals <= MAX_DECIMALS:
            raise _fail(
                f"{asset.symbol} has {asset.decimals} decimals, and 0 to {MAX_DECIMALS} are possible", settings.registry / "assets.toml"
            )
    for chain in settings.chains.values():
        _check_chain(settings, chain)
    if settings.chunk_size < 1:
        raise _fail(f"chunk_size is {settings.chunk_size}, and at least 1 is needed", settings.path)
    if settings.prices.currency != "USD":
        raise _fail(f"prices.currency is {settings.prices.currency!r} and only USD is known", settings.path)
    if not settings.prices.sources:
        raise _fail("prices.sources is empty", settings.path)
    if settings.prices.max_age_seconds < 0 or settings.prices.tolerance_bps < 0:
        raise _fail("prices.max_age_seconds and prices.tolerance_bps cannot be negative", settings.path)
    if settings.sign_off.required:
        groups = settings.sign_off.approvers
        if len(groups) != APPROVALS or not all(groups) or set(groups[0]) & set(groups[1]):
            raise _fail("sign_off.approvers must be two groups of user names without a common member", settings.path)


def _check_names(settings: Settings) -> None:
    """Names become folders, tasks and pools; what counts twice or vouches for itself is refused."""
    file = settings.registry / "chains.toml"
    sources = [source for chain in settings.chains.values() for source in chain.sources]
    for name, where in ((settings.series, settings.path), *((name, file) for name in (*settings.chains, *(item.name for item in sources)))):
        if not re.fullmatch(_NAME, name):
            raise _fail(f"the name {name!r} is not made of lower-case letters, digits, - and _", where)
    for what, values in (
        ("source name", [source.name for source in sources]),
        ("connection", [source.connection for source in sources]),
        ("chain_id", [str(chain.chain_id) for chain in settings.chains.values() if chain.chain_id]),
        ("genesis", [chain.genesis for chain in settings.chains.values() if chain.genesis]),
    ):
        if repeated := sorted({value for value in values if values.count(value) > 1}):
            raise _fail(f"the {what} {repeated[0]!r} is used twice", file)


def _check_chain(settings: Settings, chain: Chain) -> None:
    file = settings.registry / "chains.toml"
    if not chain.sources:
        raise _fail(f"chain {chain.name} names no source", file)
    for source in chain.sources:
        if min(source.batch_size, source.concurrency, source.parallel_tasks, source.timeout_seconds) < 1 or source.requests_per_second < 0:
            raise _fail(f"source {source.name} has a limit below 1", file)
    if chain.confirmations < 0 or chain.max_distance_seconds < 0:
        raise _fail(f"chain {chain.name} has a negative limit", file)
    for symbol in (chain.asset, *chain.tokens):
        if symbol not in settings.assets:
            raise _fail(f"chain {chain.name} names the unknown asset {symbol!r}", file)
    contracts = [token.contract.lower() for token in chain.tokens.values()]
    if chain.asset in chain.tokens or len(set(contracts)) < len(contracts):
        raise _fail(f"chain {chain.name} would count an asset twice: a token is the native asset, or two have one contract", file)
    for token in chain.tokens.values():
        if token.decimals > settings.assets[token.asset].decimals:
            known = settings.assets[token.asset].decimals
            raise _fail(f"{token.asset} has {token.decimals} decimals on {chain.name}, more than the asset's {known}", file)


def _fail(problem: str, path: Path) -> ConfigError:
    return ConfigError(problem, subject=str(path), next_step="correct the file")
