"""All checks of `assay doctor`, and what they found at a terminal."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

from rich.console import Console

from assay.config import Settings
from assay.doctor import airflow, configuration, ledger, machine, sources
from assay.doctor.at_once import at_once
from assay.doctor.findings import Check, Finding, Level, Patient, failed, refused, skipped
from assay.errors import AssayError
from assay.lake import format_as_of

CHECKS: tuple[tuple[str, Check], ...] = (
    ("configuration", configuration.check),
    ("sources", sources.check),
    ("ledger", ledger.check),
    ("Airflow", airflow.check),
    ("machine", machine.check),
)
"""What is looked at, in the order in which it is said."""
SECONDS = 60.0
"""For all checks together."""
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "bold red", Level.SKIPPED: "dim"}
_WIDTH = max(map(len, Level))


def visit(patient: Patient) -> Iterator[Finding]:
    """Yield what each check found, one subject after another, though all look at the same time; an error ends its own check alone."""
    looks = [partial(_look, patient, subject, check) for subject, check in CHECKS]
    for (subject, _), found in zip(CHECKS, at_once(looks, seconds=SECONDS), strict=True):
        yield from [skipped(subject, f"looking at it has not ended within {SECONDS:.0f} s")] if found is None else found


def _look(patient: Patient, subject: str, check: Check) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(check(patient))
    except AssayError as error:
        found.append(refused(subject, error))
    except Exception as error:  # noqa: BLE001  (one check that breaks off must not take the others' findings along)
        words = f"the check itself broke off ({type(error).__name__}: {error}), so what it looks at is not known"
        found.append(failed(subject, words, "read the words in brackets; if they are of no help, report this as a defect of assay doctor"))
    return found


def last_moment(settings: Settings) -> datetime:
    """Return the last time of the schedule, which is what the next run would attest to.

    Raises:
        ConfigError: The schedule names no time.
    """
    from croniter import croniter

    from assay.registry import check_schedule

    check_schedule(settings.schedule, subject=str(settings.path))
    last: datetime = croniter(settings.schedule, datetime.now(UTC)).get_prev(datetime)
    return last


def doctor(
    settings: Settings,
    console: Console,
    *,
    as_of: datetime | None,
    url: str | None,
    as_json: bool,
    connect: Callable[[str], str],
    secret_of: Callable[[str], bytes],
) -> int:
    """Print what was found; return 1 where a run could not work, else 0."""
    moment = as_of or last_moment(settings)
    patient = Patient(settings=settings, as_of=moment, url=url, connect=connect, secret_of=secret_of)
    if as_json:
        found = list(visit(patient))
        sys.stdout.write(json.dumps({"as_of": format_as_of(moment), "findings": [asdict(item) for item in found]}, indent=1) + "\n")
    else:
        console.print(f"for {format_as_of(moment)}{'' if as_of else ', the last time of the schedule'}:")
        found = [_said(item, console) for item in visit(patient)]
        console.print(_verdict(found))
    return int(any(item.level is Level.FAILED for item in found))


def _said(finding: Finding, console: Console) -> Finding:
    width = console.width if console.is_terminal else 10**6
    console.print(f"{finding.level:<{_WIDTH}}", style=_STYLES[finding.level], end="  ")
    text = f"{finding.subject}: {finding.words}"
    indent = " " * (_WIDTH + 2)
    lines = textwrap.wrap(text, width - _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    if finding.next_step:
        lines += textwrap.wrap(f"→ {finding.next_step}", width - _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    console.print(f"\n{indent}".join(lines), markup=False, soft_wrap=True)
    return finding


def _verdict(found: list[Finding]) -> str:
    bad, unknown = (sum(item.level is level for item in found) for level in (Level.FAILED, Level.SKIPPED))
    if bad:
        return f"A run could not work: {bad} {'thing' if bad == 1 else 'things'} to mend."
    return (
        f"Nothing was found that would stop a run; {unknown} {'thing was' if unknown == 1 else 'things were'} not checked."
        if unknown
        else "A run can work."
    )
