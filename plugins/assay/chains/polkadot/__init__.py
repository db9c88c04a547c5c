"""The `polkadot` family: Polkadot's relay chain (DOT) and its asset hub (DOT, and assets such as USDT by their number), read over JSON-RPC.

DOT is free + reserved of `System.Account` at the block's hash: bonded and otherwise locked DOT are part of it. Since November 2025 balances
and staking stand on the asset hub; the relay chain is read for what was before and for what is left there. Assets are
`Assets.Account` by number. Header hashes are recomputed, and the search follows parent hashes. Taken on the source's word: the values
(the reader asks for no state proof) and which block is final. Not seen: DOT in nomination pools (an account of the pool holds them), in
crowdloans, in other parachains and in multi-location ("foreign") assets; what an asset's holder pallet keeps on hold; and whether an asset's
issuer has frozen an account, whose balance counts.

API: https://paritytech.github.io/polkadot-sdk/master/sc_rpc_api/chain/trait.ChainApiServer.html and
https://paritytech.github.io/polkadot-sdk/master/sc_rpc_api/state/trait.StateApiServer.html.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain as chained

from assay.chains.checks import bad_token, require_known
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, assets_of, scale_of
from assay.chains.pacing import gather
from assay.chains.polkadot.rpc import SubstrateRpc
from assay.chains.polkadot.storage import (
    NOW_KEY,
    account_key,
    asset_balance,
    asset_decimals,
    asset_key,
    asset_problem,
    decode_ss58,
    encode_ss58,
    native_balance,
)
from assay.chains.search import Header, last_at, snapshot
from assay.config import Asset, Chain, Source, Token
from assay.errors import ConfigError, RegistryError
from assay.money import check_amount

NATIVE_DECIMALS = 10
"""DOT is counted in plancks, 10^-10."""

RELAY, ASSET_HUB = "polkadot", "polkadot_asset_hub"
NETWORKS = {RELAY: 0, ASSET_HUB: 0}
"""Networks with the SS58 prefix of their addresses (https://github.com/paritytech/ss58-registry)."""

FACTS = Facts(
    past="state at the block hash (archive node)",
    finality=("finalized",),
    kinds=("jsonrpc",),
    evidence="archived storage values at the block hash",
    documentation="https://paritytech.github.io/polkadot-sdk/master/sc_rpc_api/index.html",
    identity=("genesis",),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ASSET_NUMBER = re.compile("0|[1-9][0-9]{0,9}", re.ASCII)
_LARGEST_ASSET = 2**32


def check_address(chain: Chain, address: str) -> str:
    """Return the address if it is an SS58 address of the chain's network.

    An account has one address per network prefix, all for the same key. One of another network (Kusama: 2, any Substrate chain: 42) is
    refused and not rewritten: whoever wrote it may have meant another chain, and two spellings of one account would pass for two. The
    error says what the same key's address is here.

    Raises:
        RegistryError: Not an address, a wrong checksum, or another network's.
    """

    def fail(problem: str) -> RegistryError:
        return RegistryError(
            problem, subject=f"{chain.name} address {address[:80]!r}", next_step="copy the address again from where it is shown"
        )

    network = _network(chain)
    try:
        prefix, account = decode_ss58(address)
    except ValueError as error:
        raise fail(f"it is not an SS58 address: {error}") from error
    here = encode_ss58(network, account)
    if prefix != network:
        raise fail(f"it is of the network with prefix {prefix} and {chain.name} has {network}, where the same key's address is {here}")
    if address != here:
        raise fail(f"it is not written as SS58 writes it: {here}")
    return here


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> PolkadotReader:
    """Return a reader of the chain through the source. See `Family`.

    Raises:
        ConfigError: Another kind of source, a network or finality rule that the family doesn't know, or no genesis hash to tell networks by.
    """
    require_known(FACTS, chain, source)
    _network(chain)
    if not chain.genesis:
        raise ConfigError(
            "this family tells networks by the hash of their genesis block",
            subject=f"chain {chain.name}",
            next_step="set genesis in chains.toml",
        )
    return PolkadotReader(chain, source, assets=assets, archive=archive, url=url)


class PolkadotReader(Reader):
    """The relay chain or the asset hub read through one JSON-RPC server. See `Reader`.

    Args:
        chain: Facts about the chain. A token's contract is the asset's number: `1984`.
        source: The server; `batch_size` bounds the storage keys of one call.
        assets: All known assets by symbol, for decimals.
        archive: Receives every response that a number rests on.
        url: Address of the server with its credentials.

    Raises:
        RegistryError: A token on the relay chain, a contract that is no asset number, or an asset with fewer decimals than the chain counts it in.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self._client = self._rpc = SubstrateRpc(source, url, self.meter)
        self._numbers = {symbol: _number(chain, token) for symbol, token in chain.tokens.items()}
        self._scales = {
            symbol: scale_of(chain, assets, symbol, chain.tokens[symbol].decimals if symbol in chain.tokens else NATIVE_DECIMALS)
            for symbol in assets_of(chain)
        }

    async def check_network(self) -> None:
        """Compare the genesis block's hash, computed from its header, with the chain's."""
        found = await self.block_hash(0)
        if found != self.chain.genesis:
            raise self._rpc.wrong(f"its genesis block is {found} and that of {self.chain.name} is {self.chain.genesis}", "block 0")

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last block whose own time is not after `as_of`; the block after it is finalised as well."""
        moment = (as_of - _EPOCH) // timedelta(milliseconds=1)
        top = await self._rpc.block(await self._rpc.call("chain_getFinalizedHead", [], about="finalised head"), "finalised head")
        found, block = await snapshot(
            self.chain, self._rpc, as_of, moment=moment, top=top, find=lambda: last_at(moment, top, self._block), utc=_utc
        )
        for item in found:
            self.archive.record("chain_getHeader", [item.hash], item.raw["header"])
            self.archive.record("state_getStorage", [NOW_KEY, item.hash], item.raw["now"])
        return block

    async def block_hash(self, height: int) -> str:
        """Return the hash that the source gives for a height, computed from its header."""
        name = await self._rpc.name(height)
        raw, header = await self._rpc.header(name, f"block {height}", height)
        self.archive.record("chain_getBlockHash", [height], name)
        self.archive.record("chain_getHeader", [name], raw)
        return header.hash

    async def check_assets(self, block: SnapshotBlock) -> None:
        """Make sure that each asset exists, is live and has the registry's decimals at the snapshot block."""
        tokens = list(self.chain.tokens.values())
        if not tokens:
            return
        keys = [asset_key(item, self._numbers[token.asset]) for token in tokens for item in ("Asset", "Metadata")]
        values, _ = await self._rpc.storage(block.hash, keys, "assets", self.archive)
        for token, details, metadata in zip(tokens, keys[::2], keys[1::2], strict=True):
            about = f"asset {token.contract}"
            problem = self._rpc.parsed(asset_problem, values[details], about)
            decimals = self._rpc.parsed(asset_decimals, values[metadata], about)
            if not problem and decimals != token.decimals:
                problem = f"the asset has {decimals} decimals and the registry says {token.decimals}"
            if problem:
                raise bad_token(self.chain, token, f"{problem} at block {block.height} (source {self.source.name})")

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002 (no proofs)
        """Read storage values in batches; the evidence of each balance is the digest of the batch that its value came in."""
        wanted = [(address, symbol) for address in addresses for symbol in assets_of(self.chain)]
        size = self.source.batch_size
        pieces = await gather([self._balances(block, wanted[start : start + size]) for start in range(0, len(wanted), size)])
        return list(chained.from_iterable(pieces))

    async def _balances(self, block: SnapshotBlock, wanted: Sequence[tuple[str, str]]) -> list[Balance]:
        keys = [self._key(address, symbol) for address, symbol in wanted]
        values, evidence = await self._rpc.storage(
            block.hash, keys, f"{len(wanted)} balances from {wanted[0][1]} of {wanted[0][0]}", self.archive
        )
        balances = []
        for (address, symbol), key in zip(wanted, keys, strict=True):
            about = f"{symbol} balance of {address}"
            amount = self._rpc.parsed(native_balance if symbol == self.chain.asset else asset_balance, values[key], about)
            scaled = check_amount(amount * self._scales[symbol], subject=self._rpc.subject(about))
            balances.append(Balance(address=address, asset=symbol, amount=scaled, evidence=evidence))
        return balances

    async def _block(self, height: int) -> Header:
        return await self._rpc.block(await self._rpc.name(height), f"block {height}", height)

    def _key(self, address: str, symbol: str) -> str:
        _, account = decode_ss58(address)
        return account_key(account) if symbol == self.chain.asset else asset_key("Account", self._numbers[symbol], account)


def _network(chain: Chain) -> int:
    """Return the SS58 prefix of the chain's network."""
    if chain.network not in NETWORKS:
        raise ConfigError(
            f"the network {chain.network!r} is unknown to this family",
            subject=f"chain {chain.name}",
            next_step=f"choose one of {', '.join(NETWORKS)}",
        )
    return NETWORKS[chain.network]


def _number(chain: Chain, token: Token) -> int:
    if chain.network != ASSET_HUB:
        raise bad_token(chain, token, "the relay chain has no assets but its own")
    number = int(token.contract) if _ASSET_NUMBER.fullmatch(token.contract) else _LARGEST_ASSET
    if number >= _LARGEST_ASSET:
        raise bad_token(chain, token, "the contract is not an asset's number such as 1984")
    return number


def _utc(moment: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=moment)
