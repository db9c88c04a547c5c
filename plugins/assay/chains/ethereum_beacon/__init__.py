"""The `ethereum_beacon` family: balances of Ethereum's validators, read from a beacon node (https://ethereum.github.io/beacon-APIs/).

A wallet is one of three things:

- `0x` and 96 hexadecimal digits: a validator's public key;
- `validator:123`: a validator's index;
- `0x` and 40 hexadecimal digits: every validator whose withdrawal credentials are of type 0x01 or 0x02 and hold that address. The
  API cannot filter by credentials, so the state's whole list is read in pieces of `batch_size` indices (over two million on
  mainnet: give such a source a `batch_size` of some thousands). Only the matches are archived; that none was left out is what a
  second source's own reading shows.

Counted is the balance in the state after the snapshot block. Not counted: deposits that the state has not credited to a
validator yet, and what was withdrawn already, which stands on the execution chain (family `evm`). A validator that two wallets of one reading task name would
count twice and is refused; between tasks that cannot be seen, so name each validator in one way.

The header's root is recomputed, and the state that is read has the root that the header commits to as far as the node
says (`getStateRoot`); the balances themselves are taken on its word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from assay.chains import evm
from assay.chains.ethereum_beacon.api import Validator, parse_state_root
from assay.chains.ethereum_beacon.node import FINALIZED, MAYBE, BeaconNode
from assay.chains.interface import Archive, Balance, Facts, Reader, SnapshotBlock, scale_of
from assay.config import Asset, Chain, Source
from assay.errors import RegistryError, SourceBehindError
from assay.money import check_amount

GWEI_DECIMALS = 9
"""The consensus layer counts in Gwei, whatever the execution layer does."""

FACTS = Facts(
    past="state at the slot (archive beacon node)",
    finality=("finalized",),
    kinds=("rest",),
    evidence="archived answers; the block root is recomputed from its header",
    documentation="https://ethereum.github.io/beacon-APIs/",
    identity=("genesis",),
    tokens=False,
)
SCAN = "validators by withdrawal address"
"""The method under which the result of going through a state's whole list is archived; parameters: slot and address."""

_KEY = re.compile(r"0x[0-9a-fA-F]{96}", re.ASCII)
_INDEX = re.compile(r"validator:(0|[1-9][0-9]{0,18})", re.ASCII)
_ADDRESS_LENGTH = 42
_COMPRESSED, _INFINITY = 0x80, 0x40  # flag bits of a compressed BLS12-381 point


def check_address(chain: Chain, address: str) -> str:
    """Return the wallet's name in its canonical form: key in lower case, index as it is, withdrawal address with its checksum.

    Raises:
        RegistryError: None of the three.
    """
    if len(address) == _ADDRESS_LENGTH and address.startswith("0x"):
        return evm.check_address(chain, address)
    if _INDEX.fullmatch(address):
        return address
    if _KEY.fullmatch(address) and int(address[2:4], 16) & (_COMPRESSED | _INFINITY) == _COMPRESSED:
        return address.lower()
    raise RegistryError(
        "it is neither a validator's public key (0x and 96 hexadecimal digits), nor an index (validator:123), nor a withdrawal address",
        subject=f"{chain.name} address {address[:120]!r}",
        next_step="copy it again from where it is shown",
    )


def reader(chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> BeaconReader:
    """Return a reader of the chain through the source."""
    return BeaconReader(chain, source, assets=assets, archive=archive, url=url)


class BeaconReader(Reader):
    """Validators read through one beacon node. Arguments as in `Reader`; `batch_size` bounds the validators of one request."""

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        self._client = self._node = BeaconNode(source, url, self.meter, archive=archive)
        self._scale = scale_of(chain, assets, chain.asset, GWEI_DECIMALS)

    async def check_network(self) -> None:  # noqa: D102  (described by the interface)
        about = "genesis"
        found = self._node.field(await self._node.get("/eth/v1/beacon/genesis", about=about), "genesis_validators_root", about)
        if found != self.chain.genesis:
            raise self._node.wrong(
                f"its genesis_validators_root is {self._node.scrubbed(str(found))[:80]} and {self.chain.name} has {self.chain.genesis}",
                about,
            )

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Find the block of the last slot at or before `as_of` that has one, and show that the next block is final and follows from it."""
        about = "snapshot block"
        genesis_time, seconds = await self._node.clock()
        moment = int(as_of.timestamp())
        if moment < genesis_time:
            raise self._node.wrong(f"the chain began after as_of {as_of:%Y-%m-%dT%H:%M:%SZ}", about)
        slot = (moment - genesis_time) // seconds
        top = await self._node.header(FINALIZED)
        if top is None or top.slot <= slot:
            raise SourceBehindError(
                f"it is behind as_of: its last finalized block is of slot {'none' if top is None else top.slot}, and one after slot {slot} is needed",
                subject=self._node.subject(about),
                next_step="wait until the node has caught up and the next blocks are final",
            )
        lowest = max(0, -(-(moment - genesis_time - self.chain.max_distance_seconds) // seconds))
        found = await self._node.last(slot, lowest)
        after = await self._node.first(slot + 1, top.slot)
        if after.parent != found.root:
            raise self._node.wrong(f"the block of slot {after.slot} does not follow from that of slot {found.slot}", about)
        time = genesis_time + found.slot * seconds
        return SnapshotBlock(
            chain=self.chain.name,
            height=found.slot,
            hash=found.root,
            time=datetime.fromtimestamp(time, UTC),
            finality="finalized",
            distance_seconds=moment - time,
        )

    async def block_hash(self, height: int) -> str:  # noqa: D102  (described by the interface)
        return (await self._node.known(str(height), f"block of slot {height}")).root

    async def check_assets(self, block: SnapshotBlock) -> None:  # noqa: ARG002 (the family has nothing to ask the block)
        """Make sure that no token is configured; the native asset's decimals were compared when the reader was made."""
        if self.chain.tokens:
            raise RegistryError(
                f"the ethereum_beacon family carries no tokens, and {', '.join(sorted(self.chain.tokens))} are configured",
                subject=f"chain {self.chain.name}",
                next_step="correct chains.toml",
            )

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: D102, ARG002  (described by the interface)
        if not addresses:
            return []
        await self._check_state(block)
        named = [_id(address) for address in addresses if len(address) != _ADDRESS_LENGTH]
        matches = await self._scan(block, [address for address in addresses if len(address) == _ADDRESS_LENGTH])
        indices = [str(index) for _, found in matches.values() for index in found]
        # Keys and indices apart: a node asked for one validator under both names in one request may answer it twice or once.
        keys = sorted({name for name in named if not name.isdigit()})
        known = await self._validators(block, keys) | await self._validators(block, sorted({*named, *indices} - {*keys}))
        owners: dict[int, str] = {}
        return [
            self._summed(block, address, matches[address], known, owners)
            if address in matches
            else await self._single(block, address, known, owners)
            for address in addresses
        ]

    async def _single(self, block: SnapshotBlock, address: str, known: dict[str, tuple[Validator, str]], owners: dict[int, str]) -> Balance:
        if _id(address) not in known:
            return self._balance(address, 0, await self._node.absent(block.height, _id(address)))
        validator, evidence = known[_id(address)]
        self._claim(validator, address, owners)
        return self._balance(address, validator.balance, evidence)

    def _summed(
        self,
        block: SnapshotBlock,
        address: str,
        match: tuple[int, list[int]],
        known: dict[str, tuple[Validator, str]],
        owners: dict[int, str],
    ) -> Balance:
        """Add up an address's validators, and archive which they are and where each one's balance stands."""
        scanned, indices = match
        total, entries = 0, []
        for index in indices:
            if str(index) not in known:
                raise self._node.wrong(f"validator {index} was in the list and is no longer known", address)
            validator, evidence = known[str(index)]
            if validator.withdrawal_address != address.lower():
                raise self._node.wrong(f"validator {index} had the withdrawal address {address} and now has another", address)
            self._claim(validator, address, owners)
            total += validator.balance
            entries.append({"index": index, "balance": str(validator.balance), "evidence": evidence})
        digest = self.archive.record(SCAN, [block.height, address], {"scanned": scanned, "validators": entries})
        return self._balance(address, total, digest)

    def _claim(self, validator: Validator, address: str, owners: dict[int, str]) -> None:
        if validator.index in owners:
            raise RegistryError(
                f"validator {validator.index} is also counted for {owners[validator.index]}; counted twice it would inflate the reserves",
                subject=f"chain {self.chain.name}, address {address}",
                next_step="delete one of the two wallets from wallets.csv",
            )
        owners[validator.index] = address

    def _balance(self, address: str, gwei: int, evidence: str) -> Balance:
        amount = check_amount(gwei * self._scale, subject=f"source {self.source.name}, balance of {address}")
        return Balance(address=address, asset=self.chain.asset, amount=amount, evidence=evidence)

    async def _check_state(self, block: SnapshotBlock) -> None:
        """Make sure that the node has the snapshot block, and at its slot the state that the block commits to."""
        header = await self._node.known(block.hash, "snapshot block")
        if (header.root, header.slot) != (block.hash, block.height):
            raise self._node.wrong(f"it gave the block {header.root} of slot {header.slot} for {block.hash}", "snapshot block")
        about = f"state of slot {block.height}"
        reply = await self._node.get(f"/eth/v1/beacon/states/{block.height}/root", about=about, accept=MAYBE)
        self._node.refuse_missing(reply, about)
        root = self._node.parsed(parse_state_root, reply, about)
        reply.record(self.archive)
        if root != header.state:
            raise self._node.wrong(f"its state has the root {root} and the snapshot block commits to {header.state}", about)

    async def _validators(self, block: SnapshotBlock, ids: Sequence[str]) -> dict[str, tuple[Validator, str]]:
        """Return what is known of the validators, each with the digest of the answer that it stands in."""
        known = {}
        for reply, found in await self._node.ask(block.height, ids):
            evidence = reply.record(self.archive)
            known.update({name: (validator, evidence) for name, validator in found.items()})
        return known

    async def _scan(self, block: SnapshotBlock, addresses: Sequence[str]) -> dict[str, tuple[int, list[int]]]:
        """Return for each withdrawal address how many validators were looked at and the indices of its own."""
        if not addresses:
            return {}
        if self._node.tape is not None:
            taped = {address: self._node.tape.answer(SCAN, [block.height, address]) for address in addresses}
            return {address: (told["scanned"], [item["index"] for item in told["validators"]]) for address, told in taped.items()}
        found: dict[str, list[int]] = {address.lower(): [] for address in addresses}
        scanned, piece = 0, self.source.batch_size * self.source.concurrency
        while True:
            answers = await self._node.ask(block.height, [str(scanned + place) for place in range(piece)])
            validators = sorted((item for _, known in answers for item in known.values()), key=lambda item: item.index)
            # Indices are dense: the list ends at the first one that is not known, and none after it can be.
            if [item.index for item in validators] != list(range(scanned, scanned + len(validators))):
                raise self._node.wrong("its list of validators has gaps", f"validators from {scanned}")
            for item in validators:
                found.get(item.withdrawal_address, []).append(item.index)
            scanned += len(validators)
            if len(validators) < piece:
                break
        await self._node.absent(block.height, str(scanned))
        return {address: (scanned, found[address.lower()]) for address in addresses}


def _id(address: str) -> str:
    """Return what the API calls a validator: its key, or its bare index."""
    return address.removeprefix("validator:")
