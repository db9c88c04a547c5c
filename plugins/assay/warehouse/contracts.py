"""Table contracts: what a published Parquet file promises its readers, and whether it keeps it.

A contract is an Open Data Contract Standard document (ODCS 3.1, https://bitol-io.github.io/open-data-contract-standard/)
of one table. `physicalType` is DuckDB's name of the column's type (`TIMESTAMP_TZ` for a timestamp with time zone),
`required` its nullability, `primaryKey` its place in the key by which a file is unique and sorted. What values mean and may be is the matter of `assay.quality`.
"""
# ruff: noqa: S608 - statements are built from SQL files, contracts and quoted names and paths, never from data.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import duckdb
import yaml

from assay.errors import ContractError
from assay.lake import replacing_file
from assay.warehouse.session import quote_name, quote_text, read_parquet, session

SUFFIX = ".odcs.yaml"
"""How the name of a contract file ends."""


# datacontract-cli knows this spelling and not DuckDB's.
_SPELLINGS = {"TIMESTAMP_TZ": "TIMESTAMP WITH TIME ZONE"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        name: In the file.
        type: DuckDB's name of its type: `DECIMAL(38,0)`, `TIMESTAMP WITH TIME ZONE`, …
        required: Null is not allowed.
        unit: What its values count.
        description: For people.
    """

    name: str
    type: str
    required: bool
    unit: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The promise about one table.

    Attributes:
        table: Name of the table.
        version: Of the contract; a new major version when a consumer would break.
        columns: In file order.
        key: Columns that identify a row, in sort order; empty for a table of one row.
        path: Where the contract stands.
    """

    table: str
    version: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    path: Path

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a contract file.

        Raises:
            ContractError: It is not an ODCS document of one table with typed, described columns.
        """
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
            (table,) = document["schema"]
            columns = tuple(_column(item) for item in table["properties"])
            keyed = sorted((item["primaryKeyPosition"], item["name"]) for item in table["properties"] if item.get("primaryKey"))
            return cls(table=table["name"], version=document["version"], columns=columns, key=tuple(name for _, name in keyed), path=path)
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            raise ContractError(
                f"it is not a contract of one table ({type(error).__name__}: {error})",
                subject=str(path),
                next_step="correct the contract file",
            ) from error


def load_contracts(folder: Path) -> dict[str, Contract]:
    """Read all contracts of a folder, by table name.

    Raises:
        ContractError: A file is malformed, is not named after its table, or there is none.
    """
    contracts = {path.name.removesuffix(SUFFIX): Contract.load(path) for path in sorted(folder.glob(f"*{SUFFIX}"))}
    if not contracts:
        raise ContractError("it holds no contract", subject=str(folder), next_step=f"point to the folder of the *{SUFFIX} files")
    for name, contract in contracts.items():
        if name != contract.table:
            raise ContractError(
                f"it is the contract of {contract.table}", subject=str(contract.path), next_step="name the file after its table"
            )
    return contracts


def check_file(contract: Contract, parquet: Path) -> int:
    """Hold a Parquet file to its contract: columns, order, types, nullability, digits, key and sorting.

    Text sorts by its UTF-8 bytes.

    Returns:
        The number of rows.

    Raises:
        ContractError: Naming table, column and rule.
    """
    with session() as connection:
        return check_relation(contract, connection, read_parquet(parquet), subject=f"table {contract.table} ({parquet})")


def check_relation(contract: Contract, connection: duckdb.DuckDBPyConnection, relation: str, *, subject: str) -> int:
    """Hold a relation of an open session to a contract; see `check_file`.

    Args:
        contract: The promise.
        connection: Where the relation can be read.
        relation: What to select from, in SQL, in the order of its rows.
        subject: Names the relation in errors.
    """

    def fail(problem: str) -> ContractError:
        return ContractError(problem, subject=subject, next_step=f"correct the table, or give {contract.path.name} a new major version")

    try:
        found = {str(row[0]): str(row[1]) for row in connection.execute(f"describe select * from {relation}").fetchall()}
    except duckdb.Error as error:
        raise fail(f"it cannot be read ({str(error).splitlines()[0]})") from error
    expected = {column.name: column.type for column in contract.columns}
    if problem := _difference(expected, found):
        raise fail(problem)
    problems = [_cell_problem(column) for column in contract.columns]
    counted = connection.execute(f"select count(*), {', '.join(condition for _, condition in problems)} from {relation}").fetchall()[0]
    for (rule, _), count in zip(problems, counted[1:], strict=True):
        if count:
            raise fail(f"{rule}, and {count} of {counted[0]} rows break it")
    if contract.key:
        _check_key(contract, connection, relation, fail)
    elif counted[0] > 1:
        raise fail(f"a table without a key has at most one row, and it has {counted[0]}")
    return int(counted[0])


def empty_table(contract: Contract, parquet: Path) -> Path:
    """Write a Parquet file of the contract's columns without rows, for what a first publication has no previous of."""
    columns = ", ".join(f"null::{column.type} as {quote_name(column.name)}" for column in contract.columns)
    with session() as connection, replacing_file(parquet) as temporary:
        write_parquet(connection, f"select {columns} where false", temporary)
    return parquet


def write_parquet(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write a query's rows, in its order, as Parquet with zstd compression."""
    connection.execute(f"copy ({query}) to {quote_text(str(path))} (format parquet, compression zstd)")


def _column(item: dict[str, Any]) -> Column:
    units = [str(entry["value"]) for entry in item["customProperties"] if entry["property"] == "unit"]
    (unit,) = units
    kind = item["physicalType"].upper()
    return Column(name=item["name"], type=_SPELLINGS.get(kind, kind), required=item["required"], unit=unit, description=item["description"])


def _difference(expected: dict[str, str], found: dict[str, str]) -> str | None:
    if missing := [name for name in expected if name not in found]:
        return f"the column {missing[0]} is missing"
    if unknown := [name for name in found if name not in expected]:
        return f"the column {unknown[0]} is not in the contract"
    if list(expected) != list(found):
        name = next(name for name, other in zip(expected, found, strict=True) if name != other)
        return f"the column {name} is not at its place; the order is {', '.join(expected)}"
    for name, kind in expected.items():
        if found[name] != kind:
            return f"the column {name} has the type {found[name]} and must have {kind}"
    return None


def _cell_problem(column: Column) -> tuple[str, str]:
    """Return the column's rule in words, and an aggregate that counts the rows that break it."""
    name = quote_name(column.name)
    conditions = [] if not column.required else [f"{name} is null"]
    rules = [] if not column.required else ["is not null"]
    if column.type.startswith("DECIMAL"):
        # DuckDB's sums of DECIMAL(38,0) reach 39 digits in silence, and readers would refuse or wrap them.
        precision, scale = (int(part) for part in column.type.removeprefix("DECIMAL(").removesuffix(")").split(","))
        largest = "9" * (precision - scale) + ("." + "9" * scale if scale else "")
        conditions.append(f"{name} > '{largest}'::{column.type} or {name} < '-{largest}'::{column.type}")
        rules.append(f"has at most {precision} digits")
    condition = " or ".join(f"({text})" for text in conditions) or "false"
    return f"the column {column.name} {' and '.join(rules)}", f"count(*) filter (where {condition})"


def _check_key(contract: Contract, connection: duckdb.DuckDBPyConnection, relation: str, fail: Any) -> None:
    key = ", ".join(quote_name(name) for name in contract.key)
    named = ", ".join(contract.key)
    duplicate = connection.execute(f"select {key} from {relation} group by all having count(*) > 1 order by all limit 1").fetchone()
    if duplicate is not None:
        raise fail(f"the key ({named}) is unique, and {_shown(duplicate)} stands there more than once")
    unsorted = connection.execute(
        f"select {key} from (select {key}, lag(row({key})) over () as previous from {relation}) "
        f"where previous is not null and row({key}) < previous limit 1"
    ).fetchone()
    if unsorted is not None:
        raise fail(f"rows are sorted by ({named}), and {_shown(unsorted)} comes after a greater key")


def _shown(row: tuple[Any, ...]) -> str:
    return "(" + ", ".join(str(value) for value in row) + ")"
