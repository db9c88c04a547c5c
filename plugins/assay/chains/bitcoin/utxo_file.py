r"""Reads the Bitcoin family from UTXO-set files that an operator's node wrote: source kind `utxo_file`.

A source is a folder, `file:///folder` (an Airflow Connection with schema `file`, host `localhost` and the folder as `extra.path`). For each
snapshot block it holds two files: `<block hash>.utxo`, which `dumptxoutset` wrote, and beside it `<block hash>.json` with

- `base_hash`, `base_height`, `coins_written` and `txoutset_hash` as `dumptxoutset` printed them; where the node prints no `txoutset_hash`
  (Litecoin Core 0.21), `hash_serialized_2` as `gettxoutsetinfo` printed it at that block;
- `genesis`: what `getblockhash 0` printed;
- `headers`: what `getblockheader HASH false` printed for the block, the ten before it (as many as there are), the one after it and as many more
  as the chain's `confirmations`. From them the block's median time past and the next one's are computed, and so whether the file is that of the
  last final block before `as_of`.

Written with Bitcoin Core 29 or later (the side-car last, so that none is seen before its file):

    cd "$FOLDER"; at=$(date -u -d "$AS_OF" +%s); tip=$(bitcoin-cli getblockcount); height=$((tip - CONFIRMATIONS - 1))
    header() { bitcoin-cli getblockheader "$(bitcoin-cli getblockhash "$1")" "$2"; }
    while [ "$(header $height true | jq .mediantime)" -gt "$at" ]; do height=$((height - 1)); done
    base=$(bitcoin-cli getblockhash $height)
    bitcoin-cli -rpcclienttimeout=0 -named dumptxoutset path="$PWD/$base.utxo" rollback=$height > told
    for h in $(seq $((height - 10)) $((height + 1 + CONFIRMATIONS))); do header $h false; done | jq -R . | jq -s . > headers
    jq --arg genesis "$(bitcoin-cli getblockhash 0)" --slurpfile headers headers \
        '. + {genesis: $genesis, headers: $headers[0]}' told > part && mv part "$base.json"

Litecoin Core knows no rollback: there the block after the wanted one is invalidated, `dumptxoutset` and `gettxoutsetinfo` are called,
and the block is reconsidered. Balances at offsets from `as_of` need files of their own.

Reading costs one pass over the whole file whatever is looked for: a minute on two cores for Bitcoin's 170 million coins, with one wallet or
100,000. Every task makes its own pass, so a custodian's wallets should be one chunk (`chunk_size` of at least their number; 23,000 wallets in
chunks of 500 would be 46 passes). There is no index beside the file: it would take gigabytes and a sort of all scripts to save passes that
one large chunk saves too, and what was not hashed in the same pass would have to be trusted.

What is taken on the operator's word: that the hash is that of the block's set. A second source of another kind is the check, as is anybody
with a node, who gets the same `txoutset_hash`. The headers are held to the work that they claim.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import msgspec

from assay.chains.bitcoin.addresses import parse_address
from assay.chains.bitcoin.base import MEDIAN_SPAN, BitcoinReader, Stretch
from assay.chains.bitcoin.coins import ContradictionError
from assay.chains.bitcoin.headers import follow, parse_chain
from assay.chains.bitcoin.transactions import MalformedError
from assay.chains.bitcoin.utxo_set import HASH_TYPES, LAYOUTS, Claim, CutOffError, UtxoSet, UtxoSetError, read_utxo_set
from assay.chains.evidence import tape_of
from assay.chains.interface import Archive, Balance, SnapshotBlock
from assay.config import Asset, Chain, Source
from assay.errors import ConfigError, SourceBehindError, SourceUnavailableError
from assay.money import check_amount

_SET, _COINS, _HEADERS = "utxo_set", "utxo_set_coins", "utxo_set_headers"
"""Methods under which are archived: what a file was found to be, one script's coins in it, and headers from side-cars."""


class SideCar(msgspec.Struct, frozen=True):
    """What stands beside a file, as the module describes it."""

    base_hash: str
    base_height: int
    coins_written: int
    genesis: str
    headers: tuple[str, ...]
    txoutset_hash: str = ""
    hash_serialized_2: str = ""

    @property
    def first(self) -> int:
        """Height of the first header."""
        return max(0, self.base_height + 1 - MEDIAN_SPAN)

    @property
    def claim(self) -> Claim:
        """What the file must be held against."""
        three, two = HASH_TYPES
        return Claim(
            block_hash=self.base_hash,
            height=self.base_height,
            coins=self.coins_written,
            hash_type=three if self.txoutset_hash else two,
            set_hash=self.txoutset_hash or self.hash_serialized_2,
        )


class UtxoFileReader(BitcoinReader):
    """A chain of the family read from UTXO-set files. See `Reader`."""

    def __init__(self, chain: Chain, source: Source, *, assets: dict[str, Asset], archive: Archive, url: str) -> None:
        super().__init__(chain, source, assets=assets, archive=archive, url=url)
        subject = f"chain {chain.name}, source {source.name}"
        if chain.network not in LAYOUTS:
            raise ConfigError(
                f"the UTXO-set files of {chain.network} are unknown", subject=subject, next_step=f"they are known of {', '.join(LAYOUTS)}"
            )
        try:
            usable = self.replayed or (url.startswith("file://") and urlsplit(url).netloc in {"", "localhost"})
        except ValueError:
            usable = False
        if not usable:
            raise ConfigError("its address is not that of a folder", subject=subject, next_step="write it like file:///folder")

    async def __aenter__(self) -> Self:
        self._tape = tape_of(self._url)
        address = urlsplit(self._url)
        self._folder = Path(unquote(address.path))
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def check_network(self) -> None:
        """Compare the genesis block that each side-car names with the chain's; each file's own network magic is compared when it is read."""
        side_cars = list(self._side_cars())
        if not side_cars:
            raise self._missing("its folder holds no side-car of a UTXO-set file")
        for side_car in side_cars:
            self.compare_genesis(side_car.genesis)

    async def tip(self) -> int:
        """Return the height of the last block that a side-car has a header of."""
        heights = [side_car.first + len(side_car.headers) - 1 for side_car in self._side_cars()]
        if not heights:
            raise self._missing("its folder holds no side-car of a UTXO-set file")
        return max(heights)

    async def raw_headers(self, stretches: Sequence[Stretch], *, archived: bool = False) -> list[list[bytes]]:
        """Return the headers of each stretch from a side-car that has all of them. See `BitcoinReader`."""
        found = []
        for first, last in stretches:
            params = {"first": first, "last": last}
            texts = self._tape.answer(_HEADERS, params) if self._tape else self._texts(first, last)
            if archived:
                self.archive.record(_HEADERS, params, texts)
            found.append([bytes.fromhex(text) for text in texts])
        return found

    async def resolve(self, as_of: datetime) -> SnapshotBlock:
        """Return the block of the file that is the last final one whose median time past is not after `as_of`.

        Raises:
            SourceBehindError: There is no file of that block yet, or its side-car has too few headers after it.
            SourceMismatchError: A side-car contradicts itself, or the block lies too far before `as_of`.
        """
        moment = int(as_of.timestamp())
        for side_car in self._side_cars():
            times = self._times(side_car)
            place = side_car.base_height - side_car.first
            median, following = (_median(times[max(0, end - MEDIAN_SPAN) : end]) for end in (place + 1, place + 2))
            if not median <= moment < following:
                continue
            if len(times) < place + 2 + self.chain.confirmations:
                raise SourceBehindError(
                    f"the side-car of block {side_car.base_height} shows {len(times) - place - 1} blocks after it, and "
                    f"{1 + self.chain.confirmations} must be there",
                    subject=self._subject,
                    next_step="write it again with as many headers",
                )
            time = datetime.fromtimestamp(median, UTC)
            distance = int((as_of - time) / timedelta(seconds=1))
            if distance > self.chain.max_distance_seconds:
                raise self.mismatch(
                    f"the last block before as_of, {side_car.base_height}, lies {distance} s before it and at most "
                    f"{self.chain.max_distance_seconds} s are allowed",
                    next_step="raise max_distance_seconds if the chain was that slow, or choose another as_of",
                )
            await self.raw_headers([(side_car.first, side_car.base_height + 1)], archived=True)
            return SnapshotBlock(
                chain=self.chain.name,
                height=side_car.base_height,
                hash=side_car.base_hash,
                time=time,
                finality=f"{self.chain.confirmations} confirmations",
                distance_seconds=distance,
            )
        raise SourceBehindError(
            f"its folder holds no UTXO-set file of the last final block before as_of {as_of.isoformat()}",
            subject=self._subject,
            next_step="write file and side-car, as chains/bitcoin/utxo_file.py describes it",
        )

    async def recheck(self, block: SnapshotBlock, *, since: int | None) -> str:  # noqa: ARG002 (unspent outputs rest on no other header)
        """Return the hash that the side-cars have at the block's height; a file does not change its mind."""
        return await self.block_hash(block.height)

    async def read(self, block: SnapshotBlock, addresses: Sequence[str], *, prove: bool = False) -> list[Balance]:  # noqa: ARG002 (always)
        """Read balances in one pass; the evidence of each is the digest of the list of its coins, which names the set's hash."""
        scripts = {address: parse_address(self.chain.network, address).script for address in addresses}
        wanted = sorted(set(scripts.values()))
        question = {"block_hash": block.hash}
        if self._tape:
            facts, coins = self._tape.answer(_SET, question), {}
        else:
            found = await self._pass(block, wanted)
            facts = _facts(found)
            coins = {
                script: [[coin.txid, coin.position, coin.height, coin.coinbase, coin.amount] for coin in mine]
                for script, mine in zip(wanted, found.coins, strict=True)
            }
        if facts["height"] != block.height:
            raise self.mismatch(f"its file is of height {facts['height']} and the snapshot block {block.height}")
        self.archive.record(_SET, question, facts)
        amounts: dict[bytes, int] = {}
        evidence: dict[bytes, str] = {}
        for script in wanted:
            params = {**question, facts["hash_type"]: facts["set_hash"], "script": script.hex()}
            mine: list[Any] = self._tape.answer(_COINS, params) if self._tape else coins[script]
            amounts[script] = sum(amount for *_, amount in mine)
            evidence[script] = self.archive.record(_COINS, params, mine)
        return [
            Balance(
                address=address,
                asset=self.chain.asset,
                amount=check_amount(amounts[scripts[address]], subject=f"chain {self.chain.name}, address {address}"),
                evidence=evidence[scripts[address]],
            )
            for address in addresses
        ]

    async def _pass(self, block: SnapshotBlock, scripts: Sequence[bytes]) -> UtxoSet:
        """Read the block's file to its end."""
        side_car = self._side_car(self._folder / f"{block.hash}.json")
        path = self._folder / f"{block.hash}.utxo"
        try:
            with self.meter.exchange(1):
                return await asyncio.to_thread(read_utxo_set, path, LAYOUTS[self.chain.network], side_car.claim, scripts)
        except CutOffError as error:
            raise SourceUnavailableError(
                str(error), subject=f"{self._subject}, {path.name}", next_step="wait until the file is complete, or write it again"
            ) from error
        except UtxoSetError as error:
            raise self.mismatch(f"its file {path.name} is wrong: {error}", next_step="write file and side-car again") from error
        except OSError as error:
            raise self._missing(f"its file {path.name} cannot be read ({error.strerror})") from error

    @property
    def _subject(self) -> str:
        return f"chain {self.chain.name}, source {self.source.name}"

    def _missing(self, problem: str) -> SourceUnavailableError:
        return SourceUnavailableError(
            problem, subject=self._subject, next_step="write file and side-car, as chains/bitcoin/utxo_file.py describes it"
        )

    def _side_cars(self) -> Iterator[SideCar]:
        """Yield the folder's side-cars by name."""
        yield from map(self._side_car, sorted(self._folder.glob(f"{'[0-9a-f]' * 64}.json")))

    def _side_car(self, path: Path) -> SideCar:
        """Read a side-car; that its headers form a chain is seen in `_times`."""
        try:
            side_car = msgspec.json.decode(path.read_bytes(), type=SideCar)
        except OSError as error:
            raise self._missing(f"its side-car {path.name} cannot be read ({error.strerror})") from error
        except msgspec.DecodeError as error:
            raise self.mismatch(f"its side-car {path.name} is wrong: {error}", next_step="write it again") from error
        if side_car.base_hash != path.stem or side_car.base_height < 1:
            raise self.mismatch(f"its side-car {path.name} is that of another block", next_step="write it again")
        if not side_car.claim.set_hash:
            raise self.mismatch(f"its side-car {path.name} has neither txoutset_hash nor hash_serialized_2", next_step="write it again")
        return side_car

    def _times(self, side_car: SideCar) -> list[int]:
        """Return the times of a side-car's headers, which must lead to its block and beyond, link up and carry their work."""
        place = side_car.base_height - side_car.first
        wrong = f"the headers in the side-car of block {side_car.base_hash} are wrong"
        try:
            raws = [bytes.fromhex(text) for text in side_car.headers]
            headers = parse_chain(raws, self.rules)
            follow(raws, self.rules, None)
        except (MalformedError, ContradictionError, ValueError, IndexError) as error:
            raise self.mismatch(f"{wrong}: {error}", next_step="write it again") from error
        if len(headers) < place + 2 or headers[place].hash != side_car.base_hash:
            raise self.mismatch(f"{wrong}: they are not those around the block", next_step="write it again")
        return [header.time for header in headers]

    def _texts(self, first: int, last: int) -> list[str]:
        for side_car in self._side_cars():
            if side_car.first <= first and last < side_car.first + len(side_car.headers):
                self._times(side_car)
                return list(side_car.headers[first - side_car.first : last - side_car.first + 1])
        raise self.mismatch(
            f"its side-cars have no headers {first} to {last}", next_step="write the file of the block and its side-car again"
        )


def _median(times: Sequence[int]) -> int:
    return sorted(times)[len(times) // 2]


def _facts(found: UtxoSet) -> dict[str, Any]:
    """Return what a file was found to be."""
    claim = found.claim
    return {
        "height": claim.height,
        "coins": claim.coins,
        "total_amount": found.total,
        "hash_type": claim.hash_type,
        "set_hash": claim.set_hash,
    }
