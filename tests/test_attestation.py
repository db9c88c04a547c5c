"""The steps around the computation: approvals, moments, corrections. The computation itself is tested beside the SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assay import attestation
from assay.config import Settings
from assay.errors import ComputationError, PublicationError

AS_OF = datetime(2023, 2, 17, 16, tzinfo=UTC)


def approval(person: str, option: str = "Approve") -> dict[str, Any]:
    return {"chosen_options": [option], "responded_by_user": {"id": person, "name": person}}


@pytest.fixture
def signed_off(config_file: Path) -> Settings:
    text = config_file.read_text()
    config_file.write_text(text.replace("required = false", 'required = true\napprovers = [["ann", "amy"], ["bob"]]'))
    return Settings.load(config_file)


def test_two_people_of_both_groups_may_publish(signed_off: Settings) -> None:
    attestation.check_approvals(signed_off, [approval("amy"), approval("bob")], subject="x")


@pytest.mark.parametrize(
    ("approvals", "says"),
    [
        ([], "0 of 2 distinct people"),
        ([approval("ann")], "1 of 2 distinct people"),
        ([approval("ann"), approval("ann")], "1 of 2 distinct people"),
        ([approval("ann"), approval("bob", "Reject")], "bob has not approved"),
        ([approval("ann"), approval("amy")], "amy is not one of bob"),
        ([approval("bob"), approval("ann")], "bob is not one of ann, amy"),
        ([approval("ann"), {"chosen_options": ["Approve"], "responded_by_user": None}], "1 of 2 distinct people"),
        ([approval("ann"), None], "1 of 2 distinct people"),
    ],
)
def test_anything_less_is_refused(signed_off: Settings, approvals: list[Any], says: str) -> None:
    with pytest.raises(PublicationError, match=says):
        attestation.check_approvals(signed_off, approvals, subject="x")


def test_a_snapshot_of_another_moment_is_refused(config_file: Path) -> None:
    right, wrong = {"as_of": "2023-02-17T16:00:00Z"}, {"as_of": "2023-01-18T16:00:00Z"}
    with pytest.raises(ComputationError, match="the snapshot is of 2023-01-18T16:00:00Z"):
        attestation.gather_inputs(Settings.load(config_file), AS_OF, right, wrong)


def test_a_correction_asked_for_with_either_snapshot_becomes_the_next_revision(config_file: Path) -> None:
    event = {"as_of": "2023-02-17T16:00:00Z", "folder": "f", "raw": "r", "wallets": "w"}
    settings = Settings.load(config_file)
    assert attestation.gather_inputs(settings, AS_OF, event, event)["reason"] == ""
    asked = attestation.gather_inputs(settings, AS_OF, event, event | {"correction": "a wallet was missing"})
    assert (asked["revision"], asked["reason"]) == (1, "a wallet was missing")
