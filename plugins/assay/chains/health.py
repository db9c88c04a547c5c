"""How a source behaved: what was asked of it, what failed and how long it took. For operators; no number rests on it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from assay.lake import replacing_file


@dataclass
class Meter:
    """Counts of one reading task; every client of a source adds to the meter it is given.

    Attributes:
        requests: Calls sent; a batch counts each of its calls.
        exchanges: Messages sent: batches, or single calls.
        errors: Exchanges that brought no usable answer.
        busy_microseconds: Time spent waiting for answers, added up over exchanges that ran at the same time.
        slowest_microseconds: The longest exchange.
    """

    requests: int = 0
    exchanges: int = 0
    errors: int = 0
    busy_microseconds: int = 0
    slowest_microseconds: int = 0

    @contextmanager
    def exchange(self, requests: int) -> Iterator[None]:
        """Count one exchange; an exception that leaves the block counts it as an error."""
        self.requests += requests
        self.exchanges += 1
        start = time.monotonic_ns()
        try:
            yield
        except BaseException:
            self.errors += 1
            raise
        finally:
            taken = (time.monotonic_ns() - start) // 1000
            self.busy_microseconds += taken
            self.slowest_microseconds = max(self.slowest_microseconds, taken)


class MeterFile:
    """Writes a meter when its block ends, whichever way it ends; a context manager.

    Every try of every task leaves a file of its own, so that failed tries count too.

    Args:
        folder: Where the chain's meters stand.
        source: Name of the source.
        meter: What its readers count with.
    """

    def __init__(self, folder: Path, source: str, meter: Meter) -> None:
        self._path = folder / f"{source}.{uuid.uuid4().hex}.json"
        self._source = source
        self._meter = meter

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with replacing_file(self._path) as temporary:
            temporary.write_text(json.dumps({"source": self._source, "failed": kind is not None, **asdict(self._meter)}))


def read_meters(folder: Path) -> dict[str, tuple[int, int, Meter]]:
    """Add up the files of a chain.

    Returns:
        By source: how many tries there were, how many of them failed, and their counts together.
    """
    found: dict[str, tuple[int, int, Meter]] = {}
    for path in sorted(folder.glob("*.json")) if folder.exists() else ():
        content = json.loads(path.read_text())
        source, failed, one = content.pop("source"), content.pop("failed"), Meter(**content)
        tries, failures, total = found.get(source, (0, 0, Meter()))
        total.requests += one.requests
        total.exchanges += one.exchanges
        total.errors += one.errors
        total.busy_microseconds += one.busy_microseconds
        total.slowest_microseconds = max(total.slowest_microseconds, one.slowest_microseconds)
        found[source] = (tries + 1, failures + failed, total)
    return found
