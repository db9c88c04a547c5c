"""From a ledger to the canonical liabilities: exact amounts, keyed user hashes, reconciled totals.

Rows are streamed through DuckDB, which spills to disk beyond the configured memory; the conversion rules are those of
`money.parse_amount`, written as SQL so that a billion rows need no Python loop, and a refused row is explained by
`parse_amount` itself. Totals, counts and flows are few and are handled in Python.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from assay.config import Settings
from assay.errors import AmountError, AssayError, ConfigError, LedgerError
from assay.lake import format_as_of, parse_as_of, replacing_file
from assay.liabilities.interface import LedgerSource, RawSnapshot
from assay.liabilities.postgres import PostgresLedger
from assay.liabilities.totals import write_control_totals, write_flows
from assay.money import parse_amount
from assay.warehouse.session import quote_text, session

MIN_SECRET_BYTES = 32
"""A shorter secret would be the weakest part of the keyed hash."""

_HMAC_BLOCK = 64  # bytes; SHA-256's block, FIPS 198-1
_SOURCES: dict[str, type[PostgresLedger]] = {"postgres": PostgresLedger}

# Same rules as money.parse_amount; tests hold the two against each other. The detour over HUGEINT is exact up to 38 digits, and
# DuckDB 1.5 reads a text into it in a tenth of a microsecond where reading it into DECIMAL(38,0) takes thirty.
_ROWS = r"""
create view rows as
with read as (
    select user_id, account_type, asset, decimals, amount as text,
        ltrim(amount, '-') as unsigned, account_type in (select account_type from account_types) as type_known,
    from read_parquet($raw) left join assets using (asset)
),
split as (
    select *, split_part(unsigned, '.', 1) as whole, rtrim(split_part(unsigned, '.', 2), '0') as fraction,
    from read
),
digits as (
    select *, ltrim(whole || rpad(fraction, coalesce(decimals, 0), '0'), '0') as digits,
        regexp_full_match(text, '-?[0-9]+([.][0-9]*)?') and length(fraction) <= decimals as plain,
    from split
)
select user_id, account_type, asset, decimals, text,
    coalesce(user_id <> '' and type_known and plain and length(digits) <= 38, false) as valid,
    case when valid then cast(cast(if(text[1] = '-', '-', '') || if(digits = '', '0', digits) as hugeint) as decimal(38, 0)) end as amount,
from digits
"""
_BROKEN = "select user_id, account_type, asset, text from rows where not valid order by all nulls first limit 1"
_DUPLICATED = """
select user_id, account_type, asset, count(*) from read_parquet($raw)
group by all having count(*) > 1 order by all limit 1
"""
# HMAC (RFC 2104): H(key ^ opad || H(key ^ ipad || message)).
_LIABILITIES = """
copy (
    select sha256(getvariable('outer_pad') || unhex(sha256(getvariable('inner_pad') || encode(user_id)))) as user_key,
        account_type, asset, decimals, amount,
    from rows
    order by user_key, account_type, asset
) to $path (format parquet, compression zstd)
"""
_TOTALS = """
select account_type, asset, count(*), sum(amount) from read_parquet($path) group by all order by all
"""


@dataclass(frozen=True, kw_only=True)
class LiabilitySnapshot:
    """The canonical datasets of one moment.

    Attributes:
        liabilities: user_key, account_type, asset, decimals, amount (signed base units); sorted by key; private.
        control_totals: account_type, asset, row_count, user_count, total_amount (signed base units).
        flows: asset, kind, amount (signed base units), flow_count; empty for a first report.
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
        ConfigError: The kind of ledger is unknown, or the moments are in the wrong order.
        SourceUnavailableError: The ledger refused the connection or broke off.
        LedgerError: Its views or flows break the rules.
        AmountError: A flow is not an exact amount.
    """
    if previous_as_of is not None and previous_as_of >= as_of:
        raise ConfigError(
            f"the previous report's moment {format_as_of(previous_as_of)} is not before it",
            subject=f"as_of {format_as_of(as_of)}",
            next_step="attest a moment after the previous report's",
        )
    return _source(settings, uri).extract(as_of, previous_as_of, folder)


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
        settings: Names the assets, the account types in scope and the memory limit.
        raw: What `extract` wrote; it says itself which moment it is of.
        secret: See `report_key`.
        folder: Receives the files.

    Raises:
        LedgerError: The raw files are not whole, a row is duplicated or of an unknown asset or account type, there is no row, or the rows differ from
            the ledger's control totals in number or in sum.
        AmountError: A row, or a sum of rows, is not an exact amount of at most 38 digits.
        ConfigError: The secret is too short.
    """
    as_of = _moment_of(raw)
    key = report_key(secret, settings.series, as_of)
    done = LiabilitySnapshot(
        liabilities=folder / "liabilities.parquet", control_totals=folder / "control_totals.parquet", flows=folder / "flows.parquet"
    )
    with session(folder, memory_limit=settings.memory_limit) as connection:
        _register(connection, settings, raw)
        _check_rows(connection, settings, raw, as_of)
        for name, pad in (("inner_pad", 0x36), ("outer_pad", 0x5C)):
            padded = bytes(byte ^ pad for byte in key.ljust(_HMAC_BLOCK, b"\0"))
            connection.execute(f"set variable {name} = $padded::blob", {"padded": padded})
        with replacing_file(done.liabilities) as path:
            connection.execute(_LIABILITIES, {"path": str(path)})
            sums = _sums(connection, settings, path)
            write_control_totals(settings, raw.control_totals, sums, done.control_totals)
    write_flows(settings, raw.flows, done.flows)
    return done


def _moment_of(raw: RawSnapshot) -> datetime:
    if not raw.origin.exists():
        raise LedgerError("the extract is unfinished", subject=str(raw.folder), next_step="extract the ledger again")
    return parse_as_of(json.loads(raw.origin.read_text())["as_of"])


def _register(connection: duckdb.DuckDBPyConnection, settings: Settings, raw: RawSnapshot) -> None:
    symbols = sorted(settings.assets)
    decimals = pa.array([settings.assets[symbol].decimals for symbol in symbols], pa.int32())
    connection.register("assets", pa.table({"asset": pa.array(symbols, pa.string()), "decimals": decimals}))
    connection.register("account_types", pa.table({"account_type": pa.array(settings.ledger.account_types, pa.string())}))
    # A view takes no parameter; the path is the project's own, and quoted.
    connection.execute(_ROWS.replace("$raw", quote_text(str(raw.balances))))


def _check_rows(connection: duckdb.DuckDBPyConnection, settings: Settings, raw: RawSnapshot, as_of: datetime) -> None:
    ledger = f"ledger {settings.ledger.connection}"
    parameters = {"raw": str(raw.balances)}
    if not connection.execute("select 1 from rows limit 1").fetchone():
        raise LedgerError(
            f"there is no balance for as_of {format_as_of(as_of)}",
            subject=f"{ledger}, assay_balances",
            next_step="check that the ledger has closed that moment",
        )
    if broken := connection.execute(_BROKEN).fetchone():
        raise _row_error(settings, ledger, broken)
    if duplicated := connection.execute(_DUPLICATED, parameters).fetchone():
        raise LedgerError(
            f"the row is there {duplicated[3]} times",
            subject=_row(ledger, *duplicated[:3]),
            next_step="remove the duplicate from the ledger's view",
        )


def _row(ledger: str, user_id: str | None, account_type: str | None, asset: str | None) -> str:
    return f"{ledger}, assay_balances, user {user_id}, {account_type}, {asset}"


def _row_error(settings: Settings, ledger: str, row: tuple[str | None, ...]) -> AssayError:
    """Say which rule a row breaks."""
    user_id, account_type, asset, text = row
    subject = _row(ledger, user_id, account_type, asset)
    if not user_id:
        return LedgerError("user_id is empty", subject=subject, next_step="correct the ledger's view")
    for name, value, known in (("account type", account_type, settings.ledger.account_types), ("asset", asset, sorted(settings.assets))):
        if value not in known:
            return LedgerError(
                f"{name} {value!r} is unknown; known are {', '.join(known)}",
                subject=subject,
                next_step="correct the ledger's view, or add it to the configuration",
            )
    if text is None:
        return AmountError("amount is null", subject=subject, next_step="correct the ledger's view")
    parse_amount(text, settings.assets[str(asset)].decimals, subject=subject)
    return AmountError(f"{text[:60]!r} is not an exact amount", subject=subject, next_step="correct the value at its source")


def _sums(connection: duckdb.DuckDBPyConnection, settings: Settings, liabilities: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """Row count and exact sum by account type and asset, of what was written."""
    try:
        found = connection.execute(_TOTALS, {"path": str(liabilities)}).fetchall()
    except duckdb.OutOfRangeException as error:
        raise AmountError(
            "a sum of balances has more than 38 digits",
            subject=f"ledger {settings.ledger.connection}, assay_balances",
            next_step="check the assets' decimals and the largest balances",
        ) from error
    return {(account_type, asset): (rows, int(total)) for account_type, asset, rows, total in found}
