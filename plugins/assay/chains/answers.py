"""Reading the plainest parts of servers' answers: exactly, or with an error that says what is wrong with them."""

from __future__ import annotations

import re

_WORD = 32
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


class AnswerError(ValueError):
    """An answer that has not the form it must have; the message says what is wrong with it."""


def quantity(value: object) -> int:
    """Read a JSON-RPC quantity (`0x1a`), which is at most 32 bytes long.

    Raises:
        AnswerError: Anything else; `0x` is not zero.
    """
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise AnswerError(f"{str(value)[:80]!r} is not a quantity")
    return int(value, 16)


def data(value: object) -> bytes:
    """Read JSON-RPC data: `0x` and whole bytes.

    Raises:
        AnswerError: Anything else.
    """
    try:
        content = bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else None
    except ValueError:
        content = None
    # bytes.fromhex skips blanks, so the length tells whether there were any.
    if content is None or 2 * len(content) + 2 != len(str(value)):
        raise AnswerError(f"{str(value)[:80]!r} is not hexadecimal data")
    return content


def word(value: object) -> int:
    """Read the unsigned integer of an `eth_call` result of exactly 32 bytes.

    Raises:
        AnswerError: Anything else; an empty result is not zero.
    """
    content = data(value)
    if len(content) != _WORD:
        raise AnswerError(f"the result has {len(content)} bytes and not 32")
    return int.from_bytes(content, "big")
