"""The canonical rows of a Parquet file, `assay-rows-v1`, written from its specification (docs/formats/canonical_rows.md) alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay_verify.findings import MalformedError

VERSION = "assay-rows-v1"
_BATCH = 8192
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def open_table(path: Path) -> pq.ParquetFile:
    """Open a Parquet file.

    Raises:
        MalformedError: It is missing or not Parquet.
    """
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise MalformedError(f"{path.name} cannot be read as Parquet ({str(error).splitlines()[0]})") from error


def batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows in pieces.

    Raises:
        MalformedError: It is missing, not Parquet, or damaged further in.
    """
    file = open_table(path)
    try:
        yield from file.iter_batches(batch_size=_BATCH, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise MalformedError(f"{path.name} is damaged ({str(error).splitlines()[0]})") from error


def plain(batch: pa.RecordBatch, name: str) -> list[dict[str, Any]]:
    """Return the rows of a piece: decimals as unscaled integers, times as UTC datetimes, the rest as it is.

    Raises:
        MalformedError: A text is not UTF-8, or a time lies outside the years 1 to 9999.
    """
    try:
        cells = [_values(column) for column in batch.columns]
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"{name} holds a value that cannot be read ({error})") from error
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*cells, strict=True)]


def canonical_type(kind: pa.DataType) -> str:
    """Return the name of a column's type in the header line.

    Raises:
        MalformedError: The type has no canonical form, as no floating-point type has.
    """
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "string"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return "timestamp"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "blob"
    raise MalformedError(f"the type {kind} has no canonical form")


def columns(path: Path) -> list[tuple[str, str]]:
    """Return names and canonical types of a file's columns.

    Raises:
        MalformedError: It is not Parquet, or a column has no canonical form.
    """
    return [(item.name, canonical_type(item.type)) for item in open_table(path).schema_arrow]


def digest(path: Path) -> tuple[int, str]:
    """Return the number of rows and the SHA-256 of the canonical rows.

    Raises:
        MalformedError: It is not Parquet, damaged, or a column has no canonical form.
    """
    named = columns(path)
    header = ",".join([_text(VERSION), *(f"[{_text(name)},{_text(kind)}]" for name, kind in named)])
    hashed = hashlib.sha256(f"[{header}]\n".encode())
    count = 0
    for batch in batches(path):
        count += batch.num_rows
        try:
            cells = [_cells(column, kind) for column, (_, kind) in zip(batch.columns, named, strict=True)]
        except (ValueError, OverflowError) as error:
            raise MalformedError(f"{path.name} holds a value that cannot be read ({error})") from error
        for row in zip(*cells, strict=True):
            hashed.update(f"[{','.join(row)}]\n".encode())
    return count, hashed.hexdigest()


def _text(value: str) -> str:
    if not _ESCAPED.search(value):
        return f'"{value}"'
    return '"' + _ESCAPED.sub(lambda found: _SHORT_ESCAPES.get(found[0], f"\\u{ord(found[0]):04x}"), value) + '"'


def _unscaled(value: Decimal) -> int:
    # Parquet stores the unscaled integer and the scale; Decimal keeps both, so no arithmetic is needed, which might round.
    sign, digits, exponent = value.as_tuple()
    magnitude = int("".join(map(str, digits))) if exponent else abs(int(value))
    return -magnitude if sign else magnitude


def _decimal(value: Decimal) -> str:
    unscaled, scale = _unscaled(value), -int(value.as_tuple().exponent)
    text = str(abs(unscaled)).rjust(scale + 1, "0")
    return f'"{"-" if unscaled < 0 else ""}{text[:-scale]}.{text[-scale:]}"' if scale else f'"{unscaled}"'


@lru_cache(maxsize=4096)
def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


@lru_cache(maxsize=4096)
def _timestamp(microseconds: int) -> str:
    moment = _moment(microseconds)
    return f'"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z"'


_WRITE: dict[str, Callable[[Any], str]] = {
    "string": _text,
    "boolean": lambda value: "true" if value else "false",
    "integer": lambda value: f'"{value}"',
    "decimal": _decimal,
    "timestamp": _timestamp,
    "blob": lambda value: f'"{value.hex()}"',
}


def _cells(column: pa.Array, kind: str) -> list[str]:
    write = _WRITE[kind.partition("(")[0]]
    values = column.to_pylist() if kind != "timestamp" else _microseconds(column)
    return ["null" if value is None else write(value) for value in values]


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return [None if value is None else _moment(value) for value in _microseconds(column)]
    if pa.types.is_decimal(column.type):
        return [None if value is None else _unscaled(value) for value in column.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values


def _microseconds(column: pa.Array) -> list[int | None]:
    """Return whole microseconds since 1970 without going through a time zone database."""
    unit = _PER_SECOND[column.type.unit]
    return [None if value is None else value * 10**6 // unit for value in column.cast(pa.int64()).to_pylist()]
