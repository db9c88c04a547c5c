"""Who approved a publication: the table that stands beside it, held against the manifest that was approved."""

from __future__ import annotations

from pathlib import Path

from assay_verify import tables
from assay_verify.findings import Check, Findings
from assay_verify.manifest import Manifest

NAME = "approvals"
_APPROVED = "approved"
_PEOPLE = 2


def check(findings: Findings, folder: Path, known: Manifest) -> list[tables.Row]:
    """Check the approvals that stand beside a publication, and return them."""
    found: list[tables.Row] = []
    with findings.check("approvals", "The approvals beside the publication are of this very manifest, by different people.") as check:
        found = list(tables.read(path_of(folder), NAME))
        _compare(check, found, known)
    return found


def path_of(folder: Path) -> Path:
    """Return where a publication's approvals stand.

    They are no part of it: a folder that was copied alone has none, and neither has one whose sign-off was turned off.
    """
    return folder.parent / NAME / f"{folder.name}.parquet"


def _compare(check: Check, found: list[tables.Row], known: Manifest) -> None:
    check.expect(len(found) >= _PEOPLE, f"{len(found)} people approved, and {_PEOPLE} are needed")
    people = {row["person"] for row in found}
    check.expect(len(people) == len(found), "one person approved for two groups")
    for row in found:
        who = row["person"]
        check.expect(row["decision"] == _APPROVED, f"{who} decided {row['decision']!r}")
        check.expect(
            row["manifest_sha256"] == known.sha256, f"{who} approved the manifest {row['manifest_sha256']}, and this is another one"
        )
        check.expect(row["as_of"] == known.as_of, f"the approval of {who} is of another moment")
