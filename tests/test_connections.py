from __future__ import annotations

import json

import pytest

from assay.connections import secret_of, url_of
from assay.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ({"conn_type": "generic", "schema": "tcp", "host": "127.0.0.1", "port": 50001}, "tcp://127.0.0.1:50001"),
        (
            {
                "conn_type": "generic",
                "schema": "https",
                "host": "node.example",
                "login": "u",
                "password": "p@/",
                "extra": {"path": "/v3/key"},
            },
            "https://u:p%40%2F@node.example/v3/key",
        ),
        (
            {
                "conn_type": "generic",
                "schema": "https",
                "host": "node.example",
                "extra": {"path": "v1", "headers": {"TRON-PRO-API-KEY": "k&y=1"}},
            },
            "https://node.example/v1#TRON-PRO-API-KEY=k%26y%3D1",
        ),
        ("postgresql://assay:secret@ledger.example:5432/exchange", "postgresql://assay:secret@ledger.example:5432/exchange"),
    ],
)
def test_a_connection_becomes_an_address(monkeypatch: pytest.MonkeyPatch, value: object, url: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", value if isinstance(value, str) else json.dumps(value))
    assert url_of("source") == url


def test_a_missing_connection_or_host_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="AIRFLOW_CONN_NOWHERE"):
        url_of("nowhere")
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", json.dumps({"conn_type": "generic"}))
    with pytest.raises(ConfigError, match="names no host"):
        url_of("source")


def test_a_short_secret_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KEY", json.dumps({"conn_type": "generic", "password": "hunter2"}))
    with pytest.raises(ConfigError, match="7 characters") as caught:
        secret_of("key")
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("AIRFLOW_CONN_KEY", json.dumps({"conn_type": "generic", "password": "a" * 64}))
    assert secret_of("key") == b"a" * 64
