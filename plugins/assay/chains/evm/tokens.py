"""What a token contract must be for its balances to be counted: there, of the registry's decimals, and not closed down.

Functions: https://eips.ethereum.org/EIPS/eip-20; `deprecated()` is what Tether's contracts answer once another contract has replaced them
(https://etherscan.io/address/0xdac17f958d2ee523a2206206994597c13d831ec7#code).
"""

from __future__ import annotations

from eth_hash.auto import keccak

from assay.chains.checks import bad_token
from assay.chains.evm.abi import DECIMALS, DEPRECATED
from assay.chains.evm.addresses import check_address
from assay.chains.evm.rpc import EvmRpc
from assay.chains.interface import SnapshotBlock
from assay.config import Chain, Token
from assay.errors import RegistryError

_WORD = 32
_NO_CODE_HASH = "0x" + keccak(b"").hex()


NATIVE_CONTRACTS = frozenset(
    {
        "0x0000000000000000000000000000000000000802",
        "0x0000000000000000000000000000000000001010",
        "0x000000000000000000000000000000000000800a",
        "0x471ece3750da237f93b8e339c536989b8978a438",
        "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0000",
    }
)
"""Contracts whose `balanceOf` is the native balance, so that it would count twice: of Moonbeam, Polygon, zkSync Era, Celo, and Optimism and its like.

Sources: https://docs.moonbeam.network/builders/ethereum/precompiles/ux/erc20/, https://github.com/maticnetwork/contracts/blob/main/contracts/child/MRC20.sol,
https://docs.zksync.io/zksync-protocol/era-vm/contracts/system-contracts#l2basetoken, https://docs.celo.org/legacy/protocol/celo-token,
https://specs.optimism.io/protocol/predeploys.html#legacyerc20eth.
"""


def check_contracts(chain: Chain) -> None:
    """Refuse a token whose contract is no address, or that is the native asset under another name.

    Raises:
        RegistryError: There is one.
    """
    for token in chain.tokens.values():
        try:
            # Whether the contract is the right one is asked of the chain; here its spelling need not be a checksum.
            check_address(chain, token.contract.lower())
        except RegistryError as error:
            raise bad_token(chain, token, error.problem) from error
        if token.contract.lower() in NATIVE_CONTRACTS:
            raise bad_token(chain, token, f"the contract gives the balances of {chain.asset}, which would be counted twice")


async def check_token(rpc: EvmRpc, token: Token, block: SnapshotBlock) -> None:
    """Make sure that a token contract is what the registry says, at a block.

    Raises:
        RegistryError: It isn't there, has other decimals, or says that it is deprecated.
        SourceMismatchError: The node's answer is malformed.
        SourceUnavailableError: No full answer.
    """

    def fail(problem: str) -> RegistryError:
        return bad_token(rpc.chain, token, f"{problem} at block {block.height} (source {rpc.source.name})")

    if await rpc.code_hash(token.contract, block, f"code of {token.asset}") == _NO_CODE_HASH:
        raise fail("there is no contract")
    result = await rpc.answer(token.contract, DECIMALS, block, f"decimals of {token.asset}")
    if result is None:
        raise fail("the contract has no decimals()")
    if len(result) != _WORD:
        raise fail(f"the contract's decimals() answers wrongly: the result has {len(result)} bytes and not 32")
    if (decimals := int.from_bytes(result)) != token.decimals:
        raise fail(f"the contract has {decimals} decimals and the registry says {token.decimals}")
    # Nearly all contracts have no such function: they revert the call, or take any call and return nothing.
    if not (result := await rpc.answer(token.contract, DEPRECATED, block, f"deprecation of {token.asset}")):
        return
    if len(result) != _WORD or (flag := int.from_bytes(result)) > 1:
        raise fail("the contract's deprecated() answers neither yes nor no")
    if flag:
        raise fail("the contract says that it is deprecated")
