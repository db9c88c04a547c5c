"""`assay registry show`: the facts in force, each with where it comes from."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from assay import catalogue, cli
from assay.config import Settings
from assay.registry_facts import describe

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The example registry that ships with the program."""
    shutil.copytree(ROOT / "data" / "registry", tmp_path / "data" / "registry")
    shutil.copyfile(ROOT / "assay.toml", tmp_path / "assay.toml")
    monkeypatch.setenv("ASSAY_CONFIG", str(tmp_path / "assay.toml"))
    return Settings.load()


def test_what_is_shown_is_toml_that_says_what_is_in_force(settings: Settings) -> None:
    shown = tomllib.loads("\n".join(describe(settings)))
    assert set(shown) == {*settings.assets, *settings.chains}
    for name, chain in settings.chains.items():
        for key in ("family", "chain_id", "genesis", "finality", "confirmations", "max_distance_seconds", "proofs"):
            assert shown[name][key] == getattr(chain, key)
        tokens = shown[name].get("tokens", {})
        assert {symbol: token["contract"] for symbol, token in tokens.items()} == {
            symbol: token.contract for symbol, token in chain.tokens.items()
        }
        assert [source["timeout_seconds"] for source in shown[name]["sources"]] == [source.timeout_seconds for source in chain.sources]


def test_each_fact_says_where_it_comes_from(settings: Settings) -> None:
    path = settings.registry / "chains.toml"
    path.write_text("[ethereum]\nmax_distance_seconds = 5\n[ethereum.tokens.USDT]\nbalance_bits = 255\n" + path.read_text())
    lines = [" ".join(line.split()) for line in describe(Settings.load(), "ethereum")]
    assert "max_distance_seconds = 5 # chains.toml" in lines
    assert "chain_id = 1 # catalogue" in lines
    assert "chunk_size = 0 # default" in lines
    assert "balance_bits = 255 # chains.toml" in lines
    assert "balance_slot = 2 # catalogue" in lines
    assert "decimals = 6 # assets.toml" in [" ".join(line.split()) for line in describe(Settings.load())]


def test_another_chain_under_a_known_name_says_that_nothing_is_taken_over(settings: Settings) -> None:
    path = settings.registry / "chains.toml"
    path.write_text('[ethereum]\nfamily = "evm"\nasset = "ETH"\nchain_id = 7\n' + path.read_text())
    text = "\n".join(describe(Settings.load(), "ethereum"))
    assert "another chain than the catalogue's" in text
    assert "# catalogue\n" not in text


def test_a_chain_of_the_catalogue_can_be_looked_at_before_it_is_used(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["registry", "show", "celo"]) == 0
    told = capsys.readouterr().out
    assert "[celo]  # not in chains.toml" in told
    assert set(tomllib.loads(told)["celo"]["tokens"]) == {"USDC", "USDT"}
    assert told.endswith("\n")


def test_a_chain_that_nobody_knows_is_refused_with_the_nearest_name(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["registry", "show", "etherum"]) == 1
    assert "did you mean 'ethereum'?" in capsys.readouterr().err


def test_copies_of_the_catalogue_are_said_to_be_superfluous(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue.keep(settings.registry)
    assert cli.main(["registry", "show", "bitcoin"]) == 0
    assert "# known_chains.toml is not read any more, and can be deleted" in capsys.readouterr().out
