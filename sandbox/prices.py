"""Price files of two sources for both attested moments.

The prices are illustrative: close to what the assets traded at on 18 January and 17 February 2023, but taken from no
market and fit for nothing but the sandbox.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sandbox.scenario import FIRST, SECOND

PRICES = {
    "close": {"BTC": ("20709.35", "24322.87"), "ETH": ("1513.78", "1678.41"), "USDT": ("1.0002", "1.0001"), "LTC": ("82.46", "98.37")},
    "cross_check": {
        "BTC": ("20713.90", "24318.02"),
        "ETH": ("1514.05", "1677.96"),
        "USDT": ("1.0001", "1.0003"),
        "LTC": ("82.51", "98.31"),
    },
}
"""By source and asset: USD for one whole unit at FIRST and at SECOND."""

_BEFORE = {"close": timedelta(0), "cross_check": timedelta(minutes=1)}


def write_prices(folder: Path, *, litecoin: bool) -> list[Path]:
    """Write one CSV a source, `asset,price,currency,time`.

    Each has the prices of both moments and, between and after them, prices that must not be taken.

    Args:
        folder: Receives `<source>.csv`.
        litecoin: Give prices of LTC as well.

    Returns:
        The files, the one to be used first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for source, quotes in PRICES.items():
        assets = {asset: prices for asset, prices in quotes.items() if litecoin or asset != "LTC"}
        lines = ["asset,price,currency,time"]
        for moment, number in ((FIRST, 0), (SECOND, 1)):
            lines += [_line(asset, "0.99999999", moment - timedelta(hours=8)) for asset in assets]
            lines += [_line(asset, prices[number], moment - _BEFORE[source]) for asset, prices in assets.items()]
            lines += [_line(asset, "123456.78", moment + timedelta(seconds=1)) for asset in assets]
        path = folder / f"{source}.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _line(asset: str, price: str, time: datetime) -> str:
    return f"{asset},{price},USD,{time:%Y-%m-%dT%H:%M:%SZ}"
