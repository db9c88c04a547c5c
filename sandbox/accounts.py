"""What the sandbox's users own and owe, and every ledger entry that led there.

Closing balances at both attested moments, and entries whose sum up to a moment equals the closing balance row by row:
opening entries before FIRST, the period's flows, and entries after SECOND that no snapshot may count. The positive
single rows add up to `LIABILITY_TOTALS`. All invented from a fixed seed; amounts are base units.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.scenario import FIRST, LIABILITY_TOTALS, SECOND, split

USERS = 5_400
ACCOUNT_TYPES = ("spot", "funding", "earn", "margin", "loan")
FLOW_KINDS = ("deposit", "withdrawal", "trade", "fee", "interest", "adjustment")

_SEED = 20230118
_WHALE = 0
_DUST = range(1, 21)  # users with one base unit of each asset and nothing else
_UNDERWATER = range(21, 28)  # users who owe more than they own
_CLOSED = range(28, 40)  # users whose accounts are gone from the ledger by SECOND
_JOINED = range(USERS - 300, USERS)  # users who join between the two moments
# Share of users, in percent, with an account of the type; each of its assets is there for them with the second figure.
_SPREAD = {"spot": (100, 75), "funding": (45, 50), "earn": (20, 40)}
_COLLATERAL_BTC_IN_USDT = 14_000  # a loan of this many USDT per BTC stays covered at both moments' prices


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A customer.

    Attributes:
        user_id: As the ledger knows them.
        joined_at: When the account was opened.
    """

    user_id: str
    joined_at: datetime


@dataclass(kw_only=True, slots=True)
class Row:
    """One user's balance of one asset in one account; `None` where the closing has no such row.

    Attributes:
        user: Index of the user.
        first: Signed base units at FIRST.
        second: Signed base units at SECOND.
    """

    user: int
    account_type: str
    asset: str
    first: int | None
    second: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One change of one row. `amount` is signed as it changes the balance."""

    occurred_at: datetime
    flow_id: str
    user: int
    account_type: str
    asset: str
    kind: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class LedgerPlan:
    """The whole ledger.

    Attributes:
        users: By index.
        rows: One per user, account type and asset.
        entries: In no order of time; those in (FIRST, SECOND] are the period's flows.
    """

    users: list[User]
    rows: list[Row]
    entries: list[Entry] = field(default_factory=list)

    @property
    def flows(self) -> list[Entry]:
        """The entries in (FIRST, SECOND]."""
        return [entry for entry in self.entries if FIRST < entry.occurred_at <= SECOND]


def ledger(litecoin: bool) -> LedgerPlan:  # noqa: FBT001 - the one thing to choose
    """Plan the users, their balances and their entries.

    Args:
        litecoin: Let users hold LTC as well.
    """
    rng = random.Random(_SEED)
    assets = [asset for asset in LIABILITY_TOTALS if litecoin or asset != "LTC"]
    users = [User(user_id=f"U{10_000_019 + 37 * index}", joined_at=_joined_at(rng, index)) for index in range(USERS)]
    rows = [row for asset in assets for row in _own(rng, asset)]
    rows += _owe(rng, rows)
    plan = LedgerPlan(users=users, rows=rows)
    journal = _Journal(rng, plan.entries)
    for row in rows:
        journal.record(row, since=max(FIRST, users[row.user].joined_at))
    return plan


def _joined_at(rng: random.Random, index: int) -> datetime:
    if index in _JOINED:
        return FIRST + timedelta(seconds=rng.randint(1, 20 * 86_400))
    return FIRST - timedelta(seconds=rng.randint(60 * 86_400, 900 * 86_400))


def _chance(rng: random.Random, percent: int) -> bool:
    return rng.randrange(100) < percent


def _own(rng: random.Random, asset: str) -> list[Row]:
    """Rows of what users own of an asset: never negative, the totals exact."""
    fixed = [Row(user=user, account_type="spot", asset=asset, first=1, second=1) for user in (*_DUST, *_UNDERWATER)]
    free = [Row(user=_WHALE, account_type="spot", asset=asset, first=0, second=0)]
    for user in range(_CLOSED.start, USERS):
        for account_type, (share, of_assets) in _SPREAD.items():
            if _chance(rng, share) and _chance(rng, of_assets):
                free.append(Row(user=user, account_type=account_type, asset=asset, first=0, second=0))
    first_total, second_total = LIABILITY_TOTALS[asset]
    old = [row for row in free if row.user == _WHALE or (row.user not in _JOINED and _chance(rng, 92))]
    for row, amount in zip(old, split(rng, first_total - len(fixed), len(old)), strict=True):
        row.first = amount
    _move(rng, free, second_total - len(fixed))
    return fixed + free


def _move(rng: random.Random, rows: list[Row], total: int) -> None:
    """Give the rows their second balances, `total` in all: closed ones none, some the same as before, a few zero."""
    moved, kept = [], 0
    for row in rows:
        if row.user in _CLOSED:
            row.second = None
        elif row.user == _WHALE or row.user in _JOINED or _chance(rng, 50):
            moved.append(row)
        else:
            row.second = 0 if _chance(rng, 5) else row.first
            kept += row.second or 0
    for row, amount in zip(moved, split(rng, total - kept, len(moved)), strict=True):
        row.second = amount
        row.first = None if row.user in _JOINED else row.first


def _owe(rng: random.Random, owned: list[Row]) -> list[Row]:
    """Rows of what users owe: margin debt in an asset they also own, loans of USDT against BTC, and a few hopeless ones."""
    rows = [
        Row(user=user, account_type="loan", asset="USDT", first=-rng.randint(10**8, 10**9), second=-rng.randint(10**8, 10**9))
        for user in _UNDERWATER
    ]
    for row in owned:
        if row.account_type != "spot" or row.user in _DUST or row.user in _UNDERWATER or row.user in _CLOSED:
            continue
        if _chance(rng, 6):
            rows.append(_debt(rng, row, "margin", row.asset, 100))
        elif row.asset == "BTC" and _chance(rng, 5):
            # From satoshi to millionths of a USDT: times the price, times 10**6, over 10**8.
            rows.append(_debt(rng, row, "loan", "USDT", _COLLATERAL_BTC_IN_USDT))
    return rows


def _debt(rng: random.Random, collateral: Row, account_type: str, asset: str, percent: int) -> Row:
    """A debt of 5 to 60 % of `percent` percent of the collateral's base units."""
    first, second = (-(value or 0) * percent // 100 * rng.randint(5, 60) // 100 for value in (collateral.first, collateral.second))
    return Row(
        user=collateral.user, account_type=account_type, asset=asset, first=None if collateral.first is None else first, second=second
    )


class _Journal:
    """Writes the entries that make a row's closings come true."""

    def __init__(self, rng: random.Random, entries: list[Entry]) -> None:
        self._rng = rng
        self._entries = entries

    def record(self, row: Row, *, since: datetime) -> None:
        """Write one row's entries; those of the period lie after `since`."""
        first, second = row.first or 0, row.second or 0
        if first:
            self._write(row, FIRST - timedelta(days=self._rng.randint(1, 50)), "deposit" if first > 0 else "withdrawal", first)
        rest = second - first
        if rest or _chance(self._rng, 10):
            for kind, amount in self._extras(row, max(abs(first), abs(second))):
                self._write(row, self._within(since), kind, amount)
                rest -= amount
            if rest:
                self._write(row, self._within(since), "deposit" if rest > 0 else "withdrawal", rest)
        if second and _chance(self._rng, 10):
            self._write(row, SECOND + timedelta(seconds=self._rng.randint(1, 86_400)), "withdrawal", -abs(second) // 3 - 1)

    def _extras(self, row: Row, size: int) -> list[tuple[str, int]]:
        """Flows beside the deposit or withdrawal that closes the row, small against its size."""
        rng = self._rng
        extras = []
        if row.account_type in {"earn", "margin", "loan"}:
            interest = size * rng.randint(1, 90) // 10_000
            extras.append(("interest", interest if row.account_type == "earn" else -interest))
        if row.account_type in {"spot", "margin"} and _chance(rng, 60):
            extras.append(("trade", size * rng.randint(-40, 40) // 100))
            extras.append(("fee", -(size * rng.randint(1, 20) // 10_000)))
        if _chance(rng, 1):
            extras.append(("adjustment", rng.choice((-1, 1)) * (size // 1_000 + 1)))
        return [(kind, amount) for kind, amount in extras if amount]

    def _within(self, since: datetime) -> datetime:
        """A moment in (since, SECOND], now and then its very last one."""
        seconds = int((SECOND - since).total_seconds())
        return SECOND if self._rng.randrange(500) == 0 else since + timedelta(seconds=self._rng.randint(1, seconds))

    def _write(self, row: Row, occurred_at: datetime, kind: str, amount: int) -> None:
        self._entries.append(
            Entry(
                occurred_at=occurred_at,
                flow_id=f"F{len(self._entries) + 1:08d}",
                user=row.user,
                account_type=row.account_type,
                asset=row.asset,
                kind=kind,
                amount=amount,
            )
        )
