"""Runs the steps of `reserve_snapshot` and tells how long each took and how much memory; a process of its own, so that nothing else counts.

    python -m tests.bench.pipeline together|apart CONFIG URLS FOLDER
    python -m tests.bench.pipeline verify FOLDER

`together`: every step of every chain in this one process, one after another: the upper bound of what a process can need.
`apart`: each step in a process of its own, as Airflow runs tasks, several at once. Airflow's SDK is loaded in both, as it is in a task. A
process of `apart` is forked from one that has loaded everything, because loading it for each of the tasks would take minutes: libraries that it
does not touch are not in its figure, and in a task of Airflow's they are (`imported`). Prints JSON.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
AT_ONCE = 4
"""Tasks under way at once, in `apart`."""

_LOOK_SECONDS = 0.05


@dataclass
class Step:
    """What the tasks of one step took.

    Attributes:
        tasks: How many.
        seconds: From the first one's start to the last one's end.
        mebibytes: Peak of the largest one.
    """

    tasks: int = 0
    seconds: float = 0
    mebibytes: float = 0


@dataclass
class Run:
    """What a run of all steps took.

    Attributes:
        imported: MiB of a process that has loaded everything and checked the registry once, by which the last libraries are loaded.
        steps: By name.
        at_once: MiB of the tasks under way together, at most, as if they shared nothing; looked at every twentieth of a second.
    """

    imported: float
    steps: dict[str, Step] = field(default_factory=dict)
    at_once: float = 0


def status(name: str, process: int | str = "self") -> float:
    """Return a figure of a process in MiB: `VmRSS`, or `VmHWM`, its peak."""
    # Not getrusage's: a process that was started from a larger one is told the larger one's.
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def run_together(run: Run, name: str, work: Sequence[Callable[[], T]]) -> list[T]:
    """Do the work of a step in this process."""
    Path("/proc/self/clear_refs").write_text("5")  # begins the peak anew: proc(5)
    started = time.perf_counter()
    results = [item() for item in work]
    run.steps[name] = Step(len(work), time.perf_counter() - started, status("VmHWM"))
    run.at_once = max(run.at_once, status("VmHWM"))
    return results


def run_apart(run: Run, name: str, work: Sequence[Callable[[], T]]) -> list[T]:
    """Do each piece of the work in a process of its own."""
    context = multiprocessing.get_context("fork")
    gc.freeze()  # or each process would copy all of this one's memory at its first collection
    waiting = list(enumerate(work))
    running: dict[Connection, tuple[int, Any]] = {}
    results: dict[int, T] = {}
    step = run.steps[name] = Step(len(work))
    started = time.perf_counter()
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            number, item = waiting.pop(0)
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_report, args=(sender, item))
            process.start()
            sender.close()
            running[receiver] = number, process
        for ready in wait(list(running), _LOOK_SECONDS):
            assert isinstance(ready, Connection)
            number, process = running.pop(ready)
            results[number], peak = ready.recv()
            step.mebibytes = max(step.mebibytes, peak)
            process.join()
        run.at_once = max(run.at_once, _together_now([process.pid for _, process in running.values()]))
    step.seconds = time.perf_counter() - started
    return [results[number] for number in range(len(work))]


def _report(sender: Connection, work: Callable[[], object]) -> None:
    result = work()
    sender.send((result, status("VmHWM")))


def _together_now(processes: Sequence[int]) -> float:
    total = 0.0
    for process in processes:
        with suppress(OSError, StopIteration):  # it has just ended
            total += status("VmRSS", process)
    return total


def main(how: str, config: Path, urls: dict[str, str], folder: Path) -> Run:
    """Run all steps."""
    import airflow.sdk

    from assay import reserves
    from assay.config import Settings, Source
    from sandbox.scenario import SECOND

    _ = airflow.sdk.task, airflow.sdk.get_current_context
    settings = Settings.load(config)
    # Some libraries load at their first use; nothing that a task loads shall count as what it needs for its work.
    reserves.check_registry(settings, SECOND, folder / "loading")

    def connect(source: Source, _: Path) -> str:
        return urls[source.connection]

    run = Run(imported=status("VmRSS"))
    do: Any = {"together": run_together, "apart": run_apart}[how]
    raw = {name: folder / "raw" / name for name in settings.chains}
    (wallets,) = do(run, "check_registry", [lambda: reserves.check_registry(settings, SECOND, folder / "registry")])
    resolved = do(
        run,
        "resolve_block",
        [lambda name=name: reserves.resolve_block(settings, name, SECOND, wallets, raw[name], connect=connect) for name in raw],
    )
    chunks = dict(zip(raw, resolved, strict=True))
    tasks = [(name, source.name, chunk) for name in raw for source in settings.chains[name].sources for chunk in chunks[name]]
    read = do(
        run,
        "read_chunk",
        [
            lambda name=name, source=source, chunk=chunk: reserves.read_chunk(settings, name, source, chunk, raw[name], connect=connect)
            for name, source, chunk in tasks
        ],
    )
    reads = {name: [path for (of, _, _), path in zip(tasks, read, strict=True) if of == name] for name in raw}
    agreed = do(
        run,
        "agree",
        [lambda name=name: reserves.agree(settings, name, chunks[name], reads[name], wallets, raw[name], connect=connect) for name in raw],
    )
    do(run, "collect", [lambda: reserves.collect(settings, agreed, wallets, folder / "out")])
    return run


def verify(folder: Path) -> dict[str, float]:
    """Verify a publication's balances."""
    from assay_verify.balances import verify as verify_balances
    from assay_verify.findings import Exit
    from assay_verify.verdicts import Verdict

    started = time.perf_counter()
    verified = verify_balances(folder)
    assert verified.findings.exit_code is Exit.HELD, [failure for check in verified.findings.checks for failure in check.failures][:3]
    counts = {verdict.value: sum(record.count(verdict) for record in verified.chains) for verdict in Verdict}
    return {"seconds": time.perf_counter() - started, "mebibytes": status("VmHWM"), **counts}


if __name__ == "__main__":
    if sys.argv[1] == "verify":
        print(json.dumps(verify(Path(sys.argv[2]))))
    else:
        print(json.dumps(asdict(main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]), Path(sys.argv[4])))))
