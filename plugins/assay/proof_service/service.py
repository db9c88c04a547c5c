"""The application put together from the configuration and Airflow's Connections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assay import origin
from assay.config import Settings
from assay.connections import secret_of
from assay.proof_service.access import AccessList
from assay.proof_service.app import create_app
from assay.proof_service.reports import CutsProofs, PublishedReports

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["from_settings"]


def from_settings(settings: Settings | None = None, *, openapi: bool = False) -> FastAPI:
    """Return the application over the publications of a configuration; no Connection is read before the first request.

    Args:
        settings: The configuration; by default the one in force.
        openapi: Whether `/openapi.json` describes the calls.

    Raises:
        ConfigError: The configuration is missing or malformed.
    """
    settings = settings or Settings.load()

    def open_prover(tree: Path, index: Path) -> CutsProofs:
        from assay.commitments.pipeline import connection_of
        from assay.commitments.proving import Prover

        return Prover(tree, index, secret=secret_of(connection_of(index)))

    return create_app(PublishedReports(settings, index_of=origin.index_of, open_prover=open_prover), AccessList(), openapi=openapi)
