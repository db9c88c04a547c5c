from __future__ import annotations

from pathlib import Path

import pytest

from tests.publication.lake import copy_series, make_lake


@pytest.fixture(scope="session")
def published_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with inputs, staged folder and lake; nobody may change it."""
    root = tmp_path_factory.mktemp("published")
    make_lake(root)
    return root


@pytest.fixture(scope="session")
def published(published_root: Path) -> Path:
    """The folder of the series with both publications; nobody may change it."""
    return published_root / "lake" / "publications" / "sandbox-exchange"


@pytest.fixture
def series(published: Path, tmp_path: Path) -> Path:
    """A copy of the series, to be changed."""
    return copy_series(published, tmp_path / "lake" / "publications" / "sandbox-exchange")
