"""Copies of the catalogue in a registry's folder, held against the catalogue.

Their facts went stale unseen while they were read, so they are read no more. Somebody may have edited one on purpose, though, and must not lose
that in silence: where a copy would give an asset or chain in use another fact than the catalogue does, nothing is loaded until its owner has said
in `assets.toml` or `chains.toml` what is to hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from assay.catalogue import Catalogue, copies
from assay.catalogue.entries import known_chain, merged_chain
from assay.errors import ConfigError
from assay.toml_table import TomlTable


def check_copies(folder: Path, assets: TomlTable, chains: TomlTable, catalogue: Catalogue) -> None:
    """Refuse copies of the catalogue that would change a fact in use.

    Args:
        folder: The registry's, with the copies.
        assets: Its `assets.toml`.
        chains: Its `chains.toml`.
        catalogue: What is in force.

    Raises:
        ConfigError: They would; every such fact is named. Or a copy is no TOML.
    """
    found = copies(folder)
    copied = Catalogue.copied(folder)
    # A file that is not there contradicts nothing.
    here = Catalogue(
        copied.assets if copied.digests[0] else catalogue.assets, copied.chains if copied.digests[1] else catalogue.chains, copied.digests
    )
    then, now = (dict(_facts(assets, chains, known)) for known in (here, catalogue))
    different = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    if different:
        told = "; ".join(f"{key} is {_said(then, key)} there, and {_said(now, key)} in the catalogue" for key in different)
        names = " and ".join(path.name for path in found)
        raise ConfigError(
            f"{names} would change facts in use, but the catalogue that ships with Assay is in force and copies of it are not read: {told}",
            subject=str(folder),
            next_step="write into assets.toml or chains.toml each of these facts that is to stay as it is there "
            '(a token that the catalogue adds is left out with without = ["SYMBOL"]), then delete the copies',
        )


def _facts(assets: TomlTable, chains: TomlTable, catalogue: Catalogue) -> Iterator[tuple[str, Any]]:
    for symbol in assets.values:
        merged = assets.table(symbol).over(catalogue.assets.table(symbol))
        yield from _flat(f"{symbol}", merged.values)
    for name in chains.values:
        raw = chains.table(name)
        yield from _flat(
            name, merged_chain(raw, known_chain(raw, catalogue.chains, name), assets.values).without("sources", "without").values
        )


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}", value


def _said(facts: Mapping[str, Any], key: str) -> str:
    return repr(facts[key]) if key in facts else "not stated"
