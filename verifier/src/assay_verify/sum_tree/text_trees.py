"""What two formats of other publishers share: three assets, amounts as decimal text, a parent that binds the sum of its children.

The formats are those of the verifiers at https://github.com/okx/proof-of-reserves (common/merkle.go, common/merklev2.go, common/validator.go).
"""

from __future__ import annotations

import decimal
import hashlib
import re
from collections.abc import Sequence
from decimal import Decimal

from assay_verify.canonical_json import check_shape
from assay_verify.findings import MalformedError
from assay_verify.sum_tree.strict_json import shown

ASSETS = ("BTC", "ETH", "USDT")

Balances = tuple[str, ...]
"""Amounts as written, in the order of ASSETS: hashes are taken of the text."""

_AMOUNT = re.compile(r"-?[0-9]{1,38}(\.[0-9]{1,38})?")
_HASH = re.compile("[0-9a-f]{1,64}")
_WHOLE_HASH = 64
# Wide enough that no sum of such amounts is rounded but where the format wants it.
_EXACT = decimal.Context(prec=120, rounding=decimal.ROUND_DOWN)
_EIGHT_DECIMALS = Decimal("1e-8")
_DECIMALS = 8

WEAKNESSES = (
    "A parent binds only the sum of its children, not each child's balances: users can be shown different splits of one sum, so the total may be less than they are owed together.",
    "Negative balances pass, and lower the total.",
    "No leaf says whose it is: two users with equal balances can be shown one leaf, which is counted once.",
    "No report is named in any hash: a proof of another moment, or of another tree, looks the same.",
    "Leaves, nodes and padding are hashed alike, and amounts stand beside each other without separators: one text can be read as several lists of amounts.",
)


def balances(value: object, subject: str) -> Balances:
    """Read amounts of the three assets.

    Raises:
        MalformedError: An asset is missing or unknown, or an amount is not plain decimal text.
    """
    members = check_shape(value, dict.fromkeys(ASSETS, str), subject=subject)
    for asset in ASSETS:
        if not _AMOUNT.fullmatch(members[asset]):
            raise MalformedError(f"{subject}: {asset} is {shown(members[asset])}, and not decimal digits without exponent")
    return tuple(members[asset] for asset in ASSETS)


def hash_text(value: object, subject: str) -> str:
    """Read a hash, which this format lets be cut short.

    Raises:
        MalformedError: It is not lower-case hexadecimal.
    """
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise MalformedError(f"{subject} is {shown(value)}, and not lower-case hexadecimal")
    return value


def is_cut(value: str) -> bool:
    """Tell whether a hash is shorter than SHA-256 makes it."""
    return len(value) < _WHOLE_HASH


def add(one: Balances, other: Balances) -> Balances:
    """Return the sums, rounded towards zero to 8 decimals, trailing zeros cut."""
    return tuple(_sum(a, b) for a, b in zip(one, other, strict=True))


def as_json(amounts: Balances) -> str:
    """Write balances as a leaf's hash takes them."""
    return "{" + ",".join(f'"{asset}":"{amount}"' for asset, amount in zip(ASSETS, amounts, strict=True)) + "}"


def sha256_text(*parts: str) -> str:
    """Return the hash of texts written one after the other, as text."""
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def parent_hash(left: str, right: str, amounts: Balances, height: int) -> str:
    """Return the hash of a parent, given the sums of its children."""
    return sha256_text(left, right, *amounts, str(height))


def negative(amounts: Sequence[str]) -> bool:
    """Tell whether an amount is below zero."""
    return any(Decimal(amount) < 0 for amount in amounts)


def zero(amounts: Sequence[str]) -> bool:
    """Tell whether all amounts are zero."""
    return all(not Decimal(amount) for amount in amounts)


def _sum(one: str, other: str) -> str:
    total = _EXACT.add(Decimal(one), Decimal(other))
    if -int(total.as_tuple().exponent) > _DECIMALS:
        total = total.quantize(_EIGHT_DECIMALS, context=_EXACT)
    text = f"{total:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
