"""The manifest: what a publication consists of, in one file whose SHA-256 stands for all of it.

Format, byte by byte: `docs/formats/manifest.md`. It holds no wall-clock time and no address of a server, so two runs over the same
evidence give the same bytes. Signing it is not this module's business.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import rfc8785

from assay.commitments.format import COMMITMENT_FILE
from assay.commitments.pipeline import TREE
from assay.config import Settings
from assay.errors import PublicationError
from assay.lake import format_as_of, sha256_of
from assay.publication.log import LogEntry
from assay.warehouse.digest import canonical_digest

FORMAT = "assay-manifest-v1"
FILE_NAME = "manifest.json"

_BRING_BACK = "bring it back from a copy of the publication; of one that is only staged, clear stage_publication and what follows"
TABLES = (
    "address_ownership",
    "coverage",
    "deposit_deltas",
    "liability_commitment",
    "prices",
    "reconciliation",
    "reserve_deltas",
    "reserve_ratios",
    "reserve_stability",
    "snapshot_blocks",
    "wallet_balances",
)
"""What is published, and nothing else: a table that is not named here (rows of users above all) never gets into a publication."""


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Why a moment is published again.

    Attributes:
        revision: 2 for the first correction.
        replaces: The publication that it takes the place of.
        reason: For the public, in a sentence.
    """

    revision: int
    replaces: LogEntry
    reason: str


def build(
    folder: Path, settings: Settings, *, as_of: datetime, previous: LogEntry | None, correction: Correction | None, version: str
) -> bytes:
    """Describe a finished folder.

    Args:
        folder: Everything that is to be published, without the manifest.
        settings: For series, entity, sources and the configuration's digest.
        as_of: The attested moment.
        previous: The publication that the deltas are taken from.
        correction: What is corrected; None for a first publication.
        version: Version of the code.

    Returns:
        The canonical JSON that `manifest.json` consists of.
    """
    blocks = pq.read_table(folder / "tables" / "snapshot_blocks.parquet").sort_by("chain").to_pylist()
    replaces = {**_reference(correction.replaces), "reason": correction.reason} if correction else None
    return rfc8785.dumps(
        {
            "as_of": format_as_of(as_of),
            "code_version": version,
            "configuration_sha256": settings.digest,
            "entity": settings.entity,
            "files": [_file(folder, path) for path in listed_files(folder)],
            "format": FORMAT,
            "liability_commitment": json.loads((folder / TREE / COMMITMENT_FILE).read_bytes())["commitment"],
            "previous": _reference(previous) if previous else None,
            "replaces": replaces,
            "revision": correction.revision if correction else 1,
            "series": settings.series,
            "snapshot_blocks": [_block(row) for row in blocks],
            "sources": [_sources(row, settings) for row in blocks],
        }
    )


def listed_files(folder: Path) -> list[Path]:
    """Return every file of a publication but the manifest, in the order in which the manifest lists them.

    Raises:
        PublicationError: Something is neither a plain file nor a folder; a link may lead out of what is published.
    """
    found = sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix().encode())
    for path in found:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise PublicationError("it is not a plain file", subject=str(path), next_step="put the file itself there")
    return [path for path in found if path.is_file() and path != folder / FILE_NAME]


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of a publication's folder.

    Raises:
        PublicationError: It is missing or not a manifest of this format.
    """
    path = folder / FILE_NAME
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise PublicationError(
            f"it holds no {FILE_NAME}, so it is no publication",
            subject=str(folder),
            next_step="name the folder of a publication; `assay status` lists them",
        ) from error
    except OSError as error:
        raise PublicationError(f"it cannot be read ({error.strerror})", subject=str(path), next_step="correct its rights") from error
    except ValueError as error:
        raise PublicationError(f"it is not JSON: {error}", subject=str(path), next_step=_BRING_BACK) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise PublicationError(f"it is not of the format {FORMAT}", subject=str(path), next_step=_BRING_BACK)
    return values


def check_files(folder: Path, values: dict[str, Any]) -> None:
    """Make sure that a folder holds the files of a manifest and no others.

    Raises:
        PublicationError: A file is missing, changed or not listed.
    """
    found = {path.relative_to(folder).as_posix(): path for path in listed_files(folder)}
    listed = {item["path"]: item for item in values["files"]}
    if found.keys() != listed.keys():
        name = min(found.keys() ^ listed.keys())
        raise PublicationError(
            "it is listed and missing" if name in listed else "it is not listed in the manifest",
            subject=str(folder / name),
            next_step=_BRING_BACK,
        )
    for name, path in found.items():
        if sha256_of(path) != listed[name]["sha256"]:
            raise PublicationError("it is not the file that the manifest lists", subject=str(path), next_step=_BRING_BACK)


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Name what differs between two manifests: files by path, everything else by key."""
    files: Sequence[dict[str, dict[str, Any]]] = [{item["path"]: item for item in values["files"]} for values in (one, other)]
    names = [name for name in sorted(files[0].keys() | files[1].keys()) if files[0].get(name) != files[1].get(name)]
    return names + [key for key in sorted(one.keys() | other.keys()) if key != "files" and one.get(key) != other.get(key)]


def digest(content: bytes) -> str:
    """Return what the log and the next manifest call a manifest by: the SHA-256 of its bytes."""
    return hashlib.sha256(content).hexdigest()


def _file(folder: Path, path: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": path.relative_to(folder).as_posix(), "sha256": sha256_of(path), "size": path.stat().st_size}
    if entry["path"].startswith("tables/"):
        entry |= {"rows": pq.ParquetFile(path).metadata.num_rows, "rows_sha256": canonical_digest(path)}
    return entry


def _reference(entry: LogEntry) -> dict[str, Any]:
    values = {key: value for key, value in asdict(entry).items() if key in {"revision", "folder", "manifest_sha256"}}
    return values | {"as_of": format_as_of(entry.as_of)}


def _block(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("chain", "height", "hash", "finality", "distance_seconds")} | {"time": format_as_of(row["time"])}


def _sources(row: dict[str, Any], settings: Settings) -> dict[str, Any]:
    named = [
        {"kind": source.kind, "name": source.name}
        for source in sorted(settings.chain(row["chain"]).sources, key=lambda source: source.name)
    ]
    return {"agreed": row["sources_agreed"], "asked": row["sources_asked"], "chain": row["chain"], "sources": named}
