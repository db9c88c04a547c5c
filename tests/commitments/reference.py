"""The sum tree from its page alone (`docs/formats/sum_tree.md`): plain integers, whole trees in memory, as slow as it is simple."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb

Nodes = dict[tuple[int, int], tuple[bytes, tuple[int, ...]]]


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def u(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big")


def text(value: str) -> bytes:
    return u(len(value.encode()), 2) + value.encode()


def packed(balances: tuple[int, ...]) -> bytes:
    assert all(0 <= balance < 10**38 for balance in balances)
    return b"".join(u(balance, 16) for balance in balances)


def context_of(document: dict[str, Any]) -> bytes:
    head = b"\0" + text("assay-sum-tree-v1") + text(document["series"]) + text(document["as_of"]) + u(document["revision"], 4)
    assets = [text(asset["symbol"]) + u(asset["decimals"], 1) for asset in document["assets"]]
    return sha(head + u(len(assets), 2) + b"".join(assets))


def leaf_hash(context: bytes, key: bytes, part: int, parts: int, nonce: bytes, balances: tuple[int, ...]) -> bytes:
    return sha(b"\1" + context + key + u(part, 4) + u(parts, 4) + nonce + packed(balances))


def node_of(
    context: bytes, level: int, left: tuple[bytes, tuple[int, ...]], right: tuple[bytes, tuple[int, ...]]
) -> tuple[bytes, tuple[int, ...]]:
    hashed = sha(b"\2" + context + u(level, 1) + left[0] + packed(left[1]) + right[0] + packed(right[1]))
    return hashed, tuple(one + other for one, other in zip(left[1], right[1], strict=True))


def padding(context: bytes, level: int, assets: int) -> tuple[bytes, tuple[int, ...]]:
    return sha(b"\3" + context + u(level, 1)), (0,) * assets


def tree_over(context: bytes, leaves: list[tuple[bytes, tuple[int, ...]]]) -> Nodes:
    """All nodes of a tree by level and position."""
    nodes: Nodes = {(0, position): leaf for position, leaf in enumerate(leaves)}
    level, row = 0, leaves
    while len(row) > 1:
        if len(row) % 2:
            row = [*row, padding(context, level, len(row[0][1]))]
        level += 1
        row = [node_of(context, level, row[at], row[at + 1]) for at in range(0, len(row), 2)]
        nodes |= {(level, position): node for position, node in enumerate(row)}
    return nodes


def commitment_of(context: bytes, leaf_count: int, root: tuple[bytes, tuple[int, ...]]) -> str:
    return sha(b"\5" + context + u(leaf_count, 8) + root[0] + packed(root[1])).hex()


def read_nodes(paths: list[Path], symbols: list[str]) -> Nodes:
    """The nodes of some files, in the order that the page demands."""
    columns = ", ".join(f'"{symbol}"' for symbol in symbols)
    rows = (
        duckdb.connect()
        .execute(f"select level, position, hash, {columns} from read_parquet($1)", [[str(path) for path in paths]])
        .fetchall()
    )
    places = [(level, position) for level, position, *_ in rows]
    assert len(set(places)) == len(places)
    return {(level, position): (bytes(hashed), tuple(int(balance) for balance in balances)) for level, position, hashed, *balances in rows}


def check_proof(proof: dict[str, Any], user_id: str, commitment: str) -> tuple[int, ...]:
    """Hold a proof against everything that the page says; returns the user's balances."""
    assert set(proof) == {
        "format",
        "series",
        "as_of",
        "revision",
        "assets",
        "leaf_count",
        "root",
        "commitment",
        "user_key",
        "blind",
        "leaves",
    }
    assert proof["format"] == "assay-inclusion-proof-v1"
    context = context_of(proof)
    blind, key = bytes.fromhex(proof["blind"]), bytes.fromhex(proof["user_key"])
    assert key == sha(b"\4" + text("assay-sum-tree-v1") + text(proof["series"]) + text(proof["as_of"]) + blind + user_id.encode())
    count, parts = proof["leaf_count"], len(proof["leaves"])
    levels = (count - 1).bit_length()
    assert 2 <= parts <= 4096
    assert len({leaf["position"] for leaf in proof["leaves"]}) == parts
    root = bytes.fromhex(proof["root"]["hash"]), tuple(map(int, proof["root"]["balances"]))
    own = [0] * len(root[1])
    for number, leaf in enumerate(proof["leaves"]):
        assert leaf["part"] == number
        balances, position = tuple(map(int, leaf["balances"])), leaf["position"]
        own = [one + other for one, other in zip(own, balances, strict=True)]
        node = leaf_hash(context, key, number, parts, bytes.fromhex(leaf["nonce"]), balances), balances
        assert len(leaf["path"]) == levels
        size = count
        for level, entry in enumerate(leaf["path"]):
            assert (entry is None) == ((position ^ 1) >= size)
            sibling = (
                (bytes.fromhex(entry["hash"]), tuple(map(int, entry["balances"]))) if entry else padding(context, level, len(balances))
            )
            node = node_of(context, level + 1, *((node, sibling) if position % 2 == 0 else (sibling, node)))
            position, size = position // 2, (size + 1) // 2
        assert node == root
    assert commitment_of(context, count, root) == proof["commitment"] == commitment
    return tuple(own)


def check_tree(folder: Path) -> Nodes:
    """Hold all files of a tree against the page; returns its nodes."""
    document = json.loads((folder / "commitment.json").read_text())
    symbols = [asset["symbol"] for asset in document["assets"]]
    context, count, shard = context_of(document), document["leaf_count"], document["shard_leaves"]
    levels, height = (count - 1).bit_length(), shard.bit_length() - 1
    found: Nodes = {}
    shards = -(-count // shard)
    assert sorted(path.name for path in (folder / "leaves").iterdir()) == [f"{number:05}.parquet" for number in range(shards)]
    for number in range(shards):
        leaves = read_nodes([folder / "leaves" / f"{number:05}.parquet"], symbols)
        assert list(leaves) == [(0, position) for position in range(number * shard, min((number + 1) * shard, count))]
        above = read_nodes([folder / "nodes" / f"{number:05}.parquet"], symbols)
        assert list(above) == sorted(above)
        assert all(0 < level <= min(height, levels) and position >> (height - level) == number for level, position in above)
        found |= leaves | above
    top = read_nodes([folder / "top.parquet"], symbols)
    assert list(top) == sorted(top)
    assert all(level > height for level, _ in top)
    found |= top
    assert found == tree_over(context, [found[0, position] for position in range(count)])
    root = found[levels, 0]
    assert document["root"] == {"hash": root[0].hex(), "balances": [str(balance) for balance in root[1]]}
    assert document["commitment"] == commitment_of(context, count, root)
    return found
