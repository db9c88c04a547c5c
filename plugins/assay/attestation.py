"""From both snapshots to a publication: what the tasks of `liability_snapshot` and `reserve_attestation` do.

Each step takes and gives paths, so that a task can be killed and run again. The work itself stands in the packages that
are called here; this module says in which order, and what is handed on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from assay import coverage, handover, origin, resources
from assay.commitments import pipeline
from assay.config import Settings
from assay.errors import ComputationError, PublicationError, SourceBehindError
from assay.lake import format_as_of, new_folder, parse_as_of, replacing_file, sha256_of
from assay.liabilities import snapshot
from assay.liabilities.disk import sweep
from assay.liabilities.interface import RawSnapshot
from assay.publication import approvals as approving
from assay.publication import publish as publishing
from assay.publication import source_health, staging
from assay.publication.log import Log, LogEntry
from assay.publication.manifest import FILE_NAME as MANIFEST
from assay.publication.manifest import Correction
from assay.quality.validation import Dataset, validate_many
from assay.warehouse import contracts, runner

SQL = resources.folder("sql")
CONTRACTS = resources.folder("contracts")

_PREVIOUS = ("reserve_ratios", "wallet_balances", "prices", "reconciliation")


def extract_ledger(settings: Settings, as_of: datetime, folder: Path, *, connect: Callable[[str], str]) -> Path:
    """Copy the ledger out in one snapshot, with the flows since the previous publication; returns the folder."""
    previous = _log(settings).previous(as_of)
    uri = connect(settings.ledger.connection) if snapshot.needs_connection(settings) else ""
    raw = snapshot.extract(settings, as_of, previous.as_of if previous else None, uri, folder)
    if not any(pq.read_metadata(path).num_rows for path in (*raw.balance_files(), raw.control_totals)):
        raise SourceBehindError(
            f"it has neither balances nor control totals for {format_as_of(as_of)}",
            subject=f"ledger {settings.ledger.connection}",
            next_step="wait until the ledger has closed that moment",
        )
    return raw.folder


def canonicalise_ledger(settings: Settings, as_of: datetime, raw: Path, folder: Path, *, secret_of: Callable[[str], bytes]) -> Path:
    """Turn the extract into exact, pseudonymous rows that add up to the control totals; returns the folder."""
    extract = RawSnapshot(folder=raw)
    read = json.loads(extract.origin.read_text())["as_of"]
    if read != format_as_of(as_of):
        raise ComputationError(
            f"the extract is of {read}", subject=f"{raw} for {format_as_of(as_of)}", next_step="run extract_ledger again"
        )
    secret = secret_of(settings.ledger.pseudonym_connection)
    snapshot.canonicalise(settings, extract, secret, folder)
    shutil.copyfile(extract.origin, folder / extract.origin.name)
    return folder


def gather_inputs(settings: Settings, as_of: datetime) -> dict[str, Any]:
    """Take the newest snapshots of a moment, and say which revision of its publication is being made.

    Returns:
        Places of the snapshots, the revision, and the reason for a correction (empty for none).

    Raises:
        SnapshotPendingError: The two do not belong together yet.
        ComputationError: The configuration has changed since they were taken.
        PublicationError: The log is broken, or the moment is out of order.
    """
    taken = handover.take(settings, as_of)
    log = _log(settings)
    log.check_order(as_of)
    reason = taken["reserves"]["correction"] or ""
    return {
        "reserves": taken["reserves"]["folder"],
        "raw": taken["reserves"]["raw"],
        "wallets": taken["reserves"]["wallets"],
        "liabilities": taken["liabilities"]["folder"],
        "liability_shards": snapshot.shards_digest(Path(taken["liabilities"]["folder"])),
        "configuration": settings.digest,
        "revision": len(log.of(as_of)) + 1 if reason else 1,
        "reason": reason,
    }


def compute_tables(settings: Settings, as_of: datetime, inputs: Mapping[str, Any], prices: Path, commitment: Path, folder: Path) -> Path:
    """Compute every published table in DuckDB and check them against each other; returns the folder.

    Args:
        settings: The configuration in force.
        as_of: The attested moment.
        inputs: What `gather_inputs` returned.
        prices: The prices at the moment.
        commitment: The `commitment.json` of the tree over the same liabilities.
        folder: Receives the tables.

    Raises:
        ComputationError: A check between the tables found rows, or the flows belong to another period.
        ContractError: A table breaks its contract.
    """
    pipeline.check_liabilities(inputs)
    sweep(folder / "spill")
    previous = _previous(settings, as_of, inputs)
    reserves, liabilities = Path(inputs["reserves"]), Path(inputs["liabilities"])
    previous_tables = _previous_tables(settings, previous, folder / "previous")
    items = coverage.write_items(settings, folder / "coverage_items.parquet")
    runner.run(
        SQL,
        {
            **{
                name: reserves / f"{name}.parquet"
                for name in ("wallet_balances", "offset_balances", "address_ownership", "snapshot_blocks", "assets")
            },
            "liabilities": snapshot.liability_files(liabilities),
            **{name: liabilities / f"{name}.parquet" for name in ("control_totals", "flows")},
            **{f"previous_{name}": path for name, path in previous_tables.items()},
            "prices": prices,
            "coverage_items": items,
            "commitment": pipeline.write_table(commitment, folder / "commitment.parquet"),
        },
        folder / "tables",
        as_of=as_of,
        previous_as_of=previous.as_of if previous else None,
        contracts=CONTRACTS,
        finance=folder / "finance",
        work=folder / "spill",
        memory_limit=settings.memory_limit,
    )
    return folder / "tables"


def validate(settings: Settings, as_of: datetime, inputs: Mapping[str, Any], tables: Path, folder: Path) -> Path:
    """Run the expectations on everything that goes in and comes out, and complete the coverage table with what they warn of.

    All suites run in one process, because loading Great Expectations costs more than the checks; their Data Docs are one site.

    Returns:
        A folder with all published tables.

    Raises:
        QualityError: A critical expectation failed.
        QualityCrashError: An expectation could not be evaluated.
    """
    datasets: dict[str, Path | list[Path]] = {
        "wallet_registry": Path(inputs["wallets"]),
        "wallet_balances": Path(inputs["reserves"]) / "wallet_balances.parquet",
        "liabilities": snapshot.liability_files(Path(inputs["liabilities"])),
        **{name: tables / f"{name}.parquet" for name in ("prices", "reserve_ratios", "deposit_deltas")},
    }
    sweep(folder / "spill")
    parameters = {"as_of": as_of, "max_age_seconds": settings.prices.max_age_seconds}
    given = [Dataset(name=name, parquet=path, parameters=parameters) for name, path in datasets.items()]
    findings = validate_many(given, work=folder / "spill", docs=folder / "docs", memory_limit=settings.memory_limit)
    complete = folder / "tables"
    if complete.exists():
        shutil.rmtree(complete)
    with new_folder(complete) as temporary:
        for path in sorted(tables.glob("*.parquet")):
            shutil.copyfile(path, temporary / path.name)
        coverage.complete(temporary / "coverage.parquet", findings, as_of, contracts_folder=CONTRACTS)
    return complete


def stage_publication(
    settings: Settings, as_of: datetime, inputs: Mapping[str, Any], prices: Path, commitment: Path, tables: Path, folder: Path
) -> dict[str, str]:
    """Build the whole publication in a folder of its own, and note what it was computed from.

    Args:
        settings: The configuration in force.
        as_of: The attested moment.
        inputs: What `gather_inputs` returned.
        prices: The prices at the moment.
        commitment: What `commitments.pipeline.commit` made: tree and private index.
        tables: All published tables.
        folder: The folder to build.

    Returns:
        `folder`, `manifest_sha256` and `staged_at`: what people approve, and since when it has stood there; and what `publish` needs beside it.

    Raises:
        ComputationError: The configuration has changed since the snapshots were taken.
        PublicationError: Something is missing or not to be published, or the moment is published with other content and this is no correction.
    """
    if inputs["configuration"] != settings.digest:
        raise ComputationError(
            "the configuration or the registry has changed since the snapshots were taken",
            subject=f"{settings.path} for {format_as_of(as_of)}",
            next_step="run both snapshots for the moment again",
        )
    pipeline.check_liabilities(inputs)
    raw = Path(inputs["raw"])
    staging.stage(
        settings,
        as_of=as_of,
        tables=tables,
        evidence={chain: raw / chain for chain in settings.chains},
        tree=commitment / pipeline.TREE,
        contracts=CONTRACTS,
        previous=_previous(settings, as_of, inputs),
        work=folder,
        corrects=_correction(settings, as_of, inputs),
    )
    digest = sha256_of(folder / MANIFEST)
    origin.keep(settings, digest, inputs, prices, commitment / pipeline.INDEX)
    publishing.check_publishable(settings, folder)
    health = source_health.write(
        settings,
        as_of,
        raw,
        folder / "tables" / "wallet_balances.parquet",
        folder.with_name(f"{folder.name}-health.parquet"),
        contracts=CONTRACTS,
    )
    return {"folder": str(folder), "manifest_sha256": digest, "staged_at": datetime.now(UTC).isoformat(), "health": str(health)}


def publish(settings: Settings, staged: Mapping[str, str], approvals: Sequence[Mapping[str, Any] | None]) -> str:
    """Put a staged publication in place and into the log, if everybody who must approve has approved this very one.

    Args:
        settings: The configuration in force.
        staged: What `stage_publication` returned.
        approvals: What Airflow's approval tasks returned.

    Returns:
        One sentence that says what was published where.

    Raises:
        PublicationError: An approval is missing, was refused, is older than what it is for, or both came from one person; the
            sign-off was turned on or off since; the staged files have changed; or see `publication.publish`.
    """
    folder = Path(staged["folder"])
    if sha256_of(folder / MANIFEST) != staged["manifest_sha256"]:
        raise PublicationError(
            "its manifest has changed since it was staged", subject=str(folder), next_step="clear stage_publication and what follows"
        )
    approving.check_stated(settings, folder)
    approving.check(settings, approvals, since=datetime.fromisoformat(staged["staged_at"]), subject=str(folder))
    published = publishing.publish(settings, folder)
    if not published.repeated:
        health = publishing.series_folder(settings) / source_health.NAME / f"{published.folder.name}.parquet"
        with replacing_file(health) as temporary:
            shutil.copyfile(staged["health"], temporary)
    _keep_approvals(settings, published, staged["manifest_sha256"], approvals)
    return str(published)


def _keep_approvals(
    settings: Settings, published: publishing.Published, manifest_sha256: str, approvals: Sequence[Mapping[str, Any] | None]
) -> None:
    """Write who approved, once: what is repeated with the same content was approved before, and another manifest is no business of this publication."""
    path = publishing.series_folder(settings) / approving.NAME / f"{published.folder.name}.parquet"
    if settings.sign_off.required and not path.exists() and published.entry.manifest_sha256 == manifest_sha256:
        approving.write(approvals, path, as_of=published.entry.as_of, manifest_sha256=manifest_sha256, contracts=CONTRACTS)


def _log(settings: Settings) -> Log:
    return Log.read(publishing.series_folder(settings))


def _previous(settings: Settings, as_of: datetime, inputs: Mapping[str, Any]) -> LogEntry | None:
    """The publication to compare with; the ledger's flows must begin at the same one."""
    previous = _log(settings).previous(as_of, revision=inputs["revision"])
    origin = json.loads((Path(inputs["liabilities"]) / "origin.json").read_text())
    start = origin["previous_as_of"] and parse_as_of(origin["previous_as_of"])
    if start != (previous and previous.as_of):
        raise ComputationError(
            f"its flows begin at {origin['previous_as_of'] or 'no report'}, and the previous publication is {format_as_of(previous.as_of) if previous else 'none'}",
            subject=f"liabilities in {inputs['liabilities']}",
            next_step="run liability_snapshot again for the moment",
        )
    return previous


def _previous_tables(settings: Settings, previous: LogEntry | None, folder: Path) -> dict[str, Path]:
    if previous:
        return {name: publishing.series_folder(settings) / previous.folder / "tables" / f"{name}.parquet" for name in _PREVIOUS}
    promised = contracts.load_contracts(CONTRACTS)
    return {name: contracts.empty_table(promised[name], folder / f"{name}.parquet") for name in _PREVIOUS}


def _correction(settings: Settings, as_of: datetime, inputs: Mapping[str, Any]) -> Correction | None:
    return publishing.correction(settings, as_of=as_of, revision=inputs["revision"], reason=inputs["reason"])
