"""One file of the tree after the other: leaves hashed and put at their positions, and the levels above them.

A level is one array, a row a node: its hash, then its balances as they are hashed. Two neighbouring rows are then exactly what their parent
is the hash of.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.commitments.format import AMOUNT_BYTES, HASH_BYTES, TOP_FILE, Report, level_sizes
from assay.errors import CommitmentError

PLACE_BYTES = 8
"""A spooled leaf begins with its position, and goes on with what is hashed after version and report."""

GROUP_LEVELS = 11
"""A row group of leaves is a subtree of so many levels: little to decode for one proof, and enough for the format's overhead not to count."""

_NODE_ROWS = 1 << 14
_BLOCK_ROWS = 1 << 11

Level = np.ndarray[tuple[int, int], np.dtype[np.uint8]]
"""Hash and balances of consecutive nodes of one level."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a tree is laid out in files.

    Attributes:
        report: What the tree is of.
        leaf_count: Leaves, dummies included.
        shard_leaves: Leaves of one file.
    """

    report: Report
    leaf_count: int
    shard_leaves: int

    @property
    def root_level(self) -> int:
        """Level of the root."""
        return len(level_sizes(self.leaf_count)) - 1

    @property
    def shard_level(self) -> int:
        """Highest level that is in the files of nodes."""
        return min(self.shard_leaves.bit_length() - 1, self.root_level)

    @property
    def shards(self) -> int:
        """Number of files of leaves."""
        return -(-self.leaf_count // self.shard_leaves)

    @property
    def schema(self) -> pa.Schema:
        """Columns of all files."""
        columns = [("level", pa.int32()), ("position", pa.int64()), ("hash", pa.binary(HASH_BYTES))]
        columns += [(symbol, pa.decimal128(38, 0)) for symbol in self.report.symbols]
        return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def leaves_file(tree: Path, shard: int) -> Path:
    """Return where the leaves of a shard are."""
    return tree / "leaves" / f"{shard:05}.parquet"


def nodes_file(tree: Path, shard: int) -> Path:
    """Return where the nodes above the leaves of a shard are."""
    return tree / "nodes" / f"{shard:05}.parquet"


def write_shard(shape: Shape, shard: int, spooled: Sequence[Path], tree: Path) -> bytes:
    """Write the leaves and nodes of one shard.

    Args:
        shape: Of the tree.
        shard: Which.
        spooled: Files of its leaves, in any order.
        tree: Folder of the tree.

    Returns:
        Hash and balances of its highest node.

    Raises:
        CommitmentError: The spool files don't hold each leaf once.
    """
    start = shard * shape.shard_leaves
    level = _read_leaves(shape, start, min(shape.shard_leaves, shape.leaf_count - start), spooled)
    with _writer(shape, leaves_file(tree, shard)) as writer:
        _write_level(writer, shape, 0, start, level, 1 << GROUP_LEVELS)
    with _writer(shape, nodes_file(tree, shard)) as writer:
        upper: list[pa.RecordBatch] = []
        for height in range(1, shape.shard_level + 1):
            start //= 2
            level = parents(shape.report, height, level)
            # What every proof needs is in the last group, all of it.
            if height < GROUP_LEVELS:
                _write_level(writer, shape, height, start, level, _NODE_ROWS)
            else:
                upper += _batches(shape, height, start, level)
        if upper:
            table = pa.Table.from_batches(upper)
            writer.write_table(table, row_group_size=max(table.num_rows, 1))
    return level.tobytes()


def write_top(shape: Shape, shards: Sequence[bytes], tree: Path) -> bytes:
    """Write the levels above the shards; returns hash and balances of the root."""
    level = np.frombuffer(b"".join(shards), np.uint8).reshape(len(shards), -1)
    with _writer(shape, tree / TOP_FILE) as writer:
        for height in range(shape.shard_level + 1, shape.root_level + 1):
            level = parents(shape.report, height, level)
            _write_level(writer, shape, height, 0, level, _NODE_ROWS)
    return level.tobytes()


def parents(report: Report, height: int, children: Level) -> Level:
    """Return the level above some nodes, the first of which is a left child.

    Args:
        report: What the tree is of.
        height: The new level.
        children: The level below it; an odd last one gets padding for a sibling.
    """
    if len(children) % 2:
        padding = np.zeros((1, children.shape[1]), np.uint8)
        padding[0, :HASH_BYTES] = np.frombuffer(report.padding_hash(height - 1), np.uint8)
        children = np.concatenate((children, padding))
    level = np.empty((len(children) // 2, children.shape[1]), np.uint8)
    for start in range(0, len(level), _BLOCK_ROWS):
        end = min(start + _BLOCK_ROWS, len(level))
        pairs = children[2 * start : 2 * end]
        level[start:end, :HASH_BYTES] = hash_rows(report.node_prefix(height), pairs.reshape(end - start, -1))
        level[start:end, HASH_BYTES:] = _sums(pairs)
    return level


def hash_rows(prefix: bytes, rows: Level) -> Level:
    """Return the hash of each row behind a prefix."""
    begun = hashlib.sha256(prefix)
    hashes = []
    for (row,) in struct.iter_unpack(f"{rows.shape[1]}s", rows.tobytes()):
        state = begun.copy()
        state.update(row)
        hashes.append(state.digest())
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, HASH_BYTES)


def _sums(pairs: Level) -> Level:
    """Add the balances of each two rows: high and low word of each. No sum reaches 10^38, as the totals do not."""
    words = _words(pairs)
    left, right = words[0::2], words[1::2]
    sums = left + right
    sums[:, :, 0] += sums[:, :, 1] < left[:, :, 1]
    return sums.astype(">u8").view(np.uint8).reshape(len(sums), -1)


def _words(rows: Level) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint64]]:
    packed = np.ascontiguousarray(rows[:, HASH_BYTES:])
    return packed.view(">u8").astype(np.uint64).reshape(len(rows), -1, 2)


def _read_leaves(shape: Shape, start: int, count: int, spooled: Sequence[Path]) -> Level:
    assets = len(shape.report.assets)
    width = PLACE_BYTES + 2 * HASH_BYTES + 8 + assets * AMOUNT_BYTES
    level = np.empty((count, HASH_BYTES + assets * AMOUNT_BYTES), np.uint8)
    found = np.zeros(count, np.int64)
    for path in spooled:
        with path.open("rb") as file:
            while len(block := np.fromfile(file, np.uint8, _BLOCK_ROWS * width)):
                if len(block) % width:
                    raise _spoiled(f"{path.name} ends within a leaf", start)
                rows = block.reshape(-1, width)
                places = np.ascontiguousarray(rows[:, :PLACE_BYTES]).view("<u8").reshape(-1).astype(np.int64) - start
                if not ((places >= 0) & (places < count)).all():
                    raise _spoiled(f"{path.name} has a leaf of another file", start)
                np.add.at(found, places, 1)
                level[places, :HASH_BYTES] = hash_rows(shape.report.leaf_prefix, rows[:, PLACE_BYTES:])
                level[places, HASH_BYTES:] = rows[:, -assets * AMOUNT_BYTES :]
    if not (found == 1).all():
        raise _spoiled("its leaves are not each there once", start)
    return level


def _spoiled(problem: str, start: int) -> CommitmentError:
    return CommitmentError(problem, subject=f"leaves from {start} on", next_step="build the tree again; the disk may be at fault")


def _writer(shape: Shape, path: Path) -> pq.ParquetWriter:
    path.parent.mkdir(exist_ok=True)
    return pq.ParquetWriter(
        path,
        shape.schema,
        compression="zstd",
        compression_level=1,  # hashes and random amounts: a higher one only takes longer
        use_dictionary=["level"],
        column_encoding={"position": "DELTA_BINARY_PACKED"},
        write_statistics=["level", "position"],
        store_schema=False,
    )


def _write_level(writer: pq.ParquetWriter, shape: Shape, height: int, start: int, level: Level, group: int) -> None:
    for first in range(0, len(level), group):
        batches = _batches(shape, height, start + first, level[first : first + group])
        writer.write_table(pa.Table.from_batches(batches), row_group_size=group)


def _batches(shape: Shape, height: int, start: int, level: Level) -> Iterator[pa.RecordBatch]:
    for first in range(0, len(level), _BLOCK_ROWS):
        rows = level[first : first + _BLOCK_ROWS]
        count = len(rows)
        # Arrow has the low word first, and one column after the other.
        words = np.ascontiguousarray(_words(rows).transpose(1, 0, 2)[:, :, ::-1])
        columns = [
            pa.array(np.full(count, height, np.int32)),
            pa.array(np.arange(start + first, start + first + count)),
            pa.Array.from_buffers(pa.binary(HASH_BYTES), count, [None, pa.py_buffer(rows[:, :HASH_BYTES].tobytes())]),
        ]
        columns += [pa.Array.from_buffers(pa.decimal128(38, 0), count, [None, pa.py_buffer(asset)]) for asset in words]
        yield pa.RecordBatch.from_arrays(columns, schema=shape.schema)
