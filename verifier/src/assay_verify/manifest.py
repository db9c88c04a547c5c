"""The manifest and the files it lists. Format: docs/formats/manifest.md, `assay-manifest-v1`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from assay_verify import rows
from assay_verify.canonical_json import Shape, check_shape, read_object, sha256
from assay_verify.findings import Check, Findings, MalformedError
from assay_verify.tables import KEYS, parse_time

FORMAT = "assay-manifest-v1"
FILE_NAME = "manifest.json"
FOLDER_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z(\.r[1-9]\d*)?")
HEX = re.compile("[0-9a-f]{64}")
_PIECE = 1 << 20

_NONE = type(None)
_SHAPE: Shape = {
    "as_of": str,
    "code_version": str,
    "configuration_sha256": str,
    "entity": str,
    "files": list,
    "format": str,
    "liability_commitment": str,
    "previous": (dict, _NONE),
    "replaces": (dict, _NONE),
    "revision": int,
    "series": str,
    "snapshot_blocks": list,
    "sources": list,
}
_REFERENCE: Shape = {"as_of": str, "folder": str, "manifest_sha256": str, "revision": int}
_FILE: Shape = {"path": str, "sha256": str, "size": int}
_TABLE: Shape = {**_FILE, "rows": int, "rows_sha256": str}
_BLOCK: Shape = {"chain": str, "distance_seconds": int, "finality": str, "hash": str, "height": int, "time": str}
_SOURCES: Shape = {"agreed": int, "asked": int, "chain": str, "sources": list}
_SOURCE: Shape = {"kind": str, "name": str}


@dataclass(frozen=True)
class Manifest:
    """A manifest that is canonical and of the known format.

    Attributes:
        values: Its members.
        sha256: Of its bytes; the log calls it by that.
        as_of: The attested moment.
    """

    values: dict[str, Any]
    sha256: str
    as_of: datetime

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Listed files by path."""
        return {item["path"]: item for item in self.values["files"]}


def read(folder: Path) -> Manifest:
    """Read the manifest of a publication.

    Raises:
        MalformedError: It is not canonical, of an unknown format, or lists something that no publication may hold.
    """
    content = (folder / FILE_NAME).read_bytes()
    values = read_object(content, _SHAPE, subject=FILE_NAME)
    if values["format"] != FORMAT:
        raise MalformedError(
            f"the manifest is of the format {values['format']!r}, and this verifier knows {FORMAT}; use the verifier of that format"
        )
    if not HEX.fullmatch(values["liability_commitment"]):
        raise MalformedError(f"{FILE_NAME}: liability_commitment is not a SHA-256 in lower-case hexadecimal digits")
    _check_references(values)
    for item in values["files"]:
        _check_file(item)
    paths = [item["path"] for item in values["files"]]
    if paths != sorted(set(paths), key=str.encode):
        raise MalformedError(f"{FILE_NAME} lists files twice or out of order")
    _check_lists(values)
    if (values["revision"] == 1) != (values["replaces"] is None) or values["revision"] < 1:
        raise MalformedError(f"{FILE_NAME}: a first publication replaces nothing, and every later revision names what it replaces")
    return Manifest(values, sha256(content), parse_time(values["as_of"], subject=f"{FILE_NAME}, as_of"))


def check_files(findings: Findings, folder: Path, manifest: Manifest) -> None:
    """Hold the folder against the list: every file, its size and digest, nothing else, and a contract beside each table."""
    with findings.check("files.complete", "The folder holds the files that the manifest lists, and no others.") as check:
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()} - {FILE_NAME}
        for name in sorted(found | manifest.files.keys()):
            check.expect(name in found, f"{name} is listed and not there")
            check.expect(name in manifest.files, f"{name} is there and not listed")
            check.expect(not (folder / name).is_symlink(), f"{name} is a link, which may lead anywhere")
    with findings.check("files.digests", "Every listed file has the listed size and SHA-256.") as check:
        for name, item in manifest.files.items():
            path = folder / name
            if path.is_file():
                size, digest = measure(path)
                check.expect((size, digest) == (item["size"], item["sha256"]), f"{name} was changed: {size} bytes with SHA-256 {digest}")
    with findings.check("files.contracts", "Every table of this format is there, each with its contract.") as check:
        for table in KEYS:
            check.expect(f"tables/{table}.parquet" in manifest.files, f"the table {table} is missing")
            check.expect(
                manifest.files.get(f"contracts/{table}.odcs.yaml", {}).get("size", 0) > 0, f"the contract of {table} is missing or empty"
            )
        for name in manifest.files:
            listed = PurePosixPath(name)
            if listed.parts[0] == "tables":
                check.expect(
                    listed.stem in KEYS and name == f"tables/{listed.stem}.parquet", f"{name} is a table that this verifier does not know"
                )


def check_rows(findings: Findings, folder: Path, manifest: Manifest) -> None:
    """Recompute row count and canonical digest of every table."""
    with findings.check("files.rows", "Every table has the listed number of rows, and its rows have the listed canonical digest.") as check:
        for name, item in manifest.files.items():
            if "rows" in item:
                _check_table_rows(check, folder / name, item)


def _check_table_rows(check: Check, path: Path, item: dict[str, Any]) -> None:
    try:
        count, digest = rows.digest(path)
    except MalformedError as error:
        check.expect(held=False, failure=f"{item['path']}: {error}")
        return
    check.expect(count == item["rows"], f"{item['path']} has {count} rows, not {item['rows']}")
    check.expect(digest == item["rows_sha256"], f"{item['path']}: the canonical digest of its rows is {digest}, not the listed one")


def _check_references(values: dict[str, Any]) -> None:
    for key, shape in (("previous", _REFERENCE), ("replaces", {**_REFERENCE, "reason": str})):
        if values[key] is not None:
            check_shape(values[key], shape, subject=f"{FILE_NAME}, {key}")
            if not FOLDER_NAME.fullmatch(values[key]["folder"]):
                raise MalformedError(f"{FILE_NAME}, {key}: {values[key]['folder']!r} is not the name of a publication")


def _check_lists(values: dict[str, Any]) -> None:
    for block in values["snapshot_blocks"]:
        check_shape(block, _BLOCK, subject=f"{FILE_NAME}, snapshot_blocks")
    for sources in values["sources"]:
        check_shape(sources, _SOURCES, subject=f"{FILE_NAME}, sources")
        for source in sources["sources"]:
            check_shape(source, _SOURCE, subject=f"{FILE_NAME}, sources")


def _check_file(item: object) -> None:
    path = str(item.get("path")) if isinstance(item, dict) else ""
    if "\\" in path or "\0" in path or any(part in {"", ".", ".."} for part in path.split("/")) or path == FILE_NAME:
        raise MalformedError(f"{FILE_NAME} lists {path!r}, which is no path inside a publication")
    values = check_shape(item, _TABLE if path.startswith("tables/") else _FILE, subject=f"{FILE_NAME}, files, {path}")
    if not HEX.fullmatch(values["sha256"]) or values["size"] < 0:
        raise MalformedError(f"{FILE_NAME}: size or digest of {path} is malformed")


def measure(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file, read in bounded pieces."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()
