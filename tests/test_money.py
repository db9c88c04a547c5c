from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import AmountError
from assay.money import check_amount, floor_ratio, format_amount, parse_amount, percent_change

amounts = st.integers(min_value=-(10**38) + 1, max_value=10**38 - 1)


@given(amounts, st.integers(min_value=0, max_value=18))
def test_a_written_amount_reads_back_as_itself(amount: int, decimals: int) -> None:
    assert parse_amount(format_amount(amount, decimals).replace(",", ""), decimals, subject="x") == amount


@pytest.mark.parametrize("text", ["", "-", "1e5", "NaN", "Infinity", "1,000", "+1", " 1", "1 ", "0x10", "1.2.3", ".5", "--1", "١", "1_000"])
def test_anything_but_a_plain_decimal_number_is_refused(text: str) -> None:
    with pytest.raises(AmountError, match="plain decimal number"):
        parse_amount(text, 8, subject="row 7")


def test_an_amount_finer_than_a_base_unit_is_refused_and_trailing_zeros_are_not() -> None:
    assert parse_amount("1.230000000", 2, subject="x") == 123
    with pytest.raises(AmountError, match="finer than one base unit"):
        parse_amount("1.231", 2, subject="x")


@pytest.mark.parametrize("amount", [10**38, -(10**38), 10**60])
def test_more_than_38_digits_are_refused(amount: int) -> None:
    with pytest.raises(AmountError, match="at most 38 are allowed"):
        check_amount(amount, subject="x")
    with pytest.raises(AmountError, match="at most 38 are allowed"):
        parse_amount(str(amount), 0, subject="x")


def test_an_absurdly_long_number_is_refused_with_the_same_error() -> None:
    with pytest.raises(AmountError, match="has 100000 digits"):
        parse_amount("9" * 100_000, 0, subject="x")


@given(amounts, st.integers(min_value=1, max_value=10**38 - 1))
def test_a_ratio_is_the_largest_8_decimals_that_do_not_exceed_it(numerator: int, denominator: int) -> None:
    ratio = Fraction(floor_ratio(numerator, denominator))
    exact = Fraction(numerator, denominator)
    assert ratio <= exact < ratio + Fraction(1, 10**8)


@given(st.integers(min_value=1, max_value=10**38 - 1))
def test_one_base_unit_short_is_never_shown_as_fully_backed(liabilities: int) -> None:
    assert floor_ratio(liabilities - 1, liabilities) < 1
    assert floor_ratio(liabilities, liabilities) == 1


@given(amounts, st.integers(min_value=1, max_value=10**38 - 1), st.integers(min_value=0, max_value=8))
def test_a_percentage_is_within_half_a_unit_of_its_last_place(change: int, previous: int, places: int) -> None:
    error = abs(Fraction(percent_change(change, previous, places=places)) - Fraction(100 * change, previous))
    assert error <= Fraction(1, 2 * 10**places)


def test_halves_are_rounded_away_from_zero() -> None:
    assert percent_change(5, 100_000, places=2) == Decimal("0.01")
    assert percent_change(-5, 100_000, places=2) == Decimal("-0.01")
    assert percent_change(5, 100_000, places=3) == Decimal("0.005")


def test_a_ratio_over_nothing_has_no_value() -> None:
    with pytest.raises(ZeroDivisionError):
        floor_ratio(1, 0)
    with pytest.raises(ZeroDivisionError):
        percent_change(1, 0)


def test_amounts_are_shown_with_separators_cut_and_signed() -> None:
    assert format_amount(3_053_870_994_000, 6, places=3) == "3,053,870.994"
    assert format_amount(-1, 8) == "-0.00000001"
    assert format_amount(1_999, 3, places=1, sign=True) == "+1.9"
    assert format_amount(5, 0) == "5"
