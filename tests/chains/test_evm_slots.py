"""Finding a token's slot on a real anvil, with contracts that keep balances in known places."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from assay.chains.evidence import EvidenceArchive
from assay.chains.evm.rpc import EvmRpc
from assay.chains.evm.slots import NAMESPACES, Slot, describe, find_slots, namespace_slot, search
from assay.chains.health import Meter
from assay.config import Chain, Settings, Token
from assay.errors import ConfigError, RegistryError, SourceMismatchError
from sandbox.evm import EvmNode
from sandbox.evm_accounts import TOKEN_STORAGE
from tests.chains.evm_asking import ABSENT, ASSETS, TOKENS, chain_of, source_of, started
from tests.chains.evm_contracts import proxy_code, put_balance, token_code

CONTRACT = "0x00000000000000000000000000000000000C0DE1"
OTHER = "0x00000000000000000000000000000000000c0De2"
HOLDERS = ["0x00000000000000000000000000000000000A0001", "0x00000000000000000000000000000000000A0002"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    folder = tmp_path_factory.mktemp("node")
    with EvmNode(folder=folder, chain="ethereum", chain_id=1, plans=[], token_contract=TOKENS["ethereum"]) as running:
        yield running


@pytest.fixture(scope="module")
def ethereum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    yield from started(tmp_path_factory.mktemp("ethereum"), "ethereum")


def found(node: EvmNode, holders: Sequence[str] = HOLDERS, contract: str = CONTRACT) -> list[Slot]:
    async def ask() -> list[Slot]:
        async with EvmRpc(chain_of("ethereum"), source_of(), node.url, Meter(), EvidenceArchive("x")) as rpc:
            return await find_slots(rpc, contract, holders, int(node.call("eth_blockNumber"), 16))

    return asyncio.run(ask())


def put(node: EvmNode, amounts: Sequence[int], position: int, layout: str = "solidity") -> None:
    for holder, amount in zip(HOLDERS, amounts, strict=True):
        put_balance(node, CONTRACT, holder, amount, position, layout)
    node.mine_many(1, 12)


OPENZEPPELIN = namespace_slot("openzeppelin.storage.ERC20")


@pytest.mark.parametrize(
    ("position", "layout"),
    [(0, "solidity"), (2, "solidity"), (9, "vyper"), (51, "solidity"), (101, "vyper"), (127, "solidity"), (OPENZEPPELIN, "solidity")],
)
def test_the_slot_is_found_in_either_layout(node: EvmNode, position: int, layout: str) -> None:
    node.call("anvil_setCode", CONTRACT, token_code(position, layout=layout))
    put(node, (10**20 + position % 997, 9 + position % 997), position, layout)
    assert found(node) == [Slot(balance_slot=position, slot_layout=layout, balance_bits=256)]


@pytest.mark.parametrize(("bits", "flags"), [(255, (0, 1 << 255)), (128, (3 << 128, 1 << 200)), (96, (1 << 96, 0))])
def test_flags_above_the_balance_are_left_out(node: EvmNode, bits: int, flags: tuple[int, int]) -> None:
    node.call("anvil_setCode", CONTRACT, token_code(20, bits=bits))
    put(node, (10**20 | flags[0], 10**9 | flags[1]), 20)
    assert found(node) == [Slot(balance_slot=20, slot_layout="solidity", balance_bits=bits)]


def test_balances_behind_a_proxy_stand_in_its_own_storage(node: EvmNode) -> None:
    node.call("anvil_setCode", OTHER, token_code(30))
    node.call("anvil_setCode", CONTRACT, proxy_code(OTHER))
    put(node, (5, 6), 30)
    assert found(node) == [Slot(balance_slot=30, slot_layout="solidity", balance_bits=256)]


def test_a_rebasing_token_has_no_plain_slot(node: EvmNode) -> None:
    node.call("anvil_setCode", CONTRACT, token_code(31, times=3))
    put(node, (10**20, 10**19), 31)
    assert found(node) == []


def test_a_second_holder_tells_apart_what_fits_one(node: EvmNode) -> None:
    node.call("anvil_setCode", CONTRACT, token_code(40))
    put(node, (1, 8), 40)
    put(node, (1, 1), 41)  # such as a list of members
    assert {slot.balance_slot for slot in found(node, HOLDERS[:1])} == {40, 41}
    assert {slot.balance_slot for slot in found(node)} == {40}


def test_a_holder_without_a_balance_tells_nothing(node: EvmNode) -> None:
    node.call("anvil_setCode", CONTRACT, token_code(42))
    node.mine_many(1, 12)
    with pytest.raises(RegistryError, match=ABSENT):
        found(node, [ABSENT])


def test_what_is_no_token_gives_an_error(node: EvmNode) -> None:
    with pytest.raises(SourceMismatchError, match="0 bytes and not 32"):
        found(node, contract=ABSENT)


def test_the_namespace_is_the_one_that_openzeppelin_writes_into_its_source() -> None:
    # https://github.com/OpenZeppelin/openzeppelin-contracts-upgradeable/blob/master/contracts/token/ERC20/ERC20Upgradeable.sol
    assert namespace_slot(NAMESPACES[0]) == 0x52C63247E1F47DB19D5CE0460030C497F067CA4CEBF71BA98EEADABE20BACE00


# Through the configuration


def settings_of(**changes: Any) -> Settings:
    token = Token(asset="USDT", contract=TOKENS["ethereum"], decimals=6, source="")
    chain = replace(chain_of("ethereum", tokens={"USDT": token}, sources=(source_of(),)), **changes)

    def chain_named(_: str) -> Chain:
        return chain

    return cast("Settings", SimpleNamespace(assets=ASSETS, chain=chain_named))


def test_the_sandbox_token_is_found_by_its_wallets_and_the_lines_fit_the_registry(ethereum: EvmNode) -> None:
    holders = [ethereum.addresses[plan.index] for plan in ethereum.plans if plan.later["USDT"]][:2]
    height, slots = search(settings_of(proofs=True), "ethereum", "USDT", holders, connect=lambda _: ethereum.url)
    assert height > 0
    lines = describe("USDT", height, slots, len(holders))
    assert tomllib.loads("\n".join(lines)) == TOKEN_STORAGE


@pytest.mark.parametrize(
    ("changes", "symbol", "holders"),
    [({"family": "tron"}, "USDT", HOLDERS), ({}, "LINK", HOLDERS), ({}, "USDT", [])],
    ids=["another family", "no such token", "no holder"],
)
def test_a_question_that_makes_no_sense_is_refused(changes: dict[str, Any], symbol: str, holders: list[str]) -> None:
    with pytest.raises(ConfigError, match="a slot is looked for of a token"):
        search(settings_of(**changes), "ethereum", symbol, holders, connect=lambda _: "http://127.0.0.1:1")


def test_a_malformed_holder_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="40 hexadecimal digits"):
        search(settings_of(), "ethereum", "USDT", ["0x12"], connect=lambda _: "http://127.0.0.1:1")


def test_what_was_not_found_or_not_told_apart_is_said() -> None:
    assert "no plain slot" in describe("USDT", 5, [], 2)[0]
    slot = Slot(balance_slot=1, slot_layout="vyper", balance_bits=256)
    assert "further holders" in describe("USDT", 5, [slot, replace(slot, balance_slot=2)], 1)[0]
    assert "second one" in describe("USDT", 5, [slot], 1)[0]
