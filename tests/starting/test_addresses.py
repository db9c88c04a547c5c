"""Addresses become Connections, and `connections.url_of` makes the same addresses of them again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.connections import url_of
from assay.errors import ConfigError
from assay.starting.addresses import ledger_connection, secret_connection, source_connection, storage_connection

ADDRESSES = [
    ("jsonrpc", "http://127.0.0.1:8545"),
    ("jsonrpc", "https://node.example/v3/your-key"),
    ("jsonrpc", "https://node.example:8443/rpc?key=abc&x=1"),
    ("jsonrpc", "https://user:p%40ss%27%5C@node.example/rpc"),
    ("jsonrpc", "https://node.example#X-Api-Key=abc"),
    ("jsonrpc", "http://[::1]:8545"),
    ("electrum", "ssl://electrum.example:50002"),
    ("electrum", f"ssl://electrum.example:50002/{'ab' * 32}"),
    ("electrum", "tcp://127.0.0.1:50001"),
    ("utxo_file", "file://localhost/var/utxo"),
]


def again(connection: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AIRFLOW_CONN_ASSAY_TEST", connection)
    return url_of("assay_test")


@pytest.mark.parametrize(("kind", "address"), ADDRESSES)
def test_a_connection_gives_the_address_back(kind: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = address.replace("localhost", "") if kind == "utxo_file" else address
    assert again(source_connection(typed, kind, "here"), monkeypatch) == address


@pytest.mark.parametrize(
    ("kind", "address", "url"),
    [
        ("postgres", "postgresql://assay:p%2Fw@db.example:5432/exchange", "postgresql://assay:p%2Fw@db.example:5432/exchange"),
        ("postgres", "postgres://assay:pw@db.example/exchange", "postgresql://assay:pw@db.example/exchange"),
        ("mysql", "mysqls://assay:pw@db.example:3306", "mysqls://assay:pw@db.example:3306"),
    ],
)
def test_a_ledger_address_comes_back_too(kind: str, address: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert again(ledger_connection(address, kind, "here"), monkeypatch) == url


def test_the_keys_of_a_storage_are_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    assert again(storage_connection("https://KEY:SE%2FCRET@s3.example", "here"), monkeypatch) == "https://KEY:SE%2FCRET@s3.example"


@pytest.mark.parametrize(
    ("kind", "address", "problem"),
    [
        ("jsonrpc", "127.0.0.1:8545", "has no scheme"),
        ("jsonrpc", "", "is empty"),
        ("jsonrpc", "ftp://node.example/secret-key", "begins with ftp://"),
        ("jsonrpc", "http://node.example:port/secret-key", "is malformed"),
        ("jsonrpc", "http://node.example:99999/secret-key", "is malformed"),
        ("jsonrpc", "http:///secret-key", "names no host"),
        ("jsonrpc", "http://node.example/a key", "has a space"),
        ("electrum", "http://electrum.example:50002", "must begin with ssl:// or tcp://"),
        ("electrum", "ssl://electrum.example", "names no port"),
        ("utxo_file", "/var/utxo", "not that of a folder"),
    ],
)
def test_a_malformed_address_is_refused_without_being_repeated(kind: str, address: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        source_connection(address, kind, "--chain here")
    assert "secret-key" not in str(caught.value)


@pytest.mark.parametrize("address", ["postgresql://db.example:5432", "postgresql://db.example/exchange?sslmode=require"])
def test_a_postgres_address_without_a_database_or_with_a_query_is_refused(address: str) -> None:
    with pytest.raises(ConfigError):
        ledger_connection(address, "postgres", "here")


@given(st.text(min_size=1))
def test_no_text_brings_a_quotation_mark_or_a_pair_of_backslashes_into_the_file_of_variables(secret: str) -> None:
    text = secret_connection(secret)
    assert "'" not in text
    assert "\\\\" not in text
    assert text.isascii()
    assert json.loads(text)["password"] == secret
