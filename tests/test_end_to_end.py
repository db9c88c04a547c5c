"""The three DAGs on a real Airflow, scheduler and all: a killed task, a broken ledger, and a moment attested twice.

One Airflow and one sandbox serve the whole module; a run of a moment takes most of a minute.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from assay.attest import DAGS, RunError, attest
from assay.config import Settings
from assay.lake import format_as_of
from assay.publication.log import Log
from sandbox.airflow import Airflow, migrate
from sandbox.deployment import ROOT, Deployment
from sandbox.scenario import FIRST, SECOND

ATTEMPT_SECONDS = 400.0


@dataclass
class Running:
    """What is up."""

    airflow: Airflow
    deployment: Deployment
    settings: Settings

    @property
    def series(self) -> Path:
        return self.settings.lake / "publications" / "sandbox"

    def attest(self, moment: str) -> None:
        attest(
            self.airflow.api,
            self.settings,
            [moment],
            Console(file=io.StringIO()),
            check=self.airflow.check,
            seconds=ATTEMPT_SECONDS,
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("airflow")
    shutil.copyfile(ROOT / "airflow.cfg", home / "airflow.cfg")
    folders = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        # How soon a task that was killed is started again.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    }
    migrate(home, home)
    with Airflow(home=home, folder=home) as airflow, Deployment(home / "sandbox", lake=home / "data") as deployment:
        airflow.start("api-server", environment=folders)
        airflow.start("scheduler", "dag-processor", environment=folders | deployment.environment)
        airflow.wait_until_ready(DAGS)
        yield Running(airflow, deployment, Settings.load(deployment.config))


def kill_first_reader(running: Running, killed: list[int]) -> None:
    """Send SIGKILL to the first process that runs a reading task; the test's own thread."""
    deadline = time.monotonic() + ATTEMPT_SECONDS
    while not killed and time.monotonic() < deadline:
        runs = running.airflow.api.runs("reserve_snapshot", format_as_of(FIRST))
        for task in running.airflow.api.tasks("reserve_snapshot", runs[0]["dag_run_id"]) if runs else []:
            if ".read_" in task["task_id"] and task["state"] == "running" and task["pid"]:
                try:
                    os.kill(task["pid"], signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed.append(task["pid"])
                return


def test_a_task_killed_half_way_is_run_again_and_changes_nothing(running: Running) -> None:
    killed: list[int] = []
    killer = threading.Thread(target=kill_first_reader, args=(running, killed))
    killer.start()
    running.attest(format_as_of(FIRST))
    killer.join()
    assert killed
    run = running.airflow.api.runs("reserve_snapshot", format_as_of(FIRST))[0]["dag_run_id"]
    tries = [task["try_number"] for task in running.airflow.api.tasks("reserve_snapshot", run) if ".read_" in task["task_id"]]
    assert max(tries) > 1
    manifest = (running.series / "2023-01-18T160000Z" / "manifest.json").read_bytes()
    # An undisturbed run of the same moment: other content would be refused, the same content is no second publication.
    running.attest(format_as_of(FIRST))
    assert [entry.as_of for entry in Log.read(running.series).entries] == [FIRST]
    assert (running.series / "2023-01-18T160000Z" / "manifest.json").read_bytes() == manifest


def test_a_ledger_that_lost_a_user_stops_the_run_with_its_reason_and_the_last_publication_stands(running: Running) -> None:
    before = {path: path.stat().st_mtime_ns for path in running.series.rglob("*")}
    table = "ledger.closing_balances"
    with psycopg.connect(running.deployment.ledger_owner_uri) as ledger:
        columns = "closing_at, account_id, asset"
        lost = ledger.execute(
            f"delete from {table} where ({columns}) in (select {columns} from {table} where closing_at = %s limit 1) returning *", [SECOND]
        ).fetchall()
    assert lost
    with pytest.raises(RunError, match="control total"):
        running.attest(format_as_of(SECOND))
    assert {path: path.stat().st_mtime_ns for path in running.series.rglob("*")} == before
    with psycopg.connect(running.deployment.ledger_owner_uri) as ledger:
        ledger.execute(f"insert into {table} values ({', '.join(['%s'] * len(lost[0]))})", lost[0])
    running.attest(format_as_of(SECOND))
    (row,) = [
        row
        for row in pq.read_table(running.series / "2023-02-17T160000Z" / "tables" / "reserve_ratios.parquet").to_pylist()
        if row["asset"] == "BTC"
    ]
    assert (int(row["reserves"]), int(row["liabilities_gross"]), str(row["ratio_gross"])) == (13_573_500_000, 13_066_400_000, "1.03880946")
    verified = subprocess.run(
        [str(Path(sys.executable).parent / "assay-verify"), "publication", str(running.series / "2023-02-17T160000Z")],
        capture_output=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout.decode()


def test_airflow_knows_no_import_error_and_shows_mapped_tasks_and_documentation(running: Running) -> None:
    assert running.airflow.api.get("/importErrors")["import_errors"] == []
    for dag in DAGS:
        details = running.airflow.api.get(f"/dags/{dag}/details")
        assert details["doc_md"].startswith("###")
        assert details["owners"] != ["airflow"]
        assert "assay" in {tag["name"] for tag in details["tags"]}
    run = running.airflow.api.runs("reserve_snapshot", format_as_of(SECOND))[0]["dag_run_id"]
    tasks = running.airflow.api.tasks("reserve_snapshot", run)
    mapped = [task for task in tasks if task["task_id"] == "bitcoin.read_bitcoin_a"]
    assert sorted(task["map_index"] for task in mapped) == [0, 1]
    assert {task["pool"] for task in mapped} == {"bitcoin_a"}
