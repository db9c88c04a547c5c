"""The facts in force, each with where it comes from: what `assay registry show` prints.

The text is TOML, so that what is to hold whatever the catalogue says later can be copied into the registry's own files. Where a fact comes from
stands behind it: `assets.toml` or `chains.toml` of the registry, the `catalogue` that ships with the program, or the `default` of the key.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from assay import __version__, catalogue
from assay.catalogue import Catalogue
from assay.catalogue.entries import known_chain, merged_chain
from assay.config import Asset, Chain, Settings, Source, Token
from assay.errors import ConfigError
from assay.toml_table import TomlTable

_ASSETS = "assets.toml"
_CHAINS = "chains.toml"


def describe(settings: Settings, chain: str | None = None) -> list[str]:
    """Return the lines that say what holds for all assets and chains, or for one chain.

    Args:
        settings: The configuration in force; it was read without an error, so its registry can be read again.
        chain: The only chain to tell of. It may be one of the catalogue that the registry does not use.

    Raises:
        ConfigError: Neither the registry nor the catalogue has that chain.
    """
    known = Catalogue.shipped()
    assets, _ = TomlTable.read(settings.registry / _ASSETS)
    chains, _ = TomlTable.read(settings.registry / _CHAINS)
    lines = [
        f"# {_ASSETS}, {_CHAINS}: {settings.registry}",
        f"# catalogue: ships with Assay {__version__}",
        *(f"# {sentence}" for sentence in superfluous(settings.registry)),
    ]
    if chain is None:
        for symbol in assets.values:
            lines += _asset(assets.table(symbol), known.assets.table(symbol), symbol)
    for name in chains.values if chain is None else [chain]:
        lines += _chain(settings, chains, known.chains, name)
    return lines


def superfluous(registry: Path) -> list[str]:
    """Return a sentence on each copy of the catalogue in a registry's folder: it has no effect. Settings were loaded, so it contradicts nothing."""
    return [f"{path.name} is not read any more, and can be deleted: the catalogue ships with Assay" for path in catalogue.copies(registry)]


def _asset(stated: TomlTable, known: TomlTable, symbol: str) -> Iterator[str]:
    yield from _table(f"[{symbol}]", Asset, {"symbol"}, stated.over(known).values, stated.values, _ASSETS)


def _chain(settings: Settings, chains: TomlTable, known_chains: TomlTable, name: str) -> Iterator[str]:
    if name not in chains.values and name not in known_chains.values:
        names = sorted({*chains.values, *known_chains.values})
        near = difflib.get_close_matches(name, names, n=1)
        raise ConfigError(
            f"neither {_CHAINS} nor the catalogue has a chain of this name",
            subject=f"chain {name!r}",
            next_step=f"{f'did you mean {near[0]!r}? The' if near else 'the'} known chains are {', '.join(names)}",
        )
    used = name in chains.values
    raw = chains.table(name)
    known = known_chain(raw, known_chains, name)
    # Of a chain that is not used, all that could be taken over is shown.
    merged = merged_chain(raw, known, settings.assets if used else known_chains.table(name).table("tokens").values)
    header = f"[{name}]"
    if not used:
        header += f"  # not in {_CHAINS}: nothing is read from this chain"
    elif known is None and name in known_chains.values:
        header += "  # another chain than the catalogue's of this name, so nothing is taken over"
    yield from _table(header, Chain, {"name", "tokens", "sources"}, merged.values, raw.values, _CHAINS)
    if left_out := raw.texts("without"):
        yield _line("without", list(left_out), _CHAINS)
    for symbol, token in sorted(merged.table("tokens").values.items()):
        mine = raw.table("tokens").table(symbol).values
        yield from _table(f"[{name}.tokens.{symbol}]", Token, {"asset"}, token, mine, _CHAINS)
    for source in raw.tables("sources"):
        yield from _table(f"[[{name}.sources]]", Source, set(), source.values, source.values, _CHAINS)


def _table(header: str, kind: type, given: set[str], merged: Mapping[str, Any], stated: Mapping[str, Any], file: str) -> Iterator[str]:
    """Write a table with every key that its kind has, but for those that the reader gives itself."""
    yield ""
    yield header
    for item in fields(kind):
        if item.name not in given:
            comes_from = file if item.name in stated else "catalogue" if item.name in merged else "default"
            yield _line(item.name, merged.get(item.name, item.default), comes_from)


def _line(key: str, value: object, comes_from: str) -> str:
    # JSON's texts, numbers, truth values and lists of texts are TOML's too.
    return f"{f'{key} = {json.dumps(value, ensure_ascii=False)}':<38}  # {comes_from}"
