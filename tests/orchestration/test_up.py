"""`assay up` and the environment of the command: what is refused at once, and what is taken over from `.env`."""

from __future__ import annotations

import fcntl
import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from assay.config import Settings
from assay.environment import load_environment, read_env
from assay.errors import ConfigError
from assay.orchestration.up import UpError, check_port, up

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture
def settings(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AIRFLOW_HOME", str(config_file.parent / "airflow"))
    return Settings.load(config_file)


def test_a_port_in_use_is_named_at_once_and_nothing_is_started(settings: Settings, quiet: Console) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UpError, match=f"the port {port} cannot be used.*--port"):
            up(settings, quiet, port=port)
    check_port(port)
    assert not list(Path(os.environ["AIRFLOW_HOME"]).glob("airflow.db*"))


def test_a_second_one_in_the_same_folder_is_refused(settings: Settings, quiet: Console) -> None:
    home = Path(os.environ["AIRFLOW_HOME"])
    home.mkdir()
    with (home / ".up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UpError, match="another `assay up` is running"):
            up(settings, quiet, port=1)


def test_a_folder_that_cannot_be_made_is_named(settings: Settings, quiet: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    (settings.path.parent / "file").write_text("")
    monkeypatch.setenv("AIRFLOW_HOME", str(settings.path.parent / "file" / "airflow"))
    with pytest.raises(UpError, match="nothing can be written there"):
        up(settings, quiet, port=1)


def test_variables_beside_the_configuration_are_taken_over_except_what_is_set(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = config_file.parent / ".env"
    env.touch(mode=0o600)
    env.write_text("SET_BEFORE='from the file'\nSECRET='a$b c#d'\n")
    monkeypatch.setenv("SET_BEFORE", "from outside")
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.delenv("SECRET")
    monkeypatch.setenv("ASSAY_CONFIG", str(config_file))
    assert load_environment() == config_file
    assert (os.environ["SET_BEFORE"], os.environ["SECRET"]) == ("from outside", "a$b c#d")


def test_the_configuration_of_the_current_folder_is_found(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CONFIG", "")
    monkeypatch.delenv("ASSAY_CONFIG")
    monkeypatch.chdir(config_file.parent)
    assert load_environment() == config_file
    assert os.environ["ASSAY_CONFIG"] == str(config_file)


def test_secrets_that_others_may_read_are_refused_with_what_to_do(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.touch(mode=0o644)
    with pytest.raises(ConfigError, match=r"others may read it.*chmod 600"):
        read_env(env)
    env.chmod(0o600)
    env.write_text("ONLY_A_NAME\n")
    with pytest.raises(ConfigError, match="gives no value"):
        read_env(env)


def test_components_started_in_the_checkout_share_secrets_that_nobody_wrote(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    home.mkdir()
    (home / "airflow.cfg").write_text((ROOT / "airflow.cfg").read_text())
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {"AIRFLOW_HOME": str(home)}
    read = "from airflow.configuration import conf; print(*(conf.get(*key) for key in (('api_auth','jwt_secret'),('core','fernet_key'),('api','secret_key'))))"
    starts = [subprocess.Popen([sys.executable, "-c", read], env=clean, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {start.communicate()[0].splitlines()[-1] for start in starts}
    assert len(said) == 1
    secrets = said.pop().split()
    assert len(set(secrets)) == 3
    assert all(len(secret) == 44 for secret in secrets)
    assert {path.stat().st_mode & 0o777 for path in (home / ".secrets").iterdir()} == {0o600}
    given = subprocess.run(
        [sys.executable, "-c", read],
        env=clean | {"AIRFLOW__API_AUTH__JWT_SECRET": "of a store"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert given.stdout.splitlines()[-1].startswith("of a store ")
