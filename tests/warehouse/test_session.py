from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from assay.warehouse.session import quote_name, quote_text, session


def test_the_configuration_is_fixed_and_locked() -> None:
    with session(memory_limit="500MB") as connection:
        settings = dict(connection.execute("select name, value from duckdb_settings()").fetchall())
        assert settings["TimeZone"] == "UTC"
        assert settings["threads"] == "2"
        assert settings["memory_limit"] == "476.8 MiB"
        assert settings["autoinstall_known_extensions"] == settings["autoload_known_extensions"] == "false"
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            connection.execute("set memory_limit = '10GB'")


def test_grouping_more_than_fits_memory_spills_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with session(tmp_path / "work", memory_limit="60MB") as connection:
        connection.execute(
            "create table keys as select sha256(i::varchar) as user_key, i::decimal(38, 0) as amount from range(500000) t(i)"
        )
        found = connection.execute(
            "select count(*), max(n) from (select user_key, count(*) as n, sum(amount) as total from keys group by user_key)"
        ).fetchall()
    assert found == [(500_000, 1)]
    assert list((tmp_path / "work").iterdir()) == []


def test_an_extension_is_never_fetched() -> None:
    with session() as connection, pytest.raises(duckdb.Error):
        connection.execute("select * from 'https://example.invalid/x.parquet'")


def test_names_and_texts_are_quoted() -> None:
    assert quote_name('a"b') == '"a""b"'
    assert quote_text("it's") == "'it''s'"
