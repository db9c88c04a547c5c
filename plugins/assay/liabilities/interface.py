"""What every ledger source offers, and the raw files it leaves behind.

A source copies; it does not interpret. Amounts stay the decimal text that the ledger gave, so that `rows.py` holds
them to the rules of money in one place and a refusal can quote what stood in the ledger.
"""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay.config import Settings
from assay.errors import LedgerError
from assay.lake import private_folder, replacing_file, sha256_of

FLOW_KINDS = ("deposit", "withdrawal", "trade", "fee", "interest", "adjustment")
"""Everything that can change a user's balance, as the roll-forward table adds it up."""

BALANCE_COLUMNS = ("user_id", "account_type", "asset", "amount")
TOTAL_COLUMNS = ("account_type", "asset", "row_count", "user_count", "total_amount")
FLOW_COLUMNS = ("asset", "kind", "amount", "flow_count")
"""Columns of the raw files, all of them text."""

ROWS_A_FILE = 1 << 24
"""Rows of one raw file at most, or a little more: what is read again when a task is killed over it."""


@dataclass(frozen=True, kw_only=True)
class RawSnapshot:
    """The raw files of one ledger snapshot, in one folder.

    Attributes:
        folder: Holds the files; the name a task passes on.
    """

    folder: Path

    @property
    def balances(self) -> Path:
        """Folder of Parquet files with every closing balance at `as_of`: BALANCE_COLUMNS, in no order."""
        return self.folder / "balances"

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
        """When and from what the files were read, and what they are (JSON); written last, so that its presence means they are whole."""
        return self.folder / "origin.json"

    def balance_files(self) -> list[Path]:
        """Return the files of `balances`, in order."""
        return sorted(self.balances.glob("*.parquet"))

    def start(self) -> None:
        """Remove what an earlier attempt left."""
        self.origin.unlink(missing_ok=True)
        shutil.rmtree(self.balances, ignore_errors=True)
        private_folder(self.balances)

    def take(self, written: Path, prefix: str) -> None:
        """Move Parquet files that a reader wrote into a folder of its own to `balances`.

        Args:
            written: The folder, on the same disk.
            prefix: Of their names, and of no other reader's.
        """
        for path in written.glob("*.parquet"):
            path.rename(self.balances / f"{prefix}-{path.name}")

    def seal(self, origin: Mapping[str, object]) -> None:
        """Write `origin`, with the files as they are now, at the end of an extract."""
        content = {**origin, "files": self._files()}
        with replacing_file(self.origin) as path:
            path.write_text(json.dumps(content, indent=2) + "\n")

    def read_origin(self) -> dict[str, Any]:
        """Return what `seal` wrote, if the files are still those.

        Raises:
            LedgerError: The extract was not finished, or a file of it is missing, was added or was changed.
        """
        if not self.origin.exists():
            raise LedgerError("the extract is unfinished", subject=str(self.folder), next_step="extract the ledger again")
        content: dict[str, Any] = json.loads(self.origin.read_text())
        there, sealed = self._files(), content["files"]
        if wrong := sorted(name for name in there.keys() | sealed.keys() if there.get(name) != sealed.get(name)):
            problem = "it is missing" if wrong[0] not in there else "it was added" if wrong[0] not in sealed else "it was changed"
            raise LedgerError(
                f"{problem} after the extract", subject=str(self.folder / wrong[0]), next_step="clear extract_ledger, so that it runs again"
            )
        return content

    def _files(self) -> dict[str, str]:
        paths = [*self.balance_files(), *(path for path in (self.control_totals, self.flows) if path.exists())]
        return {path.relative_to(self.folder).as_posix(): sha256_of(path) for path in paths}


class LedgerSource(ABC):
    """A ledger that can be read as it stood at a moment.

    Args:
        settings: Names the ledger, the assets and the account types in scope.
        uri: Connection with its credentials, never logged or put into an error; empty where there is none.
    """

    def __init__(self, settings: Settings, uri: str) -> None:
        self._settings = settings
        self._uri = uri
        self._name = f"ledger {settings.ledger.connection}"

    @abstractmethod
    def extract(self, as_of: datetime, previous_as_of: datetime | None, raw: RawSnapshot) -> dict[str, object]:
        """Copy balances, control totals and flows, all three as they stood at one moment of the ledger.

        Args:
            as_of: The attested moment; balances and totals are the closing of exactly this moment.
            previous_as_of: The moment of the previous report, where the flows begin (exclusive); none, no flows.
            raw: Receives the files; `start` has been called.

        Returns:
            What the files were read from, for `origin`.

        Raises:
            SourceUnavailableError: The ledger cannot be reached or broke off; of files, the drop is not there yet.
            ConfigError: Of files, the place is none where the ledger writes drops.
            LedgerError: It refuses the user or the password, a view, column or right is missing, or its rows break the rules.
            AmountError: A flow is not an exact amount.
        """

    @abstractmethod
    def probe(self, as_of: datetime) -> list[tuple[str, ...]]:
        """Make sure that the ledger can be read, without reading a balance, and return the control totals of a moment.

        Returns:
            TOTAL_COLUMNS of each account type and asset, as texts; none where the ledger has not closed the moment.

        Raises:
            SourceUnavailableError: The ledger cannot be reached or broke off; of files, the drop is not there yet.
            ConfigError: Of files, the place is none where the ledger writes drops.
            LedgerError: It refuses the user or the password, views, columns or rights are missing, or the drop breaks the rules.
        """


def write_texts(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    """Write a few rows of text as a raw file."""
    table = pa.table({name: pa.array([row[number] for row in rows], pa.string()) for number, name in enumerate(columns)})
    with replacing_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
