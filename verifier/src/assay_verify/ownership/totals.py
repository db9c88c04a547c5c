"""The totals that a list states, held against the sums of its rows, as exact decimals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from assay_verify.findings import Findings
from assay_verify.ownership.lists import EXACT, Total


def check_totals(findings: Findings, totals: Sequence[Total], amounts: Mapping[tuple[str, str], Decimal]) -> None:
    """Hold totals against rows.

    A total with a height is that of a coin as the rows name it, or of a coin and a network joined by `-`; one over all networks
    is that of the coin and of all that is called by it and a `-`: USDT, USDT-TRC20.

    Args:
        findings: Receives the outcome.
        totals: What is stated.
        amounts: Sums of the rows by coin and network.
    """
    with findings.check("ownership.totals", "Each total is the exact sum of its rows, and each row is in a total.") as check:
        if not totals:
            check.skip("the list states no totals", accepted=False)
            return
        covered: set[tuple[str, str]] = set()
        seen: set[tuple[str, bool]] = set()
        for total in totals:
            check.expect((total.label, total.everywhere) not in seen, f"line {total.line}: {total.label} is there twice")
            seen.add((total.label, total.everywhere))
            parts = [where for where in amounts if _belongs(total, *where)]
            covered.update(parts)
            found = Decimal(0)
            for where in parts:
                found = EXACT.add(found, amounts[where])
            check.expect(
                found == total.amount, f"line {total.line}: {total.label} is said to be {total.amount:f}, and its rows come to {found:f}"
            )
        for coin, network in sorted(amounts.keys() - covered):
            check.expect(held=False, failure=f"{coin} on {network} has rows, and no total names it")


def _belongs(total: Total, coin: str, network: str) -> bool:
    if coin == total.label:
        return True
    return coin.startswith(f"{total.label}-") if total.everywhere else f"{coin}-{network}" == total.label
