"""The three DAGs on a real Airflow, scheduler and all: a killed task, a broken ledger, and a moment attested twice.

One Airflow and one sandbox serve the whole module; a run of a moment takes most of a minute.
"""

from __future__ import annotations

import hmac
import io
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from assay.airflow_api import AirflowApi, AirflowApiError
from assay.attest import DAGS, RunError, attest
from assay.commitments.format import user_key
from assay.config import Settings
from assay.errors import EvidenceError
from assay.lake import format_as_of, sha256_of
from assay.liabilities.snapshot import liability_files, report_key
from assay.orchestration.components import Airflow, migrate
from assay.orchestration.processes import free_port
from assay.origin import find
from assay.publication.log import Log
from assay.publication.manifest import TABLES
from assay.replay import replay
from sandbox.__main__ import airflow_environment
from sandbox.deployment import ROOT, Deployment
from sandbox.scenario import FIRST, SECOND
from tests.web.chromium import Browser, chromium

ASSAY, ASSAY_VERIFY = (str(Path(sys.executable).parent / name) for name in ("assay", "assay-verify"))
ATTEMPT_SECONDS = 400.0
PEOPLE = ("ann", "bob")


@dataclass
class Running:
    """What is up."""

    airflow: Airflow
    deployment: Deployment
    settings: Settings
    apis: dict[str, AirflowApi]

    @property
    def series(self) -> Path:
        return self.settings.lake / "publications" / "sandbox"

    def attest(self, moment: str, correction: str | None = None) -> None:
        attest(
            self.airflow.api,
            self.settings,
            [moment],
            Console(file=io.StringIO()),
            correction=correction,
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
    users = {name: secrets.token_hex(8) for name in PEOPLE}
    (home / "passwords.json").write_text(json.dumps(users))
    folders |= {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:admin" for name in PEOPLE),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        # How soon a changed configuration changes the DAGs.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
    }
    migrate(home, home, {})
    environment = airflow_environment(home)
    with (
        Airflow(home=home, logs=home, port=free_port(), environment=environment) as airflow,
        Deployment(home / "sandbox", lake=home / "data") as deployment,
    ):
        airflow.start("api-server", environment=folders)
        airflow.start("scheduler", "dag-processor", "triggerer", environment=folders | deployment.environment)
        apis = {name: log_in(airflow, name, password) for name, password in users.items()}
        airflow.api = apis["ann"]
        airflow.wait_until_ready(DAGS)
        yield Running(airflow, deployment, Settings.load(deployment.config), apis)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as driven:
        yield driven


def log_in(airflow: Airflow, name: str, password: str) -> AirflowApi:
    """Return a client that acts as one person."""
    deadline = time.monotonic() + ATTEMPT_SECONDS
    while not airflow.api.healthy():
        assert time.monotonic() < deadline
        time.sleep(0.5)
    answer = httpx.post(f"{airflow.api.url}/auth/token", json={"username": name, "password": password}).raise_for_status()
    return AirflowApi(airflow.api.url, token=answer.json()["access_token"])


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
    for what in (["publication"], ["balances", "--all-proven"], ["ownership"], ["tree"]):
        verified = subprocess.run(
            [ASSAY_VERIFY, *what, str(running.series / "2023-02-17T160000Z")],
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
    assert {task["rendered_map_index"].partition(":")[0] for task in mapped} == {"bitcoin_a 0", "bitcoin_a 1"}


def test_the_run_links_to_its_report_and_its_event_says_what_was_published(running: Running) -> None:
    api, moment = running.airflow.api, format_as_of(SECOND)
    run = api.runs("reserve_attestation", moment)[0]["dag_run_id"]
    tasks = f"/dags/reserve_attestation/dagRuns/{run}/taskInstances"
    assert api.get(f"{tasks}/publish/links")["extra_links"]["Published report"] == "/assay/published/2023-02-17T160000Z/report.html"
    assert api.get(f"{tasks}/stage_publication/links")["extra_links"]["Staged report"].startswith("/assay/staged/2023-02-17T160000Z/")
    assert {task["task_id"]: task["state"] for task in api.tasks("reserve_attestation", run)}["tell_shortfall"] == "skipped"
    events = [item for item in api.get("/assets/events", limit=100)["asset_events"] if item["source_run_id"] == run]
    assert [(item["partition_key"], item["extra"]["folder"]) for item in events] == [(moment, "2023-02-17T160000Z")]
    assert set(events[0]["extra"]["verdict"].values()) == {"fully backed"}


def decide(api: AirflowApi, run: str, task: str) -> None:
    """Approve one task as the client's person."""
    path = f"/dags/reserve_attestation/dagRuns/{run}/taskInstances/{task}/-1/hitlDetails"
    api.patch(path, {"chosen_options": ["Approve"], "params_input": {}})


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ATTEMPT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1)


def test_a_correction_waits_for_two_people_and_names_the_publication_it_replaces(running: Running) -> None:
    config = running.deployment.config
    config.write_text(config.read_text().replace("required = false", 'required = true\napprovers = [["ann"], ["bob"]]'))
    api, moment = running.airflow.api, format_as_of(SECOND)
    wait_for(lambda: any(task["task_id"] == "approve_2" for task in api.get("/dags/reserve_attestation/tasks")["tasks"]))
    before = len(api.runs("reserve_attestation", moment))
    with ThreadPoolExecutor() as pool:
        attesting = pool.submit(running.attest, moment, "the sign-off was missing")
        wait_for(lambda: len(api.runs("reserve_attestation", moment)) > before or attesting.done())
        if attesting.done():
            attesting.result()
        run = api.runs("reserve_attestation", moment)[0]["dag_run_id"]

        def waiting() -> set[str]:
            return {task["task_id"] for task in api.tasks("reserve_attestation", run) if task["state"] == "awaiting_input"}

        wait_for(lambda: waiting() == {"approve_1", "approve_2"} or attesting.done())
        if attesting.done():
            attesting.result()
        assert not (running.series / "2023-02-17T160000Z.r2").exists()
        with pytest.raises(AirflowApiError, match="not a respondent"):
            decide(running.apis["ann"], run, "approve_2")
        # Airflow's scheduler takes an answer in the same second as the question for a task that vanished; people are slower.
        time.sleep(5)
        decide(running.apis["ann"], run, "approve_1")
        decide(running.apis["bob"], run, "approve_2")
        attesting.result()
    corrected = running.series / "2023-02-17T160000Z.r2"
    manifest = json.loads((corrected / "manifest.json").read_text())
    assert manifest["revision"] == 2
    assert "the sign-off was missing" in json.dumps(manifest)
    assert "sign_off" not in pq.read_table(corrected / "tables" / "coverage.parquet").column("item").to_pylist()
    assert [entry.revision for entry in Log.read(running.series).entries] == [1, 1, 2]


def test_twenty_users_are_given_proofs_that_hold_in_both_verifiers(running: Running, browser: Browser, tmp_path: Path) -> None:
    publication = running.series / "2023-02-17T160000Z"
    with psycopg.connect(running.deployment.ledger_owner_uri) as ledger:
        owed = ledger.execute(
            "select user_id, asset, sum(greatest(amount, 0)) from public.assay_balances where as_of = %s group by user_id, asset", [SECOND]
        ).fetchall()
    users = random.Random(20).sample(sorted({user for user, _, _ in owed}), 20)
    ids = tmp_path / "users.csv"
    ids.write_text("\n".join(["user_id", *users]))
    environment = os.environ | running.deployment.environment | {"AIRFLOW_HOME": str(tmp_path / "airflow")}
    proofs = tmp_path / "proofs"
    cut = partial(subprocess.run, env=environment, capture_output=True, text=True, check=True)
    said = cut([ASSAY, "proof", "--users", str(ids), "--output", str(proofs), str(publication)]).stdout
    assert said.startswith("20 proofs in ")
    documents = [line for path in sorted(proofs.glob("*.ndjson.zst")) for line in pa.input_stream(str(path)).read().splitlines()]
    assert len(documents) == len(users)
    single = cut([ASSAY, "proof", "--user", users[0], str(publication)]).stdout
    assert json.loads(single) in map(json.loads, documents)
    names = {user_key_of(running, user): user for user in users}
    for number, document in enumerate(documents):
        proof = json.loads(document)
        user = names[proof["user_key"]]
        (tmp_path / f"{number}.json").write_bytes(document)
        verified = subprocess.run(
            [ASSAY_VERIFY, "inclusion", str(tmp_path / f"{number}.json"), "--user", user, "--publication", str(publication)],
            capture_output=True,
            check=False,
        )
        assert verified.returncode == 0, verified.stdout.decode()
        own = [sum(int(leaf["balances"][place]) for leaf in proof["leaves"]) for place in range(len(proof["assets"]))]
        stated = {asset: amount for owner, asset, amount in owed if owner == user}
        assert own == [int(stated.get(asset["symbol"], Decimal(0)).scaleb(asset["decimals"])) for asset in proof["assets"]]
        seen = browser("visit", dropped=[tmp_path / f"{number}.json", publication / "manifest.json"], fields={"user-id": user})
        assert (seen["verdict"], seen["complaints"]) == ("holds", []), seen


def user_key_of(running: Running, user: str) -> str:
    secret = json.loads(running.deployment.environment["AIRFLOW_CONN_ASSAY_PSEUDONYM"])["password"].encode()
    blind = hmac.digest(report_key(secret, "sandbox", SECOND), user.encode(), "sha256")
    return user_key("sandbox", SECOND, blind, user).hex()


def test_once_the_sandbox_is_gone_every_table_comes_out_of_the_evidence_again(running: Running, tmp_path: Path) -> None:
    running.deployment.__exit__(None, None, None)
    found = replay(running.settings, running.series / "2023-02-17T160000Z", tmp_path)
    assert {item.table for item in found} == set(TABLES)
    assert [item.table for item in found if not item.same_bytes] == []


def test_an_altered_snapshot_is_not_replayed(running: Running, tmp_path: Path) -> None:
    folder = running.series / "2023-02-17T160000Z"
    (liabilities,) = liability_files(find(running.settings, sha256_of(folder / "manifest.json")).liabilities)
    liabilities.write_bytes(liabilities.read_bytes()[:-1])
    with pytest.raises(EvidenceError, match="not the file that the publication was computed from"):
        replay(running.settings, folder, tmp_path)
