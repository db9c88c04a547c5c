"""How a source behaved: what was asked of it, what failed and how long it took. For operators; no number rests on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


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
