"""What a scheme may ask a chain, at the report's block, where an address alone doesn't say who signs for it.

Whoever calls hands these in, with a node or an archive of a node's answers behind them. A read that fails must raise an error of the caller's own, which
passes through the schemes as it is: it is neither "verified" nor "not verified".
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

KeysOf = Callable[[str], Collection[bytes]]
"""Returns what signs for an account at the block, each alone and with full power; empty for nobody. What stands for a key differs by chain: Aptos
authentication keys, Starknet public keys in 32 bytes, otherwise the keys themselves, compressed."""


class RevertedError(Exception):
    """A contract's execution ended in a revert: the node's answer, not a failure to answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contracts:
    """The contracts of an EVM chain at one block.

    Attributes:
        call: Returns what a contract answers: address, data, block hash (`eth_call`, EIP-1898). Raises RevertedError.
        code: Returns a contract's code, empty for none: address, block hash (`eth_getCode`).
        block_hash: Of the report's block.
    """

    call: Callable[[str, bytes, str], bytes]
    code: Callable[[str, str], bytes]
    block_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainState:
    """All of it; None for what cannot be asked.

    Attributes:
        keys_of: See above.
        contracts: See above.
    """

    keys_of: KeysOf | None = None
    contracts: Contracts | None = None
