"""The rules that a balance (or a flow) must meet, as SQL over the raw files, and the explanation of a row that breaks one.

The rules are those of `finer_digits.read_amount`, written as SQL so that a billion rows need no Python loop; a refused row is explained by
`read_amount` itself.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from assay.config import Settings
from assay.errors import AmountError, AssayError, LedgerError
from assay.liabilities.finer_digits import finer_digits, read_amount
from assay.money import FINER_DIGITS, MAX_DIGITS
from assay.warehouse.session import read_parquet

# Tests hold the two against each other. The detour over HUGEINT is exact up to 38 digits, and DuckDB 1.5 reads a text into it in a
# tenth of a microsecond where reading it into DECIMAL(38,0) takes thirty.
_ROWS = r"""
create or replace view rows as
with read as (
    select * exclude (amount), amount as text, ltrim(amount, '-') as unsigned, amount[1] = '-' as negative,
        account_type in (select account_type from account_types) as type_known,
    from $raw left join assets using (asset)
),
split as (
    select *, split_part(unsigned, '.', 1) as whole, rtrim(split_part(unsigned, '.', 2), '0') as fraction,
    from read
),
digits as (
    select *, ltrim(whole || rpad(fraction, coalesce(decimals, 0), '0'), '0') as digits,
        -- What is below one base unit, in 10^-$finer of it.
        coalesce(try_cast(rpad(fraction[coalesce(decimals, 0) + 1:], $finer, '0') as bigint), 0) as below,
        regexp_full_match(text, '-?[0-9]+([.][0-9]*)?') and length(fraction) <= finest as plain,
    from split
)
select * exclude (type_known, unsigned, negative, whole, fraction, digits, below, finest, plain),
    coalesce(
        user_id <> '' and type_known and plain and length(digits) <= $most
        and (negative or below = 0 or digits <> repeat('9', $most)),
        false
    ) as valid,
    case when valid then cast(
        cast(if(negative, '-', '') || if(digits = '', '0', digits) as hugeint) + if(negative or below = 0, 0, 1) as decimal(38, 0)
    ) end as amount,
    case when valid then if(negative or below = 0, below, $one - below) end as rounding,
from digits
"""
_BROKEN = "select user_id, account_type, asset, text from rows where not valid order by all nulls first limit 1"


def register(connection: duckdb.DuckDBPyConnection, settings: Settings, raw: Path | list[Path]) -> None:
    """Make the view `rows` of raw files.

    It has all their columns, `decimals`, the `amount` in base units, and `rounding`: what was added to come to it, in 10^-FINER_DIGITS of a
    base unit. The last two are null where a row is not `valid`.
    """
    symbols = sorted(settings.assets)
    decimals = [settings.assets[symbol].decimals for symbol in symbols]
    finest = [places + finer_digits(settings) for places in decimals]
    connection.register(
        "assets",
        pa.table(
            {"asset": pa.array(symbols, pa.string()), "decimals": pa.array(decimals, pa.int32()), "finest": pa.array(finest, pa.int32())}
        ),
    )
    connection.register("account_types", pa.table({"account_type": pa.array(settings.ledger.account_types, pa.string())}))
    # A view takes no parameter; the path is the project's own, and quoted.
    statement = _ROWS.replace("$raw", read_parquet(raw))
    for name, number in (("$finer", FINER_DIGITS), ("$one", 10**FINER_DIGITS), ("$most", MAX_DIGITS)):
        statement = statement.replace(name, str(number))
    connection.execute(statement)


def check(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Hold every row of the view `rows` against the rules.

    Raises:
        LedgerError: A user is empty, or an asset or account type is unknown.
        AmountError: An amount is not an exact one of at most 38 digits.
    """
    if broken := connection.execute(_BROKEN).fetchone():
        raise _error(settings, broken)


def row_subject(settings: Settings, user_id: str | None, account_type: str | None, asset: str | None) -> str:
    """Name a row in errors."""
    return f"ledger {settings.ledger.connection}, assay_balances, user {user_id}, {account_type}, {asset}"


def _error(settings: Settings, row: tuple[str | None, ...]) -> AssayError:
    """Say which rule a row breaks."""
    user_id, account_type, asset, text = row
    subject = row_subject(settings, user_id, account_type, asset)
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
    read_amount(settings, text, str(asset), subject=subject)
    return AmountError(f"{text[:60]!r} is not an exact amount", subject=subject, next_step="correct the value at its source")
