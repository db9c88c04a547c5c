from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.chains.bitcoin import reader
from assay.chains.evidence import EvidenceArchive
from assay.config import Asset, Chain, Source
from sandbox.bitcoin_blocks import LITECOIN, MinedChain, mine
from sandbox.litecoin import LitecoinNode, find_litecoind
from sandbox.scenario import FIRST, SECOND, wallets

SOURCE = Source(name="electrum_ltc", kind="electrum", connection="assay_litecoin_a")
CHAIN = Chain(
    name="litecoin",
    family="bitcoin",
    asset="LTC",
    network="litecoin_regtest",
    genesis=LITECOIN.genesis,
    confirmations=6,
    sources=(SOURCE,),
)
PLANS = [plan for plan in wallets(litecoin=True) if plan.chain == "litecoin"]


@pytest.fixture(scope="module")
def mined() -> MinedChain:
    return mine(LITECOIN, PLANS)


@pytest.fixture(scope="module")
def node(mined: MinedChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LitecoinNode]:
    if find_litecoind() is None:
        pytest.skip("litecoind is not installed, so no Litecoin balance is read from a real node")
    with LitecoinNode(folder=tmp_path_factory.mktemp("litecoin") / "a", mined=mined) as started:
        yield started


def test_two_runs_mine_the_same_blocks(mined: MinedChain) -> None:
    assert mine(LITECOIN, PLANS).blocks == mined.blocks


def test_litecoin_wallets_hold_what_was_planned_at_both_moments(node: LitecoinNode) -> None:
    async def run() -> list[list[int]]:
        assets = {"LTC": Asset(symbol="LTC", name="Litecoin", decimals=8)}
        async with reader(CHAIN, SOURCE, assets=assets, archive=EvidenceArchive("test"), url=node.electrum_url) as opened:
            await opened.check_network()
            blocks = [await opened.resolve(moment) for moment in (FIRST, SECOND)]
            addresses = [node.addresses[plan.index] for plan in PLANS]
            return [[balance.amount for balance in await opened.read(block, addresses)] for block in blocks]

    assert asyncio.run(run()) == [[plan.first["LTC"] for plan in PLANS], [plan.second["LTC"] for plan in PLANS]]


def test_without_the_program_there_is_no_node(monkeypatch: pytest.MonkeyPatch, mined: MinedChain, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    assert find_litecoind() is None
    with pytest.raises(FileNotFoundError, match="litecoind"):
        LitecoinNode(folder=tmp_path, mined=mined)
