"""`assay attest`: what is refused before anything is started, how it logs in, what it says while it waits and when a task fails."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from assay import cli
from assay.airflow_api import AirflowApi, AirflowApiError, UnreachableError
from assay.attest import ATTESTATION, LIABILITIES, RESERVES, RunError, attest, begin
from assay.config import Settings
from assay.errors import AssayError, ConfigError
from assay.orchestration.preflight import NotReadyError, check_airflow, check_moments
from tests.orchestration.fake_airflow import State, fake_airflow

MOMENT = "2023-02-17T16:00:00Z"
LONG_AGO = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()


@pytest.fixture
def airflow() -> Iterator[State]:
    with fake_airflow() as state:
        yield state


@pytest.fixture
def api(airflow: State) -> Iterator[AirflowApi]:
    with AirflowApi(airflow.url, user="operator", password="secret") as client:
        yield client


@pytest.fixture
def settings(config_file: Path) -> Settings:
    return Settings.load(config_file)


def run(dag: str, state: str, moment: str = MOMENT, **more: Any) -> dict[str, Any]:
    values = {"dag_id": dag, "dag_run_id": f"run-of-{dag}", "partition_key": moment, "state": state, "queued_at": LONG_AGO}
    return values | {"start_date": LONG_AGO, "conf": {}} | more


def task(name: str, state: str, **more: Any) -> dict[str, Any]:
    values = {"task_id": name, "dag_id": RESERVES, "dag_run_id": f"run-of-{RESERVES}", "map_index": -1, "try_number": 1, "max_tries": 4}
    return values | {"state": state, "pool": "default_pool", "start_date": None, "scheduled_when": LONG_AGO, "queued_when": None} | more


def started(airflow: State) -> list[str]:
    return [path for method, path in airflow.requests if method == "POST" and path.endswith("dagRuns")]


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ({}, "it wants a login.*ASSAY_AIRFLOW_USER and ASSAY_AIRFLOW_PASSWORD.*ASSAY_AIRFLOW_TOKEN"),
        ({"user": "operator", "password": "wrong"}, "does not let 'operator' in.*ASSAY_AIRFLOW_PASSWORD"),
        ({"token": "of another Airflow"}, "does not accept the token in ASSAY_AIRFLOW_TOKEN"),
    ],
)
def test_a_refused_login_says_how_to_log_in(airflow: State, login: dict[str, str], words: str) -> None:
    with AirflowApi(airflow.url, **login) as api, pytest.raises(AirflowApiError, match=words):
        api.get("/dags")


def test_a_login_that_has_run_out_is_made_again(airflow: State, api: AirflowApi) -> None:
    api.get("/dags")
    api._client.headers["Authorization"] = "Bearer run out"
    assert api.get("/dags")["total_entries"] == 3


def test_another_program_at_the_address_is_named_as_one(airflow: State) -> None:
    airflow.health = {"status": "up"}
    with AirflowApi(airflow.url) as api, pytest.raises(AirflowApiError, match="not as an API server of Airflow 3 does"):
        api.health()


def broken(state: State, how: str) -> None:
    match how:
        case "paused":
            state.dags[LIABILITIES] = True
        case "unknown":
            del state.dags[ATTESTATION]
        case "import error":
            state.errors.append(
                {"filename": "/dags/reserve_snapshot.py", "stack_trace": "Traceback\n  x\nConfigError: series is missing\n"}
            )
        case "scheduler" | "dag_processor" | "triggerer":
            state.health[how] = {"status": "unhealthy"}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("paused", "liability_snapshot is paused, and a run of a paused DAG waits for ever.*--unpause"),
        ("unknown", "does not know the DAG reserve_attestation.*another Airflow"),
        ("import error", "cannot import 1 of its DAG files: ConfigError: series is missing"),
        ("scheduler", "no heartbeat of the scheduler"),
        ("dag_processor", "no heartbeat of the dag-processor"),
    ],
)
def test_an_airflow_that_could_not_run_it_is_refused_before_anything_starts(
    airflow: State, api: AirflowApi, settings: Settings, how: str, words: str
) -> None:
    check_airflow(api, settings=settings, unpause=False)
    broken(airflow, how)
    with pytest.raises(NotReadyError, match=words):
        check_airflow(api, settings=settings, unpause=False)
    assert started(airflow) == []


def test_the_triggerer_is_needed_where_people_approve(airflow: State, api: AirflowApi, config_file: Path) -> None:
    broken(airflow, "triggerer")
    check_airflow(api, settings=Settings.load(config_file), unpause=False)
    config_file.write_text(config_file.read_text().replace("required = false", 'required = true\napprovers = [["ann"], ["bob"]]'))
    with pytest.raises(NotReadyError, match="no heartbeat of the triggerer"):
        check_airflow(api, settings=Settings.load(config_file), unpause=False)


def test_paused_dags_are_switched_on_where_that_is_asked_for(airflow: State, api: AirflowApi, settings: Settings) -> None:
    airflow.dags = dict.fromkeys(airflow.dags, True)
    check_airflow(api, settings=settings, unpause=True)
    assert set(airflow.dags.values()) == {False}


def test_moments_in_the_future_or_out_of_order_are_refused(settings: Settings) -> None:
    check_moments(settings, [MOMENT], None)
    with pytest.raises(ConfigError, match="in the future"):
        check_moments(settings, ["2999-02-17T16:00:00Z"], None)
    with pytest.raises(NotReadyError, match="ascending"):
        check_moments(settings, ["2023-03-17T16:00:00Z", MOMENT], None)


def test_the_command_refuses_without_asking_airflow(
    airflow: State, config_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("ASSAY_CONFIG", str(config_file))
    monkeypatch.setenv("ASSAY_AIRFLOW_URL", airflow.url)
    assert cli.main(["attest", "--as-of", "2999-02-17T16:00:00Z"]) == 1
    assert "in the future" in capsys.readouterr().err
    assert airflow.requests == []


def test_runs_that_are_under_way_are_followed_and_announced_not_started_again(airflow: State, api: AirflowApi) -> None:
    airflow.runs[RESERVES] = [run(RESERVES, "running", conf={"request": "first", "correction": None})]
    airflow.runs[LIABILITIES] = [run(LIABILITIES, "running", moment="2023-01-17T16:00:00Z"), run(LIABILITIES, "failed")]
    said: list[str] = []
    request: dict[str, str | None] = {"request": "second", "correction": None}
    runs = begin(api, MOMENT, [RESERVES, LIABILITIES], request, said.append)
    assert runs[RESERVES] == f"run-of-{RESERVES}"
    assert started(airflow) == [f"/api/v2/dags/{LIABILITIES}/dagRuns"]
    # Both snapshots carry the mark of the one that is under way, or the attestation would wait for another.
    assert airflow.runs[LIABILITIES][0]["conf"]["request"] == "first"
    assert len(said) == 1
    assert "under way already" in said[0]


def test_a_ledger_that_failed_is_read_again_for_the_reserves_that_are_under_way(airflow: State, api: AirflowApi) -> None:
    request: dict[str, str | None] = {"request": "first", "correction": None}
    begin(api, MOMENT, [RESERVES, LIABILITIES], request)
    airflow.runs[LIABILITIES][0]["state"] = "failed"
    again = begin(api, MOMENT, [RESERVES, LIABILITIES], {"request": "second", "correction": None})
    assert again[RESERVES] == airflow.runs[RESERVES][0]["dag_run_id"]
    assert [run["conf"]["request"] for run in airflow.runs[LIABILITIES]] == ["first", "first"]
    assert len({run["dag_run_id"] for run in airflow.runs[LIABILITIES]}) == 2


def test_a_run_under_way_for_another_reason_is_not_taken_up(airflow: State, api: AirflowApi) -> None:
    airflow.runs[RESERVES] = [run(RESERVES, "running", conf={"correction": "a wallet was missing"})]
    with pytest.raises(RunError, match="under way with 'a wallet was missing'"):
        begin(api, MOMENT, [RESERVES], {"request": "x", "correction": None})


def followed(airflow: State, api: AirflowApi, settings: Settings, *, seconds: float = 0.0) -> tuple[str, AssayError]:
    output = io.StringIO()
    with pytest.raises(RunError) as caught:
        attest(api, settings, [MOMENT], Console(file=output, width=80), seconds=seconds)
    return output.getvalue(), caught.value


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([task("bitcoin.read_bitcoin_a", "scheduled", pool="bitcoin_b_old")], "waits for the pool bitcoin_b_old, which is missing"),
        ([task("check_registry", "queued", pool="bitcoin_a", queued_when=LONG_AGO)], "was given to the executor and has not begun"),
        ([task("resolve", "up_for_retry")], "resolve is tried again (1 of 5 tries so far): SourceBehindError: not final yet"),
    ],
)
def test_what_a_run_waits_for_is_said_in_lines_that_are_not_cut(
    airflow: State, api: AirflowApi, settings: Settings, tasks: list[dict[str, Any]], words: str
) -> None:
    airflow.runs[RESERVES] = [run(RESERVES, "running")]
    airflow.tasks[f"run-of-{RESERVES}"] = tasks
    airflow.logs["resolve"] = [{"event": "x", "error_detail": [{"exc_type": "SourceBehindError", "exc_value": "not final yet"}]}]
    said, _ = followed(airflow, api, settings, seconds=1.0)
    assert any(words in line for line in said.splitlines()), said


def test_the_people_who_are_waited_for_are_named_with_the_page(airflow: State, api: AirflowApi, config_file: Path) -> None:
    config_file.write_text(config_file.read_text().replace("required = false", 'required = true\napprovers = [["ann"], ["bob", "eve"]]'))
    settings = Settings.load(config_file)
    airflow.runs = {dag: [run(dag, "running")] for dag in airflow.runs}
    airflow.tasks[f"run-of-{ATTESTATION}"] = [
        task(f"approve_{number}", "awaiting_input", dag_id=ATTESTATION, dag_run_id=f"run-of-{ATTESTATION}") for number in (1, 2)
    ]
    said, _ = followed(airflow, api, settings, seconds=1.0)
    assert f"waits for the approval of bob or eve: {airflow.url}/dags/{ATTESTATION}/runs/run-of-{ATTESTATION}/tasks/approve_2" in said


def test_a_server_that_is_away_for_a_moment_does_not_end_the_watching(
    airflow: State, api: AirflowApi, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.runs = {dag: [run(dag, "running")] for dag in airflow.runs}
    look, away = api.tasks, [2]

    def tasks(dag: str, run_id: str) -> list[dict[str, Any]]:
        if away[0]:
            away[0] -= 1
            raise UnreachableError("it does not answer (timed out)", subject="Airflow", next_step="-")
        return look(dag, run_id)

    monkeypatch.setattr(api, "tasks", tasks)
    said, error = followed(airflow, api, settings, seconds=6.0)
    assert said.count("it does not answer (timed out); trying again for 5 minutes") == 1
    assert "did not end within" in error.problem


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (
            [{"event": "::group::Log message source details"}, {"event": "::endgroup::"}],
            "it left no log (it never began; state failed, try 1)",
        ),
        ([{"event": "::group::Log message source details"}, {"event": "the ledger is closed"}], "the ledger is closed"),
        ([{"event": "x", "error_detail": [{"exc_type": "LedgerError", "exc_value": "a row is missing"}]}], "LedgerError: a row is missing"),
    ],
)
def test_a_failed_task_shows_its_own_words_or_what_airflow_noted(
    airflow: State, api: AirflowApi, settings: Settings, log: list[dict[str, Any]], words: str
) -> None:
    airflow.logs["check_registry"] = log
    airflow.events = [{"event": "state mismatch", "extra": "the executor says failed"}]
    tail = api.log_tail(task("check_registry", "failed"))
    assert words in tail
    assert ("the executor says failed" in tail) == ("left no log" in tail)
    assert "::group::" not in tail


def test_a_failed_run_ends_with_its_tasks_words_and_nothing_is_published(airflow: State, api: AirflowApi, settings: Settings) -> None:
    airflow.tasks = {}
    airflow.logs["check_registry"] = [
        {"event": "x", "error_detail": [{"exc_type": "RegistryError", "exc_value": "line 4: a checksum is wrong"}]}
    ]
    active = run(RESERVES, "running")
    airflow.runs[RESERVES] = [active]
    airflow.tasks[active["dag_run_id"]] = [task("check_registry", "failed")]
    ending = threading.Timer(1.0, active.update, kwargs={"state": "failed"})
    ending.start()
    _, error = followed(airflow, api, settings, seconds=20.0)
    assert "task check_registry: RegistryError: line 4: a checksum is wrong" in str(error)
    assert "Nothing was published" in str(error)
