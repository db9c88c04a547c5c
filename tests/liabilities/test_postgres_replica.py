"""Against a real hot standby: a base backup of a running PostgreSQL, fed by streaming replication."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest

from assay.config import Settings
from assay.errors import LedgerError
from assay.liabilities.postgres_session import PostgresSession
from assay.liabilities.snapshot import canonicalise, extract
from sandbox import postgres
from sandbox.accounts import LedgerPlan
from sandbox.ledger import _load
from sandbox.scenario import FIRST, SECOND

from .conftest import with_ledger


@pytest.fixture(scope="module")
def servers(plan: LedgerPlan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URIs of the owner on a primary and on its standby."""
    folder = tmp_path_factory.mktemp("replicated")
    with pytest.MonkeyPatch.context() as patch, postgres._place(folder) as place:
        patch.setattr(postgres, "_OPTIONS", postgres._OPTIONS | {"wal_level": "replica", "max_wal_senders": "4", "hot_standby": "on"})
        postgres._initialise(place, "exchange", password := "owner")
        first, port = postgres._start(place, folder / "primary.log", "exchange")
        with first:
            primary = f"postgresql://exchange:{password}@127.0.0.1:{port}/exchange"
            with psycopg.connect(primary.removesuffix("exchange") + "postgres", autocommit=True) as connection:
                connection.execute("create database exchange")
                connection.execute("create role assay login password 'assay'")
            with psycopg.connect(primary) as connection:
                _load(connection, plan)
            copy = dataclasses.replace(place, data=place.data.with_name("standby"))
            account = place.account
            copy.data.mkdir(mode=0o700)
            if account:
                os.chown(copy.data, account.pw_uid, account.pw_gid)
            subprocess.run(
                [str(place.program / "bin" / "pg_basebackup"), "-D", str(copy.data), "-R", "-X", "stream", "-c", "fast", "-d", primary],
                check=True,
                capture_output=True,
                cwd=place.data.parent,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                env={"PATH": os.environ["PATH"]},
            )
            second, other = postgres._start(copy, folder / "standby.log", "exchange")
            with second:
                yield primary, f"postgresql://exchange:{password}@127.0.0.1:{other}/exchange"


@pytest.fixture
def standby(servers: tuple[str, str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(servers[1], autocommit=True) as connection:
        connection.execute("select pg_wal_replay_pause()")
        while connection.execute("select pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
            time.sleep(0.05)
        yield connection
        connection.execute("select pg_wal_replay_resume()")


@pytest.mark.parametrize("readers", [1, 3])
def test_a_paused_replica_is_read_at_a_known_position_by_any_number_of_readers(
    servers: tuple[str, str], standby: psycopg.Connection, settings: Settings, tmp_path: Path, readers: int
) -> None:
    settings = with_ledger(settings, readers=readers)
    with psycopg.connect(servers[0], autocommit=True) as primary:
        primary.execute("update ledger.closing_balances set amount = amount + 1")
        raw = extract(settings, SECOND, FIRST, servers[1], tmp_path / "raw")
        primary.execute("update ledger.closing_balances set amount = amount - 1")
    ((position,),) = standby.execute("select pg_last_wal_replay_lsn()::text").fetchall()
    assert raw.read_origin()["replica"]["position"] == position
    canonicalise(settings, raw, b"s" * 32, tmp_path / "snapshot")
    assert pq.read_table(raw.balances).num_rows > 1000


def test_a_replica_that_goes_on_is_refused(servers: tuple[str, str], settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="it is a replica and its replay is 'not paused'"):
        extract(settings, SECOND, None, servers[1], tmp_path)


def test_a_replica_that_is_resumed_under_the_read_is_refused(
    servers: tuple[str, str], standby: psycopg.Connection, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = PostgresSession.copy

    def copy_and_resume(self: PostgresSession, statement: str, folder: Path) -> None:
        copy(self, statement, folder)
        standby.execute("select pg_wal_replay_resume()")

    monkeypatch.setattr(PostgresSession, "copy", copy_and_resume)
    with pytest.raises(LedgerError, match="its replay is 'not paused'"):
        extract(settings, SECOND, None, servers[1], tmp_path)
    assert not (tmp_path / "origin.json").exists()


def test_the_primary_says_nothing_of_a_position(servers: tuple[str, str], settings: Settings, tmp_path: Path) -> None:
    assert extract(settings, SECOND, None, servers[0], tmp_path).read_origin()["replica"] is None
