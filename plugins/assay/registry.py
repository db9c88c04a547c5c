"""The registry, checked before a single node is asked: that the chains can be read as they say, and the wallets of `wallets.csv`.

One row a wallet. Columns: `chain,address,custody,encumbrance,label`. Every address is checked by its chain's family and kept in its
canonical form; whatever is wrong is reported with the file's line number. What the values of the other columns may be is said by
the expectation suite `wallet_registry`, which runs over the Parquet file written here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.chains.families import family_of
from assay.config import Settings
from assay.errors import ConfigError, RegistryError
from assay.lake import replacing_file

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
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if tuple(header) != COLUMNS:
                raise RegistryError(
                    f"the header is {','.join(header)[:120]!r}", subject=f"{path} line 1", next_step=f"make it {','.join(COLUMNS)!r}"
                )
            for row in reader:
                if row:
                    yield _wallet(settings, row, f"{path} line {reader.line_num}", reader.line_num)
    except OSError as error:
        raise RegistryError(f"it cannot be read ({error.strerror})", subject=str(path), next_step="create it") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise RegistryError(f"it is not a UTF-8 CSV file: {error}", subject=str(path), next_step="save it as one") from error


def _wallet(settings: Settings, row: list[str], subject: str, number: int) -> Wallet:
    if len(row) != len(COLUMNS):
        raise RegistryError(f"it has {len(row)} columns and {len(COLUMNS)} are expected", subject=subject, next_step="correct the line")
    values = dict(zip(COLUMNS, (text.strip() for text in row), strict=True))
    if values["chain"] not in settings.chains:
        raise RegistryError(
            f"the chain {values['chain']!r} is unknown",
            subject=subject,
            next_step=f"use one of {', '.join(sorted(settings.chains))}, or add it to chains.toml",
        )
    chain = settings.chains[values["chain"]]
    try:
        values["address"] = family_of(chain).check_address(chain, values["address"])
    except RegistryError as error:
        raise RegistryError(error.problem, subject=f"{subject}, {error.subject}", next_step=error.next_step) from error
    return Wallet(**values, row=number)
