"""What a stranger must know of the chains to check the evidence: `evidence/chains.json`. Format: `docs/formats/evidence.md`."""

from __future__ import annotations

from typing import Any

import rfc8785

from assay.chains.families import family_of
from assay.chains.interface import assets_of
from assay.config import Chain, Settings

FILE_NAME = "chains.json"


def chain_facts(settings: Settings) -> bytes:
    """Return the facts about all configured chains as canonical JSON; no address of a server is among them."""
    return rfc8785.dumps({name: _facts(settings, chain) for name, chain in settings.chains.items()})


def _facts(settings: Settings, chain: Chain) -> dict[str, Any]:
    return {
        "family": chain.family,
        "asset": chain.asset,
        "chain_id": chain.chain_id,
        "network": chain.network,
        "genesis": chain.genesis,
        "proofs": chain.proofs,
        "past": family_of(chain).FACTS.past,
        "sources": [{"name": source.name, "kind": source.kind} for source in chain.sources],
        "decimals": {symbol: settings.assets[symbol].decimals for symbol in assets_of(chain)},
        "tokens": {
            symbol: {
                "contract": token.contract,
                "decimals": token.decimals,
                # A namespaced slot (ERC-7201) is beyond the integers that RFC 8785 can write.
                "balance_slot": token.balance_slot if token.balance_slot < 1 << 53 else str(token.balance_slot),
                "slot_layout": token.slot_layout,
                "balance_bits": token.balance_bits,
                "slot_note": token.slot_note,
            }
            for symbol, token in chain.tokens.items()
        },
    }
