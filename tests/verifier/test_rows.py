"""Two implementations of one specification: the verifier's and the publisher's must give the same digests."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.warehouse.digest import canonical_digest
from assay_verify import rows
from assay_verify.canonical_json import sha256
from assay_verify.findings import MalformedError

EXAMPLE = """\
["assay-rows-v1",["asset","string"],["amount","decimal(38,0)"],["ratio","decimal(38,8)"],["read_at","timestamp"],["fresh","boolean"]]
["BTC","13573500000","1.03880946","2023-02-17T16:00:00.000000Z",true]
["ETH","-5",null,"2023-02-17T15:59:59.500000Z",false]
"""

_WIDE = Context(prec=60)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
MOMENT = st.datetimes(datetime(1970, 1, 1), datetime(2262, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
COLUMNS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), TEXT),
    (pa.bool_(), st.booleans()),
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.decimal128(38, 0), st.integers(-(10**38) + 1, 10**38 - 1).map(Decimal)),
    (pa.decimal128(38, 8), st.integers(-(10**38) + 1, 10**38 - 1).map(lambda value: Decimal(value).scaleb(-8, context=_WIDE))),
    (pa.decimal128(9, 2), st.integers(-(10**9) + 1, 10**9 - 1).map(lambda value: Decimal(value).scaleb(-2))),
    (pa.timestamp("us", tz="UTC"), MOMENT),
    (pa.binary(), st.binary(max_size=12)),
]


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    chosen = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=5))
    count = draw(st.integers(0, 6))
    arrays = [pa.array(draw(st.lists(st.none() | values, min_size=count, max_size=count)), type=kind) for kind, values in chosen]
    return pa.table(arrays, names=[f"column {number}" for number in range(len(chosen))])


def test_the_example_of_the_specification_has_its_digest(tmp_path: Path) -> None:
    table = pa.table(
        {
            "asset": pa.array(["BTC", "ETH"]),
            "amount": pa.array([Decimal(13573500000), Decimal(-5)], pa.decimal128(38, 0)),
            "ratio": pa.array([Decimal("1.03880946"), None], pa.decimal128(38, 8)),
            "read_at": pa.array(
                [datetime(2023, 2, 17, 16, tzinfo=UTC), datetime(2023, 2, 17, 15, 59, 59, 500000, tzinfo=UTC)], pa.timestamp("us", tz="UTC")
            ),
            "fresh": pa.array([True, False]),
        }
    )
    pq.write_table(table, tmp_path / "example.parquet")
    digest = sha256(EXAMPLE.encode())
    assert rows.digest(tmp_path / "example.parquet") == (2, digest)
    page = (Path(__file__).parents[2] / "docs" / "formats" / "canonical_rows.md").read_text()
    assert EXAMPLE in page
    assert f"Its digest is `{digest}`." in page


@settings(max_examples=60, deadline=None)
@given(table=tables())
def test_publisher_and_verifier_agree_on_any_table(tmp_path_factory: pytest.TempPathFactory, table: pa.Table) -> None:
    path = tmp_path_factory.mktemp("rows") / "table.parquet"
    pq.write_table(table, path)
    assert rows.digest(path) == (table.num_rows, canonical_digest(path))


@pytest.mark.parametrize("codec", ["zstd", "snappy", "none"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_the_digest_depends_on_rows_and_not_on_how_they_were_written(tmp_path: Path, codec: str, unit: str) -> None:
    table = pa.table({"at": pa.array([datetime(2023, 1, 1, tzinfo=UTC)], pa.timestamp(unit, tz="UTC")), "text": ['é\u0001"\\']})
    pq.write_table(table, tmp_path / "table.parquet", compression=codec)
    header = b'["assay-rows-v1",["at","timestamp"],["text","string"]]\n'
    assert rows.digest(tmp_path / "table.parquet")[1] == sha256(header + '["2023-01-01T00:00:00.000000Z","é\\u0001\\"\\\\"]\n'.encode())


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.date32(), pa.timestamp("us"), pa.list_(pa.int64())])
def test_types_without_a_canonical_form_are_refused(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"column": pa.array([], kind)}), tmp_path / "table.parquet")
    with pytest.raises(MalformedError, match="no canonical form"):
        rows.digest(tmp_path / "table.parquet")


def test_a_file_that_is_not_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_text("hello")
    with pytest.raises(MalformedError, match="cannot be read as Parquet"):
        rows.digest(tmp_path / "table.parquet")
