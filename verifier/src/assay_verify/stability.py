"""What wallets held some time before and after the attested moment: `reserve_stability`, held against the balances."""

from __future__ import annotations

from pathlib import Path

from assay_verify import tables
from assay_verify.arithmetic import percent_change
from assay_verify.findings import Findings, MalformedError
from assay_verify.manifest import Manifest
from assay_verify.reserves import Holdings
from assay_verify.tables import Row


def check(findings: Findings, folder: Path, manifest: Manifest, blocks: dict[str, Row], holdings: Holdings) -> None:
    """Recompute changes between the snapshot block and blocks at other times; the table may be empty, where none were asked."""
    with findings.check(
        "tables.stability", "What wallets held at other times is compared with their single balances at the snapshot block."
    ) as made:
        path = folder / "tables" / "reserve_stability.parquet"
        tables.check_columns(path, "reserve_stability")
        made.expect(held=True, failure="")
        for row in tables.read(path, "reserve_stability"):
            chain, seconds = row["chain"], row["offset_seconds"]
            where = f"reserve_stability: {chain} {row['asset']} at {seconds} s"
            snapshot = blocks.get(chain)
            if snapshot is None:
                raise MalformedError(f"{where}: the chain has no snapshot block")
            amount = holdings.sums.get((row["asset"], chain))
            made.expect(row["amount"] == amount, f"{where}: amount is {row['amount']}, and the balances come to {amount}")
            change = row["amount_at_offset"] - row["amount"]
            made.expect(row["change"] == change, f"{where}: change is {row['change']}, and it comes to {change} here")
            percent = percent_change(change, row["amount"])
            made.expect(
                row["change_percent"] == percent, f"{where}: change_percent is {row['change_percent']}, and it comes to {percent} here"
            )
            made.expect(row["amount_at_offset"] >= 0, f"{where}: the amount is negative")
            made.expect(seconds != 0, f"{where}: it is no other time")
            at = tables.seconds_between(manifest.as_of, row["block_time"])
            made.expect(at <= seconds, f"{where}: the block lies {at} s from the moment, after the time that it is for")
            order = (row["block_height"] - snapshot["height"]) * seconds
            made.expect(order >= 0, f"{where}: the block lies on the other side of the snapshot block")
