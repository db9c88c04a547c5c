"""The report for the public: one HTML file that needs no other file, no network and no script.

Every figure on the page is written from an exact integer of the published tables, once: amounts cut to at most eight decimals, ratios rounded
down, changes rounded half up. The page holds no wall-clock time, so the same tables give the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pyarrow.parquet as pq
from pyarrow import types

from assay.config import Settings
from assay.lake import format_as_of
from assay.money import floor_ratio, format_amount, percent_change
from assay.publication import charts
from assay.publication.charts import Bar
from assay.publication.derived import WHOLE_UNIT_TABLES
from assay.publication.log import LogEntry, folder_name
from assay.publication.manifest import TABLES, Correction

PLACES = 8
"""Decimals shown of an amount; the tables and CSV files have all of them."""

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
PERCENT = "\N{NO-BREAK SPACE}%"
CHAIN_COLOURS = 6
"""Colours in the page's style sheet for chains, used in turn."""

Row = dict[str, Any]


def render(tables: Path, settings: Settings, *, as_of: datetime, previous: LogEntry | None, corrects: Correction | None) -> str:
    """Write the report.

    Args:
        tables: Folder of the published tables.
        settings: For the names of the entity, assets and sources.
        as_of: The attested moment.
        previous: The publication that the deltas are taken from.
        corrects: What this publication corrects.

    Returns:
        The page.
    """
    rows = {name: _rows(tables / f"{name}.parquet") for name in TABLES if name != "wallet_balances"}
    chains = {row["chain"]: f"chain{number % CHAIN_COLOURS + 1}" for number, row in enumerate(rows["snapshot_blocks"])}
    chains |= {row["chain"]: "muted" for row in rows["reserve_deltas"] if row["chain"] not in chains}
    return (
        _environment()
        .get_template("report.html")
        .render(
            **rows,
            settings=settings,
            as_of=as_of,
            previous=previous,
            corrects=corrects,
            chains=chains,
            csv_tables=WHOLE_UNIT_TABLES,
            folder=folder_name(as_of, corrects.revision if corrects else 1),
            shown_wallets=_wallets(tables),
            names={symbol: asset.name for symbol, asset in settings.assets.items()},
            short=[row for row in rows["reserve_ratios"] if not row["fully_backed"]],
            strained=[
                row
                for row in rows["reserve_ratios"]
                if row["fully_backed"] and row["reserves"] - row["reserves_encumbered"] < row["liabilities_gross"]
            ],
            owing=[row for row in rows["reserve_ratios"] if row["status"] != "no_liabilities"],
            ratio_chart=_ratio_chart(rows["reserve_ratios"]),
            change_chart=_change_chart(rows["deposit_deltas"], rows["reserve_deltas"]),
            offsets=sorted({row["offset_seconds"] for row in rows["reserve_stability"]}),
            share_chart=_share_chart(rows["reserve_deltas"], chains),
            row_counts={name: pq.ParquetFile(tables / f"{name}.parquet").metadata.num_rows for name in TABLES},
        )
    )


def amount(units: int | None, decimals: int, *, sign: bool = False) -> str:
    """Write base units as whole units, cut to eight decimals, without trailing zeros beyond the second decimal."""
    if units is None:
        return NONE
    whole, dot, fraction = format_amount(units, decimals, places=PLACES, sign=sign).partition(".")
    shown = fraction.rstrip("0")
    return (whole + dot + shown.ljust(min(2, len(fraction)), "0")).replace("-", MINUS)


def ratio(numerator: int, denominator: int) -> str:
    """Write a ratio as a percentage rounded down to two decimals; a dash where nothing is owed."""
    return f"{floor_ratio(100 * numerator, denominator, places=2):,}{PERCENT}".replace("-", MINUS) if denominator > 0 else NONE


def stored_ratio(value: Decimal | None) -> str:
    """Write a ratio that the tables hold to eight decimals; rounding down twice in a row is rounding down once."""
    return NONE if value is None else ratio(_unscaled(value), 10**8)


def change(now: int | None, before: int | None) -> str:
    """Write the change over the previous balance as a percentage, rounded half up to two decimals; a dash where there was none."""
    if now is None or before is None or before <= 0:
        return NONE
    return f"{percent_change(now - before, before):+,}{PERCENT}".replace("-", MINUS)


def money(value: Decimal | None, *, sign: bool = False) -> str:
    """Write USD with all the decimals the table has."""
    if value is None:
        return NONE
    return (f"{value:+,}" if sign and value else f"{value:,}").replace("-", MINUS)


def price(value: Decimal | None) -> str:
    """Write a price without trailing zeros beyond the second decimal."""
    if value is None:
        return NONE
    whole, _, fraction = f"{value:,}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def moment(value: datetime) -> str:
    """Write a UTC time for people, seconds only where there are any."""
    seconds = f":{value:%S}" if value.second else ""
    return f"{value.day} {value:%B %Y}, {value:%H:%M}{seconds} UTC"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def distance(seconds: int) -> str:
    """Write a duration in its two largest units."""
    units = [(seconds // 3600, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    while len(units) > 1 and not units[0][0]:
        units.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in units[:2] if count) or "0 s"


def offset(seconds: int) -> str:
    """Write how far from the snapshot something was read: `24 h before`."""
    return f"{distance(abs(seconds))} {'before' if seconds < 0 else 'after'}"


def _rows(table: Path) -> list[Row]:
    """Read a table with amounts as integers: arithmetic on Decimal would round beyond 28 digits."""
    content = pq.read_table(table)
    amounts = {item.name for item in content.schema if types.is_decimal(item.type) and item.type.scale == 0}
    return [
        {name: int(value) if name in amounts and value is not None else value for name, value in row.items()} for row in content.to_pylist()
    ]


def _hundredths(numerator: int, denominator: int) -> int:
    """Return a share in hundredths of a percent, rounded towards zero: for the length of a bar, never for a figure."""
    return abs(numerator) * 10_000 // denominator * (-1 if numerator < 0 else 1)


def _unscaled(value: Decimal) -> int:
    """Return the integer that Parquet stores for a decimal, without arithmetic that could round."""
    sign, digits, _ = value.as_tuple()
    return int("".join(map(str, digits))) * (-1 if sign else 1)


def _ratio_chart(rows: Sequence[Row]) -> str:
    bars = [
        Bar(
            row=row["asset"],
            value=_hundredths(row["reserves"], row["liabilities_gross"]),
            label=ratio(row["reserves"], row["liabilities_gross"]),
            colour="wallets" if row["fully_backed"] else "short",
            mark=None if row["previous_ratio_gross"] is None else _unscaled(row["previous_ratio_gross"]) // 10_000,
        )
        for row in rows
        if row["liabilities_gross"] > 0
    ]
    return charts.ratios(bars) if bars else ""


def _change_chart(deposits: Sequence[Row], reserves: Sequence[Row]) -> str:
    """Draw both changes of the assets that have both."""
    before: dict[str, int] = defaultdict(int)
    now: dict[str, int] = defaultdict(int)
    for row in reserves:
        before[row["asset"]] += row["previous_amount"] or 0
        now[row["asset"]] += row["current_amount"] or 0
    bars = []
    for row in deposits:
        asset, balance = row["asset"], row["previous_balance"] or 0
        if balance > 0 and before[asset] > 0:
            for colour, old, new in (("users", balance, row["current_balance"]), ("wallets", before[asset], now[asset])):
                bars.append(Bar(row=asset, value=_hundredths(new - old, old), label=change(new, old), colour=colour))
    return charts.changes(bars) if bars else ""


def _share_chart(reserves: Sequence[Row], chains: Mapping[str, str]) -> str:
    totals: dict[str, int] = defaultdict(int)
    for row in reserves:
        totals[row["asset"]] += row["current_amount"] or 0
    parts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in reserves:
        if row["current_amount"]:
            parts[row["asset"]][row["chain"]] = _hundredths(row["current_amount"], totals[row["asset"]])
    return charts.shares(parts, chains) if parts else ""


def _wallets(tables: Path) -> dict[str, Row]:
    """Count wallets and sum up balances by custody; the table itself is too long for a page."""
    table = pq.read_table(
        tables / "wallet_balances.parquet", columns=["chain", "address", "asset", "decimals", "amount", "custody", "encumbrance"]
    )
    wallets: dict[str, set[tuple[str, str]]] = defaultdict(set)
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for batch in table.to_batches():
        for row in batch.to_pylist():
            for group in (row["custody"], *([] if row["encumbrance"] == "none" else ["encumbered"]), "all"):
                wallets[group].add((row["chain"], row["address"]))
                sums[group][row["asset"]] += int(row["amount"])
    return {group: {"count": len(wallets[group]), "sums": dict(sums[group])} for group in sorted(wallets)}


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        amount=amount,
        ratio=ratio,
        stored_ratio=stored_ratio,
        change=change,
        money=money,
        price=price,
        moment=moment,
        plural=plural,
        distance=distance,
        offset=offset,
        iso=format_as_of,
        dash=NONE,
    )
    return environment
