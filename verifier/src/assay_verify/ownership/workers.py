"""Several processes that check pieces of a list at a time; what they found comes back in the order of the list."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from assay_verify.findings import UnusableInputError
from assay_verify.ownership.tallies import Tally

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
        processes: How many; with 1 this one does it all.

    Raises:
        UnusableInputError: A process was ended from outside.
    """
    if processes == 1:
        for piece in pieces:
            yield piece, check(piece.first, piece.content)
        return
    # A fresh interpreter has nothing of this one in memory, and no threads of its libraries.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare)
    waiting: deque[tuple[Piece, Future[Tally]]] = deque()
    try:
        for piece in pieces:
            # What was read is not kept here while it waits for its result.
            place = Piece(piece.start, piece.end, piece.first, piece.following, None)
            waiting.append((place, executor.submit(check, piece.first, piece.content)))
            if len(waiting) >= processes * _AHEAD:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    except BrokenProcessPool as error:
        raise UnusableInputError("A process that was checking was ended from outside", "Start again with --resume") from error
    finally:
        executor.shutdown(cancel_futures=True)


def _next(waiting: deque[tuple[Piece, Future[Tally]]]) -> tuple[Piece, Tally]:
    place, future = waiting[0]
    tally = future.result()
    waiting.popleft()
    return place, tally


def _prepare() -> None:
    # Ctrl-C reaches every process of a terminal; the first one ends the others, so that no traceback is printed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the first one is gone without a word; it would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
