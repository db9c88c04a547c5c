from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assay import reserves
from assay.config import Settings
from assay.errors import ConfigError, RegistryError
from assay.registry import check_registry, read_wallets

Change = Callable[[str, str, str], None]
BITCOIN = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
ETHEREUM = "0xdAC17F958D2ee523a2206206994597C13D831ec7"

AS_OF = datetime(2023, 2, 17, 16, tzinfo=UTC)


def test_wallets_are_written_with_their_line_numbers(config_file: Path, tmp_path: Path) -> None:
    path = reserves.check_registry(Settings.load(config_file), AS_OF, tmp_path / "out")
    rows = pq.read_table(path).to_pylist()
    assert [(row["chain"], row["address"], row["row"]) for row in rows] == [("bitcoin", BITCOIN, 2), ("ethereum", ETHEREUM, 3)]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        (BITCOIN, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", 2, "checksum"),
        (BITCOIN, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", 2, "network"),
        (ETHEREUM, ETHEREUM.replace("dAC", "DAC"), 3, "checksum"),
        (ETHEREUM, "0x1234", 3, "address"),
        ("ethereum,", "etherium,", 3, "chain 'etherium' is unknown"),
        ("hot,none,second", "hot,none", 3, "4 columns and 5 are expected"),
        ("chain,address", "chain,adress", 1, "header"),
        ("hot,none,second", 'hot,none,"second', 4, "CSV"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(config_file: Path, change: Change, old: str, new: str, line: int, says: str) -> None:
    change("registry/wallets.csv", old, new)
    with pytest.raises(RegistryError) as caught:
        read_wallets(Settings.load(config_file))
    assert says in str(caught.value)
    assert "wallets.csv" in caught.value.subject
    assert says == "CSV" or f"line {line}" in caught.value.subject


@pytest.mark.parametrize("again", [ETHEREUM, ETHEREUM.lower()])
def test_a_wallet_named_twice_is_refused_however_it_is_written(config_file: Path, again: str) -> None:
    with (config_file.parent / "registry" / "wallets.csv").open("a") as file:
        file.write(f"ethereum,{again},cold,none,again\n")
    with pytest.raises(RegistryError, match=r"stands on line 3 already.*") as caught:
        read_wallets(Settings.load(config_file))
    assert "line 4" in caught.value.subject


def test_an_empty_missing_or_binary_registry_is_refused(config_file: Path) -> None:
    path = config_file.parent / "registry" / "wallets.csv"
    settings = Settings.load(config_file)
    path.write_text("chain,address,custody,encumbrance,label\n")
    with pytest.raises(RegistryError, match="holds no wallets"):
        read_wallets(settings)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RegistryError, match="saved as UTF-16"):
        read_wallets(settings)
    path.unlink()
    with pytest.raises(RegistryError, match="cannot be read"):
        read_wallets(settings)


def test_a_configured_chain_without_wallets_is_refused_rather_than_counted_as_nothing(
    config_file: Path, change: Change, tmp_path: Path
) -> None:
    change("registry/wallets.csv", f"bitcoin,{BITCOIN},cold,none,first\n", "")
    settings = Settings.load(config_file)
    with pytest.raises(RegistryError, match="bitcoin has no wallet"):
        check_registry(settings)
    with pytest.raises(RegistryError, match="bitcoin has no wallet"):
        reserves.check_registry(settings, AS_OF, tmp_path / "out")


def test_the_whole_registry_is_checked_without_asking_a_node(config_file: Path) -> None:
    assert [wallet.address for wallet in check_registry(Settings.load(config_file))] == [BITCOIN, ETHEREUM]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('family = "evm"', 'family = "emv"', "the family 'emv' is unknown"),
        ('finality = "finalized"', 'finality = "finalised"', "no finality rule 'finalised'.*finalized or confirmations"),
        ('kind = "electrum"', 'kind = "electrumx"', "source bitcoin_a: the family bitcoin has no sources of kind 'electrumx'"),
        ('kind = "jsonrpc"', 'kind = "electrum"', "source ethereum_a: the family evm has no sources of kind 'electrum'"),
    ],
)
def test_a_chain_that_its_family_cannot_read_as_it_says_is_refused(
    config_file: Path, change: Change, old: str, new: str, says: str
) -> None:
    change("registry/chains.toml", old, new)
    settings = Settings.load(config_file)
    with pytest.raises(ConfigError, match=says):
        check_registry(settings)
