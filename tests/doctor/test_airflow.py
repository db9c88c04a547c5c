"""An Airflow in whatever state: what `assay doctor` says of it, of its people and of its secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jwt
import pytest

from assay.airflow_api import TOKEN_VARIABLE
from assay.doctor.findings import Level
from assay.orchestration.preflight import DAGS
from tests.doctor.looking import bad, look, of
from tests.orchestration.fake_airflow import State


@pytest.mark.parametrize(
    ("change", "subject", "words"),
    [
        ({"users": {"operator": "another"}}, "Airflow", "ASSAY_AIRFLOW_PASSWORD"),
        ({"dags": dict.fromkeys(DAGS, True)}, "liability_snapshot", "it is paused"),
        ({"dags": {"somebody_elses": False}}, "reserve_snapshot", "does not know it → correct the address if that is another Airflow"),
        ({"health": {"scheduler": {"status": None}}}, "scheduler", "it is not alive"),
        ({"errors": [{"filename": "x.py", "stack_trace": "KeyError: 'a'"}]}, "DAGs", "x.py cannot be imported: KeyError: 'a'"),
    ],
)
def test_an_airflow_that_could_not_run_it_is_named(folder: Path, airflow: State, change: dict[str, Any], subject: str, words: str) -> None:
    for name, value in change.items():
        setattr(airflow, name, value)
    assert words in bad(look(folder, airflow, "Airflow"))[subject]


def test_a_missing_pool_is_a_warning_because_the_command_sets_it(folder: Path, airflow: State) -> None:
    airflow.pools = {}
    (pools,) = [item for item in look(folder, airflow, "Airflow") if item.subject == "pools"]
    assert (pools.level, "ethereum_a missing" in pools.words) == (Level.WARNING, True)


def test_a_secret_that_one_component_lacks_is_named(folder: Path, airflow: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(os.environ, "AIRFLOW__API_AUTH__JWT_SECRET")
    assert "AIRFLOW__API_AUTH__JWT_SECRET is not set" in bad(look(folder, airflow, "Airflow"))["Airflow's secrets"]


@pytest.mark.parametrize(("secret", "differs"), [("the same", False), ("another one", True)])
def test_an_api_server_with_another_secret_than_tasks_would_get_is_found_out(
    folder: Path, airflow: State, secret: str, differs: bool
) -> None:
    os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "the same" * 8
    airflow.token = jwt.encode({"sub": "operator", "aud": "apache-airflow"}, secret * 8, algorithm="HS512")
    found = bad(look(folder, airflow, "Airflow"))
    assert ("so tasks that get this one would die" in found.get("Airflow's secrets", "")) == differs


def test_a_token_that_the_server_has_not_signed_is_told_from_a_missing_right(folder: Path, airflow: State) -> None:
    os.environ[TOKEN_VARIABLE] = "of another Airflow"
    said = bad(look(folder, airflow, "Airflow"))["Airflow"]
    assert f"it does not accept the token in {TOKEN_VARIABLE} (Invalid JWT token)" in said
    assert "POST /auth/token" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sources": ("bitcoin_a", "ethereum_a")}, "it reads the sources bitcoin_a, ethereum_a, and here they are ethereum_a"),
        ({"schedule": "0 0 1 * *"}, "its schedule is '0 0 1 * *', and here it is '0 16 17 * *'"),
    ],
)
def test_an_airflow_that_runs_another_configuration_from_the_same_files_is_found_out(
    folder: Path, airflow: State, change: dict[str, Any], words: str
) -> None:
    for name, value in change.items():
        setattr(airflow, name, value)
    said = bad(look(folder, airflow, "Airflow"))
    assert list(said) == ["Airflow's configuration"]
    assert words in said["Airflow's configuration"]


def test_a_dag_whose_file_is_gone_is_one_failure(folder: Path, airflow: State) -> None:
    airflow.stale = ("reserve_snapshot",)
    assert list(bad(look(folder, airflow, "Airflow"))) == ["reserve_snapshot"]


@pytest.mark.parametrize(
    ("change", "subject", "words"),
    [
        ({"version": "3.1.0"}, "Airflow's version", "the API server is 3.1.0"),
        ({"clock_ahead": 60}, "clock", "s behind that of Airflow's API server"),
        ({"clock_ahead": -60}, "clock", "s ahead of that of Airflow's API server"),
    ],
)
def test_another_version_and_another_clock_are_warnings(
    folder: Path, airflow: State, change: dict[str, Any], subject: str, words: str
) -> None:
    for name, value in change.items():
        setattr(airflow, name, value)
    found = look(folder, airflow, "Airflow")
    assert words in of(found, Level.WARNING)[subject]
    assert bad(found) == {}


@pytest.mark.parametrize("kept", [True, False])
def test_a_connection_that_airflow_keeps_for_tasks_alone_is_not_taken_for_a_missing_one(folder: Path, airflow: State, kept: bool) -> None:
    names = {"assay_ethereum_a": ("sources", "source ethereum_a"), "assay_pseudonym": ("ledger", "secret of the user keys")}
    airflow.connections = tuple(names) if kept else ()
    for name, (subject, line) in names.items():
        del os.environ[f"AIRFLOW_CONN_{name.upper()}"]
        found = look(folder, airflow, subject)
        assert (line in of(found, Level.SKIPPED), line in bad(found)) == (kept, not kept)


@pytest.mark.parametrize(
    ("people", "subject", "words"),
    [
        ("operator:op,ann:user", "approvers", "bob cannot log in to Airflow"),
        ("operator:op,ann:user,bob:viewer", "approvers", "bob may look on and not approve"),
        ("operator:user,ann:user,bob:user", "user operator", "its role 'user' may not set pools"),
    ],
)
def test_people_who_could_not_do_their_part_are_named(folder: Path, airflow: State, people: str, subject: str, words: str) -> None:
    os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = people
    said = bad(look(folder, airflow, "Airflow"))
    assert list(said) == [subject]
    assert words in said[subject]


def test_users_of_another_login_are_not_guessed_at(folder: Path, airflow: State) -> None:
    os.environ["AIRFLOW__CORE__AUTH_MANAGER"] = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = "somebody:op"
    found = look(folder, airflow, "Airflow")
    assert "approvers" in of(found, Level.SKIPPED)
    assert bad(found) == {}


def test_a_fernet_key_that_is_none_is_named_and_not_shown(folder: Path, airflow: State) -> None:
    os.environ["AIRFLOW__CORE__FERNET_KEY"] = "my own words"
    said = bad(look(folder, airflow, "Airflow"))["Airflow's secrets"]
    assert "AIRFLOW__CORE__FERNET_KEY is no Fernet key" in said
    assert "my own words" not in said
