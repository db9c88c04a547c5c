"""The `solana` family: SOL, SPL Token and Token-2022 over a validator's JSON-RPC, from the finalized state.

A node answers for its newest finalized bank only and says which slot that was: each balance carries that slot and its
block's time, and none may be older than the snapshot block. Balances of one task may be of different slots.

SOL is the lamports of the address itself, with what it must keep for rent. A wallet's stake accounts are addresses of
their own: each one listed counts whole (delegated, deactivating and rent), and one not listed is not found. Nor do the lamports
count that token accounts keep for rent, or wrapped SOL, which is a token. Tokens: see `solana_accounts.token_units`.

What is taken on the source's word: the balances, the times of blocks and which of them are final.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from assay.chains.answers import AnswerError
from assay.chains.checks import require_known
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, batches, scale_of
from assay.chains.jsonrpc import BATCH, JsonRpc, RefusedError
from assay.chains.pacing import gather
from assay.chains.search import snapshot
from assay.chains.solana.accounts import NoMintError, lamports, mint_decimals, token_units, with_context
from assay.chains.solana.blocks import Block, is_key, last_at, parse_block
from assay.config import Asset, Chain, Source, Token
from assay.errors import AssayError, RegistryError
from assay.money import check_amount

FACTS = Facts(
    past="",
    finality=("finalized",),
    kinds=("jsonrpc",),
    evidence="archived answers",
    documentation="https://solana.com/docs/rpc",
    identity=("genesis",),
)
NATIVE_DECIMALS = 9
"""Lamports: 10^-9 SOL."""

_SYSTEM_PROGRAM = "1" * 32
_ACCOUNTS_A_CALL = 100  # the most that getMultipleAccounts takes
_FINAL = {"commitment": "finalized"}
_HEADER = {**_FINAL, "transactionDetails": "none", "rewards": False, "maxSupportedTransactionVersion": 0}
_EMPTY = {"offset": 0, "length": 0}  # of an account's data only the lamports beside it are wanted
# https://docs.rs/solana-rpc-client-api, `custom_error`: what a node says that has not come so far.
_NOT_REACHED, _NOT_YET = -32016, frozenset({-32004, -32014})
_Amounts = dict[tuple[str, str], tuple[int, int, str]]  # by address and asset: base units, slot, evidence


def check_address(chain: Chain, address: str) -> str:
    """Return the address, which has one form only: 32 bytes in base58, on the curve or not. It carries no checksum.

    Raises:
        RegistryError: Not an address, or the system program's, which nobody owns.
    """
    if not is_key(address) or address == _SYSTEM_PROGRAM:
        raise RegistryError(
            "it is not 32 bytes in base58, or is the system program",
            subject=f"{chain.name} address {address[:80]!r}",
            next_step="copy the address again from where it is shown",
        )
    return address


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> Reader:
    """Return a reader of the chain through the source. See `Family`."""
    require_known(FACTS, chain, source)
    return SolanaReader(chain, source, assets=assets, archive=archive, url=url)


class SolanaReader(Reader):
    """The chain read through one RPC node. See `Reader`.

    Raises:
        RegistryError: An asset has fewer decimals than the chain counts it in, or a token's mint is no address.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self._client = self._rpc = JsonRpc(source, url, self.meter)
        self._tokens = [chain.tokens[symbol] for symbol in sorted(chain.tokens)]
        self._scales = {chain.asset: scale_of(chain, assets, chain.asset, NATIVE_DECIMALS)}
        for token in self._tokens:
            check_address(chain, token.contract)
            self._scales[token.asset] = scale_of(chain, assets, token.asset, token.decimals)

    async def check_network(self) -> None:  # noqa: D102  (described by the interface)
        found = await self._call("getGenesisHash", [], "genesis hash")
        if found != self.chain.genesis:
            raise self._rpc.wrong(
                f"its genesis hash is {self._rpc.scrubbed(str(found))[:60]} and that of {self.chain.name} is {self.chain.genesis}",
                "genesis hash",
            )

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last finalized block at or before `as_of`; the block after it is finalized as well."""
        moment = int(as_of.timestamp())
        newest = await self._call("getSlot", [_FINAL], "newest slot")
        if type(newest) is not int:
            raise self._rpc.wrong("the answer is not a slot", "newest slot")
        top = await self._block(newest)
        found, block = await snapshot(
            self.chain,
            self._rpc,
            as_of,
            moment=moment,
            top=top,
            find=lambda: last_at(moment, top, self._listed, self._block),
            utc=_utc,
            finality=self.chain.finality,
        )
        for item in found:
            self.archive.record("getBlock", [item.slot, _HEADER], item.raw)
        return block

    async def block_hash(self, height: int) -> str:  # noqa: D102  (described by the interface)
        return (await self._archived_block(height)).hash

    async def check_assets(self, block: SnapshotBlock) -> None:
        """Make sure that each token's mint exists and has the registry's decimals; a closed mint is refused."""
        for token in self._tokens:
            await self._check_mint(token, block)

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002  (no proofs)
        """Read balances of the newest finalized state, each with the slot that it is of."""
        if not addresses:
            return []
        if (found := await self.block_hash(block.height)) != block.hash:
            raise self._rpc.wrong(f"its block {block.height} is {found} and not the snapshot block {block.hash}", "snapshot block")
        held = [(address, token) for address in addresses for token in self._tokens]
        size = self.source.batch_size
        work = [self._native(block, group) for group in batches(addresses, min(size, _ACCOUNTS_A_CALL))]
        work += [self._held(block, held[start : start + size]) for start in range(0, len(held), size)]
        amounts: _Amounts = {}
        for part in await gather(work):
            amounts |= part
        slots = sorted({slot for _, slot, _ in amounts.values()})
        times = {read.slot: _utc(read.time) for read in await gather([self._archived_block(slot) for slot in slots])}
        return [
            self._balance(address, asset, amounts[address, asset], times)
            for address in addresses
            for asset in (self.chain.asset, *(token.asset for token in self._tokens))
        ]

    def _balance(self, address: str, asset: str, found: tuple[int, int, str], times: dict[int, datetime]) -> Balance:
        amount, slot, evidence = found
        return Balance(
            address=address,
            asset=asset,
            amount=check_amount(amount * self._scales[asset], subject=self._rpc.subject(f"{asset} balance of {address}")),
            evidence=evidence,
            read_height=slot,
            read_time=times[slot],
        )

    async def _native(self, block: SnapshotBlock, addresses: Sequence[str]) -> _Amounts:
        about = f"{len(addresses)} balances of {self.chain.asset} from {addresses[0]}"
        params = [list(addresses), {**_FINAL, "encoding": "base64", "dataSlice": _EMPTY, "minContextSlot": block.height}]
        result = await self._call("getMultipleAccounts", params, about)
        slot, accounts = self._current(result, block, about)
        if not isinstance(accounts, list) or len(accounts) != len(addresses):
            raise self._rpc.wrong("the answer is not one account for each address", about)
        evidence = self.archive.record("getMultipleAccounts", params, result)
        asset = self.chain.asset
        return {
            (address, asset): (self._rpc.parsed(lamports, account, f"{asset} balance of {address}"), slot, evidence)
            for address, account in zip(addresses, accounts, strict=True)
        }

    async def _held(self, block: SnapshotBlock, held: Sequence[tuple[str, Token]]) -> _Amounts:
        """Read tokens in one batch."""
        words = [f"{token.asset} balance of {address}" for address, token in held]
        config = {**_FINAL, "encoding": "jsonParsed", "minContextSlot": block.height}
        calls = [("getTokenAccountsByOwner", [address, {"mint": token.contract}, config]) for address, token in held]
        try:
            results = await self._rpc.batch(calls, about=lambda position: words[position])
        except RefusedError as error:
            raise self._translated(error, words[0]) from None
        evidence = self.archive.record(BATCH, calls, results)
        amounts: _Amounts = {}
        for (address, token), about, result in zip(held, words, results, strict=True):
            slot, accounts = self._current(result, block, about)
            count = partial(token_units, owner=address, mint=token.contract, decimals=token.decimals)
            amounts[address, token.asset] = self._rpc.parsed(count, accounts, about), slot, evidence
        return amounts

    def _current(self, result: object, block: SnapshotBlock, about: str) -> tuple[int, Any]:
        """Return slot and value of an answer that is not older than the snapshot block."""
        slot, value = self._rpc.parsed(with_context, result, about)
        if slot < block.height:
            raise self._rpc.behind(f"it answered from slot {slot} and the snapshot block is {block.height}")
        return slot, value

    async def _check_mint(self, token: Token, block: SnapshotBlock) -> None:
        about = f"mint of {token.asset}"
        params = [token.contract, {**_FINAL, "encoding": "jsonParsed", "minContextSlot": block.height}]
        result = await self._call("getAccountInfo", params, about)
        _, account = self._current(result, block, about)
        self.archive.record("getAccountInfo", params, result)
        problem = ""
        try:
            decimals = mint_decimals(account)
        except NoMintError as error:
            problem = self._rpc.scrubbed(str(error))
        except AnswerError as error:
            raise self._rpc.wrong(self._rpc.scrubbed(str(error)), about) from error
        else:
            if decimals != token.decimals:
                problem = f"the mint has {decimals} decimals and the registry says {token.decimals}"
        if problem:
            raise RegistryError(
                f"{problem} (source {self.source.name}, snapshot block {block.height})",
                subject=f"token {token.asset} of {self.chain.name}, mint {token.contract}",
                next_step="correct the token in chains.toml",
            )

    async def _listed(self, first: int, last: int) -> list[int]:
        about = f"slots {first} to {last}"
        slots = await self._call("getBlocks", [first, last, _FINAL], about)
        if not isinstance(slots, list) or not all(type(slot) is int for slot in slots):
            raise self._rpc.wrong("the answer is not a list of slots", about)
        return slots

    async def _archived_block(self, slot: int) -> Block:
        block = await self._block(slot)
        self.archive.record("getBlock", [slot, _HEADER], block.raw)
        return block

    async def _block(self, slot: int) -> Block:
        about = f"block {slot}"
        raw = await self._call("getBlock", [slot, _HEADER], about)
        return self._rpc.parsed(partial(parse_block, slot=slot), raw, about)

    async def _call(self, method: str, params: list[Any], about: str) -> Any:
        try:
            return await self._rpc.call(method, params, about=about)
        except RefusedError as error:
            raise self._translated(error, about) from None

    def _translated(self, error: RefusedError, about: str) -> AssayError:
        """Return the error that a refusal stands for: some of them pass by themselves."""
        if error.code == _NOT_REACHED:
            return self._rpc.behind(error.problem)
        return self._rpc.unavailable(error.problem, about) if error.code in _NOT_YET else error


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
