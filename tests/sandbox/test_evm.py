"""The sandbox's EVM chains."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from coincurve import PrivateKey
from eth_hash.auto import keccak

from sandbox.anvil import TREASURY, AnvilError
from sandbox.evm import MULTICALL3, EvmNode
from sandbox.evm_accounts import address_of, artifact, call_data, key_address, owners_of, private_key
from sandbox.evm_crowd import fund_crowd
from sandbox.scenario import FIRST, SECOND, wallets

TOKEN = "0xdAC17F958D2ee523a2206206994597C13D831ec7"


def chain(folder: Path, name: str = "ethereum", chain_id: int = 1, **kwargs: object) -> EvmNode:
    plans = [plan for plan in wallets(litecoin=False) if plan.index < 30]
    return EvmNode(folder=folder, chain=name, chain_id=chain_id, plans=plans, token_contract=TOKEN, **kwargs)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    with chain(tmp_path_factory.mktemp("evm")) as running:
        yield running


def hashes(node: EvmNode) -> list[str]:
    newest = int(node.call("eth_blockNumber"), 16)
    return [block["hash"] for block in node.batch([("eth_getBlockByNumber", [hex(height), False]) for height in range(newest + 1)])]


def test_two_nodes_of_one_chain_hold_the_same_blocks(node: EvmNode, tmp_path: Path) -> None:
    with chain(tmp_path) as other:
        assert other.port != node.port
        assert hashes(other) == hashes(node)


def test_two_chains_hold_other_wallets_and_other_blocks(node: EvmNode, tmp_path: Path) -> None:
    with chain(tmp_path, "arbitrum", 42161) as other:
        assert not set(hashes(other)[1:]) & set(hashes(node)[1:])
        assert not set(other.addresses.values()) & set(node.addresses.values())


@pytest.mark.parametrize(("moment", "name"), [(FIRST, "first"), (SECOND, "second")])
def test_each_moment_holds_what_was_planned_and_its_neighbours_do_not(node: EvmNode, moment: datetime, name: str) -> None:
    times = [
        int(block["timestamp"], 16)
        for block in node.batch(
            [("eth_getBlockByNumber", [hex(height), False]) for height in range(int(node.batch([("eth_blockNumber", [])])[0], 16) + 1)]
        )
    ]
    last = max(height for height, time in enumerate(times) if time <= moment.timestamp())

    def held(asset: str, height: int) -> list[int]:
        if asset == "ETH":
            return [
                int(answer, 16)
                for answer in node.batch([("eth_getBalance", [address, hex(height)]) for address in node.addresses.values()])
            ]
        data = [call_data("token", "balanceOf", address) for address in node.addresses.values()]
        return [int(answer, 16) for answer in node.batch([("eth_call", [{"to": TOKEN, "data": item}, hex(height)]) for item in data])]

    for asset in ("ETH", "USDT"):
        planned = [getattr(plan, name)[asset] for plan in node.plans]
        assert held(asset, last) == planned
    # The largest wallet pays in its dollars last and moves its ether first.
    assert held("USDT", last - 1)[0] != getattr(node.plans[0], name)["USDT"]
    assert held("ETH", last + 1)[0] != getattr(node.plans[0], name)["ETH"]


def test_blocks_lie_close_to_each_moment_and_twelve_hours_apart_elsewhere(node: EvmNode) -> None:
    newest = int(node.call("eth_blockNumber"), 16)
    blocks = node.batch([("eth_getBlockByNumber", [hex(height), False]) for height in range(newest + 1)])
    times = [int(block["timestamp"], 16) for block in blocks]
    assert max(after - before for before, after in pairwise(times)) == 12 * 3600
    for moment in (FIRST.timestamp(), SECOND.timestamp()):
        assert moment - 9 * 60 in times
        assert moment + 6 * 60 in times
        assert not [time for time in times if moment - 9 * 60 < time < moment + 6 * 60]
    assert int(node.call("eth_getBlockByNumber", "finalized", False)["timestamp"], 16) > SECOND.timestamp() + 24 * 3600


def test_gas_costs_wallets_nothing(node: EvmNode) -> None:
    newest = int(node.call("eth_blockNumber"), 16)
    blocks = node.batch([("eth_getBlockByNumber", [hex(height), False]) for height in range(newest + 1)])
    assert {block["baseFeePerGas"] for block in blocks} == {"0x0"}


def test_keys_open_the_wallets_that_they_belong_to(node: EvmNode) -> None:
    for plan in node.plans:
        assert node.addresses[plan.index] == address_of("ethereum", plan.index, plan.kind)
        if plan.kind == "eoa":
            assert node.addresses[plan.index] == key_address(private_key("ethereum", plan.index))
    # The first account of anvil's mnemonic, by its well-known key.
    assert key_address(bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")) == TREASURY


def test_contract_wallets_hold_code_and_ordinary_ones_do_not(node: EvmNode) -> None:
    codes = node.batch([("eth_getCode", [node.addresses[plan.index], "latest"]) for plan in node.plans])
    assert [code != "0x" for code in codes] == [plan.kind == "contract" for plan in node.plans]
    assert any(plan.kind == "contract" for plan in node.plans)


def test_multicall3_is_canonical_on_ethereum_and_another_contract_elsewhere(node: EvmNode, tmp_path: Path) -> None:
    canonical = artifact("multicall3")["code_hash"]
    assert "0x" + keccak(bytes.fromhex(node.call("eth_getCode", MULTICALL3, "latest")[2:])).hex() == canonical
    with chain(tmp_path / "arbitrum", "arbitrum", 42161) as other:
        assert "0x" + keccak(bytes.fromhex(other.call("eth_getCode", MULTICALL3, "latest")[2:])).hex() != canonical
        assert other.call("eth_getCode", MULTICALL3, "latest") != "0x"
    with chain(tmp_path / "none", multicall="none") as bare:
        assert bare.call("eth_getCode", MULTICALL3, "latest") == "0x"


def test_the_token_has_six_decimals_and_returns_nothing_from_transfers(node: EvmNode) -> None:
    assert int(node.call("eth_call", {"to": TOKEN, "data": call_data("token", "decimals")}, "latest"), 16) == 6
    moved = {"from": node.addresses[0], "to": TOKEN, "data": call_data("token", "transfer", TREASURY, 1)}
    assert node.call("eth_call", moved, "latest") == "0x"
    with pytest.raises(AnvilError):
        node.call("eth_call", moved | {"data": call_data("token", "transfer", TREASURY, 10**30)}, "latest")
    with pytest.raises(AnvilError):
        node.call("eth_call", {"from": node.addresses[0], "to": TOKEN, "data": call_data("token", "issue", 1)}, "latest")


def signature(key: bytes, digest: bytes) -> bytes:
    signed = PrivateKey(key).sign_recoverable(digest, hasher=None)
    return signed[:64] + bytes([27 + signed[64]])


def test_a_contract_wallet_knows_the_signatures_of_its_owners(node: EvmNode) -> None:
    digest = keccak(b"a message")
    stranger = private_key("ethereum", 1)
    (_, first), (_, second), (_, third) = owners_of("ethereum", 0)
    cases = {
        (first, second): True,
        (first, third): True,
        (second, third): True,
        (second, first): False,
        (first, first): False,
        (first,): False,
        (first, second, third): False,
        (first, stranger): False,
    }
    for keys, valid in cases.items():
        data = call_data("wallet", "isValidSignature", digest, b"".join(signature(key, digest) for key in keys))
        answer = node.call("eth_call", {"to": node.addresses[0], "data": data}, "latest")
        assert answer == ("0x1626ba7e" if valid else "0xffffffff") + "00" * 28


def test_a_contract_wallet_spends_only_when_two_owners_agree(tmp_path: Path) -> None:
    with chain(tmp_path) as node:
        wallet, receiver = node.addresses[0], "0x00000000000000000000000000000000000000fF"
        proposals = int(node.call("eth_call", {"to": wallet, "data": call_data("wallet", "proposal_count")}, "latest"), 16)
        (proposer, _), (confirmer, _), _ = owners_of("ethereum", 0)
        propose, confirm = call_data("wallet", "propose", receiver, 5, b""), call_data("wallet", "confirm", proposals)
        for sender, data in ((proposer, propose), (proposer, confirm), (TREASURY, confirm), (confirmer, confirm), (confirmer, confirm)):
            before = int(node.call("eth_getBalance", receiver, "latest"), 16)
            node.call("eth_sendTransaction", {"from": sender, "to": wallet, "data": data, "gas": hex(10**6), "gasPrice": "0x0"})
            node.call("anvil_mine", "0x1", "0xc")
            after = int(node.call("eth_getBalance", receiver, "latest"), 16)
            assert (before, after) == ((0, 5) if sender == confirmer and before == 0 else (before, before))
        assert after == 5


def test_a_crowd_holds_what_it_was_given(tmp_path: Path) -> None:
    with EvmNode(folder=tmp_path, chain="ethereum", chain_id=1, plans=[], token_contract=TOKEN) as node:
        crowd = fund_crowd(node, token_contract=TOKEN, count=60)
        for member in crowd:
            assert int(node.call("eth_getBalance", member.address, "latest"), 16) == member.native
            data = call_data("token", "balanceOf", member.address)
            assert int(node.call("eth_call", {"to": TOKEN, "data": data}, "latest"), 16) == member.token


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    with chain(tmp_path) as node:
        process = node._process
        assert process is not None
        assert process.running
    assert not process.running
