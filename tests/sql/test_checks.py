"""Each rule between tables lets good rows pass and finds the bad ones, on tables made by hand."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from assay.errors import ComputationError
from assay.lake import format_as_of
from assay.warehouse.contracts import load_contracts
from assay.warehouse.session import quote_name, session
from tests.warehouse.samples import (
    CONTRACTS,
    FIRST,
    SCHEMAS,
    SECOND,
    SQL,
    Rows,
    around,
    assets,
    block,
    commitment,
    compute,
    control_totals,
    flow,
    liability,
    ownership,
    price,
    user_key,
    wallet,
)

CHECKS = sorted(path.stem for path in (SQL / "checks").glob("*.sql"))
NOW, BEFORE = format_as_of(SECOND), format_as_of(FIRST)
STEPS = {
    "moments": {"as_of": "TIMESTAMP WITH TIME ZONE", "previous_as_of": "TIMESTAMP WITH TIME ZONE"},
    "liabilities_by_asset": {"asset": "VARCHAR", "negative": "DECIMAL(38,0)"},
    "negative_equity_users": {"user_key": "VARCHAR", "equity_usd": "DECIMAL(38,8)"},
}
MARTS = {name: {column.name: column.type for column in contract.columns} for name, contract in load_contracts(CONTRACTS).items()}
RATIO = {
    "asset": "BTC", "decimals": 8, "reserves": 104, "reserves_encumbered": 4, "reserves_proven": 0, "liabilities_gross": 100, "liabilities_net": 90,
    "liabilities_netted_by_user": 95, "surplus": 4, "ratio_gross": "1.04", "ratio_net": "1.15555555", "ratio_netted_by_user": "1.09473684",
    "ratio_unencumbered": "1", "ratio_proven": "0", "fully_backed": True, "status": "covered", "as_of": NOW,
}  # fmt: skip
BLOCK = block("bitcoin", SECOND, 200)
BALANCES = [wallet(BLOCK, 1, "BTC", 100), wallet(BLOCK, 2, "BTC", 4, encumbrance="pledged")]
AROUND = [around(BALANCES[0], -86_400, 90), around(BALANCES[1], -86_400, 4)]
LIABILITIES = [liability(1, "BTC", 95), liability(2, "BTC", 5), liability(2, "BTC", -10, account_type="margin")]
DELTA = {
    "asset": "BTC", "previous_balance": 80, "current_balance": 100, "change": 20, "previous_value_usd": "1.00", "current_value_usd": "1.50",
    "change_usd": "0.50", "quantity_effect_usd": "0.25", "price_effect_usd": "0.25",
}  # fmt: skip
ROLL = {
    "asset": "BTC", "opening": 70, "deposits": 30, "withdrawals": -10, "trades": 1, "fees": -2, "interest": 1, "adjustments": 0,
    "rounding": 0, "expected": 90, "closing": 90, "unexplained": 0, "opening_rounding": "0", "flows_rounding": "0", "closing_rounding": "0",
}  # fmt: skip
GOOD: dict[str, Rows] = {
    "moments": [{"as_of": NOW, "previous_as_of": BEFORE}],
    "reserve_ratios": [RATIO],
    "wallet_balances": [row | {"as_of": NOW} for row in map(dict, BALANCES)],
    "snapshot_blocks": [dict(BLOCK) | {"as_of": NOW}],
    "address_ownership": [dict(row) | {"as_of": NOW} for row in ownership(BALANCES)],
    "liability_commitment": [dict(row) | {"as_of": NOW} for row in commitment(assets("BTC"), LIABILITIES)],
    "prices": [dict(price("BTC", "24000", SECOND)) | {"as_of": NOW}],
    "deposit_deltas": [DELTA],
    "reserve_deltas": [{"asset": "BTC", "chain": "bitcoin", "previous_amount": 80, "current_amount": 104}],
    "reconciliation": [ROLL],
    "liabilities_by_asset": [{"asset": "BTC", "negative": -10}],
    "negative_equity_users": [{"user_key": user_key(2), "equity_usd": "-1"}],
    "inputs.assets": assets("BTC"),
    "inputs.wallet_balances": BALANCES,
    "inputs.offset_balances": AROUND,
    "inputs.liabilities": LIABILITIES,
    "inputs.control_totals": control_totals(LIABILITIES),
    "inputs.flows": [flow("BTC", "deposit", 30, flow_count=2)],
    "inputs.previous_reserve_ratios": [{"asset": "BTC", "decimals": 8, "reserves": 80, "as_of": BEFORE}],
    "inputs.previous_wallet_balances": [
        {"chain": "bitcoin", "asset": "BTC", "decimals": 8, "block_height": 100, "block_hash": "bitcoin-100", "as_of": BEFORE}
    ],
    "inputs.previous_prices": [{"asset": "BTC", "as_of": BEFORE}],
    "inputs.previous_reconciliation": [{"asset": "BTC", "as_of": BEFORE, "closing_rounding": "0"}],
}


def schema_of(name: str) -> dict[str, str]:
    if name.startswith("inputs.previous_"):
        return MARTS[name.removeprefix("inputs.previous_")]
    return SCHEMAS[name.removeprefix("inputs.")] if name.startswith("inputs.") else STEPS.get(name) or MARTS[name]


def rows_found(check: str, tables: dict[str, Rows]) -> list[tuple[object, ...]]:
    """Run a check over the good tables with some of them replaced."""
    with session() as connection:
        connection.execute((SQL / "macros.sql").read_text())
        connection.execute("create schema inputs")
        for name, rows in (GOOD | tables).items():
            fill(connection, name, rows)
        return connection.execute((SQL / "checks" / f"{check}.sql").read_text()).fetchall()


def fill(connection: duckdb.DuckDBPyConnection, name: str, rows: Rows) -> None:
    schema = schema_of(name)
    connection.execute(f"create table {name} ({', '.join(f'{quote_name(column)} {kind}' for column, kind in schema.items())})")
    for row in rows:
        unknown = set(row) - set(schema)
        assert not unknown, unknown
        texts = [None if row.get(column) is None else str(row[column]) for column in schema]
        connection.execute(f"insert into {name} values ({', '.join(f'?::varchar::{kind}' for kind in schema.values())})", texts)


def changed(name: str, **values: object) -> dict[str, Rows]:
    """Return a good table with its first row changed."""
    first, *others = GOOD[name]
    return {name: [dict(first) | values, *others]}


def more(name: str, *rows: dict[str, object]) -> dict[str, Rows]:
    """Return a good table with rows added."""
    return {name: [*GOOD[name], *rows]}


BROKEN: list[tuple[str, dict[str, Rows]]] = [
    ("commitment_equals_liabilities", changed("liability_commitment", total=101)),
    ("commitment_equals_liabilities", changed("liability_commitment", decimals=9)),
    ("commitment_equals_liabilities", changed("liability_commitment", asset="ETH")),
    ("commitment_equals_liabilities", {"liability_commitment": []}),
    ("commitment_equals_liabilities", changed("reserve_ratios", liabilities_gross=99)),
    (
        "commitment_equals_liabilities",
        more("liability_commitment", {**GOOD["liability_commitment"][0], "asset": "ETH", "commitment": "c" * 64})
        | more("reserve_ratios", RATIO | {"asset": "ETH"}),
    ),
    ("ownership_agrees", changed("address_ownership", status="fresh")),
    ("ownership_agrees", {"address_ownership": GOOD["address_ownership"][:1]}),
    ("ownership_agrees", more("address_ownership", {"chain": "bitcoin", "address": "unlisted", "status": "none"})),
    ("offsets_cover_all_wallets", {"inputs.offset_balances": AROUND[:1]}),
    ("offsets_cover_all_wallets", {"inputs.offset_balances": [AROUND[0], AROUND[0]]}),
    ("offsets_cover_all_wallets", {"inputs.offset_balances": [AROUND[0], dict(AROUND[1]) | {"block_hash": "bitcoin-171"}]}),
    ("offsets_cover_all_wallets", {"inputs.offset_balances": [dict(row) | {"asset": "ETH"} for row in AROUND]}),
    ("wallets_equal_reserves", changed("reserve_ratios", reserves=105)),
    ("wallets_equal_reserves", changed("reserve_ratios", reserves_encumbered=3)),
    ("wallets_equal_reserves", changed("reserve_ratios", reserves_proven=1)),
    ("wallets_equal_reserves", changed("wallet_balances", ownership_status="fresh")),
    ("wallets_equal_reserves", {"wallet_balances": []}),
    ("wallets_equal_reserves", {"reserve_ratios": []}),
    ("deltas_equal_totals", changed("reserve_deltas", current_amount=103)),
    ("deltas_equal_totals", changed("reserve_deltas", previous_amount=81)),
    ("deltas_equal_totals", changed("deposit_deltas", current_balance=99)),
    ("deltas_equal_totals", changed("reconciliation", closing=89)),
    ("deltas_equal_totals", {"reserve_deltas": []}),
    ("value_effects_add_up", changed("deposit_deltas", price_effect_usd="0.26")),
    ("value_effects_add_up", changed("deposit_deltas", price_effect_usd=None)),
    ("value_effects_add_up", changed("deposit_deltas", change=21)),
    ("value_effects_add_up", changed("deposit_deltas", current_value_usd="1.51")),
    ("flows_add_up", changed("reconciliation", expected=91)),
    ("flows_add_up", changed("reconciliation", rounding=1)),
    ("rounding_adds_up", changed("reconciliation", rounding=1)),
    ("rounding_adds_up", changed("reconciliation", rounding=None)),
    ("rounding_adds_up", changed("reconciliation", closing_rounding="0.5")),
    ("rounding_adds_up", changed("reconciliation", opening_rounding="0.5")),
    ("rounding_adds_up", changed("reconciliation", opening_rounding=None)),
    ("rounding_adds_up", changed("reconciliation", flows_rounding="0.5")),
    ("rounding_adds_up", changed("inputs.liabilities", rounding=1)),
    ("rounding_adds_up", changed("inputs.flows", rounding=1)),
    ("rounding_adds_up", changed("inputs.previous_reconciliation", closing_rounding="0.000000000000000001")),
    ("flows_add_up", changed("reconciliation", unexplained=1)),
    ("flows_add_up", changed("reconciliation", expected=None)),
    ("assets_have_one_row", more("inputs.liabilities", dict(liability(1, "ETH", 1)))),
    ("assets_have_one_row", {"inputs.assets": assets("BTC", "ETH")}),
    ("assets_have_one_row", more("reserve_ratios", RATIO)),
    ("assets_have_one_row", {"reconciliation": []}),
    ("assets_have_one_price", {"prices": []}),
    ("assets_have_one_price", more("prices", dict(price("BTC", "1", SECOND)))),
    ("assets_have_one_price", changed("prices", price="0")),
    ("assets_have_one_price", changed("prices", currency="EUR")),
    ("chains_have_one_block", {"snapshot_blocks": []}),
    ("chains_have_one_block", changed("wallet_balances", block_hash="other")),
    ("chains_have_one_block", changed("wallet_balances", block_height=199)),
    ("chains_have_one_block", changed("wallet_balances", block_time=BEFORE)),
    ("blocks_precede_as_of", changed("snapshot_blocks", time="2023-02-17T16:00:01Z", distance_seconds=-1)),
    ("blocks_precede_as_of", changed("snapshot_blocks", distance_seconds=599)),
    ("blocks_precede_as_of", changed("prices", time="2023-02-17T16:00:01Z")),
    ("blocks_go_forward", changed("snapshot_blocks", height=99)),
    ("blocks_go_forward", changed("snapshot_blocks", height=100, hash="another-100")),
    ("treatments_agree", changed("reserve_ratios", liabilities_net=91)),
    ("treatments_agree", changed("reserve_ratios", liabilities_netted_by_user=96)),
    ("treatments_agree", {"negative_equity_users": []}),
    ("treatments_agree", changed("reserve_ratios", reserves_encumbered=105)),
    ("treatments_agree", changed("reserve_ratios", surplus=5)),
    ("ratios_recompute", changed("reserve_ratios", ratio_gross="1.04000001")),
    ("ratios_recompute", changed("reserve_ratios", ratio_net="1.15555556")),
    ("ratios_recompute", changed("reserve_ratios", ratio_netted_by_user=None)),
    ("ratios_recompute", changed("reserve_ratios", ratio_unencumbered="1.04")),
    ("ratios_recompute", changed("reserve_ratios", ratio_proven="0.04")),
    ("ratios_recompute", changed("reserve_ratios", fully_backed=False)),
    ("ratios_recompute", changed("reserve_ratios", status="short")),
    ("ratios_recompute", changed("reserve_ratios", liabilities_gross=0)),
    (
        "ratios_recompute",
        changed("reserve_ratios", reserves=10**37, liabilities_gross=10**37, ratio_gross="1.00000002", ratio_unencumbered="1"),
    ),
    ("liabilities_equal_control_totals", {"inputs.control_totals": []}),
    ("liabilities_equal_control_totals", changed("inputs.control_totals", total_amount=101)),
    ("liabilities_equal_control_totals", changed("inputs.control_totals", total_amount=10**37)),
    ("liabilities_equal_control_totals", changed("inputs.control_totals", rounding=1)),
    ("liabilities_equal_control_totals", changed("inputs.liabilities", rounding=1)),
    ("liabilities_equal_control_totals", changed("inputs.control_totals", row_count=3)),
    ("liabilities_equal_control_totals", changed("inputs.control_totals", user_count=1)),
    ("liabilities_equal_control_totals", {"inputs.liabilities": LIABILITIES[:2]}),
    ("decimals_agree", changed("inputs.wallet_balances", decimals=9)),
    ("decimals_agree", changed("inputs.liabilities", decimals=9)),
    ("decimals_agree", changed("inputs.previous_reserve_ratios", decimals=9)),
    ("decimals_agree", changed("inputs.previous_wallet_balances", decimals=9)),
    ("flows_are_known", changed("inputs.flows", kind="airdrop")),
    ("flows_are_known", more("inputs.flows", dict(GOOD["inputs.flows"][0]))),
    ("flows_are_known", changed("moments", previous_as_of=None)),
    ("previous_tables_belong_together", changed("inputs.previous_prices", as_of=NOW)),
    ("previous_tables_belong_together", changed("inputs.previous_reconciliation", as_of=NOW)),
    ("previous_tables_belong_together", changed("moments", previous_as_of=None)),
    ("previous_tables_belong_together", {"inputs.previous_reserve_ratios": []}),
    ("previous_tables_belong_together", changed("moments", as_of=BEFORE)),
    ("balances_are_agreed", changed("wallet_balances", amount=-1)),
    ("balances_are_agreed", changed("wallet_balances", sources_agreed=1)),
    ("balances_are_agreed", changed("wallet_balances", sources_asked=0, sources_agreed=0)),
]


@pytest.mark.parametrize("check", CHECKS)
def test_good_tables_pass(check: str) -> None:
    assert rows_found(check, {}) == []


def test_two_moments_close_together_may_share_a_block() -> None:
    assert not rows_found("blocks_go_forward", changed("snapshot_blocks", height=100, hash="bitcoin-100"))


@pytest.mark.parametrize(("check", "tables"), BROKEN, ids=[f"{check}-{number}" for number, (check, _) in enumerate(BROKEN)])
def test_broken_tables_are_found(check: str, tables: dict[str, Rows]) -> None:
    assert rows_found(check, tables)


def test_every_check_has_tables_that_break_it() -> None:
    assert {check for check, _ in BROKEN} == set(CHECKS)


def test_a_ledger_that_leaves_rows_out_stops_the_computation(tmp_path: Path) -> None:
    at = block("bitcoin", FIRST, 100)
    inputs: dict[str, Rows] = {
        "assets": assets("BTC"),
        "snapshot_blocks": [at],
        "wallet_balances": [wallet(at, 1, "BTC", 100)],
        "liabilities": LIABILITIES[:2],
        "control_totals": control_totals(LIABILITIES),
        "prices": [price("BTC", "20000", FIRST)],
    }
    with pytest.raises(ComputationError, match=r"check liabilities_equal_control_totals: .*account_type margin, asset BTC"):
        compute(tmp_path, inputs)
    assert not (tmp_path / "tables").exists()
