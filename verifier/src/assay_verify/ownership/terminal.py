"""Showing what became of statements of ownership: plain words for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay_verify import __version__
from assay_verify.findings import Exit
from assay_verify.ownership.movement import SCHEME
from assay_verify.ownership.tallies import Age, Failure, Outcome
from assay_verify.terminal import check_lines, paint, sections

if TYPE_CHECKING:
    from assay_verify.ownership.verification import VerifiedOwnership

_COINS = 40
"""Lines of the table of coins; the rarer ones are counted together. `--json` has all of them."""

_OUTCOMES = {
    Outcome.VERIFIED: "verified",
    Outcome.FAILED: "failed",
    Outcome.UNSUPPORTED: "unsupported",
    Outcome.EMPTY: "empty",
    Outcome.MALFORMED: "malformed",
    Outcome.MOVEMENT: "by movement",
    Outcome.NONE: "not claimed",
}


def as_json(verified: VerifiedOwnership) -> Iterator[str]:
    """Yield a JSON document in pieces; every row that did not verify is in it, and there may be too many to hold at once."""
    code, tally = verified.findings.exit_code, verified.tally
    document: dict[str, Any] = {
        "verifier": __version__,
        "path": str(verified.path),
        "layout": verified.layout,
        "sha256": verified.sha256,
        "verdict": code.name.lower(),
        "exit_code": int(code),
        "rows": tally.rows,
        "resumed_rows": verified.resumed,
        "outcomes": {outcome.value: tally.count(outcome) for outcome in Outcome},
        "ages": {age.value: tally.age(age) for age in Age},
        "schemes": {name: dict(counts) for name, counts in sorted(tally.schemes.items())},
        "coins": {name: dict(counts) for name, counts in sorted(tally.coins.items())},
        "amounts": [
            {"coin": coin, "network": network, "amount": f"{amount:f}"} for (coin, network), amount in sorted(tally.amounts.items())
        ],
        "reports": [{"report": list(report), "rows": count} for report, count in tally.reports.items()],
        "notes": [{"note": note, "rows": count} for note, count in tally.notes.items()],
        "checks": [{**vars(check), "held": check.held} for check in verified.findings.checks],
        "proven": _proven(verified),
        "not_proven": _not_proven(verified),
    }
    yield json.dumps(document, indent=2, ensure_ascii=False).removesuffix("\n}") + ',\n  "failures": ['
    separator = "\n    "
    for failure in verified.failures():
        yield separator + json.dumps(failure._asdict(), ensure_ascii=False)
        separator = ",\n    "
    yield "\n  ]\n}\n"


def as_text(verified: VerifiedOwnership) -> str:
    """Return the outcome for people."""
    tally = verified.tally
    resumed = f", {verified.resumed:,} of them in an earlier run" if verified.resumed else ""
    lines = [
        paint(f"Ownership in {verified.path}", "bold") + f"  ({verified.layout})",
        f"SHA-256 {verified.sha256}",
        f"{tally.rows:,} rows{resumed}, {verified.seconds:,.1f} s",
        "",
        *_coin_lines(tally.coins),
        "",
        *_scheme_lines(tally.schemes),
    ]
    for check in verified.findings.checks:
        lines += check_lines(check)
    lines += sections(
        [
            (
                f"Rows that did not verify (the first {len(verified.first_failures)})",
                [_failure_text(one) for one in verified.first_failures],
            ),
            ("Note", _notices(verified)),
            ("What this proves", _proven(verified)),
            ("What this does not prove", _not_proven(verified)),
        ]
    )
    return "\n".join([*lines, "", _verdict(verified)]) + "\n"


def _coin_lines(coins: Mapping[str, Mapping[str, int]]) -> list[str]:
    shown = [outcome for outcome in _OUTCOMES if outcome is Outcome.VERIFIED or any(counts.get(outcome) for counts in coins.values())]
    ranked = sorted(coins.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    lines = [f"{'coin':<24}" + "".join(f"{_OUTCOMES[outcome]:>14}" for outcome in shown)]
    lines += [_counts_line(name or "(unreadable)", [counts.get(outcome, 0) for outcome in shown]) for name, counts in ranked[:_COINS]]
    if rest := ranked[_COINS:]:
        lines.append(_counts_line(f"({len(rest):,} more)", [sum(counts.get(outcome, 0) for _, counts in rest) for outcome in shown]))
    return lines


def _scheme_lines(schemes: Mapping[str, Mapping[str, int]]) -> list[str]:
    if not schemes:
        return []
    lines = [f"{'scheme':<24}{'fresh':>14}{'static':>14}"]
    lines += [_counts_line(name, [counts.get(age, 0) for age in Age]) for name, counts in sorted(schemes.items())]
    return [*lines, ""]


def _counts_line(name: str, counts: Sequence[int]) -> str:
    return f"{name[:23]:<24}" + "".join(f"{count:>14,}" for count in counts)


def _failure_text(failure: Failure) -> str:
    what = " ".join(part for part in (failure.coin, failure.address) if part)
    return f"line {failure.line:,}: {failure.outcome}{f', {what[:120]}' if what else ''}: {failure.reason[:300]}"


def _notices(verified: VerifiedOwnership) -> list[str]:
    tally = verified.tally
    said = []
    if static := tally.age(Age.STATIC):
        said.append(
            f"{static:,} statements are static: a text that names no report. Whoever holds such a signature can show it again in any "
            "later list, though the key was lost, sold or stolen since: control was proven once, at an unknown time."
        )
    for report, count in tally.reports.items():
        said.append(f"{count:,} statements were signed for a report: {', '.join(report)}.")
    said += [f"{count:,} statements: {note}." for note, count in tally.notes.items()]
    if not verified.journal.kept:
        said.append("What is checked could not be kept for --resume: the folder for it cannot be written to.")
    return said


def _proven(verified: VerifiedOwnership) -> list[str]:
    tally = verified.tally
    said = []
    moved = tally.schemes[SCHEME][Age.FRESH] if SCHEME in tally.schemes else 0
    if moved:
        said.append(
            f"For {moved:,} addresses: whoever holds the key sent an amount to itself that follows from the report, the address and a block, "
            "so not before that block."
        )
    if fresh := tally.age(Age.FRESH) - moved:
        said.append(
            f"For {fresh:,} addresses: whoever holds the key signed a text that names the report, the address and a block, so not before that block."
        )
    if static := tally.age(Age.STATIC):
        said.append(f"For {static:,} addresses: whoever held the key signed the text at some time.")
    return said


def _not_proven(verified: VerifiedOwnership) -> list[str]:
    tally = verified.tally
    said = ["That the addresses hold what the list says: that is what `assay-verify balances` is for, or a node of your own."]
    said.append("That the keys are the entity's own: another may have signed for it, for a fee or a favour.")
    if none := tally.count(Outcome.NONE):
        said.append(f"Anything about {none:,} wallets: no proof is claimed for them.")
    if moved := tally.count(Outcome.MOVEMENT):
        said.append(f"{moved:,} wallets by movement: their evidence is part of a publication; give its folder, not a table alone.")
    return said


def _verdict(verified: VerifiedOwnership) -> str:
    tally, code = verified.tally, verified.findings.exit_code
    parts = [
        f"{tally.count(outcome):,} {text}" for outcome, text in _OUTCOMES.items() if tally.count(outcome) or outcome is Outcome.VERIFIED
    ]
    numbers = ", ".join(parts)
    if code is Exit.HELD and tally.count(Outcome.NONE) == tally.rows:
        return paint(f"No proof of ownership is claimed for any of the {tally.rows:,} wallets, so there was none to check.", "ok")
    if code is Exit.HELD:
        return paint(f"Everything that was checked held ({numbers}).", "ok")
    if code is Exit.INCOMPLETE:
        return paint(f"Nothing failed, but not everything could be checked ({numbers}).", "left out")
    return paint(f"This list does not hold ({numbers}). Do not rely on it.", "FAIL")
