"""How long 23,000 addresses on ten chains take from the registry to one table of balances, and how much memory.

    python -m tests.bench.bench_many_chains [offsets]

With `offsets` everything is read once more, then also a day before and a day after the attested moment.
The pipeline runs in processes that do nothing else (`pipeline.py`); nodes and this program don't count. Every amount that comes
out is held against what was put there. The floor asks the same nodes everything again that stands in the archives of the reading tasks, in
batches of the same size, and throws the answers away unread; it is asked twice and the faster one counts.
At the end a publication of these balances and their evidence is verified.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from assay.chains.evidence import SUFFIX, read_archive
from assay.chains.jsonrpc import BATCH
from assay.config import Settings, Source
from assay.publication import facts
from sandbox.scenario import SECOND
from tests.bench.bench_electrum import ask
from tests.bench.bench_evm import post_all
from tests.bench.many_chains import Exchange, start
from tests.bench.pipeline import AT_ONCE
from tests.verifier.evidence_maker import seal

LIMIT = 1024
"""MiB that no process may reach."""
OFFSETS = (-86_400, 86_400)
FLOOR = "floor: the reading tasks' questions, unread"
_SMALL = 32  # a batch of fewer calls has a filler (`electrum.py`)
_FILLER = ("blockchain.block.headers", [0, 8])
_GREETING = ("server.version", ["assay", ["1.4", "1.6"]])
_ROOT = Path(__file__).resolve().parent.parent.parent

Call = tuple[str, Any]


def measured(*arguments: str) -> dict[str, Any]:
    """Return what `pipeline.py` prints."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["plugins", "verifier/src", "."])}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.pipeline", *arguments], env=environment, cwd=_ROOT, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(exchange: Exchange, folder: Path) -> None:
    """Hold what came out against what was put there."""
    rows = pq.read_table(folder / "out" / "wallet_balances.parquet").to_pylist()
    if {(row["chain"], row["address"], row["asset"]): int(row["amount"]) for row in rows} != exchange.held:
        raise AssertionError("an amount is not what was put there, or one is missing")


def questions(settings: Settings, urls: Mapping[str, str], raw: Path) -> Iterator[tuple[str, Source, list[bytes]]]:
    """Yield the address, the source and the messages of each reading task, as its archive has them."""
    for chain in settings.chains.values():
        for source in chain.sources:
            for path in sorted((raw / chain.name / source.name).glob(f"*{SUFFIX}")):
                asked = [(exchange["method"], exchange["params"]) for _, exchange in read_archive(path)]
                yield urls[source.connection], source, [*(_lines if source.kind == "electrum" else _bodies)(asked, source.batch_size)]


def _bodies(asked: Iterable[Call], size: int) -> Iterator[bytes]:
    """Yield HTTP bodies: accounts are proven in batches, and where Multicall3 is missing balances are asked in batches."""
    accounts = []
    for method, params in asked:
        if method == BATCH:
            yield _batch(params)
        elif method == "eth_getProof" and not params[1]:
            accounts.append((method, params))
        else:
            yield msgspec.json.encode({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
    for group in _parts(accounts, size):
        yield _batch(group)


def _lines(asked: Iterable[Call], size: int) -> Iterator[bytes]:
    """Yield lines of the Electrum protocol: the greeting, and batches of one method each."""
    yield _batch([_GREETING]) + b"\n"
    by_method: dict[str, list[Call]] = {}
    for method, params in asked:
        by_method.setdefault(method, []).append((method, params))
    for calls in by_method.values():
        for group in _parts(calls, size):
            yield _batch([*group, _FILLER] if len(group) < _SMALL else group) + b"\n"


def _parts(calls: Sequence[Call], size: int) -> Iterator[Sequence[Call]]:
    return (calls[start : start + size] for start in range(0, len(calls), size))


def _batch(calls: Sequence[Call]) -> bytes:
    return msgspec.json.encode(
        [{"jsonrpc": "2.0", "id": number, "method": method, "params": params} for number, (method, params) in enumerate(calls)]
    )


def floor(settings: Settings, urls: Mapping[str, str], raw: Path) -> float:
    """Ask everything again and return the seconds."""
    asked = list(questions(settings, urls, raw))
    started = time.perf_counter()
    for url, source, messages in asked:
        asyncio.run(ask(url, messages) if source.kind == "electrum" else post_all(url, messages))
    return time.perf_counter() - started


def publish(settings: Settings, work: Path, folder: Path) -> Path:
    """Write what `assay-verify balances` reads of a publication, and a manifest of it."""
    archives = shutil.ignore_patterns("*.parquet", "*.json", "health")
    for chain in settings.chains:
        shutil.copytree(work / "raw" / chain, folder / "evidence" / chain, ignore=archives)
    (folder / "evidence" / facts.FILE_NAME).write_bytes(facts.chain_facts(settings))
    (folder / "tables").mkdir()
    for name in ("wallet_balances", "snapshot_blocks"):
        table = pq.read_table(work / "out" / f"{name}.parquet")
        moments = pa.array([SECOND] * table.num_rows, pa.timestamp("us", tz="UTC"))
        pq.write_table(table.add_column(0, "as_of", moments), folder / "tables" / f"{name}.parquet", compression="zstd")
    seal(folder)
    return folder


def show(name: str, run: Mapping[str, Any], least: float) -> None:
    """Print a run: a line for the whole of it, and one for each step; without ratios where there is no floor of the same questions."""
    steps = run["steps"]
    whole, most = sum(step["seconds"] for step in steps.values()), max(step["mebibytes"] for step in steps.values())
    print(f"{name:50} {whole:8.3f} s {_ratio(whole, least):14} {most:8.0f} MiB in a process {run['at_once']:6.0f} MiB at once")
    print(f"{'  everything loaded, registry checked':76} {run['imported']:8.0f} MiB")
    for step, took in steps.items():
        ratio = _ratio(took["seconds"], least) if step == "read_chunk" else ""
        label = f"  {step}, {took['tasks']} tasks"
        print(f"{label:50} {took['seconds']:8.3f} s {ratio:14} {took['mebibytes']:8.0f} MiB")


def _ratio(seconds: float, least: float) -> str:
    return f"{seconds / least:6.2f} x floor" if least else ""


def main(*, with_offsets: bool = False) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        os.environ["AIRFLOW_HOME"] = str(folder / "airflow")
        started = time.perf_counter()
        exchange = start(stack, folder / "nodes")
        print(f"{len(exchange.wallets)} addresses with {len(exchange.held)} balances on {', '.join(exchange.chains)}")
        print(
            f"nodes and their history: {time.perf_counter() - started:.0f} s; processes of the pipeline are measured with Airflow's SDK loaded"
        )
        runs: list[dict[str, Any]] = []
        least, settings = 0.0, None
        ways: list[tuple[str, str, tuple[int, ...]]] = [
            ("one process", "together", ()),
            (f"a process a task, {AT_ONCE} at once", "apart", ()),
        ]
        if with_offsets:
            ways.append(("one process, and at -24 h and +24 h", "together", OFFSETS))
        for title, how, offsets in ways:
            place = folder / f"{how}-{len(offsets)}"
            config = exchange.write(place, offsets=offsets)
            runs.append(measured(how, str(config), json.dumps(exchange.urls), str(place / "work")))
            check(exchange, place / "work")
            if settings is None:
                settings = Settings.load(config)
                floors = [floor(settings, exchange.urls, place / "work" / "raw") for _ in range(2)]
                least = min(floors)
                print(f"{FLOOR:50} {least:8.3f} s (the other time {max(floors):.3f} s)")
            show(title, runs[-1], 0 if offsets else least)
        assert settings is not None
        verified = measured("verify", str(publish(settings, folder / "together-0" / "work", folder / "publication")))
        print(f"{'assay-verify balances':50} {verified['seconds']:8.3f} s {verified['mebibytes']:23.0f} MiB ({verified['proven']} proven)")
        most = max([verified["mebibytes"], *(step["mebibytes"] for run in runs for step in run["steps"].values())])
        print(f"most memory of a process: {most:.0f} MiB, and {LIMIT} MiB are allowed")
        if most >= LIMIT:
            raise AssertionError("reading needs more memory than it may")


if __name__ == "__main__":
    main(with_offsets=sys.argv[1:] == ["offsets"])
