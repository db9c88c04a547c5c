"""A JSON-RPC server on loopback that passes calls on to a real node and tampers with the answers."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any, Self

from tests.chains.scripted_server import Answer, Request, ScriptedServer

__all__ = ["Answer", "Call", "Lie", "LyingProxy", "tamper_results"]

Call = dict[str, Any]
Lie = Callable[[Any, bytes], Answer | bytes]


class LyingProxy:
    """A context manager that listens while it is open.

    Args:
        target: Address of the real node.
        lie: Gets the request (parsed) and the node's answer (bytes); gives the answer to send.

    Attributes:
        requests: What came in, parsed.
    """

    def __init__(self, target: str, lie: Lie) -> None:
        self.requests: list[Any] = []

        def pass_on(request: Request) -> Answer | bytes:
            self.requests.append(request.body)
            body = json.dumps(request.body).encode()
            with urllib.request.urlopen(urllib.request.Request(target, body, {"content-type": "application/json"})) as response:
                return lie(request.body, response.read())

        self._server = ScriptedServer(pass_on)

    @property
    def url(self) -> str:
        return self._server.url

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(*error)


def tamper_results(change: Callable[[Call, Call], Call]) -> Lie:
    """Make a lie of a function that changes one answer, given the call; batches are taken apart."""

    def lie(request: Any, content: bytes) -> bytes:
        answer = json.loads(content)
        if isinstance(request, list):
            calls = {call["id"]: call for call in request}
            return json.dumps([change(calls[item["id"]], item) for item in answer]).encode()
        return json.dumps(change(request, answer)).encode()

    return lie
