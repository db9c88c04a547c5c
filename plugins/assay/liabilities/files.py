"""The ledger as files: Parquet or CSV drops with a control file (`drop.py`).

Every column is read as text, so that no reader's guess of a type comes between the file and the rules of money. A column of Parquet has a
type of its own: decimals and integers have one exact text, floats are refused.
"""
# ruff: noqa: S608 - paths are the project's own and quoted; everything else is a parameter.

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from io import TextIOWrapper
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assay.errors import AmountError, LedgerError
from assay.lake import format_as_of
from assay.liabilities import rows
from assay.liabilities.disk import is_full
from assay.liabilities.drop import CONTROL, Drop, DropFile
from assay.liabilities.flows import FLOW_KEY, flow_error, repeated_flow
from assay.liabilities.interface import (
    BALANCE_COLUMNS,
    FLOW_COLUMNS,
    FLOW_KINDS,
    TOTAL_COLUMNS,
    LedgerSource,
    RawSnapshot,
    write_texts,
)
from assay.money import FINER_DIGITS, MAX_DIGITS
from assay.warehouse.session import quote_name, quote_text, session

DROPPED_FLOW_COLUMNS = ("occurred_at", "flow_id", "user_id", "account_type", "asset", "kind", "amount")
_TEXTS = ("VARCHAR", "UUID", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_AMOUNTS = ("VARCHAR", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "DECIMAL")
_MOMENTS = ("VARCHAR", "TIMESTAMP WITH TIME ZONE")
_MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.]\d{1,6})?Z"
_IS_MOMENT = f"regexp_full_match(occurred_at, '{_MOMENT}') and try_cast(occurred_at as timestamptz) is not null"
_MAX_LINE = 1 << 16
_SHOWN = 300
_QUOTED = re.compile(r'Original Line|value "')
"""Where DuckDB's messages begin to quote the file: user ids and balances, which belong in no log."""
_KINDS = re.compile(r"Expected Number of Columns: \d+ Found: \d+|Value with unterminated quote found|Invalid unicode|is not valid UTF8")

_FLOWS = """
create table flows as
select * exclude (occurred_at), text as amount_text,
    coalesce(valid and flow_id <> '' and list_contains($kinds, kind), false) as allowed,
from rows where occurred_at::timestamptz > $start and occurred_at::timestamptz <= $end
"""


class FilesLedger(LedgerSource):
    """Drops of files below `[ledger] folder`, one folder a moment."""

    def extract(self, as_of: datetime, previous_as_of: datetime | None, raw: RawSnapshot) -> dict[str, object]:
        """See `LedgerSource.extract`."""
        drop = Drop.open(self._settings, self._uri, as_of)
        with tempfile.TemporaryDirectory(dir=raw.folder, prefix=".drop-") as place:
            aside = Path(place)
            with session(aside, memory_limit=self._settings.memory_limit) as connection:
                for number, item in enumerate(item for item in drop.files if item.path.startswith("balances/")):
                    _convert(connection, drop, item, BALANCE_COLUMNS, aside, raw.balances / f"{number:05d}.parquet")
                flows = self._flows(connection, drop, previous_as_of, as_of, aside)
        drop.check_unchanged()
        write_texts(raw.control_totals, TOTAL_COLUMNS, drop.totals)
        write_texts(raw.flows, FLOW_COLUMNS, flows)
        return {"drop": {item.path: item.sha256 for item in drop.files}}

    def probe(self, as_of: datetime) -> list[tuple[str, ...]]:
        """See `LedgerSource.probe`."""
        return list(Drop.open(self._settings, self._uri, as_of).totals)

    def _flows(
        self, connection: duckdb.DuckDBPyConnection, drop: Drop, previous_as_of: datetime | None, as_of: datetime, aside: Path
    ) -> list[tuple[str, ...]]:
        """Add the flows of the period up by asset and kind, once each of them is held to the rules."""
        if previous_as_of is None:
            return []
        if drop.flows_from is None or drop.flows_from > previous_as_of:
            begin = "it has no flows" if drop.flows_from is None else f"its flows begin at {format_as_of(drop.flows_from)}"
            raise LedgerError(
                f"{begin}, and the previous report is of {format_as_of(previous_as_of)}",
                subject=drop.name,
                next_step="have the ledger write the flows since then",
            )
        texts = []
        for number, item in enumerate(item for item in drop.files if item.path.startswith("flows/")):
            texts.append(aside / f"flows-{number:05d}.parquet")
            _convert(connection, drop, item, DROPPED_FLOW_COLUMNS, aside, texts[-1])
        return self._sums(connection, texts, previous_as_of, as_of) if texts else []

    def _sums(
        self, connection: duckdb.DuckDBPyConnection, texts: list[Path], previous_as_of: datetime, as_of: datetime
    ) -> list[tuple[str, ...]]:
        rows.register(connection, self._settings, texts)
        moments = f"select {', '.join(FLOW_KEY)}, occurred_at from rows where not coalesce({_IS_MOMENT}, false) limit 1"
        for *flow, moment in connection.execute(moments).fetchall():
            raise LedgerError(
                f"occurred_at {moment!r} is not a UTC instant like 2023-02-17T16:00:00Z",
                subject=f"{self._name}, assay_flows, flow {flow[0]}",
                next_step="correct the drop",
            )
        connection.execute(_FLOWS, {"kinds": list(FLOW_KINDS), "start": previous_as_of, "end": as_of})
        key = ", ".join(FLOW_KEY)
        for row in connection.execute(f"select {key}, kind, amount_text from flows where not allowed order by all limit 1").fetchall():
            raise flow_error(self._settings, row)
        for row in connection.execute(
            f"select {key}, count(*) from flows group by all having count(*) > 1 order by all limit 1"
        ).fetchall():
            raise repeated_flow(self._settings, row, row[4])
        try:
            sums = connection.execute(
                "select asset, kind, sum(amount), sum(rounding)::hugeint, count(*) from flows group by all order by all"
            ).fetchall()
        except duckdb.OutOfRangeException:
            raise AmountError(
                f"a sum of flows has more than {MAX_DIGITS} digits",
                subject=f"{self._name}, assay_flows",
                next_step="check the assets' decimals and the largest flows",
            ) from None
        return [(asset, kind, self._plain(asset, int(amount), int(rounding)), str(count)) for asset, kind, amount, rounding, count in sums]

    def _plain(self, asset: str, amount: int, rounding: int) -> str:
        """The sum before any rounding, as the text that a ledger gives."""
        decimals = self._settings.assets[asset].decimals
        with localcontext(prec=3 * MAX_DIGITS):
            exact = Decimal(amount * 10**FINER_DIGITS - rounding).scaleb(-decimals - FINER_DIGITS)
            return f"{exact if rounding else exact.quantize(Decimal(1).scaleb(-decimals)):f}"


def _convert(connection: duckdb.DuckDBPyConnection, drop: Drop, item: DropFile, columns: Sequence[str], aside: Path, path: Path) -> None:
    """Write a file of the drop as a raw file: the same rows, every column as text."""
    copy = drop.fetch(item, aside)
    subject = f"{drop.name}, {item.path}"
    try:
        write_as_text(connection, copy, columns, path, subject=subject)
    finally:
        copy.unlink()
    if (found := pq.read_metadata(path).num_rows) != item.rows:
        raise LedgerError(
            f"it has {found} rows and {CONTROL} says {item.rows}", subject=subject, next_step="have the ledger write the drop anew"
        )


def write_as_text(connection: duckdb.DuckDBPyConnection, file: Path, columns: Sequence[str], path: Path, *, subject: str) -> None:
    """Write a dropped file's rows as Parquet, every column as text.

    Args:
        connection: Does the work.
        file: CSV (packed or not) or Parquet.
        columns: It has exactly these; they are written in this order.
        path: Receives them.
        subject: Names the file in errors.

    Raises:
        LedgerError: It has other columns, or a column of a type that is not exact, or cannot be read; no row of it is quoted.
    """
    try:
        relation = f"read_parquet({quote_text(str(file))})" if file.suffix == ".parquet" else _csv(file, columns, subject)
        kinds = {str(name): str(kind) for name, kind, *_ in connection.execute(f"describe from {relation}").fetchall()}
        _check_columns(kinds, columns, subject)
        texts = ", ".join(_text(name, kinds[name]) for name in columns)
        connection.execute(f"copy (select {texts} from {relation}) to {quote_text(str(path))} (format parquet, compression zstd)")
    except duckdb.Error as error:
        if is_full(str(error)):
            raise
        raise LedgerError(
            f"it cannot be read ({_said(str(error).replace(str(file), file.name))})",
            subject=subject,
            next_step="have the ledger write the drop anew",
        ) from None


def _said(text: str) -> str:
    """What DuckDB says of a file, without what it quotes of it."""
    words = _QUOTED.split(text)
    return " ".join(" ".join([words[0], *_KINDS.findall(text)[:1] * (len(words) > 1)]).split())[:_SHOWN]


def _csv(path: Path, columns: Sequence[str], subject: str) -> str:
    """The function call that reads a CSV file with nothing guessed."""
    try:
        with TextIOWrapper(pa.input_stream(path), encoding="utf-8") as text:
            header = next(csv.reader([text.readline(_MAX_LINE)]), [])
    except (UnicodeDecodeError, OSError, csv.Error) as error:
        raise LedgerError(
            f"its first line cannot be read ({type(error).__name__})", subject=subject, next_step="write it as UTF-8 with a header"
        ) from None
    _check_columns(dict.fromkeys(header, "VARCHAR"), columns, subject)
    types = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in header)
    options = r"""header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', strict_mode = true"""
    return f"read_csv({quote_text(str(path))}, columns = {{{types}}}, {options})"


def _check_columns(kinds: Mapping[str, str], columns: Sequence[str], subject: str) -> None:
    if sorted(kinds) != sorted(columns):
        raise LedgerError(
            f"its columns are {', '.join(kinds) or 'none'}, and must be {', '.join(columns)}", subject=subject, next_step="correct the drop"
        )
    for name, kind in kinds.items():
        allowed = _AMOUNTS if name == "amount" else _MOMENTS if name == "occurred_at" else _TEXTS
        if kind.partition("(")[0] not in allowed:
            raise LedgerError(
                f"its column {name} is of type {kind} and must be one of {', '.join(allowed)}",
                subject=subject,
                next_step="correct the drop",
            )


def _text(name: str, kind: str) -> str:
    column = quote_name(name)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ') as {column}"
    return f"cast({column} as varchar) as {column}"
