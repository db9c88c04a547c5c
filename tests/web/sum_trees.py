"""Inclusion proofs made from `docs/formats/sum_tree.md` alone, of trees of any size.

Only the nodes on the ways of one user are computed; every neighbour is a random hash with random balances, as if a tree stood below
it. So a proof of a tree with 2^27 leaves takes milliseconds. Neither the program that publishes nor a verifier is imported.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
from typing import Any

_LISTED = (
    "AAVE 18, ADA 6, APT 8, ARB 18, ATOM 6, AVAX 18, BCH 8, BNB 18, BTC 8, DAI 18, DOGE 8, "
    "DOT 10, ETH 18, FIL 18, LINK 18, LTC 8, NEAR 24, OP 18, SOL 9, TRX 6, USDT 6, XRP 6"
)
DECIMALS = {asset.split()[0]: int(asset.split()[1]) for asset in _LISTED.split(", ")}
ASSETS_22 = tuple(DECIMALS)
"""As many as a large exchange publishes; sorted, as the format wants."""


def text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


def amounts(balances: list[int]) -> bytes:
    return b"".join(amount.to_bytes(16) for amount in balances)


def sha256(*pieces: bytes) -> bytes:
    return hashlib.sha256(b"".join(pieces)).digest()


def context(report: dict[str, Any]) -> bytes:
    assets = [text(asset["symbol"]) + bytes([asset["decimals"]]) for asset in report["assets"]]
    head = (b"\x00", text("assay-sum-tree-v1"), text(report["series"]), text(report["as_of"]))
    return sha256(*head, struct.pack(">IH", report["revision"], len(assets)), *assets)


def widths(leaf_count: int) -> list[int]:
    levels = [leaf_count]
    while levels[-1] > 1:
        levels.append((levels[-1] + 1) // 2)
    return levels


def proof(
    rng: random.Random,
    *,
    user_id: str,
    leaf_count: int,
    parts: int = 2,
    symbols: tuple[str, ...] | list[str] = ("BTC", "ETH", "USDT"),
    largest: int = 10**12,
    held: int | None = None,
    series: str = "sandbox",
    as_of: str = "2023-02-17T16:00:00Z",
    revision: int = 1,
) -> dict[str, Any]:
    """A proof that holds. `held` is how many of the assets the user holds; all of them if it is None."""
    report = {
        "series": series,
        "as_of": as_of,
        "revision": revision,
        "assets": [{"symbol": symbol, "decimals": DECIMALS.get(symbol, 18)} for symbol in symbols],
    }
    bound = context(report)
    blind = rng.randbytes(32)
    user_key = sha256(b"\x04", text("assay-sum-tree-v1"), text(series), text(as_of), blind, user_id.encode())
    holding = set(rng.sample(range(len(symbols)), len(symbols) if held is None else held))
    positions = rng.sample(range(leaf_count), parts)
    leaves = []
    nodes: dict[int, tuple[bytes, list[int]]] = {}
    for part, position in enumerate(positions):
        balances = [rng.randrange(largest) if i in holding else 0 for i in range(len(symbols))]
        nonce = rng.randbytes(32)
        digest = sha256(b"\x01", bound, user_key, struct.pack(">II", part, parts), nonce, amounts(balances))
        nodes[position] = digest, balances
        leaves.append(
            {"part": part, "position": position, "nonce": nonce.hex(), "balances": [str(amount) for amount in balances], "path": []}
        )
    levels = widths(leaf_count)
    for level, width in enumerate(levels[:-1]):
        nodes = _level_above(rng, bound, level, width, nodes, leaves, largest)
    root_hash, root_balances = nodes[0]
    root = {"hash": root_hash.hex(), "balances": [str(amount) for amount in root_balances]}
    commitment = sha256(b"\x05", bound, struct.pack(">Q", leaf_count), root_hash, amounts(root_balances)).hex()
    return {
        "format": "assay-inclusion-proof-v1",
        **report,
        "leaf_count": leaf_count,
        "root": root,
        "commitment": commitment,
        "user_key": user_key.hex(),
        "blind": blind.hex(),
        "leaves": leaves,
    }


def _level_above(
    rng: random.Random,
    bound: bytes,
    level: int,
    width: int,
    nodes: dict[int, tuple[bytes, list[int]]],
    leaves: list[dict[str, Any]],
    largest: int,
) -> dict[int, tuple[bytes, list[int]]]:
    assets = len(next(iter(nodes.values()))[1])
    everybody = dict(nodes)
    for place in nodes:
        beside = place ^ 1
        if beside in everybody:
            continue
        if beside >= width:
            everybody[beside] = sha256(b"\x03", bound, bytes([level])), [0] * assets
        else:
            everybody[beside] = rng.randbytes(32), [rng.randrange(largest << level) for _ in range(assets)]
    for leaf in leaves:
        beside = (leaf["position"] >> level) ^ 1
        digest, balances = everybody[beside]
        leaf["path"].append({"hash": digest.hex(), "balances": [str(amount) for amount in balances]} if beside < width else None)
    above = {}
    for place in {place // 2 for place in nodes}:
        (left, left_balances), (right, right_balances) = everybody[2 * place], everybody[2 * place + 1]
        digest = sha256(b"\x02", bound, bytes([level + 1]), left, amounts(left_balances), right, amounts(right_balances))
        above[place] = digest, [a + b for a, b in zip(left_balances, right_balances, strict=True)]
    return above


def manifest(proven: dict[str, Any], **changed: Any) -> bytes:
    """A manifest of the publication that a proof is of, as far as a verifier of proofs looks at it."""
    members = {
        "as_of": proven["as_of"],
        "entity": "Example Custodian",
        "format": "assay-manifest-v1",
        "liability_commitment": proven["commitment"],
        "revision": proven["revision"],
        "series": proven["series"],
    }
    return json.dumps({**members, **changed}, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
