"""Showing what became of balances: plain words for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from assay_verify import __version__
from assay_verify.arithmetic import whole_units
from assay_verify.balances import VerifiedBalances
from assay_verify.findings import Exit
from assay_verify.tables import time_text
from assay_verify.terminal import check_lines, paint, sections
from assay_verify.verdicts import ChainRecord, Tally, Verdict

_PROVEN = {
    "evm": "an account's or a contract's storage entry stands, with exactly this balance, under the state root of the block whose hash is given",
    "bitcoin": "the listed transactions exist in blocks under the given one, and pay and spend so; not that no further one spends",
}


def as_json(verified: VerifiedBalances) -> str:
    """Return the outcome as a JSON document; amounts are texts of base units."""
    code = verified.findings.exit_code
    document: dict[str, Any] = {
        "verifier": __version__,
        "folder": str(verified.folder),
        "verdict": code.name.lower(),
        "exit_code": int(code),
        "manifest_sha256": verified.manifest.sha256 if verified.manifest else None,
        "checks": [{**vars(check), "held": check.held} for check in verified.findings.checks],
        "chains": [_chain_values(record) for record in verified.chains],
        "totals": {verdict.value: _total(verified, verdict) for verdict in Verdict},
        "reread": verified.reread,
        "seed": verified.seed,
        "proven": _proven(verified),
        "not_proven": _not_proven(verified),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_text(verified: VerifiedBalances) -> str:
    """Return the outcome for people."""
    lines = [_title(verified), ""]
    for record in verified.chains:
        lines += [*_chain_lines(record), ""]
    for check in verified.findings.checks:
        lines += check_lines(check)
    again = [*verified.reread, f"the samples were drawn with --seed {verified.seed}"] if verified.reread else []
    lines += sections(
        [
            ("What your own node said", again),
            ("What this proves", _proven(verified)),
            ("What this does not prove", _not_proven(verified)),
        ]
    )
    return "\n".join([*lines, "", _verdict(verified)])


def _title(verified: VerifiedBalances) -> str:
    if verified.manifest is None:
        return paint(f"Balances in {verified.folder}", "bold")
    values = verified.manifest.values
    return paint(f"Balances of {values['entity']}, {values['as_of']}, revision {values['revision']}", "bold") + (
        f"\nmanifest {verified.manifest.sha256}"
    )


def _chain_lines(record: ChainRecord) -> list[str]:
    block = record.block
    lines = [f"{paint(record.facts.name, 'bold')}  block {block['height']:,}  {block['hash']}  {time_text(block['time'])}"]
    lines += [f"  {asset:<8} {_tally_text(tally)}" for asset, tally in record.tallies.items()]
    lines += [f"    {count:,} not proven: {reason}" for reason, count in sorted(record.reasons.items())]
    if record.live and record.latest is not None:
        lines.append(f"    {record.live:,} were read live, from later states up to {time_text(record.latest)}")
    return lines + [f"    {note}" for note in record.notes]


def _tally_text(tally: Tally) -> str:
    parts = []
    for verdict, colour in ((Verdict.PROVEN, "ok"), (Verdict.ARCHIVED, "left out"), (Verdict.FAILED, "FAIL")):
        text = f"{verdict} {tally.counts[verdict]:>6,} ({whole_units(tally.amounts[verdict], tally.decimals)})"
        parts.append(paint(text, colour) if tally.counts[verdict] else text)
    return "   ".join(parts)


def _chain_values(record: ChainRecord) -> dict[str, Any]:
    return {
        "chain": record.facts.name,
        "family": record.facts.family,
        "height": record.block["height"],
        "hash": record.block["hash"],
        "time": time_text(record.block["time"]),
        "assets": {
            asset: {verdict.value: {"balances": tally.counts[verdict], "amount": str(tally.amounts[verdict])} for verdict in Verdict}
            | {"decimals": tally.decimals}
            for asset, tally in record.tallies.items()
        },
        "not_proven": dict(sorted(record.reasons.items())),
        "read_live": record.live,
        "notes": record.notes,
    }


def _proven(verified: VerifiedBalances) -> list[str]:
    said = []
    for family, meaning in _PROVEN.items():
        names = _names(record for record in verified.chains if record.facts.family == family and record.count(Verdict.PROVEN))
        if names:
            said.append(f"For what is called proven of {names}: that {meaning}.")
    if _total(verified, Verdict.ARCHIVED):
        said.append("For what is called archived: that the answer a balance refers to is there, unchanged. Not what the answer says.")
    return said


def _not_proven(verified: VerifiedBalances) -> list[str]:
    said = []
    if archived := _total(verified, Verdict.ARCHIVED):
        said.append(f"{archived:,} archived balances: they are the word of the sources that were asked.")
    if any(record.count(Verdict.PROVEN) for record in verified.chains):
        said.append(
            "That the blocks belong to the chains that everybody follows: compare their hashes with an explorer, or with a node of your own (--rpc)."
        )
    if any(record.facts.family == "bitcoin" and record.count(Verdict.PROVEN) for record in verified.chains):
        said.append("That no coin of the Bitcoin family was spent by a transaction that is not listed; a node of your own shows that.")
    live = sum(record.live for record in verified.chains)
    if live:
        said.append(f"That {live:,} balances were the same at the attested moment: they were read from later states.")
    return [*said, "Anything about sums, liabilities and the log: that is what `assay-verify publication` is for."]


def _verdict(verified: VerifiedBalances) -> str:
    code = verified.findings.exit_code
    counts = {verdict: _total(verified, verdict) for verdict in Verdict}
    numbers = f"{counts[Verdict.PROVEN]:,} proven, {counts[Verdict.ARCHIVED]:,} archived and not proven, {counts[Verdict.FAILED]:,} failed"
    if code is not Exit.HELD:
        return paint(f"These balances do not hold as asked for ({numbers}). Do not rely on them.", "FAIL")
    if not counts[Verdict.ARCHIVED]:
        return paint(f"Every balance is proven ({numbers}).", "ok")
    if not counts[Verdict.PROVEN]:
        return paint(f"Nothing contradicts the balances, and nothing proves them ({numbers}).", "left out")
    return paint(f"Every balance is proven, or rests on an archived answer as stated ({numbers}).", "ok")


def _total(verified: VerifiedBalances, verdict: Verdict) -> int:
    return sum(record.count(verdict) for record in verified.chains)


def _names(records: Iterable[ChainRecord]) -> str:
    return ", ".join(record.facts.name for record in records)
