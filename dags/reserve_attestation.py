"""### Reserve attestation: reserves and liabilities → a publication

Starts by itself when both snapshots of one attested moment are there; it is not started by hand.

1. `gather_inputs` takes the newest snapshots of the moment, and waits where one of them is just being repeated.
2. `commit_liabilities` builds the sum tree over what users are owed, and the private index that their proofs are cut with.
3. `load_prices`, then `compute_tables`: every published table in DuckDB, exact, with checks between the tables and against the tree.
4. `validate` runs the expectations on wallets, balances, liabilities, prices, ratios and deltas; warnings go into the coverage table.
5. `stage_publication` builds the whole folder aside: tables, tree, evidence, contracts, report, manifest.
6. Sign-off: two people approve in Airflow, unless the configuration turns it off (which is published).
7. `publish` puts the folder in place in one step and appends to the log. `tell_shortfall` then tells people which asset is short, and is
   skipped where none is.

**When it fails**: the log's last line names the table, the row and the next step; the last publication stands as it was. To publish a
moment again with other content, trigger both snapshots with the parameter `correction`. See `docs/runbook.md`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import PartitionedAssetTimetable, dag

from assay.orchestration.links import PublishingOperator, StagingOperator, ValidatingOperator, linked_task
from assay.schedule import (
    ATTESTATION_RUN,
    DEFAULT_ARGS,
    LIABILITIES,
    PENDING_RETRIES,
    PUBLICATION,
    RESERVES,
    announce_publication,
    current_run,
    deadline,
    settings,
    sign_off_tasks,
    tell_failed_run,
)

SETTINGS = settings()


@linked_task(execution_timeout=timedelta(minutes=10), retries=PENDING_RETRIES)
def gather_inputs() -> dict[str, Any]:
    """Take the newest snapshots of the moment, once both belong together."""
    from assay import attestation
    from assay.orchestration import task_logs

    run = current_run()
    return task_logs.of_inputs(attestation.gather_inputs(run.settings, run.as_of))


@linked_task(execution_timeout=timedelta(minutes=10))
def load_prices() -> str:
    """Take the prices at the attested moment, compared where there are two sources."""
    from assay import prices
    from assay.orchestration import task_logs

    run = current_run()
    return str(task_logs.of_prices(prices.load(run.settings, run.as_of, run.folder("snapshot", "prices"))))


@linked_task(execution_timeout=timedelta(hours=6))
def commit_liabilities(inputs: dict[str, Any]) -> str:
    """Build the sum tree over the liabilities, and the private index of its leaves."""
    from assay.commitments import pipeline
    from assay.connections import secret_of
    from assay.orchestration import task_logs

    run = current_run()
    folder = run.private_folder("marts", "commitment")
    return str(task_logs.of_commitment(run.settings, pipeline.commit(run.settings, run.as_of, inputs, folder, secret_of=secret_of)))


@linked_task(execution_timeout=timedelta(hours=2))
def compute_tables(inputs: dict[str, Any], prices: str, commitment: str) -> str:
    """Compute every published table and check them against each other."""
    from assay import attestation
    from assay.commitments.format import COMMITMENT_FILE
    from assay.commitments.pipeline import TREE
    from assay.orchestration import task_logs

    run = current_run()
    published = Path(commitment) / TREE / COMMITMENT_FILE
    folder = run.private_folder("marts", "tables")
    return str(task_logs.of_tables(attestation.compute_tables(run.settings, run.as_of, inputs, Path(prices), published, folder)))


@linked_task(operator=ValidatingOperator, execution_timeout=timedelta(hours=1))
def validate(inputs: dict[str, Any], tables: str) -> str:
    """Run the expectations on everything that goes in and comes out, and complete the coverage table."""
    from assay import attestation
    from assay.orchestration import task_logs

    run = current_run()
    folder = run.private_folder("quality", "attestation")
    return str(task_logs.of_coverage(attestation.validate(run.settings, run.as_of, inputs, Path(tables), folder)))


@linked_task(operator=StagingOperator, execution_timeout=timedelta(hours=2))
def stage_publication(inputs: dict[str, Any], prices: str, commitment: str, tables: str) -> dict[str, str]:
    """Build the whole publication aside."""
    from assay import attestation
    from assay.orchestration import approval_page, task_logs

    run = current_run()
    folder = run.folder("marts", "staged")
    staged = attestation.stage_publication(run.settings, run.as_of, inputs, Path(prices), Path(commitment), Path(tables), folder)
    return task_logs.of_staged(staged) | {"summary": approval_page.summary(run.settings, run.as_of, folder, run.run_id)}


@linked_task(operator=PublishingOperator, outlets=[PUBLICATION], execution_timeout=timedelta(minutes=30))
def publish(staged: dict[str, str], approvals: list[Any], *, outlet_events: Any = None) -> str:
    """Put the publication in place in one step and append it to the log."""
    from assay import attestation
    from assay.orchestration import task_logs

    run = current_run()
    sentence = attestation.publish(run.settings, staged, approvals)
    announce_publication(outlet_events, run, **task_logs.of_publication(run.settings, run.as_of, sentence))
    return sentence


@linked_task(execution_timeout=timedelta(minutes=10))
def tell_shortfall() -> None:
    """Tell people of a publication with an asset that is short; skipped where every asset is fully backed."""
    from assay.orchestration import publication_notice

    run = current_run()
    publication_notice.tell(run.settings, run.as_of, dag_id="reserve_attestation", run_id=run.run_id)


@dag(
    schedule=PartitionedAssetTimetable(assets=RESERVES & LIABILITIES),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=ATTESTATION_RUN,
    deadline=deadline(SETTINGS),
    on_failure_callback=tell_failed_run,
    default_args=DEFAULT_ARGS | {"owner": "finance"},
    tags=["assay", "publication"],
    doc_md=__doc__,
)
def reserve_attestation() -> None:
    inputs = gather_inputs()
    prices = load_prices()
    commitment = commit_liabilities(inputs)
    tables = validate(inputs, compute_tables(inputs, prices, commitment))
    staged = stage_publication(inputs, prices, commitment, tables)
    approvals = sign_off_tasks(SETTINGS.sign_off, staged)
    publish(staged, approvals) >> tell_shortfall()


reserve_attestation()
