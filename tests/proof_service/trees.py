"""Real trees for the service: users with balances, their publication, and the private index."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.commitments.building import build
from assay.commitments.format import Commitment, Report, user_key
from assay.config import Settings
from assay.liabilities.snapshot import report_key
from assay.publication.log import Log, folder_name

SECRET = 64 * "s"
_SCHEMA = pa.schema(
    [
        ("user_key", pa.string()),
        ("account_type", pa.string()),
        ("asset", pa.string()),
        ("decimals", pa.int32()),
        ("amount", pa.decimal128(38, 0)),
    ]
)


def publish_tree(settings: Settings, as_of: datetime, balances: Mapping[str, Mapping[str, int]], *, revision: int = 1) -> Commitment:
    """Build the tree over users' balances, and leave it with its index where publishing does."""
    assets = tuple(sorted((symbol, asset.decimals) for symbol, asset in settings.assets.items()))
    report = Report(series=settings.series, as_of=as_of, revision=revision, assets=assets)
    key = report_key(SECRET.encode(), settings.series, as_of)
    rows = []
    for user, held in balances.items():
        blind = hmac.digest(key, user.encode(), "sha256")
        stands_for = user_key(settings.series, as_of, blind, user).hex()
        for symbol, amount in held.items():
            rows.append((stands_for, "spot", symbol, dict(assets)[symbol], Decimal(amount)))
    work = settings.lake / "work"
    work.mkdir(parents=True)
    columns = zip(*sorted(rows), strict=True)
    liabilities = work / "liabilities.parquet"
    pq.write_table(
        pa.table([pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA), liabilities
    )

    series = settings.lake / "publications" / settings.series
    folder = series / folder_name(as_of, revision)
    tree, index = folder / "liability_tree", settings.lake / "marts" / "commitments" / folder.name / "index"
    for path in (tree, index, work / "build"):
        path.mkdir(parents=True)
    commitment = build(
        report,
        [liabilities],
        secret=SECRET.encode(),
        tree=tree,
        index=index,
        work=work / "build",
        memory_limit="500MB",
        processes=1,
        shard_leaves=64,
    )
    shutil.rmtree(work)
    _enter(settings, folder, commitment, index)
    return commitment


def _enter(settings: Settings, folder: Path, commitment: Commitment, index: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"liability_commitment": commitment.commitment.hex()}))
    manifest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    report = commitment.report
    Log.read(folder.parent).append(as_of=report.as_of, revision=report.revision, manifest_sha256=manifest, published_at=datetime.now(UTC))
    note = settings.lake / "marts" / "origins" / manifest / "origin.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"index": index.relative_to(settings.lake).as_posix()}))
    (index.parent / "connection.json").write_text(json.dumps({"connection": settings.ledger.pseudonym_connection}))
