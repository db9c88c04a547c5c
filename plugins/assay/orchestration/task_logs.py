"""What a task has done, in words, for its log: chain, source, block, wallets, rows, totals. No user, no address of a server, no key.

Each function reads what the task wrote, says it, and gives it back.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
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
from assay.reserve_files import Chunk

LOGGER = logging.getLogger("assay.task")


def of_wallets(wallets: Path) -> Path:
    """Say how many wallets of which chains are in the registry."""
    counts = pq.read_table(wallets, columns=["chain"]).group_by("chain").aggregate([("chain", "count")]).to_pylist()
    for row in sorted(counts, key=lambda row: str(row["chain"])):
        LOGGER.info("Registry: %s wallets on %s", f"{row['chain_count']:,}", row["chain"])
    return wallets


def of_blocks(chain: str, chunks: Sequence[Path]) -> Sequence[Path]:
    """Say which blocks a chain is read at, and in how many chunks."""
    if not chunks:
        return chunks
    for offset, block in sorted(Chunk.read(chunks[0]).blocks.items()):
        what = "snapshot block" if offset == 0 else f"block {abs(offset):,} s {'before' if offset < 0 else 'after'}"
        LOGGER.info("%s: %s %s, %s, of %s", chain, what, f"{block.height:,}", block.hash, format_as_of(block.time))
    addresses = sum(len(Chunk.read(path).addresses) for path in chunks)
    LOGGER.info("%s: %s wallets in %s chunks", chain, f"{addresses:,}", len(chunks))
    return chunks


def chunk_name(source: str, chunk: Path) -> str:
    """Return the name of a chunk: its source, its number, its first and its last address."""
    read = Chunk.read(chunk)
    first, last = read.addresses[0], read.addresses[-1]
    return f"{source} {read.number}: {first}" + (f" to {last}" if last != first else "")


def of_reading(settings: Settings, chain: str, source: str, balances: Path) -> Path:
    """Say what one source answered for a chunk."""
    table = pq.read_table(balances, columns=["offset_seconds", "address", "asset", "amount"])
    here = table.filter(pc.equal(table["offset_seconds"], 0))
    wallets = pc.count_distinct(here["address"]).as_py()
    LOGGER.info("%s, source %s: %s balances of %s wallets at the snapshot block", chain, source, f"{here.num_rows:,}", f"{wallets:,}")
    _say_totals(settings, f"{chain}, source {source}, this chunk", here.to_pylist())
    return balances


def of_agreement(settings: Settings, chain: str, folder: Path) -> Path:
    """Say what all sources of a chain agreed on."""
    block = pq.read_table(folder / "block.parquet").to_pylist()[0]
    rows = pq.read_table(folder / "balances.parquet", columns=["address", "asset", "amount"]).to_pylist()
    LOGGER.info(
        "%s: %s of %s sources agree on %s balances of %s wallets at block %s, %s, which still stands",
        chain,
        block["sources_agreed"],
        block["sources_asked"],
        f"{len(rows):,}",
        f"{len({row['address'] for row in rows}):,}",
        f"{block['height']:,}",
        block["hash"],
    )
    _say_totals(settings, chain, rows)
    return folder


def of_reserves(settings: Settings, folder: Path) -> Path:
    """Say how much of each asset all chains hold together."""
    rows = pq.read_table(folder / "wallet_balances.parquet", columns=["chain", "address", "asset", "amount"]).to_pylist()
    chains = {row["chain"] for row in rows}
    LOGGER.info("Reserves: %s wallets on %s chains", f"{len({(row['chain'], row['address']) for row in rows}):,}", len(chains))
    _say_totals(settings, "Reserves", rows)
    return folder


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


def _say_totals(settings: Settings, subject: str, rows: Sequence[Mapping[str, Any]]) -> None:
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row["asset"]] += int(row["amount"])
    for asset, total in sorted(sums.items()):
        LOGGER.info("%s: %s %s", subject, format_amount(total, settings.assets[asset].decimals), asset)


def _shown(value: object) -> str:
    return format_as_of(value) if isinstance(value, datetime) else value if isinstance(value, str) else json.dumps(value, default=str)
