"""How often somebody may ask: the buckets by themselves, and over HTTP against uvicorn on loopback."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from assay.config import Settings
from assay.proof_service.access import Access
from assay.proof_service.limits import Buckets, Rate
from tests.proof_service.serving import OTHER_TOKEN, PLENTY, TOKEN, USER, Keys, StandIn, application, digest, serving

PROOFS = "/v1/proofs"
TWO_TOKENS = {"website": digest(TOKEN), "phone": digest(OTHER_TOKEN)}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@hypothesis_settings(deadline=None)
@given(
    count=st.integers(1, 20),
    seconds=st.integers(1, 60),
    pauses=st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=80),
)
def test_no_window_holds_more_than_a_burst_and_what_came_back(count: int, seconds: int, pauses: list[float]) -> None:
    clock = Clock()
    buckets = Buckets(clock=clock)
    allowed = []
    for pause in pauses:
        clock.now += pause
        if not buckets.take("a", Rate(count, seconds)):
            allowed.append(clock.now)
    for first, since in enumerate(allowed):
        for last, until in enumerate(allowed[first:], first):
            assert last - first + 1 <= count + (until - since) * count / seconds + 1e-6


@hypothesis_settings(deadline=None)
@given(count=st.integers(1, 20), seconds=st.integers(1, 60), early=st.floats(0.01, 0.9))
def test_after_the_time_that_was_named_there_is_one_again_and_not_before(count: int, seconds: int, early: float) -> None:
    clock = Clock()
    buckets, rate = Buckets(clock=clock), Rate(count, seconds)
    for _ in range(count):
        assert buckets.take("a", rate) == 0
    wait = buckets.take("a", rate)
    assert wait == pytest.approx(seconds / count)
    clock.now += wait * early
    assert buckets.take("a", rate) > 0
    clock.now += wait * (1 - early) + 1e-6
    assert buckets.take("a", rate) == 0
    assert buckets.take("a", rate) > 0


def test_buckets_of_different_keys_do_not_mix() -> None:
    buckets = Buckets(clock=Clock())
    assert [bool(buckets.take(key, Rate(1, 60))) for key in ("a", "b", "a", "b")] == [False, False, True, True]


def test_memory_is_bounded_and_the_longest_untouched_are_forgotten() -> None:
    buckets = Buckets(100, clock=Clock())
    for key in range(10_000):
        buckets.take(key, Rate(1, 60))
        buckets.take("kept", Rate(1, 60))
    assert len(buckets) == 100
    assert buckets.take("kept", Rate(1, 60)) > 0
    assert buckets.take(0, Rate(1, 60)) == 0


def check_wait(answer: httpx.Response, words: str, most: int) -> None:
    assert answer.status_code == 429
    assert words in answer.json()["error"]
    assert 1 <= int(answer.headers["retry-after"]) <= most


def test_a_token_that_asks_too_often_waits_and_another_does_not(settings: Settings, stand_in: StandIn) -> None:
    keys = Keys(Access(digests=TWO_TOKENS, limits=replace(PLENTY, requests_per_second=1)))
    with serving(application(settings, stand_in, keys=keys)) as client:
        assert client.get("/v1/reports").status_code == 200
        check_wait(client.post(PROOFS, json={"user_id": USER}), "with this token", 1)
        assert client.get("/v1/reports", headers={"Authorization": f"Bearer {OTHER_TOKEN}"}).status_code == 200


def test_a_user_is_asked_for_only_so_often_by_all_tokens_together(settings: Settings, stand_in: StandIn) -> None:
    keys = Keys(Access(digests=TWO_TOKENS, limits=replace(PLENTY, requests_per_user_and_minute=2)))
    with serving(application(settings, stand_in, keys=keys)) as client:
        assert client.post(PROOFS, json={"user_id": USER}).status_code == 200
        other = client.post(PROOFS, json={"user_id": USER}, headers={"Authorization": f"Bearer {OTHER_TOKEN}"})
        assert other.status_code == 200
        check_wait(client.post(PROOFS, json={"user_id": USER}), "for this user", 30)
        assert client.post(PROOFS, json={"user_id": "somebody else"}).status_code == 200
        unknown = [client.post(PROOFS, json={"user_id": "nobody"}).status_code for _ in range(3)]
        assert unknown == [404, 404, 429]


def test_failures_from_one_address_are_slowed_down_and_a_valid_token_still_passes(
    settings: Settings, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Keys(Access(digests=TWO_TOKENS, limits=replace(PLENTY, failures_per_address_and_minute=3)))
    with serving(application(settings, stand_in, keys=keys)) as client:
        failures = [client.get("/v1/reports", headers={"Authorization": "Bearer guess"}) for _ in range(5)]
        assert [answer.status_code for answer in failures] == [401, 401, 401, 429, 429]
        check_wait(failures[-1], "without a valid token", 20)
        assert client.get("/v1/reports").status_code == 200
    assert caplog.text.count("carried no valid token") == 3


def test_limits_are_changed_without_a_restart(settings: Settings, stand_in: StandIn) -> None:
    keys = Keys(Access(digests=TWO_TOKENS, limits=replace(PLENTY, requests_per_user_and_minute=1)))
    with serving(application(settings, stand_in, keys=keys)) as client:
        assert [client.post(PROOFS, json={"user_id": USER}).status_code for _ in range(2)] == [200, 429]
        keys.access = Access(digests=TWO_TOKENS, limits=replace(PLENTY, requests_per_user_and_minute=1_000_000))
        keys.now += 60
        assert client.post(PROOFS, json={"user_id": USER}).status_code == 200
