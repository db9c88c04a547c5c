"""The hashes, against values that were computed from the format page byte by byte, without any of the code here."""

from __future__ import annotations

from typing import Any

import pytest

from assay_verify.sum_tree import hashing
from assay_verify.sum_tree.hashing import Report
from tests.verifier.sum_tree.tree_maker import Leaf, Tree

SETTINGS: dict[str, Any] = {"series": "s", "as_of": "2023-02-17T16:00:00Z", "revision": 1, "assets": (("BTC", 8), ("USDT", 6))}
REPORT = Report(**SETTINGS)
BALANCES = hashing.pack((5, 2**64))

CONTEXT = "976842c37cd394c52f0812c350551b6a09dc1bda84defc3d52c4ecd964f1d014"
USER_KEY = "b318932a434e7c1e85597cb2abd86b57a603dedea08131aac42a39255146818e"
LEAF = "91533ff1bfab6e1fd402a5200fd0f092a0dc827e4ed404455d9d6330e7b3e900"
PADDING = "25e9a15c3990c6f85d7c30b112ca35f7c23f0955c49404aa3a629cadb5893e28"
NODE = "ea2786372f06e86247a21c759000e25d5a2897618f83fded4f2aac2309640d99"
COMMITMENT = "f7a17bb5265f39860f512d1111e8751f8911ee66d7301aad7b33cfa1deb07bbb"


def test_every_hash_is_of_the_bytes_that_the_format_page_names() -> None:
    key = REPORT.user_key(b"\x11" * 32, "é")
    leaf = REPORT.leaf(key, 0, 2, b"\x22" * 32, BALANCES)
    node = REPORT.node(1, leaf + BALANCES, REPORT.padding(0) + bytes(32))
    found = (REPORT.context, key, leaf, REPORT.padding(0), node, REPORT.commitment(2, node + BALANCES))
    assert [one.hex() for one in found] == [CONTEXT, USER_KEY, LEAF, PADDING, NODE, COMMITMENT]


def test_the_maker_of_the_trees_of_other_tests_agrees() -> None:
    leaf = Leaf("é", 0, 2, b"\x22" * 32, (5, 2**64))
    tree = Tree(leaves=[leaf, leaf], blinds={"é": b"\x11" * 32}, **SETTINGS)
    assert (tree.context.hex(), tree.user_key("é").hex(), tree.leaf_hash(leaf).hex()) == (CONTEXT, USER_KEY, LEAF)
    assert tree.padding(0)[0].hex() == PADDING
    assert tree.node(1, (bytes.fromhex(LEAF), (5, 2**64)), tree.padding(0))[0].hex() == NODE


@pytest.mark.parametrize(("leaves", "level"), [(2, 1), (3, 2), (4, 2), (5, 3), (28672, 15), (1 << 40, 40)])
def test_the_root_stands_where_the_first_level_with_one_node_is(leaves: int, level: int) -> None:
    assert hashing.root_level(leaves) == level
    assert hashing.width(leaves, level) == 1
    assert hashing.width(leaves, level - 1) == 2


def test_symbols_are_ordered_by_their_bytes() -> None:
    assert hashing.in_order(["BTC", "ETH", "eth", "é"])
    assert not hashing.in_order(["BTC", "BTC"])
    # U+10000 comes after U+FFFF by bytes, and before it by UTF-16.
    assert hashing.in_order(["￿", "𐀀"])
    assert not hashing.in_order(["𐀀", "￿"])
