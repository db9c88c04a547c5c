"""CSV files for people and programs that do not read Parquet: every number is exact text, nothing is rounded again.

Amounts stand in whole units with all decimals of the asset. The tables remain what counts; these files add nothing.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow import types

from assay.lake import format_as_of
from assay.money import FINER_DIGITS, MAX_DIGITS, format_amount

WHOLE_UNIT_TABLES = (
    "deposit_deltas",
    "liability_commitment",
    "reconciliation",
    "reserve_deltas",
    "reserve_ratios",
    "reserve_stability",
    "wallet_balances",
)

# The columns that published verifiers of address lists read; the names and their odd spacing are theirs.
_ADDRESS_LIST_COLUMNS = (
    *("coin", "Network", "Snapshot Height", "address", "amount", "message"),
    *("signature1", "signature2", "redeem script/ public key", " eoa1", " eoa2"),
)

_PLACES = 2  # for signatures and for owners
_NO_PLACE = frozenset({"eip1271", "movement"})  # proofs that no reader of such lists can check


def write_all(tables: Path, folder: Path) -> list[Path]:
    """Write every derived file.

    Args:
        tables: Folder of the published tables.
        folder: Where the CSV files go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [_write(folder / f"{name}.csv", whole_units(tables / f"{name}.parquet")) for name in WHOLE_UNIT_TABLES]
    rows = address_list(tables / "wallet_balances.parquet", tables / "address_ownership.parquet")
    return [*written, _write(folder / "address_list.csv", rows)]


def whole_units(table: Path) -> Iterable[Sequence[str]]:
    """Yield header and rows of a table as text, amounts in whole units of their asset; `decimals` is used up by that."""
    file = pq.ParquetFile(table)
    schema = file.schema_arrow
    names = [name for name in schema.names if name != "decimals"]
    amounts = {item.name for item in schema if types.is_decimal(item.type) and item.type.scale == 0}
    roundings = {item.name for item in schema if types.is_decimal(item.type) and item.type.scale == FINER_DIGITS}
    yield names
    for batch in file.iter_batches():
        for row in batch.to_pylist():
            yield [
                amount_text(row[name], row["decimals"])
                if name in amounts
                else rounding_text(row[name], row["decimals"])
                if name in roundings
                else value_text(row[name])
                for name in names
            ]


def address_list(wallet_balances: Path, address_ownership: Path) -> Iterable[Sequence[str]]:
    """Yield the wallets in the layout that published verifiers of address lists read.

    Totals come first (by coin, network and height; `-` for a coin over all networks), then an empty line, then one row a balance.
    A wallet whose ownership is proven by a contract's own word or by a movement, or whose text has several lines, has no place for that in this layout; its columns
    of message and signatures stay empty, and `address_ownership` has it.
    """
    statements = {(row["chain"], row["address"]): _signed(row) for row in pq.read_table(address_ownership).to_pylist()}
    rows = [row for row in pq.read_table(wallet_balances).to_pylist() if row["amount"] > 0]
    rows.sort(key=lambda row: (row["asset"], row["chain"], row["address"]))
    totals: dict[tuple[str, str, int], int] = defaultdict(int)
    for row in rows:
        totals[row["asset"], "-", row["decimals"]] += int(row["amount"])
        totals[f"{row['asset']}-{row['chain']}", str(row["block_height"]), row["decimals"]] += int(row["amount"])
    yield ("coin", "snapshot height", "amount")
    for (coin, height, decimals), total in sorted(totals.items()):
        yield (coin, height, amount_text(total, decimals))
    yield ()
    yield _ADDRESS_LIST_COLUMNS
    for row in rows:
        amount = amount_text(row["amount"], row["decimals"])
        yield (row["asset"], row["chain"], str(row["block_height"]), row["address"], amount, *statements[row["chain"], row["address"]])


def _signed(row: dict[str, Any]) -> tuple[str, str, str, str, str, str]:
    """Return message, two signatures, script and two owners; empty where the layout has no place for the statement."""
    signatures, owners = (row["signatures"] or "").split("\n"), (row["owners"] or "").split("\n")
    if not row["message"] or "\n" in row["message"] or max(len(signatures), len(owners)) > _PLACES or row["scheme"] in _NO_PLACE:
        return ("",) * 6
    return (row["message"], *_two(signatures), row["script"] or "", *_two(owners))


def _two(values: Sequence[str]) -> tuple[str, str]:
    return values[0], values[1] if len(values) > 1 else ""


def amount_text(amount: Decimal | int | None, decimals: int) -> str:
    """Return base units as plain text of whole units, `-1.234567`; empty for a missing one."""
    return "" if amount is None else format_amount(int(amount), decimals).replace(",", "")


def rounding_text(rounding: Decimal | None, decimals: int) -> str:
    """Return base units with FINER_DIGITS decimals as plain text of whole units; empty for a missing one."""
    if rounding is None:
        return ""
    return amount_text(int(rounding.scaleb(FINER_DIGITS, Context(prec=2 * MAX_DIGITS))), decimals + FINER_DIGITS)


def value_text(value: Any) -> str:
    """Return a cell as text: times like `as_of`, decimals with all their places, missing ones empty."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return format_as_of(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _write(path: Path, rows: Iterable[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return path
