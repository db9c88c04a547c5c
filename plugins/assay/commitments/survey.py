"""How users are split: decided once a report, from all balances together, before any leaf is made.

What is decided here keeps single users from standing out: how much one leaf may hold, into how many leaves a user goes, at which
digits a balance may be cut, and whose balances stay whole. ADR 0022 says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from assay.commitments import amount_kernels
from assay.commitments.amount_kernels import words_of
from assay.commitments.arrays import Counts, Levels, Words
from assay.commitments.format import AMOUNT_LIMIT, Report
from assay.errors import AmountError

LADDER: tuple[int, ...] = (*(digit * 10**power for power in range(4, 38) for digit in (1, 2, 5)), AMOUNT_LIMIT - 1)
"""Limits that a leaf may have. Below ten thousand base units the parts of a balance could not be cut evenly enough to stay under it."""

LARGEST_BALANCES = 128
"""The largest balance of an asset is at most so many times its limit, so that no user has more than 256 leaves for it."""

EXTRA_LEAVES = 8
"""One user in so many may have an extra leaf for being above a limit; all assets share this."""

SHARING = 64
"""Assets that a user holds in both of two leaves are held by at least so many users, or by one in eight where there are few users."""

COMMON_LEVEL = 20
"""Balances are cut at multiples of what at least one in so many of the asset's balances ends with."""

LEVEL_SLACK = 2
"""Zeros that a balance may have at its end by chance."""

_ZEROS = 39


@dataclass(kw_only=True)
class Survey:
    """What is known of all balances.

    Attributes:
        report: What the tree is of.
        users: Number of users.
        totals: Of each asset; high and low word, like all amounts here.
        largest: Balance of each asset.
        rung_sums: Sums of the balances of each asset by the lowest rung of the ladder that they are not above.
        zeros: Balances of each asset by the zeros at their end.
    """

    report: Report
    users: int = 0
    totals: Words
    largest: Words
    rung_sums: Words
    zeros: Counts

    @classmethod
    def empty(cls, report: Report) -> Self:
        """Return the survey of no user."""
        assets, rungs = len(report.assets), len(LADDER) + 1
        return cls(
            report=report,
            totals=np.zeros((assets, 2), np.uint64),
            largest=np.zeros((assets, 2), np.uint64),
            rung_sums=np.zeros((assets, rungs, 2), np.uint64),
            zeros=np.zeros((assets, _ZEROS), np.int64),
        )

    def add(self, balances: Words) -> None:
        """Take up finished users.

        Raises:
            AmountError: A total reaches 10^38.
        """
        over = amount_kernels.survey(balances, _LADDER, self.totals, self.largest, self.rung_sums, self.zeros)
        if over >= 0:
            raise AmountError(
                "the balances of all users add up to more than 38 digits",
                subject=f"liabilities, {self.report.symbols[over]}",
                next_step="check the asset's decimals and the largest balances",
            )
        self.users += len(balances)


_LADDER = np.array([words_of(rung) for rung in LADDER], np.uint64)


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """How users are split.

    Attributes:
        limits: Largest amount of each asset in one leaf.
        levels: By asset and number of zeros at a balance's end: the power of ten it may be cut at, or -1.
        holders: Users who hold each asset.
        users: All users.
    """

    limits: tuple[int, ...]
    levels: Levels
    holders: Counts
    users: int

    def split(self, balances: Words, parts: Counts, random: Words, leaves: Words) -> None:
        """Fill the balances of users' leaves; see `amount_kernels.split_users`."""
        order = np.argsort(-self.holders, kind="stable")
        least = min(SHARING, max(self.users // EXTRA_LEAVES, 1))
        amount_kernels.split_users(balances, parts, order, self.holders, self.users, least, self.limit_words, self.levels, random, leaves)

    @property
    def limit_words(self) -> Words:
        """The limits as the kernels take them."""
        return np.array([words_of(limit) for limit in self.limits], np.uint64)


def decide(survey: Survey) -> Splitting:
    """Return how users are split."""
    return Splitting(
        limits=tuple(_limit(survey, asset) for asset in range(len(survey.report.assets))),
        levels=np.array([_levels(zeros) for zeros in survey.zeros.tolist()], np.int8),
        holders=survey.zeros.sum(axis=1),
        users=survey.users,
    )


def _amount(words: Words) -> int:
    return int(words[0]) << 64 | int(words[1])


def _limit(survey: Survey, asset: int) -> int:
    """The lowest rung that leaves few enough users above it.

    A user with a balance above the limit L has fewer than 2·balance / L leaves more than others.
    """
    largest = _amount(survey.largest[asset])
    sums = [_amount(words) for words in survey.rung_sums[asset]]
    above = sum(sums)
    for rung, limit in enumerate(LADDER):
        above -= sums[rung]
        few = 2 * above * EXTRA_LEAVES * len(survey.report.assets) <= survey.users * limit
        if few and largest <= LARGEST_BALANCES * limit:
            return limit
    return LADDER[-1]


def _levels(zeros: list[int]) -> list[int]:
    total = sum(zeros)
    common = [COMMON_LEVEL * count >= total > 0 for count in zeros]
    return [
        max((level for level in range(max(0, ending - LEVEL_SLACK), ending + 1) if common[level]), default=-1)
        for ending in range(len(zeros))
    ]
