"""`assay init`: a folder whose configuration is valid, whose secrets are fresh and private, and which is there whole or not at all."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dotenv import dotenv_values
from rich.console import Console

from assay import cli, prices
from assay.config import Settings
from assay.config_chains import read_catalogue
from assay.connections import secret_of, url_of
from assay.errors import ConfigError
from assay.registry import check_registry
from assay.starting import command, deployment, plan
from assay.starting.questions import Questions

FLAGS = {
    "--entity": 'Example "Custodian" Ünïon',
    "--schedule": "0 16 17 * *",
    "--ledger": "files",
    "--sign-off": "finance,risk",
}
CHAINS = ["--chain", "ethereum=jsonrpc:http://127.0.0.1:8545", "--chain", "ethereum=jsonrpc:https://node.example/key"]

Make = Callable[..., Path]


def arguments(folder: Path, *more: str, without: str = "") -> list[str]:
    given = [item for name, value in FLAGS.items() if name != without for item in (name, value)]
    return ["init", str(folder), *given, *([] if without == "--chain" else CHAINS), *more]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(*more: str, without: str = "") -> Path:
        folder = tmp_path / "custody"
        assert cli.main(arguments(folder, *more, without=without)) == 0
        return folder

    return made


def refusal(folder: Path, capsys: pytest.CaptureFixture[str], *more: str, without: str = "") -> str:
    """Return the one message of an `assay init` that fails, and see that it left nothing behind."""
    before = sorted(folder.parent.rglob("*"))
    assert cli.main(arguments(folder, *more, without=without)) == 1
    assert sorted(folder.parent.rglob("*")) == before
    message = capsys.readouterr().err
    assert message.startswith("assay: ")
    assert message.count("\n") == 1
    return message


def variables(folder: Path) -> dict[str, str]:
    return {name: value or "" for name, value in dotenv_values(folder / ".env").items()}


def test_the_written_configuration_is_valid_and_says_what_was_given(make: Make) -> None:
    settings = Settings.load(make("--asset", "ETH", "--asset", "USDT") / "assay.toml")
    assert (settings.entity, settings.series) == (FLAGS["--entity"], "example-custodian-union")
    assert settings.sign_off.approvers == (("finance",), ("risk",))
    assert [source.name for source in settings.chains["ethereum"].sources] == ["ethereum_a", "ethereum_b"]
    assert {symbol: asset.decimals for symbol, asset in settings.assets.items()} == {"ETH": 18, "USDT": 6}
    assert set(settings.chains["ethereum"].tokens) == {"USDT"}
    assert settings.ledger.folder == "ledger"


def test_wallets_and_prices_that_follow_the_headers_are_read(make: Make, tmp_path: Path) -> None:
    folder = make()
    with (folder / "registry" / "wallets.csv").open("a") as file:
        file.write("ethereum,0xdAC17F958D2ee523a2206206994597C13D831ec7,cold,none,first\n")
    with (folder / "prices" / "primary.csv").open("a") as file:
        file.write("ETH,1650.5,USD,2023-02-17T16:00:00Z\n")
    settings = Settings.load(folder / "assay.toml")
    assert len(check_registry(settings)) == 1
    assert prices.load(settings, datetime(2023, 2, 17, 16, tzinfo=UTC), tmp_path).is_file()


def test_secrets_can_be_read_by_their_owner_alone(make: Make) -> None:
    folder = make()
    for name in (".env", "airflow/passwords.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "airflow").stat().st_mode) == 0o700
    secrets = set(json.loads((folder / "airflow" / "passwords.json").read_text()).values())
    secrets |= {value for name, value in variables(folder).items() if re.search("SECRET|FERNET|PSEUDONYM", name)}
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in {".env", "passwords.json"}:
            assert not [secret for secret in secrets if secret in path.read_text()]


def test_two_deployments_have_no_secret_in_common(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert cli.main(arguments(tmp_path / name)) == 0
    one, two = variables(tmp_path / "one"), variables(tmp_path / "two")
    same = {name for name in one if one[name] == two[name]}
    fresh = {"AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "ASSAY_AIRFLOW_PASSWORD"}
    assert not same & (fresh | {"AIRFLOW_CONN_ASSAY_PSEUDONYM"})


def test_a_shell_reads_the_variables_as_python_does(make: Make) -> None:
    folder = make("--chain", "arbitrum=https://user:it%27s%5C@node.example/a$b`c`?k=1")
    shown = subprocess.run(
        ["sh", "-c", f"set -a; . '{folder}/.env'; env -0"], check=True, capture_output=True, env={"PATH": os.environ["PATH"]}
    ).stdout.decode()
    read = dict(line.split("=", 1) for line in shown.split("\0") if line)
    assert {name: read[name] for name in variables(folder)} == variables(folder)


def test_the_connections_are_those_that_the_pipeline_reads(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make()
    for name, value in variables(folder).items():
        if name.startswith("AIRFLOW_CONN_"):
            monkeypatch.setenv(name, value)
    sources = Settings.load(folder / "assay.toml").chains["ethereum"].sources
    assert [url_of(source.connection) for source in sources] == ["http://127.0.0.1:8545", "https://node.example/key"]
    assert len(secret_of("assay_pseudonym")) == 64
    assert "AIRFLOW_CONN_ASSAY_LEDGER" not in variables(folder)


def test_airflow_knows_the_users_with_their_passwords_and_keeps_them(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    folder = make()
    for name, value in variables(folder).items():
        monkeypatch.setenv(name, value)
    written = (folder / "airflow" / "passwords.json").read_text()
    manager = SimpleAuthManager()
    manager.init()
    assert (folder / "airflow" / "passwords.json").read_text() == written
    roles = {user.username: user.role for user in manager.get_users()}
    assert roles == {"operator": "op", "finance": "user", "risk": "user"}
    assert set(manager.get_passwords()) == set(roles)
    assert manager.get_passwords()["operator"] == variables(folder)["ASSAY_AIRFLOW_PASSWORD"]


def test_git_does_not_see_secrets_data_and_drops(make: Make) -> None:
    folder = make()
    drop = folder / "ledger" / "2023-02-17T160000Z" / "balances"
    drop.mkdir(parents=True)
    (drop / "a.csv").write_text("private")
    (folder / "data").mkdir()
    (folder / "data" / "a").write_text("")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    seen = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.split()
    assert not [path for path in seen if path.startswith((".env", "airflow", "data", "ledger/2023"))]
    assert {"assay.toml", "registry/wallets.csv", "ledger/example/balances/balances.csv"} <= set(seen)


def test_a_private_network_states_everything_and_takes_no_token_over(make: Make) -> None:
    chain = Settings.load(make("--chain-id", "ethereum=31337") / "assay.toml").chains["ethereum"]
    assert (chain.chain_id, chain.family, chain.asset, dict(chain.tokens)) == (31337, "evm", "ETH", {})


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_database_gets_its_views_and_its_connection(kind: str, make: Make) -> None:
    scheme = "postgresql" if kind == "postgres" else "mysql"
    folder = make("--ledger", kind, "--ledger-at", f"{scheme}://reader:it%27s@db.example:1234/books", without="--ledger")
    settings = Settings.load(folder / "assay.toml")
    assert (settings.ledger.kind, settings.ledger.schema) == (kind, "public" if kind == "postgres" else "books")
    assert json.loads(variables(folder)["AIRFLOW_CONN_ASSAY_LEDGER"])["password"] == "it's"
    views = (folder / "ledger" / "views.sql").read_text()
    assert re.findall(r"create view \S+\.(\w+)", views) == ["assay_balances", "assay_control_totals", "assay_flows"]
    assert "reader" in views
    assert "it's" not in views


def test_drops_in_s3_have_a_connection_with_the_keys(make: Make) -> None:
    folder = make("--ledger-at", "s3://bucket/drops", "--ledger-storage", "https://KEY:SECRET@s3.example")
    assert Settings.load(folder / "assay.toml").ledger.folder == "s3://bucket/drops"
    assert json.loads(variables(folder)["AIRFLOW_CONN_ASSAY_LEDGER"])["login"] == "KEY"


def test_the_example_of_a_drop_has_the_columns_that_are_read(make: Make) -> None:
    from assay.liabilities.files import DROPPED_FLOW_COLUMNS
    from assay.liabilities.interface import BALANCE_COLUMNS

    example = make() / "ledger" / "example"
    for name, columns in (("balances", BALANCE_COLUMNS), ("flows", DROPPED_FLOW_COLUMNS)):
        assert tuple(next(csv.reader(io.StringIO((example / name / f"{name}.csv").read_text())))) == columns


def test_without_a_sign_off_nobody_but_the_operator_is_a_user(make: Make) -> None:
    folder = make("--no-sign-off", without="--sign-off")
    assert not Settings.load(folder / "assay.toml").sign_off.required
    assert variables(folder)["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "operator:op"


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "custody"
    folder.mkdir()
    before = folder.stat().st_ino
    assert cli.main(arguments(folder)) == 0
    assert folder.stat().st_ino == before
    assert (folder / "assay.toml").is_file()
    assert not list(folder.glob(".assay-init-*"))


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "custody"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    assert "not empty (mine.txt)" in refusal(folder, capsys)
    assert (folder / "mine.txt").read_text() == "mine"


def test_a_file_in_the_folders_place_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "custody").write_text("mine")
    assert "is no folder" in refusal(tmp_path / "custody", capsys)


def test_a_place_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments(Path("/proc/custody"))) == 1
    assert "assay: /proc/custody: it cannot be written" in capsys.readouterr().err


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert "custody" in refusal(tmp_path / "file" / "custody", capsys)


def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(deployment, "_check", fail)
    for folder in (tmp_path / "new" / "custody", tmp_path / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        assert cli.main(arguments(folder)) == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--chain", "etherium=http://127.0.0.1:1"], "'etherium' is unknown (did you mean 'ethereum'?)"),
        (["--chain", "bitcoin=jsonrpc:http://127.0.0.1:1"], "no sources of kind 'jsonrpc'"),
        (["--chain", "bitcoin=http://127.0.0.1:1"], "bitcoin=electrum:ADDRESS or bitcoin=core:ADDRESS"),
        (["--chain", "bitcoin=ssl://electrum.example"], "names no port"),
        (["--chain", "ethereum"], "has no `=`"),
        (["--chain", "ethereum=jsonrpc:127.0.0.1:8545"], "has no scheme"),
        (["--chain", "ethereum=http://127.0.0.1:8545"], "one address is named twice"),
        (["--chain-id", "bitcoin=1"], "no EVM chain that a --chain names"),
        (["--chain-id", "ethereum=one"], "'one' is no chain id"),
        (["--asset", "ETHH", "--asset", "ETH"], "'ETHH' is unknown (did you mean 'ETH'?)"),
        (["--asset", "BTC"], "none of the named chains holds BTC"),
        (["--asset", "USDT"], "ETH, the native asset of ethereum, is not among them"),
        (["--schedule", "0 0 31 2 *"], "names no time"),
        (["--schedule", "0 99 1 * *"], "names no time"),
        (["--schedule", "0 16 17"], "it has 3 fields and not 5"),
        (["--entity", " "], "no name"),
        (["--entity", "日本"], "no folder name can be made"),
        (["--series", "../up"], "'../up' is not made of"),
        (["--sign-off", "finance,finance"], "two different people"),
        (["--sign-off", "finance"], "two different people"),
        (["--sign-off", "operator,risk"], "is the user who starts the runs"),
        (["--sign-off", "a:admin,risk"], "is no user name"),
        (["--ledger", "csv"], "the kind 'csv' is unknown"),
        (["--ledger", "postgres", "--ledger-at", "db.example"], "has no scheme"),
        (["--ledger", "mysql", "--ledger-at", "mysql://a:b@db.example"], "no database with the views"),
        (["--ledger-at", "s3://bucket/prefix"], "the address of the storage is missing"),
        (["--port", "80"], "no port from 1024"),
    ],
)
def test_what_cannot_be_is_refused_with_the_next_step(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refusal(tmp_path / "custody", capsys, *more)


def test_a_path_that_settings_cannot_carry_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 'the character "\'"' in refusal(tmp_path / "it's", capsys)


@pytest.mark.parametrize("missing", ["--entity", "--schedule", "--chain", "--ledger", "--sign-off"])
def test_in_a_pipe_all_that_is_missing_is_named(missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(tmp_path / "custody", capsys, without=missing)
    assert "nobody can be asked without a terminal" in message
    assert missing in message


def answered(*lines: str) -> tuple[Questions, Console]:
    typed: Iterator[str] = iter(lines)
    console = Console(file=io.StringIO(), width=80)
    return Questions(console, lambda: next(typed)), console


def test_questions_are_asked_until_their_answers_hold() -> None:
    questions, console = answered("etherium", "ethereum", "127.0.0.1", "http://127.0.0.1:8545", "", "31337", "")
    (chain,) = questions.chains(read_catalogue()[1])
    assert (chain.facts.name, chain.chain_id, len(chain.sources)) == ("ethereum", 31337, 1)
    assert "'etherium' is unknown (did you mean 'ethereum'?). Choose one of" in console.file.getvalue()  # type: ignore[attr-defined]


def test_only_what_no_flag_says_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = argparse.ArgumentParser()
    given = command.add_parser(parser.add_subparsers()).parse_args(arguments(tmp_path / "custody", without="--sign-off")[1:])
    questions, _ = answered("alice,bob", "", "")
    found = command._plan(given, questions)
    assert found.approvers == ("alice", "bob")
    assert (found.series, found.assets) == ("example-custodian-union", {"ETH": 18})


def test_nobody_may_sign_off() -> None:
    questions, _ = answered("Nobody")
    assert questions.approvers() == ()


def test_a_ledger_in_s3_is_asked_for_its_storage() -> None:
    questions, _ = answered("files", "s3://bucket/a", "https://K:S@s3.example")
    assert questions.ledger().connection


def test_decimals_are_those_of_the_finest_chain_in_use() -> None:
    assets, chains = read_catalogue()
    planned = plan.chain_sources(["ethereum=http://a.example", "bnb=http://b.example"], chains)
    assert plan.asset_decimals(["ETH", "BNB", "USDT"], planned, assets)["USDT"] == 18
    with pytest.raises(ConfigError, match="BNB"):
        plan.asset_decimals(["ETH", "USDT"], planned, assets)
