"""Verifying one publication: which checks are made, in which order, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay_verify import approvals, commitment, deltas, evidence, log, manifest, reserves, stability, tables
from assay_verify.arithmetic import percent_text, whole_units
from assay_verify.findings import Check, Findings, UnusableInputError
from assay_verify.manifest import FOLDER_NAME, Manifest
from assay_verify.ownership import wallets
from assay_verify.tables import Row


@dataclass
class Verified:
    """What a run found out.

    Attributes:
        folder: The publication.
        findings: All checks.
        manifest: None when it could not be read.
        ratios: One line an asset, for the reader; only when the checks behind them held.
        proven: Sentences that the checks justify.
        not_proven: Sentences that nobody should take as shown.
        notices: What the reader should know before relying on it.
        coverage: The publication's own statement of what it leaves open.
    """

    folder: Path
    findings: Findings = field(default_factory=Findings)
    manifest: Manifest | None = None
    ratios: list[str] = field(default_factory=list)
    proven: list[str] = field(default_factory=list)
    not_proven: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    coverage: list[dict[str, Any]] = field(default_factory=list)


def verify(folder: Path, *, log_path: Path | None = None, without_log: bool = False, without_previous: bool = False) -> Verified:
    """Check a publication.

    Args:
        folder: The publication's folder.
        log_path: The series' log; `log.jsonl` beside the folder by default.
        without_log: Do without the log; that is said, and does not fail the run.
        without_previous: Do without the publication before; likewise.

    Raises:
        UnusableInputError: The folder is no publication.
    """
    folder = folder.resolve()
    require_publication(folder)
    verified = Verified(folder)
    findings = verified.findings
    with findings.check("manifest", "The manifest is in canonical form and of a format that this verifier knows.") as check:
        verified.manifest = manifest.read(folder)
        check.expect(held=True, failure="")
    if verified.manifest is None:
        return verified
    known = verified.manifest
    manifest.check_files(findings, folder, known)
    manifest.check_rows(findings, folder, known)
    _check_log(verified, known, log_path or folder.parent / log.FILE_NAME, given=log_path is not None, accepted=without_log)
    _check_tables(verified, known, without_previous=without_previous)
    _check_approvals(verified, known)
    _conclude(verified, known)
    return verified


def require_publication(folder: Path) -> None:
    """Make sure that a folder is that of a publication.

    Raises:
        UnusableInputError: It is not; the error names what to give instead, where that is near.
    """
    if not folder.exists():
        raise UnusableInputError(f"{folder} does not exist", "Give the folder of a publication, which is named like 2023-02-17T160000Z")
    if not folder.is_dir():
        raise UnusableInputError(f"{folder} is a file", "Give the folder of a publication; unpack it first if it is an archive")
    if (folder / manifest.FILE_NAME).is_file():
        return
    # Two levels: a series, and the folder of all series. Whatever else is given may be large.
    near = [path for pattern in ("*", "*/*") for path in folder.glob(f"{pattern}/{manifest.FILE_NAME}")]
    inside = sorted(path.parent.relative_to(folder).as_posix() for path in near)
    inside = [name for name in inside if FOLDER_NAME.fullmatch(Path(name).name)]
    if inside:
        raise UnusableInputError(
            f"{folder} holds publications and is none itself", f"Give one of them, the newest is {folder / inside[-1]}"
        )
    if not any(folder.iterdir()):
        raise UnusableInputError(f"{folder} is empty", "Nothing can be proven about nothing: download the publication again")
    raise UnusableInputError(
        f"{folder} has no {manifest.FILE_NAME}", "Give the folder of a publication, the one that holds manifest.json, tables and evidence"
    )


def _check_log(verified: Verified, known: Manifest, path: Path, *, given: bool, accepted: bool) -> None:
    if accepted and not given:
        with verified.findings.check("log", "The publication is in the append-only log of its series.") as check:
            check.skip("left out as asked for (--no-log)", accepted=True)
        return
    if not path.is_file():
        with verified.findings.check("log", "The publication is in the append-only log of its series.") as check:
            check.skip(f"there is no log at {path}; name it with --log, or do without it with --no-log", accepted=False)
        return
    own = log.check(verified.findings, path, known)
    if own and own.values["folder"] != verified.folder.name:
        verified.notices.append(f"The log calls this folder {own.values['folder']}, here it is named {verified.folder.name}.")
    if verified.findings.held("log") and (newer := log.corrected_by(path, known)):
        verified.notices.append(f"This publication was corrected since: {newer} takes its place.")


def _check_tables(verified: Verified, known: Manifest, *, without_previous: bool) -> None:
    findings, folder = verified.findings, verified.folder
    reserves.check_moment(findings, folder, known)
    blocks = reserves.check_blocks(findings, folder, known)
    holdings = reserves.check_wallets(findings, folder, blocks)
    wallets.check_wallets(findings, folder, known)
    stability.check(findings, folder, known, blocks, holdings)
    ratios = reserves.check_ratios(findings, folder, holdings)
    reserves.check_decimals(findings, folder, ratios)
    commitment.check(findings, folder, known, ratios)
    deltas.check_deposits(findings, folder, ratios)
    deltas.check_reserves(findings, folder, holdings)
    unexplained = deltas.check_reconciliation(findings, folder, ratios)
    deltas.check_previous(findings, folder, known, accepted=without_previous)
    _check_coverage(verified)
    evidence.check_facts(findings, folder, known, blocks)
    answers = evidence.check(findings, folder, known, holdings.references)
    if findings.held("tables"):
        verified.ratios = [_ratio_line(row) for row in ratios]
        decimals = {row["asset"]: row["decimals"] for row in ratios}
        verified.notices += [
            f"{row['asset']} is not fully covered: short by {whole_units(-row['surplus'], row['decimals'])}."
            for row in ratios
            if not row["fully_backed"]
        ]
        verified.notices += [
            f"{asset}: the ledger's flows leave {whole_units(amount, decimals[asset])} unexplained."
            for asset, amount in sorted(unexplained.items())
        ]
        verified.not_proven.append(_ownership(holdings))
        verified.not_proven.append(
            f"That the {answers:,} archived answers say what the tables say: only that each balance refers to one of them. "
            "`assay-verify balances` looks into them."
        )


def _check_approvals(verified: Verified, known: Manifest) -> None:
    path = approvals.path_of(verified.folder)
    if not path.is_file():
        verified.not_proven.append(f"That two people approved it: there is no {approvals.NAME}/{path.name} beside it.")
        return
    for row in approvals.check(verified.findings, verified.folder, known):
        verified.notices.append(
            f"{row['person']} approved this manifest at {tables.time_text(row['decided_at'])}, as the table beside it says."
        )


def _check_coverage(verified: Verified) -> None:
    with verified.findings.check("tables.coverage", "The publication says what it does not cover.") as check:
        for row in tables.read(verified.folder / "tables" / "coverage.parquet", "coverage"):
            check.expect(
                row["severity"] in {"info", "warning"} and bool(row["description"].strip()),
                f"{row['item']}: unknown severity or no description",
            )
            verified.coverage.append({key: row[key] for key in ("item", "area", "severity", "count", "description")})
    verified.coverage.sort(key=lambda item: item["severity"] != "warning")


def _conclude(verified: Verified, known: Manifest) -> None:
    """Say in sentences what the checks justify, and what no check here can."""
    findings = verified.findings
    statements = [
        (
            "files",
            "These are, byte for byte, the files that the manifest lists; the manifest names nothing else, and nothing else is there.",
        ),
        (
            "log",
            "The log holds this very manifest, and no line of it was changed, removed or inserted since it was written, as far as the log itself can tell.",
        ),
        (
            "tables",
            "The figures follow from the single wallet balances and the stated liabilities by exact arithmetic: sums, ratios, changes, roll-forward.",
        ),
        (
            "previous",
            "The figures called previous are those of the publication before."
            if known.values["previous"]
            else "This is the first publication of its series; nothing in it claims a past.",
        ),
        ("evidence", "For every balance there is an archived answer of a source of its chain in this folder."),
    ]
    verified.proven = [sentence for name, sentence in statements if findings.held(name)]
    verified.not_proven += [
        (
            "That the liabilities are complete: they are the entity's own statement. Each user can check that the own balance is in the total, with a "
            "proof file and `assay-verify inclusion`; `assay-verify tree` adds up the whole tree."
        ),
        "That the sources told the truth: read balances from a node of your own at the snapshot blocks.",
        "Who published this: there is no signature. Whoever can replace both folder and log can replace everything; keep a copy of the log.",
        "That report.html and the CSV files show the tables' figures: only that they are the listed files.",
        "Anything about other moments than the attested one, or about borrowed assets and debts outside the ledger.",
    ]
    verified.not_proven += [f"{_decapitalised(check)} ({check.left_out})." for check in findings.checks if check.left_out]


def _decapitalised(check: Check) -> str:
    return "That " + check.claim[0].lower() + check.claim[1:].rstrip(".")


def _ownership(holdings: reserves.Holdings) -> str:
    proven = sum(count for status, count in holdings.statuses.items() if status in reserves.PROVEN)
    if not proven:
        return f"That the entity controls the wallets: none of the {holdings.balances:,} balances comes with a proof of ownership."
    return (
        f"That the entity controls the wallets: {proven:,} of {holdings.balances:,} balances are said to be proven, and the signatures are checked by "
        "`assay-verify ownership` alone."
    )


def _ratio_line(row: Row) -> str:
    held, owed = whole_units(row["reserves"], row["decimals"]), whole_units(row["liabilities_gross"], row["decimals"])
    return f"{row['asset']}: {percent_text(row['reserves'], row['liabilities_gross'])}, {held} held and {owed} owed"
