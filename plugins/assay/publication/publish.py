"""Putting a staged publication in place in one step.

`publish` checks what `staging.py` built against its manifest, renames a copy of it into place and appends to the log, all under the series'
lock. Whatever fails, and whenever the process dies, the publications before are as they were; running the same call again completes what
was begun.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assay import origin
from assay.commitments.pipeline import TREE
from assay.config import Settings
from assay.errors import PublicationError
from assay.lake import format_as_of, new_folder, parse_as_of
from assay.publication import manifest
from assay.publication.log import Log, LogEntry, folder_name, locked
from assay.publication.manifest import FILE_NAME, Correction

# What names the revision or is made anew for each, so that it differs even when nothing else does.
_BOUND_TO_REVISION = {
    "code_version",
    "derived/liability_commitment.csv",
    "liability_commitment",
    "replaces",
    "report.html",
    "revision",
    "tables/liability_commitment.parquet",
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """What `publish` did.

    Attributes:
        folder: The publication.
        entry: Its line in the log.
        repeated: It was published before with the same content, so nothing was written.
    """

    folder: Path
    entry: LogEntry
    repeated: bool

    def __str__(self) -> str:
        """Say it in a sentence, for task logs and the terminal."""
        what = f"{format_as_of(self.entry.as_of)} revision {self.entry.revision} (manifest {self.entry.manifest_sha256})"
        if self.repeated:
            return f"Nothing to do: {what} is published already, with this content, in {self.folder}"
        return f"Published {what} in {self.folder}, line {self.entry.sequence} of the log"


def series_folder(settings: Settings) -> Path:
    """Return the folder that holds a series' publications and its log."""
    return settings.lake / "publications" / settings.series


def correction(settings: Settings, *, as_of: datetime, revision: int, reason: str) -> Correction | None:
    """Return what a run with these parameters corrects; None for a first publication (revision 1).

    Raises:
        PublicationError: A revision without a reason or a publication to correct, a gap in the revisions, or a reason without a revision.
    """
    subject = f"publication {folder_name(as_of, revision)}"
    if revision == 1 and not reason:
        return None
    if revision <= 1 or not reason.strip():
        raise PublicationError(
            "a correction needs both a revision from 2 on and a reason", subject=subject, next_step="give revision and reason together"
        )
    known = [entry for entry in Log.read(series_folder(settings)).of(as_of) if entry.revision == revision - 1]
    if not known:
        raise PublicationError(
            f"there is no revision {revision - 1} to correct", subject=subject, next_step="give the number after the newest revision"
        )
    return Correction(revision=revision, replaces=known[0], reason=reason.strip())


def publish(settings: Settings, staged: Path, *, now: datetime | None = None) -> Published:
    """Put a staged publication in place and into the log; the same one twice is one publication.

    Args:
        settings: For the place and the series.
        staged: What `stage` returned; it stays as it is.
        now: Wall-clock time for the log; the current one by default.

    Raises:
        PublicationError: The folder is not what its manifest says, the log is broken, the moment is out of order, or the same moment is
            published with other content.
    """
    content = (staged / FILE_NAME).read_bytes()
    values = manifest.read(staged)
    as_of, revision = parse_as_of(values["as_of"]), int(values["revision"])
    series = series_folder(settings)
    target = series / folder_name(as_of, revision)
    with locked(series):
        log = Log.read(series)
        for entry in log.of(as_of):
            if entry.revision == revision:
                _check_same(target, values)
                return Published(folder=target, entry=entry, repeated=True)
        if again := _same_correction(settings, log.of(as_of), content):
            return Published(folder=series / again.folder, entry=again, repeated=True)
        _check_place(log, values, as_of=as_of, revision=revision)
        # A process died between renaming and logging: without its line the folder was never published, so it may be replaced.
        if target.exists() and (target / FILE_NAME).read_bytes() != content:
            shutil.rmtree(target)
        if not target.exists():
            _put_in_place(staged, target, values)
        manifest.check_files(target, values)
        entry = log.append(as_of=as_of, revision=revision, manifest_sha256=manifest.digest(content), published_at=now or datetime.now(UTC))
    return Published(folder=target, entry=entry, repeated=False)


def check_publishable(settings: Settings, staged: Path) -> None:
    """Refuse at staging, before people are asked, what `publish` would refuse after they have approved; nothing is changed.

    Raises:
        PublicationError: The log is broken, the moment is out of order, or it is published with other content and this is no correction.
    """
    values = manifest.read(staged)
    as_of, revision = parse_as_of(values["as_of"]), int(values["revision"])
    series = series_folder(settings)
    log = Log.read(series)
    if any(entry.revision == revision for entry in log.of(as_of)):
        _check_same(series / folder_name(as_of, revision), values)
    elif not _same_correction(settings, log.of(as_of), (staged / FILE_NAME).read_bytes()):
        _check_place(log, values, as_of=as_of, revision=revision)


def _check_place(log: Log, values: dict[str, Any], *, as_of: datetime, revision: int) -> None:
    """Hold a new publication against the log: order, revision, and the publication it was computed from."""
    subject = f"publication {folder_name(as_of, revision)}"
    log.check_order(as_of)
    if revision != len(log.of(as_of)) + 1:
        raise PublicationError(
            f"revision {revision} does not follow the {len(log.of(as_of))} in the log",
            subject=subject,
            next_step="give the number after the newest revision",
        )
    previous = log.previous(as_of, revision=revision)
    named = values["previous"] and values["previous"]["manifest_sha256"]
    if named != (previous and previous.manifest_sha256):
        raise PublicationError(
            "it was computed from another publication than the one before it in the log",
            subject=subject,
            next_step="run the attestation again",
        )


def _check_same(published: Path, values: dict[str, Any]) -> None:
    """Make sure that a publication which is there is whole, and says the same as the one to be published.

    A newer version of the code that comes to the same content is no reason to publish again, so the version alone does not count.
    """
    known = manifest.read(published)
    manifest.check_files(published, known)
    different = [name for name in manifest.differences(known, values) if name != "code_version"]
    if different:
        others = f" and {len(different) - 1} more" if len(different) > 1 else ""
        raise PublicationError(
            f"it stands there with other content: {different[0]}{others}",
            subject=str(published),
            next_step=f"publish a correction: the same as_of with revision {int(known['revision']) + 1} and a reason",
        )


def _same_correction(settings: Settings, known: Sequence[LogEntry], content: bytes) -> LogEntry | None:
    """Find out whether this is the newest correction once more: a run that is repeated counts on from what it published itself."""
    values = json.loads(content)
    if len(known) <= 1 or values["revision"] != known[-1].revision + 1:
        return None
    newest = manifest.read(series_folder(settings) / known[-1].folder)
    if newest["replaces"]["reason"] != values["replaces"]["reason"]:
        return None
    different = set(manifest.differences(newest, values)) - _BOUND_TO_REVISION
    if not {name for name in different if not name.startswith(f"{TREE}/")}:
        # Every leaf is new in a revision, so the tree can't say whether it holds the same balances; what it was made of can.
        return known[-1] if origin.same_liabilities(settings, known[-1].manifest_sha256, manifest.digest(content)) else None
    return None


def _put_in_place(staged: Path, target: Path, values: dict[str, Any]) -> None:
    for leftover in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(leftover)  # of a process that died while copying; the lock says that none is copying now
    with new_folder(target) as temporary:
        shutil.copytree(staged, temporary, dirs_exist_ok=True, copy_function=shutil.copyfile)
        # Read back what was copied: nothing that differs from its manifest may ever get the name of a publication.
        manifest.check_files(temporary, values)
        for path in sorted(temporary.rglob("*")):
            if path.is_file():
                path.chmod(0o444)
            _flush(path)
    _flush(target.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
