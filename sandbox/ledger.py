"""The exchange's ledger: a real PostgreSQL with users, accounts, closings and entries, behind the three views Assay reads."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from sandbox.accounts import ACCOUNT_TYPES, LedgerPlan
from sandbox.postgres import postgres
from sandbox.scenario import DECIMALS, FIRST, SECOND

_DATABASE = "exchange"
_OWNER = "exchange"
_READER = "assay"
_TABLES = """
create schema ledger;
create table ledger.users (user_id text primary key, joined_at timestamptz not null);
create table ledger.accounts (account_id bigint primary key, user_id text not null references ledger.users, account_type text not null);
create table ledger.closing_balances (
    closing_at timestamptz, account_id bigint references ledger.accounts, asset text, amount numeric(38, 18) not null,
    primary key (closing_at, account_id, asset)
);
create table ledger.closing_totals (
    closing_at timestamptz, account_type text, asset text, row_count bigint not null, user_count bigint not null,
    total_amount numeric(38, 18) not null, primary key (closing_at, account_type, asset)
);
create table ledger.entries (
    entry_id text primary key, occurred_at timestamptz not null, account_id bigint not null references ledger.accounts,
    asset text not null, kind text not null, amount numeric(38, 18) not null
);
"""
_VIEWS = """
insert into ledger.closing_totals
select closing_at, account_type, asset, count(*), count(distinct user_id), sum(amount)
from ledger.closing_balances join ledger.accounts using (account_id) group by closing_at, account_type, asset;

create view public.assay_balances as
select closing_at as as_of, user_id, account_type, asset, amount from ledger.closing_balances join ledger.accounts using (account_id);

create view public.assay_control_totals as
select closing_at as as_of, account_type, asset, row_count, user_count, total_amount from ledger.closing_totals;

create view public.assay_flows as
select occurred_at, entry_id as flow_id, user_id, account_type, asset, kind, amount
from ledger.entries join ledger.accounts using (account_id);

analyze;
"""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """A running ledger.

    Attributes:
        uri: Connection of the role that Assay uses; it may read the three views and nothing else.
        owner_uri: Connection of the exchange's own role, which owns everything.
    """

    uri: str
    owner_uri: str


@contextmanager
def ledger(folder: Path, plan: LedgerPlan) -> Iterator[Ledger]:
    """Run a PostgreSQL with the planned ledger on a free loopback port until the block ends.

    Args:
        folder: Receives the database, made anew each time, and the server's log; see `postgres.py`.
        plan: Users, closings at FIRST and SECOND, and entries.

    Raises:
        StartError: The server did not come up; carries the end of its log.
    """
    reader_password = secrets.token_hex(16)
    with postgres(folder, user=_OWNER) as server:
        with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {_DATABASE}")
            connection.execute(f"create role {_READER} login password '{reader_password}'")
        owner_uri = server.uri(_DATABASE)
        with psycopg.connect(owner_uri) as connection:
            _load(connection, plan)
        yield Ledger(uri=server.uri(_DATABASE, user=_READER, password=reader_password), owner_uri=owner_uri)


def plain(amount: int, decimals: int) -> str:
    """Write base units as a plain decimal number of whole units, exactly."""
    whole, rest = divmod(abs(amount), 10**decimals)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:0{decimals}d}"


def _load(connection: psycopg.Connection, plan: LedgerPlan) -> None:
    connection.execute(_TABLES)
    accounts = {key: number for number, key in enumerate(((user, kind) for user in range(len(plan.users)) for kind in ACCOUNT_TYPES), 1)}
    used = {(row.user, row.account_type) for row in plan.rows}
    _copy(connection, "ledger.users", ((user.user_id, user.joined_at) for user in plan.users))
    _copy(
        connection,
        "ledger.accounts",
        ((number, plan.users[user].user_id, kind) for (user, kind), number in accounts.items() if (user, kind) in used),
    )
    closings: list[tuple[datetime, int, str, str]] = []
    for row in plan.rows:
        account, decimals = accounts[row.user, row.account_type], DECIMALS[row.asset]
        for moment, amount in ((FIRST, row.first), (SECOND, row.second)):
            if amount is not None:
                closings.append((moment, account, row.asset, plain(amount, decimals)))
    _copy(connection, "ledger.closing_balances", closings)
    _copy(
        connection,
        "ledger.entries",
        (
            (
                entry.flow_id,
                entry.occurred_at,
                accounts[entry.user, entry.account_type],
                entry.asset,
                entry.kind,
                plain(entry.amount, DECIMALS[entry.asset]),
            )
            for entry in plan.entries
        ),
    )
    connection.execute(_VIEWS)
    connection.execute(f"grant select on public.assay_balances, public.assay_control_totals, public.assay_flows to {_READER}")


def _copy(connection: psycopg.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"copy {table} from stdin") as copy:
        for row in rows:
            copy.write_row(row)
