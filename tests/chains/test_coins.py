from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.bitcoin.coins import ContradictionError, check_inclusion, replay
from assay.chains.bitcoin.transactions import Transaction, double_sha256

A, B, TREASURY = b"a", b"b", b"t"
MINED = Transaction("01" * 32, (b"\x00" * 36,), ((100, TREASURY),))
PAID = Transaction("02" * 32, (MINED.outpoint(0),), ((30, A), (20, B), (50, TREASURY)))
SPENT = Transaction("03" * 32, (PAID.outpoint(0),), ((5, A), (25, TREASURY)))


def by_id(*transactions: Transaction) -> dict[str, Transaction]:
    return {transaction.txid: transaction for transaction in transactions}


def test_a_balance_is_what_was_paid_and_not_spent() -> None:
    histories = {A: [PAID.txid, SPENT.txid], B: [PAID.txid], b"unused": []}
    assert replay(histories, by_id(PAID, SPENT)) == {A: 5, B: 20, b"unused": 0}


def test_the_order_of_transactions_does_not_matter() -> None:
    assert replay({A: [SPENT.txid, PAID.txid]}, by_id(SPENT, PAID)) == {A: 5}


@pytest.mark.parametrize(
    ("histories", "transactions"),
    [
        ({A: [SPENT.txid]}, (SPENT,)),  # pays five, but where is what it spends? the history of B below shows it
        ({A: [PAID.txid], B: [PAID.txid, SPENT.txid]}, (PAID, SPENT)),
        ({A: [PAID.txid], TREASURY: [MINED.txid, PAID.txid, SPENT.txid]}, (MINED, PAID, SPENT)),
        ({B: [MINED.txid]}, (MINED,)),
    ],
)
def test_histories_that_differ_from_their_transactions_are_contradictions(
    histories: dict[bytes, list[str]], transactions: tuple[Transaction, ...]
) -> None:
    if histories == {A: [SPENT.txid]}:
        assert replay(histories, by_id(*transactions)) == {A: 5}
        histories = histories | {B: [SPENT.txid]}
    with pytest.raises(ContradictionError, match="history"):
        replay(histories, by_id(*transactions))


def test_a_coin_that_is_spent_twice_is_a_contradiction() -> None:
    again = replace(SPENT, txid="04" * 32)
    with pytest.raises(ContradictionError, match="same coin"):
        replay({A: [PAID.txid, SPENT.txid, again.txid]}, by_id(PAID, SPENT, again))


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40, unique=True), st.data())
def test_a_branch_leads_to_the_root_from_its_own_leaf_only(leaves: list[bytes], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(leaves) - 1))
    level, place, branch = leaves, position, []
    while len(level) > 1:
        level = level + level[-1:] if len(level) % 2 else level
        branch.append(level[place ^ 1])
        level = [double_sha256(level[start] + level[start + 1]) for start in range(0, len(level), 2)]
        place //= 2
    check_inclusion(leaves[position][::-1].hex(), branch, position, level[0])
    with pytest.raises(ContradictionError):
        check_inclusion(double_sha256(leaves[position]).hex(), branch, position, level[0])
    with pytest.raises(ContradictionError):
        check_inclusion(leaves[position][::-1].hex(), branch, position + 2 ** len(branch), level[0])
