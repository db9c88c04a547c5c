"""The ledger in MySQL or MariaDB: three views, read over one connection in one snapshot.

Amounts become text on the server. Names are compared byte by byte (`cast … as binary`), because the usual collations take `btc` for `BTC`.
Flows are added up by the server, as in `postgres.py`.
"""
# ruff: noqa: S608 - views are quoted identifiers, names are quoted literals, everything else is a parameter.

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from assay.errors import LedgerError
from assay.liabilities.finer_digits import finer_digits
from assay.liabilities.flows import FLOW_KEY, flow_error, repeated_flow
from assay.liabilities.interface import BALANCE_COLUMNS, FLOW_COLUMNS, FLOW_KINDS, TOTAL_COLUMNS, LedgerSource, RawSnapshot, write_texts
from assay.liabilities.mysql_session import MysqlSession, transaction

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_EXACT = _INTEGERS | {"decimal"}
_MOMENT = frozenset({"timestamp", "datetime"})
_TEXT = _INTEGERS | {"char", "varchar", "tinytext", "text", "enum", "uuid"}
# As in `postgres.py`; a `datetime` has no time zone and is taken as UTC, for views cannot make a `timestamp`.
_VIEWS = {
    "assay_balances": {"as_of": _MOMENT, "user_id": _TEXT, "account_type": _TEXT, "asset": _TEXT, "amount": _EXACT},
    "assay_control_totals": {
        "as_of": _MOMENT,
        "account_type": _TEXT,
        "asset": _TEXT,
        "row_count": _INTEGERS,
        "user_count": _INTEGERS,
        "total_amount": _EXACT,
    },
    "assay_flows": {
        "occurred_at": _MOMENT,
        "flow_id": _TEXT,
        "user_id": _TEXT,
        "account_type": _TEXT,
        "asset": _TEXT,
        "kind": _TEXT,
        "amount": _EXACT,
    },
}
_ENGINE = "InnoDB"
_PERIOD = "occurred_at > {} and occurred_at <= {}"


class MysqlLedger(LedgerSource):
    """A database with the views `assay_balances`, `assay_control_totals` and `assay_flows`."""

    def extract(self, as_of: datetime, previous_as_of: datetime | None, raw: RawSnapshot) -> dict[str, object]:
        """See `LedgerSource.extract`."""
        with transaction(self._uri, name=self._name) as session, tempfile.TemporaryDirectory(dir=raw.folder, prefix=".balances-") as aside:
            connection = session.identify()
            ((server,),) = session.query("select version()")
            self._check_views(session)
            closing = f"as_of = {_moment(as_of)}"
            session.copy(
                f"select {_texts(BALANCE_COLUMNS)} from {self._view('assay_balances')} where {closing}", BALANCE_COLUMNS, Path(aside, "00")
            )
            totals = session.query(f"select {_texts(TOTAL_COLUMNS)} from {self._view('assay_control_totals')} where {closing}")
            flows = [] if previous_as_of is None else self._flows(session, previous_as_of, as_of)
            session.check_unbroken()
            raw.take(Path(aside, "00"), "00")
        write_texts(raw.control_totals, TOTAL_COLUMNS, totals)
        write_texts(raw.flows, FLOW_COLUMNS, flows)
        return {"connection": connection, "server": server}

    def probe(self, as_of: datetime) -> list[tuple[str, ...]]:
        """See `LedgerSource.probe`."""
        with transaction(self._uri, name=self._name) as session:
            session.identify()
            self._check_views(session)
            for view in _VIEWS:
                # The right to read a view says nothing of the right to read what it is made of.
                session.query(f"select '' from {self._view(view)} limit 0")
            totals = session.query(
                f"select {_texts(TOTAL_COLUMNS)} from {self._view('assay_control_totals')} where as_of = {_moment(as_of)}"
            )
        return [tuple(str(value) for value in row) for row in totals]

    def _view(self, name: str) -> str:
        return f"`{self._settings.ledger.schema.replace('`', '``')}`.{name}"

    def _check_views(self, session: MysqlSession) -> None:
        schema = self._settings.ledger.schema
        found = {
            (view, column): str(kind).lower()
            for view, column, kind in session.query(
                "select table_name, column_name, data_type from information_schema.columns where cast(table_schema as binary) = cast(%s as binary)",
                (schema,),
            )
        }
        for view, columns in _VIEWS.items():
            for column, allowed in columns.items():
                kind = found.get((view, column))
                if kind is None:
                    raise self._lack(session, view, column, view_seen=any(seen == view for seen, _ in found))
                if kind not in allowed:
                    raise LedgerError(
                        f"its type is {kind!r} and must be one of {', '.join(sorted(allowed))}",
                        subject=f"{self._name}, {schema}.{view}.{column}",
                        next_step="create the view as docs/formats/ledger_sources.md describes",
                    )
        # A view has no engine, and the role sees no table below it; tables in the place of views are checked.
        for name, engine in session.query(
            "select table_name, engine from information_schema.tables where cast(table_schema as binary) = cast(%s as binary)", (schema,)
        ):
            if name in _VIEWS and engine not in (None, _ENGINE):
                raise LedgerError(
                    f"it is a table in {engine}, which knows no snapshot",
                    subject=f"{self._name}, {schema}.{name}",
                    next_step=f"alter it to {_ENGINE}",
                )

    def _lack(self, session: MysqlSession, view: str, column: str, *, view_seen: bool) -> LedgerError:
        """Say what is known of a column that cannot be seen: the server hides what the account may not read."""
        schema = self._settings.ledger.schema
        if view_seen:
            return LedgerError(
                "the view has no such column, or the account may not read it",
                subject=f"{self._name}, {schema}.{view}.{column}",
                next_step="create it as docs/formats/ledger_sources.md describes, and grant select on the whole view",
            )
        ((account,),) = session.query("select current_user()")
        user, _, host = str(account).rpartition("@")
        return LedgerError(
            f"there is no such view, or the account {account} may not read it",
            subject=f"{self._name}, {schema}.{view}",
            next_step=f"create it as docs/formats/ledger_sources.md describes, or run: grant select on {self._view(view)} to '{user}'@'{host}'",
        )

    def _flows(self, session: MysqlSession, previous_as_of: datetime, as_of: datetime) -> list[tuple[str | None, ...]]:
        flows = f"{self._view('assay_flows')} where {_PERIOD.format(_moment(previous_as_of), _moment(as_of))}"
        for row in session.query(f"select {_texts((*FLOW_KEY, 'kind', 'amount'))} from {flows} and not {self._rules()} limit 1"):
            raise flow_error(self._settings, row)
        key = ", ".join(map(_bytes, FLOW_KEY))
        firsts = ", ".join(f"min({_text(column)})" for column in FLOW_KEY)
        for row in session.query(f"select {firsts}, count(*) from {flows} group by {key} having count(*) > 1 limit 1"):
            raise repeated_flow(self._settings, row, row[4])
        sums = f"min({_text('asset')}), min({_text('kind')}), cast(sum(amount) as char), cast(count(*) as char)"
        return session.query(f"select {sums} from {flows} group by {_bytes('asset')}, {_bytes('kind')} order by 1, 2")

    def _rules(self) -> str:
        """The condition that one flow must meet, in the server's SQL; a sum would hide the flow that breaks it."""
        assets = self._settings.assets
        decimals = " ".join(
            f"when {_literal(symbol)} then {asset.decimals + finer_digits(self._settings)}" for symbol, asset in sorted(assets.items())
        )
        digits = (
            "length(trim(trailing '0' from if(locate('.', cast(amount as char)) > 0, substring_index(cast(amount as char), '.', -1), '')))"
        )
        rules = (
            f"{_bytes('asset')} in ({_listed(assets)})",
            f"{_bytes('kind')} in ({_listed(FLOW_KINDS)})",
            f"{_bytes('account_type')} in ({_listed(self._settings.ledger.account_types)})",
            "cast(flow_id as char) <> ''",
            "cast(user_id as char) <> ''",
            "amount is not null",
            f"{digits} <= case {_bytes('asset')} {decimals} end",
        )
        return f"coalesce({' and '.join(rules)}, false)"


def _text(column: str) -> str:
    return f"convert({column} using utf8mb4)"


def _texts(columns: Iterable[str]) -> str:
    return ", ".join(f"{_text(column)} as {column}" for column in columns)


def _bytes(column: str) -> str:
    return f"cast({_text(column)} as binary)"


def _literal(name: str) -> str:
    """Write a name as a string of bytes, whatever the server's rules for quotes."""
    return f"x'{name.encode().hex()}'"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_literal, names)) or "null"


def _moment(moment: datetime) -> str:
    """The session's time zone is UTC."""
    return f"timestamp'{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"
