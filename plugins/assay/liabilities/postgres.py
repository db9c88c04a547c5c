"""The ledger in PostgreSQL: three views, read in one snapshot.

`amount::text` is done by the server: DuckDB would otherwise fit PostgreSQL's unbounded numeric into a decimal of its
own choice. Flows are added up by the server, because a month of entries may be a hundred times the balances and only
their sums are published; each one is held to the rules there first.
"""
# ruff: noqa: S608 - views and moments cannot be parameters of postgres_query; every literal and identifier is quoted.

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.config import Settings
from assay.errors import AssayError, LedgerError
from assay.lake import format_as_of, replacing_file
from assay.liabilities.interface import BALANCE_COLUMNS, FLOW_COLUMNS, FLOW_KINDS, TOTAL_COLUMNS, LedgerSource, RawSnapshot
from assay.liabilities.postgres_session import PostgresSession, quoted, transaction
from assay.money import parse_amount

_EXACT = frozenset({"numeric", "bigint", "integer", "smallint"})
_COUNT = frozenset({"bigint", "integer", "smallint"})
_MOMENT = frozenset({"timestamp with time zone"})
_TEXT = frozenset({"text", "character varying", "character", "uuid", "bigint", "integer", "name", "USER-DEFINED"})
# What the views must offer. A float amount is refused outright, because its text may look exact and not be; so is a moment
# without a time zone, because its meaning would depend on the session.
_VIEWS = {
    "assay_balances": {"as_of": _MOMENT, "user_id": _TEXT, "account_type": _TEXT, "asset": _TEXT, "amount": _EXACT},
    "assay_control_totals": {
        "as_of": _MOMENT,
        "account_type": _TEXT,
        "asset": _TEXT,
        "row_count": _COUNT,
        "user_count": _COUNT,
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
_FLOW_KEY = "flow_id::text as flow_id, user_id::text as user_id, account_type::text as account_type, asset::text as asset"


class PostgresLedger(LedgerSource):
    """A PostgreSQL database with the views `assay_balances`, `assay_control_totals` and `assay_flows` in one schema.

    Args:
        settings: Names the schema, the assets and the account types in scope.
        uri: libpq connection URI with its credentials; never logged or put into an error.
    """

    def __init__(self, settings: Settings, uri: str) -> None:
        self._settings = settings
        self._uri = uri
        self._name = f"ledger {settings.ledger.connection}"

    def extract(self, as_of: datetime, previous_as_of: datetime | None, folder: Path) -> RawSnapshot:
        """See `LedgerSource.extract`."""
        raw = RawSnapshot(folder=folder)
        raw.origin.unlink(missing_ok=True)
        with transaction(self._uri, name=self._name, memory_limit=self._settings.memory_limit) as session:
            snapshot = session.identify()
            self._check_views(session)
            closing = f"as_of = {_moment(as_of)}"
            session.copy(f"select {_texts(BALANCE_COLUMNS)} from {self._view('assay_balances')} where {closing}", raw.balances)
            session.copy(f"select {_texts(TOTAL_COLUMNS)} from {self._view('assay_control_totals')} where {closing}", raw.control_totals)
            flows = [] if previous_as_of is None else self._flows(session, previous_as_of, as_of)
            if session.identify() != snapshot:
                raise LedgerError(
                    "the three views were not read in one snapshot",
                    subject=self._name,
                    next_step="connect to PostgreSQL itself, without a pooler that splits transactions",
                )
        table = pa.table({name: pa.array([row[number] for row in flows], pa.string()) for number, name in enumerate(FLOW_COLUMNS)})
        with replacing_file(raw.flows) as path:
            pq.write_table(table, path, compression="zstd")
        origin = {
            "as_of": format_as_of(as_of),
            "previous_as_of": None if previous_as_of is None else format_as_of(previous_as_of),
            "kind": "postgres",
            "snapshot": snapshot,
        }
        with replacing_file(raw.origin) as path:
            path.write_text(json.dumps(origin, indent=2) + "\n")
        return raw

    def _view(self, name: str) -> str:
        schema = self._settings.ledger.schema.replace('"', '""')
        return f'"{schema}".{name}'

    def _check_views(self, session: PostgresSession) -> None:
        schema = self._settings.ledger.schema
        found = {
            (view, column): kind
            for view, column, kind in session.query(
                "select table_name::text as view, column_name::text as name, data_type::text as kind from information_schema.columns "
                f"where table_schema = {quoted(schema)} and table_name in ({_listed(_VIEWS)})"
            )
        }
        for (view, column), allowed in {
            (view, column): kinds for view, columns in _VIEWS.items() for column, kinds in columns.items()
        }.items():
            kind = found.get((view, column))
            if kind not in allowed:
                missing = "it does not exist, or the role may not read it"
                raise LedgerError(
                    missing if kind is None else f"its type is {kind!r} and must be one of {', '.join(sorted(allowed))}",
                    subject=f"{self._name}, {schema}.{view}.{column}",
                    next_step="create the three views as the runbook describes, and grant select on them",
                )

    def _flows(self, session: PostgresSession, previous_as_of: datetime, as_of: datetime) -> list[tuple[str, ...]]:
        period = f"occurred_at > {_moment(previous_as_of)} and occurred_at <= {_moment(as_of)}"
        flows = f"{self._view('assay_flows')} where {period}"
        for row in session.query(
            f"select {_FLOW_KEY}, kind::text as kind, amount::text as amount from {flows} and not {self._rules()} limit 1"
        ):
            raise self._flow_error(row)
        for row in session.query(
            f"select {_FLOW_KEY}, count(*)::text as copies from {flows} group by 1, 2, 3, 4 having count(*) > 1 limit 1"
        ):
            raise LedgerError(
                f"the flow is there {row[4]} times", subject=self._flow(row), next_step="remove the duplicate from the ledger's view"
            )
        sums = "asset::text as asset, kind::text as kind, sum(amount)::text as amount, count(*)::text as flow_count"
        return session.query(f"select {sums} from {flows} group by 1, 2 order by 1, 2")

    def _rules(self) -> str:
        """The condition that one flow must meet, in the server's SQL; a sum would hide the flow that breaks it."""
        assets = self._settings.assets
        decimals = " ".join(f"when {quoted(symbol)} then {asset.decimals}" for symbol, asset in sorted(assets.items()))
        rules = (
            f"asset::text in ({_listed(assets)})",
            f"kind::text in ({_listed(FLOW_KINDS)})",
            f"account_type::text in ({_listed(self._settings.ledger.account_types)})",
            "flow_id is not null",
            "user_id is not null",
            "amount::text ~ '^-?[0-9]+([.][0-9]+)?$'",
            f"length(rtrim(split_part(amount::text, '.', 2), '0')) <= case asset::text {decimals} end",
        )
        return f"coalesce({' and '.join(rules)}, false)"

    def _flow(self, row: Sequence[str]) -> str:
        return f"{self._name}, assay_flows, flow {row[0]}, user {row[1]}, {row[2]}, {row[3]}"

    def _flow_error(self, row: Sequence[str]) -> AssayError:
        """Say which rule a flow breaks."""
        flow_id, user_id, account_type, asset, kind, amount = row
        for name, value, known in (
            ("asset", asset, tuple(self._settings.assets)),
            ("kind", kind, FLOW_KINDS),
            ("account type", account_type, self._settings.ledger.account_types),
        ):
            if value not in known:
                problem = f"{name} {value!r} is unknown; known are {', '.join(known)}"
                break
        else:
            empty = [name for name, value in (("flow_id", flow_id), ("user_id", user_id), ("amount", amount)) if value is None]
            if not empty:
                parse_amount(amount, self._settings.assets[asset].decimals, subject=self._flow(row))
            problem = f"{empty[0] if empty else 'amount'} is null"
        return LedgerError(problem, subject=self._flow(row), next_step="correct the ledger's view, or the configuration")


def _texts(columns: Iterable[str]) -> str:
    return ", ".join(f"{column}::text as {column}" for column in columns)


def _moment(moment: datetime) -> str:
    return f"timestamptz '{format_as_of(moment)}'"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, names)) or "null"
