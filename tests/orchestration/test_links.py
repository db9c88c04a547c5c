"""Buttons on a task's page, from the context that a worker has when its task has ended."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assay.errors import LedgerError
from assay.orchestration import links, places
from tests.publication.lake import publish_moment
from tests.publication.sample import FIRST


def ended(error: BaseException | None = None, *, moment: str | None = "2023-01-18T16:00:00Z") -> Any:
    context = {"dag_run": SimpleNamespace(partition_key=moment, run_id="asset__1"), "params": {"as_of": None}, "exception": error}
    return SimpleNamespace(get_template_context=lambda: context)


def test_a_task_that_ended_well_links_to_what_it_made_and_one_that_failed_does_not() -> None:
    digest = places.run_digest(FIRST, "asset__1")
    assert links.StagedReportLink().get_link(None, ti_key=ended()) == f"/assay/staged/2023-01-18T160000Z/{digest}/report.html"
    assert links.StagedDifferenceLink().get_link(None, ti_key=ended()) == f"/assay/staged/2023-01-18T160000Z/{digest}/diff"
    assert links.DataDocsLink().get_link(None, ti_key=ended()) == f"/assay/quality/2023-01-18T160000Z/{digest}/index.html"
    assert links.DataDocsLink().get_link(None, ti_key=ended(KeyError())) == ""
    assert links.DataDocsLink().get_link(None, ti_key=ended(moment=None)) == ""


def test_the_runbook_is_linked_at_the_kind_of_error(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CONFIG", str(config_file))
    error = LedgerError("p", subject="s", next_step="n")
    assert links.RunbookLink().get_link(None, ti_key=ended(error)) == "/assay/runbook#ledgererror"
    assert links.RunbookLink().get_link(None, ti_key=ended(KeyError())) == "/assay/runbook"
    assert links.RunbookLink().get_link(None, ti_key=ended()) == ""
    with config_file.open("a") as file:
        file.write('[notices]\nrunbook = "https://wiki.example/assay"\n')
    assert links.RunbookLink().get_link(None, ti_key=ended(error)) == "https://wiki.example/assay#ledgererror"


def test_the_published_report_is_linked_in_its_newest_revision(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CONFIG", str(config_file))
    published = publish_moment(config_file.parent, FIRST)
    config_file.write_text(config_file.read_text().replace('series = "test"', f'series = "{published.folder.parent.name}"'))
    assert links.PublishedReportLink().get_link(None, ti_key=ended()) == "/assay/published/2023-01-18T160000Z/report.html"


def test_links_stay_below_the_path_that_airflow_is_served_under(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://ops.example/airflow/")
    assert places.on_this_server("/assay/runbook") == "/airflow/assay/runbook"
    assert places.from_outside("/assay/runbook") == "https://ops.example/airflow/assay/runbook"
    assert places.task_address(dag_id="d", run_id="r+1", task_id="a.b", map_index=2) == (
        "https://ops.example/airflow/dags/d/runs/r%2B1/tasks/a.b/mapped/2"
    )
