"""Writes drops of files as `docs/formats/ledger_sources.md` describes them, and breaks them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay.liabilities.interface import BALANCE_COLUMNS, TOTAL_COLUMNS

SLUG = "2023-02-17T160000Z"
FLOW = ("occurred_at", "flow_id", "user_id", "account_type", "asset", "kind", "amount")
BALANCES = [("U1", "spot", "BTC", "1.5"), ("U1", "margin", "BTC", "-0.25"), ("U2", "spot", "BTC", "0.00000001")]
TOTALS: list[tuple[str, str, int, int, str]] = [("spot", "BTC", 2, 2, "1.50000001"), ("margin", "BTC", 1, 1, "-0.25")]
FLOWS = [
    ("2023-01-18T16:00:00Z", "F0", "U1", "spot", "BTC", "deposit", "100"),
    ("2023-01-18T16:00:00.000001Z", "F1", "U1", "spot", "BTC", "deposit", "1.25"),
    ("2023-02-17T16:00:00Z", "F2", "U2", "spot", "BTC", "fee", "-0.00000001"),
    ("2023-02-17T16:00:00Z", "F3", "U2", "spot", "BTC", "deposit", "0.5"),
    ("2023-02-17T16:00:01Z", "F4", "U2", "spot", "BTC", "deposit", "100"),
]

Rows = Sequence[Sequence[object]]


def csv_bytes(columns: Sequence[str], rows: Rows, *, packed: bool = False) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    return gzip.compress(text.getvalue().encode()) if packed else text.getvalue().encode()


def parquet_bytes(columns: Sequence[str], rows: Rows, types: Mapping[str, pa.DataType] | None = None) -> bytes:
    arrays = {name: pa.array([row[number] for row in rows], (types or {}).get(name, pa.string())) for number, name in enumerate(columns)}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink)
    return sink.getvalue().to_pybytes()


def totals(rows: Rows) -> list[dict[str, object]]:
    return [dict(zip(TOTAL_COLUMNS, row, strict=True)) for row in rows]


def drop(given: Mapping[str, tuple[int, bytes]] | None = None, **changes: Any) -> dict[str, bytes]:
    """Return the files of a drop by path: two of balances in both formats, one of flows, and the control file last."""
    files = given
    if files is None:
        files = {
            "balances/a.csv": (2, csv_bytes(BALANCE_COLUMNS, BALANCES[:2])),
            "balances/b.parquet": (1, parquet_bytes(BALANCE_COLUMNS, BALANCES[2:])),
            "flows/2023-02.csv.gz": (5, csv_bytes(FLOW, FLOWS, packed=True)),
        }
    control = {
        "format": "assay-ledger-drop-v1",
        "as_of": "2023-02-17T16:00:00Z",
        "flows_from": "2023-01-01T00:00:00Z",
        "files": [{"path": path, "rows": rows, "sha256": hashlib.sha256(data).hexdigest()} for path, (rows, data) in files.items()],
        "totals": totals(TOTALS),
    }
    found = {path: data for path, (_, data) in files.items()}
    return {**found, "control.json": json.dumps(control | changes).encode()}


def balances(rows: Rows, path: str = "balances/a.csv", **changes: Any) -> dict[str, bytes]:
    """Return a drop with one file of these balances."""
    data = parquet_bytes(BALANCE_COLUMNS, rows) if path.endswith(".parquet") else csv_bytes(BALANCE_COLUMNS, rows)
    return drop({path: (len(rows), data)}, flows_from=None, **changes)
