"""Control totals and flows: few rows, read as text, held against the balances and written as canonical Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.config import Settings
from assay.errors import LedgerError
from assay.lake import replacing_file
from assay.liabilities.interface import FLOW_COLUMNS, FLOW_KINDS, TOTAL_COLUMNS
from assay.money import check_amount, format_amount, parse_amount

_AMOUNT = pa.decimal128(38, 0)
_TOTALS = pa.schema(
    [
        ("account_type", pa.string()),
        ("asset", pa.string()),
        ("row_count", pa.int64()),
        ("user_count", pa.int64()),
        ("total_amount", _AMOUNT),
    ]
)
_FLOWS = pa.schema([("asset", pa.string()), ("kind", pa.string()), ("amount", _AMOUNT), ("flow_count", pa.int64())])


def write_control_totals(settings: Settings, raw: Path, sums: Mapping[tuple[str, str], tuple[int, int]], path: Path) -> None:
    """Hold the balances against the ledger's control totals and write the totals.

    Args:
        settings: Names assets and account types.
        raw: The control totals as the ledger gave them, all text.
        sums: Row count and signed sum of the balances by account type and asset. Each user has one row there at most,
            so the row count is the user count as well.
        path: Receives account_type, asset, row_count, user_count, total_amount, sorted.

    Raises:
        LedgerError: A count or a sum differs, or one side lacks an account type and asset altogether.
        AmountError: A total is not an exact amount.
    """
    totals = _read_totals(settings, raw)
    for key in sorted(sums.keys() | totals.keys()):
        subject = _subject(settings, key)
        if key not in totals:
            raise _fail(f"there are {sums[key][0]} balances and no control total", subject)
        _compare(settings, key, sums.get(key, (0, 0)), totals[key])
    rows = [(*key, *totals[key][:2], Decimal(totals[key][2])) for key in sorted(totals)]
    _write(rows, _TOTALS, path)


def _read_totals(settings: Settings, raw: Path) -> dict[tuple[str, str], tuple[int, int, int]]:
    totals: dict[tuple[str, str], tuple[int, int, int]] = {}
    for row in pq.read_table(raw, columns=list(TOTAL_COLUMNS)).to_pylist():
        key = (row["account_type"], row["asset"])
        subject = _subject(settings, key)
        if row["account_type"] not in settings.ledger.account_types or row["asset"] not in settings.assets:
            raise _fail("the account type or the asset is unknown", subject)
        if key in totals:
            raise _fail("there is more than one control total", subject)
        if any(row[name] is None for name in TOTAL_COLUMNS):
            raise _fail("a control total is null", subject)
        amount = parse_amount(row["total_amount"], settings.assets[row["asset"]].decimals, subject=subject)
        totals[key] = (int(row["row_count"]), int(row["user_count"]), amount)
    return totals


def _compare(settings: Settings, key: tuple[str, str], found: tuple[int, int], total: tuple[int, int, int]) -> None:
    rows, amount = found
    subject = _subject(settings, key)
    for name, stated in (("rows", total[0]), ("users", total[1])):
        if rows != stated:
            more = f"{rows - stated} too many" if rows > stated else f"{stated - rows} missing"
            raise _fail(f"the snapshot has {rows} {name} and the control total says {stated}: {more}", subject)
    check_amount(amount, subject=subject)
    if amount != total[2]:
        decimals = settings.assets[key[1]].decimals
        stated_amount, difference = format_amount(total[2], decimals), format_amount(amount - total[2], decimals, sign=True)
        raise _fail(
            f"the balances add up to {format_amount(amount, decimals)} and the control total says {stated_amount}: {difference}", subject
        )


def _subject(settings: Settings, key: tuple[str, str]) -> str:
    return f"ledger {settings.ledger.connection}, assay_control_totals, {key[0]}, {key[1]}"


def _fail(problem: str, subject: str) -> LedgerError:
    return LedgerError(problem, subject=subject, next_step="compare the ledger's closing balances with its control totals and close again")


def write_flows(settings: Settings, raw: Path, path: Path) -> None:
    """Write the flows as exact amounts, sorted by asset and kind.

    Raises:
        LedgerError: An asset or a kind is unknown or appears twice.
        AmountError: A sum of flows is not an exact amount.
    """
    rows: dict[tuple[str, str], tuple[Decimal, int]] = {}
    for row in pq.read_table(raw, columns=list(FLOW_COLUMNS)).to_pylist():
        key = (row["asset"], row["kind"])
        subject = f"ledger {settings.ledger.connection}, assay_flows, {key[0]}, {key[1]}"
        if row["asset"] not in settings.assets or row["kind"] not in FLOW_KINDS or key in rows:
            raise LedgerError("the asset or the kind is unknown or appears twice", subject=subject, next_step="correct the ledger's view")
        amount = parse_amount(row["amount"], settings.assets[row["asset"]].decimals, subject=subject)
        rows[key] = (Decimal(amount), int(row["flow_count"]))
    _write([(*key, *rows[key]) for key in sorted(rows)], _FLOWS, path)


def _write(rows: Sequence[tuple[object, ...]], schema: pa.Schema, path: Path) -> None:
    columns = [pa.array([row[number] for row in rows], field.type) for number, field in enumerate(schema)]
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary, compression="zstd")
