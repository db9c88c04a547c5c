from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import ContractError
from assay.warehouse.contracts import write_parquet
from assay.warehouse.digest import _line, canonical_digest, canonical_lines
from assay.warehouse.session import session
from tests.warehouse.samples import REPOSITORY

EXAMPLE = """
    select * from (values
        ('BTC', 13573500000::decimal(38, 0), 1.03880946::decimal(38, 8), timestamptz '2023-02-17 16:00:00Z', true),
        ('ETH', -5, null, timestamptz '2023-02-17 17:59:59.5+02', false)
    ) t(asset, amount, ratio, read_at, fresh)
"""


def write(path: Path, query: str) -> Path:
    with session() as connection:
        write_parquet(connection, query, path)
    return path


def test_the_specification_states_the_bytes_and_the_digest_of_its_example(tmp_path: Path) -> None:
    specification = (REPOSITORY / "docs/formats/canonical_rows.md").read_text()
    path = write(tmp_path / "example.parquet", EXAMPLE)
    lines = b"".join(canonical_lines(path)).decode()
    assert f"```\n{lines}```" in specification
    assert f"`{canonical_digest(path)}`" in specification
    assert canonical_digest(path) == hashlib.sha256(lines.encode()).hexdigest()


def test_the_digest_does_not_depend_on_how_the_file_was_written(tmp_path: Path) -> None:
    first = write(tmp_path / "a.parquet", EXAMPLE)
    with session() as connection:
        connection.execute(f"copy ({EXAMPLE}) to '{tmp_path}/b.parquet' (format parquet, compression snappy, row_group_size 2048)")
    assert first.read_bytes() != (tmp_path / "b.parquet").read_bytes()
    assert canonical_digest(first) == canonical_digest(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    "other",
    [
        EXAMPLE.replace("1.03880946", "1.03880947"),
        EXAMPLE.replace("null", "0"),
        EXAMPLE.replace("true", "null"),
        EXAMPLE.replace("decimal(38, 8)", "decimal(38, 9)"),
        EXAMPLE.replace("t(asset, amount", "t(symbol, amount"),
        EXAMPLE.replace("59.5", "59.500001"),
        EXAMPLE + " order by asset desc",
        EXAMPLE + " limit 1",
    ],
)
def test_every_change_of_name_type_value_or_order_changes_the_digest(other: str, tmp_path: Path) -> None:
    assert canonical_digest(write(tmp_path / "a.parquet", EXAMPLE)) != canonical_digest(write(tmp_path / "b.parquet", other))


def test_rows_are_streamed_in_order_over_many_row_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "many.parquet", "select i::bigint as i from range(300000) t(i)")
    lines = list(canonical_lines(path))
    assert lines[1:] == [f'["{i}"]\n'.encode() for i in range(300_000)]


@pytest.mark.parametrize("value", ["1.5::double", "1.5::float", "1::hugeint", "date '2023-01-01'", "[1]", "timestamp '2023-01-01'"])
def test_a_type_without_a_canonical_form_is_refused(value: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", f"select {value} as x")
    with pytest.raises(ContractError, match=r"column x has the type .*, which has no canonical form"):
        canonical_digest(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read"):
        canonical_digest(tmp_path / "missing.parquet")


@given(st.lists(st.none() | st.booleans() | st.text(st.characters(exclude_categories=["Cs"]))))
@settings(max_examples=200, deadline=None)
def test_a_line_is_rfc_8785(values: list[str | bool | None]) -> None:
    assert _line(values) == rfc8785.dumps(values) + b"\n"


def test_decimals_keep_all_their_digits(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.parquet",
        "select '-0.5'::decimal(38, 8) as a, '99999999999999999999999999999999999999'::decimal(38, 0) as b, 0::decimal(38, 2) as c",
    )
    assert re.sub(r".*\n", "", b"".join(canonical_lines(path)).decode(), count=1) == '["-0.50000000","' + "9" * 38 + '","0.00"]\n'
