"""Several processes that check pieces of something at once, none of which outlives the first one.

The processes come from loky, because the standard library's start of a fresh interpreter imports the program's main module there again. A program that
has nothing in its favour for that (a scheduler's console script, a script without a guard, an interactive session) would run once more in every
process, or fail there.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from loky import ProcessPoolExecutor
from loky.backend import get_context

from assay_verify.findings import UnusableInputError

_LOOK_SECONDS = 1.0


@contextmanager
def processes(count: int, *, prepare: Callable[[], None] | None = None, next_step: str) -> Iterator[Executor]:
    """Give an executor with so many processes, each a fresh interpreter.

    Args:
        count: How many, as `possible` returned it.
        prepare: Called first in each.
        next_step: What to do where one of them ends too early.

    Raises:
        UnusableInputError: One ended too early.
    """
    executor = ProcessPoolExecutor(count, context=get_context("loky"), initializer=_begin, initargs=(os.getpid(), prepare))
    done = False
    try:
        yield executor
        done = True
    except BrokenProcessPool as error:
        raise UnusableInputError(f"A process that was checking {how_it_ended(error)}", next_step) from error
    finally:
        # What was asked for and is not wanted any more need not be finished.
        executor.shutdown(kill_workers=not done)


def possible(count: int) -> int:
    """Return how many of so many processes may be started: a daemonic process of `multiprocessing` may have no children, and does all of it alone."""
    return 1 if multiprocessing.current_process().daemon else count


def how_it_ended(error: BrokenProcessPool) -> str:
    """Say what is known of a process that ended too early: how, and nothing that nobody has seen."""
    codes = re.search(r"exit codes of the workers are \{(.*?)\}", str(error))
    known = codes[1] if codes else ""
    if "SIGKILL" in known:
        return "was killed (SIGKILL), as the system does where memory runs out"
    if known:
        return f"ended by itself ({known}); what it said stands above, in the log"
    return f"could not go on ({cause_of(error)})"


def cause_of(error: BrokenProcessPool) -> str:
    """Return the last line of what went wrong in a process, or on the way to or from it."""
    cause = error.__cause__ or error
    # A traceback of the process is wrapped into quotation marks of its own, and names the error in its last line.
    lines = [line for line in str(cause).splitlines() if line.strip(' "')]
    if lines and type(cause).__name__ == "_RemoteTraceback":
        return lines[-1].strip()
    return f"{type(cause).__name__}: {lines[-1].strip()}" if lines else type(cause).__name__


def _begin(parent: int, prepare: Callable[[], None] | None) -> None:
    # Ctrl-C reaches every process of a terminal; the first one ends the others, so that no traceback is printed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with(parent: int) -> None:
    """End this process when the first one is gone without a word; it would wait for work forever."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
