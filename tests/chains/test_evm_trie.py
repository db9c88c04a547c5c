"""The proof verifier against the package `trie`, on tries of any shape."""

from __future__ import annotations

from typing import Any

import pytest
import rlp
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from assay.chains.answers import AnswerError
from assay.chains.evm.trie import EMPTY_ROOT, TrieProofs, decode_list, decode_number, number

# Short keys and values make tries whose nodes stand inside one another; values as long as accounts make ones whose nodes do not.
KEYS = st.binary(min_size=3, max_size=3)
VALUES = st.binary(min_size=1, max_size=3) | st.binary(min_size=60, max_size=80)
TRIES = st.dictionaries(KEYS, VALUES, min_size=1, max_size=40)


def trie_of(content: dict[bytes, bytes]) -> HexaryTrie:
    trie = HexaryTrie({})
    for key, value in content.items():
        trie[key] = value
    return trie


def proof_of(trie: HexaryTrie, key: bytes, *, embedded: bool) -> list[str]:
    """Return the nodes of a key's path; those that stand inside another one only where `embedded`."""
    encoded = [rlp.encode(node) for node in trie.get_proof(key)]
    kept = [node for position, node in enumerate(encoded) if embedded or not position or len(node) >= 32]
    return ["0x" + node.hex() for node in kept]


@given(TRIES, KEYS, st.booleans())
def test_what_is_there_and_what_is_not_is_proven_as_the_package_proves_it(
    content: dict[bytes, bytes], other: bytes, embedded: bool
) -> None:
    trie = trie_of(content)
    proofs = TrieProofs()
    for key in (*content, other):
        expected = HexaryTrie.get_from_proof(trie.root_hash, key, trie.get_proof(key)) or None
        assert expected == content.get(key)
        assert proofs.at(trie.root_hash, key.hex(), proof_of(trie, key, embedded=embedded)) == expected


@given(
    st.dictionaries(st.binary(min_size=1, max_size=32), st.binary(min_size=1, max_size=100), min_size=1, max_size=60),
    st.binary(max_size=32),
)
def test_keys_are_hashed_to_their_path(content: dict[bytes, bytes], other: bytes) -> None:
    trie = trie_of({keccak(key): value for key, value in content.items()})
    proofs = TrieProofs()
    for key in (*content, other):
        assert proofs.value(trie.root_hash, key, proof_of(trie, keccak(key), embedded=False)) == content.get(key)


@given(TRIES, KEYS, st.data())
def test_an_altered_proof_never_shows_anything_else(content: dict[bytes, bytes], other: bytes, draw: st.DataObject) -> None:
    trie = trie_of(content)
    key = draw.draw(st.sampled_from([*content, other]))
    proof = proof_of(trie, key, embedded=False)
    position = draw.draw(st.integers(0, len(proof) - 1))
    kind = draw.draw(st.sampled_from(["flip", "drop", "twice", "swap", "append"]))
    altered = list(proof)
    if kind == "flip":
        node = bytearray.fromhex(proof[position][2:])
        node[draw.draw(st.integers(0, len(node) - 1))] ^= draw.draw(st.integers(1, 255))
        altered[position] = "0x" + node.hex()
    elif kind == "drop":
        del altered[position]
    elif kind == "twice":
        altered.insert(position, proof[position])
    elif kind == "swap":
        altered.reverse()
    else:
        altered.append(proof_of(trie, draw.draw(st.sampled_from([*content])), embedded=False)[-1])
    if altered != proof:
        with pytest.raises(AnswerError):
            TrieProofs().at(trie.root_hash, key.hex(), altered)


@given(TRIES, KEYS, KEYS)
def test_the_proof_of_one_key_shows_nothing_about_another_unless_they_share_it(content: dict[bytes, bytes], one: bytes, two: bytes) -> None:
    trie = trie_of(content)
    try:
        found = TrieProofs().at(trie.root_hash, two.hex(), proof_of(trie, one, embedded=False))
    except AnswerError:
        return
    assert found == content.get(two)


@pytest.mark.parametrize("proof", [[], ["0x80"]])
def test_an_empty_trie_holds_nothing_however_that_is_proven(proof: list[str]) -> None:
    assert TrieProofs().value(EMPTY_ROOT, b"x", proof) is None


LEAF = rlp.encode([bytes.fromhex("20aabb"), b"value"])


@pytest.mark.parametrize(
    "proof",
    [None, {}, "0x80", [None], [5], ["80"], ["0x8"], ["0x80"], ["0xc0"], ["0x" + rlp.encode([b"a"]).hex()], ["0x" + LEAF.hex() + "00"], []],
)
def test_what_is_no_proof_of_a_trie_with_content_is_refused(proof: Any) -> None:
    with pytest.raises(AnswerError):
        TrieProofs().at(keccak(LEAF), "aabb", proof)


@pytest.mark.parametrize(
    "node",
    [
        [b"", b"value"],
        [b"\x45", b"value"],
        [b"\x21\x00", b"value"],
        [bytes.fromhex("21aabb"), b"value"],
        [bytes.fromhex("20aabb"), [b"value"]],
        [bytes.fromhex("00"), b"\x11" * 32],
        [bytes.fromhex("00aa"), b"short"],
        [b"short"] * 17,
        [b"", b"", b""],
    ],
)
def test_a_node_of_no_known_form_shows_nothing(node: Any) -> None:
    content = rlp.encode(node)
    try:
        found = TrieProofs().at(keccak(content), "aabb", ["0x" + content.hex()])
    except AnswerError:
        return
    assert found is None
    assert node[0][:1] == b"\x21"  # a well-formed leaf of another path


@given(st.integers(0, 2**256 - 1))
def test_numbers_are_read_exactly(value: int) -> None:
    assert decode_number(rlp.encode(value), "it") == value


@pytest.mark.parametrize(
    "content", [b"", b"\x00", rlp.encode(b"\x00\x01"), rlp.encode(b"\x01" * 33), rlp.encode([b"\x01"]), b"\x81\x05", b"\x05\x05"]
)
def test_anything_else_is_no_number(content: bytes) -> None:
    with pytest.raises(AnswerError):
        decode_number(content, "it")


@pytest.mark.parametrize("value", [None, "5", 5, [b"5"], b"\0", b"\0\x05", b"\x01" * 33])
def test_only_bytes_without_leading_zeros_are_a_number(value: object) -> None:
    with pytest.raises(AnswerError):
        number(value, "it")


@pytest.mark.parametrize("items", [b"", [], [b""] * 3, [b""] * 5, [b"", b"", b"", [b""]]])
def test_anything_but_a_list_of_so_many_values_is_refused(items: Any) -> None:
    with pytest.raises(AnswerError):
        decode_list(rlp.encode(items), 4, "it")
