"""The EOS reader against a scripted nodeos.

No nodeos can be installed here: replies are written from the chain API's description
(https://github.com/AntelopeIO/spring/blob/main/plugins/chain_api_plugin/chain.swagger.yaml: `get_info`, `get_block_info`, `get_account`, `get_currency_balance`,
`get_currency_stats`) and from its source where that says more (`plugins/chain_plugin` of https://github.com/AntelopeIO/spring:
`get_info_db.cpp` for the read mode, `chain_plugin.cpp` for what an unknown account is answered with, by older and newer versions).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains import http
from assay.chains.answers import AnswerError
from assay.chains.eos import EosReader, check_address, reader
from assay.chains.eos.answers import Symbol
from assay.chains.evidence import EvidenceArchive, read_archive
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, ConfigError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import Answer, Handler, NotScripted, Request, ScriptedServer, altered, cut_off

T = TypeVar("T")

CHAIN_ID = "aca376f206b8fc25a6ed44dbdc66547c36c6c33e3a119ffbeaef943642f0e906"
START = datetime(2026, 1, 31, 23, 58, tzinfo=UTC)
ASSETS = {
    "EOS": Asset(symbol="EOS", name="EOS", decimals=4),
    "USDT": Asset(symbol="USDT", name="Tether USD", decimals=6),
}
TOKEN = Token(asset="USDT", contract="tethertether:USDT", decimals=4, source="")
CHAIN = Chain(
    name="eos",
    family="eos",
    asset="EOS",
    genesis=CHAIN_ID,
    finality="irreversible",
    max_distance_seconds=5,
    tokens={"USDT": TOKEN},
)
FULL, BARE, GHOST = "okbtothemoon", "newaccount1", "nosuchacct12"


@dataclass
class Node:
    """A nodeos whose state is that of its last irreversible block.

    Attributes:
        head: Number of that block.
        missed: Half seconds from the start in which no block was produced.
        liquid: Native rows by account.
        staked: Net, CPU and refund (net, CPU) in text, by account.
        tokens: Rows of the token contract by account.
        old: Whether an unknown account is answered as older versions do.
    """

    head: int = 400
    missed: set[int] = field(default_factory=set)
    liquid: dict[str, str] = field(default_factory=lambda: {FULL: "1799.2726 EOS"})
    staked: dict[str, tuple[str, str, str, str]] = field(
        default_factory=lambda: {FULL: ("1.0000 EOS", "2.5000 EOS", "0.0100 EOS", "0.0001 EOS")}
    )
    tokens: dict[str, str] = field(default_factory=lambda: {FULL: "12.3456 USDT"})
    old: bool = False
    lag: int = 0

    def time(self, number: int) -> datetime:
        """Blocks come every half second, unless one is missed."""
        slots = [slot for slot in range(number + len(self.missed) + 1) if slot not in self.missed]
        return START + timedelta(milliseconds=500) * slots[number]

    def id(self, number: int) -> str:
        return f"{number:08x}" + f"{number * 7919:056x}"

    def block(self, number: int) -> dict[str, Any]:
        return {
            "block_num": number,
            "id": self.id(number),
            "previous": self.id(number - 1) if number else "0" * 64,
            "timestamp": text_of(self.time(number)),
            "producer": "eosnationftw",
            "ref_block_num": number & 0xFFFF,
        }

    def account(self, name: str) -> object:
        if name not in {FULL, BARE}:
            return unknown(name, old=self.old)
        net, cpu, refund_net, refund_cpu = self.staked.get(name, ("", "", "", ""))
        told = {
            "account_name": name,
            "head_block_num": self.head,
            "head_block_time": text_of(self.time(self.head)),
            "privileged": False,
            "self_delegated_bandwidth": {"from": name, "to": name, "net_weight": net, "cpu_weight": cpu} if net else None,
            "refund_request": {"owner": name, "request_time": "2026-01-30T00:00:00", "net_amount": refund_net, "cpu_amount": refund_cpu}
            if net
            else None,
            "rex_info": None,
        }
        return told | ({"core_liquid_balance": self.liquid[name]} if name in self.liquid else {})

    def __call__(self, request: Request) -> object:
        match request.path.removeprefix("/v1/chain/"), request.body:
            case "get_info", {}:
                final = self.head - self.lag
                return {
                    "chain_id": CHAIN_ID,
                    "head_block_num": self.head,
                    "head_block_id": self.id(self.head),
                    "head_block_time": text_of(self.time(self.head)),
                    "last_irreversible_block_num": final,
                    "last_irreversible_block_id": self.id(final),
                    "last_irreversible_block_time": text_of(self.time(final)),
                    "fork_db_head_block_num": self.head + 3,
                    "total_cpu_weight": "383380109085541",
                }
            case "get_block_info", {"block_num": number}:
                return (
                    self.block(number) if number <= self.head else refusal(3100002, "unknown_block_exception", "Could not find block", 400)
                )
            case "get_account", {"account_name": name, "expected_core_symbol": "4,EOS"}:
                return self.account(name)
            case "get_currency_balance", {"code": "eosio.token", "account": name, "symbol": "EOS"}:
                return [self.liquid[name]] if name in self.liquid else []
            case "get_currency_balance", {"code": "tethertether", "account": name, "symbol": "USDT"}:
                return [self.tokens[name]] if name in self.tokens else []
            case "get_currency_stats", {"code": code, "symbol": symbol}:
                return {symbol: {"supply": f"1000000.0000 {symbol}", "max_supply": f"10000000000.0000 {symbol}", "issuer": code}}
        raise NotScripted


def text_of(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def refusal(code: int, name: str, message: str, status: int = 500) -> tuple[int, Any]:
    error = {"code": code, "name": name, "what": name.replace("_", " "), "details": [{"message": message, "file": "chain_plugin.cpp"}]}
    return status, {"code": status, "message": "Internal Service Error" if status == 500 else "Account lookup", "error": error}


def unknown(name: str, *, old: bool) -> tuple[int, Any]:
    words = f"unknown key (boost::tuples::tuple<bool, eosio::chain::name, boost::tuples::null_type>): (0 {name})"
    if old:
        return refusal(0, "exception", words, 500)
    return refusal(3060002, "account_query_exception", f"unable to retrieve account info ({words})", 400)


def source_of(**changes: Any) -> Source:
    return replace(Source(name="node_a", kind="rest", connection="unused", concurrency=3, timeout_seconds=20), **changes)


def ask(url: str, question: Callable[[EosReader], Awaitable[T]], *, archive: EvidenceArchive | None = None, **more: Any) -> T:
    async def run() -> T:
        kept = archive or EvidenceArchive("test")
        chain, source = more.get("chain", CHAIN), more.get("source") or source_of()
        async with reader(chain, source, assets=more.get("assets", ASSETS), archive=kept, url=url) as opened:
            return await question(opened)

    return asyncio.run(run())


def ask_node(node: Handler, question: Callable[[EosReader], Awaitable[T]], **more: Any) -> T:
    with ScriptedServer(node) as server:
        return ask(server.url, question, **more)


def liar(node: Handler, method: str, change: Callable[[Any], Any]) -> Handler:
    return altered(node, lambda request, answer: change(json.loads(answer.content)) if request.path.endswith(method) else answer)


def block_of(node: Node, number: int = 300) -> SnapshotBlock:
    time = node.time(number).replace(microsecond=0)
    return SnapshotBlock(chain="eos", height=number, hash=node.id(number), time=time, finality="irreversible", distance_seconds=0)


def read_all(node: Node, addresses: list[str]) -> Callable[[EosReader], Awaitable[list[Balance]]]:
    return lambda opened: opened.read(block_of(node), addresses)


def told(balances: list[Balance]) -> list[tuple[str, str, int]]:
    return [(balance.address, balance.asset, balance.amount) for balance in balances]


# Reading


def test_liquid_staked_and_refunded_eos_count_and_tokens_are_scaled() -> None:
    balances = ask_node(Node(), read_all(Node(), [BARE, FULL]))
    assert told(balances) == [
        (BARE, "EOS", 0),
        (BARE, "USDT", 0),
        (FULL, "EOS", 17_992_726 + 10_000 + 25_000 + 100 + 1),
        (FULL, "USDT", 12_345_600),
    ]


def test_each_balance_says_which_state_it_is_of() -> None:
    node = Node()
    behind = liar(node, "get_account", lambda body: body | {"head_block_num": 350, "head_block_time": text_of(node.time(350))})
    native, token = ask_node(behind, read_all(node, [FULL]))
    assert (native.read_height, native.read_time) == (350, node.time(350))
    assert (token.read_height, token.read_time) == (400, node.time(400))


@pytest.mark.parametrize("old", [False, True])
def test_an_unknown_account_is_a_zero_that_the_node_said(tmp_path: Path, old: bool) -> None:
    node, archive = Node(old=old), EvidenceArchive("test")
    balances = ask_node(node, read_all(node, [GHOST]), archive=archive)
    assert told(balances) == [(GHOST, "EOS", 0), (GHOST, "USDT", 0)]
    assert [balance.read_height for balance in balances] == [400, 400]
    lines = dict(read_archive(archive.write(tmp_path / "archive.jsonl.zst")))
    assert f"(0 {GHOST})" in lines[balances[0].evidence]["result"]["body"]["error"]["details"][0]["message"]
    assert lines[balances[1].evidence]["result"] == {"status": 200, "body": []}


def test_an_unknown_account_that_has_a_row_after_all_is_no_zero() -> None:
    node = Node()
    node.liquid[GHOST] = "5.0000 EOS"
    with pytest.raises(SourceUnavailableError, match="came into being"):
        ask_node(node, read_all(node, [GHOST]))


@pytest.mark.parametrize(
    ("told_instead", "kind"),
    [
        (unknown(FULL, old=False), SourceMismatchError),
        (refusal(3060002, "account_query_exception", "unable to retrieve account info (out of memory)", 400), SourceMismatchError),
        (refusal(0, "exception", "unspecified"), SourceMismatchError),
        (refusal(3080006, "deadline_exception", "deadline exceeded"), SourceUnavailableError),
        ((500, {"code": 500, "message": "Internal Service Error"}), SourceUnavailableError),
        ((400, {}), SourceUnavailableError),
        ((500, b"<html>bad gateway</html>"), SourceUnavailableError),
        ((404, {"code": 404, "message": "Not Found"}), ConfigError),
        (refusal(3060002, "account_query_exception", f"unknown key: (0 {GHOST})", 200), SourceMismatchError),
    ],
)
def test_any_other_refusal_is_an_error_and_never_zero(told_instead: Any, kind: type[AssayError]) -> None:
    node = Node()
    with pytest.raises(kind, match="source node_a"):
        ask_node(
            altered(node, lambda request, answer: told_instead if request.path.endswith("get_account") else answer), read_all(node, [GHOST])
        )


def test_a_replay_gives_the_same_balances_with_the_same_evidence(tmp_path: Path) -> None:
    node, archive, addresses = Node(), EvidenceArchive("test"), [FULL, GHOST, BARE]
    first = ask_node(node, read_all(node, addresses), archive=archive)
    path = archive.write(tmp_path / "archive.jsonl.zst")
    again = EvidenceArchive("replay")
    assert ask(f"tape:{path}", read_all(node, addresses), archive=again) == first
    for balance in first:
        again.require(balance.evidence)


def test_the_recheck_of_the_block_can_be_replayed(tmp_path: Path) -> None:
    node, archive = Node(), EvidenceArchive("test")
    block = block_of(node)
    assert ask_node(node, lambda opened: opened.recheck(block, since=None), archive=archive) == block.hash
    path = archive.write(tmp_path / "archive.jsonl.zst")
    assert ask(f"tape:{path}", lambda opened: opened.recheck(block, since=None)) == block.hash


def test_no_wallets_need_no_question() -> None:
    with ScriptedServer(Node()) as server:
        assert ask(server.url, read_all(Node(), [])) == []
        assert not server.requests


def test_a_lying_second_source_is_caught() -> None:
    node, lie = Node(), Node(tokens={FULL: "12.3457 USDT"})
    answers = {
        name: ask_node(one, read_all(node, [FULL, BARE]), source=source_of(name=name)) for name, one in (("node_a", node), ("node_b", lie))
    }
    with pytest.raises(SourceMismatchError, match=FULL):
        agree_on_balances("eos", answers)


# Which state


def test_a_node_that_answers_from_a_reversible_head_is_refused() -> None:
    node = Node(lag=2)
    for question in (lambda opened: opened.check_network(), read_all(node, [FULL])):
        with pytest.raises(ConfigError, match="read-mode = irreversible"):
            ask_node(node, question)


def test_a_state_before_the_snapshot_block_is_refused() -> None:
    node = Node(head=300)
    assert ask_node(node, read_all(node, [FULL]))[0].read_height == 300
    with pytest.raises(SourceBehindError, match="before the snapshot block 300"):
        ask_node(Node(head=299), read_all(node, [FULL]))


@pytest.mark.parametrize("number", [299, 401])
def test_an_account_of_an_impossible_block_is_refused(number: int) -> None:
    node = Node()
    with pytest.raises(SourceMismatchError, match="not between"):
        ask_node(liar(node, "get_account", lambda body: body | {"head_block_num": number}), read_all(node, [FULL]))


# The snapshot block


@pytest.mark.parametrize(
    ("missed", "shift", "number"),
    [
        (set(), 0, 300),
        (set(), 499, 300),
        (set(), -1, 299),
        ({300}, 0, 299),
        ({298, 299, 300, 301}, 0, 297),
    ],
)
def test_the_snapshot_block_is_the_last_one_before_the_moment(missed: set[int], shift: int, number: int) -> None:
    node = Node(missed=missed)
    as_of = START + timedelta(seconds=150, milliseconds=shift)
    found = ask_node(node, lambda opened: opened.resolve(as_of))
    assert (found.height, found.hash) == (number, node.id(number))
    assert found.time == node.time(number).replace(microsecond=0)
    assert node.time(number) <= as_of < node.time(number + 1)
    assert found.distance_seconds == (as_of.replace(microsecond=0) - found.time).total_seconds()
    assert ask_node(node, lambda opened: opened.block_hash(number)) == found.hash


@pytest.mark.parametrize("shift", [0, 1, 3600])
def test_a_node_whose_irreversible_block_is_not_after_the_moment_is_behind(shift: int) -> None:
    node = Node(head=400)
    with pytest.raises(SourceBehindError, match=r"block, 400, is of .*, and one after"):
        ask_node(node, lambda opened: opened.resolve(node.time(400) + timedelta(seconds=shift)))


def test_a_block_too_far_before_the_moment_is_refused() -> None:
    as_of = START + timedelta(seconds=150)
    within, beyond = Node(missed=set(range(291, 301))), Node(missed=set(range(281, 301)))
    assert ask_node(within, lambda opened: opened.resolve(as_of)).distance_seconds == 5
    with pytest.raises(SourceMismatchError, match="10 s before"):
        ask_node(beyond, lambda opened: opened.resolve(as_of))


def test_a_moment_before_the_chain_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="no block at or before"):
        ask_node(Node(), lambda opened: opened.resolve(START - timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body | {"id": "0" * 64}, "was asked"),
        (lambda body: body | {"block_num": 5}, "was asked"),
        (lambda body: body | {"block_num": "5"}, "not a block number"),
        (lambda body: body | {"id": None}, "not an id"),
        (lambda body: body | {"previous": "12"}, "not an id"),
        (lambda body: body | {"previous": "0" * 64}, "does not follow"),
        (lambda body: body | {"timestamp": "yesterday"}, "not a time"),
        (lambda body: body | {"timestamp": "2026-13-01T00:00:00.000"}, "not a time"),
        (lambda body: body | {"timestamp": "2026-02-01T02:00:00.000"}, "block"),
        (lambda body: [], "not a block"),
        (lambda body: None, "not a block"),
        (lambda body: refusal(3100002, "unknown_block_exception", "Could not find block", 400), "error 3100002"),
    ],
)
def test_blocks_that_contradict_themselves_stop_the_search(change: Callable[[Any], Any], words: str) -> None:
    node = Node()
    with pytest.raises(SourceMismatchError, match=words):
        ask_node(liar(node, "get_block_info", change), lambda opened: opened.resolve(START + timedelta(seconds=150)))


def test_another_network_is_refused() -> None:
    ask_node(Node(), lambda opened: opened.check_network())
    with pytest.raises(SourceMismatchError, match="chain id"):
        ask_node(Node(), lambda opened: opened.check_network(), chain=replace(CHAIN, genesis="0" * 64))


# Tokens


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        ({}, "no such token"),
        ({"USDT": {"supply": "5.00 USDT"}}, "2 decimals and 4 are expected"),
        ({"USDT": {"supply": "5 USDT"}}, "0 decimals and 4 are expected"),
        (refusal(3060002, "account_query_exception", "Fail to retrieve account for tethertether"), "no such token"),
        (refusal(3060003, "contract_table_query_exception", "Table stat is not specified in the ABI", 400), "no such token"),
    ],
)
def test_a_token_that_is_not_what_the_registry_says_is_refused(stats: Any, words: str) -> None:
    node = Node()
    other = altered(node, lambda request, answer: stats if request.body.get("code") == "tethertether" else answer)
    with pytest.raises(RegistryError, match=words) as raised:
        ask_node(other, lambda opened: opened.check_assets(block_of(node)))
    assert "tethertether:USDT" in str(raised.value)
    ask_node(node, lambda opened: opened.check_assets(block_of(node)))


@pytest.mark.parametrize("stats", [[], None, {"EOS": {}}, {"USDT": {"supply": 5}}, {"USDT": {"supply": "5.0000 EOS"}}])
def test_a_supply_that_is_none_is_an_error(stats: Any) -> None:
    node = Node()
    other = altered(
        node, lambda request, answer: Answer(content=json.dumps(stats).encode()) if request.body.get("symbol") == "USDT" else answer
    )
    with pytest.raises(SourceMismatchError, match="USDT"):
        ask_node(other, lambda opened: opened.check_assets(block_of(node)))


def test_a_contract_that_is_gone_is_an_error_and_never_zero() -> None:
    node = Node()
    gone = refusal(3060003, "contract_table_query_exception", "Table accounts is not specified in the ABI", 400)
    other = altered(node, lambda request, answer: gone if request.body.get("code") == "tethertether" else answer)
    with pytest.raises(SourceMismatchError, match="error 3060003"):
        ask_node(other, read_all(node, [FULL]))


@pytest.mark.parametrize("contract", ["", "tethertether", ":USDT", "tethertether:", "tethertether:usdt", "Tether:USDT", "a:TOOLONGSYMBOL"])
def test_a_contract_that_is_not_account_and_symbol_is_refused(contract: str) -> None:
    with pytest.raises(RegistryError, match="account:SYMBOL"):
        ask_node(Node(), lambda opened: opened.check_network(), chain=replace(CHAIN, tokens={"USDT": replace(TOKEN, contract=contract)}))


def test_an_asset_with_fewer_decimals_than_the_chain_is_refused() -> None:
    with pytest.raises(RegistryError, match="asset EOS"):
        ask_node(Node(), lambda opened: opened.check_network(), assets=ASSETS | {"EOS": Asset(symbol="EOS", name="EOS", decimals=2)})


# Answers that are no amounts


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda body: body | {"core_liquid_balance": "1799.27260 EOS"}, SourceMismatchError, "not an amount"),
        (lambda body: body | {"core_liquid_balance": "1799.272 EOS"}, SourceMismatchError, "not an amount"),
        (lambda body: body | {"core_liquid_balance": "1799.2726 A"}, SourceMismatchError, "not an amount"),
        (lambda body: body | {"core_liquid_balance": "-1799.2726 EOS"}, SourceMismatchError, "not an amount"),
        (lambda body: body | {"core_liquid_balance": 1799.2726}, SourceMismatchError, "not an amount"),
        (lambda body: body | {"core_liquid_balance": ""}, SourceMismatchError, "not an amount"),
        (lambda body: body | {"core_liquid_balance": "9" * 35 + ".0000 EOS"}, AmountError, "40 digits"),
        (lambda body: body | {"core_liquid_balance": None}, SourceUnavailableError, "came into being"),
        (lambda body: body | {"account_name": BARE}, SourceMismatchError, "of the account"),
        (
            lambda body: {key: value for key, value in body.items() if key != "self_delegated_bandwidth"},
            SourceMismatchError,
            "self_delegated",
        ),
        (lambda body: {key: value for key, value in body.items() if key != "refund_request"}, SourceMismatchError, "refund_request"),
        (
            lambda body: body | {"self_delegated_bandwidth": body["self_delegated_bandwidth"] | {"to": BARE}},
            SourceMismatchError,
            "not the account's own",
        ),
        (lambda body: body | {"refund_request": {"owner": FULL, "net_amount": "1.0000 EOS"}}, SourceMismatchError, "not an amount"),
        (lambda body: body | {"refund_request": []}, SourceMismatchError, "not the account's own"),
        (lambda body: {}, SourceMismatchError, "of the account"),
        (lambda body: None, SourceMismatchError, "not an account"),
        (lambda body: [], SourceMismatchError, "not an account"),
        (lambda body: json.dumps(body).encode()[:-9], SourceUnavailableError, "cut off"),
        (lambda body: cut_off(Answer(content=json.dumps(body).encode())), SourceUnavailableError, "connection failed"),
        (lambda body: Answer(content=json.dumps(body).encode(), delay=1.5), SourceUnavailableError, "within 1 s"),
        (lambda body: (429, body), SourceUnavailableError, "HTTP status 429"),
    ],
)
def test_an_account_that_is_not_whole_stops_the_read(change: Callable[[Any], Any], kind: type[AssayError], words: str) -> None:
    node = Node()
    with pytest.raises(kind, match=words) as raised:
        ask_node(liar(node, "get_account", change), read_all(node, [FULL]), source=source_of(timeout_seconds=1))
    assert FULL in str(raised.value)


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        (["1.0000 USDT", "2.0000 USDT"], SourceMismatchError, "at most one amount"),
        (["1.0000 EOS"], SourceMismatchError, "not an amount"),
        (["1.000000 USDT"], SourceMismatchError, "not an amount"),
        ([5], SourceMismatchError, "not an amount"),
        ([None], SourceMismatchError, "not an amount"),
        ("1.0000 USDT", SourceMismatchError, "at most one amount"),
        ({}, SourceMismatchError, "at most one amount"),
        (None, SourceMismatchError, "at most one amount"),
        (["9" * 36 + ".0000 USDT"], AmountError, "digits"),
    ],
)
def test_a_row_that_is_no_amount_stops_the_read(row: Any, kind: type[AssayError], words: str) -> None:
    node = Node()
    content = json.dumps(row).encode()
    other = altered(node, lambda request, answer: Answer(content=content) if request.body.get("code") == "tethertether" else answer)
    with pytest.raises(kind, match=words):
        ask_node(other, read_all(node, [FULL]))


def test_no_error_shows_a_key_that_the_server_echoes() -> None:
    with (
        ScriptedServer(lambda request: {"chain_id": "over quota: /keys/s3cr3t-k3y-of-ours"}) as server,
        pytest.raises(SourceMismatchError, match="over quota") as raised,
    ):
        ask(f"{server.url}/keys/s3cr3t-k3y-of-ours", lambda opened: opened.check_network())
    assert "s3cr3t" not in str(raised.value)


def test_an_over_long_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 550)
    with pytest.raises(SourceUnavailableError, match="longer than"):
        ask_node(liar(Node(), "get_account", lambda body: body | {"permissions": ["x" * 600]}), read_all(Node(), [FULL]))


@given(st.integers(0, 10**40), st.integers(0, 18))
def test_every_amount_is_read_back_exactly(amount: int, decimals: int) -> None:
    digits = str(amount).rjust(decimals + 1, "0")
    text = digits[: len(digits) - decimals] + (f".{digits[-decimals:]}" if decimals else "") + " SYM"
    assert Symbol(contract="a", code="SYM", decimals=decimals).amount(text) == amount
    with pytest.raises(AnswerError):
        Symbol(contract="a", code="SYM", decimals=decimals + 1).amount(text)


# Addresses


@pytest.mark.parametrize(
    "address", ["a", "eosio.token", "okbtothemoon", "1", "a.b.c", ".ab", "abcdefghijkla", "binancecleos", "gateiowallet"]
)
def test_account_names_are_accepted_as_they_are(address: str) -> None:
    assert check_address(CHAIN, address) == address


@pytest.mark.parametrize(
    "address", ["", ".", "a.", "A", "okb6", "okb0", "eosio_token", " a", "a\n", "a" * 14, "abcdefghijklz", "abcdefghijkl.", "é", "0x12"]
)
def test_other_text_is_refused(address: str) -> None:
    with pytest.raises(RegistryError):
        check_address(CHAIN, address)


@given(st.text().filter(lambda text: not set(text) <= set("abcdefghijklmnopqrstuvwxyz12345.")))
def test_no_other_letters_make_a_name(text: str) -> None:
    with pytest.raises(RegistryError):
        check_address(CHAIN, text)
