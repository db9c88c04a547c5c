"""One read-only transaction with a consistent snapshot of a MySQL or MariaDB, through PyMySQL.

No error carries the address or the password. Why not DuckDB's extension: ADR 0023.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pymysql
from pymysql.constants import CR, ER
from pymysql.cursors import SSCursor

from assay.errors import LedgerError, SourceUnavailableError
from assay.liabilities.interface import ROWS_A_FILE

TLS = "mysqls"
"""Scheme of an address whose server must show a certificate."""

_PORT = 3306
_CONNECT_SECONDS = 30
_BATCH = 50_000
_SAVEPOINT = "assay"
_BEGIN = (
    "set session transaction isolation level repeatable read",
    "set session time_zone = '+00:00'",
    "start transaction with consistent snapshot, read only",
    f"savepoint {_SAVEPOINT}",
)
# What a server says when it would answer another time; any other of its errors is its answer. 1969 is MariaDB's max_statement_time.
_PASSING = frozenset(
    {
        CR.CR_SERVER_GONE_ERROR,
        CR.CR_SERVER_LOST,
        ER.CON_COUNT_ERROR,
        ER.OUT_OF_RESOURCES,
        ER.SERVER_SHUTDOWN,
        ER.QUERY_INTERRUPTED,
        ER.QUERY_TIMEOUT,
        ER.LOCK_WAIT_TIMEOUT,
        1927,  # MariaDB: connection was killed
        1969,
    }
)
# What a server says of an account that it does not let in, now or later.
_REFUSED = frozenset({ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.BAD_DB_ERROR, ER.HOST_NOT_PRIVILEGED, 1698})


class MysqlSession:
    """An open transaction of the ledger; made by `transaction`.

    Args:
        connection: In a transaction with a savepoint.
        name: The ledger's name in errors.
    """

    def __init__(self, connection: pymysql.Connection[Any], name: str) -> None:
        self._connection = connection
        self._name = name

    def query(self, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[str | None, ...]]:
        """Run a statement and return its few rows, every value as text.

        Raises:
            LedgerError: The server refused the statement.
            SourceUnavailableError: The server broke off.
        """
        with _server_errors(self._name), self._connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall())

    def copy(self, statement: str, columns: tuple[str, ...], folder: Path) -> None:
        """Stream a statement's rows, all columns text, into Parquet files of a new folder.

        Raises:
            LedgerError: The server refused the statement.
            SourceUnavailableError: The server broke off.
        """
        folder.mkdir()
        schema = pa.schema([(name, pa.string()) for name in columns])
        batches = self._batches(statement)
        batch: list[tuple[str | None, ...]] | None = next(batches, [])
        number = 0
        while batch is not None:
            with pq.ParquetWriter(folder / f"data_{number:05d}.parquet", schema, compression="zstd") as writer:
                rows = 0
                while batch is not None and rows < ROWS_A_FILE:
                    arrays = [pa.array([row[column] for row in batch], pa.string()) for column in range(len(columns))]
                    writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                    rows += len(batch)
                    batch = next(batches, None)
            number += 1

    def _batches(self, statement: str) -> Iterator[list[tuple[str | None, ...]]]:
        with _server_errors(self._name):
            cursor = self._connection.cursor(SSCursor)
            cursor.execute(statement)
        while True:
            with _server_errors(self._name):
                batch = list(cursor.fetchmany(_BATCH))
            if not batch:
                return
            yield batch

    def identify(self) -> str:
        """Name the connection; two equal names are one.

        Raises:
            LedgerError: The isolation is not repeatable read.
        """
        variable = "tx_isolation" if "MariaDB" in str(self.query("select version()")[0][0]) else "transaction_isolation"
        ((connection, isolation),) = self.query(f"select connection_id(), @@session.{variable}")
        if isolation != "REPEATABLE-READ":
            raise LedgerError(
                f"the transaction is {isolation!r}, not 'REPEATABLE-READ'",
                subject=self._name,
                next_step="connect to the server itself, without a proxy that changes transactions",
            )
        return str(connection)

    def check_unbroken(self) -> None:
        """Make sure that the transaction is still the one that was begun: a savepoint ends with its transaction.

        Raises:
            LedgerError: It is another one, so not all that was read is of one snapshot.
        """
        try:
            self.query(f"release savepoint {_SAVEPOINT}")
        except LedgerError:
            raise LedgerError(
                "the three views were not read in one snapshot",
                subject=self._name,
                next_step="connect to the server itself, without a proxy that splits transactions",
            ) from None


@contextmanager
def transaction(uri: str, *, name: str) -> Iterator[MysqlSession]:
    """Open a read-only transaction with a consistent snapshot; it always ends in a rollback, for there is nothing to keep.

    Args:
        uri: `mysql://login:password@host:port`, or `mysqls` for TLS.
        name: What errors call the ledger.

    Raises:
        SourceUnavailableError: The server cannot be reached, or takes no connection at the moment.
        LedgerError: It refuses the user or the password.
    """
    parts = urlsplit(uri)
    try:
        connection = pymysql.connect(
            host=parts.hostname,
            port=parts.port or _PORT,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or "").encode(),  # a text would have to be Latin-1
            charset="utf8mb4",
            connect_timeout=_CONNECT_SECONDS,
            # Without it PyMySQL asks for TLS too, but takes any certificate, or none.
            ssl=ssl.create_default_context() if parts.scheme == TLS else None,
        )
    except (pymysql.Error, OSError) as error:
        problem, refused = _words(error), bool(error.args) and error.args[0] in _REFUSED
    else:
        problem = ""
    if problem:
        # Raised outside the handler: the original error names the address.
        raise (LedgerError if refused else SourceUnavailableError)(
            f"it refused the connection ({problem})",
            subject=name,
            next_step="correct the Connection's login or password, or the server's accounts"
            if refused
            else "check that it runs and that the Connection's host and port are right",
        )
    # Every value as the text that the server sent.
    connection.decoders = {}
    with connection:
        session = MysqlSession(connection, name)
        for statement in _BEGIN:
            session.query(statement)
        yield session


@contextmanager
def _server_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (pymysql.Error, OSError) as error:
        code, words = error.args[0] if error.args else 0, _words(error)
        answered = isinstance(error, pymysql.Error) and code not in _PASSING and not isinstance(error, pymysql.err.InterfaceError)
    else:
        return
    # Raised outside the handler, so that no cause is shown.
    if answered:
        raise LedgerError(f"it answered {words!r}", subject=name, next_step="correct the views or the role's rights, see the runbook")
    raise SourceUnavailableError(f"it broke off ({words})", subject=name, next_step="run the task again when the ledger is back")


def _words(error: Exception) -> str:
    """What the server said; its address, which the driver adds, left out."""
    if isinstance(error, pymysql.Error) and len(error.args) > 1:
        code, text = error.args[:2]
        return "the connection failed" if code == CR.CR_CONN_HOST_ERROR else str(text)
    return getattr(error, "strerror", None) or "the connection failed"
