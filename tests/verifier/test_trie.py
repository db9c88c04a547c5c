"""The verifier's RLP and Merkle-Patricia tries against the Ethereum Foundation's `rlp` and `trie`."""

from __future__ import annotations

from typing import Any

import pytest
import rlp as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie

from assay_verify import rlp
from assay_verify.findings import MalformedError
from assay_verify.trie import EMPTY_ROOT, value_at

ITEM = st.recursive(st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6), max_leaves=30)
# Long common beginnings give extensions, and nodes of under 32 bytes that stand inside others.
KEYS = st.binary(min_size=2, max_size=2).map(lambda end: bytes(30) + end) | st.binary(min_size=32, max_size=32)


def plain(item: Any) -> Any:
    return bytes(item) if isinstance(item, bytes | bytearray) else [plain(part) for part in item]


@given(item=ITEM)
def test_rlp_is_written_and_read_as_by_the_reference(item: Any) -> None:
    written = reference.encode(item)
    assert rlp.encode(item) == written
    assert rlp.decode(written) == item


@given(data=st.binary(max_size=80) | ITEM.map(reference.encode).flatmap(lambda whole: st.just(whole[:-1]) | st.just(whole + b"\0")))
def test_what_one_refuses_the_other_refuses(data: bytes) -> None:
    try:
        expected = plain(reference.decode(data, strict=True))
    except reference.exceptions.DecodingError:
        with pytest.raises(MalformedError):
            rlp.decode(data)
    else:
        assert rlp.decode(data) == expected


@pytest.mark.parametrize("data", ["", "8100", "817f", "b800", "b837" + "00" * 55, "b90001" + "00", "c1", "c281", "f800", "c3c38001"])
def test_other_than_the_shortest_form_and_cut_off_items_are_refused(data: str) -> None:
    with pytest.raises(MalformedError):
        rlp.decode(bytes.fromhex(data))


def test_nesting_without_end_is_refused_and_does_not_exhaust_the_stack() -> None:
    deep = b""
    for _ in range(3000):
        deep = bytes([0xC0 + len(deep)]) + deep if len(deep) < 56 else rlp_list(deep)
    with pytest.raises(MalformedError, match="nested too deeply"):
        rlp.decode(deep)


@settings(max_examples=150, deadline=None)
@given(values=st.dictionaries(KEYS, st.binary(min_size=1, max_size=40), max_size=40), absent=KEYS, listed_again=st.booleans())
def test_a_proof_shows_the_value_of_every_key_and_the_absence_of_others(
    values: dict[bytes, bytes], absent: bytes, listed_again: bool
) -> None:
    trie = HexaryTrie({})
    for key, value in values.items():
        trie[key] = value
    for key in [*values, absent]:
        assert value_at(trie.root_hash, key, proof_of(trie, key, listed_again=listed_again)) == values.get(key)


@settings(max_examples=150, deadline=None)
@given(values=st.dictionaries(KEYS, st.binary(min_size=1, max_size=40), min_size=1, max_size=20), data=st.data())
def test_a_changed_missing_or_additional_node_proves_nothing(values: dict[bytes, bytes], data: st.DataObject) -> None:
    trie = HexaryTrie({})
    for key, value in values.items():
        trie[key] = value
    key = data.draw(st.sampled_from(sorted(values)))
    proof = proof_of(trie, key)
    number = data.draw(st.integers(0, len(proof) - 1))
    place = data.draw(st.integers(0, len(proof[number]) - 1))
    changed = bytearray(proof[number])
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    bad = [[*proof[:number], bytes(changed), *proof[number + 1 :]], proof[:-1], [*proof, proof[-1]], []]
    for nodes in bad:
        with pytest.raises(MalformedError):
            value_at(trie.root_hash, key, nodes)


def test_a_proof_of_one_key_proves_nothing_about_another() -> None:
    trie = HexaryTrie({})
    for number in range(50):
        trie[bytes([number * 5]) * 32] = b"value"
    with pytest.raises(MalformedError):
        value_at(trie.root_hash, bytes([5]) * 32, proof_of(trie, bytes([10]) * 32))


def test_an_empty_trie_holds_nothing_and_has_no_other_proof() -> None:
    assert HexaryTrie({}).root_hash == EMPTY_ROOT
    assert value_at(EMPTY_ROOT, bytes(32), []) is None
    assert value_at(EMPTY_ROOT, bytes(32), [b"\x80"]) is None
    with pytest.raises(MalformedError):
        value_at(EMPTY_ROOT, bytes(32), [b"\xc0"])


def rlp_list(content: bytes) -> bytes:
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([0xF7 + len(length)]) + length + content


def proof_of(trie: HexaryTrie, key: bytes, *, listed_again: bool = False) -> list[bytes]:
    """Return a proof in the form of EIP-1186; `listed_again` with the nodes that stand inside others, as some servers list them."""
    nodes = [reference.encode(node) for node in trie.get_proof(key)]
    kept = [node for number, node in enumerate(nodes) if number == 0 or len(node) >= 32 or (listed_again and node != b"\x80")]
    return [] if trie.root_hash == EMPTY_ROOT else kept
