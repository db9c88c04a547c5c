"""Control totals and flows: few rows, read as text, held against the balances and written as canonical Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.config import Settings
from assay.errors import LedgerError
from assay.lake import replacing_file
from assay.liabilities.finer_digits import read_amount
from assay.liabilities.interface import FLOW_COLUMNS, FLOW_KINDS, TOTAL_COLUMNS
from assay.money import FINER_DIGITS, check_amount, format_amount

_AMOUNT = pa.decimal128(38, 0)
_TOTALS = pa.schema(
    [
        ("account_type", pa.string()),
        ("asset", pa.string()),
        ("row_count", pa.int64()),
        ("user_count", pa.int64()),
        ("total_amount", _AMOUNT),
        ("rounding", pa.int64()),
    ]
)
_FLOWS = pa.schema(
    [("asset", pa.string()), ("kind", pa.string()), ("amount", _AMOUNT), ("flow_count", pa.int64()), ("rounding", pa.int64())]
)
_ONE = 10**FINER_DIGITS


@dataclass(frozen=True, kw_only=True)
class Sum:
    """What the balances of an account type and asset add up to.

    Attributes:
        rows: How many they are. Each user has one row there at most, so this is the user count as well.
        amount: Signed base units, after rounding.
        rounding: What rounding added, in 10^-FINER_DIGITS of a base unit.
    """

    rows: int = 0
    amount: int = 0
    rounding: int = 0


@dataclass(frozen=True, kw_only=True)
class _Total:
    rows: int
    users: int
    amount: int
    rounding: int


def write_control_totals(settings: Settings, raw: Path, sums: Mapping[tuple[str, str], Sum], path: Path) -> None:
    """Hold the balances against the ledger's control totals, both as they were before any rounding, and write the totals.

    Args:
        settings: Names assets and account types.
        raw: The control totals as the ledger gave them, all text.
        sums: Of the balances, by account type and asset.
        path: Receives account_type, asset, row_count, user_count, total_amount and rounding, sorted: a total with digits below one base
            unit is rounded up like a balance.

    Raises:
        LedgerError: A count or a sum differs, or one side lacks an account type and asset altogether.
        AmountError: A total is not an exact amount.
    """
    totals = _read_totals(settings, raw)
    for key in sorted(sums.keys() | totals.keys()):
        subject = _subject(settings, key)
        if key not in totals:
            raise _fail(f"there are {sums[key].rows} balances and no control total", subject)
        _compare(settings, key, sums.get(key, Sum()), totals[key])
    rows = [(*key, total.rows, total.users, Decimal(total.amount), total.rounding) for key, total in sorted(totals.items())]
    _write(rows, _TOTALS, path)


def _read_totals(settings: Settings, raw: Path) -> dict[tuple[str, str], _Total]:
    totals: dict[tuple[str, str], _Total] = {}
    for row in pq.read_table(raw, columns=list(TOTAL_COLUMNS)).to_pylist():
        key = (row["account_type"], row["asset"])
        subject = _subject(settings, key)
        if row["account_type"] not in settings.ledger.account_types or row["asset"] not in settings.assets:
            raise _fail("the account type or the asset is unknown", subject)
        if key in totals:
            raise _fail("there is more than one control total", subject)
        if any(row[name] is None for name in TOTAL_COLUMNS):
            raise _fail("a control total is null", subject)
        amount, rounding = read_amount(settings, row["total_amount"], row["asset"], subject=subject)
        totals[key] = _Total(rows=int(row["row_count"]), users=int(row["user_count"]), amount=amount, rounding=rounding)
    return totals


def _compare(settings: Settings, key: tuple[str, str], found: Sum, total: _Total) -> None:
    subject = _subject(settings, key)
    for name, stated in (("rows", total.rows), ("users", total.users)):
        if found.rows != stated:
            more = f"{found.rows - stated} too many" if found.rows > stated else f"{stated - found.rows} missing"
            raise _fail(f"the snapshot has {found.rows} {name} and the control total says {stated}: {more}", subject)
    check_amount(found.amount, subject=subject)
    exact, stated_exact = found.amount * _ONE - found.rounding, total.amount * _ONE - total.rounding
    if exact != stated_exact:
        decimals = settings.assets[key[1]].decimals
        raise _fail(
            f"the balances add up to {_shown(exact, decimals)} and the control total says {_shown(stated_exact, decimals)}: "
            f"{_shown(exact - stated_exact, decimals, sign=True)}",
            subject,
        )


def _shown(exact: int, decimals: int, *, sign: bool = False) -> str:
    """Write 10^-FINER_DIGITS of base units as whole units, with all decimals of the asset and those below that are not zero."""
    text = format_amount(exact, decimals + FINER_DIGITS, sign=sign)
    kept = len(text) - FINER_DIGITS
    return (text[:kept] + text[kept:].rstrip("0")).rstrip(".")


def _subject(settings: Settings, key: tuple[str, str]) -> str:
    return f"ledger {settings.ledger.connection}, assay_control_totals, {key[0]}, {key[1]}"


def _fail(problem: str, subject: str) -> LedgerError:
    return LedgerError(problem, subject=subject, next_step="compare the ledger's closing balances with its control totals and close again")


def write_flows(settings: Settings, raw: Path, path: Path) -> None:
    """Write the flows as exact amounts, sorted by asset and kind.

    Where the ledger's digits go below one base unit, the exact sum of a kind is rounded up once, and what that added is written beside it.

    Raises:
        LedgerError: An asset or a kind is unknown or appears twice.
        AmountError: A sum of flows is not an exact amount.
    """
    rows: dict[tuple[str, str], tuple[Decimal, int, int]] = {}
    for row in pq.read_table(raw, columns=list(FLOW_COLUMNS)).to_pylist():
        key = (row["asset"], row["kind"])
        subject = f"ledger {settings.ledger.connection}, assay_flows, {key[0]}, {key[1]}"
        if row["asset"] not in settings.assets or row["kind"] not in FLOW_KINDS or key in rows:
            raise LedgerError("the asset or the kind is unknown or appears twice", subject=subject, next_step="correct the ledger's view")
        amount, rounding = read_amount(settings, row["amount"], row["asset"], subject=subject)
        rows[key] = (Decimal(amount), int(row["flow_count"]), rounding)
    _write([(*key, *rows[key]) for key in sorted(rows)], _FLOWS, path)


def _write(rows: Sequence[tuple[object, ...]], schema: pa.Schema, path: Path) -> None:
    columns = [pa.array([row[number] for row in rows], field.type) for number, field in enumerate(schema)]
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary, compression="zstd")
