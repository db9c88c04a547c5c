from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pyarrow.parquet as pq
import pytest

from assay.config import Settings
from assay.errors import AmountError, ConfigError, LedgerError, SourceUnavailableError
from assay.liabilities.interface import BALANCE_COLUMNS, RawSnapshot
from assay.liabilities.postgres_session import PostgresSession, transaction
from assay.liabilities.snapshot import canonicalise, extract, probe
from assay.liabilities.totals import write_flows
from sandbox.accounts import LedgerPlan
from sandbox.ledger import Ledger
from sandbox.processes import free_port
from sandbox.scenario import FIRST, LIABILITY_TOTALS, SECOND

from .conftest import Views, with_ledger

SECRET = b"s" * 32
FLOW = "select timestamptz '2023-02-01T00:00:00Z' as occurred_at, 'F1' as flow_id, 'U1' as user_id, 'spot' as account_type"


@pytest.mark.parametrize(("as_of", "previous", "number"), [(FIRST, None, 0), (SECOND, FIRST, 1)])
def test_the_sandbox_ledger_adds_up_to_the_published_liabilities(
    ledger: Ledger, settings: Settings, tmp_path: Path, as_of, previous, number: int
) -> None:
    raw = extract(settings, as_of, previous, ledger.uri, tmp_path / "raw")
    done = canonicalise(settings, raw, SECRET, tmp_path / "snapshot")
    gross: Counter[str] = Counter()
    for row in pq.read_table(done.liabilities).to_pylist():
        gross[row["asset"]] += max(int(row["amount"]), 0)
    assert gross == {asset: LIABILITY_TOTALS[asset][number] for asset in settings.assets}


def test_flows_carry_the_first_closing_to_the_second(ledger: Ledger, settings: Settings, plan: LedgerPlan, tmp_path: Path) -> None:
    raw = extract(settings, SECOND, FIRST, ledger.uri, tmp_path / "raw")
    done = canonicalise(settings, raw, SECRET, tmp_path / "snapshot")
    flows: Counter[str] = Counter()
    for row in pq.read_table(done.flows).to_pylist():
        flows[row["asset"]] += int(row["amount"])
    change: Counter[str] = Counter()
    for balance in plan.rows:
        change[balance.asset] += (balance.second or 0) - (balance.first or 0)
    assert flows == change
    assert sum(row["flow_count"] for row in pq.read_table(done.flows).to_pylist()) == len(plan.flows)


def test_a_first_report_has_no_flows(ledger: Ledger, settings: Settings, tmp_path: Path) -> None:
    raw = extract(settings, FIRST, None, ledger.uri, tmp_path)
    assert pq.read_table(raw.flows).num_rows == 0


def test_flows_begin_after_the_previous_moment_and_end_with_this_one(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    moments = ("2023-01-18T16:00:00Z", "2023-01-18T16:00:01Z", "2023-02-17T16:00:00Z", "2023-02-17T16:00:01Z")
    flows = " union all ".join(
        f"select timestamptz '{moment}' as occurred_at, 'F{number}' as flow_id, 'U1' as user_id, 'spot' as account_type, "
        f"'BTC' as asset, 'deposit' as kind, {10**number}::numeric as amount"
        for number, moment in enumerate(moments)
    )
    raw = extract(views(flows=flows), SECOND, FIRST, ledger.uri, tmp_path)
    assert pq.read_table(raw.flows).to_pylist() == [{"asset": "BTC", "kind": "deposit", "amount": "110", "flow_count": "2"}]


def test_raw_amounts_keep_every_digit_of_an_unbounded_numeric(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    text = "12345678901234567890123456789012345678901234567890.1234567890123456789012345678901234567890"
    settings = views(
        balances=f"select timestamptz '2023-02-17T16:00:00Z' as as_of, 'U1' as user_id, 'spot' as account_type, 'BTC' as asset, {text} as amount"
    )
    raw = extract(settings, SECOND, None, ledger.uri, tmp_path)
    assert pq.read_table(raw.balances).to_pylist() == [dict(zip(BALANCE_COLUMNS, ("U1", "spot", "BTC", text), strict=True))]


def test_balances_totals_and_flows_are_of_one_snapshot_while_the_ledger_changes(
    ledger: Ledger, settings: Settings, owner: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = []
    copy = PostgresSession.copy

    def copy_and_change(self: PostgresSession, statement: str, path: Path) -> None:
        copy(self, statement, path)
        before = owner.execute("select sum(total_amount) from ledger.closing_totals").fetchone()
        owner.execute("update ledger.closing_totals set total_amount = total_amount + 1, row_count = row_count + 1")
        owner.execute("update ledger.closing_balances set amount = amount + 1 where amount > 1000")
        owner.execute("update ledger.entries set amount = amount + 1 where amount > 1000")
        changes.append(owner.execute("select sum(total_amount) from ledger.closing_totals").fetchone() != before)

    quiet = extract(settings, SECOND, FIRST, ledger.uri, tmp_path / "quiet")
    try:
        monkeypatch.setattr(PostgresSession, "copy", copy_and_change)
        busy = extract(settings, SECOND, FIRST, ledger.uri, tmp_path / "busy")
    finally:
        for _ in changes:
            owner.execute("update ledger.closing_totals set total_amount = total_amount - 1, row_count = row_count - 1")
            owner.execute("update ledger.closing_balances set amount = amount - 1 where amount > 1000")
            owner.execute("update ledger.entries set amount = amount - 1 where amount > 1000")
    assert changes == [True, True]
    for name in ("balances", "control_totals", "flows"):
        tables = [pq.read_table(getattr(raw, name)) for raw in (quiet, busy)]
        assert sorted(map(str, tables[0].to_pylist())) == sorted(map(str, tables[1].to_pylist()))
    canonicalise(settings, busy, SECRET, tmp_path / "snapshot")


@pytest.mark.parametrize("readers", [1, 2, 5])
def test_readers_share_the_users_among_them_and_lose_none(ledger: Ledger, settings: Settings, tmp_path: Path, readers: int) -> None:
    raw = extract(with_ledger(settings, readers=readers), SECOND, None, ledger.uri, tmp_path)
    parts = [pq.read_table(path) for path in raw.balance_files()]
    users = [set(part["user_id"].to_pylist()) for part in parts]
    assert len(parts) == readers
    assert all(users)
    assert sum(map(len, users)) == len(set().union(*users))
    with psycopg.connect(ledger.uri) as connection:
        rows = connection.execute(
            "select user_id, account_type, asset, amount::text from assay_balances where as_of = %s", [SECOND]
        ).fetchall()
    assert sorted(tuple(row.values()) for part in parts for row in part.to_pylist()) == sorted(rows)


@pytest.mark.parametrize(("readers", "limit", "mib"), [(1, "1GiB", 1024), (4, "1GiB", 256), (2, "0.5 GiB", 256)])
def test_readers_share_the_memory_limit_among_them(
    ledger: Ledger, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: int, limit: str, mib: int
) -> None:
    copy = PostgresSession.copy
    limits: list[str] = []

    def noted(self: PostgresSession, statement: str, folder: Path) -> None:
        limits.append(self._connection.execute("select current_setting('memory_limit')").fetchall()[0][0])
        copy(self, statement, folder)

    monkeypatch.setattr(PostgresSession, "copy", noted)
    extract(replace(with_ledger(settings, readers=readers), memory_limit=limit), SECOND, None, ledger.uri, tmp_path)
    assert [float(said.removesuffix(" GiB")) * 1024 if "GiB" in said else float(said.removesuffix(" MiB")) for said in limits] == [
        mib
    ] * readers


def test_a_row_without_a_user_reaches_the_check_whatever_the_number_of_readers(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    nobody = (
        "select timestamptz '2023-02-17T16:00:00Z' as as_of, null as user_id, 'spot' as account_type, 'BTC' as asset, 1::numeric as amount"
    )
    raw = extract(with_ledger(views(balances=nobody), readers=3), SECOND, None, ledger.uri, tmp_path)
    assert pq.read_table(raw.balances).to_pylist() == [{"user_id": None, "account_type": "spot", "asset": "BTC", "amount": "1"}]


def test_a_reader_that_sees_another_snapshot_is_found(
    ledger: Ledger, settings: Settings, owner: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a pooler does that drops `set transaction snapshot`: the reader sees what was committed since."""

    def see_later(self: PostgresSession, exported: str) -> None:
        owner.execute("create table public.later (); drop table public.later")

    monkeypatch.setattr(PostgresSession, "see", see_later)
    with pytest.raises(LedgerError, match="not read in one snapshot"):
        extract(settings, SECOND, None, ledger.uri, tmp_path)


def test_statements_of_different_snapshots_are_refused(
    ledger: Ledger, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["1/7:7:", "2/9:9:"])
    monkeypatch.setattr(PostgresSession, "identify", lambda _: next(names))
    with pytest.raises(LedgerError, match="not read in one snapshot"):
        extract(with_ledger(settings, readers=1), SECOND, None, ledger.uri, tmp_path)
    assert not (tmp_path / "origin.json").exists()


def test_the_transaction_can_write_nothing(ledger: Ledger) -> None:
    with (
        transaction(ledger.owner_uri, name="ledger", memory_limit="200MB") as session,
        pytest.raises(LedgerError, match="read-only transaction"),
    ):
        session.query("select lo_create(0)::text as made")


@pytest.mark.parametrize("wrong", ["port", "password", "user", "database", "host"])
def test_a_refused_connection_says_why_and_never_shows_the_password(ledger: Ledger, settings: Settings, tmp_path: Path, wrong: str) -> None:
    parts = urlsplit(ledger.uri)
    password = "p%40ss'word" if wrong == "password" else str(parts.password)
    user = "nobody" if wrong == "user" else parts.username
    host = "host.invalid" if wrong == "host" else parts.hostname
    port = free_port() if wrong == "port" else parts.port
    uri = f"postgresql://{user}:{password}@{host}:{port}/{'none' if wrong == 'database' else 'exchange'}"
    kind = SourceUnavailableError if wrong in ("port", "host") else LedgerError
    with pytest.raises(kind) as caught:
        extract(settings, SECOND, None, uri, tmp_path)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    expected = {
        "port": "Connection refused",
        "password": "password authentication failed",
        "user": "password authentication failed",
        "database": '"none" does not exist',
        "host": "could not translate host name",
    }
    assert expected[wrong] in str(caught.value)
    assert "assay_ledger" in str(caught.value)
    for secret in (password, "p@ss'word", uri):
        assert secret not in shown


@pytest.mark.parametrize("readers", [1, 3])
def test_a_ledger_that_goes_away_is_an_error_and_leaves_the_process_alive(
    ledger: Ledger, settings: Settings, owner: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: int
) -> None:
    copy = PostgresSession.copy

    def end_and_copy(self: PostgresSession, statement: str, path: Path) -> None:
        owner.execute("select pg_terminate_backend(%s)", [self.query("select pg_backend_pid()::text as pid")[0][0]])
        copy(self, statement, path)

    monkeypatch.setattr(PostgresSession, "copy", end_and_copy)
    with pytest.raises(SourceUnavailableError, match="broke off") as caught:
        extract(with_ledger(settings, readers=readers), SECOND, FIRST, ledger.uri, tmp_path)
    assert caught.value.RETRYABLE
    assert not RawSnapshot(folder=tmp_path).origin.exists()
    assert [path.name for path in tmp_path.rglob("*.parquet")] == []


def test_a_statement_that_the_server_cancels_may_be_tried_again(ledger: Ledger) -> None:
    with (
        transaction(f"{ledger.uri}?options=-c%20statement_timeout%3D50", name="ledger", memory_limit="200MB") as session,
        pytest.raises(SourceUnavailableError, match="statement timeout"),
    ):
        session.query("select pg_sleep(5)::text as slept")


def test_a_missing_column_is_named(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    settings = views(flows="select occurred_at, flow_id, user_id, account_type, asset, amount from public.assay_flows")
    with pytest.raises(LedgerError, match=r"assay_flows\.kind: the view has no such column"):
        extract(settings, SECOND, None, ledger.uri, tmp_path)


@pytest.mark.parametrize(
    ("revoked", "said"),
    [
        (
            "revoke usage on schema {schema} from assay",
            'the role assay may not use it. Next step: run: grant usage on schema {schema} to "assay"',
        ),
        (
            "revoke select on {schema}.assay_flows from assay",
            'the role assay may not read it. Next step: run: grant select on {schema}.assay_flows to "assay"',
        ),
        ("drop view {schema}.assay_control_totals", "assay_control_totals: there is no such view"),
        ("drop schema {schema} cascade", "there is no such schema. Next step: correct ledger.schema"),
    ],
)
@pytest.mark.parametrize("do", ["extract", "probe"])
def test_a_missing_right_is_told_with_the_grant_that_gives_it(
    ledger: Ledger, views: Views, owner: psycopg.Connection, tmp_path: Path, revoked: str, said: str, do: str
) -> None:
    settings = views()
    schema = f'"{settings.ledger.schema}"'
    owner.execute(revoked.format(schema=schema))
    with pytest.raises(LedgerError) as caught:
        extract(settings, SECOND, None, ledger.uri, tmp_path) if do == "extract" else probe(settings, SECOND, ledger.uri)
    assert said.format(schema=schema) in str(caught.value)


def test_the_grant_that_is_told_is_the_one_that_was_missing(ledger: Ledger, views: Views, owner: psycopg.Connection) -> None:
    settings = views()
    owner.execute(f'revoke all on schema "{settings.ledger.schema}" from assay')
    owner.execute(f'revoke all on all tables in schema "{settings.ledger.schema}" from assay')
    for _ in range(4):
        with pytest.raises(LedgerError) as caught:
            probe(settings, SECOND, ledger.uri)
        owner.execute(caught.value.next_step.removeprefix("run: "))
    assert probe(settings, SECOND, ledger.uri)


def test_a_schema_without_views_is_named(ledger: Ledger, settings: Settings, tmp_path: Path) -> None:
    settings = with_ledger(settings, schema="it's empty")
    with pytest.raises(LedgerError, match="schema it's empty: there is no such schema"):
        extract(settings, SECOND, None, ledger.uri, tmp_path)


@pytest.mark.parametrize(
    ("column", "kind"),
    [("amount::float8 as amount", "double precision"), ("amount::real as amount", "real"), ("amount::money as amount", "money")],
)
def test_an_amount_of_an_inexact_type_is_refused(ledger: Ledger, views: Views, tmp_path: Path, column: str, kind: str) -> None:
    settings = views(balances=f"select as_of, user_id, account_type, asset, {column} from public.assay_balances")
    with pytest.raises(LedgerError, match=f"its type is '{kind}'"):
        extract(settings, SECOND, None, ledger.uri, tmp_path)


def test_a_moment_without_a_time_zone_is_refused(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    settings = views(balances="select as_of::timestamp as as_of, user_id, account_type, asset, amount from public.assay_balances")
    with pytest.raises(LedgerError, match="'timestamp without time zone'"):
        extract(settings, SECOND, None, ledger.uri, tmp_path)


def test_a_view_that_fails_while_it_is_read_quotes_the_server(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    settings = views(balances="select as_of, user_id, account_type, asset, amount / (amount - amount) as amount from public.assay_balances")
    with pytest.raises(LedgerError, match="division by zero"):
        extract(settings, SECOND, None, ledger.uri, tmp_path)


@pytest.mark.parametrize(
    ("asset", "kind", "amount", "error", "said"),
    [
        ("BTC", "airdrop", "1", LedgerError, "kind 'airdrop' is unknown"),
        ("DOGE", "deposit", "1", LedgerError, "asset 'DOGE' is unknown"),
        ("BTC", "deposit", "'NaN'", AmountError, "'NaN' is not a plain decimal number"),
        ("BTC", "deposit", "'-Infinity'", AmountError, "'-Infinity' is not a plain decimal number"),
        ("BTC", "deposit", "0.000000001", AmountError, "finer than one base unit"),
        ("BTC", "deposit", "null", LedgerError, "amount is empty"),
    ],
)
def test_a_bad_flow_is_named_before_anything_is_added_up(
    ledger: Ledger, views: Views, tmp_path: Path, asset: str, kind: str, amount: str, error: type[Exception], said: str
) -> None:
    settings = views(
        flows=f"{FLOW}, '{asset}' as asset, '{kind}' as kind, {amount}::numeric as amount union all select * from public.assay_flows"
    )
    with pytest.raises(error, match=said) as caught:
        extract(settings, SECOND, FIRST, ledger.uri, tmp_path)
    assert f"assay_flows, flow F1, user U1, spot, {asset}" in str(caught.value)


@pytest.mark.parametrize("column", ["flow_id", "user_id"])
@pytest.mark.parametrize("value", ["''", "null"])
def test_a_flow_of_nobody_or_without_a_name_is_refused(ledger: Ledger, views: Views, tmp_path: Path, column: str, value: str) -> None:
    given = {"flow_id": "'F1'", "user_id": "'U1'", column: value}
    columns = ", ".join(f"{text}::text as {name}" for name, text in given.items())
    moment = "timestamptz '2023-02-01T00:00:00Z' as occurred_at"
    settings = views(flows=f"select {moment}, {columns}, 'spot' as account_type, 'BTC' as asset, 'fee' as kind, 1::numeric as amount")
    with pytest.raises(LedgerError, match=f"{column} is empty"):
        extract(settings, SECOND, FIRST, ledger.uri, tmp_path)


def test_a_flow_of_an_account_type_out_of_scope_is_refused(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    settings = views(flows=f"{FLOW.replace('spot', 'escrow')}, 'BTC' as asset, 'fee' as kind, 1::numeric as amount")
    with pytest.raises(LedgerError, match="account type 'escrow' is unknown"):
        extract(settings, SECOND, FIRST, ledger.uri, tmp_path)


def test_a_flow_that_is_there_twice_is_refused(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    row = f"{FLOW}, 'BTC' as asset, 'fee' as kind, -1::numeric as amount"
    with pytest.raises(LedgerError, match="flow F1, user U1, spot, BTC: the flow is there 2 times"):
        extract(views(flows=f"{row} union all {row}"), SECOND, FIRST, ledger.uri, tmp_path)


def test_a_trade_may_have_legs_of_two_assets_under_one_flow_id(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    legs = [
        f"{FLOW}, '{asset}' as asset, 'trade' as kind, {amount}::numeric as amount" for asset, amount in (("BTC", "-1"), ("USDT", "24000"))
    ]
    raw = extract(views(flows=" union all ".join(legs)), SECOND, FIRST, ledger.uri, tmp_path)
    assert [row["amount"] for row in pq.read_table(raw.flows).to_pylist()] == ["-1", "24000"]


def test_a_row_that_a_join_doubles_is_found(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    settings = views(
        balances="select b.* from public.assay_balances b join (values ('U10000019'), ('U10000019')) twice (user_id) using (user_id)"
    )
    raw = extract(settings, SECOND, None, ledger.uri, tmp_path / "raw")
    with pytest.raises(LedgerError, match=r"user U10000019, .*: the row is there 2 times"):
        canonicalise(settings, raw, SECRET, tmp_path / "snapshot")


def test_a_missing_user_is_found_by_the_control_totals(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    settings = views(balances="select * from public.assay_balances where (user_id, account_type) <> ('U10000019', 'spot')")
    raw = extract(settings, SECOND, None, ledger.uri, tmp_path / "raw")
    with pytest.raises(LedgerError, match=r"assay_control_totals, spot, BTC: .*: 1 missing"):
        canonicalise(settings, raw, SECRET, tmp_path / "snapshot")


def test_a_moment_that_the_ledger_has_not_closed_is_refused(ledger: Ledger, settings: Settings, tmp_path: Path) -> None:
    as_of = SECOND.replace(day=18)
    raw = extract(settings, as_of, None, ledger.uri, tmp_path / "raw")
    with pytest.raises(LedgerError, match="there is no balance for as_of 2023-02-18T16:00:00Z"):
        canonicalise(settings, raw, SECRET, tmp_path / "snapshot")


def test_a_previous_moment_that_is_not_before_is_refused(ledger: Ledger, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not before it"):
        extract(settings, SECOND, SECOND, ledger.uri, tmp_path)


def test_an_unknown_kind_of_ledger_is_refused(settings: Settings, tmp_path: Path) -> None:
    settings = with_ledger(settings, kind="abacus")
    with pytest.raises(ConfigError, match="'abacus' is unknown"):
        extract(settings, SECOND, None, "postgresql://", tmp_path)


def test_flows_with_finer_digits_are_added_up_exactly_and_rounded_up_once(ledger: Ledger, views: Views, tmp_path: Path) -> None:
    row = (
        "select timestamptz '2023-02-01T00:00:00Z' as occurred_at, {id} as flow_id, 'U1' as user_id, 'spot' as account_type, 'BTC' as asset"
    )
    flows = f"{row}, 'deposit' as kind, {{amount}}::numeric as amount"
    finest = "0.00000000000000000000000001"
    settings = with_ledger(
        views(flows=" union all ".join(flows.format(id=f"'F{number}'", amount=finest) for number in range(3))), finer_than_unit="round_up"
    )
    raw = extract(settings, SECOND, FIRST, ledger.uri, tmp_path)
    assert [tuple(row.values()) for row in pq.read_table(raw.flows).to_pylist()] == [
        ("BTC", "deposit", "0.00000000000000000000000003", "3")
    ]
    write_flows(settings, raw.flows, tmp_path / "flows.parquet")
    assert [tuple(row.values()) for row in pq.read_table(tmp_path / "flows.parquet").to_pylist()] == [("BTC", "deposit", 1, 3, 10**18 - 3)]
    finer = views(flows=flows.format(id="'F9'", amount=finest + "1"))
    with pytest.raises(AmountError, match=r"flow F9, user U1, spot, BTC: .* more than 18 digits below one base unit"):
        extract(with_ledger(finer, finer_than_unit="round_up"), SECOND, FIRST, ledger.uri, tmp_path / "finer")
