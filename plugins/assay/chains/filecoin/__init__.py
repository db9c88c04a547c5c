"""The `filecoin` family: FIL balances of actors, read from a Lotus node over JSON-RPC.

API: https://docs.filecoin.io/reference/json-rpc/chain and https://docs.filecoin.io/reference/json-rpc/state. A node says of every
state that it is "the parent state of the tipset" (`ParentStateRoot`), before the messages in it. Balances after the snapshot tipset's own
messages are therefore asked at the next tipset, which `resolve` showed to be final. They are what `eth_getBalance` gives for the snapshot
tipset (Lotus computes its state, `node/impl/eth/lookup.go`), so FIL that moves between wallets of this family and of a chain
of the family `evm` (chain id 314) in that tipset counts once.

An actor's balance counts in full, also where it may not be spent: a multisig's vesting funds, a miner's pledge and
locked rewards, a payment channel's deposits. Which of these are encumbered is said per wallet in the registry. Not counted: what
stands in an account's name inside another actor, such as the storage market's escrow.

An actor has an id (f0…) and mostly an address that doesn't change with reorganisations (f1…, f2…, f3…, f4…). Two
wallets of one reading task that are the same actor would count twice and are refused; between tasks that cannot be seen, so name each
actor in one way. Addresses `0x…` are written as f410f….
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from assay.chains.answers import AnswerError
from assay.chains.filecoin.addresses import AddressError, parse_address
from assay.chains.filecoin.tipsets import EPOCH_SECONDS, Key, Tipset, key_of, parse_tipset
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, scale_of
from assay.chains.jsonrpc import JsonRpc, RefusedError
from assay.chains.pacing import gather
from assay.config import Asset, Chain, Source
from assay.errors import RegistryError, SourceBehindError
from assay.money import check_amount

NATIVE_DECIMALS = 18
"""FIL is counted in attoFIL."""

FACTS = Facts(
    past="state at the tipset key (archive node)",
    finality=("finalized", "confirmations"),
    kinds=("jsonrpc",),
    evidence="archived answers",
    documentation="https://docs.filecoin.io/reference/json-rpc",
    identity=("network", "genesis"),
    tokens=False,
)
_BY_HEIGHT, _AFTER_HEIGHT = "Filecoin.ChainGetTipSetByHeight", "Filecoin.ChainGetTipSetAfterHeight"
_GET_ACTOR, _LOOKUP = "Filecoin.StateGetActor", "Filecoin.StateLookupID"
# go-jsonrpc's general error, and Lotus's own EActorNotFound: 3, and 11 since https://github.com/filecoin-project/lotus/pull/13467.
_NOT_FOUND_CODES = frozenset({1, 3, 11})
_AMOUNT = re.compile(r"0|[1-9][0-9]{0,79}", re.ASCII)
_Actor = tuple[str, int, str, str]  # address, attoFIL, evidence, what the actor is: code, head, nonce
T = TypeVar("T")
_STATE_NAMES = {"mainnet": "testnetnet"}
"""What the first state of a network calls it, where that is another name: https://github.com/filecoin-project/lotus, `build/params_mainnet.go`."""


def check_address(chain: Chain, address: str) -> str:
    """Return the address as Lotus writes it; `0x…` becomes f410f….

    Raises:
        RegistryError: Bad checksum, other network, or not an address at all.
    """
    try:
        return parse_address(address, chain.network).text(chain.network)
    except AddressError as error:
        raise RegistryError(
            str(error), subject=f"{chain.name} address {address[:120]!r}", next_step="copy the address again from where it is shown"
        ) from error


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> FilecoinReader:
    """Return a reader of the chain through the source."""
    return FilecoinReader(chain, source, assets=assets, archive=archive, url=url)


class FilecoinReader(Reader):
    """Filecoin read through one Lotus node. Arguments as in `Reader`.

    Calls go one by one, `concurrency` at a time: older Lotus nodes and most gateways refuse batches.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self._client = self._rpc = JsonRpc(source, url, self.meter)
        self._scale = scale_of(chain, assets, chain.asset, NATIVE_DECIMALS)

    async def check_network(self) -> None:
        """Compare the network's name and the CID of the first block with the registry's `network` and `genesis`."""
        about = "network"
        name = await self._rpc.call("Filecoin.StateNetworkName", [], about=about)
        if name not in (self.chain.network, _STATE_NAMES.get(self.chain.network)):
            raise self._rpc.wrong(
                f"it serves the network {self._rpc.scrubbed(str(name))[:80]!r} and {self.chain.name} is {self.chain.network!r}", about
            )
        genesis = await self._tipset("Filecoin.ChainGetGenesis", [], "genesis")
        if genesis.hash != self.chain.genesis:
            raise self._rpc.wrong(f"its first block is {genesis.hash} and that of {self.chain.name} is {self.chain.genesis}", "genesis")

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last tipset at or before `as_of`, and show that the next one is final and follows from it."""
        about = "snapshot block"
        genesis = await self._tipset("Filecoin.ChainGetGenesis", [], "genesis", archived=True)
        moment = int(as_of.timestamp())
        epoch = (moment - genesis.time) // EPOCH_SECONDS
        if epoch < 0:
            raise self._rpc.wrong(f"the chain began after as_of {as_of:%Y-%m-%dT%H:%M:%SZ}", about)
        top = await self._final()
        if top.height <= epoch:
            self._behind(f"its last final tipset is of epoch {top.height}, and one after epoch {epoch} is needed")
        found = await self._tipset(_BY_HEIGHT, [epoch, None], about, archived=True)
        after = await self._tipset(_AFTER_HEIGHT, [epoch + 1, None], "the tipset after the snapshot block", archived=True)
        for tipset in (found, after, top):
            if tipset.time != genesis.time + tipset.height * EPOCH_SECONDS:
                raise self._rpc.wrong(f"the tipset of epoch {tipset.height} does not have the time of its epoch", about)
        if not found.height <= epoch < after.height <= top.height or after.parents != found.hash:
            raise self._rpc.wrong(f"the tipset of epoch {after.height} does not follow from that of epoch {found.height}", about)
        distance = moment - found.time
        if distance > self.chain.max_distance_seconds:
            raise self._rpc.wrong(
                f"the last tipset before as_of lies {distance} s before it and at most {self.chain.max_distance_seconds} s are allowed",
                about,
            )
        return SnapshotBlock(
            chain=self.chain.name,
            height=found.height,
            hash=found.hash,
            time=datetime.fromtimestamp(found.time, UTC),
            finality="finalized" if self._by_tag else f"{self.chain.confirmations} confirmations",
            distance_seconds=distance,
        )

    async def block_hash(self, height: int) -> str:  # noqa: D102  (described by the interface)
        about = f"tipset of epoch {height}"
        found = await self._tipset(_BY_HEIGHT, [height, None], about, archived=True)
        if found.height != height:
            raise self._rpc.wrong(f"it has no tipset of that epoch and gave that of {found.height}", about)
        return found.hash

    async def check_assets(self, block: SnapshotBlock) -> None:  # noqa: ARG002 (the family has nothing to ask the block)
        """Make sure that no token is configured: tokens live in the FEVM, which the `evm` family reads."""
        if self.chain.tokens:
            raise RegistryError(
                f"the filecoin family carries no tokens, and {', '.join(sorted(self.chain.tokens))} are configured",
                subject=f"chain {self.chain.name}",
                next_step="configure tokens on a chain of the family evm (chain id 314)",
            )

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: D102, ARG002  (described by the interface)
        if not addresses:
            return []
        state = await self._state_after(block)
        actors = await gather([self._actor(state, address) for address in addresses])
        await self._refuse_repeats(state, actors)
        return [
            Balance(
                address=address,
                asset=self.chain.asset,
                amount=check_amount(amount * self._scale, subject=f"source {self.source.name}, {_words(address)}"),
                evidence=evidence,
            )
            for address, amount, evidence, _ in actors
        ]

    async def _state_after(self, block: SnapshotBlock) -> Key:
        """Return the key of the tipset after the snapshot block, at which a node gives the state that the snapshot block led to."""
        about = "the tipset after the snapshot block"
        after = await self._tipset(_AFTER_HEIGHT, [block.height + 1, None], about, archived=True)
        if after.height <= block.height or after.parents != block.hash:
            raise self._rpc.wrong(f"the tipset of epoch {after.height} does not follow from the snapshot block {block.hash}", about)
        return key_of(after.hash)

    async def _actor(self, state: Key, address: str) -> _Actor:
        """Return what an actor holds; zero, with the refusal as evidence, where the state has no such actor."""
        params = [address, state]
        try:
            actor = await self._rpc.call(_GET_ACTOR, params, about=_words(address))
        except RefusedError as error:
            if not _says_not_found(error, address):
                raise
            return address, 0, self.archive.record_error(_GET_ACTOR, params, error.answer), ""
        amount, identity = self._parsed(_parse_actor, actor, _words(address))
        return address, amount, self.archive.record(_GET_ACTOR, params, actor), identity

    async def _refuse_repeats(self, state: Key, actors: Sequence[_Actor]) -> None:
        """Refuse two addresses of one actor, which look the same in code, state, nonce and balance; its id tells for sure."""
        seen: dict[tuple[str, int], list[str]] = {}
        for address, amount, _, identity in actors:
            if amount:
                seen.setdefault((identity, amount), []).append(address)
        for alike in seen.values():
            ids: dict[str, str] = {}
            for address in alike if len(alike) > 1 else ():
                params = [address, state]
                found = await self._rpc.call(_LOOKUP, params, about=f"id of {address}")
                self.archive.record(_LOOKUP, params, found)
                if (other := ids.setdefault(str(found), address)) != address:
                    raise RegistryError(
                        f"it is the same actor as {other} ({str(found)[:40]}); counted twice it would inflate the reserves",
                        subject=f"chain {self.chain.name}, address {address}",
                        next_step="delete one of the two wallets from wallets.csv",
                    )

    @property
    def _by_tag(self) -> bool:
        return self.chain.finality == "finalized"

    async def _final(self) -> Tipset:
        """Return the newest final tipset; not archived, because another answer will be right tomorrow."""
        if self._by_tag:
            return await self._tipset("Filecoin.ChainGetFinalizedTipSet", [], "final tipset")
        head = await self._tipset("Filecoin.ChainHead", [], "newest tipset")
        if head.height < self.chain.confirmations:
            self._behind(f"it is at epoch {head.height} and {self.chain.confirmations} confirmations are needed")
        return await self._tipset(_BY_HEIGHT, [head.height - self.chain.confirmations, None], "final tipset")

    async def _tipset(self, method: str, params: list[Any], about: str, *, archived: bool = False) -> Tipset:
        tipset = self._parsed(parse_tipset, await self._rpc.call(method, params, about=about), about)
        if archived:
            self.archive.record(method, params, tipset.raw)
        return tipset

    def _parsed(self, parse: Callable[[Any], T], answer: Any, about: str) -> T:
        try:
            return parse(answer)
        except AnswerError as error:
            raise self._rpc.wrong(self._rpc.scrubbed(str(error)), about) from error

    def _behind(self, problem: str) -> NoReturn:
        raise SourceBehindError(
            f"it is behind as_of: {problem}",
            subject=self._rpc.subject("snapshot block"),
            next_step="wait until the node has caught up and its next tipsets are final",
        )


def _parse_actor(raw: Any) -> tuple[int, str]:
    try:
        balance, identity = raw["Balance"], (raw["Code"]["/"], raw["Head"]["/"], raw["Nonce"])
    except (TypeError, KeyError) as error:
        raise AnswerError("the answer is not an actor") from error
    if not isinstance(balance, str) or not _AMOUNT.fullmatch(balance):
        raise AnswerError(f"the balance {str(balance)[:80]!r} is not a number of attoFIL")
    return int(balance), repr(identity)


def _says_not_found(error: RefusedError, address: str) -> bool:
    """Whether a refusal says that the state has no such actor, in the words of Lotus's `StateTree.GetActor`.

    An actor that is missed on the way there ("getting init actor: actor not found") is a broken state, and no zero.
    """
    message = error.answer.get("message") if isinstance(error.answer, dict) else None
    unresolved = f"resolution lookup failed ({address}): resolve address {address}: actor not found"
    return error.code in _NOT_FOUND_CODES and message in ("actor not found", unresolved)


def _words(address: str) -> str:
    return f"balance of {address}"
