"""The sign-off, read again before anything is published: who approved what, and when; and the table that says so beside the publications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay.config import Settings
from assay.errors import PublicationError
from assay.lake import replacing_file
from assay.warehouse.contracts import check_file, load_contracts

NAME = "approvals"
_AREA = "sign_off"
"""Of the coverage table: a row where nobody had to approve."""
_MOMENT = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        ("as_of", _MOMENT),
        ("group_number", pa.int32()),
        ("person", pa.string()),
        ("decision", pa.string()),
        ("decided_at", _MOMENT),
        ("manifest_sha256", pa.string()),
    ]
)


def check(settings: Settings, approvals: Sequence[Mapping[str, Any] | None], *, since: datetime, subject: str) -> None:
    """Read the approvals again: a refusal counts as a success in Airflow, and one from before `since` was for something else.

    Raises:
        PublicationError: An approval is missing, was refused, came from somebody else, or both came from one person.
    """
    if not settings.sign_off.required:
        return

    def fail(problem: str) -> PublicationError:
        return PublicationError(problem, subject=subject, next_step="clear the approval tasks and have both groups decide again")

    # A task that was skipped or timed out hands on nothing, or an answer without a person.
    people = [((approval or {}).get("responded_by_user") or {}).get("id") for approval in approvals]
    distinct = len(set(people) - {None})
    if len(people) != len(settings.sign_off.approvers) or distinct != len(settings.sign_off.approvers):
        raise fail(f"{distinct} of {len(settings.sign_off.approvers)} distinct people have decided")
    for approval, person, group in zip(approvals, people, settings.sign_off.approvers, strict=True):
        if approval is None or approval.get("chosen_options") != ["Approve"]:
            raise fail(f"{person} has not approved")
        if _moment(approval["responded_at"]) < since:
            raise fail(f"{person} has approved something that was staged before")
        if person not in group:
            raise fail(f"{person} is not one of {', '.join(group)}")


def check_stated(settings: Settings, staged: Path) -> None:
    """Hold the configuration in force against what was staged: only coverage tells a reader that nobody had to approve.

    Raises:
        PublicationError: The sign-off was turned on or off since, so that the publication would say something else than what was done.
    """
    areas = pq.read_table(staged / "tables" / "coverage.parquet", columns=["area"]).column("area").to_pylist()
    if (_AREA in areas) == settings.sign_off.required:
        raise PublicationError(
            f"sign_off was turned {'on' if settings.sign_off.required else 'off'} since it was staged, and its coverage says otherwise",
            subject=str(staged),
            next_step="run both snapshots for the moment again",
        )


def write(approvals: Sequence[Mapping[str, Any] | None], path: Path, *, as_of: datetime, manifest_sha256: str, contracts: Path) -> Path:
    """Write who approved a publication, when, and over which manifest, in a table beside the publications.

    It stands outside of the publication because people approve the manifest that is then published, byte for byte: what they said about it cannot be in it.

    Args:
        approvals: What Airflow's approval tasks returned, in the order of the groups; `check` has held them.
        path: The file to write.
        as_of: The attested moment.
        manifest_sha256: SHA-256 of the manifest that was shown and is published.
        contracts: Folder of the contracts.

    Raises:
        ContractError: A defect: the table breaks its contract.
    """
    rows = [
        {
            "as_of": as_of,
            "group_number": number,
            "person": str((approval or {})["responded_by_user"]["id"]),
            "decision": "approved",
            "decided_at": _moment((approval or {})["responded_at"]).astimezone(UTC),
            "manifest_sha256": manifest_sha256,
        }
        for number, approval in enumerate(approvals, 1)
    ]
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), temporary, compression="zstd")
        check_file(load_contracts(contracts)[NAME], temporary)
    return path


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
