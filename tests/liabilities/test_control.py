"""`assay ledger control`: what it writes is what a snapshot takes, and what cannot be counted exactly is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay import cli
from assay.config import Settings
from assay.errors import AmountError, LedgerError
from assay.liabilities.control import write_control
from assay.liabilities.snapshot import canonicalise, extract
from tests.liabilities import drops

FLOWS_FROM = datetime(2023, 1, 1, tzinfo=UTC)


@pytest.fixture
def configured(config_file: Path) -> Settings:
    text = config_file.read_text().replace('kind = "postgres"', 'kind = "files"\nfolder = "drops"')
    config_file.write_text(text)
    return Settings.load(config_file)


def dropped(configured: Settings, files: dict[str, bytes], *, control: bool = False) -> Path:
    folder = configured.path.parent / "drops" / drops.SLUG
    for name, data in files.items():
        if control or name != "control.json":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return folder


def test_what_is_counted_is_what_the_ledger_would_have_written(configured: Settings) -> None:
    files = drops.drop()
    counted = write_control(configured, dropped(configured, files), flows_from=FLOWS_FROM)
    theirs = json.loads(files["control.json"])
    theirs["totals"].sort(key=lambda total: (total["account_type"], total["asset"]))
    assert json.loads(counted.path.read_bytes()) == counted.content == theirs


def test_a_snapshot_takes_a_counted_drop(configured: Settings, tmp_path: Path) -> None:
    write_control(configured, dropped(configured, drops.drop()), flows_from=FLOWS_FROM)
    raw = extract(configured, datetime(2023, 2, 17, 16, tzinfo=UTC), datetime(2023, 1, 18, 16, tzinfo=UTC), "", tmp_path / "raw")
    assert canonicalise(configured, raw, b"s" * 32, tmp_path / "snapshot").control_totals.is_file()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(st.lists(st.decimals(min_value=-(10**12), max_value=10**12, places=20, allow_nan=False), min_size=1, max_size=6))
def test_totals_are_exact(configured: Settings, amounts: list[object]) -> None:
    rows = [(f"U{number}", "spot", "BTC", f"{amount:f}") for number, amount in enumerate(amounts)]
    folder = dropped(configured, {"balances/a.csv": drops.csv_bytes(drops.BALANCE_COLUMNS, rows)})
    (total,) = write_control(configured, folder, replace=True).content["totals"]
    scaled = sum(int(text.replace(".", "")) for *_, text in rows)
    whole, _, fraction = total["total_amount"].partition(".")
    assert int(whole + fraction.ljust(20, "0")) == scaled


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("U1", "spot", "BTC", "1e3")], "'1e3' is not a decimal number"),
        ([("U1", "spot", "BTC", "1,5")], "'1,5' is not a decimal number"),
        ([("U1", "spot", "BTC", "")], "'' is not a decimal number"),
        ([("", "spot", "BTC", "1")], "user_id is empty"),
        ([("U1", "vault", "BTC", "1")], "account type 'vault' is unknown"),
        ([("U1", "spot", "XBT", "1")], "asset 'XBT' is unknown"),
        ([("U1", "spot", "BTC", "1"), ("U1", "spot", "BTC", "2")], "there are 2 rows and there may be one"),
    ],
)
def test_rows_that_a_snapshot_would_refuse_are_not_counted(configured: Settings, rows: list[tuple[str, ...]], said: str) -> None:
    folder = dropped(configured, {"balances/a.csv": drops.csv_bytes(drops.BALANCE_COLUMNS, rows)})
    with pytest.raises(LedgerError, match=said):
        write_control(configured, folder)
    assert not (folder / "control.json").exists()


def test_a_sum_beyond_all_digits_is_refused(configured: Settings) -> None:
    rows = [("U1", "spot", "BTC", "9" * 38), ("U2", "spot", "BTC", "9" * 38)]
    with pytest.raises(AmountError, match="more than 38 digits"):
        write_control(configured, dropped(configured, {"balances/a.csv": drops.csv_bytes(drops.BALANCE_COLUMNS, rows)}))


def test_a_control_file_that_says_something_else_stands_until_it_is_to_be_replaced(configured: Settings) -> None:
    files = drops.balances([("U1", "spot", "BTC", "1")])
    folder = dropped(configured, files, control=True)
    with pytest.raises(LedgerError, match="says something else"):
        write_control(configured, folder)
    assert (folder / "control.json").read_bytes() == files["control.json"]
    assert write_control(configured, folder, replace=True).written
    assert not write_control(configured, folder).written


def test_where_the_flows_begin_must_be_said_if_there_are_any(configured: Settings) -> None:
    folder = dropped(configured, drops.drop())
    with pytest.raises(LedgerError, match="add --flows-from"):
        write_control(configured, folder)
    for path in (folder / "flows").iterdir():
        path.unlink()
    with pytest.raises(LedgerError, match="leave --flows-from out"):
        write_control(configured, folder, flows_from=FLOWS_FROM)


@pytest.mark.parametrize("name", ["balances/a.txt", "notes.csv", "balance/a.csv", "balances/ä.csv"])
def test_a_file_that_is_no_part_of_a_drop_is_named(configured: Settings, name: str) -> None:
    folder = dropped(configured, drops.balances([("U1", "spot", "BTC", "1")]) | {name: b"x"})
    with pytest.raises(LedgerError, match=name):
        write_control(configured, folder)


def test_a_folder_that_is_not_named_after_a_moment_is_refused(configured: Settings) -> None:
    folder = dropped(configured, drops.drop()).rename(configured.path.parent / "february")
    with pytest.raises(LedgerError, match="name it like 2023-02-17T160000Z"):
        write_control(configured, folder)


def test_the_command_says_what_it_counted_and_what_that_does_not_show(
    configured: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSAY_CONFIG", str(configured.path))
    folder = dropped(configured, drops.drop())
    assert cli.main(["ledger", "control", str(folder), "--flows-from", "2023-01-01T00:00:00Z"]) == 0
    said = capsys.readouterr().out
    assert "1.50000001" in said
    assert "3 files with 8 rows" in said
    assert "cannot show that the ledger left nothing out" in said
