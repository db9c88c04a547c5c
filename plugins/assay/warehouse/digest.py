"""The canonical digest of a table: a hash of its rows that no Parquet writer's version can change.

`docs/formats/canonical_rows.md` specifies the bytes exactly, version `assay-rows-v1`.
"""
# ruff: noqa: S608 - statements are built from SQL files, contracts and quoted names and paths, never from data.

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

from assay.errors import ContractError
from assay.warehouse.session import quote_name, read_parquet, session

FORMAT = "assay-rows-v1"
"""First element of the first line; another rule gets another name."""

_ROWS = 10_000
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}


def canonical_digest(parquet: Path) -> str:
    """Return the SHA-256 of a file's canonical rows in hexadecimal, streamed in bounded memory.

    Raises:
        ContractError: A column's type has no canonical form (floating point above all), or the file cannot be read.
    """
    digest = hashlib.sha256()
    for line in canonical_lines(parquet):
        digest.update(line)
    return digest.hexdigest()


def canonical_lines(parquet: Path) -> Iterator[bytes]:
    """Yield the canonical bytes line by line: the header, then each row in file order."""
    with session() as connection:
        relation = read_parquet(parquet)
        try:
            described = connection.execute(f"describe select * from {relation}").fetchall()
        except duckdb.Error as error:
            raise ContractError(
                f"it cannot be read ({str(error).splitlines()[0]})", subject=str(parquet), next_step="write the file again"
            ) from error
        forms = [_form(str(name), str(kind), parquet) for name, kind, *_ in described]
        yield _line([FORMAT, *([name, canonical] for name, canonical, _ in forms)])
        rows = connection.execute(f"select {', '.join(expression for _, _, expression in forms)} from {relation}")
        while batch := rows.fetchmany(_ROWS):
            for row in batch:
                yield _line(row)


def _line(values: object) -> bytes:
    # For arrays of text, booleans and nulls this is RFC 8785: it has no object keys to sort and no number to format.
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _form(name: str, kind: str, parquet: Path) -> tuple[str, str, str]:
    """Return the column's name, its canonical type, and the SQL expression of its canonical cell."""
    quoted = quote_name(name)
    if kind == "VARCHAR":
        return name, "string", quoted
    if kind == "BOOLEAN":
        return name, "boolean", quoted
    if kind in _INTEGERS:
        return name, "integer", f"{quoted}::varchar"
    if matched := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind):
        return name, f"decimal({matched[1]},{matched[2]})", f"{quoted}::varchar"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return name, "timestamp", f"strftime(make_timestamp(epoch_us({quoted})), '%Y-%m-%dT%H:%M:%S.%fZ')"
    if kind == "BLOB":
        return name, "blob", f"lower(hex({quoted}))"
    raise ContractError(
        f"the column {name} has the type {kind}, which has no canonical form", subject=str(parquet), next_step="use another type"
    )
