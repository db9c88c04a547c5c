"""Ledgers that keep more digits than the asset's base unit: refused, or rounded up in the users' favour and stated to the last digit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest

from assay.commitments import pipeline
from assay.commitments.format import COMMITMENT_FILE
from assay.config import Settings
from assay.errors import AmountError, ConfigError, LedgerError
from assay.lake import slug
from assay.liabilities.control import write_control
from assay.liabilities.interface import BALANCE_COLUMNS
from assay.liabilities.snapshot import LiabilitySnapshot, canonicalise, extract, liability_files, shards_digest
from assay.money import FINER_DIGITS
from assay.warehouse.runner import Computed
from assay_verify import deltas, tables
from assay_verify.findings import Findings
from sandbox.scenario import FIRST, SECOND
from tests.warehouse.samples import Rows, assets, block, compute, price, read_rows, wallet

from .conftest import with_ledger
from .drops import FLOW, csv_bytes

SECRET = b"s" * 32
DECIMALS = {"BTC": 8, "ETH": 18}
TINY = Fraction(1, 10 ** (DECIMALS["BTC"] + FINER_DIGITS))
Balances = dict[tuple[str, str, str], Fraction]
"""Whole units by user, account type and asset."""


def text(amount: Fraction) -> str:
    with localcontext(prec=100):
        return f"{Decimal(amount.numerator) / Decimal(amount.denominator):f}"


@pytest.fixture
def local(settings: Settings) -> Settings:
    return with_ledger(settings, kind="files", folder="drops", finer_than_unit="round_up")


def snapshot(
    settings: Settings, folder: Path, balances: Balances, flows: Sequence[tuple[str, ...]] = (), **moments: Any
) -> LiabilitySnapshot:
    """Drop files with a control file of their own, extract them and make them canonical."""
    as_of, previous = moments.get("as_of", FIRST), moments.get("previous")
    dropped = settings.path.parent / "drops" / slug(as_of)
    for name, columns, rows in (
        ("balances", BALANCE_COLUMNS, [(*key, text(amount)) for key, amount in balances.items()]),
        ("flows", FLOW, flows),
    ):
        if rows:
            (dropped / name).mkdir(parents=True)
            (dropped / name / "a.csv").write_bytes(csv_bytes(columns, rows))
    write_control(settings, dropped, flows_from=previous if flows else None)
    raw = extract(settings, as_of, previous, "", folder / "raw")
    return canonicalise(settings, raw, SECRET, folder / "snapshot")


def rows_of(done: LiabilitySnapshot) -> Rows:
    return [row for path in liability_files(done.liabilities.parent) for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize(
    ("amount", "units", "added"),
    [
        ("0.000000010000000000", 1, 0),
        ("0.00000001000000000000000001", 2, 10**18 - 1),
        ("0.00000000000000000000000001", 1, 10**18 - 1),
        ("0.0000000199", 2, 10**16),
        ("-0.0000000199", -1, 9 * 10**17 + 9 * 10**16),
        ("-0.00000001", -1, 0),
        ("-0.000000009", 0, 9 * 10**17),
        ("999999999999999999999999999999.999999989999999999", 10**38 - 1, 10**8),
        ("-999999999999999999999999999999.999999999999999999", 1 - 10**38, 10**18 - 10**8),
    ],
)
def test_balances_and_debts_are_rounded_towards_plus_infinity(local: Settings, tmp_path: Path, amount: str, units: int, added: int) -> None:
    (row,) = rows_of(snapshot(local, tmp_path, {("U1", "spot", "BTC"): Fraction(amount)}))
    assert (int(str(row["amount"])), row["rounding"]) == (units, added)
    assert Fraction(units) - Fraction(added, 10**FINER_DIGITS) == Fraction(amount) * 10**8


def test_more_than_eighteen_digits_below_a_base_unit_are_refused(local: Settings, tmp_path: Path) -> None:
    with pytest.raises(AmountError, match=r"user U1, spot, BTC: .* has more than 18 digits below one base unit \(8 decimals\)"):
        snapshot(local, tmp_path, {("U1", "spot", "BTC"): 1 + TINY / 10})


def test_by_default_they_are_refused_and_the_setting_is_named(local: Settings, tmp_path: Path) -> None:
    with pytest.raises(AmountError, match=r"finer than one base unit .*, or set ledger.finer_than_unit to \"round_up\""):
        snapshot(with_ledger(local, finer_than_unit="refuse"), tmp_path, {("U1", "spot", "BTC"): 1 + TINY})


def test_control_totals_are_compared_to_the_last_digit_of_the_ledger(local: Settings, tmp_path: Path) -> None:
    balances = {("U1", "spot", "BTC"): 1 + TINY, ("U2", "spot", "BTC"): 2 + 2 * TINY}
    done = snapshot(local, tmp_path, balances)
    (total,) = pq.read_table(done.control_totals).to_pylist()
    assert (int(total["total_amount"]), total["rounding"]) == (300_000_001, 10**18 - 3)
    control = local.path.parent / "drops" / slug(FIRST) / "control.json"
    wrong = control.read_text().replace("3.00000000000000000000000003", "3.00000000000000000000000004")
    assert wrong != control.read_text()
    control.write_text(wrong)
    raw = extract(local, FIRST, None, "", tmp_path / "raw")
    with pytest.raises(
        LedgerError,
        match=r"add up to 3.00000000000000000000000003 and the control total says 3.00000000000000000000000004: -0.00000000000000000000000001",
    ):
        canonicalise(local, raw, SECRET, tmp_path / "snapshot")


def test_an_unknown_word_for_it_is_refused_with_the_one_that_is_meant(config_file: Path) -> None:
    config_file.write_text(config_file.read_text().replace("[ledger]", '[ledger]\nfiner_than_unit = "round-up"'))
    with pytest.raises(ConfigError, match=r"finer_than_unit is 'round-up' \(did you mean 'round_up'\?\)"):
        Settings.load(config_file)


class Month:
    """Two closings of a made-up ledger, and the flows between them."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)
        self.flows: list[tuple[str, ...]] = []
        self.before: Balances = {}
        self.after: Balances = {}
        for number in range(40):
            for asset, decimals in DECIMALS.items():
                key = (f"U{number}", random.choice(["spot", "margin"]), asset)
                scale = 10 ** (decimals + random.choice([0, 3, FINER_DIGITS]))
                self.before[key] = Fraction(random.randrange(-3 * scale, 9 * scale), scale)
                self.after[key] = self.before[key]
                for kind in ("deposit", "withdrawal", "fee", "interest"):
                    amount = Fraction(random.randrange(-scale, scale), scale)
                    self.add(key, kind, amount)

    def add(self, key: tuple[str, str, str], kind: str, amount: Fraction, *, recorded: bool = True) -> None:
        self.after[key] += amount
        if recorded:
            self.flows.append(("2023-02-01T00:00:00Z", f"F{len(self.flows)}", *key, kind, text(amount)))


def publish(settings: Settings, folder: Path, month: Month) -> tuple[Computed, Computed, LiabilitySnapshot]:
    """Compute the tables of both closings."""
    done = [
        snapshot(settings, folder / "a", month.before),
        snapshot(settings, folder / "b", month.after, month.flows, as_of=SECOND, previous=FIRST),
    ]
    computed: list[Computed] = []
    for number, (as_of, taken) in enumerate(zip((FIRST, SECOND), done, strict=True)):
        at = block("bitcoin", as_of, 100 + number)
        inputs: dict[str, Rows] = {
            "assets": assets(*DECIMALS),
            "snapshot_blocks": [at],
            "wallet_balances": [wallet(at, 1, "BTC", 10**12)],
            "liabilities": rows_of(taken),
            "control_totals": pq.read_table(taken.control_totals).to_pylist(),
            "flows": pq.read_table(taken.flows).to_pylist(),
            "prices": [price("BTC", "20000", as_of), price("ETH", "1500", as_of)],
        }
        before = {"previous": computed[0], "previous_as_of": FIRST} if computed else {}
        computed.append(compute(folder / str(number), inputs, as_of=as_of, **before))
    return computed[0], computed[1], done[1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_months_reconcile_to_the_last_digit_and_state_never_less_than_is_owed(local: Settings, tmp_path: Path, seed: int) -> None:
    month = Month(seed)
    _, second, taken = publish(local, tmp_path, month)
    owed: dict[str, Fraction] = defaultdict(Fraction)
    positive: dict[str, Fraction] = defaultdict(Fraction)
    for (_, _, asset), amount in month.after.items():
        owed[asset] += amount * 10 ** DECIMALS[asset]
        positive[asset] += max(amount, Fraction(0)) * 10 ** DECIMALS[asset]
    ratios = {row["asset"]: row for row in read_rows(second.tables["reserve_ratios"])}
    for row in read_rows(second.tables["reconciliation"]):
        asset = str(row["asset"])
        figures = {name: Fraction(str(value)) for name, value in row.items() if name not in ("as_of", "previous_as_of", "asset")}
        flows = sum(figures[name] for name in ("deposits", "withdrawals", "trades", "fees", "interest", "adjustments"))
        assert figures["opening"] + flows + figures["rounding"] == figures["expected"] == figures["closing"]
        assert figures["unexplained"] == 0
        assert figures["closing"] - figures["closing_rounding"] == owed[asset]
        assert figures["closing_rounding"] > 0
        assert Fraction(str(ratios[asset]["liabilities_gross"])) >= positive[asset]
    tree = pipeline.commit(
        local,
        SECOND,
        {"liabilities": str(taken.liabilities.parent), "liability_shards": shards_digest(taken.liabilities.parent), "revision": 1},
        tmp_path / "tree",
        secret_of=lambda _: SECRET,
    )
    committed = pq.read_table(pipeline.write_table(tree / pipeline.TREE / COMMITMENT_FILE, tmp_path / "commitment.parquet")).to_pylist()
    totals = {row["asset"]: int(row["total"]) for row in committed if row["total"]}
    assert totals == {asset: int(str(row["liabilities_gross"])) for asset, row in ratios.items()}
    assert verified(tmp_path / "1") == ({}, [])


@pytest.mark.parametrize(("unrecorded", "unexplained"), [(TINY, 1), (-TINY, -1), (Fraction(5, 10**9), 1), (Fraction(25, 10**9), 3)])
def test_a_difference_below_a_base_unit_is_not_lost_in_the_rounding(
    local: Settings, tmp_path: Path, unrecorded: Fraction, unexplained: int
) -> None:
    month = Month(4)
    month.add(next(key for key in month.after if key[2] == "BTC"), "deposit", unrecorded, recorded=False)
    _, second, _ = publish(local, tmp_path, month)
    rows = {row["asset"]: row for row in read_rows(second.tables["reconciliation"])}
    assert (rows["BTC"]["unexplained"], rows["ETH"]["unexplained"]) == (unexplained, 0)
    assert verified(tmp_path / "1") == ({"BTC": unexplained}, [])


def verified(publication: Path) -> tuple[dict[str, int], list[str]]:
    """What the independent verifier finds unexplained in the tables, and what it objects to."""
    findings = Findings()
    ratios = list(tables.read(publication / "tables" / "reserve_ratios.parquet", "reserve_ratios"))
    found = deltas.check_reconciliation(findings, publication, ratios)
    return found, [failure for check in findings.checks for failure in check.failures]


def test_coverage_says_how_many_accounts_were_rounded_and_what_that_adds(local: Settings, tmp_path: Path) -> None:
    month = Month(5)
    first, _, _ = publish(local, tmp_path, month)
    items = {row["item"]: row for row in read_rows(first.tables["coverage"])}
    finer = [amount * 10**8 for (_, _, asset), amount in month.before.items() if asset == "BTC" and (amount * 10**8).denominator > 1]
    item = items["rounded_up:BTC"]
    assert item["count"] == len(finer)
    added = sum(ceil(amount) - amount for amount in finer)
    assert f"which adds {text(Fraction(added))} base units to the net liabilities" in str(item["description"])


def test_without_finer_digits_nothing_is_rounded_and_nothing_is_said(local: Settings, tmp_path: Path) -> None:
    done = snapshot(local, tmp_path, {("U1", "spot", "BTC"): Fraction(1, 10**8)})
    assert [(row["amount"], row["rounding"]) for row in rows_of(done)] == [(1, 0)]
