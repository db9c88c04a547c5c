"""Calls over HTTP, against uvicorn on loopback; the proofs are stand-ins (`serving.py`)."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import shutil
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from assay import origin
from assay.config import Settings
from assay.errors import CommitmentError
from assay.proof_service import answers
from assay.proof_service.answers import Refusal
from assay.proof_service.app import Threads
from assay.proof_service.reports import PublishedReports
from tests.proof_service.serving import FEBRUARY, JANUARY, USER, StandIn, application, destroy_index, publish, serving

PROOFS = "/v1/proofs"
JANUARY_TEXT = "2023-01-31T16:00:00Z"


def refused(answer: httpx.Response, status: int) -> str:
    """Check that an answer is a refusal in the one shape, and shows nothing; returns its error."""
    assert answer.status_code == status
    content = answer.json()
    assert content.keys() == {"error", "next_step"}
    assert USER not in answer.text
    assert "Traceback" not in answer.text
    assert "/tmp" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    return str(content["error"])


def test_the_newest_report_is_the_default(client: httpx.Client, stand_in: StandIn) -> None:
    answer = client.post(PROOFS, json={"user_id": USER})
    assert (answer.status_code, answer.json()) == (200, {"commitment": "00", "for": USER})
    assert [tree.parent.name for tree in stand_in.opened] == ["2023-02-28T160000Z"]
    assert answer.headers["content-disposition"] == 'attachment; filename="inclusion-proof-test-2023-02-28T160000Z.json"'


@pytest.mark.parametrize(
    ("report", "folder"),
    [
        ({"as_of": JANUARY_TEXT}, "2023-01-31T160000Z.r2"),
        ({"as_of": JANUARY_TEXT, "revision": None}, "2023-01-31T160000Z.r2"),
        ({"as_of": JANUARY_TEXT, "revision": 1}, "2023-01-31T160000Z"),
        ({"as_of": JANUARY_TEXT, "revision": 2}, "2023-01-31T160000Z.r2"),
        (None, "2023-02-28T160000Z"),
    ],
)
def test_a_report_is_named_by_moment_and_revision(client: httpx.Client, stand_in: StandIn, report: object, folder: str) -> None:
    answer = client.post(PROOFS, json={"user_id": USER, "report": report})
    assert answer.status_code == 200
    assert [tree.parent.name for tree in stand_in.opened] == [folder]
    assert answer.headers["content-disposition"].endswith(f'{folder}.json"')


def test_reports_are_listed_newest_first_and_a_new_one_appears_by_itself(client: httpx.Client, settings: Settings) -> None:
    def listed() -> list[tuple[str, int]]:
        return [(report["as_of"], report["revision"]) for report in client.get("/v1/reports").json()["reports"]]

    before = [("2023-02-28T16:00:00Z", 1), (JANUARY_TEXT, 2), (JANUARY_TEXT, 1)]
    assert listed() == before
    publish(settings, FEBRUARY, 2)
    assert listed() == [("2023-02-28T16:00:00Z", 2), *before]
    assert client.get("/v1/reports").json()["reports"][0] == {
        "series": "test",
        "as_of": "2023-02-28T16:00:00Z",
        "revision": 2,
        "commitment": "00",
    }


def test_a_publication_from_before_there_was_a_tree_is_not_offered(client: httpx.Client, settings: Settings) -> None:
    publish(settings, FEBRUARY, 2, commitment=None)
    assert client.get("/v1/reports").json()["reports"][0]["revision"] == 1
    assert "no such report" in refused(
        client.post(PROOFS, json={"user_id": USER, "report": {"as_of": "2023-02-28T16:00:00Z", "revision": 2}}), 404
    )


def test_a_publication_that_was_taken_away_is_not_offered_and_the_others_are(client: httpx.Client, settings: Settings) -> None:
    shutil.rmtree(settings.lake / "publications" / "test" / "2023-01-31T160000Z.r2")
    assert [report["revision"] for report in client.get("/v1/reports").json()["reports"]] == [1, 1]
    assert client.post(PROOFS, json={"user_id": USER, "report": {"as_of": JANUARY_TEXT}}).status_code == 200


def test_an_altered_manifest_harms_only_its_own_report(client: httpx.Client, settings: Settings) -> None:
    (settings.lake / "publications" / "test" / "2023-01-31T160000Z" / "manifest.json").write_text("{}")
    assert client.post(PROOFS, json={"user_id": USER}).status_code == 200
    refused(client.post(PROOFS, json={"user_id": USER, "report": {"as_of": JANUARY_TEXT, "revision": 1}}), 503)


@pytest.mark.parametrize("report", [{"as_of": "2022-01-31T16:00:00Z"}, {"as_of": JANUARY_TEXT, "revision": 3}])
def test_an_unknown_report_is_404(client: httpx.Client, report: object) -> None:
    assert refused(client.post(PROOFS, json={"user_id": USER, "report": report}), 404) == "there is no such report"


def test_an_unknown_user_is_404_in_one_sentence_without_the_id(client: httpx.Client, stand_in: StandIn) -> None:
    answer = client.post(PROOFS, json={"user_id": "nobody-canary"})
    assert "this user is not in the report" in refused(answer, 404)
    assert "canary" not in answer.text
    client.post(PROOFS, json={"user_id": "nobody else"})
    client.post(PROOFS, json={"user_id": USER})
    assert len(stand_in.opened) == 1


def test_a_destroyed_index_is_410_even_after_it_was_open(config_file: Any, stand_in: StandIn) -> None:
    settings = Settings.load(config_file)
    manifest = publish(settings, JANUARY)
    with serving(application(settings, stand_in)) as client:
        assert client.post(PROOFS, json={"user_id": USER}).status_code == 200
        destroy_index(settings, manifest)
        assert "no longer given" in refused(client.post(PROOFS, json={"user_id": USER}), 410)
        assert client.get("/v1/reports").json()["reports"]


def test_the_files_of_a_destroyed_index_are_let_go_whichever_report_is_asked_for(settings: Settings) -> None:
    manifest = publish(settings, FEBRUARY, 2)
    provers = weakref.WeakValueDictionary[str, StandIn]()

    def open_prover(tree: Path, _index: Path) -> StandIn:
        prover = provers[tree.parent.name] = StandIn()
        return prover

    reports = PublishedReports(settings, index_of=origin.index_of, open_prover=open_prover)
    reports.prove(reports.find(), USER)
    reports.prove(reports.find(JANUARY), USER)
    assert len(provers) == 2
    destroy_index(settings, manifest)
    reports.prove(reports.find(JANUARY), USER)
    gc.collect()
    assert list(provers) == ["2023-01-31T160000Z.r2"]


def test_provers_of_the_last_few_reports_stay_open(config_file: Any, stand_in: StandIn) -> None:
    settings = Settings.load(config_file)
    for revision in range(1, 6):
        publish(settings, JANUARY, revision)
    with serving(application(settings, stand_in)) as client:
        for revision in (1, 2, 3, 3, 2, 1, 4, 1, 3, 5, 2):
            assert client.post(PROOFS, json={"user_id": USER, "report": {"as_of": JANUARY_TEXT, "revision": revision}}).status_code == 200
    # Three stay open: 3 falls out for 4, 2 for 3, 4 for 5, and 3 and 2 have to be opened anew.
    assert [tree.parent.name.partition(".")[2] for tree in stand_in.opened] == ["", "r2", "r3", "r4", "r3", "r5", "r2"]


BAD_BODIES = {
    "nothing": b"",
    "not JSON": b"user_id=" + USER.encode(),
    "cut off": b'{"user_id": "',
    "a list": b"[]",
    "null": b"null",
    "no user": b"{}",
    "a null user": b'{"user_id": null}',
    "a number": b'{"user_id": 17}',
    "an empty id": b'{"user_id": ""}',
    "a list of ids": b'{"user_id": ["a"]}',
    "a long id": json.dumps({"user_id": 1025 * "x"}).encode(),
    "half a surrogate pair": rb'{"user_id": "\ud800"}',
    "bytes that are not UTF-8": b'{"user_id": "\xff"}',
    "an unknown member": f'{{"user_id": "{USER}", "{USER}": 1}}'.encode(),
    "a report without moment": b'{"user_id": "a", "report": {}}',
    "a report in words": b'{"user_id": "a", "report": "newest"}',
    "a date alone": b'{"user_id": "a", "report": {"as_of": "2023-01-31"}}',
    "an offset": b'{"user_id": "a", "report": {"as_of": "2023-01-31T16:00:00+00:00"}}',
    "no such day": b'{"user_id": "a", "report": {"as_of": "2023-02-31T16:00:00Z"}}',
    "a line more": b'{"user_id": "a", "report": {"as_of": "2023-01-31T16:00:00Z\\n"}}',
    "digits of another script": '{"user_id": "a", "report": {"as_of": "２023-01-31T16:00:00Z"}}'.encode(),
    "revision 0": b'{"user_id": "a", "report": {"as_of": "2023-01-31T16:00:00Z", "revision": 0}}',
    "a revision in quotes": b'{"user_id": "a", "report": {"as_of": "2023-01-31T16:00:00Z", "revision": "1"}}',
    "a fraction": b'{"user_id": "a", "report": {"as_of": "2023-01-31T16:00:00Z", "revision": 1.0}}',
    "true": b'{"user_id": "a", "report": {"as_of": "2023-01-31T16:00:00Z", "revision": true}}',
    "a huge revision": b'{"user_id": "a", "report": {"as_of": "2023-01-31T16:00:00Z", "revision": 1' + 400 * b"0" + b"}}",
    "deep nesting": 2000 * b"[" + 2000 * b"]",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_of_another_form_is_422(client: httpx.Client, stand_in: StandIn, body: bytes) -> None:
    refused(client.post(PROOFS, content=body, headers={"Content-Type": "application/json"}), 422)
    assert not stand_in.opened


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_that_is_not_called_json_is_415(client: httpx.Client, kind: str | None) -> None:
    refused(client.post(PROOFS, content=json.dumps({"user_id": USER}), headers={"Content-Type": kind} if kind else {}), 415)


def test_a_body_of_exactly_the_limit_is_read(client: httpx.Client) -> None:
    body = json.dumps({"user_id": USER}).encode()
    answer = client.post(PROOFS, content=body.ljust(answers.MAX_BODY), headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status_code == 200


def test_a_longer_body_is_413_whether_or_not_it_says_its_length(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"user_id": "'
        for _ in range(64):
            yield 1024 * b"x"

    too_long = json.dumps({"user_id": USER}).encode().ljust(answers.MAX_BODY + 1)
    for content in (too_long, pieces()):
        refused(client.post(PROOFS, content=content, headers={"Content-Type": "application/json"}), 413)


def test_a_body_that_does_not_come_is_408(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_BODY_SECONDS", 0.2)
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        head = f"POST /v1/proofs HTTP/1.1\r\nHost: x\r\nAuthorization: {client.headers['authorization']}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 40\r\n\r\n{{".encode())
        connection.settimeout(10)
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


def test_a_caller_that_leaves_half_way_harms_nobody(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        head = f"POST /v1/proofs HTTP/1.1\r\nHost: x\r\nAuthorization: {client.headers['authorization']}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 40\r\n\r\n{{".encode())
    assert client.post(PROOFS, json={"user_id": USER}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/proofs", 405),
        ("GET", f"/v1/proofs/{USER}", 404),
        ("POST", "/v1/reports", 405),
        ("GET", "/docs", 404),
        ("GET", "/redoc", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/v1/reports/", 404),
        ("OPTIONS", "/v1/proofs", 405),
    ],
)
def test_there_are_no_other_calls(client: httpx.Client, method: str, path: str, status: int) -> None:
    refused(client.request(method, path), status)


def test_the_calls_are_described_where_it_is_asked_for(settings: Settings, stand_in: StandIn) -> None:
    with serving(application(settings, stand_in, openapi=True), token=None) as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert paths.keys() == {"/healthz", "/v1/reports", "/v1/proofs"}
    form = paths["/v1/proofs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert form["required"] == ["user_id"]


def test_headers_keep_answers_out_of_caches_frames_and_other_sites(client: httpx.Client) -> None:
    for answer in (
        client.post(PROOFS, json={"user_id": USER}, headers={"Origin": "https://elsewhere.example"}),
        client.get("/healthz"),
        client.get("/nowhere"),
        client.get("/v1/reports", headers={"Authorization": "Bearer no"}),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["content-type"] == "application/json"
        assert "server" not in answer.headers
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError(f"{USER} is in /var/lib/assay"), 500),
        (KeyError(USER), 500),
        (CommitmentError(f"{USER} has no nonce in /var/lib/assay", subject=f"/var/lib/assay of {USER}", next_step=f"ask {USER}"), 503),
    ],
)
def test_what_fails_inside_is_told_to_nobody(
    client: httpx.Client, stand_in: StandIn, caplog: pytest.LogCaptureFixture, error: Exception, status: int
) -> None:
    def fail(_user: str) -> None:
        raise error

    stand_in.act = fail
    with caplog.at_level(logging.DEBUG):
        answer = client.post(PROOFS, json={"user_id": USER})
    refused(answer, status)
    assert "/var" not in answer.text
    assert type(error).__name__ in caplog.text
    for secret in (USER, "/var/lib", "Traceback"):
        assert secret not in caplog.text


@pytest.mark.parametrize("broken", ["log", "manifest", "commitment"])
def test_a_publication_that_was_changed_gives_no_proof(
    settings: Settings, client: httpx.Client, stand_in: StandIn, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    series = settings.lake / "publications" / "test"
    if broken == "log":
        path = series / "log.jsonl"
        path.write_text(path.read_text().replace('"revision":2', '"revision":3'))
    elif broken == "manifest":
        path = series / "2023-02-28T160000Z" / "manifest.json"
        path.write_text(path.read_text().replace("00", "11"))
    else:
        stand_in.commitment = "11"
    answer = client.post(PROOFS, json={"user_id": USER})
    refused(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert "PublicationError" in caplog.text
    assert str(settings.lake) not in caplog.text


def test_no_user_id_is_logged_by_anybody(client: httpx.Client, stand_in: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert client.post(PROOFS, json={"user_id": USER}).status_code == 200
        client.post(PROOFS, json={"user_id": f"nobody-{USER}"})
        client.post(PROOFS, json={"user_id": USER, "report": {"as_of": "2022-01-31T16:00:00Z"}})
        client.post(PROOFS, json={"user_id": USER, USER: USER})
        client.post(PROOFS, json={"user_id": USER}, headers={"Authorization": f"Bearer {USER}{USER}{USER}"})
    assert "token website: a proof of 2023-02-28T16:00:00Z" in caplog.text
    assert "POST /v1/proofs HTTP/1.1" in caplog.text  # uvicorn's own access log
    assert USER not in caplog.text


def test_requests_beyond_the_threads_are_sent_away_and_the_others_served(settings: Settings, stand_in: StandIn) -> None:
    begun = threading.Semaphore(0)
    go_on = threading.Event()

    def wait(_user: str) -> None:
        begun.release()
        go_on.wait(10)

    stand_in.act = wait
    with serving(application(settings, stand_in, threads=2, waiting=0)) as client, ThreadPoolExecutor(2) as callers:
        served = [callers.submit(client.post, PROOFS, json={"user_id": user}) for user in ("a", "b")]
        assert all(begun.acquire(timeout=10) for _ in served)
        answer = client.post(PROOFS, json={"user_id": USER})
        assert "busy" in refused(answer, 503)
        assert answer.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200
        go_on.set()
        assert [call.result().json()["for"] for call in served] == ["a", "b"]
        assert client.post(PROOFS, json={"user_id": USER}).status_code == 200


def test_the_queue_before_the_threads_is_as_long_as_said() -> None:
    async def fill() -> None:
        threads = Threads(1, waiting=2)
        go_on = threading.Event()
        accepted = [asyncio.create_task(threads.run(lambda: go_on.wait(10))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="busy"):
            await threads.run(bool)
        # A caller that goes away gives its place back when its work has ended, not before.
        accepted[0].cancel()
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="busy"):
            await threads.run(bool)
        go_on.set()
        await asyncio.gather(*accepted[1:])
        assert await threads.run(lambda: 17) == 17
        threads.close()

    asyncio.run(fill())


def test_many_callers_at_once_get_each_their_own_proof(client: httpx.Client) -> None:
    users = [f"user-{number}" for number in range(60)]
    with ThreadPoolExecutor(20) as callers:
        proofs = list(callers.map(lambda user: client.post(PROOFS, json={"user_id": user}).json(), users))
    assert [proof["for"] for proof in proofs] == users


def test_no_prover_is_used_by_two_threads_at_once(settings: Settings) -> None:
    opened = []

    class OneAtATime(StandIn):
        def __init__(self) -> None:
            super().__init__(act=self.use)
            self.busy = threading.Lock()

        def use(self, _user: str) -> None:
            assert self.busy.acquire(blocking=False)
            time.sleep(0.005)
            self.busy.release()

    def open_prover(_tree: Path, _index: Path) -> OneAtATime:
        opened.append(OneAtATime())
        return opened[-1]

    reports = PublishedReports(settings, index_of=origin.index_of, open_prover=open_prover)
    newest = reports.find()
    with ThreadPoolExecutor(4) as callers:
        assert len(list(callers.map(lambda _: reports.prove(newest, USER), range(100)))) == 100
    assert len(opened) <= 4


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=st.text(min_size=1, max_size=200).filter(lambda text: not text.startswith("nobody")))
def test_any_text_is_a_user_id_character_by_character(client: httpx.Client, user: str) -> None:
    answer = client.post(
        PROOFS, content=json.dumps({"user_id": user}, ensure_ascii=False).encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.json()["for"] == user


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["user_id", "report", "as_of", "revision", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_sent_is_answered_in_the_one_shape(client: httpx.Client, body: bytes) -> None:
    answer = client.post(PROOFS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {200, 404, 422}
    assert answer.json().keys() in ({"error", "next_step"}, {"commitment", "for"})
