"""What the tasks of `reserve_snapshot` have done, in words, for their logs: chain, source, block, wallets, totals.

Each function reads what the task wrote, says it, and gives it back. Thousands of small tasks import this module, so it imports no more
than they have imported anyway.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.config import Settings
from assay.lake import format_as_of
from assay.money import format_amount
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
    LOGGER.info("%s: %s in %s", chain, _count(addresses, "wallet"), _count(len(chunks), "chunk"))
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


def _say_totals(settings: Settings, subject: str, rows: Sequence[Mapping[str, Any]]) -> None:
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row["asset"]] += int(row["amount"])
    for asset, total in sorted(sums.items()):
        LOGGER.info("%s: %s %s", subject, format_amount(total, settings.assets[asset].decimals), asset)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
