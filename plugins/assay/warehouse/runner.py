"""Runs the SQL of a folder over Parquet inputs and writes what comes out.

A folder holds `staging/`, `marts/`, `finance/` and `checks/` with one `select` a file, and `macros.sql` for arithmetic
that they share. A file makes the table of its own name; what it reads decides when it runs. Inputs are views in the
schema `inputs`, so that `inputs.prices` and the published table `prices` can both be named. Nothing is written before
every check has passed.
"""
# ruff: noqa: S608 - statements are built from SQL files, contracts and quoted names and paths, never from data.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from assay.errors import ComputationError, ContractError
from assay.lake import format_as_of, replacing_file
from assay.warehouse.contracts import Contract, check_relation, load_contracts, write_parquet
from assay.warehouse.session import quote_name, read_parquet, session
from assay.warehouse.statements import Statement, in_order, read_statements

_SHOWN_ROWS = 5
# Not exact, or not exact once they are in a Parquet file.
_INEXACT = ("DOUBLE", "FLOAT", "HUGEINT", "UHUGEINT")


@dataclass(frozen=True, kw_only=True)
class Computed:
    """What a run wrote.

    Attributes:
        tables: Published tables by name.
        finance: Tables for finance by name; they are never published.
        rows: Row count of every one of them.
    """

    tables: Mapping[str, Path]
    finance: Mapping[str, Path]
    rows: Mapping[str, int]


def run(
    sql_root: Path,
    inputs: Mapping[str, Path | list[Path]],
    output: Path,
    *,
    as_of: datetime,
    previous_as_of: datetime | None,
    contracts: Path,
    finance: Path,
    work: Path | None = None,
    memory_limit: str = "2GB",
) -> Computed:
    """Compute all tables of a folder, check them, and write them.

    Args:
        sql_root: Folder of `macros.sql`, `staging/`, `marts/`, `finance/` and `checks/`.
        inputs: Parquet files by the name under which statements read them from the schema `inputs`; a list is one
            input in several files.
        output: Folder that receives `<table>.parquet` for each of `marts/`, sorted by the key of its contract.
        as_of: The attested moment.
        previous_as_of: That of the previous publication, or None in the first.
        contracts: Folder of the tables' contracts.
        finance: Folder that receives `<table>.parquet` for each of `finance/`.
        work: Folder for what does not fit memory; see `session`.
        memory_limit: In DuckDB's notation.

    Raises:
        ComputationError: A statement cannot be run, an input is missing, or a check found rows that break its rule.
        ContractError: A published table breaks its contract, or has none.
    """
    statements = read_statements(sql_root)
    promised = load_contracts(contracts)
    for statement in statements.values():
        _check_known(statement, inputs, promised)
    with session(work, memory_limit=memory_limit) as connection:
        _create_macros(connection, sql_root / "macros.sql")
        for name, moment in (("as_of", as_of), ("previous_as_of", previous_as_of)):
            literal = "null" if moment is None else f"'{format_as_of(moment)}'"
            connection.execute(f"set variable {name} = {literal}::timestamp with time zone")
        connection.execute("create schema inputs")
        for name, paths in inputs.items():
            _register(connection, name, paths)
        for statement in in_order(statements.values()):
            _execute(connection, statement)
        return _write(connection, statements.values(), promised, output, finance)


def _check_known(statement: Statement, inputs: Mapping[str, object], promised: Mapping[str, Contract]) -> None:
    if missing := sorted(statement.inputs - set(inputs)):
        raise ComputationError(
            f"the input {missing[0]} is missing", subject=str(statement.path), next_step="hand the input to the computation"
        )
    if statement.folder == "marts" and statement.name not in promised:
        raise ContractError(
            "the published table has no contract", subject=str(statement.path), next_step=f"write {statement.name}.odcs.yaml"
        )


def _create_macros(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        if path.exists():
            connection.execute(path.read_text(encoding="utf-8"))
    except duckdb.Error as error:
        raise ComputationError(_first_line(error), subject=str(path), next_step="correct the macros") from error


def _register(connection: duckdb.DuckDBPyConnection, name: str, paths: Path | list[Path]) -> None:
    subject = f"input {name} ({paths if isinstance(paths, Path) else ', '.join(map(str, paths))})"
    try:
        connection.execute(f"create view inputs.{quote_name(name)} as select * from {read_parquet(paths)}")
    except duckdb.Error as error:
        raise ComputationError(
            f"it cannot be read ({_first_line(error)})", subject=subject, next_step="run the task that writes it again"
        ) from error
    _refuse_inexact(connection, f"inputs.{quote_name(name)}", subject)


def _execute(connection: duckdb.DuckDBPyConnection, statement: Statement) -> None:
    subject = str(statement.path)
    try:
        if statement.folder == "checks":
            found = connection.execute(f"select * from (\n{statement.sql}\n) limit {_SHOWN_ROWS}")
            names = [str(column[0]) for column in found.description or []]
            rows = found.fetchall()
        else:
            connection.execute(f"create table {quote_name(statement.name)} as\n{statement.sql}")
            names, rows = [], []
    except duckdb.Error as error:
        raise ComputationError(
            f"it cannot be computed ({_first_line(error)})",
            subject=subject,
            next_step="correct the input that the message names, or the statement",
        ) from error
    if rows:
        shown = "; ".join(_shown(names, row) for row in rows)
        raise ComputationError(
            f"the rule is broken: {statement.comment} Broken by {shown}",
            subject=f"check {statement.name}",
            next_step="find which of the inputs is wrong; nothing was written",
        )
    if statement.folder != "checks":
        _refuse_inexact(connection, quote_name(statement.name), subject)


def _refuse_inexact(connection: duckdb.DuckDBPyConnection, relation: str, subject: str) -> None:
    for name, kind, *_ in connection.execute(f"describe {relation}").fetchall():
        if kind in _INEXACT:
            raise ComputationError(
                f"the column {name} has the type {kind}, which is not kept exactly", subject=subject, next_step="make it a DECIMAL"
            )


def _write(
    connection: duckdb.DuckDBPyConnection, statements: Iterable[Statement], promised: Mapping[str, Contract], output: Path, finance: Path
) -> Computed:
    tables: dict[str, Path] = {}
    private: dict[str, Path] = {}
    rows: dict[str, int] = {}
    # All files take their places together, once the last contract has been checked.
    with ExitStack() as files:
        for statement in statements:
            if statement.folder == "marts":
                contract = promised[statement.name]
                path = tables[statement.name] = output / f"{statement.name}.parquet"
                temporary = files.enter_context(replacing_file(path))
                _write_sorted(connection, statement.name, contract.key, temporary)
                subject = f"table {statement.name} ({statement.path})"
                rows[statement.name] = check_relation(contract, connection, read_parquet(temporary), subject=subject)
            elif statement.folder == "finance":
                path = private[statement.name] = finance / f"{statement.name}.parquet"
                _write_sorted(connection, statement.name, (), files.enter_context(replacing_file(path)))
                rows[statement.name] = int(connection.table(statement.name).shape[0])
    return Computed(tables=tables, finance=private, rows=rows)


def _write_sorted(connection: duckdb.DuckDBPyConnection, table: str, key: tuple[str, ...], path: Path) -> None:
    order = ", ".join(map(quote_name, key)) or "all"
    write_parquet(connection, f"select * from {quote_name(table)} order by {order}", path)


def _shown(names: list[str], row: tuple[Any, ...]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names, row, strict=True))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
