"""The application: four routes, and the order in which a request is looked at.

First the token, then how often it asks, then the body, then how often its user is asked for; only then a thread is taken to cut the proof. User ids
stand in bodies alone, so no access log of anybody's holds one, and what this service logs does not either.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from assay.errors import AssayError, ConfigError
from assay.lake import parse_as_of, slug
from assay.proof_service.access import AccessList
from assay.proof_service.answers import Enclosure, Refusal, read_body, refuse, unavailable, without_paths
from assay.proof_service.gate import Gate
from assay.proof_service.reports import PublishedReport, PublishedReports

__all__ = ["Threads", "create_app"]

log = logging.getLogger("assay.proof_service")

_Result = TypeVar("_Result")
_FORM = (
    'send {"user_id": "…"}, or {"user_id": "…", "report": {"as_of": "2023-02-17T16:00:00Z", "revision": 1}}; the revision may be left out'
)


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class WantedReport(_Form):
    """Which report.

    Attributes:
        as_of: The attested moment, like 2023-02-17T16:00:00Z.
        revision: The highest one where it is left out.
    """

    as_of: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
    revision: int | None = Field(default=None, ge=1, le=1_000_000)


class ProofRequest(_Form):
    """Whose proof, and of which report.

    Attributes:
        user_id: As the ledger knows the user, character by character.
        report: The newest one where it is left out.
    """

    user_id: str = Field(min_length=1, max_length=1024)
    report: WantedReport | None = None


class Threads:
    """A few threads for what blocks, and a short queue before them.

    Args:
        count: Threads.
        waiting: Requests that may wait for one; more are sent away at once.
    """

    def __init__(self, count: int = 4, waiting: int = 32) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="proof")
        self._free = count + waiting

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run something in a thread.

        Raises:
            Refusal: The queue is full.
        """
        if not self._free:
            raise Refusal(503, "the service is busy", "try again in a moment", retry_after=1)
        self._free -= 1
        # A thread cannot be stopped, so its place is free when it has ended, not when its caller has gone.
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._release)
        return await asyncio.shield(future)

    def _release(self, future: asyncio.Future[Any]) -> None:
        self._free += 1
        if not future.cancelled():
            future.exception()

    def close(self) -> None:
        """Let nothing new begin."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def create_app(reports: PublishedReports, access: AccessList, *, openapi: bool = False, threads: int = 4, waiting: int = 32) -> FastAPI:
    """Return the application.

    Args:
        reports: What it answers from.
        access: Who may ask.
        openapi: Whether `/openapi.json` describes the calls to everybody.
        threads: Proofs that are cut at once.
        waiting: Requests that may wait for a thread; more are told to come back.
    """
    gate = Gate(access)
    pool = Threads(threads, waiting)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()

    app = FastAPI(
        title="Inclusion proofs",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if openapi else None,
        redirect_slashes=False,
    )
    app.add_middleware(Enclosure)
    for kind in (Refusal, AssayError, HTTPException):
        app.add_exception_handler(kind, _answer)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Whether the service lets anybody in."""
        await gate.access()
        return {"status": "ok"}

    @app.get("/v1/reports", dependencies=[Depends(gate.pass_token)])
    async def list_reports() -> dict[str, list[dict[str, str | int]]]:
        """The reports that proofs can be asked for, newest first."""
        return {"reports": [report.facts() for report in await pool.run(reports.all)]}

    @app.post("/v1/proofs", dependencies=[Depends(gate.pass_token)], openapi_extra={"requestBody": _body_schema()})
    async def cut_proof(request: Request) -> Response:
        """One user's inclusion proof: see docs/formats/sum_tree.md."""
        wanted = _parse(await read_body(request))
        await gate.pass_user(wanted.user_id)
        began = time.monotonic()
        report, proof = await pool.run(lambda: _cut(reports, wanted))
        spent = 1000 * (time.monotonic() - began)
        log.info("token %s: a proof of %s in %.0f ms", request.state.token, report, spent)
        return Response(
            proof, media_type="application/json", headers={"Content-Disposition": f'attachment; filename="{_file_name(report)}"'}
        )

    return app


def _cut(reports: PublishedReports, wanted: ProofRequest) -> tuple[PublishedReport, bytes]:
    report = reports.find(*_moment(wanted.report))
    return report, reports.prove(report, wanted.user_id)


def _moment(wanted: WantedReport | None) -> tuple[datetime | None, int | None]:
    try:
        return (parse_as_of(wanted.as_of), wanted.revision) if wanted else (None, None)
    except ConfigError:
        raise Refusal(422, "as_of is not a date", _FORM) from None


def _parse(body: bytes) -> ProofRequest:
    try:
        return ProofRequest.model_validate_json(body)
    except ValidationError as error:
        # A form's own fields are named and nothing of what was sent.
        known = {*ProofRequest.model_fields, *WantedReport.model_fields}
        places = sorted(
            {".".join(str(part) for part in found["loc"]) for found in error.errors() if known.issuperset(map(str, found["loc"]))} - {""}
        )
        raise Refusal(422, f"the body is not of the expected form{': see ' + ', '.join(places) if places else ''}", _FORM) from None


def _file_name(report: PublishedReport) -> str:
    series = re.sub(r"[^A-Za-z0-9._-]", "_", report.series)
    revision = f".r{report.revision}" if report.revision > 1 else ""
    return f"inclusion-proof-{series}-{slug(report.as_of)}{revision}.json"


def _body_schema() -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": ProofRequest.model_json_schema()}}}


async def _answer(request: Request, error: Exception) -> JSONResponse:
    match error:
        case Refusal():
            if token := getattr(request.state, "token", None):
                log.info("token %s: answered %d, %s", token, error.status, error.error)
            return refuse(error)
        case AssayError():
            # Its subject is a path more often than not.
            log.error("%s: %s. Next step: %s", type(error).__name__, without_paths(error.problem), without_paths(error.next_step))
            return refuse(unavailable())
        case HTTPException():
            return refuse(
                Refusal(
                    error.status_code, "there is no such call", "POST /v1/proofs, GET /v1/reports or GET /healthz", headers=error.headers
                )
            )
        case _:
            raise error
