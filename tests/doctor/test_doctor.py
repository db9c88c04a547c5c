"""`assay doctor` with a real node, a drop of files, and an Airflow in whatever state: each thing that would stop a run is one line with the next step."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from rich.console import Console

from assay import cli
from assay.config import Settings
from assay.connections import secret_of, url_of
from assay.doctor.findings import Finding, Level, Patient
from assay.doctor.visit import doctor, visit
from assay.environment import load_environment
from assay.lake import format_as_of, parse_as_of
from assay.orchestration.preflight import DAGS
from sandbox.anvil import Anvil
from sandbox.processes import free_port
from tests.orchestration.fake_airflow import State, fake_airflow
from tests.own import custodian

MOMENT = format_as_of(custodian.MOMENTS[0])


@pytest.fixture(scope="module")
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
    airflow.pools = {"ethereum_a": 2}
    return made


def look(folder: Path, airflow: State) -> list[Finding]:
    settings = Settings.load(folder / "assay.toml")
    patient = Patient(settings=settings, as_of=parse_as_of(MOMENT), url=airflow.url, connect=url_of, secret_of=secret_of)
    return list(visit(patient))


def bad(findings: list[Finding]) -> dict[str, str]:
    return {item.subject: f"{item.words} → {item.next_step}" for item in findings if item.level is Level.FAILED}


def test_a_deployment_that_can_run_has_nothing_to_mend(folder: Path, airflow: State) -> None:
    found = look(folder, airflow)
    assert bad(found) == {}
    # One source is a warning: nobody vouches for it.
    assert [item.subject for item in found if item.level is Level.WARNING] == ["chain ethereum"]
    assert {"ethereum_a", "assay_ledger"} <= {item.subject.split()[-1] for item in found if item.level is Level.OK}
    assert not [path for method, path in airflow.requests if method != "GET" and path != "/auth/token"]


def test_an_airflow_that_is_not_there_is_one_line_and_the_rest_of_it_is_not_checked(folder: Path, airflow: State) -> None:
    airflow.url = f"http://127.0.0.1:{free_port()}"
    found = look(folder, airflow)
    assert list(bad(found)) == ["Airflow"]
    assert "start it with `assay up`" in bad(found)["Airflow"]
    assert [item.subject for item in found if item.level is Level.SKIPPED] == ["components, DAGs, pools"]


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
    assert words in bad(look(folder, airflow))[subject]


def test_a_missing_pool_is_a_warning_because_the_command_sets_it(folder: Path, airflow: State) -> None:
    airflow.pools = {}
    (pools,) = [item for item in look(folder, airflow) if item.subject == "pools"]
    assert (pools.level, "ethereum_a missing" in pools.words) == (Level.WARNING, True)


def test_a_secret_that_one_component_lacks_is_named(folder: Path, airflow: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(os.environ, "AIRFLOW__API_AUTH__JWT_SECRET")
    assert "AIRFLOW__API_AUTH__JWT_SECRET is not set" in bad(look(folder, airflow))["Airflow's secrets"]


@pytest.mark.parametrize(("secret", "differs"), [("the same", False), ("another one", True)])
def test_an_api_server_with_another_secret_than_tasks_would_get_is_found_out(
    folder: Path, airflow: State, secret: str, differs: bool
) -> None:
    os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "the same" * 8
    airflow.token = jwt.encode({"sub": "operator", "aud": "apache-airflow"}, secret * 8, algorithm="HS512")
    found = bad(look(folder, airflow))
    assert ("so tasks that get this one would die" in found.get("Airflow's secrets", "")) == differs


def test_a_node_of_another_network_is_named(folder: Path, airflow: State, tmp_path: Path) -> None:
    with Anvil(folder=tmp_path / "other", chain_id=31337) as other:
        os.environ["AIRFLOW_CONN_ASSAY_ETHEREUM_A"] = json.dumps(
            {"conn_type": "generic", "schema": "http", "host": "127.0.0.1", "port": other.port}
        )
        assert "31337" in bad(look(folder, airflow))["source ethereum_a"]


def test_a_node_that_does_not_reach_the_moment_is_said_so(folder: Path, airflow: State, tmp_path: Path) -> None:
    with Anvil(folder=tmp_path / "young", chain_id=1) as young:
        os.environ["AIRFLOW_CONN_ASSAY_ETHEREUM_A"] = json.dumps(
            {"conn_type": "generic", "schema": "http", "host": "127.0.0.1", "port": young.port}
        )
        (source,) = [item for item in look(folder, airflow) if item.subject == "source ethereum_a"]
        assert source.level is Level.WARNING
        assert "behind" in source.words


def test_a_node_that_is_not_there_and_a_connection_that_is_malformed_are_told_apart(folder: Path, airflow: State) -> None:
    os.environ["AIRFLOW_CONN_ASSAY_ETHEREUM_A"] = json.dumps(
        {"conn_type": "generic", "schema": "http", "host": "127.0.0.1", "port": free_port()}
    )
    assert "it cannot be reached" in bad(look(folder, airflow))["source ethereum_a"]
    os.environ["AIRFLOW_CONN_ASSAY_ETHEREUM_A"] = '{"conn_type": "generic", "host": "127.0.0.1"'
    assert "it is set and cannot be read: it is not JSON" in bad(look(folder, airflow))["source ethereum_a"]


def test_an_empty_registry_a_missing_price_and_a_ledger_of_unknown_accounts_are_each_named(folder: Path, airflow: State) -> None:
    (folder / "registry" / "wallets.csv").write_text("chain,address,custody,encumbrance,label\n")
    (folder / "prices" / "primary.csv").write_text("asset,price,currency,time\n")
    config = folder / "assay.toml"
    config.write_text(config.read_text().replace('account_types = ["spot"]', 'account_types = ["funding"]'))
    found = bad(look(folder, airflow))
    assert "it holds no wallets" in found["wallets"]
    assert "ETH has no price at or before" in found["prices"]
    assert "account types that are not listed: spot" in found["ledger assay_ledger"]


def test_a_ledger_that_has_not_closed_is_waited_for(folder: Path, airflow: State) -> None:
    next((folder / "ledger").rglob("control.json")).unlink()
    (ledger,) = [item for item in look(folder, airflow) if item.subject == "ledger assay_ledger"]
    assert ledger.level is Level.WARNING


def test_the_page_is_not_cut_and_json_has_the_same(folder: Path, airflow: State, capsys: pytest.CaptureFixture[str]) -> None:
    settings, output = Settings.load(folder / "assay.toml"), io.StringIO()
    arguments: dict[str, Any] = {"as_of": parse_as_of(MOMENT), "url": airflow.url, "connect": url_of, "secret_of": secret_of}
    assert doctor(settings, Console(file=output, width=40), as_json=False, **arguments) == 0
    assert str(settings.path) in output.getvalue()
    assert doctor(settings, Console(), as_json=True, **arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["findings"]) == sum("  " in line and not line.startswith(" ") for line in output.getvalue().splitlines())
