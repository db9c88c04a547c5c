"""The `evm` family: Ethereum and the chains that answer like it, read over JSON-RPC.

All balances are read at the snapshot block's hash (EIP-1898), through Multicall3 where its canonical code stands at
its address in that block and one by one in batches where not. What is taken on the source's word: the balances
themselves (the quorum compares sources; there is no state proof here) and which block is final.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import chain as chained
from typing import Any, Self, TypeVar

from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from assay.chains.evm_abi import (
    BALANCE_OF,
    DECIMALS,
    GET_ETH_BALANCE,
    MULTICALL3,
    MULTICALL3_CODE_HASH,
    AnswerError,
    address_call,
    data,
    pack_aggregate3,
    quantity,
    unpack_aggregate3,
    word,
)
from assay.chains.evm_blocks import Header, last_at, parse_header
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, assets_of, scale_of
from assay.chains.jsonrpc import BATCH, JsonRpc, RefusedError
from assay.config import Asset, Chain, Source, Token
from assay.errors import RegistryError, SourceBehindError, SourceMismatchError
from assay.money import check_amount

NATIVE_DECIMALS = 18
"""Every EVM chain counts its native asset in units of 10^-18."""

FACTS = Facts(
    past="state at the block hash (archive node)",
    finality=("finalized", "confirmations"),
    kinds=("jsonrpc",),
    evidence="archived answers",
    documentation="https://ethereum.org/en/developers/docs/apis/json-rpc/",
)
_REVERTED = 3  # JSON-RPC error code for a call that the contract refused
_NO_CODE_HASH = "0x" + keccak(b"").hex()
_ZERO = "0x" + "0" * 40
_SURELY_FITS = 126  # bits: below 38 digits, so that the words of an error are not made for each balance
_Wanted = tuple[str, str]  # address, asset
T = TypeVar("T")


def check_address(chain: Chain, address: str) -> str:
    """Return the address with its EIP-55 checksum.

    All lower case carries no checksum and is accepted. Any upper-case letter makes the spelling a checksum, which
    must then be right; so all upper case, which nothing writes on purpose, is refused.

    Raises:
        RegistryError: Not an address, a wrong checksum, or the zero address, which nobody owns.
    """

    def fail(problem: str) -> RegistryError:
        return RegistryError(
            problem, subject=f"{chain.name} address {address[:80]!r}", next_step="copy the address again from where it is shown"
        )

    digits = address[2:]
    if (
        len(address) != len(_ZERO)
        or not address.startswith("0x")
        or not digits.isascii()
        or not all(c in "0123456789abcdefABCDEF" for c in digits)
    ):
        raise fail("it is not 0x and 40 hexadecimal digits")
    if address == _ZERO:
        raise fail("it is the zero address")
    checksummed = str(to_checksum_address(address))
    if address not in (checksummed, address.lower()):
        raise fail(f"its checksum is wrong (EIP-55 writes these digits as {checksummed})")
    return checksummed


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> EvmReader:
    """Return a reader of the chain through the source."""
    return EvmReader(chain, source, assets=assets, archive=archive, url=url)


class EvmReader(Reader):
    """An EVM chain read through one JSON-RPC server.

    Args:
        chain: Facts about the chain.
        source: The server; `batch_size` bounds the calls of a batch and of one Multicall3 call alike.
        assets: All known assets by symbol, for decimals.
        archive: Receives every response that a number rests on.
        url: Address of the server with its credentials.

    Raises:
        RegistryError: An asset has fewer decimals than the chain counts it in.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self._rpc = JsonRpc(source, url, self.meter)
        self._assets = assets_of(chain)
        self._scales = {
            symbol: scale_of(chain, assets, symbol, chain.tokens[symbol].decimals if symbol in chain.tokens else NATIVE_DECIMALS)
            for symbol in self._assets
        }

    async def __aenter__(self) -> Self:
        await self._rpc.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._rpc.__aexit__(*error)

    async def check_network(self) -> None:  # noqa: D102  (described by the interface)
        about = "chain id"
        found = self._parsed(quantity, await self._rpc.call("eth_chainId", [], about=about), about)
        if found != self.chain.chain_id:
            raise self._wrong(f"it serves chain id {found} and {self.chain.name} has {self.chain.chain_id}", about)

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last block at or before `as_of`, provably the last: the block after it is final as well.

        A block that is not final may still be replaced by one with an earlier time, which would then be the last one
        before `as_of`; so the answer can't change any more only if the next block is final too.
        """
        about = "snapshot block"
        moment = int(as_of.timestamp())
        top = await self._final_header()
        if top.time <= moment:
            raise self._behind(
                f"its last final block, {top.number}, is of {_utc(top.time):%Y-%m-%dT%H:%M:%SZ}, "
                f"and a final block after {as_of:%Y-%m-%dT%H:%M:%SZ} is needed"
            )
        try:
            found = await last_at(moment, top, self._header)
        except AnswerError as error:
            raise self._wrong(str(error), about) from error
        if found is None:
            raise self._wrong(f"the chain has no block at or before as_of {as_of:%Y-%m-%dT%H:%M:%SZ}", about)
        distance = moment - found[0].time
        if distance > self.chain.max_distance_seconds:
            raise self._wrong(
                f"the last block before as_of, {found[0].number}, lies {distance} s before it and at most {self.chain.max_distance_seconds} s are allowed",
                about,
            )
        for header in found:
            self.archive.record("eth_getBlockByNumber", [hex(header.number), False], header.raw)
        return SnapshotBlock(
            chain=self.chain.name,
            height=found[0].number,
            hash=found[0].hash,
            time=_utc(found[0].time),
            finality="finalized" if self._by_tag else f"{self.chain.confirmations} confirmations",
            distance_seconds=distance,
        )

    async def block_hash(self, height: int) -> str:  # noqa: D102  (described by the interface)
        header = await self._header(height)
        self.archive.record("eth_getBlockByNumber", [hex(height), False], header.raw)
        return header.hash

    async def check_assets(self, block: SnapshotBlock) -> None:  # noqa: D102  (described by the interface)
        for token in self.chain.tokens.values():
            await self._check_token(token, block)

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: D102, ARG002  (described by the interface)
        wanted = [(address, asset) for address in addresses for asset in self._assets]
        if not wanted:
            return []
        fetch = self._fetch_aggregated if await self._has_multicall3(block) else self._fetch_batched
        size = self.source.batch_size
        try:
            async with asyncio.TaskGroup() as tasks:
                chunks = [tasks.create_task(fetch(block, wanted[start : start + size])) for start in range(0, len(wanted), size)]
        except BaseExceptionGroup as group:
            # The first one stopped the others; what they would have said is not known.
            raise group.exceptions[0] from None
        return list(chained.from_iterable(chunk.result() for chunk in chunks))

    async def _fetch_aggregated(self, block: SnapshotBlock, wanted: Sequence[_Wanted]) -> list[Balance]:
        about = f"{len(wanted)} balances from {_words(wanted[0])}"
        calls = [
            (MULTICALL3, GET_ETH_BALANCE, address)
            if asset == self.chain.asset
            else (self.chain.tokens[asset].contract, BALANCE_OF, address)
            for address, asset in wanted
        ]
        params = [{"to": MULTICALL3, "data": pack_aggregate3(calls)}, _at(block)]
        result = await self._rpc.call("eth_call", params, about=about)
        amounts = self._parsed(lambda answer: unpack_aggregate3(answer, len(calls)), result, about)
        evidence = self.archive.record("eth_call", params, result)
        balances = []
        for item, amount in zip(wanted, amounts, strict=True):
            if amount is None:
                raise self._wrong("the call inside Multicall3 failed or its result has not 32 bytes", _words(item))
            balances.append(self._balance(item, amount, evidence))
        return balances

    async def _fetch_batched(self, block: SnapshotBlock, wanted: Sequence[_Wanted]) -> list[Balance]:
        at = _at(block)
        calls = [(method, (what, at)) for method, what in map(self._single_request, wanted)]
        results = await self._rpc.batch(calls, about=lambda position: _words(wanted[position]))
        evidence = self.archive.record(BATCH, calls, results)
        balances = []
        for item, result in zip(wanted, results, strict=True):
            amount = self._parsed(quantity if item[1] == self.chain.asset else word, result, item)
            balances.append(self._balance(item, amount, evidence))
        return balances

    def _single_request(self, wanted: _Wanted) -> tuple[str, str | dict[str, str]]:
        """Return method and first parameter of a call that reads one balance; the second one is the block."""
        address, asset = wanted
        if asset == self.chain.asset:
            return "eth_getBalance", address
        return "eth_call", {"to": self.chain.tokens[asset].contract, "data": address_call(BALANCE_OF, address)}

    def _balance(self, wanted: _Wanted, amount: int, evidence: str) -> Balance:
        address, asset = wanted
        scaled = amount * self._scales[asset]
        if scaled.bit_length() > _SURELY_FITS:
            check_amount(scaled, subject=f"source {self.source.name}, {_words(wanted)}")
        return Balance(address=address, asset=asset, amount=scaled, evidence=evidence)

    async def _has_multicall3(self, block: SnapshotBlock) -> bool:
        return await self._code_hash(MULTICALL3, block, "code of Multicall3") == MULTICALL3_CODE_HASH

    async def _check_token(self, token: Token, block: SnapshotBlock) -> None:
        def fail(problem: str) -> RegistryError:
            return RegistryError(
                f"{problem} at block {block.height} (source {self.source.name})",
                subject=f"token {token.asset} of {self.chain.name}, contract {token.contract}",
                next_step="correct the token in chains.toml",
            )

        about = f"decimals of {token.asset}"
        if await self._code_hash(token.contract, block, f"code of {token.asset}") == _NO_CODE_HASH:
            raise fail("there is no contract")
        params = [{"to": token.contract, "data": DECIMALS}, _at(block)]
        try:
            result = await self._rpc.call("eth_call", params, about=about)
            decimals = word(result)
        except RefusedError as error:
            if error.code != _REVERTED:
                raise
            raise fail("the contract has no decimals()") from error
        except AnswerError as error:
            raise fail(f"the contract's decimals() answers wrongly: {error}") from error
        self.archive.record("eth_call", params, result)
        if decimals != token.decimals:
            raise fail(f"the contract has {decimals} decimals and the registry says {token.decimals}")

    async def _code_hash(self, contract: str, block: SnapshotBlock, about: str) -> str:
        params = [contract, _at(block)]
        result = await self._rpc.call("eth_getCode", params, about=about)
        code = self._parsed(data, result, about)
        self.archive.record("eth_getCode", params, result)
        return "0x" + keccak(code).hex()

    @property
    def _by_tag(self) -> bool:
        return self.chain.finality == "finalized"

    async def _final_header(self) -> Header:
        if self._by_tag:
            return await self._header("finalized")
        about = "newest height"
        height = self._parsed(quantity, await self._rpc.call("eth_blockNumber", [], about=about), about)
        if height < self.chain.confirmations:
            raise self._behind(f"it has {height} blocks and {self.chain.confirmations} confirmations are needed")
        return await self._header(height - self.chain.confirmations)

    async def _header(self, height: int | str) -> Header:
        number = height if isinstance(height, int) else None
        about = f"block {height}"
        raw = await self._rpc.call("eth_getBlockByNumber", [height if number is None else hex(number), False], about=about)
        return self._parsed(lambda answer: parse_header(answer, chain_id=self.chain.chain_id, number=number), raw, about)

    def _parsed(self, parse: Callable[[object], T], answer: object, about: str | _Wanted) -> T:
        try:
            return parse(answer)
        except AnswerError as error:
            raise self._wrong(str(error), about if isinstance(about, str) else _words(about)) from error

    def _behind(self, problem: str) -> SourceBehindError:
        return SourceBehindError(
            f"it is behind as_of: {problem}",
            subject=f"source {self.source.name}, snapshot block",
            next_step="wait until the node has caught up and its next blocks are final",
        )

    def _wrong(self, problem: str, about: str) -> SourceMismatchError:
        return SourceMismatchError(
            problem,
            subject=f"source {self.source.name}, {about}",
            next_step="wait for the node to catch up, check it, or take it out of the registry",
        )


def _at(block: SnapshotBlock) -> dict[str, Any]:
    """Name the block by hash, and refuse it if it is no longer part of the chain (EIP-1898)."""
    return {"blockHash": block.hash, "requireCanonical": True}


def _words(wanted: _Wanted) -> str:
    return f"{wanted[1]} balance of {wanted[0]}"


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
