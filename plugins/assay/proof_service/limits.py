"""How often somebody may ask: token buckets in bounded memory.

Own code, because it is thirty lines: the libraries for it bring decorators, configuration languages and stores on other servers, and keep
what they count for as long as its window lasts, however many keys that is.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

__all__ = ["Buckets", "Rate"]


@dataclass(frozen=True)
class Rate:
    """So many in so many seconds; all of them may come at once."""

    count: int
    seconds: int


class Buckets:
    """One bucket a key. It starts full, refills steadily, and gives one drop for each thing that is allowed.

    The buckets that were not asked for the longest time are forgotten where there are too many. A forgotten bucket counts as full, so `size` should
    be above the number of keys that can come within a rate's seconds.

    Args:
        size: Buckets that are kept.
        clock: Seconds that never go backwards.
    """

    def __init__(self, size: int = 1 << 16, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, rate: Rate) -> float:
        """Take one drop; returns 0, or the seconds until there is one again, and then nothing was taken."""
        now = self._clock()
        level, then = self._buckets.get(key, (float(rate.count), now))
        level = min(float(rate.count), level + (now - then) * rate.count / rate.seconds)
        allowed = level >= 1
        self._buckets[key] = (level - allowed, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - level) * rate.seconds / rate.count
