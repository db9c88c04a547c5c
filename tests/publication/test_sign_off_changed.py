"""A sign-off that is turned on or off while people are asked: what is published must not contradict what was done."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.config import SignOffSettings
from assay.errors import PublicationError
from assay.publication.approvals import check_stated
from tests.publication.lake import settings_for
from tests.publication.sample import FIRST, make_inputs


@pytest.mark.parametrize("turned_off_when_staged", [True, False])
@pytest.mark.parametrize("required_now", [True, False])
def test_only_what_coverage_says_of_the_sign_off_is_published(tmp_path: Path, turned_off_when_staged: bool, required_now: bool) -> None:
    (tmp_path / "tables").mkdir()
    areas = ["reserves", *(["sign_off"] if turned_off_when_staged else [])]
    pq.write_table(pa.table({"area": areas}), tmp_path / "tables" / "coverage.parquet")
    settings = settings_for(make_inputs(tmp_path / "inputs", FIRST), tmp_path)
    settings = dataclasses.replace(settings, sign_off=SignOffSettings(required=required_now, approvers=(("ann",), ("bob",))))
    if turned_off_when_staged != required_now:
        check_stated(settings, tmp_path)
        return
    with pytest.raises(PublicationError, match="since it was staged, and its coverage says otherwise"):
        check_stated(settings, tmp_path)
