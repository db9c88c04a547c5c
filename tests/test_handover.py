"""The attestation takes the newest snapshots of a moment, whatever order they finish in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assay import handover
from assay.config import Settings
from assay.errors import ComputationError, SnapshotPendingError

AS_OF = datetime(2023, 2, 17, 16, tzinfo=UTC)


@pytest.fixture
def settings(config_file: Path) -> Settings:
    return Settings.load(config_file)


def begin(settings: Settings, dataset: str, run: str) -> None:
    handover.begin(settings, dataset, AS_OF, run)


def finish(settings: Settings, dataset: str, run: str, request: str | None = None, correction: str | None = None) -> None:
    handover.finish(settings, dataset, AS_OF, run, {"folder": f"{dataset}/{run}", "request": request, "correction": correction})


def snapshot(settings: Settings, dataset: str, run: str, request: str | None = None, correction: str | None = None) -> None:
    begin(settings, dataset, run)
    finish(settings, dataset, run, request, correction)


def folders(settings: Settings) -> list[str]:
    return [content["folder"] for content in handover.take(settings, AS_OF).values()]


def test_two_finished_snapshots_are_taken(settings: Settings) -> None:
    snapshot(settings, "reserves", "R1")
    snapshot(settings, "liabilities", "L1")
    assert folders(settings) == ["reserves/R1", "liabilities/L1"]


def test_an_old_ledger_is_not_paired_with_new_reserves_while_the_ledger_is_being_read_again(settings: Settings) -> None:
    snapshot(settings, "liabilities", "L1")
    snapshot(settings, "reserves", "R2")
    begin(settings, "liabilities", "L2")
    with pytest.raises(SnapshotPendingError, match=r"newest run \(L2\) has not finished"):
        handover.take(settings, AS_OF)
    finish(settings, "liabilities", "L2")
    assert folders(settings) == ["reserves/R2", "liabilities/L2"]


def test_nor_before_the_second_reading_has_begun_if_both_were_asked_for_together(settings: Settings) -> None:
    snapshot(settings, "liabilities", "L1", request="first")
    snapshot(settings, "reserves", "R2", request="second")
    with pytest.raises(SnapshotPendingError, match="not asked for together") as caught:
        handover.take(settings, AS_OF)
    assert caught.value.RETRYABLE
    snapshot(settings, "liabilities", "L2", request="second")
    assert folders(settings) == ["reserves/R2", "liabilities/L2"]


def test_a_correction_of_one_snapshot_alone_waits_for_the_other(settings: Settings) -> None:
    snapshot(settings, "reserves", "R1")
    snapshot(settings, "liabilities", "L2", correction="a user was missing")
    with pytest.raises(SnapshotPendingError, match="different reasons for a correction"):
        handover.take(settings, AS_OF)


def test_an_older_run_that_ends_late_does_not_count(settings: Settings) -> None:
    begin(settings, "reserves", "R1")
    begin(settings, "reserves", "R2")
    finish(settings, "reserves", "R1")
    snapshot(settings, "liabilities", "L1")
    with pytest.raises(SnapshotPendingError, match=r"newest run \(R2\)"):
        handover.take(settings, AS_OF)


def test_a_task_that_is_run_again_changes_nothing(settings: Settings) -> None:
    for _ in range(2):
        snapshot(settings, "reserves", "R1")
        snapshot(settings, "liabilities", "L1")
    assert folders(settings) == ["reserves/R1", "liabilities/L1"]


def test_a_missing_snapshot_is_waited_for(settings: Settings) -> None:
    snapshot(settings, "reserves", "R1")
    with pytest.raises(SnapshotPendingError, match=r"liabilities .*newest run \(none\)"):
        handover.take(settings, AS_OF)


@pytest.mark.parametrize(("file", "old", "new"), [("assay.toml", "Test Custodian", "Other"), ("registry/wallets.csv", "first", "renamed")])
def test_a_configuration_or_registry_that_changed_meanwhile_stops_the_attestation(
    settings: Settings, change: Callable[[str, str, str], None], file: str, old: str, new: str
) -> None:
    snapshot(settings, "reserves", "R1")
    snapshot(settings, "liabilities", "L1")
    change(file, old, new)
    with pytest.raises(ComputationError, match="changed since the snapshots"):
        handover.take(Settings.load(settings.path), AS_OF)
    snapshot(Settings.load(settings.path), "reserves", "R2")
    with pytest.raises(SnapshotPendingError, match="different configurations"):
        handover.take(Settings.load(settings.path), AS_OF)
