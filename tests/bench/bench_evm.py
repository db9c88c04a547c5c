"""How long 10,000 EVM addresses with two assets take, beside the node's own floor and beside other clients.

    python -m tests.bench.bench_evm

All ways read the same block of the same anvil, in turn, so that a slow moment of the machine hits each of them. The
floor sends the very same JSON-RPC batches, encoded beforehand, and throws the answers away unread. Web3's plain calls
are made for fewer addresses and scaled up, because they take long.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from assay.chains.evidence import EvidenceArchive
from assay.chains.evm import EvmReader
from assay.chains.evm_abi import MULTICALL3
from assay.chains.interface import SnapshotBlock
from assay.config import Asset, Chain, Source, Token
from sandbox.anvil import Anvil
from sandbox.evm import EvmNode
from sandbox.evm_crowd import Funded, fund_crowd
from sandbox.scenario import SECOND

ADDRESSES = 10_000
PLAIN_ADDRESSES = 100
ROUNDS = 5
TOKEN = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
SOURCE = Source(name="node", kind="jsonrpc", connection="unused")
ASSETS = {symbol: Asset(symbol=symbol, name=symbol, decimals=decimals) for symbol, decimals in (("ETH", 18), ("USDT", 6))}
CHAIN = Chain(
    name="ethereum", family="evm", asset="ETH", chain_id=1, tokens={"USDT": Token(asset="USDT", contract=TOKEN, decimals=6, source="")}
)


def raw_bodies(block: SnapshotBlock, crowd: list[Funded]) -> list[bytes]:
    """Encode the batches of the floor."""
    at = {"blockHash": block.hash, "requireCanonical": True}
    calls: list[dict[str, Any]] = []
    for member in crowd:
        data = "0x70a08231" + member.address[2:].lower().rjust(64, "0")
        calls.append({"jsonrpc": "2.0", "id": len(calls), "method": "eth_getBalance", "params": [member.address, at]})
        calls.append({"jsonrpc": "2.0", "id": len(calls), "method": "eth_call", "params": [{"to": TOKEN, "data": data}, at]})
    size = SOURCE.batch_size
    return [msgspec.json.encode(calls[start : start + size]) for start in range(0, len(calls), size)]


async def raw_floor(url: str, bodies: list[bytes]) -> None:
    """Post the bodies with the source's concurrency."""
    slots = asyncio.Semaphore(SOURCE.concurrency)

    async def post(session: aiohttp.ClientSession, body: bytes) -> None:
        async with slots, session.post(url, data=body) as response:
            assert b'"error"' not in await response.read()

    async with aiohttp.ClientSession(headers={"content-type": "application/json"}) as session:
        await asyncio.gather(*(post(session, body) for body in bodies))


async def assay_reader(url: str, block: SnapshotBlock, crowd: list[Funded]) -> None:
    """Read with Assay, evidence included, and hold every amount against what was put there."""
    async with EvmReader(CHAIN, SOURCE, assets=ASSETS, archive=EvidenceArchive("bench"), url=url) as reader:
        balances = await reader.read(block, [member.address for member in crowd])
    assert [balance.amount for balance in balances] == [amount for member in crowd for amount in (member.native, member.token)]


def multicall_package(url: str, block: SnapshotBlock, crowd: list[Funded]) -> None:
    """Read with the package `multicall`, at the same batch size: its own, 10,000, runs out of the gas that it allows."""
    from multicall import Call, Multicall
    from multicall.multicall import batcher
    from web3 import HTTPProvider, Web3

    w3 = Web3(HTTPProvider(url, exception_retry_configuration=None))
    batcher.step = SOURCE.batch_size
    calls = []
    for member in crowd:
        calls.append(Call(MULTICALL3, ["getEthBalance(address)(uint256)", member.address], [(f"{member.address} ETH", int)]))
        calls.append(Call(TOKEN, ["balanceOf(address)(uint256)", member.address], [(f"{member.address} USDT", int)]))
    result = Multicall(calls, _w3=w3, block_id=block.height)()
    assert len(result) == 2 * len(crowd)


def web3_calls(url: str, block: SnapshotBlock, crowd: list[Funded]) -> None:
    """Read with web3, one call at a time."""
    from eth_typing import HexStr
    from web3 import HTTPProvider, Web3

    w3, at = Web3(HTTPProvider(url, exception_retry_configuration=None)), HexStr(block.hash)
    abi = [
        {
            "name": "balanceOf",
            "type": "function",
            "stateMutability": "view",
            "inputs": [{"type": "address", "name": ""}],
            "outputs": [{"type": "uint256", "name": ""}],
        }
    ]
    token = w3.eth.contract(address=w3.to_checksum_address(TOKEN), abi=abi)
    for member in crowd:
        assert w3.eth.get_balance(w3.to_checksum_address(member.address), at) == member.native
        assert token.functions.balanceOf(member.address).call(block_identifier=at) == member.token


def newest(node: Anvil) -> SnapshotBlock:
    """Return the newest block, which is the one that the crowd's balances are in."""
    raw = node.call("eth_getBlockByNumber", "latest", False)
    return SnapshotBlock(chain="ethereum", height=int(raw["number"], 16), hash=raw["hash"], time=SECOND, finality="", distance_seconds=0)


def measure(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Run all ways in turn and return the median seconds of each; the first round is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def run(folder: Path, addresses: int = ADDRESSES, rounds: int = ROUNDS) -> list[tuple[str, float, float]]:
    """Return name, median seconds and ratio to the floor of each way."""
    os.environ.setdefault("MULTICALL_LOG_LEVEL", "WARNING")
    start = {"chain": "ethereum", "chain_id": 1, "plans": [], "token_contract": TOKEN}
    with EvmNode(folder=folder / "with", **start) as node, EvmNode(folder=folder / "without", multicall="none", **start) as plain:  # type: ignore[arg-type]
        crowd = fund_crowd(node, token_contract=TOKEN, count=addresses)
        fund_crowd(plain, token_contract=TOKEN, count=addresses)
        block, plain_block = newest(node), newest(plain)
        bodies, few = raw_bodies(block, crowd), crowd[:PLAIN_ADDRESSES]
        floor, web3 = "JSON-RPC batches, unread (floor)", f"web3, plain calls ({len(few)} addresses, scaled)"
        taken = measure(
            {
                floor: lambda: asyncio.run(raw_floor(node.url, bodies)),
                "assay, through Multicall3": lambda: asyncio.run(assay_reader(node.url, block, crowd)),
                "assay, JSON-RPC batches": lambda: asyncio.run(assay_reader(plain.url, plain_block, crowd)),
                "multicall (package)": lambda: multicall_package(node.url, block, crowd),
                web3: lambda: web3_calls(node.url, block, few),
            },
            rounds,
        )
    taken[web3] *= addresses / len(few)
    return [(name, seconds, seconds / taken[floor]) for name, seconds in taken.items()]


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        rows = run(Path(folder))
    print(f"{ADDRESSES} addresses with 2 assets each, batches of {SOURCE.batch_size}, {SOURCE.concurrency} at once, median of {ROUNDS}")
    for name, seconds, ratio in rows:
        print(f"{name:50} {seconds:8.3f} s {ratio:7.2f} x")


if __name__ == "__main__":
    main()
