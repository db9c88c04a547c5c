from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.money import FINER_DIGITS
from assay.publication import derived
from assay.publication.manifest import TABLES


@pytest.fixture
def folder(published: Path) -> Path:
    return published / "2023-02-17T160000Z"


@given(amount=st.integers(-(10**38) + 1, 10**38 - 1), decimals=st.integers(0, 38))
def test_amounts_in_whole_units_are_exact(amount: int, decimals: int) -> None:
    sign, digits, exponent = Decimal(derived.amount_text(amount, decimals)).as_tuple()
    assert exponent == -decimals
    assert int("".join(map(str, digits))) == abs(amount)
    assert bool(sign) == (amount < 0)


@pytest.mark.parametrize("name", derived.WHOLE_UNIT_TABLES)
def test_each_csv_says_exactly_what_its_table_says(folder: Path, name: str) -> None:
    table = pq.read_table(folder / "tables" / f"{name}.parquet").to_pylist()
    with (folder / "derived" / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(table)
    for text, row in zip(rows, table, strict=True):
        for column, value in text.items():
            if isinstance(row[column], Decimal):
                scale = row["decimals"] if -row[column].as_tuple().exponent in (0, FINER_DIGITS) else 0
                assert Decimal(value) == row[column].scaleb(-scale)
            elif row[column] is None:
                assert value == ""


def test_the_address_list_has_totals_first_and_then_the_columns_that_verifiers_read(folder: Path) -> None:
    lines = (folder / "derived" / "address_list.csv").read_text().splitlines()
    assert lines[:3] == ["coin,snapshot height,amount", "BTC,-,135.73500000", "BTC-bitcoin,216,135.73500000"]
    blank = lines.index("")
    assert (
        lines[blank + 1]
        == "coin,Network,Snapshot Height,address,amount,message,signature1,signature2,redeem script/ public key, eoa1, eoa2"
    )
    rows = list(csv.reader(lines[blank + 2 :]))
    assert {len(row) for row in rows} == {11}
    assert sum(Decimal(row[4]) for row in rows if row[0] == "USDT") == Decimal("3117664.819")


def test_no_table_is_derived_from_that_is_not_published() -> None:
    assert set(derived.WHOLE_UNIT_TABLES) <= set(TABLES)
