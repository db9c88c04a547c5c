"""Statements of ownership as files: one CSV layout for what is asked, what is signed, and what the registry keeps.

Columns: `chain,address,scheme,message,signatures,script,owners`; UTF-8, RFC 4180. A message may have several lines; several signatures or owners stand
on lines of their own inside the cell. `registry/ownership/<moment>.csv` holds what was imported for a moment, one row a wallet, and
`<moment>.blocks.json` the blocks that its challenges name.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.chains.interface import SnapshotBlock
from assay.config import Settings
from assay.csv_file import read_rows
from assay.errors import OwnershipError
from assay.lake import replacing_file, slug
from assay.reserve_files import block_of, block_values

FILE_NAME = "statements.parquet"
"""The statements of a run, beside its wallets."""
BLOCKS_NAME = "challenge_blocks.json"
"""The blocks that they name, beside them."""


@dataclass(frozen=True, kw_only=True)
class OwnershipStatement:
    """One row: what was signed for a wallet, and with what.

    Attributes:
        chain: Name of the chain.
        address: As the registry has it.
        scheme: That the keeper names; empty to let every scheme of the chain be tried.
        message: The signed text, or the announcement of a movement.
        signatures: One a line; empty while nothing was signed. For a movement, the transaction.
        script: Redeem or witness script, or a public key where the address is a hash of it.
        owners: Addresses of a contract wallet's owners, one a line, where they signed in its place.
    """

    chain: str
    address: str
    scheme: str = ""
    message: str = ""
    signatures: str = ""
    script: str = ""
    owners: str = ""


COLUMNS = tuple(item.name for item in fields(OwnershipStatement))
SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])


def folder_of(settings: Settings) -> Path:
    """Return where the registry keeps statements."""
    return settings.registry / "ownership"


def path_of(settings: Settings, as_of: datetime) -> Path:
    """Return the file of a moment's statements."""
    return folder_of(settings) / f"{slug(as_of)}.csv"


def read_csv(path: Path) -> Iterator[tuple[int, OwnershipStatement]]:
    """Yield line number and statement of each row.

    Raises:
        OwnershipError: Not a file of this layout; it names the line.
    """
    for line, row in read_rows(path, COLUMNS, _fail):
        yield line, OwnershipStatement(**dict(zip(COLUMNS, row, strict=True)))


def write_csv(statements: Iterable[OwnershipStatement], path: Path) -> Path:
    """Write statements in the order given."""
    with replacing_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(tuple(asdict(item).values()) for item in statements)
    return path


def read_blocks(settings: Settings, as_of: datetime) -> dict[str, SnapshotBlock]:
    """Return the blocks that a moment's challenges name, by chain; none before there are challenges."""
    path = path_of(settings, as_of).with_suffix(".blocks.json")
    return _blocks_in(path)


def write_blocks(settings: Settings, as_of: datetime, blocks: Mapping[str, SnapshotBlock]) -> None:
    """Keep the blocks that a moment's challenges name."""
    with replacing_file(path_of(settings, as_of).with_suffix(".blocks.json")) as temporary:
        temporary.write_text(json.dumps({name: block_values(block) for name, block in sorted(blocks.items())}, indent=1))


def pin(settings: Settings, as_of: datetime, wallets: Path) -> None:
    """Write the moment's statements and the blocks they name beside a run's wallets, so that an import meanwhile changes nothing in it."""
    path = path_of(settings, as_of)
    statements = [item for _, item in read_csv(path)] if path.exists() else []
    table = pa.Table.from_pylist([asdict(item) for item in statements], schema=SCHEMA)
    with replacing_file(wallets.with_name(FILE_NAME)) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    with replacing_file(wallets.with_name(BLOCKS_NAME)) as temporary:
        blocks = read_blocks(settings, as_of)
        temporary.write_text(json.dumps({name: block_values(block) for name, block in sorted(blocks.items())}))


def pinned(wallets: Path, chain: str) -> tuple[dict[str, OwnershipStatement], SnapshotBlock | None]:
    """Return what `pin` kept of a chain: statements by address, and the block that challenges name."""
    rows = pq.read_table(wallets.with_name(FILE_NAME), filters=[("chain", "=", chain)]).to_pylist()
    return {row["address"]: OwnershipStatement(**row) for row in rows}, _blocks_in(wallets.with_name(BLOCKS_NAME)).get(chain)


def _blocks_in(path: Path) -> dict[str, SnapshotBlock]:
    if not path.exists():
        return {}
    return {name: block_of(values) for name, values in json.loads(path.read_text()).items()}


def _fail(problem: str, subject: str, next_step: str) -> OwnershipError:
    return OwnershipError(problem, subject=subject, next_step=next_step)
