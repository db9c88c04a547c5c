"""Published tables at a terminal. Everything shown is formatted from exact integers."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console

from assay.config import Settings
from assay.errors import PublicationError
from assay.lake import format_as_of
from assay.money import floor_ratio, format_amount, percent_change
from assay.orchestration.verdict import shortfalls
from assay.publication.log import Log
from assay.publication.manifest import FILE_NAME as MANIFEST
from assay.terminal_table import Column, print_table

_PLACES = 3
_WHICH = "name the folder of a publication; `assay status` lists them"


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


def check_folder(folder: Path) -> None:
    """Make sure that a folder which somebody named is that of a publication.

    Raises:
        PublicationError: It is not there, or holds no manifest.
    """
    if not folder.exists():
        raise PublicationError("there is no such publication", subject=str(folder), next_step=_WHICH)
    if not (folder / MANIFEST).is_file():
        raise PublicationError(f"it holds no {MANIFEST}, so it is no publication", subject=str(folder), next_step=_WHICH)


def show(folder: Path, console: Console) -> None:
    """Print the ratio and delta tables of a publication, whether every asset is fully backed, and what it commits to.

    Raises:
        PublicationError: The folder is not a publication.
    """
    check_folder(folder)
    for name in ("reserve_ratios", "deposit_deltas", "liability_commitment"):
        if not (folder / "tables" / f"{name}.parquet").is_file():
            raise PublicationError(f"it holds no tables/{name}.parquet", subject=str(folder), next_step=_WHICH)
    ratios = pq.read_table(folder / "tables" / "reserve_ratios.parquet").to_pylist()
    deltas = pq.read_table(folder / "tables" / "deposit_deltas.parquet").to_pylist()
    _print_ratios(ratios, console)
    _print_deltas(deltas, console)
    console.print(_backing(shortfalls(folder)), soft_wrap=True)
    (tree, *_) = pq.read_table(folder / "tables" / "liability_commitment.parquet", columns=["leaf_count", "commitment"]).to_pylist()
    console.print(f"Liabilities committed to in {tree['leaf_count']:,} leaves: {tree['commitment']}", soft_wrap=True)


def _backing(short: dict[str, str]) -> str:
    if not short:
        return "Every asset is fully backed."
    return f"[bold red]SHORTFALL[/]: not fully backed. {'; '.join(f'{asset} is short by {missing}' for asset, missing in short.items())}."


def _print_ratios(rows: list[dict[str, Any]], console: Console) -> None:
    cells = []
    for row in rows:
        gross = int(row["liabilities_gross"])
        ratio = f"{floor_ratio(100 * int(row['reserves']), gross, places=2)} %" if gross > 0 else row["status"]
        amounts = (_amount(row, key) for key in ("reserves", "liabilities_gross", "surplus"))
        cells.append((row["asset"], *amounts, ratio, "yes" if row["fully_backed"] else "[bold red]NO[/]"))
    columns = _columns("asset", "reserves", "user balances", "surplus", "ratio", "fully backed")
    print_table(console, f"Reserve ratios at {format_as_of(rows[0]['as_of'])} (rounded down)", columns, cells)


def _print_deltas(rows: list[dict[str, Any]], console: Console) -> None:
    cells = []
    for row in rows:
        known = row["previous_balance"] is not None
        before = int(row["previous_balance"]) if known else 0
        percent = f"{percent_change(int(row['change']), before):+} %" if before else "–"
        change = _amount(row, "change", sign=True) if known else "–"
        cells.append((row["asset"], _amount(row, "previous_balance") if known else "–", _amount(row, "current_balance"), change, percent))
    since = rows[0]["previous_as_of"]
    title = f"User balances since {format_as_of(since) if since else '… (no report before)'}"
    print_table(console, title, _columns("asset", "before", "now", "change", "percent of before"), cells)


def _columns(first: str, *numbers: str) -> list[Column]:
    return [Column(name=first), *(Column(name=name, right=True) for name in numbers)]


def _amount(row: dict[str, Any], key: str, *, sign: bool = False) -> str:
    return format_amount(int(row[key]), row["decimals"], places=_PLACES, sign=sign)


def verify(folder: Path) -> int:
    """Run the independent verifier over a publication, all of what it can check; return 0, or the first exit code that is not.

    It is a program of its own: nothing of this one helps it.

    Raises:
        PublicationError: The folder is not a publication.
    """
    check_folder(folder)
    program = str(Path(sys.executable).parent / "assay-verify")
    codes = [
        subprocess.run([program, what, str(folder)], check=False).returncode for what in ("publication", "balances", "ownership", "tree")
    ]
    return next((code for code in codes if code), 0)
