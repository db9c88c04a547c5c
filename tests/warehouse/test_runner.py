from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import ComputationError, ContractError
from assay.warehouse.runner import Computed, run
from tests.warehouse.samples import CONTRACTS, FIRST, SCHEMAS, price, read_rows, write_rows


def write_sql(root: Path, **files: str) -> Path:
    for name, sql in files.items():
        folder, _, stem = name.partition("__")
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / f"{stem}.sql").write_text(sql)
    return root


PRICES = "select getvariable('as_of')::timestamptz as as_of, * from inputs.prices"


def run_sql(folder: Path, *, inputs: dict[str, Path | list[Path]] | None = None, **files: str) -> Computed:
    prices = write_rows(folder / "prices.parquet", SCHEMAS["prices"], [price("ETH", "1500", FIRST), price("BTC", "20000", FIRST)])
    return run(
        write_sql(folder / "sql", **files),
        {"prices": prices} if inputs is None else inputs,
        folder / "tables",
        as_of=FIRST,
        previous_as_of=None,
        contracts=CONTRACTS,
        finance=folder / "finance",
        work=folder / "work",
    )


def test_marts_and_finance_go_to_their_folders_sorted_and_nothing_else_is_left(tmp_path: Path) -> None:
    computed = run_sql(
        tmp_path,
        marts__prices=PRICES,
        staging__steps="select asset from inputs.prices",
        finance__assets="select * from steps",
        checks__rule="select * from prices where price < 0",
    )
    assert computed.tables == {"prices": tmp_path / "tables/prices.parquet"}
    assert computed.finance == {"assets": tmp_path / "finance/assets.parquet"}
    assert computed.rows == {"prices": 2, "assets": 2}
    assert [row["asset"] for row in read_rows(computed.tables["prices"])] == ["BTC", "ETH"]
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["prices.parquet"]
    assert list((tmp_path / "work").iterdir()) == []


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    first = run_sql(tmp_path / "a", marts__prices=PRICES).tables["prices"]
    second = run_sql(tmp_path / "b", marts__prices=PRICES).tables["prices"]
    assert first.read_bytes() == second.read_bytes()


def test_an_input_in_several_files_is_one_input(tmp_path: Path) -> None:
    parts: list[Path] = [
        write_rows(tmp_path / f"{asset}.parquet", SCHEMAS["prices"], [price(asset, "1", FIRST)]) for asset in ("USDT", "BTC")
    ]  # fmt: skip
    assert run_sql(tmp_path, inputs={"prices": parts}, marts__prices=PRICES).rows == {"prices": 2}


def test_a_broken_rule_names_the_check_its_sentence_and_the_first_rows_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        ComputationError, match=r"check cheap: the rule is broken: Nothing is cheap\. Broken by asset ETH, price 1500\.00000000"
    ):
        run_sql(tmp_path, marts__prices=PRICES, checks__cheap="-- Nothing is cheap.\nselect asset, price from prices where price < 10000")
    assert not (tmp_path / "tables").exists()


def test_a_table_that_breaks_its_contract_stops_all_tables(tmp_path: Path) -> None:
    blocks = "select getvariable('as_of')::timestamptz as as_of, 'bitcoin' as chain"
    with pytest.raises(ContractError, match=r"table snapshot_blocks .*: the column height is missing"):
        run_sql(tmp_path, marts__prices=PRICES, marts__snapshot_blocks=blocks)
    assert list((tmp_path / "tables").iterdir()) == []


def test_a_failed_run_leaves_earlier_tables_as_they_were(tmp_path: Path) -> None:
    path = run_sql(tmp_path, marts__prices=PRICES).tables["prices"]
    before = path.read_bytes()
    with pytest.raises(ComputationError):
        run_sql(tmp_path, marts__prices=PRICES.replace("*", "* replace (price + 1 as price)"), checks__rule="-- No.\nselect * from prices")
    assert path.read_bytes() == before


def test_a_published_table_without_a_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="has no contract"):
        run_sql(tmp_path, marts__novelty="select 1 as i")


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComputationError, match="the input prices is missing"):
        run_sql(tmp_path, inputs={}, marts__prices=PRICES)


def test_an_unreadable_input_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(ComputationError, match=r"input prices \(.*broken\.parquet\): it cannot be read"):
        run_sql(tmp_path, inputs={"prices": broken}, marts__prices=PRICES)


@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT"])
def test_a_float_in_an_input_is_refused(kind: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "floats.parquet", {**SCHEMAS["prices"], "price": kind}, [price("BTC", "20000", FIRST)])
    with pytest.raises(ComputationError, match=f"the column price has the type {kind}, which is not kept exactly"):
        run_sql(tmp_path, inputs={"prices": path}, marts__prices=PRICES)


@pytest.mark.parametrize("expression", ["price / 3", "avg(price)", "sum(sources_agreed)"])
def test_a_computed_column_that_is_not_exact_is_refused(expression: str, tmp_path: Path) -> None:
    with pytest.raises(ComputationError, match="which is not kept exactly"):
        run_sql(tmp_path, finance__x=f"select {expression} as x from inputs.prices")


def test_a_statement_that_fails_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ComputationError, match=r"sql/staging/x\.sql: it cannot be computed \(.*cost.*\)"):
        run_sql(tmp_path, staging__x="select cost from inputs.prices")


def test_macros_that_fail_are_named(tmp_path: Path) -> None:
    write_sql(tmp_path / "sql", marts__prices=PRICES)
    (tmp_path / "sql/macros.sql").write_text("create macro broken(")
    with pytest.raises(ComputationError, match=r"macros\.sql"):
        run_sql(tmp_path, marts__prices=PRICES)
