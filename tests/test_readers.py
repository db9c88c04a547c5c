"""What other programs see when they open a table of a contract's types: nothing of an amount is lost on the way."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from assay.attestation import CONTRACTS
from assay.warehouse.contracts import load_contracts, write_parquet
from assay.warehouse.session import session

WIDEST = "9" * 38
_SAMPLES = {
    "DECIMAL(38,0)": f"{WIDEST}::decimal(38,0)",
    "DECIMAL(38,8)": "1.03880946::decimal(38,8)",
    "DECIMAL(38,2)": "-12.34::decimal(38,2)",
    "DECIMAL(38,18)": "0.000000000000000001::decimal(38,18)",
    "TIMESTAMP WITH TIME ZONE": "'2023-02-17 16:00:00Z'::timestamp with time zone",
    "VARCHAR": "'text'",
    "INTEGER": "8::integer",
    "BIGINT": "9007199254740993::bigint",
    "BOOLEAN": "true",
}
_EXPECTED = {
    "DECIMAL(38,0)": Decimal(WIDEST),
    "DECIMAL(38,8)": Decimal("1.03880946"),
    "DECIMAL(38,2)": Decimal("-12.34"),
    "DECIMAL(38,18)": Decimal("0.000000000000000001"),
    "BIGINT": 9007199254740993,
}


@pytest.mark.parametrize("table", sorted(load_contracts(CONTRACTS)))
def test_duckdb_pyarrow_and_pandas_read_the_contracted_types_exactly(table: str, tmp_path: Path) -> None:
    contract = load_contracts(CONTRACTS)[table]
    path = tmp_path / f"{table}.parquet"
    with session() as connection:
        write_parquet(connection, "select " + ", ".join(f"{_SAMPLES[column.type]} as {column.name}" for column in contract.columns), path)
    described = {row[0]: row[1] for row in duckdb.sql(f"describe select * from '{path}'").fetchall()}
    assert described == {column.name: column.type for column in contract.columns}
    (arrow,) = pq.read_table(path).to_pylist()
    pandas = pd.read_parquet(path).iloc[0]
    for column in contract.columns:
        if column.type in _EXPECTED:
            assert arrow[column.name] == _EXPECTED[column.type]
            assert pandas[column.name] == _EXPECTED[column.type]
    assert not [name for name, kind in pd.read_parquet(path).dtypes.items() if kind == "float64"]
