from __future__ import annotations

from pathlib import Path

import pytest

from tests.publication.lake import copy_series, make_lake


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a series with both publications; nobody may change it."""
    return make_lake(tmp_path_factory.mktemp("published"))


@pytest.fixture
def series(published: Path, tmp_path: Path) -> Path:
    """A copy of the series, to be changed."""
    return copy_series(published, tmp_path / "sandbox-exchange")
