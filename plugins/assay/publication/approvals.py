"""The sign-off, read again before anything is published: who approved what, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from assay.config import Settings
from assay.errors import PublicationError


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


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
