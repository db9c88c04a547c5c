"""Cutting a user's proof of inclusion (`assay-inclusion-proof-v1`) out of a tree; checked against the commitment before it is handed out."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.commitments import derivation
from assay.commitments.derivation import Keys
from assay.commitments.format import AMOUNT_LIMIT, MIN_PARTS, PROOF_FORMAT, Report, pack, user_key
from assay.commitments.index import Index
from assay.commitments.tree_reading import Node, TreeFiles
from assay.errors import CommitmentError, UnknownUserError
from assay.lake import format_as_of


class Prover:
    """Cuts proofs for the users of one report; not in several threads at a time.

    Args:
        tree: Folder of the published tree.
        index: Folder of its private index.
        secret: The entity's long-lived secret.

    Attributes:
        commitment: What the tree commits to.

    Raises:
        CommitmentError: The tree or the index is not whole, or tree, index and secret don't belong together.
        ConfigError: The secret is too short.
    """

    def __init__(self, tree: Path, index: Path, *, secret: bytes) -> None:
        self._files = TreeFiles(tree)
        self.commitment = self._files.commitment
        self._index = Index(index)
        if self._index.commitment != self.commitment.commitment:
            raise CommitmentError(
                "the index is that of another tree", subject=str(tree), next_step="name the index that was made with this tree"
            )
        keys = Keys(secret, self.commitment.report)
        self._index.check_keys(keys)
        self._blind_key, self._nonce_key = keys.blind_key(), keys.key("nonce")

    def prove(self, user_id: str) -> dict[str, Any]:
        """Return the proof document of a user.

        Raises:
            UnknownUserError: The tree has no leaf of this user.
            CommitmentError: The tree's files don't give a proof that holds: they are damaged, or the secret is another one.
        """
        blind = hmac.digest(self._blind_key, user_id.encode(), hashlib.sha256)
        report = self.commitment.report
        key = user_key(report.series, report.as_of, blind, user_id)
        if not (proof := self._cut(key, blind)):
            raise UnknownUserError(
                "the report has no balance of this user",
                subject=f"{report.series} {format_as_of(report.as_of)}, user {user_id}",
                next_step="check the spelling of the id, and whether the account was open at that moment and is in scope",
            )
        return proof

    def _cut(self, key: bytes, blind: bytes) -> dict[str, Any] | None:
        report = self.commitment.report
        if not (positions := self._index.positions(key)):
            return None
        leaves = [self._leaf(key, part, len(positions), position) for part, position in enumerate(positions)]
        return {
            "format": PROOF_FORMAT,
            "series": report.series,
            "as_of": format_as_of(report.as_of),
            "revision": report.revision,
            "assets": [{"symbol": symbol, "decimals": decimals} for symbol, decimals in report.assets],
            "leaf_count": self.commitment.leaf_count,
            "root": {"hash": self.commitment.root_hash.hex(), "balances": [str(total) for total in self.commitment.totals]},
            "commitment": self.commitment.commitment.hex(),
            "user_key": key.hex(),
            "blind": blind.hex(),
            "leaves": leaves,
        }

    def _leaf(self, key: bytes, part: int, parts: int, position: int) -> dict[str, Any]:
        nonce = derivation.nonce(self._nonce_key, key, part)
        leaf, path = self._files.leaf_and_path(position)
        if parts < MIN_PARTS or not self._holds(key, part, parts, nonce, position, leaf, path):
            raise CommitmentError(
                "its leaves don't lead to the root",
                subject=f"user_key {key.hex()}, leaf {position}",
                next_step="check that tree, index and secret are those of one report, and that no file was altered",
            )
        return {
            "part": part,
            "position": position,
            "nonce": nonce.hex(),
            "balances": [str(balance) for balance in leaf.balances],
            "path": [node and {"hash": node.hash.hex(), "balances": [str(balance) for balance in node.balances]} for node in path],
        }

    def _holds(self, key: bytes, part: int, parts: int, nonce: bytes, position: int, leaf: Node, path: Sequence[Node | None]) -> bool:
        report = self.commitment.report
        head = report.leaf_prefix + key + part.to_bytes(4, "big") + parts.to_bytes(4, "big") + nonce
        node = Node(hashlib.sha256(head + pack(leaf.balances)).digest(), leaf.balances)
        if node != leaf:
            return False
        for level, given in enumerate(path):
            sibling = given or Node(report.padding_hash(level), (0,) * len(leaf.balances))
            node = _parent(report, level + 1, *((node, sibling) if (position >> level) % 2 == 0 else (sibling, node)))
        return node == Node(self.commitment.root_hash, self.commitment.totals) and max(node.balances) < AMOUNT_LIMIT


def _parent(report: Report, level: int, left: Node, right: Node) -> Node:
    text = left.hash + pack(left.balances) + right.hash + pack(right.balances)
    sums = tuple(one + other for one, other in zip(left.balances, right.balances, strict=True))
    return Node(hashlib.sha256(report.node_prefix(level) + text).digest(), sums)
