"""Airflow Connections as addresses and secrets. The only place where an address with its credentials is put together."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from assay.config import Settings, Source
from assay.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from airflow.sdk import Connection

_SECRET_CHARACTERS = 32


class MissingConnectionError(ConfigError):
    """Neither the environment nor a secrets backend has the Connection; outside of a task, Airflow's database is not asked."""


def url_of(connection_id: str) -> str:
    """Return the address of a Connection: `scheme://login:password@host:port/path`.

    The scheme is `schema`, or the Connection's type where that is empty, and the path is `extra.path`; a Connection of type `postgres` has the
    scheme `postgresql`, and its `schema` is the database. `extra.headers`, an object of texts, is for providers that take their key in a
    header; it follows behind a `#`. The result is a secret: it goes to a client and nowhere else.

    Raises:
        ConfigError: There is no such Connection, it cannot be read, or it names no host.
    """
    found = connection(connection_id)
    if not found.host:
        raise ConfigError("the Connection names no host", subject=connection_id, next_step="set its host")
    postgres = found.conn_type == "postgres"
    scheme = "postgresql" if postgres else (found.schema or found.conn_type)
    path = (found.schema or "") if postgres else str(found.extra_dejson.get("path", ""))
    login = f"{quote(found.login, safe='')}:{quote(found.password or '', safe='')}@" if found.login else ""
    port = f":{found.port}" if found.port else ""
    headers = urlencode(_headers(found, connection_id))
    address = f"{scheme}://{login}{found.host}{port}" + (f"/{path.removeprefix('/')}" if path else "")
    return f"{address}#{headers}" if headers else address


def address_of(source: Source, _archive: Path) -> str:
    """Return the address of a chain's source, wherever its answers are archived. See `url_of`."""
    return url_of(source.connection)


def secret_of(connection_id: str) -> bytes:
    """Return the password of a Connection that holds nothing but a secret.

    Raises:
        ConfigError: There is no such Connection, or its password is shorter than 32 characters.
    """
    password = connection(connection_id).password or ""
    if len(password) < _SECRET_CHARACTERS:
        raise ConfigError(
            f"its password has {len(password)} characters and at least {_SECRET_CHARACTERS} are needed",
            subject=f"Airflow Connection {connection_id}",
            next_step="set it to a random text, such as the output of `openssl rand -hex 32`",
        )
    return password.encode()


def check_notices(settings: Settings) -> None:
    """Make sure that the Connections which people are told through are there; a notice that cannot be sent is missed when it matters.

    Raises:
        ConfigError: One is not there, or cannot be read.
    """
    for connection_id in (settings.notices.smtp_connection, settings.notices.webhook_connection):
        if connection_id:
            connection(connection_id)


def check_ledger(settings: Settings) -> None:
    """Make sure, before the ledger is asked, that its Connection and the secret of the user keys are there.

    Raises:
        ConfigError: One is not there, or cannot be read, or the secret is too short.
    """
    ledger = settings.ledger
    if ledger.kind != "files" or ledger.folder.startswith("s3://"):
        url_of(ledger.connection)
    secret_of(ledger.pseudonym_connection)


def connection(connection_id: str) -> Connection:
    """Return a Connection of Airflow, read in full.

    Raises:
        ConfigError: There is none of that id, or it cannot be read; its content is not shown.
    """
    from airflow.sdk import Connection as Connections
    from airflow.sdk.exceptions import AirflowNotFoundException

    variable = f"AIRFLOW_CONN_{connection_id.upper()}"
    try:
        found = cast("Connection", Connections.get(connection_id))
    except AirflowNotFoundException as error:
        if os.environ.get(variable):
            # Airflow takes what it cannot read for what is not there, and the variable holds a secret: it is not shown.
            raise ConfigError(
                f"it is set and cannot be read: {_why_unreadable(os.environ[variable])}",
                subject=f"environment variable {variable}",
                next_step="correct it; the README shows the form under Connections",
            ) from None
        raise MissingConnectionError(
            "there is no such Airflow Connection",
            subject=connection_id,
            next_step=f"create it in the UI, in a secrets backend, or as {variable}",
        ) from error
    if found.extra and not isinstance(_parsed(found.extra), dict):
        # Airflow would take it for an empty one, and a path or key in it would be lost.
        raise ConfigError(
            "its extra is not a JSON object", subject=f"Airflow Connection {connection_id}", next_step='write it like {"path": "/key"}'
        )
    if not found.conn_type:
        raise ConfigError(
            "it has no type, so it is neither a JSON object nor an address",
            subject=f"Airflow Connection {connection_id}",
            next_step='write it like {"conn_type": "generic", "schema": "https", "host": "node.example"}',
        )
    return found


def _headers(found: Connection, connection_id: str) -> dict[str, str]:
    headers = found.extra_dejson.get("headers") or {}
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ConfigError(
            "headers in its extra is not an object of texts",
            subject=f"Airflow Connection {connection_id}",
            next_step='write it like {"headers": {"X-Api-Key": "…"}}',
        )
    return headers


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _why_unreadable(text: str) -> str:
    """Say why a Connection's text cannot be read, without any of its content."""
    if not text.lstrip().startswith("{"):
        return "it is neither a JSON object nor an address such as postgresql://user:password@host:5432/name"
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        return f"it is not JSON ({error.msg}, character {error.pos + 1})"
    known = ("conn_type", "host", "port", "login", "password", "schema", "extra", "description")
    if unknown := [name for name in values if name not in known]:
        return f"the key {unknown[0]!r} is unknown{did_you_mean(unknown[0], known)}"
    return "a value has the wrong type; port is a number, everything else a text (extra may be an object)"
