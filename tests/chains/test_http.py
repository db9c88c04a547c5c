"""The HTTP client against a server on loopback: what it sends, what it takes for an answer, and what it never shows."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from assay.chains import http
from assay.chains.evidence import EvidenceArchive
from assay.chains.http import HttpClient, Reply, Rest, segment
from assay.config import Source
from assay.errors import AssayError, ConfigError, SourceUnavailableError

SECRET = "s3cr3t-k3y-0f-th3-provider"


class Server:
    """Answers every request with what a test sets, and keeps the request."""

    def __init__(self) -> None:
        self.status, self.content = 200, b"{}"
        self.promised: int | None = None
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append((self.command, self.path, dict(self.headers.items())))
                self.send_response(outer.status)
                self.send_header("content-length", str(outer.promised or len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def get(url: str, path: str = "/v1/accounts/a%2Fb", **options: Any) -> Reply:
    async def run() -> Reply:
        async with Rest(Source(name="node_a", kind="rest", connection="c", timeout_seconds=2), url) as rest:
            return await rest.get(path, about="account a/b", **options)

    return asyncio.run(run())


def test_a_key_in_a_header_is_sent_and_nothing_behind_the_hash_is_asked_for(server: Server) -> None:
    get(f"http://{server.host}/api#X-Api-Key={SECRET}&X-More=1")
    method, path, headers = server.seen[0]
    assert (method, path) == ("GET", "/api/v1/accounts/a%2Fb")
    assert (headers["X-Api-Key"], headers["X-More"]) == (SECRET, "1")


def test_a_key_in_the_query_stays_in_the_query(server: Server) -> None:
    get(f"http://{server.host}/api?key={SECRET}", query={"version": "5"})
    assert server.seen[0][1] == f"/api/v1/accounts/a%2Fb?key={SECRET}&version=5"


def test_a_query_in_the_path_goes_with_the_key(server: Server) -> None:
    get(f"http://{server.host}/api?key={SECRET}", path="/view?version=5")
    assert server.seen[0][1] == f"/api/view?key={SECRET}&version=5"


@pytest.mark.parametrize("address", ["/api#X-Api-Key={secret}", "/api?key={secret}", "/{secret}/api"])
@pytest.mark.parametrize("status", [200, 401, 429, 500])
def test_no_key_is_ever_in_an_error_or_in_the_archive(server: Server, address: str, status: int, tmp_path: Path) -> None:
    server.status = status
    server.content = json.dumps({"error": SECRET}).encode() if status != 200 else b"not JSON: " + SECRET.encode()
    with pytest.raises(AssayError) as caught:
        get(f"http://{server.host}{address.format(secret=SECRET)}")
    assert SECRET not in str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__ or "")
    assert server.host not in str(caught.value)
    server.status, server.content = 200, b'{"ok":true}'
    archive = EvidenceArchive("x")
    get(f"http://{server.host}{address.format(secret=SECRET)}").record(archive)
    assert SECRET.encode() not in archive.write(tmp_path / "a").read_bytes()


@pytest.mark.parametrize(
    ("status", "content", "promised", "error", "words"),
    [
        (200, b'{"a":', None, SourceUnavailableError, "cut off or is not JSON"),
        (200, b"", None, SourceUnavailableError, "cut off or is not JSON"),
        (200, b"<html>", None, SourceUnavailableError, "a web page or XML, and not JSON"),
        (200, b'{"a":1}', 100, SourceUnavailableError, "did not answer within|connection failed"),
        (429, b"{}", None, SourceUnavailableError, "status 429"),
        (503, b"{}", None, SourceUnavailableError, "status 503"),
        (301, b"{}", None, ConfigError, r"status 301 \(Moved Permanently\).*points to another address"),
        (401, b"{}", None, ConfigError, r"status 401 \(Unauthorized\).*login, password, path or headers in the Airflow Connection c"),
        (403, b"{}", None, ConfigError, r"status 403 \(Forbidden\).*have it let this machine in"),
        (404, b"{}", None, ConfigError, r"status 404 \(Not Found\).*correct the path"),
        (413, b"{}", None, ConfigError, "status 413.*lower the source's batch_size"),
        (418, b"{}", None, ConfigError, "check address and credentials"),
        (499, b"{}", None, ConfigError, "HTTP status 499. Next"),
    ],
)
def test_what_is_no_answer_is_an_error(
    server: Server, status: int, content: bytes, promised: int | None, error: type[AssayError], words: str
) -> None:
    server.status, server.content, server.promised = status, content, promised
    with pytest.raises(error, match=words):
        get(f"http://{server.host}")


def test_an_answer_without_end_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 1_000_000)
    server.content = b'"' + b"a" * 2_000_000 + b'"'
    with pytest.raises(SourceUnavailableError, match="longer than 0 MiB"):
        get(f"http://{server.host}")


def test_a_status_that_is_an_answer_comes_back_with_its_body(server: Server) -> None:
    server.status, server.content = 404, b'{"error_code":"account_not_found"}'
    reply = get(f"http://{server.host}", accept=(200, 404))
    assert (reply.status, reply.body) == (404, {"error_code": "account_not_found"})


def test_fractions_keep_the_digits_they_came_with(server: Server) -> None:
    server.content = b'{"amount":0.10000000,"large":123456789012345678901234567890}'
    reply = get(f"http://{server.host}")
    assert reply.body == {"amount": Decimal("0.10000000"), "large": 123456789012345678901234567890}
    assert str(reply.body["amount"]) == "0.10000000"


def test_a_reply_is_played_back_from_its_archive(server: Server, tmp_path: Path) -> None:
    server.content = b'{"amount":0.10000000}'
    archive = EvidenceArchive("x")
    reply = get(f"http://{server.host}/api", query={"v": "1"})
    digest = reply.record(archive)
    path = archive.write(tmp_path / "a.jsonl.zst")
    again = get(f"tape:{path}", query={"v": "1"})
    assert again == reply
    assert again.record(EvidenceArchive("y")) == digest


@pytest.mark.parametrize(("text", "written"), [("a/b", "a%2Fb"), ("..", ".."), ("0x1?x=1", "0x1%3Fx%3D1"), ("a#b", "a%23b")])
def test_a_text_stays_one_segment_of_a_path(text: str, written: str) -> None:
    assert segment(text) == written


def test_a_key_that_was_cut_in_two_is_not_shown() -> None:
    client = HttpClient(Source(name="node_a", kind="rest", connection="c"), f"http://127.0.0.1:1/{SECRET}")
    for length in range(7, len(SECRET) + 1):
        assert SECRET[:7] not in client.scrubbed(f"no such project: {SECRET[:length]}")
    assert client.scrubbed("no such project") == "no such project"


@pytest.mark.parametrize(
    "url",
    [
        "htp://node.example/secret-key",
        "node.example:8545/secret-key",
        "http:///secret-key",
        "http://h:0",
        "http://h:99999",
        "http://[::1/k",
    ],
)
def test_an_address_that_is_none_is_a_mistake_of_the_configuration_and_no_outage(url: str) -> None:
    with pytest.raises(ConfigError, match="correct host, port and schema of the Airflow Connection c") as caught:
        get(url)
    assert "secret-key" not in str(caught.value)
    assert not caught.value.RETRYABLE


def test_a_host_that_nobody_knows_and_a_server_without_tls_are_told_apart(server: Server) -> None:
    with pytest.raises(SourceUnavailableError, match=r"its host name is not known here.*correct the host"):
        get("http://no-such-host.invalid/")
    with pytest.raises(SourceUnavailableError, match="cannot be spoken to by TLS"):
        get(f"https://{server.host}/")
