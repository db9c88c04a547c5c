"""Clients of a verifier's own nodes, on the standard library alone: JSON-RPC over HTTP, and the Electrum protocol.

An address may hold a password: it is never part of an error.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import count
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from assay_verify.findings import UnusableInputError

Call = tuple[str, Sequence[object]]
"""A method and its parameters."""

_SECONDS = 60
_LARGEST = 256 << 20
_BATCH = 50
_SHOWN = 160
_FINGERPRINT = 64


class NodeError(Exception):
    """A node gave no usable answer; its text says why, without the node's address."""


class Client(Protocol):
    """What both kinds of client offer."""

    def call(self, method: str, *params: object) -> Any:
        """Make one call. Raises NodeError."""

    def call_many(self, calls: Sequence[Call]) -> list[Any]:
        """Make calls and return their results in order. Raises NodeError."""

    def close(self) -> None:
        """End the connection."""


def connect(url: str) -> Client:
    """Open a client: `http(s)://[user:password@]host[:port]/…` for JSON-RPC, `tcp://host:port` or `ssl://host:port[/SHA-256]` for Electrum.

    Raises:
        UnusableInputError: Another form of address.
        NodeError: It cannot be reached.
    """
    try:
        parts = urlsplit(url)
        usable = parts.hostname and (parts.port or parts.scheme in ("http", "https"))
    except ValueError:
        usable = None
    if not usable or parts.scheme not in ("http", "https", "tcp", "ssl"):
        raise UnusableInputError(
            "The address of a node is of no known form",
            "Write --rpc CHAIN=http://host:port (Ethereum and its like, Bitcoin Core) or CHAIN=tcp://host:port (Electrum)",
        )
    return HttpNode(parts) if parts.scheme in ("http", "https") else ElectrumNode(parts)


class HttpNode:
    """JSON-RPC 2.0 over HTTP. See `Client`."""

    def __init__(self, parts: SplitResult) -> None:
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(str(parts.hostname), parts.port, timeout=_SECONDS)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", "User-Agent": "assay-verify"}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        self._numbers = count(1)

    def call(self, method: str, *params: object) -> Any:  # noqa: D102  (described by the protocol)
        return self.call_many([(method, params)])[0]

    def call_many(self, calls: Sequence[Call]) -> list[Any]:  # noqa: D102  (described by the protocol)
        return [result for start in range(0, len(calls), _BATCH) for result in self._batch(calls[start : start + _BATCH])]

    def close(self) -> None:  # noqa: D102  (described by the protocol)
        self._connection.close()

    def _batch(self, calls: Sequence[Call]) -> list[Any]:
        asked = [_request(next(self._numbers), call) for call in calls]
        # A single call is not wrapped: some servers know no batches.
        answer = self._post(asked if len(asked) > 1 else asked[0])
        return _results(answer if isinstance(answer, list) else [answer], asked)

    def _post(self, body: object) -> Any:
        content = json.dumps(body).encode()
        for attempt in (1, 2):  # a server may have closed a connection that was kept open
            try:
                self._connection.request("POST", self._path, content, self._headers)
                response = self._connection.getresponse()
                text = response.read(_LARGEST + 1)
                break
            except (OSError, HTTPException) as error:
                self._connection.close()
                if attempt == 2 or isinstance(error, TimeoutError):  # noqa: PLR2004
                    raise NodeError(f"it cannot be reached or closed the connection ({type(error).__name__})") from None
        # Bitcoin Core says with 500 or 404 that a call failed, and why in the body.
        if response.status not in (HTTPStatus.OK, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_FOUND):
            raise NodeError(f"it answered with HTTP status {response.status}")
        return _parsed(text)


class ElectrumNode:
    """The Electrum protocol over TCP or TLS: https://electrum-protocol.readthedocs.io. See `Client`."""

    def __init__(self, parts: SplitResult) -> None:
        pinned = parts.path.strip("/").lower()
        try:
            self._socket = socket.create_connection((str(parts.hostname), parts.port), timeout=_SECONDS)
            if parts.scheme == "ssl":
                self._socket = _secured(self._socket, str(parts.hostname), pinned)
            self._file = self._socket.makefile("rb")
        except OSError as error:
            raise NodeError(f"it cannot be reached ({type(error).__name__})") from None
        self._numbers = count(1)
        self.call("server.version", "assay-verify", ["1.4", "1.6"])

    def call(self, method: str, *params: object) -> Any:  # noqa: D102  (described by the protocol)
        return self.call_many([(method, params)])[0]

    def call_many(self, calls: Sequence[Call]) -> list[Any]:  # noqa: D102  (described by the protocol)
        return [result for start in range(0, len(calls), _BATCH) for result in self._batch(calls[start : start + _BATCH])]

    def close(self) -> None:  # noqa: D102  (described by the protocol)
        self._file.close()
        self._socket.close()

    def _batch(self, calls: Sequence[Call]) -> list[Any]:
        asked = [_request(next(self._numbers), call) for call in calls]
        answers: list[Any] = []
        try:
            self._socket.sendall(b"".join(json.dumps(item).encode() + b"\n" for item in asked))
            while len(answers) < len(asked):
                line = self._file.readline(_LARGEST)
                if not line.endswith(b"\n"):
                    raise NodeError("it closed the connection in the middle of an answer, or the answer is too long")
                answer = _parsed(line)
                if not (isinstance(answer, dict) and "method" in answer):  # a notification
                    answers.append(answer)
        except OSError as error:
            raise NodeError(f"the connection broke ({type(error).__name__})") from None
        return _results(answers, asked)


class Opened:
    """A client that is closed at the end of a `with` block."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> Client:
        self._client = connect(self._url)
        return self._client

    def __exit__(self, *error: object) -> None:
        self._client.close()


def _request(number: int, call: Call) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": call[0], "params": list(call[1])}


def _results(answers: Sequence[Any], asked: Sequence[dict[str, Any]]) -> list[Any]:
    """Return results in the order of the questions; an error is one of the whole."""
    found: dict[object, dict[str, Any]] = {}
    for answer in answers:
        if not isinstance(answer, dict):
            raise NodeError("its answer has not the form of one")
        if answer.get("error") is not None:
            message = answer["error"].get("message") if isinstance(answer["error"], dict) else answer["error"]
            raise NodeError(f"it refuses: {str(message)[:_SHOWN]}")
        if type(answer.get("id")) is int:
            found[answer["id"]] = answer
    if len(answers) != len(asked) or any("result" not in found.get(item["id"], {}) for item in asked):
        raise NodeError("it did not answer every question, or others than were asked")
    return [found[item["id"]]["result"] for item in asked]


def _parsed(text: bytes) -> Any:
    if len(text) > _LARGEST:
        raise NodeError("its answer is too long")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise NodeError("its answer is not JSON") from None


def _secured(raw: socket.socket, host: str, pinned: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    if len(pinned) == _FINGERPRINT:
        # Most public servers sign their own certificate; it is compared as a whole instead.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    secured = context.wrap_socket(raw, server_hostname=host)
    if pinned and hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest() != pinned:
        secured.close()
        raise NodeError("its certificate is another one than was named")
    return secured
