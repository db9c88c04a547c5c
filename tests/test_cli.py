from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from assay import cli
from assay.airflow_api import AirflowApi, AirflowApiError
from assay.config import Settings
from sandbox.processes import free_port

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def configured(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_CONFIG", str(config_file))
    for source in Settings.load(config_file).prices.sources:
        source.path.parent.mkdir(exist_ok=True)
        source.path.write_text("asset,price,currency,time\n")
    return config_file


def test_the_registry_check_says_what_it_looked_at_and_what_it_did_not(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = configured.parent / "prices" / "primary.csv"
    prices.write_text(f"{prices.read_text()}BTC,1,USD,2023-02-17T16:00:00Z\nBTC,1,USD,2023-01-18T16:00:00Z\n")
    assert cli.main(["registry", "check"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines() if ": " in line)
    assert lines["chain bitcoin"] == "1 wallet; BTC; read through bitcoin_a (electrum)"
    assert lines["chain ethereum"] == "1 wallet; ETH, USDT; read through ethereum_a (jsonrpc), ethereum_b (jsonrpc)"
    assert lines["custody"] == "1 cold, 1 hot"
    assert lines["prices primary"].startswith("well-formed, and without a price of ETH, USDT yet")
    assert lines["schedule"].startswith("0 16 17 * * (UTC); the next time is 20")
    assert "nodes, ledger, Airflow" in lines["not checked"]


def test_the_registry_check_is_not_cut_in_a_pipe_and_wraps_between_words_at_a_terminal(configured: Path) -> None:
    command = [sys.executable, "-m", "assay.cli", "registry", "check"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins"), "TERM": "xterm", "COLUMNS": "80"}
    piped = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert f"configuration: {configured}, series test, entity Test Custodian\n" in piped
    terminal, inside = os.openpty()
    shown = subprocess.Popen(command, env=environment, stdout=inside, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(inside)
    pieces: list[bytes] = []
    with suppress(OSError):  # so a terminal ends
        while piece := os.read(terminal, 4096):
            pieces.append(piece)
    os.close(terminal)
    text = b"".join(pieces).decode()
    assert shown.wait() == 0
    assert piped.split() == text.split()
    assert all(len(line) <= 80 or " " not in line.strip() for line in text.splitlines())
    assert piped.endswith("\n")


def test_a_bad_registry_ends_in_one_message_and_exit_code_1(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = configured.parent / "registry" / "wallets.csv"
    path.write_text(path.read_text().replace("1A1zP1", "1A1zP2"))
    assert cli.main(["registry", "check"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("assay: ")
    assert "line 2" in message
    assert "Traceback" not in message


def test_pools_are_printed_for_import(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pools"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"bitcoin_a", "ethereum_a", "ethereum_b"}


def test_before_the_first_publication_status_and_show_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status"]) == 0
    assert "nothing was published yet" in capsys.readouterr().out
    assert cli.main(["show"]) == 1
    assert "nothing was published yet" in capsys.readouterr().err


def test_a_folder_that_is_no_publication_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", str(tmp_path)]) == 1
    assert f"{tmp_path}: it holds no manifest.json, so it is no publication" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["show"], ["verify"], ["replay"], ["proof", "--user", "x"]])
def test_a_publication_that_is_not_there_is_said_so_by_every_command(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([words[0], str(tmp_path / "nonexist"), *words[1:]]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"assay: {tmp_path / 'nonexist'}: there is no such publication. Next step: name ")
    assert message.endswith("\n")


def help_of(*words: str) -> list[str]:
    """Return the lines of a command's help at 80 columns, as argparse prints it."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins"), "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-m", "assay.cli", *words, "--help"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\n")
    return done.stdout.splitlines()


def commands_in(lines: list[str]) -> list[str]:
    """Return the commands that a help lists, each at an indent of four."""
    return [line.split()[0] for line in lines if line.startswith("    ") and line[4] not in " -"]


def test_the_help_of_every_command_fits_into_80_columns_and_says_what_it_does_and_its_exit_codes() -> None:
    first = help_of()
    paths = [(name,) for name in commands_in(first)]
    assert ("attest",) in paths
    paths += [(name, inner) for name in ("registry", "ledger") for inner in commands_in(help_of(name))]
    assert ("registry", "check") in paths
    for path in paths:
        lines = help_of(*path)
        assert max(map(len, lines)) <= 80, path
        before = lines.index("options:")
        assert any(line.endswith(".") for line in lines[:before]), f"{path} does not say what it does"
        if path not in {("registry",), ("ledger",)}:
            assert any(line.startswith("exit codes: 0 ") for line in lines), path


def test_a_moment_in_another_form_is_refused_before_airflow_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["attest", "--as-of", "2023-02-17"]) == 1
    assert "2023-02-17T16:00:00Z" in capsys.readouterr().err


def test_an_airflow_that_does_not_answer_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with AirflowApi(url) as api, pytest.raises(AirflowApiError, match="does not answer") as caught:
        api.get("/dags")
    assert url in str(caught.value)
