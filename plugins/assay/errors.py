"""Every error that Assay raises on purpose.

An error names the thing it is about and the next step, so that whoever reads it in a task log or at a terminal can
act on it. `RETRYABLE` says whether the same call may succeed later; Airflow's retry policy reads it (`dags/` hold no
other retry rule, and no client retries by itself: there is one layer of retries).
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class AssayError(Exception):
    """Something that stops an attestation, said in one sentence.

    Args:
        problem: What is wrong, without a full stop.
        subject: The thing it is about: a file and row, a source, a chain and address, a table.
        next_step: What the reader can do about it, without a full stop.
    """

    RETRYABLE: ClassVar[bool] = False

    def __init__(self, problem: str, *, subject: str, next_step: str) -> None:
        super().__init__(problem, subject, next_step)
        self.problem = problem
        self.subject = subject
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}. Next step: {self.next_step}."

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling, and Airflow passes errors between processes.
        return (_rebuild, (type(self), self.problem, self.subject, self.next_step))


def _rebuild(kind: type[AssayError], problem: str, subject: str, next_step: str) -> AssayError:
    return kind(problem, subject=subject, next_step=next_step)


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """Return a question that names the known word most like a misspelt one; nothing where none is like it."""
    by_lower = {word.lower(): word for word in known}
    close = get_close_matches(text.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""


class ConfigError(AssayError):
    """The configuration file is missing, malformed or contradicts itself."""


class RegistryError(AssayError):
    """An asset, chain or wallet in the registry is unknown, duplicated or malformed."""


class AmountError(AssayError):
    """A number is not an exact amount of base units of at most 38 digits."""


class SourceUnavailableError(AssayError):
    """A source did not answer in full: refused, timed out, throttled or cut off. The same call may succeed later."""

    RETRYABLE = True


class SourceBehindError(SourceUnavailableError):
    """A source's final blocks do not pass `as_of` yet. Time alone mends it, and it may take an hour."""


class SourceMismatchError(AssayError):
    """A source answered, and the answer cannot be right: wrong network, disagreement, reorganisation, false evidence."""


class EvidenceError(AssayError):
    """Archived evidence is missing, altered, or contradicts what was published on it."""


class OwnershipError(AssayError):
    """A statement of ownership is malformed, or does not hold."""


class LedgerError(AssayError):
    """The ledger's rows break the rules of a liability snapshot or differ from its own control totals."""


class CommitmentError(AssayError):
    """A liability tree cannot be built, is not whole, or contradicts the liabilities or its own index."""


class UnknownUserError(CommitmentError):
    """A liability tree has no leaf of this user."""


class PriceError(AssayError):
    """A price is missing, stale, or two sources differ by more than the tolerance."""


class QualityError(AssayError):
    """A critical expectation failed on a dataset."""


class QualityCrashError(AssayError):
    """An expectation could not be evaluated at all, so nothing is known about the dataset."""


class ContractError(AssayError):
    """A table does not have the columns, types, nullability or key that its contract promises."""


class SnapshotPendingError(AssayError):
    """The snapshots of a moment do not belong together yet: one of them is under way or still to be repeated."""

    RETRYABLE = True


class ComputationError(AssayError):
    """A computed table contradicts another table or itself."""


class PublicationError(AssayError):
    """A publication could not be put in place, or contradicts one that is already in the log."""
