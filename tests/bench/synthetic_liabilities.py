"""Made-up liabilities for benchmarks: many users, a few of whom hold most of what there is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from assay.commitments.format import Report

SCHEMA = pa.schema(
    [
        ("user_key", pa.string()),
        ("account_type", pa.string()),
        ("asset", pa.string()),
        ("decimals", pa.int32()),
        ("amount", pa.decimal128(38, 0)),
    ]
)
LEAST_ASSETS = 3
_WIDE = 18
_FILE_USERS = 1 << 18
_Words = npt.NDArray[np.uint64]
_PIECE = 1 << 14


def report_of(assets: int) -> Report:
    """Return a report of so many assets, most of them with 8 decimals, some with 6 and 18."""
    decimals = {0: 6, 1: 18}
    return Report(
        series="bench",
        as_of=datetime(2023, 2, 17, 16, tzinfo=UTC),
        revision=1,
        assets=tuple((f"A{number:02}", decimals.get(number % 4, 8)) for number in range(assets)),
    )


def write_liabilities(report: Report, users: int, folder: Path, *, seed: int = 1) -> list[Path]:
    """Write liabilities of users with 3 to all assets each, evenly spread, and log-normal balances; returns the files.

    The largest of a million balances is some 100,000 times the middle one (σ = 2.4).
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    paths = []
    for number, start in enumerate(range(0, users, _FILE_USERS)):
        path = folder / f"{number:05}.parquet"
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            for first in range(start, min(start + _FILE_USERS, users), _PIECE):
                writer.write_table(_rows(report, draw, min(_PIECE, users - first), first))
        paths.append(path)
    return paths


def _rows(report: Report, draw: np.random.Generator, users: int, start: int) -> pa.Table:
    assets = len(report.assets)
    least = min(LEAST_ASSETS, assets)
    held = draw.permuted(np.tile(np.arange(assets), (users, 1)), axis=1)
    kept = np.arange(assets) < draw.integers(least, assets + 1, users)[:, None]
    user, place = np.nonzero(kept)
    asset = held[user, place]
    order = np.lexsort((asset, user))
    user, asset = user[order], asset[order]
    # Ascending keys that look like hashes: a counter, then random digits.
    tails = draw.bytes(28 * users).hex()
    keys = np.array([f"{start + number:08x}{tails[56 * number : 56 * number + 56]}" for number in range(users)])
    decimals = np.array([decimals for _, decimals in report.assets])
    whole = (np.exp(draw.normal(0, 2.4, len(user))) * 10.0 ** np.minimum(decimals[asset], 8)).astype(np.uint64)
    words = np.where((decimals[asset] == _WIDE)[:, None], _widened(whole, draw.integers(0, 10**10, len(user), np.uint64)), _narrow(whole))
    symbols = pa.array(report.symbols, pa.string())
    return pa.Table.from_arrays(
        [
            pa.array(keys[user], pa.string()),
            pa.array(["spot"] * len(user), pa.string()),
            symbols.take(pa.array(asset)),
            pa.array(decimals[asset], pa.int32()),
            pa.Array.from_buffers(pa.decimal128(38, 0), len(user), [None, pa.py_buffer(words.tobytes())]),
        ],
        schema=SCHEMA,
    )


def _narrow(whole: _Words) -> _Words:
    """Low and high words of amounts that fit one."""
    return np.stack((whole, np.zeros_like(whole)), axis=1)


def _widened(whole: _Words, digits: _Words) -> _Words:
    """Low and high words of whole · 10^10 + digits, where whole is below 2^46."""
    half, five = np.uint64(32), np.uint64(10**5)
    scaled = whole * five
    low = (scaled & np.uint64(0xFFFFFFFF)) * five
    middle = (scaled >> half) * five + (low >> half)
    product = (middle << half) | (low & np.uint64(0xFFFFFFFF))
    total = product + digits
    return np.stack((total, (middle >> half) + (total < product)), axis=1)
