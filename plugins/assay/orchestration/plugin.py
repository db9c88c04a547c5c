"""Assay in Airflow: its pages, its deadlines, and the proof service where ASSAY_PROOF_SERVICE names the path that it answers under.

Every process of Airflow loads this module, by the entry point that the installed package has. So it imports a module of Airflow's own
definitions for the deadlines, and nothing else of Assay: the pages are loaded by the first request to one of them, and the proof service
where it is asked for. Set its variable for the API server alone.
"""

from __future__ import annotations

import os
import re
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from assay.orchestration.deadline import AttestedMoment

PATH_VARIABLE = "ASSAY_PROOF_SERVICE"
"""Environment variable with a path such as `/proofs`; nothing is mounted where it is empty."""


async def _pages(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request for a page; without a configuration the answer says what is missing."""
    from assay.orchestration.pages import app

    await app(scope, receive, send)


def _apps() -> list[dict[str, Any]]:
    pages = {"app": _pages, "url_prefix": "/assay", "name": "Assay's pages"}
    path = os.environ.get(PATH_VARIABLE, "")
    if not path:
        return [pages]
    path = path.removesuffix("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path) or path == "/assay" or path.startswith("/assay/"):
        raise ValueError(f"{PATH_VARIABLE} is not a path such as /proofs")
    from assay.proof_service.service import from_settings

    return [pages, {"app": from_settings(), "url_prefix": path, "name": "Assay's inclusion proofs"}]


class AssayPlugin(AirflowPlugin):
    """What Assay adds to Airflow."""

    name = "assay"
    fastapi_apps = _apps()
    deadline_references = [AttestedMoment]  # noqa: RUF012 - Airflow reads it from the class
