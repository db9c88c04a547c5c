"""What proofs are cut from: the series' publications that commit to their liabilities, and the private index of each.

A publication never changes, so what was read of it once is kept. Its private index may be destroyed at any time, and from that moment on no proof of
it is given, whether or not its files are still open here.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from assay.commitments.pipeline import TREE
from assay.config import Settings
from assay.errors import AssayError, EvidenceError, PublicationError, UnknownUserError
from assay.lake import format_as_of, sha256_of
from assay.proof_service.answers import Refusal
from assay.publication.log import FILE_NAME as LOG_NAME
from assay.publication.log import Log, LogEntry
from assay.publication.manifest import FILE_NAME as MANIFEST_NAME

__all__ = ["CutsProofs", "PublishedReport", "PublishedReports"]

log = logging.getLogger("assay.proof_service")


class CutsProofs(Protocol):
    """What cuts proofs from one tree: `commitments.proving.Prover`."""

    def prove(self, user_id: str) -> dict[str, Any]:
        """Return the proof of a user."""
        ...


@dataclass(frozen=True, kw_only=True)
class PublishedReport:
    """One publication that commits to its liabilities.

    Attributes:
        series: The reporting entity's line of publications.
        as_of: The attested moment.
        revision: 1, and one more for each correction.
        commitment: What its proofs lead to, 64 hexadecimal digits.
        folder: The publication's.
        manifest_sha256: What stands for it.
    """

    series: str
    as_of: datetime
    revision: int
    commitment: str
    folder: Path
    manifest_sha256: str

    def __str__(self) -> str:
        return format_as_of(self.as_of) + (f" revision {self.revision}" if self.revision > 1 else "")

    def facts(self) -> dict[str, str | int]:
        """Return what everybody may know of it."""
        return {"series": self.series, "as_of": format_as_of(self.as_of), "revision": self.revision, "commitment": self.commitment}


class PublishedReports:
    """The publications of a series, and proofs of them.

    All methods may block, and may be called from several threads.

    Args:
        settings: Says where the publications are.
        index_of: Gives the private index of a publication by the SHA-256 of its manifest: `origin.index_of`.
        open_prover: Opens what cuts proofs, from a tree and its index.
        keep_open: Reports whose provers stay open.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        index_of: Callable[[Settings, str], Path],
        open_prover: Callable[[Path, Path], CutsProofs],
        keep_open: int = 3,
    ) -> None:
        self._settings = settings
        self._folder = settings.lake / "publications" / settings.series
        self._index_of = index_of
        self._open_prover = open_prover
        self._keep_open = keep_open
        self._lock = threading.Lock()
        self._commitments: dict[str, str | None] = {}
        self._idle: OrderedDict[Path, list[CutsProofs]] = OrderedDict()
        self._log: tuple[tuple[int, ...], list[LogEntry]] | None = None

    def all(self) -> list[PublishedReport]:
        """Return the reports that proofs can be asked for, newest moment and highest revision first.

        Raises:
            PublicationError: The log is broken, or a manifest is not the one in the log.
        """
        return [report for entry in self._entries() if (report := self._report(entry))]

    def find(self, as_of: datetime | None = None, revision: int | None = None) -> PublishedReport:
        """Return the newest report, or the one of a moment in its highest or a given revision.

        Raises:
            Refusal: There is none.
            PublicationError: The log is broken, or the report's manifest is not the one in the log.
        """
        for entry in self._entries():
            if as_of in {None, entry.as_of} and revision in {None, entry.revision} and (report := self._report(entry)):
                return report
        raise Refusal(404, "there is no such report", "ask for one that GET /v1/reports lists, or for none to get the newest")

    def prove(self, report: PublishedReport, user_id: str) -> bytes:
        """Cut the proof of a user; returns the document.

        Raises:
            Refusal: The user is not in the report, or the report's index is gone.
            AssayError: Tree or index cannot be read, or are not the published ones.
        """
        try:
            with self._prover(report) as prover:
                proof = _prove(prover, user_id)
        except AssayError as error:
            # Its text may name the user, and this one will be logged.
            raise PublicationError(
                f"no proof can be cut from its tree and index ({type(error).__name__})",
                subject=str(report),
                next_step="run `assay proof` for the user where the lake is, which says what is wrong",
            ) from None
        if proof is None:
            raise Refusal(
                404,
                "this user is not in the report: the ledger had no balance under this id at its moment",
                "check the id and the moment; a user who joined later stands in a later report",
            )
        if proof["commitment"] != report.commitment:
            raise PublicationError(
                "its tree is not the one that its manifest names", subject=str(report), next_step="restore the publication from a copy"
            )
        return json.dumps(proof, separators=(",", ":"), sort_keys=True).encode()

    @contextmanager
    def _prover(self, report: PublishedReport) -> Iterator[CutsProofs]:
        """Lend out a prover for one proof. Each has files open that only one thread may read at a time."""
        index = self._index(report)
        with self._lock:
            # What was destroyed stays readable through a file that is still open.
            for gone in [other for other in self._idle if not other.is_dir()]:
                del self._idle[gone]
            idle = self._idle.get(index)
            prover = idle.pop() if idle else None
        prover = prover or self._open_prover(report.folder / TREE, index)
        yield prover
        # One that failed is not kept.
        with self._lock:
            self._idle.setdefault(index, []).append(prover)
            self._idle.move_to_end(index)
            if len(self._idle) > self._keep_open:
                self._idle.popitem(last=False)

    def _index(self, report: PublishedReport) -> Path:
        try:
            return self._index_of(self._settings, report.manifest_sha256)
        except EvidenceError as error:
            log.warning("no proof of %s can be cut: %s", report, error.problem)
            raise Refusal(
                410, "proofs of this report are no longer given: its private index is not kept any more", "ask for a newer report"
            ) from None

    def _entries(self) -> list[LogEntry]:
        """Return the log's entries, newest moment and highest revision first; the log is read again where it is another file."""
        path = self._folder / LOG_NAME
        state = path.stat() if path.exists() else None
        known = (state.st_ino, state.st_size, state.st_mtime_ns) if state else ()
        if self._log is None or self._log[0] != known:
            self._log = known, sorted(Log.read(self._folder).entries, key=lambda entry: (entry.as_of, entry.revision), reverse=True)
        return self._log[1]

    def _report(self, entry: LogEntry) -> PublishedReport | None:
        commitment = self._commitment(entry)
        if commitment is None:
            return None
        return PublishedReport(
            series=self._settings.series,
            as_of=entry.as_of,
            revision=entry.revision,
            commitment=commitment,
            folder=self._folder / entry.folder,
            manifest_sha256=entry.manifest_sha256,
        )

    def _commitment(self, entry: LogEntry) -> str | None:
        if entry.manifest_sha256 not in self._commitments:
            folder = self._folder / entry.folder
            if not folder.is_dir():  # taken away, to an archive perhaps; what is not here is not offered
                return None
            path = folder / MANIFEST_NAME
            if not path.is_file() or sha256_of(path) != entry.manifest_sha256:
                raise PublicationError(
                    "its manifest is missing or not the one in the log",
                    subject=entry.folder,
                    next_step="restore the publication from a copy and find out who changed it",
                )
            # Publications from before there was a tree have no such member.
            self._commitments[entry.manifest_sha256] = json.loads(path.read_bytes()).get("liability_commitment")
        return self._commitments[entry.manifest_sha256]


def _prove(prover: CutsProofs, user_id: str) -> dict[str, Any] | None:
    try:
        return prover.prove(user_id)
    except UnknownUserError:
        return None
