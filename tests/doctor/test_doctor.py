"""`assay doctor` with a real node, a drop of files, and an Airflow in whatever state: each thing that would stop a run is one line with the next step."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from assay.config import Settings
from assay.connections import secret_of, url_of
from assay.doctor import visit
from assay.doctor.findings import Finding, Level, Patient, failed, ok
from assay.doctor.visit import doctor
from assay.lake import parse_as_of
from sandbox.processes import free_port
from tests.doctor.looking import MOMENT, bad, look
from tests.orchestration.fake_airflow import State


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
    (ledger,) = [item for item in look(folder, airflow, "ledger") if item.subject == "ledger assay_ledger"]
    assert ledger.level is Level.WARNING


def test_the_page_is_not_cut_and_json_has_the_same(folder: Path, airflow: State, capsys: pytest.CaptureFixture[str]) -> None:
    settings, output = Settings.load(folder / "assay.toml"), io.StringIO()
    arguments: dict[str, Any] = {"as_of": parse_as_of(MOMENT), "url": airflow.url, "connect": url_of, "secret_of": secret_of}
    assert doctor(settings, Console(file=output, width=40), as_json=False, **arguments) == 0
    assert str(settings.path) in output.getvalue()
    assert doctor(settings, Console(), as_json=True, **arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["findings"]) == sum("  " in line and not line.startswith(" ") for line in output.getvalue().splitlines())


def test_a_check_that_breaks_off_or_does_not_end_leaves_the_findings_of_the_others(
    folder: Path, airflow: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_patient: Patient) -> Iterator[Finding]:
        yield ok("first", "it is there")
        raise KeyError("second")

    def endless(_patient: Patient) -> Iterator[Finding]:
        time.sleep(20)
        yield ok("third", "it is there")

    def refusing(_patient: Patient) -> Iterator[Finding]:
        yield failed("fourth", "it is not there", "bring it")

    monkeypatch.setattr(visit, "CHECKS", (("broken", broken), ("endless", endless), ("refusing", refusing)))
    monkeypatch.setattr(visit, "SECONDS", 1.0)
    began = time.monotonic()
    found = look(folder, airflow)
    assert time.monotonic() - began < 10
    assert [(item.subject, item.level) for item in found] == [
        ("first", Level.OK),
        ("broken", Level.FAILED),
        ("endless", Level.SKIPPED),
        ("fourth", Level.FAILED),
    ]
    assert "KeyError" in found[1].words
