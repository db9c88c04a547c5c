"""From users to leaves: split, numbered, given nonces, and sent to the file of the tree that their secret position belongs to.

A process does a run of users and appends to spool files of its own, one a file of the tree, so that processes don't wait for each other.
What a leaf is depends on its user, its number and the keys alone, not on who else is in the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.commitments import derivation
from assay.commitments.arrays import Bytes, Counts, Words
from assay.commitments.derivation import Keys
from assay.commitments.format import HASH_BYTES
from assay.commitments.index import INDEX_USERS, IndexWriter
from assay.commitments.reading import Users
from assay.commitments.survey import Splitting
from assay.commitments.tree_files import PLACE_BYTES

HEAD_BYTES = 2 * HASH_BYTES + 8
"""User key, part, parts and nonce, before the balances."""

_BATCH_BYTES = 16 << 20  # of balances in a batch of leaves


@dataclass(frozen=True, kw_only=True)
class Spool:
    """Files that the stages of a build hand on; private, and gone when it ends.

    Attributes:
        folder: Where they are.
        keys: Keys of the report.
        users: Keys and balances.
        splitting: How users are split.
        shard_leaves: Leaves of one file of the tree.
        batch_bytes: Balances that are worked on at a time.
    """

    folder: Path
    keys: Keys
    users: Users
    splitting: Splitting
    shard_leaves: int
    batch_bytes: int = _BATCH_BYTES

    def write_plan(self, parts: Counts, positions: Counts) -> None:
        """Keep what is known of every user and leaf."""
        for name, values in (("parts", parts), ("positions", positions)):
            (self.folder / name).write_bytes(values.data)

    def parts(self, start: int, end: int) -> Counts:
        """Return the number of leaves of some users."""
        return np.fromfile(self.folder / "parts", np.int64, end - start, offset=start * 8)

    def positions(self, start: int, end: int) -> Counts:
        """Return the positions of some leaves."""
        return np.fromfile(self.folder / "positions", np.int64, end - start, offset=start * 8)

    def leaf_files(self, shard: int) -> list[Path]:
        """Return the files of the leaves of one file of the tree."""
        return sorted(self.folder.glob(f"leaves-{shard}-*"))


@dataclass(frozen=True)
class Run:
    """Users that one process does, in whole files of the index.

    Attributes:
        number: Of the run.
        start: First user.
        end: The one after the last.
        first_leaf: Number of the first user's first leaf.
    """

    number: int
    start: int
    end: int
    first_leaf: int


def write_user_leaves(spool: Spool, run: Run, index: Path) -> None:
    """Spool the leaves of a run of users, and write its part of the index."""
    leaf = run.first_leaf
    key_words, key_nonce = spool.keys.key("split"), spool.keys.key("nonce")
    for start in range(run.start, run.end, INDEX_USERS):
        end = min(start + INDEX_USERS, run.end)
        with IndexWriter(index, start // INDEX_USERS) as entries:
            for lower, upper in _batches(spool, start, end):
                parts = spool.parts(lower, upper)
                count = int(parts.sum())
                positions = spool.positions(leaf, leaf + count)
                balances = _split(
                    spool, lower, upper, parts, derivation.words(key_words, leaf * spool.users.assets, count * spool.users.assets)
                )
                keys = np.repeat(spool.users.keys(lower, upper), parts, axis=0)
                numbers = np.arange(count) - np.repeat(np.cumsum(parts) - parts, parts)
                head = _head(keys, numbers, np.repeat(parts, parts), derivation.nonces(key_nonce, keys, numbers))
                _append(spool, run.number, positions, head, balances)
                entries.write(keys, numbers, positions)
                leaf += count


def write_dummy_leaves(spool: Spool, number: int, start: int, end: int) -> None:
    """Spool leaves without a user: random bytes for the key, no balance."""
    key = spool.keys.key("dummy")
    assets = spool.users.assets
    step = max(1, spool.batch_bytes // (assets * 16))
    for lower in range(start, end, step):
        count = min(step, end - lower)
        drawn = derivation.words(key, (lower - start) * 4, count * 4).view(np.uint8).reshape(count, 2 * HASH_BYTES)
        head = _head(drawn[:, :HASH_BYTES], np.zeros(count, np.int64), np.ones(count, np.int64), drawn[:, HASH_BYTES:])
        _append(spool, number, spool.positions(lower, lower + count), head, np.zeros((count, assets, 2), np.uint64))


def _batches(spool: Spool, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut users into batches whose leaves fit into memory, whoever has many."""
    most = max(1, spool.batch_bytes // (spool.users.assets * 16))
    while start < end:
        sums = np.cumsum(spool.parts(start, min(start + most, end)))
        count = max(1, int(np.searchsorted(sums, most, side="right")))
        yield start, start + count
        start += count


def _split(spool: Spool, start: int, end: int, parts: Counts, drawn: Words) -> Words:
    assets = spool.users.assets
    leaves = np.zeros((int(parts.sum()), assets, 2), np.uint64)
    spool.splitting.split(spool.users.balances(start, end), parts, drawn.reshape(-1, assets, 2), leaves)
    return leaves


def _big(numbers: Counts) -> Bytes:
    return numbers.astype(">u4").view(np.uint8).reshape(-1, 4)


def _head(keys: Bytes, numbers: Counts, parts: Counts, nonces: Bytes) -> Bytes:
    return np.concatenate((keys, _big(numbers), _big(parts), nonces), axis=1)


def _append(spool: Spool, run: int, positions: Counts, head: Bytes, balances: Words) -> None:
    """Append leaves to the spool files of their places in the tree."""
    count = len(positions)
    rows = np.empty((count, PLACE_BYTES + HEAD_BYTES + balances.shape[1] * 16), np.uint8)
    rows[:, :PLACE_BYTES] = positions.astype("<u8").view(np.uint8).reshape(count, PLACE_BYTES)
    rows[:, PLACE_BYTES : PLACE_BYTES + HEAD_BYTES] = head
    rows[:, PLACE_BYTES + HEAD_BYTES :] = balances.astype(">u8").view(np.uint8).reshape(count, -1)
    shards = positions // spool.shard_leaves
    order = np.argsort(shards, kind="stable")
    found, starts = np.unique(shards[order], return_index=True)
    for shard, chosen in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
        with (spool.folder / f"leaves-{shard}-{run}").open("ab") as file:
            file.write(rows[chosen].data)
