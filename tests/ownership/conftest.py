"""Fixtures of the tests of movements: each runs on Bitcoin and on an EVM chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.chains.asking import Connect
from assay.config import Settings
from assay.ownership.challenge import write_challenges
from assay.ownership.store import import_file
from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, mine
from sandbox.evm import EvmNode
from sandbox.scenario import SECOND
from sandbox.signatures import sign
from tests.ownership.movements import INDEX, PLANS, TOKEN, Node, Published, take_snapshot, url_of
from tests.ownership.movements import request as movement_request


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Node]]:
    folder = tmp_path_factory.mktemp("nodes")
    mined = mine(BITCOIN, PLANS["bitcoin"], request=movement_request("bitcoin"))
    plans, asked = PLANS["ethereum"], movement_request("ethereum")
    with (
        BitcoinNode(folder=folder / "bitcoin", mined=mined) as bitcoin,
        EvmNode(folder=folder / "ethereum", chain="ethereum", chain_id=1, plans=plans, token_contract=TOKEN, request=asked) as ethereum,
    ):
        yield {"bitcoin": bitcoin, "ethereum": ethereum}


@pytest.fixture(params=["bitcoin", "ethereum"])
def chain(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(config_file: Path, nodes: dict[str, Node], chain: str) -> Settings:
    """One chain, whose two sources are one node: only what they say is compared here."""
    folder = config_file.parent / "registry"
    chains = (folder / "chains.toml").read_text()
    begin = chains.index("[ethereum]")
    if chain == "bitcoin":
        text = chains[:begin].replace('network = "bitcoin"', 'network = "regtest"')
        text = text.replace("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", BITCOIN.genesis)
        text += '[[bitcoin.sources]]\nname = "bitcoin_b"\nkind = "electrum"\nconnection = "assay_bitcoin_b"\n'
        chains = text.replace("confirmations = 6", "confirmations = 6\nmax_distance_seconds = 3600")
    else:
        chains = chains[begin:].replace(
            'finality = "finalized"', 'finality = "finalized"\nproofs = true\nwithout = ["USDT"]\nmax_distance_seconds = 3600'
        )
        chains = chains[: chains.index("[ethereum.tokens")] + chains[chains.index("[[ethereum.sources") :]
    (folder / "chains.toml").write_text(chains)
    rows = [f"{chain},{nodes[chain].addresses[plan.index]},{plan.custody},{plan.encumbrance},w{plan.index}" for plan in PLANS[chain]]
    (folder / "wallets.csv").write_text("\n".join(["chain,address,custody,encumbrance,label", *rows]) + "\n")
    config_file.write_text(config_file.read_text() + "\n[stability]\noffsets_seconds = []\n")
    return Settings.load(config_file)


@pytest.fixture
def connect(nodes: dict[str, Node], chain: str) -> Connect:
    return lambda _source, _place: url_of(nodes[chain])


@pytest.fixture
def address(nodes: dict[str, Node], chain: str) -> str:
    return nodes[chain].addresses[INDEX]


@pytest.fixture
def signed(settings: Settings, nodes: dict[str, Node], chain: str, connect: Connect, address: str, tmp_path: Path) -> Path:
    """What the keepers sent back: signatures, and for one wallet a transaction."""
    node = nodes[chain]
    write_challenges(settings, SECOND, tmp_path / "asked", connect=connect, moving=[(chain, address)])
    sign(tmp_path / "asked", tmp_path / "signed.csv", PLANS[chain], {chain: dict(node.addresses)}, {chain: node.movements[SECOND]})
    return tmp_path / "signed.csv"


@pytest.fixture
def published(settings: Settings, chain: str, connect: Connect, signed: Path, address: str, tmp_path: Path) -> Published:
    import_file(settings, SECOND, signed)
    return Published(settings, chain, address, take_snapshot(settings, chain, connect, tmp_path / "raw"), tmp_path / "publication")
