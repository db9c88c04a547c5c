"""Ownership by movement: an amount that was designated for one report, sent by the address to itself. Format: docs/formats/address_ownership.md.

The amount follows from the announced text, which names a block that nobody knew before it was made; so nobody can point at a transaction that was
there anyway. The transaction pays nobody else: whoever has an account at a custodian can make its wallet send any amount to an address of theirs,
and has shown nothing by that.

What a chain has of a transaction is established by `movement_bitcoin` and `movement_evm`; here it is held against the text. Pure, and light: the
program that publishes announces and checks with it too.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from assay_verify.findings import MalformedError, require
from assay_verify.ownership import challenge
from assay_verify.ownership.challenge import ONE_LINE_SEPARATOR, Challenge
from assay_verify.ownership.interface import NotVerifiedError, UnsupportedError

SCHEME = "movement"
"""Name of the scheme, and of the status of wallets that are proven by it."""

FIRST_LINE = "I send an amount from this address to itself for a reserve attestation."
_LABEL = "amount: "
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,9})\.([0-9]{8}) ([A-Za-z0-9.]{1,20})")
_LEAST, _CHOICES = 10_000, 1_000_000
_STEPS = 10**8
"""Amounts are counted in hundred-millionths of the chain's coin, which every wallet software can enter."""
_DOGECOIN_FACTOR = 10_000
_EVM_STEP = 10**10


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """A transaction by which an address sent coins to itself and to nobody else.

    Attributes:
        height: Of its block, which belongs to the snapshot block's chain.
        amounts: What it pays to the address, output by output, in the chain's base units.
        note: What must be known to rely on it; empty for nothing.
    """

    height: int
    amounts: tuple[int, ...]
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Coin:
    """What amounts of a chain are counted in.

    Attributes:
        asset: Symbol of its coin.
        factor: Of the designated number of hundred-millionths: Dogecoin's nodes pass nothing on that is smaller.
        step: Base units in a hundred-millionth.
    """

    asset: str
    factor: int
    step: int

    def designated(self, asked: Challenge) -> int:
        """Return the hundred-millionths that an address is to send for a report."""
        digest = hashlib.sha256(_begun(challenge.build(asked)).encode()).digest()
        return (_LEAST + int.from_bytes(digest[:8], "big") % _CHOICES) * self.factor

    def base_units(self, asked: Challenge) -> int:
        """Return the same in the chain's base units."""
        return self.designated(asked) * self.step


def coin_of(family: str, network: str, asset: str) -> Coin:
    """Return what amounts of a chain are counted in.

    Raises:
        UnsupportedError: Movements of the family, or of the network, cannot be shown.
    """
    if family == "evm":
        return Coin(asset=asset, factor=1, step=_EVM_STEP)
    if family != "bitcoin":
        raise UnsupportedError(f"movements on chains of the family {family} are not supported: sign with the address's key")
    if network.startswith("dash"):
        raise UnsupportedError(
            "Dash names blocks by X11, which is not computed here, so that a transaction is of its chain cannot be shown"
        )
    return Coin(asset=asset, factor=_DOGECOIN_FACTOR if network.startswith("dogecoin") else 1, step=1)


def announce(coin: Coin, asked: Challenge, *, one_line: bool = False) -> str:
    """Write what is to be moved: the challenge's lines behind another first one, and the amount.

    Args:
        coin: Of the chain.
        asked: Report, address and block.
        one_line: As in `challenge.build`.

    Raises:
        MalformedError: As in `challenge.build`.
    """
    whole, rest = divmod(coin.designated(asked), _STEPS)
    separator = ONE_LINE_SEPARATOR if one_line else "\n"
    return f"{_begun(challenge.build(asked, one_line=one_line))}{separator}{_LABEL}{whole}.{rest:08d} {coin.asset}"


def is_announcement(text: str) -> bool:
    """Tell whether a text means to be an announcement; `parse` then tells whether it is one."""
    return text.startswith(FIRST_LINE)


def named_block(text: str) -> tuple[int, str]:
    """Return height and hash of the block that an announcement names.

    Raises:
        MalformedError: It is no announcement.
    """
    asked = _asked(text)[0]
    return asked.block_height, asked.block_hash


def parse(coin: Coin, text: str) -> Challenge:
    """Read an announcement in either form, and return what it names.

    Raises:
        MalformedError: It is written in any other way, or the amount is not the one that follows from the rest.
    """
    asked, stated, asset = _asked(text)
    designated = coin.designated(asked)
    require(asset == coin.asset, f"the amount is one of {asset}, and the chain's coin is {coin.asset}")
    require(stated == designated, f"the amount is {stated} hundred-millionths, and {designated} follow from the other lines")
    return asked


def require_movement(coin: Coin, asked: Challenge, moved: Moved, last_height: int) -> None:
    """Raise unless a transaction is the one that was announced.

    Args:
        coin: Of the chain.
        asked: What the announcement names.
        moved: What the chain has.
        last_height: Of the snapshot block.

    Raises:
        NotVerifiedError: Another amount, or outside of the time from the named block to the snapshot block.
    """
    amount = coin.base_units(asked)
    if moved.height <= asked.block_height:
        raise NotVerifiedError(
            f"the transaction stands in block {moved.height}, not after block {asked.block_height}, which the text names"
        )
    if moved.height > last_height:
        raise NotVerifiedError(f"the transaction stands in block {moved.height}, after the snapshot block {last_height}")
    if amount not in moved.amounts:
        amounts = ", ".join(map(str, moved.amounts[:5]))
        raise NotVerifiedError(f"the transaction sends {amounts or 'nothing'} to the address, and {amount} base units were designated")


def _asked(text: str) -> tuple[Challenge, int, str]:
    """Return what an announcement names, the hundred-millionths that it states, and of what."""
    require(is_announcement(text), f"an announcement begins with the line {FIRST_LINE!r}")
    begun, separator, last = text.rpartition("\n" if "\n" in text else ONE_LINE_SEPARATOR)
    found = _AMOUNT.fullmatch(last.removeprefix(_LABEL)) if separator and last.startswith(_LABEL) else None
    if found is None:
        raise MalformedError("an announcement ends with a line such as 'amount: 0.00482130 BTC'")
    asked = challenge.parse(challenge.FIRST_LINE + begun.removeprefix(FIRST_LINE))
    return asked, int(found[1] + found[2]), found[3]


def _begun(text: str) -> str:
    return FIRST_LINE + text.removeprefix(challenge.FIRST_LINE)
