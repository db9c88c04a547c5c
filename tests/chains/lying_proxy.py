"""A JSON-RPC server on loopback that passes calls on to a real node and tampers with the answers."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Call = dict[str, Any]


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


Lie = Callable[[Any, bytes], "Answer | bytes"]


class LyingProxy:
    """A context manager that listens while it is open.

    Args:
        target: Address of the real node.
        lie: Gets the request (parsed) and the node's answer (bytes); gives the answer to send.
    """

    def __init__(self, target: str, lie: Lie) -> None:
        self.requests: list[Any] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                request = json.loads(body)
                requests.append(request)
                with urllib.request.urlopen(urllib.request.Request(target, body, {"content-type": "application/json"})) as response:
                    told = lie(request, response.read())
                answer = told if isinstance(told, Answer) else Answer(content=told)
                time.sleep(answer.delay)
                self.send_response(answer.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer.content) if answer.promised is None else answer.promised))
                self.end_headers()
                try:
                    self.wfile.write(answer.content)
                except OSError:
                    return  # the client gave up, as it should
                self.close_connection = answer.promised is not None

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
                """Nothing is logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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


def tamper_results(change: Callable[[Call, Call], Call]) -> Lie:
    """Make a lie of a function that changes one answer, given the call; batches are taken apart."""

    def lie(request: Any, content: bytes) -> bytes:
        answer = json.loads(content)
        if isinstance(request, list):
            calls = {call["id"]: call for call in request}
            return json.dumps([change(calls[item["id"]], item) for item in answer]).encode()
        return json.dumps(change(request, answer)).encode()

    return lie
