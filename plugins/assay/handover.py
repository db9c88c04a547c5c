"""Which snapshot of a moment is the newest, so that an attestation never pairs an old one with a new one.

Asset events alone cannot say it: an event that found no partner waits, and would start an attestation when the other snapshot is
repeated. So each snapshot run leaves a note in the lake when it begins and when it has finished, and the attestation takes the newest run
of each dataset, whichever events started it. It waits while a newer run is under way, and while the two were not asked for together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from assay.config import Settings
from assay.errors import ComputationError, SnapshotPendingError
from assay.lake import format_as_of, replacing_file, slug

_TOGETHER = ("request", "correction", "configuration")
_WORDS = {
    "request": "they were not asked for together",
    "correction": "they name different reasons for a correction",
    "configuration": "they were taken under different configurations",
}


def begin(settings: Settings, dataset: str, as_of: datetime, run_id: str) -> None:
    """Note that a run of a snapshot has begun; what earlier ones left no longer counts."""
    _write(_path(settings, dataset, as_of), {"begun": run_id, "finished": None})


def finish(settings: Settings, dataset: str, as_of: datetime, run_id: str, content: Mapping[str, Any]) -> None:
    """Note that a run has finished, with what it hands over; nothing is noted where a newer run has begun since."""
    path = _path(settings, dataset, as_of)
    if _read(path).get("begun") == run_id:
        _write(path, {"begun": run_id, "finished": {**content, "configuration": settings.digest}})


def take(settings: Settings, as_of: datetime) -> dict[str, dict[str, Any]]:
    """Return what the newest reserves and liabilities of a moment hand over.

    Raises:
        SnapshotPendingError: A run is under way, or only one of the two was repeated yet.
        ComputationError: The configuration has changed since they were taken.
    """
    taken: dict[str, dict[str, Any]] = {}
    for dataset in ("reserves", "liabilities"):
        note = _read(_path(settings, dataset, as_of))
        if not note.get("finished"):
            raise SnapshotPendingError(
                f"the newest run ({note.get('begun', 'none')}) has not finished",
                subject=f"{dataset} for {format_as_of(as_of)}",
                next_step="wait for it; if it failed, run the snapshot again",
            )
        taken[dataset] = note["finished"]
    for key in _TOGETHER:
        if taken["reserves"].get(key) != taken["liabilities"].get(key):
            raise SnapshotPendingError(
                _WORDS[key],
                subject=f"reserves and liabilities for {format_as_of(as_of)}",
                next_step="run both snapshots for the moment again",
            )
    if taken["reserves"]["configuration"] != settings.digest:
        raise ComputationError(
            "the configuration or the registry has changed since the snapshots were taken",
            subject=f"{settings.path} for {format_as_of(as_of)}",
            next_step="run both snapshots for the moment again",
        )
    return taken


def _path(settings: Settings, dataset: str, as_of: datetime) -> Path:
    return settings.lake / "snapshot" / dataset / slug(as_of) / f"newest-{settings.series}.json"


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(content, sort_keys=True))
