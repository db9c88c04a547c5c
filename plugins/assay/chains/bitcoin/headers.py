"""Chains of block headers: split, linked, and held to the work that they claim. Pure: no network, no archive.

A header names the one before by its hash, so headers that link up to a block whose hash is agreed on are all of that block's chain. The work
is checked besides: the hash (scrypt for Litecoin and Dogecoin, and the parent's for merge-mined Dogecoin blocks) is not over the target of the header's `bits`,
and `bits` are not easier than the network allows. Whether they follow from the blocks before is not examined. Dash hashes its headers with X11,
which no library at hand computes: its headers' ids are what the next headers name, and neither they nor the work are recomputed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from assay.chains.bitcoin.auxpow import check_merged_work, is_merged, read_merged_work
from assay.chains.bitcoin.coins import ContradictionError
from assay.chains.bitcoin.rules import SCRYPT, Rules
from assay.chains.bitcoin.transactions import HEADER_BYTES, Header, MalformedError, double_sha256, parse_header

_BITS = slice(72, 76)
_PREVIOUS = slice(4, 36)
_MANTISSA, _SIGN = 0x007FFFFF, 0x00800000
_TARGET_BYTES = 32
_HASHED_TOGETHER = 64
"""Headers that one thread hashes with scrypt at a time; it takes 0.4 ms each, and leaves the interpreter to others meanwhile."""


def split_headers(raw: bytes, count: int, rules: Rules) -> list[bytes]:
    """Cut a run of headers, each with the merged work behind it where the server sends that.

    Raises:
        MalformedError: Not that many headers.
    """
    if len(raw) == count * HEADER_BYTES:
        return [raw[start : start + HEADER_BYTES] for start in range(0, len(raw), HEADER_BYTES)]
    found: list[bytes] = []
    position = 0
    while rules.merged and len(found) < count and position + HEADER_BYTES <= len(raw):
        end = position + HEADER_BYTES
        if is_merged(raw[position:end]):
            _, end = read_merged_work(raw, end)
        found.append(raw[position:end])
        position = end
    if len(found) != count or position != len(raw):
        raise MalformedError(f"{len(raw)} bytes in the place of {count} headers")
    return found


def parse_chain(raws: Sequence[bytes], rules: Rules) -> list[Header]:
    """Read headers that follow each other.

    Where ids cannot be computed each header has the one that the next header names, and the last one is left out.

    Raises:
        ContradictionError: One does not name the one before.
        MalformedError: One is too short.
    """
    headers = [parse_header(raw[:HEADER_BYTES]) for raw in raws]
    if not rules.has_ids:
        return [replace(header, hash=following.previous) for header, following in pairwise(headers)]
    if any(header.previous != before.hash for before, header in pairwise(headers)):
        raise ContradictionError("the headers do not form a chain")
    return headers


def follow(raws: Sequence[bytes], rules: Rules, before: bytes | None) -> bytes:
    """Make sure that headers link up and carry the work that they claim, and return the last one's id in wire order.

    Args:
        raws: Headers that follow each other, at least one, with merged work behind them where there is any.
        rules: The network's; its ids can be computed.
        before: Id of the header before the first one, in wire order; None where it is not known.

    Raises:
        ContradictionError: A header names another one before it, or lacks work.
        MalformedError: One is too short.
    """
    bare = [raw[:HEADER_BYTES] for raw in raws]
    ids = [double_sha256(header) for header in bare]
    named = [header[_PREVIOUS] for header in bare]
    if named[1:] != ids[:-1] or (before is not None and named[0] != before):
        raise ContradictionError("the headers do not form a chain")
    check_work(raws, rules, ids=ids)
    return ids[-1]


def check_work(raws: Sequence[bytes], rules: Rules, *, ids: Sequence[bytes] | None = None) -> None:
    """Make sure that headers carry the work that they claim, where it can be computed.

    It cannot for Dash, nor for a merge-mined header whose server leaves out the work behind it.

    Args:
        raws: Headers, with merged work behind them where there is any.
        rules: The network's.
        ids: Their ids in wire order, where they are known already.

    Raises:
        ContradictionError: A header lacks work, or claims less than the network asks for.
        MalformedError: Merged work of another form.
    """
    bits = np.frombuffer(b"".join(raw[_BITS] for raw in raws), "<u4")
    known, places = np.unique(bits, return_inverse=True)
    targets = np.array([_words(int(one), rules.easiest) for one in known], np.uint64).reshape(-1, 4)[places]
    if not rules.has_ids:
        return
    if rules.work != SCRYPT:
        works = list(ids) if ids is not None else [double_sha256(raw) for raw in raws]
    else:
        carriers = [_carrier(raw, rules) for raw in raws]
        targets = targets[[carrier is not None for carrier in carriers]]
        works = _scrypt_all([carrier for carrier in carriers if carrier is not None])
    if _over(works, targets):
        raise ContradictionError("a header does not carry the work that it claims")


def _carrier(raw: bytes, rules: Rules) -> bytes | None:
    """Return the header whose scrypt hash is the work of a header, None where the server left it out."""
    header = raw[:HEADER_BYTES]
    if not rules.merged or not is_merged(header):
        return header
    if len(raw) == HEADER_BYTES:
        return None
    merged, end = read_merged_work(raw, HEADER_BYTES)
    if end != len(raw):
        raise MalformedError(f"{len(raw) - end} bytes behind a merge-mined header")
    check_merged_work(header, merged, rules.merged)
    return merged.parent


def _scrypt_all(headers: Sequence[bytes]) -> list[bytes]:
    if len(headers) <= _HASHED_TOGETHER:
        return [_scrypt(header) for header in headers]
    pieces = [headers[start : start + _HASHED_TOGETHER] for start in range(0, len(headers), _HASHED_TOGETHER)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return [work for works in threads.map(lambda piece: [_scrypt(header) for header in piece], pieces) for work in works]


def _scrypt(header: bytes) -> bytes:
    return hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=_TARGET_BYTES)


def _over(works: Sequence[bytes], targets: np.ndarray[tuple[int, int], np.dtype[np.uint64]]) -> bool:
    """Tell whether any hash is over its target; both are four words each, the lowest first."""
    hashes = np.frombuffer(b"".join(works), "<u8").reshape(-1, 4)
    over = np.zeros(len(hashes), bool)
    equal = np.ones(len(hashes), bool)
    for word in reversed(range(4)):
        over |= equal & (hashes[:, word] > targets[:, word])
        equal &= hashes[:, word] == targets[:, word]
    return bool(over.any())


@lru_cache(maxsize=4096)
def _words(bits: int, easiest: int) -> tuple[int, ...]:
    """Return the target that `bits` stand for, as four words with the lowest first (Bitcoin Core, `arith_uint256::SetCompact`)."""
    target = _target(bits)
    if bits & _SIGN or not 0 < target <= _target(easiest):
        raise ContradictionError(f"a header claims less work than the network asks for (bits {bits:08x})")
    return tuple(target >> 64 * word & 0xFFFFFFFFFFFFFFFF for word in range(4))


def _target(bits: int) -> int:
    shift = 8 * ((bits >> 24) - 3)
    return (bits & _MANTISSA) << shift if shift >= 0 else (bits & _MANTISSA) >> -shift
