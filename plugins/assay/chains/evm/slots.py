"""Finding where a token contract keeps its balances, once per token, so that they can be proven from then on.

Most contracts keep them in a mapping from address to amount, and the compiler gives the mapping a slot by the order of declarations. So the
storage of holders with known balances is looked at for every likely slot. What comes out is data for `chains.toml`; that it is right is
proven anew in each reading, because there a proven amount must equal what the contract answers.
Layout: https://docs.soliditylang.org/en/latest/internals/layout_in_storage.html; namespaces: https://eips.ethereum.org/EIPS/eip-7201.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from eth_hash.auto import keccak

from assay.chains.answers import quantity, word
from assay.chains.evidence import EvidenceArchive
from assay.chains.evm import EvmReader
from assay.chains.evm.abi import BALANCE_OF, address_call
from assay.chains.evm.addresses import check_address
from assay.chains.evm.proofs import LAYOUTS, slot_key
from assay.chains.evm.rpc import EvmRpc
from assay.config import Settings
from assay.errors import ConfigError, RegistryError

POSITIONS = 128
"""Slots that are tried, from 0 on; upgradeable contracts keep 50 free ones for each contract that they inherit from."""

_WORD_BITS = 256
# Low bits that a contract may give the balance when it keeps something else in the rest of the word.
_WIDTHS = (256, 255, 254, 253, 252, 248, 240, 224, 192, 160, 128, 112, 104, 96, 64)


def namespace_slot(name: str) -> int:
    """Return the first slot of a storage namespace (ERC-7201)."""
    inner = int.from_bytes(keccak(name.encode()), "big") - 1
    return int.from_bytes(keccak(inner.to_bytes(32, "big")), "big") & ~0xFF


NAMESPACES = ("openzeppelin.storage.ERC20",)
"""Namespaces whose first member is the mapping of balances: OpenZeppelin's upgradeable ERC20 since its version 5."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Where a contract keeps balances; the attributes are those of `config.Token`."""

    balance_slot: int
    slot_layout: str
    balance_bits: int


async def find_slots(rpc: EvmRpc, contract: str, holders: Sequence[str], height: int) -> list[Slot]:
    """Return the slots that hold the balances of all holders; one, unless too few holders were given to tell.

    Args:
        rpc: The node, open.
        contract: The token.
        holders: Addresses with a balance of it, better two than one.
        height: The block to look at.

    Returns:
        None of them where balances stand in no plain slot: computed from shares, scaled by an index, or kept elsewhere.

    Raises:
        RegistryError: A holder has no balance, so nothing could be told apart from an empty slot.
        SourceMismatchError: The node's answer is malformed.
        SourceUnavailableError: No full answer.
    """
    positions = [*range(POSITIONS), *map(namespace_slot, NAMESPACES)]
    found = [Slot(balance_slot=position, slot_layout=layout, balance_bits=_WORD_BITS) for position in positions for layout in LAYOUTS]
    for holder in holders:
        about = f"balance of {holder}"
        result = await rpc.call("eth_call", [{"to": contract, "data": address_call(BALANCE_OF, holder)}, hex(height)], about=about)
        balance = rpc.parsed(word, result, about)
        if not balance:
            raise RegistryError(
                f"it holds nothing of the token at block {height}",
                subject=f"holder {holder}, contract {contract}",
                next_step="name addresses that hold some",
            )
        values = await _values(rpc, contract, holder, found, height)
        bits = [_balance_bits(value, balance, slot.balance_bits) for slot, value in zip(found, values, strict=True)]
        found = [replace(slot, balance_bits=width) for slot, width in zip(found, bits, strict=True) if width]
    return found


def search(
    settings: Settings, chain_name: str, symbol: str, holders: Sequence[str], *, connect: Callable[[str], str], source_name: str = ""
) -> tuple[int, list[Slot]]:
    """Look for a registry token's slot in the newest final block.

    Args:
        settings: The configuration.
        chain_name: The chain.
        symbol: The token's asset.
        holders: Addresses that hold some of it.
        connect: Turns the name of a Connection into an address.
        source_name: The source to ask; the chain's first one by default.

    Returns:
        Height of the block, and what `find_slots` found.

    Raises:
        ConfigError: It is no EVM chain, has no such token, or no holder was named.
        RegistryError: A holder's address is wrong, or it has no balance.
        SourceMismatchError: The node serves another chain, or its answers are malformed.
        SourceUnavailableError: No full answer.
    """
    chain = settings.chain(chain_name)
    if chain.family != "evm" or symbol not in chain.tokens or not holders:
        raise ConfigError(
            "a slot is looked for of a token of an EVM chain, with at least one address that holds it",
            subject=f"chain {chain_name}, token {symbol}",
            next_step="add the token to chains.toml, and name two holders",
        )
    checked = [check_address(chain, holder) for holder in holders]
    source = chain.source(source_name) if source_name else chain.sources[0]
    # Proofs need the very slot that is looked for.
    reader = EvmReader(
        replace(chain, proofs=False),
        source,
        assets=dict(settings.assets),
        archive=EvidenceArchive(f"chain {chain_name}, slot of {symbol}"),
        url=connect(source.connection),
    )

    async def ask() -> tuple[int, list[Slot]]:
        async with reader:
            await reader.check_network()
            height = (await reader.final_header()).number
            return height, await find_slots(reader.rpc, chain.tokens[symbol].contract, checked, height)

    return asyncio.run(ask())


def describe(symbol: str, height: int, slots: Sequence[Slot], holders: int) -> list[str]:
    """Return what was found, as lines for `chains.toml`."""
    if not slots:
        return [
            f"# {symbol}: no plain slot holds its balances at block {height}",
            "balance_slot = -1",
            'slot_note = "say why: rebasing, shares, another contract"',
        ]
    if len(slots) > 1:
        return [f"# {symbol}: {len(slots)} slots fit at block {height}; name further holders to tell them apart"]
    (slot,) = slots
    return [
        f"# {symbol}: found at block {height} with {holders} holders{'' if holders > 1 else ' (name a second one to be sure)'}",
        f"balance_slot = {slot.balance_slot}",
        f'slot_layout = "{slot.slot_layout}"',
        f"balance_bits = {slot.balance_bits}",
    ]


async def _values(rpc: EvmRpc, contract: str, holder: str, slots: Sequence[Slot], height: int) -> list[int]:
    calls = [("eth_getStorageAt", [contract, slot_key(holder, slot.balance_slot, slot.slot_layout), hex(height)]) for slot in slots]
    about = f"storage of {contract} for {holder}"
    size = rpc.source.batch_size
    values: list[int] = []
    for start in range(0, len(calls), size):
        results = await rpc.batch(calls[start : start + size], about=lambda _: about)
        values += [rpc.parsed(quantity, result, about) for result in results]
    return values


def _balance_bits(value: int, balance: int, most: int) -> int:
    """Return how many low bits of a value may be the balance, at most so many as fitted the holders before; 0 for none."""
    differing = value ^ balance
    same = (differing & -differing).bit_length() - 1 if differing else _WORD_BITS
    fitting = [width for width in _WIDTHS if balance.bit_length() <= width <= min(same, most)]
    return max(fitting, default=0)
