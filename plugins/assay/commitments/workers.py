"""Several processes that do tasks of a build, each a fresh interpreter, none of which outlives the first one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

from assay.errors import CommitmentError

Do = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], list[Any]]
"""Calls a function once for each tuple of arguments and returns what it returned, in order."""


@contextmanager
def workers(processes: int, prepare: Callable[[], None]) -> Iterator[Do]:
    """Give a way to do tasks in so many processes; with 1 this one does it all.

    Args:
        processes: How many; a process that may not have others does it all by itself.
        prepare: Called in each of them at once, while this one goes on: what it loads is there when the first task comes.

    Raises:
        CommitmentError: A process was ended from outside.
    """
    # A daemonic process, such as a worker of Celery is, may not have children.
    if processes == 1 or multiprocessing.current_process().daemon:
        yield lambda task, arguments: [task(*each) for each in arguments]
        return
    # A fresh interpreter has nothing of this one in memory, and no threads of its libraries.
    executor = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=_attach)
    try:
        for _ in range(processes):
            executor.submit(prepare)
        yield lambda task, arguments: [future.result() for future in [executor.submit(task, *each) for each in arguments]]
    except BrokenProcessPool as error:
        raise CommitmentError(
            "a process that was building it was ended from outside",
            subject="liability tree",
            next_step="give it more memory or fewer processes, and run it again: the same tree comes of it",
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _attach() -> None:
    # Ctrl-C reaches every process of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the first one is gone without a word; it would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
