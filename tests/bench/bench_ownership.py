"""How long `assay-verify ownership` takes for a list of 700,000 addresses, beside `eth_account.recover_message`.

    python -m tests.bench.bench_ownership

Every row has a key, an address and a signature of its own: EVM accounts in the hashed form, Bitcoin messages, and ed25519 keys, in the shares below; the text is
a constant, as in the lists that are published. Making the list takes about as long as checking it, and is not measured. The other library is given
a sample of the same EVM rows, one after the other in one process, with what it has to be told; its time for all rows is extrapolated.

Single statements are measured as well, in this process, through the function that every row goes through, beside the library alone on the same signatures.
Each time is given by the wall and by the processor: other programs on the machine lengthen the one more than the other.
"""

from __future__ import annotations

import base64
import hashlib
import multiprocessing
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import base58
from coincurve import PrivateKey, PublicKey
from Crypto.Hash import RIPEMD160, keccak
from nacl.bindings import crypto_sign_open
from nacl.signing import SigningKey

from assay_verify.ownership.lists import ADDRESS_LIST, parse_line
from assay_verify.ownership.schemes import verify_for

ROWS, SAMPLE, ROUNDS = 700_000, 3_000, 5
REPEATS = 5
MESSAGE = "I am an OKX address"
SHARES = {"ETH": 60, "BTC": 30, "SOL": 10}
ROOT = Path(__file__).resolve().parent.parent.parent
_TOTALS = "coin,snapshot height,amount"
_HEADER = "coin,Network,Snapshot Height,address,amount,message,signature1,signature2,redeem script/ public key, eoa1, eoa2"
_POLL = 0.05


@dataclass(frozen=True)
class Run:
    """One run of the verifier.

    Attributes:
        seconds: By the wall.
        cpu: Seconds of processors, of all its processes.
        memory: Peak of all its processes together, in MiB.
    """

    seconds: float
    cpu: float
    memory: int


def make_list(path: Path, count: int = ROWS) -> None:
    """Write a list with so many rows, in all processors' time."""
    jobs = [(coin, max(1, count * share // 100)) for coin, share in SHARES.items()]
    pieces = [(coin, min(10_000, number - start)) for coin, number in jobs for start in range(0, number, 10_000)]
    with path.open("w") as file, multiprocessing.get_context("spawn").Pool() as pool:
        file.write("\n".join([_TOTALS, *(f"{coin},1,{number}" for coin, number in jobs), "", _HEADER, ""]))
        file.writelines(pool.imap(_rows, pieces))


def _rows(job: tuple[str, int]) -> str:
    coin, count = job
    make = {"ETH": _evm, "BTC": _bitcoin, "SOL": _solana}[coin]
    return "".join(f"{coin},{coin},1,{address},1,{MESSAGE},{signature},,{key},,\n" for address, signature, key in make(count))


def _evm(count: int) -> Iterator[tuple[str, str, str]]:
    hashed = _keccak(b"\x19Ethereum Signed Message:\n32" + _keccak(MESSAGE.encode()))
    for _ in range(count):
        key = PrivateKey()
        signature = bytearray(key.sign_recoverable(hashed, hasher=None))
        signature[64] += 27
        yield "0x" + _keccak(key.public_key.format(compressed=False)[1:])[12:].hex(), "0x" + signature.hex(), ""


def _bitcoin(count: int) -> Iterator[tuple[str, str, str]]:
    text = _with_length("Bitcoin Signed Message:\n") + _with_length(MESSAGE)
    hashed = hashlib.sha256(hashlib.sha256(text).digest()).digest()
    for _ in range(count):
        key = PrivateKey()
        signature = key.sign_recoverable(hashed, hasher=None)
        content = b"\0" + RIPEMD160.new(hashlib.sha256(key.public_key.format()).digest()).digest()
        yield base58.b58encode_check(content).decode(), base64.b64encode(bytes([31 + signature[64]]) + signature[:64]).decode(), ""


def _solana(count: int) -> Iterator[tuple[str, str, str]]:
    text = _with_length("OKX Signed Message:\n") + _with_length(MESSAGE)
    for _ in range(count):
        key = SigningKey(secrets.token_bytes(32))
        public = bytes(key.verify_key)
        yield base58.b58encode(public).decode(), "0x" + key.sign(text).signature.hex(), "0x" + public.hex()


def _with_length(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _keccak(content: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=content).digest()


def verify_list(path: Path, folder: Path) -> Run:
    """Run the verifier as somebody at a terminal does.

    Args:
        path: A list that holds.
        folder: For what it keeps while it runs.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT / "verifier" / "src"), "XDG_STATE_HOME": str(folder)}
    before, started = os.times(), time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "assay_verify", "ownership", str(path)], env=environment, stdout=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(_resident(pid) for pid in (process.pid, *_children(process.pid))))
        time.sleep(_POLL)
    seconds, after = time.perf_counter() - started, os.times()
    said = process.communicate()[0].decode()
    assert process.returncode == 0, said
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(seconds, cpu, peak >> 10)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _resident(pid: int) -> int:
    """Return KiB of memory, with what processes share counted in each."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def recover_with_eth_account(path: Path, count: int) -> float:
    """Return seconds that a row takes."""
    from eth_account import Account
    from eth_account.messages import encode_defunct

    with path.open() as file:
        rows = [line.split(",") for line in file if line.startswith("ETH,ETH,")][:count]
    started = time.perf_counter()
    for row in rows:
        # The hashed form is a personal message whose text is the 32 bytes of the hash.
        signable = encode_defunct(primitive=_keccak(row[5].encode()))
        assert Account.recover_message(signable, signature=row[6]).lower() == row[3]
    return (time.perf_counter() - started) / len(rows)


@dataclass(frozen=True)
class Rate:
    """How long one of many took, at best of some repetitions.

    Attributes:
        wall: Seconds.
        cpu: Seconds of a processor.
    """

    wall: float
    cpu: float

    @classmethod
    def of(cls, check: Callable[[Any], object], items: Sequence[Any]) -> Rate:
        """Measure a function over items."""
        walls, cpus = [], []
        for _ in range(REPEATS):
            wall, cpu = time.perf_counter(), time.process_time()
            for item in items:
                check(item)
            walls.append((time.perf_counter() - wall) / len(items))
            cpus.append((time.process_time() - cpu) / len(items))
        return cls(min(walls), min(cpus))

    def line(self, name: str) -> str:
        """Return a line of the table."""
        return f"{name:50} {1 / self.cpu:10,.0f} /s of a processor {1 / self.wall:10,.0f} /s by the wall"


def measure_statements(count: int) -> list[str]:
    """Return lines about single statements, as rows of a list become them, and the libraries alone."""
    digest = _keccak(b"\x19Ethereum Signed Message:\n32" + _keccak(MESSAGE.encode()))
    lines = []
    for coin in SHARES:
        entries = [parse_line(ADDRESS_LIST, line) for line in _rows((coin, count)).splitlines()]
        if coin == "SOL":
            signed = [
                bytes.fromhex(entry.statement.signatures[0][2:]) + _with_length("OKX Signed Message:\n") + _with_length(MESSAGE)
                for entry in entries
            ]
            alone = Rate.of(
                lambda pair: crypto_sign_open(*pair),
                list(zip(signed, [base58.b58decode(entry.statement.address) for entry in entries], strict=True)),
            )
        elif coin == "ETH":
            raw = [bytes.fromhex(entry.statement.signatures[0][2:]) for entry in entries]
            alone = Rate.of(
                lambda signature: PublicKey.from_signature_and_message(signature, digest, hasher=None),
                [signature[:64] + bytes([signature[64] - 27]) for signature in raw],
            )
        ours = Rate.of(lambda entry: verify_for(entry.statement, entry.network), entries)
        lines.append(ours.line(f"{coin}: a statement through its scheme"))
        lines.append(alone.line(f"  {'PyNaCl' if coin == 'SOL' else 'coincurve'} alone, {alone.cpu / ours.cpu:.0%} of it"))
    return lines


def main(count: int = ROWS, sample: int = SAMPLE) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, short = folder / "list.csv", folder / "short.csv"
        make_list(path, count)
        make_list(short, 3)
        start = median(verify_list(short, folder).seconds for _ in range(ROUNDS))
        run = verify_list(path, folder)
        peer = recover_with_eth_account(path, sample)
        statements = measure_statements(sample)
        size = path.stat().st_size / 1e6
    shares = ", ".join(f"{share} % {coin}" for coin, share in SHARES.items())
    cores = len(os.sched_getaffinity(0))
    print(f"{count:,} rows ({shares}), {size:.0f} MB, {cores} processors; other programs: load {os.getloadavg()[0]:.1f}")
    print(f"{'eth_account.recover_message, one process':50} {peer * count:8.1f} s {1 / peer:10,.0f} rows/s   (from {sample:,} rows)")
    print(f"{'assay-verify ownership':50} {run.seconds:8.1f} s {count / run.seconds:10,.0f} rows/s {run.memory:6} MiB in all processes")
    print(f"{'  a second of one processor':50} {run.cpu:8.1f} s {count / run.cpu:10,.0f} rows/s")
    print(f"{'  of it: start and three rows':50} {start:8.1f} s")
    print(f"{'ratio, each processor':50} {peer * count / run.cpu:8.1f} x")
    print("\n".join(statements))


if __name__ == "__main__":
    main()
