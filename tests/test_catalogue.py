"""What everybody knows of assets and chains (`plugins/assay/catalogue/`), how a registry takes it over, and what becomes of old copies of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eth_utils.address import to_checksum_address

from assay import catalogue
from assay.chains.families import family_of
from assay.config import Chain, Settings, Source, Token
from assay.config_chains import read_catalogue
from assay.errors import ConfigError

Change = Callable[[str, str, str], None]
ASSETS, CHAINS = read_catalogue()
REPORTED = set("BTC ETH USDT USDC XRP DOGE SOL OKB APT DASH DOT ELF EOS ETC FIL LINK LTC OKT PEOPLE TON TRX UNI".split())  # noqa: SIM905 (readable)
"""The assets of the reports in whose footsteps this goes."""

KNOWN_ASSETS = """
[ETH]
name = "Ether"
decimals = 18
[USDT]
name = "Known dollar"
decimals = 18
[LINK]
name = "Chainlink"
decimals = 18
"""
KNOWN_CHAINS = """
[ethereum]
family = "evm"
asset = "ETH"
chain_id = 1
finality = "finalized"
max_distance_seconds = 77
proofs = true
[ethereum.tokens.USDT]
contract = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6
source = "https://known.example"
balance_slot = 2
[ethereum.tokens.LINK]
contract = "0x514910771AF9Ca656af840dff83E8264EcF986CA"
decimals = 18
source = "https://known.example"

[bitcoin]
family = "bitcoin"
asset = "BTC"
network = "bitcoin"
confirmations = 99
"""
STATED = """
[ethereum]
[[ethereum.sources]]
name = "ethereum_a"
kind = "jsonrpc"
connection = "assay_ethereum_a"
"""


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a catalogue of a few lines in the place of the program's, so that the tests of its use do not hang on facts of the world."""
    folder = tmp_path / "catalogue"
    folder.mkdir()
    (folder / "assets.toml").write_text(KNOWN_ASSETS)
    (folder / "chains.toml").write_text(KNOWN_CHAINS)
    monkeypatch.setattr(catalogue, "FOLDER", folder)
    return folder


@pytest.fixture
def registry(config_file: Path, known: Path) -> Path:
    """Return a registry's folder whose only chain is taken from what is known of it."""
    folder = config_file.parent / "registry"
    (folder / "chains.toml").write_text(STATED)
    return folder


@pytest.fixture
def copies(registry: Path) -> Path:
    """Return a registry's folder with copies of the catalogue, as they were once needed."""
    (registry / "known_assets.toml").write_text(KNOWN_ASSETS)
    (registry / "known_chains.toml").write_text(KNOWN_CHAINS)
    return registry


def test_an_entry_takes_over_what_it_does_not_state(registry: Path, config_file: Path) -> None:
    chain = Settings.load(config_file).chain("ethereum")
    assert (chain.family, chain.chain_id, chain.finality, chain.max_distance_seconds, chain.proofs) == ("evm", 1, "finalized", 77, True)
    assert [source.name for source in chain.sources] == ["ethereum_a"]


def test_only_tokens_of_listed_assets_are_taken_over(registry: Path, config_file: Path) -> None:
    assert set(Settings.load(config_file).chain("ethereum").tokens) == {"USDT"}
    with (registry / "assets.toml").open("a") as file:
        file.write("[LINK]\n")
    settings = Settings.load(config_file)
    assert set(settings.chain("ethereum").tokens) == {"USDT", "LINK"}
    assert settings.assets["LINK"].name == "Chainlink"


def test_a_token_can_be_left_out(registry: Path, config_file: Path, change: Change) -> None:
    change("registry/chains.toml", "[ethereum]", '[ethereum]\nwithout = ["USDT"]')
    assert not Settings.load(config_file).chain("ethereum").tokens


def test_what_an_entry_states_itself_holds(registry: Path, config_file: Path, change: Change) -> None:
    change("registry/chains.toml", "[ethereum]", "[ethereum]\nproofs = false\nmax_distance_seconds = 5")
    chain = Settings.load(config_file).chain("ethereum")
    assert (chain.proofs, chain.max_distance_seconds, chain.finality) == (False, 5, "finalized")
    settings = Settings.load(config_file)
    assert (settings.assets["USDT"].name, settings.assets["USDT"].decimals) == ("Tether USD", 6)


def test_a_stated_token_with_another_contract_takes_nothing_over(registry: Path, config_file: Path, change: Change) -> None:
    change("registry/chains.toml", "[ethereum]", '[ethereum]\n[ethereum.tokens.USDT]\ncontract = "0x1"\ndecimals = 5\nsource = "mine"')
    assert Settings.load(config_file).chain("ethereum").tokens["USDT"] == Token(asset="USDT", contract="0x1", decimals=5, source="mine")
    change("registry/chains.toml", "decimals = 5\n", "")
    with pytest.raises(ConfigError, match=r"\[ethereum\] \[tokens\] \[USDT\]: the key 'decimals' is missing"):
        Settings.load(config_file)


def test_a_stated_token_without_a_contract_adds_to_the_known_one(registry: Path, config_file: Path, change: Change) -> None:
    change("registry/chains.toml", "[ethereum]", "[ethereum]\n[ethereum.tokens.USDT]\nbalance_slot = 9")
    token = Settings.load(config_file).chain("ethereum").tokens["USDT"]
    assert (token.contract, token.balance_slot) == ("0xdAC17F958D2ee523a2206206994597C13D831ec7", 9)


@pytest.mark.parametrize("other", ["chain_id = 11155111", 'asset = "BTC"', 'family = "bitcoin"'])
def test_another_chain_of_the_same_name_takes_nothing_over(registry: Path, config_file: Path, change: Change, other: str) -> None:
    full = {"family": 'family = "evm"', "asset": 'asset = "ETH"', other.partition(" ")[0]: other}
    change("registry/chains.toml", "[ethereum]", "[ethereum]\n" + "\n".join(full.values()))
    chain = Settings.load(config_file).chain("ethereum")
    assert (dict(chain.tokens), chain.finality, chain.proofs) == ({}, "confirmations", False)


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("registry/chains.toml", "[ethereum]", '[ethereum]\nwithout = ["USTD"]', r"chains.toml \[ethereum\]: without names 'USTD'"),
        ("registry/chains.toml", "[ethereum]", '[ethereum]\nwithout = "USDT"', "without is not a list of texts"),
        (
            "registry/chains.toml",
            "[ethereum]",
            '[ethereum]\nwithout = ["USDT"]\n[ethereum.tokens.USDT]\nbalance_slot = 9',
            "without names 'USDT', which it states itself",
        ),
        ("registry/chains.toml", "[ethereum]", "[ethereum]\nfinalty = 1", r"[/\\]chains.toml \[ethereum\]: unknown key 'finalty'"),
        ("registry/chains.toml", "[ethereum]", "[ethereum]\n[ethereum.tokens.USDT]\nslot = 9", "unknown key 'slot'"),
        (
            "catalogue/chains.toml",
            "chain_id = 1",
            'chain_id = "1"',
            r"catalogue/chains.toml \[ethereum\]: chain_id = '1' is not of type int",
        ),
        ("catalogue/chains.toml", "proofs = true", "profs = true", r"catalogue/chains.toml \[ethereum\]: unknown key 'profs'"),
        ("catalogue/chains.toml", "[ethereum]", "[ethereum", "catalogue/chains.toml: it is not TOML"),
        ("catalogue/assets.toml", '[USDT]\nname = "Known dollar"', "[USDT]\nnom = 1", "unknown key 'nom'"),
    ],
)
def test_a_mistake_is_said_with_its_file(
    registry: Path, config_file: Path, change: Change, file: str, old: str, new: str, says: str
) -> None:
    change(file, old, new)
    with pytest.raises(ConfigError, match=says):
        Settings.load(config_file)


def test_a_chain_that_nobody_knows_needs_its_own_facts(registry: Path, config_file: Path, change: Change) -> None:
    (registry / "chains.toml").write_text(STATED.replace("ethereum", "mine"))
    with pytest.raises(ConfigError, match=r"the catalogue knows no 'mine'.*state family and asset of it"):
        Settings.load(config_file)


@pytest.mark.parametrize(
    "file", ["registry/chains.toml", "registry/assets.toml", "registry/wallets.csv", "catalogue/assets.toml", "catalogue/chains.toml"]
)
def test_the_digest_covers_every_file_and_the_catalogue(registry: Path, config_file: Path, file: str) -> None:
    before = Settings.load(config_file).digest
    with (config_file.parent / file).open("a") as stream:
        stream.write("\n")
    assert Settings.load(config_file).digest != before


def test_copies_that_change_nothing_have_no_effect(copies: Path, config_file: Path) -> None:
    with_copies = Settings.load(config_file)
    # Other comments, and another value where the entry states its own or is not used at all.
    for name, old, new in (
        ("known_chains.toml", "confirmations = 99", "confirmations = 1"),
        ("known_assets.toml", "Known dollar", "Dollar"),
    ):
        text = (copies / name).read_text()
        assert old in text
        (copies / name).write_text("# mine\n" + text.replace(old, new))
    assert Settings.load(config_file) == with_copies
    for path in catalogue.copies(copies):
        path.unlink()
    assert Settings.load(config_file) == with_copies


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (
            "chains",
            "max_distance_seconds = 77",
            "max_distance_seconds = 5",
            "ethereum.max_distance_seconds is 5 there, and 77 in the catalogue",
        ),
        ("chains", "proofs = true\n", "", "ethereum.proofs is not stated there, and True in the catalogue"),
        ("chains", "balance_slot = 2", "balance_slot = 3", "ethereum.tokens.USDT.balance_slot is 3 there, and 2 in the catalogue"),
        ("chains", "chain_id = 1", 'chain_id = 1\ngenesis = "0x1"', "ethereum.genesis is '0x1' there, and not stated in the catalogue"),
        ("chains", "[ethereum]", "[other]", "ethereum.family is not stated there, and 'evm' in the catalogue"),
        ("assets", 'name = "Chainlink"', 'name = "Link"', "LINK.name is 'Link' there, and 'Chainlink' in the catalogue"),
    ],
)
def test_a_copy_that_would_change_a_fact_in_use_is_refused_with_the_fact(
    copies: Path, config_file: Path, change: Change, file: str, old: str, new: str, says: str
) -> None:
    (copies / "assets.toml").write_text((copies / "assets.toml").read_text() + "[LINK]\n")
    Settings.load(config_file)
    change(f"registry/known_{file}.toml", old, new)
    with pytest.raises(ConfigError) as caught:
        Settings.load(config_file)
    assert says in caught.value.problem
    assert "delete the copies" in caught.value.next_step
    for path in catalogue.copies(copies):
        path.unlink()
    Settings.load(config_file)


def test_a_chain_that_only_a_copy_describes_is_named_not_lost(copies: Path, config_file: Path, change: Change) -> None:
    mine = '[mine]\nfamily = "evm"\nasset = "ETH"\nchain_id = 7\nfinality = "finalized"\n'
    with (copies / "known_chains.toml").open("a") as file:
        file.write(mine)
    with (copies / "chains.toml").open("a") as file:
        file.write(STATED.replace("ethereum", "mine"))
    with pytest.raises(ConfigError, match=r"mine\.family is 'evm' there, and not stated in the catalogue; mine\.asset"):
        Settings.load(config_file)
    change("registry/chains.toml", "[mine]\n", mine)
    assert Settings.load(config_file).chain("mine").chain_id == 7


def test_a_difference_can_be_kept_by_stating_it(copies: Path, config_file: Path, change: Change) -> None:
    change("registry/known_chains.toml", "max_distance_seconds = 77", "max_distance_seconds = 5")
    change("registry/known_chains.toml", "[ethereum.tokens.USDT]", "[ethereum.tokens.OTHER]")
    change("registry/chains.toml", "[ethereum]", '[ethereum]\nmax_distance_seconds = 5\nwithout = ["USDT"]')
    chain = Settings.load(config_file).chain("ethereum")
    assert (chain.max_distance_seconds, dict(chain.tokens)) == (5, {})


def test_one_copy_alone_is_held_against_its_own_file(copies: Path, config_file: Path, change: Change) -> None:
    (copies / "known_assets.toml").unlink()
    Settings.load(config_file)
    change("registry/known_chains.toml", "max_distance_seconds = 77", "max_distance_seconds = 5")
    with pytest.raises(ConfigError, match=r"known_chains\.toml would change facts in use"):
        Settings.load(config_file)


def test_a_copy_that_is_no_toml_is_said_with_its_name(copies: Path, config_file: Path, change: Change) -> None:
    change("registry/known_chains.toml", "[ethereum]", "[ethereum")
    with pytest.raises(ConfigError, match=r"known_chains\.toml: it is not TOML"):
        Settings.load(config_file)


def test_a_kept_registry_is_read_with_the_catalogue_of_its_time(registry: Path, config_file: Path, known: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(registry, kept)
    catalogue.keep(kept)
    then = Settings.load(config_file)
    (known / "chains.toml").write_text(KNOWN_CHAINS.replace("max_distance_seconds = 77", "max_distance_seconds = 5"))
    (known / "assets.toml").write_text(KNOWN_ASSETS + "# newer\n")
    again = Settings.load(config_file, registry_folder=kept)
    assert (again.digest, again.chains, again.assets) == (then.digest, then.chains, then.assets)
    assert Settings.load(config_file).chain("ethereum").max_distance_seconds == 5


def test_a_registry_that_was_kept_without_a_catalogue_takes_nothing_over(config_file: Path, registry: Path, change: Change) -> None:
    (registry / "chains.toml").write_text(STATED.replace("[ethereum]", '[ethereum]\nfamily = "evm"\nasset = "ETH"\nchain_id = 1', 1))
    chain = Settings.load(config_file, registry_folder=registry).chain("ethereum")
    assert (chain.max_distance_seconds, dict(chain.tokens)) == (7200, {})


def test_every_reported_asset_is_known_and_on_a_chain() -> None:
    carried = {symbol for chain in CHAINS.values() for symbol in (chain.asset, *chain.tokens)}
    assert carried >= REPORTED
    assert carried == set(ASSETS)


def test_an_asset_counts_as_finely_as_the_finest_chain() -> None:
    finest = dict.fromkeys(ASSETS, 0)
    for chain in CHAINS.values():
        native = getattr(family_of(chain), "NATIVE_DECIMALS", {"bitcoin": 8, "ethereum_beacon": 9}.get(chain.family))
        for symbol, decimals in [(chain.asset, native), *((token.asset, token.decimals) for token in chain.tokens.values())]:
            finest[symbol] = max(finest[symbol], decimals)
    assert finest == {symbol: asset.decimals for symbol, asset in ASSETS.items()}


def _tokens() -> Iterator[tuple[Chain, Token]]:
    return ((chain, token) for chain in CHAINS.values() for token in chain.tokens.values())


@pytest.mark.parametrize(("chain", "token"), [pytest.param(*item, id=f"{item[0].name}-{item[1].asset}") for item in _tokens()])
def test_a_token_is_written_as_its_family_writes_contracts(chain: Chain, token: Token) -> None:
    assert token.source.startswith("https://")
    if chain.family == "evm":
        assert to_checksum_address(token.contract) == token.contract
        assert (token.balance_slot >= 0) != bool(token.slot_note), "either its slot is known, or it says why not"
    else:
        assert (token.balance_slot, token.slot_note) == (-1, "")
    if "/0x" in token.source:
        assert token.source.endswith(token.contract)


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_a_known_chain_can_be_read_by_its_family(chain: Chain) -> None:
    facts = family_of(chain).FACTS
    assert chain.finality in facts.finality
    assert (chain.confirmations > 0) == (chain.finality == "confirmations")
    assert chain.family == "evm" or chain.genesis or chain.chain_id, "a source of another network must be noticed"
    assert chain.chain_id or chain.family != "evm"
    refused = {}
    for kind in facts.kinds:
        source = Source(name="a", kind=kind, connection="a")
        try:
            url = {"electrum": "ssl://node.example:1", "utxo_file": "file:///folder"}.get(kind, "https://node.example")
            family_of(chain).reader(chain, source, assets=dict(ASSETS), archive=_Nothing(), url=url)
        except ConfigError as error:
            refused[kind] = error.problem
    assert facts.kinds[0] not in refused
    assert all(f"the kind {kind!r} is unknown" in problem or "UTXO-set files of" in problem for kind, problem in refused.items())


class _Nothing:
    def record(self, method: str, params: object, result: object) -> str:
        raise AssertionError

    record_error = record


def test_no_two_known_chains_are_one() -> None:
    numbers = [(chain.family, chain.chain_id) for chain in CHAINS.values() if chain.chain_id]
    networks = [(chain.family, chain.network, chain.genesis) for chain in CHAINS.values() if chain.genesis]
    assert len(set(numbers)) == len(numbers)
    assert len(set(networks)) == len(networks)


def test_all_known_chains_can_be_used_at_once(config_file: Path) -> None:
    folder = config_file.parent / "registry"
    (folder / "assets.toml").write_text("".join(f"[{symbol}]\n" for symbol in ASSETS))
    source = '[[{0}.sources]]\nname = "{0}_a"\nkind = "{1}"\nconnection = "{0}_a"\n'
    (folder / "chains.toml").write_text("".join(source.format(name, family_of(chain).FACTS.kinds[0]) for name, chain in CHAINS.items()))
    settings = Settings.load(config_file)
    assert {name: set(chain.tokens) for name, chain in settings.chains.items()} == {
        name: set(chain.tokens) for name, chain in CHAINS.items()
    }


def test_the_files_are_in_order() -> None:
    assert list(ASSETS) == sorted(ASSETS)
    for chain in CHAINS.values():
        assert list(chain.tokens) == sorted(chain.tokens)
    assert not re.search(r"\t| $", (catalogue.FOLDER / "chains.toml").read_text(), re.MULTILINE)
