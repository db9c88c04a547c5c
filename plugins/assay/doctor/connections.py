"""Connections that only tasks can read: Airflow keeps those that were made in its UI in its database, and gives them to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from assay.airflow_api import AirflowApi, AirflowApiError
from assay.connections import MissingConnectionError
from assay.doctor.findings import Finding, Patient, refused, skipped


@contextmanager
def noting_missing(patient: Patient, found: list[Finding], subject: str) -> Iterator[None]:
    """Note a Connection that the block asks for and does not get: one that tasks will get is no fault, and nothing behind it can be looked at."""
    try:
        yield
    except MissingConnectionError as error:
        kept = _kept_by_airflow(patient, error.subject)
        words = f"Airflow keeps its Connection {error.subject} in its database, and gives it to tasks alone"
        found.append(skipped(subject, words) if kept else refused(subject, error))


def _kept_by_airflow(patient: Patient, name: str) -> bool:
    try:
        with AirflowApi.from_environment(patient.url) as api:
            return api.find(f"/connections/{quote(name, safe='')}") is not None
    except AirflowApiError:  # said by the check of Airflow
        return False
