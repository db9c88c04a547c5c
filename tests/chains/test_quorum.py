from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec.structs
import pytest

from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import agree_on_balances, agree_on_block, agree_on_hash
from assay.errors import SourceMismatchError

BLOCK = SnapshotBlock(
    chain="ethereum", height=7, hash="0xaa", time=datetime(2023, 2, 17, tzinfo=UTC), finality="finalized", distance_seconds=5
)
BALANCES = [Balance(address="0x1", asset="ETH", amount=5, evidence="e"), Balance(address="0x1", asset="USDT", amount=0, evidence="e")]


def test_sources_that_agree_stand() -> None:
    assert agree_on_block({"a": BLOCK, "b": BLOCK}) == BLOCK
    assert (
        agree_on_balances("ethereum", {"a": BALANCES, "b": [msgspec.structs.replace(item, evidence="other") for item in BALANCES]})
        == BALANCES
    )
    agree_on_hash(BLOCK, {"a": "0xaa", "b": "0xaa"})


def test_different_blocks_are_refused_with_who_said_what() -> None:
    with pytest.raises(SourceMismatchError, match="a says 7 0xaa, b says 7 0xbb"):
        agree_on_block({"a": BLOCK, "b": replace(BLOCK, hash="0xbb")})


@pytest.mark.parametrize("row", [0, 1])
def test_one_unit_of_difference_is_refused_with_who_said_what(row: int) -> None:
    other = list(BALANCES)
    other[row] = msgspec.structs.replace(other[row], amount=other[row].amount + 1)
    with pytest.raises(SourceMismatchError) as caught:
        agree_on_balances("ethereum", {"honest": BALANCES, "liar": other})
    assert f"honest says {BALANCES[row].amount}, liar says {BALANCES[row].amount + 1}" in str(caught.value)
    assert "address 0x1" in str(caught.value)


def test_an_answer_left_out_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="different addresses or assets"):
        agree_on_balances("ethereum", {"a": BALANCES, "b": BALANCES[:1]})


def test_a_block_that_changed_its_hash_is_a_reorganisation() -> None:
    with pytest.raises(SourceMismatchError, match="reorganised during the run"):
        agree_on_hash(BLOCK, {"a": "0xaa", "b": "0xcc"})
