"""What differs between a staged publication and the one before it, for the people who approve."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pyarrow.parquet as pq

from assay.config import Settings
from assay.lake import parse_as_of
from assay.money import format_amount
from assay.publication import manifest
from assay.publication.log import Log, LogEntry
from assay.publication.publish import series_folder
from assay.publication.report import amount, stored_ratio

_NONE = "\N{EN DASH}"


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One asset, before and now, as text for the page; `gone` and `new` say that it is on one side alone."""

    asset: str
    before: dict[str, str] | None
    now: dict[str, str] | None
    reserves_change: str
    liabilities_change: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What the page shows.

    Attributes:
        as_of: The staged moment, as text.
        revision: Of the staged publication.
        before: The publication that it is compared with; None for a first one.
        ratios: Every asset of either side.
        added: Statements of the coverage table about something that the one before did not speak of; warnings first.
        removed: Statements about something that this one does not speak of.
        changed: Pairs of statements about the same thing, before and now.
        wallets: Wallets before and now.
    """

    as_of: str
    revision: int
    before: LogEntry | None
    ratios: list[Ratio]
    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    changed: list[tuple[dict[str, Any], dict[str, Any]]]
    wallets: tuple[int | None, int]


def compare(settings: Settings, staged: Path) -> Difference:
    """Compare a staged publication with the newest one of an earlier moment, or with the revision that it corrects.

    Raises:
        PublicationError: The manifest or the log is broken.
    """
    values = manifest.read(staged)
    as_of, revision = parse_as_of(values["as_of"]), int(values["revision"])
    log = Log.read(series_folder(settings))
    corrected = [entry for entry in log.of(as_of) if entry.revision == revision - 1]
    before = corrected[0] if corrected else log.previous(as_of, revision=revision)
    old = series_folder(settings) / before.folder if before else None
    then, now = _ratios(old), _ratios(staged)
    had, has = _coverage(old), _coverage(staged)
    return Difference(
        as_of=values["as_of"],
        revision=revision,
        before=before,
        ratios=[_ratio(asset, then.get(asset), now.get(asset)) for asset in sorted(then.keys() | now.keys())],
        added=_by_severity(row for key, row in has.items() if key not in had),
        removed=_by_severity(row for key, row in had.items() if key not in has),
        changed=[(had[key], has[key]) for key in had if key in has and _said(had[key]) != _said(has[key])],
        wallets=(_wallets(old) if old else None, _wallets(staged)),
    )


def page(difference: Difference) -> str:
    """Write the comparison as one HTML page without scripts."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("difference.html").render(difference=difference)


def _ratios(folder: Path | None) -> dict[str, dict[str, Any]]:
    if folder is None:
        return {}
    return {row["asset"]: row for row in pq.read_table(folder / "tables" / "reserve_ratios.parquet").to_pylist()}


def _coverage(folder: Path | None) -> dict[str, dict[str, Any]]:
    """Return the statements by what they are about; the item is the table's key."""
    rows = pq.read_table(folder / "tables" / "coverage.parquet").to_pylist() if folder else []
    return {row["item"]: row for row in rows}


def _said(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["severity"], row["description"], row["count"]


def _by_severity(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["severity"] != "warning", row["item"]))


def _wallets(folder: Path) -> int:
    table = pq.read_table(folder / "tables" / "wallet_balances.parquet", columns=["chain", "address"])
    return int(table.group_by(["chain", "address"]).aggregate([]).num_rows)


def _ratio(asset: str, before: dict[str, Any] | None, now: dict[str, Any] | None) -> Ratio:
    def change(column: str) -> str:
        if before is None or now is None:
            return _NONE
        # Decimals may differ where an asset's registry entry changed; then the two are not comparable as they stand.
        if before["decimals"] != now["decimals"]:
            return "decimals differ"
        return amount(int(now[column]) - int(before[column]), now["decimals"], sign=True)

    return Ratio(
        asset=asset,
        before=_shown(before),
        now=_shown(now),
        reserves_change=change("reserves"),
        liabilities_change=change("liabilities_gross"),
    )


def _shown(row: dict[str, Any] | None) -> dict[str, str] | None:
    if row is None:
        return None
    return {
        "reserves": amount(int(row["reserves"]), row["decimals"]),
        "liabilities": amount(int(row["liabilities_gross"]), row["decimals"]),
        "ratio": stored_ratio(row["ratio_gross"]),
        "covered": "yes" if row["fully_backed"] else f"no, short by {format_amount(-int(row['surplus']), row['decimals'])}",
    }
