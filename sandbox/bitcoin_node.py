"""A Bitcoin regtest node: libbitcoinkernel validates and stores the blocks, a small JSON-RPC shows them to an indexer.

    python -m sandbox.bitcoin_node --data FOLDER --blocks FILE --port PORT

The kernel has no RPC of its own. This one answers the methods of Bitcoin Core that ElectrumX calls, in Core's own
shapes, and no others; there are no peers, no wallet and no mempool.
"""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pbk
from aiohttp import web

_METHOD_NOT_FOUND = -32601
_INVALID_ADDRESS_OR_KEY = -5  # Core's code for a block or transaction that it does not know
_CORE_VERSION = 300000
_REQUEST_LIMIT = 64 << 20


class BlocksRefusedError(RuntimeError):
    """The kernel did not make the given blocks its active chain."""


def write_blocks(path: Path, blocks: Iterable[bytes]) -> None:
    """Write raw blocks, each behind its length (32 bits, little endian)."""
    with path.open("wb") as file:
        for block in blocks:
            file.write(struct.pack("<I", len(block)) + block)


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the blocks that `write_blocks` wrote."""
    content = memoryview(path.read_bytes())
    start = 0
    while start < len(content):
        (length,) = struct.unpack_from("<I", content, start)
        yield bytes(content[start + 4 : start + 4 + length])
        start += 4 + length


class Node:
    """A validated chain, and the answers about it.

    Args:
        data: Folder of the kernel's own files.
        blocks: Raw blocks from height 1 on; the ones that it knows already are passed over.

    Raises:
        BlocksRefusedError: A block is invalid.
    """

    def __init__(self, data: Path, blocks: Iterable[bytes]) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._kernel = pbk.load_chainman(data, pbk.ChainType.REGTEST)
        given = 0
        for given, block in enumerate(blocks, 1):  # noqa: B007 (the count is needed after the loop)
            self._kernel.process_block(pbk.Block(block))
        chain = self._kernel.get_active_chain()
        # process_block accepts a block that it stores but does not connect: the tip alone shows what was accepted.
        if chain.height < given:
            raise BlocksRefusedError(f"the kernel stopped at block {chain.height} of {given}")
        entries = list(chain.block_tree_entries)
        self._hashes = [str(entry.block_hash) for entry in entries]
        self._blocks = {name: bytes(self._kernel.blocks[entry]) for name, entry in zip(self._hashes, entries, strict=True)}
        self._transactions = {
            str(transaction.txid): transaction for entry in entries for transaction in self._kernel.blocks[entry].transactions
        }

    def answer(self, method: str, params: Sequence[Any]) -> object:
        """Return the result of one call.

        Raises:
            NotImplementedError: No such method.
            LookupError: No such block or transaction.
        """
        # Core's optional second parameter of the two is the verbosity, and raw is all that is ever asked for.
        methods: dict[str, Callable[..., object]] = {
            "getblockcount": lambda: len(self._hashes) - 1,
            "getblockhash": lambda height: self._hashes[height],
            "getbestblockhash": lambda: self._hashes[-1],
            "getblock": lambda name, _=0: self._blocks[name].hex(),
            "getrawtransaction": lambda txid, _=0: bytes(self._transactions[txid]).hex(),
            "getnetworkinfo": lambda: {"version": _CORE_VERSION, "subversion": "/kernel/", "relayfee": 0.00001},
            "getblockchaininfo": lambda: {"chain": "regtest", "blocks": len(self._hashes) - 1, "bestblockhash": self._hashes[-1]},
            "getindexinfo": lambda: {"txindex": {"synced": True, "best_block_height": len(self._hashes) - 1}},
            "getmempoolinfo": lambda: {"size": 0, "mempoolminfee": 0.00001, "minrelaytxfee": 0.00001, "incrementalrelayfee": 0.00001},
            "getrawmempool": list,
        }
        if method not in methods:
            raise NotImplementedError(method)
        return methods[method](*params)


def _reply(node: Node, call: dict[str, Any]) -> dict[str, object]:
    try:
        return {"id": call.get("id"), "result": node.answer(call["method"], call.get("params", [])), "error": None}
    except NotImplementedError:
        error = {"code": _METHOD_NOT_FOUND, "message": f"method {call['method']} not found"}
    except LookupError:
        error = {"code": _INVALID_ADDRESS_OR_KEY, "message": "no such block or transaction"}
    return {"id": call.get("id"), "result": None, "error": error}


def application(node: Node) -> web.Application:
    """Return the web application that answers JSON-RPC calls, alone or in a batch."""

    async def handle(request: web.Request) -> web.Response:
        calls = json.loads(await request.read())
        replies = [_reply(node, call) for call in calls] if isinstance(calls, list) else _reply(node, calls)
        # ElectrumX takes a reply for JSON only if the type stands alone, without a character set behind it.
        return web.Response(body=json.dumps(replies).encode(), headers={"Content-Type": "application/json"})

    served = web.Application(client_max_size=_REQUEST_LIMIT)
    served.router.add_post("/", handle)
    return served


def main() -> None:
    """Load the blocks and serve until the process is asked to end."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the kernel's files")
    parser.add_argument("--blocks", type=Path, required=True, help="file of raw blocks")
    parser.add_argument("--port", type=int, required=True, help="port on loopback")
    given = parser.parse_args()
    node = Node(given.data, read_blocks(given.blocks))
    web.run_app(application(node), host="127.0.0.1", port=given.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
