"""The nodes above one file of leaves, recomputed from their children: what one process checks at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from assay_verify.findings import MalformedError
from assay_verify.sum_tree import hashing
from assay_verify.sum_tree.hashing import HASH_BYTES, Report
from assay_verify.sum_tree.node_rows import NodeFile, NodeRows, Place, piece_rows, row_bytes

_KEPT = 64 << 20
"""A level of at most so many bytes is kept in memory until the one above it was checked; a larger one is read again."""
_SHOWN = 20


@dataclass(frozen=True)
class Shape:
    """What is known of a tree before its files are read.

    Attributes:
        report: What the tree is of.
        leaf_count: How many leaves it has.
        shard_level: Leaves in a file are two to the power of it.
        limits: What no leaf exceeds, asset by asset.
    """

    report: Report
    leaf_count: int
    shard_level: int
    limits: tuple[int, ...]

    @property
    def root_level(self) -> int:
        """The level with one node."""
        return hashing.root_level(self.leaf_count)

    @property
    def shards(self) -> int:
        """How many files of leaves there are."""
        return hashing.width(self.leaf_count, self.shard_level)

    @property
    def top_of_shards(self) -> int:
        """The highest level in the files above the leaves."""
        return min(self.shard_level, self.root_level)

    @property
    def assets(self) -> tuple[str, ...]:
        """Symbols, in order."""
        return tuple(symbol for symbol, _ in self.report.assets)

    def place(self, shard: int, level: int) -> Place:
        """Return which nodes of a level are in a shard's files."""
        each = 1 << (self.shard_level - level)
        first = shard * each
        return Place(level, first, min(each, hashing.width(self.leaf_count, level) - first))


@dataclass
class Outcome:
    """What became of some files.

    Attributes:
        leaves: How many were read.
        nodes: How many were recomputed.
        problem: Why a file could not be read to its end.
        failures: Nodes that do not follow from their children.
        top: The highest level's rows.
    """

    leaves: int = 0
    nodes: int = 0
    problem: str = ""
    failures: list[str] = field(default_factory=list)
    top: bytes = b""

    def fail(self, text: str) -> None:
        """Note a failure; of very many the first are kept."""
        if len(self.failures) < _SHOWN:
            self.failures.append(text)


def check_shard(folder: Path, shape: Shape, shard: int) -> Outcome:
    """Check one file of leaves, and the file of nodes above them."""
    outcome = Outcome()
    name = f"{shard:05d}.parquet"
    try:
        leaves = NodeFile(folder / "leaves" / name, f"leaves/{name}", shape.assets)
        nodes = NodeFile(folder / "nodes" / name, f"nodes/{name}", shape.assets)
        places = [shape.place(shard, level) for level in range(shape.top_of_shards + 1)]
        _require_rows(leaves, f"leaves/{name}", places[0].size)
        _require_rows(nodes, f"nodes/{name}", sum(place.size for place in places[1:]))
        below = leaves.levels(places[:1], limits=shape.limits)
        _check_levels(outcome, shape, below, nodes, places)
        outcome.leaves = places[0].size
    except MalformedError as error:
        outcome.problem = str(error)
    return outcome


def check_top(folder: Path, shape: Shape, below: bytes) -> Outcome:
    """Check the levels above those of all the shards."""
    outcome = Outcome()
    try:
        nodes = NodeFile(folder / "top.parquet", "top.parquet", shape.assets)
        places = [Place(level, 0, hashing.width(shape.leaf_count, level)) for level in range(shape.top_of_shards, shape.root_level + 1)]
        _require_rows(nodes, "top.parquet", sum(place.size for place in places[1:]))
        lowest = NodeRows(iter([below]), row_bytes(len(shape.assets)))
        _check_levels(outcome, shape, lowest, nodes, places)
    except MalformedError as error:
        outcome.problem = str(error)
    return outcome


def _require_rows(file: NodeFile, name: str, wanted: int) -> None:
    if file.rows != wanted:
        raise MalformedError(f"{name} has {file.rows:,} rows, and a tree of this size has {wanted:,} there")


def _check_levels(outcome: Outcome, shape: Shape, below: NodeRows, nodes: NodeFile, places: Sequence[Place]) -> None:
    """Check level after level, from the lowest one up; its rows are given, the others stand in the file one level after the other."""
    length = row_bytes(len(shape.assets))
    above, before = nodes.levels(places[1:]), 0
    outcome.top = below.take(1) if len(places) == 1 else b""
    for lower, upper in pairwise(places):
        keep = upper.size * length <= _KEPT
        kept = [rows for rows in _check_level(outcome, shape, lower, below, above) if keep]
        below = NodeRows(iter(kept), length) if keep else nodes.levels([upper], before)
        before += upper.size
        if upper == places[-1]:
            outcome.top = b"".join(kept)


def _check_level(outcome: Outcome, shape: Shape, lower: Place, below: NodeRows, above: NodeRows) -> Iterator[bytes]:
    """Hold the nodes above a level against their children, and yield them."""
    assets = len(shape.assets)
    length, at_once = row_bytes(assets), piece_rows(assets)
    level, first, size = lower
    for start in range(first, first + size, at_once):
        children = below.take(min(at_once, first + size - start))
        if len(children) // length % 2:
            children += shape.report.padding(level) + bytes(length - HASH_BYTES)
        parents = above.take(len(children) // length // 2)
        _check_piece(outcome, shape.report.node_prefix(level + 1), f"level {level + 1}, position", start // 2, children, parents, length)
        yield parents


def _check_piece(outcome: Outcome, prefix: bytes, place: str, first: int, children: bytes, parents: bytes, length: int) -> None:
    pair, sha256, integer = 2 * length, hashlib.sha256, int.from_bytes
    outcome.nodes += len(parents) // length
    computed = [sha256(prefix + children[at : at + pair]).digest() for at in range(0, len(children), pair)]
    for at, digest in enumerate(computed):
        parent = parents[at * length : (at + 1) * length]
        if parent[:HASH_BYTES] != digest:
            outcome.fail(f"{place} {first + at:,}: the hash is not that of its children")
        left, right = at * pair + HASH_BYTES, at * pair + length + HASH_BYTES
        # All assets at once, as one number: no amount reaches 10^38, so no sum of two carries over into the asset before it.
        sums = integer(children[left : at * pair + length]) + integer(children[right : (at + 1) * pair])
        if sums != integer(parent[HASH_BYTES:]):
            outcome.fail(f"{place} {first + at:,}: the balances are not the sums of its children's")
