"""The EVM reader against servers that fail, or lie about a real anvil node."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from assay.chains import http
from assay.chains.interface import SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.errors import AssayError, ConfigError, SourceMismatchError, SourceUnavailableError
from sandbox.evm import EvmNode
from sandbox.processes import free_port
from sandbox.scenario import SECOND
from tests.chains.evm_asking import ask, ask_liar, chain_of, planned, source_of, started, told
from tests.chains.lying_proxy import Answer, Lie, LyingProxy, tamper_results


@pytest.fixture(scope="module")
def ethereum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    yield from started(tmp_path_factory.mktemp("ethereum"), "ethereum")


@pytest.fixture(scope="module")
def arbitrum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    yield from started(tmp_path_factory.mktemp("arbitrum"), "arbitrum")


@pytest.fixture(scope="module")
def block(ethereum: EvmNode) -> SnapshotBlock:
    return ask(ethereum.url, lambda reader: reader.resolve(SECOND))


def status(code: int) -> Lie:
    return lambda request, content: Answer(status=code, content=content)


@pytest.mark.parametrize(
    ("lie", "kind", "words"),
    [
        (status(429), SourceUnavailableError, "HTTP status 429"),
        (status(500), SourceUnavailableError, "HTTP status 500"),
        (status(503), SourceUnavailableError, "HTTP status 503"),
        (status(401), ConfigError, "HTTP status 401"),
        (status(302), ConfigError, "HTTP status 302"),
        (lambda request, content: Answer(content=content[:-20]), SourceUnavailableError, "cut off"),
        (lambda request, content: Answer(content=content[:-20], promised=len(content)), SourceUnavailableError, "connection failed"),
        (lambda request, content: Answer(content=content, delay=1.6), SourceUnavailableError, "within 1 s"),
        (lambda request, content: b"", SourceUnavailableError, "cut off"),
        (lambda request, content: b"<html>busy</html>", SourceUnavailableError, "not JSON"),
        (lambda request, content: b"[" * 100_000, SourceUnavailableError, "not JSON"),
        (lambda request, content: b"null", SourceMismatchError, "node_a"),
        (lambda request, content: b"[]", SourceMismatchError, "node_a"),
        (
            lambda request, content: b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"slow down"}}',
            SourceUnavailableError,
            "slow down",
        ),
        (
            lambda request, content: b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no state"}}',
            SourceMismatchError,
            "no state",
        ),
        (lambda request, content: b'{"jsonrpc":"2.0","id":null,"error":"no"}', SourceMismatchError, "error None: no"),
    ],
)
@pytest.mark.parametrize("name", ["ethereum", "arbitrum"])
def test_a_source_that_does_not_answer_in_full_stops_the_read(
    request: pytest.FixtureRequest, name: str, lie: Lie, kind: type[AssayError], words: str
) -> None:
    node: EvmNode = request.getfixturevalue(name)
    chain = chain_of(name)
    found = ask(node.url, lambda reader: reader.resolve(SECOND), chain=chain)

    def only_balances(asked: Any, content: bytes) -> Answer | bytes:
        is_code = isinstance(asked, dict) and asked["method"] == "eth_getCode"
        return content if is_code else lie(asked, content)

    with pytest.raises(AssayError, match=words) as raised:
        ask_liar(
            node, only_balances, lambda reader: reader.read(found, [node.addresses[0]]), chain=chain, source=source_of(timeout_seconds=1)
        )
    assert type(raised.value) is kind or (kind is SourceMismatchError and isinstance(raised.value, kind))
    assert "source node_a" in str(raised.value)


def test_a_source_that_refuses_the_connection_is_unavailable() -> None:
    with pytest.raises(SourceUnavailableError, match="source node_a, chain id: it cannot be reached"):
        ask(f"http://127.0.0.1:{free_port()}", lambda reader: reader.check_network())


def batch_lies() -> dict[str, tuple[Callable[[list[dict[str, Any]]], Any], str]]:
    def changed(index: int, **values: Any) -> Callable[[list[dict[str, Any]]], Any]:
        return lambda items: [item | values if position == index else item for position, item in enumerate(items)]

    def without(index: int, name: str) -> Callable[[list[dict[str, Any]]], Any]:
        return lambda items: [
            {key: value for key, value in item.items() if position != index or key != name} for position, item in enumerate(items)
        ]

    return {
        "one answer missing": (lambda items: items[:-1], "1 of 4 calls were not answered"),
        "one answer twice": (lambda items: [*items[:-1], items[0]], "two answers have the id"),
        "one answer more": (lambda items: [*items, items[0]], "two answers have the id"),
        "an id never asked": (changed(1, id=10**6), "which was not asked"),
        "an id as text": (changed(1, id="2"), "which was not asked"),
        "an id that is true": (changed(0, id=True), "which was not asked"),
        "no id": (without(1, "id"), "which was not asked"),
        "no result": (without(2, "result"), "no result"),
        "a null result": (changed(2, result=None), "no result"),
        "an error without an id": (lambda items: [{"error": {"code": 1, "message": "no"}, "id": None}], "error 1: no"),
        "an empty result": (changed(0, result="0x"), "not a quantity"),
        "an empty token result": (changed(1, result="0x"), "0 bytes and not 32"),
        "a token result one byte short": (
            lambda items: [item | {"result": item["result"][:-2]} for item in items],
            "bytes and not 32|not a quantity",
        ),
        "a token result of two words": (changed(1, result="0x" + "00" * 64), "64 bytes and not 32"),
        "a number": (changed(0, result=5), "not a quantity"),
        "a negative quantity": (changed(0, result="-0x5"), "not a quantity"),
        "an over-long quantity": (changed(0, result="0x1" + "0" * 64), "not a quantity"),
        "blanks in a token result": (changed(1, result="0x " + "00" * 31 + " "), "not hexadecimal"),
        "an item that is no object": (lambda items: [7, *items[1:]], "which was not asked"),
    }


@pytest.mark.parametrize("lie", batch_lies())
def test_a_batch_that_is_not_one_good_answer_a_call_stops_the_read(arbitrum: EvmNode, lie: str) -> None:
    change, words = batch_lies()[lie]
    chain = chain_of("arbitrum")
    found = ask(arbitrum.url, lambda reader: reader.resolve(SECOND), chain=chain)

    def tamper(request: Any, content: bytes) -> bytes:
        # Anvil may answer in any order; the lies count on the order of the calls.
        ordered = sorted(json.loads(content), key=lambda item: item["id"]) if isinstance(request, list) else None
        return content if ordered is None else json.dumps(change(ordered)).encode()

    with pytest.raises(AssayError, match=words) as raised:
        ask_liar(arbitrum, tamper, lambda reader: reader.read(found, [arbitrum.addresses[0], arbitrum.addresses[1]]), chain=chain)
    assert "source node_a" in str(raised.value)


def test_a_batch_answered_in_another_order_is_read_right(arbitrum: EvmNode) -> None:
    chain = chain_of("arbitrum")
    found = ask(arbitrum.url, lambda reader: reader.resolve(SECOND), chain=chain)

    def shuffle(request: Any, content: bytes) -> bytes:
        return json.dumps(json.loads(content)[::-1]).encode() if isinstance(request, list) else content

    balances = ask_liar(arbitrum, shuffle, lambda reader: reader.read(found, list(arbitrum.addresses.values())), chain=chain)
    assert told(balances) == planned(arbitrum, "second")


def multicall_lies() -> dict[str, tuple[Callable[[str], str], str]]:
    word = 64
    return {
        "nothing": (lambda result: "0x", "not a list of 4 answers"),
        "cut off": (lambda result: result[:-word], "failed or its result has not 32 bytes|follow"),
        "one word more": (lambda result: result + "0" * word, "failed or its result"),
        "one answer less": (lambda result: result[: 2 + word] + f"{3:064x}" + result[2 + 2 * word :], "not a list of 4 answers"),
        "a failed call": (lambda result: result[: 2 + 6 * word] + "0" * word + result[2 + 7 * word :], "ETH balance of .* failed"),
        "overlapping answers": (
            lambda result: result[: 2 + 3 * word] + result[2 + 2 * word : 2 + 3 * word] + result[2 + 4 * word :],
            "do not follow one another",
        ),
        "an offset beyond the end": (
            lambda result: result[: 2 + 5 * word] + "f" * word + result[2 + 6 * word :],
            "do not follow one another",
        ),
    }


@pytest.mark.parametrize("lie", multicall_lies())
def test_an_answer_of_multicall3_that_is_not_one_word_a_call_stops_the_read(ethereum: EvmNode, block: SnapshotBlock, lie: str) -> None:
    change, words = multicall_lies()[lie]

    def tamper(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"result": change(answer["result"])} if call["method"] == "eth_call" else answer

    with pytest.raises(SourceMismatchError, match=words) as raised:
        ask_liar(ethereum, tamper_results(tamper), lambda reader: reader.read(block, [ethereum.addresses[0], ethereum.addresses[1]]))
    assert "source node_a" in str(raised.value)


def test_one_wrong_balance_of_one_source_is_found_by_comparing_sources(ethereum: EvmNode, block: SnapshotBlock) -> None:
    addresses = list(ethereum.addresses.values())
    amount = ethereum.plans[3].second["USDT"]

    def shave(request: Any, content: bytes) -> bytes:
        return content.replace(f"{amount:064x}".encode(), f"{amount - 1:064x}".encode())

    answers = {
        "node_a": ask(ethereum.url, lambda reader: reader.read(block, addresses)),
        "node_b": ask_liar(ethereum, shave, lambda reader: reader.read(block, addresses), source=source_of(name="node_b")),
    }
    with pytest.raises(SourceMismatchError, match=addresses[3]) as raised:
        agree_on_balances("ethereum", answers)
    assert str(amount) in str(raised.value)
    assert str(amount - 1) in str(raised.value)


def test_a_request_is_sent_once_and_never_again_after_an_error(ethereum: EvmNode) -> None:
    with LyingProxy(ethereum.url, status(503)) as proxy:
        with pytest.raises(SourceUnavailableError):
            ask(proxy.url, lambda reader: reader.check_network())
        assert len(proxy.requests) == 1


def test_batches_hold_no_more_calls_than_the_source_allows(arbitrum: EvmNode) -> None:
    chain = chain_of("arbitrum")
    found = ask(arbitrum.url, lambda reader: reader.resolve(SECOND), chain=chain)
    with LyingProxy(arbitrum.url, lambda request, content: content) as proxy:
        addresses = list(arbitrum.addresses.values())
        ask(proxy.url, lambda reader: reader.read(found, addresses), chain=chain, source=source_of(batch_size=7))
        sizes = [len(request) for request in proxy.requests if isinstance(request, list)]
    assert max(sizes) == 7
    assert sum(sizes) == 2 * len(addresses)


@pytest.mark.parametrize("name", ["ethereum", "arbitrum"])
def test_an_answer_that_is_longer_than_any_can_be_is_not_read_to_its_end(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    node: EvmNode = request.getfixturevalue(name)
    chain = chain_of(name)
    found = ask(node.url, lambda reader: reader.resolve(SECOND), chain=chain)
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 100)
    with pytest.raises(SourceUnavailableError, match="longer than"):
        ask(node.url, lambda reader: reader.read(found, [node.addresses[0]]), chain=chain)
