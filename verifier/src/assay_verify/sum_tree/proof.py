"""The form of a user's proof, `assay-inclusion-proof-v1`: read strictly, so that one file is one proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assay_verify.canonical_json import Shape, check_shape
from assay_verify.findings import MalformedError
from assay_verify.sum_tree import hashing, strict_json
from assay_verify.sum_tree.hashing import Report

FORMAT = "assay-inclusion-proof-v1"

_NONE = type(None)
_SHAPE: Shape = {
    "as_of": str,
    "assets": list,
    "blind": str,
    "commitment": str,
    "format": str,
    "leaf_count": int,
    "leaves": list,
    "revision": int,
    "root": dict,
    "series": str,
    "user_key": str,
}
_ASSET: Shape = {"decimals": int, "symbol": str}
_LEAF: Shape = {"balances": list, "nonce": str, "part": int, "path": list, "position": int}
_NODE: Shape = {"balances": list, "hash": str}


@dataclass(frozen=True, slots=True)
class Node:
    """A node as a proof gives it.

    Attributes:
        hash: 32 bytes.
        balances: Base units, asset by asset.
    """

    hash: bytes
    balances: tuple[int, ...]

    @property
    def written(self) -> bytes:
        """The bytes by which its parent binds it."""
        return self.hash + hashing.pack(self.balances)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One part of the user.

    Attributes:
        position: Among all leaves.
        nonce: 32 bytes.
        balances: Base units, asset by asset.
        path: Siblings from the leaves' level up; None where there is none and padding takes its place.
    """

    position: int
    nonce: bytes
    balances: tuple[int, ...]
    path: tuple[Node | None, ...]


@dataclass(frozen=True)
class Proof:
    """A proof whose form is right; nothing in it is proven by that.

    Attributes:
        report: What the tree is of.
        leaf_count: How many leaves the tree has.
        root: The top.
        commitment: 32 bytes.
        user_key: 32 bytes.
        blind: 32 bytes.
        leaves: Part by part.
    """

    report: Report
    leaf_count: int
    root: Node
    commitment: bytes
    user_key: bytes
    blind: bytes
    leaves: tuple[Leaf, ...]


def parse(document: object) -> Proof:
    """Read a proof.

    Args:
        document: What stood in the JSON.

    Raises:
        MalformedError: It is not of the form that docs/formats/sum_tree.md describes.
    """
    members = check_shape(document, _SHAPE, subject="the proof")
    if members["format"] != FORMAT:
        raise MalformedError(f"its format is {strict_json.shown(members['format'])}, and not {FORMAT!r}")
    assets = strict_json.assets(members["assets"], _ASSET, "assets")
    report = Report(
        series=strict_json.text(members["series"], "series"),
        as_of=strict_json.moment(members["as_of"], "as_of"),
        revision=strict_json.revision(members["revision"], "revision"),
        assets=tuple((entry["symbol"], entry["decimals"]) for entry in assets),
    )
    leaf_count = strict_json.count(members["leaf_count"], "leaf_count", least=2, most=hashing.MOST_LEAVES)
    entries = strict_json.array(members["leaves"], "leaves", least=hashing.FEWEST_PARTS, most=hashing.MOST_PARTS)
    leaves = tuple(_leaf(entry, at, leaf_count, len(assets)) for at, entry in enumerate(entries))
    if len({leaf.position for leaf in leaves}) != len(leaves):
        raise MalformedError("two of its leaves have one position, so that one leaf would count twice")
    return Proof(
        report,
        leaf_count,
        _node(members["root"], len(assets), "root"),
        strict_json.digest(members["commitment"], "commitment"),
        strict_json.digest(members["user_key"], "user_key"),
        strict_json.digest(members["blind"], "blind"),
        leaves,
    )


def _leaf(entry: object, at: int, leaf_count: int, assets: int) -> Leaf:
    subject = f"leaves[{at}]"
    members = check_shape(entry, _LEAF, subject=subject)
    strict_json.count(members["part"], f"{subject}.part", least=at, most=at)
    position = strict_json.count(members["position"], f"{subject}.position", least=0, most=leaf_count - 1)
    levels = hashing.root_level(leaf_count)
    siblings = strict_json.array(members["path"], f"{subject}.path", least=levels, most=levels)
    path = tuple(
        _sibling(sibling, f"{subject}.path[{level}]", (position >> level) ^ 1 < hashing.width(leaf_count, level), assets)
        for level, sibling in enumerate(siblings)
    )
    return Leaf(position, strict_json.digest(members["nonce"], f"{subject}.nonce"), _balances(members, assets, subject), path)


def _sibling(entry: object, subject: str, exists: bool, assets: int) -> Node | None:  # noqa: FBT001 - it is the fact itself, not an option
    if exists:
        return _node(entry, assets, subject)
    if entry is not None:
        raise MalformedError(f"{subject} must be null: there is no node in that place, padding stands there")
    return None


def _node(entry: object, assets: int, subject: str) -> Node:
    members = check_shape(entry, _NODE, subject=subject)
    return Node(strict_json.digest(members["hash"], f"{subject}.hash"), _balances(members, assets, subject))


def _balances(members: dict[str, Any], assets: int, subject: str) -> tuple[int, ...]:
    entries = strict_json.array(members["balances"], f"{subject}.balances", least=assets, most=assets)
    return tuple(strict_json.amount(entry, f"{subject}.balances[{at}]") for at, entry in enumerate(entries))
