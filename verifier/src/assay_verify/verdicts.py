"""What became of each balance: proven, archived and not proven, or failed; counted by asset."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from assay_verify.facts import Chain
from assay_verify.findings import Check


class Verdict(StrEnum):
    """What a balance's evidence is worth."""

    PROVEN = "proven"
    ARCHIVED = "archived"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Balance:
    """A row of `wallet_balances`: what its check needs.

    Attributes:
        address: As published.
        asset: Symbol.
        decimals: Of the asset.
        amount: Base units.
        evidence: Digest of the line that it rests on.
        read_height: Where it was read from a later state: that state's height or sequence.
        read_time: The time of it.
    """

    address: str
    asset: str
    decimals: int
    amount: int
    evidence: bytes
    read_height: int | None
    read_time: datetime | None


@dataclass
class Tally:
    """Balances of one asset on one chain.

    Attributes:
        decimals: Of the asset.
        counts: By verdict.
        amounts: Base units by verdict.
    """

    decimals: int
    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    amounts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))


@dataclass
class ChainRecord:
    """What was found out about one chain's balances.

    Attributes:
        facts: What is published about the chain.
        block: Its row of `snapshot_blocks`.
        check: Receives failures.
        tallies: By asset.
        reasons: Why balances are not proven, with how many.
        notes: Further words about the chain's evidence.
        live: Balances that were read from a later state than the snapshot block's.
        latest: The latest of those states' times.
    """

    facts: Chain
    block: dict[str, Any]
    check: Check
    tallies: dict[str, Tally] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    live: int = 0
    latest: datetime | None = None
    _claimed: dict[str, set[Hashable]] = field(default_factory=lambda: defaultdict(set))

    def claim(self, balance: Balance, holder: Hashable) -> bool:
        """Note whose coins a balance counts, whatever way the address is written; False, and a failure, if they are counted twice."""
        known = self._claimed[balance.asset]
        if holder in known:
            self.failed(balance, "another row counts the same coins under another spelling of the address")
            return False
        known.add(holder)
        return True

    def compare(self, balance: Balance, amount: int, *, unproven: str = "") -> None:
        """Hold what the evidence shows against the table.

        Args:
            balance: The row.
            amount: What its evidence shows.
            unproven: Why that is no proof; empty where it is one.
        """
        if amount != balance.amount:
            self.failed(balance, f"its evidence shows {amount} base units and the table says {balance.amount}")
        elif unproven:
            self.archived(balance, unproven)
        else:
            self._count(balance, Verdict.PROVEN)

    def archived(self, balance: Balance, reason: str) -> None:
        """Note that a balance rests on an archived answer that proves nothing."""
        self.reasons[reason] += 1
        self._count(balance, Verdict.ARCHIVED)

    def failed(self, balance: Balance, problem: str) -> None:
        """Note that a balance does not hold."""
        self.check.failures.append(f"{self.facts.name} {balance.address} {balance.asset}: {problem}")
        self._count(balance, Verdict.FAILED)

    def _count(self, balance: Balance, verdict: Verdict) -> None:
        self.check.compared += 1
        tally = self.tallies.setdefault(balance.asset, Tally(balance.decimals))
        tally.counts[verdict] += 1
        tally.amounts[verdict] += balance.amount
        if balance.read_time is not None:
            self.live += 1
            self.latest = max(self.latest or balance.read_time, balance.read_time)

    def count(self, verdict: Verdict) -> int:
        """Return how many balances have a verdict."""
        return sum(tally.counts[verdict] for tally in self.tallies.values())
