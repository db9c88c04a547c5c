# ruff: noqa: PLR2004 (limbs and bases of numbers; compiled functions take positions only)
"""The inner loops over balances, compiled by numba: a billion amounts are too many for Python.

An amount is two 64-bit words, high and low: numpy has no 128-bit integer, and no float may hold an amount. Amounts are below 10^38,
so that a sum of two always fits. The functions stand in one module because numba's cache does not notice what changes in another one.
`reading.py` and `splitting.py` call them and say what for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from assay.commitments.arrays import Bytes, Counts, Levels, Words

F = TypeVar("F", bound=Callable[..., Any])

FINE, BAD_KEY, BAD_ORDER, BAD_ASSET, BAD_DECIMALS, TOO_LARGE = range(6)
"""What stops `add_rows`."""

LONG_DIGITS = 8
"""Digits from which on a balance is unlike all others, so that its last digits alone would show whose it is."""

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)
_WEIGHT_BITS = np.uint64(47)  # of 64: weights have 17 bits, so that a remainder times a weight fits a word


def words_of(amount: int) -> tuple[int, int]:
    """Return an amount as high and low word."""
    return amount >> 64, amount & (1 << 64) - 1


POWERS: Words = np.array([words_of(10**digits) for digits in range(39)], np.uint64)


def _compiled(function: F) -> F:
    """Compile on first use and keep the result beside the file or in the user's cache folder, where either can be written."""
    try:
        return cast("F", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # no folder to keep it in: compiled anew by each process
        return cast("F", numba.njit(nogil=True)(function))


@_compiled
def add(high: Any, low: Any, other_high: Any, other_low: Any) -> tuple[Any, Any]:
    """Return the sum of two amounts."""
    total = low + other_low
    return high + other_high + (_ONE if total < low else _ZERO), total


@_compiled
def subtract(high: Any, low: Any, other_high: Any, other_low: Any) -> tuple[Any, Any]:
    """Return the difference of two amounts, the first of which is not the smaller one."""
    return high - other_high - (_ONE if low < other_low else _ZERO), low - other_low


@_compiled
def multiply_words(left: Any, right: Any) -> tuple[Any, Any]:
    """Return the product of two words, which takes two."""
    left_high, left_low, right_high, right_low = left >> _HALF, left & _LOW, right >> _HALF, right & _LOW
    low = left_low * right_low
    middle = left_high * right_low + (low >> _HALF)
    other = left_low * right_high + (middle & _LOW)
    return left_high * right_high + (middle >> _HALF) + (other >> _HALF), (other << _HALF) | (low & _LOW)


@_compiled
def scale(high: Any, low: Any, factor: Any) -> tuple[Any, Any]:
    """Return an amount times a word; the product is known to be below 2^128."""
    carried, product = multiply_words(low, factor)
    return high * factor + carried, product


@_compiled
def divide(high: Any, low: Any, divisor: Any) -> tuple[Any, Any, Any]:
    """Return quotient and remainder of an amount by a number below 2^32."""
    if high == _ZERO:
        return _ZERO, low // divisor, low % divisor
    top, rest = high // divisor, high % divisor
    rest = (rest << _HALF) | (low >> _HALF)
    middle, rest = rest // divisor, rest % divisor
    rest = (rest << _HALF) | (low & _LOW)
    return top, (middle << _HALF) | (rest // divisor), rest % divisor


@_compiled
def scale_power(high: Any, low: Any, power: int) -> tuple[Any, Any]:
    """Return an amount times 10^power."""
    while power > 0:
        step = min(power, 9)
        high, low = scale(high, low, POWERS[step, 1])
        power -= step
    return high, low


@_compiled
def divide_power(high: Any, low: Any, power: int) -> tuple[Any, Any]:
    """Return an amount divided by 10^power, rounded down."""
    while power > 0:
        step = min(power, 9)
        high, low, _ = divide(high, low, POWERS[step, 1])
        power -= step
    return high, low


@_compiled
def places(table: Words, high: Any, low: Any) -> int:
    """Return how many entries of an ascending table of amounts are not above this one."""
    first, last = 0, len(table)
    while first < last:
        middle = (first + last) // 2
        if table[middle, 0] < high or (table[middle, 0] == high and table[middle, 1] <= low):
            first = middle + 1
        else:
            last = middle
    return first


@_compiled
def trailing_zeros(high: Any, low: Any) -> int:
    """Return the number of zeros at the end of a positive amount."""
    zeros = 0
    while True:
        high, low, rest = divide(high, low, np.uint64(100_000_000))
        if rest != _ZERO:
            while rest % np.uint64(10) == _ZERO:
                rest //= np.uint64(10)
                zeros += 1
            return zeros
        zeros += 8


@_compiled
def fraction_of(high: Any, low: Any, random_high: Any, random_low: Any) -> tuple[Any, Any]:
    """Return the whole part of amount · random / 2^128: evenly spread from 0 to amount − 1."""
    first, _ = multiply_words(low, random_low)
    second_high, second_low = multiply_words(low, random_high)
    third_high, third_low = multiply_words(high, random_low)
    sum_high, sum_low = add(second_high, second_low, third_high, third_low)
    carry = _ONE if sum_high < second_high or (sum_high == second_high and sum_low < second_low) else _ZERO
    middle_high, _ = add(sum_high, sum_low, _ZERO, first)
    if middle_high < sum_high:
        carry = _ONE
    top_high, top_low = multiply_words(high, random_high)
    return add(top_high + carry, top_low, _ZERO, middle_high)


@_compiled
def needed_parts(high: Any, low: Any, limit_high: Any, limit_low: Any) -> int:
    """Return in how many leaves a balance must go: 2·balance / limit, rounded up, if it is above the limit; else 1.

    Twice as many as just fit, so that a part is half the limit on average and none is near it for being one of a large balance.
    """
    if high < limit_high or (high == limit_high and low <= limit_low):
        return 1
    high, low = add(high, low, high, low)
    parts = 1
    while high > limit_high or (high == limit_high and low > limit_low):  # the limits see to it that this is short
        high, low = subtract(high, low, limit_high, limit_low)
        parts += 1
    return parts


@_compiled
def read_key(text: Bytes, at: int, out: Bytes) -> bool:
    """Read 64 lower-case hexadecimal digits; false where there are others."""
    for place in range(32):
        value = 0
        for half in range(2):
            digit = int(text[at + 2 * place + half])
            if 48 <= digit <= 57:
                value = value * 16 + digit - 48
            elif 97 <= digit <= 102:
                value = value * 16 + digit - 87
            else:
                return False
        out[place] = value
    return True


@_compiled
def add_rows(  # noqa: C901, PLR0911, PLR0912 (one pass over the rows: a function a rule would be called a billion times)
    text: Bytes, assets: Counts, decimals: Counts, amounts: Words, expected: Counts, keys: Bytes, balances: Words, count: int
) -> tuple[int, int, int]:
    """Add the positive rows of a batch to the balances of their users.

    Args:
        text: User keys of the rows, 64 hexadecimal digits each.
        assets: Number of each row's asset; negative where it is unknown.
        decimals: Decimals that each row states.
        amounts: Low and high word of each row's signed amount, as Arrow has them.
        expected: Decimals of each asset.
        keys: Users found so far, ascending; has room for a user a row.
        balances: Their balances, high and low word of each asset; zero where no user is yet.
        count: Users found so far; the last one may have more rows in this batch.

    Returns:
        Users found with this batch, what stopped it, and the row that did.
    """
    fresh = np.empty(32, np.uint8)
    for row in range(len(assets)):
        same = row > 0
        if same:
            for place in range(64):
                if text[row * 64 + place] != text[row * 64 - 64 + place]:
                    same = False
                    break
        if not same:
            if not read_key(text, row * 64, fresh):
                return count, BAD_KEY, row
            order = 1
            if count > 0:
                order = 0
                for place in range(32):
                    if fresh[place] != keys[count - 1, place]:
                        order = 1 if fresh[place] > keys[count - 1, place] else -1
                        break
            if order < 0:
                return count, BAD_ORDER, row
            if order > 0:
                keys[count] = fresh
                count += 1
        asset = assets[row]
        if asset < 0:
            return count, BAD_ASSET, row
        if decimals[row] != expected[asset]:
            return count, BAD_DECIMALS, row
        low, high = amounts[row, 0], amounts[row, 1]
        if high >> np.uint64(63):  # a negative balance is no part of the gross liabilities
            continue
        if high > POWERS[38, 0]:  # would not be an amount even alone
            return count, TOO_LARGE, row
        high, low = add(balances[count - 1, asset, 0], balances[count - 1, asset, 1], high, low)
        if high > POWERS[38, 0] or (high == POWERS[38, 0] and low >= POWERS[38, 1]):
            return count, TOO_LARGE, row
        balances[count - 1, asset, 0], balances[count - 1, asset, 1] = high, low
    return count, FINE, 0


@_compiled
def survey(balances: Words, ladder: Words, totals: Words, largest: Words, rung_sums: Words, zeros: Counts) -> int:
    """Count what the limits and the ways of splitting are chosen by.

    Args:
        balances: Of finished users.
        ladder: Round amounts, ascending.
        totals: Sum of each asset; added to.
        largest: Largest balance of each asset; raised.
        rung_sums: Sums of the balances of each asset between two rungs; added to.
        zeros: Balances of each asset by the zeros at their end; added to.

    Returns:
        The asset whose total reaches 10^38, or -1.
    """
    for user in range(balances.shape[0]):
        for asset in range(balances.shape[1]):
            high, low = balances[user, asset, 0], balances[user, asset, 1]
            if high == _ZERO and low == _ZERO:
                continue
            totals[asset, 0], totals[asset, 1] = add(totals[asset, 0], totals[asset, 1], high, low)
            if totals[asset, 0] > POWERS[38, 0] or (totals[asset, 0] == POWERS[38, 0] and totals[asset, 1] >= POWERS[38, 1]):
                return asset
            if high > largest[asset, 0] or (high == largest[asset, 0] and low > largest[asset, 1]):
                largest[asset, 0], largest[asset, 1] = high, low
            # Rung r is what is above ladder[r - 1] and not above ladder[r].
            lower_high, lower_low = subtract(high, low, _ZERO, _ONE)
            rung = places(ladder, lower_high, lower_low)
            rung_sums[asset, rung, 0], rung_sums[asset, rung, 1] = add(rung_sums[asset, rung, 0], rung_sums[asset, rung, 1], high, low)
            zeros[asset, trailing_zeros(high, low)] += 1
    return -1


@_compiled
def count_parts(balances: Words, limits: Words, least: int, parts: Counts) -> None:
    """Count each user's leaves: as many as the asset with the largest share of its limit needs."""
    for user in range(balances.shape[0]):
        parts[user] = least
        for asset in range(balances.shape[1]):
            high, low = balances[user, asset, 0], balances[user, asset, 1]
            parts[user] = max(parts[user], needed_parts(high, low, limits[asset, 0], limits[asset, 1]))


@_compiled
def unit_of(high: Any, low: Any, parts: int, levels: Levels) -> int:
    """Return e, where the parts of a balance are multiples of 10^e but for one, which has the rest.

    Args:
        high: High word of the balance.
        low: Its low word.
        parts: How many.
        levels: For each number of zeros at a balance's end, what many balances of the asset are multiples of; -1: few end like it.
    """
    zeros = trailing_zeros(high, low)
    digits = places(POWERS, high, low)
    level = int(levels[zeros])
    if level >= 0 and digits - level >= LONG_DIGITS:
        return level
    # A short balance: its parts have about as many digits, so that no two parts are the only ones with a round sum.
    if parts == 2:
        return max(digits - min(max(digits - zeros, 2), 4), 0)
    part_high, part_low, _ = divide(high, low, np.uint64(parts))
    return max(places(POWERS, part_high, part_low) - 4, 0)


@_compiled
def split_pair(high: Any, low: Any, power: int, random: Words, other: Words, first: Words, second: Words) -> None:
    """Split a balance in two at a random multiple of 10^power; what is no multiple goes to either.

    Args:
        high: High word of the balance.
        low: Its low word.
        power: See `unit_of`.
        random: Two random words.
        other: Two more, the second of which is used.
        first: Receives a part.
        second: Receives the other one.
    """
    units_high, units_low = divide_power(high, low, power)
    if units_high == _ZERO and units_low < np.uint64(2):
        first[0], first[1] = high, low
        return
    units_high, units_low = subtract(units_high, units_low, _ZERO, _ONE)
    chosen_high, chosen_low = fraction_of(units_high, units_low, random[0], random[1])
    chosen_high, chosen_low = add(chosen_high, chosen_low, _ZERO, _ONE)
    part_high, part_low = scale_power(chosen_high, chosen_low, power)
    rest_high, rest_low = subtract(high, low, part_high, part_low)
    if other[1] & _ONE:
        first[0], first[1], second[0], second[1] = part_high, part_low, rest_high, rest_low
    else:
        first[0], first[1], second[0], second[1] = rest_high, rest_low, part_high, part_low


@_compiled
def split_many(high: Any, low: Any, power: int, random: Words, chosen: Counts, parts: int, out: Words) -> None:
    """Split a balance in proportion to random weights, none of which is twice another; the rest goes to the part of the least weight.

    Args:
        high: High word of the balance.
        low: Its low word.
        power: See `unit_of`.
        random: Two random words for each of the user's leaves.
        chosen: Numbers of the leaves, as many as `parts` are used.
        parts: How many.
        out: Leaves of the user; receives the parts.
    """
    units_high, units_low = divide_power(high, low, power)
    whole, least = _ZERO, 0
    for part in range(parts):
        whole += (_ONE << np.uint64(17)) + (random[part, 1] >> _WEIGHT_BITS)
        if random[part, 1] >> _WEIGHT_BITS < random[least, 1] >> _WEIGHT_BITS:
            least = part
    each_high, each_low, over = divide(units_high, units_low, whole)
    rest_high, rest_low = high, low
    for part in range(parts):
        weight = (_ONE << np.uint64(17)) + (random[part, 1] >> _WEIGHT_BITS)
        part_high, part_low = scale(each_high, each_low, weight)
        part_high, part_low = add(part_high, part_low, _ZERO, over * weight // whole)
        part_high, part_low = scale_power(part_high, part_low, power)
        out[chosen[part], 0], out[chosen[part], 1] = part_high, part_low
        rest_high, rest_low = subtract(rest_high, rest_low, part_high, part_low)
    at = chosen[least]
    out[at, 0], out[at, 1] = add(out[at, 0], out[at, 1], rest_high, rest_low)


@_compiled
def choose_split(balances: Words, order: Counts, holders: Counts, users: int, least: int, split: Bytes) -> None:
    """Choose the assets of a user that both of two leaves hold: the commonest ones, as long as enough users hold all of them.

    Args:
        balances: Of the user.
        order: Assets, the commonest first.
        holders: Users who hold each asset.
        users: All users.
        least: Enough of them, reckoned as if each asset were held regardless of the others.
        split: Receives 1 for the assets to split.
    """
    sharing = users
    for asset in order:
        split[asset] = 0
        if balances[asset, 0] == _ZERO and balances[asset, 1] == _ZERO:
            continue
        fewer = sharing * holders[asset] // users
        if fewer >= least:
            split[asset], sharing = 1, fewer


@_compiled
def split_users(
    balances: Words,
    parts: Counts,
    order: Counts,
    holders: Counts,
    users: int,
    least: int,
    limits: Words,
    levels: Levels,
    random: Words,
    leaves: Words,
) -> None:
    """Split the balances of users over their leaves.

    Args:
        balances: Of the users, high and low word of each asset.
        parts: Leaves of each user.
        order: See `choose_split`.
        holders: As above.
        users: As above.
        least: As above.
        limits: Largest amount of each asset in a leaf.
        levels: See `unit_of`, for each asset.
        random: Two random words for each leaf and asset.
        leaves: Balances of the leaves, user after user; zero before.
    """
    start = 0
    chosen = np.empty(int(parts.max()), np.int64)
    split = np.empty(len(order), np.uint8)
    for user in range(balances.shape[0]):
        own = parts[user]
        choose_split(balances[user], order, holders, users, least, split)
        for asset in range(balances.shape[1]):
            high, low = balances[user, asset, 0], balances[user, asset, 1]
            if high == _ZERO and low == _ZERO:
                continue
            drawn = random[start : start + own, asset]
            out = leaves[start : start + own, asset]
            needed = needed_parts(high, low, limits[asset, 0], limits[asset, 1])
            # A random choice of leaves: the beginning of a shuffle. With two leaves there is none.
            for leaf in range(own):
                chosen[leaf] = leaf
            if own > 2:
                for leaf in range(max(needed, 2)):
                    ahead, _ = multiply_words(drawn[leaf, 0] if needed > 2 else drawn[2, leaf], np.uint64(own - leaf))
                    other = leaf + np.int64(ahead)
                    chosen[leaf], chosen[other] = chosen[other], chosen[leaf]
            if needed > 2:
                split_many(high, low, unit_of(high, low, needed, levels[asset]), drawn, chosen, needed, out)
            elif split[asset]:
                split_pair(high, low, unit_of(high, low, 2, levels[asset]), drawn[0], drawn[1], out[chosen[0]], out[chosen[1]])
            else:
                either = chosen[np.int64(drawn[1, 0] & _ONE)]
                out[either, 0], out[either, 1] = high, low
        start += own
