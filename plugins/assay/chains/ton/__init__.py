"""The `ton` family: TON and jettons, read through TON Center's HTTP API v2 at a masterchain block.

API v2 and not v3: v2 answers from the state at a masterchain block that is named (`seqno`), v3 from an index of the newest one. A block is named
by its seqno and its root hash, in hexadecimal; a masterchain block is final as soon as it is there.

TON: the account's balance, whatever its state. An uninitialised account may hold TON (it was sent some before its wallet was deployed); a
frozen one still owns what it has. "No account" is answered as `uninitialized` with balance 0. Jettons: the master's `get_wallet_address` names
the owner's jetton wallet, whose `get_wallet_data` gives the balance and must name owner and master in turn; a wallet that isn't deployed holds
nothing, and the answer that says so is the evidence. A wallet's own exit code other than 0 is an error.

Taken on the source's word: the balances, block times and hashes (blocks are linked by the hashes that the source gives; they aren't recomputed), and
the address of a jetton wallet that isn't deployed. Not seen: TON staked with pools or validators' elector, extra currencies, jettons locked in
other contracts.

Get-methods: TEP-74 https://github.com/ton-blockchain/TEPs/blob/master/text/0074-jettons-standard.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from assay.chains.answers import AnswerError
from assay.chains.checks import bad_token, require_known
from assay.chains.http import Reply
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, assets_of, scale_of
from assay.chains.pacing import gather
from assay.chains.search import Header, last_at, snapshot
from assay.chains.ton.api import TonApi
from assay.chains.ton.cells import Address, Cell, address_cell, jetton_decimals, parse_address, read_address, read_bag, write_bag
from assay.config import Asset, Chain, Source, Token
from assay.errors import ConfigError, RegistryError
from assay.money import check_amount

NATIVE_DECIMALS = 9
"""TON is counted in nanotons."""

NETWORKS = {"mainnet": False, "testnet": True}
"""Networks, and whether their addresses carry the mark of the test network."""

FACTS = Facts(
    past="state at the masterchain block (server in front of an archival liteserver)",
    finality=("finalized",),
    kinds=("toncenter",),
    evidence="archived account states and get-method results at the masterchain block",
    documentation="https://docs.ton.org/ecosystem/api/toncenter/v2/overview",
    identity=("genesis",),
)


def check_address(chain: Chain, address: str) -> str:
    """Return the address in its non-bounceable user-friendly form (`UQ…`), which wallets show and exchanges publish.

    Raw form, base64 and base64url, bounceable or not, all name the same account: whether a transfer bounces is the sender's choice. An
    address with the test network's mark is refused on mainnet, one without it on the test network; raw ones don't say.

    Raises:
        RegistryError: Not an address, a wrong checksum, another network's, or the zero address, which nobody owns.
    """

    def fail(problem: str) -> RegistryError:
        return RegistryError(
            problem, subject=f"{chain.name} address {address[:80]!r}", next_step="copy the address again from where it is shown"
        )

    test_only = _test_only(chain)
    try:
        account, marked = parse_address(address)
    except ValueError as error:
        raise fail(str(error)) from error
    if marked not in (None, test_only):
        raise fail(f"it is an address of {'the test network' if marked else 'mainnet'} and {chain.name} is not")
    if not any(account.account):
        raise fail("it is the zero address")
    return account.friendly(test_only=test_only)


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> TonReader:
    """Return a reader of the chain through the source. See `Family`.

    Raises:
        ConfigError: Another kind of source, a network or finality rule that the family doesn't know, or no genesis hash to tell networks by.
    """
    require_known(FACTS, chain, source)
    _test_only(chain)
    if not chain.genesis:
        raise ConfigError(
            "this family tells networks by the root hash of their first state",
            subject=f"chain {chain.name}",
            next_step="set genesis (hexadecimal) in chains.toml",
        )
    return TonReader(chain, source, assets=assets, archive=archive, url=url)


class TonReader(Reader):
    """TON read through one server of API v2. See `Reader`.

    Args:
        chain: Facts about the chain; `network` is `mainnet` or `testnet`. A token's contract is the jetton master's address.
        source: The server.
        assets: All known assets by symbol, for decimals.
        archive: Receives every response that a number rests on.
        url: Address of the API, version included: `https://…/api/v2`.

    Raises:
        RegistryError: A contract is not an address, or an asset has fewer decimals than the chain counts it in.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self._client = self._api = TonApi(source, url, self.meter)
        self._masters = {symbol: parse_address(check_address(chain, token.contract))[0] for symbol, token in chain.tokens.items()}
        self._scales = {
            symbol: scale_of(chain, assets, symbol, chain.tokens[symbol].decimals if symbol in chain.tokens else NATIVE_DECIMALS)
            for symbol in assets_of(chain)
        }

    async def check_network(self) -> None:
        """Compare the root hash of the network's first state with the chain's."""
        _, genesis = await self._api.last()
        if genesis != self.chain.genesis:
            raise self._api.wrong(
                f"its network began with {genesis} and {self.chain.name} with {self.chain.genesis}", "masterchain information"
            )

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last masterchain block at or before `as_of`; the one after it exists, and masterchain blocks are final."""
        moment = int(as_of.timestamp())
        seen: dict[int, Reply] = {}

        async def fetch(seqno: int) -> Header:
            if seqno == 0:  # the network's first state, which has no header; the first block names it as the one before
                return Header(number=0, hash=self.chain.genesis, parent="", time=-1, raw={})
            header, seen[seqno] = await self._api.block(seqno)
            return header

        async def find() -> tuple[Header, Header] | None:
            found = await last_at(moment, top, fetch)
            return found if found and found[0].number else None

        top = await fetch((await self._api.last())[0])
        found, block = await snapshot(self.chain, self._api, as_of, moment=moment, top=top, find=find, utc=_utc)
        for item in found:
            seen[item.number].record(self.archive)
        return block

    async def block_hash(self, height: int) -> str:  # noqa: D102  (described by the interface)
        header, reply = await self._api.block(height)
        reply.record(self.archive)
        return header.hash

    async def check_assets(self, block: SnapshotBlock) -> None:
        """Ask each jetton master for its content at the snapshot block, which names the decimals.

        A jetton whose decimals stand in a document elsewhere is refused: no block fixes what the document says.
        """
        for token in self.chain.tokens.values():
            about = f"jetton {token.asset}"
            master = self._masters[token.asset].raw
            account = await self._api.account(master, block, about=about)
            account.reply.record(self.archive)
            if account.state != "active":
                raise self._bad_token(token, f"there is no contract, its account is {account.state}", block)
            code, reply = await self._api.run(master, "get_jetton_data", [], block, about=about)
            reply.record(self.archive)
            if code != 0:
                raise self._bad_token(token, f"it is no jetton master: get_jetton_data ends with exit code {code}", block)
            try:
                decimals = jetton_decimals(self._cell(reply, 3, about))
            except AnswerError as error:
                raise self._bad_token(token, str(error), block) from error
            if decimals is None:
                raise self._bad_token(token, "the chain does not say its decimals, which stand in a document elsewhere", block)
            if decimals != token.decimals:
                raise self._bad_token(token, f"the jetton has {decimals} decimals and the registry says {token.decimals}", block)

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002 (no proofs)
        """Read balances; the evidence of each is the digest of the answer that holds it, or that says there is none."""
        return await gather([self._balance(block, address, symbol) for address in addresses for symbol in assets_of(self.chain)])

    async def _balance(self, block: SnapshotBlock, address: str, symbol: str) -> Balance:
        about = f"{symbol} balance of {address}"
        if symbol == self.chain.asset:
            account = await self._api.account(address, block, about=about)
            amount, evidence = account.balance, account.reply.record(self.archive)
        else:
            amount, evidence = await self._jettons(block, parse_address(address)[0], self._masters[symbol], about)
        scaled = check_amount(amount * self._scales[symbol], subject=self._api.subject(about))
        return Balance(address=address, asset=symbol, amount=scaled, evidence=evidence)

    async def _jettons(self, block: SnapshotBlock, owner: Address, master: Address, about: str) -> tuple[int, str]:
        """Return how many jettons an owner has, and the digest of the answer that says so."""
        stack = [("tvm.Slice", write_bag(address_cell(owner)))]
        code, reply = await self._api.run(master.raw, "get_wallet_address", stack, block, about=about)
        if code != 0:
            raise self._api.wrong(f"get_wallet_address ends with exit code {code}", about)
        reply.record(self.archive)
        wallet = self._address(reply, 0, about).raw
        account = await self._api.account(wallet, block, about=about)
        state = account.reply.record(self.archive)
        if account.state == "uninitialized":
            return 0, state
        code, reply = await self._api.run(wallet, "get_wallet_data", [], block, about=about)
        if code != 0:
            raise self._api.wrong(f"get_wallet_data of the {account.state} jetton wallet {wallet} ends with exit code {code}", about)
        named = self._address(reply, 1, about), self._address(reply, 2, about)
        if named != (owner, master):
            raise self._api.wrong(f"the jetton wallet {wallet} is of owner {named[0].raw} and master {named[1].raw}", about)
        amount = self._api.integer(reply, 0, about)
        if amount < 0:
            raise self._api.wrong(f"the jetton wallet has the balance {amount}", about)
        return amount, reply.record(self.archive)

    def _cell(self, reply: Reply, place: int, about: str) -> Cell:
        return self._api.parsed(read_bag, self._api.bag(reply, place, about), about)

    def _address(self, reply: Reply, place: int, about: str) -> Address:
        return self._api.parsed(read_address, self._cell(reply, place, about), about)

    def _bad_token(self, token: Token, problem: str, block: SnapshotBlock) -> RegistryError:
        return bad_token(self.chain, token, f"{problem} at block {block.height} (source {self.source.name})")


def _test_only(chain: Chain) -> bool:
    if chain.network not in NETWORKS:
        raise ConfigError(
            f"the network {chain.network!r} is unknown to this family",
            subject=f"chain {chain.name}",
            next_step=f"choose one of {', '.join(NETWORKS)}",
        )
    return NETWORKS[chain.network]


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
