from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from assay import schedule
from assay.errors import AssayError, ConfigError, LedgerError, SnapshotPendingError, SourceBehindError, SourceUnavailableError


def in_run(monkeypatch: pytest.MonkeyPatch, config_file: Path, *, param: str | None, key: str | None) -> None:
    dag_run = SimpleNamespace(dag_id="reserve_snapshot", run_id="manual__1", partition_key=key)
    context = {"dag_run": dag_run, "params": {"as_of": param, "correction": None}}
    monkeypatch.setattr(schedule, "get_current_context", lambda: context)
    monkeypatch.setenv("ASSAY_CONFIG", str(config_file))


@pytest.mark.parametrize(
    ("param", "key"), [("2023-02-17T16:00:00Z", None), (None, "2023-02-17T16:00:00Z"), ("2023-02-17T16:00:00Z", "2023-02-17T16:00:00Z")]
)
def test_the_moment_comes_from_the_parameter_or_the_partition_key(
    monkeypatch: pytest.MonkeyPatch, config_file: Path, param: str | None, key: str | None
) -> None:
    in_run(monkeypatch, config_file, param=param, key=key)
    assert schedule.current_run().as_of == datetime(2023, 2, 17, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("param", "key", "says"),
    [
        (None, None, "names no attested moment"),
        ("2023-02-17T16:00:00Z", "2023-01-18T16:00:00Z", "names two attested moments"),
        ("yesterday", None, "not a UTC instant"),
    ],
)
def test_a_run_without_one_clear_moment_is_refused(
    monkeypatch: pytest.MonkeyPatch, config_file: Path, param: str | None, key: str | None, says: str
) -> None:
    in_run(monkeypatch, config_file, param=param, key=key)
    with pytest.raises(ConfigError, match=says):
        schedule.current_run()


@pytest.mark.parametrize(
    ("error", "action", "seconds"),
    [
        (SourceUnavailableError, "retry", 60),
        (SnapshotPendingError, "retry", 20),
        (SourceBehindError, "retry", 600),
        (LedgerError, "fail", None),
        (AssayError, "fail", None),
    ],
)
def test_sources_are_asked_again_and_wrong_answers_are_not(error: type[AssayError], action: str, seconds: int | None) -> None:
    decision = schedule.RETRY_POLICY.evaluate(error("p", subject="s", next_step="n"), 1, 4)
    assert decision.action.value == action
    assert (decision.retry_delay.total_seconds() if decision.retry_delay else None) == seconds
