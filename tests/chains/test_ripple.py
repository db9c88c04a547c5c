"""The ripple reader against a loopback server that plays rippled's JSON-RPC.

No server of the XRP Ledger can be installed from a package registry, so the answers have the forms of the documentation:
https://xrpl.org/docs/references/http-websocket-apis/public-api-methods (ledger, account_info, account_lines, server_info) and
…/api-conventions/error-formatting; the documented ledger is the test case of the ledger hash.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import base58
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains import http
from assay.chains.answers import AnswerError
from assay.chains.evidence import EvidenceArchive, read_archive
from assay.chains.interface import Balance, Reader, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.chains.ripple import EARLIEST, FACTS, check_address, reader
from assay.chains.ripple.ledgers import EPOCH, encode_address, parse_ledger, token_units
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, ConfigError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import Answer, Request, ScriptedServer, altered, cut_off

T = TypeVar("T")

WALLETS = ["rBPzKpfEh6Pv9qjh6gt9E66BL8UVbcZxHP", "rKEt6B3sgP8Qpb1PBdmdx54XmbVynpLRsv"]
UNKNOWN = "rUzWJkXyEtT8ekSSxkBYPqCvHpngcy6Fks"
ALL = [*WALLETS, UNKNOWN]
ISSUER = "rvYAfWj5gh67oV6fW32ZzP3Aw4Eubs59B"
CODE = "524C555344000000000000000000000000000000"  # "RLUSD"
ASSETS = {
    "XRP": Asset(symbol="XRP", name="XRP", decimals=6),
    "USD": Asset(symbol="USD", name="US Dollar", decimals=15),
    "RLUSD": Asset(symbol="RLUSD", name="Ripple USD", decimals=18),
}
START = datetime(2026, 1, 31, 23, 50, tzinfo=UTC)
AS_OF = datetime(2026, 2, 1, tzinfo=UTC)
FIRST = 100_000_000
CLOSE_SECONDS = 4
SNAPSHOT = FIRST + 150

DOCUMENTED = {
    "ledger_hash": "9DAAAE85FC0D64E95506608FDB48E8B77706EF64FF144F18EEBC2FC4366D9B20",
    "ledger_index": 100972465,
    "validated": True,
    "ledger": {
        "account_hash": "6FD2916DDD574886EBCBAA1CE0048D94E5A57E13EA5DD7B0283A7AB63EBF0131",
        "close_flags": 0,
        "close_time": 819429360,
        "close_time_human": "2025-Dec-19 03:16:00.000000000 UTC",
        "close_time_resolution": 10,
        "close_time_iso": "2025-12-19T03:16:00Z",
        "ledger_hash": "9DAAAE85FC0D64E95506608FDB48E8B77706EF64FF144F18EEBC2FC4366D9B20",
        "parent_close_time": 819429352,
        "parent_hash": "1FB3618846E1201E38FED328BD13A9D62012469193C0B5BA4ECE6C8BDAA2BFC9",
        "total_coins": "99985738467416092",
        "transaction_hash": "B61C7B94F583DBFEEDA58DE348518D6FC2F397053EA0E3AC4B8F2BD440629F19",
        "ledger_index": 100972465,
        "closed": True,
    },
    "status": "success",
}
"""The example of https://xrpl.org/docs/references/http-websocket-apis/public-api-methods/ledger-methods/ledger."""


def ledgers() -> dict[int, dict[str, Any]]:
    """Ledgers every four seconds, and the earliest one of the chain."""
    made: dict[int, dict[str, Any]] = {}
    parent, closed = "0" * 64, int(START.timestamp()) - EPOCH - CLOSE_SECONDS
    for number in (EARLIEST, *range(FIRST, FIRST + 300)):
        before, closed = closed, closed + CLOSE_SECONDS if number != EARLIEST else 410_325_670
        fields = {
            "ledger_index": str(number) if number % 2 else number,  # a text in the first version of the API
            "total_coins": "99985738467416092",
            "parent_hash": parent,
            "transaction_hash": f"{number:064X}",
            "account_hash": f"{number + 1:064X}",
            "parent_close_time": before,
            "close_time": closed,
            "close_time_resolution": 10,
            "close_flags": 0,
        }
        packed = number.to_bytes(4, "big") + int("99985738467416092").to_bytes(8, "big")
        packed += bytes.fromhex(parent) + number.to_bytes(32, "big") + (number + 1).to_bytes(32, "big")
        packed += before.to_bytes(4, "big") + closed.to_bytes(4, "big") + b"\x0a\x00"
        parent = hashlib.sha512(b"LWR\0" + packed).hexdigest()[:64].upper()
        ledger = fields | {"ledger_hash": parent, "closed": True}
        made[number] = {"ledger": ledger, "ledger_hash": parent, "ledger_index": number, "validated": True, "status": "success"}
        if number == EARLIEST:
            closed = int(START.timestamp()) - EPOCH - CLOSE_SECONDS
    return made


LEDGERS = ledgers()


def line(balance: str, currency: str = "USD", peer: str = ISSUER) -> dict[str, Any]:
    return {
        "account": peer,
        "balance": balance,
        "currency": currency,
        "limit": "1000",
        "limit_peer": "0",
        "quality_in": 0,
        "quality_out": 0,
    }


@dataclass
class Node:
    """An honest server."""

    top: int = FIRST + 200
    first: int = 0
    xrp: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    page: int = 400
    network: int | None = 0
    clio: bool = False
    """Whether refusals leave out which ledger they are of."""

    def __call__(self, request: Request) -> Any:
        asked = request.body["params"][0]
        result = getattr(self, request.body["method"])(**asked)
        if "error" in result:
            result |= {"status": "error", "request": asked | {"command": request.body["method"]}}
        return {"result": {"status": "success"} | result}

    def server_info(self) -> dict[str, Any]:
        return {"info": {"build_version": "2.4.0"} | ({} if self.network is None else {"network_id": self.network})}

    def ledger(self, ledger_index: Any) -> dict[str, Any]:
        number = self.top if ledger_index == "validated" else ledger_index
        kept = number in LEDGERS and self.first <= number <= self.top
        return LEDGERS[number] if kept else {"error": "lgrNotFound", "error_code": 21, "error_message": "ledgerNotFound"}

    def account_info(self, account: str, ledger_hash: str) -> dict[str, Any]:
        at = self.at(ledger_hash)
        if "error" in at:
            return at
        if account not in self.xrp:
            return self.no_account(account, at)
        return at | {"account_data": {"Account": account, "Balance": self.xrp[account], "LedgerEntryType": "AccountRoot"}}

    def account_lines(self, account: str, peer: str, ledger_hash: str, limit: int, marker: str = "") -> dict[str, Any]:
        at = self.at(ledger_hash)
        if "error" in at:
            return at
        if account not in self.xrp:
            return self.no_account(account, at)
        lines = [item for item in self.lines.get(account, []) if item["account"] == peer]
        start = int(marker.partition(",")[0] or 0)
        more = {"marker": f"{start + self.page},0"} if start + self.page < len(lines) else {}
        return at | {"account": account, "limit": limit, "lines": lines[start : start + self.page]} | more

    def at(self, ledger_hash: str) -> dict[str, Any]:
        for number, ledger in LEDGERS.items():
            if ledger["ledger_hash"] == ledger_hash and self.first <= number <= self.top:
                return {"ledger_hash": ledger_hash, "ledger_index": number, "validated": True}
        return {"error": "lgrNotFound", "error_code": 21, "error_message": "ledgerNotFound"}

    def no_account(self, account: str, at: dict[str, Any]) -> dict[str, Any]:
        refused = {"account": account, "error": "actNotFound", "error_code": 19, "error_message": "Account not found."}
        return refused if self.clio else refused | at


def node_of(**changes: Any) -> Node:
    xrp = {WALLETS[0]: "999999999960", WALLETS[1]: "20000000", ISSUER: "1"}
    lines = {
        WALLETS[0]: [
            line("5", "USD", "rMwjYedjc7qqtKYVLiAccJSmCwih4LnE2q"),
            line("11.68225001668339"),
            line("0", "BTC"),
            line("9999999999999999e3", CODE),
        ]
    }
    return replace(Node(xrp=xrp, lines=lines), **changes)


PLANNED = [
    (WALLETS[0], "XRP", 999_999_999_960),
    (WALLETS[0], "RLUSD", 9_999_999_999_999_999 * 10**21),
    (WALLETS[0], "USD", 11_682_250_016_683_390),
    (WALLETS[1], "XRP", 20_000_000),
    (WALLETS[1], "RLUSD", 0),
    (WALLETS[1], "USD", 0),
    (UNKNOWN, "XRP", 0),
    (UNKNOWN, "RLUSD", 0),
    (UNKNOWN, "USD", 0),
]


def chain_of(**changes: Any) -> Chain:
    chain = Chain(
        name="ripple",
        family="ripple",
        asset="XRP",
        genesis=LEDGERS[EARLIEST]["ledger_hash"],
        finality="finalized",
        max_distance_seconds=60,
        tokens={
            "USD": Token(asset="USD", contract=f"USD.{ISSUER}", decimals=15, source=""),
            "RLUSD": Token(asset="RLUSD", contract=f"{CODE.lower()}.{ISSUER}", decimals=18, source=""),
        },
    )
    return replace(chain, **changes)


def ask(url: str, question: Callable[[Reader], Awaitable[T]], **kwargs: Any) -> T:
    """Open a reader, ask it, close it."""
    source = Source(name=kwargs.get("name", "ripple_a"), kind="jsonrpc", connection="unused", timeout_seconds=kwargs.get("timeout", 20))
    archive = kwargs.get("archive") or EvidenceArchive("ripple")

    async def run() -> T:
        chain = kwargs.get("chain") or chain_of()
        async with reader(chain, source, assets=kwargs.get("assets", ASSETS), archive=archive, url=url) as opened:
            return await question(opened)

    return asyncio.run(run())


def ask_node(handler: Any, question: Callable[[Reader], Awaitable[T]], **kwargs: Any) -> T:
    with ScriptedServer(handler) as server:
        return ask(server.url, question, **kwargs)


def snapshot(number: int = SNAPSHOT) -> SnapshotBlock:
    return SnapshotBlock(
        chain="ripple", height=number, hash=LEDGERS[number]["ledger_hash"], time=AS_OF, finality="finalized", distance_seconds=0
    )


def read(opened: Reader) -> Awaitable[list[Balance]]:
    return opened.read(snapshot(), ALL)


def told(balances: list[Balance]) -> list[tuple[str, str, int]]:
    return [(balance.address, balance.asset, balance.amount) for balance in balances]


# Reading


@pytest.mark.parametrize("clio", [False, True])
def test_balances_are_read_at_the_ledgers_hash_and_zeros_are_listed(clio: bool) -> None:
    balances = ask_node(node_of(clio=clio), read)
    assert told(balances) == PLANNED
    assert {balance.read_height for balance in balances} == {None}


@pytest.mark.parametrize("clio", [False, True])
def test_an_account_that_does_not_exist_is_a_zero_with_the_archived_refusal(tmp_path: Path, clio: bool) -> None:
    archive = EvidenceArchive("ripple")
    balances = ask_node(node_of(clio=clio), read, archive=archive)
    exchanges = dict(read_archive(archive.write(tmp_path / "a.jsonl.zst")))
    zeros = [exchanges[balance.evidence] for balance in balances if balance.address == UNKNOWN]
    assert [zero["method"] for zero in zeros] == ["account_info", "account_lines", "account_lines"]
    for zero in zeros:
        assert zero["error"]["error"] == "actNotFound"
        assert zero["params"][0]["ledger_hash"] == snapshot().hash
        assert "request" not in zero["error"]


@pytest.mark.parametrize("page", [1, 400])
def test_an_archive_gives_the_same_balances_when_the_server_is_gone(tmp_path: Path, page: int) -> None:
    archive = EvidenceArchive("ripple")
    first = ask_node(node_of(page=page), read, archive=archive)
    path = archive.write(tmp_path / "balances.jsonl.zst")
    again = EvidenceArchive("ripple")
    assert ask(f"tape:{path}", read, archive=again) == first
    assert again.write(tmp_path / "again.jsonl.zst").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_line_on_a_later_page_is_found_and_its_evidence_names_all_pages(tmp_path: Path, page: int) -> None:
    archive = EvidenceArchive("ripple")
    balances = ask_node(node_of(page=page), read, archive=archive)
    assert told(balances) == PLANNED
    exchanges = dict(read_archive(archive.write(tmp_path / "a.jsonl.zst")))
    evidence = exchanges[balances[1].evidence]
    if page < 3:
        assert [exchanges[digest]["method"] for digest in evidence["result"]] == ["account_lines"] * (3 if page == 1 else 2)
    else:
        assert evidence["method"] == "account_lines"


def test_what_a_server_says_of_itself_is_no_part_of_the_evidence(tmp_path: Path) -> None:
    asides = {"warning": "load", "warnings": [{"id": 2001, "message": "This is a clio server."}], "forwarded": True}
    times = 0

    def loaded(request: Request, honest: Answer) -> Any:
        nonlocal times
        times += 1
        said = msgspec.json.decode(honest.content)
        return {"result": said["result"] | asides} if times % 2 else said

    plain, archive = EvidenceArchive("ripple"), EvidenceArchive("ripple")
    assert ask_node(altered(node_of(), loaded), read, archive=archive) == ask_node(node_of(), read, archive=plain)
    path = archive.write(tmp_path / "loaded.jsonl.zst")
    assert path.read_bytes() == plain.write(tmp_path / "plain.jsonl.zst").read_bytes()
    assert told(ask(f"tape:{path}", read)) == PLANNED


def test_a_currency_in_small_hexadecimal_letters_is_the_same_currency() -> None:
    def small(request: Request, honest: Answer) -> Answer:
        return replace(honest, content=honest.content.replace(CODE.encode(), CODE.lower().encode()))

    assert told(ask_node(altered(node_of(), small), read)) == PLANNED


def test_a_lying_second_source_is_caught() -> None:
    def shave(request: Request, honest: Answer) -> Answer:
        return replace(honest, content=honest.content.replace(b"11.68225001668339", b"11.68225001668338"))

    answers = {"ripple_a": ask_node(node_of(), read), "ripple_b": ask_node(altered(node_of(), shave), read, name="ripple_b")}
    with pytest.raises(SourceMismatchError, match="disagree on USD"):
        agree_on_balances("ripple", answers)


# Bad answers


def with_result(method: str, change: Any) -> Callable[[], Any]:
    """Make a server that answers one method with another result; a function gets the honest answer's result."""

    def make() -> Any:
        node = node_of()

        def answering(request: Request) -> Any:
            honest = node(request)
            if request.body["method"] != method:
                return honest
            return {"result": change(honest["result"]) if callable(change) else change}

        return answering

    return make


def refusal(name: str) -> dict[str, Any]:
    return {"error": name, "error_message": "words", "status": "error"}


def balance(value: Any) -> Callable[[Any], Any]:
    return lambda honest: honest | {"account_data": {"Account": WALLETS[0], "Balance": value}}


def held(value: Any) -> Callable[[Any], Any]:
    return lambda honest: honest | {"lines": [line("5") | {"balance": value}]}


INFO, LINES = "account_info", "account_lines"


@pytest.mark.parametrize(
    ("method", "change", "kind", "words"),
    [
        (INFO, refusal("lgrNotFound"), SourceMismatchError, "keeps only part of the history"),
        (INFO, refusal("tooBusy"), SourceUnavailableError, "tooBusy"),
        (INFO, refusal("slowDown"), SourceUnavailableError, "slowDown"),
        (INFO, refusal("noNetwork"), SourceUnavailableError, "noNetwork"),
        (INFO, refusal("actMalformed"), SourceMismatchError, "actMalformed: words"),
        (INFO, {"status": "error"}, SourceMismatchError, "error None"),
        (INFO, refusal("actNotFound") | {"ledger_hash": "0" * 64}, SourceMismatchError, "of ledger 0000"),
        (INFO, refusal("actNotFound") | {"validated": False}, SourceMismatchError, "not of a validated"),
        (INFO, None, SourceMismatchError, "no result"),
        (INFO, [], SourceMismatchError, "no result"),
        (INFO, {}, SourceMismatchError, "not of a validated"),
        (INFO, lambda honest: honest | {"validated": False}, SourceMismatchError, "not of a validated"),
        (INFO, lambda honest: honest | {"ledger_hash": "0" * 64}, SourceMismatchError, "of ledger 0000"),
        (INFO, lambda honest: honest | {"account_data": {"Account": UNKNOWN, "Balance": "1"}}, SourceMismatchError, "that was asked"),
        (INFO, lambda honest: honest | {"account_data": None}, SourceMismatchError, "that was asked"),
        (INFO, balance(None), SourceMismatchError, "number of drops"),
        (INFO, balance(5), SourceMismatchError, "number of drops"),
        (INFO, balance("-5"), SourceMismatchError, "number of drops"),
        (INFO, balance("5.5"), SourceMismatchError, "number of drops"),
        (INFO, balance("1" + "0" * 38), AmountError, "39 digits"),
        (LINES, refusal("lgrNotFound"), SourceMismatchError, "keeps only part of the history"),
        (LINES, lambda honest: honest | {"lines": None}, SourceMismatchError, "not a list"),
        (LINES, lambda honest: honest | {"lines": [None]}, SourceMismatchError, "not a list"),
        (LINES, lambda honest: honest | {"account": UNKNOWN}, SourceMismatchError, "not a list of the account's"),
        (LINES, lambda honest: honest | {"marker": "0,0"}, SourceMismatchError, "pages repeat"),
        (LINES, lambda honest: honest | {"lines": [line("5")] * 2}, SourceMismatchError, "listed twice"),
        (LINES, lambda honest: honest | {"lines": [line("5", CODE), line("5", CODE.lower())]}, SourceMismatchError, "listed twice"),
        (LINES, lambda honest: honest | {"lines": [line("5", "USD", UNKNOWN)]}, SourceMismatchError, "is not one to"),
        (LINES, held(5), SourceMismatchError, "not a number"),
        (LINES, held("NaN"), SourceMismatchError, "not a number"),
        (LINES, held("1,000"), SourceMismatchError, "not a number"),
        (LINES, held("-0.00111"), AmountError, "negative"),
        (LINES, held("0.1234567890123456"), AmountError, "finer than the 15 decimals"),
        (LINES, held("1e-16"), AmountError, "finer than the 15 decimals"),
        (LINES, held("9999999999999999e80"), AmountError, "111 digits"),
    ],
)
def test_a_source_that_does_not_answer_properly_stops_the_read(method: str, change: Any, kind: type[AssayError], words: str) -> None:
    chain = chain_of(tokens={"USD": chain_of().tokens["USD"]})
    with pytest.raises(AssayError, match=words) as raised:
        ask_node(with_result(method, change)(), lambda opened: opened.read(snapshot(), WALLETS[:1]), chain=chain)
    assert isinstance(raised.value, kind)
    assert raised.value.RETRYABLE == kind.RETRYABLE
    assert "source ripple_a" in str(raised.value)


def test_an_account_that_vanishes_between_two_pages_stops_the_read() -> None:
    node = node_of(page=1)

    def vanishing(request: Request) -> Any:
        return {"result": refusal("actNotFound")} if "marker" in request.body["params"][0] else node(request)

    with pytest.raises(SourceMismatchError, match="not a list of the account's"):
        ask_node(vanishing, read)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (cut_off, SourceUnavailableError, "connection failed"),
        (lambda honest: replace(honest, content=honest.content[:-9]), SourceUnavailableError, "cut off"),
        (lambda honest: replace(honest, delay=1.6), SourceUnavailableError, "within 1 s"),
        (lambda honest: (503, b"Server is overloaded"), SourceUnavailableError, "HTTP status 503"),
        (lambda honest: (400, b"Null method"), ConfigError, "HTTP status 400"),
        (lambda honest: b"null", SourceMismatchError, "no result"),
    ],
)
def test_a_connection_that_fails_stops_the_read(change: Callable[[Answer], Any], kind: type[AssayError], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask_node(altered(node_of(), lambda request, honest: change(honest)), read, timeout=1)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((INFO, path) for path in ("validated", "ledger_hash", "account_data", "account_data/Account", "account_data/Balance")),
        *(
            (LINES, path)
            for path in ("validated", "ledger_hash", "account", "lines", "lines/0/balance", "lines/0/currency", "lines/0/account")
        ),
    ],
)
def test_an_answer_with_a_part_missing_is_never_another_number(method: str, path: str) -> None:
    def without(honest: dict[str, Any]) -> dict[str, Any]:
        copied = msgspec.json.decode(msgspec.json.encode(honest))
        inner: Any = copied
        *steps, last = path.split("/")
        for step in steps:
            inner = inner[int(step) if isinstance(inner, list) else step]
        del inner[last]
        return dict(copied)

    chain = chain_of(tokens={"USD": chain_of().tokens["USD"]})
    with pytest.raises(SourceMismatchError):
        ask_node(with_result(method, without)(), lambda opened: opened.read(snapshot(), WALLETS[:1]), chain=chain)


def test_no_error_shows_a_key_that_the_server_echoes() -> None:
    echo = {"result": refusal("actMalformed") | {"error_message": "bad request to /keys/s3cr3t-k3y-of-ours"}}
    with ScriptedServer(lambda request: echo) as server, pytest.raises(SourceMismatchError, match="bad request") as raised:
        ask(f"{server.url}/keys/s3cr3t-k3y-of-ours", read)
    assert "s3cr3t" not in str(raised.value)


def test_an_oversized_answer_stops_the_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 100)
    with pytest.raises(SourceUnavailableError, match="longer than"):
        ask_node(node_of(), read)


def test_pruned_history_is_refused() -> None:
    node = node_of(first=SNAPSHOT + 1)
    for question in (read, lambda opened: opened.resolve(AS_OF), lambda opened: opened.block_hash(SNAPSHOT)):
        with pytest.raises(SourceMismatchError, match="keeps only part of the history"):
            ask_node(node, question)


# Network, snapshot ledger, tokens


def test_the_network_is_told_by_its_id() -> None:
    ask_node(node_of(), lambda opened: opened.check_network())
    ask_node(node_of(network=1), lambda opened: opened.check_network(), chain=chain_of(chain_id=1))
    for node, chain in ((node_of(network=1), chain_of()), (node_of(), chain_of(chain_id=1)), (node_of(network=None), chain_of(chain_id=1))):
        with pytest.raises(SourceMismatchError, match="serves network"):
            ask_node(node, lambda opened: opened.check_network(), chain=chain)


def test_a_server_that_names_no_network_is_told_by_the_earliest_ledger() -> None:
    ask_node(node_of(network=None), lambda opened: opened.check_network())
    with pytest.raises(SourceMismatchError, match="its ledger 32570 is"):
        ask_node(node_of(network=None), lambda opened: opened.check_network(), chain=chain_of(genesis="0" * 64))
    with pytest.raises(SourceMismatchError, match="keeps only part"):
        ask_node(node_of(network=None, first=FIRST), lambda opened: opened.check_network())


@pytest.mark.parametrize(
    ("as_of", "number", "distance"),
    [(AS_OF, SNAPSHOT, 0), (AS_OF - timedelta(seconds=1), SNAPSHOT - 1, 3), (AS_OF + timedelta(seconds=3), SNAPSHOT, 3)],
)
def test_the_snapshot_ledger_is_the_last_one_at_or_before_as_of(as_of: datetime, number: int, distance: int) -> None:
    block = ask_node(node_of(), lambda opened: opened.resolve(as_of))
    assert (block.height, block.hash, block.distance_seconds) == (number, LEDGERS[number]["ledger_hash"], distance)
    assert block.time == START + timedelta(seconds=(number - FIRST) * CLOSE_SECONDS)


def test_the_snapshot_ledger_is_the_same_however_far_the_server_has_come(tmp_path: Path) -> None:
    written = set()
    for top in (SNAPSHOT + 1, SNAPSHOT + 20, FIRST + 299):
        archive = EvidenceArchive("ripple")
        block = ask_node(node_of(top=top), lambda opened: opened.resolve(AS_OF), archive=archive)
        written.add((block, archive.write(tmp_path / "blocks.jsonl.zst").read_bytes()))
    assert len(written) == 1


def test_the_search_needs_little_history_before_the_snapshot_ledger() -> None:
    node = node_of(first=SNAPSHOT - 60, top=FIRST + 299)
    assert ask_node(node, lambda opened: opened.resolve(AS_OF)).height == SNAPSHOT


@pytest.mark.parametrize("top", [FIRST, SNAPSHOT - 1, SNAPSHOT])
def test_a_server_whose_validated_ledgers_do_not_pass_as_of_is_behind(top: int) -> None:
    with pytest.raises(SourceBehindError, match="is needed"):
        ask_node(node_of(top=top), lambda opened: opened.resolve(AS_OF))


def test_a_snapshot_ledger_too_far_before_as_of_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="lies 3 s before it and at most 2 s"):
        ask_node(node_of(), lambda opened: opened.resolve(AS_OF - timedelta(seconds=1)), chain=chain_of(max_distance_seconds=2))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda honest: honest | {"validated": False}, "not a validated ledger"),
        (lambda honest: honest | {"ledger": None}, "not a validated ledger"),
        (lambda honest: LEDGERS[FIRST], "was asked and ledger"),
        (lambda honest: honest | {"ledger": honest["ledger"] | {"close_time": 823_219_201}}, "its fields give"),
    ],
)
def test_ledgers_that_cannot_be_right_are_refused(change: Any, words: str) -> None:
    with pytest.raises(SourceMismatchError, match=words):
        ask_node(with_result("ledger", change)(), lambda opened: opened.block_hash(SNAPSHOT))


def test_the_hash_of_a_ledger_is_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("ripple")
    assert ask_node(node_of(), lambda opened: opened.recheck(snapshot(), since=None), archive=archive) == snapshot().hash
    ((_, exchange),) = read_archive(archive.write(tmp_path / "a.jsonl.zst"))
    assert (exchange["method"], exchange["params"]) == ("ledger", [{"ledger_index": SNAPSHOT}])


def test_a_token_whose_issuer_does_not_exist_is_refused() -> None:
    ask_node(node_of(), lambda opened: opened.check_assets(snapshot()))
    with pytest.raises(RegistryError, match="issuer has no account") as raised:
        ask_node(node_of(xrp={}), lambda opened: opened.check_assets(snapshot()))
    assert ISSUER in str(raised.value)


def test_a_wallet_that_issues_the_token_itself_is_refused() -> None:
    with pytest.raises(RegistryError, match="is the issuer"):
        ask_node(node_of(), lambda opened: opened.read(snapshot(), [ISSUER]))


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        (f"XRP.{ISSUER}", "not the code"),
        (f"USDT.{ISSUER}", "not the code"),
        (f"{'00' * 20}.{ISSUER}", "not the code"),
        (f"{'00' * 12}555344{'00' * 5}.{ISSUER}", "not the code"),  # USD, which servers write as USD
        (ISSUER, "not the code"),
        (f"USD.{ISSUER}x", "not an address"),
        ("USD.", "not an address"),
    ],
)
def test_a_token_that_is_no_currency_and_issuer_is_refused(contract: str, words: str) -> None:
    chain = chain_of(tokens={"USD": Token(asset="USD", contract=contract, decimals=15, source="")})
    with pytest.raises(RegistryError, match=words):
        ask("http://127.0.0.1:1", lambda opened: opened.check_network(), chain=chain)


@pytest.mark.parametrize(
    ("chain", "assets", "kind", "words"),
    [
        (chain_of(finality="confirmations"), ASSETS, ConfigError, "use finalized"),
        (chain_of(), ASSETS | {"XRP": Asset(symbol="XRP", name="XRP", decimals=5)}, RegistryError, "counted in 6 decimals"),
    ],
)
def test_a_registry_that_the_chain_contradicts_is_refused(
    chain: Chain, assets: dict[str, Asset], kind: type[AssayError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        ask("http://127.0.0.1:1", lambda opened: opened.check_network(), chain=chain, assets=assets)


# Ledgers and numbers


def test_the_documented_ledger_has_the_hash_that_its_fields_give() -> None:
    header = parse_ledger(DOCUMENTED, number=100972465)
    assert header.hash == DOCUMENTED["ledger_hash"]
    assert datetime.fromtimestamp(header.time, UTC) == datetime(2025, 12, 19, 3, 16, tzinfo=UTC)


def test_the_earliest_ledger_of_the_main_network_has_the_hash_that_its_fields_give() -> None:
    named = "4109C6F2045FC7EFF4CDE8F9905D19C28820D86304080FF886B299F0206E42B5"
    ledger = {
        "ledger_index": str(EARLIEST),
        "total_coins": "99999999999996320",
        "parent_hash": "60A01EBF11537D8394EA1235253293508BDA7131D5F8710EFE9413AA129653A2",
        "transaction_hash": "0" * 64,
        "account_hash": "3806AF8F22037DE598D30D38C8861FADF391171D26F7DE34ACFA038996EA6BEB",
        "parent_close_time": 410325660,
        "close_time": 410325670,
        "close_time_resolution": 10,
        "close_flags": 0,
        "ledger_hash": named,
    }
    header = parse_ledger({"ledger": ledger, "validated": True}, number=EARLIEST)
    assert (header.hash, datetime.fromtimestamp(header.time, UTC)) == (named, datetime(2013, 1, 1, 3, 21, 10, tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("close_time", 819429361),
        ("parent_close_time", 819429351),
        ("close_time_resolution", 20),
        ("close_flags", 1),
        ("total_coins", "99985738467416093"),
        ("parent_hash", "0" * 64),
        ("account_hash", "0" * 64),
        ("transaction_hash", "0" * 64),
        ("ledger_index", 100972464),
        ("close_time", None),
        ("close_time", 1 << 32),
        ("close_flags", -1),
        ("parent_hash", "xyz"),
    ],
)
def test_an_altered_ledger_is_refused(name: str, value: Any) -> None:
    with pytest.raises(AnswerError):
        parse_ledger({**DOCUMENTED, "ledger": DOCUMENTED["ledger"] | {name: value}})  # type: ignore[operator]


@given(st.integers(0, 9_999_999_999_999_999), st.integers(-96, 80), st.booleans())
def test_token_amounts_are_exact_or_refused(mantissa: int, exponent: int, negative: bool) -> None:
    text = f"{'-' if negative else ''}{mantissa}e{exponent}"
    exact = Decimal(mantissa).scaleb(exponent + 15)
    units = token_units(text, 15)
    if exact == int(exact):
        assert units == (-int(exact) if negative else int(exact))
    else:
        assert units is None


@pytest.mark.parametrize(("text", "units"), [("0", 0), ("-0", 0), ("0.000", 0), ("1.5E1", 15_000), ("1e-3", 1), ("0e-90", 0)])
def test_token_amounts_are_read_in_all_their_forms(text: str, units: int) -> None:
    assert token_units(text, 3) == units


# Addresses


def tagged(raw: bytes, *, tag: int | None = None, prefix: bytes = b"\x05\x44") -> str:
    rest = bytes(9) if tag is None else b"\x01" + tag.to_bytes(4, "little") + bytes(4)
    return base58.b58encode_check(prefix + raw + rest, alphabet=base58.RIPPLE_ALPHABET).decode()


@pytest.mark.parametrize("address", [*ALL, ISSUER, "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"])
def test_real_addresses_are_accepted_as_they_are(address: str) -> None:
    assert check_address(chain_of(), address) == address


@given(st.binary(min_size=20, max_size=20).filter(lambda raw: any(raw[:-1])))
def test_an_x_address_without_a_tag_stands_for_its_classic_address(raw: bytes) -> None:
    classic = encode_address(raw)
    assert check_address(chain_of(), tagged(raw)) == classic
    assert tagged(raw).startswith("X")
    assert check_address(chain_of(chain_id=1), tagged(raw, prefix=b"\x04\x93")) == classic
    with pytest.raises(RegistryError, match="another network"):
        check_address(chain_of(chain_id=1), tagged(raw))
    with pytest.raises(RegistryError, match="has a tag"):
        check_address(chain_of(), tagged(raw, tag=0))


@given(st.binary(min_size=20, max_size=20).filter(lambda raw: any(raw[:-1])), st.integers(1, 24), st.sampled_from("rpshnaf39wBUDNEGHJ"))
def test_one_changed_letter_is_refused(raw: bytes, position: int, letter: str) -> None:
    address = encode_address(raw)
    changed = address[:position] + letter + address[position + 1 :]
    if changed != address:
        with pytest.raises(RegistryError):
            check_address(chain_of(), changed)


@pytest.mark.parametrize(
    "address",
    [
        "",
        ALL[0] + "\n",
        " " + ALL[0],
        ALL[0][:-1],
        ALL[0].lower(),
        "rrrrrrrrrrrrrrrrrrrrrhoLvTp",
        "rrrrrrrrrrrrrrrrrrrrBZbvji",
        "XVLhHMPHU98es4dbozjVtdWzVrDjtV18pX8yuPT7y4xaEHi",  # with the tag 4294967295, of the documentation of ripple-address-codec
        "XVLhHMPHU98es4dbozjVtdWzVrDjtV18pX8yuPT7y4xaEHj",
        "13jTtHxBPFwZkaCdm6BwJMMJkqvTpBZccw",
        "TBNHZP2iAVyDhpTSZ8ee2Xjci1JExZTPE5",
        "rЯ" * 12,
    ],
)
def test_text_that_is_no_address_of_the_chain_is_refused(address: str) -> None:
    with pytest.raises(RegistryError):
        check_address(chain_of(), address)


def test_the_documented_x_address_is_refused_for_its_tag_alone() -> None:
    with pytest.raises(RegistryError, match="has a tag"):
        check_address(chain_of(), "XVLhHMPHU98es4dbozjVtdWzVrDjtV18pX8yuPT7y4xaEHi")


def test_the_family_says_how_it_answers_for_the_past() -> None:
    assert "ledger's hash" in FACTS.past
