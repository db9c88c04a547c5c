"""The `aptos` family: APT, coins and fungible assets, read through a full node's REST API.

Balances are read at the last ledger version of the snapshot block with the framework's own view functions, which the chain
executes on the state of that version. A coin's balance includes the fungible asset that is paired with it
(`coin::balance`), so a coin and its paired asset are one entry of the registry and never two. An account or store that doesn't
exist holds zero by the definition of these functions; an asset that doesn't exist is an error.

Taken on the source's word: the balances, and which blocks there are (a block names no parent here; what links two blocks is that the
versions of one begin where those of the other end). Not seen: fungible assets in secondary stores (owned objects other than the
primary store), APT in stake pools and delegation pools, and what other contracts hold for an account.

API: https://aptos.dev/rest-api and https://aptos.dev/aptos-spec.json; view functions:
https://aptos.dev/move-reference/mainnet/aptos-framework/coin and …/primary_fungible_store.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from assay.chains.aptos.api import REFUSED, AptosApi, Block
from assay.chains.checks import bad_token, require_known
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, assets_of, scale_of
from assay.chains.pacing import gather
from assay.chains.search import Header, last_at, snapshot
from assay.config import Asset, Chain, Source, Token
from assay.errors import RegistryError
from assay.money import check_amount

NATIVE_DECIMALS = 8
"""APT is counted in octas, 10^-8."""

NATIVE_COIN = "0x1::aptos_coin::AptosCoin"
NATIVE_METADATA = "0x" + "0" * 63 + "a"
"""The fungible asset that is paired with APT."""

FACTS = Facts(
    past="state at the last ledger version of the block (node that keeps state history)",
    finality=("finalized",),
    kinds=("aptos",),
    evidence="archived answers of view functions at the ledger version",
    documentation="https://aptos.dev/rest-api",
    identity=("chain_id",),
)
_METADATA = "0x1::fungible_asset::Metadata"
_LONG = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
_SPECIAL = re.compile(r"0x[1-9a-f]", re.ASCII)
_COIN_TYPE = re.compile(r"0x[0-9a-f]{1,64}::\w+::\w+(<[\w:<>, ]+>)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_address(chain: Chain, address: str) -> str:
    """Return the address in its long form, `0x` and 64 lower-case digits.

    By AIP-40 (https://github.com/aptos-foundation/AIPs/blob/main/aips/aip-40.md) only special addresses, 0x0 to 0xf, have a short form;
    any other with leading zeros left out is refused, because it is more likely one that was cut. Addresses carry neither a checksum
    nor a network.

    Raises:
        RegistryError: Not an address, or the zero address, which nobody owns.
    """

    def fail(problem: str) -> RegistryError:
        return RegistryError(
            problem, subject=f"{chain.name} address {address[:80]!r}", next_step="copy the address again from where it is shown"
        )

    if _SPECIAL.fullmatch(address):
        return "0x" + address[2:].rjust(64, "0")
    if not _LONG.fullmatch(address):
        raise fail("it is not 0x and 64 hexadecimal digits")
    if int(address, 16) == 0:
        raise fail("it is the zero address")
    return address.lower()


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> AptosReader:
    """Return a reader of the chain through the source. See `Family`.

    Raises:
        ConfigError: Another kind of source, or a finality rule that the family doesn't know.
    """
    require_known(FACTS, chain, source)
    return AptosReader(chain, source, assets=assets, archive=archive, url=url)


class AptosReader(Reader):
    """Aptos read through one full node. See `Reader`.

    Args:
        chain: Facts about the chain; `chain_id` is 1 for mainnet. A token's contract is a coin type or the address of a fungible asset's metadata.
        source: The server.
        assets: All known assets by symbol, for decimals.
        archive: Receives every response that a number rests on.
        url: Address of the API, version included: `https://…/v1`.

    Raises:
        RegistryError: A contract is neither a coin type nor an address, or it is APT once more; or an asset has fewer decimals than the
            chain counts it in.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self._client = self._api = AptosApi(source, url, self.meter)
        self._contracts = {chain.asset: NATIVE_COIN} | {symbol: _contract(chain, token) for symbol, token in chain.tokens.items()}
        self._scales = {
            symbol: scale_of(chain, assets, symbol, chain.tokens[symbol].decimals if symbol in chain.tokens else NATIVE_DECIMALS)
            for symbol in assets_of(chain)
        }

    async def check_network(self) -> None:
        """Compare the chain id that the node names in its ledger information with the chain's."""
        found = (await self._api.ledger())["chain_id"]
        if type(found) is not int or found != self.chain.chain_id:
            raise self._api.wrong(f"it serves chain id {str(found)[:40]} and {self.chain.name} has {self.chain.chain_id}", "chain id")

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last block at or before `as_of`; the one after it exists, and a committed block is final."""
        moment = (as_of - _EPOCH) // timedelta(microseconds=1)
        ledger = await self._api.ledger()
        seen: dict[int, Block] = {}

        async def fetch(height: int) -> Header:
            seen[height] = await self._api.block(height)
            return seen[height].header

        async def find() -> tuple[Block, Block] | None:
            found = await last_at(moment, top.header, fetch)
            return found and (seen[found[0].number], seen[found[1].number])

        top = await self._api.block(self._api.number(ledger["block_height"], "ledger information"))
        seen[top.number] = top
        found, block = await snapshot(self.chain, self._api, as_of, moment=moment, top=top, find=find, utc=_utc)
        for item in found:
            item.reply.record(self.archive)
        return block

    async def block_hash(self, height: int) -> str:  # noqa: D102  (described by the interface)
        block = await self._api.block(height)
        block.reply.record(self.archive)
        return block.hash

    async def check_assets(self, block: SnapshotBlock) -> None:
        """Ask each coin or fungible asset for its decimals at the snapshot block; one that doesn't exist has none.

        An answer doesn't say which version it is of. So the state itself is asked which block it is of: a server that loses the version on the way
        would give today's balances.
        """
        version, about = await self._version(block), "height of the state"
        reply = await self._api.view(version, "0x1::block::get_current_block_height", [], [], about=about)
        if reply.status == REFUSED:
            raise self._api.wrong(f"the view function fails: {self._api.words(reply)}", about)
        if (height := self._api.number(reply.body[0], about)) != block.height:
            raise self._api.wrong(f"it was asked for the state after block {block.height} and answered from that of block {height}", about)
        reply.record(self.archive)
        for token in self.chain.tokens.values():
            about = f"decimals of {token.asset}"
            contract = self._contracts[token.asset]
            if "::" in contract:
                reply = await self._api.view(version, "0x1::coin::decimals", [contract], [], about=about)
            else:
                reply = await self._api.view(version, "0x1::fungible_asset::decimals", [_METADATA], [contract], about=about)
            if reply.status == REFUSED:
                raise bad_token(self.chain, token, f"there is no such asset at block {block.height}: {self._api.words(reply)}")
            reply.record(self.archive)
            decimals = reply.body[0]
            if type(decimals) is not int or decimals != token.decimals:
                problem = f"it has {str(decimals)[:40]} decimals at block {block.height} and the registry says {token.decimals}"
                raise bad_token(self.chain, token, f"{problem} (source {self.source.name})")

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002 (no proofs)
        """Read balances at the block's last version; the evidence of each is the digest of its view function's answer."""
        if not addresses:
            return []
        version = await self._version(block)
        return await gather([self._balance(version, address, symbol) for address in addresses for symbol in assets_of(self.chain)])

    async def _balance(self, version: int, address: str, symbol: str) -> Balance:
        about = f"{symbol} balance of {address}"
        contract = self._contracts[symbol]
        if "::" in contract:
            reply = await self._api.view(version, "0x1::coin::balance", [contract], [address], about=about)
        else:
            reply = await self._api.view(version, "0x1::primary_fungible_store::balance", [_METADATA], [address, contract], about=about)
        if reply.status == REFUSED:
            raise self._api.wrong(f"the view function fails: {self._api.words(reply)}", about)
        amount = self._api.number(reply.body[0], about) * self._scales[symbol]
        check_amount(amount, subject=self._api.subject(about))
        return Balance(address=address, asset=symbol, amount=amount, evidence=reply.record(self.archive))

    async def _version(self, block: SnapshotBlock) -> int:
        """Return the last version of the snapshot block, from the block itself."""
        found = await self._api.block(block.height)
        if found.hash != block.hash:
            raise self._api.wrong(f"it is {found.hash} and not the snapshot block {block.hash}", f"block {block.height}")
        found.reply.record(self.archive)
        return found.last_version


def _contract(chain: Chain, token: Token) -> str:
    """Return a coin type as it is, or the address of a fungible asset's metadata in its long form."""
    if "::" in token.contract:
        if not _COIN_TYPE.fullmatch(token.contract):
            raise bad_token(chain, token, "the contract is not a coin type such as 0x1::aptos_coin::AptosCoin")
        contract = token.contract
    else:
        contract = check_address(chain, token.contract)
    if contract in (NATIVE_COIN, NATIVE_METADATA):
        raise bad_token(chain, token, f"the contract is that of {chain.asset}, which would be counted twice")
    return contract


def _utc(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
