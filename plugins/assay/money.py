"""Exact amounts, ratios and percentages. No function here takes or returns a float.

An amount is an `int` of base units (satoshi, wei, …) of at most 38 digits, the width of `DECIMAL(38,0)`.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext
from decimal import Inexact as DecimalInexact

from assay.errors import AmountError

MAX_DIGITS = 38
"""Digits of DECIMAL(38,0), the widest exact integer that Parquet readers agree on."""

FINER_DIGITS = 18
"""Digits below one base unit that an amount may have where it is rounded up: as many as fit 64 bits."""

# 10**38 has 39 digits; the context must hold any product of two amounts without rounding.
_EXACT = Context(prec=120, traps=[InvalidOperation, DecimalInexact])


def check_amount(amount: int, *, subject: str) -> int:
    """Return `amount` unchanged if it fits 38 digits.

    Raises:
        AmountError: It has more than 38 digits.
    """
    if abs(amount) >= 10**MAX_DIGITS:
        raise AmountError(
            f"the amount has {len(str(abs(amount)))} digits and at most {MAX_DIGITS} are allowed",
            subject=subject,
            next_step="check the asset's decimals and the source of the number",
        )
    return amount


def parse_amount(text: str, decimals: int, *, subject: str) -> int:
    """Read a plain decimal number of whole units as base units.

    Args:
        text: Such as `-0.00012300`; no exponent, no NaN, no thousands separators.
        decimals: Base units per whole unit, as a power of ten.
        subject: What the number belongs to, for the error.

    Raises:
        AmountError: Not a plain number, finer than one base unit, or over 38 digits.
    """
    whole, significant = _parts(text, subject)
    if len(significant) > decimals:
        raise AmountError(
            f"{text[:60]!r} is finer than one base unit ({decimals} decimals)",
            subject=subject,
            next_step="correct the value at its source, or the asset's decimals in the registry",
        )
    amount = _number(whole, significant.ljust(decimals, "0"), subject)
    return -amount if text.startswith("-") else amount


def parse_rounded_up(text: str, decimals: int, *, subject: str) -> tuple[int, int]:
    """Read a plain decimal number of whole units as base units, rounded towards plus infinity.

    Args:
        text: As `parse_amount` takes it, with up to FINER_DIGITS digits below one base unit.
        decimals: Base units per whole unit, as a power of ten.
        subject: What the number belongs to, for the error.

    Returns:
        Base units, and what was added to come to them, in 10^-FINER_DIGITS of a base unit: 0 up to, and not with, one.

    Raises:
        AmountError: Not a plain number, finer than that, or over 38 digits of base units.
    """
    whole, significant = _parts(text, subject)
    if len(significant) > decimals + FINER_DIGITS:
        raise AmountError(
            f"{text[:60]!r} has more than {FINER_DIGITS} digits below one base unit ({decimals} decimals)",
            subject=subject,
            next_step="have the ledger give fewer digits, or correct the asset's decimals in the registry",
        )
    amount = _number(whole, significant[:decimals].ljust(decimals, "0"), subject)
    below = int(significant[decimals:].ljust(FINER_DIGITS, "0"))
    if text.startswith("-"):
        return -amount, below
    return check_amount(amount + (below > 0), subject=subject), -below % 10**FINER_DIGITS


def _parts(text: str, subject: str) -> tuple[str, str]:
    """Return the digits before the point, and those behind it without zeros at the end."""
    whole, _, fraction = text.removeprefix("-").partition(".")
    if not (whole.isascii() and whole.isdigit()) or (fraction and not (fraction.isascii() and fraction.isdigit())):
        raise AmountError(f"{text[:60]!r} is not a plain decimal number", subject=subject, next_step="correct the value at its source")
    return whole, fraction.rstrip("0")


def _number(whole: str, fraction: str, subject: str) -> int:
    # Bound the text before int(): Python refuses to convert over-long digit strings with an unrelated error.
    digits = (whole + fraction).lstrip("0")
    if len(digits) > MAX_DIGITS:
        raise AmountError(
            f"the amount has {len(digits)} digits and at most {MAX_DIGITS} are allowed",
            subject=subject,
            next_step="check the asset's decimals and the source of the number",
        )
    return int(digits or "0")


def format_amount(amount: int, decimals: int, *, places: int | None = None, sign: bool = False) -> str:
    """Write base units as whole units with thousands separators, rounded down in magnitude to `places` decimals.

    Args:
        amount: Base units.
        decimals: Decimals of the asset.
        places: Decimals to show; all of the asset's by default.
        sign: Show `+` before positive amounts.
    """
    shown = decimals if places is None else min(places, decimals)
    whole, rest = divmod(abs(amount), 10**decimals)
    fraction = f"{rest:0{decimals}d}"[:shown] if decimals and shown else ""
    prefix = "-" if amount < 0 else "+" if sign and amount > 0 else ""
    return prefix + f"{whole:,}" + (f".{fraction}" if fraction else "")


def floor_ratio(numerator: int, denominator: int, *, places: int = 8) -> Decimal:
    """Return numerator ÷ denominator rounded down (towards minus infinity) to `places` decimals.

    Raises:
        ZeroDivisionError: The denominator is zero; a ratio over nothing has no value.
    """
    return _quantised(numerator, denominator, places, ROUND_FLOOR)


def percent_change(change: int, previous: int, *, places: int = 2) -> Decimal:
    """Return 100 · change ÷ previous, rounded half up (away from zero) to `places` decimals.

    Raises:
        ZeroDivisionError: There was no previous balance, so a percentage has no value.
    """
    return _quantised(100 * change, previous, places, ROUND_HALF_UP)


def _quantised(numerator: int, denominator: int, places: int, rounding: str) -> Decimal:
    scale: int = 10**places
    if rounding == ROUND_FLOOR:
        quotient = numerator * scale // denominator
    else:
        magnitude, remainder = divmod(abs(numerator) * scale, abs(denominator))
        quotient = (magnitude + (2 * remainder >= abs(denominator))) * (1 if (numerator < 0) == (denominator < 0) else -1)
    with localcontext(_EXACT):
        return Decimal(quotient).scaleb(-places)
