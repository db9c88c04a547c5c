"""Proofs of EVM balances from servers that lie about a real anvil node, or have none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from assay.chains.evidence import EvidenceArchive
from assay.chains.evm import EvmReader
from assay.chains.interface import SnapshotBlock
from assay.errors import ConfigError, SourceMismatchError, SourceUnavailableError
from sandbox.evm import EvmNode
from sandbox.scenario import SECOND
from tests.chains.evm_asking import ABSENT, ASSETS, ask, proven_chain, read_proven, source_of, started
from tests.chains.lying_proxy import LyingProxy, tamper_results


@pytest.fixture(scope="module")
def ethereum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    yield from started(tmp_path_factory.mktemp("ethereum"), "ethereum")


@pytest.fixture(scope="module")
def arbitrum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    yield from started(tmp_path_factory.mktemp("arbitrum"), "arbitrum")


@pytest.fixture(scope="module")
def block(ethereum: EvmNode) -> SnapshotBlock:
    return ask(ethereum.url, lambda reader: reader.resolve(SECOND))


def bump(text: str) -> str:
    """Alter the last digit."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def proof_lies() -> dict[str, tuple[bool, Callable[[dict[str, Any]], Any], str]]:
    """Which proofs are altered (of slots or of accounts alone), how, and what the error says."""

    def slot(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda answer: answer | {"storageProof": [change(answer["storageProof"][0]), *answer["storageProof"][1:]]}

    nodes = {
        "first node": lambda proof: [bump(proof[0]), *proof[1:]],
        "last node": lambda proof: [*proof[:-1], bump(proof[-1])],
        "node left out": lambda proof: proof[:-1],
        "node repeated": lambda proof: [*proof, proof[-1]],
        "no nodes": lambda proof: [],
        "nodes reversed": lambda proof: proof[::-1],
        "no list": lambda proof: None,
    }
    lies: dict[str, tuple[bool, Callable[[dict[str, Any]], Any], str]] = {}
    for name, change in nodes.items():
        lies[f"account: {name}"] = (False, lambda answer, change=change: answer | {"accountProof": change(answer["accountProof"])}, "proof")
        lies[f"token: {name}"] = (True, lambda answer, change=change: answer | {"accountProof": change(answer["accountProof"])}, "proof")
        lies[f"slot: {name}"] = (True, slot(lambda item, change=change: item | {"proof": change(item["proof"])}), "proof")
    return lies | {
        "account: balance": (False, lambda answer: answer | {"balance": bump(answer["balance"])}, "nonce and balance are said to be"),
        "account: nonce": (False, lambda answer: answer | {"nonce": "0x7"}, "nonce and balance are said to be"),
        "account: storage hash": (False, lambda answer: answer | {"storageHash": bump(answer["storageHash"])}, "another hash"),
        "account: code hash": (False, lambda answer: answer | {"codeHash": bump(answer["codeHash"])}, "another hash"),
        "account: another one": (False, lambda answer: answer | {"address": ABSENT}, "not one about"),
        "account: a text": (False, lambda answer: "0x0", "not one about"),
        "account: no balance": (False, lambda answer: answer | {"balance": None}, "not a quantity"),
        "slot: value": (True, slot(lambda item: item | {"value": hex(int(item["value"], 16) + 1)}), "is said to hold"),
        "slot: no value": (True, slot(lambda item: {"key": item["key"], "proof": item["proof"]}), "not a quantity"),
        "slot: another one": (True, slot(lambda item: item | {"key": "0x5"}), "another one was given"),
        "slots: one less": (True, lambda answer: answer | {"storageProof": answer["storageProof"][1:]}, "does not prove the"),
        "slots: none": (True, lambda answer: answer | {"storageProof": None}, "does not prove the"),
        "slots: exchanged": (True, lambda answer: answer | {"storageProof": answer["storageProof"][::-1]}, "another one was given"),
    }


@pytest.mark.parametrize("lie", proof_lies())
def test_a_proof_that_was_altered_anywhere_is_refused(ethereum: EvmNode, block: SnapshotBlock, lie: str) -> None:
    of_slots, change, words = proof_lies()[lie]

    def tamper(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        mine = call["method"] == "eth_getProof" and bool(call["params"][1]) == of_slots
        return answer | {"result": change(answer["result"])} if mine else answer

    with LyingProxy(ethereum.url, tamper_results(tamper)) as proxy, pytest.raises(SourceMismatchError, match=words) as raised:
        read_proven(proxy.url, block, list(ethereum.addresses.values())[:2])
    assert "source node_a" in str(raised.value)


def liar_about(method: str, change: Callable[[Any], Any]) -> Callable[[Any, bytes], Any]:
    return tamper_results(lambda call, answer: answer | {"result": change(answer["result"])} if call["method"] == method else answer)


@pytest.mark.parametrize("asset", ["ETH", "USDT"])
def test_one_source_alone_cannot_lie_about_an_amount(ethereum: EvmNode, block: SnapshotBlock, asset: str) -> None:
    address, amount = ethereum.addresses[0], ethereum.plans[0].second[asset]
    lie = liar_about("eth_call", lambda result: result.replace(f"{amount:064x}", f"{amount + 1:064x}"))
    with LyingProxy(ethereum.url, lie) as proxy:
        with pytest.raises(SourceMismatchError, match=f"{asset} balance of {address}: it says {amount + 1} and proves {amount}"):
            read_proven(proxy.url, block, [address])
        assert ask(proxy.url, lambda reader: reader.read(block, [address]), chain=proven_chain())  # without proofs it goes unseen


def test_a_lie_that_is_told_everywhere_is_found_by_the_hashes(ethereum: EvmNode, block: SnapshotBlock) -> None:
    address, amount = ethereum.addresses[0], ethereum.plans[0].second["ETH"]

    def everywhere(request: Any, content: bytes) -> bytes:
        forged = f"{amount + 1:x}"
        return content.replace(f"{amount:064x}".encode(), f"{amount + 1:064x}".encode()).replace(f"{amount:x}".encode(), forged.encode())

    with LyingProxy(ethereum.url, everywhere) as proxy, pytest.raises(SourceMismatchError, match=r"node . of the proof has the hash"):
        read_proven(proxy.url, block, [address])


@pytest.mark.parametrize("name", ["stateRoot", "hash", "number", "timestamp"])
def test_a_header_that_was_altered_proves_nothing(ethereum: EvmNode, block: SnapshotBlock, name: str) -> None:
    lie = liar_about("eth_getBlockByNumber", lambda header: header | {name: bump(header[name])})
    with LyingProxy(ethereum.url, lie) as proxy, pytest.raises(SourceMismatchError, match=f"source node_a, block {block.height}"):
        read_proven(proxy.url, block, [ABSENT])


def test_a_good_header_of_another_block_proves_nothing(ethereum: EvmNode, block: SnapshotBlock) -> None:
    other = ethereum.call("eth_getBlockByNumber", hex(block.height - 1), False)
    with (
        LyingProxy(ethereum.url, liar_about("eth_getBlockByNumber", lambda _: other)) as proxy,
        pytest.raises(SourceMismatchError, match="was asked"),
    ):
        read_proven(proxy.url, block, [ABSENT])
    moved = replace(block, height=block.height - 1)
    with pytest.raises(SourceMismatchError, match="at this height now"):
        read_proven(ethereum.url, moved, [ABSENT])


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            {"code": -32601, "message": "the method eth_getProof does not exist"},
            SourceMismatchError,
            "gives no proof.*does not exist.*answers eth_getProof",
        ),
        (
            {"code": -32000, "message": "missing trie node 1f"},
            SourceMismatchError,
            "gives no proof.*missing trie node.*keeps the snapshot block's state",
        ),
        ({"code": -32005, "message": "limit exceeded"}, SourceUnavailableError, "limit exceeded"),
    ],
)
@pytest.mark.parametrize("slots", [False, True])
def test_a_node_that_gives_no_proofs_says_what_to_do(
    ethereum: EvmNode, block: SnapshotBlock, error: dict[str, Any], kind: type[Exception], words: str, slots: bool
) -> None:
    def refuse(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        mine = call["method"] == "eth_getProof" and bool(call["params"][1]) == slots
        return {"jsonrpc": "2.0", "id": call["id"], "error": error} if mine else answer

    with LyingProxy(ethereum.url, tamper_results(refuse)) as proxy, pytest.raises(kind, match=words):
        read_proven(proxy.url, block, [ABSENT])


def test_a_null_result_is_no_proof(ethereum: EvmNode, block: SnapshotBlock) -> None:
    with (
        LyingProxy(ethereum.url, liar_about("eth_getProof", lambda _: None)) as proxy,
        pytest.raises(SourceMismatchError, match="no result"),
    ):
        read_proven(proxy.url, block, [ABSENT])


@pytest.mark.parametrize("chain_id", [43114, 314, 66, 324])
def test_proofs_are_not_asked_of_chains_that_have_none_of_this_form(chain_id: int) -> None:
    with pytest.raises(ConfigError, match="set proofs = false"):
        EvmReader(proven_chain(chain_id=chain_id), source_of(), assets=ASSETS, archive=EvidenceArchive("x"), url="http://127.0.0.1:1")
