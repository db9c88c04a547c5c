"""### Liability snapshot: ledger → liabilities

Takes the users' balances, the ledger's own control totals and the period's flows out of the ledger in one read-only transaction,
and holds them against each other.

1. `extract_ledger`: one repeatable-read snapshot, exactly as the ledger gives it, into Parquet.
2. `canonicalise_ledger`: exact base units, keyed hashes instead of user ids, row counts and totals against the control totals; announces
   the asset `liabilities`.

**Parameter** `as_of`: the attested moment, like `2023-02-17T16:00:00Z`. **When it fails**: the log's last line names the ledger row
and the rule; nothing is published. See `docs/runbook.md`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import CronPartitionTimetable, dag

from assay.orchestration.links import linked_task
from assay.schedule import (
    BEHIND_RETRIES,
    DEFAULT_ARGS,
    LEDGER_RUN,
    LIABILITIES,
    PARTITION_KEY_FORMAT,
    SNAPSHOT_PARAMS,
    SNAPSHOTS_AT_ONCE,
    announce,
    begin,
    current_run,
    deadline,
    settings,
    tell_failed_run,
)

SETTINGS = settings()


# A scheduled run starts at the very moment that it attests to, and a ledger closes some time after it.
@linked_task(execution_timeout=timedelta(hours=6), retries=BEHIND_RETRIES)
def extract_ledger() -> str:
    """Copy balances, control totals and flows out of the ledger in one snapshot."""
    from assay import attestation
    from assay.connections import check_ledger, url_of
    from assay.orchestration import task_logs

    run = current_run()
    begin(LIABILITIES, run)
    check_ledger(run.settings)
    raw = attestation.extract_ledger(run.settings, run.as_of, run.private_folder("raw", "ledger"), connect=url_of)
    return str(task_logs.of_extract(run.settings, raw))


@linked_task(outlets=[LIABILITIES], execution_timeout=timedelta(hours=6))
def canonicalise_ledger(raw: str, *, outlet_events: Any = None) -> None:
    """Turn the extract into exact, pseudonymous rows that add up to the control totals, and announce them."""
    from assay import attestation
    from assay.connections import secret_of
    from assay.orchestration import task_logs

    run = current_run()
    folder = run.private_folder("snapshot", "liabilities")
    attestation.canonicalise_ledger(run.settings, run.as_of, Path(raw), folder, secret_of=secret_of)
    task_logs.of_liabilities(run.settings, folder)
    announce(LIABILITIES, outlet_events, run, folder=str(folder))


@dag(
    schedule=CronPartitionTimetable(SETTINGS.schedule, timezone="UTC", key_format=PARTITION_KEY_FORMAT),
    catchup=False,
    max_active_runs=SNAPSHOTS_AT_ONCE,
    dagrun_timeout=LEDGER_RUN,
    deadline=deadline(SETTINGS),
    on_failure_callback=tell_failed_run,
    default_args=DEFAULT_ARGS | {"owner": "ledger"},
    params=SNAPSHOT_PARAMS,
    tags=["assay", "liabilities"],
    doc_md=__doc__,
)
def liability_snapshot() -> None:
    canonicalise_ledger(extract_ledger())


liability_snapshot()
