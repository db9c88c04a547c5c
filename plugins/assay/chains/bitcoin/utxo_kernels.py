# ruff: noqa: PLR2004, FBT001 (lengths and opcodes of scripts; compiled functions take positions only)
"""The inner loops over UTXO-set files, compiled by numba: 170 million coins are too many for Python.

They work on byte buffers without the interpreter's lock. A file's coins become the stream that `hash_serialized_3` is taken of, and
of that stream everything else is computed, so what is counted is what was hashed. `utxo_set.py` feeds them and describes
the formats. They stand in one module because numba's cache does not notice what changes in another one. All numbers are 64-bit signed; what would not fit is refused before it is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=Callable[..., Any])
Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]
Slots = npt.NDArray[np.int32]

MAX_SCRIPT = 10_000
"""Bytes of the longest script that a coin can have: outputs with longer ones are unspendable and no part of the set."""

RECORD = 10_240
"""More bytes than one coin can take, with its transaction id and the longest script, in a file or in the stream."""

COIN_HEAD = 48
"""Bytes of the stream before a coin's script: transaction id 32, position 4, height and coinbase flag 4, amount 8."""

TXID = 32
"""Bytes of a transaction id."""

HALF_KEYS = (4, 5)
"""Kinds of scripts that pay to an uncompressed public key, stored as its first half with an even or odd second one."""

FINE, INCOMPLETE, BAD_COUNT, BAD_POSITION, TWICE, BAD_HEIGHT, BAD_AMOUNT, BAD_TOTAL, BAD_SCRIPT = range(9)
"""What stops `serialise`."""

_LAST_POSITION = 2**32 - 2
_NUMBER_LIMIT = 2**55  # seven more bits and a carry still fit


def _compiled(function: F) -> F:
    """Compile on first use and keep the result beside the file or in the user's cache folder, where either can be written."""
    try:
        return cast("F", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # no folder to keep it in: compiled anew by each process
        return cast("F", numba.njit(nogil=True)(function))


@_compiled
def read_byte(data: Bytes, at: int) -> int:
    """Return a byte as a number that can be reckoned with."""
    return np.int64(data[at])  # type: ignore[return-value]


@_compiled
def read_varint(data: Bytes, at: int) -> tuple[int, int]:
    """Return a number in Bitcoin Core's own encoding (`serialize.h`, `VARINT`) and the place after it; -1 where it is too large."""
    number = 0
    while True:
        byte = read_byte(data, at)
        at += 1
        number = (number << 7) | (byte & 0x7F)
        if not byte & 0x80:
            return number, at
        if number >= _NUMBER_LIMIT:
            return -1, at
        number += 1


@_compiled
def write_varint(out: Bytes, at: int, number: int) -> int:
    """Write a number as `read_varint` reads it and return the place after it."""
    length = 1
    rest = number >> 7
    while rest:
        length += 1
        rest = (rest - 1) >> 7
    out[at + length - 1] = number & 0x7F
    for place in range(at + length - 2, at - 1, -1):
        number = (number >> 7) - 1
        out[place] = (number & 0x7F) | 0x80
    return at + length


@_compiled
def read_compact(data: Bytes, at: int) -> tuple[int, int]:
    """Return a compact size of at most 32 bits and the place after it; -1 where it is larger or longer than need be."""
    first = read_byte(data, at)
    if first < 0xFD:
        return first, at + 1
    width = 2 if first == 0xFD else 4
    number = 0
    for place in range(width):
        number |= read_byte(data, at + 1 + place) << (8 * place)
    shortest = 0xFD if width == 2 else 0x10000
    return (number if first != 0xFF and number >= shortest else -1), at + 1 + width


@_compiled
def write_little(out: Bytes, at: int, number: int, width: int) -> None:
    """Write a number in `width` bytes, little endian."""
    for place in range(width):
        out[at + place] = (number >> (8 * place)) & 0xFF


@_compiled
def read_little(data: Bytes, at: int, width: int) -> int:
    """Return a number of `width` bytes, little endian."""
    number = 0
    for place in range(width):
        number |= read_byte(data, at + place) << (8 * place)
    return number


@_compiled
def copy(source: Bytes, at: int, out: Bytes, to: int, length: int) -> None:
    """Copy bytes; assigning slices would first look for overlaps, and takes several times as long."""
    for place in range(length):
        out[to + place] = source[at + place]


@_compiled
def _same(left: Bytes, left_at: int, right: Bytes, right_at: int, length: int) -> bool:
    for place in range(length):  # noqa: SIM110 (a compiled loop, not a generator)
        if left[left_at + place] != right[right_at + place]:
            return False
    return True


@_compiled
def decompress_amount(number: int, limit: int) -> int:
    """Return the amount that Bitcoin Core compresses to a number (`compressor.cpp`); -1 where it exceeds the limit."""
    if number == 0:
        return 0
    rest, zeros = divmod(number - 1, 10)
    if zeros < 9:
        rest, digit = divmod(rest, 9)
        amount = rest * 10 + digit + 1
    else:
        amount = rest + 1
    for _ in range(zeros):
        if amount > limit:
            return -1
        amount *= 10
    return amount if amount <= limit else -1


@_compiled
def write_script(data: Bytes, at: int, kind: int, out: Bytes, to: int) -> tuple[int, int]:
    """Write a compressed script of a kind with its compact size; return the places after it in both buffers.

    Of a public key that was stored as its half, the other half is left to be computed.
    """
    if kind == 0:  # to a key's hash
        out[to], out[to + 1], out[to + 2], out[to + 3] = 25, 0x76, 0xA9, 20
        copy(data, at, out, to + 4, 20)
        out[to + 24], out[to + 25] = 0x88, 0xAC
        return at + 20, to + 26
    if kind == 1:  # to a script's hash
        out[to], out[to + 1], out[to + 2] = 23, 0xA9, 20
        copy(data, at, out, to + 3, 20)
        out[to + 23] = 0x87
        return at + 20, to + 24
    if kind < 4:  # to a compressed key
        out[to], out[to + 1], out[to + 2], out[to + 35] = 35, 33, kind, 0xAC
        copy(data, at, out, to + 3, 32)
        return at + 32, to + 36
    if kind < 6:  # to an uncompressed key
        out[to], out[to + 1], out[to + 2], out[to + 67] = 67, 65, 4, 0xAC
        copy(data, at, out, to + 3, 32)
        return at + 32, to + 68
    length = kind - 6
    if length < 0xFD:
        out[to] = length
        to += 1
    else:
        out[to] = 0xFD
        write_little(out, to + 1, length, 2)
        to += 3
    copy(data, at, out, to, length)
    return at + length, to + length


@_compiled
def sort_coins(out: Bytes, end: int, places: Numbers, kinds: Bytes, first: int, last: int) -> bool:
    """Bring one transaction's coins, which stand at the end of the stream, into the order of their positions.

    Databases sort positions as text, from 16,512 on another order. Returns False where a position stands twice.
    """
    count = last - first
    positions = np.empty(count, np.int64)
    for index in range(count):
        positions[index] = read_little(out, places[first + index] + 32, 4)
    order = np.argsort(positions)
    start = places[first]
    old, old_places, old_kinds = out[start:end].copy(), places[first:last].copy(), kinds[first:last].copy()
    to = start
    for index in range(count):
        source = order[index]
        begin = old_places[source]
        finish = old_places[source + 1] if source + 1 < count else end
        copy(old, begin - start, out, to, finish - begin)
        places[first + index], kinds[first + index] = to, old_kinds[source]
        to += finish - begin
        if index and positions[source] == positions[order[index - 1]]:
            return False
    return True


@_compiled
def read_coin(data: Bytes, at: int, max_code: int, max_amount: int) -> tuple[int, int, int, int, int]:
    """Return a coin's height × 2 + coinbase flag, its amount, its script's kind, the place of the script, and what is wrong."""
    code, at = read_varint(data, at)
    packed, at = read_varint(data, at)
    kind, at = read_varint(data, at)
    amount = decompress_amount(packed, max_amount) if packed >= 0 else -1
    problem = FINE
    if code < 0 or code > max_code:
        problem = BAD_HEIGHT
    elif amount < 0:
        problem = BAD_AMOUNT
    elif kind < 0 or kind > MAX_SCRIPT + 6:
        problem = BAD_SCRIPT
    return code, amount, kind, at, problem


@_compiled
def serialise_transaction(
    data: Bytes,
    at: int,
    end: int,
    final: bool,
    grouped: bool,
    wanted: int,
    max_code: int,
    max_amount: int,
    out: Bytes,
    to: int,
    places: Numbers,
    kinds: Bytes,
    coins: int,
) -> tuple[int, int, int, int, int, bool]:
    """Turn the coins of one transaction into the stream; arguments as in `serialise`.

    Returns:
        The places after them in both buffers, the coins with them, what they hold together (as far as they were read), what stopped it,
        and whether they stand in the order of their positions.
    """
    txid, first, total = at, coins, 0
    count, ordered, before = wanted, True, -1
    if end - at < TXID + 4:
        return at, to, coins, total, INCOMPLETE, ordered
    if grouped:
        count, at = read_compact(data, at + TXID)
        if count <= 0 or count > wanted:
            return at, to, coins, total, BAD_COUNT, ordered
    while coins - first < count:
        if to > out.size - 2 * RECORD or (at >= end if grouped else end - at < TXID + 4 and not (final and at == end)):
            return at, to, coins, total, INCOMPLETE, ordered
        if grouped:
            position, at = read_compact(data, at)
        elif at == end or not _same(data, at, data, txid, TXID):
            break
        else:
            position, at = read_little(data, at + TXID, 4), at + TXID + 4
        code, amount, kind, at, problem = read_coin(data, at, max_code, max_amount)
        if position < 0 or position > _LAST_POSITION:
            problem = BAD_POSITION
        if problem:
            return at, to, coins, total, problem, ordered
        copy(data, txid, out, to, TXID)
        write_little(out, to + TXID, position, 4)
        write_little(out, to + TXID + 4, code, 4)
        write_little(out, to + TXID + 8, amount, 8)
        places[coins] = to
        kinds[coins] = kind if HALF_KEYS[0] <= kind <= HALF_KEYS[1] else 0
        at, to = write_script(data, at, kind, out, to + COIN_HEAD)
        ordered, before = ordered and position > before, position
        coins, total = coins + 1, min(total + amount, max_amount + 1)
    return at, to, coins, total, FINE, ordered


@_compiled
def serialise(
    data: Bytes,
    end: int,
    final: bool,
    grouped: bool,
    wanted: int,
    max_code: int,
    max_amount: int,
    total: int,
    out: Bytes,
    places: Numbers,
    kinds: Bytes,
) -> tuple[int, int, int, int, int, int]:
    """Turn a file's coins into the stream, whole transactions at a time, as many as both buffers hold.

    Args:
        data: A piece of the file that begins with a transaction's first coin; `RECORD` bytes can be read after `end`.
        end: How much of `data` is filled.
        final: Whether the file ends there.
        grouped: Whether coins stand under their transaction's id (version 2) or each with its own (older).
        wanted: Coins still to come.
        max_code: Highest height × 2 + 1.
        max_amount: What all coins together can hold.
        total: What the coins before hold.
        out: Receives the stream.
        places: Receives where in `out` each coin begins.
        kinds: Receives for each coin 4 or 5 where half of its key is to be computed, otherwise 0.

    Returns:
        Bytes read, bytes written, coins, the total with them, and what stopped it with the place in `data`.
    """
    at, to, coins = 0, 0, 0
    while coins < wanted:
        read, written, known, held, problem, ordered = serialise_transaction(
            data, at, end, final, grouped, wanted - coins, max_code, max_amount, out, to, places, kinds, coins
        )
        # What was read after the end of the piece was never there, so nothing else can be said of it.
        if problem == INCOMPLETE or read > end:
            return at, to, coins, total, INCOMPLETE, at
        if not problem and not ordered and not sort_coins(out, written, places, kinds, coins, known):
            problem = TWICE
        if not problem and total + held > max_amount:
            problem = BAD_TOTAL
        if problem:
            return at, to, coins, total, problem, read
        at, to, coins, total = read, written, known, total + held
    return at, to, coins, total, FINE, at


@_compiled
def _slot(data: Bytes, start: int, length: int, slots: int) -> int:
    """Return where the search for a script begins in a table whose size is a power of two.

    Eight bytes decide: those before the last two are part of a hash or key in every common kind. Many scripts that
    share them would cost time, and those in the table are the custodian's own.
    """
    value = length
    if length >= 10:
        value ^= read_little(data, start + length - 10, 8)
    else:
        for place in range(length):
            value = (value << 7) ^ read_byte(data, start + place)
    value *= 0x2127599BF4325C37
    return (value ^ (value >> 32)) & (slots - 1)


@_compiled
def index_scripts(scripts: Bytes, starts: Numbers, table: Slots) -> None:
    """Fill a table of -1, a power of two and larger than the number of scripts, with the numbers of different scripts."""
    for number in range(starts.size - 1):
        slot = _slot(scripts, starts[number], starts[number + 1] - starts[number], table.size)
        while table[slot] >= 0:
            slot = (slot + 1) & (table.size - 1)
        table[slot] = number


@_compiled
def find_scripts(stream: Bytes, places: Numbers, scripts: Bytes, starts: Numbers, table: Slots, found: Numbers, numbers: Slots) -> int:
    """Note the coins of watched scripts: in `found` where each begins, in `numbers` its script's number; return how many."""
    hits = 0
    for coin in range(places.size):
        length, at = read_compact(stream, places[coin] + COIN_HEAD)
        slot = _slot(stream, at, length, table.size)
        while table[slot] >= 0:
            start = starts[table[slot]]
            if starts[table[slot] + 1] - start == length and _same(scripts, start, stream, at, length):
                found[hits], numbers[hits] = places[coin], table[slot]
                hits += 1
                break
            slot = (slot + 1) & (table.size - 1)
    return hits


@_compiled
def restream(stream: Bytes, end: int, places: Numbers, coins: int, out: Bytes) -> int:
    """Turn the stream into what `hash_serialized_2` is taken of; return its length."""
    to = 0
    for coin in range(coins):
        at = places[coin]
        fresh = coin == 0 or not _same(stream, at, stream, places[coin - 1], TXID)
        if fresh:
            if coin:
                out[to] = 0
                to += 1
            copy(stream, at, out, to, TXID)
            # The nodes mean to write height and coinbase flag, and for a misplaced operator write whether they are not zero.
            out[to + 32] = 1 if read_little(stream, at + 36, 4) else 0
            to += 33
        to = write_varint(out, to, read_little(stream, at + 32, 4) + 1)
        finish = places[coin + 1] if coin + 1 < coins else end
        copy(stream, at + COIN_HEAD, out, to, finish - at - COIN_HEAD)
        to = write_varint(out, to + finish - at - COIN_HEAD, read_little(stream, at + 40, 8))
    if coins:
        out[to] = 0
        to += 1
    return to
