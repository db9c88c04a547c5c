"""The Filecoin reader against a scripted Lotus node.

No Lotus can be installed here: replies are written from its API's documentation (https://docs.filecoin.io/reference/json-rpc/chain for
`ChainGetTipSetByHeight`, `ChainGetTipSetAfterHeight`, `ChainGetFinalizedTipSet`, `ChainHead`, `ChainGetGenesis`;
https://docs.filecoin.io/reference/json-rpc/state for `StateGetActor`, `StateLookupID`, `StateNetworkName`). The words of "no such
actor" are those of `chain/state/statetree.go` in https://github.com/filecoin-project/lotus, seen in an answer in
https://github.com/filecoin-project/filecoin-docs/issues/775. Addresses are the test vectors of
https://spec.filecoin.io/appendix/address/.
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
from assay.chains.evidence import EvidenceArchive, Tape, read_archive
from assay.chains.filecoin import FilecoinReader, check_address, reader
from assay.chains.filecoin.addresses import Address, parse_address
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import Answer, Handler, RpcError, ScriptedServer, altered, cut_off, json_rpc

T = TypeVar("T")

GENESIS_TIME = 1598306400
GENESIS = "bafy2bzacecnamqgqmifpluoeldx7zzglxcljo6oja4vrmtj7432rphldpdmm2"
ASSETS = {"FIL": Asset(symbol="FIL", name="Filecoin", decimals=18)}
CHAIN = Chain(
    name="filecoin",
    family="filecoin",
    asset="FIL",
    network="mainnet",
    genesis=GENESIS,
    finality="finalized",
    max_distance_seconds=120,
)
SECP, ACTOR, MINER = "f17uoq6tp427uzv7fztkbsnn64iwotfrristwpryy", "f24vg6ut43yw2h2jqydgbg2xq7x6f4kub3bg6as6i", "f01729"
UNKNOWN = "f1xcbgdhkgkwht3hrrnui3jdopeejsoatkzmoltqy"
BLS = "f3vvmn62lofvhjd2ugzca6sof2j2ubwok6cj4xxbfzz4yuxfkgobpihhd2thlanmsh3w2ptld2gqkn2jvlss4a"


def cid(text: str) -> dict[str, str]:
    return {"/": "bafy2bza" + "".join(letter for letter in text if letter.isalnum())}


def actor(balance: int | str, head: str = "", nonce: int = 0) -> dict[str, Any]:
    return {"Code": {"/": "bafk2code"}, "Head": cid(f"head{head}"), "Nonce": nonce, "Balance": str(balance)}


@dataclass
class Node:
    """A Lotus node.

    Attributes:
        null_rounds: Epochs without a tipset.
        head: Epoch of the newest tipset.
        final: Epoch of the finalized tipset.
        actors: By address.
        ids: Actor ids by address.
    """

    null_rounds: set[int] = field(default_factory=set)
    head: int = 1200
    final: int = 1100
    actors: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {SECP: actor(123_456_789_012_345_678_901, "a", 4), ACTOR: actor(5, "b"), MINER: actor(10**24, "c")}
    )
    ids: dict[str, str] = field(default_factory=dict)

    def tipset(self, epoch: int) -> dict[str, Any]:
        key = [cid(f"block{epoch}x{number}") for number in range(1 + epoch % 3)] if epoch else [{"/": GENESIS}]
        before = self.at_or_before(epoch - 1) if epoch else None
        parents = [{"/": "bafyreiaqpwbbyjo4a42saasj36kkrpv4tsherf2e7bvezkert2a7dhonoi"}] if before is None else before["Cids"]
        block = {"Miner": "f01938223", "Parents": parents, "Height": epoch, "Timestamp": GENESIS_TIME + 30 * epoch}
        return {"Cids": key, "Blocks": [{**block, "ParentStateRoot": cid(f"state{epoch}")} for _ in key], "Height": epoch}

    def at_or_before(self, epoch: int) -> dict[str, Any]:
        found = max(height for height in range(epoch + 1) if height not in self.null_rounds)
        # Parents of every block back to the first one would be made each time.
        return {"Cids": [cid(f"block{found}x{number}") for number in range(1 + found % 3)] if found else [{"/": GENESIS}], "Height": found}

    def __call__(self, method: str, params: Any) -> Any:  # noqa: PLR0911 (one a method)
        match method.removeprefix("Filecoin."), params:
            case "StateNetworkName", []:
                return "mainnet"
            case "ChainGetGenesis", []:
                return self.tipset(0)
            case "ChainHead", []:
                return self.tipset(self.head)
            case "ChainGetFinalizedTipSet", []:
                return self.tipset(self.final)
            case "ChainGetTipSetByHeight", [epoch, None]:
                return self.tipset(self.at_or_before(epoch)["Height"])
            case "ChainGetTipSetAfterHeight", [epoch, None]:
                return self.tipset(min(height for height in range(epoch, self.head + 1) if height not in self.null_rounds))
            case "StateGetActor", [address, [{"/": _}, *_]]:
                return self._actor(address)
            case "StateLookupID", [address, [{"/": _}, *_]]:
                return self.ids[address]
        raise RpcError(-32601, f"method '{method}' not found")

    def _actor(self, address: str) -> Any:
        if address in self.actors:
            return self.actors[address]
        if address.startswith("f0"):
            raise RpcError(1, "actor not found")
        raise RpcError(1, f"resolution lookup failed ({address}): resolve address {address}: actor not found")


def source_of(**changes: Any) -> Source:
    return replace(Source(name="node_a", kind="jsonrpc", connection="unused", concurrency=3, timeout_seconds=20), **changes)


def ask(url: str, question: Callable[[FilecoinReader], Awaitable[T]], *, archive: EvidenceArchive | None = None, **more: Any) -> T:
    async def run() -> T:
        kept = archive or EvidenceArchive("test")
        chain, source = more.get("chain", CHAIN), more.get("source") or source_of()
        async with reader(chain, source, assets=more.get("assets", ASSETS), archive=kept, url=url) as opened:
            return await question(opened)

    return asyncio.run(run())


def ask_node(node: Node | Handler, question: Callable[[FilecoinReader], Awaitable[T]], **more: Any) -> T:
    with ScriptedServer(json_rpc(node) if isinstance(node, Node) else node) as server:
        return ask(server.url, question, **more)


def liar(node: Node, method: str, change: Callable[[Any], Any]) -> Handler:
    """A node whose answers to one method are changed: the whole JSON-RPC answer goes through `change`."""

    def lie(request: Any, answer: Answer) -> Any:
        return change(json.loads(answer.content)) if request.body["method"] == f"Filecoin.{method}" else answer

    return altered(json_rpc(node), lie)


def result(value: Any) -> Callable[[Any], Any]:
    return lambda body: body | {"result": value(body["result"]) if callable(value) else value}


def at(epoch: int, seconds: int = 0) -> datetime:
    return datetime.fromtimestamp(GENESIS_TIME + 30 * epoch + seconds, UTC)


def key_text(node: Node, epoch: int) -> str:
    return ",".join(item["/"] for item in node.tipset(epoch)["Cids"])


def block_of(node: Node, epoch: int = 1000) -> SnapshotBlock:
    return SnapshotBlock(
        chain="filecoin", height=epoch, hash=key_text(node, epoch), time=at(epoch), finality="finalized", distance_seconds=0
    )


def read_at(node: Node, addresses: list[str]) -> Callable[[FilecoinReader], Awaitable[list[Balance]]]:
    return lambda opened: opened.read(block_of(node), addresses)


def told(balances: list[Balance]) -> list[tuple[str, int]]:
    return [(balance.address, balance.amount) for balance in balances]


# Reading


def test_actors_of_every_kind_are_read_at_the_tipset() -> None:
    node = Node()
    with ScriptedServer(json_rpc(node)) as server:
        balances = ask(server.url, read_at(node, [MINER, SECP, UNKNOWN, ACTOR]))
        actors = [request.body["params"] for request in server.requests if request.body["method"] == "Filecoin.StateGetActor"]
        assert [key for _, key in actors] == [node.tipset(1001)["Cids"]] * 4
    assert told(balances) == [(MINER, 10**24), (SECP, 123_456_789_012_345_678_901), (UNKNOWN, 0), (ACTOR, 5)]


@pytest.mark.parametrize("null_rounds", [set(), {1001, 1002}])
def test_the_messages_of_the_snapshot_tipset_count_and_those_of_the_next_one_do_not(null_rounds: set[int]) -> None:
    node = Node(null_rounds=null_rounds)

    def paying(method: str, params: Any) -> Any:
        if method != "Filecoin.StateGetActor":
            return node(method, params)
        height = next(epoch for epoch in (1000, 1001, 1003, 1004) if node.tipset(epoch)["Cids"] == params[1])
        return actor({1000: 5, 1001: 6, 1003: 6, 1004: 7}[height])  # what the messages before each tipset left

    assert told(ask_node(json_rpc(paying), read_at(node, [SECP]))) == [(SECP, 6)]


@pytest.mark.parametrize("height", [1000, 1002])
def test_a_state_that_is_not_of_the_snapshot_tipset_is_refused(height: int) -> None:
    node = Node()
    other = liar(node, "ChainGetTipSetAfterHeight", result(node.tipset(height)))
    with pytest.raises(SourceMismatchError, match="does not follow from the snapshot block"):
        ask_node(other, read_at(node, [SECP]))


@pytest.mark.parametrize(("address", "code"), [(UNKNOWN, 1), ("f099999", 1), ("f099999", 3), ("f099999", 11)])
def test_an_unknown_actor_is_a_zero_that_the_node_said(tmp_path: Path, address: str, code: int) -> None:
    node, archive = Node(), EvidenceArchive("test")
    coded = liar(node, "StateGetActor", lambda body: body | {"error": body["error"] | {"code": code}})
    (balance,) = ask_node(coded, read_at(node, [address]), archive=archive)
    assert balance.amount == 0
    line = dict(read_archive(archive.write(tmp_path / "archive.jsonl.zst")))[balance.evidence]
    assert line["method"] == "Filecoin.StateGetActor"
    assert line["error"]["message"].endswith("actor not found")


@pytest.mark.parametrize(
    "message",
    [
        f"resolution lookup failed ({UNKNOWN}): getting init actor: actor not found",
        "failed to load hamt node: ipld: could not find bafy2bzacea",
        "loading tipset [bafy]: actor not found",
        "actor not found: state pruned",
        f"resolution lookup failed ({SECP}): resolve address {SECP}: actor not found",
        "",
    ],
)
def test_any_other_refusal_is_an_error_and_never_zero(message: str) -> None:
    node = Node()
    refusing = liar(node, "StateGetActor", lambda body: {"jsonrpc": "2.0", "id": body["id"], "error": {"code": 1, "message": message}})
    with pytest.raises(SourceMismatchError, match="keeps the state"):
        ask_node(refusing, read_at(node, [UNKNOWN]))


def test_a_replay_gives_the_same_balances_with_the_same_evidence(tmp_path: Path) -> None:
    node = Node(ids={SECP: "f0100", ACTOR: "f0200"})
    node.actors[SECP] = node.actors[ACTOR] = actor(77)
    archive, addresses = EvidenceArchive("test"), [SECP, UNKNOWN, ACTOR, "f05"]
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


def test_one_actor_under_two_addresses_is_refused_and_two_that_look_alike_are_not() -> None:
    node = Node(ids={SECP: "f01729", MINER: "f01729", ACTOR: "f02000"})
    node.actors |= {SECP: actor(9), ACTOR: actor(9)}
    assert told(ask_node(node, read_at(node, [SECP, ACTOR]))) == [(SECP, 9), (ACTOR, 9)]
    node.actors[MINER] = actor(9)
    with pytest.raises(RegistryError, match="same actor") as raised:
        ask_node(node, read_at(node, [SECP, ACTOR, MINER]))
    assert SECP in str(raised.value)
    assert MINER in str(raised.value)


def test_no_wallets_need_no_question() -> None:
    node = Node()
    with ScriptedServer(json_rpc(node)) as server:
        assert ask(server.url, read_at(node, [])) == []
        assert not server.requests


def test_a_lying_second_source_is_caught() -> None:
    node, lie = Node(), Node()
    lie.actors = node.actors | {ACTOR: actor(6, "b")}
    answers = {
        name: ask_node(one, read_at(node, [SECP, ACTOR]), source=source_of(name=name)) for name, one in (("node_a", node), ("node_b", lie))
    }
    with pytest.raises(SourceMismatchError, match=ACTOR):
        agree_on_balances("filecoin", answers)


@pytest.mark.parametrize("change", [{"id": 999}, {"id": None}, {"id": True}, {"result": actor(5)}])
def test_a_refusal_that_is_not_one_to_this_call_is_no_zero(change: dict[str, Any]) -> None:
    node = Node()
    del node.actors[ACTOR]
    with pytest.raises(SourceMismatchError):
        ask_node(liar(node, "StateGetActor", lambda body: body | change), read_at(node, [ACTOR]))


# The snapshot block


@pytest.mark.parametrize(
    ("null_rounds", "as_of", "epoch"),
    [
        (set(), at(1000), 1000),
        (set(), at(1000, 29), 1000),
        (set(), at(1001, -1), 1000),
        ({1000}, at(1000), 999),
        ({999, 1000, 1001, 1002}, at(1000, 7), 998),
        ({1001, 1002}, at(1000), 1000),
        (set(), at(1099, 29), 1099),
    ],
)
@pytest.mark.parametrize("chain", [CHAIN, replace(CHAIN, finality="confirmations", confirmations=100)])
def test_the_snapshot_block_is_the_last_tipset_before_the_moment(null_rounds: set[int], as_of: datetime, epoch: int, chain: Chain) -> None:
    node = Node(null_rounds=null_rounds)
    archive = EvidenceArchive("test")
    found = ask_node(node, lambda opened: opened.resolve(as_of), chain=chain, archive=archive)
    assert (found.height, found.hash, found.time) == (epoch, key_text(node, epoch), at(epoch))
    assert found.distance_seconds == (as_of - at(epoch)).total_seconds()
    assert found.finality == ("finalized" if chain is CHAIN else "100 confirmations")
    assert ask_node(node, lambda opened: opened.block_hash(epoch)) == found.hash


@pytest.mark.parametrize("as_of", [at(1100), at(1100, 29), at(1150), at(9999)])
@pytest.mark.parametrize("chain", [CHAIN, replace(CHAIN, finality="confirmations", confirmations=100)])
def test_a_node_whose_final_tipset_is_not_after_the_moment_is_behind(as_of: datetime, chain: Chain) -> None:
    with pytest.raises(SourceBehindError, match="epoch 1100"):
        ask_node(Node(), lambda opened: opened.resolve(as_of), chain=chain)


def test_a_chain_shorter_than_its_confirmations_is_behind() -> None:
    with pytest.raises(SourceBehindError, match="confirmations"):
        ask_node(Node(), lambda opened: opened.resolve(at(5)), chain=replace(CHAIN, finality="confirmations", confirmations=5000))


def test_blocks_of_several_moments_fit_into_one_archive_while_the_chain_grows(tmp_path: Path) -> None:
    node, archive = Node(null_rounds={1000}), EvidenceArchive("test")

    async def question(opened: FilecoinReader) -> list[SnapshotBlock]:
        found = [await opened.resolve(at(990))]
        node.final += 10
        return [*found, await opened.resolve(at(1000))]

    assert [block.height for block in ask_node(node, question, archive=archive)] == [990, 999]
    Tape(archive.write(tmp_path / "archive.jsonl.zst"))


def test_a_moment_before_the_chain_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="began after"):
        ask_node(Node(), lambda opened: opened.resolve(at(0) - timedelta(seconds=1)))


def test_a_tipset_too_far_before_the_moment_is_refused() -> None:
    within, beyond = Node(null_rounds=set(range(997, 1001))), Node(null_rounds=set(range(996, 1001)))
    assert ask_node(within, lambda opened: opened.resolve(at(1000))).distance_seconds == 120
    with pytest.raises(SourceMismatchError, match="150 s before"):
        ask_node(beyond, lambda opened: opened.resolve(at(1000)))


@pytest.mark.parametrize(
    ("method", "value", "words"),
    [
        ("ChainGetTipSetByHeight", lambda told: Node().tipset(999), "does not follow"),
        ("ChainGetTipSetByHeight", lambda told: Node().tipset(1001), "does not follow"),
        ("ChainGetTipSetByHeight", lambda told: told | {"Cids": told["Cids"][:-1]}, "one block for each"),
        ("ChainGetTipSetByHeight", lambda told: told | {"Cids": [{"/": "bafy2other"}, *told["Cids"][1:]]}, "does not follow"),
        ("ChainGetTipSetByHeight", lambda told: told | {"Cids": [told["Cids"][0]] * 2}, "not a list of CIDs"),
        ("ChainGetTipSetByHeight", lambda told: told | {"Cids": ["bafy", "bafy2"]}, "not a list of CIDs"),
        ("ChainGetTipSetByHeight", lambda told: told | {"Cids": [], "Blocks": []}, "one block for each"),
        (
            "ChainGetTipSetByHeight",
            lambda told: told | {"Blocks": [block | {"Timestamp": 5} for block in told["Blocks"]]},
            "the time of its epoch",
        ),
        (
            "ChainGetTipSetByHeight",
            lambda told: told | {"Blocks": [told["Blocks"][0] | {"Timestamp": 5}, *told["Blocks"][1:]]},
            "differ in height, time or parents",
        ),
        ("ChainGetTipSetByHeight", lambda told: told | {"Height": 1000.0}, "height or time"),
        (
            "ChainGetTipSetByHeight",
            lambda told: told | {"Blocks": [block | {"Timestamp": float(block["Timestamp"])} for block in told["Blocks"]]},
            "height or time",
        ),
        ("ChainGetTipSetByHeight", lambda told: told | {"Cids": [{"/": "bafy2one,bafy2two"}, *told["Cids"][1:]]}, "not a list of CIDs"),
        ("ChainGetTipSetByHeight", lambda told: told | {"Height": 998}, "height or time"),
        ("ChainGetTipSetByHeight", lambda told: {}, "not a tipset"),
        ("ChainGetTipSetByHeight", lambda told: [], "not a tipset"),
        ("ChainGetTipSetByHeight", None, "no result"),
        ("ChainGetTipSetAfterHeight", lambda told: Node().tipset(1000), "does not follow"),
        ("ChainGetTipSetAfterHeight", lambda told: Node().tipset(1002), "does not follow"),
        ("ChainGetTipSetAfterHeight", lambda told: Node().tipset(1101), "does not follow"),
        ("ChainGetFinalizedTipSet", lambda told: told | {"Height": 1000}, "height or time"),
    ],
)
def test_tipsets_that_contradict_themselves_stop_the_search(method: str, value: Any, words: str) -> None:
    with pytest.raises(SourceMismatchError, match=words) as raised:
        ask_node(liar(Node(), method, result(value)), lambda opened: opened.resolve(at(1000)))
    assert "source node_a" in str(raised.value)


@pytest.mark.parametrize("found", [999, 1001])
def test_a_tipset_and_its_child_that_are_not_those_around_the_moment_are_refused(found: int) -> None:
    shifted = {"Filecoin.ChainGetTipSetByHeight": found, "Filecoin.ChainGetTipSetAfterHeight": found + 1}
    node = Node()
    lie = json_rpc(lambda method, params: node.tipset(shifted[method]) if method in shifted else node(method, params))
    with pytest.raises(SourceMismatchError, match="does not follow"):
        ask_node(lie, lambda opened: opened.resolve(at(1000)))


def test_a_next_tipset_that_is_not_final_yet_is_refused() -> None:
    node = Node(null_rounds=set(range(1001, 1101)))  # so the next one is of epoch 1101, and 1100, which it calls final, has none
    with pytest.raises(SourceMismatchError, match="does not follow"):
        ask_node(node, lambda opened: opened.resolve(at(1000)))


def test_the_hash_of_a_null_round_is_an_error() -> None:
    with pytest.raises(SourceMismatchError, match="no tipset of that epoch"):
        ask_node(Node(null_rounds={1000}), lambda opened: opened.block_hash(1000))


@pytest.mark.parametrize(("name", "value"), [("network", "calibrationnet"), ("genesis", "bafy2bzacother")])
def test_another_network_is_refused(name: str, value: str) -> None:
    ask_node(Node(), lambda opened: opened.check_network())
    # The name that mainnet's own state has for it.
    ask_node(liar(Node(), "StateNetworkName", result("testnetnet")), lambda opened: opened.check_network())
    with pytest.raises(SourceMismatchError, match="filecoin"):
        ask_node(Node(), lambda opened: opened.check_network(), chain=replace(CHAIN, **{name: value}))


# Answers that are no numbers


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (result(None), SourceMismatchError, "no result"),
        (result([]), SourceMismatchError, "not an actor"),
        (result({}), SourceMismatchError, "not an actor"),
        (result(lambda told: told | {"Balance": None}), SourceMismatchError, "not a number"),
        (result(lambda told: told | {"Balance": 5}), SourceMismatchError, "not a number"),
        (result(lambda told: told | {"Balance": "-5"}), SourceMismatchError, "not a number"),
        (result(lambda told: told | {"Balance": ""}), SourceMismatchError, "not a number"),
        (result(lambda told: told | {"Balance": "1.5"}), SourceMismatchError, "not a number"),
        (result(lambda told: told | {"Balance": "0x10"}), SourceMismatchError, "not a number"),
        (result(lambda told: told | {"Balance": "٣"}), SourceMismatchError, "not a number"),
        (result(lambda told: told | {"Balance": "9" * 39}), AmountError, "39 digits"),
        (result(lambda told: told | {"Balance": "9" * 5000}), SourceMismatchError, "not a number"),
        (
            lambda body: {"jsonrpc": "2.0", "id": body["id"], "error": {"code": 429, "message": "slow down"}},
            SourceUnavailableError,
            "slow down",
        ),
        (lambda body: body | {"id": 10**6}, SourceMismatchError, "not one to this call"),
        (lambda body: (429, body), SourceUnavailableError, "HTTP status 429"),
        (lambda body: (500, body), SourceUnavailableError, "HTTP status 500"),
        (lambda body: json.dumps(body).encode()[:-9], SourceUnavailableError, "cut off"),
        (lambda body: cut_off(Answer(content=json.dumps(body).encode())), SourceUnavailableError, "connection failed"),
        (lambda body: Answer(content=json.dumps(body).encode(), delay=1.5), SourceUnavailableError, "within 1 s"),
    ],
)
def test_an_answer_that_is_not_a_whole_balance_stops_the_read(change: Callable[[Any], Any], kind: type[AssayError], words: str) -> None:
    node = Node()
    with pytest.raises(kind, match=words) as raised:
        ask_node(liar(node, "StateGetActor", change), read_at(node, [SECP]), source=source_of(timeout_seconds=1))
    assert "source node_a" in str(raised.value)
    assert SECP in str(raised.value)


@pytest.mark.parametrize("question", [lambda opened: opened.check_network(), read_at(Node(), [SECP])])
def test_no_error_shows_a_key_that_the_server_echoes(question: Callable[[FilecoinReader], Awaitable[Any]]) -> None:
    echo = "over quota: /keys/s3cr3t-k3y-of-ours"
    echoing: dict[str, Any] = {"Filecoin.StateNetworkName": echo, "Filecoin.StateGetActor": actor(echo)}
    node = json_rpc(lambda method, params: echoing.get(method) or Node()(method, params))
    with ScriptedServer(node) as server, pytest.raises(SourceMismatchError, match="over quota") as raised:
        ask(f"{server.url}/keys/s3cr3t-k3y-of-ours", question)
    assert "s3cr3t" not in str(raised.value)


def test_an_over_long_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 100)
    with pytest.raises(SourceUnavailableError, match="longer than"):
        ask_node(node, read_at(node, [SECP]))


def test_tokens_are_refused_and_decimals_are_compared() -> None:
    node = Node()
    token = Token(asset="USDFC", contract="0x", decimals=18, source="")
    with pytest.raises(RegistryError, match="evm"):
        ask_node(node, lambda opened: opened.check_assets(block_of(node)), chain=replace(CHAIN, tokens={"USDFC": token}))
    ask_node(node, lambda opened: opened.check_assets(block_of(node)))
    with pytest.raises(RegistryError, match="asset FIL"):
        ask_node(node, lambda opened: opened.check_network(), assets={"FIL": Asset(symbol="FIL", name="Filecoin", decimals=8)})


# Addresses

VECTORS = {
    "f00": (0, "30"),
    "f0150": (0, "313530"),
    "f018446744073709551615": (0, b"18446744073709551615".hex()),
    SECP: (1, "fd1d0f4dfcd7e99afcb99a8326b7dc459d32c628"),
    "f1xcbgdhkgkwht3hrrnui3jdopeejsoatkzmoltqy": (1, "b882619d46558f3d9e316d11b48dcf211327026a"),
    ACTOR: (2, "e54dea4f9bc5b47d261819826d5e1fbf8bc5503b"),
    "f24dd4ox4c2vpf5vk5wkadgyyn6qtuvgcpxxon64a": (2, "e0c7c75f82d55e5ed55db28033630df4274a984f"),
    BLS: (
        3,
        "ad58df696e2d4e91ea86c881e938ba4ea81b395e12797b84b9cf314b9546705e839c7a99d606b247ddb4f9ac7a3414dd",
    ),
}
"""Vectors of the specification: text, kind, payload."""


@pytest.mark.parametrize("text", VECTORS)
def test_the_vectors_of_the_specification_are_read_and_written(text: str) -> None:
    kind, payload = VECTORS[text]
    assert parse_address(text, "mainnet") == Address(kind, bytes.fromhex(payload))
    assert check_address(CHAIN, text) == text
    testnet = "t" + text[1:]
    assert check_address(replace(CHAIN, network="calibrationnet"), testnet) == testnet
    with pytest.raises(RegistryError, match="begin with f"):
        check_address(CHAIN, testnet)


def test_ethereum_addresses_are_written_as_filecoin_ones() -> None:
    # The pair that Filecoin's own libraries test with; what it means: https://docs.filecoin.io/smart-contracts/filecoin-evm-runtime/address-types
    assert check_address(CHAIN, "0xd388ab098ed3e84c0d808776440b48f685198498") == "f410f2oekwcmo2pueydmaq53eic2i62crtbeyuzx2gmy"
    assert check_address(CHAIN, "0xff00000000000000000000000000000000" + "06c101".rjust(6, "0")) == "f0442625"
    with pytest.raises(RegistryError, match="EIP-55"):
        check_address(CHAIN, "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
    with pytest.raises(RegistryError, match="zero address"):
        check_address(CHAIN, "0x" + "0" * 40)


@given(st.sampled_from([text for text in VECTORS if text[1] != "0"]), st.data())
def test_any_changed_letter_breaks_the_checksum(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(2, len(text) - 1))
    other = data.draw(st.sampled_from([letter for letter in "abcdefghijklmnopqrstuvwxyz234567" if letter != text[place]]))
    with pytest.raises(RegistryError):
        check_address(CHAIN, text[:place] + other + text[place + 1 :])


@given(st.integers(0, 2**64 - 1), st.binary(min_size=1, max_size=54))
def test_delegated_addresses_survive_the_round_trip(namespace: int, payload: bytes) -> None:
    text = Address(4, payload, namespace).text("mainnet")
    assert parse_address(text, "mainnet") == Address(4, payload, namespace)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "f",
        "f0",
        "f01.5",
        "f0-1",
        "f001",
        "f018446744073709551616",
        "f5aaaaaaaa",
        "f1",
        "f1aaaa",
        SECP.upper(),
        SECP[:-1],
        SECP + "a",
        SECP + "=",
        SECP + "\n",
        "f2" + SECP[2:],
        "f4" + SECP[2:],
        "f4f" + SECP[2:],
        "f410f",
        "f٣",
        "0x12",
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
    ],
)
def test_other_text_is_refused(address: str) -> None:
    with pytest.raises(RegistryError):
        check_address(CHAIN, address)


@given(st.text().filter(lambda text: text[:1] not in ("f", "0")))
def test_no_text_breaks_the_check(text: str) -> None:
    with pytest.raises(RegistryError):
        check_address(CHAIN, text)
