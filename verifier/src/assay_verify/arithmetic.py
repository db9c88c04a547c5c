"""The rules of rounding, on integers alone."""

from __future__ import annotations

RATIO_SCALE = 10**8
CENTS = 100


def floor_ratio(numerator: int, denominator: int) -> int | None:
    """Return numerator ÷ denominator in 10^-8, rounded down; None unless the denominator is positive."""
    return numerator * RATIO_SCALE // denominator if denominator > 0 else None


def half_up(numerator: int, denominator: int) -> int:
    """Return numerator ÷ denominator (positive) as the nearest integer, halves away from zero."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -magnitude if numerator < 0 else magnitude


def percent_change(change: int | None, previous: int | None) -> int | None:
    """Return 100 · change ÷ previous in 10^-8 percent, halves away from zero; None without a positive previous value."""
    if change is None or previous is None or previous <= 0:
        return None
    return half_up(100 * RATIO_SCALE * change, previous)


def value_in_cents(amount: int, decimals: int, price: int) -> int:
    """Return the value of base units at a price in 10^-8 USD a whole unit, in cents, halves away from zero."""
    return half_up(amount * price * CENTS, 10**decimals * RATIO_SCALE)


def difference(now: int | None, before: int | None) -> int | None:
    """Return now less before; None when either is missing."""
    return None if now is None or before is None else now - before


def whole_units(amount: int, decimals: int) -> str:
    """Write base units as whole units with all decimals but trailing zeros."""
    whole, rest = divmod(abs(amount), 10**decimals)
    fraction = f"{rest:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{'-' if amount < 0 else ''}{whole:,}{'.' if fraction else ''}{fraction}"


def percent_text(numerator: int, denominator: int) -> str:
    """Write a ratio in percent, rounded down to two decimals."""
    if denominator <= 0:
        return "nothing owed"
    hundredths = numerator * 10_000 // denominator
    return f"{'-' if hundredths < 0 else ''}{abs(hundredths) // 100:,}.{abs(hundredths) % 100:02d} %"
