"""This machine: room on the disk, memory, folders that can be written, and processes that can be started."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import duckdb

from assay.commitments.building import bytes_of
from assay.commitments.workers import workers
from assay.doctor.findings import Finding, Patient, failed, noting, ok, warning

_LEAST_FREE = 2 << 30
_GIB = 1 << 30


def check(patient: Patient) -> Iterator[Finding]:
    """Look at the machine that this runs on; workers on other machines are not seen."""
    found: list[Finding] = [_disk(patient), _memory(patient)]
    with noting(found, "processes"):
        with workers(2, _nothing) as do:
            do(math.isfinite, [(1,), (2,)])
        found.append(ok("processes", "worker processes start"))
    found.append(ok("versions", f"Airflow {version('apache-airflow')}, DuckDB {duckdb.__version__}"))
    yield from found


def _nothing() -> None:
    """Do nothing, in a process that has started."""


def _disk(patient: Patient) -> Finding:
    lake = patient.settings.lake
    there = next(folder for folder in (lake, *lake.parents) if folder.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return failed("lake", f"nothing can be written in {there}", "make it writable for the user that Airflow's tasks run as")
    free, used = shutil.disk_usage(there).free, _size(lake / "publications") + _size(lake / "marts")
    wanted = max(_LEAST_FREE, used // 2)
    words = f"{lake}: {free / _GIB:.1f} GiB are free"
    if free < wanted:
        return failed("lake", f"{words}, and about {wanted / _GIB:.1f} GiB are wanted", "make room, or put the lake on another disk")
    return ok("lake", words)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0


def _memory(patient: Patient) -> Finding:
    settings = patient.settings
    wanted = bytes_of(settings.memory_limit)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    words = f"{total / _GIB:.1f} GiB, and memory_limit is {settings.memory_limit}"
    if wanted > total:
        return failed("memory", words, "lower memory_limit in the configuration")
    if wanted * 2 > total:
        return warning("memory", f"{words}; a step may use more than half of it", "lower memory_limit if anything else runs here")
    return ok("memory", words)
