"""Verifying a list of addresses, or the ownership table of a publication: which checks are made, and what follows from them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from assay_verify.findings import Findings, UnusableInputError
from assay_verify.ownership.journal import Journal, default_folder
from assay_verify.ownership.sources import Source, open_list
from assay_verify.ownership.tallies import Failure, Outcome, Tally
from assay_verify.ownership.totals import check_totals
from assay_verify.ownership.workers import check_all
from assay_verify.progress import Progress

SHOWN = 20
"""Rows that did not verify and are kept for people; the journal has all of them."""

_LISTED = 1_000
"""Lines with a wallet that is there twice, which are named; more are counted."""

_BAD = (Outcome.FAILED, Outcome.UNSUPPORTED, Outcome.EMPTY, Outcome.MALFORMED)


@dataclass
class VerifiedOwnership:
    """What a run found out.

    Attributes:
        path: The file.
        layout: What it is.
        sha256: Of the file.
        findings: All checks.
        tally: Rows by outcome, without their failures.
        first_failures: Those of the first rows that did not verify.
        resumed: How many rows an earlier run had checked.
        seconds: How long this one took.
        journal: Has every failure until it is closed.
    """

    path: Path
    layout: str
    sha256: str
    journal: Journal = field(repr=False)
    findings: Findings = field(default_factory=Findings)
    tally: Tally = field(default_factory=Tally)
    first_failures: list[Failure] = field(default_factory=list)
    resumed: int = 0
    seconds: float = 0.0

    def failures(self) -> Iterator[Failure]:
        """Yield every row that did not verify."""
        return self.journal.failures()

    def close(self) -> None:
        """Forget what was kept for a later run: this one came to its end."""
        self.journal.close(done=True)


def verify(
    path: Path,
    *,
    processes: int | None = None,
    resume: bool = False,
    state: Path | None = None,
    test_networks: bool = False,
    progress: Progress | None = None,
) -> VerifiedOwnership:
    """Check every statement of a list or of a publication.

    Args:
        path: A list, a table `address_ownership.parquet`, or the folder of a publication.
        processes: How many; one a core by default.
        resume: Go on where an earlier run on the same file was ended.
        state: Where that is kept; in the user's own folder by default.
        test_networks: Of a list: take addresses of test networks for what they are. Publications name their networks themselves.
        progress: Told how far it is.

    Raises:
        UnusableInputError: It is nothing of the kind.
        KeyboardInterrupt: What was checked is kept.
    """
    started = time.monotonic()
    findings = Findings()
    source = _open(path, findings, test_networks=test_networks)
    verified = VerifiedOwnership(path, source.name, source.subject["sha256"], Journal(state or default_folder(), source.subject), findings)
    try:
        with findings.check("ownership.file", "The file can be read to its end.") as check:
            _check(verified, source, processes=processes, resume=resume, progress=progress)
            check.expect(held=True, failure="")
    except BaseException:
        verified.journal.close(done=False)
        raise
    _conclude(verified, source)
    verified.seconds = time.monotonic() - started
    return verified


def _open(path: Path, findings: Findings, *, test_networks: bool) -> Source:
    if not path.exists():
        raise UnusableInputError(f"{path} does not exist", "Give a list of addresses, or the folder of a publication")
    if path.is_dir() or path.suffix == ".parquet":
        # pyarrow takes more memory and time to load than all the rest; lists in text need none of it.
        from assay_verify.ownership.published import open_published  # noqa: PLC0415

        return open_published(path, findings)
    return open_list(path, test_networks=test_networks)


def _check(verified: VerifiedOwnership, source: Source, *, processes: int | None, resume: bool, progress: Progress | None) -> None:
    journal, tally = verified.journal, verified.tally
    position, first = source.start, source.first
    if resume:
        for place, found in journal.resume(source.start):
            _take(verified, found)
            position, first = place.end, place.following
        verified.resumed = tally.rows
    else:
        journal.begin()
    wanted = 1 if source.small else processes or _cores()
    for place, found in check_all(source.pieces(position, first), source.check, processes=wanted):
        journal.append(place, found)
        _take(verified, found)
        if progress:
            done = (place.end - source.start) * 100 // max(1, source.end - source.start)
            progress(f"{done} %, {tally.rows:,} rows, {tally.count(*_BAD):,} of them not verified")
    if progress:
        progress.clear()


def _cores() -> int:
    # Those that this process may use, not those that the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _take(verified: VerifiedOwnership, found: Tally) -> None:
    verified.first_failures += found.failures[: SHOWN - len(verified.first_failures)]
    verified.tally.add(found)


def _conclude(verified: VerifiedOwnership, source: Source) -> None:
    findings, tally = verified.findings, verified.tally
    with findings.check("ownership.rows", "Every row can be read, and claims something that can be checked.") as check:
        check.compared = tally.rows
        for outcome, what in ((Outcome.MALFORMED, "cannot be read"), (Outcome.EMPTY, "are empty, or have no signature")):
            if count := tally.count(outcome):
                check.failures.append(f"{count:,} of {tally.rows:,} rows {what}")
    with findings.check("ownership.signatures", "Every text was signed with the key that its address stands for.") as check:
        check.compared = tally.count(Outcome.VERIFIED, Outcome.FAILED)
        if count := tally.count(Outcome.FAILED):
            check.failures.append(f"{count:,} of {check.compared:,} do not verify")
        unsupported, moved = tally.count(Outcome.UNSUPPORTED), tally.count(Outcome.MOVEMENT)
        if unsupported or moved:
            check.skip(f"{unsupported:,} rows are of schemes that cannot be checked here, {moved:,} rest on a transaction", accepted=False)
        elif not check.compared and tally.rows and tally.count(Outcome.NONE) == tally.rows:
            # Signatures are optional, and a publication says of each wallet whether there is one. Nothing claimed is no failed claim.
            check.skip(f"no proof is claimed for any of the {tally.rows:,} wallets", accepted=True)
        elif not check.compared:
            check.failures.append("nothing is signed")
    with findings.check("ownership.duplicates", "No wallet is listed twice.") as check:
        check.compared = tally.rows
        twice = tally.duplicates()
        check.failures += sorted(
            f"line {line:,} has the coin, network and address of line {first:,}" for line, first in islice(twice, _LISTED)
        )
        if more := sum(1 for _ in twice):
            check.failures.append(f"so have {more:,} more lines")
    if source.totals is not None:
        check_totals(findings, source.totals, tally.amounts)
