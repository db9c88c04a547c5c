"""The sum tree of a million users and 22 assets: building, proving, verifying, beside a published generator and bare SHA-256.

    python -m tests.bench.bench_sum_tree [USERS]

Users are made up: each has 3 to 22 assets, evenly spread, and log-normal balances (`synthetic_liabilities.py`). Building may take 20 seconds on two
cores and 2 GiB, counting all its processes, and verifying 1.5 times as long. The floor hashes as many leaves and nodes of the same lengths and does
nothing else. `openreserve` builds one tree an asset in memory, of hashes without sums, from balances that are there already; it gets fewer users and is
scaled. Each run is a process of its own. With 10000000 for USERS the build alone is run, once: its memory must stay below 4 GiB.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

USERS, ASSETS = 1_000_000, 22
PEER_USERS = 20_000
PROOFS = 200
ROUNDS = 3
SECRET = b"the secret of a benchmark is not one"
MANY = 5_000_000


def build(folder: Path, memory_limit: str) -> dict[str, float]:
    """Build the tree in this process and its workers."""
    from assay.commitments.building import build as build_tree
    from tests.bench.synthetic_liabilities import report_of

    started = time.perf_counter()
    commitment = build_tree(
        report_of(ASSETS),
        sorted((folder / "liabilities").iterdir()),
        secret=SECRET,
        tree=folder / "tree",
        index=folder / "index",
        work=folder / "work",
        memory_limit=memory_limit,
    )
    seconds = time.perf_counter() - started
    processor = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"seconds": seconds, "processor": processor, "leaves": commitment.leaf_count}


def prove(folder: Path) -> dict[str, float]:
    """Cut proofs of random users, each with a prover that has nothing in memory, and with one that has."""
    import pyarrow.parquet as pq

    from assay.commitments.proving import Prover

    draw = random.Random(1)
    files = sorted((folder / "index").glob("*.parquet"))
    table = pq.read_table(draw.choice(files), columns=["user_key", "part"])
    most = table["user_key"][table["part"].to_numpy().argmax()].as_py()
    keys = [table["user_key"][draw.randrange(len(table))].as_py() for _ in range(PROOFS)]
    cold, warm = [], []
    prover = Prover(folder / "tree", folder / "index", secret=SECRET)
    size = 0
    for key in keys:
        started = time.perf_counter()
        proof = Prover(folder / "tree", folder / "index", secret=SECRET)._cut(key, bytes(32))
        cold.append(time.perf_counter() - started)
        started = time.perf_counter()
        prover._cut(key, bytes(32))
        warm.append(time.perf_counter() - started)
        assert proof
        size = max(size, len(json.dumps(proof["leaves"][0])))
    started = time.perf_counter()
    parts = len((prover._cut(most, bytes(32)) or {})["leaves"])
    return {
        "cold": median(cold),
        "slowest": sorted(cold)[int(0.99 * len(cold))],
        "warm": median(warm),
        "bytes": size,
        "most": time.perf_counter() - started,
        "parts": parts,
    }


def verify(folder: Path) -> dict[str, float]:
    """Verify the whole tree with the verifier, two processes."""
    from assay_verify.sum_tree.tree import verify as verify_tree

    started = time.perf_counter()
    verified = verify_tree(folder / "tree", processes=2)
    seconds = time.perf_counter() - started
    assert verified.totals, verified.findings
    return {"seconds": seconds}


def peer(users: int) -> dict[str, float]:
    """Build trees with `openreserve`, one an asset, of users with as many assets each as in the tree."""
    from openreserve.transparency.merkle import MerkleLeaf, MerkleTree  # type: ignore[import-untyped, unused-ignore]

    draw = random.Random(1)
    holders: list[list[tuple[str, int]]] = [[] for _ in range(ASSETS)]
    for number in range(users):
        for asset in draw.sample(range(ASSETS), draw.randint(3, ASSETS)):
            holders[asset].append((f"{number:064x}", int(draw.lognormvariate(0, 2.4) * 10**8)))
    started = time.perf_counter()
    for asset, own in enumerate(holders):
        tree = MerkleTree([MerkleLeaf(user, amount, f"A{asset:02}") for user, amount in own])
        assert tree.root_hash
        assert tree.total_balance_cents() == sum(amount for _, amount in own)
    return {"seconds": time.perf_counter() - started}


def floor(leaves: int) -> dict[str, float]:
    """Hash as much as a tree of so many leaves, on one core."""
    share = min(leaves, 200_000)
    leaf, node = os.urandom(105 + 16 * ASSETS), os.urandom(98 + 32 * ASSETS)
    started = time.perf_counter()
    for _ in range(share):
        hashlib.sha256(leaf).digest()
        hashlib.sha256(node).digest()
    return {"seconds": (time.perf_counter() - started) * leaves / share}


def run(work: str, *arguments: object) -> dict[str, float]:
    """Do some of the work above in a process of its own; adds the peak memory of it and all of its workers in MiB."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["plugins", "verifier/src", ".", os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "tests.bench.bench_sum_tree", work, *map(str, arguments)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        peaks = [0]
        watch = threading.Thread(target=_watch, args=(process, peaks), daemon=True)
        watch.start()
        output = process.stdout.read()
    if process.returncode:
        raise SystemExit(process.returncode)
    watch.join()
    measured: dict[str, float] = json.loads(output)
    return {**measured, "megabytes": max(peaks)}


def _watch(process: subprocess.Popen[str], peaks: list[int]) -> None:
    while process.poll() is None:
        peaks.append(sum(map(_resident, _family(process.pid))))
        time.sleep(0.05)


def _family(process: int) -> list[int]:
    try:
        children = [int(child) for task in Path(f"/proc/{process}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [process, *(member for child in children for member in _family(child))]


def _resident(process: int) -> int:
    """Memory of a process in MiB, with the libraries that it shares with others."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20
    except OSError:
        return 0


def _row(title: str, seconds: float, ratio: float, note: str = "") -> None:
    print(f"{title:50} {seconds:8.3f} s {ratio:7.2f} x   {note}")


def main(users: int = USERS) -> None:
    """Print a row per contender."""
    from tests.bench.synthetic_liabilities import report_of, write_liabilities

    many = users >= MANY
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        write_liabilities(report_of(ASSETS), users, folder / "liabilities")
        # The first one may have to compile.
        built = [run("build", folder, "4GB" if many else "2GB") for _ in range(1 if many else ROUNDS)]
        seconds, leaves = min(each["seconds"] for each in built), int(built[0]["leaves"])
        peak = max(each["megabytes"] for each in built)
        size = sum(path.stat().st_size for path in (folder / "tree").rglob("*") if path.is_file()) >> 20
        _row(f"sum tree, {users:,} users", seconds, 1.0, f"{leaves:,} leaves, {peak:.0f} MiB in all processes, {size:,} MiB of files")
        processor = min(each["processor"] for each in built)
        _row("  its processor time, all processes", processor, processor / seconds)
        bare = run("floor", leaves)["seconds"] / 2
        _row("  SHA-256 of as many bytes alone, two cores (floor)", bare, bare / seconds)
        verified = run("verify", folder)
        _row("  verifying it", verified["seconds"], verified["seconds"] / seconds, f"{verified['megabytes']:.0f} MiB in all processes")
        proofs = run("prove", folder)
        _row("  a proof, nothing in memory", proofs["cold"], proofs["cold"] / seconds, f"99 of 100 below {proofs['slowest']:.3f} s")
        _row("  a proof, prover kept", proofs["warm"], proofs["warm"] / seconds, f"{proofs['bytes'] / 1024:.1f} KiB a leaf")
        _row("  a proof of the user with the most leaves", proofs["most"], proofs["most"] / seconds, f"{proofs['parts']:.0f} leaves")
        if not many and importlib.util.find_spec("openreserve"):
            other = run("peer", PEER_USERS)["seconds"] * users / PEER_USERS
            _row("openreserve, 22 trees without sums", other, other / seconds, f"scaled from {PEER_USERS:,} users")


_WORK: dict[str, Callable[[list[str]], dict[str, float]]] = {
    "build": lambda given: build(Path(given[0]), given[1]),
    "floor": lambda given: floor(int(given[0])),
    "peer": lambda given: peer(int(given[0])),
    "prove": lambda given: prove(Path(given[0])),
    "verify": lambda given: verify(Path(given[0])),
}

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in _WORK:
        print(json.dumps(_WORK[sys.argv[1]](sys.argv[2:])))
    else:
        main(*map(int, sys.argv[1:2]))
