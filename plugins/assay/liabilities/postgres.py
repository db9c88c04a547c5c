"""The ledger in PostgreSQL: three views, read in one snapshot, by several readers at once.

`amount::text` is done by the server: DuckDB would otherwise fit PostgreSQL's unbounded numeric into a decimal of its
own choice. Flows are added up by the server, because a month of entries may be a hundred times the balances and only
their sums are published; each one is held to the rules there first.
"""
# ruff: noqa: S608 - views and moments cannot be parameters of postgres_query; every literal and identifier is quoted.

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from assay.errors import LedgerError
from assay.lake import format_as_of
from assay.liabilities.finer_digits import finer_digits
from assay.liabilities.flows import FLOW_KEY, flow_error, repeated_flow
from assay.liabilities.interface import BALANCE_COLUMNS, FLOW_COLUMNS, FLOW_KINDS, TOTAL_COLUMNS, LedgerSource, RawSnapshot, write_texts
from assay.liabilities.postgres_session import PostgresSession, named, quoted, transaction

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
_PAUSED = "paused"
_REPLAY = (
    "select pg_get_wal_replay_pause_state()::text as state, pg_last_wal_replay_lsn()::text as position, "
    "pg_last_xact_replay_timestamp()::text as committed"
)
# The catalogue, which everybody may read, and not information_schema, which shows only what the role may see.
_LACK = """
select current_user::text as role, (spaces.oid is not null)::text as there,
    coalesce(has_schema_privilege(spaces.oid, 'usage'), false)::text as usable, (classes.oid is not null)::text as view_there,
    coalesce(has_table_privilege(classes.oid, 'select')
        or (columns.attnum is not null and has_column_privilege(classes.oid, columns.attnum, 'select')), false)::text as readable
from (select {schema}::name as schema) as named
left join pg_catalog.pg_namespace as spaces on spaces.nspname = named.schema
left join pg_catalog.pg_class as classes on classes.relnamespace = spaces.oid and classes.relname = {view}
left join pg_catalog.pg_attribute as columns on columns.attrelid = classes.oid and columns.attname = {column} and not columns.attisdropped
"""


class PostgresLedger(LedgerSource):
    """A PostgreSQL database with the views `assay_balances`, `assay_control_totals` and `assay_flows` in one schema.

    On a hot standby, replay must be paused, so that the position that was read is known and nothing cancels the statements.

    Args:
        settings: Names the schema, the readers, the assets and the account types in scope.
        uri: libpq connection URI with its credentials; never logged or put into an error.
    """

    def extract(self, as_of: datetime, previous_as_of: datetime | None, raw: RawSnapshot) -> dict[str, object]:
        """See `LedgerSource.extract`."""
        with transaction(self._uri, name=self._name, memory_limit=self._settings.memory_limit) as session:
            snapshot = session.identify()
            position = self._replica(session)
            self._check_views(session)
            closing = f"as_of = {_moment(as_of)}"
            self._copy_balances(
                session, snapshot, f"select {_texts(BALANCE_COLUMNS)} from {self._view('assay_balances')} where {closing}", raw
            )
            totals = session.query(f"select {_texts(TOTAL_COLUMNS)} from {self._view('assay_control_totals')} where {closing}")
            flows = [] if previous_as_of is None else self._flows(session, previous_as_of, as_of)
            if session.identify() != snapshot or self._replica(session) != position:
                raise self._several_snapshots()
        write_texts(raw.control_totals, TOTAL_COLUMNS, totals)
        write_texts(raw.flows, FLOW_COLUMNS, flows)
        return {"snapshot": snapshot, "replica": position, "readers": self._settings.ledger.readers}

    def probe(self, as_of: datetime) -> list[tuple[str, ...]]:
        """See `LedgerSource.probe`."""
        with transaction(self._uri, name=self._name, memory_limit=self._settings.memory_limit) as session:
            session.identify()
            self._replica(session)
            self._check_views(session)
            for view in _VIEWS:
                # The right to read a view says nothing of the right to read what it is made of.
                session.query(f"select '' as nothing from {self._view(view)} limit 0")
            return session.query(f"select {_texts(TOTAL_COLUMNS)} from {self._view('assay_control_totals')} where as_of = {_moment(as_of)}")

    def _several_snapshots(self) -> LedgerError:
        return LedgerError(
            "the three views were not read in one snapshot",
            subject=self._name,
            next_step="connect to PostgreSQL itself, without a pooler that splits transactions; do not resume a replica while it is read",
        )

    def _replica(self, session: PostgresSession) -> dict[str, str] | None:
        """Where a hot standby stands, which must not move; nothing for a primary."""
        ((standby,),) = session.query("select pg_is_in_recovery()::text as standby")
        if standby != "true":
            return None
        ((state, position, committed),) = session.query(_REPLAY)
        if state != _PAUSED:
            raise LedgerError(
                f"it is a replica and its replay is {state!r}",
                subject=self._name,
                next_step="pause it with pg_wal_replay_pause() once it has replayed the closing, or connect to the primary",
            )
        return {"position": position, "committed": committed}

    def _copy_balances(self, session: PostgresSession, snapshot: str, statement: str, raw: RawSnapshot) -> None:
        """Copy the balances, each reader the users whose hash falls to it, all in the snapshot of `session`."""
        readers = self._settings.ledger.readers
        with tempfile.TemporaryDirectory(dir=raw.folder, prefix=".balances-") as aside:
            folders = [Path(aside, f"{number:02d}") for number in range(readers)]
            if readers == 1:
                session.copy(statement, folders[0])
            else:
                exported = session.export()
                with ThreadPoolExecutor(readers) as pool:
                    for done in [
                        pool.submit(self._copy_part, f"{statement} and {_falls_to(number, readers)}", exported, snapshot, folder)
                        for number, folder in enumerate(folders)
                    ]:
                        done.result()
            for folder in folders:
                raw.take(folder, folder.name)

    def _copy_part(self, statement: str, exported: str, snapshot: str, folder: Path) -> None:
        limit = _share(self._settings.memory_limit, self._settings.ledger.readers)
        with transaction(self._uri, name=self._name, memory_limit=limit, exported=exported) as session:
            if session.identify().partition("/")[2] != snapshot.partition("/")[2]:
                raise self._several_snapshots()
            session.copy(statement, folder)

    def _view(self, name: str) -> str:
        return f"{named(self._settings.ledger.schema)}.{name}"

    def _check_views(self, session: PostgresSession) -> None:
        schema = self._settings.ledger.schema
        usable = session.query(
            f"select has_schema_privilege(oid, 'usage')::text as usable from pg_catalog.pg_namespace where nspname = {quoted(schema)}"
        )
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
            # information_schema shows columns of a schema that the role may not use.
            if kind is None or usable != [("true",)]:
                raise self._lack(session, view, column)
            if kind not in allowed:
                raise LedgerError(
                    f"its type is {kind!r} and must be one of {', '.join(sorted(allowed))}",
                    subject=f"{self._name}, {schema}.{view}.{column}",
                    next_step="create the view as docs/formats/ledger_sources.md describes",
                )

    def _lack(self, session: PostgresSession, view: str, column: str) -> LedgerError:
        """Say whether a column that cannot be seen is missing, or which grant is."""
        schema = self._settings.ledger.schema
        ((role, there, usable, view_there, readable),) = session.query(
            _LACK.format(schema=quoted(schema), view=quoted(view), column=quoted(column))
        )
        create = "create it as docs/formats/ledger_sources.md describes"
        if there != "true":
            return LedgerError("there is no such schema", subject=f"{self._name}, schema {schema}", next_step="correct ledger.schema")
        if usable != "true":
            grant = f"run: grant usage on schema {named(schema)} to {named(role)}"
            return LedgerError(f"the role {role} may not use it", subject=f"{self._name}, schema {schema}", next_step=grant)
        if view_there != "true":
            return LedgerError("there is no such view", subject=f"{self._name}, {schema}.{view}", next_step=create)
        if readable != "true":
            grant = f"run: grant select on {self._view(view)} to {named(role)}"
            return LedgerError(f"the role {role} may not read it", subject=f"{self._name}, {schema}.{view}", next_step=grant)
        return LedgerError("the view has no such column", subject=f"{self._name}, {schema}.{view}.{column}", next_step=create)

    def _flows(self, session: PostgresSession, previous_as_of: datetime, as_of: datetime) -> list[tuple[str, ...]]:
        period = f"occurred_at > {_moment(previous_as_of)} and occurred_at <= {_moment(as_of)}"
        flows = f"{self._view('assay_flows')} where {period}"
        for row in session.query(
            f"select {_texts(FLOW_KEY)}, kind::text as kind, amount::text as amount from {flows} and not {self._rules()} limit 1"
        ):
            raise flow_error(self._settings, row)
        for row in session.query(
            f"select {_texts(FLOW_KEY)}, count(*)::text as copies from {flows} group by 1, 2, 3, 4 having count(*) > 1 limit 1"
        ):
            raise repeated_flow(self._settings, row, row[4])
        sums = "asset::text as asset, kind::text as kind, sum(amount)::text as amount, count(*)::text as flow_count"
        return session.query(f"select {sums} from {flows} group by 1, 2 order by 1, 2")

    def _rules(self) -> str:
        """The condition that one flow must meet, in the server's SQL; a sum would hide the flow that breaks it."""
        assets = self._settings.assets
        decimals = " ".join(
            f"when {quoted(symbol)} then {asset.decimals + finer_digits(self._settings)}" for symbol, asset in sorted(assets.items())
        )
        rules = (
            f"asset::text in ({_listed(assets)})",
            f"kind::text in ({_listed(FLOW_KINDS)})",
            f"account_type::text in ({_listed(self._settings.ledger.account_types)})",
            "flow_id::text <> ''",
            "user_id::text <> ''",
            "amount::text ~ '^-?[0-9]+([.][0-9]+)?$'",
            f"length(rtrim(split_part(amount::text, '.', 2), '0')) <= case asset::text {decimals} end",
        )
        return f"coalesce({' and '.join(rules)}, false)"


def _texts(columns: Iterable[str]) -> str:
    return ", ".join(f"{column}::text as {column}" for column in columns)


def _moment(moment: datetime) -> str:
    return f"timestamptz '{format_as_of(moment)}'"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quoted, names)) or "null"


def _share(memory_limit: str, readers: int) -> str:
    """What one reader may use, so that all of them together use no more than the limit."""
    return re.sub(r"\d+([.]\d+)?", lambda found: str(float(found[0]) / readers), memory_limit, count=1)


def _falls_to(reader: int, readers: int) -> str:
    """The condition that a user is this reader's. Every row is somebody's, also one without a user, which is refused later."""
    return f"(hashtext(coalesce(user_id::text, ''))::bigint & 2147483647) % {readers} = {reader}"
