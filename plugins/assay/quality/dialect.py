"""The SQLAlchemy dialect through which Great Expectations can drive DuckDB.

Great Expectations fetches a query's rows after it has returned the connection. By then the pool has rolled the
connection back, and DuckDB drops a pending result with its transaction, so every expectation crashes with "list index
out of range". The sessions here only read, so there is nothing to begin, commit or roll back.
"""

from __future__ import annotations

from typing import Any

import duckdb_engine
from sqlalchemy.dialects import registry


class Dialect(duckdb_engine.Dialect):
    """DuckDB without transactions, in UTC."""

    supports_statement_cache = True

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Connect, and set the time zone, which is not among the options that a connection takes."""
        connection = super().connect(*args, **kwargs)
        connection.execute("set TimeZone = 'UTC'")
        return connection

    def do_begin(self, dbapi_connection: Any) -> None:
        """Do nothing."""

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Do nothing."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Do nothing."""


def register() -> None:
    """Make `duckdb://` mean this dialect in this process."""
    registry.register("duckdb", __name__, Dialect.__name__)
