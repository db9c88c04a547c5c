"""What a Merkle-Patricia trie holds under a key, by a proof: its value, or that there is none; and the root of a trie of which all is known.

A proof is the nodes on the way from the root to the value, or to where the way ends. Each node must have the hash that the
one before names it by, and none may be left over. Specification: Ethereum yellow paper, appendix D; EIP-1186 for the
form of proofs; https://ethereum.org/en/developers/docs/data-structures-and-encoding/patricia-merkle-trie/.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from assay_verify import rlp
from assay_verify.digests import keccak256
from assay_verify.findings import MalformedError

EMPTY_ROOT = keccak256(rlp.encode(b""))
"""Root of a trie without values."""

_EMPTY_NODE = rlp.encode(b"")
_BRANCH, _PATH = 17, 2
_HASH = 32


def value_at(root: bytes, key: bytes, proof: Sequence[bytes]) -> bytes | None:
    """Return what stands under a key, None where the proof shows that nothing does.

    Args:
        root: Hash of the root node.
        key: As it stands in the trie: Ethereum's tries use Keccak-256 of the address or of the slot's position.
        proof: Encoded nodes from the root on.

    Raises:
        MalformedError: The nodes are no proof for this root and key.
    """
    if root == EMPTY_ROOT:
        if any(node != _EMPTY_NODE for node in proof):
            raise MalformedError("a proof with nodes of a trie that is empty")
        return None
    path, position, used = key.hex(), 0, 0
    reference: rlp.Item = root
    while True:
        if isinstance(reference, list):  # a node under 32 bytes stands inside the one before
            node = reference
            # Some servers list such nodes again, after the one that holds them.
            used += used < len(proof) and len(proof[used]) < _HASH and proof[used] == rlp.encode(node)
        else:
            node = _named(reference, proof, used)
            used += 1
        following, position = _step(node, path, position)
        if following is None or position > len(path):
            break
        reference = following
    if used != len(proof):
        raise MalformedError(f"a proof with {len(proof) - used} nodes that lead nowhere")
    return following if isinstance(following, bytes) else None


def list_root(values: Sequence[bytes]) -> bytes:
    """Return the root of the trie that holds values under their positions, as blocks hold transactions and receipts (yellow paper, section 4.3.2)."""
    if not values:
        return EMPTY_ROOT
    keyed = sorted((rlp.encode(rlp.number(position)).hex(), value) for position, value in enumerate(values))
    return keccak256(rlp.encode(_built(keyed, 0)))


def _built(items: Sequence[tuple[str, bytes]], depth: int) -> list[rlp.Item]:
    """Return the node that holds values whose paths are sorted and have so many nibbles in common."""
    first, last = items[0][0], items[-1][0]
    if first == last:
        return [_compacted(first[depth:], ends=True), items[0][1]]
    common = depth
    while first[common] == last[common]:
        common += 1
    if common > depth:
        return [_compacted(first[depth:common], ends=False), _named_by(_built(items, common))]
    branches: list[list[tuple[str, bytes]]] = [[] for _ in range(_BRANCH - 1)]
    for path, value in items:
        branches[int(path[depth], 16)].append((path, value))
    return [*(_named_by(_built(branch, depth + 1)) if branch else b"" for branch in branches), b""]


def _named_by(node: list[rlp.Item]) -> rlp.Item:
    """Return what the node above has for a node: its hash, or itself where it is short."""
    encoded = rlp.encode(node)
    return node if len(encoded) < _HASH else keccak256(encoded)


def _compacted(nibbles: str, *, ends: bool) -> bytes:
    """Write a path in hex-prefix encoding."""
    odd = len(nibbles) & 1
    return bytes.fromhex(f"{2 * ends + odd:x}{'' if odd else '0'}{nibbles}")


def _named(reference: bytes, proof: Sequence[bytes], used: int) -> list[rlp.Item]:
    """Return the next node of the proof, which must be the one that the node before names by its hash."""
    if used == len(proof):
        raise MalformedError("a proof that ends before the value")
    digest, node = _decoded(proof[used])
    if digest != reference:
        raise MalformedError(f"node {used + 1} of a proof has not the hash that {'the root' if used == 0 else 'the node before'} says")
    return node


@lru_cache(maxsize=4096)
def _decoded(encoded: bytes) -> tuple[bytes, list[rlp.Item]]:
    """Return hash and items of a node; the upper ones are the same in all proofs of a trie."""
    node = rlp.decode(encoded)
    if not isinstance(node, list):
        raise MalformedError("a node of a trie that is no list")
    return keccak256(encoded), node


def _step(node: list[rlp.Item], path: str, position: int) -> tuple[rlp.Item | None, int]:
    """Go down one node.

    Returns:
        The reference of the next node and the position in the path that it begins at; or, with a position beyond the path's end, the
        value; or None where the way ends.
    """
    if len(node) == _BRANCH:
        if position == len(path) or node[-1] != b"":
            # Hashed keys are of one length, so none ends inside the trie.
            raise MalformedError("a branch of a trie that ends a key")
        return _reference(node[int(path[position], 16)]), position + 1
    if len(node) != _PATH or not isinstance(node[0], bytes):
        raise MalformedError("a node of a trie that is neither branch nor extension nor leaf")
    nibbles, is_leaf = _compact(node[0])
    rest = path[position:]
    if is_leaf:
        if not isinstance(node[1], bytes) or not node[1]:
            raise MalformedError("a leaf of a trie without a value")
        if len(nibbles) != len(rest):
            raise MalformedError("a leaf of a trie at another depth than the key's length")
        return (node[1], len(path) + 1) if nibbles == rest else (None, position)
    following = _reference(node[1])
    if not nibbles or following is None or len(nibbles) >= len(rest):
        raise MalformedError("an extension of a trie that leads nowhere")
    return (following, position + len(nibbles)) if rest.startswith(nibbles) else (None, position)


def _reference(item: rlp.Item) -> rlp.Item | None:
    """Return a reference to a node: a hash, or a small node itself; None for no node."""
    if isinstance(item, list):
        if len(rlp.encode(item)) >= _HASH:
            raise MalformedError("a node of a trie that stands inside another one and is too long for that")
        return item
    if not item:
        return None
    if len(item) != _HASH:
        raise MalformedError("a reference in a trie that is no hash")
    return item


def _compact(prefixed: bytes) -> tuple[str, bool]:
    """Read a hex-prefix encoded path (yellow paper, appendix C): its nibbles, and whether it ends the key."""
    text = prefixed.hex()
    if not text or text[0] not in "0123" or (text[0] in "02" and text[1] != "0"):
        raise MalformedError("a path of a trie that is not hex-prefix encoded")
    return text[1 if text[0] in "13" else 2 :], text[0] in "23"
