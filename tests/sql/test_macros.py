from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import floor

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assay import money
from assay.warehouse.session import session
from tests.warehouse.samples import SQL

LARGEST = 10**38 - 1
amounts = st.integers(min_value=0, max_value=38).flatmap(lambda digits: st.integers(min_value=0, max_value=10**digits - 1))
signed_amounts = st.builds(lambda amount, sign: amount * sign, amounts, st.sampled_from([1, -1]))
prices = st.integers(min_value=1, max_value=10**14)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with session() as opened:
        opened.execute((SQL / "macros.sql").read_text())
        yield opened


def exact(connection: duckdb.DuckDBPyConnection, expression: str, rows: list[tuple[object, ...]]) -> list[Decimal | None]:
    """Evaluate an expression of `a0`, `a1`, … for each row; values go in and out as text, so that none becomes a float on its way."""
    columns = ", ".join(f"unnest(?::varchar[]) as a{number}" for number in range(len(rows[0])))
    texts = [[str(row[number]) for row in rows] for number in range(len(rows[0]))]
    found = connection.execute(f"select ({expression})::varchar from (select {columns})", texts).fetchall()
    return [None if cell is None else Decimal(cell) for (cell,) in found]


# Planning a statement costs more than a row, so an example is a list of rows.
@given(
    st.lists(st.tuples(amounts, amounts).filter(lambda row: row[1] == 0 or row[0] * 10**8 // row[1] <= LARGEST), min_size=1, max_size=15)
)
@example([(LARGEST, LARGEST), (LARGEST, LARGEST - 1), (LARGEST - 1, LARGEST), (0, 1)])
@settings(max_examples=12, deadline=None)
def test_a_ratio_is_the_exact_fraction_rounded_down(connection: duckdb.DuckDBPyConnection, rows: list[tuple[int, int]]) -> None:
    found = exact(connection, "floor_ratio(a0::decimal(38, 0), a1::decimal(38, 0))", [*rows])
    for (numerator, denominator), ratio in zip(rows, found, strict=True):
        if denominator == 0:
            assert ratio is None
            continue
        assert ratio is not None
        assert Fraction(ratio) == Fraction(floor(Fraction(numerator, denominator) * 10**8), 10**8)
        assert ratio == money.floor_ratio(numerator, denominator)
        assert (ratio >= 1) == (numerator >= denominator)


@given(
    st.lists(
        st.tuples(signed_amounts, amounts).filter(lambda row: row[1] == 0 or abs(row[0]) * 10**10 // row[1] < LARGEST),
        min_size=1,
        max_size=15,
    )
)
@example([(LARGEST, LARGEST), (-1, 2 * 10**10), (1, 2 * 10**10)])
@settings(max_examples=12, deadline=None)
def test_a_percentage_divides_by_the_previous_balance_and_rounds_half_away_from_zero(
    connection: duckdb.DuckDBPyConnection, rows: list[tuple[int, int]]
) -> None:
    found = exact(connection, "percent_change(a0::decimal(38, 0), a1::decimal(38, 0))", [*rows])
    for (change, previous), percent in zip(rows, found, strict=True):
        if previous == 0:
            assert percent is None
            continue
        rounded = floor(Fraction(abs(change) * 10**10, previous) + Fraction(1, 2)) * (-1 if change < 0 else 1)
        assert percent is not None
        assert Fraction(percent) == Fraction(rounded, 10**8)
        assert percent == money.percent_change(change, previous, places=8)


def cents(amount: int, decimals: int, price: int) -> Fraction:
    return Fraction(amount * price, 10 ** (decimals + 6))


@given(
    st.lists(
        st.tuples(signed_amounts, st.integers(min_value=0, max_value=24), prices).filter(lambda row: abs(cents(*row)) < LARGEST - 1),
        min_size=1,
        max_size=15,
    )
)
@example([(LARGEST, 24, 1), (-LARGEST, 18, 10**11), (5, 3, 10**8), (-5, 3, 10**8)])
@settings(max_examples=12, deadline=None)
def test_a_value_is_the_exact_product_rounded_half_away_from_zero_to_cents(
    connection: duckdb.DuckDBPyConnection, rows: list[tuple[int, int, int]]
) -> None:
    texts = [(amount, decimals, f"{price // 10**8}.{price % 10**8:08}") for amount, decimals, price in rows]
    found = exact(connection, "value_usd(a0::decimal(38, 0), a1::integer, a2::decimal(38, 8))", [*texts])
    for row, value in zip(rows, found, strict=True):
        assert value is not None
        assert Fraction(value) == Fraction(floor(abs(cents(*row)) + Fraction(1, 2)) * (-1 if row[0] < 0 else 1), 100)


@pytest.mark.parametrize(
    ("expression", "rule"),
    [
        ("floor_ratio('99999999999999999999999999999999999999'::decimal(38, 0), 1::decimal(38, 0))", "a ratio over 30 whole digits"),
        ("floor_ratio(-1::decimal(38, 0), 3::decimal(38, 0))", "negative reserves"),
        ("exact_sum(x) from (values ('99999999999999999999999999999999999999'::decimal(38, 0)), (1)) t(x)", "a sum over 38 digits"),
        ("value_usd(1::decimal(38, 0), 33, 1::decimal(38, 8))", "more decimals than fit"),
    ],
)
def test_what_does_not_fit_is_an_error_and_never_a_wrong_number(connection: duckdb.DuckDBPyConnection, expression: str, rule: str) -> None:
    with pytest.raises(duckdb.Error):
        connection.execute(f"select {expression}").fetchall()


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("floor_ratio(1::decimal(38, 0), 0::decimal(38, 0))", None),
        ("floor_ratio(1::decimal(38, 0), -1::decimal(38, 0))", None),
        ("floor_ratio(99999999, 100000000)", "0.99999999"),
        ("floor_ratio(999999999999, 1000000000000)", "0.99999999"),
        ("percent_change(null, 5)", None),
        ("percent_change(5, null)", None),
        ("percent_change(1, 3)", "33.33333333"),
        ("percent_change(2, 3)", "66.66666667"),
        ("percent_change(-2, 3)", "-66.66666667"),
        ("value_usd(null, 8, 1)", None),
        ("value_usd(0, 8, 1)", "0.00"),
        ("whole_units(-1234567::decimal(38, 0), 6)", "-1.234567"),
        ("whole_units(5::decimal(38, 0), 18)", "0.000000000000000005"),
        ("whole_units(5::decimal(38, 0), 0)", "5"),
        ("exact_sum(x) from (select 1::decimal(38, 0) as x where false)", None),
        ("power_of_ten(38)", "1" + "0" * 38),
    ],
)
def test_hand_computed_values(connection: duckdb.DuckDBPyConnection, expression: str, result: str | None) -> None:
    function, _, source = expression.partition(" from ")
    found = connection.execute(f"select ({function})::varchar" + (f" from {source}" if source else "")).fetchall()
    assert found == [(result,)]


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("floor_ratio(1::decimal(38, 0), 2::decimal(38, 0))", "DECIMAL(38,8)"),
        ("percent_change(1::decimal(38, 0), 2::decimal(38, 0))", "DECIMAL(38,8)"),
        ("value_usd(1::decimal(38, 0), 8, 1::decimal(38, 8))", "DECIMAL(38,2)"),
        ("exact_sum(1::decimal(38, 0))", "DECIMAL(38,0)"),
    ],
)
def test_results_are_decimals_that_parquet_keeps(connection: duckdb.DuckDBPyConnection, expression: str, kind: str) -> None:
    assert connection.execute(f"select typeof({expression})").fetchall() == [(kind,)]
