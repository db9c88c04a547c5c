"""Tokens: who is let in, how they are changed, and what is answered to everybody else. HTTP against uvicorn on loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from assay.config import Settings
from assay.errors import ConfigError
from assay.proof_service.access import Access, Limits, read_access
from tests.proof_service.serving import OTHER_TOKEN, PLENTY, TOKEN, USER, Keys, StandIn, application, digest, serving

PROOFS = "/v1/proofs"
WRONG = {
    "nothing": None,
    "an empty header": "",
    "no scheme": TOKEN,
    "another scheme": f"Basic {TOKEN}",
    "no token": "Bearer",
    "another token": f"Bearer {TOKEN[:-1]}1",
    "one character less": f"Bearer {TOKEN[:-1]}",
    "one character more": f"Bearer {TOKEN}0",
    "two tokens": f"Bearer {TOKEN} {TOKEN}",
    "a list": f"Bearer {TOKEN}, Bearer {TOKEN}",
    "a parameter": f'Bearer token="{TOKEN}"',
    "the digest": f"Bearer {hashlib.sha256(TOKEN.encode()).hexdigest()}",
    "another case": f"Bearer {TOKEN.upper()}",
    "a very long one": f"Bearer {4000 * 'x'}",
    "bytes beyond ASCII": "Bearer \xff\xfe",
}


@pytest.mark.parametrize("path", [PROOFS, "/v1/reports"])
def test_everybody_without_a_token_gets_the_same_answer(settings: Settings, stand_in: StandIn, path: str) -> None:
    answers = []
    with serving(application(settings, stand_in), token=None) as client:
        for value in WRONG.values():
            headers = {} if value is None else {"Authorization": value.encode("latin-1")}
            # A body that nobody may send is not looked at either.
            body = b"{" if value else json.dumps({"user_id": USER}).encode()
            request = client.build_request(
                "POST" if path == PROOFS else "GET", path, content=body if path == PROOFS else None, headers=headers
            )
            answers.append(client.send(request))
    assert {answer.status_code for answer in answers} == {401}
    assert len({(answer.text, answer.headers["www-authenticate"]) for answer in answers}) == 1
    assert answers[0].headers["www-authenticate"].startswith("Bearer")
    assert answers[0].json().keys() == {"error", "next_step"}
    assert not stand_in.opened


def test_two_authorization_headers_are_refused(client: httpx.Client) -> None:
    client.headers.pop("authorization")
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer x")]
    assert client.get("/v1/reports", headers=headers).status_code == 401
    assert client.get("/v1/reports", headers=headers[:1]).status_code == 200


def test_the_scheme_is_read_in_any_case(client: httpx.Client) -> None:
    assert client.get("/v1/reports", headers={"Authorization": f"bEaReR {TOKEN}"}).status_code == 200


def test_health_needs_no_token(settings: Settings, stand_in: StandIn) -> None:
    with serving(application(settings, stand_in), token=None) as client:
        assert client.get("/healthz").json() == {"status": "ok"}


def test_tokens_are_changed_without_a_restart(settings: Settings, stand_in: StandIn) -> None:
    keys = Keys(Access(digests={"old": digest(TOKEN)}, limits=PLENTY))

    def status(token: str) -> int:
        return client.get("/v1/reports", headers={"Authorization": f"Bearer {token}"}).status_code

    with serving(application(settings, stand_in, keys=keys)) as client:
        assert (status(TOKEN), status(OTHER_TOKEN)) == (200, 401)
        keys.access = Access(digests={"old": digest(TOKEN), "new": digest(OTHER_TOKEN)}, limits=PLENTY)
        assert (status(TOKEN), status(OTHER_TOKEN)) == (200, 401)
        keys.now += 60
        assert (status(TOKEN), status(OTHER_TOKEN)) == (200, 200)
        keys.access = Access(digests={"new": digest(OTHER_TOKEN)}, limits=PLENTY)
        keys.now += 60
        assert (status(TOKEN), status(OTHER_TOKEN)) == (401, 200)


def test_without_a_readable_connection_nobody_is_let_in_until_it_is_back(
    settings: Settings, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    good = Access(digests={"website": digest(TOKEN)}, limits=PLENTY)
    keys = Keys(good)
    with serving(application(settings, stand_in, keys=keys)) as client:
        assert client.get("/v1/reports").status_code == 200
        keys.access = ConfigError("there is no such Airflow Connection", subject="assay_proof_service", next_step="create it")
        keys.now += 60
        for path in ("/v1/reports", "/healthz"):
            answer = client.get(path)
            assert (answer.status_code, answer.json().keys()) == (503, {"error", "next_step"})
            assert "Connection" not in answer.text
        assert caplog.text.count("there is no such Airflow Connection") == 1
        keys.access = good
        keys.now += 5
        assert client.get("/v1/reports").status_code == 200


def test_every_digest_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or real(a, b))
    access = Access(digests={"first": digest(TOKEN), "second": digest(OTHER_TOKEN)})
    for headers in ([f"Bearer {TOKEN}"], [f"Bearer {OTHER_TOKEN}"], ["Bearer x"], [], ["Basic x"]):
        compared.clear()
        access.token_of(headers)
        assert len(compared) == 2


@hypothesis_settings(deadline=None)
@given(token=st.text(st.characters(codec="ascii"), max_size=80))
def test_no_other_text_is_a_token(token: str) -> None:
    access = Access(digests={"website": digest(TOKEN), "short": digest("hunter2"), "empty": digest("")})
    assert access.token_of([f"Bearer {token}"]) is None
    assert access.token_of([token]) is None


def test_a_token_of_fewer_than_32_characters_opens_nothing() -> None:
    access = Access(digests={"short": digest(31 * "a"), "long": digest(32 * "a")})
    assert access.token_of([f"Bearer {31 * 'a'}"]) is None
    assert access.token_of([f"Bearer {32 * 'a'}"]) == "long"


GOOD = {"website": 64 * "a"}


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({}, "no token"),
        ({"token_sha256": {}}, "no token"),
        ({"token_sha256": 64 * "a"}, "no token"),
        ({"token_sha256": {"website": TOKEN}}, "token_sha256 of website"),
        ({"token_sha256": {"website": 63 * "a"}}, "token_sha256 of website"),
        ({"token_sha256": {"website": None}}, "token_sha256 of website"),
        ({"token_sha256": {"a b": 64 * "a"}}, "name"),
        ({"token_sha256": {"a\nb": 64 * "a"}}, "name"),
        ({"token_sha256": GOOD, "limit": {}}, "1 more"),
        ({"token_sha256": GOOD, "limits": {"per_second": 1}}, "limits is not"),
        ({"token_sha256": GOOD, "limits": []}, "limits is not"),
        ({"token_sha256": GOOD, "limits": {"requests_per_second": 0}}, "whole number"),
        ({"token_sha256": GOOD, "limits": {"requests_per_second": 1.5}}, "whole number"),
        ({"token_sha256": GOOD, "limits": {"requests_per_second": True}}, "whole number"),
        ({"token_sha256": GOOD, "limits": {"requests_per_second": "50"}}, "whole number"),
    ],
)
def test_a_malformed_connection_is_refused_without_being_shown(extra: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        Access.parse(extra)
    assert TOKEN not in str(caught.value)


def test_the_connection_is_read_from_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="AIRFLOW_CONN_ASSAY_PROOF_SERVICE"):
        read_access()
    extra = {"token_sha256": {"website": digest(TOKEN).hex().upper()}, "limits": {"requests_per_second": 5}}
    monkeypatch.setenv("AIRFLOW_CONN_ASSAY_PROOF_SERVICE", json.dumps({"conn_type": "generic", "extra": extra}))
    assert read_access() == Access(digests={"website": digest(TOKEN)}, limits=Limits(requests_per_second=5))


def test_a_failed_request_is_logged_with_the_address_and_nothing_of_the_token(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        client.get("/v1/reports", headers={"Authorization": f"Bearer {OTHER_TOKEN}"})
        client.get("/v1/reports")
    assert "from 127.0.0.1 carried no valid token" in caplog.text
    assert "another-token" not in caplog.text
    assert "website-token" not in caplog.text
