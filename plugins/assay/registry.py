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
from assay.chains.families import family_of
from assay.config import Settings
from assay.csv_file import read_rows
from assay.errors import ConfigError, RegistryError, did_you_mean
from assay.lake import replacing_file

_CRON_FIELDS = 5
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


def check_registry(settings: Settings) -> list[Wallet]:
    """Check all that can be checked without asking a node, and return the wallets.

    Raises:
        ConfigError: See `check_chains`.
        RegistryError: See `read_wallets` and `read_descriptors`; also a configured chain without a wallet, which would silently count for nothing.
    """
    # It checks with the families' modules, too heavy for whoever only wants a wallet.
    from assay.descriptor_registry import read_descriptors

    check_chains(settings)
    wallets = read_wallets(settings)
    listed = {wallet.chain for wallet in wallets} | {item.chain for item in read_descriptors(settings)}
    for name in settings.chains:
        if name not in listed:
            raise RegistryError(
                f"the chain {name} has no wallet",
                subject=str(settings.registry / "wallets.csv"),
                next_step="list its wallets, or remove the chain from chains.toml",
            )
    return wallets


def check_configuration(settings: Settings, as_of: datetime | None = None) -> None:
    """Check what a run needs beside chains and wallets and would find out about late, when nodes, ledger and tree have been worked on.

    Args:
        settings: The configuration.
        as_of: A moment that prices must reach, where it is so long ago that they are there by now.

    Raises:
        ConfigError: The schedule names no time, or no wallet can hold an asset.
        PriceError: A price file is missing or malformed, or does not reach the moment.
    """
    from assay.prices import check_files

    check_schedule(settings.schedule, subject=str(settings.path))
    held = {symbol for chain in settings.chains.values() for symbol in (chain.asset, *chain.tokens)}
    if homeless := sorted(set(settings.assets) - held):
        raise ConfigError(
            f"the asset {homeless[0]} is on none of the chains, so no wallet can hold it",
            subject=str(settings.registry / "assets.toml"),
            next_step="add a chain or token that holds it to chains.toml, or take it out",
        )
    known_by_now = as_of is not None and datetime.now(UTC) - as_of > _PRICES_COME_WITHIN
    check_files(settings, as_of if known_by_now else None)


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


def check_chains(settings: Settings) -> None:
    """Make sure that each chain's family exists, knows its finality rule, and speaks the protocols of its sources.

    Not part of loading the configuration: the families' modules say it, and are too heavy for every parse of a DAG file.

    Raises:
        ConfigError: One does not; it names the chain and what would do.
    """
    for chain in settings.chains.values():
        facts = family_of(chain).FACTS
        if chain.finality not in facts.finality:
            raise ConfigError(
                f"the family {chain.family} has no finality rule {chain.finality!r}",
                subject=f"chain {chain.name}",
                next_step=f"set finality to {' or '.join(facts.finality)} in chains.toml",
            )
        for source in chain.sources:
            if source.kind not in facts.kinds:
                raise ConfigError(
                    f"the family {chain.family} has no sources of kind {source.kind!r}",
                    subject=f"chain {chain.name}, source {source.name}",
                    next_step=f"set kind to {' or '.join(facts.kinds)} in chains.toml",
                )


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
