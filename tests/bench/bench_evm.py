"""How long 10,000 EVM addresses with four assets take, beside the node's own floors and beside other clients.

    python -m tests.bench.bench_evm

All ways read the same block of the same anvil, in turn, so that a slow moment of the machine hits each of them. There are two
floors, one for each way that Assay reads in: the very same requests, encoded beforehand, their answers thrown away unread. Web3's plain
calls are made for fewer addresses and scaled up, and @defillama/sdk is timed once, because they take long. Memory is the peak of a process that does nothing else.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from assay.chains.evidence import EvidenceArchive
from assay.chains.evm import EvmReader
from assay.chains.evm.abi import BALANCE_OF, GET_ETH_BALANCE, MULTICALL3, address_call, pack_aggregate3
from assay.chains.interface import SnapshotBlock
from assay.config import Asset, Chain, Source, Token
from sandbox.anvil import Anvil
from sandbox.evm import EvmNode
from sandbox.evm_accounts import TOKEN_STORAGE
from sandbox.evm_crowd import Funded, fund_crowd
from sandbox.scenario import SECOND
from tests.bench.memory import nothing, peak_of
from tests.bench.peers import Defillama, multicall_package, web3_calls

ADDRESSES = 10_000
PLAIN_ADDRESSES = 20
ROUNDS = 5
TOKENS = {
    "USDT": "0xdAC17F958D2ee523a2206206994597C13D831ec7",
    "LINK": "0x514910771AF9Ca656af840dff83E8264EcF986CA",
    "UNI": "0x1f9840a85d5aF5bf1D1762F925BDADdC4201F984",
}
SOURCE = Source(name="node", kind="jsonrpc", connection="unused")
ASSETS = {symbol: Asset(symbol=symbol, name=symbol, decimals=18) for symbol in ("ETH", *TOKENS)}
CHAIN = Chain(
    name="ethereum",
    family="evm",
    asset="ETH",
    chain_id=1,
    tokens={
        symbol: Token(asset=symbol, contract=contract, decimals=18, source="", **TOKEN_STORAGE)  # type: ignore[arg-type]
        for symbol, contract in TOKENS.items()
    },
)
READ = (None, *(TOKENS[symbol] for symbol in sorted(TOKENS)))
"""What is read of an address, in the reader's order: the native asset, and contracts."""


@dataclass
class Row:
    """One line of the table."""

    name: str
    seconds: float
    floor: str
    """The floor that it is held against; empty for one that has none of its own."""
    mebibytes: int | None = None


def batch_bodies(block: SnapshotBlock, crowd: Sequence[Funded]) -> list[bytes]:
    """Encode the batches that Assay sends where there is no Multicall3."""
    at = {"blockHash": block.hash, "requireCanonical": True}
    calls: list[dict[str, Any]] = []
    for member in crowd:
        for contract in READ:
            what = member.address if contract is None else {"to": contract, "data": address_call(BALANCE_OF, member.address)}
            method = "eth_getBalance" if contract is None else "eth_call"
            calls.append({"jsonrpc": "2.0", "id": len(calls), "method": method, "params": [what, at]})
    return [msgspec.json.encode(calls[start : start + SOURCE.batch_size]) for start in range(0, len(calls), SOURCE.batch_size)]


def multicall_bodies(block: SnapshotBlock, crowd: Sequence[Funded]) -> list[bytes]:
    """Encode the calls of Multicall3 that Assay sends."""
    at = {"blockHash": block.hash, "requireCanonical": True}
    calls = [(contract or MULTICALL3, BALANCE_OF if contract else GET_ETH_BALANCE, member.address) for member in crowd for contract in READ]
    packed = [pack_aggregate3(calls[start : start + SOURCE.batch_size]) for start in range(0, len(calls), SOURCE.batch_size)]
    return [
        msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": "eth_call", "params": [{"to": MULTICALL3, "data": data}, at]})
        for number, data in enumerate(packed)
    ]


async def post_all(url: str, bodies: Sequence[bytes]) -> None:
    """Post the bodies with the source's concurrency."""
    slots = asyncio.Semaphore(SOURCE.concurrency)

    async def post(session: aiohttp.ClientSession, body: bytes) -> None:
        async with slots, session.post(url, data=body) as response:
            assert b'"error"' not in await response.read()

    async with aiohttp.ClientSession(headers={"content-type": "application/json"}) as session:
        await asyncio.gather(*(post(session, body) for body in bodies))


async def assay_reader(url: str, block: SnapshotBlock, crowd: Sequence[Funded]) -> None:
    """Read with Assay, evidence included, and hold every amount against what was put there."""
    async with EvmReader(CHAIN, SOURCE, assets=ASSETS, archive=EvidenceArchive("bench"), url=url) as reader:
        balances = await reader.read(block, [member.address for member in crowd])
    expected = [amount for member in crowd for amount in (member.native, member.token, member.token, member.token)]
    assert [balance.amount for balance in balances] == expected


def newest(node: Anvil) -> SnapshotBlock:
    """Return the newest block, which is the one that the crowd's balances are in."""
    raw = node.call("eth_getBlockByNumber", "latest", False)
    return SnapshotBlock(chain="ethereum", height=int(raw["number"], 16), hash=raw["hash"], time=SECOND, finality="", distance_seconds=0)


def measure(ways: dict[str, Callable[[], None]], rounds: int, once: Sequence[str] = ()) -> dict[str, float]:
    """Run all ways in turn and return the median seconds of each; the first round is not counted, nor the third and later ones of `once`."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            if number > 1 and name in once:
                continue
            start = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def _read_alone(url: str, block: SnapshotBlock, crowd: Sequence[Funded]) -> None:
    asyncio.run(assay_reader(url, block, crowd))


def _multicall_alone(url: str, block: SnapshotBlock, crowd: Sequence[Funded]) -> None:
    multicall_package(url, block, crowd, list(TOKENS.values()), batch=SOURCE.batch_size)


def run(folder: Path, addresses: int = ADDRESSES, rounds: int = ROUNDS) -> list[Row]:
    """Return a row of each way."""
    os.environ["MULTICALL_LOG_LEVEL"] = "WARNING"
    first, *others = tokens = list(TOKENS.values())
    start = {"chain": "ethereum", "chain_id": 1, "plans": [], "token_contract": first}
    with EvmNode(folder=folder / "with", **start) as node, EvmNode(folder=folder / "without", multicall="none", **start) as plain:  # type: ignore[arg-type]
        crowd = fund_crowd(node, token_contract=first, count=addresses, further_tokens=others)
        fund_crowd(plain, token_contract=first, count=addresses, further_tokens=others)
        block, plain_block, few = newest(node), newest(plain), crowd[:PLAIN_ADDRESSES]
        single, grouped = batch_bodies(plain_block, crowd), multicall_bodies(block, crowd)
        with Defillama(node.url, block, crowd, tokens, batch=SOURCE.batch_size, folder=folder) as defillama:
            rows = [
                Row("floor: calls of Multicall3, unread", 0, ""),
                Row("assay, through Multicall3", 0, "floor: calls of Multicall3, unread"),
                Row("multicall (PyPI)", 0, "floor: calls of Multicall3, unread"),
                Row("@defillama/sdk (npm)", 0, "floor: calls of Multicall3, unread"),
                Row("floor: JSON-RPC batches, unread", 0, ""),
                Row("assay, JSON-RPC batches", 0, "floor: JSON-RPC batches, unread"),
                Row(f"web3, plain calls ({len(few)} addresses, scaled)", 0, "floor: JSON-RPC batches, unread"),
            ]
            ways: Sequence[Callable[[], None]] = (
                lambda: asyncio.run(post_all(node.url, grouped)),
                lambda: asyncio.run(assay_reader(node.url, block, crowd)),
                lambda: multicall_package(node.url, block, crowd, tokens, batch=SOURCE.batch_size),
                defillama.read,
                lambda: asyncio.run(post_all(plain.url, single)),
                lambda: asyncio.run(assay_reader(plain.url, plain_block, crowd)),
                lambda: web3_calls(node.url, block, few, tokens),
            )
            taken = measure(dict(zip((row.name for row in rows), ways, strict=True)), rounds, once=[rows[3].name, rows[6].name])
            for row in rows:
                row.seconds = taken[row.name]
            rows[3].mebibytes = defillama.peak
        rows[6].seconds *= addresses / len(few)
        rows[1].mebibytes = peak_of(_read_alone, node.url, block, crowd)
        rows[2].mebibytes = peak_of(_multicall_alone, node.url, block, crowd)
        rows[5].mebibytes = peak_of(_read_alone, plain.url, plain_block, crowd)
    return rows


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    seconds = {row.name: row.seconds for row in rows}
    for row in rows:
        ratio = f"{row.seconds / seconds[row.floor]:6.2f} x floor" if row.floor else ""
        memory = f"{row.mebibytes:6} MiB" if row.mebibytes else ""
        print(f"{row.name:50} {row.seconds:8.3f} s {ratio:14} {memory}".rstrip())


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        rows = run(Path(folder))
    print(f"{ADDRESSES} addresses with 4 assets each, batches of {SOURCE.batch_size}, {SOURCE.concurrency} at once, median of {ROUNDS}")
    print(f"memory: a process that only imports takes {peak_of(nothing)} MiB")
    show(rows)


if __name__ == "__main__":
    main()
