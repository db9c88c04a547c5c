"""What publishing would refuse is refused at staging, before two people are asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from assay.config import SignOffSettings
from assay.errors import PublicationError
from assay.orchestration.approval_page import summary
from assay.publication.publish import check_publishable
from tests.publication.lake import make_lake, publish_moment, settings_for, stage
from tests.publication.sample import FIRST, SECOND, make_inputs


def test_the_same_content_again_and_a_new_moment_may_be_published(tmp_path: Path) -> None:
    publish_moment(tmp_path, FIRST)
    for moment in (FIRST, SECOND):
        inputs = make_inputs(tmp_path / f"again-{moment:%m}", moment)
        check_publishable(settings_for(inputs, tmp_path), stage(tmp_path, inputs, moment, work=f"work-{moment:%m}"))


def test_other_content_for_a_published_moment_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    make_lake(tmp_path)
    inputs = make_inputs(tmp_path / "again", SECOND)
    settings = dataclasses.replace(settings_for(inputs, tmp_path), entity="Another Name")
    changed = dataclasses.replace(inputs, settings=settings)
    with pytest.raises(PublicationError, match=r"other content.*revision 2 and a reason"):
        check_publishable(settings, stage(tmp_path, changed, SECOND))


def test_a_moment_before_the_newest_one_is_refused(tmp_path: Path) -> None:
    publish_moment(tmp_path, SECOND)
    inputs = make_inputs(tmp_path / "late", FIRST)
    with pytest.raises(PublicationError, match="lies before the newest publication"):
        check_publishable(settings_for(inputs, tmp_path), stage(tmp_path, inputs, FIRST))


def test_people_see_figures_what_is_new_and_links_before_they_approve(tmp_path: Path) -> None:
    publish_moment(tmp_path, FIRST)
    inputs = make_inputs(tmp_path / "second", SECOND)
    settings = dataclasses.replace(
        settings_for(inputs, tmp_path), sign_off=SignOffSettings(required=True, approvers=(("ann",), ("bob", "eve")))
    )
    staged = stage(tmp_path, inputs, SECOND)
    text = summary(settings, SECOND, staged, "manual__x")
    assert "| BTC | 135.735 | 130.664 | +5.071 | 103.88" in text
    assert "User balances since 18 January 2023, 16:00 UTC:" in text
    assert "+12.982" in text
    assert "one of each group: ann; and bob or eve." in text
    assert "/assay/staged/2023-02-17T160000Z/" in text
    assert str(staged) in text
    # A table, not lines: Markdown needs the row of dashes behind the header.
    assert "| asset | reserves | user balances | surplus | ratio |\n| --- | ---: |" in text
