"""What became of a user's proof."""

from __future__ import annotations

from dataclasses import dataclass, field

from assay_verify.findings import Findings


@dataclass(frozen=True)
class Holding:
    """One asset of a proof, in whole units.

    Attributes:
        asset: Symbol.
        own: What the proof says the user is owed.
        total: What it says all users are owed.
    """

    asset: str
    own: str
    total: str


@dataclass
class VerifiedProof:
    """What a run found out about one proof.

    Attributes:
        format: Its format, in a few words.
        findings: All checks.
        report: What the proof says it is of, line by line.
        holdings: Empty when something failed: what is shown there should not be believed.
        leaves: How many leaves the tree has, as far as the proof says it; None where the format doesn't.
        parts: How many of them are the user's.
        commitment: Hexadecimal; for other formats the hash of the root.
        proven: Sentences that the checks justify.
        not_proven: Sentences that nobody should take as shown.
        weaknesses: What the format itself lets through.
        notices: What the reader should know before relying on it.
    """

    format: str
    findings: Findings = field(default_factory=Findings)
    report: list[str] = field(default_factory=list)
    holdings: list[Holding] = field(default_factory=list)
    leaves: int | None = None
    parts: int = 0
    commitment: str = ""
    proven: list[str] = field(default_factory=list)
    not_proven: list[str] = field(default_factory=list)
    weaknesses: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
