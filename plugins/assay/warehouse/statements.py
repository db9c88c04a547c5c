"""The SQL files of a folder: what each one reads, and the order that follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import sqlglot
from sqlglot import expressions
from sqlglot.errors import SqlglotError

from assay.errors import ComputationError

FOLDERS = ("staging", "marts", "finance", "checks")
"""What a file is for follows from its folder: steps, published tables, tables for finance, rules."""

INPUTS = "inputs"
"""The schema of the views over the input files."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One SQL file.

    Attributes:
        name: Of the file without its ending, and of the table that it makes.
        folder: One of `FOLDERS`.
        path: The file.
        sql: Its text.
        comment: The comment at its top as one line; a check's rule.
        inputs: Inputs that it reads.
        reads: Other files' tables that it reads.
    """

    name: str
    folder: str
    path: Path
    sql: str
    comment: str
    inputs: frozenset[str]
    reads: frozenset[str]


def read_statements(sql_root: Path) -> dict[str, Statement]:
    """Read all SQL files under the known folders, by table name.

    Raises:
        ComputationError: There is none, two make the same table, or a file is not one `select`.
    """
    paths = [path for folder in FOLDERS for path in sorted(sql_root.glob(f"{folder}/*.sql"))]
    if not paths:
        raise ComputationError("it holds no SQL file", subject=str(sql_root), next_step="point to the folder of staging/, marts/, …")
    known = {path.stem: path for path in paths}
    for path in paths:
        if known[path.stem] != path:
            raise ComputationError(f"{known[path.stem]} makes a table of the same name", subject=str(path), next_step="rename one of them")
    return {path.stem: _read(path, set(known)) for path in paths}


def in_order(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Yield each statement after those whose tables it reads, and checks as soon as they can be.

    Raises:
        ComputationError: Statements read each other in a circle.
    """
    by_name = {statement.name: statement for statement in statements}
    try:
        names = list(TopologicalSorter({name: sorted(item.reads) for name, item in by_name.items()}).static_order())
    except CycleError as error:
        raise ComputationError(
            f"statements read each other in a circle: {' → '.join(error.args[1])}", subject="SQL", next_step="break it"
        ) from error
    yield from (by_name[name] for name in names)


def _read(path: Path, known: set[str]) -> Statement:
    sql = path.read_text(encoding="utf-8")
    try:
        parsed = sqlglot.parse(sql, dialect="duckdb")
    except SqlglotError as error:
        raise ComputationError(
            f"it cannot be parsed ({str(error).strip().splitlines()[0]})", subject=str(path), next_step="correct the statement"
        ) from error
    if len(parsed) != 1 or not isinstance(parsed[0], expressions.Query):
        raise ComputationError(
            "it is not exactly one select", subject=str(path), next_step="keep one statement a file, without a semicolon"
        )
    tables = list(parsed[0].find_all(expressions.Table))
    return Statement(
        name=path.stem,
        folder=path.parent.name,
        path=path,
        sql=sql,
        comment=_comment(sql),
        inputs=frozenset(table.name for table in tables if table.db == INPUTS),
        # A common table expression that merely bears another table's name adds an order that is not needed, no error.
        reads=frozenset(table.name for table in tables if not table.db and table.name in known) - {path.stem},
    )


def _comment(sql: str) -> str:
    lines: list[str] = []
    for line in sql.splitlines():
        if not line.startswith("--") or line == "--":
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)
