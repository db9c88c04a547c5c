"""Starting the DAGs for one moment or several and following them to the publication, with progress at a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from assay.airflow_api import AirflowApi
from assay.config import Settings
from assay.errors import AssayError

RESERVES = "reserve_snapshot"
LIABILITIES = "liability_snapshot"
ATTESTATION = "reserve_attestation"
DAGS = frozenset({RESERVES, LIABILITIES, ATTESTATION})

_POLL_SECONDS = 2.0
_DONE = frozenset({"success", "skipped"})


class RunError(AssayError):
    """A DAG run did not end well; carries what its tasks' logs say."""


def attest(
    api: AirflowApi,
    settings: Settings,
    moments: Sequence[str],
    console: Console,
    *,
    correction: str | None = None,
    check: Callable[[], None] = lambda: None,
    seconds: float = 86_400.0,
) -> None:
    """Trigger both snapshots of each moment and wait until the attestations that follow have published.

    The chains of all moments are read at once, as far as Airflow lets runs overlap. A moment's ledger is read after the moment before it was
    published, because its flows begin there.

    Args:
        api: Airflow.
        settings: For the sources' pools.
        moments: Attested moments in order.
        console: Receives the progress.
        correction: Why an already published moment is published again.
        check: Called at every look; raises to give up.
        seconds: After which waiting for one moment ends.

    Raises:
        RunError: A task failed, or the time ran out.
    """
    api.set_pools({source.name: source.parallel_tasks for chain in settings.chains.values() for source in chain.sources})
    # Snapshots that were asked for together carry the same mark, so that none of them is paired with one of another attempt.
    request = {"request": str(uuid4()), "correction": correction}
    reading = {as_of: api.trigger(RESERVES, as_of, request) for as_of in moments}
    for as_of in moments:
        before = {run["dag_run_id"] for run in api.runs(ATTESTATION, as_of)}
        runs = {RESERVES: reading[as_of], LIABILITIES: api.trigger(LIABILITIES, as_of, request)}
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} tasks"), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            bars = {dag: progress.add_task(f"{as_of} {dag}", total=None) for dag in (RESERVES, LIABILITIES, ATTESTATION)}
            _follow(api, as_of, runs, before, progress, bars, check=check, seconds=seconds)


def _follow(
    api: AirflowApi,
    as_of: str,
    runs: dict[str, str],
    before: set[str],
    progress: Progress,
    bars: dict[str, TaskID],
    *,
    check: Callable[[], None],
    seconds: float,
) -> None:
    deadline = time.monotonic() + seconds
    while bars:
        check()
        if time.monotonic() > deadline:
            raise RunError(
                f"it did not end within {seconds:.0f} s", subject=f"{', '.join(bars)} for {as_of}", next_step="look at its tasks in Airflow"
            )
        if ATTESTATION not in runs:
            new = [run["dag_run_id"] for run in api.runs(ATTESTATION, as_of) if run["dag_run_id"] not in before]
            runs |= {ATTESTATION: new[0]} if new else {}
        bars = {dag: bar for dag, bar in bars.items() if dag not in runs or not _finished(api, dag, runs[dag], progress, bar)}
        time.sleep(_POLL_SECONDS)


def _finished(api: AirflowApi, dag: str, run: str, progress: Progress, bar: TaskID) -> bool:
    state = api.get(f"/dags/{dag}/dagRuns/{run}")["state"]
    tasks = api.tasks(dag, run)
    done = sum(task["state"] in _DONE for task in tasks)
    progress.update(bar, total=len(tasks), completed=done)
    if state == "success" and not _published(dag, tasks):
        raise RunError("it ended without publishing: the sign-off was refused", subject=f"{dag} {run}", next_step="ask the approvers")
    if state == "failed":
        reports = [f"task {task['task_id']}: {api.log_tail(task)}" for task in tasks if task["state"] == "failed"]
        raise RunError(
            "the run failed\n  " + "\n  ".join(reports or ["no task failed; the scheduler's log says why"]) + "\nNothing was published",
            subject=f"{dag} {run}",
            next_step="mend what the task names, then start the moment again",
        )
    return bool(state == "success")


def _published(dag: str, tasks: list[dict[str, Any]]) -> bool:
    return dag != ATTESTATION or any(task["task_id"] == "publish" and task["state"] == "success" for task in tasks)
