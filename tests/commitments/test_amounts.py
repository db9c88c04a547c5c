"""Arithmetic on two words a number against Python's own integers, and what splitting promises about every balance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.commitments import amount_kernels as kernels
from assay.commitments.amount_kernels import words_of
from assay.commitments.survey import LADDER, LARGEST_BALANCES, Survey, decide
from assay.errors import AmountError
from tests.commitments.ledger import report_of

_amounts = st.one_of(
    st.integers(0, 10**38 - 1),
    st.builds(lambda digits, zeros: digits * 10**zeros, st.integers(0, 10**5), st.integers(0, 32)),
    st.builds(lambda exponent, more: max(0, 2**exponent + more), st.integers(0, 125), st.integers(-2, 2)),
)


def words(amount: int) -> tuple[np.uint64, np.uint64]:
    high, low = words_of(amount)
    return np.uint64(high), np.uint64(low)


def number(found: tuple[np.uint64, ...]) -> int:
    return int(found[0]) << 64 | int(found[1])


@settings(max_examples=500, deadline=None)
@given(one=_amounts, other=_amounts, divisor=st.integers(1, 2**32 - 1), power=st.integers(0, 37), random=st.integers(0, 2**128 - 1))
def test_numbers_of_two_words_are_reckoned_with_like_others(one: int, other: int, divisor: int, power: int, random: int) -> None:
    larger, smaller = max(one, other), min(one, other)
    assert number(kernels.add(*words(one), *words(other))) == one + other
    assert number(kernels.subtract(*words(larger), *words(smaller))) == larger - smaller
    quotient = kernels.divide(*words(one), np.uint64(divisor))
    assert (number(quotient[:2]), int(quotient[2])) == divmod(one, divisor)
    assert number(kernels.divide_power(*words(one), power)) == one // 10**power
    assert number(kernels.scale_power(*words(one // 10**power), power)) == one // 10**power * 10**power
    assert number(kernels.fraction_of(*words(one), *words(random))) == one * random >> 128
    if one:
        digits = str(one)
        assert kernels.trailing_zeros(*words(one)) == len(digits) - len(digits.rstrip("0"))
        assert kernels.places(kernels.POWERS, *words(one)) == len(digits)
    limit = next(rung for rung in LADDER if one <= LARGEST_BALANCES * rung)
    assert kernels.needed_parts(*words(one), *words(limit)) == (1 if one <= limit else -(-2 * one // limit))


def surveyed(balances: list[int]) -> Survey:
    survey = Survey.empty(report_of({"BTC": 8}))
    survey.add(np.array([[words_of(balance)] for balance in balances], np.uint64))
    return survey


@settings(max_examples=200, deadline=None)
@given(
    balances=st.lists(st.one_of(_amounts.map(lambda amount: amount // 100), st.integers(0, 10**9)), min_size=1, max_size=30),
    least=st.integers(2, 5),
    seed=st.integers(0, 2**32),
)
def test_parts_add_up_and_stay_below_the_limit(balances: list[int], least: int, seed: int) -> None:
    splitting = decide(surveyed(balances))
    users = np.array([[words_of(balance)] for balance in balances], np.uint64)
    parts = np.empty(len(balances), np.int64)
    kernels.count_parts(users, splitting.limit_words, least, parts)
    assert parts.min() >= least
    assert parts.max() <= 2 * LARGEST_BALANCES
    assert parts.sum() <= len(balances) * least + len(balances) // 8
    random = np.random.default_rng(seed).integers(0, 2**64, (int(parts.sum()), 1, 2), np.uint64)
    leaves = np.zeros_like(random)
    splitting.split(users, parts, random, leaves)
    start = 0
    for balance, count in zip(balances, parts.tolist(), strict=True):
        own = [number(leaf[0]) for leaf in leaves[start : start + count]]
        assert sum(own) == balance
        assert max(own) <= splitting.limits[0]
        start += count


@pytest.mark.parametrize(
    ("balance", "ends"),
    [
        (15 * 10**17, 10**17),  # 1.5: parts with one decimal
        (10**21, 10**20),  # 1,000: with hundreds
        (123_456 * 10**13, 10**15),  # 1.23456: one part with three decimals, the other with five
        (1_234_567_890_123_456_789, 1),
    ],
)
def test_a_balance_is_cut_where_its_parts_look_like_others(balance: int, ends: int) -> None:
    # Half of all balances have 18 digits after the point and no zeros at their end.
    others = [10**18 * (2000 + number) + 123_456_789_123_456_787 - 2 * number for number in range(64)]
    splitting = decide(surveyed([balance, *others]))
    users, parts = np.array([[words_of(balance)]], np.uint64), np.array([2], np.int64)
    whole = set()
    for seed in range(50):
        random = np.random.default_rng(seed).integers(0, 2**64, (2, 1, 2), np.uint64)
        leaves = np.zeros_like(random)
        splitting.split(users, parts, random, leaves)
        own = [number(leaf[0]) for leaf in leaves]
        assert all(own)
        assert any(part % ends == 0 for part in own)
        whole |= {part for part in own if ends > 1 or part % 10}
    assert len(whole) > 7


def test_a_total_beyond_38_digits_is_an_error() -> None:
    with pytest.raises(AmountError, match="BTC: the balances of all users add up to more than 38 digits"):
        surveyed([6 * 10**37, 5 * 10**37])
