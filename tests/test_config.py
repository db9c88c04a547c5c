from __future__ import annotations

import codecs
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.commitments.building import bytes_of
from assay.config import Settings, Source
from assay.errors import ConfigError
from assay.warehouse.session import session

Change = Callable[[str, str, str], None]
ROOT = Path(__file__).resolve().parent.parent


def test_a_complete_configuration_loads_with_paths_relative_to_its_file(config_file: Path) -> None:
    settings = Settings.load(config_file)
    assert settings.lake == config_file.parent / "lake"
    assert settings.assets["ETH"].decimals == 18
    assert [source.name for source in settings.chain("ethereum").sources] == ["ethereum_a", "ethereum_b"]
    assert settings.chain("ethereum").tokens["USDT"].decimals == 6
    assert settings.ledger.account_types == ("spot", "funding", "earn", "margin", "loan")


def test_the_shipped_configuration_loads() -> None:
    settings = Settings.load(ROOT / "assay.toml")
    assert settings.sign_off.required
    assert set(settings.chains) == {"bitcoin", "ethereum", "arbitrum"}
    assert {name: set(chain.tokens) for name, chain in settings.chains.items()} == {
        "bitcoin": set(),
        "ethereum": {"USDT"},
        "arbitrum": {"USDT"},
    }
    assert all(len(chain.sources) == 2 for chain in settings.chains.values())
    assert {symbol: asset.decimals for symbol, asset in settings.assets.items()} == {"BTC": 8, "ETH": 18, "USDT": 6}


def test_loading_imports_nothing_heavy() -> None:
    # Every parse of every DAG file loads the configuration.
    code = "import sys; from assay.config import Settings; Settings.load(); print(*sys.modules)"
    environment = {"ASSAY_CONFIG": str(ROOT / "assay.toml"), "PYTHONPATH": str(ROOT / "plugins"), "PATH": ""}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert not {name for name in shown if name.startswith(("assay.chains", "aiohttp", "pyarrow", "eth_", "rlp", "msgspec", "bitcoinlib"))}


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("assay.toml", 'series = "test"', "", "'series' is missing"),
        ("assay.toml", 'series = "test"', "series = 5", "series = 5 is not of type str"),
        ("assay.toml", 'series = "test"', 'series = "test"\nseria = 1', "unknown key 'seria'"),
        ("assay.toml", 'series = "test"', 'seria = "test"', "unknown key 'seria' (did you mean 'series'?); the key 'series' is missing"),
        ("assay.toml", 'series = "test"\nentity = "Test Custodian"', "", "the keys 'series' and 'entity' are missing"),
        ("assay.toml", 'name = "primary"', 'name = "primary"\ncurrency = "USD"', "unknown key 'currency'"),
        ("assay.toml", "[sign_off]", '[sign_off]\nnotes = ["x"]', "unknown key 'notes'"),
        ("assay.toml", "[ledger]", "[ledger]\nreaders = 0", "ledger.readers is 1 to 64"),
        ("assay.toml", "[ledger]", "[ledger]\nshards = 1001", "ledger.shards 0 (by size) to 1000"),
        ("assay.toml", "[ledger]", "[stability]\noffsets_seconds = [0]\n[ledger]", "offsets_seconds names 0"),
        ("assay.toml", "[ledger]", "[stability]\noffsets_seconds = [60, 60]\n[ledger]", "one offset twice"),
        ("assay.toml", "[ledger]", "[stability]\noffsets_seconds = [true]\n[ledger]", "not a list of integers"),
        ("registry/assets.toml", '[BTC]\nname = "Bitcoin"\ndecimals = 8', "[XBT]", "the catalogue knows no 'XBT' (did you mean 'BTC'?)"),
        (
            "registry/assets.toml",
            '[BTC]\nname = "Bitcoin"\ndecimals',
            '[XBT]\nname = "Bitcoin"\ndecimal',
            "unknown key 'decimal' (did you mean 'decimals'?); the key 'decimals' is missing",
        ),
        ("assay.toml", 'entity = "Test Custodian"', 'entity = " "', "entity is ' ', and a text of one line is needed"),
        ("assay.toml", 'entity = "Test Custodian"', 'entity = "Test\\nCustodian"', "entity is 'Test\\nCustodian'"),
        ("assay.toml", "[ledger]", 'notes = ["x", ""]\n[ledger]', "notes has an empty text"),
        ("assay.toml", "[ledger]", '[ledger]\nexcluded = [" "]', "ledger.excluded has an empty text"),
        ("assay.toml", '"spot", "funding"', '"spot", "spot"', "or names one twice"),
        ("assay.toml", '["spot", "funding", "earn", "margin", "loan"]', "[]", "ledger.account_types names no type"),
        ("assay.toml", '"spot", "funding"', '"spot", "funding "', "ledger.account_types is 'funding '"),
        ("assay.toml", '"assay_ledger"', '"assay ledger"', "ledger.connection is 'assay ledger', and the id of an Airflow Connection"),
        ("assay.toml", '"assay_pseudonym"', '""', "ledger.pseudonym_connection is ''"),
        ("registry/chains.toml", '"assay_bitcoin_a"', '"https://node.example/key"', "the connection of source bitcoin_a is an address"),
        ("assay.toml", 'kind = "postgres"', 'kind = "files"', "ledger.folder is missing"),
        ("assay.toml", 'kind = "postgres"', 'kind = "files"\nfolder = "s3://"', "ledger.folder is missing"),
        ("assay.toml", 'kind = "postgres"', 'kind = "files"\nfolder = "gs://drops"', "a local folder or from s3://bucket/prefix"),
        ("assay.toml", "[ledger]", 'memory_limit = "4"\n[ledger]', "memory_limit is '4', and an amount of memory like 2GB"),
        ("assay.toml", "[ledger]", 'memory_limit = "80%"\n[ledger]', "memory_limit is '80%'"),
        ("assay.toml", "secondary.csv", "primary.csv", "two price sources have the path"),
        ("assay.toml", '"secondary"', '"primary"', "two price sources have the name 'primary', and one cannot vouch for itself"),
        ("assay.toml", "required = false", 'required = true\napprovers = [["finance"], ["risk "]]', "sign_off.approvers has 'risk '"),
        ("registry/chains.toml", "[ethereum.tokens.USDT]", "[ethereum.tokens.USD]", "the unknown asset 'USD' (did you mean 'USDT'?)"),
        ("assay.toml", 'series = "test"', "series =", "not TOML"),
        ("assay.toml", 'account_types = ["spot"', 'account_types = [5, "spot"', "not a list of texts"),
        ("assay.toml", "required = false", "required = true", "two groups"),
        ("assay.toml", "required = false", 'required = true\napprovers = [["ann"], ["ann", "bob"]]', "common member"),
        ("assay.toml", "[prices]\n", '[prices]\ncurrency = "EUR"\n', "only USD"),
        ("registry/assets.toml", "decimals = 8", 'decimals = "8"', "not of type int"),
        ("registry/assets.toml", "decimals = 18", "decimals = true", "not of type int"),
        ("registry/chains.toml", 'asset = "ETH"', 'asset = "EHT"', "unknown asset 'EHT'"),
        ("registry/chains.toml", "decimals = 6\nsource", "decimals = 18\nsource", "more than the asset's 6"),
        ("registry/chains.toml", 'name = "ethereum_b"', 'name = "ethereum_a"', "used twice"),
        (
            "registry/chains.toml",
            'connection = "assay_ethereum_b"',
            'connection = "assay_ethereum_a"',
            "connection 'assay_ethereum_a' is used twice",
        ),
        ("registry/chains.toml", "[ethereum.tokens.USDT]", "[ethereum.tokens.ETH]", "count an asset twice"),
        ("registry/chains.toml", "confirmations = 6", "confirmations = -1", "negative limit"),
        ("registry/chains.toml", 'kind = "electrum"', 'kind = "electrum"\nbatch_size = 0', "limit below 1"),
        ("registry/chains.toml", 'name = "bitcoin_a"', 'name = "../a"', "lower-case letters"),
        ("registry/assets.toml", "decimals = 8", "decimals = -1", "0 to 24"),
        ("registry/assets.toml", "decimals = 18", "decimals = 60", "0 to 24"),
        ("assay.toml", 'series = "test"', 'series = "../x"', "lower-case letters"),
        ("assay.toml", 'series = "test"', 'series = "test"\nchunk_size = 0', "at least 1"),
        ("assay.toml", "[prices]\n", "[prices]\nmax_age_seconds = -1\n", "cannot be negative"),
        ("assay.toml", "required = false", 'required = true\napprovers = ["ab", "cd"]', "list of lists"),
        ("registry/chains.toml", "chain_id = 1", "chainid = 1", "unknown key 'chainid'"),
        (
            "registry/chains.toml",
            'family = "evm"\nasset = "ETH"',
            'famly = "evm"',
            "unknown key 'famly'",
        ),
        ("registry/chains.toml", "chain_id = 1", "chain_id = 1\nmax_lag_seconds = -1", "negative limit"),
        ("registry/chains.toml", "decimals = 6\nsource", "decimals = -6\nsource", "-6 decimals on ethereum"),
        ("registry/chains.toml", "decimals = 6\nsource", 'decimals = 6\nslot_layout = "viper"\nsource', "no possible balance slot"),
        ("registry/chains.toml", "decimals = 6\nsource", "decimals = 6\nbalance_slot = -2\nsource", "no possible balance slot"),
        ("registry/chains.toml", "decimals = 6\nsource", "decimals = 6\nbalance_bits = 257\nsource", "no possible balance slot"),
        ("registry/chains.toml", "chain_id = 1", 'chain_id = 5\nwithout = ["USDT"]', "unknown key 'without'"),
        ("registry/chains.toml", 'name = "bitcoin_a"', 'nome = "bitcoin_a"', "unknown key 'nome'"),
    ],
)
def test_a_broken_configuration_is_refused_with_the_file_and_the_key(
    config_file: Path, change: Change, file: str, old: str, new: str, says: str
) -> None:
    change(file, old, new)
    with pytest.raises(ConfigError) as caught:
        Settings.load(config_file)
    assert says in str(caught.value)
    assert Path(file).name in str(caught.value)


def test_a_chain_without_sources_is_refused(config_file: Path) -> None:
    path = config_file.parent / "registry" / "chains.toml"
    path.write_text(path.read_text().partition("[[ethereum.sources]]")[0])
    with pytest.raises(ConfigError, match="ethereum names no source"):
        Settings.load(config_file)


def test_one_chain_under_two_names_is_refused_because_its_wallets_would_count_twice(config_file: Path) -> None:
    path = config_file.parent / "registry" / "chains.toml"
    text = path.read_text()
    copy = text[text.index("[ethereum]") :].replace("ethereum", "mainnet")
    path.write_text(text + copy)
    with pytest.raises(ConfigError, match="chain_id '1' is used twice"):
        Settings.load(config_file)


def test_a_fork_and_the_chain_that_it_left_may_stand_side_by_side(config_file: Path, change: Change) -> None:
    change("registry/assets.toml", "[BTC]", '[BCH]\nname = "Bitcoin Cash"\ndecimals = 8\n[BTC]')
    path = config_file.parent / "registry" / "chains.toml"
    copy = path.read_text().partition("[ethereum]")[0].replace('network = "bitcoin"', 'network = "bitcoin_cash"').replace('"BTC"', '"BCH"')
    path.write_text(
        path.read_text() + copy.replace("[bitcoin]", "[fork]").replace("bitcoin.sources", "fork.sources").replace("bitcoin_a", "fork_a")
    )
    settings = Settings.load(config_file)
    assert settings.chain("fork").genesis == settings.chain("bitcoin").genesis
    path.write_text(path.read_text().replace('network = "bitcoin_cash"', 'network = "bitcoin"'))
    with pytest.raises(ConfigError, match=r"the genesis '0000.*' is used twice"):
        Settings.load(config_file)


def test_families_number_their_networks_without_knowing_of_each_other(config_file: Path) -> None:
    path = config_file.parent / "registry" / "chains.toml"
    copy = path.read_text()[path.read_text().index("[ethereum]") :].replace("ethereum", "other").replace('"evm"', '"aptos"')
    path.write_text(path.read_text() + copy)
    assert Settings.load(config_file).chain("other").chain_id == 1


def test_a_source_paces_each_of_its_tasks_so_that_all_together_keep_the_ceiling() -> None:
    assert Source(name="a", kind="electrum", connection="c", requests_per_second=10, parallel_tasks=4).task_requests_per_second == 2
    assert Source(name="a", kind="electrum", connection="c", requests_per_second=1, parallel_tasks=4).task_requests_per_second == 1
    assert Source(name="a", kind="electrum", connection="c").task_requests_per_second == 0


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: it cannot be read"):
        Settings.load(tmp_path / "nowhere.toml")


def test_the_digest_changes_with_any_of_the_files(config_file: Path, change: Change) -> None:
    before = Settings.load(config_file).digest
    change("registry/assets.toml", "Tether USD", "Tether")
    assert Settings.load(config_file).digest != before


def test_an_unknown_source_or_chain_is_named(config_file: Path) -> None:
    settings = Settings.load(config_file)
    with pytest.raises(ConfigError, match="'dogecoin' is unknown"):
        settings.chain("dogecoin")
    with pytest.raises(ConfigError, match="no source 'x'"):
        settings.chain("bitcoin").source("x")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('on = ["failures"]', "notices.on names 'failures' (did you mean 'failure'?); known are failure, deadline, shortfall, published"),
        ('smtp_connection = "mail"', "smtp_connection and notices.mail_to belong together"),
        ('mail_to = ["a@custodian.example"]', "smtp_connection and notices.mail_to belong together"),
        ("deadline_hours = -1", "deadline_hours cannot be negative"),
        ("deadline_hours = 72", "neither a smtp_connection nor a webhook_connection tells of it"),
        ('webhook = "https://chat.example/key"', "unknown key 'webhook'"),
    ],
)
def test_notices_that_nobody_would_get_are_refused(config_file: Path, lines: str, says: str) -> None:
    with config_file.open("a") as file:
        file.write(f"[notices]\n{lines}\n")
    with pytest.raises(ConfigError, match=re.escape(says)):
        Settings.load(config_file)


@pytest.mark.parametrize("amount", ["2GB", "512 MiB", "1.5gb", "2TiB"])
def test_an_amount_of_memory_is_one_for_the_tables_and_for_the_tree(config_file: Path, amount: str) -> None:
    config_file.write_text(f'memory_limit = "{amount}"\n' + config_file.read_text())
    limit = Settings.load(config_file).memory_limit
    assert bytes_of(limit) > 0
    with session(memory_limit=limit) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_files_with_a_byte_order_mark_are_read_and_their_digest_is_over_every_byte(config_file: Path) -> None:
    before = Settings.load(config_file)
    for path in (config_file, before.registry / "assets.toml", before.registry / "chains.toml"):
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes().replace(b"\n", b"\r\n"))
    after = Settings.load(config_file)
    assert (after.entity, after.assets, after.chains) == (before.entity, before.assets, before.chains)
    assert after.digest != before.digest


def test_a_file_in_another_encoding_is_said_to_be_one(config_file: Path) -> None:
    text = config_file.read_text()
    config_file.write_bytes(text.encode("utf-16"))
    with pytest.raises(ConfigError, match=r"it was saved as UTF-16.*save it as UTF-8"):
        Settings.load(config_file)
    config_file.write_bytes(text.replace("Test Custodian", "Test Dépositaire").encode("latin-1"))
    with pytest.raises(ConfigError, match=r"line 3 is not UTF-8.*save it as UTF-8"):
        Settings.load(config_file)
