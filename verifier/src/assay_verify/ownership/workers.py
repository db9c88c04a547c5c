"""Several processes that check pieces of a list at a time; what they found comes back in the order of the list."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from assay_verify.ownership.tallies import Tally
from assay_verify.processes import possible
from assay_verify.processes import processes as pool

_AHEAD = 3
"""Pieces that wait for each process: enough that none is idle, few enough that memory doesn't depend on the list's length."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows.

    Attributes:
        start: Where it begins, in units of its source.
        end: Where it ends.
        first: Number of its first row.
        following: Number of the row after it.
        content: Lines, or rows.
    """

    start: int
    end: int
    first: int
    following: int
    content: Any


Check = Callable[[int, Any], Tally]
"""Checks a piece, given the number of its first row and its content; a function that can be sent to a process."""


def check_all(pieces: Iterable[Piece], check: Check, *, processes: int) -> Iterator[tuple[Piece, Tally]]:
    """Yield pieces with what became of them, in order.

    Args:
        pieces: Read as far ahead as is worked on.
        check: What to do with each.
        processes: How many; with 1, or in a daemonic process, this one does it all.

    Raises:
        UnusableInputError: A process ended too early.
    """
    if (processes := possible(processes)) == 1:
        for piece in pieces:
            yield piece, check(piece.first, piece.content)
        return
    waiting: deque[tuple[Piece, Future[Tally]]] = deque()
    with pool(processes, next_step="Start again with --resume") as executor:
        for piece in pieces:
            # What was read is not kept here while it waits for its result.
            place = Piece(piece.start, piece.end, piece.first, piece.following, None)
            waiting.append((place, executor.submit(check, piece.first, piece.content)))
            if len(waiting) >= processes * _AHEAD:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)


def _next(waiting: deque[tuple[Piece, Future[Tally]]]) -> tuple[Piece, Tally]:
    place, future = waiting[0]
    tally = future.result()
    waiting.popleft()
    return place, tally
