"""Published tables at a terminal. Everything shown is formatted from exact integers."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from assay.config import Settings
from assay.errors import PublicationError
from assay.lake import format_as_of
from assay.money import floor_ratio, format_amount, percent_change
from assay.orchestration.verdict import shortfalls
from assay.publication.log import Log

_PLACES = 3


def newest(settings: Settings, as_of: datetime | None = None) -> Path:
    """Return the folder of the newest publication of the series, or of one moment in its highest revision.

    Raises:
        PublicationError: Nothing was published yet, or the log is broken.
    """
    series = settings.lake / "publications" / settings.series
    log = Log.read(series)
    entries = log.of(as_of) if as_of else log.entries
    if not entries:
        raise PublicationError(
            "nothing was published yet", subject=str(series), next_step="run `assay attest --as-of …`, or `make attest` for the sandbox"
        )
    return series / max(entries, key=lambda entry: (entry.as_of, entry.revision)).folder


def show(folder: Path, console: Console) -> None:
    """Print the ratio and delta tables of a publication, whether every asset is fully backed, and what it commits to.

    Raises:
        PublicationError: The folder is not a publication.
    """
    for name in ("reserve_ratios", "deposit_deltas", "liability_commitment"):
        if not (folder / "tables" / f"{name}.parquet").is_file():
            raise PublicationError(
                f"it holds no tables/{name}.parquet",
                subject=str(folder),
                next_step="name the folder of a publication; `assay status` lists them",
            )
    ratios = pq.read_table(folder / "tables" / "reserve_ratios.parquet").to_pylist()
    deltas = pq.read_table(folder / "tables" / "deposit_deltas.parquet").to_pylist()
    console.print(_ratio_table(ratios))
    console.print(_delta_table(deltas))
    console.print(_backing(shortfalls(folder)))
    (tree, *_) = pq.read_table(folder / "tables" / "liability_commitment.parquet", columns=["leaf_count", "commitment"]).to_pylist()
    console.print(f"Liabilities committed to in {tree['leaf_count']:,} leaves: {tree['commitment']}", soft_wrap=True)


def _backing(short: dict[str, str]) -> str:
    if not short:
        return "Every asset is fully backed."
    return f"[bold red]SHORTFALL[/]: not fully backed. {'; '.join(f'{asset} is short by {missing}' for asset, missing in short.items())}."


def _ratio_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title=f"Reserve ratios at {format_as_of(rows[0]['as_of'])} (rounded down)", title_justify="left")
    for name in ("asset", "reserves", "user balances", "surplus", "ratio", "fully backed"):
        table.add_column(name, justify="left" if name == "asset" else "right")
    for row in rows:
        gross = int(row["liabilities_gross"])
        ratio = f"{floor_ratio(100 * int(row['reserves']), gross, places=2)} %" if gross > 0 else row["status"]
        amounts = (_amount(row, key) for key in ("reserves", "liabilities_gross", "surplus"))
        table.add_row(row["asset"], *amounts, ratio, "yes" if row["fully_backed"] else "[bold red]NO[/]")
    return table


def _delta_table(rows: list[dict[str, Any]]) -> Table:
    since = rows[0]["previous_as_of"]
    table = Table(title=f"User balances since {format_as_of(since) if since else '… (no report before)'}", title_justify="left")
    for name in ("asset", "before", "now", "change", "percent of before"):
        table.add_column(name, justify="left" if name == "asset" else "right")
    for row in rows:
        known = row["previous_balance"] is not None
        before = int(row["previous_balance"]) if known else 0
        percent = f"{percent_change(int(row['change']), before):+} %" if before else "–"
        change = _amount(row, "change", sign=True) if known else "–"
        table.add_row(row["asset"], _amount(row, "previous_balance") if known else "–", _amount(row, "current_balance"), change, percent)
    return table


def _amount(row: dict[str, Any], key: str, *, sign: bool = False) -> str:
    return format_amount(int(row[key]), row["decimals"], places=_PLACES, sign=sign)


def verify(folder: Path) -> int:
    """Run the independent verifier over a publication, all of what it can check; return 0, or the first exit code that is not.

    It is a program of its own: nothing of this one helps it.
    """
    program = str(Path(sys.executable).parent / "assay-verify")
    codes = [
        subprocess.run([program, what, str(folder)], check=False).returncode for what in ("publication", "balances", "ownership", "tree")
    ]
    return next((code for code in codes if code), 0)
