"""What was checked, with which outcome: the record that the terminal and `--json` show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the program."""

    HELD = 0
    FAILED = 1
    UNUSABLE = 2
    INCOMPLETE = 3


class UnusableInputError(Exception):
    """What was given is not something that can be verified at all.

    Args:
        problem: What is wrong, without a full stop.
        next_step: What to try, without a full stop.
    """

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{problem}. {next_step}.")
        self.problem = problem
        self.next_step = next_step


class MalformedError(Exception):
    """Something inside the publication cannot be read as what it should be; its text says what."""


def require(held: bool, problem: str) -> None:  # noqa: FBT001 - it is the fact itself, not an option
    """Raise a MalformedError unless something holds."""
    if not held:
        raise MalformedError(problem)


@dataclass
class Check:
    """One claim and how it fared.

    Attributes:
        name: Short and stable, for programs.
        claim: A sentence that is true when the check held.
        compared: How many single facts were held against each other.
        failures: What contradicts the claim; empty when it held.
        left_out: Why it was not (wholly) checked; empty when it was.
        accepted: Whoever started the program asked for leaving it out.
    """

    name: str
    claim: str
    compared: int = 0
    failures: list[str] = field(default_factory=list)
    left_out: str = ""
    accepted: bool = False

    def expect(self, held: bool, failure: str) -> bool:  # noqa: FBT001 - it is the fact itself, not an option
        """Count one comparison and note the failure unless it held."""
        self.compared += 1
        if not held:
            self.failures.append(failure)
        return held

    def skip(self, reason: str, *, accepted: bool) -> None:
        """Note that the check was not made."""
        self.left_out, self.accepted = reason, accepted

    @property
    def held(self) -> bool:
        """Whether the claim was checked and nothing contradicts it. A check that compared nothing shows nothing."""
        return not self.failures and not self.left_out and self.compared > 0


@dataclass
class Findings:
    """All checks of a run, in the order in which they were made."""

    checks: list[Check] = field(default_factory=list)

    @contextmanager
    def check(self, name: str, claim: str) -> Iterator[Check]:
        """Make a check; malformed input inside the block is a failure of it, and so is having found nothing to compare."""
        made = Check(name, claim)
        self.checks.append(made)
        try:
            yield made
        except MalformedError as error:
            made.failures.append(str(error))
        if not made.compared and not made.failures and not made.left_out:
            made.failures.append("there was nothing to check; an empty publication proves nothing")

    def held(self, name: str) -> bool:
        """Tell whether every check of that name, or below it (`tables` covers `tables.rows`), was made and held."""
        found = [check for check in self.checks if check.name == name or check.name.startswith(f"{name}.")]
        return bool(found) and all(check.held for check in found)

    @property
    def exit_code(self) -> Exit:
        """The outcome of the run."""
        if not self.checks or any(check.failures for check in self.checks):
            return Exit.FAILED
        if any(check.left_out and not check.accepted for check in self.checks):
            return Exit.INCOMPLETE
        return Exit.HELD
