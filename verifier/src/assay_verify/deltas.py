"""What changed since the publication before: recomputed from this publication, and from the one before where it is at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay_verify import manifest as manifests
from assay_verify import reserves, tables
from assay_verify.arithmetic import difference, percent_change, value_in_cents
from assay_verify.findings import Check, Findings, MalformedError
from assay_verify.manifest import Manifest
from assay_verify.reserves import Holdings
from assay_verify.tables import Row

FLOWS = ("deposits", "withdrawals", "trades", "fees", "interest", "adjustments")
_ONE = 10**18  # of a rounding, in one base unit


def check_deposits(findings: Findings, folder: Path, ratios: list[Row]) -> None:
    """Recompute the changes of users' balances, in units, percent and USD."""
    with findings.check(
        "tables.deposits",
        "Users' balances, their changes in units, percent (of the balance before, half up) and USD (quantity + price) add up.",
    ) as check:
        prices = {row["asset"]: row for row in tables.read(folder / "tables" / "prices.parquet", "prices")}
        for asset, row in prices.items():
            check.expect(
                row["currency"] == "USD" and row["price"] > 0 and row["time"] <= row["as_of"],
                f"{asset}: its price is not a price in USD before the moment",
            )
        rows = _rows(folder, "deposit_deltas")
        _same_assets(check, "deposit_deltas", rows, ratios)
        gross = {row["asset"]: row["liabilities_gross"] for row in ratios}
        for row in rows:
            price = prices.get(row["asset"], {}).get("price")
            _compare(check, row, {"current_balance": gross.get(row["asset"]), "current_price": price, **_deposit(row)})


def check_reserves(findings: Findings, folder: Path, holdings: Holdings) -> None:
    """Recompute the changes of wallets by asset and chain."""
    with findings.check("tables.reserve_deltas", "Wallets' changes by asset and chain follow from the single balances.") as check:
        rows = _rows(folder, "reserve_deltas")
        for row in rows:
            change = difference(row["current_amount"], row["previous_amount"])
            current = holdings.sums.get((row["asset"], row["chain"]))
            _compare(
                check, row, {"current_amount": current, "change": change, "change_percent": percent_change(change, row["previous_amount"])}
            )
        missing = holdings.sums.keys() - {(row["asset"], row["chain"]) for row in rows}
        check.expect(not missing, f"reserve_deltas leaves out {sorted(missing)}")


def check_reconciliation(findings: Findings, folder: Path, ratios: list[Row]) -> dict[str, int]:
    """Recompute the roll-forward; return what it leaves unexplained, by asset."""
    unexplained: dict[str, int] = {}
    with findings.check(
        "tables.reconciliation", "Opening balance, flows and rounding add up to the expected balance; what is unexplained is stated."
    ) as check:
        rows = _rows(folder, "reconciliation")
        _same_assets(check, "reconciliation", rows, ratios)
        net = {row["asset"]: row["liabilities_net"] for row in ratios}
        stated = {row["item"] for row in _rows(folder, "coverage")}
        for row in rows:
            flows = [row[name] for name in FLOWS]
            compared = row["previous_as_of"] is not None
            check.expect(
                all((flow is not None) == compared for flow in flows),
                f"{row['asset']}: a flow is missing, or there is one without a publication before",
            )
            _compare(check, row, {"closing": net.get(row["asset"]), **_explained(check, row, flows)})
            check.expect(
                (row["closing_rounding"] > 0) == (f"rounded_up:{row['asset']}" in stated),
                f"{row['asset']}: coverage and closing_rounding do not agree on whether balances were rounded up",
            )
            if row["unexplained"]:
                unexplained[row["asset"]] = row["unexplained"]
    return unexplained


def check_previous(findings: Findings, folder: Path, manifest: Manifest, *, accepted: bool) -> None:
    """Hold every `previous_…` column against the publication before, or make sure that they are empty when there is none.

    Args:
        findings: The record.
        folder: The publication.
        manifest: Its manifest.
        accepted: Whoever started the program does without the publication before.
    """
    with findings.check("previous", "Every figure called previous is the one in the publication before.") as check:
        reference = manifest.values["previous"]
        if reference is None:
            _check_first(check, folder)
            return
        before = folder.parent / reference["folder"]
        if not before.is_dir():
            check.skip(f"the publication before, {reference['folder']}, is not beside this one", accepted=accepted)
            return
        if check.expect(
            manifests.read(before).sha256 == reference["manifest_sha256"], f"{before.name} has another manifest than the one named here"
        ):
            _check_before(check, folder, before)


def _check_first(check: Check, folder: Path) -> None:
    for name, columns in tables.TABLES.items():
        for column in columns:
            if column.startswith(("previous_", "opening")):
                empty = all(row[column] is None for row in _rows(folder, name))
                check.expect(empty, f"{name}: {column} is filled, and there is no publication before")


def _check_before(check: Check, folder: Path, before: Path) -> None:
    listed = manifests.read(before).files
    for name in ("reserve_ratios", "wallet_balances", "prices", "reconciliation"):
        path = f"tables/{name}.parquet"
        if not (before / path).is_file() or manifests.measure(before / path)[1] != listed.get(path, {}).get("sha256"):
            raise MalformedError(f"{path} of {before.name} is missing or was changed, so nothing can be compared with it")
    ratios = {row["asset"]: row for row in _rows(before, "reserve_ratios")}
    prices = {row["asset"]: row["price"] for row in _rows(before, "prices")}
    roundings = {row["asset"]: row for row in _rows(before, "reconciliation")}
    sums = reserves.add_up(before).sums
    for row in _rows(folder, "reserve_ratios"):
        _compare(check, row, {"previous_ratio_gross": _of(ratios, row, "ratio_gross")})
    for row in _rows(folder, "deposit_deltas"):
        balance = _of(ratios, row, "liabilities_gross")
        _compare(check, row, {"previous_balance": balance, "previous_price": prices.get(row["asset"])})
    for row in _rows(folder, "reconciliation"):
        _compare(check, row, {"opening": _of(ratios, row, "liabilities_net"), "opening_rounding": _of(roundings, row, "closing_rounding")})
    named = _rows(folder, "reserve_deltas")
    for row in named:
        _compare(check, row, {"previous_amount": sums.get((row["asset"], row["chain"]))})
    missing = sums.keys() - {(row["asset"], row["chain"]) for row in named}
    check.expect(not missing, f"reserve_deltas leaves out {sorted(missing)}, which the publication before had")


def _explained(check: Check, row: Row, flows: list[int | None]) -> dict[str, int | None]:
    """Recompute what rounding explains and what nothing explains, from what rounding added to the balances and flows."""
    opening, closing, before = row["opening_rounding"], row["closing_rounding"], row["flows_rounding"]
    check.expect(
        closing >= 0 and (opening or 0) >= 0 and 0 <= (before or 0) < len(FLOWS) * _ONE,
        f"{row['asset']}: a rounding is negative, or larger than rounding up can be",
    )
    check.expect(
        (before is None) == (row["previous_as_of"] is None), f"{row['asset']}: flows_rounding is missing, or has no publication before"
    )
    check.expect((opening is None) == (row["opening"] is None), f"{row['asset']}: opening_rounding does not go with opening")
    if row["opening"] is None:
        return {"rounding": None, "expected": None, "unexplained": None}
    moved = row["opening"] + sum(flow or 0 for flow in flows)
    exact = (row["closing"] - moved) * _ONE - (closing - (opening or 0) - (before or 0))
    # Away from zero: what is less than a base unit is not nothing.
    unexplained = -(-exact // _ONE) if exact > 0 else exact // _ONE
    return {"rounding": row["closing"] - moved - unexplained, "expected": row["closing"] - unexplained, "unexplained": unexplained}


def _deposit(row: Row) -> dict[str, Any]:
    """Recompute what follows from the balances and prices of a row."""
    change = difference(row["current_balance"], row["previous_balance"])
    known = row["previous_balance"] is not None and row["previous_price"] is not None
    current = value_in_cents(row["current_balance"], row["decimals"], row["current_price"])
    before = value_in_cents(row["previous_balance"], row["decimals"], row["previous_price"]) if known else None
    quantity = value_in_cents(change or 0, row["decimals"], row["previous_price"]) if known else None
    total = difference(current, before)
    return {
        "change": change,
        "change_percent": percent_change(change, row["previous_balance"]),
        "current_value_usd": current,
        "previous_value_usd": before,
        "change_usd": total,
        "quantity_effect_usd": quantity,
        "price_effect_usd": difference(total, quantity),
    }


def _rows(folder: Path, name: str) -> list[Row]:
    return list(tables.read(folder / "tables" / f"{name}.parquet", name))


def _of(rows: dict[str, Row], row: Row, column: str) -> Any:
    return rows.get(row["asset"], {}).get(column)


def _same_assets(check: Check, name: str, rows: list[Row], ratios: list[Row]) -> None:
    check.expect([row["asset"] for row in rows] == [row["asset"] for row in ratios], f"{name} and reserve_ratios name different assets")


def _compare(check: Check, row: Row, expected: dict[str, Any]) -> None:
    where = f"{row['asset']} on {row['chain']}" if "chain" in row else row["asset"]
    for column, value in expected.items():
        check.expect(row[column] == value, f"{where}: {column} is {row[column]}, and it comes to {value} here")
