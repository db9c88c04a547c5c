"""One repeatable-read, read-only transaction of a PostgreSQL, driven through DuckDB's postgres extension.

The extension comes out of a wheel, so nothing is downloaded at run time. Every statement goes through `postgres_query`
on the transaction's one connection. No error carries the connection URI or its password.
"""
# ruff: noqa: S608 - postgres_query takes its statement as a literal; every literal and identifier here is quoted.

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import duckdb
from duckdb_extensions import import_extension

from assay.errors import LedgerError, SourceUnavailableError
from assay.liabilities.disk import is_full
from assay.liabilities.interface import ROWS_A_FILE

_CONNECT_SECONDS = 30
_ROWS_A_GROUP = 122_880  # DuckDB's default
# What a server says when it would answer another time; any other error is its answer.
_PASSING = re.compile(r"terminating connection|canceling statement|closed the connection|shutting down|starting up|out of memory|too many")


class PostgresSession:
    """An open transaction of the ledger; made by `transaction`.

    Args:
        connection: DuckDB with the ledger attached as `ledger` and a transaction begun.
        name: The ledger's name in errors.
        secrets: Texts that no error may show.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str, secrets: list[str]) -> None:
        self._connection = connection
        self._name = name
        self._secrets = secrets

    def query(self, statement: str) -> list[tuple[str, ...]]:
        """Run a PostgreSQL statement whose columns are all text.

        Raises:
            LedgerError: The server refused the statement.
            SourceUnavailableError: The server broke off.
        """
        return self._run(f"select * from postgres_query('ledger', {quoted(statement)})")

    def copy(self, statement: str, folder: Path) -> None:
        """Stream a PostgreSQL statement's rows into Parquet files of a new folder.

        Raises:
            LedgerError: The server refused the statement, or the disk is full.
            SourceUnavailableError: The server broke off.
        """
        rows = f"select * from postgres_query('ledger', {quoted(statement)})"
        groups = -(-ROWS_A_FILE // _ROWS_A_GROUP)
        self._run(f"copy ({rows}) to {quoted(str(folder))} (format parquet, compression zstd, row_groups_per_file {groups})")

    def export(self) -> str:
        """Return a name under which other transactions can see the same snapshot, for as long as this one is open.

        See `pg_export_snapshot` in the PostgreSQL manual, "Snapshot Synchronization Functions".
        """
        ((exported,),) = self.query("select pg_export_snapshot()::text as exported")
        return exported

    def see(self, exported: str) -> None:
        """See what another transaction sees; only before anything else."""
        self._run(f"call postgres_execute('ledger', {quoted(f'set transaction snapshot {quoted(exported)}')})")

    def identify(self) -> str:
        """Name connection and snapshot, as `backend/snapshot`; two equal names are one snapshot of one transaction.

        See `pg_current_snapshot` in the PostgreSQL manual, "System Information Functions".

        Raises:
            LedgerError: The transaction is not repeatable read and read only.
        """
        statement = (
            "select current_setting('transaction_isolation') as isolation, current_setting('transaction_read_only') as read_only, "
            "pg_backend_pid()::text as backend, pg_current_snapshot()::text as snapshot"
        )
        ((isolation, read_only, backend, snapshot),) = self.query(statement)
        if (isolation, read_only) != ("repeatable read", "on"):
            raise LedgerError(
                f"the transaction is {isolation!r} with read only {read_only!r}, not 'repeatable read' and read only",
                subject=self._name,
                next_step="connect to PostgreSQL itself, without a pooler that changes transactions",
            )
        return f"{backend}/{snapshot}"

    def _run(self, statement: str) -> list[tuple[str, ...]]:
        try:
            return self._connection.execute(statement).fetchall()
        except duckdb.Error as error:
            text = str(error)
            if is_full(text):
                raise
        # Raised outside the handler: a chained error would show the original text, scrubbed or not.
        words = _words(text, self._secrets)
        if "ERROR:" in text and not _PASSING.search(text):
            raise LedgerError(
                f"it answered {words!r}", subject=self._name, next_step="correct the views or the role's rights, see the runbook"
            )
        raise SourceUnavailableError(f"it broke off ({words})", subject=self._name, next_step="run the task again when the ledger is back")


@contextmanager
def transaction(uri: str, *, name: str, memory_limit: str, exported: str = "") -> Iterator[PostgresSession]:
    """Open a read-only transaction; it always ends in a rollback, for there is nothing to keep.

    Args:
        uri: libpq connection URI with its credentials.
        name: What errors call the ledger.
        memory_limit: For DuckDB.
        exported: Snapshot of another transaction to see, as `PostgresSession.export` names it; its own by default.

    Raises:
        SourceUnavailableError: The server cannot be reached, or takes no connection at the moment.
        LedgerError: It refuses the user, the password or the database, or does not know the snapshot.
    """
    patient = uri if "connect_timeout" in uri else f"{uri}{'&' if '?' in uri else '?'}connect_timeout={_CONNECT_SECONDS}"
    password = urlsplit(uri).password or ""
    secrets = [text for text in (patient, uri, password, unquote(password)) if text]
    _install()
    # One thread: one connection, one snapshot. The extension would otherwise scan with several.
    with duckdb.connect(config={"memory_limit": memory_limit, "threads": 1}) as connection:
        connection.execute("load postgres_scanner")
        problem = _failure_of(connection, f"attach {quoted(patient)} as ledger (type postgres, read_only)")
        if problem is not None:
            # Raised outside the handler: the original error quotes the URI.
            refused = "FATAL:" in problem and not _PASSING.search(problem)
            raise (LedgerError if refused else SourceUnavailableError)(
                f"it refused the connection ({_words(problem, secrets)})",
                subject=name,
                next_step="correct the Connection's database, user or password, or the server's rules for them"
                if refused
                else "check that it runs and that the Connection's host and port are right",
            )
        connection.execute("begin")
        try:
            session = PostgresSession(connection, name, secrets)
            if exported:
                session.see(exported)
            yield session
        finally:
            # A transaction left open over a dead connection ends the whole process when DuckDB cleans up; a rollback that
            # fails for the same reason has nothing left to undo.
            _failure_of(connection, "rollback")


@cache
def _install() -> None:
    # Through DuckDB's default connection, which threads must not share: readers find it done.
    import_extension("postgres_scanner")


def quoted(text: str) -> str:
    """Write a text as an SQL literal, for DuckDB and PostgreSQL (standard_conforming_strings) alike."""
    return "'" + text.replace("'", "''") + "'"


def named(name: str) -> str:
    """Write a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _failure_of(connection: duckdb.DuckDBPyConnection, statement: str) -> str | None:
    try:
        connection.execute(statement)
    except duckdb.Error as error:
        return str(error)
    return None


def _words(text: str, secrets: list[str]) -> str:
    """What the server said in one line, without the statement, the URI and the password."""
    for secret in secrets:
        text = text.replace(secret, "…")
    for mark in ("ERROR: ", "FATAL: ", '"…": '):
        if mark in text:
            return text.partition(mark)[2].strip().partition("\n")[0]
    said = re.search(r"server closed the connection unexpectedly|could not [^\n]*|[^\n]*timed? ?out[^\n]*", text)
    return said.group() if said else "the connection failed"
