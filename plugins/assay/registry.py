"""The registry, checked before a single node is asked: that the chains can be read as they say, and the wallets of `wallets.csv`.

One row a wallet. Columns: `chain,address,custody,encumbrance,label`. Every address is checked by its chain's family and kept in its
canonical form; whatever is wrong is reported with the file's line number. What the values of the other columns may be is said by
the expectation suite `wallet_registry`, which also runs over the Parquet file written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay import resources
from assay.chains.asking import Connect
from assay.chains.evidence import EvidenceArchive
from assay.chains.families import family_of
from assay.chains.interface import Reader
from assay.config import Chain, Settings, Source
from assay.csv_file import read_rows
from assay.errors import ConfigError, RegistryError, did_you_mean
from assay.lake import replacing_file

_CRON_FIELDS = 5
_S3 = "s3://"
_PLACEHOLDERS = {"electrum": "tcp://placeholder.invalid:1", "utxo_file": "file:///placeholder"}
"""Addresses for readers that are made to be looked at, by kind of source; all others take one of HTTP."""
_PRICES_COME_WITHIN = timedelta(days=1)
"""How long after a moment its prices may still be missing: a scheduled run begins at the very moment."""

COLUMNS = ("chain", "address", "custody", "encumbrance", "label")
SCHEMA = pa.schema([*((name, pa.string()) for name in COLUMNS), ("row", pa.int64())])


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """One row of the registry.

    Attributes:
        chain: Name of the chain in `chains.toml`.
        address: On that chain, in any form that its family knows.
        custody: `hot`, `cold`, `staked` or `third_party`.
        encumbrance: `none`, `pledged` or `locked`.
        label: For people; not published.
        row: Line in the file.
    """

    chain: str
    address: str
    custody: str
    encumbrance: str
    label: str
    row: int


def check_registry(settings: Settings, *, connect: Connect | None = None) -> list[Wallet]:
    """Check all that can be checked without asking a node, and return the wallets.

    Args:
        settings: The configuration.
        connect: Gives the sources' addresses, where they are to be checked as well.

    Raises:
        ConfigError: See `check_chains`; also a chain with descriptors whose first source cannot tell which addresses were used.
        RegistryError: See `read_wallets` and `read_descriptors`; also a configured chain without a wallet, which would silently count for nothing.
    """
    # It checks with the families' modules, too heavy for whoever only wants a wallet.
    from assay.descriptor_registry import read_descriptors

    check_chains(settings, connect=connect)
    wallets = read_wallets(settings)
    described = {item.chain for item in read_descriptors(settings)}
    listed = {wallet.chain for wallet in wallets} | described
    for name, chain in settings.chains.items():
        if name not in listed:
            raise RegistryError(
                f"the chain {name} has no wallet",
                subject=str(settings.registry / "wallets.csv"),
                next_step="list its wallets, or remove the chain from chains.toml",
            )
        first = chain.sources[0]
        if name in described and type(_reader(settings, chain, first, None)).used is Reader.used:
            raise ConfigError(
                f"a source of kind {first.kind!r} cannot tell which addresses of a descriptor were used",
                subject=f"chain {name}, source {first.name}",
                next_step="name a source first that keeps histories, such as an Electrum server, or list the wallets in wallets.csv",
            )
    return wallets


def check_configuration(settings: Settings, as_of: datetime | None = None) -> None:
    """Check what a run needs beside chains and wallets and would find out about late, when nodes, ledger and tree have been worked on.

    Args:
        settings: The configuration.
        as_of: A moment that prices must reach, where it is so long ago that they are there by now.

    Raises:
        ConfigError: The schedule names no time, no wallet can hold an asset, the folder of the ledger's drops is not there, or the memory is
            too little for the tree.
        CommitmentError: No tree can be built over these assets.
        PriceError: A price file is missing or malformed, or does not reach the moment.
    """
    from assay.commitments.building import check_limits
    from assay.commitments.pipeline import report_of
    from assay.prices import check_files

    check_schedule(settings.schedule, subject=str(settings.path))
    held = {symbol for chain in settings.chains.values() for symbol in (chain.asset, *chain.tokens)}
    if homeless := sorted(set(settings.assets) - held):
        raise ConfigError(
            f"the asset {homeless[0]} is on none of the chains, so no wallet can hold it",
            subject=str(settings.registry / "assets.toml"),
            next_step="add a chain or token that holds it to chains.toml, or take it out",
        )
    _check_ledger(settings)
    tree = settings.commitment
    report = report_of(settings, as_of or datetime.now(UTC), 1)
    check_limits(report, settings.memory_limit, parts=tree.parts, shard_leaves=tree.shard_leaves, processes=tree.processes)
    known_by_now = as_of is not None and datetime.now(UTC) - as_of > _PRICES_COME_WITHIN
    check_files(settings, as_of if known_by_now else None)


def _check_ledger(settings: Settings) -> None:
    """A drop that is not there yet is waited for; the folder of all drops does not come by itself."""
    ledger = settings.ledger
    if ledger.kind == "files" and not ledger.folder.startswith(_S3):
        folder = (settings.path.parent / ledger.folder).resolve()
        if not folder.is_dir():
            raise ConfigError(
                f"the folder of the ledger's drops is {'not a folder' if folder.exists() else 'not there'}",
                subject=str(folder),
                next_step=f"make it, or correct ledger.folder in {settings.path}",
            )


def check_schedule(schedule: str, *, subject: str) -> None:
    """Make sure that a cron expression has five fields and names a time that ever comes.

    Raises:
        ConfigError: It does not.
    """
    from croniter import croniter
    from croniter.croniter import CroniterBadCronError, CroniterBadDateError

    def fail(why: object) -> ConfigError:
        step = 'write it like "0 16 17 * *", the 17th of each month at 16:00 UTC'
        return ConfigError(f"schedule = {schedule!r} names no time ({why})", subject=subject, next_step=step)

    if len(schedule.split()) != _CRON_FIELDS:
        raise fail(f"it has {len(schedule.split())} fields and not {_CRON_FIELDS}")
    try:
        croniter(schedule, datetime.now(UTC)).get_next(datetime)
    except (CroniterBadCronError, CroniterBadDateError) as error:
        raise fail(error) from error


def check_chains(settings: Settings, *, connect: Connect | None = None) -> None:
    """Make sure that each chain's family exists and could begin to read it: finality rule, kinds of sources, network, tokens, decimals.

    Not part of loading the configuration: the families' modules say it, and are too heavy for every parse of a DAG file.

    Args:
        settings: The configuration.
        connect: Gives the sources' addresses, where they are to be checked as well. Nobody is asked.

    Raises:
        ConfigError: One could not; it names the chain and what would do.
        RegistryError: A token is not one, or an asset has too few decimals.
    """
    for chain in settings.chains.values():
        facts = family_of(chain).FACTS
        if chain.finality not in facts.finality:
            raise ConfigError(
                f"the family {chain.family} has no finality rule {chain.finality!r}{did_you_mean(chain.finality, facts.finality)}",
                subject=f"chain {chain.name}",
                next_step=f"set finality to {' or '.join(facts.finality)} in chains.toml",
            )
        for source in chain.sources:
            if source.kind not in facts.kinds:
                raise ConfigError(
                    f"the family {chain.family} has no sources of kind {source.kind!r}{did_you_mean(source.kind, facts.kinds)}",
                    subject=f"chain {chain.name}, source {source.name}",
                    next_step=f"set kind to {' or '.join(facts.kinds)} in chains.toml",
                )
        if missing := [key for key in facts.identity if not getattr(chain, key)]:
            raise ConfigError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not given, and no source can be told from one of another network",
                subject=f"chain {chain.name}",
                next_step="state what the chain itself says, in chains.toml; `assay registry show` prints what is known",
            )
        if chain.tokens and not facts.tokens:
            raise ConfigError(
                f"the family {chain.family} carries no tokens, and {', '.join(sorted(chain.tokens))} {'is' if len(chain.tokens) == 1 else 'are'} configured",
                subject=f"chain {chain.name}",
                next_step="take them out of chains.toml",
            )
        for source in chain.sources:
            _reader(settings, chain, source, connect)


def _reader(settings: Settings, chain: Chain, source: Source, connect: Connect | None) -> Reader:
    """Make a reader, which refuses what it could not read; it is never opened, so nobody is asked."""
    subject = f"chain {chain.name}, source {source.name}"
    url = connect(source, Path()) if connect else _PLACEHOLDERS.get(source.kind, "http://placeholder.invalid")
    return family_of(chain).reader(chain, source, assets=dict(settings.assets), archive=EvidenceArchive(subject), url=url)


def read_wallets(settings: Settings) -> list[Wallet]:
    """Read and check all wallets.

    Raises:
        RegistryError: The file is missing, empty or malformed; an unknown chain; a bad address; a wallet named twice.
    """
    path = settings.registry / "wallets.csv"
    wallets: list[Wallet] = []
    seen: dict[tuple[str, str], int] = {}
    for wallet in _rows(settings, path):
        key = (wallet.chain, wallet.address)
        if key in seen:
            raise RegistryError(
                f"the wallet {wallet.address} on {wallet.chain} stands on line {seen[key]} already; counted twice it would inflate the reserves",
                subject=f"{path} line {wallet.row}",
                next_step="delete one of the two lines",
            )
        seen[key] = wallet.row
        wallets.append(wallet)
    if not wallets:
        raise RegistryError("it holds no wallets", subject=str(path), next_step="list the wallets to be counted")
    return wallets


def write_wallets(wallets: list[Wallet], path: Path) -> Path:
    """Write wallets as Parquet in registry order, for validation and for joins."""
    columns = {name: [getattr(wallet, name) for wallet in wallets] for name in SCHEMA.names}
    with replacing_file(path) as temporary:
        pq.write_table(pa.table(columns, schema=SCHEMA), temporary, compression="zstd")
    return path


def _rows(settings: Settings, path: Path) -> Iterator[Wallet]:
    custody, encumbrance = allowed("custody"), allowed("encumbrance")
    for line, row in read_rows(path, COLUMNS, lambda problem, subject, step: RegistryError(problem, subject=subject, next_step=step)):
        wallet = _wallet(settings, row, f"{path} line {line}", line)
        check_value("custody", wallet.custody, custody, f"{path} line {line}")
        check_value("encumbrance", wallet.encumbrance, encumbrance, f"{path} line {line}")
        yield wallet


def allowed(column: str) -> tuple[str, ...]:
    """Return the values that a column of the registry may have: those that the expectation suite `wallet_registry` accepts."""
    suite = json.loads((resources.folder("expectations") / "wallet_registry.json").read_text())
    sets = [
        item["kwargs"]["value_set"]
        for item in suite["expectations"]
        if item["kwargs"].get("column") == column and "value_set" in item["kwargs"]
    ]
    return tuple(sets[0])


def check_value(column: str, value: str, known: Sequence[str], subject: str) -> None:
    """Refuse a value that a column of the registry may not have.

    Raises:
        RegistryError: It is not among the known ones.
    """
    if value not in known:
        raise RegistryError(
            f"{column} is {value!r}{did_you_mean(value, known)}", subject=subject, next_step=f"write one of {', '.join(known)}"
        )


def _wallet(settings: Settings, row: list[str], subject: str, number: int) -> Wallet:
    values = dict(zip(COLUMNS, (text.strip() for text in row), strict=True))
    if values["chain"] not in settings.chains:
        raise RegistryError(
            f"the chain {values['chain']!r} is unknown{did_you_mean(values['chain'], settings.chains)}",
            subject=subject,
            next_step=f"use one of {', '.join(sorted(settings.chains))}, or add it to chains.toml",
        )
    chain = settings.chains[values["chain"]]
    try:
        values["address"] = family_of(chain).check_address(chain, values["address"])
    except RegistryError as error:
        raise RegistryError(error.problem, subject=f"{subject}, {error.subject}", next_step=error.next_step) from error
    return Wallet(**values, row=number)
