"""Holding the sources of a chain against each other. All of them must say the same; who said what is in the error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.chains.interface import Balance, SnapshotBlock
from assay.errors import SourceMismatchError


def agree_on_block(answers: Mapping[str, SnapshotBlock]) -> SnapshotBlock:
    """Return the snapshot block that all sources resolved.

    Args:
        answers: By source name, at least one.

    Raises:
        SourceMismatchError: Two sources resolved different blocks.
    """
    first, *others = answers.items()
    for name, block in others:
        if block != first[1]:
            raise SourceMismatchError(
                f"the sources resolve different snapshot blocks: {first[0]} says {_block(first[1])}, {name} says {_block(block)}",
                subject=f"chain {block.chain}",
                next_step="find out which node is on the right chain; the run can be repeated once they agree",
            )
    return first[1]


def agree_on_hash(block: SnapshotBlock, answers: Mapping[str, str]) -> None:
    """Make sure that every source still has the snapshot block at its height.

    Raises:
        SourceMismatchError: A source gives another hash now: the chain was reorganised during the run.
    """
    for name, seen in answers.items():
        if seen != block.hash:
            raise SourceMismatchError(
                f"block {block.height} was {block.hash} and is now {seen} at {name}: the chain was reorganised during the run",
                subject=f"chain {block.chain}",
                next_step="run the snapshot again; raise the chain's confirmations if this happens twice",
            )


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """Two sources that say different things of one balance, in base units."""

    chain: str
    address: str
    asset: str
    source: str
    amount: int
    other_source: str
    other_amount: int


class DisagreementError(SourceMismatchError):
    """Sources disagree on balances; `found` has all of them."""

    found: Sequence[Disagreement] = ()


def agree_on_balances(chain: str, answers: Mapping[str, list[Balance]]) -> list[Balance]:
    """Return the balances that all sources read, with the first source's evidence.

    Args:
        chain: Name of the chain.
        answers: By source name, at least one, all for the same addresses.

    Raises:
        SourceMismatchError: A source answered for other addresses or assets.
        DisagreementError: A source differs in an amount.
    """
    (first_name, first), *others = answers.items()
    found = []
    for name, balances in others:
        if [(item.address, item.asset) for item in balances] != [(item.address, item.asset) for item in first]:
            raise SourceMismatchError(
                f"{first_name} and {name} answered for different addresses or assets",
                subject=f"chain {chain}",
                next_step="report this as a defect of the reader",
            )
        found += [
            Disagreement(
                chain=chain,
                address=mine.address,
                asset=mine.asset,
                source=first_name,
                amount=mine.amount,
                other_source=name,
                other_amount=theirs.amount,
            )
            for mine, theirs in zip(first, balances, strict=True)
            if mine.amount != theirs.amount
        ]
    if found:
        one = found[0]
        more = f" (and on {len(found) - 1:,} more balances)" if len(found) > 1 else ""
        error = DisagreementError(
            f"the sources disagree on {one.asset}: {one.source} says {one.amount}, {one.other_source} says {one.other_amount} base units{more}",
            subject=f"chain {chain}, address {one.address}",
            next_step="ask a third source; the run can be repeated once the wrong node is out of chains.toml",
        )
        error.found = found
        raise error
    return first


def _block(block: SnapshotBlock) -> str:
    return f"{block.height} {block.hash}"
