"""Lets `assay doctor` look, at all or at one thing, and reads what it says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from assay.config import Settings
from assay.connections import secret_of, url_of
from assay.doctor.findings import Finding, Level, Patient
from assay.doctor.visit import CHECKS, visit
from assay.lake import format_as_of, parse_as_of
from tests.orchestration.fake_airflow import State
from tests.own import custodian

MOMENT = format_as_of(custodian.MOMENTS[0])


def patient(folder: Path, airflow: State) -> Patient:
    settings = Settings.load(folder / "assay.toml")
    return Patient(settings=settings, as_of=parse_as_of(MOMENT), url=airflow.url, connect=url_of, secret_of=secret_of)


def look(folder: Path, airflow: State, subject: str = "") -> list[Finding]:
    """Return the findings of one check, or of all."""
    if not subject:
        return list(visit(patient(folder, airflow)))
    return list(dict(CHECKS)[subject](patient(folder, airflow)))


def of(findings: list[Finding], level: Level) -> dict[str, str]:
    """Return what was said at a level, by subject, next step behind an arrow."""
    return {item.subject: f"{item.words} → {item.next_step}" for item in findings if item.level is level}


def bad(findings: list[Finding]) -> dict[str, str]:
    return of(findings, Level.FAILED)


def connect(name: str, url: str) -> None:
    """Have a Connection lead to a server."""
    parts = urlsplit(url)
    values = {"conn_type": "generic", "schema": parts.scheme, "host": parts.hostname, "port": parts.port}
    os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(values)
