"""An EVM chain that is nothing but data in the catalogue, read from an anvil node with its chain id.

One chain stands for all of them: what differs is data. The node has none of the chain's tokens, and that is noticed too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from assay.chains.evidence import EvidenceArchive
from assay.chains.families import family_of
from assay.chains.interface import Balance
from assay.config import Chain, Source
from assay.config_chains import read_catalogue
from assay.errors import RegistryError, SourceMismatchError
from sandbox.anvil import GENESIS_TIME, TREASURY, Anvil

ASSETS, CHAINS = read_catalogue()
CELO = replace(CHAINS["celo"], sources=(Source(name="celo_a", kind="jsonrpc", connection="unused"),))
NOBODY = "0x00000000000000000000000000000000000000fF"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with Anvil(folder=tmp_path_factory.mktemp("celo"), chain_id=CELO.chain_id) as node:
        node.mine_many(20, 300)
        yield node


def read(node: Anvil, chain: Chain) -> list[Balance]:
    """Do what the pipeline does: network, block, tokens, balances."""

    async def run() -> list[Balance]:
        archive = EvidenceArchive("test")
        async with family_of(chain).reader(chain, chain.sources[0], assets=dict(ASSETS), archive=archive, url=node.url) as reader:
            await reader.check_network()
            block = await reader.resolve(GENESIS_TIME + timedelta(seconds=1_000))
            assert (block.height, block.distance_seconds, block.finality) == (3, 100, "finalized")
            await reader.check_assets(block)
            return await reader.read(block, [TREASURY, NOBODY])

    return asyncio.run(run())


def test_the_native_asset_is_read(node: Anvil) -> None:
    balances = read(node, replace(CELO, tokens={}))
    assert [(item.address, item.asset, item.amount > 0) for item in balances] == [(TREASURY, "CELO", True), (NOBODY, "CELO", False)]


def test_its_tokens_must_be_there(node: Anvil) -> None:
    with pytest.raises(RegistryError, match=r"token USDC of celo.*there is no contract"):
        read(node, CELO)


def test_another_chains_node_is_refused(node: Anvil) -> None:
    with pytest.raises(SourceMismatchError, match="chain id 42220 and base has 8453"):
        read(node, replace(CHAINS["base"], sources=CELO.sources))
