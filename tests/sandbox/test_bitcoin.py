from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pbk
import pytest

from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, LITECOIN, MinedChain, mine
from sandbox.bitcoin_keys import KINDS, sha256d
from sandbox.bitcoin_node import BlocksRefusedError, Node, read_blocks, write_blocks
from sandbox.bitcoin_times import block_times
from sandbox.electrumx import ElectrumX
from sandbox.processes import listens
from sandbox.scenario import FIRST, SECOND, WalletPlan, wallets

PLANS = [plan for plan in wallets(litecoin=False) if plan.chain == "bitcoin"]


@pytest.fixture(scope="module")
def mined() -> MinedChain:
    return mine(BITCOIN, PLANS)


@pytest.fixture(scope="module")
def nodes(mined: MinedChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[BitcoinNode]]:
    folder = tmp_path_factory.mktemp("nodes")
    made = [BitcoinNode(folder=folder / name, mined=mined) for name in "ab"]
    with ThreadPoolExecutor() as pool:
        list(pool.map(BitcoinNode.__enter__, made))
    yield made
    for node in made:
        node.__exit__(None, None, None)


def test_two_runs_mine_the_same_blocks(mined: MinedChain) -> None:
    assert mine(BITCOIN, PLANS).blocks == mined.blocks


def test_two_nodes_started_at_once_serve_the_same_chain(nodes: list[BitcoinNode], mined: MinedChain) -> None:
    hashes = [sha256d(block[:80])[::-1].hex() for block in mined.blocks]
    for node in nodes:
        assert node.call("getblockcount") == len(hashes)
        assert [node.call("getblockhash", height) for height in (1, 100, len(hashes))] == [hashes[0], hashes[99], hashes[-1]]
    assert nodes[0].electrum_url != nodes[1].electrum_url


def test_the_node_knows_no_other_calls_and_no_other_blocks(nodes: list[BitcoinNode]) -> None:
    with pytest.raises(RuntimeError, match="-32601"):
        nodes[0].call("sendtoaddress")
    with pytest.raises(RuntimeError, match="-5"):
        nodes[0].call("getblock", "00" * 32)


def test_a_node_that_left_its_context_listens_no_more(mined: MinedChain, tmp_path: Path) -> None:
    with BitcoinNode(folder=tmp_path / "short", mined=mined) as node:
        ports = [int(url.rpartition(":")[2].rstrip("/")) for url in (node.electrum_url, node.rpc_url)]
        assert all(map(listens, ports))
    assert not any(map(listens, ports))


def test_the_plans_cover_every_kind_of_script() -> None:
    assert {plan.kind for plan in PLANS} == set(KINDS)


def test_every_wallet_has_its_own_address(mined: MinedChain) -> None:
    assert len(set(mined.addresses.values())) == len(PLANS)


def test_wallets_spend_with_every_kind_of_script(mined: MinedChain) -> None:
    falling = {plan.kind for plan in PLANS if plan.second["BTC"] < plan.first["BTC"] or plan.later["BTC"] < plan.second["BTC"]}
    assert falling == set(KINDS)
    assert len(mined.blocks) - mined.snapshots[SECOND] > 12


def test_a_block_with_one_wrong_signature_byte_is_refused(mined: MinedChain, tmp_path: Path) -> None:
    spending = mined.snapshots[FIRST] + 1
    block = bytearray(mined.blocks[spending - 1])
    # The last transaction's witness ends 4 bytes before the end of the block with a public key or a signature.
    block[-40] ^= 1
    with pytest.raises((BlocksRefusedError, pbk.ProcessBlockException)):
        Node(tmp_path / "kernel", [*mined.blocks[: spending - 1], bytes(block)])


def test_blocks_survive_their_file(mined: MinedChain, tmp_path: Path) -> None:
    write_blocks(tmp_path / "blocks.bin", mined.blocks)
    assert list(read_blocks(tmp_path / "blocks.bin")) == list(mined.blocks)


def test_times_never_fall_and_are_dense_around_the_moments() -> None:
    times = block_times([FIRST, SECOND])
    assert times == sorted(set(times))
    for moment in (FIRST, SECOND):
        assert sum(abs(time - moment.timestamp()) < 3600 for time in times) >= 11


def test_wallets_of_another_chain_are_not_mined() -> None:
    with pytest.raises(ValueError, match="belongs to bitcoin"):
        mine(LITECOIN, PLANS[:1])


def test_more_value_than_there_is_cannot_be_planned() -> None:
    rich: WalletPlan = replace(PLANS[0], first={"BTC": 10**15})
    with pytest.raises(ValueError, match="more than the BTC mined"):
        mine(BITCOIN, [rich])


def test_a_server_that_was_not_started_cannot_be_waited_for(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not started"):
        ElectrumX("idle", tmp_path, coin="Bitcoin", daemon_url="http://127.0.0.1:1/").wait()


def test_plans_of_thousands_of_wallets_become_one_chain() -> None:
    plans = [
        replace(PLANS[0], index=index, kind="p2wpkh", first={"BTC": 1000 + index}, second={"BTC": index}, later={"BTC": 7})
        for index in range(3000)
    ]
    mined = mine(BITCOIN, plans)
    assert len(mined.addresses) == 3000
    assert max(map(len, mined.blocks)) < 1_000_000
    assert json.dumps(mined.addresses[2999])
