"""The EVM reader against real anvil nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from assay.chains.evm import EvmReader
from assay.chains.evm.abi import DEPRECATED, MULTICALL3
from assay.chains.interface import Balance, SnapshotBlock
from assay.config import Asset, Token
from assay.errors import AmountError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from sandbox.evm import AFTER, BEFORE, EvmNode
from sandbox.scenario import FIRST, SECOND
from tests.chains.evm_asking import ABSENT, ASSETS, TOKENS, Recorded, ask, ask_liar, chain_of, newest, planned, read_at, started, told
from tests.chains.evm_contracts import token_code
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


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[EvmNode]:
    """A node of its own for tests that change it."""
    with EvmNode(folder=tmp_path, chain="ethereum", chain_id=1, plans=[], token_contract=TOKENS["ethereum"]) as node:
        yield node


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


@pytest.mark.parametrize("name", ["ethereum", "arbitrum"])
def test_an_account_that_nobody_has_used_is_a_zero_with_its_archived_answer(request: pytest.FixtureRequest, name: str) -> None:
    node: EvmNode = request.getfixturevalue(name)
    archive, chain = Recorded(), chain_of(name)
    found = ask(node.url, lambda reader: reader.resolve(SECOND), chain=chain)
    balances = ask(node.url, read_at(found, [ABSENT]), chain=chain, archive=archive)
    assert told(balances) == [(ABSENT, "ETH", 0), (ABSENT, "USDT", 0)]
    assert all(ABSENT[2:].lower() in str(archive.exchanges[int(balance.evidence, 16) - 1][1]).lower() for balance in balances)


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
    with pytest.raises(SourceBehindError, match="it is behind as_of"):
        ask(ethereum.url, lambda reader: reader.resolve(at_final))
    assert ask(
        ethereum.url,
        lambda reader: reader.resolve(at_final - timedelta(seconds=1)),
        chain=chain_of("ethereum", max_distance_seconds=50_000),
    )


def test_a_chain_with_fewer_blocks_than_confirmations_is_behind(ethereum: EvmNode) -> None:
    with pytest.raises(SourceBehindError, match="it is behind as_of"):
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


def test_a_token_whose_decimals_changed_is_right_before_and_refused_after(bare: EvmNode) -> None:
    contract = "0x00000000000000000000000000000000000C0DE1"
    chain = chain_of("ethereum", tokens={"USDT": Token(asset="USDT", contract=contract, decimals=6, source="")})
    bare.call("anvil_setCode", contract, token_code(decimals=6))
    bare.mine_many(2, 12)
    before = newest(bare)
    bare.mine_many(1, 12)  # anvil_setCode changes the newest block's state in place
    bare.call("anvil_setCode", contract, token_code(decimals=18))
    bare.mine_many(1, 12)
    assert ask(bare.url, lambda reader: reader.check_assets(before), chain=chain) is None
    with pytest.raises(RegistryError, match="has 18 decimals and the registry says 6"):
        ask(bare.url, lambda reader: reader.check_assets(newest(bare)), chain=chain)


@pytest.mark.parametrize("deprecated", [None, False, True])
def test_a_contract_that_says_it_is_deprecated_is_refused(bare: EvmNode, deprecated: bool | None) -> None:
    contract = "0x00000000000000000000000000000000000C0DE1"
    chain = chain_of("ethereum", tokens={"USDT": Token(asset="USDT", contract=contract, decimals=6, source="")})
    bare.call("anvil_setCode", contract, token_code(deprecated=deprecated))
    bare.mine_many(1, 12)
    if not deprecated:
        assert ask(bare.url, lambda reader: reader.check_assets(newest(bare)), chain=chain) is None
    else:
        archive = Recorded()
        with pytest.raises(RegistryError, match=r"token USDT of ethereum.*says that it is deprecated"):
            ask(bare.url, lambda reader: reader.check_assets(newest(bare)), chain=chain, archive=archive)
        assert archive.exchanges[-1][1][0]["data"] == "0x" + DEPRECATED.hex()
