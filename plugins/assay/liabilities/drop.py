"""A drop: a folder of files that the ledger's own system wrote for one moment, on a local disk or in S3-compatible storage.

`control.json` is written last: it names every file with its rows and its SHA-256, and the ledger's control totals. A file is copied and hashed
in one go, and the copy is read, so that what is read is what the control file speaks of whoever writes into the folder meanwhile.
The layout is written down in `docs/formats/ledger_sources.md`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from pyarrow import fs

from assay.config import Settings
from assay.errors import LedgerError, SourceBehindError
from assay.lake import format_as_of, parse_as_of, slug
from assay.liabilities.interface import TOTAL_COLUMNS
from assay.liabilities.storage import check_place, connect, pieces, storage_error

FORMAT = "assay-ledger-drop-v1"
CONTROL = "control.json"

_KEYS = {"format", "as_of", "flows_from", "files", "totals"}
_ENDINGS = (".parquet", ".csv", ".csv.gz", ".csv.zst")
FILE_PATH = re.compile(rf"(balances|flows)/[A-Za-z0-9][A-Za-z0-9._=/-]*({'|'.join(map(re.escape, _ENDINGS))})")
"""Names that files of a drop may have, in the drop's folder."""

_HASH = re.compile(r"[0-9a-f]{64}")
_MAX_CONTROL = 1 << 25


@dataclass(frozen=True, kw_only=True)
class DropFile:
    """A file of a drop.

    Attributes:
        path: In the drop's folder, with `/`.
        rows: Stated rows.
        sha256: Stated hash of its bytes.
    """

    path: str
    rows: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Drop:
    """A drop whose control file was read.

    Attributes:
        name: For errors.
        folder: In the file system.
        system: The local disk, or the storage.
        control: Bytes of the control file.
        flows_from: Where the flows begin (exclusive); none, no flows.
        files: What belongs to it.
        totals: TOTAL_COLUMNS of each account type and asset, as texts.
    """

    name: str
    folder: str
    system: fs.FileSystem
    control: bytes
    flows_from: datetime | None
    files: tuple[DropFile, ...]
    totals: tuple[tuple[str, ...], ...]

    @classmethod
    def open(cls, settings: Settings, uri: str, as_of: datetime) -> Self:
        """Find the drop of a moment.

        Args:
            settings: Names the folder of all drops, and the storage's region.
            uri: Address of the storage with its keys; of no meaning for a local disk.
            as_of: The attested moment.

        Raises:
            SourceBehindError: There is no control file yet, in a place that holds drops of other moments, or the beginning of this one.
            SourceUnavailableError: The storage broke off.
            ConfigError: The place of all drops does not exist, or holds no drop of any moment.
            LedgerError: The place may not be read, the control file is malformed or of another moment, or a file is missing or not named by it.
        """
        name = f"ledger {settings.ledger.connection}, drop {slug(as_of)}"
        system, root = connect(settings, uri)
        folder = f"{root}/{slug(as_of)}"
        try:
            content = b"".join(pieces(system, f"{folder}/{CONTROL}", name, limit=_MAX_CONTROL))
        except SourceBehindError:
            # Waiting helps only where the ledger writes to this very place.
            check_place(settings, system, root)
            raise
        drop = cls(name=name, folder=folder, system=system, control=content, **_parsed(content, as_of, name))
        drop._check_files()
        return drop

    def fetch(self, item: DropFile, folder: Path) -> Path:
        """Copy a file of the drop to a local folder, if it is the one that the control file names.

        Raises:
            SourceUnavailableError: The storage broke off.
            LedgerError: Its content is another.
        """
        # A name of our own: that of the dropped file could be one that stands in the folder already.
        copy = folder / next(f"{item.sha256}{ending}" for ending in _ENDINGS if item.path.endswith(ending))
        digest = hashlib.sha256()
        with copy.open("wb") as file:
            for piece in pieces(self.system, f"{self.folder}/{item.path}", self.name):
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != item.sha256:
            raise LedgerError(
                f"its content is not the one that {CONTROL} names: it was changed, or was not whole",
                subject=f"{self.name}, {item.path}",
                next_step=f"have the ledger write the drop anew, {CONTROL} last",
            )
        return copy

    def check_unchanged(self) -> None:
        """Hold control file and list of files against what they were.

        Raises:
            LedgerError: They changed while the drop was read.
        """
        self._check_files()
        if b"".join(pieces(self.system, f"{self.folder}/{CONTROL}", self.name, limit=_MAX_CONTROL)) != self.control:
            raise LedgerError(f"{CONTROL} was changed while the drop was read", subject=self.name, next_step="run the task again")

    def _check_files(self) -> None:
        try:
            there = self.system.get_file_info(fs.FileSelector(self.folder, recursive=True))
        except OSError as error:
            raise storage_error(error, self.name) from None
        found = {info.path.removeprefix(f"{self.folder}/") for info in there if info.type == fs.FileType.File}
        # Programs that write many files leave marks of their own beside them.
        found = {path for path in found if not path.rpartition("/")[2].startswith(("_", "."))} - {CONTROL}
        named = {item.path for item in self.files}
        if wrong := sorted(found ^ named):
            problem = f"it is missing, and {CONTROL} names it" if wrong[0] in named else f"{CONTROL} does not name it"
            raise LedgerError(problem, subject=f"{self.name}, {wrong[0]}", next_step=f"have the ledger write the drop anew, {CONTROL} last")


def _parsed(content: bytes, as_of: datetime, name: str) -> dict[str, Any]:
    """Read a control file."""

    def fail(problem: str) -> LedgerError:
        return LedgerError(problem, subject=f"{name}, {CONTROL}", next_step="have the ledger write the drop anew, see the format")

    try:
        values = json.loads(content, object_pairs_hook=_once, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise fail(f"it is not JSON of the format ({error})") from None
    if not isinstance(values, dict) or values.keys() != _KEYS or values["format"] != FORMAT:
        raise fail(f"it is not an object of the format {FORMAT} with the keys {', '.join(sorted(_KEYS))}")
    if values["as_of"] != format_as_of(as_of):
        raise fail(f"it is of {values['as_of']!r}")
    files = _objects(values["files"], {"path": str, "rows": int, "sha256": str})
    totals = _objects(values["totals"], {name: int if name.endswith("count") else str for name in TOTAL_COLUMNS})
    if files is None or totals is None:
        raise fail("files or totals is not a list of objects of the format, or an amount is not a text")
    paths: set[str] = set()
    for item in files:
        if not FILE_PATH.fullmatch(item["path"]) or ".." in item["path"] or not _HASH.fullmatch(item["sha256"]) or item["rows"] < 0:
            raise fail(f"the file {item['path'][:100]!r} has another name, rows or hash than the format allows")
        if item["path"] in paths:
            raise fail(f"it names {item['path']} twice")
        paths.add(item["path"])
    start = values["flows_from"]
    if start is not None and not isinstance(start, str):
        raise fail("flows_from is neither a moment nor null")
    return {
        "flows_from": None if start is None else parse_as_of(start),
        "files": tuple(DropFile(**item) for item in files),
        "totals": tuple(tuple(str(total[column]) for column in TOTAL_COLUMNS) for total in totals),
    }


def _objects(values: object, kinds: Mapping[str, type]) -> list[dict[str, Any]] | None:
    """Return a list of objects that have exactly these keys and types; none otherwise."""
    if not isinstance(values, list):
        return None
    right = all(
        isinstance(value, dict) and value.keys() == kinds.keys() and all(type(value[key]) is kind for key, kind in kinds.items())
        for value in values
    )
    return values if right else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse(text: str) -> None:
    raise ValueError(f"the number {text[:40]} is not an integer")
