"""The append-only log of a series: one line a publication, each bound to the line before.

The log says what was published and in which order; the manifest that a line names says what is in it. Format, byte by
byte: `docs/formats/log.md`. Appending happens under `locked`, which publishing holds from its first look at the log on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import rfc8785

from assay.errors import ConfigError, PublicationError
from assay.lake import format_as_of, parse_as_of, replacing_file, slug

FORMAT = "assay-log-v1"
FILE_NAME = "log.jsonl"
_KEYS = {
    "as_of": str,
    "entry_sha256": str,
    "folder": str,
    "format": str,
    "manifest_sha256": str,
    "previous_entry_sha256": (str, type(None)),
    "published_at": str,
    "revision": int,
    "sequence": int,
}


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """One publication of a series.

    Attributes:
        sequence: 1, 2, 3 …
        as_of: The attested moment, UTC.
        revision: 1 for the first publication of the moment, one more for each correction.
        folder: Name of the publication's folder beside the log.
        manifest_sha256: SHA-256 of the bytes of its `manifest.json`.
        previous_entry_sha256: `entry_sha256` of the entry before; None in the first one.
        published_at: Wall-clock time of publishing, UTC, whole seconds.
    """

    sequence: int
    as_of: datetime
    revision: int
    folder: str
    manifest_sha256: str
    previous_entry_sha256: str | None
    published_at: datetime

    @property
    def entry_sha256(self) -> str:
        """SHA-256 of the entry's canonical JSON without this member; the next entry carries it."""
        return hashlib.sha256(rfc8785.dumps(self._members())).hexdigest()

    def line(self) -> bytes:
        """Return the entry as it stands in the log, with its line feed."""
        return rfc8785.dumps({**self._members(), "entry_sha256": self.entry_sha256}) + b"\n"

    def _members(self) -> dict[str, Any]:
        times = {"as_of": format_as_of(self.as_of), "published_at": format_as_of(self.published_at)}
        return {**asdict(self), **times, "format": FORMAT}

    @classmethod
    def parse(cls, line: bytes, *, subject: str) -> Self:
        """Read one line, without its line feed.

        Raises:
            PublicationError: It is not an entry, not canonical, or its own digest does not fit.
        """
        try:
            values = json.loads(line)
        except ValueError as error:
            raise _broken("the line is not JSON", subject) from error
        if not isinstance(values, dict) or values.keys() != _KEYS.keys():
            raise _broken("the line does not have the members of a log entry", subject)
        for key, kind in _KEYS.items():
            if not isinstance(values[key], kind) or isinstance(values[key], bool):  # type: ignore[arg-type]
                raise _broken(f"{key} has the wrong type", subject)
        if values.pop("format") != FORMAT:
            raise _broken(f"the format is not {FORMAT}", subject)
        values.pop("entry_sha256")
        try:
            entry = cls(**{**values, "as_of": parse_as_of(values["as_of"]), "published_at": parse_as_of(values["published_at"])})
        except ConfigError as error:
            raise _broken(error.problem, subject) from error
        if entry.line() != line + b"\n":
            raise _broken("the line is not canonical or its entry_sha256 does not fit", subject)
        return entry


@dataclass(frozen=True)
class Log:
    """All publications of a series, oldest first, chain verified.

    Attributes:
        path: The file.
        entries: In the order of publishing.
    """

    path: Path
    entries: Sequence[LogEntry]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read and verify the log of a series' folder; a folder without one has published nothing.

        Raises:
            PublicationError: A line was changed, removed, inserted or cut off.
        """
        path = folder / FILE_NAME
        content = path.read_bytes() if path.exists() else b""
        if content and not content.endswith(b"\n"):
            raise _broken("its last line is cut off", str(path))
        entries: list[LogEntry] = []
        for number, line in enumerate(content.splitlines(), 1):
            entry = LogEntry.parse(line, subject=f"{path}, line {number}")
            _check_link(entry, entries, subject=f"{path}, line {number}")
            entries.append(entry)
        return cls(path, tuple(entries))

    def of(self, as_of: datetime) -> list[LogEntry]:
        """Return the publications of one moment, first revision first."""
        return [entry for entry in self.entries if entry.as_of == as_of]

    def previous(self, as_of: datetime, *, revision: int = 1) -> LogEntry | None:
        """Return the publication that one of this moment and revision is compared with.

        It is the newest earlier moment in its highest revision, among the entries that stand before the publication's
        own entry, or among all of them while it has none. So a run that is repeated after others were published is
        compared with what it was compared with the first time. None when there is nothing earlier.
        """
        own = next(
            (index for index, entry in enumerate(self.entries) if (entry.as_of, entry.revision) == (as_of, revision)), len(self.entries)
        )
        earlier = [entry for entry in self.entries[:own] if entry.as_of < as_of]
        return max(earlier, key=lambda entry: (entry.as_of, entry.revision), default=None)

    def check_order(self, as_of: datetime) -> None:
        """Make sure that a moment may be published: known already, or later than all known ones.

        Raises:
            PublicationError: It is new and earlier than the newest publication, so that one's deltas would no longer be deltas
                from the previous publication.
        """
        newest = max((entry.as_of for entry in self.entries), default=None)
        if newest is not None and as_of < newest and not self.of(as_of):
            raise PublicationError(
                f"{format_as_of(as_of)} lies before the newest publication ({format_as_of(newest)}) and was never published",
                subject=str(self.path),
                next_step="publish moments in order, or start another series for the past",
            )

    def append(self, *, as_of: datetime, revision: int, manifest_sha256: str, published_at: datetime) -> LogEntry:
        """Add an entry to the file; to be called under `locked`, on a log that was read under the same lock."""
        entry = LogEntry(
            sequence=len(self.entries) + 1,
            as_of=as_of,
            revision=revision,
            folder=folder_name(as_of, revision),
            manifest_sha256=manifest_sha256,
            previous_entry_sha256=self.entries[-1].entry_sha256 if self.entries else None,
            published_at=published_at.replace(microsecond=0),
        )
        # The whole file is written anew and renamed, because an append that is killed half-way leaves half a line.
        with replacing_file(self.path) as temporary:
            temporary.write_bytes(b"".join(known.line() for known in (*self.entries, entry)))
        return entry


def folder_name(as_of: datetime, revision: int) -> str:
    """Return the name of a publication's folder: `2023-02-17T160000Z`, corrections `2023-02-17T160000Z.r2`."""
    return slug(as_of) + (f".r{revision}" if revision > 1 else "")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the right to publish in a series; others wait. It ends with the process, so nothing has to be cleaned up."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _check_link(entry: LogEntry, before: Sequence[LogEntry], *, subject: str) -> None:
    if entry.sequence != len(before) + 1:
        raise _broken(f"its sequence is {entry.sequence}, not {len(before) + 1}", subject)
    if entry.previous_entry_sha256 != (before[-1].entry_sha256 if before else None):
        raise _broken("it does not name the digest of the line before", subject)
    revisions = [known.revision for known in before if known.as_of == entry.as_of]
    if entry.revision != len(revisions) + 1:
        raise _broken(f"it is revision {entry.revision} and {len(revisions)} came before", subject)
    if not revisions and any(known.as_of >= entry.as_of for known in before):
        raise _broken("its moment is new and earlier than one before it", subject)
    if entry.folder != folder_name(entry.as_of, entry.revision) or not re.fullmatch("[0-9a-f]{64}", entry.manifest_sha256):
        raise _broken("its folder or digest is malformed", subject)


def _broken(problem: str, subject: str) -> PublicationError:
    return PublicationError(
        problem, subject=subject, next_step="restore the log from a copy and find out who changed it; nothing is published on a broken log"
    )
