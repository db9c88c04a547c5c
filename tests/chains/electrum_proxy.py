"""An Electrum server between a reader and a real one: it passes everything on, except for the lie that a test asks for."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

Reply = dict[str, Any]
Twist = Callable[[list[Reply], list[Reply]], bytes | None]
"""Gets the requests and the true replies of a batch; returns what goes out instead, `None` for silence."""


def line(replies: object) -> bytes:
    """Return a message as it goes over the wire."""
    return json.dumps(replies).encode() + b"\n"


def change(method: str, lie: Callable[[list[Any], Any], Any]) -> Twist:
    """Replace the results of one method by what `lie` makes of parameters and true result."""

    def twist(requests: list[Reply], replies: list[Reply]) -> bytes:
        by_number = {request["id"]: request for request in requests}
        for reply in replies:
            request = by_number[reply["id"]]
            if request["method"] == method:
                reply["result"] = lie(request["params"], reply["result"])
        return line(replies)

    return twist


def after(batches: int, twist: Twist) -> Twist:
    """Tell the truth for some batches first."""
    seen = 0

    def late(requests: list[Reply], replies: list[Reply]) -> bytes | None:
        nonlocal seen
        seen += 1
        return line(replies) if seen <= batches else twist(requests, replies)

    return late


@asynccontextmanager
async def proxy(url: str, twist: Twist, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Give the address of a server that lies. A reply that does not end a line is followed by the end of the connection."""
    address = urlsplit(url)

    async def serve(client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        server_in, server_out = await asyncio.open_connection(address.hostname, address.port, limit=1 << 26)
        try:
            while request := await client_in.readline():
                server_out.write(request)
                reply = await server_in.readline()
                lie = twist(json.loads(request), json.loads(reply)) if reply else b""
                if lie is None:
                    continue
                client_out.write(lie)
                await client_out.drain()
                if not lie.endswith(b"\n"):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            server_out.close()
            client_out.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 26, ssl=tls)
    try:
        yield f"{'ssl' if tls else 'tcp'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
