"""The files that the steps of `reserve_snapshot` hand on: their columns, and reading and writing them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import Disagreement
from assay.lake import format_as_of, parse_as_of, replacing_file

AMOUNT = pa.decimal128(38, 0)
TIME = pa.timestamp("us", tz="UTC")

_CHUNK_SCHEMA = pa.schema(
    [
        ("offset_seconds", pa.int64()),
        ("address", pa.string()),
        ("asset", pa.string()),
        ("amount", AMOUNT),
        ("evidence", pa.string()),
        ("since", pa.int64()),
        ("read_height", pa.int64()),
        ("read_time", TIME),
    ]
)
BALANCES_SCHEMA = pa.schema(
    [
        ("chain", pa.string()),
        ("address", pa.string()),
        ("asset", pa.string()),
        ("decimals", pa.int32()),
        ("amount", AMOUNT),
        ("block_height", pa.int64()),
        ("block_hash", pa.string()),
        ("block_time", TIME),
        ("sources_asked", pa.int32()),
        ("sources_agreed", pa.int32()),
        ("custody", pa.string()),
        ("encumbrance", pa.string()),
        ("ownership_status", pa.string()),
        ("evidence", pa.string()),
        ("read_height", pa.int64()),
        ("read_time", TIME),
    ]
)
BLOCKS_SCHEMA = pa.schema(
    [
        ("chain", pa.string()),
        ("height", pa.int64()),
        ("hash", pa.string()),
        ("time", TIME),
        ("finality", pa.string()),
        ("distance_seconds", pa.int64()),
        ("sources_asked", pa.int32()),
        ("sources_agreed", pa.int32()),
    ]
)
OFFSET_BALANCES_SCHEMA = pa.schema(
    [
        ("chain", pa.string()),
        ("address", pa.string()),
        ("asset", pa.string()),
        ("offset_seconds", pa.int64()),
        ("amount", AMOUNT),
        ("block_height", pa.int64()),
        ("block_hash", pa.string()),
        ("block_time", TIME),
    ]
)
ASSETS_SCHEMA = pa.schema([("asset", pa.string()), ("name", pa.string()), ("decimals", pa.int32())])


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Wallets that one task reads, and the blocks it reads them at.

    Attributes:
        blocks: By seconds from `as_of`: 0 is the snapshot block, the others are read around it for comparison.
        number: Which chunk of the chain this is, from 0.
        addresses: In registry order.
    """

    blocks: Mapping[int, SnapshotBlock]
    number: int
    addresses: Sequence[str]

    @property
    def block(self) -> SnapshotBlock:
        """The snapshot block."""
        return self.blocks[0]

    def write(self, path: Path) -> Path:
        """Write the chunk as JSON."""
        blocks = {str(offset): block_values(block) for offset, block in self.blocks.items()}
        content = {"blocks": blocks, "number": self.number, "addresses": list(self.addresses)}
        with replacing_file(path) as temporary:
            temporary.write_text(json.dumps(content, sort_keys=True))
        return path

    @classmethod
    def read(cls, path: Path) -> Chunk:
        """Read what `write` wrote."""
        content: dict[str, Any] = json.loads(path.read_text())
        blocks = {int(offset): block_of(values) for offset, values in content["blocks"].items()}
        return cls(blocks=dict(sorted(blocks.items())), number=content["number"], addresses=content["addresses"])


def block_values(block: SnapshotBlock) -> dict[str, Any]:
    """Return a block as JSON holds it."""
    return {**asdict(block), "time": format_as_of(block.time)}


def block_of(values: Mapping[str, Any]) -> SnapshotBlock:
    """Return the block of what `block_values` gave."""
    return SnapshotBlock(**{**values, "time": parse_as_of(values["time"])})


def write_balances(balances: Mapping[int, Sequence[Balance]], path: Path) -> Path:
    """Write what one source said of one chunk, by offset."""
    rows = [(offset, item) for offset, items in balances.items() for item in items]
    columns: dict[str, list[Any]] = {"offset_seconds": [offset for offset, _ in rows]}
    columns["amount"] = [Decimal(item.amount) for _, item in rows]
    for name in ("address", "asset", "evidence", "since", "read_height", "read_time"):
        columns[name] = [getattr(item, name) for _, item in rows]
    write_table(pa.table({name: columns[name] for name in _CHUNK_SCHEMA.names}, schema=_CHUNK_SCHEMA), path)
    return path


def read_balances(paths: Sequence[Path], offset: int) -> list[Balance]:
    """Return what `write_balances` wrote of one offset, chunk after chunk."""
    rows = (
        row for path in paths for row in pq.read_table(path, filters=[("offset_seconds", "=", offset)]).drop(["offset_seconds"]).to_pylist()
    )
    return [Balance(**{**row, "amount": int(row["amount"])}) for row in rows]


def write_disagreements(found: Sequence[Disagreement], path: Path) -> Path:
    """Write who said what, one row an address, asset and pair of sources, for whoever has to find the wrong one."""
    names = list(Disagreement.__annotations__)
    with replacing_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([getattr(item, name) for name in names] for item in found)
    return path


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table in one step."""
    with replacing_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
