"""The figures of published reports must come out of totals that add up to them."""

from __future__ import annotations

import csv
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from assay.warehouse.runner import Computed
from tests.warehouse.samples import (
    DECIMALS,
    FIRST,
    REPOSITORY,
    SECOND,
    Row,
    Rows,
    assets,
    block,
    compute,
    control_totals,
    flow,
    liability,
    price,
    read_rows,
    wallet,
)

REPORTS = REPOSITORY.parent / "shared" / "reference" / "published_reports.csv"
CHAINS = {"BTC": "bitcoin", "ETH": "ethereum", "USDT": "arbitrum"}
# The report before the first of the file: published for BTC, current less growth for users, ratio for ETH and USDT wallets.
JANUARY_WALLETS = {"BTC": 123_914, "ETH": 1_237_943, "USDT": 2_985_253_792}
JANUARY_PRICES = {"BTC": "20780.25", "ETH": "1525.5", "USDT": "1.0002"}
FEBRUARY_PRICES = {"BTC": "24565.1", "ETH": "1690.12345678", "USDT": "1"}


def published() -> list[dict[str, str]]:
    if not REPORTS.exists():
        pytest.skip(f"the published figures are not at {REPORTS}")
    with REPORTS.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def base_units(thousands_of_units: int, asset: str) -> int:
    """Return the base units of a published figure scaled 1 : 1,000."""
    return thousands_of_units * int(10 ** (DECIMALS[asset] - 3))


def split(total: int) -> list[int]:
    """Cut a total into five uneven parts."""
    parts = [total // 7, total // 11, total // 3, 1]
    return [*parts, total - sum(parts)]


def tables(moment_prices: dict[str, str], wallets: dict[str, int], users: dict[str, int], *, height: int, first: bool) -> dict[str, Rows]:
    as_of = FIRST if first else SECOND
    blocks = {asset: block(chain, as_of, height) for asset, chain in CHAINS.items()}
    balances: list[Row] = []
    owed: list[Row] = []
    for asset in CHAINS:
        balances += [wallet(blocks[asset], number, asset, part) for number, part in enumerate(split(base_units(wallets[asset], asset)))]
        owed += [liability(number, asset, part) for number, part in enumerate(split(base_units(users[asset], asset)))]
        owed.append(liability(9, asset, -12_345, account_type="margin"))
    return {
        "assets": assets(*CHAINS),
        "snapshot_blocks": list(blocks.values()),
        "wallet_balances": balances,
        "liabilities": owed,
        "control_totals": control_totals(owed),
        "prices": [price(asset, text, as_of) for asset, text in moment_prices.items()],
    }


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Computed, Computed]:
    folder: Path = tmp_path_factory.mktemp("reports")
    february = {row["asset"]: row for row in published() if row["report_no"] == "4"}
    users = {asset: int(row["user_assets"]) for asset, row in february.items()}
    growth = {asset: int(row["growth_units_published"]) for asset, row in february.items()}
    wallets = {asset: int(row["wallet_assets"]) for asset, row in february.items()}
    before = {asset: users[asset] - growth[asset] for asset in users}
    first = compute(folder / "first", tables(JANUARY_PRICES, JANUARY_WALLETS, before, height=100, first=True), as_of=FIRST)
    inputs = tables(FEBRUARY_PRICES, wallets, users, height=200, first=False)
    flows = [flow(asset, "deposit", base_units(units, asset) + 500, flow_count=3) for asset, units in growth.items()]
    flows += [flow(asset, "withdrawal", -500) for asset in growth]
    second = compute(folder / "second", {**inputs, "flows": flows}, as_of=SECOND, previous=first, previous_as_of=FIRST)
    return first, second


def by_asset(path: Path) -> dict[object, dict[str, object]]:
    return {row["asset"]: row for row in read_rows(path)}


@pytest.mark.parametrize(
    ("asset", "percent", "ratio"), [("BTC", "103.88", "1.03880946"), ("ETH", "104.09", "1.04092653"), ("USDT", "102.08", "1.02088949")]
)
def test_ratios_are_those_of_the_published_totals(reports: tuple[Computed, Computed], asset: str, percent: str, ratio: str) -> None:
    row = by_asset(reports[1].tables["reserve_ratios"])[asset]
    assert row["ratio_gross"] == Decimal(ratio)
    assert str(row["ratio_gross"]).replace(".", "")[:5] == percent.replace(".", "")
    assert row["status"] == "covered"
    assert row["fully_backed"] is True


@pytest.mark.parametrize(
    ("asset", "change", "percent", "published_percent"),
    [("BTC", "12.982", "11.03", "9.9"), ("ETH", "109.511", "9.29", "8.5"), ("USDT", "98174.170", "3.32", "3.2")],
)
def test_growth_divides_by_the_previous_balance_and_not_by_the_current_one_as_published(
    reports: tuple[Computed, Computed], asset: str, change: str, percent: str, published_percent: str
) -> None:
    row = by_asset(reports[1].tables["deposit_deltas"])[asset]
    assert row["change"] == Decimal(change).scaleb(DECIMALS[asset])
    assert Decimal(str(row["change_percent"])).quantize(Decimal("0.01"), ROUND_HALF_UP) == Decimal(percent)
    assert published_percent != percent


def test_changes_in_usd_split_into_quantity_and_price_effect(reports: tuple[Computed, Computed]) -> None:
    row = by_asset(reports[1].tables["deposit_deltas"])["BTC"]
    # 117.682 BTC at 20,780.25 and 130.664 BTC at 24,565.10; 12.982 BTC at the old price.
    assert row["previous_value_usd"] == Decimal("2445461.38")
    assert row["current_value_usd"] == Decimal("3209774.23")
    assert row["change_usd"] == Decimal("764312.85")
    assert row["quantity_effect_usd"] == Decimal("269769.21")
    assert row["price_effect_usd"] == Decimal("494543.64")


def test_the_first_report_compares_with_nothing(reports: tuple[Computed, Computed]) -> None:
    for name, columns in {
        "deposit_deltas": ("previous_balance", "change", "change_percent", "change_usd", "quantity_effect_usd", "price_effect_usd"),
        "reserve_deltas": ("previous_amount", "change", "change_percent"),
        "reconciliation": ("opening", "deposits", "withdrawals", "expected", "unexplained"),
        "reserve_ratios": ("previous_ratio_gross",),
    }.items():
        for row in read_rows(reports[0].tables[name]):
            assert {row[column] for column in columns} == {None}, name
            assert row["previous_as_of"] is None
    assert "first_publication" in {row["item"] for row in read_rows(reports[0].tables["coverage"])}


def test_the_ratios_of_the_report_before_are_carried_over(reports: tuple[Computed, Computed]) -> None:
    first, second = (by_asset(report.tables["reserve_ratios"]) for report in reports)
    assert {asset: row["previous_ratio_gross"] for asset, row in second.items()} == {
        asset: row["ratio_gross"] for asset, row in first.items()
    }
    assert str(first["BTC"]["ratio_gross"]) == "1.05295627"


def test_reserves_changed_by_what_the_wallets_did(reports: tuple[Computed, Computed]) -> None:
    rows = by_asset(reports[1].tables["reserve_deltas"])
    assert rows["BTC"]["change"] == Decimal("11.821").scaleb(8)
    assert str(rows["BTC"]["change_percent"]) == "9.53968075"
    assert rows["BTC"]["chain"] == "bitcoin"


def test_flows_explain_the_whole_change_of_net_liabilities(reports: tuple[Computed, Computed]) -> None:
    for row in read_rows(reports[1].tables["reconciliation"]):
        assert row["unexplained"] == 0
        assert row["withdrawals"] == -500
        assert row["trades"] == 0


def test_every_published_row_reproduces_its_rounded_percentage() -> None:
    from assay.money import floor_ratio

    rows = published()
    assert len(rows) == 12
    for row in rows:
        exact = floor_ratio(int(row["wallet_assets"]), int(row["user_assets"])) * 100
        assert exact.quantize(Decimal(1), ROUND_HALF_UP) == int(row["reserve_ratio_published_pct"]), row
