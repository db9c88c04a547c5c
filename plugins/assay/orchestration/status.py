"""What was published, what is under way, and what failed last, at a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from assay.airflow_api import AirflowApi, AirflowApiError
from assay.config import Settings
from assay.lake import format_as_of
from assay.orchestration.preflight import DAGS
from assay.publication.log import Log


def status(settings: Settings, api: AirflowApi, console: Console) -> None:
    """Print the publications of the series, then the runs that Airflow has under way and the last one that failed.

    Lines are as long as they are: nothing is cut for a narrow terminal or a pipe.

    Raises:
        PublicationError: The log is broken.
    """

    def say(words: str = "") -> None:
        console.print(words, markup=False, soft_wrap=True)

    series = settings.lake / "publications" / settings.series
    entries = Log.read(series).entries
    say(f"{settings.entity}: publications in {series}" if entries else f"{settings.entity}: nothing was published yet in {series}")
    for entry in entries:
        revision = f" revision {entry.revision}" if entry.revision > 1 else ""
        say(f"  {format_as_of(entry.as_of)}{revision}, published {format_as_of(entry.published_at)}")
        say(f"    {entry.folder}, manifest {entry.manifest_sha256}")
    try:
        active, failed = _runs(api)
    except AirflowApiError as error:
        say(f"What is under way is not known. {error}")
        return
    say("Under way:" if active else "Nothing is under way.")
    for run in active:
        say(f"  {_words(run)}")
    if failed:
        say("Failed last:")
        say(f"  {_words(failed)}")
        for task in api.tasks(failed["dag_id"], failed["dag_run_id"]):
            if task["state"] == "failed":
                say(f"    task {task['task_id']}: {api.log_tail(task)}")


def _runs(api: AirflowApi) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the runs under way, and the newest one that failed where none of its DAG succeeded for the moment since."""
    runs = [
        run
        for dag in DAGS
        if api.find(f"/dags/{dag}")
        for run in api.get(f"/dags/{dag}/dagRuns", order_by="-run_after", limit=50)["dag_runs"]
    ]
    runs.sort(key=lambda run: str(run["queued_at"]), reverse=True)
    active = [run for run in runs if run["state"] in {"queued", "running"}]
    mended = {(run["dag_id"], run["partition_key"], str(run["queued_at"])) for run in runs if run["state"] == "success"}
    for run in runs:
        later = any(dag == run["dag_id"] and key == run["partition_key"] and at > str(run["queued_at"]) for dag, key, at in mended)
        if run["state"] == "failed" and not later:
            return active, run
    return active, None


def _words(run: dict[str, Any]) -> str:
    return f"{run['partition_key'] or '(no moment)'} {run['dag_id']} {run['state']}, run {run['dag_run_id']}, since {run['start_date'] or run['queued_at']}"
