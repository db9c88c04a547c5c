"""What came of an expectation: held, failed with these rows, or could not be evaluated at all.

Great Expectations reports a crashed expectation as failed, with exception information beside it. Here the two are told
apart, because a crash says nothing about the data.
"""
# ruff: noqa: S608 - statements are built from suites and quoted names, never from data.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from assay.lake import format_as_of

SHOWN_ROWS = 3
"""Rows that a message shows of those that break a rule."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one expectation.

    Attributes:
        name: Of the expectation in its suite.
        rule: What must hold, in a sentence.
        critical: A failure stops the attestation.
        success: The rule holds.
        crash: Why it could not be evaluated, or None when it could.
        count: Rows that break it (of a whole-table expectation: what was observed), if known.
        rows: The first rows that break it, as text.
    """

    name: str
    rule: str
    critical: bool
    success: bool
    crash: str | None
    count: int | None
    rows: tuple[str, ...]

    @property
    def shown(self) -> str:
        """How many rows break the rule, and the first of them."""
        return f"Found {self.count}" + (f": {'; '.join(self.rows)}" if self.rows else "")


def outcome_of(expectation: Mapping[str, Any], result: Any, relation: str, engine: Engine) -> Outcome:
    """Condense Great Expectations' result of an expectation.

    Args:
        expectation: As it stands in the suite.
        result: What Great Expectations answered.
        relation: The validated relation, quoted for SQL.
        engine: Where it can be read, for the rows that break a rule.
    """
    crash = None if result.success else _exception_message(result.exception_info or {})
    details = result.result or {}
    count = details.get("unexpected_count", details.get("observed_value"))
    rows: list[Any] = details.get("partial_unexpected_index_list") or details.get("partial_unexpected_list") or []
    if not result.success and crash is None and (query := expectation["kwargs"].get("unexpected_rows_query")):
        rows = _unexpected_rows(query.format(batch=relation), engine)
    return Outcome(
        name=expectation["meta"]["name"],
        rule=expectation["meta"]["rule"],
        critical=expectation["severity"] == "critical",
        success=bool(result.success),
        crash=crash,
        count=int(count) if count is not None else None,
        rows=tuple(_shown_row(row) for row in rows[:SHOWN_ROWS]),
    )


def _unexpected_rows(query: str, engine: Engine) -> list[Mapping[str, Any]]:
    """Return the first rows of a query that Great Expectations has only counted: it would show them by fetching all.

    They are ordered, because a finding is published and two runs must publish the same.
    """
    with engine.connect() as connection:
        return [dict(row) for row in connection.exec_driver_sql(f"select * from ({query}) order by all limit {SHOWN_ROWS}").mappings()]


def _exception_message(info: Mapping[str, Any]) -> str | None:
    """Return the first exception's message: the information is one record, or one a metric."""
    records = [info] if "raised_exception" in info else list(info.values())
    for record in records:
        if record.get("raised_exception"):
            return (str(record.get("exception_message") or "no message").strip().splitlines() or ["no message"])[0]
    return None


def _shown_row(row: Any) -> str:
    if isinstance(row, Mapping):
        # Great Expectations hands amounts back as floats; the key names the row without them.
        return ", ".join(f"{name} {_shown_row(value)}" for name, value in row.items() if not isinstance(value, float))
    if isinstance(row, datetime):
        return format_as_of(row)
    return f"{row:f}" if isinstance(row, Decimal) else str(row)
