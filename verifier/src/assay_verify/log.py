"""The append-only log of a series. Format: docs/formats/log.md, `assay-log-v1`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import rfc8785

from assay_verify.canonical_json import Shape, read_object, sha256
from assay_verify.findings import Check, Findings, MalformedError
from assay_verify.manifest import HEX, Manifest
from assay_verify.tables import parse_time

FORMAT = "assay-log-v1"
FILE_NAME = "log.jsonl"
_SHAPE: Shape = {
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


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    Attributes:
        values: Its members.
        as_of: The attested moment.
    """

    values: dict[str, Any]
    as_of: datetime

    @property
    def revision(self) -> int:
        """1 for the first publication of the moment."""
        return int(self.values["revision"])


def check(findings: Findings, path: Path, manifest: Manifest) -> Entry | None:
    """Verify the chain of the log and find the publication in it.

    Returns:
        The publication's entry in its newest form, None when the log does not hold it.
    """
    entries: list[Entry] = []
    with findings.check("log.chain", "No line of the log was changed, removed or inserted: each binds the one before.") as chain:
        entries = _read(path, chain)
    with findings.check(
        "log.entry", "The log names this manifest by its SHA-256, with this moment, revision, predecessor and correction."
    ) as found:
        own = next((entry for entry in entries if entry.values["manifest_sha256"] == manifest.sha256), None)
        if found.expect(own is not None, f"the log names no manifest with the SHA-256 {manifest.sha256}") and own is not None:
            _check_own(found, own, entries, manifest)
    return own


def corrected_by(path: Path, manifest: Manifest) -> str | None:
    """Return the folder of the newest revision of the same moment, if there is a newer one than this.

    Raises:
        MalformedError: The log is broken.
    """
    newest = max(
        (entry for entry in _read(path, Check("", "")) if entry.as_of == manifest.as_of), key=lambda entry: entry.revision, default=None
    )
    return None if newest is None or newest.revision <= manifest.values["revision"] else str(newest.values["folder"])


def _read(path: Path, chain: Check) -> list[Entry]:
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        raise MalformedError("the log is empty or its last line is cut off")
    entries: list[Entry] = []
    for number, line in enumerate(content[:-1].split(b"\n"), 1):
        subject = f"line {number} of the log"
        values = read_object(line, _SHAPE, subject=subject)
        if values["format"] != FORMAT:
            raise MalformedError(f"{subject} is of the format {values['format']!r}, and this verifier knows {FORMAT}")
        own = {key: value for key, value in values.items() if key != "entry_sha256"}
        chain.expect(sha256(rfc8785.dumps(own)) == values["entry_sha256"], f"{subject} was changed: it does not have its own digest")
        before = entries[-1].values["entry_sha256"] if entries else None
        chain.expect(values["previous_entry_sha256"] == before, f"{subject} does not bind the line before it")
        chain.expect(values["sequence"] == number, f"{subject} has the sequence {values['sequence']}")
        parse_time(values["published_at"], subject=subject)
        entry = Entry(values, parse_time(values["as_of"], subject=subject))
        same = [known for known in entries if known.as_of == entry.as_of]
        chain.expect(entry.revision == len(same) + 1, f"{subject} is revision {entry.revision} of its moment, and {len(same)} came before")
        chain.expect(
            bool(same) or all(known.as_of < entry.as_of for known in entries),
            f"{subject} is of a new moment that lies before an older line's",
        )
        chain.expect(
            values["folder"] == _folder(entry) and bool(HEX.fullmatch(values["manifest_sha256"])),
            f"{subject} has a malformed folder or digest",
        )
        entries.append(entry)
    return entries


def _folder(entry: Entry) -> str:
    name = entry.as_of.strftime("%Y-%m-%dT%H%M%SZ")
    return name if entry.revision == 1 else f"{name}.r{entry.revision}"


def _check_own(found: Check, own: Entry, entries: Sequence[Entry], manifest: Manifest) -> None:
    values = manifest.values
    found.expect(
        (own.as_of, own.revision) == (manifest.as_of, values["revision"]), "the log gives this manifest another moment or revision"
    )
    earlier = [entry for entry in entries[: entries.index(own)] if entry.as_of < own.as_of]
    previous = max(earlier, key=lambda entry: (entry.as_of, entry.revision), default=None)
    found.expect(_same(values["previous"], previous), "the manifest names another publication before it than the log does")
    replaced = next((entry for entry in entries if (entry.as_of, entry.revision) == (own.as_of, own.revision - 1)), None)
    found.expect(_same(values["replaces"], replaced), "the manifest names another publication that it corrects than the log does")


def _same(reference: dict[str, Any] | None, entry: Entry | None) -> bool:
    if reference is None or entry is None:
        return reference is None and entry is None
    return all(reference[key] == entry.values[key] for key in ("as_of", "folder", "manifest_sha256", "revision"))
