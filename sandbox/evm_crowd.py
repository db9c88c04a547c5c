"""Many funded addresses at once, for benchmarks and for tests of bulk reading."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from sandbox.anvil import Anvil, Call
from sandbox.evm_accounts import BALANCES_SLOT

_BATCH = 2_000


@dataclass(frozen=True, kw_only=True)
class Funded:
    """An address nobody has the key of, and what it holds.

    Attributes:
        address: Checksummed.
        native: Base units of the native asset.
        token: Base units of each token.
    """

    address: str
    native: int
    token: int


def fund_crowd(node: Anvil, *, token_contract: str, count: int, further_tokens: Sequence[str] = ()) -> list[Funded]:
    """Write balances of `count` addresses straight into the newest state, and mine a block on top of it.

    Every seventh address holds no ether and every fifth no tokens.

    Args:
        node: A running node.
        token_contract: The token.
        count: How many addresses.
        further_tokens: Addresses that get the token's code too, and the same balances.
    """
    crowd = [_member(index) for index in range(count)]
    code = node.call("eth_getCode", token_contract, "latest")
    calls: list[Call] = [("anvil_setCode", [contract, code]) for contract in further_tokens]
    for member in crowd:
        # Vyper hashes the mapping's slot before the key; Solidity the other way round.
        slot = keccak(BALANCES_SLOT.to_bytes(32, "big") + bytes.fromhex(member.address[2:]).rjust(32, b"\0"))
        calls.append(("anvil_setBalance", [member.address, hex(member.native)]))
        value = f"0x{member.token:064x}"
        calls += [("anvil_setStorageAt", [contract, "0x" + slot.hex(), value]) for contract in (token_contract, *further_tokens)]
    for start in range(0, len(calls), _BATCH):
        node.batch(calls[start : start + _BATCH])
    node.mine_many(1, 12)
    return crowd


def _member(index: int) -> Funded:
    digest = hashlib.sha256(f"assay sandbox crowd {index}".encode()).digest()
    native = 0 if index % 7 == 0 else int.from_bytes(digest[:8], "big") + 1
    token = 0 if index % 5 == 0 else int.from_bytes(digest[8:14], "big") + 1
    return Funded(address=str(to_checksum_address(digest[12:])), native=native, token=token)
