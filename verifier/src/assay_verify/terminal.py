"""Showing the outcome: plain words for people, JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from assay_verify import __version__
from assay_verify.findings import Check, Exit

if TYPE_CHECKING:
    from assay_verify.publication import Verified

SHOWN_FAILURES = 5
"""Failures printed for one check; the rest is counted. `--json` has all of them."""

_COLOURS = {"ok": "32", "FAIL": "1;31", "left out": "33", "warning": "33", "bold": "1", "dim": "2"}
_VERDICTS = {
    Exit.HELD: "Everything that was checked held",
    Exit.FAILED: "This publication does not hold. Do not rely on it",
    Exit.INCOMPLETE: "Nothing failed, but not everything could be checked",
}


def as_json(verified: Verified) -> str:
    """Return the outcome as a JSON document."""
    code = verified.findings.exit_code
    values = verified.manifest.values if verified.manifest else {}
    document: dict[str, Any] = {
        "verifier": __version__,
        "folder": str(verified.folder),
        "verdict": code.name.lower(),
        "exit_code": int(code),
        "publication": {key: values.get(key) for key in ("entity", "series", "as_of", "revision")} if values else None,
        "manifest_sha256": verified.manifest.sha256 if verified.manifest else None,
        "checks": [{**vars(check), "held": check.held} for check in verified.findings.checks],
        "ratios": verified.ratios,
        "notices": verified.notices,
        "proven": verified.proven,
        "not_proven": verified.not_proven,
        "coverage": verified.coverage,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_text(verified: Verified) -> str:
    """Return the outcome for people."""
    lines = [_title(verified), ""]
    for check in verified.findings.checks:
        lines += check_lines(check)
    lines += sections(
        [
            ("Ratios (reserves ÷ gross liabilities, rounded down)", verified.ratios),
            ("Note", verified.notices),
            ("What this proves", verified.proven),
            ("What this does not prove", verified.not_proven),
        ]
    )
    if verified.coverage:
        warnings = sum(item["severity"] == "warning" for item in verified.coverage)
        lines += [
            "",
            paint(f"What the publication itself leaves open ({len(verified.coverage)} items, {warnings} of them warnings)", "bold"),
        ]
        lines += [_wrap(_coverage_text(item), "  - ") for item in verified.coverage]
    return "\n".join([*lines, "", _verdict(verified)])


def _title(verified: Verified) -> str:
    if verified.manifest is None:
        return paint(f"Publication in {verified.folder}", "bold")
    values = verified.manifest.values
    return paint(f"{values['entity']}, {values['as_of']}, revision {values['revision']}", "bold") + f"\nmanifest {verified.manifest.sha256}"


def sections(headed: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """Return lines for sentences under headings; a heading without sentences is left out."""
    lines: list[str] = []
    for heading, sentences in headed:
        if sentences:
            lines += ["", paint(heading, "bold"), *(_wrap(sentence, "  - ") for sentence in sentences)]
    return lines


def check_lines(check: Check) -> list[str]:
    """Return the lines of one check: outcome, claim, and the first failures."""
    state = "FAIL" if check.failures else "left out" if check.left_out else "ok"
    count = f" ({check.compared:,} compared)" if check.compared and state == "ok" else ""
    lines = [_wrap(check.claim + count, paint(f"{state:>8}", state) + "  ", indent=10)]
    lines += [_wrap(failure, "          - ", indent=12) for failure in check.failures[:SHOWN_FAILURES]]
    if len(check.failures) > SHOWN_FAILURES:
        lines.append(f"          - and {len(check.failures) - SHOWN_FAILURES:,} more")
    if check.left_out:
        lines.append(_wrap(check.left_out, "          - ", indent=12))
    return lines


def _coverage_text(item: dict[str, Any]) -> str:
    count = "" if item["count"] is None else f" ({item['count']:,})"
    return f"{paint(item['severity'], item['severity'])} · {item['area']}: {item['description']}{count}"


def _verdict(verified: Verified) -> str:
    checks, code = verified.findings.checks, verified.findings.exit_code
    compared, failed = sum(check.compared for check in checks), sum(bool(check.failures) for check in checks)
    left_out = sum(bool(check.left_out) for check in checks)
    counts = f"{len(checks)} checks, {compared:,} comparisons, {failed} failed, {left_out} left out"
    return paint(f"{_VERDICTS[code]} ({counts}).", {Exit.HELD: "ok", Exit.FAILED: "FAIL"}.get(code, "left out"))


def _wrap(text: str, first: str, *, indent: int = 4) -> str:
    width = max(60, min(shutil.get_terminal_size((110, 24)).columns, 120))
    # The first prefix may hold colour codes, so its width is given rather than measured.
    wrapped = textwrap.wrap(text, width - indent, break_long_words=False, break_on_hyphens=False) or [""]
    return first + f"\n{' ' * indent}".join(wrapped)


def paint(text: str, name: str) -> str:
    """Return the text in a colour where the output is a terminal that wants colours."""
    if name not in _COLOURS or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m"
