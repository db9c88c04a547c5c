"""Starting the DAGs for one moment or several and following them to the publication, with what they wait for said at a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from rich.console import Console

from assay.airflow_api import AirflowApi, UnreachableError
from assay.config import Settings
from assay.errors import AssayError
from assay.orchestration.preflight import ATTESTATION, DAGS, LIABILITIES, RESERVES
from assay.orchestration.waiting import Waiting

__all__ = ["ATTESTATION", "DAGS", "LIABILITIES", "RESERVES", "RunError", "attest", "begin", "pools_of", "start"]

_POLL_SECONDS = 2.0
_PATIENCE_SECONDS = 300.0
_ACTIVE = frozenset({"queued", "running"})


class RunError(AssayError):
    """A DAG run did not end well; carries what its tasks' logs say."""


def pools_of(settings: Settings) -> dict[str, int]:
    """Return the slots of the pool of each source."""
    return {source.name: source.parallel_tasks for chain in settings.chains.values() for source in chain.sources}


def begin(
    api: AirflowApi, as_of: str, dags: Sequence[str], request: dict[str, str | None], say: Callable[[str], None] = lambda _: None
) -> dict[str, str]:
    """Trigger snapshots of a moment, and take up those that are under way already instead of starting them once more.

    Returns:
        The ids of their runs.

    Raises:
        RunError: One is under way for another reason for a correction.
    """
    runs = {}
    for dag in dags:
        active = [run for run in api.runs(dag, as_of) if run["state"] in _ACTIVE]
        if not active:
            runs[dag] = api.trigger(dag, as_of, request)
            continue
        given = active[0].get("conf") or {}
        if (given.get("correction") or None) != request["correction"]:
            raise RunError(
                f"it is under way with {given.get('correction') or 'no correction'!r}",
                subject=f"{dag} {active[0]['dag_run_id']}",
                next_step="wait for it, or mark it failed in Airflow and start the moment again",
            )
        # Both snapshots must carry one mark.
        request["request"] = given.get("request") or request["request"]
        runs[dag] = active[0]["dag_run_id"]
        say(f"{as_of} {dag}: it is under way already, since {active[0]['queued_at']}; following it instead of starting another one")
    return runs


def attest(
    api: AirflowApi,
    settings: Settings,
    moments: Sequence[str],
    console: Console,
    *,
    correction: str | None = None,
    check: Callable[[], None] = lambda: None,
    seconds: float = 86_400.0 * 9,
) -> None:
    """Trigger both snapshots of each moment and wait until the attestations that follow have published.

    The chains of all moments are read at once, as far as Airflow lets runs overlap. A moment's ledger is read after the moment before it was
    published, because its flows begin there.

    Args:
        api: Airflow.
        settings: For the sources' pools and the approvers.
        moments: Attested moments in order.
        console: Receives the progress.
        correction: Why an already published moment is published again.
        check: Called at every look; raises to give up.
        seconds: After which waiting for one moment ends.

    Raises:
        RunError: A task failed, or the time ran out.
    """
    api.set_pools(pools_of(settings))
    # Snapshots that were asked for together carry the same mark, so that none of them is paired with one of another attempt.
    requests: dict[str, dict[str, str | None]] = {as_of: {"request": str(uuid4()), "correction": correction} for as_of in moments}

    def say(words: str) -> None:
        console.print(words, markup=False, soft_wrap=True)

    before = {as_of: {run["dag_run_id"] for run in api.runs(ATTESTATION, as_of) if run["state"] not in _ACTIVE} for as_of in moments}
    reading = {as_of: begin(api, as_of, [RESERVES], requests[as_of], say) for as_of in moments}
    for as_of in moments:
        runs = reading[as_of] | begin(api, as_of, [LIABILITIES], requests[as_of], say)
        with Waiting(api, settings, as_of, console) as waiting:
            try:
                _follow(api, as_of, runs, before[as_of], waiting, check=check, seconds=seconds)
            except KeyboardInterrupt:
                say(f"\n{as_of}: nobody is watching any more; the runs go on in Airflow:")
                for dag, run in runs.items():
                    say(f"  {dag} {run}: {api.url}/dags/{dag}/runs/{run}")
                say(f"To follow them again: assay attest --as-of {as_of}. To stop them: mark them failed in Airflow.")
                raise


def start(api: AirflowApi, settings: Settings, moments: Sequence[str], console: Console, *, correction: str | None = None) -> None:
    """Trigger both snapshots of one moment and say how to follow them.

    Raises:
        RunError: Several moments are named: the ledger of the second can be read once the first is published.
    """
    if len(moments) > 1:
        raise RunError(
            "each but the first can begin only when the one before is published",
            subject="several moments with --no-watch",
            next_step="name one, or leave --no-watch out",
        )
    api.set_pools(pools_of(settings))
    (as_of,) = moments
    request: dict[str, str | None] = {"request": str(uuid4()), "correction": correction}
    for dag, run in begin(
        api, as_of, [RESERVES, LIABILITIES], request, lambda words: console.print(words, markup=False, soft_wrap=True)
    ).items():
        console.print(f"{dag} {run}: {api.url}/dags/{dag}/runs/{run}", markup=False, soft_wrap=True)
    console.print(f"{ATTESTATION} follows by itself. To watch: assay attest --as-of {as_of}", markup=False, soft_wrap=True)


def _follow(
    api: AirflowApi, as_of: str, runs: dict[str, str], before: set[str], waiting: Waiting, *, check: Callable[[], None], seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    answered = time.monotonic()
    open_dags = {RESERVES, LIABILITIES, ATTESTATION}
    while open_dags:
        check()
        if time.monotonic() > deadline:
            raise RunError(
                f"it did not end within {seconds:.0f} s",
                subject=f"{', '.join(sorted(open_dags))} for {as_of}",
                next_step="look at its tasks in Airflow",
            )
        try:
            open_dags -= _ended(api, as_of, runs, before, waiting, open_dags)
            answered = time.monotonic()
        except UnreachableError as error:
            # The runs go on without the API server; a busy one, or one that is started anew, answers again.
            if time.monotonic() - answered > _PATIENCE_SECONDS:
                raise
            waiting.say(f"{error.subject} {error.problem}; trying again for {_PATIENCE_SECONDS // 60:.0f} minutes")
        if open_dags:
            time.sleep(_POLL_SECONDS)


def _ended(api: AirflowApi, as_of: str, runs: dict[str, str], before: set[str], waiting: Waiting, open_dags: set[str]) -> set[str]:
    """Look at all that is open once, and return the DAGs whose run has ended well."""
    if ATTESTATION not in runs:
        new = [run["dag_run_id"] for run in api.runs(ATTESTATION, as_of) if run["dag_run_id"] not in before]
        runs |= {ATTESTATION: new[0]} if new else {}
    return {dag for dag in open_dags if dag in runs and _finished(api, dag, runs[dag], waiting)}


def _finished(api: AirflowApi, dag: str, run: str, waiting: Waiting) -> bool:
    details = api.get(f"/dags/{dag}/dagRuns/{run}")
    state, tasks = details["state"], api.tasks(dag, run)
    waiting.look(dag, details, tasks)
    if state == "success" and not _published(dag, tasks):
        raise RunError("it ended without publishing: the sign-off was refused", subject=f"{dag} {run}", next_step="ask the approvers")
    if state == "failed":
        reports = [f"task {_name(task)}: {api.log_tail(task)}" for task in tasks if task["state"] == "failed"]
        raise RunError(
            "the run failed\n  " + "\n  ".join(reports or ["no task failed; the scheduler's log says why"]) + "\nNothing was published",
            subject=f"{dag} {run}",
            next_step="mend what the task names, then start the moment again",
        )
    return bool(state == "success")


def _name(task: dict[str, Any]) -> str:
    return str(task["task_id"]) + (f" [{task.get('rendered_map_index') or task['map_index']}]" if task["map_index"] >= 0 else "")


def _published(dag: str, tasks: list[dict[str, Any]]) -> bool:
    return dag != ATTESTATION or any(task["task_id"] == "publish" and task["state"] == "success" for task in tasks)
