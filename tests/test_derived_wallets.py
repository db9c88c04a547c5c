"""Descriptors of the registry, derived against a real ElectrumX on regtest blocks whose wallets are children of one key."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import base58
import pyarrow.parquet as pq
import pytest
from coincurve import PrivateKey

from assay import registry
from assay.chains.bitcoin.descriptors import expand
from assay.config import Settings
from assay.derived_wallets import derive_wallets
from assay.descriptor_registry import read_descriptors
from assay.errors import ConfigError, RegistryError
from sandbox import bitcoin_blocks
from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, mine
from sandbox.bitcoin_keys import Wallet, hash160
from sandbox.scenario import SECOND, WalletPlan

SECRET, CODE = PrivateKey(b"\x05" * 32), hashlib.sha256(b"chain code").digest()
TPUB = base58.b58encode_check(struct.pack(">IB4sI32s33s", 0x043587CF, 3, b"\x01" * 4, 0, CODE, SECRET.public_key.format())).decode()
PLACES = [(0, 0), (0, 1), (0, 4), (1, 2)]
"""Branch and number of the addresses that hold something."""


def child(secret: PrivateKey, code: bytes, number: int) -> tuple[PrivateKey, bytes]:
    both = hmac.digest(code, secret.public_key.format() + number.to_bytes(4), "sha512")
    return secret.add(both[:32]), both[32:]


class HdWallet(Wallet):
    def __init__(self, chain: str, index: int, kind: str) -> None:
        super().__init__(chain, index, kind)
        if index >= 0:
            branch, number = PLACES[index]
            self._keys = [child(*child(SECRET, CODE, branch), number)[0]]
            self._pubkey_hash = hash160(self._keys[0].public_key.format())
            self.script = self._script()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BitcoinNode]:
    held = {"BTC": 1000}
    plans = [
        WalletPlan(chain="bitcoin", index=index, kind="p2wpkh", custody="hot", encumbrance="none", first=held, second=held, later=held)
        for index in range(len(PLACES))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bitcoin_blocks, "Wallet", HdWallet)
        mined = mine(BITCOIN, plans)
    with BitcoinNode(folder=tmp_path_factory.mktemp("bitcoin") / "a", mined=mined) as started:
        yield started


@pytest.fixture
def listed(config_file: Path, change: Callable[[str, str, str], None]) -> Callable[[str], Settings]:
    """Return a function that lists descriptors; the configuration's Bitcoin is the regtest chain."""
    change("registry/chains.toml", 'network = "bitcoin"', 'network = "regtest"')
    change("registry/chains.toml", "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", BITCOIN.genesis)
    change("registry/wallets.csv", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080")

    def settings(rows: str) -> Settings:
        (config_file.parent / "registry" / "descriptors.csv").write_text(f"chain,descriptor,gap_limit,custody,encumbrance,label\n{rows}\n")
        return Settings.load(config_file)

    return settings


def derived(settings: Settings, node: BitcoinNode, folder: Path) -> list[dict[str, Any]]:
    wallets = registry.write_wallets(registry.read_wallets(settings), folder / "registry" / "wallets.parquet")
    path = derive_wallets(settings, SECOND, wallets, folder / "derived", connect=lambda source, place: node.electrum_url)
    assert pq.read_schema(path) == registry.SCHEMA
    return list(pq.read_table(path).to_pylist())


def test_a_key_becomes_the_wallets_that_the_chain_knows(node: BitcoinNode, listed: Callable[[str], Settings], tmp_path: Path) -> None:
    settings = listed(f"bitcoin,wpkh({TPUB}/<0;1>/*),3,cold,none,vault")
    rows = derived(settings, node, tmp_path)
    receiving, change = expand(f"wpkh({TPUB}/<0;1>/*)", "regtest")
    expected = [*(receiving.address(number) for number in range(5)), *(change.address(number) for number in range(3))]
    assert [row["address"] for row in rows[2:]] == expected
    assert {(row["chain"], row["custody"], row["label"], row["row"]) for row in rows[2:]} == {("bitcoin", "cold", "vault", 2)}
    assert set(node.addresses.values()) <= set(expected)
    assert TPUB not in "".join(path.read_bytes().decode("latin-1") for path in (tmp_path / "derived").rglob("*") if path.is_file())


def test_a_gap_limit_that_is_too_small_ends_the_range_before(node: BitcoinNode, listed: Callable[[str], Settings], tmp_path: Path) -> None:
    rows = derived(listed(f"bitcoin,wpkh({TPUB}/0/*),2,cold,none,vault"), node, tmp_path)
    assert len(rows[2:]) == 2


def test_without_descriptors_the_wallets_stay_as_they_are(config_file: Path, tmp_path: Path) -> None:
    settings = Settings.load(config_file)
    wallets = registry.write_wallets(registry.read_wallets(settings), tmp_path / "wallets.parquet")
    assert read_descriptors(settings) == []
    assert derive_wallets(settings, SECOND, wallets, tmp_path / "derived", connect=lambda source, place: "") == wallets


def test_an_address_that_is_listed_and_derived_is_refused(
    node: BitcoinNode, listed: Callable[[str], Settings], change: Callable[[str, str, str], None], tmp_path: Path
) -> None:
    settings = listed(f"bitcoin,wpkh({TPUB}/0/*),3,cold,none,vault")
    change("registry/wallets.csv", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", expand(f"wpkh({TPUB}/0/*)", "regtest")[0].address(1))
    with pytest.raises(RegistryError, match=r"stands in wallets\.csv already"):
        derived(settings, node, tmp_path)


def test_two_descriptors_with_a_common_address_are_refused(node: BitcoinNode, listed: Callable[[str], Settings], tmp_path: Path) -> None:
    settings = listed(f"bitcoin,wpkh({TPUB}/0/*),3,cold,none,vault\nbitcoin,wpkh({TPUB}/0/1),3,cold,none,vault")
    with pytest.raises(RegistryError, match="line 2 already; counted twice"):
        derived(settings, node, tmp_path)


def test_a_descriptor_of_the_wrong_kind_finds_nothing_and_stops_the_run(
    node: BitcoinNode, listed: Callable[[str], Settings], tmp_path: Path
) -> None:
    with pytest.raises(RegistryError, match="none of its first 20 addresses was ever used"):
        derived(listed(f"bitcoin,tr({TPUB}/0/*),20,cold,none,vault"), node, tmp_path)


def test_a_source_without_histories_says_so(
    listed: Callable[[str], Settings], change: Callable[[str, str, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.chains.bitcoin import utxo_file

    async def fine(*_: object) -> None:
        return None

    for name in ("check_network", "resolve"):
        monkeypatch.setattr(utxo_file.UtxoFileReader, name, fine)
    change("registry/chains.toml", 'kind = "electrum"', 'kind = "utxo_file"')
    settings = listed(f"bitcoin,wpkh({TPUB}/0/*),3,cold,none,vault")
    wallets = registry.write_wallets(registry.read_wallets(settings), tmp_path / "wallets.parquet")
    with pytest.raises(ConfigError, match="cannot tell whether an address was used"):
        derive_wallets(settings, SECOND, wallets, tmp_path / "derived", connect=lambda source, place: f"file://{tmp_path}")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (f"mars,wpkh({TPUB}/0/*),20,cold,none,vault", "'mars' is unknown, or has no descriptors"),
        (f"ethereum,wpkh({TPUB}/0/*),20,cold,none,vault", "'ethereum' is unknown, or has no descriptors"),
        (f"bitcoin,wpkh({TPUB}/0/*),0,cold,none,vault", "gap limit is not a number from 1"),
        (f"bitcoin,wpkh({TPUB}/0/*),many,cold,none,vault", "gap limit is not a number from 1"),
        (f"bitcoin,wpkh({TPUB}/0/*),20,cold,none", "it has 5 columns"),
        (f"bitcoin,wsh(multi(1,{TPUB}/0/*,{TPUB}/1/*)),20,cold,none,vault", "stands in quotation marks"),
        (f"bitcoin,wpkh({TPUB}/0/*)#00000000,20,cold,none,vault", "checksum is wrong"),
        (f"bitcoin,wpkh({TPUB}/0/*),20,cold,none,a\nbitcoin,wpkh({TPUB}/0/*),5,hot,none,b", "line 2 already"),
        (f'bitcoin,"wpkh({TPUB}/0/*),20,cold,none,vault', "not a CSV file"),
        ("bitcoin,wpkh(L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1),20,cold,none,vault", "PRIVATE KEY"),
    ],
)
def test_a_line_that_cannot_be_right_is_named_and_not_shown(listed: Callable[[str], Settings], rows: str, words: str) -> None:
    with pytest.raises(RegistryError, match=words) as caught:
        read_descriptors(listed(rows))
    assert "descriptors.csv" in str(caught.value)
    assert TPUB not in str(caught.value)
    assert "L4rK1" not in str(caught.value)


def test_a_descriptor_with_commas_stands_in_quotation_marks(listed: Callable[[str], Settings]) -> None:
    (found,) = read_descriptors(listed(f'bitcoin,"wsh(multi(1,{TPUB}/0/*,{TPUB}/1/*))",20,cold,none,vault'))
    assert found.descriptor.startswith("wsh(multi(1,")
    assert TPUB not in repr(found)
