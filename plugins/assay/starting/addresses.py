"""Addresses as people type them, and Airflow Connections as `connections.url_of` reads them: the one made of the other, nothing lost."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from assay.errors import ConfigError

_BINARY = {"electrum": ("ssl", "tcp"), "utxo_file": ("file",)}
"""Kinds of sources whose addresses are not HTTP's."""
_HTTP = ("http", "https")
_LEDGERS = {"postgres": ("postgresql", "postgres"), "mysql": ("mysql", "mysqls")}
_ENCODED = {"'": "\\u0027", "\\\\": "\\u005c"}


def source_connection(address: str, kind: str, subject: str) -> str:
    """Return the Connection of a node, as the JSON that `AIRFLOW_CONN_…` takes.

    Args:
        address: `scheme://login:password@host:port/path`; behind a `#`, headers as `name=value&name=value`.
        kind: Of the source: it says which schemes there are.
        subject: What the address is for, in errors.

    Raises:
        ConfigError: It is no such address. The message does not repeat it, because it may hold a key.
    """
    schemes = _BINARY.get(kind, _HTTP)
    if schemes == _BINARY["utxo_file"]:
        return _file_connection(address, subject)
    parts = _split(address, schemes, subject)
    if kind == "electrum" and "port" not in parts:
        raise ConfigError("its address names no port", subject=subject, next_step="write it like ssl://host:50002")
    return _text({"conn_type": "generic", "schema": parts.pop("scheme"), **parts})


def ledger_connection(address: str, kind: str, subject: str) -> str:
    """Return the Connection of a ledger's database.

    Args:
        address: `postgresql://login:password@host:port/database`, or `mysql://login:password@host:port` (`mysqls` for TLS).
        kind: `postgres` or `mysql`.
        subject: What the address is for, in errors.

    Raises:
        ConfigError: It is no such address, or says more than a Connection of a ledger takes.
    """
    parts = _split(address, _LEDGERS[kind], subject)
    scheme, extra = parts.pop("scheme"), parts.pop("extra", {})
    path = extra.get("path", "")
    if "headers" in extra or "?" in path or "/" in path:
        raise ConfigError(
            "its address has more behind the host than the name of a database",
            subject=subject,
            next_step="leave it out; TLS of PostgreSQL is set by PGSSLMODE in .env, of MySQL by the scheme mysqls",
        )
    if kind == "postgres":
        if not path:
            raise ConfigError(
                "its address names no database", subject=subject, next_step="write it like postgresql://login:password@host:5432/database"
            )
        return _text({"conn_type": "postgres", **parts, "schema": unquote(path)})
    return _text({"conn_type": "generic", "schema": scheme, **parts})


def storage_connection(address: str, subject: str) -> str:
    """Return the Connection of S3-compatible storage: `https://ACCESS_KEY:SECRET_KEY@host`.

    Raises:
        ConfigError: It is no such address.
    """
    parts = _split(address, _HTTP, subject)
    return _text({"conn_type": "generic", "schema": parts.pop("scheme"), **parts})


def secret_connection(secret: str) -> str:
    """Return a Connection that holds nothing but a secret."""
    return _text({"conn_type": "generic", "password": secret})


def _split(address: str, schemes: tuple[str, ...], subject: str) -> dict[str, Any]:
    step = f"write it like {schemes[0]}://host:port"
    if not re.fullmatch(r"[!-~]+", address):
        raise ConfigError("its address is empty, or has a space or a character that no address has", subject=subject, next_step=step)
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ConfigError("its address is malformed: the port or the host cannot be read", subject=subject, next_step=step) from None
    if parts.scheme not in schemes:
        named = f"begins with {parts.scheme}://" if "://" in address else "has no scheme"
        raise ConfigError(f"its address {named}, and must begin with {':// or '.join(schemes)}://", subject=subject, next_step=step)
    if not parts.hostname:
        raise ConfigError("its address names no host", subject=subject, next_step=step)
    found: dict[str, Any] = {"scheme": parts.scheme, "host": f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname}
    found |= {"port": port} if port else {}
    found |= {"login": unquote(parts.username), "password": unquote(parts.password or "")} if parts.username else {}
    path = parts.path.removeprefix("/") + (f"?{parts.query}" if parts.query else "")
    extra = ({"path": path} if path else {}) | ({"headers": dict(parse_qsl(parts.fragment))} if parts.fragment else {})
    return found | ({"extra": extra} if extra else {})


def _file_connection(address: str, subject: str) -> str:
    parts = urlsplit(address)
    if parts.scheme != "file" or parts.netloc or not parts.path:
        raise ConfigError("its address is not that of a folder", subject=subject, next_step="write it like file:///folder")
    return _text({"conn_type": "generic", "schema": "file", "host": "localhost", "extra": {"path": parts.path}})


def _text(values: dict[str, Any]) -> str:
    """JSON in which no quotation mark and no pair of backslashes stands, so that every reader of `.env` takes it alike."""
    kept = {name: value for name, value in values.items() if value not in ("", {}, None)}
    text = json.dumps(kept)
    for plain, encoded in _ENCODED.items():
        text = text.replace(plain, encoded)
    return text
