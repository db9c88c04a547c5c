"""Files that ship with the program: found in the checkout here, and in an installed wheel by `test_installed.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay import resources
from assay.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("sql", "marts/reserve_ratios.sql"),
        ("expectations", "liabilities.json"),
        ("contracts", "prices.odcs.yaml"),
        ("dags", "reserve_snapshot.py"),
    ],
)
def test_in_a_checkout_the_folders_at_its_top_are_used(name: resources.Name, holds: str) -> None:
    found = resources.folder(name)
    assert found == ROOT / resources.PLACES[name]
    assert (found / holds).is_file()


def test_the_packages_own_copies_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sql").mkdir()
    monkeypatch.setattr(resources, "_SHIPPED", tmp_path)
    assert resources.folder("sql") == tmp_path / "sql"


def test_a_package_without_its_files_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_SHIPPED", tmp_path)
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "site-packages" / "assay")
    with pytest.raises(ConfigError, match=r"installation in .*assay: its folder 'dags' is missing\. Next step: install Assay again"):
        resources.folder("dags")
