"""What every signature scheme offers, and what it is given.

A scheme answers one question: was this text signed with the key that this address stands for? The address is always derived from the key (or
the script from the address's hash) and compared. There is no "probably": a scheme returns what it verified or raises.

Statements and verdicts are never altered once made. They are not frozen all the same, because there is one of each for every row of a list, and
a frozen one takes three times as long to make.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(kw_only=True, slots=True)
class Statement:
    """A claim: this text, signed for this address.

    Attributes:
        coin: Ticker or chain, as the file names it, for schemes that differ by coin only (message prefix, address prefix).
        address: As given.
        message: The signed text.
        signatures: In the scheme's text form, in the order given; never empty.
        script: Redeem or witness script of a multisig, or the public key where an address is a hash of it; empty for none.
        owners: Addresses of the owners of a contract wallet, where they signed in its place.
    """

    coin: str
    address: str
    message: str
    signatures: tuple[str, ...]
    script: str = ""
    owners: tuple[str, ...] = ()


@dataclass(kw_only=True, slots=True)
class Verified:
    """What held.

    Attributes:
        scheme: Name of the scheme.
        keys: The public keys that signed, in hexadecimal, distinct.
        note: What the reader must know to rely on it ("owners signed; that they own the contract is not shown here"); empty for nothing.
    """

    scheme: str
    keys: tuple[str, ...]
    note: str = ""


class NotVerifiedError(ValueError):
    """The statement does not hold; the message says why, in words for the person who published it."""


class UnsupportedError(ValueError):
    """No scheme here can check it; the message says which and why. Never taken for verified."""


class Scheme(Protocol):
    """One signature scheme.

    Attributes:
        name: Published: `bip137`, `bip322`, `eip191`, …
        specification: Address of what it was written from.
    """

    name: str
    specification: str

    def verify(self, statement: Statement) -> Verified:
        """Check one statement.

        Raises:
            NotVerifiedError: Wrong key, message, script or form; malformed input.
            UnsupportedError: A form of the scheme that is not implemented.
        """


Verify = Callable[[Statement], Verified]
