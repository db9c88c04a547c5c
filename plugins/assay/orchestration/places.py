"""Where a run's pages stand in Airflow's API server: one place for the notices, the links and the pages themselves.

Imported by tasks and by the pages alone; it imports no more than it needs all the same.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from assay.config import NoticeSettings
from assay.lake import run_folder, slug

PREFIX = "/assay"
"""Where the pages are mounted in the API server."""

RUNBOOK = "/runbook"


def run_digest(as_of: datetime, run_id: str) -> str:
    """Return the name of a run's own folders in the lake."""
    return run_folder(Path(), "", "", as_of, run_id).name


def staged_report(as_of: datetime, run_id: str) -> str:
    """Return the page with the report as it was staged."""
    return f"{PREFIX}/staged/{slug(as_of)}/{run_digest(as_of, run_id)}/report.html"


def staged_difference(as_of: datetime, run_id: str) -> str:
    """Return the page that compares the staged publication with the one before it."""
    return f"{PREFIX}/staged/{slug(as_of)}/{run_digest(as_of, run_id)}/diff"


def data_docs(as_of: datetime, run_id: str) -> str:
    """Return the page with the results of the expectations."""
    return f"{PREFIX}/quality/{slug(as_of)}/{run_digest(as_of, run_id)}/index.html"


def published_report(folder: str) -> str:
    """Return the page with a publication's report."""
    return f"{PREFIX}/published/{folder}/report.html"


def runbook(settings: NoticeSettings, kind: str = "") -> str:
    """Return the runbook, at the section of a kind of error where one is named."""
    return (settings.runbook or f"{PREFIX}{RUNBOOK}") + (f"#{kind.lower()}" if kind else "")


def on_this_server(path: str) -> str:
    """Return a link from Airflow's own pages, behind whatever name they are reached by."""
    return path if "://" in path else urlsplit(_base_url()).path.rstrip("/") + path


def from_outside(path: str) -> str:
    """Return the whole address, for somebody who reads a notice."""
    return path if "://" in path else _base_url().rstrip("/") + path


def task_address(*, dag_id: str, run_id: str, task_id: str = "", map_index: int = -1) -> str:
    """Return the address of a run in Airflow, or of one of its tasks with the log."""
    task = f"/tasks/{quote(task_id)}" + (f"/mapped/{map_index}" if map_index >= 0 else "") if task_id else ""
    return from_outside(f"/dags/{quote(dag_id)}/runs/{quote(run_id)}{task}")


def _base_url() -> str:
    from airflow.sdk.configuration import conf

    return str(conf.get("api", "base_url", fallback="http://localhost:8080/"))
