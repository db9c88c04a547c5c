"""The steps around the computation: approvals, moments, corrections. The computation itself is tested beside the SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assay import attestation, handover
from assay.config import Settings
from assay.errors import ComputationError, PublicationError
from assay.publication import approvals as approving
from assay.publication.log import Log

AS_OF = datetime(2023, 2, 17, 16, tzinfo=UTC)
AT = datetime(2026, 1, 2, tzinfo=UTC)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def approval(person: str, option: str = "Approve") -> dict[str, Any]:
    return {"chosen_options": [option], "responded_at": AT, "responded_by_user": {"id": person, "name": person}}


@pytest.fixture
def signed_off(config_file: Path) -> Settings:
    text = config_file.read_text()
    config_file.write_text(text.replace("required = false", 'required = true\napprovers = [["ann", "amy"], ["bob"]]'))
    return Settings.load(config_file)


def test_two_people_of_both_groups_may_publish(signed_off: Settings) -> None:
    approving.check(signed_off, [approval("amy"), approval("bob")], since=SINCE, subject="x")


@pytest.mark.parametrize(
    ("approvals", "says"),
    [
        ([], "0 of 2 distinct people"),
        ([approval("ann")], "1 of 2 distinct people"),
        ([approval("ann"), approval("ann")], "1 of 2 distinct people"),
        ([approval("ann"), approval("bob", "Reject")], "bob has not approved"),
        ([approval("ann"), approval("amy")], "amy is not one of bob"),
        ([approval("bob"), approval("ann")], "bob is not one of ann, amy"),
        ([approval("ann"), {"chosen_options": ["Approve"], "responded_at": AT, "responded_by_user": None}], "1 of 2 distinct people"),
        ([approval("ann"), None], "1 of 2 distinct people"),
    ],
)
def test_anything_less_is_refused(signed_off: Settings, approvals: list[Any], says: str) -> None:
    with pytest.raises(PublicationError, match=says):
        approving.check(signed_off, approvals, since=SINCE, subject="x")


def test_an_approval_of_what_was_staged_before_does_not_count(signed_off: Settings) -> None:
    old = approval("ann") | {"responded_at": "2025-12-31T00:00:00+00:00"}
    with pytest.raises(PublicationError, match="ann has approved something that was staged before"):
        approving.check(signed_off, [old, approval("bob")], since=SINCE, subject="x")


def snapshots(settings: Settings, correction: str | None) -> None:
    folder = settings.lake / "snapshot"
    folder.mkdir(parents=True)
    (folder / "shards.json").write_text("{}")
    for dataset in ("reserves", "liabilities"):
        handover.begin(settings, dataset, AS_OF, "run")
        content = {"folder": str(folder), "raw": "r", "wallets": "w", "request": None, "correction": correction}
        handover.finish(settings, dataset, AS_OF, "run", content)


def test_without_a_reason_the_first_revision_is_made_again(config_file: Path) -> None:
    settings = Settings.load(config_file)
    snapshots(settings, None)
    inputs = attestation.gather_inputs(settings, AS_OF)
    assert (inputs["revision"], inputs["reason"]) == (1, "")


def test_a_correction_becomes_the_next_revision_with_its_reason(config_file: Path) -> None:
    settings = Settings.load(config_file)
    series = settings.lake / "publications" / settings.series
    series.mkdir(parents=True)
    Log.read(series).append(as_of=AS_OF, revision=1, manifest_sha256="0" * 64, published_at=AS_OF)
    snapshots(settings, "a wallet was missing")
    inputs = attestation.gather_inputs(settings, AS_OF)
    assert (inputs["revision"], inputs["reason"]) == (2, "a wallet was missing")


def test_a_configuration_that_changed_before_staging_stops_it(config_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ComputationError, match="changed since the snapshots"):
        attestation.stage_publication(
            Settings.load(config_file), AS_OF, {"configuration": "another"}, tmp_path, tmp_path, tmp_path, tmp_path / "out"
        )


def test_files_that_changed_after_they_were_staged_are_not_published(config_file: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    staged = {"folder": str(tmp_path), "manifest_sha256": "0" * 64, "staged_at": "2026-01-01T00:00:00+00:00"}
    with pytest.raises(PublicationError, match="manifest has changed since it was staged"):
        attestation.publish(Settings.load(config_file), staged, [])
