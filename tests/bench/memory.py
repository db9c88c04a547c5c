"""Peak memory of processes in the benchmarks."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def peak_of(work: Callable[..., None], *args: object) -> int:
    """Return the peak memory in MiB of a process that does this work and nothing else."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, work, args))
    process.start()
    peak: int = receiver.recv()
    process.join()
    return peak


def peak_memory(process: int | str = "self") -> int:
    """Return the peak memory in MiB of a running process.

    Linux tells it for the program alone; `ru_maxrss` begins with what the starting process had, and serves where there is nothing better.
    """
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) >> 10


def nothing() -> None:
    """What a process does that only shows what the imports take."""


def _report(sender: Any, work: Callable[..., None], args: Sequence[object]) -> None:
    work(*args)
    sender.send(peak_memory())
