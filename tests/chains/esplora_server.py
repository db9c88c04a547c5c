"""An Esplora HTTP API on loopback over a chain that Bitcoin Core's kernel validated.

No Esplora server can be installed here: this one is written from the API's documentation,
https://github.com/Blockstream/esplora/blob/master/API.md, and reads the blocks with the kernel's own parser, which shares nothing with the
code under test.
"""

from __future__ import annotations

import hashlib
import struct
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pbk

from sandbox.bitcoin_blocks import MinedChain
from sandbox.bitcoin_keys import sha256d
from sandbox.bitcoin_node import Node
from tests.chains.scripted_server import NotScripted, Request

NOT_FOUND = (404, b"Block not found")


def validated_blocks(mined: MinedChain, folder: Path) -> list[bytes]:
    """Return the chain's blocks from the genesis block on, as the kernel keeps them."""
    node = Node(folder, mined.blocks)
    names = [node.answer("getblockhash", [height]) for height in range(len(mined.blocks) + 1)]
    return [bytes.fromhex(str(node.answer("getblock", [name, 0]))) for name in names]


class EsploraChain:
    """The answers of the API about a chain; a handler for `ScriptedServer`.

    Args:
        blocks: Raw blocks from the genesis block on.
        page: Transactions on a page.
    """

    def __init__(self, blocks: Sequence[bytes], *, page: int = 25) -> None:
        self._page = page
        self._headers = [block[:80] for block in blocks]
        self._names = [sha256d(header)[::-1].hex() for header in self._headers]
        self._heights = {name: height for height, name in enumerate(self._names)}
        self._ids: list[list[str]] = []
        self._raw: dict[str, bytes] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._histories: dict[str, list[str]] = defaultdict(list)
        scripts: dict[tuple[str, int], str] = {}
        for height, block in enumerate(blocks):
            transactions = list(pbk.Block(block).transactions)
            self._ids.append([str(transaction.txid) for transaction in transactions])
            for position, transaction in enumerate(transactions):
                txid = str(transaction.txid)
                self._raw[txid] = bytes(transaction)
                self._places[txid] = (height, position)
                concerned = {
                    scripts[point]
                    for spent in transaction.inputs
                    if (point := (str(spent.out_point.txid), spent.out_point.index)) in scripts
                }
                for number, output in enumerate(transaction.outputs):
                    script = hashlib.sha256(bytes(output.script_pubkey)).digest()[::-1].hex()
                    scripts[txid, number] = script
                    concerned.add(script)
                for script in concerned:
                    self._histories[script].insert(0, txid)

    def __call__(self, request: Request) -> Any:
        match request.path.strip("/").split("/"):
            case ["blocks", "tip", "height"]:
                return str(len(self._names) - 1).encode()
            case ["blocks", top]:
                return (
                    [self._block(height) for height in range(int(top), max(-1, int(top) - 10), -1)]
                    if int(top) < len(self._names)
                    else NOT_FOUND
                )
            case ["block", name, "header"]:
                return self._headers[self._heights[name]].hex().encode() if name in self._heights else NOT_FOUND
            case ["scripthash", script, "txs", "chain", *seen]:
                history = self._histories[script]
                start = history.index(seen[0]) + 1 if seen and seen[0] in history else 0
                return [self._entry(txid) for txid in history[start : start + self._page]]
            case ["tx", txid, "hex"]:
                return self._raw[txid].hex().encode() if txid in self._raw else (404, b"Transaction not found")
            case ["tx", txid, "merkle-proof"]:
                return self._proof(txid)
        raise NotScripted

    def _entry(self, txid: str) -> dict[str, Any]:
        height, _ = self._places[txid]
        status = {
            "confirmed": True,
            "block_height": height,
            "block_hash": self._names[height],
            "block_time": self._block(height)["timestamp"],
        }
        return {"txid": txid, "size": len(self._raw[txid]), "status": status}

    def _block(self, height: int) -> dict[str, Any]:
        header = self._headers[height]
        version, timestamp, bits, nonce = struct.unpack("<i64xIII", header)
        return {
            "id": self._names[height],
            "height": height,
            "version": version,
            "timestamp": timestamp,
            "bits": bits,
            "nonce": nonce,
            "difficulty": 0,
            "merkle_root": header[36:68][::-1].hex(),
            "tx_count": len(self._ids[height]),
            "previousblockhash": header[4:36][::-1].hex() if height else None,
        }

    def _proof(self, txid: str) -> dict[str, Any]:
        height, position = self._places[txid]
        level = [bytes.fromhex(item)[::-1] for item in self._ids[height]]
        merkle, place = [], position
        while len(level) > 1:
            level += level[-1:] if len(level) % 2 else []
            merkle.append(level[place ^ 1][::-1].hex())
            level = [sha256d(level[start] + level[start + 1]) for start in range(0, len(level), 2)]
            place //= 2
        return {"block_height": height, "merkle": merkle, "pos": position}
