"""The pages in a real API server of Airflow: who may see them, what they show, and what no address reaches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assay.orchestration import places
from tests.publication.lake import publish_moment, settings_for, stage
from tests.publication.sample import FIRST, SECOND, make_inputs

ROOT = Path(__file__).resolve().parents[2]
RUN = "manual__1"
STAGED = places.staged_report(SECOND, RUN)
DIFF = places.staged_difference(SECOND, RUN)
DOCS = places.data_docs(SECOND, RUN)
PUBLISHED = places.published_report("2023-01-18T160000Z")

PROGRAM = """
import asyncio, json, os, sys
os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
import httpx
from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.utils.db import initdb

async def main():
    initdb()
    app = create_app(apps="all")
    loaded = "assay.orchestration.pages" in sys.modules
    answers = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://airflow") as client:
        for role, path, accept in json.loads(sys.argv[1]):
            headers = {"Accept": accept}
            if role:
                user = SimpleAuthManagerUser(username=role, role=role.upper())
                headers["Authorization"] = "Bearer " + get_auth_manager().generate_jwt(user)
            request = client.build_request("GET", "http://airflow/", headers=headers)
            # As a client that sends what it is told to: httpx itself takes `..` out of an address.
            request.url = request.url.copy_with(raw_path=path.encode())
            answer = await client.send(request)
            answers.append([answer.status_code, dict(answer.headers), answer.text])
    print("FOUND" + json.dumps([loaded, answers]))

asyncio.run(main())
"""


def ask(configuration: Path, *requests: tuple[str, str] | tuple[str, str, str]) -> list[tuple[int, dict[str, str], str]]:
    """Ask a new API server, each time as a role (empty for nobody), for a path, as a program or with what a browser accepts."""
    home = configuration.parent / "airflow"
    variables = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of this test, long enough for the algorithm that signs with it, 64 bytes and more",
        "ASSAY_CONFIG": str(configuration),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ASSAY", "PYTHONPATH"))}
    asked = json.dumps([(*request, "*/*")[:3] for request in requests])
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, asked], env={**kept, **variables}, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    loaded, answers = json.loads(ended.stdout.rpartition("FOUND")[2])
    assert not loaded, "the pages are loaded by the first request, not by the server's start"
    return [(status, headers, text) for status, headers, text in answers]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose lake holds a publication, a staged one after it, and Data Docs."""
    from tests.conftest import ASSETS, CHAINS, CONFIG, WALLETS

    root = tmp_path_factory.mktemp("deployment")
    publish_moment(root, FIRST)
    inputs = make_inputs(root / "inputs-second", SECOND)
    settings = settings_for(inputs, root)
    shutil.move(stage(root, inputs, SECOND), _made(root / "lake" / "marts" / "staged" / STAGED.split("/")[3]) / STAGED.split("/")[4])
    docs = _made(root / "lake" / "quality" / "attestation" / DOCS.split("/")[3] / DOCS.split("/")[4] / "docs")
    page = _made(docs / "validations" / "liabilities" / "none") / "result.html"
    page.write_text("<head></head><td>Unsuccessful Expectations</td><td> 3 </td>")
    (docs.parent / "rows.txt").write_text("of users")
    (docs / "link.html").symlink_to(docs.parent / "rows.txt")
    registry = _made(root / "registry")
    for name, text in (("assets.toml", ASSETS), ("chains.toml", CHAINS), ("wallets.csv", WALLETS)):
        (registry / name).write_text(text)
    (root / "assay.toml").write_text(CONFIG.replace('series = "test"', f'series = "{settings.series}"'))
    return root / "assay.toml"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_who_is_logged_in_sees_reports_and_who_may_only_look_sees_no_rows(deployment: Path) -> None:
    answers = ask(
        deployment, ("viewer", STAGED), ("viewer", DIFF), ("viewer", PUBLISHED), ("viewer", DOCS), ("user", DOCS), ("op", "/assay/runbook")
    )
    assert [status for status, _, _ in answers] == [200, 200, 200, 403, 200, 200]
    assert "Sandbox Exchange" in answers[0][2]
    assert "Compared with" in answers[1][2]
    assert "2023-01-18T160000Z" in answers[1][2]
    assert '<h3 id="sourcemismatcherror">' in answers[5][2]
    for _, headers, _ in answers:
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "private, no-store"
    assert answers[4][1]["content-security-policy"].startswith("sandbox allow-popups; default-src 'none'")
    assert '<a href="validations/liabilities/none/result.html">liabilities</a></td><td>3</td>' in answers[4][2]


def test_nobody_else_sees_anything_and_a_browser_is_led_to_the_login(deployment: Path) -> None:
    pages = (STAGED, DIFF, DOCS, PUBLISHED, "/assay/runbook")
    answers = ask(deployment, *(("", page) for page in pages), ("", STAGED, "text/html"))
    assert [status for status, _, _ in answers] == [401] * len(pages) + [302]
    assert answers[-1][1]["location"].startswith("/auth/login?next=")
    assert all("Sandbox Exchange" not in text for _, _, text in answers)


def test_no_address_leads_out_of_its_folder(deployment: Path) -> None:
    slug, run = DOCS.split("/")[3:5]
    paths = [
        f"/assay/quality/{slug}/{run}/../rows.txt",
        f"/assay/quality/{slug}/{run}/%2e%2e/rows.txt",
        f"/assay/quality/{slug}/{run}/..%2frows.txt",
        f"/assay/quality/{slug}/{run}//etc/passwd",
        f"/assay/quality/{slug}/{run}/link.html",
        f"/assay/quality/{slug}/{run}/none%00.html",
        f"/assay/quality/{slug}/{run}/",
        f"/assay/quality/..%2f..%2fmarts/{run}/index.html",
        "/assay/published/..%2f..%2fassay.toml/report.html",
        "/assay/published/../report.html",
        f"/assay/staged/{slug}/..%2f..%2f..%2fpublications/report.html",
        f"/assay/staged/{slug}/000000000000/report.html",
        f"/assay/staged/{slug}/000000000000/diff",
        "/assay/openapi.json",
        "/assay/",
    ]
    answers = ask(deployment, *(("admin", path) for path in paths))
    found = {path: status for path, (status, _, _) in zip(paths, answers, strict=True)}
    assert found.pop(f"/assay/quality/{slug}/{run}/") == 200
    assert found == dict.fromkeys(found, 404)
    assert all("of users" not in text and "root:" not in text for _, _, text in answers)


def test_without_a_configuration_the_server_starts_and_the_page_says_what_is_missing(tmp_path: Path) -> None:
    answers = ask(tmp_path / "nowhere.toml", ("op", STAGED), ("op", "/assay/runbook"), ("", STAGED))
    assert [status for status, _, _ in answers] == [503, 200, 401]
    assert "nowhere.toml: it cannot be read (No such file or directory)" in answers[0][2]
