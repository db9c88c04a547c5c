"""The EVM reader against real anvil nodes, and against servers that lie about them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.evm import EvmReader, check_address
from assay.chains.evm_abi import MULTICALL3
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, ConfigError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from sandbox.evm import AFTER, BEFORE, EvmNode
from sandbox.processes import free_port
from sandbox.scenario import FIRST, SECOND, wallets
from tests.chains.lying_proxy import Answer, Lie, LyingProxy, tamper_results

T = TypeVar("T")

TOKENS = {"ethereum": "0xdAC17F958D2ee523a2206206994597C13D831ec7", "arbitrum": "0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9"}
CHAIN_IDS = {"ethereum": 1, "arbitrum": 42161}
ASSETS = {"ETH": Asset(symbol="ETH", name="Ether", decimals=18), "USDT": Asset(symbol="USDT", name="Tether USD", decimals=6)}


@dataclass
class Recorded:
    """An archive that keeps exchanges as they are."""

    exchanges: list[tuple[str, Any, Any]] = field(default_factory=list)

    def record(self, method: str, params: object, result: object) -> str:
        self.exchanges.append((method, params, result))
        return f"{len(self.exchanges):064x}"


def chain_of(name: str, **changes: Any) -> Chain:
    token = Token(asset="USDT", contract=TOKENS[name], decimals=6, source="")
    chain = Chain(
        name=name,
        family="evm",
        asset="ETH",
        chain_id=CHAIN_IDS[name],
        finality="finalized",
        max_distance_seconds=600,
        tokens={"USDT": token},
    )
    return replace(chain, **changes)


def source_of(**changes: Any) -> Source:
    return replace(Source(name="node_a", kind="jsonrpc", connection="unused", batch_size=50, timeout_seconds=20), **changes)


def ask(
    url: str, question: Callable[[EvmReader], Awaitable[T]], *, chain: Chain | None = None, source: Source | None = None, **kwargs: Any
) -> T:
    """Open a reader, ask it, close it."""

    async def run() -> T:
        archive = kwargs.get("archive") or Recorded()
        async with EvmReader(
            chain or chain_of("ethereum"), source or source_of(), assets=kwargs.get("assets", ASSETS), archive=archive, url=url
        ) as reader:
            return await question(reader)

    return asyncio.run(run())


def ask_liar(node: EvmNode, lie: Lie, question: Callable[[EvmReader], Awaitable[T]], **kwargs: Any) -> T:
    with LyingProxy(node.url, lie) as proxy:
        return ask(proxy.url, question, **kwargs)


@pytest.fixture(scope="module")
def ethereum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    yield from started(tmp_path_factory.mktemp("ethereum"), "ethereum")


@pytest.fixture(scope="module")
def arbitrum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    yield from started(tmp_path_factory.mktemp("arbitrum"), "arbitrum")


def started(folder: Path, chain: str) -> Iterator[EvmNode]:
    plans = wallets(litecoin=False)
    with EvmNode(folder=folder, chain=chain, chain_id=CHAIN_IDS[chain], plans=plans, token_contract=TOKENS[chain]) as node:
        yield node


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[EvmNode]:
    """A node of its own for tests that change it."""
    with EvmNode(folder=tmp_path, chain="ethereum", chain_id=1, plans=[], token_contract=TOKENS["ethereum"]) as node:
        yield node


@pytest.fixture(scope="module")
def block(ethereum: EvmNode) -> SnapshotBlock:
    return ask(ethereum.url, lambda reader: reader.resolve(SECOND))


def newest(node: EvmNode) -> SnapshotBlock:
    raw = node.call("eth_getBlockByNumber", "latest", False)
    return SnapshotBlock(
        chain=node.chain, height=int(raw["number"], 16), hash=raw["hash"], time=SECOND, finality="finalized", distance_seconds=0
    )


def planned(node: EvmNode, moment: str) -> list[tuple[str, str, int]]:
    return [(node.addresses[plan.index], asset, getattr(plan, moment)[asset]) for plan in node.plans for asset in ("ETH", "USDT")]


def told(balances: list[Balance]) -> list[tuple[str, str, int]]:
    return [(balance.address, balance.asset, balance.amount) for balance in balances]


def read_at(block: SnapshotBlock, addresses: list[str]) -> Callable[[EvmReader], Awaitable[list[Balance]]]:
    return lambda reader: reader.read(block, addresses)


# Reading


@pytest.mark.parametrize(("as_of", "moment"), [(FIRST, "first"), (SECOND, "second")])
@pytest.mark.parametrize("name", ["ethereum", "arbitrum"])
def test_all_wallets_hold_what_was_planned_at_each_moment(request: pytest.FixtureRequest, name: str, as_of: datetime, moment: str) -> None:
    node: EvmNode = request.getfixturevalue(name)

    async def question(reader: EvmReader) -> list[Balance]:
        await reader.check_network()
        found = await reader.resolve(as_of)
        await reader.check_assets(found)
        balances = await reader.read(found, list(node.addresses.values()))
        assert await reader.block_hash(found.height) == found.hash
        return balances

    assert told(ask(node.url, question, chain=chain_of(name))) == planned(node, moment)


def test_multicall3_is_used_where_its_code_is_canonical_and_batches_where_another_contract_stands(
    ethereum: EvmNode, arbitrum: EvmNode
) -> None:
    for node, method in ((ethereum, "eth_call"), (arbitrum, "batch")):
        archive = Recorded()
        chain = chain_of(node.chain)
        found = ask(node.url, lambda reader: reader.resolve(SECOND), chain=chain)
        ask(node.url, read_at(found, [node.addresses[0]]), chain=chain, archive=archive)
        assert [exchange[0] for exchange in archive.exchanges] == ["eth_getCode", method]


def test_multicall3_that_came_after_the_snapshot_block_is_not_used(bare: EvmNode) -> None:
    code = bare.call("eth_getCode", MULTICALL3, "latest")
    bare.call("anvil_setCode", MULTICALL3, "0x")
    bare.mine_many(1, 12)
    before = newest(bare)
    bare.mine_many(1, 12)  # anvil_setCode changes the newest block's state in place
    bare.call("anvil_setCode", MULTICALL3, code)
    bare.mine_many(1, 12)
    for at, method in ((before, "batch"), (newest(bare), "eth_call")):
        archive = Recorded()
        ask(bare.url, read_at(at, [MULTICALL3]), archive=archive)
        assert archive.exchanges[-1][0] == method


def test_each_balance_names_the_archived_answer_that_holds_it(ethereum: EvmNode, block: SnapshotBlock) -> None:
    archive = Recorded()
    addresses = list(ethereum.addresses.values())
    balances = ask(ethereum.url, lambda reader: reader.read(block, addresses), archive=archive)
    for balance in balances:
        method, params, result = archive.exchanges[int(balance.evidence, 16) - 1]
        assert method == "eth_call"
        assert balance.address[2:].lower() in params[0]["data"].lower()
        assert f"{balance.amount:064x}" in result
        assert params[1] == {"blockHash": block.hash, "requireCanonical": True}


def test_nothing_archived_and_no_error_holds_the_address_of_the_server(ethereum: EvmNode, block: SnapshotBlock) -> None:
    archive = Recorded()

    def refuse(request: Any, content: bytes) -> bytes:
        answer = {
            "jsonrpc": "2.0",
            "id": request["id"],
            "error": {"code": -32000, "message": "key s3cr3t-key of user-name is over http://x/v3/s3cr3t-key"},
        }
        return json.dumps(answer).encode() if request["method"] == "eth_call" else content

    with LyingProxy(ethereum.url, refuse) as proxy:
        url = proxy.url.replace("http://", "http://user-name:pass-word@") + "/v3/s3cr3t-key"
        with pytest.raises(SourceMismatchError) as refused:
            ask(url, lambda reader: reader.read(block, [ethereum.addresses[0]]), archive=archive)
    with pytest.raises(SourceUnavailableError) as unreachable:
        ask("http://user-name:pass-word@127.0.0.1:1/v3/s3cr3t-key", lambda reader: reader.check_network())
    for text in (str(refused.value), str(unreachable.value), str(archive.exchanges)):
        for secret in ("s3cr3t", "user-name", "pass-word", "127.0.0.1"):
            assert secret not in text
    assert unreachable.value.__cause__ is None
    assert unreachable.value.__suppress_context__


def test_no_wallets_need_no_question(ethereum: EvmNode, block: SnapshotBlock) -> None:
    assert ask(ethereum.url, lambda reader: reader.read(block, [])) == []


def test_a_token_with_fewer_decimals_than_its_asset_is_scaled_up_exactly(ethereum: EvmNode, block: SnapshotBlock) -> None:
    assets = ASSETS | {"USDT": Asset(symbol="USDT", name="Tether USD", decimals=18)}
    balances = ask(ethereum.url, lambda reader: reader.read(block, [ethereum.addresses[0]]), assets=assets)
    assert balances[1].amount == ethereum.plans[0].second["USDT"] * 10**12


def test_an_asset_with_fewer_decimals_than_its_token_is_refused(ethereum: EvmNode) -> None:
    assets = ASSETS | {"USDT": Asset(symbol="USDT", name="Tether USD", decimals=2)}
    with pytest.raises(RegistryError, match="asset USDT"):
        ask(ethereum.url, lambda reader: reader.check_network(), assets=assets)


def test_a_balance_over_38_digits_is_refused_naming_the_address(ethereum: EvmNode, block: SnapshotBlock) -> None:
    def inflate(request: Any, content: bytes) -> bytes:
        amount = ethereum.plans[0].second["ETH"]
        return content.replace(f"{amount:064x}".encode(), b"f" * 64)

    with pytest.raises(AmountError, match=ethereum.addresses[0]):
        ask_liar(ethereum, inflate, lambda reader: reader.read(block, [ethereum.addresses[0]]))


# The snapshot block


@pytest.mark.parametrize("finality", ["finalized", "confirmations"])
@pytest.mark.parametrize("as_of", [FIRST, SECOND])
def test_the_snapshot_block_is_the_last_final_one_before_the_moment(ethereum: EvmNode, as_of: datetime, finality: str) -> None:
    archive = Recorded()
    chain = chain_of("ethereum", finality=finality, confirmations=3)
    found = ask(ethereum.url, lambda reader: reader.resolve(as_of), chain=chain, archive=archive)
    assert found.time == as_of - BEFORE
    assert found.distance_seconds == BEFORE.total_seconds()
    assert found.finality == {"finalized": "finalized", "confirmations": "3 confirmations"}[finality]
    assert archive.exchanges[0][2]["hash"] == found.hash
    assert archive.exchanges[1][2]["parentHash"] == found.hash
    assert int(archive.exchanges[1][2]["timestamp"], 16) == (as_of + AFTER).timestamp()


def test_every_block_time_and_the_seconds_around_it_give_the_right_block(ethereum: EvmNode) -> None:
    times = [int(raw["timestamp"], 16) for raw in ethereum.batch([("eth_getBlockByNumber", [hex(height), False]) for height in range(168)])]

    async def question(reader: EvmReader) -> list[int]:
        moments = [time + shift for time in times[:160:23] for shift in (-1, 0, 1) if time + shift >= times[0]]
        for moment in moments:
            found = await reader.resolve(datetime.fromtimestamp(moment, UTC))
            assert found.height == max(height for height, time in enumerate(times) if time <= moment)
        return moments

    assert ask(ethereum.url, question, chain=chain_of("ethereum", max_distance_seconds=10**6))


def test_a_moment_before_the_chain_began_is_refused(ethereum: EvmNode) -> None:
    with pytest.raises(SourceMismatchError, match="no block at or before as_of"):
        ask(ethereum.url, lambda reader: reader.resolve(datetime(2022, 11, 30, tzinfo=UTC)))


def test_a_source_whose_final_blocks_do_not_pass_the_moment_is_behind(ethereum: EvmNode) -> None:
    final = ethereum.call("eth_getBlockByNumber", "finalized", False)
    at_final = datetime.fromtimestamp(int(final["timestamp"], 16), UTC)
    with pytest.raises(SourceBehindError, match="behind as_of"):
        ask(ethereum.url, lambda reader: reader.resolve(at_final))
    assert ask(
        ethereum.url,
        lambda reader: reader.resolve(at_final - timedelta(seconds=1)),
        chain=chain_of("ethereum", max_distance_seconds=50_000),
    )


def test_a_chain_with_fewer_blocks_than_confirmations_is_behind(ethereum: EvmNode) -> None:
    with pytest.raises(SourceBehindError, match="behind as_of"):
        ask(ethereum.url, lambda reader: reader.resolve(FIRST), chain=chain_of("ethereum", finality="confirmations", confirmations=10**6))


def test_a_block_too_far_before_the_moment_is_refused(ethereum: EvmNode) -> None:
    with pytest.raises(SourceMismatchError, match="540 s before it and at most 500"):
        ask(ethereum.url, lambda reader: reader.resolve(FIRST), chain=chain_of("ethereum", max_distance_seconds=500))


def test_a_source_of_another_chain_is_refused(arbitrum: EvmNode) -> None:
    with pytest.raises(SourceMismatchError, match="chain id 42161 and ethereum has 1"):
        ask(arbitrum.url, lambda reader: reader.check_network())


def test_a_reorganisation_changes_the_hash_and_the_old_block_is_no_longer_read(bare: EvmNode) -> None:
    old = newest(bare)
    bare.call("anvil_reorg", 3, [])
    assert ask(bare.url, lambda reader: reader.block_hash(old.height)) != old.hash
    with pytest.raises(SourceMismatchError, match="node_a"):
        ask(bare.url, lambda reader: reader.read(old, [MULTICALL3]))


@pytest.mark.parametrize("name", ["timestamp", "stateRoot", "parentHash", "gasUsed", "hash"])
def test_a_header_that_was_tampered_with_is_refused(ethereum: EvmNode, name: str) -> None:
    def forge(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getBlockByNumber":
            value = answer["result"][name]
            answer["result"][name] = value[:-1] + ("0" if value[-1] != "0" else "1")
        return answer

    with pytest.raises(SourceMismatchError, match="its fields give"):
        ask_liar(ethereum, tamper_results(forge), lambda reader: reader.resolve(SECOND))


# Tokens


def test_token_decimals_that_differ_from_the_registry_are_refused(ethereum: EvmNode, block: SnapshotBlock) -> None:
    token = Token(asset="USDT", contract=TOKENS["ethereum"], decimals=5, source="")
    with pytest.raises(RegistryError, match="has 6 decimals and the registry says 5"):
        ask(ethereum.url, lambda reader: reader.check_assets(block), chain=chain_of("ethereum", tokens={"USDT": token}))


@pytest.mark.parametrize(
    ("contract", "problem"),
    [("0x00000000000000000000000000000000000000fF", "there is no contract"), (MULTICALL3, "no decimals"), ("wallet", "answers wrongly")],
)
def test_a_contract_that_is_no_token_is_refused(ethereum: EvmNode, block: SnapshotBlock, contract: str, problem: str) -> None:
    if contract == "wallet":  # a contract wallet takes any call and returns nothing
        contract = ethereum.addresses[0]
    token = Token(asset="USDT", contract=contract, decimals=6, source="")
    with pytest.raises(RegistryError, match=problem):
        ask(ethereum.url, lambda reader: reader.check_assets(block), chain=chain_of("ethereum", tokens={"USDT": token}))


@pytest.mark.parametrize("name", ["ethereum", "arbitrum"])
def test_a_token_that_returns_nothing_is_an_error_and_never_zero(request: pytest.FixtureRequest, name: str) -> None:
    node: EvmNode = request.getfixturevalue(name)
    token = Token(asset="USDT", contract=node.addresses[0], decimals=6, source="")  # a wallet: it takes any call and returns nothing
    chain = chain_of(name, tokens={"USDT": token})
    found = ask(node.url, lambda reader: reader.resolve(SECOND), chain=chain)
    with pytest.raises(SourceMismatchError, match=f"USDT balance of {node.addresses[1]}"):
        ask(node.url, lambda reader: reader.read(found, [node.addresses[1]]), chain=chain)


# Sources that fail or lie


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
    with pytest.raises(SourceUnavailableError, match="source node_a, chain id: the connection failed"):
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


# Addresses

KNOWN = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0x52908400098527886E0F7030069857D2E4169EE7",
]
"""Test cases of EIP-55; the last one is all upper case by its checksum."""


@pytest.mark.parametrize("address", KNOWN)
def test_known_checksums_are_accepted_and_lower_case_is_given_one(address: str) -> None:
    assert check_address(chain_of("ethereum"), address) == address
    assert check_address(chain_of("ethereum"), address.lower()) == address


@given(st.binary(min_size=20, max_size=20).filter(any), st.integers(0, 39))
def test_any_single_letter_in_the_wrong_case_is_refused(raw: bytes, position: int) -> None:
    chain = chain_of("ethereum")
    checksummed = check_address(chain, "0x" + raw.hex())
    flipped = checksummed[: position + 2] + checksummed[position + 2].swapcase() + checksummed[position + 3 :]
    if flipped in (checksummed, checksummed.lower()):
        assert check_address(chain, flipped) == checksummed
    else:
        with pytest.raises(RegistryError, match="checksum"):
            check_address(chain, flipped)


@given(st.text())
def test_no_other_text_is_an_address(text: str) -> None:
    with pytest.raises(RegistryError):
        check_address(chain_of("ethereum"), text)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "0x",
        KNOWN[0][2:],
        KNOWN[0] + "0",
        KNOWN[0][:-1],
        " " + KNOWN[0],
        KNOWN[0] + "\n",
        "0X" + KNOWN[0][2:],
        "0x" + "g" * 40,
        "0x" + "0" * 40,
        "0x" + "٣" * 40,
        "0x" + KNOWN[0][2:].upper(),
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
    ],
)
def test_text_that_is_not_quite_an_address_is_refused(address: str) -> None:
    with pytest.raises(RegistryError):
        check_address(chain_of("ethereum"), address)
