"""From a clone to own publications by README's text alone: no sandbox, production's packages, Airflow as its users start it.

The node is a bare anvil, the ledger a folder of CSV files (`tests/own/custodian.py`). Every command of README's section is typed in a shell of its
own home folder; only the repository's address, the node's address and the port of Airflow are put in.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assay.airflow_api import AirflowApi, AirflowApiError, UnreachableError
from assay.lake import format_as_of, slug
from assay.orchestration.preflight import DAGS
from assay.orchestration.processes import HOST, Process, free_port, listens
from sandbox.postgres import postgres
from tests.own import custodian
from tests.own.readme import Shell, base_environment, commands

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 400.0
READING_SECONDS = 20
FIRST, SECOND, THIRD = (format_as_of(moment) for moment in custodian.MOMENTS)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[custodian.Node]:
    with custodian.Node(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of what stands here, changes that are not committed included."""
    folder = tmp_path_factory.mktemp("repository") / "assay"
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"]):
        subprocess.run([*git, *command], check=True)
    return folder


class Person:
    """Types README's commands at a terminal, and does by hand what it asks for between them."""

    def __init__(self, home: Path, repository: Path, node: custodian.Node) -> None:
        self.shell = Shell(home, base_environment(f"{sys.base_prefix}/bin"))
        self.port = free_port()
        self._put_in = {
            "ADDRESS-OF-THIS-REPOSITORY": str(repository),
            "https://node.example:8545": node.url,
            "--sign-off ann,bob": f"--sign-off ann,bob --port {self.port}",
        }
        self.lines = commands(ROOT / "README.md")
        self.said: dict[str, str] = {}

    def type(self, beginning: str) -> str:
        """Type the next command; it must be the one that is meant."""
        line = self.lines.pop(0)
        assert line.startswith(beginning), f"README goes on with {line!r}"
        for old, new in self._put_in.items():
            line = line.replace(old, new)
        self.said[beginning] = self.shell.run(line)
        return self.said[beginning]

    def skip(self, beginning: str) -> str:
        """Return the next command, which is done in another way."""
        line = self.lines.pop(0)
        assert line.startswith(beginning), f"README goes on with {line!r}"
        return line

    def install(self) -> None:
        self.type("git clone")
        self.type("python3 -m venv")
        self.type("uv pip install --require-hashes")

    def set_up(self) -> Path:
        self.type("assay init")
        self.type("cd ~/custody")
        folder = self.shell.folder
        custodian.write_wallets(folder / "registry" / "wallets.csv")
        custodian.write_prices(folder / "prices" / "primary.csv")
        for number in range(len(custodian.MOMENTS)):
            custodian.write_closing(folder / "ledger", number)
        self.type("assay registry check")
        self.type("assay ledger control")
        return folder

    @contextmanager
    def airflow(self, command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Have Airflow up as long as the block runs; it is ended as Ctrl-C does."""
        started = self.shell.start(command, log)
        try:
            yield started
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGINT)
            try:
                started.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()

    def wait_until_ready(self, log: Path) -> None:
        deadline = time.monotonic() + SECONDS
        with AirflowApi(f"http://{HOST}:{self.port}", user="operator", password=self.password("operator")) as api:
            while not api.healthy() or len([dag for dag in api.get("/dags")["dags"] if "assay" in str(dag["tags"])]) < 3:
                assert time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(1)
            while set(api.health().values()) != {"healthy"}:
                assert time.monotonic() < deadline, api.health()
                time.sleep(1)
            for dag in DAGS:
                api.patch(f"/dags/{dag}", {"is_paused": False})

    def password(self, name: str) -> str:
        passwords = json.loads((Path(self.shell.environment["HOME"]) / "custody" / "airflow" / "passwords.json").read_text())
        return str(passwords[name])

    @contextmanager
    def two_people_approve(self) -> Iterator[list[str]]:
        """Have ann and bob log in and approve whatever waits for them."""
        over = threading.Event()
        approved: list[str] = []
        people = [
            threading.Thread(target=self._approve, args=(name, number, over, approved)) for number, name in enumerate(("ann", "bob"), 1)
        ]
        for person in people:
            person.start()
        try:
            yield approved
        finally:
            over.set()
            for person in people:
                person.join()

    def _approve(self, name: str, number: int, over: threading.Event, approved: list[str]) -> None:
        with AirflowApi(f"http://{HOST}:{self.port}", user=name, password=self.password(name)) as api:
            asked_since: dict[str, float] = {}
            while not over.wait(1):
                # A busy server is asked again, as people do.
                with suppress(UnreachableError):
                    self._answer(api, name, number, asked_since, approved)

    def _answer(self, api: AirflowApi, name: str, number: int, asked_since: dict[str, float], approved: list[str]) -> None:
        for run in api.get("/dags/reserve_attestation/dagRuns", state="running")["dag_runs"]:
            path = f"/dags/reserve_attestation/dagRuns/{run['dag_run_id']}/taskInstances/approve_{number}"
            if (api.find(path) or {}).get("state") != "awaiting_input":
                continue
            # People read before they answer. An answer before the scheduler has taken note that the question stands fails the task.
            if time.monotonic() - asked_since.setdefault(path, time.monotonic()) < READING_SECONDS:
                continue
            try:
                api.patch(f"{path}/-1/hitlDetails", {"chosen_options": ["Approve"], "params_input": {}})
                approved.append(f"{name} {run['partition_key']}")
            except AirflowApiError as error:
                # Answered already: the state that was seen is a moment old.
                if "409" not in str(error):
                    raise


def tables(folder: Path, moment: int, name: str) -> list[dict[str, object]]:
    published = folder / "data" / "publications" / "example-custodian" / slug(custodian.MOMENTS[moment])
    return pq.read_table(published / "tables" / f"{name}.parquet").to_pylist()


def check_numbers(folder: Path, moment: int) -> None:
    """Hold what was published against what was put on the chain and into the ledger, computed here by hand."""
    (ratio,) = tables(folder, moment, "reserve_ratios")
    reserves = sum(amounts[moment] for _, amounts in custodian.WALLETS.values()) * 10**18
    owed = sum(int(Decimal(amounts[moment]).scaleb(18)) for amounts in custodian.USERS.values())
    assert (ratio["asset"], int(str(ratio["reserves"])), int(str(ratio["liabilities_gross"]))) == ("ETH", reserves, owed)
    (delta,) = tables(folder, moment, "deposit_deltas")
    before = sum(int(Decimal(amounts[moment - 1]).scaleb(18)) for amounts in custodian.USERS.values()) if moment else None
    assert delta["previous_balance"] == (None if before is None else Decimal(before))
    assert delta["change"] == (None if before is None else Decimal(owed - before))


def test_readme_leads_from_a_clone_to_three_months_in_airflow_standalone(node: custodian.Node, repository: Path, tmp_path: Path) -> None:
    person = Person(tmp_path / "home", repository, node)
    person.install()
    folder = person.set_up()
    assert person.skip("assay up")
    log = tmp_path / "standalone.log"
    with person.airflow("set -a; . ./.env; set +a; airflow standalone", log):
        person.wait_until_ready(log)
        person.shell = person.shell.second()
        person.type(". ~/assay/.venv/bin/activate")
        person.type("assay doctor")
        with person.two_people_approve() as approved:
            said = person.type("assay attest")
            assert sorted(approved) == [f"ann {FIRST}", f"bob {FIRST}"]
            assert "waits for the approval of ann" in said
            assert "reserve_attestation: success" in said
            check_numbers(folder, 0)
            verified = person.type("assay verify")
            assert "ann approved this manifest" in verified
            assert "bob approved this manifest" in verified
            assert "the same, byte for byte" in person.type("assay replay")
            person.type("assay proof")
            proof, publication = folder / "proof.json", folder / "data/publications/example-custodian" / slug(custodian.MOMENTS[0])
            person.shell.run(f"assay-verify inclusion {proof} --user u-1001 --publication {publication}")
            person.type("assay ledger control")
            person.type("assay ledger control")
            person.type("assay attest")
            check_numbers(folder, 1)
            check_numbers(folder, 2)
        status = person.type("assay status")
        assert [moment for moment in (FIRST, SECOND, THIRD) if moment in status] == [FIRST, SECOND, THIRD]
        assert "Nothing is under way." in status
        assert person.lines == []
        person.shell.run("assay verify")
    (reconciled,) = tables(folder, 2, "reconciliation")
    assert reconciled


@contextmanager
def redis(folder: Path) -> Iterator[int]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--dir", str(folder)]
    with Process("redis", command, log=folder / "redis.log") as process:
        process.wait_until(lambda: listens(port))
        yield port


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed (Debian: apt install redis-server)")
def test_the_same_with_celery_workers_and_airflows_database_in_postgresql(node: custodian.Node, repository: Path, tmp_path: Path) -> None:
    person = Person(tmp_path / "home", repository, node)
    person.install()
    folder = person.set_up()
    with redis(tmp_path) as port, postgres(tmp_path / "database", user="airflow") as database:
        with (folder / ".env").open("a") as file:
            address = database.uri("postgres").replace("postgresql://", "postgresql+psycopg2://")
            file.write(f"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN='{address}'\n")
            file.write("AIRFLOW__CORE__EXECUTOR='CeleryExecutor'\n")
            file.write(
                f"AIRFLOW__CELERY__BROKER_URL='redis://{HOST}:{port}/0'\nAIRFLOW__CELERY__RESULT_BACKEND='redis://{HOST}:{port}/1'\n"
            )
            file.write("AIRFLOW__CELERY__WORKER_CONCURRENCY='4'\n")
        log = tmp_path / "up.log"
        with person.airflow(person.skip("assay up"), log) as up:
            wait_for(lambda: "Ctrl-C ends it" in log.read_text() or up.poll() is not None, log)
            assert up.poll() is None, log.read_text()
            person.shell = person.shell.second()
            person.type(". ~/assay/.venv/bin/activate")
            person.type("assay doctor")
            with person.two_people_approve() as approved:
                person.type("assay attest")
            assert len(approved) == 2
            check_numbers(folder, 0)
            person.type("assay verify")
        worker = (folder / "airflow" / "logs" / "components" / "celery-worker.log").read_text()
        assert "commit_liabilities" in worker or "succeeded" in worker


def wait_for(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(1)
