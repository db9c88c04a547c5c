"""The Aptos reader against a server on loopback that plays a full node; no Aptos node can be installed here.

Its answers are written from the Aptos Node API's specification (https://aptos.dev/aptos-spec.json): ledger information and blocks as in `IndexResponse`
and `Block`, `/view` as in `MoveValue` (u64 as text, u8 as number), refusals as in `AptosError` with the codes of `AptosErrorCode`. What the view
functions give for an account that has nothing is in https://aptos.dev/move-reference (`coin::balance`, `primary_fungible_store::balance`).
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
from assay.chains.aptos import AptosReader, check_address, reader
from assay.chains.evidence import EvidenceArchive, read_archive
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, ConfigError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import Answer, NotScripted, Request, ScriptedServer, altered, cut_off

T = TypeVar("T")
START = datetime(2026, 8, 31, 12, tzinfo=UTC)
SPACING = timedelta(milliseconds=250)
BLOCKS = 400
VERSIONS = 3  # of a block

USDT = "0x357b0b74bc833e95a115ad22604854d6b0fca151cecd94111770e5d6ffc9dc2b"
"""Tether's fungible asset on Aptos (https://tether.to/en/supported-protocols/)."""
WRAPPED = "0x5e156f1207d0ebfa19a9eeff00d62a282278fb8719f4fab3a586a0a2c0fffbea::coin::T"
RICH = "0x" + "ab" * 32
SAVER = "0x" + "0" * 61 + "cde"
NOBODY = "0x" + "77" * 32

ASSETS = {
    "APT": Asset(symbol="APT", name="Aptos", decimals=8),
    "USDT": Asset(symbol="USDT", name="Tether USD", decimals=6),
    "USDC": Asset(symbol="USDC", name="USD Coin", decimals=6),
}
CHAIN = Chain(
    name="aptos",
    family="aptos",
    asset="APT",
    chain_id=1,
    finality="finalized",
    max_distance_seconds=60,
    tokens={
        "USDT": Token(asset="USDT", contract=USDT, decimals=6, source=""),
        "USDC": Token(asset="USDC", contract=WRAPPED, decimals=6, source=""),
    },
)
SOURCE = Source(name="aptos_a", kind="aptos", connection="unused", timeout_seconds=5)


@dataclass
class Node:
    """A full node as the specification describes one: block `n` holds versions `3n` to `3n + 2`."""

    blocks: int = BLOCKS
    newest_only: bool = False  # the version that is asked for gets lost on the way
    pruned_below: int = 0  # version
    decimals: dict[str, int] = field(default_factory=lambda: {USDT: 6, WRAPPED: 6})
    balances: dict[tuple[str, str], int] = field(
        default_factory=lambda: {
            (RICH, "0x1::aptos_coin::AptosCoin"): 1_234_567_890_123,
            (RICH, USDT): 5_000_001,
            (RICH, WRAPPED): 7,
            (SAVER, "0x1::aptos_coin::AptosCoin"): 2**64 - 1,
        }
    )

    def __call__(self, request: Request) -> Any:
        if request.path == "/v1/":
            return self.ledger()
        if request.path.startswith("/v1/blocks/by_height/"):
            return self.block(int(request.path.rpartition("/")[2]))
        if request.path == "/v1/view":
            return self.view(int(request.query["ledger_version"]), request.body)
        raise NotScripted

    def ledger(self) -> dict[str, Any]:
        return {
            "chain_id": 1,
            "epoch": "9000",
            "ledger_version": str(self.blocks * VERSIONS - 1),
            "oldest_ledger_version": str(self.pruned_below),
            "ledger_timestamp": str(moment(self.blocks - 1)),
            "node_role": "full_node",
            "oldest_block_height": "0",
            "block_height": str(self.blocks - 1),
            "git_hash": "f" * 40,
        }

    def block(self, height: int) -> Any:
        if height >= self.blocks:
            return refusal(404, "block_not_found", f"Block not found by Block height({height})")
        return {
            "block_height": str(height),
            "block_hash": f"0x{height:064x}",
            "block_timestamp": str(moment(height)),
            "first_version": str(height * VERSIONS),
            "last_version": str(height * VERSIONS + VERSIONS - 1),
            "transactions": None,
        }

    def view(self, version: int, body: dict[str, Any]) -> Any:
        if version >= self.blocks * VERSIONS:
            return refusal(404, "version_not_found", f"Ledger version({version}) not found")
        if version < self.pruned_below:
            return refusal(410, "version_pruned", f"Ledger version({version}) has been pruned")
        function, types, arguments = body["function"], body["type_arguments"], body["arguments"]
        if function == "0x1::block::get_current_block_height":
            return [str((self.blocks * VERSIONS - 1 if self.newest_only else version) // VERSIONS)]
        if function == "0x1::coin::decimals":
            return self.decimals_of(types[0])
        if function == "0x1::fungible_asset::decimals":
            return self.decimals_of(arguments[0])
        asset = types[0] if function == "0x1::coin::balance" else arguments[1]
        assert function in ("0x1::coin::balance", "0x1::primary_fungible_store::balance")
        return [str(self.balances.get((arguments[0], asset), 0))]

    def decimals_of(self, asset: str) -> Any:
        if asset not in self.decimals:
            return refusal(400, "invalid_input", "Failed to execute function: VMError { major_status: ABORTED, sub_status: Some(393218) }")
        return [self.decimals[asset]]


def refusal(status: int, code: str, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"message": message, "error_code": code, "vm_error_code": None}


def moment(height: int) -> int:
    """A block's time in microseconds; block 0 is the genesis block, whose time is 0."""
    return height and int((START + height * SPACING).timestamp() * 1_000_000)


def time_of(height: int) -> datetime:
    return START + height * SPACING


AT = SnapshotBlock(chain="aptos", height=200, hash=f"0x{200:064x}", time=time_of(200), finality="finalized", distance_seconds=0)


def ask(node: Any, question: Callable[[AptosReader], Awaitable[T]], **changes: Any) -> T:
    with ScriptedServer(node) as server:
        answer = ask_url(f"{server.url}/v1", question, **changes)
        assert server.unforeseen == []
    return answer


def ask_url(url: str, question: Callable[[AptosReader], Awaitable[T]], **changes: Any) -> T:
    async def run() -> T:
        archive = changes.get("archive") or EvidenceArchive("test")
        found = reader(
            changes.get("chain", CHAIN), changes.get("source", SOURCE), assets=changes.get("assets", ASSETS), archive=archive, url=url
        )
        async with found:
            return await question(found)

    return asyncio.run(run())


def reading(*addresses: str) -> Callable[[AptosReader], Awaitable[list[Balance]]]:
    return lambda found: found.read(AT, addresses)


def told(balances: list[Balance]) -> list[tuple[str, str, int]]:
    return [(item.address, item.asset, item.amount) for item in balances]


# Reading


def test_coins_and_fungible_assets_are_read_at_the_blocks_last_version_in_order() -> None:
    with ScriptedServer(Node()) as server:
        found = ask_url(f"{server.url}/v1", reading(RICH, SAVER))
        versions = {request.query["ledger_version"] for request in server.requests if request.path == "/v1/view"}
    assert told(found) == [
        (RICH, "APT", 1_234_567_890_123),
        (RICH, "USDC", 7),
        (RICH, "USDT", 5_000_001),
        (SAVER, "APT", 2**64 - 1),
        (SAVER, "USDC", 0),
        (SAVER, "USDT", 0),
    ]
    assert versions == {"602"}
    assert {item.read_height for item in found} == {None}


def test_an_account_that_does_not_exist_holds_zero_and_the_answer_that_says_so_is_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    found = ask(Node(), reading(NOBODY), archive=archive)
    lines = dict(read_archive(archive.write(tmp_path / "a.jsonl.zst")))
    assert [item.amount for item in found] == [0, 0, 0]
    for item in found:
        exchange = lines[item.evidence]
        assert exchange["method"] == "POST /view?ledger_version=602"
        assert exchange["params"]["arguments"][0] == NOBODY
        assert exchange["result"] == {"status": 200, "body": ["0"]}


def test_an_archive_played_back_gives_the_same_balances_with_the_same_evidence(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    before = ask(Node(), reading(RICH, SAVER, NOBODY), archive=archive)
    tape = f"tape:{archive.write(tmp_path / 'a.jsonl.zst')}"
    assert ask_url(tape, reading(RICH, SAVER, NOBODY)) == before


def test_no_wallets_need_no_question() -> None:
    assert ask(lambda request: 1 / 0, reading()) == []


def test_a_token_with_fewer_decimals_than_its_asset_is_scaled_up_exactly() -> None:
    assets = ASSETS | {"USDT": replace(ASSETS["USDT"], decimals=18)}
    assert told(ask(Node(), reading(RICH), assets=assets))[2] == (RICH, "USDT", 5_000_001 * 10**12)


@pytest.mark.parametrize(("symbol", "decimals"), [("APT", 6), ("USDT", 2)])
def test_an_asset_counted_coarser_than_on_the_chain_is_refused(symbol: str, decimals: int) -> None:
    with pytest.raises(RegistryError, match=f"asset {symbol}"):
        ask(Node(), reading(RICH), assets=ASSETS | {symbol: replace(ASSETS[symbol], decimals=decimals)})


def test_one_wrong_balance_of_one_source_is_found_by_comparing_sources() -> None:
    node = Node()
    liar = replace(node, balances=node.balances | {(RICH, USDT): 5_000_000})
    answers = {"aptos_a": ask(node, reading(RICH, SAVER)), "aptos_b": ask(liar, reading(RICH, SAVER))}
    with pytest.raises(SourceMismatchError, match=f"{RICH}.*5000001.*5000000"):
        agree_on_balances("aptos", answers)


# The snapshot block


@pytest.mark.parametrize(("shift", "height"), [(0, 200), (249_999, 200), (-1, 199), (250_000, 201)])
def test_the_snapshot_block_is_the_last_one_not_after_the_moment_to_the_microsecond(shift: int, height: int) -> None:
    archive = EvidenceArchive("test")
    found = ask(Node(), lambda it: it.resolve(time_of(200) + timedelta(microseconds=shift)), archive=archive)
    assert (found.height, found.hash, found.time, found.finality) == (height, f"0x{height:064x}", time_of(height), "finalized")
    assert found.distance_seconds == 0


def test_the_deciding_blocks_are_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    ask(Node(), lambda it: it.resolve(time_of(200)), archive=archive)
    methods = {exchange["method"] for _, exchange in read_archive(archive.write(tmp_path / "a.jsonl.zst"))}
    assert methods == {"GET /blocks/by_height/200", "GET /blocks/by_height/201"}


@pytest.mark.parametrize("blocks", [250, BLOCKS, 5000])
def test_the_snapshot_block_does_not_depend_on_how_far_the_node_is(blocks: int) -> None:
    assert ask(Node(blocks=blocks), lambda it: it.resolve(time_of(200))) == AT


def test_the_search_takes_few_requests() -> None:
    with ScriptedServer(Node(blocks=100_000)) as server:
        ask_url(f"{server.url}/v1", lambda it: it.resolve(time_of(20_000)))
        assert len(server.requests) < 30


@pytest.mark.parametrize("height", [BLOCKS - 1, BLOCKS + 100])
def test_a_node_without_a_block_after_the_moment_is_behind(height: int) -> None:
    with pytest.raises(SourceBehindError, match=r"aptos_a.*one after"):
        ask(Node(), lambda it: it.resolve(time_of(height)))


def test_a_moment_long_after_the_last_block_before_it_is_refused() -> None:
    def gap(request: Request, answer: Answer) -> Any:
        body = json.loads(answer.content)
        if int(body.get("block_height", 0)) > 200 and "block_timestamp" in body:
            body["block_timestamp"] = str(int(body["block_timestamp"]) + 3_600_000_000)
        return body

    with pytest.raises(SourceMismatchError, match="as_of, 200, lies 120 s before it and at most 60 s"):
        ask(altered(Node(), gap), lambda it: it.resolve(time_of(200) + timedelta(seconds=120)))


def test_a_moment_before_the_chain_gives_no_block() -> None:
    with pytest.raises(SourceMismatchError, match="allowed"):
        ask(Node(), lambda it: it.resolve(datetime(2020, 1, 1, tzinfo=UTC)))


def test_blocks_whose_versions_leave_a_gap_do_not_follow_one_another() -> None:
    def shift(request: Request, answer: Answer) -> Any:
        body = json.loads(answer.content)
        return body | {"first_version": "604"} if body.get("block_height") == "201" and "first_version" in body else body

    with pytest.raises(SourceMismatchError, match="block 201 does not follow from block 200"):
        ask(altered(Node(), shift), lambda it: it.resolve(time_of(200)))


def test_the_hash_of_a_height_is_told_and_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    assert ask(Node(), lambda it: it.block_hash(200), archive=archive) == AT.hash
    assert [exchange["method"] for _, exchange in read_archive(archive.write(tmp_path / "a.jsonl.zst"))] == ["GET /blocks/by_height/200"]


def test_another_block_at_the_height_of_the_snapshot_block_stops_the_read() -> None:
    with pytest.raises(SourceMismatchError, match="not the snapshot block"):
        ask(Node(), lambda it: it.read(replace(AT, hash="0x" + "1" * 64), [RICH]))


def test_the_network_is_told_by_its_chain_id() -> None:
    ask(Node(), lambda it: it.check_network())
    with pytest.raises(SourceMismatchError, match="chain id 1 and aptos has 2"):
        ask(Node(), lambda it: it.check_network(), chain=replace(CHAIN, chain_id=2))


# Tokens


def test_tokens_with_the_registrys_decimals_pass() -> None:
    ask(Node(), lambda it: it.check_assets(AT))


@pytest.mark.parametrize("tokens", [True, False])
def test_a_server_that_answers_from_another_version_than_asked_is_refused(tokens: bool) -> None:
    chain = CHAIN if tokens else replace(CHAIN, tokens={})
    ask(Node(), lambda it: it.check_assets(AT), chain=chain)
    with pytest.raises(SourceMismatchError, match=f"was asked for the state after block 200 and answered from that of block {BLOCKS - 1}"):
        ask(Node(newest_only=True), lambda it: it.check_assets(AT), chain=chain)


@pytest.mark.parametrize("contract", [USDT, WRAPPED])
def test_a_token_whose_decimals_changed_is_refused(contract: str) -> None:
    with pytest.raises(RegistryError, match=r"8 decimals at block 200.*registry says 6"):
        ask(Node(decimals={USDT: 6, WRAPPED: 6, contract: 8}), lambda it: it.check_assets(AT))


@pytest.mark.parametrize("contract", [USDT, WRAPPED])
def test_a_token_that_is_gone_is_refused(contract: str) -> None:
    left = {key: value for key, value in Node().decimals.items() if key != contract}
    with pytest.raises(RegistryError, match="no such asset at block 200: Failed to execute"):
        ask(Node(decimals=left), lambda it: it.check_assets(AT))


@pytest.mark.parametrize(
    "contract", ["0xa", "0x1::aptos_coin::AptosCoin", "0x" + "0" * 63 + "a", "USDT", "0x1::", "0x1::a::b/../c", "0x357b"]
)
def test_a_contract_that_is_none_or_is_apt_again_is_refused(contract: str) -> None:
    chain = replace(CHAIN, tokens={"USDT": Token(asset="USDT", contract=contract, decimals=6, source="")})
    with pytest.raises(RegistryError):
        ask(Node(), reading(RICH), chain=chain)


# Bad answers


def views(change: Callable[[Request, Answer], Any]) -> Any:
    """A node that answers view functions wrongly and everything else right."""
    return altered(Node(), lambda request, answer: change(request, answer) if request.path == "/v1/view" else answer)


@pytest.mark.parametrize(
    ("lie", "kind", "words"),
    [
        (b'["1000000000000000000000000000000000000000"]', AmountError, "38"),
        (b'["1' + b"0" * 100 + b'"]', SourceMismatchError, "not a number"),
        (b"[12]", SourceMismatchError, "not a number"),
        (b'["-1"]', SourceMismatchError, "not a number"),
        (b'["1.5"]', SourceMismatchError, "not a number"),
        (b'[""]', SourceMismatchError, "not a number"),
        (b"[null]", SourceMismatchError, "not a number"),
        (b'["\xd9\xa3"]', SourceMismatchError, "not a number"),
        (b"[]", SourceMismatchError, "one value"),
        (b'["1", "2"]', SourceMismatchError, "one value"),
        (b"null", SourceMismatchError, "one value"),
        (b'{"message": "no", "error_code": "internal_error"}', SourceMismatchError, "one value"),
        (b"", SourceUnavailableError, "cut off"),
        (b"<html>busy</html>", SourceUnavailableError, "not JSON"),
        (refusal(400, "invalid_input", "Failed to execute function"), SourceMismatchError, "Failed to execute"),
        (refusal(403, "rejected_by_filter", "not allowed by the API"), SourceMismatchError, "not allowed"),
        (refusal(404, "version_not_found", "Ledger version(602) not found"), SourceBehindError, "version.602. not found"),
        (refusal(404, "web_framework_error", "not found"), SourceMismatchError, "HTTP status 404"),
        (refusal(410, "version_pruned", "Ledger version(602) has been pruned"), SourceMismatchError, "pruned"),
        (refusal(429, "rate_limited", "slow down"), SourceUnavailableError, "429"),
        (refusal(500, "internal_error", "no"), SourceUnavailableError, "500"),
        (refusal(503, "health_check_failed", "no"), SourceUnavailableError, "503"),
        ((401, {"message": "key"}), ConfigError, "401"),
    ],
)
def test_an_answer_that_is_no_balance_is_an_error_and_never_zero(lie: Any, kind: type[AssayError], words: str) -> None:
    with pytest.raises(AssayError, match=words) as raised:
        ask(views(lambda request, answer: lie), reading(NOBODY))
    assert type(raised.value) is kind
    assert "aptos_a" in str(raised.value)


def test_a_body_that_breaks_off_or_never_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnavailableError, match="connection failed"):
        ask(views(lambda request, answer: cut_off(answer, by=2)), reading(RICH))
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 1 << 20)
    with pytest.raises(SourceUnavailableError, match="longer than 1 MiB"):
        ask(views(lambda request, answer: b'["' + b"1" * (2 << 20) + b'"]'), reading(RICH))


def test_a_server_that_does_not_answer_in_time_is_unavailable() -> None:
    with pytest.raises(SourceUnavailableError, match="within 1 s"):
        ask(
            views(lambda request, answer: replace(answer, delay=1.4)),
            reading(RICH),
            source=replace(SOURCE, timeout_seconds=1),
            chain=replace(CHAIN, tokens={}),
        )


def test_pruned_history_is_said_plainly() -> None:
    with pytest.raises(SourceMismatchError, match=r"pruned.*archival"):
        ask(Node(pruned_below=700), reading(RICH))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"block_height": "7"}, "block 7 was given"),
        ({"block_hash": "0x12"}, "hash"),
        ({"block_hash": None}, "does not say"),
        ({"last_version": "1"}, "before its first"),
        ({"block_timestamp": 5}, "not a number"),
        ({"last_version": ""}, "not a number"),
    ],
)
def test_a_block_that_is_none_stops_the_read(change: dict[str, Any], words: str) -> None:
    def lie(request: Request, answer: Answer) -> Any:
        return json.loads(answer.content) | change if "/blocks/" in request.path else answer

    with pytest.raises(SourceMismatchError, match=words):
        ask(altered(Node(), lie), reading(RICH))


def test_no_error_and_no_evidence_names_the_server(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    with ScriptedServer(Node()) as server:
        url = server.url.replace("http://", "http://user-name:pass-word@") + "/v1"
        ask_url(url, reading(RICH), archive=archive)
    with pytest.raises(SourceUnavailableError) as raised:
        ask_url("http://user-name:pass-word@127.0.0.1:1/v1", reading(RICH))
    shown = str(list(read_archive(archive.write(tmp_path / "a.jsonl.zst")))) + str(raised.value)
    for secret in ("user-name", "pass-word", "127.0.0.1"):
        assert secret not in shown


# Addresses and configuration


def test_the_long_form_is_canonical_and_only_special_addresses_have_a_short_one() -> None:
    assert check_address(CHAIN, RICH.upper().replace("0X", "0x")) == RICH
    assert check_address(CHAIN, "0xa") == "0x" + "0" * 63 + "a"


@pytest.mark.parametrize(
    "address",
    ["", "0x", "0x0", "0x" + "0" * 64, "0x10", "0xcde", RICH[:-1], RICH + "0", RICH[2:], " " + RICH, RICH + "\n", "0X" + RICH[2:], "0x" + "g" * 64, "0x" + "٣" * 64],
)  # fmt: skip
def test_text_that_is_not_an_address_is_refused(address: str) -> None:
    with pytest.raises(RegistryError, match="aptos address"):
        check_address(CHAIN, address)


@given(st.text())
def test_no_other_text_is_an_address(text: str) -> None:
    with pytest.raises(RegistryError):
        check_address(CHAIN, text)


@pytest.mark.parametrize(
    ("chain", "source"), [(CHAIN, replace(SOURCE, kind="jsonrpc")), (replace(CHAIN, finality="confirmations"), SOURCE)]
)
def test_another_protocol_or_finality_is_refused(chain: Chain, source: Source) -> None:
    with pytest.raises(ConfigError):
        reader(chain, source, assets=ASSETS, archive=EvidenceArchive("test"), url="http://127.0.0.1:1")
