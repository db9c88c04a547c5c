"""The configuration: one TOML file, and the registry of assets and chains beside it.

Only the standard library is imported here and nothing is read over a network, because every parse of every DAG file
loads it. Wallets are read by `registry.py`, in tasks. No secret stands in these files: a source names an Airflow
Connection, and the Connection holds the address and the key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from assay.config_chains import Asset, Chain, Source, Token, read_registry
from assay.config_checks import APPROVALS, MAX_DECIMALS, check
from assay.errors import ConfigError
from assay.toml_table import TomlTable

__all__ = [
    "APPROVALS",
    "CONFIG_VARIABLE",
    "FILE_NAME",
    "MAX_DECIMALS",
    "Asset",
    "Chain",
    "CommitmentSettings",
    "LedgerSettings",
    "NoticeSettings",
    "OwnershipSettings",
    "PriceSettings",
    "PriceSource",
    "Settings",
    "SignOffSettings",
    "Source",
    "StabilitySettings",
    "Token",
    "default_path",
]

FILE_NAME = "assay.toml"
CONFIG_VARIABLE = "ASSAY_CONFIG"
"""Environment variable that names the configuration file; `assay.toml` in AIRFLOW_HOME when unset."""


@dataclass(frozen=True, kw_only=True)
class LedgerSettings:
    """Where liabilities come from.

    Attributes:
        kind: `postgres`, `mysql` (MariaDB too) or `files`.
        connection: Airflow Connection of the ledger database or storage, and the ledger's name in errors.
        pseudonym_connection: Airflow Connection whose password keys the hash that stands for a user id.
        schema: Schema (of MySQL, the database) that holds the three views `assay_balances`, `assay_control_totals`, `assay_flows`.
        folder: Of `files`: where the drops stand, `s3://bucket/prefix` or a path, relative to the configuration file.
        region: Of `files` in S3.
        account_types: Account types in scope; a row of any other type stops the snapshot.
        excluded: Products that are not in the liabilities, in words; published under coverage.
        finer_than_unit: What becomes of digits below an asset's base unit: `refuse` stops the snapshot; `round_up` rounds each account's balance
            towards plus infinity, in the users' favour, and publishes what that adds.
        readers: Connections that read the balances at once, each its part of the users.
        shards: Files of the canonical liabilities; 0 for as many as their size asks for.
    """

    kind: str
    connection: str
    pseudonym_connection: str
    schema: str = "public"
    folder: str = ""
    region: str = "us-east-1"
    account_types: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    finer_than_unit: str = "refuse"
    readers: int = 2
    shards: int = 0


@dataclass(frozen=True, kw_only=True)
class PriceSource:
    """A CSV of prices: `asset,price,currency,time`, one row an asset and time.

    Attributes:
        name: Of the source; published with each price of the first one.
        path: The file.
    """

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
class StabilitySettings:
    """When else the wallets are read, so that a balance which is there for the snapshot only is seen.

    Attributes:
        offsets_seconds: From `as_of`, without 0. A snapshot waits until the blocks of its latest offset are final.
    """

    offsets_seconds: tuple[int, ...] = (-86_400, 86_400)


@dataclass(frozen=True, kw_only=True)
class OwnershipSettings:
    """What counts as a proof that a wallet is the entity's.

    Attributes:
        max_age_days: How long before `as_of` the block may lie that a signed challenge names.
    """

    max_age_days: int = 31


@dataclass(frozen=True, kw_only=True)
class CommitmentSettings:
    """How the liabilities are committed to.

    Attributes:
        parts: Leaves of an ordinary user, at least 2; whoever holds more than fits into them gets more.
        shard_leaves: Leaves in one file of the tree, a power of two.
        processes: How many processes build it at once.
    """

    parts: int = 2
    shard_leaves: int = 1 << 18
    processes: int = 2


@dataclass(frozen=True, kw_only=True)
class NoticeSettings:
    """Who is told when something fails, is late, or is short. Servers, addresses of webhooks and keys stand in Airflow Connections.

    Attributes:
        on: What is told: `failure` of a task or run, `deadline` that has passed, `shortfall` of a published asset, `published` for every
            publication.
        smtp_connection: Airflow Connection of type `smtp` that mail is sent through; empty for no mail.
        mail_from: Sender; empty for the one that the Connection names.
        mail_to: Receivers of the mail.
        webhook_connection: Airflow Connection of type `http`; each notice is posted there as JSON. Empty for none.
        deadline_hours: Hours after the attested moment (after its start, for a run that starts later) by which a run should have ended;
            0 for no deadline. A run that waits for finality takes a day, and people may take days to approve.
        runbook: Address of the runbook that notices link to; by default the page `/assay/runbook` of Airflow's API server.
    """

    on: tuple[str, ...] = ("failure", "deadline", "shortfall")
    smtp_connection: str = ""
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    webhook_connection: str = ""
    deadline_hours: int = 0
    runbook: str = ""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration.

    Attributes:
        path: The file it was read from.
        digest: SHA-256 over the digests of the configuration file, the registry's files, and the catalogue; the manifest carries it.
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
    chunk_size: int = 200
    memory_limit: str = "2GB"
    ledger: LedgerSettings
    prices: PriceSettings
    sign_off: SignOffSettings
    stability: StabilitySettings
    ownership: OwnershipSettings
    assets: Mapping[str, Asset]
    chains: Mapping[str, Chain]
    commitment: CommitmentSettings = CommitmentSettings()
    notices: NoticeSettings = NoticeSettings()
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
    def load(cls, path: Path | None = None, *, registry_folder: Path | None = None) -> Self:
        """Read the configuration file and its registry's assets and chains.

        Args:
            path: The file; by default the one that ASSAY_CONFIG names, or `assay.toml` in AIRFLOW_HOME.
            registry_folder: A registry that was kept with its publication, the catalogue as it was then included, in the place of the one that
                the file names.

        Raises:
            ConfigError: A file is missing or malformed, a key is unknown, or two entries contradict each other.
        """
        path = (path or default_path()).resolve()
        raw, digest = TomlTable.read(path)
        raw.check_keys(
            ("series", "entity", "lake", "registry", "schedule", "ledger", "prices"),
            ("chunk_size", "memory_limit", "sign_off", "stability", "ownership", "commitment", "notices", "notes"),
        )
        folder = (registry_folder or path.parent / raw.text("registry")).resolve()
        registry = read_registry(folder, kept=registry_folder is not None)
        settings = cls(
            path=path,
            digest=_combine(digest, _digest_of(folder / "wallets.csv"), _digest_of(folder / "descriptors.csv"), *registry.digests),
            series=raw.text("series"),
            entity=raw.text("entity"),
            lake=(path.parent / raw.text("lake")).resolve(),
            registry=folder,
            schedule=raw.text("schedule"),
            chunk_size=raw.integer("chunk_size", cls.chunk_size),
            memory_limit=raw.text("memory_limit", cls.memory_limit),
            ledger=raw.table("ledger").build(LedgerSettings),
            prices=_prices(raw.table("prices")),
            sign_off=_sign_off(raw.table("sign_off")),
            stability=raw.table("stability").build(StabilitySettings),
            ownership=raw.table("ownership").build(OwnershipSettings),
            assets=registry.assets,
            chains=registry.chains,
            commitment=raw.table("commitment").build(CommitmentSettings),
            notices=raw.table("notices").build(NoticeSettings),
            notes=raw.texts("notes"),
        )
        check(settings)
        return settings


def default_path() -> Path:
    """Return the configuration file in force: ASSAY_CONFIG, or `assay.toml` in AIRFLOW_HOME or the current folder."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else Path(os.environ.get("AIRFLOW_HOME", ".")) / FILE_NAME


def _prices(raw: TomlTable) -> PriceSettings:
    folder = Path(raw.subject.partition(" [")[0]).parent
    sources = []
    for item in raw.tables("sources"):
        item.check_keys(("name", "path"))
        sources.append(PriceSource(name=item.text("name"), path=(folder / item.text("path")).resolve()))
    return raw.without("sources").build(PriceSettings, sources=tuple(sources))


def _sign_off(raw: TomlTable) -> SignOffSettings:
    groups = raw.values.get("approvers", [])
    if not isinstance(groups, list) or not all(
        isinstance(group, list) and all(isinstance(name, str) for name in group) for group in groups
    ):
        raise raw.fail("approvers is not a list of lists of user names")
    approvers = tuple(tuple(group) for group in groups)
    return raw.without("approvers").build(SignOffSettings, approvers=approvers)


def _digest_of(path: Path) -> str:
    # A missing registry of wallets is an error of the run that reads it, not of every parse.
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _combine(*digests: str) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()
