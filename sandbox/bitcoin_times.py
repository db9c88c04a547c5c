"""When the blocks of the sandbox's Bitcoin-family chains are made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

RAMP_BLOCKS = 120
"""Blocks at the beginning that follow each other quickly."""

_START = datetime(2022, 12, 1, tzinfo=UTC)


def block_times(moments: Sequence[datetime]) -> list[int]:
    """Return the header times by height: two blocks a day, and one every ten minutes for three hours around each moment.

    The same around a day before and after it, where wallets are read for comparison: median times would lie days back otherwise.

    The first blocks follow each other quickly until coinbases are mature. A few seconds are added to each time, so that
    no block's median time falls on a moment by accident.
    """
    times = {_START + timedelta(minutes=10 * number) for number in range(RAMP_BLOCKS + 1)}
    end = max(moments) + timedelta(days=3)
    day = _START + timedelta(days=1)
    while day < end:
        times.add(day)
        day += timedelta(hours=12)
    for moment in (moment + timedelta(days=days) for moment in moments for days in (-1, 0, 1)):
        near = {moment + timedelta(minutes=10 * step) for step in range(-18, 19)}
        times = {time for time in times if not min(near) < time < max(near)} | near
    return [int(time.timestamp()) + height * 37 % 240 for height, time in enumerate(sorted(times))]
