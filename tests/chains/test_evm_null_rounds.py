"""A chain on which heights may have no block, as Filecoin's: anvil's blocks, some of which are taken away on the way, as no Filecoin node can be had here.

How nodes answer for such a height: Lotus with an error, https://github.com/filecoin-project/lotus/issues/12633, or with null in versions before; Forest
with the block before, https://github.com/ChainSafe/forest/issues/7276.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay.chains.evm import EvmReader
from assay.chains.interface import SnapshotBlock
from assay.config import Chain
from assay.errors import SourceMismatchError
from sandbox.evm import EvmNode
from tests.chains.evm_asking import TOKENS, ask, chain_of
from tests.chains.lying_proxy import Lie, LyingProxy

CALIBRATION = 314159
HEIGHTS = 60
STEP = 12
KINDS = ["error", "null", "block before"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    folder = tmp_path_factory.mktemp("node")
    with EvmNode(folder=folder, chain="filecoin", chain_id=CALIBRATION, plans=[], token_contract=TOKENS["ethereum"]) as running:
        running.mine_many(HEIGHTS, STEP)
        yield running


def is_null(height: int) -> bool:
    return height % 5 == 0 or height % 7 in (2, 3)


def below(height: int) -> int:
    return height if not is_null(height) else below(height - 1)


def without_rounds(node: EvmNode, kind: str) -> Lie:
    """Take away blocks of an unhashed chain, and link the others across the gap."""

    top = int(node.call("eth_blockNumber"), 16)
    blocks = node.batch([("eth_getBlockByNumber", [hex(height), False]) for height in range(top + 1)])

    def block(height: int) -> dict[str, Any]:
        parent = blocks[below(height - 1)]
        return blocks[height] | {"parentHash": parent["hash"]}

    def lie(request: Any, content: bytes) -> bytes:
        if not isinstance(request, dict) or request["method"] != "eth_getBlockByNumber":
            return content
        tag = request["params"][0]
        height = int(json.loads(content)["result"]["number"] if tag == "finalized" else tag, 16)
        if tag == "finalized":
            height = below(height)
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        if not is_null(height):
            return json.dumps(answer | {"result": block(height)}).encode()
        if kind == "error":
            return json.dumps(answer | {"error": {"code": 12, "message": f"requested epoch was a null round ({height})"}}).encode()
        return json.dumps(answer | {"result": None if kind == "null" else block(below(height))}).encode()

    return lie


def filecoin(**changes: Any) -> Chain:
    return chain_of("ethereum", chain_id=CALIBRATION, tokens={}, max_distance_seconds=10**6, **changes)


@pytest.mark.parametrize("finality", ["finalized", "confirmations"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_block_before_the_moment_is_found_across_heights_without_one(node: EvmNode, kind: str, finality: str) -> None:
    top = int(node.call("eth_blockNumber"), 16)
    start = int(node.call("eth_getBlockByNumber", hex(top), False)["timestamp"], 16) - STEP * top

    async def question(reader: EvmReader) -> list[SnapshotBlock]:
        return [await reader.resolve(moment(height)) for height in range(top - 30, top - 12, 4)]

    def moment(height: int) -> datetime:
        return datetime.fromtimestamp(start + STEP * height, UTC) + timedelta(seconds=3)

    with LyingProxy(node.url, without_rounds(node, kind)) as proxy:
        blocks = ask(proxy.url, question, chain=filecoin(finality=finality, confirmations=8))
    for height, block in zip(range(top - 30, top - 12, 4), blocks, strict=True):
        assert block.height == below(height)
        assert block.hash == node.call("eth_getBlockByNumber", hex(below(height)), False)["hash"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_lost_its_blocks_is_no_chain_without_them(node: EvmNode, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.chains.evm.rpc._LONGEST_GAP", 1)
    top = int(node.call("eth_blockNumber"), 16)
    height = next(number for number in range(top, 0, -1) if is_null(number))
    chain = filecoin(finality="confirmations", confirmations=top - height)
    with LyingProxy(node.url, without_rounds(node, kind)) as proxy, pytest.raises(SourceMismatchError, match="it has no block at"):
        ask(proxy.url, lambda reader: reader.resolve(datetime(2022, 12, 2, tzinfo=UTC)), chain=chain)


def test_another_error_is_not_taken_for_a_height_without_a_block(node: EvmNode) -> None:
    def refuse(request: Any, content: bytes) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": {"code": 1, "message": "lookback exceeded"}}).encode()

    def lie(request: Any, content: bytes) -> bytes:
        return refuse(request, content) if request["method"] == "eth_getBlockByNumber" else content

    with LyingProxy(node.url, lie) as proxy, pytest.raises(SourceMismatchError, match="lookback exceeded"):
        ask(proxy.url, lambda reader: reader.final_header(), chain=filecoin(finality="confirmations", confirmations=3))


def test_a_missing_block_of_any_other_chain_is_an_error(node: EvmNode) -> None:
    with pytest.raises(SourceMismatchError, match="no result"):
        ask(node.url, lambda reader: reader.rpc.last_header(10**6), chain=chain_of("ethereum"))
