"""JSON that says one thing only, whoever reads it, and what may stand in it: amounts, hashes, counts, texts.

Python reads a member that is there twice as its last one, 1e2 as a float, and NaN though JSON has none. Two programs that read one proof differently
would tell its owner two things, so all of that is refused.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, NoReturn

from assay_verify.canonical_json import Shape, check_shape
from assay_verify.findings import MalformedError
from assay_verify.sum_tree.hashing import AMOUNT_LIMIT, MOST_ASSETS, in_order

_AMOUNT = re.compile("0|[1-9][0-9]*")
_HASH = re.compile("[0-9a-f]{64}")
_MOMENT = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_MOST_DIGITS = 20
"""Of a number without quotation marks; more than any count of these formats has."""
_SHOWN = 48
_U16, _U32 = 0xFFFF, 0xFFFFFFFF


class NotJsonError(MalformedError):
    """What was given is not JSON at all."""


def read(content: bytes) -> Any:
    """Read JSON.

    Raises:
        NotJsonError: It is none.
        MalformedError: It is, and two programs might read it differently, or it is nested too deeply.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise NotJsonError(f"it is not UTF-8 (byte {error.start:,})") from error
    try:
        return json.loads(text, object_pairs_hook=_members, parse_float=_no_float, parse_int=_integer, parse_constant=_no_constant)
    except RecursionError as error:
        raise MalformedError("its JSON is nested too deeply") from error
    except ValueError as error:
        raise NotJsonError(f"it is not JSON ({error})") from error


def shown(value: object) -> str:
    """Write a value from outside so that it is short and moves no cursor."""
    if isinstance(value, str):
        plain = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in value[: _SHOWN + 1])
        return repr(plain) if len(plain) <= _SHOWN else f"{plain[:_SHOWN]!r}…"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_MOST_DIGITS else "an integer too long to print"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return f"of the type {type(value).__name__}"


def amount(value: object, subject: str) -> int:
    """Read base units: digits in quotation marks.

    Raises:
        MalformedError: It is anything else, or reaches 10^38.
    """
    # The length is looked at first: Python takes its time over numbers of many digits.
    if not isinstance(value, str) or len(value) > _MOST_DIGITS * 2 or not _AMOUNT.fullmatch(value) or int(value) >= AMOUNT_LIMIT:
        raise MalformedError(
            f"{subject} is {shown(value)}, and an amount is digits in quotation marks, without sign, leading zeros or exponent, below 10^38"
        )
    return int(value)


def digest(value: object, subject: str) -> bytes:
    """Read 32 bytes: 64 digits of lower-case hexadecimal.

    Raises:
        MalformedError: It is anything else.
    """
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise MalformedError(f"{subject} is {shown(value)}, and not 64 digits of lower-case hexadecimal")
    return bytes.fromhex(value)


def count(value: object, subject: str, *, least: int, most: int) -> int:
    """Read an integer within bounds.

    Raises:
        MalformedError: It is anything else.
    """
    if type(value) is not int or not least <= value <= most:
        raise MalformedError(f"{subject} is {shown(value)}, and not an integer from {least:,} to {most:,}")
    return value


def text(value: object, subject: str) -> str:
    """Read a text that can be written as UTF-8 in less than 2^16 bytes.

    Raises:
        MalformedError: It is anything else.
    """
    try:
        if isinstance(value, str) and len(value.encode()) <= _U16:
            return value
    except UnicodeEncodeError:
        pass
    raise MalformedError(f"{subject} is {shown(value)}, and not a text of at most {_U16:,} bytes")


def moment(value: object, subject: str) -> str:
    """Read a moment, as text.

    Raises:
        MalformedError: It is not written like 2023-02-17T16:00:00Z, or there is no such time.
    """
    try:
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            datetime.strptime(value, "%Y-%m-%dT%H:%M:%S%z")
            return value
    except ValueError:
        pass
    raise MalformedError(f"{subject} is {shown(value)}, and not a UTC time like 2023-02-17T16:00:00Z")


def revision(value: object, subject: str) -> int:
    """Read the number of a revision.

    Raises:
        MalformedError: It is anything else.
    """
    return count(value, subject, least=1, most=_U32)


def array(value: object, subject: str, *, least: int, most: int) -> list[Any]:
    """Read an array of a number of entries.

    Raises:
        MalformedError: It is none, or has more or fewer.
    """
    if not isinstance(value, list):
        raise MalformedError(f"{subject} is not an array")
    if not least <= len(value) <= most:
        wanted = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        raise MalformedError(f"{subject} has {len(value):,} entries, not {wanted}")
    return value


def assets(value: object, shape: Shape, subject: str) -> list[dict[str, Any]]:
    """Read the list of assets: members as told, symbols in the order of their bytes.

    Raises:
        MalformedError: It is anything else.
    """
    entries = [
        check_shape(entry, shape, subject=f"{subject}[{at}]") for at, entry in enumerate(array(value, subject, least=1, most=MOST_ASSETS))
    ]
    for at, entry in enumerate(entries):
        text(entry["symbol"], f"{subject}[{at}].symbol")
        count(entry["decimals"], f"{subject}[{at}].decimals", least=0, most=255)
    if not in_order([entry["symbol"] for entry in entries]):
        raise MalformedError(f"{subject} are not in the order of their symbols, or one is there twice")
    return entries


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedError(f"the member {shown(twice)} is there twice in one object, so that two programs may read two things")
    return members


def _integer(written: str) -> int:
    if len(written) > _MOST_DIGITS or written == "-0":
        raise MalformedError(f"{shown(written)[1:-1]} is no number that may stand here ({len(written):,} characters)")
    return int(written)


def _no_float(written: str) -> NoReturn:
    raise MalformedError(f"{shown(written)[1:-1]} has a fraction or an exponent, and every number here is an integer")


def _no_constant(written: str) -> NoReturn:
    raise MalformedError(f"{written} is no number")
