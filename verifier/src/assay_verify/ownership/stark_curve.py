"""The STARK curve, ECDSA on it, and the Pedersen hash: the numbers that Starknet signs and hashes with.

Specification: https://docs.starkware.co/starkex/crypto/stark-curve.html and https://docs.starkware.co/starkex/crypto/pedersen-hash-function.html; the five
points of the hash are from `pedersen_params.json` of https://github.com/starkware-libs/cairo-lang. For verifying only: nothing here takes the same
time for every number, as signing would have to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

FIELD = 2**251 + 17 * 2**192 + 1
ORDER = 0x800000000000010FFFFFFFFFFFFFFFFB781126DCAE7B2321E66A241ADC64D2F
_BETA = 0x6F21413EFBE40DE150E596D72F7A8C5609AD26C15C915C1F4CDFCB99CEE9E89  # y² = x³ + x + β
_LIMIT = 2**251  # of a message hash, r and the inverse of s
_LOW_BITS = 248

Point = tuple[int, int] | None
"""x and y; None for the point at infinity."""

GENERATOR: Point = (
    0x1EF15C18599971B7BECED415A40F0C7DEACFD9B0D1819E03D723D8BC943CFCA,
    0x5668060AA49730B7BE4801DF46EC62DE53ECD11ABE43A32873000C36E8DC1F,
)
_SHIFT: Point = (
    0x49EE3EBA8C1600700EE1B87EB599F16716B0B1022947733551FDE4050CA6804,
    0x3CA0CFE4B3BC6DDF346D49D06EA0ED34E621062C0E056C1D0405D266E10268A,
)
_FIRST: tuple[Point, Point] = (
    (
        0x234287DCBAFFE7F969C748655FCA9E58FA8120B6D56EB0C1080D17957EBE47B,
        0x3B056F100F96FB21E889527D41F4E39940135DD7A6C94CC6ED0268EE89E5615,
    ),
    (
        0x4FA56F376C83DB33F9DAB2656558F3399099EC1DE5E3018B7A6932DBA8AA378,
        0x3FA0984C931C9E38113E0C0E47E4401562761F92A7A23B45168F4E80FF5B54D,
    ),
)
_SECOND: tuple[Point, Point] = (
    (
        0x4BA4CC166BE8DEC764910F75B45F74B40C690C74709E90F3AA372F0BD2D6997,
        0x40301CF5C1751F4B971E46C4EDE85FCAC5C59A5CE5AE7C48151F27B24B219C,
    ),
    (
        0x54302DCB0E6CC1C6E44CCA8F61A63BB2CA65048D53FB325D36FF12C49A58202,
        0x1B77B3E37D13504B348046268D8AE25CE98AD783C25561A879DCC77E99C2426,
    ),
)


def add(left: Point, right: Point) -> Point:
    """Return the sum of two points."""
    if left is None or right is None:
        return left or right
    (x1, y1), (x2, y2) = left, right
    if x1 == x2:
        if (y1 + y2) % FIELD == 0:
            return None
        slope = (3 * x1 * x1 + 1) * pow(2 * y1, -1, FIELD)
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, FIELD)
    x = (slope * slope - x1 - x2) % FIELD
    return x, (slope * (x1 - x) - y1) % FIELD


def multiply(number: int, point: Point) -> Point:
    """Return a point added to itself a number of times."""
    result: Point = None
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


@cache
def _doubled(point: Point) -> tuple[Point, ...]:
    """Return a point, its double, the double of that, and so on: for points that are multiplied again and again."""
    points = [point]
    while len(points) < FIELD.bit_length():
        points.append(add(points[-1], points[-1]))
    return tuple(points)


def _multiply_known(number: int, point: Point) -> Point:
    result: Point = None
    for power in _doubled(point):
        if number & 1:
            result = add(result, power)
        number >>= 1
    return result


def point_of(x: int) -> Point:
    """Return one of the two points with this x; None where the curve has none."""
    square = (x * x * x + x + _BETA) % FIELD
    if pow(square, (FIELD - 1) // 2, FIELD) != 1:
        return None
    return x, _root(square)


def pedersen(left: int, right: int) -> int:
    """Return the hash of two numbers of the field."""
    result = _SHIFT
    for number, (low, high) in ((left, _FIRST), (right, _SECOND)):
        result = add(result, _multiply_known(number & (1 << _LOW_BITS) - 1, low))
        result = add(result, _multiply_known(number >> _LOW_BITS, high))
    assert result is not None  # noqa: S101 (would break the hash itself)
    return result[0]


def pedersen_all(numbers: Sequence[int]) -> int:
    """Return the hash of a sequence: from 0 over each number, then their count."""
    result = 0
    for number in (*numbers, len(numbers)):
        result = pedersen(result, number)
    return result


def verify(digest: int, r: int, s: int, key: int) -> bool:
    """Tell whether a signature is by the key with this x, over this number."""
    if not (0 < r < _LIMIT and 0 < s < ORDER and 0 <= digest < _LIMIT):
        return False
    point = point_of(key)
    inverse = pow(s, -1, ORDER)
    if point is None or not 0 < inverse < _LIMIT:
        return False
    left, right = _multiply_known(digest * inverse % ORDER, GENERATOR), multiply(r * inverse % ORDER, point)
    assert right is not None  # noqa: S101 (r and the inverse are no multiples of the order)
    # A key is an x, so either of its points may be meant.
    return any(total is not None and total[0] == r for total in (add(left, right), add(left, (right[0], -right[1] % FIELD))))


def _root(square: int) -> int:
    """Return a square root in the field (Tonelli and Shanks; the field's order less one is 2^192 times an odd number)."""
    odd, twos = (FIELD - 1) >> 192, 192
    # 3 generates the multiplicative group of the field.
    root, rest, step = pow(square, (odd + 1) // 2, FIELD), pow(square, odd, FIELD), pow(3, odd, FIELD)
    while rest != 1:
        power, count = rest, 0
        while power != 1:
            power, count = power * power % FIELD, count + 1
        factor = pow(step, 1 << (twos - count - 1), FIELD)
        root, step = root * factor % FIELD, factor * factor % FIELD
        rest, twos = rest * step % FIELD, count
    return root
