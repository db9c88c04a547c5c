"""A custodian with three wallets on one EVM node and a ledger that drops CSV files: what somebody has who begins with Assay.

Nothing here knows of the sandbox's deployment: the node is a bare anvil with a history of its own, and every file is written as a person or
a ledger would write it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from assay.lake import format_as_of, slug
from sandbox.anvil import TREASURY, Anvil

MOMENTS = tuple(datetime(2023, month, 17, 16, tzinfo=UTC) for month in (1, 2, 3))
"""Three month-ends."""
WALLETS = {
    "0x00000000000000000000000000000000000A11cE": ("hot", (40, 45, 41)),
    "0x0000000000000000000000000000000000000B0b": ("cold", (600, 640, 700)),
    "0x00000000000000000000000000000000000cA201": ("cold", (0, 0, 25)),
}
"""By address: custody, and whole ether at each moment."""
USERS: Mapping[str, Sequence[str]] = {
    "u-1001": ("200.5", "210.25", "210.25"),
    "u-1002": ("399.000000000000000001", "420", "450.75"),
    "u-1003": ("0", "20.5", "0.000000000000000003"),
    "u-1004": ("35", "0", "95"),
}
"""By id as the ledger knows it: ether owed at each moment."""
PRICES = ("1564.25", "1673.10", "1790.5")

_ETHER = 10**18
_STEP = timedelta(hours=12)


class Node(Anvil):
    """An anvil that calls itself main net and holds the wallets' history; a context manager."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder=folder, chain_id=1)

    def prepare(self) -> None:
        """Move ether, so that each moment finds the balances of `WALLETS`, and something else a minute later."""
        nonces: dict[str, int] = {}
        held = dict.fromkeys(WALLETS, 0)
        for number, moment in enumerate(MOMENTS):
            # The wallets rest for a day before and after the moment, as `reserve_stability` will show.
            self.mine(moment - timedelta(days=2))
            for address, (_, amounts) in WALLETS.items():
                change = amounts[number] * _ETHER - held[address]
                held[address] += change
                if not change:
                    continue
                sender, receiver = (TREASURY, address) if change > 0 else (address, TREASURY)
                nonces[sender] = nonces.get(sender, -1) + 1
                call = {"from": sender, "to": receiver, "value": hex(abs(change)), "nonce": hex(nonces[sender])}
                self.call("eth_sendTransaction", call | {"gas": hex(21_000), "gasPrice": "0x0"})
            for time in (moment - timedelta(days=1, minutes=1), moment - timedelta(minutes=1), moment + timedelta(days=1, minutes=-1)):
                self.mine(time)
        for number in range(1, 11):
            self.mine(MOMENTS[-1] + timedelta(days=1) + _STEP * number)


def write_wallets(path: Path) -> None:
    """List the wallets as a spreadsheet would save them: with a byte order mark and carriage returns."""
    rows = [["ethereum", address, custody, "none", ""] for address, (custody, _) in WALLETS.items()]
    _write(path, [["chain", "address", "custody", "encumbrance", "label"], *rows], encoding="utf-8-sig", end="\r\n")


def write_prices(path: Path) -> None:
    """Write one price a moment."""
    rows = [["ETH", price, "USD", format_as_of(moment)] for price, moment in zip(PRICES, MOMENTS, strict=True)]
    _write(path, [["asset", "price", "currency", "time"], *rows])


def write_closing(drops: Path, number: int) -> Path:
    """Write the ledger's closing of a moment, without its control file; returns the drop's folder."""
    moment = MOMENTS[number]
    folder = drops / slug(moment)
    balances = [[user, "spot", "ETH", amounts[number]] for user, amounts in USERS.items()]
    _write(folder / "balances" / "closing.csv", [["user_id", "account_type", "asset", "amount"], *balances])
    if number:
        flows = [
            [format_as_of(moment - timedelta(hours=place + 1)), f"f-{number}-{place}", user, "spot", "ETH", _kind(change), f"{change:f}"]
            for place, (user, amounts) in enumerate(USERS.items())
            if (change := Decimal(amounts[number]) - Decimal(amounts[number - 1]))
        ]
        columns = ["occurred_at", "flow_id", "user_id", "account_type", "asset", "kind", "amount"]
        _write(folder / "flows" / "month.csv", [columns, *flows])
    return folder


def _kind(change: Decimal) -> str:
    return "deposit" if change > 0 else "withdrawal"


def _write(path: Path, rows: Sequence[Sequence[str]], *, encoding: str = "utf-8", end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, lineterminator=end).writerows(rows)
