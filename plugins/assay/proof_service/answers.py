"""What every answer has in common: one shape for refusals, headers that keep it out of caches and frames, and nothing of the inside.

A body is read here as well, because what is wrong with one is answered before anything else looks at it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["MAX_BODY", "Enclosure", "Refusal", "read_body", "refuse", "unavailable", "without_paths"]

MAX_BODY = 4096
"""Bytes of a request's body. A user id and a moment need a few hundred."""
_BODY_SECONDS = 5
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

log = logging.getLogger("assay.proof_service")


class Refusal(Exception):  # noqa: N818 (most are no error of anybody's)
    """What is answered in the place of what was asked for.

    Args:
        status: HTTP status.
        error: What is wrong, in one sentence.
        next_step: What the caller can do about it.
        retry_after: Seconds after which the same request may succeed.
        headers: Further headers.
    """

    def __init__(
        self, status: int, error: str, next_step: str, *, retry_after: float | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error
        self.next_step = next_step
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))


def refuse(refusal: Refusal) -> JSONResponse:
    """Return the answer that says so."""
    return JSONResponse({"error": refusal.error, "next_step": refusal.next_step}, refusal.status, refusal.headers)


def unavailable() -> Refusal:
    """Return what is said where something is wrong that only the operator can mend."""
    return Refusal(503, "proofs cannot be given at present", "try again later; the operator finds the reason in the log", retry_after=60)


async def read_body(request: Request) -> bytes:
    """Return the whole body of a request.

    Raises:
        Refusal: It is not JSON by its own account, too long, or too slow. No more of it is read than is allowed.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "the body is not JSON", "send it with the header Content-Type: application/json")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY:
                    raise Refusal(
                        413,
                        f"the body is longer than {MAX_BODY} bytes",
                        "send the user id and the report alone",
                        headers={"Connection": "close"},
                    )
    except TimeoutError:
        raise Refusal(
            408, f"the body did not arrive within {_BODY_SECONDS} seconds", "send it in one piece", headers={"Connection": "close"}
        ) from None
    return bytes(body)


class Enclosure:
    """The outermost layer of the application: adds the headers, and answers where something inside failed unexpectedly.

    Args:
        app: The application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            log.info("a caller left before its request was complete")
        except Exception as error:  # noqa: BLE001 (whatever it is: its text may name a user or a path, so only its kind is told)
            log.error("a request failed unexpectedly: %s", _kind(error))  # noqa: TRY400 (a traceback shows the values that failed)
            if not started:
                failed = Refusal(500, "the service failed", "try again later; its operator finds the kind of failure in the log")
                await refuse(failed)(scope, receive, send_with_headers)


def without_paths(text: str) -> str:
    """Return a text with a dash in the place of every absolute path."""
    return re.sub(r"(?<![\w.])/[^\s'\",;]+", "–", text)


def _kind(error: BaseException) -> str:
    """Name an error and the line that raised it, without its text."""
    last = error.__traceback__
    while last and last.tb_next:
        last = last.tb_next
    place = f" at {last.tb_frame.f_globals.get('__name__')}:{last.tb_lineno}" if last else ""
    return type(error).__name__ + place
