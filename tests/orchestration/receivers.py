"""A mail server and a webhook on loopback that keep what they are sent."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


class _Mailbox:
    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(email.message_from_bytes(envelope.content, _class=EmailMessage, policy=email.policy.default))
        return "250 kept"


class _Mail(Controller):
    """A free port: aiosmtpd asks its own port whether it listens, and port 0 would be asked as such."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server() -> Iterator[tuple[int, list[EmailMessage]]]:
    box = _Mailbox()
    controller = _Mail(box, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield controller.port, box.mails
    finally:
        controller.stop()


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[int, list[tuple[str, dict[str, Any]]]]]:
    """A webhook that answers with a status; it keeps the paths and the JSON that were posted."""
    posted: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, posted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
