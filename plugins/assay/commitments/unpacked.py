"""A published tree as plain arrays on disk, checked while it is unpacked: what makes a million proofs from without opening a file for each.

For each shard one file with the rows of its leaves, then of each level above; one more for the top. Every node is computed anew from its children, so
that a path taken from these files leads to the root without being checked again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.commitments.format import AMOUNT_BYTES, COMMITMENT_FILE, HASH_BYTES, TOP_FILE, Commitment, level_sizes, pack
from assay.commitments.tree_files import Level, Shape, leaves_file, nodes_file, parents
from assay.commitments.tree_reading import level_of
from assay.errors import CommitmentError
from assay.lake import replacing_file


def unpack_shard(tree: Path, shard: int, folder: Path) -> None:
    """Unpack leaves and nodes of a shard, unless that was done.

    Raises:
        CommitmentError: A node is not that of its children, or a file cannot be read.
    """
    path = folder / str(shard)
    if path.exists():
        return
    shape = _shape(Commitment.read(tree / COMMITMENT_FILE))
    level = _read(leaves_file(tree, shard))
    levels = [level]
    for height in range(1, shape.shard_level + 1):
        level = parents(shape.report, height, level)
        levels.append(level)
    _compare(np.concatenate(levels[1:]), _read(nodes_file(tree, shard)), nodes_file(tree, shard))
    with replacing_file(path) as temporary, temporary.open("wb") as file:
        for level in levels:
            file.write(level.data)


class UnpackedTree:
    """Rows of a tree by level and position.

    Args:
        commitment: Of the tree.
        tree: Its folder, for the levels above the shards.
        folder: Where all of its shards were unpacked to.

    Raises:
        CommitmentError: The shards don't lead to the root.
    """

    def __init__(self, commitment: Commitment, tree: Path, folder: Path) -> None:
        self._shape = shape = _shape(commitment)
        self._sizes = level_sizes(shape.leaf_count)
        self._width = HASH_BYTES + AMOUNT_BYTES * len(shape.report.assets)
        self._shards = [np.memmap(folder / str(shard), np.uint8, "r").reshape(-1, self._width) for shard in range(shape.shards)]
        self._starts = [self._level_starts(shard) for shard in range(shape.shards)]
        level = np.stack([rows[-1] for rows in self._shards])
        self._top: dict[int, Level] = {}
        for height in range(shape.shard_level + 1, shape.root_level + 1):
            level = self._top[height] = parents(shape.report, height, level)
        if self._top:
            _compare(np.concatenate(list(self._top.values())), _read(tree / TOP_FILE), tree / TOP_FILE)
        if level.tobytes() != commitment.root_hash + pack(commitment.totals):
            raise _broken("the nodes don't lead to the root", tree)

    def row(self, level: int, position: int) -> bytes | None:
        """Return hash and balances of a node; None where padding stands."""
        if position >= self._sizes[level]:
            return None
        if level > self._shape.shard_level:
            return bytes(self._top[level][position])
        height = self._shape.shard_leaves.bit_length() - 1 - level
        shard = position >> height
        return bytes(self._shards[shard][self._starts[shard][level] + position - (shard << height)])

    def _level_starts(self, shard: int) -> list[int]:
        count = min(self._shape.shard_leaves, self._shape.leaf_count - shard * self._shape.shard_leaves)
        starts = [0]
        for _ in range(self._shape.shard_level):
            starts.append(starts[-1] + count)
            count = (count + 1) // 2
        return starts


def _shape(commitment: Commitment) -> Shape:
    return Shape(report=commitment.report, leaf_count=commitment.leaf_count, shard_leaves=commitment.shard_leaves)


def _read(path: Path) -> Level:
    try:
        return level_of(pq.read_table(path, use_threads=False))
    except (OSError, pa.ArrowException) as error:
        raise _broken(f"it cannot be read: {error}", path) from error


def _compare(computed: Level, read: Level, path: Path) -> None:
    if not np.array_equal(computed, read):
        raise _broken("a node is not that of its children", path)


def _broken(problem: str, path: Path) -> CommitmentError:
    return CommitmentError(problem, subject=str(path), next_step="take the tree from the publication again")
