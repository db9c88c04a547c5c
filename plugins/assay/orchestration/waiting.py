"""What a run waits for, in words, said when it changes: at a terminal above bars, elsewhere as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from assay.airflow_api import AirflowApi
from assay.config import Settings
from assay.orchestration.preflight import ATTESTATION, DAGS

_DONE = frozenset({"success", "skipped"})
_QUIET_SECONDS = 30
"""How long a task may wait for its turn before it is worth a line."""
_APPROVAL = "approve_"


class Waiting:
    """Says how the runs of one moment go on; a context manager.

    Args:
        api: Airflow.
        settings: Names the approvers.
        as_of: The moment.
        console: Receives what is said; bars are drawn where it is a terminal.
    """

    def __init__(self, api: AirflowApi, settings: Settings, as_of: str, console: Console) -> None:
        self._api = api
        self._settings = settings
        self._as_of = as_of
        self._console = console
        self._said: set[str] = set()
        self._counted: dict[str, str] = {}
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} tasks"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console) if console.is_terminal else None
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
            self._bars = {dag: self._progress.add_task(f"{self._as_of} {dag}", total=None) for dag in DAGS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress:
            self._progress.stop()

    def look(self, dag: str, run: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> None:
        """Take note of a run and its task instances, and say what is new."""
        done = sum(task["state"] in _DONE for task in tasks)
        if self._progress:
            self._progress.update(self._bars[dag], total=len(tasks), completed=done)
        elif self._counted.get(dag) != (words := f"{dag}: {run['state']}, {done} of {len(tasks)} tasks done"):
            self._counted[dag] = words
            self.say(words, once=False)
        if run["state"] not in {"success", "failed"}:
            for words in (*self._run_waits(dag, run), *(line for task in tasks for line in self._task_waits(dag, run, task))):
                self.say(words)

    def say(self, words: str, *, once: bool = True) -> None:
        """Say something, with the time; the same words once only, unless it is a count."""
        if once and words in self._said:
            return
        self._said.add(words)
        self._console.print(f"{datetime.now(UTC):%H:%M:%S} {self._as_of} {words}", markup=False, soft_wrap=True)

    def _run_waits(self, dag: str, run: Mapping[str, Any]) -> Iterator[str]:
        if run["state"] != "queued" or _seconds_since(run["queued_at"]) < _QUIET_SECONDS:
            return
        if (self._api.find(f"/dags/{dag}") or {}).get("is_paused"):
            yield f"{dag} waits: the DAG was paused; `airflow dags unpause {dag}` lets it go on"
            return
        others = [
            item for item in self._api.get(f"/dags/{dag}/dagRuns", state="running")["dag_runs"] if item["dag_run_id"] != run["dag_run_id"]
        ]
        if others:
            yield f"{dag} waits for its turn behind the run {others[0]['dag_run_id']}"
        else:
            yield f"{dag} is queued: the scheduler has not begun it ({self._scheduler()})"

    def _scheduler(self) -> str:
        return f"its heartbeat is {self._api.health().get('scheduler', 'unknown')}"

    def _task_waits(self, dag: str, run: Mapping[str, Any], task: Mapping[str, Any]) -> Iterator[str]:
        state, name = task["state"], task["task_id"]
        if state == "up_for_retry":
            why = self._api.log_tail(task, lines=1).strip().splitlines()
            yield f"{dag}: {name} is tried again ({task['try_number']} of {task['max_tries'] + 1} tries so far): {why[-1] if why else 'no reason is known'}"
        elif name.startswith(_APPROVAL) and dag == ATTESTATION and state in {"awaiting_input", "deferred", "running"}:
            # Airflow may have been started with another configuration than the one that is read here.
            groups, number = self._settings.sign_off.approvers, int(name.removeprefix(_APPROVAL))
            group = groups[number - 1] if number <= len(groups) else ("the people whom its page names",)
            link = f"{self._api.url}/dags/{dag}/runs/{run['dag_run_id']}/tasks/{name}/required_actions"
            yield f"{dag} waits for the approval of {' or '.join(group)}: {link}"
        elif state in {"scheduled", "queued"} and _seconds_since(task.get("queued_when") or task.get("scheduled_when")) > _QUIET_SECONDS:
            if task["pool"] not in self._api.pools():
                yield f"{dag}: {name} waits for the pool {task['pool']}, which is missing: `assay pools > pools.json && airflow pools import pools.json`"
            elif state == "queued":
                yield f"{dag}: {name} was given to the executor and has not begun ({self._scheduler()}); is a worker running?"


def _seconds_since(moment: str | None) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() if moment else 0.0
