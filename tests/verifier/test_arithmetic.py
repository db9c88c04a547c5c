"""The verifier's arithmetic against exact fractions, and against the publisher's."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay import money
from assay_verify import arithmetic

AMOUNT = st.integers(0, 10**38 - 1)
WIDE = Context(prec=100)
SIGNED = st.integers(-(10**38) + 1, 10**38 - 1)


@given(reserves=AMOUNT, owed=SIGNED)
def test_ratios_are_the_floor_of_the_exact_fraction_and_have_no_value_over_nothing(reserves: int, owed: int) -> None:
    ratio = arithmetic.floor_ratio(reserves, owed)
    if owed <= 0:
        assert ratio is None
    else:
        assert ratio is not None
        assert 0 <= Fraction(reserves, owed) - Fraction(ratio, 10**8) < Fraction(1, 10**8)
        assert Decimal(ratio) == money.floor_ratio(reserves, owed).scaleb(8, context=WIDE)


@given(change=SIGNED, previous=AMOUNT)
def test_percentages_are_the_nearest_with_halves_away_from_zero(change: int, previous: int) -> None:
    percent = arithmetic.percent_change(change, previous)
    if previous == 0:
        assert percent is None
    else:
        assert percent is not None
        assert Decimal(percent) == money.percent_change(change, previous, places=8).scaleb(8, context=WIDE)


@pytest.mark.parametrize(("numerator", "expected"), [(5, 1), (4, 0), (-5, -1), (-4, 0), (15, 2), (14, 1), (-15, -2), (0, 0)])
def test_halves_go_away_from_zero(numerator: int, expected: int) -> None:
    assert arithmetic.half_up(numerator, 10) == expected


def test_the_published_growth_is_over_the_balance_before() -> None:
    assert arithmetic.percent_change(12_982, 117_682) == 11_03142367
    assert arithmetic.percent_change(1, 0) is None
    assert arithmetic.percent_change(None, 5) is None


@given(amount=SIGNED, decimals=st.integers(0, 18), price=st.integers(1, 10**16))
def test_values_are_within_half_a_cent(amount: int, decimals: int, price: int) -> None:
    exact = Fraction(amount * price * 100, 10 ** (decimals + 8))
    assert abs(exact - arithmetic.value_in_cents(amount, decimals, price)) <= Fraction(1, 2)


def test_amounts_and_ratios_are_written_for_people() -> None:
    assert arithmetic.whole_units(-1_234_567_890, 6) == "-1,234.56789"
    assert arithmetic.whole_units(5, 0) == "5"
    assert arithmetic.percent_text(9_999_999, 10_000_000) == "99.99 %"
    assert arithmetic.percent_text(1, 0) == "nothing owed"
