"""Attempts to find out which leaves of a published tree belong to one user, and which of two reports: what ADR 0022 says of them is measured here.

Each attack is also made on leaves that were split without any care, where it must succeed: an attack that never does would prove nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assay.commitments.format import Report
from tests.commitments import reference
from tests.commitments.ledger import AS_OF, LATER, commit_to, key_of, report_of

USERS = 1500
ASSETS = {"BTC": 8, "ETH": 18, "USDT": 6, **{f"T{number:02}": 18 if number % 2 else 8 for number in range(17)}}
SYMBOLS = sorted(ASSETS)
TARGETS = 100


@dataclass(frozen=True)
class Leaf:
    owner: str
    amounts: tuple[int, ...]

    @cached_property
    def held(self) -> frozenset[int]:
        return frozenset(asset for asset, amount in enumerate(self.amounts) if amount)


Score = Callable[[Leaf, Leaf], float]


def population(seed: int = 7) -> dict[str, dict[str, int]]:
    """Users most of whom hold one to three assets out of a few popular ones, some many; four balances of ten are round, the others are not."""
    draw = random.Random(seed)
    weights = [1 / (1 + place) for place in range(len(ASSETS))]
    order = ["USDT", "BTC", "ETH", *(asset for asset in SYMBOLS if asset.startswith("T") and asset != "USDT")]
    users = {}
    for number in range(USERS):
        wanted = min(1 + int(draw.expovariate(0.5)), len(ASSETS))
        held: set[str] = set()
        while len(held) < wanted:
            held.add(draw.choices(order, weights)[0])
        users[f"user-{number}"] = {asset: amount_of(draw, ASSETS[asset]) for asset in sorted(held)}
    return users


def amount_of(draw: random.Random, decimals: int) -> int:
    if draw.random() < 0.4:
        return int(draw.choice([1, 2, 5, 10, 15, 25, 75, 125]) * 10 ** (decimals + draw.randrange(-2, 3)))
    # All digits down to the last one: what is left after a trade and its fee.
    digits = draw.randrange(10**decimals)
    return int(int(draw.lognormvariate(0, 2) * 1000) * 10 ** (decimals - 3) + digits)


def published_leaves(report: Report, balances: dict[str, dict[str, int]], folder: Path) -> list[Leaf]:
    commit_to(report, balances, folder, shard_leaves=1 << 14)
    nodes = reference.read_nodes([folder / "tree" / "leaves" / "00000.parquet"], list(report.symbols))
    owners = {key_of(report, user_id): user_id for user_id in balances}
    index = pq.read_table(folder / "index" / "00000.parquet")
    rows = zip(index["user_key"].to_pylist(), index["position"].to_pylist(), strict=True)
    return [Leaf(owners[key.hex()], nodes[0, position][1]) for key, position in rows]


def whole_leaves(balances: dict[str, dict[str, int]], seed: int) -> list[Leaf]:
    """Every balance whole in one of two leaves."""
    draw = random.Random(seed)
    leaves = []
    for user_id, own in balances.items():
        sides = [draw.randrange(2) for _ in SYMBOLS]
        amounts = [[own.get(asset, 0) * (side == leaf) for asset, side in zip(SYMBOLS, sides, strict=True)] for leaf in range(2)]
        leaves += [Leaf(user_id, tuple(own_part)) for own_part in amounts]
    return leaves


def careless_leaves(balances: dict[str, dict[str, int]], seed: int) -> list[Leaf]:
    """Every balance cut in two at any point."""
    draw = random.Random(seed)
    leaves = []
    for user_id, own in balances.items():
        cuts = [draw.randrange(own.get(asset, 0) + 1) for asset in SYMBOLS]
        leaves += [
            Leaf(user_id, tuple(cuts)),
            Leaf(user_id, tuple(own.get(asset, 0) - cut for asset, cut in zip(SYMBOLS, cuts, strict=True))),
        ]
    return leaves


@dataclass(frozen=True)
class Trees:
    """Leaves of two reports over the same balances, ours and careless ones."""

    ours: tuple[list[Leaf], list[Leaf]]
    careless: tuple[list[Leaf], list[Leaf]]
    whole: tuple[list[Leaf], list[Leaf]]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    balances = population()
    reports = [report_of(ASSETS, as_of) for as_of in (AS_OF, LATER)]
    ours = [published_leaves(report, balances, tmp_path_factory.mktemp("tree")) for report in reports]
    return Trees((ours[0], ours[1]), *((make(balances, 1), make(balances, 2)) for make in (careless_leaves, whole_leaves)))


def found(targets: Sequence[Leaf], among: Sequence[Leaf], score: Score) -> float:
    """How often the leaf that looks most like the target's is one of the same user; where several look alike, one of them is guessed."""
    right = 0.0
    for target in targets:
        scored = [(score(target, leaf), leaf) for leaf in among if leaf is not target]
        best = max(value for value, _ in scored)
        picked = [leaf for value, leaf in scored if value == best]
        right += sum(leaf.owner == target.owner for leaf in picked) / len(picked)
    return right / len(targets)


def sample(leaves: Sequence[Leaf], wanted: Callable[[Leaf], bool] = lambda leaf: bool(leaf.held)) -> list[Leaf]:
    return random.Random(3).sample([leaf for leaf in leaves if wanted(leaf)], TARGETS)


def rarity(leaves: Sequence[Leaf]) -> list[float]:
    """How much it says that two leaves share an asset."""
    counts = Counter(asset for leaf in leaves for asset in leaf.held)
    return [1 / (1 + counts[asset]) for asset in range(len(SYMBOLS))]


def same_assets(leaves: Sequence[Leaf]) -> Score:
    """Two leaves of one user hold the same assets, the rare ones above all."""
    worth = rarity(leaves)
    return lambda one, other: sum(worth[asset] for asset in one.held & other.held) - sum(worth[asset] for asset in one.held ^ other.held)


def round_sum(one: Leaf, other: Leaf) -> float:
    """Two parts of a round balance have a round sum: the fewest digits before its zeros."""
    sums = [str(one.amounts[asset] + other.amounts[asset]).rstrip("0") for asset in one.held & other.held]
    return max((-len(digits) for digits in sums), default=-100)


def same_amount(one: Leaf, other: Leaf) -> float:
    """A part that is in both reports: the one with the most digits."""
    return max((len(str(one.amounts[asset]).rstrip("0")) for asset in one.held if one.amounts[asset] == other.amounts[asset]), default=0)


def same_end(one: Leaf, other: Leaf) -> float:
    """Parts of one balance that keep its last digits in both reports: as many equal digits as there are."""
    return max((_equal_end(str(one.amounts[asset]), str(other.amounts[asset])) for asset in one.held & other.held), default=0)


def _equal_end(one: str, other: str) -> int:
    equal = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        equal += 1
    return equal if one[-equal:].strip("0") else 0


def rate(attack: str, first: list[Leaf], second: list[Leaf]) -> float:
    """How often an attack finds a leaf of the same user."""
    if attack == "same assets":
        return found(sample(first), first, same_assets(first))
    if attack == "round sum":
        return found(sample(first), first, round_sum)
    if attack == "same assets in both":
        return found(sample(first), second, same_assets(second))
    return found(sample(first), second, {"same amount": same_amount, "same end": same_end}[attack])


@pytest.mark.parametrize(
    ("attack", "most", "careless", "least"),
    [
        ("same assets", 0.04, "careless", 0.25),
        ("round sum", 0.12, "careless", 0.5),
        ("same assets in both", 0.2, "careless", 0.25),
        ("same amount", 0.4, "whole", 0.5),
        ("same end", 0.45, "whole", 0.5),
    ],
)
def test_an_attack_that_links_careless_leaves_seldom_links_ours(
    attack: str, most: float, careless: str, least: float, trees: Trees
) -> None:
    ours, control = rate(attack, *trees.ours), rate(attack, *getattr(trees, careless))
    print(f"\n{attack}: {ours:.4f} of ours, {control:.4f} of the others, {1 / len(trees.ours[0]):.5f} by chance")
    assert control > least
    assert ours < most
