"""Several processes that check a tree's files, one file of leaves at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path

import pyarrow as pa

from assay_verify.findings import UnusableInputError
from assay_verify.sum_tree.shards import Outcome, Shape, check_shard


def check_shards(folder: Path, shape: Shape, *, processes: int) -> Iterator[Outcome]:
    """Yield what became of each file of leaves, in order.

    Args:
        folder: The tree's.
        shape: What is known of the tree.
        processes: How many; with one file, or 1, this process does it all.

    Raises:
        UnusableInputError: A process was ended from outside.
    """
    processes = min(processes, shape.shards)
    if processes == 1:
        yield from (check_shard(folder, shape, shard) for shard in range(shape.shards))
        return
    executor = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare)
    waiting: deque[Future[Outcome]] = deque()
    try:
        for shard in range(shape.shards):
            waiting.append(executor.submit(check_shard, folder, shape, shard))
            if len(waiting) > processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UnusableInputError("A process that was checking was ended from outside", "Start again, with fewer --processes") from error
    finally:
        executor.shutdown(cancel_futures=True)


def _prepare() -> None:
    # One thread in each process: the processes are what uses the cores. Ctrl-C reaches every process of a terminal; the first ends the others.
    pa.set_cpu_count(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
