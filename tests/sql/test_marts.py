"""The published tables against the same figures computed in plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest

from assay import money
from assay.errors import ComputationError
from assay.lake import format_as_of
from assay.warehouse.runner import Computed
from tests.warehouse.samples import (
    DECIMALS,
    FIRST,
    SECOND,
    Row,
    Rows,
    around,
    assets,
    block,
    compute,
    control_totals,
    flow,
    liability,
    price,
    read_rows,
    user_key,
    wallet,
)

PRICES = {"BTC": "20000.12345678", "ETH": "1500.5", "USDT": "1", "SHIB": "0.00001234"}
# SHIB has 18 decimals and amounts of 33 digits: products with a scale of 10^8 do not fit 38 digits.
ALL_DECIMALS = {**DECIMALS, "SHIB": 18}


def random_liabilities(random: Random) -> list[Row]:
    rows = []
    for user in range(300):
        for asset, decimals in ALL_DECIMALS.items():
            for account_type in ("spot", "margin"):
                size = random.randrange(1, decimals + (15 if asset == "SHIB" else 4))
                amount = random.randrange(10**size) * random.choice([1, 1, 1, -1, 0])
                rows.append(liability(user, asset, amount, account_type=account_type, decimals=decimals))
    # Exactly nothing: 1 BTC owed against its value in USDT, and the same less one base unit of USDT.
    for user, missing in ((900, 0), (901, 1)):
        rows.append(liability(user, "BTC", -(10**8)))
        rows.append(liability(user, "USDT", 20_000_123_457 - missing))
    return rows


def equities(rows: Rows) -> dict[str, Fraction]:
    total: dict[str, Fraction] = defaultdict(Fraction)
    for row in rows:
        asset = str(row["asset"])
        total[str(row["user_key"])] += int(str(row["amount"])) * Fraction(PRICES[asset]) / 10 ** ALL_DECIMALS[asset]
    return total


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Computed, Rows, Rows]:
    random = Random(1)
    owed = random_liabilities(random)
    at = {chain: block(chain, FIRST, 100) for chain in ("bitcoin", "ethereum", "arbitrum")}
    balances = [
        wallet(
            at[chain],
            number,
            asset,
            random.randrange(10 ** (ALL_DECIMALS[asset] + 6)),
            decimals=ALL_DECIMALS[asset],
            encumbrance=encumbrance,
        )
        for chain, held in {"bitcoin": ["BTC"], "ethereum": ["ETH", "USDT", "SHIB"], "arbitrum": ["ETH", "USDT"]}.items()
        for asset in held
        for number, encumbrance in enumerate(["none", "none", "pledged", "locked"])
    ]
    inputs: dict[str, Rows] = {
        "assets": [{"asset": asset, "name": asset, "decimals": decimals} for asset, decimals in ALL_DECIMALS.items()],
        "snapshot_blocks": list(at.values()),
        "wallet_balances": balances,
        "liabilities": owed,
        "control_totals": control_totals(owed),
        "prices": [price(asset, text, FIRST) for asset, text in PRICES.items()],
    }
    return compute(tmp_path_factory.mktemp("sample"), inputs), owed, balances


def number(row: Row, column: str) -> int:
    value = row[column]
    assert isinstance(value, int | Decimal)
    assert value == int(value)
    return int(value)


def test_all_treatments_and_ratios_equal_exact_computation(sample: tuple[Computed, Rows, Rows]) -> None:
    computed, owed, balances = sample
    equity = equities(owed)
    for row in read_rows(computed.tables["reserve_ratios"]):
        rows = [(str(item["user_key"]), number(item, "amount")) for item in owed if item["asset"] == row["asset"]]
        held = [(item["encumbrance"], number(item, "amount")) for item in balances if item["asset"] == row["asset"]]
        gross = sum(amount for _, amount in rows if amount > 0)
        net = sum(amount for _, amount in rows)
        netted = sum(amount for user, amount in rows if equity[user] >= 0)
        reserves = sum(amount for _, amount in held)
        encumbered = sum(amount for encumbrance, amount in held if encumbrance != "none")
        assert [number(row, name) for name in ("liabilities_gross", "liabilities_net", "liabilities_netted_by_user")] == [
            gross,
            net,
            netted,
        ]
        assert [number(row, name) for name in ("reserves", "reserves_encumbered", "surplus")] == [reserves, encumbered, reserves - gross]
        assert row["ratio_gross"] == money.floor_ratio(reserves, gross)
        assert row["ratio_net"] == (money.floor_ratio(reserves, net) if net > 0 else None)
        assert row["ratio_netted_by_user"] == (money.floor_ratio(reserves, netted) if netted > 0 else None)
        assert (row["reserves_proven"], row["ratio_proven"]) == (0, money.floor_ratio(0, gross))
        assert row["ratio_unencumbered"] == money.floor_ratio(reserves - encumbered, gross)
        assert row["fully_backed"] == (reserves >= gross)


def test_users_with_negative_equity_are_exactly_those_whose_exact_value_is_below_zero(sample: tuple[Computed, Rows, Rows]) -> None:
    computed, owed, _ = sample
    expected = {user: value for user, value in equities(owed).items() if value < 0}
    found = {str(row["user_key"]): row["equity_usd"] for row in read_rows(computed.finance["negative_equity_users"])}
    assert set(found) == set(expected)
    assert user_key(901) in found
    assert user_key(900) not in found
    for user, value in expected.items():
        assert found[user] == money.floor_ratio(value.numerator, value.denominator)


def test_finance_sees_where_liabilities_stand_and_how_reserves_are_kept(sample: tuple[Computed, Rows, Rows]) -> None:
    computed, owed, balances = sample
    for row in read_rows(computed.finance["liabilities_by_account_type"]):
        rows = [number(item, "amount") for item in owed if (item["account_type"], item["asset"]) == (row["account_type"], row["asset"])]
        assert number(row, "row_count") == len(rows)
        assert number(row, "net_amount") == sum(rows) == number(row, "positive_amount") + number(row, "negative_amount")
    kept = read_rows(computed.finance["reserves_by_custody"])
    assert sum(number(row, "amount") for row in kept) == sum(number(item, "amount") for item in balances)


def test_coverage_counts_what_the_figures_leave_out(sample: tuple[Computed, Rows, Rows]) -> None:
    computed, owed, balances = sample
    items = {row["item"]: row for row in read_rows(computed.tables["coverage"])}
    assert items["negative_equity_users"]["count"] == sum(value < 0 for value in equities(owed).values())
    assert items["negative_accounts:BTC"]["count"] == sum(item["asset"] == "BTC" and number(item, "amount") < 0 for item in owed)
    assert items["wallets_without_ownership_proof"]["count"] == len({(item["chain"], item["address"]) for item in balances})
    assert items["wallets_without_ownership_proof"]["severity"] == "warning"
    worth_less_than_a_cent = [
        item
        for item in owed
        if item["asset"] == "SHIB" and 0 < number(item, "amount") * Fraction(PRICES["SHIB"]) / 10**18 < Fraction(1, 100)
    ]
    assert items["dust_accounts:SHIB"]["count"] == len(worth_less_than_a_cent)


def publication(at: Row, owed: Rows, *, as_of_prices: Rows, symbols: tuple[str, ...], **other: Rows) -> dict[str, Rows]:
    return {
        "assets": assets(*symbols),
        "snapshot_blocks": [at],
        "liabilities": owed,
        "control_totals": control_totals(owed),
        "prices": as_of_prices,
        **other,
    }


def test_assets_and_chains_that_come_and_go_have_no_change(tmp_path: Path) -> None:
    old = block("bitcoin", FIRST, 1)
    first = compute(
        tmp_path / "first",
        publication(
            old,
            [liability(1, "BTC", 50), liability(1, "ETH", 7)],
            as_of_prices=[price("BTC", "20000", FIRST), price("ETH", "1500", FIRST)],
            symbols=("BTC", "ETH"),
            wallet_balances=[wallet(old, 1, "BTC", 60), wallet(old, 1, "ETH", 9)],
        ),
    )
    new = block("bitcoin", SECOND, 2)
    second = compute(
        tmp_path / "second",
        publication(
            new,
            [liability(1, "BTC", 40), liability(1, "USDT", 5)],
            as_of_prices=[price("BTC", "20000", SECOND), price("USDT", "1", SECOND)],
            symbols=("BTC", "USDT"),
            wallet_balances=[wallet(new, 1, "BTC", 30)],
            flows=[flow("BTC", "withdrawal", -9)],
        ),
        as_of=SECOND,
        previous=first,
        previous_as_of=FIRST,
    )
    deposits = {row["asset"]: row for row in read_rows(second.tables["deposit_deltas"])}
    assert [deposits["USDT"][column] for column in ("previous_balance", "change", "change_percent", "change_usd")] == [None] * 4
    assert str(deposits["BTC"]["change_percent"]) == "-20.00000000"
    reserves = {row["asset"]: row for row in read_rows(second.tables["reserve_deltas"])}
    assert [reserves["ETH"][column] for column in ("previous_amount", "current_amount", "change", "change_percent")] == [
        9,
        None,
        None,
        None,
    ]
    assert [reserves["BTC"][column] for column in ("previous_amount", "current_amount", "change")] == [60, 30, -30]
    ratios = {row["asset"]: row for row in read_rows(second.tables["reserve_ratios"])}
    assert (ratios["BTC"]["status"], ratios["BTC"]["fully_backed"], ratios["BTC"]["surplus"]) == ("short", False, -10)
    assert (ratios["USDT"]["reserves"], ratios["USDT"]["ratio_gross"], ratios["USDT"]["previous_ratio_gross"]) == (0, 0, None)
    rolled = {row["asset"]: row for row in read_rows(second.tables["reconciliation"])}
    assert [rolled["BTC"][column] for column in ("opening", "withdrawals", "deposits", "expected", "closing", "unexplained")] == [
        50,
        -9,
        0,
        41,
        40,
        -1,
    ]
    assert [rolled["USDT"][column] for column in ("opening", "deposits", "expected", "unexplained")] == [None, 0, None, None]
    items = {row["item"] for row in read_rows(second.tables["coverage"])}
    assert {"new_asset:USDT", "dropped_asset:ETH", "no_longer_read:ETH:bitcoin", "unexplained:BTC", "no_wallets:USDT"} <= items


def test_an_asset_that_is_owed_and_unknown_to_the_registry_stops_the_computation(tmp_path: Path) -> None:
    at = block("bitcoin", FIRST, 1)
    inputs = publication(
        at, [liability(1, "BTC", 50), liability(1, "DOGE", 7)], as_of_prices=[price("BTC", "20000", FIRST)], symbols=("BTC",),
        wallet_balances=[wallet(at, 1, "BTC", 60)],
    )  # fmt: skip
    with pytest.raises(ComputationError, match=r"assets_have_one_row: .* asset DOGE"):
        compute(tmp_path, inputs)


def test_a_missing_price_stops_the_computation(tmp_path: Path) -> None:
    at = block("bitcoin", FIRST, 1)
    inputs = publication(at, [liability(1, "BTC", 50)], as_of_prices=[], symbols=("BTC",), wallet_balances=[wallet(at, 1, "BTC", 60)])
    with pytest.raises(ComputationError, match="asset BTC"):
        compute(tmp_path, inputs)


def test_a_sum_over_38_digits_stops_the_computation(tmp_path: Path) -> None:
    at = block("bitcoin", FIRST, 1)
    owed = [liability(1, "BTC", 10**38 - 1), liability(2, "BTC", 1)]
    inputs = publication(
        at, owed, as_of_prices=[price("BTC", "20000", FIRST)], symbols=("BTC",), wallet_balances=[wallet(at, 1, "BTC", 60)]
    )
    inputs["control_totals"] = inputs["commitment"] = []
    with pytest.raises(ComputationError, match="Could not cast value 1000000"):
        compute(tmp_path, inputs)


def test_what_wallets_held_around_the_snapshot_is_summed_by_chain_and_asset(tmp_path: Path) -> None:
    at = block("ethereum", FIRST, 100)
    balances = [wallet(at, 1, "ETH", 7 * 10**18), wallet(at, 2, "ETH", 10**18), wallet(at, 1, "USDT", 0), wallet(at, 2, "USDT", 0)]
    owed = [liability(1, "ETH", 1), liability(1, "USDT", 1)]
    computed = compute(
        tmp_path,
        {
            "assets": assets("ETH", "USDT"),
            "snapshot_blocks": [at],
            "wallet_balances": balances,
            "offset_balances": [
                *(around(row, -86_400, amount) for row, amount in zip(balances, (10**18, 0, 5, 0), strict=True)),
                *(around(row, 86_400, int(str(row["amount"]))) for row in balances),
            ],
            "liabilities": owed,
            "control_totals": control_totals(owed),
            "prices": [price("ETH", "1500", FIRST), price("USDT", "1", FIRST)],
        },
    )
    found = {(row["asset"], row["offset_seconds"]): row for row in read_rows(computed.tables["reserve_stability"])}
    assert len(found) == 4
    eth, usdt = found["ETH", -86_400], found["USDT", -86_400]
    assert (eth["amount"], eth["amount_at_offset"], eth["change"]) == (8 * 10**18, 10**18, -7 * 10**18)
    assert eth["change_percent"] == Decimal("-87.5")
    assert (eth["block_height"], eth["block_hash"]) == (70, "ethereum-70")
    assert (usdt["change"], usdt["change_percent"]) == (5, None)
    assert (found["ETH", 86_400]["change"], found["ETH", 86_400]["change_percent"]) == (0, 0)
    coverage = {row["item"] for row in read_rows(computed.tables["coverage"])}
    assert "not_read_around:ethereum" not in coverage


def test_a_chain_that_is_read_live_says_so_and_by_how_much(tmp_path: Path) -> None:
    at = block("solana", FIRST, 100)
    live = {"read_height": 130, "read_time": format_as_of(FIRST + timedelta(seconds=40))}
    owed = [liability(1, "ETH", 1)]
    computed = compute(
        tmp_path,
        {
            "assets": assets("ETH"),
            "snapshot_blocks": [at],
            "wallet_balances": [wallet(at, 1, "ETH", 7, **live)],
            "liabilities": owed,
            "control_totals": control_totals(owed),
            "prices": [price("ETH", "1500", FIRST)],
        },
    )
    coverage = {row["item"]: row for row in read_rows(computed.tables["coverage"])}
    assert coverage["read_live:solana"]["count"] == 40
    assert "not_read_around:solana" in coverage
    assert read_rows(computed.tables["reserve_stability"]) == []
