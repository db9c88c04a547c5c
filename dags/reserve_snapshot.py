"""### Reserve snapshot: chains → reserves

Reads every wallet of the registry at one final block per chain, through every source of the chain, and lets the sources' answers
stand only where they agree to the unit.

1. `check_registry`: every address and wallet is checked before a node is asked. Where the registry lists descriptors, `derive_wallets` turns
   them into the addresses that the chain knows.
2. For each chain: `resolve_block` finds the last final block at or before `as_of`, and those around it for comparison (so the run waits until
   the latest of them is final); `read_<source>` reads the wallets in chunks, in the pool of the source; `agree` compares the sources and
   makes sure that the blocks still stand.
3. `collect_reserves` puts the chains together and announces the asset `reserves`.

**Parameter** `as_of`: the attested moment, like `2023-02-17T16:00:00Z`. **When it fails**: the log's last line names the source, the
wallet and the next step; nothing is published. Unreachable sources are tried again, wrong answers are not. See `docs/runbook.md`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import CronPartitionTimetable, dag, task_group

from assay.config import Chain
from assay.orchestration.links import linked_task
from assay.schedule import (
    DEFAULT_ARGS,
    MAP_INDEX_TEMPLATE,
    PARTITION_KEY_FORMAT,
    RESERVES,
    SNAPSHOT_PARAMS,
    SNAPSHOTS_AT_ONCE,
    SOURCE_RETRIES,
    announce,
    begin,
    behind_retries,
    current_run,
    deadline,
    name_map_index,
    reserve_run,
    settings,
    tell_failed_run,
)

SETTINGS = settings()


@linked_task(execution_timeout=timedelta(minutes=10))
def check_registry() -> str:
    """Check every wallet of the registry, and whatever else can be known before a node is asked."""
    from assay import reserves
    from assay.connections import address_of, check_notices
    from assay.orchestration import reading_logs

    run = current_run()
    begin(RESERVES, run)
    check_notices(run.settings)
    folder = run.folder("raw", "registry")
    return str(reading_logs.of_wallets(reserves.check_registry(run.settings, run.as_of, folder, connect=address_of)))


@linked_task(execution_timeout=timedelta(minutes=30), retries=behind_retries(SETTINGS))
def derive_wallets(wallets: str) -> str:
    """Turn descriptors into the addresses that the chain knows."""
    from assay.connections import address_of
    from assay.derived_wallets import derive_wallets as derive
    from assay.orchestration import reading_logs

    run = current_run()
    folder = run.folder("raw", "registry") / "derived"
    return str(reading_logs.of_wallets(derive(run.settings, run.as_of, Path(wallets), folder, connect=address_of)))


# Finality takes an hour on some chains, a scheduled run starts at the very moment that it attests to, and the latest offset lies after it.
@linked_task(execution_timeout=timedelta(minutes=10), retries=behind_retries(SETTINGS))
def resolve_block(chain: str, wallets: str) -> list[str]:
    """Find the chain's snapshot block, and cut its wallets into chunks."""
    from assay import reserves
    from assay.connections import address_of
    from assay.orchestration import reading_logs

    run = current_run()
    folder = run.folder("raw", "balances") / chain
    chunks = reserves.resolve_block(run.settings, chain, run.as_of, Path(wallets), folder, connect=address_of)
    return [str(path) for path in reading_logs.of_blocks(chain, chunks)]


@linked_task(retries=SOURCE_RETRIES, map_index_template=MAP_INDEX_TEMPLATE)
def read_chunk(chain: str, source: str, chunk: str) -> str:
    """Read one chunk of wallets through one source."""
    from assay import reserves
    from assay.connections import address_of
    from assay.orchestration import reading_logs

    run = current_run()
    folder = run.folder("raw", "balances") / chain
    name_map_index(reading_logs.chunk_name(source, Path(chunk)))
    read = reserves.read_chunk(run.settings, chain, source, Path(chunk), folder, connect=address_of)
    return str(reading_logs.of_reading(run.settings, chain, source, read))


@linked_task(execution_timeout=timedelta(minutes=10), retries=SOURCE_RETRIES)
def agree(chain: str, chunks: list[str], reads: list[list[str]], wallets: str) -> str:
    """Compare the sources, and make sure that the block still stands."""
    from assay import reserves
    from assay.connections import address_of
    from assay.orchestration import reading_logs

    run = current_run()
    folder = run.folder("raw", "balances") / chain
    paths = [Path(path) for source in reads for path in source]
    reserves.agree(run.settings, chain, [Path(chunk) for chunk in chunks], paths, Path(wallets), folder, connect=address_of)
    return str(reading_logs.of_agreement(run.settings, chain, folder))


@linked_task(outlets=[RESERVES], execution_timeout=timedelta(minutes=10))
def collect_reserves(chains: list[str], wallets: str, *, outlet_events: Any = None) -> None:
    """Put the chains together, and announce the reserves."""
    from assay import reserves
    from assay.orchestration import reading_logs

    run = current_run()
    folder = reserves.collect(run.settings, [Path(chain) for chain in chains], Path(wallets), run.folder("snapshot", "reserves"))
    reading_logs.of_reserves(run.settings, folder)
    announce(RESERVES, outlet_events, run, folder=str(folder), raw=str(run.folder("raw", "balances")), wallets=wallets)


def read_chain(chain: Chain, wallets: str) -> str:
    """Add the tasks of one chain as a group of its own."""

    @task_group(group_id=chain.name, tooltip=f"{chain.family} family, {len(chain.sources)} sources")
    def group() -> str:
        chunks = resolve_block(chain.name, wallets)
        reads = [
            read_chunk.override(task_id=f"read_{source.name}", pool=source.name)
            .partial(chain=chain.name, source=source.name)
            .expand(chunk=chunks)
            for source in chain.sources
        ]
        return agree(chain.name, chunks, reads, wallets)

    return group()


@dag(
    schedule=CronPartitionTimetable(SETTINGS.schedule, timezone="UTC", key_format=PARTITION_KEY_FORMAT),
    catchup=False,
    max_active_runs=SNAPSHOTS_AT_ONCE,
    dagrun_timeout=reserve_run(SETTINGS),
    deadline=deadline(SETTINGS),
    on_failure_callback=tell_failed_run,
    default_args=DEFAULT_ARGS,
    params=SNAPSHOT_PARAMS,
    tags=["assay", "reserves"],
    doc_md=__doc__,
)
def reserve_snapshot() -> None:
    wallets = check_registry()
    if (SETTINGS.registry / "descriptors.csv").exists():
        wallets = derive_wallets(wallets)
    collect_reserves([read_chain(chain, wallets) for chain in SETTINGS.chains.values()], wallets)


reserve_snapshot()
