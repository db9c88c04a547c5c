"""What is the same for everybody: assets and chains as they ship with the program, in `assets.toml` and `chains.toml` beside this file.

A registry's own files say only what is its owner's; whatever an entry of a known name does not state itself is taken from here
(`entries.py`). Registries once held copies, `known_assets.toml` and `known_chains.toml`. Such copies have no effect any more, except in a
registry that was kept for `assay replay`, where they are the catalogue as it was (`config_chains.read_registry`).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from assay.toml_table import TomlTable

FOLDER = Path(__file__).resolve().parent
"""Where the catalogue stands."""

_FILES = ("assets.toml", "chains.toml")
_COPIES = ("known_assets.toml", "known_chains.toml")


@dataclass(frozen=True)
class Catalogue:
    """What is known of assets and chains.

    Attributes:
        assets: By symbol.
        chains: By name.
        digests: SHA-256 of both files; empty for one that is not there.
    """

    assets: TomlTable
    chains: TomlTable
    digests: tuple[str, str]

    @classmethod
    def shipped(cls) -> Self:
        """Read the catalogue of this program.

        Raises:
            ConfigError: A file of it is missing or malformed.
        """
        (assets, assets_digest), (chains, chains_digest) = (TomlTable.read(FOLDER / name) for name in _FILES)
        return cls(assets, chains, (assets_digest, chains_digest))

    @classmethod
    def copied(cls, folder: Path) -> Self:
        """Read the copies in a registry's folder; nothing is known where there is none.

        Raises:
            ConfigError: A copy is malformed.
        """
        (assets, assets_digest), (chains, chains_digest) = (
            TomlTable.read(path) if path.exists() else (TomlTable(str(path), {}), "") for path in (folder / name for name in _COPIES)
        )
        return cls(assets, chains, (assets_digest, chains_digest))


def copies(folder: Path) -> list[Path]:
    """Return the copies of the catalogue that stand in a registry's folder."""
    return [path for path in (folder / name for name in _COPIES) if path.exists()]


def keep(folder: Path) -> None:
    """Put the catalogue beside a registry that is kept, so that it can be read again as it was after the catalogue has changed."""
    for name, copy in zip(_FILES, _COPIES, strict=True):
        shutil.copyfile(FOLDER / name, folder / copy)
