"""The least that can be wrong: one bit of a text or of bytes, turned over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from assay_verify.ownership.interface import NotVerifiedError, Scheme, Statement

PLACES = st.integers(min_value=0, max_value=10_000)


def other_text(text: str, place: int) -> str:
    """Return a text with one bit of one ASCII letter turned over; it stays ASCII."""
    letter, bit = divmod(place % (7 * len(text)), 7)
    return text[:letter] + chr(ord(text[letter]) ^ 1 << bit) + text[letter + 1 :]


def other_hexadecimal(text: str, place: int) -> str:
    """Return hexadecimal with one bit of the bytes that it stands for turned over."""
    digits = text.removeprefix("0x")
    raw = bytearray(bytes.fromhex(digits))
    position, bit = divmod(place % (8 * len(raw)), 8)
    raw[position] ^= 1 << bit
    return text[: len(text) - len(digits)] + raw.hex()


def assert_each_bit_counts(scheme: Scheme, statement: Statement, place: int, *, script: bool = False) -> None:
    """Assert that the statement holds, and with one bit of signature, message, address or key turned over does not."""
    scheme.verify(statement)
    changed = [
        replace(statement, signatures=(other_hexadecimal(statement.signatures[0], place),)),
        replace(statement, message=other_text(statement.message, place)),
        replace(statement, address=other_text(statement.address, place)),
    ]
    if script:
        changed.append(replace(statement, script=other_hexadecimal(statement.script, place)))
    for wrong in changed:
        with pytest.raises(NotVerifiedError):
            scheme.verify(wrong)
