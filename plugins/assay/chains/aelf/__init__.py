"""The `aelf` family: ELF and the other tokens of aelf's MultiToken contract, on the main chain AELF and the side chain tDVV.

API: https://docs.aelf.io/en/latest/reference/web-api/web-api.html (source: `AElf.WebApp.Application.Chain` of
https://github.com/AElfProject/AElf). Balances are views of the token contract, called with `executeTransaction`.

**Which state.** A node executes a view on its best chain's newest block and on no other. So after all reads the reader notes that
block and waits until it is irreversible with the very hash it had; the blocks below it are then irreversible, too, so whatever
state was read can't be taken back (unless the node went over to a fork and came back in between, which nothing shows). Every
state read lies between the snapshot block and the recorded one.

**What counts.** What the contract says that the address holds. Not counted: what is locked for votes, staking or resource
purchases, because locking moves it to other (virtual) addresses. A token's `contract` is its symbol on the chain, such as `USDT`;
ELF is one of them, with 8 decimals. The same address may hold balances on either chain; each is a chain of the registry.

The contract has no notion of an account: an address that never held anything has the balance zero.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime

import base58

from assay.chains.aelf.answers import TICKS, Status, moment_of
from assay.chains.aelf.messages import ADDRESS_BYTES
from assay.chains.aelf.node import AelfNode
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, assets_of, scale_of
from assay.chains.pacing import gather
from assay.chains.search import Header, last_at, snapshot
from assay.config import Asset, Chain, Source
from assay.errors import RegistryError
from assay.money import check_amount

FACTS = Facts(
    past="",
    finality=("irreversible",),
    kinds=("rest",),
    evidence="archived answers",
    documentation="https://docs.aelf.io/en/latest/reference/web-api/web-api.html",
    identity=("network", "genesis"),
)
NATIVE_DECIMALS = 8
TOKEN_CONTRACTS = {
    "AELF": "JRmBduh4nXWi1aXgdUsj5gJrzeZb2LxmrAbf7W99faZSvoAaE",
    "tDVV": "7RzVGiuVWkvL4VfVHdZfQF2Tri3sgLe9U991bohHFfSRZXuGX",
}
"""The MultiToken contract by chain id, as aelf's own explorers and wallets name it."""

_PATIENCE = 300
"""Seconds until a block that was the newest one must have become irreversible; mostly it takes less than one minute."""
_PAUSE = 1.0  # seconds between two looks
_WRAPPED = re.compile(r"[A-Z0-9-]+_([1-9A-HJ-NP-Za-km-z]+)_([A-Za-z]+)", re.ASCII)  # the form that wallets show
_SYMBOL = re.compile(r"[A-Z0-9-]{1,40}", re.ASCII)


def check_address(chain: Chain, address: str) -> str:
    """Return the bare address; `ELF_…_AELF`, the form that names symbol and chain as well, is accepted for its own chain.

    Raises:
        RegistryError: Wrong checksum or length, or of another chain.
    """

    def fail(problem: str) -> RegistryError:
        return RegistryError(
            problem, subject=f"{chain.name} address {address[:120]!r}", next_step="copy the address again from where it is shown"
        )

    bare = address
    if wrapped := _WRAPPED.fullmatch(address):
        bare = wrapped[1]
        if wrapped[2] != chain.network:
            raise fail(f"it is of the chain {wrapped[2]} and {chain.name} is {chain.network}")
    try:
        raw = base58.b58decode_check(bare) if bare.isascii() else b""
    except ValueError:
        raise fail("its checksum is wrong, or it is not base58") from None
    if len(raw) != ADDRESS_BYTES or base58.b58encode_check(raw).decode() != bare:
        raise fail("it is not an address of 32 bytes")
    return bare


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> AelfReader:
    """Return a reader of the chain through the source."""
    return AelfReader(chain, source, assets=assets, archive=archive, url=url)


class AelfReader(Reader):
    """An aelf chain read through one node. Arguments as in `Reader`.

    Raises:
        RegistryError: The chain's `network` is unknown, a token's contract is no symbol, or an asset has fewer decimals than the
            chain counts it in.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        if chain.network not in TOKEN_CONTRACTS:
            raise RegistryError(
                f"the network {chain.network!r} is unknown",
                subject=f"chain {chain.name}",
                next_step=f"set network to {' or '.join(TOKEN_CONTRACTS)} in chains.toml",
            )
        self._client = self._node = AelfNode(
            source, url, self.meter, archive=archive, chain_id=chain.network, contract=TOKEN_CONTRACTS[chain.network]
        )
        self._symbols = {asset: _symbol_of(chain, asset) for asset in assets_of(chain)}
        self._scales = {asset: scale_of(chain, assets, asset, self._decimals(asset)) for asset in self._symbols}

    async def check_network(self) -> None:
        """Compare the chain's id and first block with the registry's `network` and `genesis`."""
        status = await self._node.status()
        if (status.chain, status.genesis) != (self.chain.network, self.chain.genesis):
            raise self._node.wrong(
                f"it serves the chain {self._node.scrubbed(status.chain)[:20]} with the first block {status.genesis}, and {self.chain.name} is "
                f"{self.chain.network} with {self.chain.genesis}",
                "chain id",
            )

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last block at or before `as_of`, provably the last: the block after it is irreversible as well."""
        status = await self._node.status()
        top = await self._node.block(status.final)
        if top.hash != status.final_hash:
            raise self._node.wrong(f"its block {status.final} is not the one that it calls irreversible", "snapshot block")
        moment = int(as_of.timestamp()) * TICKS
        found, block = await snapshot(
            self.chain,
            self._node,
            as_of,
            moment=moment,
            top=top,
            find=lambda: last_at(moment, top, self._node.block),
            # Blocks come twice a second and a snapshot block's time is told in whole ones.
            utc=lambda ticks: moment_of(ticks).replace(microsecond=0),
            finality="irreversible",
        )
        for header in found:
            self._node.record(header)
        return block

    async def block_hash(self, height: int) -> str:  # noqa: D102  (described by the interface)
        header = await self._node.block(height)
        self._node.record(header)
        return header.hash

    async def check_assets(self, block: SnapshotBlock) -> None:
        """Make sure that the token contract knows each symbol with the configured decimals, in the state that the node has now."""
        for asset, symbol in self._symbols.items():
            found, expected = await self._node.decimals(symbol, block), self._decimals(asset)
            if found == expected:
                continue
            problem = "the token contract has no such token" if found is None else f"it has {found} decimals and {expected} are expected"
            raise RegistryError(
                f"{problem} after block {block.height} (source {self.source.name})",
                subject=f"asset {asset} of {self.chain.name}, symbol {symbol}",
                next_step="correct the asset in chains.toml",
            )

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002 (there are no proofs)
        """Read the node's present state, and wait until the last block that it can be of is irreversible."""
        if not addresses:
            return []
        # Only a guard, so it is not archived: every state that is read from here on is this one or a later one.
        before = None if self.replayed else await self._node.status()
        if before:
            self._check_not_before(before, block)
        wanted = [(address, asset) for address in addresses for asset in self._symbols]
        asked = await gather([self._node.balance(self._symbols[asset], address, block) for address, asset in wanted])
        after = await self._node.status(archived=True)
        self._check_not_before(after, block)
        state = await self._made_final(after, before)
        return [
            Balance(
                address=address,
                asset=asset,
                amount=check_amount(amount * self._scales[asset], subject=f"source {self.source.name}, {asset} balance of {address}"),
                evidence=evidence,
                read_height=state.number,
                read_time=moment_of(state.time),
            )
            for (address, asset), (amount, evidence) in zip(wanted, asked, strict=True)
        ]

    async def _made_final(self, after: Status, before: Status | None) -> Header:
        """Return the newest block that was read from, once it is irreversible; it and the one before all reads are still the same."""
        if before:
            await self._await_final(after.best)
            if (await self._node.block(before.best)).hash != before.best_hash:
                raise self._node.unavailable(f"its best chain changed below block {before.best} while it was read", "balances")
        state = await self._node.block(after.best)
        if state.hash != after.best_hash:
            raise self._node.unavailable(f"its block {after.best} was replaced before it became irreversible", "balances")
        self._node.record(state)
        return state

    async def _await_final(self, height: int) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + _PATIENCE
        while (await self._node.status()).final < height:
            if clock() > deadline:
                raise self._node.unavailable(f"its block {height} did not become irreversible within {_PATIENCE} s", "balances")
            await asyncio.sleep(_PAUSE)

    def _check_not_before(self, status: Status, block: SnapshotBlock) -> None:
        if status.best < block.height:
            raise self._node.behind(f"its newest block, {status.best}, is before the snapshot block {block.height}")

    def _decimals(self, asset: str) -> int:
        return NATIVE_DECIMALS if asset == self.chain.asset else self.chain.tokens[asset].decimals


def _symbol_of(chain: Chain, asset: str) -> str:
    symbol = asset if asset == chain.asset else chain.tokens[asset].contract
    if not _SYMBOL.fullmatch(symbol):
        raise RegistryError(
            f"its contract {symbol[:80]!r} is not a symbol of the token contract",
            subject=f"token {asset} of {chain.name}",
            next_step="correct the token in chains.toml; an example is USDT",
        )
    return symbol
