"""The `eos` family: EOS (whose network is called Vaulta since 2025) and other Antelope chains, read from nodeos's chain API.

API: https://github.com/AntelopeIO/spring/blob/main/plugins/chain_api_plugin/chain.swagger.yaml, and where that says too little its source,
`plugins/chain_plugin` of the same repository.

**Which state.** nodeos answers for the state of its head and for no other. The family therefore only reads from nodes that run with
`read-mode = irreversible`, whose head *is* the last irreversible block (`get_info` then gives both the same number), so that what
was read can't be taken back. `get_account` says which block its answer is of, and that is recorded for the native asset;
`get_currency_balance` doesn't, so tokens carry the block that the node had after all reads. Every state read is at or after the
snapshot block.

**What counts.** Of the native asset: the liquid balance, what the account staked to itself for CPU and NET, and a refund of such
stake under way; one answer of `get_account` holds all of it. Not counted: what it staked to other accounts, and REX, whose
worth depends on a pool. Of a token: the row in its contract. `Token.contract` is `contract:SYMBOL`, such as `tethertether:USDT`.

An account that doesn't exist holds zero: `get_account` says that it knows no such key, and the token contract that it has no row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from assay.chains.eos.answers import Account, Info, Symbol, moment_of, time_of
from assay.chains.eos.node import EosNode
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, assets_of, scale_of
from assay.chains.pacing import gather
from assay.chains.search import last_at, snapshot
from assay.config import Asset, Chain, Source
from assay.errors import ConfigError, RegistryError
from assay.money import check_amount

FACTS = Facts(
    past="",
    finality=("irreversible",),
    kinds=("rest",),
    evidence="archived answers",
    documentation="https://github.com/AntelopeIO/spring/blob/main/plugins/chain_api_plugin/chain.swagger.yaml",
    identity=("genesis",),
)
NATIVE_CONTRACT = "eosio.token"
NATIVE_DECIMALS = 4

_NAME = re.compile(r"(?!.*\.$)[a-z1-5.]{1,12}|(?!.*\.$)[a-z1-5.]{12}[a-j1-5]", re.ASCII)  # of 13 characters, the last has only four bits
_SYMBOL = re.compile(r"[A-Z]{1,7}", re.ASCII)


def check_address(chain: Chain, address: str) -> str:
    """Return the account name as it is.

    Raises:
        RegistryError: Not a name of up to 13 of the characters a-z, 1-5 and dot, without a dot at the end.
    """
    if not _NAME.fullmatch(address):
        raise RegistryError(
            "it is not an account name: up to 12 of a-z, 1-5 and dots (a 13th only up to j), no dot at the end",
            subject=f"{chain.name} address {address[:80]!r}",
            next_step="copy the account name again from where it is shown",
        )
    return address


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> EosReader:
    """Return a reader of the chain through the source."""
    return EosReader(chain, source, assets=assets, archive=archive, url=url)


class EosReader(Reader):
    """An Antelope chain read through one nodeos in read mode `irreversible`. Arguments as in `Reader`.

    Raises:
        RegistryError: A token's contract is not written as `contract:SYMBOL`, or an asset has fewer decimals than the chain counts it in.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self._client = self._node = EosNode(source, url, self.meter, archive=archive)
        self._symbols = {symbol: _symbol_of(chain, symbol) for symbol in assets_of(chain)}
        self._scales = {symbol: scale_of(chain, assets, symbol, found.decimals) for symbol, found in self._symbols.items()}

    async def check_network(self) -> None:
        """Compare the chain id, which is the hash of the chain's first state, with the registry's `genesis`; the read mode is looked at, too."""
        info = await self._node.info()
        self._check_mode(info)
        if info.chain_id != self.chain.genesis:
            raise self._node.wrong(f"it serves the chain id {info.chain_id} and {self.chain.name} has {self.chain.genesis}", "chain id")

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last block at or before `as_of`, provably the last: the block after it is irreversible as well."""
        info = await self._node.info()
        moment = time_of(as_of)
        top = await self._node.block(info.number)
        if (top.hash, top.time) != (info.id, info.time):
            raise self._node.wrong(f"its block {info.number} is not the one that it calls irreversible", "snapshot block")
        found, block = await snapshot(
            self.chain,
            self._node,
            as_of,
            moment=moment,
            top=top,
            find=lambda: last_at(moment, top, self._node.block),
            # Blocks come twice a second and a snapshot block's time is told in whole ones.
            utc=lambda milliseconds: moment_of(milliseconds).replace(microsecond=0),
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
        """Make sure that each contract knows its symbol with the configured decimals, in the state that the node has now."""
        for asset, symbol in self._symbols.items():
            found = await self._node.decimals(symbol)
            if found == symbol.decimals:
                continue
            problem = "there is no such token" if found is None else f"it has {found} decimals and {symbol.decimals} are expected"
            raise RegistryError(
                f"{problem} after block {block.height} (source {self.source.name})",
                subject=f"asset {asset} of {self.chain.name}, contract {symbol.contract}:{symbol.code}",
                next_step="correct the asset in chains.toml",
            )

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002 (there are no proofs)
        """Read the node's present state, which is irreversible and not before the snapshot block."""
        if not addresses:
            return []
        if not self.replayed:
            # Only a guard, so it is not archived: every state that is read from here on is this one or a later one.
            self._check_state(await self._node.info(), block)
        asked = await gather([self._amounts(address) for address in addresses])
        info = await self._node.info(archived=True)
        self._check_state(info, block)
        return [
            balance for address, found in zip(addresses, asked, strict=True) for balance in self._balances(address, *found, info, block)
        ]

    async def _amounts(self, address: str) -> tuple[Account | None, list[tuple[int, str]]]:
        """Return the account, None where there is none, and for each asset the amount with its evidence."""
        native = self._symbols[self.chain.asset]
        account, evidence = await self._node.account(address, native)
        liquid = account.liquid if account else None
        if liquid is None and (await self._node.row(address, native))[0] is not None:
            # The token contract was asked a moment later, and a first transfer may have come between the two.
            raise self._node.unavailable(f"the {native.code} balance came into being while it was read", address)
        amounts = [((liquid or 0) + (account.staked if account else 0), evidence)]
        for asset in sorted(self.chain.tokens):
            row, evidence = await self._node.row(address, self._symbols[asset])
            amounts.append((row or 0, evidence))
        return account, amounts

    def _balances(
        self, address: str, account: Account | None, amounts: list[tuple[int, str]], info: Info, block: SnapshotBlock
    ) -> list[Balance]:
        if account and not block.height <= account.block <= info.head:
            raise self._node.wrong(
                f"it answered from block {account.block}, which is not between the snapshot block {block.height} and its head {info.head}",
                address,
            )
        balances = []
        for asset, (amount, evidence) in zip(self._symbols, amounts, strict=True):
            known = account if asset == self.chain.asset else None
            balances.append(
                Balance(
                    address=address,
                    asset=asset,
                    amount=check_amount(amount * self._scales[asset], subject=f"source {self.source.name}, {asset} balance of {address}"),
                    evidence=evidence,
                    read_height=known.block if known else info.head,
                    read_time=moment_of(known.time if known else info.head_time),
                )
            )
        return balances

    def _check_state(self, info: Info, block: SnapshotBlock) -> None:
        """Make sure that what the node answers from is irreversible and not before the snapshot block."""
        self._check_mode(info)
        if info.head < block.height:
            raise self._node.behind(f"its last irreversible block, {info.head}, is before the snapshot block {block.height}")

    def _check_mode(self, info: Info) -> None:
        if info.head != info.number:
            raise ConfigError(
                f"it answers from its head, block {info.head}, and only {info.number} is irreversible",
                subject=self._node.subject("read mode"),
                next_step="start nodeos with read-mode = irreversible, or name another node",
            )


def _symbol_of(chain: Chain, asset: str) -> Symbol:
    if asset == chain.asset:
        return Symbol(contract=NATIVE_CONTRACT, code=asset, decimals=NATIVE_DECIMALS)
    token = chain.tokens[asset]
    contract, _, code = token.contract.partition(":")
    if not _NAME.fullmatch(contract) or not _SYMBOL.fullmatch(code):
        raise RegistryError(
            f"its contract {token.contract[:80]!r} is not written as account:SYMBOL",
            subject=f"token {asset} of {chain.name}",
            next_step="correct the token in chains.toml; an example is tethertether:USDT",
        )
    return Symbol(contract=contract, code=code, decimals=token.decimals)
