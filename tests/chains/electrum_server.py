"""An Electrum server on loopback for coins that no node can be installed of: it serves a chain that the test writes.

Written from the protocol's documentation, https://electrum-protocol.readthedocs.io. Blocks, their headers and which transactions
concern a script are given by the test; branches are computed here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sandbox.bitcoin_keys import sha256d


@dataclass(frozen=True)
class Block:
    """A block as the server knows it.

    Attributes:
        header: With merged work behind its 80 bytes where there is any.
        transactions: Raw transactions and the locking scripts that each concerns, in order.
    """

    header: bytes
    transactions: Sequence[tuple[bytes, Sequence[bytes]]]


class WrittenChain:
    """The answers of the protocol about a chain.

    Args:
        blocks: From the genesis block on.
        genesis: Hash of the genesis block.
    """

    def __init__(self, blocks: Sequence[Block], genesis: str) -> None:
        self._blocks = blocks
        self._genesis = genesis
        self._raw: dict[str, bytes] = {}
        self._histories: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for height, block in enumerate(blocks):
            for raw, scripts in block.transactions:
                txid = sha256d(raw)[::-1].hex()
                self._raw[txid] = raw
                for script in scripts:
                    self._histories[hashlib.sha256(script).digest()[::-1].hex()].append({"tx_hash": txid, "height": height})

    def answer(self, method: str, params: Sequence[Any]) -> Any:
        """Return the result of a call."""
        headers = [block.header for block in self._blocks]
        methods: dict[str, Callable[..., Any]] = {
            "server.version": lambda *_: ["written", "1.4"],
            "server.features": lambda: {"genesis_hash": self._genesis},
            "blockchain.headers.subscribe": lambda: {"height": len(headers) - 1, "hex": headers[-1].hex()},
            "blockchain.block.header": lambda height: headers[height].hex(),
            "blockchain.block.headers": lambda first, count: _several(headers[first : first + count]),
            "blockchain.scripthash.get_history": lambda name: self._histories[name],
            "blockchain.transaction.get": lambda txid: self._raw[txid].hex(),
            "blockchain.transaction.get_merkle": self._branch,
        }
        return methods[method](*params)

    def _branch(self, txid: str, height: int) -> Mapping[str, Any]:
        level = [sha256d(raw) for raw, _ in self._blocks[height].transactions]
        place = position = level.index(bytes.fromhex(txid)[::-1])
        merkle = []
        while len(level) > 1:
            level += level[-1:] if len(level) % 2 else []
            merkle.append(level[place ^ 1][::-1].hex())
            level = [sha256d(level[start] + level[start + 1]) for start in range(0, len(level), 2)]
            place //= 2
        return {"block_height": height, "merkle": merkle, "pos": position}

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Give the address of a server that answers."""

        async def serve(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
            while request := await incoming.readline():
                replies = [
                    {"jsonrpc": "2.0", "id": call["id"], "result": self.answer(call["method"], call["params"])}
                    for call in json.loads(request)
                ]
                outgoing.write(json.dumps(replies).encode() + b"\n")
                await outgoing.drain()
            outgoing.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 24)
        try:
            yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()


def _several(headers: Sequence[bytes]) -> dict[str, Any]:
    return {"count": len(headers), "hex": b"".join(headers).hex(), "max": 2016}


def merkle_root(transactions: Sequence[bytes]) -> bytes:
    """Return the root over raw transactions, in wire order."""
    level = [sha256d(raw) for raw in transactions]
    while len(level) > 1:
        level += level[-1:] if len(level) % 2 else []
        level = [sha256d(level[start] + level[start + 1]) for start in range(0, len(level), 2)]
    return level[0]
