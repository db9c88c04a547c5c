"""The chain of block headers of the Bitcoin family: links, proof of work, and which blocks belong to the snapshot block's chain.

Format: https://developer.bitcoin.org/reference/block_chain.html. Bitcoin and Bitcoin Cash name and work a block by double SHA-256; Litecoin
and Dogecoin name it so and work it by scrypt (N 1024, r 1, p 1); Dash does both by X11, which this verifier does not compute.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

from assay_verify.digests import double_sha256
from assay_verify.findings import MalformedError

HEADER_BYTES = 80
MEDIAN_SPAN = 11
"""Blocks whose median time is the last one's median time past (BIP-113)."""

_EASIEST = {"": 0x1D00FFFF, "scrypt": 0x1E0FFFFF, "regtest": 0x207FFFFF}
"""Compact targets that no header of a network may exceed: Bitcoin and its like, Litecoin and Dogecoin, test networks of one's own."""

_MERGED_MINING = 0x100  # a bit of the version: the work is that of another chain's header, and that one is not here
_HASH = 32


@dataclass(frozen=True, slots=True)
class Header:
    """A block header.

    Attributes:
        hash: In the order of the wire, like everything here.
        previous: Hash of the block before.
        merkle_root: Of its transactions.
        time: Unix seconds.
    """

    hash: bytes
    previous: bytes
    merkle_root: bytes
    time: int


@dataclass(slots=True)
class _Stretch:
    first: int
    previous: bytes
    hashes: bytes
    work: array[float]  # hashes that each header takes on average; only ever shown

    @property
    def last(self) -> int:
        return self.first + len(self.hashes) // _HASH - 1

    def hash_at(self, height: int) -> bytes:
        start = (height - self.first) * _HASH
        return self.hashes[start : start + _HASH]


@dataclass
class HeaderChain:
    """Headers that were archived, and how far down they link to the snapshot block.

    Args:
        network: As in chains.json.
        height: Of the snapshot block.
        block_hash: Of the snapshot block, as people write it.

    Attributes:
        merged: Headers whose work is that of another chain's header, which was not looked at.
    """

    network: str
    height: int
    block_hash: str
    merged: int = 0
    _stretches: list[_Stretch] = field(default_factory=list)
    _linked: list[_Stretch] = field(default_factory=list)
    _times: dict[bytes, int] = field(default_factory=dict)
    _previous: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def hashed(self) -> bool:
        """Whether names of blocks can be computed here."""
        return not self.network.startswith("dash")

    @property
    def _easiest(self) -> int:
        name = "regtest" if self.network.endswith("regtest") else "scrypt" if _work_of(self.network) is scrypt else ""
        return target_of(_EASIEST[name].to_bytes(4, "little"))

    @property
    def lowest(self) -> int | None:
        """The lowest height that is linked to the snapshot block; None where not even that one is there."""
        return self._linked[0].first if self._linked else None

    @property
    def work(self) -> float:
        """Hashes that the headers up to the snapshot block take on average, all together."""
        ends = [*(item.first for item in self._linked[1:]), self.height + 1]
        return sum(sum(item.work[: end - item.first]) for item, end in zip(self._linked, ends, strict=bool(self._linked)))

    def add(self, first: int, raw: bytes) -> None:
        """Take a stretch of headers in.

        Raises:
            MalformedError: Not whole headers, not a chain, or one without the work that it claims.
        """
        if not raw or len(raw) % HEADER_BYTES:
            raise MalformedError(f"headers from {first} on that are not whole")
        work = _work_of(self.network)
        hashes, claimed, previous = bytearray(), array("d"), raw[4:36]
        expected = previous
        for number, start in enumerate(range(0, len(raw), HEADER_BYTES), first):
            one = raw[start : start + HEADER_BYTES]
            header = read(one)
            if header.previous != expected:
                raise MalformedError(f"header {number} does not name the block before it")
            claimed.append(self._check_work(number, one, work))
            if number > self.height - MEDIAN_SPAN:
                self._times[header.hash], self._previous[header.hash] = header.time, header.previous
            hashes += header.hash
            expected = header.hash
        self._stretches.append(_Stretch(first, previous, bytes(hashes), claimed))

    def link(self) -> None:
        """Find what leads down from the snapshot block without a gap, once everything was taken in."""
        height, wanted = self.height, bytes.fromhex(self.block_hash)[::-1]
        waiting = sorted(self._stretches, key=lambda stretch: stretch.first)
        while True:
            found = next((item for item in waiting if item.first <= height <= item.last and item.hash_at(height) == wanted), None)
            if found is None:
                break
            self._linked.insert(0, found)
            height, wanted = found.first - 1, found.previous
        self._stretches = []

    def holds(self, height: int, block_hash: bytes) -> bool:
        """Tell whether a block is linked to the snapshot block."""
        place = bisect_right(self._linked, height, key=lambda item: item.first) - 1
        return place >= 0 and height <= self.height and self._linked[place].hash_at(height) == block_hash

    def median_time(self) -> int | None:
        """Return the median time past of the snapshot block; None where the headers below it are not there."""
        at, times = bytes.fromhex(self.block_hash)[::-1], []
        for _ in range(min(MEDIAN_SPAN, self.height + 1)):
            if at not in self._times:
                return None
            times.append(self._times[at])
            at = self._previous[at]
        return sorted(times)[len(times) // 2]

    def _check_work(self, number: int, raw: bytes, work: Callable[[bytes], bytes]) -> float:
        target = target_of(raw[72:76])
        if target > self._easiest:
            raise MalformedError(f"header {number} claims less work than the network allows")
        if self.network.startswith("dogecoin") and int.from_bytes(raw[:4], "little") & _MERGED_MINING:
            self.merged += 1
            return 0.0
        if int.from_bytes(work(raw), "little") > target:
            raise MalformedError(f"header {number} does not carry the work that it claims")
        return float((1 << 256) // (target + 1))


def read(raw: bytes) -> Header:
    """Read a header.

    Raises:
        MalformedError: Not 80 bytes.
    """
    if len(raw) != HEADER_BYTES:
        raise MalformedError(f"a header of {len(raw)} bytes")
    return Header(double_sha256(raw), raw[4:36], raw[36:68], int.from_bytes(raw[68:72], "little"))


def target_of(bits: bytes) -> int:
    """Return the number that the work of a header must not exceed, from its four bytes of `bits`.

    Raises:
        MalformedError: The header claims an impossible one.
    """
    exponent, mantissa = bits[3], int.from_bytes(bits[:3], "little")
    # The highest bit of the mantissa is a sign, which no target has.
    target = mantissa << 8 * (exponent - 3) if exponent > 3 else mantissa >> 8 * (3 - exponent)  # noqa: PLR2004
    if mantissa >= 0x800000 or not 0 < target < 1 << 256:  # noqa: PLR2004
        raise MalformedError("a header with an impossible target")
    return target


def scrypt(raw: bytes) -> bytes:
    """Return the work of a header of Litecoin or Dogecoin."""
    return hashlib.scrypt(raw, salt=raw, n=1024, r=1, p=1, dklen=32)


def _work_of(network: str) -> Callable[[bytes], bytes]:
    return scrypt if network.startswith(("litecoin", "dogecoin")) else double_sha256
