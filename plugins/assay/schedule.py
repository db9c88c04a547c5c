"""What the DAG files share: the configuration, the assets between them, the retry rule, what is told to whom, and the run they are in.

Imported at every parse of every DAG file, so only `airflow.sdk` and light modules stand at its top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Param, get_current_context
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from assay import handover
from assay.config import Settings, SignOffSettings
from assay.errors import AssayError, ConfigError, SnapshotPendingError, SourceBehindError, SourceUnavailableError
from assay.lake import AS_OF_PATTERN, format_as_of, parse_as_of, private_folder, run_folder
from assay.moments import check_moment
from assay.orchestration.deadline import AttestedMoment

RESERVES = Asset(name="reserves", uri="assay://reserves")
LIABILITIES = Asset(name="liabilities", uri="assay://liabilities")
PUBLICATION = Asset(name="publication", uri="assay://publication")

PARTITION_KEY_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""The attested moment is the partition key of every run and asset event, so two moments can never be mixed."""

_MAP_INDEX_NAME = "map_index_name"

MAP_INDEX_TEMPLATE = f"{{{{ {_MAP_INDEX_NAME} }}}}"
"""For mapped tasks that call `name_map_index`."""

_BEHIND_DELAY = timedelta(minutes=10)

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(SnapshotPendingError, RetryAction.RETRY, timedelta(seconds=20), reason="the snapshots do not belong together yet"),
        RetryRule(SourceBehindError, RetryAction.RETRY, _BEHIND_DELAY, reason="the blocks after the moment are not final yet"),
        RetryRule(SourceUnavailableError, RetryAction.RETRY, timedelta(minutes=1), reason="the source may answer later"),
        RetryRule(AssayError, RetryAction.FAIL, reason="trying again cannot change a wrong answer"),
    ]
)

SOURCE_RETRIES = 15
"""For tasks that ask a node or the ledger: a quarter of an hour of an outage passes without anybody being called."""

PENDING_RETRIES = 720
"""For the attestation that waits for a snapshot under way: four hours, looking every twenty seconds."""

BEHIND_RETRIES = 48
"""For tasks that wait for finality or for the ledger's closing: eight hours, looking every ten minutes."""

LEDGER_RUN = timedelta(days=1)
"""Of `liability_snapshot`: eight hours until the ledger has closed, and twice six for its tasks, with room."""

ATTESTATION_RUN = timedelta(days=8)
"""Of `reserve_attestation`: seven days for people to decide, and a day for everything else."""

SNAPSHOTS_AT_ONCE = 3
"""Moments that a snapshot DAG works on at a time, so that one which waits for finality does not stop the others.

Each run has folders of its own, and the pools hold back what reaches a node. The attestation takes one moment at a time: its deltas are
taken from the publication before, and that one must be in the log first.
"""


def tell_failed_task(context: Mapping[str, Any]) -> None:
    """Tell people of a task that failed for good; Airflow calls it in the worker."""
    from assay.orchestration import notices

    notices.tell_failed_task(context)


def tell_failed_run(context: Mapping[str, Any]) -> None:
    """Tell people of a run that failed without a failed task; Airflow calls it in the DAG processor."""
    from assay.orchestration import notices

    notices.tell_failed_run(context)


DEFAULT_ARGS: dict[str, Any] = {
    "owner": "reserves",
    "retries": 4,
    # Also the wait before a task whose worker was killed is started again.
    "retry_delay": timedelta(seconds=10),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(hours=1),
    "on_failure_callback": tell_failed_task,
}

AS_OF_PARAM = Param(
    None,
    type=["null", "string"],
    # Another form is refused by the form and by the API, before there is a run.
    pattern=f"^({AS_OF_PATTERN})?$",
    title="as_of",
    description="The attested moment, a UTC instant like 2023-02-17T16:00:00Z. Empty on scheduled runs: their partition key is the moment.",
)

CORRECTION_PARAM = Param(
    None,
    type=["null", "string"],
    title="correction",
    description="Why an already published moment is published again with other content. Without it such a publication is refused.",
)

REQUEST_PARAM = Param(
    None,
    type=["null", "string"],
    title="request",
    description="Any text that is the same for two snapshots that were asked for together; `assay attest` gives one. Leave it empty by hand.",
)

SNAPSHOT_PARAMS = {"as_of": AS_OF_PARAM, "correction": CORRECTION_PARAM, "request": REQUEST_PARAM}


def settings() -> Settings:
    """Return the configuration in force; a broken one fails the parse and shows as an import error of the DAG."""
    return Settings.load()


def behind_retries(settings: Settings) -> int:
    """Return how often a chain's blocks are looked for: until the latest offset's should be final, and eight hours more."""
    latest = max((0, *settings.stability.offsets_seconds))
    return BEHIND_RETRIES + -(-latest // int(_BEHIND_DELAY.total_seconds()))


def reserve_run(settings: Settings) -> timedelta:
    """Return how long a run of `reserve_snapshot` may take: until it stops looking for the latest block, and twelve hours of reading."""
    return behind_retries(settings) * _BEHIND_DELAY + timedelta(hours=12)


def deadline(settings: Settings) -> DeadlineAlert | None:
    """Return when a run should have ended and who is told if it has not; None where the configuration names no deadline."""
    if not settings.notices.deadline_hours:
        return None
    # By its name: the module imports what no DAG file needs.
    callback = AsyncCallback("assay.orchestration.notices.tell_missed_deadline")
    return DeadlineAlert(
        reference=AttestedMoment(), interval=timedelta(hours=settings.notices.deadline_hours), callback=callback, name="not ended in time"
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """The DAG run a task is in."""

    settings: Settings
    as_of: datetime
    run_id: str

    def folder(self, stage: str, dataset: str) -> Path:
        """Return the run's own folder in a stage of the lake."""
        return run_folder(self.settings.lake, stage, dataset, self.as_of, self.run_id)

    def private_folder(self, stage: str, dataset: str) -> Path:
        """Return the run's own folder for what concerns users; nobody but its owner may enter it."""
        return private_folder(self.folder(stage, dataset))


def current_run() -> Run:
    """Return the run of the task that calls.

    Raises:
        ConfigError: The run names no attested moment, or its parameter and partition key name different ones.
    """
    context = get_current_context()
    dag_run = context["dag_run"]
    named = {text for text in (context["params"].get("as_of"), dag_run.partition_key) if text}
    if len(named) != 1:
        raise ConfigError(
            "the run names no attested moment" if not named else f"the run names two attested moments: {' and '.join(sorted(named))}",
            subject=f"{dag_run.dag_id} {dag_run.run_id}",
            next_step='trigger it with the parameter {"as_of": "2023-02-17T16:00:00Z"}',
        )
    return Run(settings=settings(), as_of=parse_as_of(named.pop()), run_id=dag_run.run_id)


def name_map_index(name: str) -> None:
    """Give the calling task's map index a name that people read in the grid; the task is made with `MAP_INDEX_TEMPLATE`."""
    context: dict[str, Any] = get_current_context()  # type: ignore[assignment]
    context[_MAP_INDEX_NAME] = name


def begin(asset: Asset, run: Run) -> None:
    """Refuse what cannot end in a publication, and note that a snapshot has begun; the first task of each snapshot DAG calls it.

    Raises:
        AssayError: See `moments.check_moment` and `registry.check_configuration`. None of it is worth another try.
    """
    from assay.registry import check_configuration

    check_moment(run.settings, run.as_of, correction=get_current_context()["params"].get("correction"))
    check_configuration(run.settings, run.as_of)
    handover.begin(run.settings, asset.name, run.as_of, run.run_id)


def announce(asset: Asset, outlet_events: Any, run: Run, **content: str) -> None:
    """Note that a snapshot has finished, and attach the moment to the asset event of the calling task.

    `reserve_attestation` starts once both assets have an event for the same moment; which snapshots it takes is said by the notes
    (`handover.py`), because an event may be older than the newest run.
    """
    params = get_current_context()["params"]
    handover.finish(
        run.settings,
        asset.name,
        run.as_of,
        run.run_id,
        {**content, "request": params.get("request"), "correction": params.get("correction")},
    )
    event = outlet_events[asset]
    event.extra = {"as_of": format_as_of(run.as_of), "run_id": run.run_id}
    event.add_partitions(format_as_of(run.as_of))


def announce_publication(outlet_events: Any, run: Run, **content: Any) -> None:
    """Attach the moment and what was published to the event of the asset `publication`."""
    event = outlet_events[PUBLICATION]
    event.extra = {"as_of": format_as_of(run.as_of), "run_id": run.run_id, **content}
    event.add_partitions(format_as_of(run.as_of))


def sign_off_tasks(sign_off: SignOffSettings, staged: Any) -> list[Any]:
    """Add one approval task for each group of approvers; none where the sign-off is turned off.

    While an approval waits it holds no worker slot. A rejection skips everything after it, and `publish` reads the approvals again.
    """
    if not sign_off.required:
        return []
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    approvals = [
        ApprovalOperator(
            task_id=f"approve_{number}",
            subject="Publish the attestation of {{ dag_run.partition_key }}?",
            body="{{ ti.xcom_pull(task_ids='stage_publication')['summary'] }}",
            assigned_users=[{"id": name, "name": name} for name in group],
            ignore_downstream_trigger_rules=True,
            response_timeout=timedelta(days=7),
            execution_timeout=None,
            retries=0,
        )
        for number, group in enumerate(sign_off.approvers, 1)
    ]
    staged >> approvals
    return [approval.output for approval in approvals]
