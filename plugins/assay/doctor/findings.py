"""What a check found, in a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from assay.config import Settings
from assay.errors import AssayError


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "not checked"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line.

    Attributes:
        subject: What was looked at.
        level: How it ended.
        words: What was found.
        next_step: What to do about it; empty where nothing is to be done.
    """

    subject: str
    level: Level
    words: str
    next_step: str = ""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is looked at.

    Attributes:
        settings: The configuration.
        as_of: The moment that would be attested.
        url: Airflow's API server; None for the environment's.
        connect: Gives the address of a Connection.
        secret_of: Gives the secret of a Connection.
    """

    settings: Settings
    as_of: datetime
    url: str | None
    connect: Callable[[str], str]
    secret_of: Callable[[str], bytes]


Check = Callable[[Patient], Iterator[Finding]]
"""Looks at one thing and yields what it found; an `AssayError` that it lets go becomes a finding of its own."""


def ok(subject: str, words: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(subject=subject, level=Level.OK, words=words)


def warning(subject: str, words: str, next_step: str) -> Finding:
    """Return a finding that a run can go on with."""
    return Finding(subject=subject, level=Level.WARNING, words=words, next_step=next_step)


def failed(subject: str, words: str, next_step: str) -> Finding:
    """Return a finding that no run could work with."""
    return Finding(subject=subject, level=Level.FAILED, words=words, next_step=next_step)


def skipped(subject: str, why: str) -> Finding:
    """Return a finding that says why nothing was looked at."""
    return Finding(subject=subject, level=Level.SKIPPED, words=why)


def refused(subject: str, error: AssayError) -> Finding:
    """Return what an error says, as a finding."""
    return failed(subject, f"{error.subject}: {error.problem}", error.next_step)


@contextmanager
def noting(found: list[Finding], subject: str) -> Iterator[None]:
    """Note an error of the block as a finding, and go on behind it."""
    try:
        yield
    except AssayError as error:
        found.append(refused(subject, error))
