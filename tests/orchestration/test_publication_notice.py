"""What is told of a publication, and what changes against the one before, over real publications."""

from __future__ import annotations

import dataclasses
import json
import logging
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowSkipException

from assay.config import NoticeSettings, Settings
from assay.orchestration import difference, publication_notice, task_logs
from assay.orchestration.verdict import shortfalls, verdict
from tests.orchestration.receivers import webhook
from tests.publication.lake import publish_moment, settings_for, stage
from tests.publication.sample import FIRST, SECOND, make_inputs


def told(root: Path, monkeypatch: pytest.MonkeyPatch, port: int, *, on: tuple[str, ...]) -> Settings:
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps({"conn_type": "http", "host": f"http://127.0.0.1:{port}"}))
    settings = settings_for(make_inputs(root / "again", FIRST), root)
    return dataclasses.replace(settings, notices=NoticeSettings(webhook_connection="chat", on=on))


def make_short(publication: Path, asset: str) -> None:
    """Have a published table say that an asset lacks 1.5 of itself."""
    path = publication / "tables" / "reserve_ratios.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows:
        if row["asset"] == asset:
            row |= {"surplus": Decimal(-15 * 10 ** (row["decimals"] - 1)), "fully_backed": False}
    path.chmod(0o644)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def test_a_shortfall_is_told_as_a_notice_and_the_task_is_there_to_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    published = publish_moment(tmp_path, FIRST)
    make_short(published.folder, "BTC")
    assert shortfalls(published.folder) == {"BTC": "1.50000000 BTC"}
    with webhook() as (port, posted), caplog.at_level(logging.WARNING):
        settings = told(tmp_path, monkeypatch, port, on=("shortfall",))
        publication_notice.tell(settings, FIRST, dag_id="reserve_attestation", run_id="asset__1")
    [(_, payload)] = posted
    assert payload["kind"] == "shortfall"
    assert payload["subject"].endswith("published, and BTC is short by 1.50000000 BTC")
    assert "/assay/published/2023-01-18T160000Z/report.html" in payload["text"]
    assert "BTC is short by 1.50000000 BTC" in caplog.text


@pytest.mark.parametrize(("on", "count"), [(("shortfall",), 0), (("published",), 1)])
def test_where_nothing_is_short_the_task_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on: tuple[str, ...], count: int
) -> None:
    publish_moment(tmp_path, FIRST)
    with webhook() as (port, posted), pytest.raises(AirflowSkipException):
        publication_notice.tell(told(tmp_path, monkeypatch, port, on=on), FIRST, dag_id="reserve_attestation", run_id="asset__1")
    assert len(posted) == count


def test_the_event_of_a_publication_says_what_was_published(tmp_path: Path) -> None:
    published = publish_moment(tmp_path, FIRST)
    make_short(published.folder, "BTC")
    settings = settings_for(make_inputs(tmp_path / "again", FIRST), tmp_path)
    event = task_logs.of_publication(settings, FIRST, str(published))
    assert event["folder"] == "2023-01-18T160000Z"
    assert (event["revision"], event["manifest_sha256"]) == (1, published.entry.manifest_sha256)
    assert event["verdict"]["BTC"] == "short by 1.50000000 BTC"
    assert event["verdict"] == verdict(published.folder)
    assert set(event["verdict"].values()) == {"short by 1.50000000 BTC", "fully backed"}


def test_the_difference_shows_both_sides_of_every_asset_and_what_coverage_says_now(tmp_path: Path) -> None:
    publish_moment(tmp_path, FIRST)
    inputs = make_inputs(tmp_path / "second", SECOND)
    staged = stage(tmp_path, inputs, SECOND)
    found = difference.compare(settings_for(inputs, tmp_path), staged)
    assert found.before is not None
    assert found.before.folder == "2023-01-18T160000Z"
    btc = next(row for row in found.ratios if row.asset == "BTC")
    assert btc.before is not None
    assert btc.now is not None
    assert btc.reserves_change.startswith("+")
    page = difference.page(found)
    for text in (btc.before["reserves"], btc.now["reserves"], btc.reserves_change, btc.now["ratio"]):
        assert text in page
    assert "<script" not in page


def test_a_first_publication_is_compared_with_nothing(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "first", FIRST)
    found = difference.compare(settings_for(inputs, tmp_path), stage(tmp_path, inputs, FIRST))
    assert found.before is None
    assert all(row.before is None and row.reserves_change == "\N{EN DASH}" for row in found.ratios)
    assert "Nothing was published before" in difference.page(found)


def test_a_correction_is_compared_with_the_publication_that_it_replaces(tmp_path: Path) -> None:
    publish_moment(tmp_path, FIRST)
    inputs = make_inputs(tmp_path / "again", FIRST)
    staged = stage(tmp_path, inputs, FIRST, revision=2, reason="a wallet was missing", work="second")
    found = difference.compare(settings_for(inputs, tmp_path), staged)
    assert found.before is not None
    assert (found.before.folder, found.revision) == ("2023-01-18T160000Z", 2)
