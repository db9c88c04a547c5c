from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import ContractError
from assay.warehouse.contracts import Contract, check_file, empty_table, load_contracts, write_parquet
from assay.warehouse.session import session
from tests.warehouse.samples import CONTRACTS, write_rows

PRICE: dict[str, object] = {
    "as_of": "2023-02-17T16:00:00Z", "asset": "BTC", "currency": "USD", "price": "24565.1", "source": "sample",
    "time": "2023-02-17T16:00:00Z", "sources_agreed": "1",
}  # fmt: skip
CONTRACT = Contract.load(CONTRACTS / "prices.odcs.yaml")
SCHEMA = {column.name: column.type for column in CONTRACT.columns}


def price(**other: object) -> dict[str, object]:
    return PRICE | other


def test_a_file_that_keeps_its_contract_passes_and_its_rows_are_counted(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "prices.parquet", SCHEMA, [price(), price(asset="ETH")])
    assert check_file(CONTRACT, path) == 2


@pytest.mark.parametrize("table", sorted(load_contracts(CONTRACTS)))
def test_an_empty_table_keeps_its_contract(table: str, tmp_path: Path) -> None:
    contract = load_contracts(CONTRACTS)[table]
    assert check_file(contract, empty_table(contract, tmp_path / f"{table}.parquet")) == 0


@pytest.mark.parametrize("table", sorted(load_contracts(CONTRACTS)))
def test_every_column_of_a_contract_has_a_unit_and_a_sentence(table: str) -> None:
    contract = load_contracts(CONTRACTS)[table]
    assert contract.key
    for column in contract.columns:
        assert column.unit, column.name
        assert column.description.endswith("."), column.name
        assert column.type not in {"DOUBLE", "FLOAT", "HUGEINT"}, column.name


def test_the_contract_says_that_percentages_divide_by_the_previous_balance() -> None:
    columns = {column.name: column for column in load_contracts(CONTRACTS)["deposit_deltas"].columns}
    assert "divides by the previous balance" in columns["change_percent"].description


@pytest.mark.parametrize(
    ("schema", "rows", "message"),
    [
        ({name: kind for name, kind in SCHEMA.items() if name != "source"}, [price()], "column source is missing"),
        ({**SCHEMA, "bid": "VARCHAR"}, [price(bid="1")], "column bid is not in the contract"),
        (dict(reversed(SCHEMA.items())), [price()], "not at its place"),
        (SCHEMA | {"price": "DOUBLE"}, [price()], "column price has the type DOUBLE and must have DECIMAL"),
        (SCHEMA, [price(source=None)], "column source is not null, and 1 of 1 rows break it"),
        (SCHEMA, [price(), price()], r"key \(asset, currency\) is unique, and \(BTC, USD\) stands there more than once"),
        (SCHEMA, [price(asset="ETH"), price()], r"sorted by \(asset, currency\), and \(BTC, USD\) comes after"),
    ],
)
def test_a_file_that_breaks_its_contract_is_refused_with_column_and_rule(
    schema: dict[str, str], rows: list[dict[str, object]], message: str, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "prices.parquet", schema, rows)
    with pytest.raises(ContractError, match=message) as caught:
        check_file(CONTRACT, path)
    assert str(path) in str(caught.value)


def test_a_sum_that_grew_past_38_digits_in_silence_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.parquet"
    nines = "9" * 30 + "." + "9" * 8
    with session() as connection:
        write_parquet(
            connection,
            "select any_value(as_of) as as_of, 'BTC' as asset, 'USD' as currency, sum(price) as price, 'x' as source, "
            "any_value(as_of) as time, 1 as sources_agreed "
            f"from (select timestamptz '2023-02-17 16:00:00Z' as as_of, unnest(['{nines}'::decimal(38, 8), '1'::decimal(38, 8)]) as price)",
            path,
        )
    with pytest.raises(ContractError, match="column price is not null and has at most 38 digits"):
        check_file(CONTRACT, path)


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(ContractError, match="cannot be read"):
        check_file(CONTRACT, path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("[", "not a contract"), ("schema: []", "not a contract"), ("name: x", "not a contract")],
)
def test_a_malformed_contract_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.odcs.yaml").write_text(text)
    with pytest.raises(ContractError, match=message):
        load_contracts(tmp_path)


def test_a_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="holds no contract"):
        load_contracts(tmp_path)


def test_a_contract_is_named_after_its_table(tmp_path: Path) -> None:
    (tmp_path / "other.odcs.yaml").write_text((CONTRACTS / "prices.odcs.yaml").read_text())
    with pytest.raises(ContractError, match="the contract of prices"):
        load_contracts(tmp_path)


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("*.odcs.yaml")), ids=lambda path: path.name)
def test_datacontract_cli_accepts_the_contract(path: Path) -> None:
    api = pytest.importorskip("datacontract.api", reason="datacontract-cli is not installed")
    result = api.DataContract(data_contract_file=str(path)).lint()
    assert str(result.result.value) == "passed", result.pretty()


def outside_opinion(path: Path) -> set[str]:
    """Return the results of datacontract-cli's checks of a file of prices, but for those of types, which it says it cannot check."""
    pytest.importorskip("ibis", reason="datacontract-cli is installed without its duckdb extra")
    api = pytest.importorskip("datacontract.api", reason="datacontract-cli is not installed")
    contract = (CONTRACTS / "prices.odcs.yaml").read_text()
    server = f"servers:\n  - server: local\n    type: local\n    path: {path}\n    format: parquet\n"
    checks = api.DataContract(data_contract_str=contract + server, server="local").test().checks
    return {str(check.result.value) for check in checks if "not supported yet" not in (check.reason or "")}


def test_datacontract_cli_holds_a_published_file_to_the_contract(tmp_path: Path) -> None:
    assert outside_opinion(write_rows(tmp_path / "prices.parquet", SCHEMA, [price(), price(asset="ETH")])) == {"passed"}


def test_datacontract_cli_refuses_a_file_that_breaks_the_contract(tmp_path: Path) -> None:
    assert "failed" in outside_opinion(write_rows(tmp_path / "prices.parquet", SCHEMA, [price(source=None)]))
