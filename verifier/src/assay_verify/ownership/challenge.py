"""The text that an address signs for one report: written and read strictly. Format: docs/formats/address_ownership.md.

Pure, and light: the program that publishes builds its challenges here too, so what it asks for is what a stranger's verifier takes.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache

from assay_verify.findings import MalformedError, require

FIRST_LINE = "I control this address for a reserve attestation."
ONE_LINE_SEPARATOR = " | "
"""Between the lines where a text must not have several: lists that are read line by line, devices that sign a single line."""

_LABELS = ("entity", "series", "as of", "chain", "address", "block")
_HEIGHT = re.compile("0|[1-9][0-9]{0,17}")
_NOT_IN_ONE_LINE = frozenset(',;"[]{}|')


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """What is signed. Entity, series and moment name the report; a correction of the same moment is the same report.

    Attributes:
        entity: The reporting entity, for people.
        series: The line of publications.
        as_of: The attested moment, `2023-02-17T16:00:00Z`.
        chain: Name of the chain.
        address: In the form in which the list has it.
        block_height: Of a final block of the chain; nobody could name it before it was made, so the signature is not older.
        block_hash: In the usual text form of the chain.
    """

    entity: str
    series: str
    as_of: str
    chain: str
    address: str
    block_height: int
    block_hash: str

    @property
    def report(self) -> tuple[str, str, str]:
        """Entity, series and moment."""
        return self.entity, self.series, self.as_of


def build(challenge: Challenge, *, one_line: bool = False) -> str:
    """Write a challenge, without a line feed at its end.

    Args:
        challenge: What to write.
        one_line: Put ` | ` in the place of line feeds.

    Raises:
        MalformedError: A value is empty or has characters that the form has no place for.
    """
    for field, value in zip(fields(challenge), astuple(challenge), strict=True):
        text = str(value)
        odd = _NOT_IN_ONE_LINE.intersection(text) if one_line else ()
        require(not odd, f"the challenge's {field.name} {text!r} has {''.join(sorted(odd))!r}, which its one-line form has no place for")
        _check_value(field.name, text)
    _check_moment(challenge.as_of)
    block = f"{challenge.block_height} {challenge.block_hash}"
    _parse_block(block)
    values = (challenge.entity, challenge.series, challenge.as_of, challenge.chain, challenge.address, block)
    lines = [FIRST_LINE, *(f"{label}: {value}" for label, value in zip(_LABELS, values, strict=True))]
    return (ONE_LINE_SEPARATOR if one_line else "\n").join(lines)


def is_challenge(text: str) -> bool:
    """Tell whether a text means to be a challenge; `parse` then tells whether it is one."""
    return text.startswith(FIRST_LINE)


def parse(text: str) -> Challenge:
    """Read a challenge in either form.

    Raises:
        MalformedError: It is written in any other way, were it by one blank.
    """
    first, *lines = text.split("\n" if "\n" in text else ONE_LINE_SEPARATOR)
    require(first == FIRST_LINE and len(lines) == len(_LABELS), f"a challenge is the line {FIRST_LINE!r} and {len(_LABELS)} more")
    values = []
    for label, line in zip(_LABELS, lines, strict=True):
        found, separator, value = line.partition(": ")
        require(found == label and bool(separator), f"the challenge has no {label!r} where it belongs")
        _check_value(label, value)
        values.append(value)
    entity, series, as_of, chain, address, block = values
    _check_moment(as_of)
    height, hash_ = _parse_block(block)
    return Challenge(entity=entity, series=series, as_of=as_of, chain=chain, address=address, block_height=height, block_hash=hash_)


def _check_value(name: str, value: str) -> None:
    # Blanks other than U+0020 are not printable, so lines cannot be forged with other line ends.
    held = bool(value) and value.isprintable() and value == value.strip() and ONE_LINE_SEPARATOR not in value
    require(held, f"the challenge's {name} {value[:80]!r} is empty, or has characters that no challenge has")


def _parse_block(text: str) -> tuple[int, str]:
    height, _, hash_ = text.partition(" ")
    held = bool(_HEIGHT.fullmatch(height)) and bool(hash_) and " " not in hash_
    require(held, f"the challenge's block {text[:80]!r} is not a height, a blank and a hash")
    return int(height), hash_


@lru_cache(maxsize=64)
def _check_moment(text: str) -> None:
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedError(f"the challenge's moment {text[:80]!r} is not written like 2023-02-17T16:00:00Z") from error
    require(moment.strftime("%Y-%m-%dT%H:%M:%SZ") == text, f"the challenge's moment {text!r} is not written like 2023-02-17T16:00:00Z")
