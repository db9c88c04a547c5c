"""What a publication says of each asset, in the shape that events and notices carry."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from assay.money import format_amount

FULLY_BACKED = "fully backed"


def verdict(publication: Path) -> dict[str, str]:
    """Return, by asset, `fully backed` or by how much it is short: `short by 1.5 BTC`."""
    table = pq.read_table(publication / "tables" / "reserve_ratios.parquet", columns=["asset", "decimals", "surplus", "fully_backed"])
    return {
        row["asset"]: FULLY_BACKED
        if row["fully_backed"]
        else f"short by {format_amount(-int(row['surplus']), row['decimals'])} {row['asset']}"
        for row in table.to_pylist()
    }


def shortfalls(publication: Path) -> dict[str, str]:
    """Return, by asset that is not fully backed, the amount that is missing, in whole units with the asset's name."""
    return {asset: said.removeprefix("short by ") for asset, said in verdict(publication).items() if said != FULLY_BACKED}
