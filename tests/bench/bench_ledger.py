"""How fast a ledger is read from PostgreSQL, made canonical, and held against its expectations.

    python -m tests.bench.bench_ledger

The floor of the extract is a bare COPY of the same view by DuckDB, which writes doubles where the ledger has no fixed scale, and neither checks
nor hashes anything. Canonical shards and expectations run over 20 million rows (22 assets a user), each in a process of its own that tells its peak memory.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import psycopg
from duckdb_extensions import import_extension

from assay.config import Settings
from assay.config_chains import Asset
from assay.lake import parse_as_of
from assay.liabilities.interface import FLOW_COLUMNS, TOTAL_COLUMNS, RawSnapshot, write_texts
from assay.liabilities.snapshot import canonicalise, extract, liability_files
from assay.quality.validation import Dataset, validate_many
from sandbox.postgres import postgres
from tests.bench.memory import peak_of

ROWS = 3_000_000
ALL_ROWS = 20_000_000
ASSETS = 22
ROUNDS = 2
AS_OF = "2023-02-17T16:00:00Z"
ROOT = Path(__file__).parents[2]
MOST_SECONDS, MOST_MEMORY, LEAST_SPEED = 60, 4096, 0.7
_LEDGER = f"""
create table closing (as_of timestamptz, user_id text, account_type text, asset text, amount numeric(38, 18));
insert into closing
select timestamptz '{AS_OF}', 'U' || user_number, 'spot', 'A' || asset, (user_number * 7919 % 1000003) * (asset + 1) / 1024.0
from generate_series(1, {ROWS // ASSETS}) user_number, generate_series(0, {ASSETS - 1}) asset;
create view assay_balances as select as_of, user_id, account_type, asset, amount from closing;
create view assay_control_totals as
select as_of, account_type, asset, count(*) as row_count, count(*) as user_count, sum(amount) as total_amount from closing group by 1, 2, 3;
create view assay_flows as
select as_of as occurred_at, user_id as flow_id, user_id, account_type, asset, 'deposit'::text as kind, amount from closing where false;
analyze;
"""


def settings_of() -> Settings:
    """The shipped configuration with 22 assets."""
    settings = Settings.load(ROOT / "assay.toml")
    symbols = [f"A{number}" for number in range(ASSETS)]
    return dataclasses.replace(settings, assets={symbol: Asset(symbol=symbol, name=symbol, decimals=18) for symbol in symbols})


def bare(uri: str, path: Path) -> float:
    """Seconds of DuckDB's own COPY of the view."""
    path.unlink(missing_ok=True)
    start = time.perf_counter()
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("load postgres_scanner")
        connection.execute(f"attach '{uri}' as ledger (type postgres, read_only)")
        rows = f"select user_id, account_type, asset, amount from ledger.public.assay_balances where as_of = timestamptz '{AS_OF}'"
        connection.execute(f"copy ({rows}) to '{path}' (format parquet, compression zstd)")
    return time.perf_counter() - start


def read(uri: str, folder: Path) -> float:
    """Seconds of the extract: balances, control totals, hashes of the files."""
    shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    extract(settings_of(), parse_as_of(AS_OF), None, uri, folder)
    return time.perf_counter() - start


def generate(folder: Path) -> None:
    """Write a raw snapshot of 20 million rows in two files."""
    raw = RawSnapshot(folder=folder)
    raw.start()
    users = ALL_ROWS // ASSETS
    with duckdb.connect(config={"threads": 2}) as connection:
        for number, (first, last) in enumerate(((0, users // 2), (users // 2, users))):
            connection.execute(
                "copy (select 'U' || u as user_id, 'spot' as account_type, 'A' || a as asset, "
                "concat((u * 7919 % 1000003) * (a + 1) // 1024, '.', lpad(((u * 7919) % 1000000)::varchar, 6, '0')) as amount "
                f"from range({first}, {last}) users (u), range({ASSETS}) assets (a)) to '{raw.balances / f'{number}.parquet'}' (format parquet)"
            )
        totals = connection.execute(
            "select account_type, asset, count(*)::varchar, sum(replace(amount, '.', '')::bigint)::varchar "
            f"from '{raw.balances}/*.parquet' group by 1, 2"
        ).fetchall()
    texts = [(kind, asset, count, count, f"{total[:-6]}.{total[-6:]}") for kind, asset, count, total in totals]
    write_texts(raw.control_totals, TOTAL_COLUMNS, texts)
    write_texts(raw.flows, FLOW_COLUMNS, [])
    raw.seal({"as_of": AS_OF})


def make_canonical(raw: Path, folder: Path) -> None:
    """Write the canonical shards."""
    canonicalise(settings_of(), RawSnapshot(folder=raw), b"s" * 32, folder)


def expect(folder: Path, work: Path) -> None:
    """Hold the shards against their suite."""
    dataset = Dataset(name="liabilities", parquet=liability_files(folder))
    validate_many([dataset], work=work, memory_limit=settings_of().memory_limit)


def main() -> int:
    """Print what each step took; 1 if one of them took too much."""
    wrong = 0
    import_extension("postgres_scanner")
    with tempfile.TemporaryDirectory(prefix="bench-ledger-") as place:
        folder = Path(place)
        with postgres(folder / "server", user="exchange") as server:
            uri = server.uri("postgres")
            with psycopg.connect(uri) as connection:
                connection.execute(_LEDGER)
            floors, ours = [], []
            for _ in range(ROUNDS):
                floors.append(bare(uri, folder / "bare.parquet"))
                ours.append(read(uri, folder / "raw"))
        speed = min(floors) / min(ours)
        wrong += speed < LEAST_SPEED
        print(
            f"extract of {ROWS:,} rows      {min(ours):6.1f} s; bare COPY {min(floors):.1f} s; speed {speed:.2f} of it (at least {LEAST_SPEED})"
        )
        generate(folder / "large")
        for name, work, arguments, limit in (
            ("canonical shards", make_canonical, (folder / "large", folder / "canonical"), 0),
            ("expectations", expect, (folder / "canonical", folder / "work"), MOST_SECONDS),
        ):
            start = time.perf_counter()
            peak = peak_of(work, *arguments)
            seconds = time.perf_counter() - start
            wrong += bool(limit) and (seconds > limit or peak > MOST_MEMORY)
            bound = f" (at most {limit} s and {MOST_MEMORY} MiB)" if limit else f" ({ALL_ROWS / seconds:,.0f} rows/s)"
            print(f"{name:17} of {ALL_ROWS:,} rows {seconds:6.1f} s, {peak:,} MiB{bound}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
