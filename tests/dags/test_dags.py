"""The shape of the three DAGs, as Airflow builds them from the shipped configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HEAVY = ("altair", "bitcoinlib", "duckdb", "great_expectations", "pandas", "pyarrow", "web3")
_DESCRIBE = """
import importlib.util, json, sys
dags, before = {}, set(sys.modules)
for name in ("reserve_snapshot", "liability_snapshot", "reserve_attestation"):
    spec = importlib.util.spec_from_file_location(name, f"{sys.argv[1]}/dags/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    dag = getattr(module, name)()
    dags[name] = {
        "tasks": {
            task.task_id: {
                "upstream": sorted(task.upstream_task_ids),
                "mapped": bool(getattr(task, "is_mapped", False)) or type(task).__name__ == "DecoratedMappedOperator",
                "pool": task.pool,
                "retries": task.retries,
                "timeout": bool(task.execution_timeout),
                "owner": task.owner,
                "tells": bool(task.on_failure_callback),
                "links": sorted(link.name for link in task.operator_extra_links),
            }
            for task in dag.tasks
        },
        "doc": dag.doc_md, "tags": sorted(dag.tags), "max_active_runs": dag.max_active_runs, "params": sorted(dag.params),
        "hours": dag.dagrun_timeout.total_seconds() / 3600, "tells": bool(dag.on_failure_callback),
        "deadlines": [alert.interval.total_seconds() / 3600 for alert in dag.deadline or []],
    }
print(json.dumps({"dags": dags, "modules": sorted(set(sys.modules) - before)}))
"""


def describe(config: Path, home: Path) -> dict[str, Any]:
    environment = os.environ | {"AIRFLOW_HOME": str(home), "ASSAY_CONFIG": str(config), "PYTHONPATH": str(ROOT / "plugins")}
    done = subprocess.run([sys.executable, "-c", _DESCRIBE, str(ROOT)], env=environment, capture_output=True, text=True, check=True)
    described: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return described


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return describe(ROOT / "assay.toml", tmp_path_factory.mktemp("home"))


def upstream(described: dict[str, Any], dag: str) -> dict[str, list[str]]:
    return {name: task["upstream"] for name, task in described["dags"][dag]["tasks"].items()}


def test_each_chain_is_a_group_with_one_mapped_reading_task_a_source(shipped: dict[str, Any]) -> None:
    expected: dict[str, list[str]] = {"check_registry": []}
    for chain in ("bitcoin", "ethereum", "arbitrum"):
        expected[f"{chain}.resolve_block"] = ["check_registry"]
        for copy in ("a", "b"):
            expected[f"{chain}.read_{chain}_{copy}"] = [f"{chain}.resolve_block"]
        expected[f"{chain}.agree"] = sorted(
            ["check_registry", f"{chain}.resolve_block", f"{chain}.read_{chain}_a", f"{chain}.read_{chain}_b"]
        )
    expected["collect_reserves"] = sorted(["check_registry", "arbitrum.agree", "bitcoin.agree", "ethereum.agree"])
    assert upstream(shipped, "reserve_snapshot") == expected
    readers = {name: task for name, task in shipped["dags"]["reserve_snapshot"]["tasks"].items() if ".read_" in name}
    assert {name.rpartition("read_")[2] for name in readers} == {task["pool"] for task in readers.values()}
    assert all(task["mapped"] for task in readers.values())


def test_the_ledger_is_extracted_before_it_is_made_canonical(shipped: dict[str, Any]) -> None:
    assert upstream(shipped, "liability_snapshot") == {"extract_ledger": [], "canonicalise_ledger": ["extract_ledger"]}


def test_nothing_is_published_before_it_was_computed_validated_staged_and_approved_twice(shipped: dict[str, Any]) -> None:
    assert upstream(shipped, "reserve_attestation") == {
        "gather_inputs": [],
        "load_prices": [],
        "commit_liabilities": ["gather_inputs"],
        "compute_tables": ["commit_liabilities", "gather_inputs", "load_prices"],
        "validate": ["compute_tables", "gather_inputs"],
        "stage_publication": ["commit_liabilities", "gather_inputs", "load_prices", "validate"],
        "approve_1": ["stage_publication"],
        "approve_2": ["stage_publication"],
        "publish": ["approve_1", "approve_2", "stage_publication"],
        "tell_shortfall": ["publish"],
    }


def test_without_sign_off_there_are_no_approvals(config_file: Path, tmp_path: Path) -> None:
    described = describe(config_file, tmp_path / "home")
    assert upstream(described, "reserve_attestation")["publish"] == ["stage_publication"]


def test_every_task_has_an_owner_retries_and_an_end(shipped: dict[str, Any]) -> None:
    for dag in shipped["dags"].values():
        assert dag["doc"].startswith("### ")
        assert "assay" in dag["tags"]
        assert dag["hours"] > 0
        for name, task in dag["tasks"].items():
            assert task["owner"] in {"reserves", "ledger", "finance"}
            # An approval ends through its own response time-out, for good; waiting for people holds no worker.
            approval = name.startswith("approve_")
            assert task["timeout"] is not approval
            assert task["retries"] == 0 if approval else task["retries"] >= 4


def test_snapshots_take_the_moment_and_a_correction_as_parameters(shipped: dict[str, Any]) -> None:
    assert shipped["dags"]["reserve_snapshot"]["params"] == ["as_of", "correction", "request"]
    assert shipped["dags"]["liability_snapshot"]["params"] == ["as_of", "correction", "request"]


def test_parsing_loads_none_of_the_heavy_libraries(shipped: dict[str, Any]) -> None:
    loaded = {name.partition(".")[0] for name in shipped["modules"]}
    assert loaded.isdisjoint(HEAVY)
    assert "assay" in loaded


def test_a_snapshot_that_waits_does_not_stop_another_moment_and_publications_come_one_after_the_other(shipped: dict[str, Any]) -> None:
    assert {name: dag["max_active_runs"] for name, dag in shipped["dags"].items()} == {
        "reserve_snapshot": 3,
        "liability_snapshot": 3,
        "reserve_attestation": 1,
    }


def test_a_run_may_last_as_long_as_finality_the_ledger_and_people_take(shipped: dict[str, Any]) -> None:
    hours = {name: dag["hours"] for name, dag in shipped["dags"].items()}
    assert hours["reserve_snapshot"] >= 24 + 8 + 6
    assert hours["liability_snapshot"] >= 8 + 6 + 6
    assert hours["reserve_attestation"] >= 7 * 24 + 12


def test_every_failed_task_and_run_is_told_and_no_deadline_is_invented(shipped: dict[str, Any]) -> None:
    for dag in shipped["dags"].values():
        assert dag["tells"]
        assert dag["deadlines"] == []
        assert all(task["tells"] for task in dag["tasks"].values())


def test_a_configured_deadline_holds_for_every_dag(config_file: Path, tmp_path: Path) -> None:
    with config_file.open("a") as file:
        file.write('[notices]\nwebhook_connection = "chat"\ndeadline_hours = 72\n')
    described = describe(config_file, tmp_path / "home")
    assert {name: dag["deadlines"] for name, dag in described["dags"].items()} == {name: [72] for name in described["dags"]}


def test_tasks_link_to_what_they_made_and_all_to_the_runbook(shipped: dict[str, Any]) -> None:
    links = {
        name: task["links"] for dag in shipped["dags"].values() for name, task in dag["tasks"].items() if not name.startswith("approve_")
    }
    assert links.pop("validate") == ["Data Docs", "Runbook"]
    assert links.pop("stage_publication") == ["Difference to the last publication", "Runbook", "Staged report"]
    assert links.pop("publish") == ["Published report", "Runbook"]
    assert set(map(tuple, links.values())) == {("Runbook",)}
