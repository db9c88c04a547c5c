"""Fixtures for the whole suite: a configuration as a custodian would write it, on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

# Airflow reads its home when it is first imported, and must never find the developer's own.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="assay-tests-")

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"

CONFIG = """
series = "test"
entity = "Test Custodian"
lake = "lake"
registry = "registry"
schedule = "0 16 17 * *"

[ledger]
kind = "postgres"
connection = "assay_ledger"
pseudonym_connection = "assay_pseudonym"
account_types = ["spot", "funding", "earn", "margin", "loan"]

[prices]
[[prices.sources]]
name = "primary"
path = "prices/primary.csv"
[[prices.sources]]
name = "secondary"
path = "prices/secondary.csv"

[sign_off]
required = false
"""

ASSETS = """
[BTC]
name = "Bitcoin"
decimals = 8
[ETH]
name = "Ether"
decimals = 18
[USDT]
name = "Tether USD"
decimals = 6
"""

CHAINS = """
[bitcoin]
family = "bitcoin"
asset = "BTC"
network = "bitcoin"
genesis = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
confirmations = 6
[[bitcoin.sources]]
name = "bitcoin_a"
kind = "electrum"
connection = "assay_bitcoin_a"

[ethereum]
family = "evm"
asset = "ETH"
chain_id = 1
finality = "finalized"
[ethereum.tokens.USDT]
contract = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6
source = "https://tether.to/en/supported-protocols/"
[[ethereum.sources]]
name = "ethereum_a"
kind = "jsonrpc"
connection = "assay_ethereum_a"
[[ethereum.sources]]
name = "ethereum_b"
kind = "jsonrpc"
connection = "assay_ethereum_b"
"""

WALLETS = """chain,address,custody,encumbrance,label
bitcoin,1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa,cold,none,first
ethereum,0xdAC17F958D2ee523a2206206994597C13D831ec7,hot,none,second
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """Return the path of a complete, valid configuration; tests change its files as they like."""
    (tmp_path / "registry").mkdir()
    (tmp_path / "assay.toml").write_text(CONFIG)
    (tmp_path / "registry" / "assets.toml").write_text(ASSETS)
    (tmp_path / "registry" / "chains.toml").write_text(CHAINS)
    (tmp_path / "registry" / "wallets.csv").write_text(WALLETS)
    return tmp_path / "assay.toml"


@pytest.fixture
def change(config_file: Path) -> Callable[[str, str, str], None]:
    """Return a function that replaces a text in one of the configuration's files; the text must be there."""

    def replace(name: str, old: str, new: str) -> None:
        path = config_file.parent / name
        content = path.read_text()
        assert old in content
        path.write_text(content.replace(old, new, 1))

    return replace
