"""Showing what became of a user's proof, or of a whole tree: plain words for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay_verify import __version__
from assay_verify.findings import Exit, Findings
from assay_verify.sum_tree.verified import VerifiedProof
from assay_verify.terminal import check_lines, paint, sections

if TYPE_CHECKING:
    from assay_verify.sum_tree.tree import VerifiedTree

_PROOF_VERDICTS = {
    Exit.HELD: "The proof holds",
    Exit.FAILED: "This proof does not hold. Do not rely on it, and ask the custodian",
    Exit.INCOMPLETE: "Nothing failed, but not everything could be checked",
}
_TREE_VERDICTS = {
    Exit.HELD: "The tree holds",
    Exit.FAILED: "This tree does not hold. Do not rely on it",
    Exit.INCOMPLETE: "Nothing failed, but not everything could be checked",
}


def proof_as_json(verified: VerifiedProof, path: Path) -> str:
    """Return the outcome of a proof as a JSON document."""
    return _document(
        {
            "file": str(path),
            "format": verified.format,
            "report": verified.report,
            "holdings": [vars(holding) for holding in verified.holdings],
            "leaf_count": verified.leaves,
            "parts": verified.parts,
            "commitment": verified.commitment,
            "weaknesses": verified.weaknesses,
            "notices": verified.notices,
        },
        verified,
    )


def proof_as_text(verified: VerifiedProof, path: Path) -> str:
    """Return the outcome of a proof for people."""
    lines = [paint(f"Proof in {path}", "bold"), verified.format]
    lines += [", ".join(verified.report)] if verified.report else []
    lines += [_counts(verified), ""] if verified.parts else [""]
    lines += _holding_lines(verified)
    for check in verified.findings.checks:
        lines += check_lines(check)
    lines += sections(
        [
            ("Note", verified.notices),
            ("What this proves", verified.proven),
            ("Weaknesses of this format, which the proof cannot make up for", verified.weaknesses),
            ("What this does not prove", verified.not_proven),
        ]
    )
    return "\n".join([*lines, "", _verdict(verified.findings, _PROOF_VERDICTS, weak=bool(verified.weaknesses))])


def tree_as_json(verified: VerifiedTree) -> str:
    """Return the outcome of a tree as a JSON document."""
    return _document(
        {
            "folder": str(verified.folder),
            "report": verified.report,
            "totals": [{"asset": asset, "total": total} for asset, total in verified.totals],
            "leaf_count": verified.leaves,
            "node_count": verified.nodes,
            "commitment": verified.commitment,
            "seconds": round(verified.seconds, 3),
            "notices": verified.notices,
        },
        verified,
    )


def tree_as_text(verified: VerifiedTree) -> str:
    """Return the outcome of a tree for people."""
    lines = [paint(f"Liability tree in {verified.folder}", "bold")]
    lines += [", ".join(verified.report)] if verified.report else []
    if verified.commitment:
        lines += [
            f"{verified.leaves:,} leaves, {verified.nodes:,} nodes above them, {verified.seconds:,.1f} s",
            f"commitment {verified.commitment}",
        ]
    lines.append("")
    if verified.totals:
        lines += [*_table(("asset", "owed in total"), verified.totals), ""]
    for check in verified.findings.checks:
        lines += check_lines(check)
    lines += sections(
        [("Note", verified.notices), ("What this proves", verified.proven), ("What this does not prove", verified.not_proven)]
    )
    return "\n".join([*lines, "", _verdict(verified.findings, _TREE_VERDICTS)])


def _document(members: dict[str, Any], verified: VerifiedProof | VerifiedTree) -> str:
    code = verified.findings.exit_code
    document = {
        "verifier": __version__,
        "verdict": code.name.lower(),
        "exit_code": int(code),
        **members,
        "checks": [{**vars(check), "held": check.held} for check in verified.findings.checks],
        "proven": verified.proven,
        "not_proven": verified.not_proven,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _counts(verified: VerifiedProof) -> str:
    leaves = f" of {verified.leaves:,}" if verified.leaves is not None else ""
    return f"{verified.parts:,}{leaves} leaves\n{'root' if verified.weaknesses else 'commitment'} {verified.commitment}"


def _holding_lines(verified: VerifiedProof) -> list[str]:
    if not verified.holdings:
        return []
    rows = [(holding.asset, holding.own, holding.total) for holding in verified.holdings]
    return [*_table(("asset", "yours", "owed to all users"), rows), ""]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in [header, *rows]) for at in range(len(header))]
    return [
        "  ".join(cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in [header, *rows]
    ]


def _verdict(findings: Findings, verdicts: dict[Exit, str], *, weak: bool = False) -> str:
    checks, code = findings.checks, findings.exit_code
    compared, failed = sum(check.compared for check in checks), sum(bool(check.failures) for check in checks)
    left_out = sum(bool(check.left_out) for check in checks)
    said = verdicts[code] + (" by the rules of its format, which have weaknesses" if weak and code is Exit.HELD else "")
    counts = f"{len(checks)} checks, {compared:,} comparisons, {failed} failed, {left_out} left out"
    return paint(f"{said} ({counts}).", {Exit.HELD: "ok", Exit.FAILED: "FAIL"}.get(code, "left out"))
