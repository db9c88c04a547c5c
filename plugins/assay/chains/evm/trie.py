"""Merkle-Patricia proofs as `eth_getProof` gives them, followed node by node; no I/O.

Written here although the package `trie` verifies proofs too, because it builds a database and walks it anew for each key: 10,000 proofs of
one storage trie took it seven times as long. Here each distinct node of many proofs is hashed and decoded once, and a
proof must consist of exactly the nodes on the key's path, in their order. Tests hold the answers against `trie`.
Trie: Ethereum yellow paper, appendix D; proofs: https://eips.ethereum.org/EIPS/eip-1186.
"""

from __future__ import annotations

from typing import Any, cast

import rlp
from eth_hash.auto import keccak

from assay.chains.answers import AnswerError, data

EMPTY_ROOT = keccak(rlp.encode(b""))
"""Root of a trie that holds nothing."""

_HASH = 32  # bytes
_BRANCH, _SHORT = 17, 2  # items of a node with sixteen children, and of a leaf or an extension
_LARGEST_FLAGS = 3  # of a hex prefix: a leaf with an odd path
_EMPTY_PROOFS: tuple[list[str], ...] = ([], ["0x80"])  # servers differ in how they prove that an empty trie holds nothing

_Reference = bytes | list[Any]  # of a node: its hash, or the node itself where its encoding is shorter than a hash


class TrieProofs:
    """Verifies proofs of one or many tries; keeps every node that it has seen."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[bytes, list[Any]]] = {}

    def value(self, root: bytes, key: bytes, proof: object) -> bytes | None:
        """Return what a trie holds under a key whose Keccak-256 is its path, as `at` does."""
        return self.at(root, keccak(key).hex(), proof)

    def at(self, root: bytes, path: str, proof: object) -> bytes | None:
        """Return what a trie holds at a path, or None where the proof shows that it holds nothing there.

        Args:
            root: The trie's root hash.
            path: Hexadecimal digits; all paths of a trie are of one length.
            proof: The nodes from the root on, as hexadecimal data.

        Raises:
            AnswerError: The nodes don't lead from the root to the path's end, or there are others among them.
        """
        if not isinstance(proof, list):
            raise AnswerError("the proof is not a list of nodes")
        if root == EMPTY_ROOT:
            if proof not in _EMPTY_PROOFS:
                raise AnswerError("the proof has nodes and its trie is empty")
            return None
        used, reference = 0, cast("_Reference", root)
        while True:
            if isinstance(reference, list):
                node = reference
                # It stands inside the node above; some servers list it as well.
                used += used < len(proof) and proof[used] == "0x" + rlp.encode(node).hex()
            else:
                node = self._node(reference, proof, used)
                used += 1
            step = _step(node, path)
            if isinstance(step, tuple):
                reference, path = step
                continue
            if used != len(proof):
                raise AnswerError(f"the proof has {len(proof)} nodes and the path to its key {used}")
            return step

    def _node(self, reference: bytes, proof: list[Any], position: int) -> list[Any]:
        if position == len(proof):
            raise AnswerError(f"the proof ends after {position} nodes, before its key is reached")
        text = proof[position]
        found = self._seen.get(text) if isinstance(text, str) else None
        if found is None:
            content = data(text)
            found = self._seen[text] = (keccak(content), _decoded(content, position))
        if found[0] != reference:
            above = f"node {position - 1} of the proof" if position else "the root"
            raise AnswerError(f"node {position} of the proof has the hash 0x{found[0].hex()} and {above} names 0x{reference.hex()}")
        return found[1]


def decode_list(content: bytes, count: int, what: str) -> list[bytes]:
    """Decode an RLP list of so many byte strings.

    Raises:
        AnswerError: It is something else.
    """
    items = _rlp(content, what)
    if not isinstance(items, list) or len(items) != count or not all(isinstance(item, bytes) for item in items):
        raise AnswerError(f"{what} is not a list of {count} values")
    return items


def decode_number(content: bytes, what: str) -> int:
    """Decode an RLP-encoded unsigned integer of at most 32 bytes.

    Raises:
        AnswerError: It is something else, or is written with leading zeros.
    """
    return number(_rlp(content, what), what)


def number(digits: object, what: str) -> int:
    """Read the bytes of an unsigned integer of at most 32 bytes without leading zeros.

    Raises:
        AnswerError: It is something else.
    """
    if not isinstance(digits, bytes) or len(digits) > _HASH or digits[:1] == b"\0":
        raise AnswerError(f"{what} is not a number")
    return int.from_bytes(digits, "big")


def _rlp(content: bytes, what: str) -> Any:
    try:
        return rlp.decode(content)
    except (rlp.DecodingError, RecursionError) as error:
        raise AnswerError(f"{what} is not RLP") from error


def _decoded(content: bytes, position: int) -> list[Any]:
    node = _rlp(content, f"node {position} of the proof")
    if not isinstance(node, list):
        raise AnswerError(f"node {position} of the proof is not a node")
    return node


def _step(node: list[Any], path: str) -> tuple[_Reference, str] | bytes | None:
    """Go one node further: the next node and the rest of the path, or what the trie holds at the path's end."""
    if len(node) == _BRANCH and path:
        child = node[int(path[0], 16)]
        return None if child == b"" else (_reference(child), path[1:])
    if len(node) != _SHORT or not isinstance(node[0], bytes) or not node[0]:
        raise AnswerError("a node of the proof is neither a branch, an extension nor a leaf")
    # Hex prefix: the first digit tells leaf (2) from extension (0), and whether a digit of the path follows it at once (1).
    digits = node[0].hex()
    flags = int(digits[0], 16)
    part = digits[1:] if flags & 1 else digits[2:]
    is_leaf = bool(flags & 2)
    if flags > _LARGEST_FLAGS or not (flags & 1 or digits[1] == "0") or not (is_leaf or part):
        raise AnswerError("a leaf or extension of the proof has a malformed path")
    if is_leaf:
        if path != part:
            return None  # the only key with this beginning is another one
        if not isinstance(node[1], bytes):
            raise AnswerError("a leaf of the proof holds no value")
        return node[1]
    return (_reference(node[1]), path[len(part) :]) if path.startswith(part) else None


def _reference(child: object) -> _Reference:
    if isinstance(child, list) or (isinstance(child, bytes) and len(child) == _HASH):
        return child
    raise AnswerError("a node of the proof names a child by something that is no hash")
