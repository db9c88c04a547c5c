"""What becomes of a ledger's digits below one base unit: `[ledger] finer_than_unit`.

`refuse` takes none. `round_up` rounds each account's balance towards plus infinity, so that what is stated is never less than what is owed: a
balance goes up to the next base unit, a debt goes up to the base unit nearer to zero. How much that adds is kept beside every row, exactly.
"""

from __future__ import annotations

from assay.config import Settings
from assay.errors import AmountError
from assay.money import FINER_DIGITS, parse_amount, parse_rounded_up

ROUND_UP = "round_up"


def finer_digits(settings: Settings) -> int:
    """Return how many digits below one base unit an amount of the ledger may have."""
    return FINER_DIGITS if settings.ledger.finer_than_unit == ROUND_UP else 0


def read_amount(settings: Settings, text: str, asset: str, *, subject: str) -> tuple[int, int]:
    """Read an amount of the ledger.

    Args:
        settings: Says whether it may be finer than one base unit, and names the asset's decimals.
        text: A plain decimal number of whole units.
        asset: Its asset.
        subject: What the number belongs to, for the error.

    Returns:
        Base units, and what was added to come to them, in 10^-FINER_DIGITS of a base unit.

    Raises:
        AmountError: Not a plain number, too fine, or over 38 digits of base units.
    """
    decimals = settings.assets[asset].decimals
    if finer_digits(settings):
        return parse_rounded_up(text, decimals, subject=subject)
    try:
        return parse_amount(text, decimals, subject=subject), 0
    except AmountError as error:
        refusal = error
    try:
        parse_rounded_up(text, decimals, subject=subject)
    except AmountError:
        raise refusal from None
    # A plain number, and only too fine.
    step = f'{refusal.next_step}, or set ledger.finer_than_unit to "{ROUND_UP}"'
    raise AmountError(refusal.problem, subject=subject, next_step=step)
