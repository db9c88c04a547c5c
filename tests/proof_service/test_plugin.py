"""The service as an app of Airflow's API server: Airflow's own plugin manager finds and mounts it, in a process of its own."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assay.config import Settings
from tests.proof_service.serving import FEBRUARY, TOKEN, digest
from tests.proof_service.trees import SECRET, publish_tree

ROOT = Path(__file__).resolve().parents[2]

# What `airflow api-server` does with plugins, and then some requests.
PROGRAM = """
import asyncio, json, os, sys
os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
import httpx
from airflow import plugins_manager
from airflow.api_fastapi.app import init_plugins, lifespan
from fastapi import FastAPI

async def main():
    app = FastAPI()
    init_plugins(app)
    token = {"Authorization": "Bearer " + sys.argv[1]}
    async with lifespan(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://airflow") as client:
        answers = [
            await client.get("/proofs/healthz"),
            await client.get("/proofs/v1/reports"),
            await client.get("/proofs/v1/reports", headers=token),
            await client.post("/proofs/v1/proofs", headers=token, json={"user_id": "alice"}),
        ]
    found = {
        "answers": [[answer.status_code, answer.text] for answer in answers],
        "plugins": [plugin.name for plugin in plugins_manager._get_plugins()[0]],
        "errors": list(plugins_manager._get_plugins()[1].values()),
        "assay": sorted(name for name in sys.modules if name.split(".")[0] == "assay"),
    }
    print("FOUND" + json.dumps(found))

asyncio.run(main())
"""


def mounted(configuration: Path, path: str, connections: dict[str, Any]) -> dict[str, Any]:
    variables = {
        "AIRFLOW_HOME": str(configuration.parent / "airflow"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "ASSAY_CONFIG": str(configuration),
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps({"conn_type": "generic", **value}) for name, value in connections.items()},
        "ASSAY_PROOF_SERVICE": path,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ASSAY", "PYTHONPATH"))}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, TOKEN], env={**kept, **variables}, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.rpartition("FOUND")[2])
    return found


CONNECTIONS = {
    "assay_pseudonym": {"password": SECRET},
    "assay_proof_service": {"extra": {"token_sha256": {"website": digest(TOKEN).hex()}}},
}


def test_it_is_mounted_where_the_variable_says_and_cuts_real_proofs(config_file: Path) -> None:
    commitment = publish_tree(Settings.load(config_file), FEBRUARY, {"alice": {"BTC": 17}, "bob": {"ETH": 10**18}})
    found = mounted(config_file, "/proofs/", CONNECTIONS)
    assert (found["plugins"], found["errors"]) == (["assay"], [])
    assert [status for status, _ in found["answers"]] == [200, 401, 200, 200]
    assert json.loads(found["answers"][3][1])["commitment"] == commitment.commitment.hex()


def test_without_its_connection_it_answers_503_and_airflow_is_not_disturbed(config_file: Path) -> None:
    found = mounted(config_file, "/proofs", {})
    assert [status for status, _ in found["answers"]] == [503, 503, 503, 503]
    assert found["errors"] == []


def test_airflow_without_the_variable_loads_nothing_of_assay_but_its_deadlines(config_file: Path) -> None:
    found = mounted(config_file, "", CONNECTIONS)
    assert (found["plugins"], found["errors"]) == (["assay"], [])
    assert found["assay"] == ["assay", "assay.orchestration", "assay.orchestration.deadline", "assay.orchestration.plugin"]
    assert [status for status, _ in found["answers"]] == [404, 404, 404, 404]


def test_a_malformed_configuration_is_a_plugin_error_and_nothing_is_mounted(config_file: Path) -> None:
    config_file.write_text("series = 1")
    found = mounted(config_file, "/proofs", CONNECTIONS)
    assert [status for status, _ in found["answers"]] == [404, 404, 404, 404]
    assert len(found["errors"]) == 1
    assert "assay.toml" in found["errors"][0]


@pytest.mark.parametrize("path", ["proofs", "/", "//", "/a//b", "/a b", "/{path}", "/a\n", "https://x/y", "/assay", "/assay/x"])
def test_a_malformed_path_is_refused_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("ASSAY_PROOF_SERVICE", path)
    with pytest.raises(ValueError, match="not a path such as /proofs"):
        runpy.run_module("assay.orchestration.plugin")
