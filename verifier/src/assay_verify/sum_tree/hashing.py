"""The hashes of `assay-sum-tree-v1` (docs/formats/sum_tree.md): context, user key, leaf, node, padding, commitment."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

VERSION = "assay-sum-tree-v1"
AMOUNT_BYTES = 16
HASH_BYTES = 32
AMOUNT_LIMIT = 10**38
"""No amount and no sum reaches it. Twice as much still fits into 16 bytes, so that two amounts can be added there."""
MOST_ASSETS = 1000
MOST_LEAVES = 1 << 40
FEWEST_PARTS, MOST_PARTS = 2, 4096

_CONTEXT, _LEAF, _NODE, _PADDING, _USER_KEY, _COMMITMENT = (bytes([use]) for use in range(6))


@dataclass(frozen=True)
class Report:
    """What a tree is of.

    Attributes:
        series: Which series of publications.
        as_of: The moment, as text.
        revision: 1 for a first publication.
        assets: Symbol and decimals, by symbol.
    """

    series: str
    as_of: str
    revision: int
    assets: tuple[tuple[str, int], ...]

    @cached_property
    def context(self) -> bytes:
        """The hash that binds version, report and assets into everything else."""
        head = _CONTEXT + _text(VERSION) + _text(self.series) + _text(self.as_of) + struct.pack(">IH", self.revision, len(self.assets))
        return _sha256(head + b"".join(_text(symbol) + bytes([decimals]) for symbol, decimals in self.assets))

    def user_key(self, blind: bytes, user_id: str) -> bytes:
        """Return what stands for a user in this report."""
        return _sha256(_USER_KEY + _text(VERSION) + _text(self.series) + _text(self.as_of) + blind + user_id.encode())

    def leaf(self, user_key: bytes, part: int, parts: int, nonce: bytes, balances: bytes) -> bytes:
        """Return the hash of one part of a user."""
        return _sha256(_LEAF + self.context + user_key + struct.pack(">II", part, parts) + nonce + balances)

    def node_prefix(self, level: int) -> bytes:
        """Return what stands before both children of a node at a level."""
        return _NODE + self.context + bytes([level])

    def node(self, level: int, left: bytes, right: bytes) -> bytes:
        """Return the hash of a node; each child is its hash followed by its balances."""
        return _sha256(self.node_prefix(level) + left + right)

    def padding(self, level: int) -> bytes:
        """Return the hash of the child that is missing at a level."""
        return _padding(self.context, level)

    def commitment(self, leaf_count: int, root: bytes) -> bytes:
        """Return the one hash for all of it; the root is its hash followed by its balances."""
        return _sha256(_COMMITMENT + self.context + struct.pack(">Q", leaf_count) + root)


def pack(amounts: Iterable[int]) -> bytes:
    """Write amounts below 2^128 as balances."""
    return b"".join(amount.to_bytes(AMOUNT_BYTES, "big") for amount in amounts)


def unpack(balances: bytes) -> list[int]:
    """Read balances as amounts."""
    return [int.from_bytes(balances[at : at + AMOUNT_BYTES], "big") for at in range(0, len(balances), AMOUNT_BYTES)]


def root_level(leaf_count: int) -> int:
    """Return the level with one node."""
    return (leaf_count - 1).bit_length()


def width(leaf_count: int, level: int) -> int:
    """Return how many nodes a level has."""
    return -(-leaf_count >> level)


def in_order(assets: Sequence[str]) -> bool:
    """Tell whether symbols stand in the order of their bytes, none of them twice."""
    written = [symbol.encode() for symbol in assets]
    return all(before < after for before, after in pairwise(written))


def _text(value: str) -> bytes:
    written = value.encode()
    return struct.pack(">H", len(written)) + written


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@lru_cache(maxsize=128)
def _padding(context: bytes, level: int) -> bytes:
    return _sha256(_PADDING + context + bytes([level]))
