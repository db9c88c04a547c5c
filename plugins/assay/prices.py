"""Prices in USD at the attested moment, out of files that the entity provides.

A price is the last one at or before `as_of`. It is refused when it is missing, stale, not positive or written
inexactly, and when a second source differs by more than the tolerance. Rows of assets that the registry doesn't know are
ignored: a price file usually has more of them, and it decides nothing about what is owed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.config import PriceSettings, PriceSource, Settings
from assay.csv_file import decimal_comma, read_rows
from assay.errors import AmountError, ConfigError, PriceError
from assay.lake import format_as_of, parse_as_of, replacing_file
from assay.money import parse_amount

DECIMALS = 8
"""A price counts units of 10^-8 USD."""

_HEADER = ["asset", "price", "currency", "time"]
_BASIS_POINTS = 10_000
_SCHEMA = pa.schema(
    [
        ("asset", pa.string()),
        ("currency", pa.string()),
        ("price", pa.decimal128(38, DECIMALS)),
        ("source", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("sources_agreed", pa.int32()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Price:
    """One asset's price in one source.

    Attributes:
        asset: Symbol.
        price: Units of 10^-8 USD for one whole unit of the asset; positive.
        time: When it held.
        source: Name of the source.
        row: File and line, for errors.
    """

    asset: str
    price: int
    time: datetime
    source: str
    row: str


def load(settings: Settings, as_of: datetime, folder: Path) -> Path:
    """Write the prices of all known assets at a moment.

    Args:
        settings: Names assets, price sources, tolerance and age.
        as_of: The attested moment.
        folder: Receives `prices.parquet`: asset, currency, price, source (the first one's name), time, sources_agreed;
            sorted by asset.

    Returns:
        The file.

    Raises:
        PriceError: A file or row is malformed, or a price is missing, stale, duplicated, not positive, or differs
            between two sources by more than the tolerance.
    """
    quotes = [_at(source, settings, as_of) for source in settings.prices.sources]
    prices = []
    for asset in sorted(settings.assets):
        first, *others = (source[asset] for source in quotes)
        for other in others:
            _compare(first, other, settings.prices.tolerance_bps)
        prices.append(first)
    path = folder / "prices.parquet"
    with replacing_file(path) as temporary:
        pq.write_table(_table(prices, settings.prices, agreed=len(quotes)), temporary, compression="zstd")
    return path


def check_files(settings: Settings, as_of: datetime | None = None) -> None:
    """Make sure that every price file is there and well-formed, and, where a moment is given, reaches it.

    Raises:
        PriceError: One does not; see `load`.
    """
    for source in settings.prices.sources:
        if as_of is None:
            for _ in _read(source, settings):
                pass
        else:
            _at(source, settings, as_of)


def last_times(settings: Settings, source: PriceSource) -> Mapping[str, datetime]:
    """Return when each known asset has its last price in one source; an asset without a price is not there.

    Raises:
        PriceError: The file is missing or malformed.
    """
    last: dict[str, datetime] = {}
    for price in _read(source, settings):
        last[price.asset] = max(price.time, last.get(price.asset, price.time))
    return last


def _at(source: PriceSource, settings: Settings, as_of: datetime) -> Mapping[str, Price]:
    """Each known asset's last price at or before the moment, in one source."""
    last: dict[str, Price] = {}
    seen: dict[tuple[str, datetime], str] = {}
    for price in _read(source, settings):
        first_row = seen.setdefault((price.asset, price.time), price.row)
        if first_row != price.row:
            raise _fail(f"{price.asset} at {format_as_of(price.time)} is there already, in {first_row.rpartition(', ')[2]}", price.row)
        if price.time <= as_of and (price.asset not in last or price.time > last[price.asset].time):
            last[price.asset] = price
    for asset in sorted(settings.assets):
        if asset not in last:
            raise _fail(
                f"{asset} has no price at or before {format_as_of(as_of)}",
                str(source.path),
                "add one, or take the asset out of the registry",
            )
        age = int((as_of - last[asset].time).total_seconds())
        if age > settings.prices.max_age_seconds:
            raise _fail(
                f"the last price of {asset} is {age} s older than {format_as_of(as_of)} and at most {settings.prices.max_age_seconds} s are allowed",
                last[asset].row,
                "add a newer price",
            )
    return last


def _read(source: PriceSource, settings: Settings) -> Iterable[Price]:
    for line, row in read_rows(source.path, _HEADER, _fail):
        if row[0] in settings.assets:
            yield _price(row, source, settings.prices.currency, f"{source.path}, line {line}")


def _price(row: list[str], source: PriceSource, currency: str, where: str) -> Price:
    asset, text, row_currency, time = row
    if row_currency != currency:
        raise _fail(f"the currency of {asset} is {row_currency!r} and not {currency}", where)
    if problem := decimal_comma(text):
        raise _fail(f"the price of {asset}: {problem}", where)
    try:
        price, moment = parse_amount(text, DECIMALS, subject=where), parse_as_of(time)
    except (AmountError, ConfigError) as error:
        raise _fail(f"{asset}: {error.problem}", where) from error
    if price <= 0:
        raise _fail(f"the price of {asset} is {text} and must be positive", where)
    return Price(asset=asset, price=price, time=moment, source=source.name, row=where)


def _compare(first: Price, other: Price, tolerance_bps: int) -> None:
    if abs(other.price - first.price) * _BASIS_POINTS > tolerance_bps * first.price:
        raise _fail(
            f"{first.asset} is {_text(other.price)} in {other.source} and {_text(first.price)} in {first.source} ({first.row}), "
            f"more than {tolerance_bps} hundredths of a percent apart",
            other.row,
            "find out which source is wrong",
        )


def _text(price: int) -> str:
    whole, rest = divmod(price, 10**DECIMALS)
    return f"{whole}.{rest:0{DECIMALS}d}"


def _table(prices: list[Price], settings: PriceSettings, *, agreed: int) -> pa.Table:
    columns = {
        "asset": [price.asset for price in prices],
        "currency": [settings.currency] * len(prices),
        "price": [Decimal(_text(price.price)) for price in prices],
        "source": [price.source for price in prices],
        "time": [price.time for price in prices],
        "sources_agreed": [agreed] * len(prices),
    }
    return pa.table(columns, schema=_SCHEMA)


def _fail(problem: str, subject: str, next_step: str = "correct the file") -> PriceError:
    return PriceError(problem, subject=subject, next_step=next_step)
