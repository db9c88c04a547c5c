"""The Ethereum validators' reader against a scripted beacon node.

No consensus client can be installed here: replies are written from the API's own description, https://ethereum.github.io/beacon-APIs/
(`getGenesis`, `getSpec`, `getBlockHeader`, `getStateRoot`, `postStateValidators`, `getStateValidator` and their error forms). The one
real thing is mainnet's first header, whose root everybody knows.
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
from assay.chains.ethereum_beacon import BeaconReader, check_address, reader
from assay.chains.ethereum_beacon.api import header_root
from assay.chains.evidence import EvidenceArchive, Tape, read_archive
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import Answer, Handler, NotScripted, Request, ScriptedServer, altered, cut_off

T = TypeVar("T")

GENESIS_TIME = 1606824023
GENESIS_ROOT = "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"
ASSETS = {"ETH": Asset(symbol="ETH", name="Ether", decimals=18)}
CHAIN = Chain(
    name="ethereum_beacon",
    family="ethereum_beacon",
    asset="ETH",
    genesis=GENESIS_ROOT,
    finality="finalized",
    max_distance_seconds=120,
)
OWNER = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # a checksummed address of EIP-55
OTHER = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


def key(index: int) -> str:
    return "0xa0" + f"{index:094x}"


def root(text: str) -> str:
    return "0x" + text.encode().hex().ljust(64, "0")


@dataclass
class Node:
    """A beacon node: which slots have blocks, and the validators of every state.

    Attributes:
        missed: Slots without a block.
        final: The finalized block's slot.
        balances: Gwei by index.
        credentials: By index; BLS credentials elsewhere.
    """

    missed: set[int] = field(default_factory=set)
    final: int = 128
    balances: list[int] = field(default_factory=lambda: [32_000_000_000 + index for index in range(12)])
    credentials: dict[int, str] = field(
        default_factory=lambda: {
            2: "0x01" + "0" * 22 + OWNER[2:].lower(),
            5: "0x02" + "0" * 22 + OWNER[2:].lower(),
            7: "0x01" + "0" * 22 + OTHER[2:].lower(),
        }
    )

    def __post_init__(self) -> None:
        self._headers: dict[int, dict[str, Any]] = {}

    def header(self, slot: int) -> dict[str, Any]:
        if slot not in self._headers:
            self._headers[slot] = self._made(slot)
        return self._headers[slot]

    def _made(self, slot: int) -> dict[str, Any]:
        before = max((below for below in range(slot) if below not in self.missed), default=None)
        parent = "0x" + "0" * 64 if before is None else self.header(before)["root"]
        message = {
            "slot": str(slot),
            "proposer_index": "7",
            "parent_root": parent,
            "state_root": root(f"state {slot}"),
            "body_root": root(f"body {slot}"),
        }
        fields = [bytes.fromhex(message[name][2:]) for name in ("parent_root", "state_root", "body_root")]
        return {"root": header_root(slot, 7, *fields), "canonical": True, "header": {"message": message, "signature": "0x" + "ab" * 96}}

    def validator(self, index: int) -> dict[str, Any]:
        return {
            "index": str(index),
            "balance": str(self.balances[index]),
            "status": "active_ongoing",
            "validator": {
                "pubkey": key(index),
                "withdrawal_credentials": self.credentials.get(index, "0x00" + "b" * 62),
                "effective_balance": "32000000000",
                "slashed": False,
            },
        }

    def find(self, name: str) -> int | None:
        by_key = {key(index): index for index in range(len(self.balances))}
        index = by_key.get(name, int(name) if name.isdigit() else -1)
        return index if 0 <= index < len(self.balances) else None

    def __call__(self, request: Request) -> object:
        parts = request.path.split("/")[3:]
        match parts:
            case ["beacon", "genesis"]:
                return {
                    "data": {
                        "genesis_time": str(GENESIS_TIME),
                        "genesis_validators_root": GENESIS_ROOT,
                        "genesis_fork_version": "0x00000000",
                    }
                }
            case ["config", "spec"]:
                return {"data": {"SECONDS_PER_SLOT": "12", "DEPOSIT_CONTRACT_ADDRESS": "0x00000000219ab540356cBB839Cbe05303d7705Fa"}}
            case ["beacon", "headers", name]:
                return self._header_of(name)
            case ["beacon", "states", slot, "root"]:
                return settled({"root": root(f"state {slot}")})
            case ["beacon", "states", _, "validators"] if request.method == "POST":
                found = [self.find(name) for name in request.body["ids"]]
                return settled([self.validator(index) for index in found if index is not None][::-1])
            case ["beacon", "states", _, "validators", name]:
                index = self.find(name)
                return (404, {"code": 404, "message": "Validator not found"}) if index is None else settled(self.validator(index))
        raise NotScripted

    def _header_of(self, name: str) -> object:
        if name == "finalized":
            return settled(self.header(self.final))
        slots = [slot for slot in range(self.final + 1) if slot not in self.missed]
        for slot in slots:
            if name in (str(slot), self.header(slot)["root"] if name.startswith("0x") else ""):
                return settled(self.header(slot))
        return 404, {"code": 404, "message": "Block not found"}


def settled(data: Any) -> dict[str, Any]:
    return {"execution_optimistic": False, "finalized": True, "data": data}


def source_of(**changes: Any) -> Source:
    return replace(Source(name="node_a", kind="rest", connection="unused", batch_size=5, concurrency=2, timeout_seconds=20), **changes)


def ask(url: str, question: Callable[[BeaconReader], Awaitable[T]], *, archive: EvidenceArchive | None = None, **more: Any) -> T:
    async def run() -> T:
        kept = archive or EvidenceArchive("test")
        chain, source = more.get("chain", CHAIN), more.get("source") or source_of()
        async with reader(chain, source, assets=more.get("assets", ASSETS), archive=kept, url=url) as opened:
            return await question(opened)

    return asyncio.run(run())


def ask_node(node: Handler, question: Callable[[BeaconReader], Awaitable[T]], **more: Any) -> T:
    with ScriptedServer(node) as server:
        return ask(server.url, question, **more)


def at(slot: int, seconds: int = 0) -> datetime:
    return datetime.fromtimestamp(GENESIS_TIME + 12 * slot + seconds, UTC)


def block_of(node: Node, slot: int = 100) -> SnapshotBlock:
    return SnapshotBlock(
        chain=CHAIN.name, height=slot, hash=node.header(slot)["root"], time=at(slot), finality="finalized", distance_seconds=0
    )


def told(balances: list[Balance]) -> list[tuple[str, int]]:
    return [(balance.address, balance.amount) for balance in balances]


def read_at(node: Node, addresses: list[str]) -> Callable[[BeaconReader], Awaitable[list[Balance]]]:
    return lambda opened: opened.read(block_of(node), addresses)


def changed(request: Request, answer: Answer, *, where: str, change: Callable[[Any], Any]) -> Any:
    """Change the parsed body of good answers whose path holds `where`."""
    if where not in request.path or answer.status != 200:
        return answer
    return change(json.loads(answer.content))


def liar(node: Handler, where: str, change: Callable[[Any], Any]) -> Handler:
    return altered(node, lambda request, answer: changed(request, answer, where=where, change=change))


# The root of a header


def test_the_root_of_mainnets_first_header_is_the_known_one() -> None:
    state = bytes.fromhex("7e76880eb67bbdc86250aa578958e9d0675e64e714337855204fb5abaaf82c2b")
    body = bytes.fromhex("ccb62460692be0ec813b56be97f68a82cf57abc102e27bf49ebf4190ff22eedd")
    assert header_root(0, 0, bytes(32), state, body) == "0x4d611d5b93fdab69013a7f0a2f961caca0c853f87cfe9595fe50038163079360"


# Reading


def test_keys_indices_and_withdrawal_addresses_are_read_in_wei() -> None:
    node = Node()
    balances = ask_node(node, read_at(node, [OTHER, key(3), "validator:4", OWNER, key(0)]))
    wei = 10**9
    assert told(balances) == [
        (OTHER, node.balances[7] * wei),
        (key(3), node.balances[3] * wei),
        ("validator:4", node.balances[4] * wei),
        (OWNER, (node.balances[2] + node.balances[5]) * wei),
        (key(0), node.balances[0] * wei),
    ]
    assert all(balance.asset == "ETH" and balance.read_height is None for balance in balances)


def test_a_withdrawal_address_is_looked_for_in_the_whole_list_and_only_matches_are_archived(tmp_path: Path) -> None:
    node = Node(balances=[32_000_000_000] * 40)
    archive = EvidenceArchive("test")
    with ScriptedServer(node) as server:
        (balance,) = ask(server.url, read_at(node, [OWNER]), archive=archive)
        asked = {name for request in server.requests if request.method == "POST" for name in request.body["ids"]}
    assert balance.amount == 64 * 10**18
    assert asked >= {str(index) for index in range(40)}
    lines = dict(read_archive(archive.write(tmp_path / "archive.jsonl.zst")))
    summary = lines[balance.evidence]
    assert summary["method"] == "validators by withdrawal address"
    assert summary["result"]["scanned"] == 40
    assert [item["index"] for item in summary["result"]["validators"]] == [2, 5]
    for item in summary["result"]["validators"]:
        answer = lines[item["evidence"]]
        assert answer["method"].startswith("POST /eth/v1/beacon/states/100/validators")
        assert {"2", "5"} == {entry["index"] for entry in answer["result"]["body"]["data"]}


def test_a_withdrawal_address_without_validators_holds_zero() -> None:
    node = Node(credentials={})
    assert told(ask_node(node, read_at(node, [OWNER]))) == [(OWNER, 0)]


@pytest.mark.parametrize("address", [key(99), "validator:12", "validator:999"])
def test_an_unknown_validator_is_a_zero_that_the_node_said_by_itself(tmp_path: Path, address: str) -> None:
    node, archive = Node(), EvidenceArchive("test")
    (balance,) = ask_node(node, read_at(node, [address]), archive=archive)
    assert balance.amount == 0
    line = dict(read_archive(archive.write(tmp_path / "archive.jsonl.zst")))[balance.evidence]
    assert line["result"] == {"status": 404, "body": {"code": 404, "message": "Validator not found"}}


def test_a_replay_gives_the_same_balances_with_the_same_evidence(tmp_path: Path) -> None:
    node, archive = Node(), EvidenceArchive("test")
    addresses = [OWNER, key(3), "validator:4", key(77), OTHER]
    first = ask_node(node, read_at(node, addresses), archive=archive)
    path = archive.write(tmp_path / "archive.jsonl.zst")
    again = EvidenceArchive("replay")
    assert ask(f"tape:{path}", read_at(node, addresses), archive=again) == first
    for balance in first:
        again.require(balance.evidence)


def test_the_recheck_of_the_block_can_be_replayed(tmp_path: Path) -> None:
    node, archive = Node(), EvidenceArchive("test")
    block = block_of(node)
    assert ask_node(node, lambda opened: opened.recheck(block, since=None), archive=archive) == block.hash
    path = archive.write(tmp_path / "archive.jsonl.zst")
    assert ask(f"tape:{path}", lambda opened: opened.recheck(block, since=None)) == block.hash


def test_one_validator_under_two_names_is_refused() -> None:
    node = Node()
    for addresses in (["validator:3", key(3)], [OWNER, "validator:5"], [key(2), OWNER]):
        with pytest.raises(RegistryError, match="counted twice"):
            ask_node(node, read_at(node, addresses))


def test_no_wallets_need_no_question() -> None:
    node = Node()
    with ScriptedServer(node) as server:
        assert ask(server.url, read_at(node, [])) == []
        assert not server.requests


def test_a_lying_second_source_is_caught() -> None:
    node = Node()
    addresses = [key(1), OWNER]

    def shave(body: Any) -> Any:
        for item in body["data"]:
            if item["index"] == "5":
                item["balance"] = str(int(item["balance"]) - 1)
        return body

    answers = {
        "node_a": ask_node(node, read_at(node, addresses)),
        "node_b": ask_node(liar(node, "/validators", shave), read_at(node, addresses), source=source_of(name="node_b")),
    }
    with pytest.raises(SourceMismatchError, match=OWNER):
        agree_on_balances(CHAIN.name, answers)


# The snapshot block


@pytest.mark.parametrize(
    ("missed", "as_of", "slot"),
    [
        (set(), at(100), 100),
        (set(), at(100, 11), 100),
        (set(), at(101, -1), 100),
        ({100}, at(100), 99),
        ({98, 99, 100, 101, 102}, at(100, 5), 97),
        (set(), at(127, 11), 127),
    ],
)
def test_the_snapshot_block_is_the_last_one_before_the_moment(missed: set[int], as_of: datetime, slot: int) -> None:
    node = Node(missed=missed)
    found = ask_node(node, lambda opened: opened.resolve(as_of))
    assert (found.height, found.hash, found.time) == (slot, node.header(slot)["root"], at(slot))
    assert found.distance_seconds == (as_of - at(slot)).total_seconds()
    assert ask_node(node, lambda opened: opened.block_hash(slot)) == found.hash


@pytest.mark.parametrize("as_of", [at(128), at(128, 11), at(500)])
def test_a_node_whose_final_block_is_not_after_the_moment_is_behind(as_of: datetime) -> None:
    with pytest.raises(SourceBehindError, match="finalized block is of slot 128"):
        ask_node(Node(), lambda opened: opened.resolve(as_of))


def test_a_node_without_any_finalized_block_is_behind() -> None:
    node = Node()

    def young(request: Request, honest: Answer) -> Any:
        return (404, {"code": 404, "message": "Block not found"}) if request.path.endswith("/finalized") else honest

    with pytest.raises(SourceBehindError, match="of slot none"):
        ask_node(altered(node, young), lambda opened: opened.resolve(at(100)))


def test_blocks_of_several_moments_fit_into_one_archive_while_the_chain_grows(tmp_path: Path) -> None:
    node, archive = Node(missed={100}), EvidenceArchive("test")

    async def question(opened: BeaconReader) -> list[SnapshotBlock]:
        found = [await opened.resolve(at(90))]
        node.final += 32
        return [*found, await opened.resolve(at(100))]

    assert [block.height for block in ask_node(node, question, archive=archive)] == [90, 99]
    Tape(archive.write(tmp_path / "archive.jsonl.zst"))


def test_a_moment_before_the_chain_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="began after"):
        ask_node(Node(), lambda opened: opened.resolve(at(0) - timedelta(seconds=1)))


def test_a_block_too_far_before_the_moment_is_refused() -> None:
    within, beyond = Node(missed=set(range(91, 101))), Node(missed=set(range(90, 101)))
    assert ask_node(within, lambda opened: opened.resolve(at(100))).distance_seconds == 120
    with pytest.raises(SourceMismatchError, match="farther back"):
        ask_node(beyond, lambda opened: opened.resolve(at(100)))


def test_a_block_that_is_hidden_is_missed_by_the_next_one() -> None:
    node = Node()
    hidden = altered(
        node,
        lambda request, answer: (404, {"code": 404, "message": "Block not found"}) if request.path.endswith("/headers/100") else answer,
    )
    with pytest.raises(SourceMismatchError, match="does not follow"):
        ask_node(hidden, lambda opened: opened.resolve(at(100)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body | {"finalized": False}, "not of the finalized chain"),
        (lambda body: {key: value for key, value in body.items() if key != "finalized"}, "not of the finalized chain"),
        (lambda body: body | {"execution_optimistic": True}, "execution_optimistic"),
        (lambda body: body | {"data": body["data"] | {"canonical": False}}, "canonical"),
        (lambda body: body | {"data": body["data"] | {"root": root("x")}}, "its fields give"),
        (lambda body: json.loads(json.dumps(body).replace('"slot": "100"', '"slot": "101"')), "its fields give"),
        (lambda body: json.loads(json.dumps(body).replace('"proposer_index": "7"', '"proposer_index": "8"')), "its fields give"),
        (lambda body: json.loads(json.dumps(body).replace('"proposer_index": "7"', '"proposer_index": "99999999999999999999"')), "64 bits"),
        (lambda body: body | {"data": {}}, "not a block header"),
        (lambda body: body | {"data": None}, "no data"),
        (lambda body: [], "no data"),
        (lambda body: {"code": 500, "message": "busy"}, "no data"),
    ],
)
def test_a_header_that_is_not_final_and_whole_stops_the_search(change: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(SourceMismatchError, match=words) as raised:
        ask_node(liar(Node(), "/headers/100", change), lambda opened: opened.resolve(at(100)))
    assert "source node_a" in str(raised.value)


def test_another_network_is_refused() -> None:
    ask_node(Node(), lambda opened: opened.check_network())
    with pytest.raises(SourceMismatchError, match="genesis_validators_root"):
        ask_node(Node(), lambda opened: opened.check_network(), chain=replace(CHAIN, genesis="0x" + "1" * 64))


# Answers that are no numbers


def validators(change: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    return lambda body: body | {"data": change(body["data"])} if isinstance(body.get("data"), list) else body


def first(**values: Any) -> Callable[[Any], Any]:
    return validators(lambda items: [items[0] | values, *items[1:]])


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda body: {"code": 500, "message": "internal"}, SourceMismatchError, "no data"),
        (lambda body: None, SourceMismatchError, "no data"),
        (lambda body: body | {"data": None}, SourceMismatchError, "no data"),
        (lambda body: body | {"data": {}}, SourceMismatchError, "not a list"),
        (lambda body: body | {"finalized": False}, SourceMismatchError, "not of the finalized chain"),
        (lambda body: body | {"execution_optimistic": True}, SourceMismatchError, "execution_optimistic"),
        (first(balance=None), SourceMismatchError, "not a number"),
        (first(balance=32_000_000_000), SourceMismatchError, "not a number"),
        (first(balance="-1"), SourceMismatchError, "not a number"),
        (first(balance="3.2e10"), SourceMismatchError, "not a number"),
        (first(balance="0x1"), SourceMismatchError, "not a number"),
        (first(balance=""), SourceMismatchError, "not a number"),
        (first(balance="9" * 40), AmountError, "digits"),
        (first(index="11"), SourceMismatchError, "not asked for"),
        (validators(lambda items: [*items, items[0]]), SourceMismatchError, "given twice"),
        (validators(lambda items: items[1:]), SourceMismatchError, "left out of a list"),
        (validators(lambda items: [*items, 7]), SourceMismatchError, "not a validator"),
        (first(validator={}), SourceMismatchError, "not a validator"),
        (first(validator={"pubkey": "0x1", "withdrawal_credentials": "0x"}), SourceMismatchError, "public key"),
        (first(validator={"pubkey": key(1), "withdrawal_credentials": "0x01"}), SourceMismatchError, "credentials"),
    ],
)
def test_an_answer_that_is_not_one_balance_a_validator_stops_the_read(
    change: Callable[[Any], Any], kind: type[AssayError], words: str
) -> None:
    node = Node()
    with pytest.raises(kind, match=words):
        ask_node(liar(node, "/states/100/validators", change), read_at(node, [key(1), "validator:3"]))


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (cut_off, SourceUnavailableError, "connection failed"),
        (lambda answer: answer.content[:-7], SourceUnavailableError, "cut off"),
        (lambda answer: (503, {"code": 503, "message": "syncing"}), SourceUnavailableError, "HTTP status 503"),
        (lambda answer: (429, {}), SourceUnavailableError, "HTTP status 429"),
        (lambda answer: replace(answer, delay=1.5), SourceUnavailableError, "within 1 s"),
        (lambda answer: (404, {"code": 404, "message": "State not found"}), SourceMismatchError, "does not have the state"),
    ],
)
@pytest.mark.parametrize("addresses", [[key(1)], [OWNER]])
def test_a_node_that_does_not_answer_in_full_stops_the_read(
    spoil: Callable[[Answer], Any], kind: type[AssayError], words: str, addresses: list[str]
) -> None:
    node = Node()
    spoilt = altered(node, lambda request, answer: spoil(answer) if request.path.endswith("/validators") else answer)
    with pytest.raises(kind, match=words):
        ask_node(spoilt, read_at(node, addresses), source=source_of(timeout_seconds=1))


@pytest.mark.parametrize("question", [lambda opened: opened.check_network(), lambda opened: opened.resolve(at(100))])
def test_no_error_shows_a_key_that_the_server_echoes(question: Callable[[BeaconReader], Awaitable[Any]]) -> None:
    echo = "over quota: /keys/s3cr3t-k3y-of-ours"
    node: Handler = lambda request: {"data": {"genesis_validators_root": echo, "genesis_time": echo}}  # noqa: E731
    with ScriptedServer(node) as server, pytest.raises(SourceMismatchError, match="over quota") as raised:
        ask(f"{server.url}/keys/s3cr3t-k3y-of-ours", question)
    assert "s3cr3t" not in str(raised.value)


def test_an_over_long_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 2000)
    with pytest.raises(SourceUnavailableError, match="longer than"):
        ask_node(node, read_at(node, [key(index) for index in range(12)]), source=source_of(batch_size=12))


def test_a_pruned_state_is_an_error_that_names_the_remedy() -> None:
    node = Node()
    pruned = altered(
        node, lambda request, answer: (404, {"code": 404, "message": "State not found"}) if "/states/" in request.path else answer
    )
    with pytest.raises(SourceMismatchError, match="archive node"):
        ask_node(pruned, read_at(node, [key(1)]))


@pytest.mark.parametrize(
    "words", ["Validator not found", "NOT_FOUND: unknown validator: 99", "Validator pubkey not found in state", "Not found"]
)
def test_every_client_says_in_its_own_words_that_a_validator_is_unknown(words: str) -> None:
    def saying(request: Request, honest: Answer) -> Any:
        return (404, {"code": 404, "message": words}) if honest.status == 404 else honest

    node = Node()
    assert told(ask_node(altered(node, saying), read_at(node, ["validator:99"]))) == [("validator:99", 0)]


def test_a_state_that_is_gone_when_a_validator_is_asked_for_by_itself_is_no_zero() -> None:
    node = Node()

    def pruned(request: Request, honest: Answer) -> Any:
        alone = request.method == "GET" and "/validators/" in request.path
        return (404, {"code": 404, "message": "State not found"}) if alone else honest

    with pytest.raises(SourceMismatchError, match="not said to be unknown"):
        ask_node(altered(node, pruned), read_at(node, ["validator:99"]))


def test_a_state_that_the_block_does_not_commit_to_is_refused() -> None:
    node = Node()
    other = liar(node, "/states/100/root", lambda body: settled({"root": root("another state")}))
    with pytest.raises(SourceMismatchError, match="commits to"):
        ask_node(other, read_at(node, [key(1)]))


def test_a_block_that_the_node_does_not_have_is_refused() -> None:
    node = Node()
    elsewhere = replace(block_of(node), hash=root("fork"))
    with pytest.raises(SourceMismatchError, match="no such block"):
        ask_node(node, lambda opened: opened.read(elsewhere, [key(1)]))


def test_another_block_than_the_one_asked_by_its_root_is_refused() -> None:
    node = Node()
    other = liar(node, "/headers/0x", lambda body: settled(node.header(99)))
    with pytest.raises(SourceMismatchError, match="it gave the block"):
        ask_node(other, lambda opened: opened.read(block_of(node), [key(1)]))


def test_a_list_with_a_gap_is_refused() -> None:
    node = Node()
    gap = liar(node, "/validators", validators(lambda items: [item for item in items if item["index"] != "4"]))
    with pytest.raises(SourceMismatchError, match="gaps"):
        ask_node(gap, read_at(node, [OWNER]))


def test_a_list_that_repeats_itself_is_refused() -> None:
    node = Node(balances=[1] * 30)
    page = [node.validator(index) for index in range(5)]
    with pytest.raises(SourceMismatchError, match="not asked for"):
        ask_node(liar(node, "/validators", lambda body: settled(page)), read_at(node, [OWNER]))


def test_a_list_that_is_cut_short_is_refused() -> None:
    node = Node(balances=[1] * 30)
    short = liar(node, "/validators", validators(lambda items: [item for item in items if int(item["index"]) < 12]))
    with pytest.raises(SourceMismatchError, match="not said to be unknown"):
        ask_node(short, read_at(node, [OWNER]))


def test_tokens_are_refused_and_decimals_are_compared() -> None:
    node = Node()
    token = Token(asset="USDT", contract="0x", decimals=6, source="")
    with pytest.raises(RegistryError, match="no tokens"):
        ask_node(node, lambda opened: opened.check_assets(block_of(node)), chain=replace(CHAIN, tokens={"USDT": token}))
    ask_node(node, lambda opened: opened.check_assets(block_of(node)))
    with pytest.raises(RegistryError, match="asset ETH"):
        ask_node(node, lambda opened: opened.check_network(), assets={"ETH": Asset(symbol="ETH", name="Ether", decimals=8)})


# Addresses


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        (key(1), key(1)),
        ("0x" + key(1)[2:].upper(), key(1)),
        ("validator:0", "validator:0"),
        ("validator:2153421", "validator:2153421"),
        (OWNER.lower(), OWNER),
        (OWNER, OWNER),
    ],
)
def test_addresses_are_given_their_canonical_form(address: str, canonical: str) -> None:
    assert check_address(CHAIN, address) == canonical


@pytest.mark.parametrize(
    "address",
    [
        "",
        "0x",
        key(1)[:-1],
        key(1) + "0",
        key(1)[2:],
        "0x20" + key(1)[4:],  # not a compressed point
        "0xc0" + "0" * 94,  # the point at infinity
        "0x" + "g" * 96,
        "0x" + "٣" * 96,
        "123",
        "validator:",
        "validator:-1",
        "validator:01",
        "validator:1 ",
        "validator:" + "9" * 20,
        OWNER.swapcase().replace("0X", "0x"),
        "0x" + "0" * 40,
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    ],
)
def test_other_text_is_refused(address: str) -> None:
    with pytest.raises(RegistryError):
        check_address(CHAIN, address)


@given(st.text())
def test_no_text_breaks_the_check(text: str) -> None:
    with pytest.raises(RegistryError):
        check_address(CHAIN, text)
