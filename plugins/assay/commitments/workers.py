"""Several processes that do tasks of a build, each a fresh interpreter, none of which outlives the first one.

They come from loky and not from the standard library (ADR 0026): that one imports the main module of the first process again in each, which is Airflow's
console script wherever Airflow is started the usual way, and it fails there because a task may not have the address of Airflow's database.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from loky import ProcessPoolExecutor
from loky.backend import get_context

from assay.errors import CommitmentError
from assay_verify.processes import cause_of

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0

Do = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], list[Any]]
"""Calls a function once for each tuple of arguments and returns what it returned, in order."""


@contextmanager
def workers(processes: int, prepare: Callable[[], None]) -> Iterator[Do]:
    """Give a way to do tasks in so many processes; with 1 this one does it all.

    Args:
        processes: How many; with 1, and in a daemonic process, which may have no children, this process does it all.
        prepare: Called in each of them at once, while this one goes on: what it loads is there when the first task comes.

    Raises:
        CommitmentError: A process ended too early.
    """
    if processes > 1 and multiprocessing.current_process().daemon:
        _log.info("this process is a daemonic one and may have no children, so it builds the tree alone")
        processes = 1
    if processes == 1:
        yield lambda task, arguments: [task(*each) for each in arguments]
        return
    executor = ProcessPoolExecutor(processes, context=get_context("loky"), initializer=_begin, initargs=(os.getpid(),))
    done = False
    try:
        for _ in range(processes):
            executor.submit(prepare)
        yield lambda task, arguments: [future.result() for future in [executor.submit(task, *each) for each in arguments]]
        done = True
    except BrokenProcessPool as error:
        raise _ended(error) from error
    finally:
        # What was asked for and is not wanted any more need not be finished.
        executor.shutdown(kill_workers=not done)


def _ended(error: BrokenProcessPool) -> CommitmentError:
    """Say what is known of a process that ended too early, and nothing that nobody has seen."""
    codes = re.search(r"exit codes of the workers are \{(.*?)\}", str(error))
    if codes and "SIGKILL" in codes[1]:
        problem = "a process that was building it was killed (SIGKILL), as the system does where memory runs out"
        step = "give it more memory, or fewer processes ([commitment] processes), and run it again: the same tree comes of it"
    elif codes:
        problem = f"a process that was building it ended by itself ({codes[1]})"
        step = "read what it said, in the task's log above or the worker's own output"
    else:
        problem = f"a process that was building it could not go on ({cause_of(error)})"
        step = "mend what it names, and run it again"
    return CommitmentError(problem, subject="liability tree", next_step=step)


def _begin(parent: int) -> None:
    # Ctrl-C reaches every process of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when the first one is gone without a word; it would wait for work forever."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
