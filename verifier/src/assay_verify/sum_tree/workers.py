"""Several processes that check a tree's files, one file of leaves at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pyarrow as pa

from assay_verify.processes import possible
from assay_verify.processes import processes as pool
from assay_verify.sum_tree.shards import Outcome, Shape, check_shard


def check_shards(folder: Path, shape: Shape, *, processes: int) -> Iterator[Outcome]:
    """Yield what became of each file of leaves, in order.

    Args:
        folder: The tree's.
        shape: What is known of the tree.
        processes: How many; with one file, or 1, or in a daemonic process, this process does it all.

    Raises:
        UnusableInputError: A process ended too early.
    """
    processes = possible(min(processes, shape.shards))
    if processes == 1:
        yield from (check_shard(folder, shape, shard) for shard in range(shape.shards))
        return
    waiting: deque[Future[Outcome]] = deque()
    with pool(processes, prepare=_use_one_thread, next_step="Start again, with fewer --processes") as executor:
        for shard in range(shape.shards):
            waiting.append(executor.submit(check_shard, folder, shape, shard))
            if len(waiting) > processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _use_one_thread() -> None:
    # The processes are what uses the cores.
    pa.set_cpu_count(1)
