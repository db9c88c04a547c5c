"""Small hand-made inputs of the computation, and the tables of one publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from assay.lake import format_as_of
from assay.warehouse.contracts import empty_table, load_contracts, write_parquet
from assay.warehouse.runner import Computed, run
from assay.warehouse.session import quote_name, session

REPOSITORY = Path(__file__).parents[2]
SQL = REPOSITORY / "sql"
CONTRACTS = REPOSITORY / "data" / "contracts"
FIRST = datetime(2023, 1, 18, 16, tzinfo=UTC)
SECOND = datetime(2023, 2, 17, 16, tzinfo=UTC)

Row = dict[str, object]
Rows = Sequence[Row]

_AMOUNT = "DECIMAL(38,0)"
_TIME = "TIMESTAMP WITH TIME ZONE"
SCHEMAS: dict[str, dict[str, str]] = {
    "assets": {"asset": "VARCHAR", "name": "VARCHAR", "decimals": "INTEGER"},
    "liabilities": {"user_key": "VARCHAR", "account_type": "VARCHAR", "asset": "VARCHAR", "decimals": "INTEGER", "amount": _AMOUNT, "rounding": "BIGINT"},
    "control_totals": {
        "account_type": "VARCHAR", "asset": "VARCHAR", "row_count": "BIGINT", "user_count": "BIGINT", "total_amount": _AMOUNT, "rounding": "BIGINT",
    },
    "flows": {"asset": "VARCHAR", "kind": "VARCHAR", "amount": _AMOUNT, "flow_count": "BIGINT", "rounding": "BIGINT"},
    "coverage_items": {"item": "VARCHAR", "area": "VARCHAR", "severity": "VARCHAR", "count": "BIGINT", "description": "VARCHAR"},
    "prices": {"asset": "VARCHAR", "currency": "VARCHAR", "price": "DECIMAL(38,8)", "source": "VARCHAR", "time": _TIME, "sources_agreed": "INTEGER"},
    "snapshot_blocks": {
        "chain": "VARCHAR", "height": "BIGINT", "hash": "VARCHAR", "time": _TIME, "finality": "VARCHAR",
        "distance_seconds": "BIGINT", "sources_asked": "INTEGER", "sources_agreed": "INTEGER",
    },
    "wallet_balances": {
        "chain": "VARCHAR", "address": "VARCHAR", "asset": "VARCHAR", "decimals": "INTEGER", "amount": _AMOUNT,
        "block_height": "BIGINT", "block_hash": "VARCHAR", "block_time": _TIME, "sources_asked": "INTEGER",
        "sources_agreed": "INTEGER", "custody": "VARCHAR", "encumbrance": "VARCHAR", "ownership_status": "VARCHAR", "evidence": "VARCHAR",
        "read_height": "BIGINT", "read_time": _TIME,
    },
    "address_ownership": {
        **dict.fromkeys(("chain", "address", "scheme", "status", "message", "signatures", "script", "owners"), "VARCHAR"),
        "signed_at": _TIME, "verified_at_block": "VARCHAR", "note": "VARCHAR",
    },
    "commitment": {
        "asset": "VARCHAR", "decimals": "INTEGER", "total": _AMOUNT, "leaf_limit": _AMOUNT, "leaf_count": "BIGINT", "root_hash": "VARCHAR",
        "commitment": "VARCHAR", "format": "VARCHAR",
    },
    "offset_balances": {
        "chain": "VARCHAR", "address": "VARCHAR", "asset": "VARCHAR", "offset_seconds": "BIGINT", "amount": _AMOUNT,
        "block_height": "BIGINT", "block_hash": "VARCHAR", "block_time": _TIME,
    },
}  # fmt: skip
DECIMALS = {"BTC": 8, "ETH": 18, "USDT": 6}


def write_rows(path: Path, schema: Mapping[str, str], rows: Rows) -> Path:
    """Write rows with all of a schema's columns as Parquet; values pass as text, so none becomes a float."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ", ".join(f"{quote_name(name)} {kind}" for name, kind in schema.items())
    with session() as connection:
        connection.execute(f"create table sample ({columns})")
        if rows:
            cells = ", ".join(f"unnest(?::varchar[])::{kind}" for kind in schema.values())
            texts = [[None if row[name] is None else str(row[name]) for row in rows] for name in schema]
            connection.execute(f"insert into sample select {cells}", texts)
        write_parquet(connection, "select * from sample", path)
    return path


def read_rows(path: Path) -> list[dict[str, object]]:
    """Read a Parquet file as dictionaries, amounts as Decimal."""
    with session() as connection:
        found = connection.execute("select * from read_parquet(?)", [str(path)])
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def user_key(number: int) -> str:
    """Return the key of a made-up user."""
    return f"{number:064x}"


def block(chain: str, as_of: datetime, height: int, **other: object) -> Row:
    """Return a snapshot block ten minutes before a moment."""
    row: Row = {
        "chain": chain, "height": height, "hash": f"{chain}-{height}", "time": format_as_of(as_of - timedelta(minutes=10)),
        "finality": "finalized", "distance_seconds": 600, "sources_asked": 2, "sources_agreed": 2,
    }  # fmt: skip
    return row | other


def wallet(at: Row, number: int, asset: str, amount: int, /, **other: object) -> Row:
    """Return a balance at a snapshot block."""
    row: Row = {
        "chain": at["chain"], "address": f"{at['chain']}-address-{number:03}", "asset": asset, "decimals": DECIMALS.get(asset, 8),
        "amount": amount, "block_height": at["height"], "block_hash": at["hash"], "block_time": at["time"], "sources_asked": 2,
        "sources_agreed": 2, "custody": "cold", "encumbrance": "none", "ownership_status": "none", "evidence": "e" * 64,
        "read_height": None, "read_time": None,
    }  # fmt: skip
    return row | other


def around(balance: Row, seconds: int, amount: int, /, **other: object) -> Row:
    """Return what a wallet held at another moment, in a block thirty heights away."""
    row: Row = {name: balance[name] for name in ("chain", "address", "asset")}
    height = int(str(balance["block_height"])) + (30 if seconds > 0 else -30)
    time = datetime.fromisoformat(str(balance["block_time"])) + timedelta(seconds=seconds)
    row |= {"offset_seconds": seconds, "amount": amount, "block_height": height, "block_hash": f"{balance['chain']}-{height}"}
    return row | {"block_time": format_as_of(time)} | other


def ownership(balances: Rows, /, **other: object) -> list[Row]:
    """Return one row a wallet, with the status that its balances have."""
    statuses = {(row["chain"], row["address"]): row["ownership_status"] for row in balances}
    empty = dict.fromkeys(("scheme", "message", "signatures", "script", "owners", "signed_at", "verified_at_block", "note"))
    return [{"chain": chain, "address": address, "status": status, **empty, **other} for (chain, address), status in statuses.items()]


def liability(user: int, asset: str, amount: int, /, **other: object) -> Row:
    """Return a user's balance."""
    row: Row = {
        "user_key": user_key(user), "account_type": "spot", "asset": asset, "decimals": DECIMALS.get(asset, 8), "amount": amount, "rounding": 0,
    }  # fmt: skip
    return row | other


def flow(asset: str, kind: str, amount: int, /, **other: object) -> Row:
    """Return the sum of one flow of a kind."""
    row: Row = {"asset": asset, "kind": kind, "amount": amount, "flow_count": 1, "rounding": 0}
    return row | other


def price(asset: str, text: str, as_of: datetime, /, **other: object) -> Row:
    """Return a price in USD per whole unit."""
    row: Row = {"asset": asset, "currency": "USD", "price": text, "source": "sample", "time": format_as_of(as_of), "sources_agreed": 2}
    return row | other


def control_totals(liabilities: Rows) -> list[Row]:
    """Return what a truthful ledger states about its rows, as they were before they were rounded up."""
    groups: dict[tuple[object, object], list[Row]] = {}
    for row in liabilities:
        groups.setdefault((row["account_type"], row["asset"]), []).append(row)
    exact = {key: sum(int(str(row["amount"])) * 10**18 - int(str(row["rounding"])) for row in rows) for key, rows in groups.items()}
    return [
        {
            "account_type": account_type, "asset": asset, "row_count": len(rows), "user_count": len({row["user_key"] for row in rows}),
            "total_amount": -(-exact[account_type, asset] // 10**18), "rounding": -exact[account_type, asset] % 10**18,
        }
        for (account_type, asset), rows in groups.items()
    ]  # fmt: skip


def commitment(listed: Rows, liabilities: Rows) -> list[Row]:
    """Return what a tree over the positive balances says, for every asset of the registry; it has no tree."""
    totals = {row["asset"]: 0 for row in listed}
    for row in liabilities:
        if row["asset"] in totals:
            totals[row["asset"]] += max(0, int(str(row["amount"])))
    decimals = {row["asset"]: row["decimals"] for row in listed}
    tree: Row = {"leaf_limit": 10**12, "leaf_count": 16, "root_hash": "a" * 64, "commitment": "b" * 64, "format": "assay-sum-tree-v1"}
    return [{"asset": asset, "decimals": decimals[asset], "total": total, **tree} for asset, total in totals.items()]


def assets(*symbols: str) -> list[Row]:
    """Return registry rows of assets."""
    return [{"asset": symbol, "name": symbol, "decimals": DECIMALS.get(symbol, 8)} for symbol in symbols]


def compute(
    folder: Path,
    inputs: Mapping[str, Rows],
    *,
    as_of: datetime = FIRST,
    previous: Computed | None = None,
    previous_as_of: datetime | None = None,
) -> Computed:
    """Write the inputs under a folder and run the project's SQL over them; what is not given is empty, no wallet is proven, and the tree
    holds the liabilities."""
    derived = {
        "address_ownership": ownership(inputs.get("wallet_balances", ())),
        "commitment": commitment(inputs.get("assets", ()), inputs.get("liabilities", ())),
    }
    inputs = {**derived, **inputs}
    paths: dict[str, Path | list[Path]] = {
        name: write_rows(folder / "inputs" / f"{name}.parquet", schema, inputs.get(name, ())) for name, schema in SCHEMAS.items()
    }
    promised = load_contracts(CONTRACTS)
    for name in ("reserve_ratios", "wallet_balances", "prices", "reconciliation"):
        if previous is None:
            paths[f"previous_{name}"] = empty_table(promised[name], folder / "inputs" / f"previous_{name}.parquet")
        else:
            paths[f"previous_{name}"] = previous.tables[name]
    return run(
        SQL, paths, folder / "tables", as_of=as_of, previous_as_of=previous_as_of, contracts=CONTRACTS, finance=folder / "finance", work=folder / "work"
    )  # fmt: skip
