"""Work of one source side by side, and a client-side limit on how many requests it is sent per second.

Written here because a batch may count more requests than one second allows, which the token buckets at hand refuse:
a batch is let go when everything sent before it has been paid for, and then blocks the next one for as long as its own
size costs. There is no burst to save up: an idle minute earns nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Pacer:
    """Spaces the requests of one source, whatever the number of tasks that send them.

    Args:
        requests_per_second: Ceiling over any stretch of time; 0 for none.
    """

    def __init__(self, requests_per_second: int) -> None:
        if requests_per_second < 0:
            raise ValueError(f"requests_per_second is {requests_per_second}, and a ceiling cannot be negative")
        self._rate = requests_per_second
        self._free_at = 0.0

    async def wait(self, requests: int) -> None:
        """Return when `requests` more may be sent; callers are served in the order in which they asked."""
        if not self._rate:
            return
        now = asyncio.get_running_loop().time()
        start = max(now, self._free_at)
        # The place in the queue is taken before the sleep, so that tasks which ask meanwhile line up behind it.
        self._free_at = start + requests / self._rate
        if start > now:
            await asyncio.sleep(start - now)


async def gather(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all of the work and return its results in order; the first error ends the rest and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(item) for item in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
