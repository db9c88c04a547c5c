from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from assay.config import Settings
from tests.proof_service.serving import FEBRUARY, JANUARY, StandIn, application, publish, serving


@pytest.fixture
def settings(config_file: Path) -> Settings:
    """A lake with January, its correction, and February."""
    settings = Settings.load(config_file)
    publish(settings, JANUARY)
    publish(settings, JANUARY, 2)
    publish(settings, FEBRUARY)
    return settings


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
def client(settings: Settings, stand_in: StandIn) -> Iterator[httpx.Client]:
    with serving(application(settings, stand_in)) as client:
        yield client
