from __future__ import annotations

from collections import Counter

import pytest

from sandbox import accounts
from sandbox.accounts import LedgerPlan, Row
from sandbox.prices import PRICES
from sandbox.scenario import DECIMALS, FIRST, LIABILITY_TOTALS, SECOND, WALLET_TOTALS, WalletPlan, wallets

MOMENTS = ("first", "second")


@pytest.fixture(scope="module")
def plans() -> list[WalletPlan]:
    return wallets(litecoin=True)


@pytest.fixture(scope="module")
def ledger() -> LedgerPlan:
    return accounts.ledger(litecoin=True)


@pytest.mark.parametrize("number", [0, 1])
def test_wallets_add_up_to_the_published_totals(plans: list[WalletPlan], number: int) -> None:
    held: Counter[str] = Counter()
    for plan in plans:
        held.update(getattr(plan, MOMENTS[number]))
    assert held == {asset: totals[number] for asset, totals in WALLET_TOTALS.items()}


@pytest.mark.parametrize("number", [0, 1])
def test_positive_rows_of_users_add_up_to_the_published_totals(ledger: LedgerPlan, number: int) -> None:
    gross: Counter[str] = Counter()
    for row in ledger.rows:
        gross[row.asset] += max(getattr(row, MOMENTS[number]) or 0, 0)
    assert gross == {asset: totals[number] for asset, totals in LIABILITY_TOTALS.items()}


def test_two_plans_are_the_same(plans: list[WalletPlan], ledger: LedgerPlan) -> None:
    assert wallets(litecoin=True) == plans
    again = accounts.ledger(litecoin=True)
    assert (again.users, again.rows, again.entries) == (ledger.users, ledger.rows, ledger.entries)


def test_leaving_out_litecoin_changes_no_other_wallet(plans: list[WalletPlan]) -> None:
    assert wallets(litecoin=False) == [plan for plan in plans if plan.chain != "litecoin"]


def test_wallets_show_every_case(plans: list[WalletPlan]) -> None:
    assert min(amount for plan in plans for moment in (plan.first, plan.second, plan.later) for amount in moment.values()) == 0
    for chain, count, special in (("bitcoin", 150, 0.15), ("ethereum", 120, 0.15), ("arbitrum", 80, 0.15), ("litecoin", 30, 0.15)):
        own = [plan for plan in plans if plan.chain == chain]
        assert [plan.index for plan in own] == list(range(count))
        assert special / 1.5 < sum("multisig" in plan.kind or plan.kind == "contract" for plan in own) / count < special * 1.5
        assert any(not any(plan.first.values()) and any(plan.second.values()) for plan in own)
        assert any(any(plan.first.values()) and not any(plan.second.values()) for plan in own)
        assert not any(any(moment.values()) for moment in (own[-1].first, own[-1].second, own[-1].later))
        assert sum(plan.first == plan.second for plan in own) > count // 5
        assert sum(plan.later != plan.second for plan in own) > count // 3
    for chain in ("ethereum", "arbitrum"):
        own = [plan for plan in plans if plan.chain == chain]
        assert any(plan.second["ETH"] and not plan.second["USDT"] for plan in own)
        assert any(plan.second["USDT"] and not plan.second["ETH"] for plan in own)
    assert {plan.custody for plan in plans} == {"hot", "cold", "staked", "third_party"}
    assert {plan.encumbrance for plan in plans} == {"none", "pledged", "locked"}


def test_entries_lead_to_both_closings_row_by_row(ledger: LedgerPlan) -> None:
    sums: dict[str, Counter[tuple[int, str, str]]] = {name: Counter() for name in MOMENTS}
    for entry in ledger.entries:
        for name, moment in zip(MOMENTS, (FIRST, SECOND), strict=True):
            if entry.occurred_at <= moment:
                sums[name][entry.user, entry.account_type, entry.asset] += entry.amount
    for row in ledger.rows:
        key = (row.user, row.account_type, row.asset)
        assert (sums["first"][key], sums["second"][key]) == (row.first or 0, row.second or 0)


def test_rows_and_flows_are_unique_and_known(ledger: LedgerPlan) -> None:
    assert len({(row.user, row.account_type, row.asset) for row in ledger.rows}) == len(ledger.rows)
    assert len({entry.flow_id for entry in ledger.entries}) == len(ledger.entries)
    assert {entry.kind for entry in ledger.flows} == set(accounts.FLOW_KINDS)
    assert {row.account_type for row in ledger.rows} == set(accounts.ACCOUNT_TYPES)
    assert all(entry.amount for entry in ledger.entries)


def test_entries_lie_on_both_sides_of_both_moments_and_on_the_last_one(ledger: LedgerPlan) -> None:
    assert any(entry.occurred_at <= FIRST for entry in ledger.entries)
    assert any(entry.occurred_at == SECOND for entry in ledger.entries)
    assert any(entry.occurred_at > SECOND for entry in ledger.entries)


def _equity(rows: list[Row], number: int) -> Counter[int]:
    """Net value by user in 10^-20 USD."""
    equity: Counter[int] = Counter()
    for row in rows:
        whole, _, cents = PRICES["close"][row.asset][number].partition(".")
        price = int(whole + cents.ljust(4, "0"))
        equity[row.user] += (getattr(row, MOMENTS[number]) or 0) * price * 10 ** (18 - DECIMALS[row.asset])
    return equity


@pytest.mark.parametrize("number", [0, 1])
def test_users_show_every_case(ledger: LedgerPlan, number: int) -> None:
    values = [(row, getattr(row, MOMENTS[number])) for row in ledger.rows]
    assert len(ledger.users) > 5_000
    assert any(value == 1 for _, value in values)
    assert any(value == 0 for _, value in values)
    assert any(value is None for _, value in values)
    for account_type in ("margin", "loan"):
        assert any(row.account_type == account_type and (value or 0) < 0 for row, value in values)
    equity = _equity(ledger.rows, number)
    assert 3 < sum(value < 0 for value in equity.values()) < 20
    assert max(equity.values()) > sum(equity.values()) // 50
