"""Pages in Airflow's API server, for people who are logged in there: reports, what changes, Data Docs, the runbook.

    /assay/staged/<as_of>/<run>/report.html   the report as it waits for approval, with diff beside it
    /assay/quality/<as_of>/<run>/…            Data Docs of the expectations; they show rows, so whoever may only look is refused
    /assay/published/<folder>/report.html     the report as it was published
    /assay/runbook                            docs/runbook.md

Airflow's own login decides who sees them. Every name in an address is matched against the form that it must have before a path is made
of it, and every path must lie in the folder that it is to be in. The first request loads this module, not the start of the server.
"""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException

from assay.config import Settings
from assay.errors import AssayError, ConfigError
from assay.orchestration import data_docs as docs
from assay.orchestration import difference
from assay.publication.publish import series_folder

_DAG = "reserve_attestation"
_SLUG = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")
_RUN = re.compile(r"[0-9a-f]{12}")
_FOLDER = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z(\.r[1-9]\d{0,5})?")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
# Data Docs show what stands in rows, and ask other servers for scripts and styles: as a sandboxed document without any of them they can
# neither act as whoever is logged in nor tell anybody.
_DOCS_POLICY = (
    "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline' 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "private, no-store"}

app = FastAPI(title="Assay", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

_READERS = [Depends(requires_access_dag("GET", param_dag_id=_DAG))]
_OPERATORS = [Depends(requires_access_dag("PUT", param_dag_id=_DAG))]


def _settings() -> Settings:
    try:
        return Settings.load()
    except ConfigError as error:
        raise HTTPException(503, f"The configuration cannot be loaded. {error}") from error


_Configured = Annotated[Settings, Depends(_settings)]


@app.get("/staged/{as_of}/{run}/report.html", dependencies=_READERS)
def staged_report(as_of: str, run: str, settings: _Configured) -> Response:
    """Show the report as it was staged."""
    return _file(_staged(settings, as_of, run) / "report.html", _POLICY)


@app.get("/staged/{as_of}/{run}/diff", dependencies=_READERS)
def staged_difference(as_of: str, run: str, settings: _Configured) -> Response:
    """Show what changes against the publication before."""
    staged = _staged(settings, as_of, run)
    if not (staged / "manifest.json").is_file():
        raise _missing()
    return HTMLResponse(difference.page(difference.compare(settings, staged)), headers=_headers(_POLICY))


@app.get("/quality/{as_of}/{run}/{path:path}", dependencies=_OPERATORS)
def data_docs(as_of: str, run: str, path: str, settings: _Configured) -> Response:
    """Show the results of the expectations."""
    root = settings.lake / "quality" / "attestation" / _part(_SLUG, as_of) / _part(_RUN, run) / "docs"
    if path not in {"", "index.html"}:
        found = _found(root / path, root)
        return HTMLResponse(docs.readable(found), headers=_headers(_DOCS_POLICY)) if found.suffix == ".html" else _sent(found, _DOCS_POLICY)
    if not root.is_dir():
        raise _missing()
    return HTMLResponse(docs.index(root), headers=_headers(_DOCS_POLICY))


@app.get("/published/{folder}/report.html", dependencies=_READERS)
def published_report(folder: str, settings: _Configured) -> Response:
    """Show the report of a publication."""
    return _file(series_folder(settings) / _part(_FOLDER, folder) / "report.html", _POLICY)


@app.get("/runbook", dependencies=_READERS)
def runbook() -> Response:
    """Show the runbook that this version came with."""
    from assay.orchestration import runbook as book

    path = book.path()
    if path is None:
        raise HTTPException(404, "This installation came without docs/runbook.md. Name its address as runbook under [notices].")
    return HTMLResponse(book.page(path), headers=_headers(_POLICY))


@app.exception_handler(AnyHTTPException)
async def _refuse(request: Request, error: AnyHTTPException) -> Response:
    """Send a browser without a login to Airflow's login page, and say everything else in a sentence."""
    if error.status_code == 401 and "text/html" in request.headers.get("accept", ""):  # noqa: PLR2004 - HTTP's own number
        return RedirectResponse(get_auth_manager().get_url_login(next_url=str(request.url)), status_code=302)
    return Response(str(error.detail), status_code=error.status_code, media_type="text/plain; charset=utf-8", headers=_headers(_POLICY))


@app.exception_handler(AssayError)
async def _explain(request: Request, error: AssayError) -> Response:  # noqa: ARG001 - FastAPI hands it over
    return Response(str(error), status_code=500, media_type="text/plain; charset=utf-8", headers=_headers(_POLICY))


def _staged(settings: Settings, as_of: str, run: str) -> Path:
    return settings.lake / "marts" / "staged" / _part(_SLUG, as_of) / _part(_RUN, run)


def _part(form: re.Pattern[str], text: str) -> str:
    if not form.fullmatch(text):
        raise _missing()
    return text


def _file(path: Path, policy: str) -> Response:
    return _sent(_found(path, path.parent), policy)


def _found(path: Path, within: Path) -> Path:
    """Return a file that really lies in its folder, without following a link out of it."""
    try:
        found = path.resolve(strict=True)
    except (OSError, ValueError):
        raise _missing() from None
    if not found.is_file() or not found.is_relative_to(within.resolve()):
        raise _missing()
    return found


def _sent(file: Path, policy: str) -> Response:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return FileResponse(file, media_type=kind, headers=_headers(policy))


def _headers(policy: str) -> dict[str, str]:
    return _HEADERS | {"Content-Security-Policy": policy}


def _missing() -> HTTPException:
    return HTTPException(404, "There is no such page. It may have been removed from the lake.")
