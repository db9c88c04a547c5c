"""What became of the rows of a list: counted by coin and by scheme, with each failure."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from assay_verify.findings import UnusableInputError
from assay_verify.ownership.lists import EXACT

SHOWN_KINDS = 200
"""Different notes and reports that are told apart; what comes later is counted together."""

_MOST_COINS = 10_000
_KEY, _LINE = 16, 5
_RECORD = _KEY + _LINE
_OTHERS = "others"


class Outcome(StrEnum):
    """What a row came to."""

    VERIFIED = "verified"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"
    EMPTY = "empty"
    MALFORMED = "malformed"
    MOVEMENT = "movement"
    NONE = "none"


class Age(StrEnum):
    """What a verified text says about when it was signed."""

    FRESH = "fresh"
    STATIC = "static"


class Failure(NamedTuple):
    """A row that did not verify.

    Attributes:
        line: Its number in the file, from 1; of a table the row's.
        coin: As given; empty where the row could not be read.
        network: Likewise.
        address: Likewise.
        outcome: Failed, unsupported, empty or malformed.
        reason: In words.
    """

    line: int
    coin: str
    network: str
    address: str
    outcome: str
    reason: str


@dataclass
class Tally:
    """Rows of a list, or of a piece of it.

    Attributes:
        rows: How many.
        coins: By coin: rows by outcome.
        schemes: By scheme: verified rows by age.
        amounts: Whole units by coin and network, as the rows state them.
        reports: Verified fresh rows by the report that they were signed for: entity, series, moment.
        notes: Verified rows by what must be known to rely on them.
        failures: What did not verify.
    """

    rows: int = 0
    coins: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    schemes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    amounts: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    reports: Counter[tuple[str, ...]] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    _keys: bytearray = field(default_factory=bytearray)

    def meet(self, line: int, coin: str, network: str, address: str) -> None:
        """Note that a line is about a wallet."""
        # Hexadecimal and bech32 addresses mean the same in either case, so another case makes no other wallet.
        folded = address.lower() if address.startswith(("0x", "0X")) or address.isupper() else address
        key = hashlib.blake2b(f"{coin}\0{network}\0{folded}".encode(), digest_size=_KEY).digest()
        self._keys += key + line.to_bytes(_LINE, "big")

    def fail(self, failure: Failure) -> None:
        """Count a row that did not verify."""
        self.rows += 1
        self.coins[failure.coin][failure.outcome] += 1
        self.failures.append(failure)

    def succeed(self, coin: str, outcome: Outcome) -> None:
        """Count a row that did, or that claims nothing."""
        self.rows += 1
        self.coins[coin][outcome] += 1

    def count(self, *outcomes: Outcome) -> int:
        """Return how many rows came to one of these."""
        return sum(counts[outcome] for counts in self.coins.values() for outcome in outcomes)

    def age(self, age: Age) -> int:
        """Return how many verified rows are of this age."""
        return sum(counts[age] for counts in self.schemes.values())

    def add(self, other: Tally) -> None:
        """Take in the rows of another piece, without its failures, which may be too many to keep.

        Raises:
            UnusableInputError: There are more coins than any list has.
        """
        self.rows += other.rows
        for own, others in ((self.coins, other.coins), (self.schemes, other.schemes)):
            for name, counts in others.items():
                own[name].update(counts)
        for where, amount in other.amounts.items():
            self.amounts[where] = EXACT.add(self.amounts[where], amount)
        if max(len(self.coins), len(self.amounts)) > _MOST_COINS:
            raise UnusableInputError(f"The list has more than {_MOST_COINS:,} coins", "Give a list of addresses")
        _add_few(self.reports, other.reports, (_OTHERS,))
        _add_few(self.notes, other.notes, _OTHERS)
        self._keys += other._keys

    def duplicates(self) -> Iterator[tuple[int, int]]:
        """Yield the lines of a wallet that an earlier line has, each with that line."""
        view = bytes(self._keys)
        records = sorted(view[start : start + _RECORD] for start in range(0, len(view), _RECORD))
        first = b""
        for record in records:
            if first[:_KEY] == record[:_KEY]:
                yield int.from_bytes(record[_KEY:], "big"), int.from_bytes(first[_KEY:], "big")
            else:
                first = record

    def to_values(self) -> dict[str, Any]:
        """Return everything in JSON's types."""
        return {
            "rows": self.rows,
            "coins": self.coins,
            "schemes": self.schemes,
            "amounts": [[*where, str(amount)] for where, amount in self.amounts.items()],
            "reports": [[*report, count] for report, count in self.reports.items()],
            "notes": self.notes,
            "failures": self.failures,
            "keys": base64.b64encode(self._keys).decode(),
        }

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Tally:
        """Return what `to_values` was made from."""
        return cls(
            rows=values["rows"],
            coins=defaultdict(Counter, {name: Counter(counts) for name, counts in values["coins"].items()}),
            schemes=defaultdict(Counter, {name: Counter(counts) for name, counts in values["schemes"].items()}),
            amounts=defaultdict(Decimal, {(coin, network): Decimal(amount) for coin, network, amount in values["amounts"]}),
            reports=Counter({tuple(report): count for *report, count in values["reports"]}),
            notes=Counter(values["notes"]),
            failures=[Failure(*failure) for failure in values["failures"]],
            _keys=bytearray(base64.b64decode(values["keys"])),
        )


def _add_few(own: MutableMapping[Any, int], others: MutableMapping[Any, int], rest: object) -> None:
    for key, count in others.items():
        kept = key if key in own or len(own) < SHOWN_KINDS else rest
        own[kept] = own.get(kept, 0) + count
