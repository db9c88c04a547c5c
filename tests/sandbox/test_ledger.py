from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import accounts
from sandbox.accounts import LedgerPlan
from sandbox.ledger import Ledger, ledger, plain
from sandbox.processes import listens
from sandbox.scenario import FIRST, SECOND


@pytest.fixture(scope="module")
def plan() -> LedgerPlan:
    return accounts.ledger(litecoin=False)


@pytest.fixture(scope="module")
def running(plan: LedgerPlan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with ledger(tmp_path_factory.mktemp("ledger"), plan) as running:
        yield running


def _port(uri: str) -> int:
    return int(uri.rpartition(":")[2].partition("/")[0])


def test_the_views_hold_what_was_planned(running: Ledger, plan: LedgerPlan) -> None:
    with psycopg.connect(running.uri) as connection:
        for moment, name in ((FIRST, "first"), (SECOND, "second")):
            counted = connection.execute("select count(*), sum(amount) from assay_balances where as_of = %s", [moment]).fetchone()
            assert counted is not None
            assert counted[0] == sum(getattr(row, name) is not None for row in plan.rows)
            totals = connection.execute("select sum(row_count), sum(total_amount) from assay_control_totals where as_of = %s", [moment])
            assert totals.fetchone() == counted
        (flows,) = connection.execute("select count(*) from assay_flows").fetchone() or (0,)
        assert flows == len(plan.entries)
        (latest,) = connection.execute("select max(occurred_at) from assay_flows").fetchone() or (None,)
        assert latest.astimezone(UTC) == max(entry.occurred_at for entry in plan.entries)


def test_assays_role_reads_the_views_and_nothing_else(running: Ledger) -> None:
    with psycopg.connect(running.uri) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from ledger.users")
        connection.rollback()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("create table public.mine (a int)")


def test_a_wrong_password_is_turned_away(running: Ledger) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.uri.replace("assay:", "assay:x"))


def test_two_ledgers_run_side_by_side_and_each_stops_with_its_block(running: Ledger, tmp_path: Path) -> None:
    small = LedgerPlan(users=[], rows=[], entries=[])
    with ledger(tmp_path, small) as other:
        assert _port(other.uri) != _port(running.uri)
        assert listens(_port(other.uri))
    assert not listens(_port(other.uri))
    assert listens(_port(running.uri))


def test_a_ledger_in_the_same_folder_starts_anew(tmp_path: Path) -> None:
    small = LedgerPlan(users=[accounts.User(user_id="U1", joined_at=FIRST)], rows=[], entries=[])
    for _ in range(2):
        with ledger(tmp_path, small) as running, psycopg.connect(running.owner_uri) as connection:
            assert connection.execute("select count(*) from ledger.users").fetchone() == (1,)
            connection.execute("insert into ledger.users values ('U2', now())")


def test_an_interrupt_stops_the_server(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from sandbox.accounts import LedgerPlan; from sandbox.ledger import ledger\n"
        "with ledger(Path(sys.argv[1]), LedgerPlan(users=[], rows=[], entries=[])) as running:\n"
        "    print(running.uri, flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as child:
        assert child.stdout is not None
        port = _port(child.stdout.readline().strip())
        assert listens(port)
        child.send_signal(signal.SIGINT)
        child.wait(20)
    deadline = time.monotonic() + 5
    while listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listens(port)


@given(st.integers(-(10**40), 10**40), st.integers(1, 18))
def test_plain_numbers_are_exact(amount: int, decimals: int) -> None:

    whole, _, fraction = plain(amount, decimals).partition(".")
    assert int(whole + fraction) == amount
    assert len(fraction) == decimals
