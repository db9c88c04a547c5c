"""What people see before they approve: figures, what nobody can explain, what is new, and where the whole stands. Markdown, as Airflow's page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from assay.config import Settings
from assay.lake import sha256_of
from assay.orchestration import places
from assay.orchestration.difference import compare
from assay.orchestration.verdict import shortfalls
from assay.publication.manifest import FILE_NAME
from assay.publication.report import amount, change, moment, ratio


def summary(settings: Settings, as_of: datetime, staged: Path, run_id: str) -> str:
    """Return the text of the approval page: shortfalls first, then ratios, deltas, unexplained differences, new statements, and links.

    Args:
        settings: Names the groups.
        as_of: The moment.
        staged: The staged publication.
        run_id: Airflow's, for the links.
    """
    return "\n".join(_lines(settings, as_of, staged, run_id))


def _lines(settings: Settings, as_of: datetime, staged: Path, run_id: str) -> Iterator[str]:
    ratios, deltas, flows = (_rows(staged, name) for name in ("reserve_ratios", "deposit_deltas", "reconciliation"))
    if short := shortfalls(staged):
        yield f"**SHORTFALL: {'; '.join(f'{asset} is short by {missing}' for asset, missing in short.items())}.**"
    else:
        yield "Every asset that is owed is fully backed."
    yield ""
    yield from _table(
        ("asset", "reserves", "user balances", "surplus", "ratio"),
        [
            (
                row["asset"],
                amount(row["reserves"], row["decimals"]),
                amount(row["liabilities_gross"], row["decimals"]),
                amount(row["surplus"], row["decimals"], sign=True),
                ratio(row["reserves"], row["liabilities_gross"]),
            )
            for row in ratios
        ],
    )
    since = deltas[0]["previous_as_of"] if deltas else None
    if since:
        yield f"User balances since {moment(since)}:"
        yield ""
        yield from _table(
            ("asset", "before", "now", "change", "percent of before"),
            [
                (
                    row["asset"],
                    amount(row["previous_balance"], row["decimals"]),
                    amount(row["current_balance"], row["decimals"]),
                    amount(row["change"], row["decimals"], sign=True),
                    change(row["current_balance"], row["previous_balance"]),
                )
                for row in deltas
            ],
        )
    else:
        yield "This is the first report of the series, so there is nothing to compare it with."
        yield ""
    yield from _unexplained(flows, known=bool(since))
    yield from _news(settings, staged)
    first, second = (" or ".join(group) for group in settings.sign_off.approvers) if settings.sign_off.required else ("", "")
    yield f"Two people approve, one of each group: {first}; and {second}."
    yield ""
    links = (
        ("the whole report", places.staged_report(as_of, run_id)),
        ("what differs from the last one", places.staged_difference(as_of, run_id)),
        ("results of the expectations", places.data_docs(as_of, run_id)),
    )
    yield " · ".join(f"[{name}]({places.on_this_server(path)})" for name, path in links)
    yield ""
    yield f"What is approved is the manifest with the SHA-256 `{sha256_of(staged / FILE_NAME)}`, in `{staged}`."


def _unexplained(flows: Sequence[dict[str, Any]], *, known: bool) -> Iterator[str]:
    rows = [row for row in flows if row.get("unexplained")]
    if rows:
        yield "**Differences that the ledger's flows do not explain:**"
        yield ""
        cells = [
            (
                row["asset"],
                *(amount(row[key], row["decimals"], sign=key == "unexplained") for key in ("expected", "closing", "unexplained")),
            )
            for row in rows
        ]
        yield from _table(("asset", "expected", "closing", "unexplained"), cells)
    elif known:
        yield "The ledger's flows explain every change of user balances, to the unit."
        yield ""


def _news(settings: Settings, staged: Path) -> Iterator[str]:
    found = compare(settings, staged)
    new = [row for row in found.added if row["severity"] != "info"]
    if found.before is None or not new:
        count = sum(row["severity"] != "info" for row in _rows(staged, "coverage"))
        yield f"{count} warnings under coverage" + ("." if found.before is None else ", none of them new since the last report.")
        yield ""
        return
    yield "**New under coverage since the last report:**"
    yield ""
    for row in new:
        yield f"- {row['severity']}: {row['description']}"
    yield ""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join([' --- ', *[' ---: '] * (len(header) - 1)])}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _rows(staged: Path, name: str) -> list[dict[str, Any]]:
    table = pq.read_table(staged / "tables" / f"{name}.parquet")
    exact = {item.name for item in table.schema if str(item.type).startswith("decimal128(38, 0)")}
    return [{key: int(value) if key in exact and value is not None else value for key, value in row.items()} for row in table.to_pylist()]
