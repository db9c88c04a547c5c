from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.config import Settings
from assay.errors import PriceError
from assay.prices import DECIMALS, Price, _compare, load
from sandbox.prices import write_prices
from sandbox.scenario import FIRST, SECOND

GOOD = ["BTC,24322.87,USD,2023-02-17T16:00:00Z", "ETH,1678.41,USD,2023-02-17T15:30:00Z", "USDT,1.0001,USD,2023-02-17T16:00:00Z"]


@pytest.fixture
def settings(config_file: Path) -> Settings:
    settings = Settings.load(config_file)
    for source in settings.prices.sources:
        write(source.path, GOOD)
    return settings


def write(path: Path, rows: list[str], header: str = "asset,price,currency,time") -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def test_prices_carry_source_time_and_the_number_of_sources(settings: Settings, tmp_path: Path) -> None:
    table = pq.read_table(load(settings, SECOND, tmp_path))
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("BTC", "USD", Decimal("24322.87000000"), "primary", SECOND, 2),
        ("ETH", "USD", Decimal("1678.41000000"), "primary", SECOND - timedelta(minutes=30), 2),
        ("USDT", "USD", Decimal("1.00010000"), "primary", SECOND, 2),
    ]
    assert table.schema.field("price").type == pa.decimal128(38, 8)
    assert table.schema.field("time").type == pa.timestamp("us", tz="UTC")


def test_the_last_price_at_or_before_the_moment_counts_wherever_it_stands(settings: Settings, tmp_path: Path) -> None:
    rows = [*GOOD, "BTC,1,USD,2023-02-17T15:59:59Z", "BTC,99999,USD,2023-02-17T16:00:01Z"]
    write(settings.prices.sources[0].path, rows[::-1])
    assert pq.read_table(load(settings, SECOND, tmp_path))["price"][0].as_py() == Decimal("24322.87")


def test_assets_that_the_registry_does_not_know_are_ignored(settings: Settings, tmp_path: Path) -> None:
    write(settings.prices.sources[0].path, [*GOOD, "DOGE,1e-2,EUR,yesterday"])
    assert pq.read_table(load(settings, SECOND, tmp_path))["asset"].to_pylist() == ["BTC", "ETH", "USDT"]


@pytest.mark.parametrize("moment", [FIRST, SECOND])
def test_the_sandboxs_files_are_good_for_both_moments(settings: Settings, tmp_path: Path, moment: datetime) -> None:
    paths = write_prices(tmp_path / "sandbox", litecoin=False)
    sources = tuple(dataclasses.replace(source, path=path) for source, path in zip(settings.prices.sources, paths, strict=True))
    settings = dataclasses.replace(settings, prices=dataclasses.replace(settings.prices, sources=sources))
    prices = pq.read_table(load(settings, moment, tmp_path))["price"].to_pylist()
    assert Decimal(15_000) < prices[0] < Decimal(30_000)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("BTC,2.4e4,USD,2023-02-17T16:00:00Z", "line 2: BTC: '2.4e4' is not a plain decimal number"),
        ("BTC,24322.870000001,USD,2023-02-17T16:00:00Z", "line 2: BTC: .* finer than one base unit"),
        ("BTC,NaN,USD,2023-02-17T16:00:00Z", "line 2: BTC: 'NaN' is not a plain decimal number"),
        (f"BTC,{'9' * 31},USD,2023-02-17T16:00:00Z", "line 2: BTC: the amount has 39 digits"),
        ("BTC,0,USD,2023-02-17T16:00:00Z", "line 2: the price of BTC is 0 and must be positive"),
        ("BTC,-1,USD,2023-02-17T16:00:00Z", "line 2: the price of BTC is -1 and must be positive"),
        ("BTC,24322.87,EUR,2023-02-17T16:00:00Z", "line 2: the currency of BTC is 'EUR' and not USD"),
        ("BTC,24322.87,USD,2023-02-17 16:00", "line 2: BTC: '2023-02-17 16:00' is not a UTC instant"),
        ("BTC,24322.87,USD,2023-02-30T16:00:00Z", "line 2: BTC: '2023-02-30T16:00:00Z' is not a date"),
        ("BTC,24322.87,USD", "line 2: it has 3 columns and 4 are expected"),
        ('"BTC"x,24322.87,USD,2023-02-17T16:00:00Z', "line 2: it is not a CSV file"),
        ("BTC,24322.87,USD,2023-02-17T15:00:00Z", "cross|line 2"),
        ("BTC,24322.87,USD,2023-02-17T14:59:59Z", "line 2: the last price of BTC is 3601 s older than 2023-02-17T16:00:00Z"),
        ("BTC,24322.87,USD,2023-02-17T16:00:01Z", "primary.csv: BTC has no price at or before 2023-02-17T16:00:00Z"),
        ("ETH,1678.41,USD,2023-02-17T15:30:00Z", "line 3: ETH at 2023-02-17T15:30:00Z is there already, in line 2"),
    ],
)
def test_a_bad_row_is_named_with_its_file_and_rule(settings: Settings, tmp_path: Path, row: str, said: str) -> None:
    write(settings.prices.sources[0].path, [row, *GOOD[1:]])
    if said == "cross|line 2":  # an hour old to the second is still fresh
        load(settings, SECOND, tmp_path)
        return
    with pytest.raises(PriceError, match=said) as caught:
        load(settings, SECOND, tmp_path)
    assert str(settings.prices.sources[0].path) in str(caught.value)
    assert not (tmp_path / "prices.parquet").exists()


@pytest.mark.parametrize("number", [0, 1])
def test_every_source_must_have_every_asset(settings: Settings, tmp_path: Path, number: int) -> None:
    write(settings.prices.sources[number].path, GOOD[:-1])
    with pytest.raises(PriceError, match="USDT has no price"):
        load(settings, SECOND, tmp_path)


def test_a_missing_file_and_a_wrong_header_are_named(settings: Settings, tmp_path: Path) -> None:
    path = settings.prices.sources[1].path
    write(path, GOOD, header="asset,price,time,currency")
    with pytest.raises(PriceError, match="line 1: the header is 'asset,price,time,currency'"):
        load(settings, SECOND, tmp_path)
    path.write_bytes(b"asset,price,currency,time\n\xff")
    with pytest.raises(PriceError, match="line 2: it is not UTF-8"):
        load(settings, SECOND, tmp_path)
    path.write_bytes(b"")
    with pytest.raises(PriceError, match="it is empty"):
        load(settings, SECOND, tmp_path)
    path.unlink()
    with pytest.raises(PriceError, match="cannot be read"):
        load(settings, SECOND, tmp_path)


def test_sources_that_differ_are_both_named(settings: Settings, tmp_path: Path) -> None:
    write(settings.prices.sources[1].path, ["BTC,24600.00,USD,2023-02-17T16:00:00Z", *GOOD[1:]])
    with pytest.raises(PriceError, match=r"BTC is 24600.00000000 in secondary and 24322.87000000 in primary .* more than 100"):
        load(settings, SECOND, tmp_path)


def price(units: int) -> Price:
    return Price(asset="BTC", price=units, time=SECOND, source="s", row="r")


@given(st.integers(1, 10**30), st.integers(1, 10**30), st.integers(0, 10_000))
def test_the_tolerance_is_exact(first: int, other: int, tolerance: int) -> None:
    apart = abs(Decimal(first) - Decimal(other)) * 10_000 > Decimal(tolerance) * first
    if apart:
        with pytest.raises(PriceError):
            _compare(price(first), price(other), tolerance)
    else:
        _compare(price(first), price(other), tolerance)


def test_prices_one_basis_point_apart_meet_a_tolerance_of_one() -> None:
    one = 10**DECIMALS
    _compare(price(one), price(one + one // 10_000), 1)
    with pytest.raises(PriceError):
        _compare(price(one), price(one + one // 10_000 + 1), 1)
