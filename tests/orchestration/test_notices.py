"""Notices through Airflow's notifiers, to a mail server and a webhook that really listen."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assay.config import Settings
from assay.errors import AssayError, ComputationError, LedgerError, SourceMismatchError
from assay.orchestration import notices
from tests.orchestration.receivers import mail_server, webhook

MOMENT = "2023-02-17T16:00:00Z"


@pytest.fixture
def channels(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with mail_server() as (mail_port, mails), webhook() as (hook_port, posted):
        smtp = {"conn_type": "smtp", "host": "127.0.0.1", "port": mail_port, "extra": {"disable_ssl": True, "disable_tls": True}}
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(smtp))
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps({"conn_type": "http", "host": f"http://127.0.0.1:{hook_port}/services/key"}))
        monkeypatch.setenv("ASSAY_CONFIG", str(config_file))
        with config_file.open("a") as file:
            file.write(
                '[notices]\nsmtp_connection = "mail"\nmail_from = "assay@custodian.example"\n'
                'mail_to = ["finance@custodian.example", "risk@custodian.example"]\nwebhook_connection = "chat"\ndeadline_hours = 72\n'
            )
        yield mails, posted


def failed(error: BaseException | None, *, map_index: int = -1, name: str = "") -> dict[str, Any]:
    run = SimpleNamespace(run_id="manual__1", partition_key=MOMENT)
    task = SimpleNamespace(dag_id="reserve_snapshot", task_id="ethereum.read_ethereum_a", map_index=map_index, try_number=2)
    return {"ti": task, "dag_run": run, "params": {}, "exception": error, "map_index_name": name}


WRONG = SourceMismatchError(
    "it is another network, chain 5", subject="chain ethereum, source ethereum_a", next_step="correct the Connection"
)


def test_a_failed_task_is_told_by_mail_and_to_the_webhook_in_its_own_words(channels: Any) -> None:
    mails, posted = channels
    notices.tell_failed_task(failed(WRONG, map_index=3, name="ethereum_a 3: 0x01 to 0x09"))
    [mail], [(path, payload)] = mails, posted
    assert path == "/services/key"
    assert mail["Subject"] == payload["subject"] == "Assay, test, 2023-02-17T16:00:00Z: ethereum.read_ethereum_a of reserve_snapshot failed"
    assert (mail["From"], mail["To"]) == ("assay@custodian.example", "finance@custodian.example, risk@custodian.example")
    body = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    for text in (body, payload["text"]):
        assert "chain ethereum, source ethereum_a: it is another network, chain 5. Next step: correct the Connection." in text
        assert MOMENT in text
        assert "3 (ethereum_a 3: 0x01 to 0x09)" in text
        assert "/dags/reserve_snapshot/runs/manual__1/tasks/ethereum.read_ethereum_a/mapped/3" in text
        assert "/assay/runbook#sourcemismatcherror" in text
    assert payload["facts"]["series"] == "test"


def test_of_a_mapped_task_the_first_failure_is_told_and_the_next_try_again(channels: Any) -> None:
    _, posted = channels
    for index in (0, 1, 2):
        notices.tell_failed_task(failed(WRONG, map_index=index))
    assert len(posted) == 1
    again = failed(WRONG, map_index=1)
    again["ti"].try_number = 3
    notices.tell_failed_task(again)
    assert len(posted) == 2


@pytest.mark.parametrize(
    ("error", "told", "kept"),
    [
        (LedgerError("two rows", subject="user alice, spot, BTC", next_step="correct the view"), "Next step: correct the view.", "alice"),
        (KeyError("https://node.example/my-key"), "KeyError, which is no error of Assay's own", "my-key"),
        (
            ComputationError("the rule is broken: Sums agree. Broken by user_key=abcd", subject="check sums", next_step="find it"),
            "check sums: the rule is broken: Sums agree. Next step: find it.",
            "abcd",
        ),
        (None, "its process was killed", "None"),
    ],
)
def test_a_notice_names_no_user_and_no_secret(channels: Any, error: BaseException | None, told: str, kept: str) -> None:
    _, posted = channels
    notices.tell_failed_task(failed(error))
    assert told in posted[0][1]["text"]
    assert kept not in posted[0][1]["text"]


def test_what_a_node_says_is_text_and_neither_a_template_nor_html(channels: Any) -> None:
    mails, posted = channels
    notices.tell_failed_task(failed(AssayError("{{ 7 * 7 }} <script>x</script>", subject="s", next_step="n")))
    body = mails[0].get_body(("html",)).get_content()
    assert "{{ 7 * 7 }} &lt;script&gt;" in body
    assert "{{ 7 * 7 }} <script>" in posted[0][1]["text"]


def test_a_run_is_told_only_when_no_task_has_told_of_itself(channels: Any) -> None:
    _, posted = channels
    context = {"dag": SimpleNamespace(dag_id="reserve_attestation"), "run_id": "asset__1"}
    notices.tell_failed_run(context | {"reason": "task_failure"})
    assert posted == []
    notices.tell_failed_run(context | {"reason": "timed_out"})
    assert "It took longer than its dagrun_timeout" in posted[0][1]["text"]


def test_a_deadline_that_has_passed_is_told_from_the_triggerer(channels: Any) -> None:
    mails, posted = channels
    run = {"dag_id": "reserve_attestation", "dag_run_id": "asset__1", "state": "running", "partition_key": MOMENT, "conf": None}
    through = asyncio.run(notices.tell_missed_deadline({"dag_run": run, "deadline": {}}))
    assert through == "mail, chat"
    assert mails[0]["Subject"] == "Assay, test, 2023-02-17T16:00:00Z: reserve_attestation is late"
    assert "72 hours after its moment, or after its start if that was later; its state is running" in posted[0][1]["text"]
    assert "look at what it waits for" in posted[0][1]["text"]


def test_a_shortfall_is_told_with_the_amount_and_a_whole_publication_only_where_it_is_asked_for(channels: Any) -> None:
    settings = Settings.load()
    arguments = {"folder": "2023-02-17T160000Z", "dag_id": "reserve_attestation", "run_id": "asset__1", "moment": MOMENT}
    short = notices.of_publication(settings, **arguments, short={"BTC": "1.50000000 BTC"})
    assert short.kind == "shortfall"
    assert short.subject == "Assay, test, 2023-02-17T16:00:00Z: published, and BTC is short by 1.50000000 BTC"
    assert notices.of_publication(settings, **arguments, short={}).kind == "published"
    assert notices.tell(settings, short) == ["mail", "chat"]


def test_one_channel_that_fails_silences_neither_the_other_nor_shows_its_address(
    channels: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mails, _ = channels
    with webhook(status=500) as (port, _), caplog.at_level(logging.ERROR, logger="assay"):
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps({"conn_type": "http", "host": f"http://127.0.0.1:{port}/services/key"}))
        notices.tell_failed_task(failed(WRONG))
    assert len(mails) == 1
    said = [record.getMessage() for record in caplog.records if record.name.startswith("assay")]
    assert len(said) == 1
    assert "through the Connection chat" in said[0]
    assert "services/key" not in said[0]


def test_nothing_is_told_where_nothing_is_configured(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CONFIG", str(config_file))
    notice = notices.of_task(Settings.load(), failed(WRONG))
    assert notices.tell(Settings.load(), notice) == []
