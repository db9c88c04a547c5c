"""What the tasks from the ledger to the publication have done, in words, for their logs: rows, totals, prices, tables, digests. No user.

Each function reads what the task wrote, says it, and gives it back.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from assay.commitments.format import COMMITMENT_FILE, Commitment
from assay.commitments.pipeline import TREE
from assay.config import Settings
from assay.lake import format_as_of
from assay.liabilities.interface import RawSnapshot
from assay.liabilities.snapshot import liability_files
from assay.money import format_amount
from assay.orchestration.verdict import verdict
from assay.publication.log import Log
from assay.publication.publish import series_folder

LOGGER = logging.getLogger("assay.task")


def of_extract(settings: Settings, raw: Path) -> Path:
    """Say how many rows came out of the ledger."""
    extract = RawSnapshot(folder=raw)
    balances = sum(pq.read_metadata(path).num_rows for path in extract.balance_files())
    totals = pq.read_metadata(extract.control_totals).num_rows
    LOGGER.info("Ledger %s: %s balance rows and %s control totals", settings.ledger.connection, f"{balances:,}", f"{totals:,}")
    return raw


def of_liabilities(settings: Settings, folder: Path) -> Path:
    """Say what the users are owed by the ledger's own control totals, which the rows were held against."""
    rows = sum(pq.read_metadata(path).num_rows for path in liability_files(folder))
    totals = pq.read_table(folder / "control_totals.parquet").to_pylist()
    LOGGER.info("Liabilities: %s rows, equal to all %s control totals", f"{rows:,}", f"{len(totals):,}")
    for row in sorted(totals, key=lambda row: (row["asset"], row["account_type"])):
        LOGGER.info(
            "Liabilities: %s %s in %s: %s rows of %s users",
            format_amount(int(row["total_amount"]), settings.assets[row["asset"]].decimals),
            row["asset"],
            row["account_type"],
            f"{row['row_count']:,}",
            f"{row['user_count']:,}",
        )
    return folder


def of_inputs(inputs: dict[str, Any]) -> dict[str, Any]:
    """Say which snapshots are taken, and for which revision."""
    LOGGER.info("Reserves in %s, liabilities in %s", inputs["reserves"], inputs["liabilities"])
    LOGGER.info("Revision %s%s", inputs["revision"], f", a correction: {inputs['reason']}" if inputs["reason"] else "")
    return inputs


def of_prices(prices: Path) -> Path:
    """Say which prices are used."""
    for row in pq.read_table(prices).to_pylist():
        LOGGER.info("Price: %s", ", ".join(f"{name} {_shown(value)}" for name, value in row.items() if value is not None))
    return prices


def of_tables(folder: Path) -> Path:
    """Say how many rows each table has."""
    for path in sorted(folder.glob("*.parquet")):
        LOGGER.info("Table %s: %s rows", path.stem, f"{pq.read_metadata(path).num_rows:,}")
    return folder


def of_coverage(folder: Path) -> Path:
    """Say what the coverage table holds, warnings of the expectations among it."""
    for row in pq.read_table(folder / "coverage.parquet").to_pylist():
        LOGGER.info("Coverage: %s", ", ".join(_shown(value) for name, value in row.items() if value is not None and name != "as_of"))
    return folder


def of_staged(staged: dict[str, str]) -> dict[str, str]:
    """Say what was staged: how many files, and the digest that people approve."""
    folder = Path(staged["folder"])
    files = [path for path in folder.rglob("*") if path.is_file()]
    LOGGER.info("Staged: %s files, %s bytes, in %s", f"{len(files):,}", f"{sum(path.stat().st_size for path in files):,}", folder)
    LOGGER.info("Staged: the SHA-256 of the manifest is %s", staged["manifest_sha256"])
    for asset, word in sorted(verdict(folder).items()):
        LOGGER.info("%s: %s", asset, word)
    return staged


def of_commitment(settings: Settings, commitment: Path) -> Path:
    """Say how many leaves the tree over the liabilities has, and what they add up to."""
    known = Commitment.read(commitment / TREE / COMMITMENT_FILE)
    LOGGER.info("Tree over the liabilities: %s leaves, commitment %s", f"{known.leaf_count:,}", known.commitment.hex())
    for symbol, total in zip(known.report.symbols, known.totals, strict=True):
        LOGGER.info("Tree over the liabilities: %s %s", format_amount(total, settings.assets[symbol].decimals), symbol)
    return commitment


def of_publication(settings: Settings, as_of: datetime, sentence: str) -> dict[str, Any]:
    """Say what was published; returns what the event of the asset carries.

    Returns:
        `revision`, `manifest_sha256`, `folder`, and `verdict`: by asset `fully backed` or by how much it is short.
    """
    entry = Log.read(series_folder(settings)).of(as_of)[-1]
    said = verdict(series_folder(settings) / entry.folder)
    LOGGER.info("%s", sentence)
    for asset, word in sorted(said.items()):
        LOGGER.info("%s: %s", asset, word)
    return {"revision": entry.revision, "manifest_sha256": entry.manifest_sha256, "folder": entry.folder, "verdict": said}


def _shown(value: object) -> str:
    return format_as_of(value) if isinstance(value, datetime) else value if isinstance(value, str) else json.dumps(value, default=str)
