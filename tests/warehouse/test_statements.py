from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import ComputationError
from assay.warehouse.statements import in_order, read_statements
from tests.warehouse.samples import SQL


def write(root: Path, **files: str) -> Path:
    for name, sql in files.items():
        folder, _, stem = name.partition("__")
        (root / folder).mkdir(exist_ok=True)
        (root / folder / f"{stem}.sql").write_text(sql)
    return root


def test_a_statement_knows_its_inputs_what_it_reads_and_its_rule(tmp_path: Path) -> None:
    sql = "-- One rule\n-- in two lines.\nwith a as (select * from inputs.a), b as (select * from b)\nselect * from a join b on true join c on true"
    root = write(tmp_path, marts__x=sql, staging__b="select 1 as i", staging__c="select 1 as i")
    statement = read_statements(root)["x"]
    assert statement.inputs == {"a"}
    assert statement.reads == {"b", "c"}
    assert statement.comment == "One rule in two lines."


def test_statements_come_after_what_they_read_whatever_their_names(tmp_path: Path) -> None:
    root = write(
        tmp_path, marts__a="select * from z", staging__z="select * from m", staging__m="select 1 as i", checks__b="select * from a"
    )
    assert [statement.name for statement in in_order(read_statements(root).values())] == ["m", "z", "a", "b"]


def test_a_statement_may_have_a_table_expression_of_its_own_name(tmp_path: Path) -> None:
    root = write(tmp_path, marts__prices="with prices as (select * from inputs.prices) select * from prices")
    assert read_statements(root)["prices"].reads == frozenset()


def test_a_circle_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path, marts__a="select * from b", marts__b="select * from a")
    with pytest.raises(ComputationError, match=r"in a circle: . → . → ."):
        list(in_order(read_statements(root).values()))


@pytest.mark.parametrize("sql", ["select 1; select 2", "drop table x", "", "-- nothing"])
def test_a_file_that_is_not_one_select_is_refused(sql: str, tmp_path: Path) -> None:
    with pytest.raises(ComputationError, match="not exactly one select"):
        read_statements(write(tmp_path, marts__a=sql))


def test_a_file_that_cannot_be_parsed_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ComputationError, match=r"marts/a\.sql: it cannot be parsed"):
        read_statements(write(tmp_path, marts__a="select from where ("))


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ComputationError, match="makes a table of the same name"):
        read_statements(write(tmp_path, marts__a="select 1 as i", finance__a="select 1 as i"))


def test_a_folder_without_sql_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ComputationError, match="holds no SQL file"):
        read_statements(tmp_path)


def test_every_check_of_the_project_states_its_rule_in_a_sentence() -> None:
    checks = [statement for statement in read_statements(SQL).values() if statement.folder == "checks"]
    assert checks
    for check in checks:
        assert check.comment.endswith("."), check.name
