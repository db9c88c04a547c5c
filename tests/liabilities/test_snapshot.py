from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from assay.config import Settings
from assay.errors import AmountError, AssayError, ConfigError, LedgerError
from assay.liabilities.finer_digits import read_amount
from assay.liabilities.interface import BALANCE_COLUMNS, FLOW_COLUMNS, TOTAL_COLUMNS, RawSnapshot
from assay.liabilities.rows import register
from assay.liabilities.snapshot import LiabilitySnapshot, canonicalise, liability_files, report_key
from assay.warehouse.session import session
from sandbox.scenario import FIRST, SECOND

from .conftest import with_ledger

SECRET = bytes(range(32))
BALANCES = [
    ("U1", "spot", "BTC", "1.50000000"),
    ("U1", "margin", "BTC", "-0.25"),
    ("U2", "spot", "BTC", "0.000000010000"),
    ("U2", "spot", "ETH", "0"),
    ("U3", "spot", "ETH", "-0.000000000000000001"),
]
TOTALS = [("spot", "BTC", "2", "2", "1.50000001"), ("margin", "BTC", "1", "1", "-0.25"), ("spot", "ETH", "2", "2", "-0.000000000000000001")]


def write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: pa.array([row[number] for row in rows], pa.string()) for number, name in enumerate(columns)}), path)


def content(done: LiabilitySnapshot) -> list[bytes]:
    return [path.read_bytes() for path in liability_files(done.liabilities.parent)]


@pytest.fixture
def run(settings: Settings, tmp_path: Path):
    """Canonicalise a snapshot of the given rows."""

    def canonical(
        balances: Sequence[Sequence[str | None]] = BALANCES,
        totals: Sequence[Sequence[str | None]] = TOTALS,
        flows: Sequence[Sequence[str | None]] = (),
        folder: str = "snapshot",
    ) -> LiabilitySnapshot:
        raw = RawSnapshot(folder=tmp_path / "raw")
        raw.start()
        write(raw.balances / "00000.parquet", BALANCE_COLUMNS, balances)
        write(raw.control_totals, TOTAL_COLUMNS, totals)
        write(raw.flows, FLOW_COLUMNS, flows)
        raw.seal({"as_of": "2023-02-17T16:00:00Z"})
        return canonicalise(settings, raw, SECRET, tmp_path / folder)

    return canonical


def test_rows_become_exact_base_units_under_keyed_hashes_in_order_of_the_key(run, settings: Settings) -> None:
    done = run()
    key = report_key(SECRET, "test", SECOND)
    context = b"\x04\0\x11assay-sum-tree-v1\0\x04test\0\x142023-02-17T16:00:00Z"
    users = {
        user: hashlib.sha256(context + hmac.digest(key, user.encode(), "sha256") + user.encode()).hexdigest() for user in ("U1", "U2", "U3")
    }
    expected = [
        (users["U1"], "spot", "BTC", 8, 150_000_000, 0),
        (users["U1"], "margin", "BTC", 8, -25_000_000, 0),
        (users["U2"], "spot", "BTC", 8, 1, 0),
        (users["U2"], "spot", "ETH", 18, 0, 0),
        (users["U3"], "spot", "ETH", 18, -1, 0),
    ]
    table = pq.read_table(done.liabilities)
    assert [tuple(row.values()) for row in table.to_pylist()] == sorted(expected)
    assert table.schema.types == [pa.string(), pa.string(), pa.string(), pa.int32(), pa.decimal128(38, 0), pa.int64()]


def test_control_totals_and_flows_become_exact_base_units(run) -> None:
    done = run(flows=[("ETH", "fee", "-0.5", "7"), ("BTC", "deposit", "2", "1")])
    totals, flows = pq.read_table(done.control_totals), pq.read_table(done.flows)
    assert [tuple(row.values()) for row in totals.to_pylist()] == [
        ("margin", "BTC", 1, 1, -25_000_000, 0),
        ("spot", "BTC", 2, 2, 150_000_001, 0),
        ("spot", "ETH", 2, 2, -1, 0),
    ]
    assert [tuple(row.values()) for row in flows.to_pylist()] == [("BTC", "deposit", 200_000_000, 1, 0), ("ETH", "fee", -5 * 10**17, 7, 0)]
    assert totals.schema.types == [pa.string(), pa.string(), pa.int64(), pa.int64(), pa.decimal128(38, 0), pa.int64()]
    assert flows.schema.types == [pa.string(), pa.string(), pa.decimal128(38, 0), pa.int64(), pa.int64()]


def test_an_empty_flow_table_has_the_same_columns(run) -> None:
    empty, full = run(), run(flows=[("BTC", "deposit", "2", "1")], folder="other")
    assert pq.read_schema(empty.flows) == pq.read_schema(full.flows)


def test_the_order_of_the_ledgers_rows_does_not_change_a_byte(run) -> None:
    assert content(run()) == content(run(balances=BALANCES[::-1], folder="other"))


def test_38_digits_are_exact(run) -> None:
    amount = "9" * 30 + "." + "9" * 8
    done = run(balances=[("U1", "spot", "BTC", f"-{amount}")], totals=[("spot", "BTC", "1", "1", f"-{amount}")])
    assert int(pq.read_table(done.liabilities)["amount"][0].as_py()) == -(10**38 - 1)


@pytest.mark.parametrize(
    ("row", "error", "said"),
    [
        (("U9", "spot", "BTC", "NaN"), AmountError, "'NaN' is not a plain decimal number"),
        (("U9", "spot", "BTC", "1e-8"), AmountError, "'1e-8' is not a plain decimal number"),
        (("U9", "spot", "BTC", "1,000"), AmountError, "'1,000' is not a plain decimal number"),
        (("U9", "spot", "BTC", ""), AmountError, "'' is not a plain decimal number"),
        (("U9", "spot", "BTC", "0.000000001"), AmountError, "finer than one base unit"),
        (("U9", "spot", "BTC", "1" + "0" * 30), AmountError, "39 digits and at most 38"),
        (("U9", "spot", "BTC", None), AmountError, "amount is null"),
        (("U9", "spot", "DOGE", "1"), LedgerError, "asset 'DOGE' is unknown"),
        (("U9", "spot", None, "1"), LedgerError, "asset None is unknown"),
        (("U9", "escrow", "BTC", "1"), LedgerError, "account type 'escrow' is unknown"),
        (("U9", None, "BTC", "1"), LedgerError, "account type None is unknown"),
        (("", "spot", "BTC", "1"), LedgerError, "user_id is empty"),
        ((None, "spot", "BTC", "1"), LedgerError, "user_id is empty"),
    ],
)
def test_a_bad_row_is_named_with_its_rule(run, tmp_path: Path, row, error: type[AssayError], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        run(balances=[*BALANCES, row])
    assert caught.value.subject == f"ledger assay_ledger, assay_balances, user {row[0]}, {row[1]}, {row[2]}"
    assert list((tmp_path / "snapshot").rglob("*.parquet")) == []


def test_a_duplicated_row_is_refused_even_when_the_totals_count_it(run) -> None:
    totals = [("spot", "BTC", "3", "2", "3.00000001"), *TOTALS[1:]]
    with pytest.raises(LedgerError, match="user U1, spot, BTC: the row is there 2 times"):
        run(balances=[*BALANCES, BALANCES[0]], totals=totals)


@pytest.mark.parametrize(
    ("totals", "said"),
    [
        ([("spot", "BTC", "3", "2", "1.50000001")], "spot, BTC: the snapshot has 2 rows and the control total says 3: 1 missing"),
        ([("spot", "BTC", "2", "5", "1.50000001")], "spot, BTC: the snapshot has 2 users and the control total says 5: 3 missing"),
        ([("spot", "BTC", "1", "1", "1.50000001")], "spot, BTC: the snapshot has 2 rows and the control total says 1: 1 too many"),
        ([("spot", "BTC", "2", "2", "1.50000000")], r"add up to 1.50000001 and the control total says 1.50000000: \+0.00000001"),
        ([("spot", "BTC", "2", "2", "1.5000000100000001")], "finer than one base unit"),
        ([("spot", "BTC", "2", "2", "NaN")], "'NaN' is not a plain decimal number"),
        ([("spot", "BTC", "2", "2", None)], "a control total is null"),
        ([("spot", "DOGE", "2", "2", "1"), *TOTALS[:1]], "the account type or the asset is unknown"),
        ([TOTALS[0], TOTALS[0]], "there is more than one control total"),
        ([("loan", "BTC", "1", "1", "0"), TOTALS[0]], "loan, BTC: the snapshot has 0 rows and the control total says 1: 1 missing"),
        ([], "spot, BTC: there are 2 balances and no control total"),
    ],
)
def test_control_totals_that_differ_are_named(run, totals, said: str) -> None:
    with pytest.raises((LedgerError, AmountError), match=said):
        run(totals=[*totals, *TOTALS[1:]])


def test_a_sum_over_38_digits_is_refused(run) -> None:
    largest = "9" * 30 + "." + "9" * 8
    for users in (2, 4):
        with pytest.raises(AmountError, match="digits"):
            run(
                balances=[(f"U{number}", "spot", "BTC", largest) for number in range(users)],
                totals=[("spot", "BTC", str(users), str(users), "1")],
            )


def test_no_rows_at_all_are_refused(run) -> None:
    with pytest.raises(LedgerError, match="there is no balance for as_of 2023-02-17T16:00:00Z"):
        run(balances=[], totals=[])


@pytest.mark.parametrize("flow", [("BTC", "airdrop", "1", "1"), ("DOGE", "fee", "1", "1"), (None, "fee", "1", "1")])
def test_unknown_flows_are_refused(run, flow) -> None:
    with pytest.raises(LedgerError, match="assay_flows"):
        run(flows=[flow])


def test_an_unfinished_extract_is_refused(run, settings: Settings, tmp_path: Path) -> None:
    run()
    raw = RawSnapshot(folder=tmp_path / "raw")
    raw.origin.unlink()
    with pytest.raises(LedgerError, match="unfinished"):
        canonicalise(settings, raw, SECRET, tmp_path / "snapshot")


def test_user_keys_of_two_reports_have_nothing_in_common() -> None:
    keys = [
        report_key(SECRET, "a", FIRST),
        report_key(SECRET, "a", SECOND),
        report_key(SECRET, "b", FIRST),
        report_key(SECRET[::-1], "a", FIRST),
    ]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32}


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ConfigError, match="31 bytes"):
        report_key(SECRET[1:], "a", FIRST)


AMOUNTS = st.one_of(
    st.from_regex(r"-?[0-9]{1,40}(\.[0-9]{0,20})?", fullmatch=True),
    st.from_regex(r"-?0{0,5}[0-9]{0,3}\.?[0-9]{0,9}0{0,30}", fullmatch=True),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.text(alphabet="0123456789.-+eE ,_\n٣NaInf", max_size=12),
)


LARGEST = "9" * 30 + "." + "9" * 8  # BTC


@pytest.mark.parametrize("finer", ["refuse", "round_up"])
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(["-", "", ".", "1.", ".5", "--1", "-0", "00", "1\n", "0.", "-.", "1.2.3", "٣"])
@example([LARGEST, f"-{LARGEST}", f"{LARGEST}1", f"-{LARGEST}1", "0." + "0" * 25 + "1", "0." + "0" * 26 + "1", "-0." + "0" * 25 + "9"])
@given(texts=st.lists(AMOUNTS, min_size=1, max_size=40))
def test_the_streamed_conversion_is_that_of_single_amounts(settings: Settings, tmp_path: Path, finer: str, texts: list[str]) -> None:
    settings = with_ledger(settings, finer_than_unit=finer)
    raw = RawSnapshot(folder=tmp_path / "raw")
    write(
        raw.balances / "00000.parquet",
        BALANCE_COLUMNS,
        [(f"U{number}", "spot", asset, text) for number, text in enumerate(texts) for asset in settings.assets],
    )
    with session() as connection:
        register(connection, settings, raw.balance_files())
        found = connection.execute("select asset, decimals, text, valid, amount, rounding from rows").fetchall()
    assert len(found) == len(texts) * len(settings.assets)
    for asset, decimals, text, valid, amount, rounding in found:
        try:
            expected = read_amount(settings, text, asset, subject="")
        except AmountError:
            expected = None
        assert decimals == settings.assets[asset].decimals
        assert valid == (expected is not None)
        assert (amount, rounding) == (expected or (None, None))
