"""A server on loopback that plays an HTTP JSON API: what it answers is a function, or a table, written in the test.

A REST API is a handler that gets each `Request`; a JSON-RPC server is `json_rpc(answer)` as the handler, which takes
single calls and batches apart. An answer is

- a JSON value (status 200), or `(status, JSON value)`;
- `bytes`, sent as they are, or `(status, bytes)`;
- an `Answer`, for what is wrong on purpose: another announced length, a delay, another status;
- `NotScripted` raised: the server says 404 to a question that the test did not foresee, and remembers it in `unforeseen`.

    def node(request: Request) -> object:
        if request.path == "/v1/info":
            return {"chain": "main"}
        return 404, {"error": "not found"}

    with ScriptedServer(node) as server:
        ...server.url, server.requests...

    ScriptedServer({("GET", "/v1/info"): {"chain": "main"}})           # the same as a table
    ScriptedServer(json_rpc({"getSlot": lambda params: 42}))           # JSON-RPC 2.0 by method
    ScriptedServer(altered(node, lambda request, told: ...))           # a liar made of an honest server

Fractions are given as `Decimal`, so that an amount is sent with the digits it was written with.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import msgspec

_ENCODER = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Request:
    """What came in.

    Attributes:
        method: `GET` or `POST`.
        path: Unquoted nowhere, without the query.
        query: Parameters of the address; of a repeated one the last.
        body: Parsed JSON of a POST, None without one.
    """

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True)
class Answer:
    """What goes out.

    Attributes:
        status: HTTP status.
        content: Body.
        promised: Content-Length that is announced, if it isn't the body's.
        delay: Seconds before anything is sent.
    """

    status: int = 200
    content: bytes = b""
    promised: int | None = None
    delay: float = 0.0


class NotScripted(Exception):  # noqa: N818  (it is no error of the test's subject)
    """The handler has no answer to this."""


class RpcError(Exception):
    """Raised by a JSON-RPC function to answer with an error object."""

    def __init__(self, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, **more}


Handler = Callable[[Request], Any]
Table = Mapping[tuple[str, str], Any]
"""By method and path: the answer, or a function of the request."""


class ScriptedServer:
    """A context manager that listens while it is open.

    Args:
        handler: Gives the answer to each request; a function or a table.

    Attributes:
        requests: What came in, in order of arrival.
        unforeseen: What the handler had no answer to; a test that expects none asserts that it is empty.
    """

    def __init__(self, handler: Handler | Table) -> None:
        self.requests: list[Request] = []
        self.unforeseen: list[Request] = []
        server, answer = self, handler if callable(handler) else _from_table(handler)

        class Connection(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # headers and body are sent apart, and the second would wait 40 ms for the first

            def do_GET(self) -> None:
                self._serve(None)

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length", 0)))
                self._serve(json.loads(content) if content else None)

            def _serve(self, body: Any) -> None:
                parts = urlsplit(self.path)
                request = Request(self.command, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), body)
                server.requests.append(request)
                try:
                    told = as_answer(answer(request))
                except NotScripted:
                    server.unforeseen.append(request)
                    told = as_answer((404, {"error": "not scripted"}))
                time.sleep(told.delay)
                self.send_response(told.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(told.content) if told.promised is None else told.promised))
                self.end_headers()
                try:
                    self.wfile.write(told.content)
                except OSError:
                    return  # the client gave up, as it should
                self.close_connection = told.promised is not None

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
                """Nothing is logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def as_answer(told: Any) -> Answer:
    """Turn what a handler gave into bytes and a status."""
    if isinstance(told, Answer):
        return told
    status, value = told if isinstance(told, tuple) else (200, told)
    return Answer(status=status, content=value if isinstance(value, bytes) else _ENCODER.encode(value))


def altered(handler: Handler | Table, change: Callable[[Request, Answer], Any]) -> Handler:
    """Make a handler of an honest one: `change` gets each request with the honest answer, and gives the answer to send."""
    honest = handler if callable(handler) else _from_table(handler)
    return lambda request: change(request, as_answer(honest(request)))


def json_rpc(answer: Callable[[str, Any], Any] | Mapping[str, Any]) -> Handler:
    """Make a handler that speaks JSON-RPC 2.0 at any path, single calls and batches.

    Args:
        answer: Gets method and parameters and gives the result, or raises `RpcError`; or by method, a result or a function of the
            parameters. An unknown method is answered with -32601.
    """

    def one(call: Any) -> dict[str, Any]:
        told: dict[str, Any] = {"jsonrpc": "2.0", "id": call.get("id")}
        try:
            return told | {"result": _result(answer, call["method"], call.get("params"))}
        except RpcError as error:
            return told | {"error": error.error}

    def handle(request: Request) -> Any:
        return [one(call) for call in request.body] if isinstance(request.body, list) else one(request.body)

    return handle


def cut_off(answer: Answer, *, by: int = 20) -> Answer:
    """Return an answer that announces its full length and breaks off before the end."""
    return Answer(status=answer.status, content=answer.content[:-by], promised=len(answer.content))


def _result(answer: Callable[[str, Any], Any] | Mapping[str, Any], method: str, params: Any) -> Any:
    if callable(answer):
        return answer(method, params)
    if method not in answer:
        raise RpcError(-32601, "Method not found")
    found = answer[method]
    return found(params) if callable(found) else found


def _from_table(table: Table) -> Handler:
    def handle(request: Request) -> Any:
        if (request.method, request.path) not in table:
            raise NotScripted
        found = table[request.method, request.path]
        return found(request) if callable(found) else found

    return handle
