"""What every chain family's reader offers.

A reader answers for one chain through one source. It knows nothing of the other sources (`quorum.py` compares them),
never retries (Airflow does) and never answers with a default: a balance is a number with the evidence it rests on, or
an error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

import msgspec

from assay.chains.evidence import TAPE, Exchange
from assay.chains.health import Meter
from assay.config import Asset, Chain, Source
from assay.errors import ConfigError, RegistryError


@dataclass(frozen=True, kw_only=True)
class SnapshotBlock:
    """The block at which all of a chain's balances are read.

    Attributes:
        chain: Name of the chain.
        height: Block number.
        hash: Block hash in the chain's usual text form (EVM: `0x…`; Bitcoin family: reversed hex).
        time: The time that the family compares with `as_of`: block timestamp (EVM), median time past (Bitcoin family).
        finality: The rule under which the block counted as final: `finalized`, `6 confirmations`.
        distance_seconds: `as_of` − `time`, never negative.
    """

    chain: str
    height: int
    hash: str
    time: datetime
    finality: str
    distance_seconds: int


class Balance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One asset on one address at the snapshot block.

    A `msgspec.Struct` because there are tens of thousands: a frozen dataclass takes three times as long to make, and the garbage collector
    goes through them.

    Attributes:
        address: As it stands in the registry.
        asset: Symbol.
        amount: Base units of the asset, exact and not negative.
        evidence: SHA-256 of the archived response (or of the archived list of responses) that the amount rests on.
        since: The lowest height whose header the evidence needs to be linked to the snapshot block; None where it needs none.
        read_height: Where the chain can't answer for the past: the height, slot or sequence of the state that the source
            answered from, not below the snapshot block's. None where the amount is that of the snapshot block itself.
        read_time: The time of `read_height`, None likewise.
    """

    address: str
    asset: str
    amount: int
    evidence: str
    since: int | None = None
    read_height: int | None = None
    read_time: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a family can and can't do, in words that are published.

    Attributes:
        past: How it answers for a past block, such as `state at the block hash (archive node)`; empty where it can't, and the
            scheduled run reads at `as_of` and records how far from it.
        finality: The finality rules that chains of the family may name in the registry.
        kinds: Protocols that its sources may speak.
        evidence: What a stranger is given to check a balance by.
        documentation: Address of the description of the API that the reader was written from.
        identity: Keys of `chains.toml` that a source is held against, so that no chain of the family can be read without them.
        tokens: Whether its chains carry tokens that are read here.
    """

    past: str
    finality: tuple[str, ...]
    kinds: tuple[str, ...]
    evidence: str
    documentation: str
    identity: tuple[str, ...] = ()
    tokens: bool = True


class Archive(Protocol):
    """Where a reader leaves every response that a number rests on. See `evidence.py`."""

    def record(self, method: str, params: object, result: object) -> str:
        """Archive one exchange and return its SHA-256 in hexadecimal."""

    def record_error(self, method: str, params: object, error: object) -> str:
        """Archive a refusal that a number rests on and return its SHA-256 in hexadecimal."""


class Client(Protocol):
    """What asks a source: open between the two."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *error: object) -> None: ...


class Reader(ABC):
    """A chain read through one source; an async context manager, open while it is used.

    Args:
        chain: Facts about the chain.
        source: The server and how hard it may be driven.
        assets: All known assets by symbol, for decimals.
        archive: Receives every response that a number rests on.
        url: Address of the server with its credentials; never logged, archived or put into an error. Or a tape (`evidence.py`), which
            answers what the server answered.

    Attributes:
        meter: Counts what is asked of the source.
    """

    _client: Client
    """What asks the source, opened and closed with the reader; set by families that don't do that themselves."""

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        self.chain = chain
        self.source = source
        self.assets = assets
        self.archive = archive
        self.meter = Meter()
        self._url = url

    @property
    def replayed(self) -> bool:
        """Whether an archive answers in the place of the source."""
        return self._url.startswith(TAPE)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.__aexit__(*error)

    @abstractmethod
    async def check_network(self) -> None:
        """Make sure that the source serves this chain.

        Raises:
            SourceMismatchError: Another chain id or genesis block.
            SourceUnavailableError: No full answer.
        """

    @abstractmethod
    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the last final block at or before `as_of`.

        Raises:
            SourceBehindError: The source's final blocks don't pass `as_of` yet.
            SourceMismatchError: The last block before `as_of` lies farther back than the chain allows, or the source's headers
                contradict themselves.
            SourceUnavailableError: No full answer.
        """

    @abstractmethod
    async def block_hash(self, height: int) -> str:
        """Return the hash that the source now gives for a height, to be compared with the snapshot block's."""

    async def recheck(self, block: SnapshotBlock, *, since: int | None) -> str:  # noqa: ARG002 (most evidence needs no other headers)
        """Return the hash that the source now gives for the block's height, and archive what links the evidence to the block.

        Args:
            block: The snapshot block.
            since: The lowest `Balance.since` of all balances, None where none has one.
        """
        return await self.block_hash(block.height)

    async def used(self, block: SnapshotBlock, addresses: Sequence[str]) -> list[bool]:  # noqa: ARG002
        """Return for each address whether anything ever concerned it up to the block; what a gap limit is counted with.

        Raises:
            ConfigError: This kind of source cannot tell.
        """
        raise ConfigError(
            f"a source of kind {self.source.kind!r} cannot tell whether an address was used",
            subject=f"chain {self.chain.name}, source {self.source.name}",
            next_step="list the chain's wallets as addresses, or name a source first that keeps histories",
        )

    async def contract_code(self, block: SnapshotBlock, address: str) -> bytes:  # noqa: ARG002
        """Return the code that an address has at the block, empty for none; archived.

        Raises:
            ConfigError: The family has no contracts that sign.
        """
        raise self._no_contracts()

    async def contract_answer(self, block: SnapshotBlock, address: str, call: bytes) -> bytes | None:  # noqa: ARG002
        """Return what a contract answers to a call at the block, None where it refuses; archived.

        Raises:
            ConfigError: The family has no contracts that sign.
        """
        raise self._no_contracts()

    async def movement(self, block: SnapshotBlock, address: str, transaction: str) -> list[Exchange]:  # noqa: ARG002
        """Return what shows a transaction's movement within an address, archived; nothing where none stands in a block up to this one.

        Raises:
            ConfigError: The family, or this kind of source, cannot show it.
        """
        raise ConfigError(
            f"a source of kind {self.source.kind!r} is not asked for transactions of the family {self.chain.family}",
            subject=f"chain {self.chain.name}, source {self.source.name}",
            next_step="have the wallet's key sign, or name sources that show movements, on Bitcoin an Electrum server first",
        )

    def _no_contracts(self) -> ConfigError:
        return ConfigError(
            f"the family {self.chain.family} has no contract wallets",
            subject=f"chain {self.chain.name}",
            next_step="sign with the address's key",
        )

    @abstractmethod
    async def check_assets(self, block: SnapshotBlock) -> None:
        """Make sure that the chain's tokens are what the registry says, at the snapshot block.

        Raises:
            RegistryError: A token contract is missing or answers with other decimals.
        """

    @abstractmethod
    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:
        """Read the native asset and every token of the chain for each address, at the block's hash.

        Args:
            block: The block; of a chain that can't answer for the past, the one that the state must not be older than.
            addresses: In their canonical form.
            prove: Also fetch and check the proofs that the family knows, and let the balances' evidence refer to them.

        Returns:
            One balance per address and asset, addresses in the order given, native asset first and then tokens by
            symbol; zeros included, because a zero that was read is a fact.

        Raises:
            SourceMismatchError: The source doesn't know the block hash, or its answer contradicts itself.
            SourceUnavailableError: No full answer.
            AmountError: A balance over 38 digits.
        """


class Family(Protocol):
    """What a family's module offers beside its reader."""

    FACTS: Facts

    def check_address(self, chain: Chain, address: str) -> str:
        """Return the address in its canonical form.

        Raises:
            RegistryError: Bad checksum, other network, or not an address at all.
        """

    def reader(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> Reader:
        """Return a reader of the chain through the source."""


def scale_of(chain: Chain, assets: dict[str, Asset], symbol: str, decimals: int) -> int:
    """Return how many of an asset's base units one unit on the chain is.

    Args:
        chain: The chain.
        assets: All known assets by symbol.
        symbol: The asset.
        decimals: What the chain counts it in.

    Raises:
        RegistryError: The chain counts it finer than the registry's asset, which would round.
    """
    missing = assets[symbol].decimals - decimals
    if missing < 0:
        raise RegistryError(
            f"it is counted in {decimals} decimals on {chain.name} and the registry gives the asset {assets[symbol].decimals}",
            subject=f"asset {symbol}",
            next_step="correct assets.toml or chains.toml",
        )
    return int(10**missing)


def assets_of(chain: Chain) -> list[str]:
    """Return the symbols that are read for each address: the native asset first, then tokens by symbol."""
    return [chain.asset, *sorted(chain.tokens)]


def batches(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    """Cut a sequence into pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
