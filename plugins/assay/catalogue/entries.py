"""An entry of a registry, with what is known of it taken over: which of the catalogue's facts hold for it, and which do not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from assay.toml_table import TomlTable

_IDENTITY = ("family", "asset", "network", "chain_id", "genesis")
"""Keys that make a chain the one that it is: an entry that states another value for one of them is another chain."""


def known_chain(raw: TomlTable, chains: TomlTable, name: str) -> TomlTable | None:
    """Return what is known of the chain that an entry describes; None where nothing is, or where it is another chain of that name."""
    if name not in chains.values:
        return None
    known = chains.table(name)
    other = any(raw.values.get(key, value) != value for key, value in known.values.items() if key in _IDENTITY)
    return None if other else known


def check_without(raw: TomlTable, known: TomlTable) -> None:
    """Refuse an entry that leaves out a token which is not known, or which it states itself.

    Raises:
        ConfigError: It does.
    """
    stated, offered = raw.table("tokens").values, known.table("tokens").values
    for symbol in raw.texts("without"):
        if symbol not in offered or symbol in stated:
            raise raw.fail(f"without names {symbol!r}, which {'it states itself' if symbol in stated else 'nothing is known of here'}")


def merged_chain(raw: TomlTable, known: TomlTable | None, assets: Collection[str]) -> TomlTable:
    """Return a chain's entry, its tokens included, over what is known of it.

    Args:
        raw: The entry of chains.toml.
        known: What `known_chain` returned for it.
        assets: Symbols of the registry's assets; a known token of any other is not taken over.
    """
    if known is None:
        return raw
    stated, offered = raw.table("tokens").values, known.table("tokens").values
    left_out = raw.texts("without")
    tokens: dict[str, Any] = {symbol: token for symbol, token in offered.items() if symbol in assets and symbol not in left_out}
    for symbol in stated:
        mine = raw.table("tokens").table(symbol)
        # Another contract has its balances elsewhere and its decimals may be others: nothing of the known one holds for it.
        takes_over = symbol in offered and "contract" not in mine.values
        tokens[symbol] = {**offered[symbol], **mine.values} if takes_over else mine.values
    merged = raw.without("without", "tokens").over(known, "tokens")
    return TomlTable(merged.subject, {**merged.values, "tokens": tokens})
