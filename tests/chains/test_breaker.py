"""The circuit breaker with a clock of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.chains.breaker import Breaker
from assay.errors import SourceUnavailableError


class Clock:
    """Wall-clock seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(tmp_path: Path, clock: Clock) -> Breaker:
    return Breaker(tmp_path, "node_a", clock=clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed()


def test_a_source_that_failed_less_than_three_times_is_asked_again(breaker: Breaker) -> None:
    breaker.check()
    fail(breaker, 2)
    breaker.check()


@pytest.mark.parametrize(("failures", "pause"), [(3, 60), (4, 120), (5, 240), (6, 480), (7, 480), (40, 480)])
def test_a_failing_source_is_left_alone_for_longer_each_time_but_never_for_good(
    breaker: Breaker, clock: Clock, failures: int, pause: int
) -> None:
    fail(breaker, failures)
    clock.now += pause - 1
    with pytest.raises(SourceUnavailableError, match=rf"node_a: it failed {failures} times in a row and is left alone for another 1 s"):
        breaker.check()
    clock.now += 1
    breaker.check()


def test_one_answer_forgets_all_failures(breaker: Breaker) -> None:
    fail(breaker, 9)
    breaker.succeeded()
    fail(breaker, 2)
    breaker.check()


def test_sources_do_not_answer_for_each_other(tmp_path: Path, clock: Clock) -> None:
    fail(Breaker(tmp_path, "node_a", clock=clock), 5)
    Breaker(tmp_path, "node_b", clock=clock).check()


def test_another_process_knows_of_the_failures(tmp_path: Path, clock: Clock) -> None:
    fail(Breaker(tmp_path, "node_a", clock=clock), 3)
    with pytest.raises(SourceUnavailableError, match="left alone"):
        Breaker(tmp_path, "node_a", clock=clock).check()


def test_a_clock_that_goes_back_shuts_a_source_for_one_pause_at_most(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now -= 1_000_000
    with pytest.raises(SourceUnavailableError, match="another 60 s"):
        breaker.check()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"failures": "many"}'])
def test_a_state_that_somebody_spoiled_shuts_nothing(tmp_path: Path, clock: Clock, content: str) -> None:
    (tmp_path / "node_a.json").write_text(content)
    Breaker(tmp_path, "node_a", clock=clock).check()
