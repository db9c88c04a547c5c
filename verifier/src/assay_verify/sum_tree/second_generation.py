"""The full tree of another publisher, second generation: a text file with one node a line, and a user's JSON that names leaves in it.

The root is first, and each level stands from right to left. Where a level has an odd number of nodes, its last node's hash is repeated with zero
balances. The whole tree is checked, not only the user's leaves; two places in the file are read at a time, so memory doesn't depend on its length.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from assay_verify.canonical_json import Shape, check_shape
from assay_verify.findings import Check, Exit, MalformedError, UnusableInputError
from assay_verify.progress import Progress
from assay_verify.sum_tree import text_trees
from assay_verify.sum_tree.first_generation import compare_root
from assay_verify.sum_tree.strict_json import array, shown
from assay_verify.sum_tree.text_trees import ASSETS, Balances
from assay_verify.sum_tree.verified import Holding, VerifiedProof

FORMAT = "user file of the second generation (JSON with nodes and totalBalances)"
MEMBERS = {"hash", "nodes", "nonce", "totalBalances"}

_USER: Shape = {"hash": str, "nodes": list, "nonce": str, "totalBalances": dict}
_LEAF: Shape = {"balances": dict, "hash": str}
_MOST_LEAVES = 4096
_LONGEST_LINE = 512
_MOST_HEIGHTS = 64

Line = tuple[str, int, Balances]
"""Hash, height, balances."""


def check(document: Mapping[str, Any], tree: Path | None, published_root: str | None, progress: Progress) -> VerifiedProof:
    """Check a user's file by its own rules, and the tree that it refers to; say what these rules let through.

    Args:
        document: What stood in the JSON.
        tree: The text file with all nodes; without it the run is incomplete.
        published_root: The root's hash as it was published; None if there is none to compare with.
        progress: Told how far it is.
    """
    verified = VerifiedProof(FORMAT)
    own: Counter[tuple[str, Balances]] = Counter()
    total: Balances = ()
    with verified.findings.check("form", "The file is a user's file of that form.") as made:
        own, total = _parse(document)
        made.expect(held=True, failure="")
    if not own:
        return verified
    with verified.findings.check("leaves", "The user's leaves are hashes of nonce and balances, and add up to the user's total.") as made:
        _check_leaves(made, document, own, total)
    root: Line | None = None
    with verified.findings.check("tree", "Every node of the tree follows from its children, and each leaf of the user is in it.") as made:
        if tree is None:
            made.skip("the leaves could not be looked for: give the file of the whole tree with --tree", accepted=False)
        else:
            root, verified.leaves = _check_tree(made, tree, own, progress)
    progress.clear()
    if root:
        compare_root(verified, root[0], published_root)
        verified.commitment = root[0]
    verified.parts = own.total()
    verified.holdings = [Holding(*values) for values in zip(ASSETS, total, root[2] if root else ["unknown"] * len(ASSETS), strict=True)]
    _conclude(verified)
    return verified


def _parse(document: Mapping[str, Any]) -> tuple[Counter[tuple[str, Balances]], Balances]:
    members = check_shape(document, _USER, subject="the user's file")
    text_trees.hash_text(members["hash"], "hash")
    own: Counter[tuple[str, Balances]] = Counter()
    for at, entry in enumerate(array(members["nodes"], "nodes", least=1, most=_MOST_LEAVES)):
        leaf = check_shape(entry, _LEAF, subject=f"nodes[{at}]")
        own[text_trees.hash_text(leaf["hash"], f"nodes[{at}].hash"), text_trees.balances(leaf["balances"], f"nodes[{at}].balances")] += 1
    return own, text_trees.balances(members["totalBalances"], "totalBalances")


def _check_leaves(made: Check, document: Mapping[str, Any], own: Counter[tuple[str, Balances]], total: Balances) -> None:
    user_hash = text_trees.sha256_text(document["nonce"], text_trees.as_json(total))
    made.expect(user_hash == document["hash"], f"nonce and total make {user_hash}, and the user's hash is {document['hash']}")
    added: Balances = ("0",) * len(ASSETS)
    for leaf_hash, balances in own.elements():
        expected = text_trees.sha256_text(document["hash"], *balances)
        made.expect(expected == leaf_hash, f"the leaf {leaf_hash} is not made of the user's hash and its balances")
        added = text_trees.add(added, balances)
    made.expect(added == total, f"the leaves add up to {text_trees.as_json(added)}, and the total is {text_trees.as_json(total)}")


def _check_tree(made: Check, tree: Path, own: Counter[tuple[str, Balances]], progress: Progress) -> tuple[Line, int]:
    try:
        counts = _count(tree)
        found, root = _check_nodes(made, tree, counts, own, progress)
    except OSError as error:
        raise UnusableInputError(f"{tree} cannot be read ({error.strerror})", "Give the file of the whole tree with --tree") from error
    for leaf, wanted in own.items():
        made.expect(
            found[leaf] >= wanted, f"the leaf {leaf[0]} is in the tree {found[leaf]} times, and the user's file has it {wanted} times"
        )
    return root, counts[1]


def _count(tree: Path) -> dict[int, int]:
    """Return the number of nodes at each height, and make sure that the levels have the shape of a tree."""
    counts: dict[int, int] = {}
    previous = 0
    for number, (_, height, _) in enumerate(_lines(tree), start=1):
        if counts and height not in {previous, previous - 1}:
            raise MalformedError(f"{tree.name}, line {number:,}: the height goes from {previous} to {height}")
        counts[height] = counts.get(height, 0) + 1
        previous = height
    if not counts or previous != 1 or len(counts) < 2 or counts[max(counts)] != 1:  # noqa: PLR2004 - a root and leaves
        raise MalformedError(f"{tree.name} does not lead from one root down to leaves")
    for height in range(2, max(counts) + 1):
        parents, odd = divmod(counts[height - 1], 2)
        padded = parents + (parents % 2 if height < max(counts) else 0)
        if odd or counts[height] != padded:
            raise MalformedError(
                f"{tree.name}: {counts[height - 1]:,} nodes at height {height - 1} do not make {counts[height]:,} above them"
            )
    return counts


def _check_nodes(
    made: Check, tree: Path, counts: dict[int, int], own: Counter[tuple[str, Balances]], progress: Progress
) -> tuple[Counter[tuple[str, Balances]], Line]:
    parents, children = _lines(tree), _lines(tree)
    root = next(children)
    found: Counter[tuple[str, Balances]] = Counter()
    all_nodes, done = sum(counts.values()), 0
    for height in range(max(counts), 1, -1):
        level = islice(parents, counts[height])
        if counts[height] > counts[height - 1] // 2:
            padding, last = next(level), next(level)
            made.expect(
                padding[0] == last[0] and text_trees.zero(padding[2]),
                f"height {height}: the padding is not the last node's hash with nothing",
            )
            _check_parent(made, last, next(children), next(children), own, found)
        for parent in level:
            _check_parent(made, parent, next(children), next(children), own, found)
            done += 2
            progress(f"checked {done:,} of {all_nodes:,} nodes")
    return found, root


def _check_parent(
    made: Check, parent: Line, right: Line, left: Line, own: Counter[tuple[str, Balances]], found: Counter[tuple[str, Balances]]
) -> None:
    node_hash, height, balances = parent
    made.expect(
        text_trees.add(left[2], right[2]) == balances, f"the balances of {node_hash} at height {height} are not the sums of its children"
    )
    expected = text_trees.parent_hash(left[0], right[0], balances, height)
    made.expect(expected == node_hash, f"the hash {node_hash} at height {height} is not that of its children")
    if height == 2:  # noqa: PLR2004 - the children are leaves
        for leaf in ((left[0], left[2]), (right[0], right[2])):
            if leaf in own:
                found[leaf] += 1


def _lines(tree: Path) -> Iterator[Line]:
    with tree.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE + 1):
            number += 1
            yield _line(line, f"{tree.name}, line {number:,}")


def _line(line: bytes, subject: str) -> Line:
    parts = line.rstrip(b"\r\n").decode(errors="replace").split(",", 2)
    if len(line) > _LONGEST_LINE or len(parts) != 3:  # noqa: PLR2004 - hash, height, balances
        raise MalformedError(f"{subject} is not a hash, a height and balances")
    if not (parts[1].isascii() and parts[1].isdigit() and 1 <= int(parts[1][:9]) <= _MOST_HEIGHTS):
        raise MalformedError(f"{subject}: the height is {shown(parts[1])}")
    try:
        pairs = json.loads(parts[2], object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{subject}: the balances are not JSON") from error
    if not isinstance(pairs, list) or len(pairs) != len(ASSETS) or not all(isinstance(pair, tuple) for pair in pairs):
        raise MalformedError(f"{subject}: the balances are not one amount of each of {', '.join(ASSETS)}")
    return text_trees.hash_text(parts[0], subject), int(parts[1]), text_trees.balances(dict(pairs), subject)


def _conclude(verified: VerifiedProof) -> None:
    verified.weaknesses += text_trees.WEAKNESSES
    if verified.findings.exit_code == Exit.FAILED:
        verified.holdings = []
    if verified.findings.exit_code == Exit.HELD:
        verified.proven.append(
            "By the rules of this format, which are weak, leaves with these balances are in a tree with these totals, of which every node was checked."
        )
    verified.not_proven += [
        "Whose file this is: the format names nobody.",
        "That the balances shown are all that you are owed, or that reserves cover the total.",
    ]
