"""Liabilities of made-up users, as the snapshot writes them."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.commitments.building import build
from assay.commitments.format import Commitment, Report, user_key
from assay.liabilities.snapshot import report_key

SECRET = b"the secret of an entity that does not exist"
AS_OF = datetime(2023, 2, 17, 16, tzinfo=UTC)
ASSETS = {"BTC": 8, "ETH": 18, "USDT": 6}
LATER = datetime(2023, 3, 16, 16, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("user_key", pa.string()),
        ("account_type", pa.string()),
        ("asset", pa.string()),
        ("decimals", pa.int32()),
        ("amount", pa.decimal128(38, 0)),
    ]
)
Balances = Mapping[str, Mapping[str, int]]
"""User ids with what they have of each asset."""


def report_of(assets: Mapping[str, int], as_of: datetime = AS_OF, revision: int = 1) -> Report:
    return Report(series="example", as_of=as_of, revision=revision, assets=tuple(sorted(assets.items())))


def blind_of(report: Report, user_id: str) -> bytes:
    return hmac.digest(report_key(SECRET, report.series, report.as_of), user_id.encode(), hashlib.sha256)


def key_of(report: Report, user_id: str) -> str:
    return user_key(report.series, report.as_of, blind_of(report, user_id), user_id).hex()


def rows_of(report: Report, balances: Balances) -> list[tuple[str, str, str, int, int]]:
    """One row a user and asset, sorted by key."""
    decimals = dict(report.assets)
    rows = [
        (key_of(report, user_id), "spot", asset, decimals[asset], amount)
        for user_id, own in balances.items()
        for asset, amount in own.items()
    ]
    return sorted(rows)


def write_rows(path: Path, rows: Iterable[Sequence[object]]) -> Path:
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    amounts = [None if amount is None else Decimal(amount) for amount in columns[4]]  # type: ignore[call-overload]
    arrays = [pa.array(column, field.type) for column, field in zip((*columns[:4], amounts), SCHEMA, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), path, row_group_size=1000)
    return path


def build_tree(report: Report, liabilities: Sequence[Path], folder: Path, **options: object) -> Commitment:
    """Build in this process, into `tree` and `index`."""
    settings = {"processes": 1, "memory_limit": "1GB", "shard_leaves": 64, "secret": SECRET} | options
    return build(report, liabilities, tree=folder / "tree", index=folder / "index", work=folder / "work", **settings)  # type: ignore[arg-type]


def commit_to(report: Report, balances: Balances, folder: Path, **options: object) -> Commitment:
    return build_tree(report, [write_rows(folder / "liabilities.parquet", rows_of(report, balances))], folder, **options)


def some_users(count: int, seed: int = 1, assets: dict[str, int] = ASSETS) -> dict[str, dict[str, int]]:
    draw = random.Random(seed)
    return {
        f"user-{number}": {
            asset: int(draw.lognormvariate(0, 2) * 10**decimals)
            for asset, decimals in assets.items()
            if draw.random() < 0.6 or asset == "BTC"
        }
        for number in range(count)
    }
