"""Asking several questions at once, without a node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.evm.rpc import side_by_side
from assay.errors import SourceUnavailableError


class Asked:
    """Questions that count how many of them were made up and not answered."""

    def __init__(self) -> None:
        self.open = 0
        self.most = 0

    def questions(self, delays: list[int]) -> Iterator[Callable[[], Awaitable[int]]]:
        for position, delay in enumerate(delays):
            self.open += 1
            self.most = max(self.most, self.open)
            yield partial(self.answer, position, delay)

    async def answer(self, position: int, delay: int) -> int:
        for _ in range(delay):
            await asyncio.sleep(0)
        self.open -= 1
        return position


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(1, 4))
def test_answers_come_in_the_order_of_the_questions_and_no_more_are_under_way_than_may_be(delays: list[int], workers: int) -> None:
    asked = Asked()
    assert asyncio.run(side_by_side(asked.questions(delays), workers)) == list(range(len(delays)))
    assert asked.most <= workers


def test_the_first_error_stops_the_others_and_is_raised_as_it_is() -> None:
    finished = []

    async def fail() -> None:
        raise SourceUnavailableError("it did not answer", subject="source node_a", next_step="wait")

    async def finish() -> None:
        await asyncio.sleep(0.2)
        finished.append(1)

    with pytest.raises(SourceUnavailableError, match="node_a"):
        asyncio.run(side_by_side([finish, fail, finish], 2))
    assert not finished
