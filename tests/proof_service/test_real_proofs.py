"""Real trees, real provers: `python -m assay.proof_service` as its operator starts it, asked over HTTP on loopback, and its proofs checked by the verifier."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from assay.commitments.format import Commitment
from assay.config import Settings
from assay_verify.sum_tree.inclusion import Expected, check
from sandbox.processes import Process, free_port
from tests.conftest import ASSETS, CHAINS, CONFIG, WALLETS
from tests.proof_service.serving import FEBRUARY, JANUARY, OTHER_TOKEN, TOKEN, digest
from tests.proof_service.trees import SECRET, publish_tree

ROOT = Path(__file__).resolve().parents[2]
_random = random.Random(7)
BALANCES = {
    f"customer-{number}": {
        symbol: _random.randrange(10**top)
        for symbol, top in (("BTC", 10), ("ETH", 21), ("USDT", 12))
        if _random.random() < 0.7 or symbol == "USDT"
    }
    for number in range(300)
}
BALANCES["Ünïcode / \"ïd\" 'x' 🐟"] = {"BTC": 17}


def environment(configuration: Path, **connections: Any) -> dict[str, str]:
    """What an operator sets; nothing of a developer's own Airflow."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ASSAY"))}
    return {
        **kept,
        "AIRFLOW_HOME": str(configuration.parent / "airflow"),
        "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}",
        "ASSAY_CONFIG": str(configuration),
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps({"conn_type": "generic", **value}) for name, value in connections.items()},
    }


ACCESS = {
    "extra": {"token_sha256": {"website": digest(TOKEN).hex(), "next": digest(OTHER_TOKEN).hex()}, "limits": {"requests_per_second": 1000}}
}
CONNECTIONS = {"assay_pseudonym": {"password": SECRET}, "assay_proof_service": ACCESS}
COMMAND = [sys.executable, "-m", "assay.proof_service"]


@dataclass
class Running:
    client: httpx.Client
    log: Path
    settings: Settings
    january: Commitment
    february: Commitment


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "registry").mkdir()
    for name, text in {
        "assay.toml": CONFIG,
        "registry/assets.toml": ASSETS,
        "registry/chains.toml": CHAINS,
        "registry/wallets.csv": WALLETS,
    }.items():
        (folder / name).write_text(text)
    settings = Settings.load(folder / "assay.toml")
    older = {user: held for user, held in BALANCES.items() if user != "customer-9"}
    january = publish_tree(settings, JANUARY, older)
    february = publish_tree(settings, FEBRUARY, BALANCES)
    port = free_port()
    log = folder / "service.log"
    with (
        Process(
            "proof service", [*COMMAND, "--port", str(port)], log=log, environment=environment(settings.path, **CONNECTIONS)
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) as client,
    ):
        process.wait_until(lambda: answers(client))
        yield Running(client=client, log=log, settings=settings, january=january, february=february)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    "user", BALANCES.keys() if os.environ.get("ASSAY_ALL_USERS") else _random.sample(sorted(BALANCES), 19) + list(BALANCES)[-1:]
)
def test_a_users_proof_holds_and_says_what_the_user_has(service: Running, user: str) -> None:
    answer = service.client.post("/v1/proofs", json={"user_id": user})
    assert answer.status_code == 200
    assert user not in answer.text
    proof = answer.json()
    expected = Expected(user_id=user, commitment=service.february.commitment.hex())
    verified = check(proof, expected)
    assert verified.findings.exit_code == 0, verified.findings
    held = [sum(int(leaf["balances"][place]) for leaf in proof["leaves"]) for place in range(3)]
    assert held == [BALANCES[user].get(symbol, 0) for symbol in ("BTC", "ETH", "USDT")]


def test_a_proof_of_another_report_leads_to_that_one(service: Running) -> None:
    wanted = {"user_id": "customer-8", "report": {"as_of": "2023-01-31T16:00:00Z"}}
    proof = service.client.post("/v1/proofs", json=wanted).json()
    assert check(proof, Expected(user_id="customer-8", commitment=service.january.commitment.hex())).findings.exit_code == 0
    assert check(proof, Expected(user_id="customer-8", commitment=service.february.commitment.hex())).findings.exit_code != 0
    listed = service.client.get("/v1/reports").json()["reports"]
    assert [report["commitment"] for report in listed] == [tree.commitment.hex() for tree in (service.february, service.january)]


@pytest.mark.parametrize("user", ["customer-300", "customer-0 ", "Customer-0", "customer", "0", "' or '1'='1", "../../index", "%", "\x00"])
def test_another_id_is_in_no_tree(service: Running, user: str) -> None:
    assert service.client.post("/v1/proofs", json={"user_id": user}).status_code == 404


def test_who_joined_later_is_not_in_the_earlier_report(service: Running) -> None:
    older = {"as_of": "2023-01-31T16:00:00Z"}
    assert service.client.post("/v1/proofs", json={"user_id": "customer-9", "report": older}).status_code == 404
    assert service.client.post("/v1/proofs", json={"user_id": "customer-9"}).status_code == 200


def test_callers_at_once_on_two_reports_get_what_callers_one_by_one_get(service: Running) -> None:
    wanted = [
        {"user_id": f"customer-{number}", "report": {"as_of": as_of}}
        for number in range(10, 30)
        for as_of in ("2023-01-31T16:00:00Z", "2023-02-28T16:00:00Z")
    ]
    one_by_one = [service.client.post("/v1/proofs", json=body).json() for body in wanted]
    with ThreadPoolExecutor(8) as callers:
        at_once = list(callers.map(lambda body: service.client.post("/v1/proofs", json=body).json(), wanted))
    assert at_once == one_by_one
    assert all("leaves" in proof for proof in at_once)


def test_a_users_proof_is_the_same_each_time(service: Running) -> None:
    first, second = (service.client.post("/v1/proofs", json={"user_id": "customer-7"}).content for _ in range(2))
    assert first == second


def test_a_destroyed_index_gives_no_proof(service: Running) -> None:
    index = service.settings.lake / "marts" / "commitments" / "2023-01-31T160000Z" / "index"
    wanted = {"user_id": "customer-8", "report": {"as_of": "2023-01-31T16:00:00Z"}}
    assert service.client.post("/v1/proofs", json=wanted).status_code == 200
    aside = shutil.move(index, index.with_name("moved"))
    assert service.client.post("/v1/proofs", json=wanted).status_code == 410
    shutil.move(aside, index)
    assert service.client.post("/v1/proofs", json=wanted).status_code == 200


def test_its_log_names_no_user_token_or_path(service: Running) -> None:
    service.client.post("/v1/proofs", json={"user_id": "customer-canary"})
    service.client.post("/v1/proofs", json={"user_id": "customer-5"})
    service.client.get("/v1/reports", headers={"Authorization": f"Bearer {OTHER_TOKEN}x", "X-Forwarded-For": "192.0.2.7"})
    log = service.log.read_text()
    assert "a request from 127.0.0.1 carried no valid token" in log  # nobody's word is taken for the address
    assert "a proof of 2023-02-28T16:00:00Z" in log
    for word in ("customer", TOKEN, OTHER_TOKEN, SECRET, str(service.settings.lake), "Traceback"):
        assert word not in log


def test_the_pages_own_commands_work(service: Running, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "proof_service.md").read_text(), re.DOTALL)
    calls = "\n".join(block for block in blocks if "curl" in block)
    assert calls.count("curl") == 3
    for written, real in (
        ("http://127.0.0.1:8190", str(service.client.base_url)),
        ("100017", "customer-8"),
        ("2023-02-17T16", "2023-02-28T16"),
    ):
        assert written in calls
        calls = calls.replace(written, real.rstrip("/"))
    ended = subprocess.run(
        ["sh", "-euc", calls], env={**os.environ, "TOKEN": TOKEN}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [report["revision"] for report in json.loads(ended.stdout)["reports"]] == [1, 1]
    proof = json.loads((tmp_path / "proof.json").read_text())
    assert check(proof, Expected(user_id="customer-8", commitment=service.february.commitment.hex())).findings.exit_code == 0

    making = next(block for block in blocks if "openssl" in block)
    made = subprocess.run(["sh", "-euc", making + 'printf "%s" "$TOKEN"'], capture_output=True, text=True, check=True).stdout.split()
    assert (made[0], len(made[2])) == (digest(made[2]).hex(), 64)


def test_it_speaks_tls_and_believes_the_proxy_that_was_named(config_file: Path, tmp_path: Path) -> None:
    certificate, key, log, port = tmp_path / "c.pem", tmp_path / "k.pem", tmp_path / "log", free_port()
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ed25519",
        "-nodes",
        "-days",
        "1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
        *subject,
    ]
    subprocess.run(made, capture_output=True, check=True)
    command = [*COMMAND, "--port", str(port), "--certificate", str(certificate), "--key", str(key), "--proxy", "127.0.0.1"]
    context = ssl.create_default_context(cafile=str(certificate))
    with (
        Process("proof service", command, log=log, environment=environment(config_file, **CONNECTIONS)) as process,
        httpx.Client(base_url=f"https://localhost:{port}", verify=context, timeout=30) as client,
    ):
        process.wait_until(lambda: answers(client))
        assert client.get("/v1/reports", headers={"Authorization": f"Bearer {TOKEN}"}).json() == {"reports": []}
        assert client.get("/v1/reports", headers={"X-Forwarded-For": "2001:db8:1:2:3:4:5:6"}).status_code == 401
    assert "a request from 2001:db8:1:2::/64 carried no valid token" in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "connections", "message"),
    [
        ([], {"assay_pseudonym": {"password": SECRET}}, "there is no such Airflow Connection"),
        ([], {**CONNECTIONS, "assay_proof_service": {"extra": {"token_sha256": {}}}}, "no token's digest"),
        ([], {"assay_proof_service": ACCESS}, "assay_pseudonym"),
        (["--host", "0.0.0.0"], CONNECTIONS, "clear text"),
        (["--host", "service.example"], CONNECTIONS, "clear text"),
        (["--certificate", "c.pem"], CONNECTIONS, "belong together"),
        (["--certificate", "c.pem", "--key", "k.pem"], CONNECTIONS, "no such file"),
    ],
)
def test_it_refuses_to_start(config_file: Path, arguments: list[str], connections: dict[str, Any], message: str) -> None:
    command = [*COMMAND, "--port", str(free_port()), *arguments]
    ended = subprocess.run(command, env=environment(config_file, **connections), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Next step" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stderr
