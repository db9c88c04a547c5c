"""Nodes out of the files of a published tree: what stands beside one leaf on its way to the root.

A proof needs one node of each level. Of the lower levels none is read: one row group of leaves is a subtree, which is computed in less time than its rows
take to read. The upper levels of a shard are the last row group of its file of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assay.commitments.format import AMOUNT_BYTES, COMMITMENT_FILE, HASH_BYTES, TOP_FILE, Commitment, level_sizes
from assay.commitments.tree_files import GROUP_LEVELS, Level, Shape, leaves_file, nodes_file, parents
from assay.errors import CommitmentError

_OPEN_FILES = 64


@dataclass(frozen=True)
class Node:
    """Hash and balances of a node."""

    hash: bytes
    balances: tuple[int, ...]

    @classmethod
    def of(cls, row: bytes) -> Node:
        """Return the node of a row of a level."""
        return cls(
            row[:HASH_BYTES], tuple(int.from_bytes(row[at : at + AMOUNT_BYTES], "big") for at in range(HASH_BYTES, len(row), AMOUNT_BYTES))
        )


class TreeFiles:
    """The files of one tree.

    Args:
        tree: Its folder.

    Raises:
        CommitmentError: Its `commitment.json` cannot be read.
    """

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self.commitment = Commitment.read(tree / COMMITMENT_FILE)
        self.shape = Shape(report=self.commitment.report, leaf_count=self.commitment.leaf_count, shard_leaves=self.commitment.shard_leaves)
        self._group_levels = min(GROUP_LEVELS, self.commitment.shard_leaves.bit_length() - 1)
        self._sizes = level_sizes(self.commitment.leaf_count)
        self._file = lru_cache(maxsize=_OPEN_FILES)(pq.ParquetFile)
        self._upper = lru_cache(maxsize=_OPEN_FILES)(self._read_upper)

    def leaf_and_path(self, position: int) -> tuple[Node, list[Node | None]]:
        """Return a leaf and its siblings from its own level up; None where padding stands.

        Raises:
            CommitmentError: The tree's files are not whole.
        """
        try:
            first, subtree = self._subtree(position >> self._group_levels)
            leaf = Node.of(subtree[0][position - first].tobytes())
            return leaf, [self._node(level, (position >> level) ^ 1, first, subtree) for level in range(self.shape.root_level)]
        except (OSError, pa.ArrowException, IndexError, KeyError) as error:
            raise CommitmentError(
                f"its files are not whole: {error}", subject=str(self._tree), next_step="take the tree from the publication again"
            ) from error

    def _node(self, level: int, position: int, first: int, subtree: list[Level]) -> Node | None:
        if position >= self._sizes[level]:
            return None
        if level < min(self._group_levels, self.shape.shard_level):
            return Node.of(subtree[level][position - (first >> level)].tobytes())
        if level > self.shape.shard_level:
            return self._top[level, position]
        return self._upper(position >> (self.shape.shard_level - level))[level, position]

    def _subtree(self, group: int) -> tuple[int, list[Level]]:
        """Return the first position of a row group of leaves, and the levels above it that are whole in it."""
        first = group << self._group_levels
        shard, start = divmod(first, self.commitment.shard_leaves)
        table = self._file(leaves_file(self._tree, shard)).read_row_group(start >> self._group_levels, use_threads=False)
        levels = [level_of(table)]
        for height in range(1, min(self._group_levels, self.shape.shard_level)):
            levels.append(parents(self.commitment.report, height, levels[-1]))
        return first, levels

    def _read_upper(self, shard: int) -> dict[tuple[int, int], Node]:
        file = self._file(nodes_file(self._tree, shard))
        return _nodes(file.read_row_group(file.metadata.num_row_groups - 1, use_threads=False))

    @cached_property
    def _top(self) -> dict[tuple[int, int], Node]:
        return _nodes(pq.read_table(self._tree / TOP_FILE, use_threads=False))


def level_of(table: pa.Table) -> Level:
    """Return rows of a file as they are hashed."""
    table = table.combine_chunks()
    count = table.num_rows
    level = np.empty((count, HASH_BYTES + AMOUNT_BYTES * (table.num_columns - 3)), np.uint8)
    for number, column in enumerate(table.columns[2:]):
        chunk = column.chunk(0)
        width = HASH_BYTES if number == 0 else AMOUNT_BYTES
        cells = np.frombuffer(chunk.buffers()[1], np.uint8, count * width, offset=chunk.offset * width).reshape(count, width)
        at = 0 if number == 0 else HASH_BYTES + AMOUNT_BYTES * (number - 1)
        level[:, at : at + width] = cells if number == 0 else cells[:, ::-1]
    return level


def _nodes(table: pa.Table) -> dict[tuple[int, int], Node]:
    if table.num_rows == 0:
        return {}
    rows = level_of(table)
    places = zip(table["level"].to_pylist(), table["position"].to_pylist(), strict=True)
    return {place: Node.of(row.tobytes()) for place, row in zip(places, rows, strict=True)}
