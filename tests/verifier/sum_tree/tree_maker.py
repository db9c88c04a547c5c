"""A small maker of sum trees and proofs, written from docs/formats/sum_tree.md alone, in plain Python: what the verifier is tested against.

It shares no code with the verifier or with the publishing program.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

VERSION = b"assay-sum-tree-v1"
TWO_ASSETS = (("BTC", 8), ("USDT", 6))


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def string(text: str | bytes) -> bytes:
    data = text if isinstance(text, bytes) else text.encode()
    return len(data).to_bytes(2, "big") + data


def amounts_bytes(amounts: tuple[int, ...]) -> bytes:
    return b"".join(amount.to_bytes(16, "big") for amount in amounts)


@dataclass
class Leaf:
    user: str
    part: int
    parts: int
    nonce: bytes
    balances: tuple[int, ...]


@dataclass
class Tree:
    """A tree with everything that its maker knows."""

    assets: tuple[tuple[str, int], ...]
    series: str
    as_of: str
    revision: int
    leaves: list[Leaf]
    blinds: dict[str, bytes]
    levels: list[list[tuple[bytes, tuple[int, ...]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context = sha(
            b"\x00",
            string(VERSION),
            string(self.series),
            string(self.as_of),
            self.revision.to_bytes(4, "big"),
            len(self.assets).to_bytes(2, "big"),
            *(string(symbol) + bytes([decimals]) for symbol, decimals in self.assets),
        )
        self.levels = [[(self.leaf_hash(leaf), leaf.balances) for leaf in self.leaves]]
        while len(self.levels[-1]) > 1:
            self.levels.append(self.above(len(self.levels) - 1))

    def user_key(self, user: str) -> bytes:
        if user not in self.blinds:
            return sha(b"dummy", user.encode())
        return sha(b"\x04", string(VERSION), string(self.series), string(self.as_of), self.blinds[user], user.encode())

    def leaf_hash(self, leaf: Leaf) -> bytes:
        numbers = leaf.part.to_bytes(4, "big") + leaf.parts.to_bytes(4, "big")
        return sha(b"\x01", self.context, self.user_key(leaf.user), numbers, leaf.nonce, amounts_bytes(leaf.balances))

    def padding(self, level: int) -> tuple[bytes, tuple[int, ...]]:
        return sha(b"\x03", self.context, bytes([level])), (0,) * len(self.assets)

    def node(self, level: int, left: tuple[bytes, tuple[int, ...]], right: tuple[bytes, tuple[int, ...]]) -> tuple[bytes, tuple[int, ...]]:
        digest = sha(b"\x02", self.context, bytes([level]), left[0], amounts_bytes(left[1]), right[0], amounts_bytes(right[1]))
        return digest, tuple(a + b for a, b in zip(left[1], right[1], strict=True))

    def above(self, level: int) -> list[tuple[bytes, tuple[int, ...]]]:
        nodes = list(self.levels[level])
        if len(nodes) % 2:
            nodes.append(self.padding(level))
        return [self.node(level + 1, nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]

    @property
    def root(self) -> tuple[bytes, tuple[int, ...]]:
        return self.levels[-1][0]

    @property
    def commitment(self) -> bytes:
        return self.commitment_to(*self.root)

    def commitment_to(self, root_hash: bytes, balances: tuple[int, ...]) -> bytes:
        return sha(b"\x05", self.context, len(self.leaves).to_bytes(8, "big"), root_hash, amounts_bytes(balances))

    @property
    def users(self) -> list[str]:
        return sorted(self.blinds)

    def own(self, user: str) -> tuple[int, ...]:
        parts = [leaf.balances for leaf in self.leaves if leaf.user == user]
        return tuple(sum(amounts) for amounts in zip(*parts, strict=True))

    def proof(self, user: str) -> dict[str, Any]:
        own = sorted((leaf.part, position, leaf) for position, leaf in enumerate(self.leaves) if leaf.user == user)
        return {
            "format": "assay-inclusion-proof-v1",
            "series": self.series,
            "as_of": self.as_of,
            "revision": self.revision,
            "assets": [{"symbol": symbol, "decimals": decimals} for symbol, decimals in self.assets],
            "leaf_count": len(self.leaves),
            "root": written(self.root),
            "commitment": self.commitment.hex(),
            "user_key": self.user_key(user).hex(),
            "blind": self.blinds.get(user, bytes(32)).hex(),
            "leaves": [
                {
                    "part": part,
                    "position": position,
                    "nonce": leaf.nonce.hex(),
                    "balances": [str(amount) for amount in leaf.balances],
                    "path": self.path(position),
                }
                for part, position, leaf in own
            ],
        }

    def path(self, position: int) -> list[dict[str, Any] | None]:
        siblings = []
        for level, nodes in enumerate(self.levels[:-1]):
            sibling = (position >> level) ^ 1
            siblings.append(written(nodes[sibling]) if sibling < len(nodes) else None)
        return siblings

    def commitment_file(self, shard_leaves: int, limits: tuple[int, ...] | None = None) -> dict[str, Any]:
        limits = limits or tuple(max(leaf.balances[at] for leaf in self.leaves) for at in range(len(self.assets)))
        return {
            "as_of": self.as_of,
            "assets": [
                {"decimals": decimals, "limit": str(limit), "symbol": symbol}
                for (symbol, decimals), limit in zip(self.assets, limits, strict=True)
            ],
            "commitment": self.commitment.hex(),
            "format": VERSION.decode(),
            "leaf_count": len(self.leaves),
            "revision": self.revision,
            "root": written(self.root),
            "series": self.series,
            "shard_leaves": shard_leaves,
        }

    def write(self, folder: Path, shard_leaves: int = 8, *, row_group: int = 5, limits: tuple[int, ...] | None = None) -> Path:
        """Write the files of a publication's `liability_tree`."""
        for name in ("leaves", "nodes"):
            (folder / name).mkdir(parents=True)
        write_json(folder / "commitment.json", self.commitment_file(shard_leaves, limits))
        height = shard_leaves.bit_length() - 1
        for shard in range(-(-len(self.leaves) // shard_leaves)):
            levels = [(level, shard << (height - level), 1 << (height - level)) for level in range(min(height, len(self.levels) - 1) + 1)]
            self.write_rows(folder / f"leaves/{shard:05d}.parquet", levels[:1], row_group)
            self.write_rows(folder / f"nodes/{shard:05d}.parquet", levels[1:], row_group)
        top = [(level, 0, len(self.levels[level])) for level in range(height + 1, len(self.levels))]
        self.write_rows(folder / "top.parquet", top, row_group)
        return folder

    def write_rows(self, path: Path, levels: list[tuple[int, int, int]], row_group: int) -> None:
        rows = []
        for level, first, count in levels:
            rows += [
                (level, position, *self.levels[level][position]) for position in range(first, min(first + count, len(self.levels[level])))
            ]
        write_table(path, rows, [symbol for symbol, _ in self.assets], row_group)


def written(node: tuple[bytes, tuple[int, ...]]) -> dict[str, Any]:
    return {"hash": node[0].hex(), "balances": [str(amount) for amount in node[1]]}


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, sort_keys=True, separators=(",", ":")))


def write_table(path: Path, rows: list[tuple[int, int, bytes, tuple[int, ...]]], symbols: list[str], row_group: int = 5) -> None:
    columns: dict[str, pa.Array] = {
        "level": pa.array([row[0] for row in rows], pa.int32()),
        "position": pa.array([row[1] for row in rows], pa.int64()),
        "hash": pa.array([row[2] for row in rows], pa.binary()),
    }
    for at, symbol in enumerate(symbols):
        columns[symbol] = raw_amounts([row[3][at] for row in rows])
    pq.write_table(pa.table(columns), path, row_group_size=row_group, compression="zstd")


def make_tree(
    users: dict[str, tuple[tuple[int, ...], ...]],
    *,
    assets: tuple[tuple[str, int], ...] = TWO_ASSETS,
    leaf_count: int | None = None,
    seed: int = 1,
    series: str = "sandbox",
    as_of: str = "2023-02-17T16:00:00Z",
    revision: int = 1,
) -> Tree:
    """Make a tree of users' parts, shuffled, with dummy leaves up to a number."""
    dice = random.Random(seed)
    leaves = [
        Leaf(user, part, len(parts), dice.randbytes(32), balances) for user, parts in users.items() for part, balances in enumerate(parts)
    ]
    dummies = (leaf_count or len(leaves)) - len(leaves)
    leaves += [Leaf(f"dummy {at}", 0, 1, dice.randbytes(32), (0,) * len(assets)) for at in range(dummies)]
    dice.shuffle(leaves)
    return Tree(assets, series, as_of, revision, leaves, {user: dice.randbytes(32) for user in users})


def sample_tree(leaf_count: int = 21, **settings: Any) -> Tree:
    users: dict[str, tuple[tuple[int, ...], ...]] = {f"user-{at}": ((at * 1000 + 1, 5), (7, at), (0, 10**20)) for at in range(5)}
    return make_tree(users, leaf_count=leaf_count, **settings)


def altered(document: dict[str, Any], *path: str | int, to: Any) -> dict[str, Any]:
    """Return a copy with one value replaced."""
    changed = copy.deepcopy(document)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return changed


def raw_amounts(amounts: list[int]) -> pa.Array:
    """A column of amounts, also of ones that have more digits than the type allows."""
    buffer = pa.py_buffer(b"".join(amount.to_bytes(16, "little", signed=True) for amount in amounts))
    return pa.Array.from_buffers(pa.decimal128(38, 0), len(amounts), [None, buffer])
