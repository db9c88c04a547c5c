"""### Reserve attestation: reserves and liabilities → a publication

Starts by itself when both snapshots of one attested moment are there; it is not started by hand.

1. `gather_inputs` takes the newest snapshots of the moment, and waits where one of them is just being repeated.
2. `load_prices`, then `compute_tables`: every published table in DuckDB, exact, with checks between the tables.
3. `validate` runs the expectations on wallets, balances, liabilities, prices, ratios and deltas; warnings go into the coverage table.
4. `stage_publication` builds the whole folder aside: tables, evidence, contracts, report, manifest.
5. Sign-off: two people approve in Airflow, unless the configuration turns it off (which is published).
6. `publish` puts the folder in place in one step and appends to the log.

**When it fails**: the log's last line names the table, the row and the next step; the last publication stands as it was. To publish a
moment again with other content, trigger both snapshots with the parameter `correction`. See `docs/runbook.md`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import PartitionedAssetTimetable, dag, task

from assay.schedule import DEFAULT_ARGS, LIABILITIES, PENDING_RETRIES, PUBLICATION, RESERVES, current_run, settings, sign_off_tasks

SETTINGS = settings()


@task(execution_timeout=timedelta(minutes=10), retries=PENDING_RETRIES)
def gather_inputs() -> dict[str, Any]:
    """Take the newest snapshots of the moment, once both belong together."""
    from assay import attestation

    run = current_run()
    return attestation.gather_inputs(run.settings, run.as_of)


@task(execution_timeout=timedelta(minutes=10))
def load_prices() -> str:
    """Take the prices at the attested moment, compared where there are two sources."""
    from assay import prices

    run = current_run()
    return str(prices.load(run.settings, run.as_of, run.folder("snapshot", "prices")))


@task(execution_timeout=timedelta(hours=2))
def compute_tables(inputs: dict[str, Any], prices: str) -> str:
    """Compute every published table and check them against each other."""
    from assay import attestation

    run = current_run()
    return str(attestation.compute_tables(run.settings, run.as_of, inputs, Path(prices), run.private_folder("marts", "tables")))


@task(execution_timeout=timedelta(hours=1))
def validate(inputs: dict[str, Any], tables: str) -> str:
    """Run the expectations on everything that goes in and comes out, and complete the coverage table."""
    from assay import attestation

    run = current_run()
    return str(attestation.validate(run.settings, run.as_of, inputs, Path(tables), run.private_folder("quality", "attestation")))


@task(execution_timeout=timedelta(hours=2))
def stage_publication(inputs: dict[str, Any], prices: str, tables: str) -> dict[str, str]:
    """Build the whole publication aside."""
    from assay import attestation

    run = current_run()
    return attestation.stage_publication(run.settings, run.as_of, inputs, Path(prices), Path(tables), run.folder("marts", "staged"))


@task(outlets=[PUBLICATION], execution_timeout=timedelta(minutes=30))
def publish(staged: dict[str, str], approvals: list[Any]) -> str:
    """Put the publication in place in one step and append it to the log."""
    from assay import attestation

    run = current_run()
    return attestation.publish(run.settings, staged, approvals)


@dag(
    schedule=PartitionedAssetTimetable(assets=RESERVES & LIABILITIES),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS | {"owner": "finance"},
    tags=["assay", "publication"],
    doc_md=__doc__,
)
def reserve_attestation() -> None:
    inputs = gather_inputs()
    prices = load_prices()
    tables = validate(inputs, compute_tables(inputs, prices))
    staged = stage_publication(inputs, prices, tables)
    approvals = sign_off_tasks(SETTINGS.sign_off, staged)
    publish(staged, approvals)


reserve_attestation()
