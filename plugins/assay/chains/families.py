"""Which module reads which chain family. Adding a family is one module or package, and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from assay.chains.interface import Family
from assay.config import Chain
from assay.errors import ConfigError, did_you_mean

_MODULES = {
    "aelf": "assay.chains.aelf",
    "aptos": "assay.chains.aptos",
    "bitcoin": "assay.chains.bitcoin",
    "eos": "assay.chains.eos",
    "ethereum_beacon": "assay.chains.ethereum_beacon",
    "evm": "assay.chains.evm",
    "filecoin": "assay.chains.filecoin",
    "polkadot": "assay.chains.polkadot",
    "ripple": "assay.chains.ripple",
    "solana": "assay.chains.solana",
    "ton": "assay.chains.ton",
    "tron": "assay.chains.tron",
}


def family_of(chain: Chain) -> Family:
    """Return the family of a chain, imported only now because families bring heavy libraries.

    Raises:
        ConfigError: No such family.
    """
    if chain.family not in _MODULES:
        raise ConfigError(
            f"the family {chain.family!r} is unknown{did_you_mean(chain.family, _MODULES)}",
            subject=f"chain {chain.name}",
            next_step=f"choose one of {', '.join(sorted(_MODULES))}",
        )
    return cast("Family", import_module(_MODULES[chain.family]))
