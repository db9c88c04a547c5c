"""How fast a UTXO-set file is read while 100,000 scripts are watched, beside bare SHA-256 over the same coins.

    python -m tests.bench.bench_utxo_set

The file has the mix of scripts of Bitcoin's main network: one million coins, twenty times over, which costs the reader no less than
different ones. The floor hashes the stream that must be hashed, from memory and on one core; the reader reads, parses, searches and
hashes, and must take 1.5 million coins a second on two cores. Each run is a process of its own: the first one finds no compiled code, and each tells how much memory it took.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.chains.utxo_files import Coin, stream_of, write

COINS = 1_000_000
COPIES = 20
WATCHED, OWNING = 100_000, 5_000
ROUNDS = 3
BLOCK = "00" * 28 + "0a0b0c0d"
_HEADER = 51
_MIX = {
    b"\x76\xa9\x14%b\x88\xac": (20, 28),
    b"\xa9\x14%b\x87": (20, 9),
    b"\x00\x14%b": (20, 29),
    b"\x51\x20%b": (32, 33),
    b"\x00\x20%b": (32, 1),
}
"""Bytes of hash and share of each kind of script."""


def coins_of(count: int) -> list[Coin]:
    """Return coins of the commonest kinds, most of them alone in their transaction."""
    draw = random.Random(1)
    weights = [share for _, share in _MIX.values()]
    coins: list[Coin] = []
    while len(coins) < count:
        txid = draw.randbytes(32)
        for position in range(draw.choices([1, 2, 3, 20], [70, 20, 9, 1])[0]):
            ((form, (size, _)),) = draw.choices(list(_MIX.items()), weights)
            amount = draw.choice([draw.randrange(10**8), 546, draw.randrange(10**3) * 10**5])
            coins.append(Coin(txid, position, draw.randrange(900_000), False, amount, form.replace(b"%b", draw.randbytes(size))))
    return coins


def make(folder: Path) -> tuple[dict[int, dict[str, object]], bytes]:
    """Write files of one and of all copies, and the watched scripts; return by copies what a node would say, and what one copy is hashed as."""
    coins = coins_of(COINS)
    stream = stream_of(coins)
    one = write(folder / "part", BLOCK, coins).read_bytes()
    said: dict[int, dict[str, object]] = {}
    for copies in (1, COPIES):
        with (folder / str(copies)).open("wb") as file:
            file.write(one[:43] + struct.pack("<Q", len(coins) * copies))
            for _ in range(copies):
                file.write(one[_HEADER:])
        facts = {"block_hash": BLOCK, "height": 900_000, "coins": len(coins) * copies, "hash_type": "hash_serialized_3"}
        said[copies] = {**facts, "set_hash": bare_hash(stream, copies)}
    draw = random.Random(2)
    scripts = {*(coin.script for coin in draw.sample(coins, OWNING))}
    while len(scripts) < WATCHED:
        scripts.add(b"\x00\x14" + draw.randbytes(20))
    (folder / "scripts").write_text("\n".join(script.hex() for script in sorted(scripts)))
    return said, stream


def bare_hash(stream: bytes, copies: int) -> str:
    """Return the hash of a set whose coins are those of a stream, several times over."""
    digest = hashlib.sha256()
    for _ in range(copies):
        digest.update(stream)
    return hashlib.sha256(digest.digest()).digest()[::-1].hex()


def read(path: Path, scripts: Path, said: dict[str, object]) -> dict[str, float]:
    """Read a file in this process."""
    started = time.perf_counter()
    from assay.chains.bitcoin.utxo_set import LAYOUTS, Claim, read_utxo_set

    imported = time.perf_counter() - started
    watched = [bytes.fromhex(line) for line in scripts.read_text().splitlines()]
    started, processor = time.perf_counter(), time.process_time()
    found = read_utxo_set(path, LAYOUTS["regtest"], Claim(**said), watched)  # type: ignore[arg-type]
    return {
        "seconds": time.perf_counter() - started,
        "processor": time.process_time() - processor,
        "import": imported,
        "megabytes": _peak() / 1024,
        "found": sum(map(len, found.coins)),
    }


def _peak() -> int:
    # Not getrusage's: a process that was started from a larger one is told the larger one's.
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


def run(folder: Path, copies: int, said: dict[str, object], cache: Path) -> dict[str, float]:
    """Read a file in a process that keeps its compiled code in `cache`."""
    call = ["read", str(folder / str(copies)), str(folder / "scripts"), json.dumps(said)]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": "plugins"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_utxo_set", *call], env=environment, capture_output=True, text=True, check=True
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main() -> None:
    """Print a row per contender."""
    floors, large = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said, stream = make(folder)
        first, small = (run(folder, 1, said[1], folder / "cache") for _ in range(2))
        for _ in range(ROUNDS):
            started = time.perf_counter()
            bare_hash(stream, COPIES)
            floors.append(time.perf_counter() - started)
            large.append(run(folder, COPIES, said[COPIES], folder / "cache"))
    millions = COINS * COPIES / 1e6
    floor, seconds, processor = median(floors), *(median(item[key] for item in large) for key in ("seconds", "processor"))
    compiling = first["import"] + first["seconds"] - small["import"] - small["seconds"]
    peak = max(item["megabytes"] for item in large)
    for title, measured, ratio, note in (
        (f"SHA-256 alone, {millions:.0f} M coins (floor)", floor, 1.0, f"{millions / floor:6.2f} M coins/s"),
        (f"UTXO-set reader, {WATCHED} scripts watched", seconds, seconds / floor, f"{millions / seconds:6.2f} M coins/s"),
        ("  its processor time, all threads", processor, processor / floor, f"{millions / processor:6.2f} M coins/s a core"),
        ("  compiling, once a machine", compiling, compiling / floor, ""),
    ):
        print(f"{title:50} {measured:8.3f} s {ratio:7.2f} x   {note}")
    print(f"{f'  memory with 1 M and with {millions:.0f} M coins':50} {small['megabytes']:8.0f} MB {peak:8.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        print(json.dumps(read(Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))))
    else:
        main()
