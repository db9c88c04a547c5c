"""Refusals that families share: of kinds and rules that they don't know, and of tokens that are not what the registry says."""

from __future__ import annotations

from assay.chains.interface import Facts
from assay.config import Chain, Source, Token
from assay.errors import ConfigError, RegistryError


def require_known(facts: Facts, chain: Chain, source: Source) -> None:
    """Make sure that a family knows the protocol of a source and the finality rule of a chain.

    Raises:
        ConfigError: It does not.
    """
    for value, known, where in (
        (source.kind, facts.kinds, f"source {source.name}"),
        (chain.finality, facts.finality, f"chain {chain.name}"),
    ):
        if value not in known:
            raise ConfigError(f"{value!r} is unknown to this family", subject=where, next_step=f"use {' or '.join(known)} in chains.toml")


def bad_token(chain: Chain, token: Token, problem: str) -> RegistryError:
    """Return the error of a token that is not what the registry says."""
    return RegistryError(
        problem,
        subject=f"token {token.asset} of {chain.name}, contract {token.contract}",
        next_step="correct the token in chains.toml",
    )
