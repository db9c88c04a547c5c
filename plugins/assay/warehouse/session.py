"""DuckDB connections with bounded memory, fixed settings and no reach outside the given folder.

A session's database is a file in a temporary folder, so tables larger than memory go to disk, and it is gone when the
session ends: nothing is kept between runs but the Parquet files that a caller writes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

THREADS = 2
"""A task shares its machine with others; memory per thread is what makes grouping spill."""

# Extensions are never fetched: whatever a statement needs is in the wheel (core_functions, icu, json, parquet).
_CLOSED = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}


@contextmanager
def session(work: Path | None = None, *, memory_limit: str = "2GB", threads: int = THREADS) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB connection for the length of a block.

    The time zone is UTC, the configuration is locked, and extensions are neither downloaded nor loaded by themselves.

    Args:
        work: Folder for the database file and whatever spills, created when missing; the system's temporary folder
            by default. Both are removed when the block ends.
        memory_limit: In DuckDB's notation.
        threads: Worker threads.
    """
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="duckdb-") as folder:
        config: dict[str, str | bool | int | float | list[str]] = {
            **_CLOSED,
            "memory_limit": memory_limit,
            "threads": str(threads),
            "temp_directory": str(Path(folder, "spill")),
        }
        connection = duckdb.connect(str(Path(folder, "session.duckdb")), config=config)
        try:
            # Needs the ICU extension, which is loaded only once the connection stands.
            connection.execute("set TimeZone = 'UTC'")
            connection.execute("set enable_progress_bar = false")
            connection.execute("set lock_configuration = true")
            yield connection
        finally:
            connection.close()


def quote_text(text: str) -> str:
    """Return `text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def read_parquet(paths: Path | list[Path]) -> str:
    """Return a table function call that reads Parquet files of one schema, in the order given."""
    listed = paths if isinstance(paths, list) else [paths]
    return f"read_parquet([{', '.join(quote_text(str(path)) for path in listed)}], hive_partitioning = false)"
