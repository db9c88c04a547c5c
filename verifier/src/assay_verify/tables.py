"""The published tables, as this program knows them: columns, types, keys; and rows as plain integers and texts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from assay_verify import rows
from assay_verify.findings import MalformedError

AMOUNT, RATIO, USD, FINER = "decimal(38,0)", "decimal(38,8)", "decimal(38,2)", "decimal(38,18)"
TEXT, NUMBER, TIME, FLAG = "string", "integer", "timestamp", "boolean"

Row = dict[str, Any]
"""Decimals as unscaled integers (a ratio in 10^-8, USD in cents, a rounding in 10^-18 of a base unit), times as UTC datetimes."""

# `?` after a type: the cell may be empty.
TABLES: dict[str, dict[str, str]] = {
    "address_ownership": {
        "as_of": TIME,
        "chain": TEXT,
        "address": TEXT,
        "scheme": TEXT + "?",
        "status": TEXT,
        **dict.fromkeys(("message", "signatures", "script", "owners"), TEXT + "?"),
        "signed_at": TIME + "?",
        "verified_at_block": TEXT + "?",
        "note": TEXT + "?",
    },
    "coverage": {"as_of": TIME, "item": TEXT, "area": TEXT, "severity": TEXT, "count": NUMBER + "?", "description": TEXT},
    "deposit_deltas": {
        "as_of": TIME,
        "previous_as_of": TIME + "?",
        "asset": TEXT,
        "decimals": NUMBER,
        "previous_balance": AMOUNT + "?",
        "current_balance": AMOUNT,
        "change": AMOUNT + "?",
        "change_percent": RATIO + "?",
        "previous_price": RATIO + "?",
        "current_price": RATIO,
        "previous_value_usd": USD + "?",
        "current_value_usd": USD,
        "change_usd": USD + "?",
        "quantity_effect_usd": USD + "?",
        "price_effect_usd": USD + "?",
    },
    "liability_commitment": {
        "as_of": TIME,
        "asset": TEXT,
        "decimals": NUMBER,
        "total": AMOUNT,
        "leaf_limit": AMOUNT,
        "leaf_count": NUMBER,
        "root_hash": TEXT,
        "commitment": TEXT,
        "format": TEXT,
    },
    "prices": {"as_of": TIME, "asset": TEXT, "currency": TEXT, "price": RATIO, "source": TEXT, "time": TIME, "sources_agreed": NUMBER},
    "reconciliation": {
        "as_of": TIME,
        "previous_as_of": TIME + "?",
        "asset": TEXT,
        "decimals": NUMBER,
        **dict.fromkeys(
            ("opening", "deposits", "withdrawals", "trades", "fees", "interest", "adjustments", "rounding", "expected"), AMOUNT + "?"
        ),
        "closing": AMOUNT,
        "unexplained": AMOUNT + "?",
        "opening_rounding": FINER + "?",
        "flows_rounding": FINER + "?",
        "closing_rounding": FINER,
    },
    "reserve_deltas": {
        "as_of": TIME,
        "previous_as_of": TIME + "?",
        "asset": TEXT,
        "chain": TEXT,
        "decimals": NUMBER,
        "previous_amount": AMOUNT + "?",
        "current_amount": AMOUNT + "?",
        "change": AMOUNT + "?",
        "change_percent": RATIO + "?",
    },
    "reserve_ratios": {
        "as_of": TIME,
        "asset": TEXT,
        "decimals": NUMBER,
        **dict.fromkeys(
            (
                "reserves",
                "reserves_encumbered",
                "reserves_proven",
                "liabilities_gross",
                "liabilities_net",
                "liabilities_netted_by_user",
                "surplus",
            ),
            AMOUNT,
        ),
        **dict.fromkeys(("ratio_gross", "ratio_net", "ratio_netted_by_user", "ratio_unencumbered", "ratio_proven"), RATIO + "?"),
        "fully_backed": FLAG,
        "status": TEXT,
        "previous_as_of": TIME + "?",
        "previous_ratio_gross": RATIO + "?",
    },
    "reserve_stability": {
        "as_of": TIME,
        "chain": TEXT,
        "asset": TEXT,
        "offset_seconds": NUMBER,
        "decimals": NUMBER,
        "block_height": NUMBER,
        "block_hash": TEXT,
        "block_time": TIME,
        "amount": AMOUNT,
        "amount_at_offset": AMOUNT,
        "change": AMOUNT,
        "change_percent": RATIO + "?",
    },
    "snapshot_blocks": {
        "as_of": TIME,
        "chain": TEXT,
        "height": NUMBER,
        "hash": TEXT,
        "time": TIME,
        "finality": TEXT,
        "distance_seconds": NUMBER,
        "sources_asked": NUMBER,
        "sources_agreed": NUMBER,
    },
    "wallet_balances": {
        "as_of": TIME,
        "chain": TEXT,
        "address": TEXT,
        "asset": TEXT,
        "decimals": NUMBER,
        "amount": AMOUNT,
        "block_height": NUMBER,
        "block_hash": TEXT,
        "block_time": TIME,
        "sources_asked": NUMBER,
        "sources_agreed": NUMBER,
        "custody": TEXT,
        "encumbrance": TEXT,
        "ownership_status": TEXT,
        "evidence": TEXT,
        "read_height": NUMBER + "?",
        "read_time": TIME + "?",
    },
}

BESIDE: dict[str, dict[str, str]] = {
    "approvals": {"as_of": TIME, "group_number": NUMBER, "person": TEXT, "decision": TEXT, "decided_at": TIME, "manifest_sha256": TEXT},
}
"""Tables that stand beside a publication and in no manifest."""
_BESIDE_KEYS: dict[str, tuple[str, ...]] = {"approvals": ("group_number",)}

_KNOWN = TABLES | BESIDE

KEYS: dict[str, tuple[str, ...]] = {
    "address_ownership": ("chain", "address"),
    "coverage": ("item",),
    "deposit_deltas": ("asset",),
    "liability_commitment": ("asset",),
    "prices": ("asset", "currency"),
    "reconciliation": ("asset",),
    "reserve_deltas": ("asset", "chain"),
    "reserve_ratios": ("asset",),
    "reserve_stability": ("chain", "asset", "offset_seconds"),
    "snapshot_blocks": ("chain",),
    "wallet_balances": ("chain", "address", "asset"),
}


def check_columns(path: Path, name: str) -> None:
    """Make sure that a file has the columns of the table.

    Raises:
        MalformedError: It has others, or in another order, or of another type.
    """
    found = rows.columns(path)
    expected = [(column, kind.rstrip("?")) for column, kind in _KNOWN[name].items()]
    if found != expected:
        odd = next(
            (pair for pair in found if pair not in expected),
            next((pair for pair in expected if pair not in found), ("the order", "of the columns")),
        )
        raise MalformedError(f"{name} does not have the columns this verifier knows (see {odd[0]}: {odd[1]}); a newer verifier may")


def read(path: Path, name: str, columns: Collection[str] | None = None) -> Iterator[Row]:
    """Yield the rows of a table in file order, as plain integers and texts.

    Args:
        path: The file.
        name: Which table it must be.
        columns: What is needed beside the key; everything by default.

    Raises:
        MalformedError: Wrong columns, an empty cell where none may be, or rows that are not in the order of their unique key.
    """
    check_columns(path, name)
    key_of = KEYS | _BESIDE_KEYS
    wanted = [column for column in _KNOWN[name] if columns is None or column in columns or column in key_of[name]]
    required = {column for column in wanted if not _KNOWN[name][column].endswith("?")}
    before: tuple[Any, ...] | None = None
    for batch in rows.batches(path, wanted):
        for column in sorted(required):
            if batch.column(column).null_count:
                raise MalformedError(f"{name}: {column} is empty in a row where it may not be")
        for row in rows.plain(batch, name):
            key = tuple(row[column] for column in key_of[name])
            if before is not None and key <= before:
                raise MalformedError(f"{name}: {' '.join(map(str, key))} is there twice or out of order")
            before = key
            yield row


def time_text(moment: datetime) -> str:
    """Write a moment as manifest and log do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str, *, subject: str) -> datetime:
    """Read a moment as manifest and log write it.

    Raises:
        MalformedError: It is written in any other way.
    """
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedError(f"{subject}: {text!r} is not a UTC time") from error
    if time_text(moment) != text:
        raise MalformedError(f"{subject}: {text!r} is not a UTC time")
    return moment


def seconds_between(earlier: datetime, later: datetime) -> int:
    """Return whole seconds from one moment to another, rounded down."""
    return (later - earlier) // timedelta(seconds=1)
