from __future__ import annotations

import time
from pathlib import Path

import pytest

from assay.chains.health import Meter, MeterFile, read_meters


def test_an_exchange_counts_its_requests_and_its_time() -> None:
    meter = Meter()
    with meter.exchange(500):
        time.sleep(0.02)
    with meter.exchange(1):
        pass
    assert (meter.requests, meter.exchanges, meter.errors) == (501, 2, 0)
    assert 20_000 <= meter.slowest_microseconds <= meter.busy_microseconds


def test_an_exchange_that_raises_is_an_error_and_still_counts() -> None:
    meter = Meter()
    with pytest.raises(OSError, match="gone"), meter.exchange(3):
        raise OSError("gone")
    assert (meter.requests, meter.exchanges, meter.errors) == (3, 1, 1)


def test_tries_of_one_source_add_up_and_failed_ones_are_told_apart(tmp_path: Path) -> None:
    for requests, slowest in ((10, 70), (5, 90)):
        with MeterFile(tmp_path, "a", Meter(requests=requests, exchanges=1, busy_microseconds=slowest, slowest_microseconds=slowest)):
            pass
    with pytest.raises(OSError, match="gone"), MeterFile(tmp_path, "a", Meter(requests=1, exchanges=1, errors=1)):
        raise OSError("gone")
    with MeterFile(tmp_path, "b", Meter(requests=2)):
        pass
    found = read_meters(tmp_path)
    assert found["a"] == (3, 1, Meter(requests=16, exchanges=3, errors=1, busy_microseconds=160, slowest_microseconds=90))
    assert found["b"] == (1, 0, Meter(requests=2))


def test_a_chain_that_nobody_asked_has_no_meters(tmp_path: Path) -> None:
    assert read_meters(tmp_path / "none") == {}
