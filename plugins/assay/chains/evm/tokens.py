"""What a token contract must be for its balances to be counted: there, of the registry's decimals, and not closed down.

Functions: https://eips.ethereum.org/EIPS/eip-20; `deprecated()` is what Tether's contracts answer once another contract has replaced them
(https://etherscan.io/address/0xdac17f958d2ee523a2206206994597c13d831ec7#code).
"""

from __future__ import annotations

from eth_hash.auto import keccak

from assay.chains.answers import AnswerError, word
from assay.chains.evm.abi import DECIMALS, DEPRECATED
from assay.chains.evm.rpc import REVERTED, EvmRpc, at
from assay.chains.interface import SnapshotBlock
from assay.chains.jsonrpc import RefusedError
from assay.config import Token
from assay.errors import RegistryError

_NO_CODE_HASH = "0x" + keccak(b"").hex()


async def check_token(rpc: EvmRpc, token: Token, block: SnapshotBlock) -> None:
    """Make sure that a token contract is what the registry says, at a block.

    Raises:
        RegistryError: It isn't there, has other decimals, or says that it is deprecated.
        SourceMismatchError: The node's answer is malformed.
        SourceUnavailableError: No full answer.
    """

    def fail(problem: str) -> RegistryError:
        return RegistryError(
            f"{problem} at block {block.height} (source {rpc.source.name})",
            subject=f"token {token.asset} of {rpc.chain.name}, contract {token.contract}",
            next_step="correct the token in chains.toml",
        )

    if await rpc.code_hash(token.contract, block, f"code of {token.asset}") == _NO_CODE_HASH:
        raise fail("there is no contract")
    params = [{"to": token.contract, "data": DECIMALS}, at(block)]
    try:
        result = await rpc.call("eth_call", params, about=f"decimals of {token.asset}")
        decimals = word(result)
    except RefusedError as error:
        if error.code != REVERTED:
            raise
        raise fail("the contract has no decimals()") from error
    except AnswerError as error:
        raise fail(f"the contract's decimals() answers wrongly: {error}") from error
    rpc.archive.record("eth_call", params, result)
    if decimals != token.decimals:
        raise fail(f"the contract has {decimals} decimals and the registry says {token.decimals}")
    if await _deprecated(rpc, token, block):
        raise fail("the contract says that it is deprecated")


async def _deprecated(rpc: EvmRpc, token: Token, block: SnapshotBlock) -> bool:
    params = [{"to": token.contract, "data": DEPRECATED}, at(block)]
    try:
        result = await rpc.call("eth_call", params, about=f"deprecation of {token.asset}")
        found = word(result) == 1
    except (RefusedError, AnswerError):
        return False  # it has no such function, as nearly all have none; the same node has just answered decimals() at this block
    rpc.archive.record("eth_call", params, result)
    return found
