"""What every ledger source offers, and the raw files it leaves behind.

A source copies; it does not interpret. Amounts stay the decimal text that the ledger gave, so that `snapshot.py` holds
them to the rules of money in one place and a refusal can quote what stood in the ledger.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

FLOW_KINDS = ("deposit", "withdrawal", "trade", "fee", "interest", "adjustment")
"""Everything that can change a user's balance, as the roll-forward table adds it up."""

BALANCE_COLUMNS = ("user_id", "account_type", "asset", "amount")
TOTAL_COLUMNS = ("account_type", "asset", "row_count", "user_count", "total_amount")
FLOW_COLUMNS = ("asset", "kind", "amount", "flow_count")
"""Columns of the raw files, all of them text."""


@dataclass(frozen=True, kw_only=True)
class RawSnapshot:
    """The raw files of one ledger snapshot, in one folder.

    Attributes:
        folder: Holds the files; the name a task passes on.
    """

    folder: Path

    @property
    def balances(self) -> Path:
        """Every closing balance at `as_of`: BALANCE_COLUMNS, in no order."""
        return self.folder / "balances.parquet"

    @property
    def control_totals(self) -> Path:
        """What the ledger itself says the balances add up to: TOTAL_COLUMNS."""
        return self.folder / "control_totals.parquet"

    @property
    def flows(self) -> Path:
        """Changes in (previous_as_of, as_of], added up by asset and kind: FLOW_COLUMNS; no row when there is no previous report."""
        return self.folder / "flows.parquet"

    @property
    def origin(self) -> Path:
        """When and from what the files were read (JSON); written last, so that its presence means they are whole."""
        return self.folder / "origin.json"


class LedgerSource(ABC):
    """A ledger that can be read as it stood at a moment."""

    @abstractmethod
    def extract(self, as_of: datetime, previous_as_of: datetime | None, folder: Path) -> RawSnapshot:
        """Copy balances, control totals and flows into `folder`, all three as one transaction sees them.

        Args:
            as_of: The attested moment; balances and totals are the closing of exactly this moment.
            previous_as_of: The moment of the previous report, where the flows begin (exclusive); none, no flows.
            folder: Receives the files; files of an earlier attempt are replaced.

        Raises:
            SourceUnavailableError: The ledger refused the connection or broke off.
            LedgerError: It answered, and its tables or rows break the rules.
        """
