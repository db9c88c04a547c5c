"""Against a real MariaDB (Debian package `mariadb-server`), where it is installed; no MySQL of Oracle's can be had from Debian or PyPI."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pymysql
import pytest

from assay.config import Settings
from assay.errors import AmountError, LedgerError, SourceUnavailableError
from assay.liabilities import interface, mysql_session
from assay.liabilities.mysql_session import MysqlSession
from assay.liabilities.snapshot import canonicalise, extract, probe
from sandbox.processes import Process, free_port, listens
from sandbox.scenario import FIRST, SECOND

from .conftest import with_ledger

SECRET = b"s" * 32
PASSWORD = "p@ss'w%ö"
SERVER = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
INSTALL = shutil.which("mariadb-install-db")
_NUMBERS = itertools.count(1)

pytestmark = pytest.mark.skipif(not (SERVER and INSTALL), reason="mariadbd is not installed (Debian package mariadb-server)")


@dataclass(frozen=True)
class Server:
    port: int

    @property
    def uri(self) -> str:
        return f"mysql://assay:p%40ss%27w%25%C3%B6@127.0.0.1:{self.port}"

    def owner(self) -> pymysql.Connection[Any]:
        return pymysql.connect(host="127.0.0.1", port=self.port, user="owner", password="owner", autocommit=True)


TABLES = """
create database exchange character set utf8mb4 collate utf8mb4_general_ci;
create user owner@'%' identified by 'owner';
grant all on *.* to owner@'%' with grant option;
create user assay@'%' identified by 'p@ss\\'w%ö';
create table exchange.balances (as_of datetime, user_id varchar(40), account_type varchar(20), asset varchar(10), amount decimal(65, 30));
create table exchange.totals (as_of datetime, account_type varchar(20), asset varchar(10), row_count bigint, user_count bigint, total_amount decimal(65, 30));
create table exchange.flows (
    occurred_at timestamp(6), flow_id varchar(40), user_id varchar(40), account_type varchar(20), asset varchar(10), kind varchar(20), amount decimal(65, 30)
);
insert into exchange.balances select '2023-02-17 16:00:00', concat('U', seq), 'spot', 'BTC', seq / 8 from exchange.seq_1_to_2000;
insert into exchange.balances values ('2023-02-17 16:00:00', 'u1', 'margin', 'ETH', -0.000000000000000001), ('2023-01-18 16:00:00', 'U1', 'spot', 'BTC', 1);
insert into exchange.totals select as_of, account_type, asset, count(*), count(distinct user_id), sum(amount) from exchange.balances group by 1, 2, 3;
insert into exchange.flows values
    ('2023-01-18 16:00:00', 'F0', 'U1', 'spot', 'BTC', 'deposit', 100), ('2023-01-18 16:00:00.000001', 'F1', 'U1', 'spot', 'BTC', 'deposit', 1.25),
    ('2023-02-17 16:00:00', 'F2', 'U2', 'spot', 'BTC', 'fee', -0.00000001), ('2023-02-17 16:00:00', 'f2', 'U2', 'spot', 'BTC', 'deposit', 0.5),
    ('2023-02-17 16:00:00.000001', 'F4', 'U2', 'spot', 'BTC', 'deposit', 100);
"""
FLOW = "select timestamp'2023-02-01 00:00:00' as occurred_at, 'F9' as flow_id, 'U1' as user_id, 'spot' as account_type"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mariadb")
    data, port = folder / "data", free_port()

    account = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        [str(INSTALL), "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db", *account],
        check=True,
        capture_output=True,
    )
    # A socket's path may have 107 characters only.
    with tempfile.TemporaryDirectory() as short:
        options = [
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={short}/s",
            "--default-time-zone=+09:00",
            "--innodb-flush-log-at-trx-commit=0",
        ]
        command = [str(SERVER), "--no-defaults", f"--datadir={data}", f"--pid-file={folder}/pid", *options, *account]
        with Process("mariadbd", command, log=folder / "log", folder=folder) as process:
            process.wait_until(lambda: listens(port))
            root = pymysql.connect(unix_socket=f"{short}/s", user="root", autocommit=True)
            with root, root.cursor() as cursor:
                cursor.execute("set session time_zone = '+00:00'")
                for statement in filter(str.strip, TABLES.split(";\n")):
                    cursor.execute(statement)
            yield Server(port)


@pytest.fixture
def owner(server: Server) -> Iterator[Any]:
    with server.owner() as connection, connection.cursor() as cursor:
        cursor.execute("set session time_zone = '+00:00'")
        yield cursor


Views = Callable[..., Settings]


@pytest.fixture
def views(owner: Any, settings: Settings) -> Views:
    """Create a database with the three views and return settings that read it."""

    def create(
        *,
        balances: str = "select * from exchange.balances",
        totals: str = "select * from exchange.totals",
        flows: str = "select * from exchange.flows",
    ) -> Settings:
        schema = f"Test `Schema` {next(_NUMBERS)}"
        name = f"`{schema.replace('`', '``')}`"
        owner.execute(f"create database {name}")
        for view, query in (("assay_balances", balances), ("assay_control_totals", totals), ("assay_flows", flows)):
            owner.execute(f"create view {name}.{view} as {query}")
            owner.execute(f"grant select on {name}.{view} to assay@'%'")
        return with_ledger(settings, kind="mysql", schema=schema)

    return create


def test_every_row_comes_out_with_every_digit_and_adds_up(server: Server, views: Views, tmp_path: Path) -> None:
    settings = views()
    raw = extract(settings, SECOND, FIRST, server.uri, tmp_path / "raw")
    rows = {tuple(row.values()) for row in pq.read_table(raw.balances).to_pylist()}
    assert len(rows) == 2001
    assert ("U1", "spot", "BTC", "0.125000000000000000000000000000") in rows
    assert ("u1", "margin", "ETH", "-0.000000000000000001000000000000") in rows
    canonicalise(settings, raw, SECRET, tmp_path / "snapshot")


def test_flows_begin_after_the_previous_moment_and_end_with_this_one(server: Server, views: Views, tmp_path: Path) -> None:
    raw = extract(views(), SECOND, FIRST, server.uri, tmp_path)
    assert [(row["asset"], row["kind"], row["amount"].rstrip("0"), row["flow_count"]) for row in pq.read_table(raw.flows).to_pylist()] == [
        ("BTC", "deposit", "1.75", "2"),
        ("BTC", "fee", "-0.00000001", "1"),
    ]


def test_38_digits_and_more_arrive_as_they_stand(server: Server, views: Views, tmp_path: Path) -> None:
    text = "1" * 35 + "." + "1" * 30
    row = f"select timestamp'2023-02-17 16:00:00' as as_of, 'U1' as user_id, 'spot' as account_type, 'BTC' as asset, {text} as amount"
    settings = views(balances=row)
    raw = extract(settings, SECOND, None, server.uri, tmp_path / "raw")
    assert pq.read_table(raw.balances).to_pylist()[0]["amount"] == text
    with pytest.raises(AmountError, match="finer than one base unit"):
        canonicalise(settings, raw, SECRET, tmp_path / "snapshot")


def test_a_large_ledger_is_streamed_into_several_files(
    server: Server, views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql_session, "_BATCH", 100)
    monkeypatch.setattr(mysql_session, "ROWS_A_FILE", 700)
    raw = extract(views(), SECOND, None, server.uri, tmp_path)
    assert [pq.read_metadata(path).num_rows for path in raw.balance_files()] == [700, 700, 601]
    assert interface.ROWS_A_FILE > 700


COPY = MysqlSession.copy


def test_balances_totals_and_flows_are_of_one_snapshot_while_the_ledger_changes(
    server: Server, views: Views, owner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = views()
    quiet = extract(settings, SECOND, FIRST, server.uri, tmp_path / "quiet")
    changed = []

    def change_and_copy(self: MysqlSession, statement: str, columns: tuple[str, ...], folder: Path) -> None:
        for table, column in (("balances", "amount"), ("totals", "total_amount"), ("flows", "amount")):
            changed.append(owner.execute(f"update exchange.{table} set {column} = {column} + 1"))
        COPY(self, statement, columns, folder)

    monkeypatch.setattr(MysqlSession, "copy", change_and_copy)
    try:
        busy = extract(settings, SECOND, FIRST, server.uri, tmp_path / "busy")
    finally:
        for table, column in (("balances", "amount"), ("totals", "total_amount"), ("flows", "amount")):
            owner.execute(f"update exchange.{table} set {column} = {column} - 1")
    assert all(changed)
    for name in ("balances", "control_totals", "flows"):
        tables = [pq.read_table(getattr(raw, name)) for raw in (quiet, busy)]
        assert sorted(map(str, tables[0].to_pylist())) == sorted(map(str, tables[1].to_pylist()))


def test_a_transaction_that_ended_under_way_is_found(server: Server, views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a proxy does that splits transactions."""

    def copy_and_commit(self: MysqlSession, statement: str, columns: tuple[str, ...], folder: Path) -> None:
        COPY(self, statement, columns, folder)
        self.query("commit")

    monkeypatch.setattr(MysqlSession, "copy", copy_and_commit)
    with pytest.raises(LedgerError, match="not read in one snapshot"):
        extract(views(), SECOND, None, server.uri, tmp_path)
    assert not (tmp_path / "origin.json").exists()


def test_the_transaction_can_write_nothing(server: Server) -> None:
    uri = f"mysql://owner:owner@127.0.0.1:{server.port}"
    with mysql_session.transaction(uri, name="ledger") as session, pytest.raises(LedgerError, match="READ ONLY transaction"):
        session.query("delete from exchange.balances")


def test_a_server_that_goes_away_is_an_error_that_may_pass(
    server: Server, views: Views, owner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_and_copy(self: MysqlSession, statement: str, columns: tuple[str, ...], folder: Path) -> None:
        owner.execute(f"kill {self.query('select connection_id()')[0][0]}")
        COPY(self, statement, columns, folder)

    monkeypatch.setattr(MysqlSession, "copy", end_and_copy)
    with pytest.raises(SourceUnavailableError, match="broke off"):
        extract(views(), SECOND, None, server.uri, tmp_path)
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.parametrize("wrong", ["port", "password", "host", "tls"])
def test_a_refused_connection_says_why_and_never_shows_the_password(server: Server, views: Views, tmp_path: Path, wrong: str) -> None:
    settings = views()
    uri = {
        "port": server.uri.replace(str(server.port), str(free_port())),
        "password": server.uri.replace("p%40ss", "another%40"),
        "host": server.uri.replace("127.0.0.1", "host.invalid"),
        "tls": server.uri.replace("mysql:", "mysqls:"),
    }[wrong]
    with pytest.raises(LedgerError if wrong == "password" else SourceUnavailableError) as caught:
        extract(settings, SECOND, None, uri, tmp_path)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    said = {"password": "Access denied for user 'assay'", "tls": "SSL"}
    assert said.get(wrong, "the connection failed") in str(caught.value)
    assert not [secret for secret in (PASSWORD, "p%40ss", "another@", "host.invalid", uri) if secret in shown]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("cast(amount as double) as amount", "double"),
        ("cast(amount as float) as amount", "float"),
        ("cast(amount as char) as amount", "varchar"),
    ],
)
def test_an_amount_of_an_inexact_type_is_refused(server: Server, views: Views, tmp_path: Path, column: str, kind: str) -> None:
    settings = views(balances=f"select as_of, user_id, account_type, asset, {column} from exchange.balances")
    with pytest.raises(LedgerError, match=f"its type is '{kind}'"):
        extract(settings, SECOND, None, server.uri, tmp_path)


@pytest.mark.parametrize("engine", ["MyISAM", "Aria", "InnoDB"])
def test_a_table_in_the_place_of_a_view_must_know_snapshots(server: Server, views: Views, owner: Any, tmp_path: Path, engine: str) -> None:
    settings = views()
    name = f"`{settings.ledger.schema.replace('`', '``')}`.assay_balances"
    owner.execute(f"drop view {name}")
    owner.execute(f"create table {name} engine = {engine} as select * from exchange.balances")
    if engine == "InnoDB":
        extract(settings, SECOND, None, server.uri, tmp_path)
        return
    with pytest.raises(LedgerError, match=f"assay_balances: it is a table in {engine}, which knows no snapshot"):
        extract(settings, SECOND, None, server.uri, tmp_path)


def test_a_missing_column_and_a_missing_schema_are_named(server: Server, views: Views, tmp_path: Path) -> None:
    settings = views(flows="select occurred_at, flow_id, user_id, account_type, asset, amount from exchange.flows")
    with pytest.raises(LedgerError, match=r"assay_flows\.kind: the view has no such column"):
        extract(settings, SECOND, None, server.uri, tmp_path)
    with pytest.raises(LedgerError, match=r"it's empty\.assay_balances: there is no such view"):
        extract(with_ledger(settings, schema="it's empty"), SECOND, None, server.uri, tmp_path)


@pytest.mark.parametrize(
    ("asset", "kind", "amount", "error", "said"),
    [
        ("BTC", "airdrop", "1", LedgerError, "kind 'airdrop' is unknown"),
        ("btc", "deposit", "1", LedgerError, "asset 'btc' is unknown"),
        ("BTC ", "deposit", "1", LedgerError, "asset 'BTC ' is unknown"),
        ("BTC", "deposit", "0.000000001", AmountError, "finer than one base unit"),
        ("BTC", "deposit", "null", LedgerError, "amount is empty"),
    ],
)
def test_a_bad_flow_is_named_before_anything_is_added_up(
    server: Server, views: Views, tmp_path: Path, asset: str, kind: str, amount: str, error: type[Exception], said: str
) -> None:
    settings = views(
        flows=f"{FLOW}, '{asset}' as asset, '{kind}' as kind, cast({amount} as decimal(40, 20)) as amount union all select * from exchange.flows"
    )
    with pytest.raises(error, match=said) as caught:
        extract(settings, SECOND, FIRST, server.uri, tmp_path)
    assert f"assay_flows, flow F9, user U1, spot, {asset}" in str(caught.value)


def test_a_flow_that_is_there_twice_is_refused_and_one_of_another_case_is_not(server: Server, views: Views, tmp_path: Path) -> None:
    row = f"{FLOW}, 'BTC' as asset, 'fee' as kind, -1 as amount"
    extract(views(flows=f"{row} union all {row.replace('F9', 'f9')}"), SECOND, FIRST, server.uri, tmp_path / "a")
    with pytest.raises(LedgerError, match="flow F9, user U1, spot, BTC: the flow is there 2 times"):
        extract(views(flows=f"{row} union all {row}"), SECOND, FIRST, server.uri, tmp_path / "b")


def test_a_view_that_fails_while_it_is_read_quotes_the_server(server: Server, views: Views, owner: Any, tmp_path: Path) -> None:
    owner.execute("create table if not exists exchange.passing as select * from exchange.balances limit 1")
    settings = views(balances="select * from exchange.passing")
    owner.execute("drop table exchange.passing")
    with pytest.raises(LedgerError, match=r"it answered|there is no such view"):
        extract(settings, SECOND, None, server.uri, tmp_path)


def test_the_grant_that_is_told_is_the_one_that_was_missing(server: Server, views: Views, owner: Any) -> None:
    settings = views()
    schema = settings.ledger.schema.replace("`", "``")
    owner.execute(f"revoke select on `{schema}`.assay_flows from assay@'%'")
    with pytest.raises(LedgerError, match="there is no such view, or the account assay@% may not read it") as caught:
        probe(settings, SECOND, server.uri)
    owner.execute(caught.value.next_step.partition("or run: ")[2])
    assert probe(settings, SECOND, server.uri)


def test_flows_with_finer_digits_are_added_up_exactly(server: Server, views: Views, tmp_path: Path) -> None:
    flows = f"{FLOW}, 'BTC' as asset, 'deposit' as kind, cast('0.00000000000000000000000001' as decimal(40, 26)) as amount"
    settings = with_ledger(views(flows=f"{flows} union all {flows.replace('F9', 'F8')}"), finer_than_unit="round_up")
    raw = extract(settings, SECOND, FIRST, server.uri, tmp_path)
    assert [tuple(row.values()) for row in pq.read_table(raw.flows).to_pylist()] == [
        ("BTC", "deposit", "0.00000000000000000000000002", "2")
    ]
