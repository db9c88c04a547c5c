"""Keys, addresses and contract code of the sandbox's EVM wallets.

Every key is a hash of the chain's name and the wallet's number, so it is known to anybody and exists in the sandbox only.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from eth_abi.abi import encode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from sandbox.anvil import CREATE2_DEPLOYER

OWNERS = 3
"""Owners of a contract wallet."""
THRESHOLD = 2
"""Owners that must agree before a contract wallet spends."""

BALANCES_SLOT = 1
"""Slot of the token's `balanceOf` in contracts/token.vy: Vyper keeps slot 0 for its lock."""
TOKEN_STORAGE = {"balance_slot": BALANCES_SLOT, "slot_layout": "vyper", "balance_bits": 256}
"""Where the token keeps balances, as the registry says it; the token that it stands for keeps them elsewhere."""

_CONTRACTS = Path(__file__).parent / "contracts"


def private_key(chain: str, index: int, role: str = "wallet") -> bytes:
    """Return the secret key of a wallet, or of an owner of a contract wallet (`role`: `owner 0`, …).

    Args:
        chain: Name of the chain.
        index: Number of the wallet on it.
        role: What the key is for.
    """
    return hashlib.sha256(f"assay sandbox, {chain}, {index}, {role}".encode()).digest()


def key_address(key: bytes) -> str:
    """Return the checksummed address of a secret key."""
    public = PrivateKey(key).public_key.format(compressed=False)[1:]
    return str(to_checksum_address(keccak(public)[12:]))


@cache
def address_of(chain: str, index: int, kind: str) -> str:
    """Return a wallet's address, which is known before any node runs.

    Args:
        chain: Name of the chain.
        index: Number of the wallet on it.
        kind: `eoa` (an ordinary account) or `contract`.

    Raises:
        ValueError: Another kind.
    """
    if kind == "eoa":
        return key_address(private_key(chain, index))
    if kind != "contract":
        raise ValueError(f"wallet kind {kind!r} is unknown on EVM chains")
    data = deployment(chain, index)
    salt, code = data[:32], data[32:]
    return str(to_checksum_address(keccak(b"\xff" + bytes.fromhex(CREATE2_DEPLOYER[2:]) + salt + keccak(code))[12:]))


@cache
def owners_of(chain: str, index: int) -> list[tuple[str, bytes]]:
    """Return address and key of a contract wallet's owners, in the ascending order that the contract wants."""
    keys = [private_key(chain, index, f"owner {number}") for number in range(OWNERS)]
    return sorted(((key_address(key), key) for key in keys), key=lambda owner: int(owner[0], 16))


def deployment(chain: str, index: int) -> bytes:
    """Return what the CREATE2 deployer is sent for a contract wallet: salt and initialisation code."""
    arguments = encode(["address[]", "uint256"], [[address for address, _ in owners_of(chain, index)], THRESHOLD])
    return index.to_bytes(32, "big") + bytes.fromhex(artifact("wallet")["bytecode"][2:]) + arguments


@cache
def artifact(name: str) -> dict[str, Any]:
    """Return a compiled contract: `token`, `wallet` or `multicall3`."""
    loaded: dict[str, Any] = json.loads((_CONTRACTS / f"{name}.json").read_text())
    return loaded


@cache
def _function(contract: str, name: str) -> tuple[bytes, list[str]]:
    entry = next(item for item in artifact(contract)["abi"] if item.get("name") == name and item["type"] == "function")
    types = [item["type"] for item in entry["inputs"]]
    return keccak(f"{name}({','.join(types)})".encode())[:4], types


def call_data(contract: str, name: str, *values: object) -> str:
    """Return the data of a call of a contract's function, in hexadecimal."""
    selector, types = _function(contract, name)
    return "0x" + (selector + encode(types, values)).hex()
