"""Lists with addresses of test networks, whose coins are worth nothing: refused with words, and taken where that is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assay_verify.addresses import test_network_of as network_of
from assay_verify.cli import main
from sandbox.bitcoin_blocks import BITCOIN, LITECOIN, Network
from sandbox.bitcoin_keys import Wallet, address
from sandbox.signatures_bitcoin import sign_bip322, sign_message

MESSAGE = "I am an OKX address"
HEAD = "coin,snapshot height,amount\n{totals}\n\ncoin,Network,Snapshot Height,address,amount,message,signature1,signature2,redeem script/ public key, eoa1, eoa2\n"


def row(coin: str, network: Network, kind: str) -> str:
    wallet = Wallet(network.chain, 3, kind)
    signatures = (sign_bip322(wallet, MESSAGE),) if kind == "p2tr" else sign_message(wallet, network.chain, MESSAGE)
    script = wallet.multisig.hex() if kind.endswith("multisig") else ""
    cells = [coin, network.chain, "7", address(wallet.script, network.prefixes), "1", MESSAGE, signatures[0], *signatures[1:2]]
    return ",".join([*cells, *[""] * (8 - len(cells)), script, "", ""]) + "\n"


def run(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    code = main(["ownership", str(path), "--json", *options])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kinds = ["p2pkh", "p2wpkh", "p2sh_p2wpkh", "p2sh_multisig", "p2wsh_multisig"]
    rows = [row("BTC", BITCOIN, kind) for kind in [*kinds, "p2tr"]] + [row("LTC", LITECOIN, kind) for kind in kinds]
    path = tmp_path / "list.csv"
    path.write_text(HEAD.format(totals="BTC,7,6\nLTC,7,5") + "".join(rows))
    return path


def test_addresses_of_test_networks_are_refused_by_name(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(path, capsys)
    assert (code, document["outcomes"]["failed"]) == (1, 11)
    reasons = " ".join(item["reason"] for item in document["failures"])
    assert "of regtest, a test network" in reasons
    assert "of litecoin_regtest, a test network" in reasons


def test_they_are_taken_where_that_is_asked_for(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(path, capsys, "--test-networks")
    assert code == 0, document["failures"]
    notes = json.dumps(document)
    assert document["outcomes"]["verified"] == 11
    assert "the addresses are of regtest, a test network whose coins are worth nothing" in notes
    assert "the addresses are of litecoin_regtest" in notes


@pytest.mark.parametrize(
    ("network", "text", "found"),
    [
        ("bitcoin", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "regtest"),
        ("bitcoin", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "testnet"),
        ("bitcoin", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "testnet"),
        ("bitcoin", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", ""),
        ("bitcoin", "bchtest:qpm2qsznhks23z7629mms6s4cwef74vcwvqcw003ap", ""),
        ("dash", "", ""),
    ],
)
def test_test_networks_are_told_by_their_addresses(network: str, text: str, found: str) -> None:
    assert network_of(network, text) == found
