"""How the chains' sources behaved while a publication was made, in a table beside the publications.

It stands outside of them because no number rests on it and because it differs from run to run, where a publication is the same
however often it is made from the same evidence. Contract: `source_health.odcs.yaml`. Neither an address nor a key is in it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.chains.asking import HEALTH
from assay.chains.health import read_meters
from assay.config import Settings
from assay.lake import replacing_file
from assay.warehouse.contracts import check_file, load_contracts

NAME = "source_health"
_LONG = pa.int64()
_SCHEMA = pa.schema(
    [
        ("as_of", pa.timestamp("us", tz="UTC")),
        *((name, pa.string()) for name in ("chain", "source", "kind")),
        *((name, _LONG) for name in ("tries", "failed_tries", "requests", "exchanges", "errors")),
        *((name, _LONG) for name in ("mean_latency_microseconds", "slowest_microseconds", "balances_compared", "balances_agreed")),
    ]
)


def write(settings: Settings, as_of: datetime, raw: Path, balances: Path, path: Path, *, contracts: Path) -> Path:
    """Write the table of one run.

    Args:
        settings: Names chains and sources.
        as_of: The attested moment.
        raw: The run's folder with one folder a chain.
        balances: `wallet_balances.parquet`, whose rows all compared sources agreed on.
        path: The file to write.
        contracts: Folder of the contracts.

    Raises:
        ContractError: A defect: the table breaks its contract.
    """
    counted = dict.fromkeys(settings.chains, 0)
    for chain in pq.read_table(balances, columns=["chain"]).column("chain").to_pylist():
        counted[chain] += 1
    rows = []
    for chain in settings.chains.values():
        meters = read_meters(raw / chain.name / HEALTH)
        compared = counted[chain.name] if len(chain.sources) > 1 else 0
        for source in chain.sources:
            if source.name not in meters:
                continue
            tries, failed, meter = meters[source.name]
            rows.append(
                {
                    "as_of": as_of,
                    "chain": chain.name,
                    "source": source.name,
                    "kind": source.kind,
                    "tries": tries,
                    "failed_tries": failed,
                    "requests": meter.requests,
                    "exchanges": meter.exchanges,
                    "errors": meter.errors,
                    "mean_latency_microseconds": meter.busy_microseconds // meter.exchanges if meter.exchanges else None,
                    "slowest_microseconds": meter.slowest_microseconds,
                    # Whatever differs has stopped the run, so what was published was agreed on.
                    "balances_compared": compared,
                    "balances_agreed": compared,
                }
            )
    rows.sort(key=lambda row: (row["chain"], row["source"]))
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), temporary, compression="zstd")
        check_file(load_contracts(contracts)[NAME], temporary)
    return path
