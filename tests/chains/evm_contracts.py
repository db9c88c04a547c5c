"""Tiny token contracts, put together by hand, that keep balances in known places. Opcodes: https://www.evm.codes."""

from __future__ import annotations

from assay.chains.evm.proofs import slot_key
from sandbox.evm import EvmNode

SELECTORS = {"balanceOf": "70a08231", "decimals": "313ce567", "deprecated": "0e136b19"}

_RETURN_WORD = "5f5260205ff3"  # PUSH0 MSTORE PUSH1 32 PUSH0 RETURN


def token_code(
    position: int = 0, *, layout: str = "solidity", bits: int = 256, times: int = 1, decimals: int = 6, deprecated: bool | None = None
) -> str:
    """Return the code of a token.

    Args:
        position: Slot of the mapping of balances.
        layout: `solidity` or `vyper`.
        bits: How many low bits of the holder's slot are the balance.
        times: What `balanceOf` multiplies them with.
        decimals: What `decimals` answers.
        deprecated: What `deprecated` answers; without that function by default.
    """
    key_at, slot_at = ("5f", "6020") if layout == "solidity" else ("6020", "5f")  # where in memory the hash finds them
    balance = f"600435{key_at}52" + f"7f{position:064x}{slot_at}52" + "60405f2054"  # SLOAD of the hash
    balance += f"7f{(1 << bits) - 1:064x}16" + f"61{times:04x}02"  # AND, MUL
    bodies = {"balanceOf": balance, "decimals": f"60{decimals:02x}"}
    if deprecated is not None:
        bodies["deprecated"] = f"60{int(deprecated):02x}"
    start = 5 + 11 * len(bodies) + 3  # selector, one test for each function, revert
    tests, code = "", ""
    for name, body in bodies.items():
        tests += f"8063{SELECTORS[name]}1461{start + len(code) // 2:04x}57"  # DUP1 PUSH4 EQ PUSH2 JUMPI
        code += "5b" + body + _RETURN_WORD  # JUMPDEST
    return "0x" + "5f3560e01c" + tests + "5f5ffd" + code


def proxy_code(implementation: str) -> str:
    """Return the code of a contract that lets another one's code work on its own storage."""
    return "0x" + "365f5f375f5f365f73" + implementation[2:].lower() + "5af43d5f5f3e602957" + "3d5ffd" + "5b3d5ff3"


def put_balance(node: EvmNode, contract: str, holder: str, value: int, position: int, layout: str = "solidity") -> None:
    """Write a holder's slot; seen from the next block on."""
    node.call("anvil_setStorageAt", contract, slot_key(holder, position, layout), f"0x{value:064x}")
