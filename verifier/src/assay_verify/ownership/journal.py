"""What a run has checked so far, kept where a later run finds it.

It lies in the user's own folder, never beside the list: whoever publishes a list could put a file there that says it was checked. It is
called by the SHA-256 of the list, so a list that was altered by one byte is begun anew.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from assay_verify import __version__
from assay_verify.ownership.tallies import Failure, Tally
from assay_verify.ownership.workers import Piece

_FORMAT = "assay-ownership-progress-v1"


def default_folder() -> Path:
    """Return the user's folder for what programs remember (https://specifications.freedesktop.org/basedir-spec/latest/)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state") / "assay-verify"


class Journal:
    """One line of JSON a piece, after a line that says what is checked.

    Args:
        folder: Where it lies; None for a file that ends with this process.
        subject: What is checked: the list's SHA-256, and whatever else an outcome depends on.

    Attributes:
        kept: It will be there for a later run.
    """

    def __init__(self, folder: Path | None, subject: dict[str, str]) -> None:
        self._header = json.dumps({"format": _FORMAT, "verifier": __version__, **subject}, sort_keys=True).encode() + b"\n"
        self._path = folder / f"{subject['sha256']}.jsonl" if folder else None
        self._file = self._opened()
        self.kept = self._path is not None

    def resume(self, start: int) -> Iterator[tuple[Piece, Tally]]:
        """Yield what an earlier run of the same verifier on the same list found out, as far as it is whole; the rest is forgotten.

        Args:
            start: Where the first piece begins.
        """
        self._file.seek(0)
        if self._file.readline() == self._header:
            whole = self._file.tell()
            while (found := _read(self._file.readline(), start)) is not None:
                whole, start = self._file.tell(), found[0].end
                yield found
            self._file.seek(whole)
            self._file.truncate()
        else:
            self.begin()

    def begin(self) -> None:
        """Start with nothing."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(self._header)

    def append(self, place: Piece, tally: Tally) -> None:
        """Keep what became of a piece."""
        record = {"piece": [place.start, place.end, place.first, place.following], "tally": tally.to_values()}
        self._file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self._file.flush()

    def failures(self) -> Iterator[Failure]:
        """Yield every failure again, in the order of the list."""
        self._file.seek(len(self._header))
        for line in self._file:
            yield from (Failure(*failure) for failure in json.loads(line)["tally"]["failures"])

    def close(self, *, done: bool) -> None:
        """End; a run that was done leaves nothing behind."""
        self._file.close()
        if done and self._path is not None:
            self._path.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        if self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._path.touch(mode=0o600)
                return self._path.open("r+b")
            except OSError:
                self._path = None
        return cast("BinaryIO", tempfile.TemporaryFile("w+b"))


def _read(line: bytes, start: int) -> tuple[Piece, Tally] | None:
    """Return a line of a journal; None for a torn one, and for one that does not follow the one before."""
    if not line.endswith(b"\n"):
        return None
    try:
        values = json.loads(line)
        begun, end, first, following = values["piece"]
        place, tally = Piece(begun, end, first, following, None), Tally.from_values(values["tally"])
    except (ValueError, KeyError, TypeError):
        return None
    return (place, tally) if place.start == start < place.end else None
