"""The aelf reader against a scripted node.

No aelf node can be installed here: replies are written from the Web API's documentation
(https://docs.aelf.io/en/latest/reference/web-api/web-api.html: `chainStatus`, `blockByHeight`, `executeTransaction`), the error form from its
source (`AElf.WebApp.Application.Chain` of https://github.com/AElfProject/AElf). The scripted node is as strict as the real one about calls: it
takes the protobuf apart, recovers the signer and compares it with the sender (`Transaction.VerifySignature`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import base58
import coincurve
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains import aelf, http
from assay.chains.aelf import TOKEN_CONTRACTS, AelfReader, check_address, reader
from assay.chains.aelf.messages import balance_question, parse_balance, parse_decimals
from assay.chains.answers import AnswerError
from assay.chains.evidence import EvidenceArchive, read_archive
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, ConfigError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import Answer, Handler, NotScripted, Request, ScriptedServer, altered, cut_off

T = TypeVar("T")

GENESIS = "cd5ce1bfa0cd97a1dc34f735c57bea2fcb9d88fc8f76bece2592fe7d82d5660c"
START = datetime(2026, 1, 31, 23, 58, tzinfo=UTC)
ASSETS = {"ELF": Asset(symbol="ELF", name="aelf", decimals=8), "USDT": Asset(symbol="USDT", name="Tether USD", decimals=18)}
TOKEN = Token(asset="USDT", contract="USDT", decimals=6, source="")
CHAIN = Chain(
    name="aelf",
    family="aelf",
    asset="ELF",
    network="AELF",
    genesis=GENESIS,
    finality="irreversible",
    max_distance_seconds=5,
    tokens={"USDT": TOKEN},
)
RICH, EMPTY = "SD6BXDrKT2syNd1WehtPyRo3dPBiXqfGUj8UJym7YP9W9RynM", "2gaQh4uxg6tzyH1ADLoDxvHA14FMpzEiMqsQ6sDG5iHT8cmjp8"


def field_of(number: int, value: int | bytes | str) -> bytes:
    """Encode one protobuf field: a number as a varint, anything else with its length before it."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def taken_apart(raw: bytes) -> dict[int, Any]:
    fields, place = {}, 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = raw[place]
            place, value, shift = place + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while place < len(raw):
        tag = number()
        if tag & 7:
            length = number()
            fields[tag >> 3], place = raw[place : place + length], place + length
        else:
            fields[tag >> 3] = number()
    return fields


@dataclass
class Node:
    """An aelf node: blocks every half second, a token contract.

    Attributes:
        best: Height of the newest block.
        final: Height of the last irreversible block.
        missed: Half seconds in which there was no block.
        balances: By symbol and address.
        decimals: By symbol.
    """

    best: int = 400
    final: int = 400
    missed: set[int] = field(default_factory=set)
    balances: dict[tuple[str, str], int] = field(default_factory=lambda: {("ELF", RICH): 2**62, ("USDT", RICH): 5_000_001})
    decimals: dict[str, int] = field(default_factory=lambda: {"ELF": 8, "USDT": 6})
    chain: str = "AELF"

    def time(self, height: int) -> datetime:
        slots = [slot for slot in range(height + len(self.missed) + 1) if slot not in self.missed]
        return START + timedelta(milliseconds=500) * slots[height]

    def hash(self, height: int) -> str:
        return hashlib.sha256(f"block {height}".encode()).hexdigest()

    def block(self, height: int) -> object:
        if not 1 <= height <= self.best:
            return refusal("20001", "Not found")
        header = {
            "PreviousBlockHash": self.hash(height - 1),
            "MerkleTreeRootOfTransactions": "00" * 32,
            "Height": height,
            "Time": self.time(height).strftime("%Y-%m-%dT%H:%M:%S.%f") + "1Z",
            "ChainId": self.chain,
        }
        return {"BlockHash": self.hash(height), "Header": header, "Body": {"TransactionsCount": 3, "Transactions": []}, "BlockSize": 2021}

    def status(self) -> dict[str, Any]:
        return {
            "ChainId": self.chain,
            "Branches": {self.hash(self.best): self.best},
            "NotLinkedBlocks": {},
            "LongestChainHeight": self.best,
            "LongestChainHash": self.hash(self.best),
            "GenesisBlockHash": GENESIS,
            "GenesisContractAddress": "pykr77ft9UUKJZLVq15wCH8PinBSjVRQ12sD1Ayq92mKFsJ1i",
            "LastIrreversibleBlockHash": self.hash(self.final),
            "LastIrreversibleBlockHeight": self.final,
            "BestChainHash": self.hash(self.best),
            "BestChainHeight": self.best,
        }

    def view(self, raw: bytes) -> object:
        fields = taken_apart(raw)
        unsigned = raw[: raw.rindex(varint(10000 << 3 | 2) + varint(65))]
        signer = coincurve.PublicKey.from_signature_and_message(fields[10000], hashlib.sha256(unsigned).digest(), hasher=None)
        sender = hashlib.sha256(hashlib.sha256(signer.format(compressed=False)).digest()).digest()
        if taken_apart(fields[1])[1] != sender:
            return refusal("20013", "Invalid signature")
        if base58.b58encode_check(taken_apart(fields[2])[1]).decode() != TOKEN_CONTRACTS[self.chain]:
            return refusal("20012", "Invalid transaction", "Invalid contract address")
        asked = taken_apart(fields[6])
        symbol = asked[1].decode()
        if fields[5] == b"GetTokenInfo":
            known = symbol in self.decimals
            return (
                (field_of(1, symbol) + field_of(2, f"Token {symbol}") + field_of(4, 10**9) + field_of(5, self.decimals[symbol])).hex()
                if known
                else ""
            )
        owner = base58.b58encode_check(taken_apart(asked[2])[1]).decode()
        amount = self.balances.get((symbol, owner), 0)
        return (field_of(1, symbol) + field_of(2, asked[2]) + (field_of(3, amount) if amount else b"")).hex()

    def __call__(self, request: Request) -> object:
        match request.method, request.path.removeprefix("/api/blockChain/"):
            case "GET", "chainStatus":
                return self.status()
            case "GET", "blockByHeight":
                assert request.query["includeTransactions"] == "false"
                return self.block(int(request.query["blockHeight"]))
            case "POST", "executeTransaction":
                return self.view(bytes.fromhex(request.body["RawTransaction"]))
        raise NotScripted


def refusal(code: str, message: str, details: str | None = None) -> tuple[int, Any]:
    return 403, {"Error": {"Code": code, "Message": message, "Details": details, "Data": {}, "ValidationErrors": None}}


def source_of(**changes: Any) -> Source:
    return replace(Source(name="node_a", kind="rest", connection="unused", concurrency=3, timeout_seconds=20), **changes)


def ask(url: str, question: Callable[[AelfReader], Awaitable[T]], *, archive: EvidenceArchive | None = None, **more: Any) -> T:
    async def run() -> T:
        kept = archive or EvidenceArchive("test")
        chain, source = more.get("chain", CHAIN), more.get("source") or source_of()
        async with reader(chain, source, assets=more.get("assets", ASSETS), archive=kept, url=url) as opened:
            return await question(opened)

    return asyncio.run(run())


def ask_node(node: Handler, question: Callable[[AelfReader], Awaitable[T]], **more: Any) -> T:
    with ScriptedServer(node) as server:
        return ask(server.url, question, **more)


def liar(node: Handler, method: str, change: Callable[[Any], Any]) -> Handler:
    return altered(node, lambda request, answer: change(json.loads(answer.content)) if request.path.endswith(method) else answer)


def block_of(node: Node, height: int = 300) -> SnapshotBlock:
    time = node.time(height).replace(microsecond=0)
    return SnapshotBlock(chain="aelf", height=height, hash=node.hash(height), time=time, finality="irreversible", distance_seconds=0)


def read_all(node: Node, addresses: list[str]) -> Callable[[AelfReader], Awaitable[list[Balance]]]:
    return lambda opened: opened.read(block_of(node), addresses)


def told(balances: list[Balance]) -> list[tuple[str, str, int]]:
    return [(balance.address, balance.asset, balance.amount) for balance in balances]


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aelf, "_PAUSE", 0.01)
    monkeypatch.setattr(aelf, "_PATIENCE", 0.3)


# Reading


@pytest.mark.parametrize("network", ["AELF", "tDVV"])
def test_balances_are_read_from_the_chains_own_token_contract(network: str) -> None:
    node = Node(chain=network)
    balances = ask_node(node, read_all(node, [EMPTY, RICH]), chain=replace(CHAIN, network=network))
    assert told(balances) == [
        (EMPTY, "ELF", 0),
        (EMPTY, "USDT", 0),
        (RICH, "ELF", 2**62),
        (RICH, "USDT", 5_000_001 * 10**12),
    ]
    assert all((balance.read_height, balance.read_time) == (400, node.time(400)) for balance in balances)


def test_a_zero_rests_on_the_contracts_own_answer(tmp_path: Path) -> None:
    node, archive = Node(), EvidenceArchive("test")
    balances = ask_node(node, read_all(node, [EMPTY]), archive=archive)
    line = dict(read_archive(archive.write(tmp_path / "archive.jsonl.zst")))[balances[0].evidence]
    assert line["method"] == "POST /api/blockChain/executeTransaction"
    assert parse_balance(line["result"]["body"], "ELF", EMPTY) == 0


def test_the_same_question_is_always_the_same_bytes() -> None:
    node = Node()
    with ScriptedServer(node) as server:
        for _ in range(2):
            ask(server.url, read_all(node, [RICH]))
        asked = [request.body["RawTransaction"] for request in server.requests if request.method == "POST"]
    assert len(asked) == 4
    assert len(set(asked)) == 2


def test_a_replay_gives_the_same_balances_with_the_same_evidence(tmp_path: Path) -> None:
    node, archive, addresses = Node(), EvidenceArchive("test"), [RICH, EMPTY]
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
    node, lie = Node(), Node()
    lie.balances["USDT", RICH] -= 1
    answers = {
        name: ask_node(one, read_all(node, [RICH]), source=source_of(name=name)) for name, one in (("node_a", node), ("node_b", lie))
    }
    with pytest.raises(SourceMismatchError, match=RICH):
        agree_on_balances("aelf", answers)


# Which state


def test_what_was_read_from_the_newest_block_counts_once_it_is_irreversible() -> None:
    node = Node(final=390)
    looks = 0

    def advance(request: Request) -> object:
        nonlocal looks
        if request.path.endswith("chainStatus"):
            looks += 1
            node.final = 400 if looks > 4 else 390
        return node(request)

    assert ask_node(advance, read_all(node, [RICH]))[0].read_height == 400
    assert looks == 5


def test_a_newest_block_that_does_not_become_irreversible_is_unavailable() -> None:
    node = Node(final=399)
    with pytest.raises(SourceUnavailableError, match="did not become irreversible"):
        ask_node(node, read_all(node, [RICH]))


def test_a_newest_block_that_is_replaced_is_unavailable() -> None:
    node = Node()
    replaced = liar(node, "blockByHeight", lambda body: body | {"BlockHash": "ab" * 32})
    with pytest.raises(SourceUnavailableError, match="while it was read"):
        ask_node(replaced, read_all(node, [RICH]))

    looks = 0

    def reorganised(request: Request) -> object:
        nonlocal looks
        looks += request.path.endswith("chainStatus")
        told = node(request)
        return told | {"BestChainHash": "ab" * 32} if looks == 2 and request.path.endswith("chainStatus") else told

    with pytest.raises(SourceUnavailableError, match="was replaced"):
        ask_node(reorganised, read_all(node, [RICH]))


def test_a_state_before_the_snapshot_block_is_refused() -> None:
    assert ask_node(Node(best=300, final=300), read_all(Node(), [RICH]))[0].read_height == 300
    with pytest.raises(SourceBehindError, match="before the snapshot block 300"):
        ask_node(Node(best=299, final=299), read_all(Node(), [RICH]))


# The snapshot block


@pytest.mark.parametrize(
    ("missed", "second", "height"),
    [(set(), 150, 299), (set(), 149, 297), ({299}, 150, 298), ({297, 298, 299, 300, 301}, 150, 296), (set(), 199, 397)],
)
def test_the_snapshot_block_is_the_last_one_before_the_moment(missed: set[int], second: int, height: int) -> None:
    node = Node(missed=missed)
    as_of = START + timedelta(seconds=second)
    found = ask_node(node, lambda opened: opened.resolve(as_of))
    # Each block comes a tenth of a microsecond after its half second, so that of the moment itself is after the moment.
    assert (found.height, found.hash) == (height, node.hash(height))
    assert node.time(height) < as_of <= node.time(height + 1)
    assert found.time == node.time(height).replace(microsecond=0)
    assert found.distance_seconds == (as_of - found.time).total_seconds()
    assert ask_node(node, lambda opened: opened.block_hash(found.height)) == found.hash


@pytest.mark.parametrize("shift", [1, 3600])
def test_a_node_whose_irreversible_block_is_not_after_the_moment_is_behind(shift: int) -> None:
    node = Node(best=500, final=400)
    with pytest.raises(SourceBehindError, match=r"block, 400, is of .*, and one after"):
        ask_node(node, lambda opened: opened.resolve(node.time(400) + timedelta(seconds=shift)))


def test_a_block_too_far_before_the_moment_is_refused() -> None:
    as_of = START + timedelta(seconds=150)
    within, beyond = Node(missed=set(range(291, 301))), Node(missed=set(range(281, 301)))
    assert ask_node(within, lambda opened: opened.resolve(as_of)).distance_seconds == 5
    with pytest.raises(SourceMismatchError, match="10 s before"):
        ask_node(beyond, lambda opened: opened.resolve(as_of))


def test_a_moment_before_the_chain_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="20001: Not found"):
        ask_node(Node(), lambda opened: opened.resolve(START - timedelta(seconds=1)))


def header(**values: Any) -> Callable[[Any], Any]:
    return lambda body: body | {"Header": body["Header"] | values}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (header(Height=5), "was asked"),
        (header(Height="300"), "not a height"),
        (header(ChainId="tDVV"), "was asked"),
        (header(Time="yesterday"), "not a time"),
        (header(Time="2026-13-01T00:00:00Z"), "not a time"),
        (header(PreviousBlockHash="12"), "not a hash"),
        (header(PreviousBlockHash="00" * 32), "does not follow"),
        (lambda body: body | {"BlockHash": None}, "not a hash"),
        (lambda body: body | {"BlockHash": "00" * 32}, "not the one that it calls irreversible"),
        (lambda body: {}, "not a block"),
        (lambda body: [], "not a block"),
        (lambda body: None, "not a block"),
        (lambda body: refusal("20001", "Not found"), "20001"),
    ],
)
def test_blocks_that_contradict_themselves_stop_the_search(change: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(SourceMismatchError, match=words):
        ask_node(liar(Node(), "blockByHeight", change), lambda opened: opened.resolve(START + timedelta(seconds=150)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body | {"ChainId": "tDVV"}, "tDVV"),
        (lambda body: body | {"GenesisBlockHash": "00" * 32}, "first block"),
        (lambda body: body | {"BestChainHeight": None}, "not a height"),
        (lambda body: body | {"LastIrreversibleBlockHeight": 401}, "above its best"),
        (lambda body: [], "not a chain's status"),
    ],
)
def test_another_network_and_a_malformed_status_are_refused(change: Callable[[Any], Any], words: str) -> None:
    ask_node(Node(), lambda opened: opened.check_network())
    with pytest.raises(SourceMismatchError, match=words):
        ask_node(liar(Node(), "chainStatus", change), lambda opened: opened.check_network())


def test_a_refusal_without_the_apis_own_form_is_one_of_access() -> None:
    with pytest.raises(ConfigError, match="HTTP status 403"):
        ask_node(liar(Node(), "chainStatus", lambda body: (403, {"message": "forbidden"})), lambda opened: opened.check_network())


# Tokens


@pytest.mark.parametrize(
    ("decimals", "words"), [({"ELF": 8}, "no such token"), ({"ELF": 8, "USDT": 8}, "8 decimals"), ({"ELF": 9, "USDT": 6}, "ELF")]
)
def test_a_token_that_is_not_what_the_registry_says_is_refused(decimals: dict[str, int], words: str) -> None:
    node = Node(decimals=decimals)
    with pytest.raises(RegistryError, match=words):
        ask_node(node, lambda opened: opened.check_assets(block_of(node)))
    ask_node(Node(), lambda opened: opened.check_assets(block_of(node)))


def test_a_contract_that_refuses_is_an_error_and_never_zero() -> None:
    node = Node()
    refusing = liar(node, "executeTransaction", lambda body: refusal("20012", "Invalid transaction", "Failed to find contract"))
    with pytest.raises(SourceMismatchError, match="Failed to find contract"):
        ask_node(refusing, read_all(node, [RICH]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokens": {"USDT": replace(TOKEN, contract="usdt")}}, "not a symbol"),
        ({"tokens": {"USDT": replace(TOKEN, contract="")}}, "not a symbol"),
        ({"network": "tDVW"}, "network"),
    ],
)
def test_a_registry_that_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        ask_node(Node(), lambda opened: opened.check_network(), chain=replace(CHAIN, **changes))


# Answers that are no amounts

OWNER = field_of(2, field_of(1, base58.b58decode_check(RICH)))


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("", SourceMismatchError, "not of the symbol and owner"),
        (None, SourceMismatchError, "not text"),
        (5, SourceMismatchError, "not text"),
        ({"Balance": "5"}, SourceMismatchError, "not text"),
        ("xyz", SourceMismatchError, "not hexadecimal"),
        ("0x" + field_of(1, "ELF").hex(), SourceMismatchError, "not hexadecimal"),
        (field_of(1, "ELF").hex(), SourceMismatchError, "not of the symbol and owner"),
        ((field_of(1, "USDC") + OWNER + field_of(3, 5)).hex(), SourceMismatchError, "not of the symbol and owner"),
        (
            (field_of(1, "ELF") + field_of(2, field_of(1, base58.b58decode_check(EMPTY))) + field_of(3, 5)).hex(),
            SourceMismatchError,
            "not of the symbol and owner",
        ),
        ((field_of(1, "ELF") + OWNER + field_of(3, 2**64 - 5)).hex(), SourceMismatchError, "negative: -5"),
        ((field_of(1, "ELF") + OWNER + field_of(3, 2**64)).hex(), SourceMismatchError, "more than 64 bits"),
        ((field_of(1, "ELF") + OWNER + b"\x18" + b"\xff" * 11).hex(), SourceMismatchError, "over-long number"),
        ((field_of(1, "ELF") + OWNER + field_of(3, 5) + field_of(3, 6)).hex(), SourceMismatchError, "stands there twice"),
        ((field_of(1, "ELF") + OWNER + field_of(3, b"5")).hex(), SourceMismatchError, "number is none"),
        ((field_of(1, "ELF") + OWNER + field_of(3, 5))[:-1].hex(), SourceMismatchError, "cut off"),
        ((field_of(1, "ELF") + OWNER)[:-3].hex(), SourceMismatchError, "cut off"),
        ((field_of(1, "ELF") + OWNER + b"\x1b").hex(), SourceMismatchError, "not a protobuf message"),
    ],
)
def test_an_answer_that_is_not_the_balance_that_was_asked_stops_the_read(body: Any, kind: type[AssayError], words: str) -> None:
    node = Node()
    content = json.dumps(body).encode()
    with pytest.raises(kind, match=words) as raised:
        ask_node(
            liar(node, "executeTransaction", lambda told: Answer(content=content)), read_all(node, [RICH]), chain=replace(CHAIN, tokens={})
        )
    assert RICH in str(raised.value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_off, "connection failed"),
        (lambda answer: answer.content[:-1], "cut off"),
        (lambda answer: answer.content[1:-1], "not JSON"),  # bare text, as it comes without the right "accept"
        (lambda answer: (500, {"Error": {"Message": "busy"}}), "HTTP status 500"),
        (lambda answer: (429, {}), "HTTP status 429"),
        (lambda answer: replace(answer, delay=1.5), "within 1 s"),
    ],
)
def test_a_node_that_does_not_answer_in_full_stops_the_read(spoil: Callable[[Answer], Any], words: str) -> None:
    node = Node()
    spoilt = altered(node, lambda request, answer: spoil(answer) if request.method == "POST" else answer)
    with pytest.raises(SourceUnavailableError, match=words):
        ask_node(spoilt, read_all(node, [RICH]), source=source_of(timeout_seconds=1))


@pytest.mark.parametrize("name", ["ChainId", "GenesisBlockHash"])
def test_no_error_shows_a_key_that_the_server_echoes(name: str) -> None:
    node, echo = Node(), "over quota: /keys/s3cr3t-k3y-of-ours" if name == "GenesisBlockHash" else "/keys/s3cr3t-k3y-of-ours"

    def echoing(request: Request) -> Any:
        return node(replace(request, path=request.path.removeprefix("/keys/s3cr3t-k3y-of-ours"))) | {name: echo}  # type: ignore[operator]

    with ScriptedServer(echoing) as server, pytest.raises(SourceMismatchError, match="…") as raised:
        ask(f"{server.url}/keys/s3cr3t-k3y-of-ours", lambda opened: opened.check_network())
    assert "s3cr3t" not in str(raised.value)


def test_an_over_long_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 1000)
    with pytest.raises(SourceUnavailableError, match="longer than"):
        ask_node(liar(Node(), "executeTransaction", lambda told: "00" * 1000), read_all(Node(), [RICH]))


def test_a_balance_over_38_digits_is_refused_naming_the_address() -> None:
    assets = ASSETS | {"ELF": Asset(symbol="ELF", name="aelf", decimals=30)}
    with pytest.raises(AmountError, match=RICH):
        ask_node(Node(), read_all(Node(), [RICH]), assets=assets)


@given(st.integers(0, 2**63 - 1))
def test_every_balance_is_read_back_exactly(amount: int) -> None:
    assert parse_balance((field_of(1, "ELF") + OWNER + field_of(3, amount)).hex(), "ELF", RICH) == amount
    assert balance_question("ELF", RICH) == field_of(1, "ELF") + OWNER


@pytest.mark.parametrize("text", ["no such token", "0a 03", "0x", " ", "-"])
def test_text_that_is_not_hexadecimal_does_not_say_that_there_is_no_token(text: str) -> None:
    assert parse_decimals("", "ELF") is None
    with pytest.raises(AnswerError, match="not hexadecimal"):
        parse_decimals(text, "ELF")


@given(st.binary())
def test_no_bytes_break_the_reading(raw: bytes) -> None:
    with pytest.raises(AnswerError):
        parse_balance(raw.hex(), "ELF", RICH)
    if raw:
        with pytest.raises(AnswerError):
            parse_decimals(raw.hex(), "NOSUCHTOKEN")


# Addresses


def test_an_address_is_the_double_hash_of_a_public_key() -> None:
    """The key and address that aelf's own libraries test with (https://github.com/AElfProject/aelf-sdk.go)."""
    secret = coincurve.PrivateKey(bytes.fromhex("cd86ab6347d8e52bbbe8532141fc59ce596268143a308d1d40fedf385528b458"))
    raw = hashlib.sha256(hashlib.sha256(secret.public_key.format(compressed=False)).digest()).digest()
    assert base58.b58encode_check(raw).decode() == RICH


@pytest.mark.parametrize("address", [RICH, f"ELF_{RICH}_AELF", f"USDT_{RICH}_AELF"])
def test_addresses_are_accepted_bare_and_wrapped(address: str) -> None:
    assert check_address(CHAIN, address) == RICH


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "address"),
        (RICH[:-1], "checksum"),
        (RICH.lower(), "checksum"),
        (RICH + " ", "32 bytes"),
        ("1" + RICH, "checksum"),
        (f"ELF_{RICH}_tDVV", "of the chain tDVV"),
        (f"ELF_{RICH}", "checksum"),
        (f"ELF_{RICH[:-1]}_AELF", "checksum"),
        ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "32 bytes"),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "checksum"),
        ("é", "32 bytes"),
    ],
)
def test_other_text_is_refused(address: str, words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        check_address(CHAIN, address)


@given(st.text())
def test_no_text_breaks_the_check(text: str) -> None:
    with pytest.raises(RegistryError):
        check_address(CHAIN, text)
