from __future__ import annotations

import asyncio

import pytest

from assay.chains.pacing import Pacer


def finish_times(rate: int, *sizes: int) -> list[float]:
    """Return when each of several waiters that ask at once may send, in seconds."""

    async def run() -> list[float]:
        pacer = Pacer(rate)
        loop = asyncio.get_running_loop()
        started = loop.time()

        async def wait(size: int) -> float:
            await pacer.wait(size)
            return loop.time() - started

        return await asyncio.gather(*(wait(size) for size in sizes))

    return asyncio.run(run())


def test_the_first_batch_goes_at_once_and_the_next_when_it_is_paid_for() -> None:
    first, second, third = finish_times(100, 10, 20, 1)
    assert first < 0.05
    assert 0.1 <= second < 0.2
    assert 0.3 <= third < 0.45


def test_a_batch_may_be_larger_than_a_seconds_worth() -> None:
    first, second = finish_times(1000, 150, 2000)
    assert first < 0.05
    assert 0.15 <= second < 0.3


def test_no_ceiling_means_no_waiting() -> None:
    assert max(finish_times(0, *[10**6] * 5)) < 0.05


def test_a_negative_ceiling_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Pacer(-1)
