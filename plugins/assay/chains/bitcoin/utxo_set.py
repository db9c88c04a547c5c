r"""UTXO-set files of `dumptxoutset`: every unspent coin at one block, read in one pass and in bounded memory.

While a file is read, the hash over all its coins is computed anew and compared with the one that the node printed, so a coin that was
taken out, put in or altered anywhere in the file is an error, whether it is watched or not. Own code, because no library at hand reads
these files, and 170 million coins need compiled loops (`utxo_kernels.py`); SHA-256 is hashlib's. Reading, hashing and searching overlap in threads.

Two formats (Bitcoin Core, `node/utxo_snapshot.h`, `rpc/blockchain.cpp`, `coins.h`, `compressor.cpp`):

- version 2: `utxo\xff`, version u16, network magic, block hash, number of coins u64; then for each transaction its id, how many
  coins follow, and each with position, height and coinbase flag, amount and script.
- the one before, which Litecoin Core 0.21 writes: block hash, number of coins u64, number of transactions u32; then each coin with its own id.

Two hashes (`kernel/coinstats.cpp`): `hash_serialized_3` is double SHA-256 over all coins in the database's order of transaction ids
and, within one, by position. `hash_serialized_2`, which Litecoin prints, is the same over another form, in which a
misplaced operator left out heights and coinbase flags.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
from coincurve import PublicKey

from assay.chains.bitcoin import utxo_kernels
from assay.chains.bitcoin.utxo_kernels import Bytes, Numbers

_SIGNATURE, _VERSION = b"utxo\xff", 2
_PIECE = 8 << 20  # of the file, and of the stream: more than all outputs of one block of 4,000,000 weight take
_COIN = struct.Struct("<32sIIq")  # as the stream has it: transaction id, position, height × 2 + coinbase flag, amount

HASH_TYPES = ("hash_serialized_3", "hash_serialized_2")
"""Bitcoin Core's names of the hashes that can be computed; `dumptxoutset` prints the first one as `txoutset_hash`."""


class UtxoSetError(ValueError):
    """The file is not the set that it should be."""


class CutOffError(UtxoSetError):
    """The file ends too early; it may still be on its way."""


@dataclass(frozen=True)
class Layout:
    """How a network's node writes its file.

    Attributes:
        magic: The network's four bytes in a file of version 2; empty where the node writes the format before.
        max_amount: What all coins together can hold, in base units (`consensus/amount.h`, `MAX_MONEY`).
    """

    magic: bytes
    max_amount: int


_BITCOIN, _LITECOIN = 21_000_000 * 10**8, 84_000_000 * 10**8
LAYOUTS = {
    "bitcoin": Layout(bytes.fromhex("f9beb4d9"), _BITCOIN),
    "testnet": Layout(bytes.fromhex("0b110907"), _BITCOIN),
    "regtest": Layout(bytes.fromhex("fabfb5da"), _BITCOIN),
    "litecoin": Layout(b"", _LITECOIN),
    "litecoin_testnet": Layout(b"", _LITECOIN),
    "litecoin_regtest": Layout(b"", _LITECOIN),
}
"""By `network` in chains.toml. Sources: `chainparams.cpp` and `amount.h` of Bitcoin Core and of Litecoin Core."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a node said of the file that it wrote.

    Attributes:
        block_hash: Of the block after which the set is taken, in its usual, reversed text form.
        height: Of that block.
        coins: In the file.
        hash_type: One of `HASH_TYPES`.
        set_hash: That hash, in its reversed text form.
    """

    block_hash: str
    height: int
    coins: int
    hash_type: str
    set_hash: str


@dataclass(frozen=True, slots=True)
class UnspentCoin:
    """A coin; `txid` in its usual, reversed text form, `amount` in base units."""

    txid: str
    position: int
    height: int
    coinbase: bool
    amount: int


@dataclass(frozen=True, kw_only=True)
class UtxoSet:
    """A file that was read to its end and is what the node said.

    Attributes:
        claim: What was compared.
        total: What all coins together hold, in base units.
        coins: Of each watched script, in the order of the file.
    """

    claim: Claim
    total: int
    coins: tuple[tuple[UnspentCoin, ...], ...]


def read_utxo_set(path: Path, layout: Layout, claim: Claim, scripts: Sequence[bytes]) -> UtxoSet:
    """Read a file, hold it against what the node said of it, and pick the coins of watched scripts.

    Takes some 60 MB beside the coins that it returns, whatever the size of the file.

    Args:
        path: The file.
        layout: How the network's node writes it.
        claim: What the node said of it.
        scripts: Locking scripts to watch, all different.

    Raises:
        UtxoSetError: Another format, network, block, number of coins or hash, a coin that cannot be, or bytes left over.
        CutOffError: It ends before its last coin.
        OSError: It cannot be read.
    """
    watch = _Watch(scripts)
    hasher = _Hasher(claim)
    total = 0
    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(2, thread_name_prefix="utxo-set") as threads:
        _check_header(file, layout, claim)
        under_way: list[Future[None]] = []
        for stretch in _stretches(file, layout, claim):
            # One stretch is hashed and searched while the next one is read into the other buffer.
            for job in under_way:
                job.result()
            under_way = [threads.submit(work, stretch) for work in (hasher.update, watch.look)]
            total = stretch.total
        for job in under_way:
            job.result()
    if hasher.set_hash != claim.set_hash:
        raise UtxoSetError(f"the {claim.hash_type} of its coins is {hasher.set_hash} and the node said {claim.set_hash}")
    return UtxoSet(claim=claim, total=total, coins=watch.found())


def _check_header(file: FileIO, layout: Layout, claim: Claim) -> None:
    """Read what stands before the first coin."""
    form = f"<5sH{len(layout.magic)}s32sQ" if layout.magic else "<32sQI"
    raw = file.read(struct.calcsize(form))
    if bool(layout.magic) != raw.startswith(_SIGNATURE):
        wanted = "of version 2" if layout.magic else "of the format before version 2"
        raise UtxoSetError(f"it is not a UTXO-set file {wanted}")
    if len(raw) < struct.calcsize(form):
        raise CutOffError("it ends within its header")
    fields = struct.unpack(form, raw)
    if layout.magic:
        _, version, magic, block, coins = fields
        if version != _VERSION:
            raise UtxoSetError(f"its version {version} is unknown; {_VERSION} is the one that can be read")
        if magic != layout.magic:
            raise UtxoSetError(f"its network magic is {magic.hex()} and that of the network {layout.magic.hex()}")
    else:
        block, coins, _ = fields
    if (found := block[::-1].hex()) != claim.block_hash:
        raise UtxoSetError(f"it is the set after block {found} and not after {claim.block_hash}")
    if coins != claim.coins:
        raise UtxoSetError(f"its header says {coins} coins and the node said {claim.coins}")


@dataclass(frozen=True)
class _Stretch:
    """Some of the file's coins, one after the other.

    Attributes:
        stream: What `hash_serialized_3` is taken of.
        places: Where in it each coin begins.
        total: What all coins up to its end hold.
    """

    stream: Bytes
    places: Numbers
    total: int


def _stretches(file: FileIO, layout: Layout, claim: Claim) -> Iterator[_Stretch]:
    """Yield the file's coins in stretches that use two buffers by turns: one is valid until the next but one is asked for."""
    data = np.empty(_PIECE + utxo_kernels.RECORD, np.uint8)
    streams = [np.empty(_PIECE, np.uint8) for _ in range(2)]
    places = [np.empty(_PIECE // utxo_kernels.COIN_HEAD, np.int64) for _ in range(2)]
    kinds = np.empty(places[0].size, np.uint8)
    filled, offset, turn, total, wanted = 0, file.tell(), 0, 0, claim.coins
    final = False
    while True:
        while not final and filled < _PIECE:
            count = file.readinto(data.data[filled:_PIECE])
            filled, final = filled + count, count == 0
        stream = streams[turn]
        read, written, coins, total, problem, place = utxo_kernels.serialise(
            data, filled, final, bool(layout.magic), wanted, 2 * claim.height + 1, layout.max_amount, total, stream, places[turn], kinds
        )
        if problem > utxo_kernels.INCOMPLETE:
            raise UtxoSetError(f"{_PROBLEMS[problem]}, before byte {offset + place}")
        _complete_keys(stream, places[turn], kinds[:coins])
        yield _Stretch(stream[:written], places[turn][:coins], total)
        wanted, turn, offset = wanted - coins, 1 - turn, offset + read
        data[: filled - read] = data[read:filled].copy()
        filled -= read
        if problem == utxo_kernels.FINE:
            break
        if not read and not written:
            told = (
                f"it ends at byte {offset + filled}, {wanted} coins early"
                if final
                else f"a transaction at byte {offset} has too many coins"
            )
            raise (CutOffError if final else UtxoSetError)(told)
    if filled or (not final and file.read(1)):
        raise UtxoSetError(f"it goes on after its last coin, from byte {offset}")


_PROBLEMS = {
    utxo_kernels.BAD_COUNT: "a transaction has no coins, or more than are left",
    utxo_kernels.BAD_POSITION: "a coin's position in its transaction is not one",
    utxo_kernels.TWICE: "a coin stands in it twice",
    utxo_kernels.BAD_HEIGHT: "a coin is younger than the block",
    utxo_kernels.BAD_AMOUNT: "a coin holds more than can exist",
    utxo_kernels.BAD_TOTAL: "its coins hold together more than can exist",
    utxo_kernels.BAD_SCRIPT: "a script is longer than that of a coin can be",
}


def _complete_keys(stream: Bytes, places: Numbers, kinds: Bytes) -> None:
    """Compute the second halves of uncompressed public keys, of which files hold the first half and whether the second is odd."""
    for coin in np.flatnonzero(kinds):
        at = int(places[coin]) + utxo_kernels.COIN_HEAD + 2  # behind the length of the script and of the key
        parity = kinds[coin] - utxo_kernels.HALF_KEYS[0]
        try:
            key = PublicKey(bytes([2 + parity]) + stream[at + 1 : at + 33].tobytes())
        except ValueError as error:
            raise UtxoSetError("a script pays to a public key that is none") from error
        stream[at : at + 65] = np.frombuffer(key.format(compressed=False), np.uint8)


class _Hasher:
    """The hash over a set's coins."""

    def __init__(self, claim: Claim) -> None:
        self._sha256 = hashlib.sha256()
        self._other_form: Bytes | None = None
        if claim.hash_type == "hash_serialized_2":
            self._sha256.update(bytes.fromhex(claim.block_hash)[::-1])
            self._other_form = np.empty(_PIECE, np.uint8)

    def update(self, stretch: _Stretch) -> None:
        """Take in the coins of a stretch."""
        stream = stretch.stream
        if self._other_form is not None:
            length = utxo_kernels.restream(stream, stream.size, stretch.places, stretch.places.size, self._other_form)
            stream = self._other_form[:length]
        self._sha256.update(stream.data)

    @property
    def set_hash(self) -> str:
        """Double SHA-256 of what was taken in, in its reversed text form."""
        return hashlib.sha256(self._sha256.digest()).digest()[::-1].hex()


class _Watch:
    """Scripts that are looked for, and the coins that were found for them."""

    def __init__(self, scripts: Sequence[bytes]) -> None:
        self._scripts = np.frombuffer(b"".join(scripts), np.uint8)
        self._starts = np.cumsum([0, *map(len, scripts)], dtype=np.int64)
        # At most a quarter full, so that most lookups end at an empty slot.
        self._table = np.full(4 << len(scripts).bit_length(), -1, np.int32)
        utxo_kernels.index_scripts(self._scripts, self._starts, self._table)
        self._places = np.empty(_PIECE // utxo_kernels.COIN_HEAD, np.int64)
        self._numbers = np.empty(self._places.size, np.int32)
        self._found: list[list[UnspentCoin]] = [[] for _ in scripts]

    def look(self, stretch: _Stretch) -> None:
        """Keep the coins of a stretch that belong to watched scripts."""
        stream, places = stretch.stream, stretch.places
        hits = utxo_kernels.find_scripts(stream, places, self._scripts, self._starts, self._table, self._places, self._numbers)
        for place, number in zip(self._places[:hits].tolist(), self._numbers[:hits].tolist(), strict=True):
            txid, position, code, amount = _COIN.unpack_from(stream.data, place)
            self._found[number].append(UnspentCoin(txid[::-1].hex(), position, code >> 1, bool(code & 1), amount))

    def found(self) -> tuple[tuple[UnspentCoin, ...], ...]:
        """Return the coins of each script, in the order of the file."""
        return tuple(map(tuple, self._found))
