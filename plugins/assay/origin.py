"""Where a publication came from: a private note of everything that it was computed from and that it does not contain itself.

One folder a publication, `<lake>/marts/origins/<SHA-256 of its manifest>/`: a copy of the configuration as it was, with the catalogue, and `origin.json`
with the places and digests of the snapshots. With the publication's own evidence that is all that `replay.py` needs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assay import catalogue
from assay.config import Settings
from assay.errors import EvidenceError
from assay.lake import private_folder, replacing_file, sha256_of
from assay.liabilities.shards import liability_files
from assay.ownership.statements import BLOCKS_NAME, FILE_NAME

_NOTE = "origin.json"
_CONFIG = "assay.toml"
_REGISTRY = "registry"
_LIABILITIES = ("shards.json", "control_totals.parquet", "flows.parquet", "origin.json")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a publication was computed from.

    Attributes:
        settings: The configuration as it was, with today's lake.
        wallets: The registry's wallets.
        liabilities: Folder of the liability snapshot.
        prices: The prices.
        revision: Of the publication.
        reason: Of the correction, empty for none.
    """

    settings: Settings
    wallets: Path
    liabilities: Path
    prices: Path
    revision: int
    reason: str


def keep(settings: Settings, manifest_sha256: str, inputs: Mapping[str, Any], prices: Path, index: Path) -> Path:
    """Note what a staged publication came from; returns the note's folder.

    Args:
        settings: The configuration in force.
        manifest_sha256: What stands for the publication.
        inputs: What `attestation.gather_inputs` returned.
        prices: The prices that it was computed with.
        index: The private folder that says which leaves of the tree are whose. It is not needed to compute anything again, and is meant to be
            destroyed one day, so it has no digest here.
    """
    folder = private_folder(_folder(settings, manifest_sha256))
    shutil.copyfile(settings.path, folder / _CONFIG)
    shutil.rmtree(folder / _REGISTRY, ignore_errors=True)
    shutil.copytree(settings.registry, folder / _REGISTRY, copy_function=shutil.copyfile)
    catalogue.keep(folder / _REGISTRY)
    liabilities = Path(inputs["liabilities"])
    wallets = Path(inputs["wallets"])
    files = [
        wallets,
        *(wallets.with_name(name) for name in (FILE_NAME, BLOCKS_NAME)),
        prices,
        *(liabilities / name for name in _LIABILITIES),
        *liability_files(liabilities),
    ]
    content = {
        "wallets": _place(settings, wallets),
        "liabilities": _place(settings, liabilities),
        "prices": _place(settings, prices),
        "index": _place(settings, index),
        "revision": inputs["revision"],
        "reason": inputs["reason"],
        "files": {_place(settings, path): sha256_of(path) for path in files},
    }
    with replacing_file(folder / _NOTE) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True))
    return folder


def find(settings: Settings, manifest_sha256: str) -> Origin:
    """Return what a publication came from.

    Raises:
        EvidenceError: Nothing was noted, or a snapshot that it names is gone or was changed.
    """
    folder = _folder(settings, manifest_sha256)
    content = _note(folder / _NOTE, f"bring back {folder} from a backup; the note is written where the publication was made")
    for place, digest in content["files"].items():
        path = settings.lake / place
        if not path.is_file() or sha256_of(path) != digest:
            raise EvidenceError(
                "it is gone" if not path.is_file() else "it is not the file that the publication was computed from",
                subject=str(path),
                next_step="bring it back from a backup",
            )
    kept = Settings.load(folder / _CONFIG, registry_folder=folder / _REGISTRY)
    return Origin(
        settings=replace(kept, lake=settings.lake),
        wallets=settings.lake / content["wallets"],
        liabilities=settings.lake / content["liabilities"],
        prices=settings.lake / content["prices"],
        revision=content["revision"],
        reason=content["reason"],
    )


def same_liabilities(settings: Settings, one: str, other: str) -> bool:
    """Tell whether two publications were computed from the same balances of every user; without both notes nobody can tell, so no.

    Args:
        settings: Names the lake.
        one: SHA-256 of a publication's manifest.
        other: Of another one's.
    """
    known = []
    for digest in (one, other):
        note = _folder(settings, digest) / _NOTE
        if not note.is_file():
            return False
        content = json.loads(note.read_text())
        known.append(
            [sha256 for place, sha256 in sorted(content["files"].items()) if place.startswith(f"{content['liabilities']}/liabilities/")]
        )
    return known[0] == known[1]


def index_of(settings: Settings, manifest_sha256: str) -> Path:
    """Return the private folder that says which leaves of a publication's tree are whose.

    Raises:
        EvidenceError: Nothing was noted of the publication, or the index was destroyed.
    """
    note = _folder(settings, manifest_sha256) / _NOTE
    content = _note(note, "cut proofs where the publication was made")
    if "index" not in content:
        raise EvidenceError("it names no index of the leaves", subject=str(note), next_step="bring it back from a backup")
    index = settings.lake / content["index"]
    if not index.is_dir():
        raise EvidenceError(
            "the index of its leaves is gone, so no proof can be cut any more",
            subject=f"publication with the manifest {manifest_sha256}",
            next_step="users can check the newer publications; bring the index back from a backup if it was not destroyed on purpose",
        )
    return Path(index)


def _note(path: Path, missing: str) -> dict[str, Any]:
    """Read what was noted of a publication; `missing` is the next step where there is nothing."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise EvidenceError(
            "there is no note of what it was computed from", subject=f"publication with the manifest {path.parent.name}", next_step=missing
        ) from error
    except OSError as error:
        raise EvidenceError(f"it cannot be read ({error.strerror})", subject=str(path), next_step="correct its rights") from error
    except ValueError as error:
        raise EvidenceError(f"it is not JSON: {error}", subject=str(path), next_step="bring it back from a backup") from error
    return content


def _folder(settings: Settings, manifest_sha256: str) -> Path:
    return settings.lake / "marts" / "origins" / manifest_sha256


def _place(settings: Settings, path: Path) -> str:
    """Return a path below the lake, which may be moved as a whole."""
    return path.resolve().relative_to(settings.lake.resolve()).as_posix()
