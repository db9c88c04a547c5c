"""What can be known before a node, the ledger or a person is asked is refused before."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assay.config import Settings
from assay.connections import url_of
from assay.errors import AssayError, ConfigError, EvidenceError, PriceError, PublicationError, RegistryError
from assay.lake import CLOCK_TOLERANCE, check_as_of
from assay.moments import check_moment
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
