"""How long 10,000 balances over the Electrum protocol take, beside a bare client that sends the same requests.

    python -m tests.bench.bench_electrum

The bare client keeps as many batches of the same size under way on one connection and looks at nothing but the bytes of
the replies: what it takes is the server's time. Both are timed in turns against one server.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from assay.chains.bitcoin import reader
from assay.chains.bitcoin.electrum_session import Call, ElectrumSession
from assay.chains.evidence import EvidenceArchive
from assay.chains.interface import Balance
from assay.config import Asset, Chain, Source
from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, MinedChain, mine
from sandbox.scenario import SECOND, WalletPlan

SCRIPTS = 10_000
ROUNDS = 5
SOURCE = Source(name="bench", kind="electrum", connection="none")
CHAIN = Chain(
    name=BITCOIN.chain, family="bitcoin", asset="BTC", network=BITCOIN.network, genesis=BITCOIN.genesis, confirmations=6, sources=(SOURCE,)
)
ASSETS = {"BTC": Asset(symbol="BTC", name="Bitcoin", decimals=8)}


def plans(count: int) -> list[WalletPlan]:
    """Return wallets of the commonest kinds, each with a balance that does not change."""
    draw = random.Random(count)
    made = []
    for index in range(count):
        held = {"BTC": draw.randrange(1_000, 1_000_000)}
        made.append(
            WalletPlan(
                chain="bitcoin",
                index=index,
                kind=("p2wpkh", "p2pkh", "p2sh_p2wpkh", "p2tr")[index % 4],
                custody="hot",
                encumbrance="none",
                first=held,
                second=held,
                later=held,
            )
        )
    return made


async def read(url: str, addresses: Sequence[str]) -> list[Balance]:
    """Resolve the block and read all balances, with everything that the reader checks and archives."""
    async with reader(CHAIN, SOURCE, assets=ASSETS, archive=EvidenceArchive("bench"), url=url) as opened:
        block = await opened.resolve(SECOND)
        return await opened.read(block, addresses)


class Recorder(ElectrumSession):
    """A session that notes what is asked, so that the bare client can ask the same."""

    asked: list[Sequence[Call]]

    async def call_batch(self, calls: Sequence[Call]) -> list[object]:
        """Note the batch and send it."""
        self.asked.append(calls)
        return await super().call_batch(calls)


async def requests_of(url: str, addresses: Sequence[str]) -> list[bytes]:
    """Return the batches of one read, as they go over the wire."""
    Recorder.asked = []
    opened = reader(CHAIN, SOURCE, assets=ASSETS, archive=EvidenceArchive("bench"), url=url)
    session = Recorder(SOURCE, url)
    await session.open()
    opened._session = session  # type: ignore[attr-defined]
    await opened.read(await opened.resolve(SECOND), addresses)
    await session.close()
    messages = []
    for calls in Recorder.asked:
        filler = [] if len(calls) >= 32 or calls[0][0] == "server.version" else [("blockchain.block.headers", [0, 8])]
        parts = [
            {"jsonrpc": "2.0", "id": number, "method": name, "params": params} for number, (name, params) in enumerate([*calls, *filler])
        ]
        messages.append(json.dumps(parts).encode() + b"\n")
    return messages


async def ask(url: str, messages: Sequence[bytes]) -> int:
    """Send the batches, as many at once as the reader does, and return the number of bytes that came back."""
    address = urlsplit(url)
    incoming, outgoing = await asyncio.open_connection(address.hostname, address.port, limit=1 << 28)
    received, sent = 0, 0
    for replies in range(len(messages)):
        # The greeting goes alone: servers answer nothing before it.
        while sent < len(messages) and sent < (1 if replies == 0 else replies + SOURCE.concurrency):
            outgoing.write(messages[sent])
            sent += 1
        received += len(await incoming.readline())
    outgoing.close()
    await outgoing.wait_closed()
    return received


def measure(chain: MinedChain, folder: Path) -> list[tuple[str, float, float]]:
    """Return name, median seconds and ratio to the floor of each row."""
    addresses = [chain.addresses[index] for index in sorted(chain.addresses)]
    with BitcoinNode(folder=folder, mined=chain) as node:
        # ElectrumX answers from memory what it was asked last, up to 1,000 scripts: a tenth, the same for both.
        messages = asyncio.run(requests_of(node.electrum_url, addresses))
        seconds: dict[str, list[float]] = {"floor": [], "reader": []}
        for _ in range(ROUNDS):
            started = time.perf_counter()
            asyncio.run(ask(node.electrum_url, messages))
            seconds["floor"].append(time.perf_counter() - started)
            started = time.perf_counter()
            balances = asyncio.run(read(node.electrum_url, addresses))
            seconds["reader"].append(time.perf_counter() - started)
    if len(balances) != len(addresses) or not all(balance.amount for balance in balances):
        raise AssertionError("the reader missed a balance")
    floor = median(seconds["floor"])
    return [
        ("electrum 10k scripts, bare batched client", floor, 1.0),
        ("electrum 10k scripts, reader", median(seconds["reader"]), median(seconds["reader"]) / floor),
    ]


def main() -> None:
    """Print a row per contender."""
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds, ratio in measure(mine(BITCOIN, plans(SCRIPTS)), Path(folder) / "node"):
            print(f"{name:50} {seconds:8.3f} s {ratio:7.2f} x")


if __name__ == "__main__":
    main()
