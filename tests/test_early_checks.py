"""What can be known before a node, the ledger or a person is asked is refused before."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assay.config import Settings
from assay.connections import check_ledger, check_notices, url_of
from assay.errors import AssayError, ConfigError, EvidenceError, PriceError, PublicationError, RegistryError
from assay.lake import CLOCK_TOLERANCE, check_as_of
from assay.moments import check_moment
from assay.publication.log import Log
from assay.registry import check_configuration, check_registry
from assay.replay import replay

NOW = datetime(2023, 2, 17, 16, tzinfo=UTC)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def prices(settings: Settings, rows: str = "") -> None:
    for source in settings.prices.sources:
        source.path.parent.mkdir(exist_ok=True)
        source.path.write_text(f"asset,price,currency,time\n{rows}")


def test_a_moment_in_the_future_is_refused_and_the_present_is_not() -> None:
    check_as_of(NOW, now=NOW)
    check_as_of(NOW + CLOCK_TOLERANCE, now=NOW)
    with pytest.raises(ConfigError, match="is in the future") as caught:
        check_as_of(NOW + CLOCK_TOLERANCE + timedelta(seconds=1), now=NOW)
    assert not caught.value.RETRYABLE


def test_a_correction_of_what_was_never_published_is_refused(config_file: Path) -> None:
    settings = Settings.load(config_file)
    check_moment(settings, NOW, correction=None)
    check_moment(settings, NOW, correction="")
    with pytest.raises(PublicationError, match="there is nothing to correct"):
        check_moment(settings, NOW, correction="a wallet was missing")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [(",cold,", ",warm,", "custody is 'warm'"), (",none,", ",pledge,", r"encumbrance is 'pledge' \(did you mean 'pledged'\?\)")],
)
def test_a_value_that_the_expectations_would_refuse_is_refused_with_its_line(config_file: Path, old: str, new: str, words: str) -> None:
    change(config_file.parent / "registry" / "wallets.csv", old, new)
    with pytest.raises(RegistryError, match=rf"line \d+: {words}"):
        check_registry(Settings.load(config_file))


def test_an_unknown_kind_of_ledger_is_refused_with_the_one_that_is_meant(config_file: Path) -> None:
    change(config_file, 'kind = "postgres"', 'kind = "csv"')
    with pytest.raises(ConfigError, match=r"ledger.kind is 'csv' \(did you mean 'files'\?\)"):
        Settings.load(config_file)


@pytest.mark.parametrize("schedule", ["0 16 31 2 *", "0 16 17 *", "0 25 17 * *", "@fortnightly", "0 16 17 * * *"])
def test_a_schedule_that_names_no_time_is_refused(config_file: Path, schedule: str) -> None:
    settings = Settings.load(config_file)
    prices(settings)
    check_configuration(settings)
    change(config_file, settings.schedule, schedule)
    with pytest.raises(ConfigError, match="names no time"):
        check_configuration(Settings.load(config_file))


def test_a_price_file_that_is_missing_or_ends_too_early_is_refused_before_anything_is_read(config_file: Path) -> None:
    settings = Settings.load(config_file)
    with pytest.raises(PriceError, match="cannot be read"):
        check_configuration(settings)
    rows = "".join(f"{asset},1,USD,2023-02-17T16:00:00Z\n" for asset in settings.assets)
    prices(settings, rows)
    check_configuration(settings, NOW)
    with pytest.raises(PriceError, match="older than 2023-03-17T16:00:00Z"):
        check_configuration(settings, datetime(2023, 3, 17, 16, tzinfo=UTC))
    # A run that starts at the moment itself cannot have its price yet.
    check_configuration(settings, datetime.now(UTC))


def test_an_asset_that_no_wallet_can_hold_is_refused(config_file: Path) -> None:
    prices(Settings.load(config_file))
    with (config_file.parent / "registry" / "assets.toml").open("a") as file:
        file.write("\n[DOT]\n")
    with pytest.raises(ConfigError, match="the asset DOT is on none of the chains"):
        check_configuration(Settings.load(config_file))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('{"conn_type": "generic", "host": "node.example"', r"it is not JSON \(Expecting ',' delimiter, character \d+\)"),
        (json.dumps({"conn_type": "generic", "hosst": "node.example"}), r"the key 'hosst' is unknown \(did you mean 'host'\?\)"),
        (json.dumps({"conn_type": "generic", "host": "node.example", "port": "8545/"}), "port is a number"),
        (
            json.dumps({"conn_type": "generic", "host": "node.example", "extra": "{'path': 'key-of-mine'}"}),
            "its extra is not a JSON object",
        ),
        ("node-of-mine", "neither a JSON object nor an address"),
        (
            json.dumps({"conn_type": "generic", "host": "node.example", "extra": {"headers": "X-Api-Key: key-of-mine"}}),
            "headers in its extra is not an object of texts",
        ),
    ],
)
def test_a_malformed_connection_is_not_told_as_a_missing_one(monkeypatch: pytest.MonkeyPatch, value: str, words: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE", value)
    with pytest.raises(ConfigError, match=words) as caught:
        url_of("source")
    assert "of-mine" not in str(caught.value)
    assert "there is no such" not in str(caught.value)


def test_replaying_what_was_never_published_says_so(config_file: Path, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"there is no such publication.*assay status"):
        replay(Settings.load(config_file), tmp_path / "nonexist", tmp_path)


def test_a_number_with_a_decimal_comma_is_refused_with_what_a_spreadsheet_did(config_file: Path) -> None:
    settings = Settings.load(config_file)
    asset = next(iter(settings.assets))
    prices(settings, f'{asset},"24322,87",USD,2023-02-17T16:00:00Z\n')
    with pytest.raises(AssayError, match="has a comma, as spreadsheets write decimals"):
        check_configuration(settings)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('family = "evm"', 'family = "evmm"', r"the family 'evmm' is unknown \(did you mean 'evm'\?\)"),
        ('finality = "finalized"', 'finality = "finalised"', r"no finality rule 'finalised' \(did you mean 'finalized'\?\)"),
        ('kind = "electrum"', 'kind = "elektrum"', r"no sources of kind 'elektrum' \(did you mean 'electrum'\?\)"),
        ('network = "bitcoin"', 'network = "bitconi"', "the network 'bitconi' is unknown"),
        ("[ethereum]", "[ethereum_of_ours]", "chain_id is not given, and no source can be told from one of another network"),
        ('contract = "0xdAC17F958D2ee523a2206206994597C13D831ec7"', 'contract = "0xdAC17F"', "contract 0xdAC17F: it is not 0x and 40"),
        ("confirmations = 6", 'confirmations = 6\n[bitcoin.tokens.USDT]\ncontract = "x"\ndecimals = 6\nsource = "x"', "carries no tokens"),
    ],
)
def test_a_chain_that_no_reader_could_begin_with_is_refused_without_asking_a_node(
    config_file: Path, old: str, new: str, words: str
) -> None:
    path = config_file.parent / "registry" / "chains.toml"
    change(path, old, new)
    if "of_ours" in new:
        change(path, "chain_id = 1\n", "")
        path.write_text(path.read_text().replace("ethereum.", "ethereum_of_ours."))
        wallets = path.with_name("wallets.csv")
        wallets.write_text(wallets.read_text().replace("ethereum,", "ethereum_of_ours,"))
    with pytest.raises(AssayError, match=words):
        check_registry(Settings.load(config_file))


def test_an_asset_with_fewer_decimals_than_its_chain_counts_is_refused_without_asking_a_node(config_file: Path) -> None:
    change(config_file.parent / "registry" / "assets.toml", "decimals = 18", "decimals = 9")
    with pytest.raises(RegistryError, match="asset ETH: it is counted in 18 decimals on ethereum"):
        check_registry(Settings.load(config_file))


@pytest.mark.parametrize(
    ("source", "url", "words"),
    [
        ("bitcoin_a", "http://electrum.example:50002/secret-key", "neither tcp://host:port nor ssl://host:port"),
        ("bitcoin_a", "ssl://electrum.example", "neither tcp://host:port nor ssl://host:port"),
        ("bitcoin_a", f"ssl://electrum.example:50002/{'x' * 64}", "neither tcp://host:port nor ssl://host:port"),
        ("bitcoin_a", "ssl://[electrum.example:50002", "neither tcp://host:port nor ssl://host:port"),
        ("ethereum_b", "htps://node.example/secret-key", r"neither http://host\[:port\]"),
    ],
)
def test_an_address_of_a_source_that_cannot_be_one_is_refused_before_a_node_is_asked(
    config_file: Path, source: str, url: str, words: str
) -> None:
    good = {"bitcoin_a": "ssl://electrum.example:50002", "ethereum_a": "https://node.example/key", "ethereum_b": "http://[::1]:8545"}
    settings = Settings.load(config_file)
    check_registry(settings, connect=lambda item, _: good[item.name])
    with pytest.raises(ConfigError, match=rf"source {source}: its address is {words}") as caught:
        check_registry(settings, connect=lambda item, _: {**good, source: url}[item.name])
    assert "secret-key" not in str(caught.value)


def test_descriptors_of_a_chain_whose_first_source_keeps_no_histories_are_refused_without_asking_it(config_file: Path) -> None:
    key = "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB"
    registry = config_file.parent / "registry"
    (registry / "descriptors.csv").write_text(
        f"chain,descriptor,gap_limit,custody,encumbrance,label\nbitcoin,wpkh({key}/0/*),20,cold,none,x\n"
    )
    check_registry(Settings.load(config_file))
    change(registry / "chains.toml", 'kind = "electrum"', 'kind = "core"')
    with pytest.raises(ConfigError, match="'core' cannot tell which addresses of a descriptor were used"):
        check_registry(Settings.load(config_file))


def test_a_folder_of_drops_that_is_not_there_is_refused_and_one_without_the_drop_is_not(config_file: Path) -> None:
    prices(Settings.load(config_file))
    change(config_file, 'kind = "postgres"', 'kind = "files"\nfolder = "ledgre"')
    with pytest.raises(ConfigError, match=r"ledgre: the folder of the ledger's drops is not there.*correct ledger.folder"):
        check_configuration(Settings.load(config_file))
    (config_file.parent / "ledgre").mkdir()
    check_configuration(Settings.load(config_file))


def test_memory_that_is_too_little_for_one_file_of_the_tree_is_refused_before_the_ledger_is_read(config_file: Path) -> None:
    prices(Settings.load(config_file))
    config_file.write_text('memory_limit = "64MB"\n' + config_file.read_text())
    with pytest.raises(ConfigError, match="64MB is not enough for 262144 leaves of 3 assets"):
        check_configuration(Settings.load(config_file))


def test_a_correction_without_words_is_refused(config_file: Path) -> None:
    with pytest.raises(PublicationError, match="the reason for the correction is blank"):
        check_moment(Settings.load(config_file), NOW, correction="  ")


def test_a_publication_that_the_next_deltas_are_taken_from_and_that_is_gone_is_missed_at_once(config_file: Path) -> None:
    settings = Settings.load(config_file)
    series = settings.lake / "publications" / settings.series
    entry = Log.read(series).append(as_of=NOW, revision=1, manifest_sha256="0" * 64, published_at=NOW)
    later = NOW + timedelta(days=28)
    with pytest.raises(PublicationError, match=rf"{entry.folder}: the log names it.*it is not there"):
        check_moment(settings, later, correction=None)
    (series / entry.folder).mkdir()
    (series / entry.folder / "manifest.json").write_text("{}")
    check_moment(settings, later, correction=None)
    check_moment(settings, NOW, correction="a wallet was missing")
    with pytest.raises(PublicationError, match="lies before the newest publication"):
        check_moment(settings, NOW - timedelta(days=1), correction=None)


def test_the_secret_of_the_user_keys_and_the_ledgers_connection_are_missed_before_the_ledger_is_read(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.load(config_file)
    with pytest.raises(ConfigError, match="assay_ledger: there is no such Airflow Connection"):
        check_ledger(settings)
    monkeypatch.setenv("AIRFLOW_CONN_ASSAY_LEDGER", "postgresql://user:password@127.0.0.1:1/ledger")
    monkeypatch.setenv("AIRFLOW_CONN_ASSAY_PSEUDONYM", json.dumps({"conn_type": "generic", "password": "short"}))
    with pytest.raises(ConfigError, match="its password has 5 characters and at least 32 are needed"):
        check_ledger(settings)
    monkeypatch.setenv("AIRFLOW_CONN_ASSAY_PSEUDONYM", json.dumps({"conn_type": "generic", "password": "0" * 32}))
    check_ledger(settings)


def test_a_connection_for_notices_that_is_not_there_is_missed_before_there_is_anything_to_tell(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_notices(Settings.load(config_file))
    with config_file.open("a") as file:
        file.write('[notices]\nwebhook_connection = "chat"\n')
    with pytest.raises(ConfigError, match="chat: there is no such Airflow Connection"):
        check_notices(Settings.load(config_file))
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps({"conn_type": "http", "host": "chat.example"}))
    check_notices(Settings.load(config_file))


def test_a_folder_without_a_manifest_is_no_publication_and_a_damaged_one_is_told_apart(config_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "2023-02-17T160000Z"
    folder.mkdir()
    settings = Settings.load(config_file)
    with pytest.raises(PublicationError, match=r"it holds no manifest.json, so it is no publication.*assay status"):
        replay(settings, folder, tmp_path)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(PublicationError, match=r"it is not JSON.*bring it back from a copy of the publication"):
        replay(settings, folder, tmp_path)
