"""The Merkle proof of one user of another publisher, first generation: JSON with `self` and `path`. A format with known flaws; see text_trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay_verify.canonical_json import Shape, check_shape
from assay_verify.findings import Check, Exit
from assay_verify.sum_tree import text_trees
from assay_verify.sum_tree.strict_json import array, count
from assay_verify.sum_tree.text_trees import ASSETS, Balances
from assay_verify.sum_tree.verified import Holding, VerifiedProof

FORMAT = "Merkle proof of the first generation (JSON with self and path)"
MEMBERS = {"self", "path"}

_LEFT, _RIGHT, _ROOT, _PADDING = 1, 2, 3, 4
_MOST_HEIGHTS = 64
_ENTRY: Shape = {"balances": dict, "hash": str, "height": int, "type": int}
_SELF: Shape = {**_ENTRY, "nonce": str}


@dataclass(frozen=True, slots=True)
class _Node:
    hash: str
    balances: Balances
    kind: int


def check(document: Mapping[str, Any], published_root: str | None) -> VerifiedProof:
    """Check a proof by its own rules, and say what these let through.

    Args:
        document: What stood in the JSON.
        published_root: The root's hash as it was published; None if there is none to compare with.
    """
    verified = VerifiedProof(FORMAT)
    path: list[_Node] = []
    with verified.findings.check("form", "The file is a proof of that form.") as made:
        own, path = _parse(document)
        made.expect(held=True, failure="")
    if not path:
        return verified
    root = path[-1]
    with verified.findings.check("leaf", "The user's leaf is the hash of the nonce and of the balances shown.") as made:
        leaf = text_trees.sha256_text(document["self"]["nonce"], text_trees.as_json(own.balances))
        made.expect(leaf == own.hash, f"nonce and balances make {leaf}, and the leaf is {own.hash}")
    with verified.findings.check("path", "From the leaf, hashes and sums lead to the root.") as made:
        _climb(made, own, path)
    compare_root(verified, root.hash, published_root)
    verified.commitment, verified.parts = root.hash, 1
    verified.holdings = [Holding(*values) for values in zip(ASSETS, own.balances, root.balances, strict=True)]
    _conclude(verified, [own, *path])
    return verified


def compare_root(verified: VerifiedProof, root: str, published_root: str | None) -> None:
    """Hold the root against the published one, if that is known."""
    if published_root is None:
        verified.not_proven.append(
            "That the root is the published one: compare it with what everybody is shown, or give that with --commitment."
        )
        return
    with verified.findings.check("root.published", "The root is the published one.") as made:
        made.expect(root == published_root.lower(), f"the root is {root}, and another one was published")


def _parse(document: Mapping[str, Any]) -> tuple[_Node, list[_Node]]:
    own = _node(
        {"nonce": "", **document["self"]} if isinstance(document["self"], dict) else None,
        "self",
        height=1,
        shape=_SELF,
        kinds=(_LEFT, _RIGHT),
    )
    entries = array(document["path"], "path", least=2, most=_MOST_HEIGHTS)
    path = []
    for at, entry in enumerate(entries):
        last = at == len(entries) - 1
        path.append(_node(entry, f"path[{at}]", height=at + 1, shape=_ENTRY, kinds=(_ROOT,) if last else (_LEFT, _RIGHT, _PADDING)))
    return own, path


def _node(value: object, subject: str, *, height: int, shape: Shape, kinds: tuple[int, ...]) -> _Node:
    # Files name the audit, and some nodes their nonce; no rule takes either into account.
    kept = (
        {key: entry for key, entry in value.items() if key not in {"auditId", "nonce"} or key in shape}
        if isinstance(value, dict)
        else value
    )
    members = check_shape(kept, shape, subject=subject)
    count(members["height"], f"{subject}.height", least=height, most=height)
    count(members["type"], f"{subject}.type", least=min(kinds), most=max(kinds))
    return _Node(
        text_trees.hash_text(members["hash"], f"{subject}.hash"),
        text_trees.balances(members["balances"], f"{subject}.balances"),
        members["type"],
    )


def _climb(made: Check, own: _Node, path: list[_Node]) -> None:
    made.expect(own.kind != path[0].kind, "the leaf and its sibling are said to be on the same side")
    node_hash, balances, is_right = own.hash, own.balances, own.kind == _RIGHT
    for height, sibling in enumerate(path[:-1], start=2):
        balances = text_trees.add(balances, sibling.balances)
        left, right = (sibling.hash, node_hash) if is_right else (node_hash, sibling.hash)
        node_hash = text_trees.parent_hash(left, right, balances, height)
        is_right = path[height - 1].kind == _LEFT
        made.compared += 1
    made.expect(balances == path[-1].balances, f"the sums along the path are {text_trees.as_json(balances)}, and not those of the root")
    made.expect(node_hash == path[-1].hash, f"the hashes along the path lead to {node_hash}, and the root is {path[-1].hash}")


def _conclude(verified: VerifiedProof, nodes: list[_Node]) -> None:
    if any(text_trees.negative(node.balances) for node in nodes):
        verified.notices.append("A balance in this very proof is negative: the total shown is lower than what users are owed.")
    verified.weaknesses += text_trees.WEAKNESSES
    if any(text_trees.is_cut(node.hash) for node in nodes):
        verified.weaknesses.append("Hashes are cut short: what binds a balance is easier to forge.")
    if verified.findings.exit_code == Exit.FAILED:
        verified.holdings = []
    else:
        verified.proven.append("By the rules of this format, which are weak, a leaf with these balances leads to this root.")
    verified.not_proven += [
        "Whose proof this is: the format names nobody.",
        "That the balances shown are all that you are owed, or that reserves cover the total.",
    ]
