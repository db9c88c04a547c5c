"""From a ledger to the canonical liabilities: exact amounts, keyed user hashes, reconciled totals.

Rows are streamed through DuckDB, which spills to disk beyond the configured memory (`rows.py`, `shards.py`). Totals, counts and flows
are few and are handled in Python.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from assay.commitments.format import user_key_prefix
from assay.config import Settings
from assay.errors import AmountError, ConfigError, LedgerError
from assay.lake import format_as_of, parse_as_of
from assay.liabilities.disk import disk_errors, sweep
from assay.liabilities.files import FilesLedger
from assay.liabilities.interface import LedgerSource, RawSnapshot
from assay.liabilities.mysql import MysqlLedger
from assay.liabilities.postgres import PostgresLedger
from assay.liabilities.shards import UserKeys, finish, liability_files, shards_digest, write_shards
from assay.liabilities.storage import S3
from assay.liabilities.totals import Sum, write_control_totals, write_flows
from assay.warehouse.session import session

__all__ = [
    "MIN_SECRET_BYTES",
    "LiabilitySnapshot",
    "canonicalise",
    "extract",
    "liability_files",
    "needs_connection",
    "report_key",
    "shards_digest",
]

MIN_SECRET_BYTES = 32
"""A shorter secret would be the weakest part of the keyed hash."""

_SOURCES: dict[str, type[LedgerSource]] = {"postgres": PostgresLedger, "mysql": MysqlLedger, "files": FilesLedger}

_TOTALS = """
select account_type, asset, count(*), sum(amount), sum(rounding)::hugeint from read_parquet($files) group by all order by all
"""


@dataclass(frozen=True, kw_only=True)
class LiabilitySnapshot:
    """The canonical datasets of one moment.

    Attributes:
        liabilities: Folder of shards (`liability_files`): user_key, account_type, asset, decimals, amount (signed base units), rounding (what was
            added to come to that amount, 10^-18 base units); sorted by key; private.
        control_totals: account_type, asset, row_count, user_count, total_amount (signed base units), rounding.
        flows: asset, kind, amount (signed base units), flow_count, rounding; empty for a first report.
    """

    liabilities: Path
    control_totals: Path
    flows: Path


def extract(settings: Settings, as_of: datetime, previous_as_of: datetime | None, uri: str, folder: Path) -> RawSnapshot:
    """Copy the ledger as it stood at `as_of` into raw Parquet files with text amounts.

    Args:
        settings: Names the kind of ledger, its schema and what is in scope.
        as_of: The attested moment.
        previous_as_of: The previous report's moment, or none for a first report.
        uri: Connection with its credentials.
        folder: Receives the files.

    Raises:
        ConfigError: The kind of ledger is unknown, the moments are in the wrong order, or the place of dropped files is none.
        SourceUnavailableError: The ledger cannot be reached or broke off.
        LedgerError: It refuses the user or the password, or its views or flows break the rules.
        AmountError: A flow is not an exact amount.
    """
    if previous_as_of is not None and previous_as_of >= as_of:
        raise ConfigError(
            f"the previous report's moment {format_as_of(previous_as_of)} is not before it",
            subject=f"as_of {format_as_of(as_of)}",
            next_step="attest a moment after the previous report's",
        )
    source = _source(settings, uri)
    raw = RawSnapshot(folder=folder)
    with disk_errors(folder):
        sweep(folder)
        raw.start()
        origin = source.extract(as_of, previous_as_of, raw)
        moments = {"as_of": format_as_of(as_of), "previous_as_of": None if previous_as_of is None else format_as_of(previous_as_of)}
        raw.seal({**moments, "kind": settings.ledger.kind, **origin})
    return raw


def probe(settings: Settings, as_of: datetime, uri: str) -> list[tuple[str, ...]]:
    """Make sure that the ledger can be read, without reading a balance; see `LedgerSource.probe`."""
    return _source(settings, uri).probe(as_of)


def needs_connection(settings: Settings) -> bool:
    """Tell whether the ledger is anywhere else than on a local disk."""
    return settings.ledger.kind != "files" or settings.ledger.folder.startswith(S3)


def _source(settings: Settings, uri: str) -> LedgerSource:
    if settings.ledger.kind not in _SOURCES:
        raise ConfigError(
            f"ledger kind {settings.ledger.kind!r} is unknown; known are {', '.join(_SOURCES)}",
            subject=str(settings.path),
            next_step="correct ledger.kind",
        )
    return _SOURCES[settings.ledger.kind](settings, uri)


def report_key(secret: bytes, series: str, as_of: datetime) -> bytes:
    """Derive the key that turns user ids into user keys, for one report alone.

    Args:
        secret: The entity's long-lived secret, at least MIN_SECRET_BYTES.
        series: The line of publications.
        as_of: The attested moment.

    Returns:
        32 bytes: HMAC-SHA256 of a label, the series and the moment under the secret (one step of RFC 5869's expand), so
        that keys of different reports say nothing about each other.

    Raises:
        ConfigError: The secret is too short.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"it has {len(secret)} bytes and at least {MIN_SECRET_BYTES} are needed",
            subject="the secret of the user keys",
            next_step="make one with `openssl rand -hex 32`",
        )
    return hmac.digest(secret, b"\0".join((b"assay/user-key/v1", series.encode(), format_as_of(as_of).encode())) + b"\x01", hashlib.sha256)


def canonicalise(settings: Settings, raw: RawSnapshot, secret: bytes, folder: Path) -> LiabilitySnapshot:
    """Write the canonical datasets of a raw snapshot, if every row and every total holds.

    Args:
        settings: Names the assets, the account types in scope, the number of shards and the memory limit.
        raw: What `extract` wrote; it says itself which moment it is of.
        secret: See `report_key`.
        folder: Receives the files; what an attempt that was killed made of the same extract is kept.

    Raises:
        LedgerError: The raw files are not whole, a row is duplicated or of an unknown asset or account type, there is no row, or the rows differ from
            the ledger's control totals in number or in sum.
        AmountError: A row, or a sum of rows, is not an exact amount of at most 38 digits.
        ConfigError: The secret is too short.
    """
    origin = raw.read_origin()
    as_of = parse_as_of(origin["as_of"])
    keys = UserKeys(prefix=user_key_prefix(settings.series, as_of), report_key=report_key(secret, settings.series, as_of))
    done = LiabilitySnapshot(
        liabilities=folder / "liabilities", control_totals=folder / "control_totals.parquet", flows=folder / "flows.parquet"
    )
    balances = [path for path in raw.balance_files() if pq.read_metadata(path).num_rows]
    if not balances:
        raise LedgerError(
            f"there is no balance for as_of {format_as_of(as_of)}",
            subject=f"ledger {settings.ledger.connection}, assay_balances",
            next_step="check that the ledger has closed that moment",
        )
    with disk_errors(folder):
        sweep(folder)
        with session(folder, memory_limit=settings.memory_limit) as connection:
            files = write_shards(connection, settings, balances, json.dumps(origin["files"]), keys, folder)
            sums = _sums(connection, settings, files)
        write_control_totals(settings, raw.control_totals, sums, done.control_totals)
        write_flows(settings, raw.flows, done.flows)
        finish(folder, files)
    return done


def _sums(connection: duckdb.DuckDBPyConnection, settings: Settings, files: Sequence[Path]) -> dict[tuple[str, str], Sum]:
    """Row count and exact sums by account type and asset, of what was written."""
    try:
        found = connection.execute(_TOTALS, {"files": list(map(str, files))}).fetchall()
    except duckdb.OutOfRangeException as error:
        raise AmountError(
            "a sum of balances has more than 38 digits",
            subject=f"ledger {settings.ledger.connection}, assay_balances",
            next_step="check the assets' decimals and the largest balances",
        ) from error
    return {
        (account_type, asset): Sum(rows=rows, amount=int(total), rounding=int(rounding))
        for account_type, asset, rows, total, rounding in found
    }
