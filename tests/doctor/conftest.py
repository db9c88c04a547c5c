"""A deployment folder of somebody who begins, with a real node, a drop of files, and an Airflow in whatever state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay import cli
from assay.environment import load_environment
from tests.orchestration.fake_airflow import State, fake_airflow
from tests.own import custodian


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[custodian.Node]:
    with custodian.Node(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture
def airflow() -> Iterator[State]:
    with fake_airflow() as state:
        yield state


@pytest.fixture
def folder(tmp_path: Path, node: custodian.Node, airflow: State, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment folder that a run could work with, and the variables of its `.env`."""
    made = tmp_path / "custody"
    flags = ["--entity", "Example Custodian", "--schedule", "0 16 17 * *", "--ledger", "files", "--sign-off", "ann,bob"]
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "ASSAY"))]:
        monkeypatch.delenv(name)
    assert cli.main(["init", str(made), *flags, "--chain", f"ethereum=jsonrpc:{node.url}"]) == 0
    custodian.write_wallets(made / "registry" / "wallets.csv")
    custodian.write_prices(made / "prices" / "primary.csv")
    drop = custodian.write_closing(made / "ledger", 0)
    assert cli.main(["--config", str(made / "assay.toml"), "ledger", "control", str(drop)]) == 0
    # What the file sets is taken back when the test ends.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.delenv("ASSAY_CONFIG", raising=False)
    load_environment(made / "assay.toml")
    airflow.users = {"operator": os.environ["ASSAY_AIRFLOW_PASSWORD"]}
    airflow.pools, airflow.sources, airflow.schedule = {"ethereum_a": 2}, ("ethereum_a",), "0 16 17 * *"
    return made
