"""The approvals beside a publication, as the publisher writes them and as a forger would."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.lake import sha256_of
from assay.publication import approvals
from assay.resources import folder as shipped
from assay_verify import publication
from assay_verify.findings import Exit
from tests.publication.lake import make_lake
from tests.publication.sample import SECOND

WHEN = datetime(2023, 2, 18, 9, 30, tzinfo=UTC)
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture
def approved(series: Path) -> Path:
    """The newest publication, approved by two people."""
    found = series / "2023-02-17T160000Z"
    given = [{"responded_by_user": {"id": name}, "responded_at": WHEN, "chosen_options": ["Approve"]} for name in ("ann", "bob")]
    approvals.write(
        given,
        series / "approvals" / f"{found.name}.parquet",
        as_of=SECOND,
        manifest_sha256=sha256_of(found / "manifest.json"),
        contracts=shipped("contracts"),
    )
    return found


def test_who_approved_is_compared_with_the_manifest_and_said(approved: Path) -> None:
    verified = publication.verify(approved)
    assert verified.findings.exit_code is Exit.HELD
    assert verified.findings.held("approvals")
    assert "ann approved this manifest at 2023-02-18T09:30:00Z, as the table beside it says." in verified.notices


def test_a_publication_without_approvals_holds_and_says_that_there_are_none(series: Path) -> None:
    verified = publication.verify(series / "2023-01-18T160000Z")
    assert verified.findings.exit_code is Exit.HELD
    assert not verified.findings.held("approvals")
    assert any("no approvals/2023-01-18T160000Z.parquet beside it" in line for line in verified.not_proven)


def other_manifest(rows: Rows) -> Rows:
    return [rows[0], rows[1] | {"manifest_sha256": "0" * 64}]


def one_person(rows: Rows) -> Rows:
    return [rows[0], rows[1] | {"person": "ann"}]


def a_refusal(rows: Rows) -> Rows:
    return [rows[0], rows[1] | {"decision": "rejected"}]


def another_moment(rows: Rows) -> Rows:
    return [row | {"as_of": SECOND + timedelta(days=1)} for row in rows]


def one_alone(rows: Rows) -> Rows:
    return rows[:1]


def nobody(_rows: Rows) -> Rows:
    return []


@pytest.mark.parametrize("forge", [other_manifest, one_person, a_refusal, another_moment, one_alone, nobody])
def test_approvals_that_do_not_belong_to_the_publication_fail(approved: Path, forge: Callable[[Rows], Rows]) -> None:
    path = approved.parent / "approvals" / f"{approved.name}.parquet"
    table = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist(forge(table.to_pylist()), schema=table.schema), path)
    verified = publication.verify(approved)
    assert verified.findings.exit_code is Exit.FAILED
    assert not verified.findings.held("approvals")
