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

from assay.config import Asset, Chain, Source


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


@dataclass(frozen=True, kw_only=True)
class Balance:
    """One asset on one address at the snapshot block.

    Attributes:
        address: As it stands in the registry.
        asset: Symbol.
        amount: Base units of the asset, exact and not negative.
        evidence: SHA-256 of the archived response (or of the archived list of responses) that the amount rests on.
    """

    address: str
    asset: str
    amount: int
    evidence: str


class Archive(Protocol):
    """Where a reader leaves every response that a number rests on. See `evidence.py`."""

    def record(self, method: str, params: object, result: object) -> str:
        """Archive one exchange and return its SHA-256 in hexadecimal."""


class Reader(ABC):
    """A chain read through one source; an async context manager, open while it is used.

    Args:
        chain: Facts about the chain.
        source: The server and how hard it may be driven.
        assets: All known assets by symbol, for decimals.
        archive: Receives every response that a number rests on.
        url: Address of the server with its credentials; never logged, archived or put into an error.
    """

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        self.chain = chain
        self.source = source
        self.assets = assets
        self.archive = archive
        self._url = url

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(self, *error: object) -> None: ...

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

    @abstractmethod
    async def check_assets(self, block: SnapshotBlock) -> None:
        """Make sure that the chain's tokens are what the registry says, at the snapshot block.

        Raises:
            RegistryError: A token contract is missing or answers with other decimals.
        """

    @abstractmethod
    async def read(self, block: SnapshotBlock, addresses: Sequence[str]) -> list[Balance]:
        """Read the native asset and every token of the chain for each address, at the block's hash.

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

    def check_address(self, chain: Chain, address: str) -> str:
        """Return the address in its canonical form.

        Raises:
            RegistryError: Bad checksum, other network, or not an address at all.
        """

    def reader(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> Reader:
        """Return a reader of the chain through the source."""


def assets_of(chain: Chain) -> list[str]:
    """Return the symbols that are read for each address: the native asset first, then tokens by symbol."""
    return [chain.asset, *sorted(chain.tokens)]


def batches(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    """Cut a sequence into pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
