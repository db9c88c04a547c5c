"""The Polkadot reader against a server on loopback that plays an archive node; no Polkadot node can be installed here.

Its answers are written from the documentation of the node's JSON-RPC API (https://paritytech.github.io/polkadot-sdk/master/sc_rpc_api/, `ChainApi`
and `StateApi`) and of the stored values (https://paritytech.github.io/polkadot-sdk/master/pallet_balances/struct.AccountData.html and
https://paritytech.github.io/polkadot-sdk/master/pallet_assets/). Header hashes, the key of an account and addresses are held against published ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains import http
from assay.chains.answers import AnswerError
from assay.chains.evidence import EvidenceArchive, read_archive
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.polkadot import PolkadotReader, check_address, reader
from assay.chains.polkadot.storage import (
    account_key,
    asset_balance,
    asset_decimals,
    asset_key,
    compact,
    decode_ss58,
    encode_ss58,
    native_balance,
    parse_header,
)
from assay.chains.quorum import agree_on_balances
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, ConfigError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import RpcError, ScriptedServer, altered, cut_off, json_rpc

T = TypeVar("T")
START = datetime(2026, 8, 31, 12, tzinfo=UTC)
BLOCKS = 300
NOW = "0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb"
"""The key of `Timestamp.Now`, as published: https://www.shawntabrizi.com/blog/substrate/querying-substrate-storage-via-rpc/."""
ALICE = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5"
ALICE_KEY = (
    "0x26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9de1e86a9a8c739864cf3cc5ec2bea59f"
    "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"
)
RICH = "14B3z6xL9vGgKz8WptoZabPrgH6adH1ev2Ven4SiTcdznfqd"
NOBODY = "1gn68eNGNGqV3QjVcRRDVfw22xFn1eFyUizHCENVn256LXh"

ASSETS = {
    "DOT": Asset(symbol="DOT", name="Polkadot", decimals=10),
    "USDT": Asset(symbol="USDT", name="Tether USD", decimals=6),
    "USDC": Asset(symbol="USDC", name="USD Coin", decimals=6),
}
TOKENS = {
    "USDT": Token(asset="USDT", contract="1984", decimals=6, source=""),
    "USDC": Token(asset="USDC", contract="1337", decimals=6, source=""),
}
SOURCE = Source(name="dot_a", kind="jsonrpc", connection="unused", timeout_seconds=5, batch_size=4)


def little(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")


def account(free: int, reserved: int = 0, frozen: int = 0) -> str:
    """A `System.Account` value: four counts, then free, reserved, frozen and flags."""
    numbers = b"".join(little(number, 4) for number in (9, 0, 1, 0))
    return "0x" + (numbers + b"".join(little(amount, 16) for amount in (free, reserved, frozen, 1 << 127))).hex()


def holding(balance: int, *, status: int = 0, reason: bytes = b"\x00") -> str:
    return "0x" + (little(balance, 16) + bytes([status]) + reason).hex()


def details(status: int = 0) -> str:
    return "0x" + (bytes(128) + little(10**12, 16) + bytes(16) + little(10_000, 16) + b"\x01" + bytes(12) + bytes([status])).hex()


def metadata(decimals: int) -> str:
    return "0x" + (little(20_100_000_000, 16) + compact(10) + b"Tether USD" + compact(4) + b"USDt" + bytes([decimals, 0])).hex()


def id_of(address: str) -> bytes:
    return decode_ss58(address)[1]


def time_of(height: int) -> datetime:
    return START + height * timedelta(seconds=6)


def moment(height: int) -> int:
    return int(time_of(height).timestamp() * 1000)


@cache
def block(height: int) -> tuple[str, dict[str, Any]]:
    """Hash and header of a block; the encoding is that of the specification, written here once more."""
    parent = "0x" + "0" * 64 if height == 0 else block(height - 1)[0]
    log = bytes.fromhex("0642414245340200000000") + little(height, 8)
    raw = {"parentHash": parent, "number": hex(height), "stateRoot": f"0x{height:064x}", "extrinsicsRoot": "0x" + "ee" * 32}
    number = bytes([height << 2]) if height < 64 else little(height << 2 | 1, 2)
    encoded = bytes.fromhex(parent[2:]) + number + bytes.fromhex(raw["stateRoot"][2:]) + b"\xee" * 32 + b"\x04" + log
    return "0x" + hashlib.blake2b(encoded, digest_size=32).hexdigest(), raw | {"digest": {"logs": ["0x" + log.hex()]}}


CHAIN = Chain(
    name="polkadot_asset_hub",
    family="polkadot",
    asset="DOT",
    network="polkadot_asset_hub",
    genesis=block(0)[0],
    finality="finalized",
    max_distance_seconds=60,
    tokens=TOKENS,
)
RELAY = replace(CHAIN, name="polkadot", network="polkadot", tokens={})


@dataclass
class Node:
    """An archive node whose state is the same in every block, but for the time."""

    finalised: int = BLOCKS - 1
    pruned: bool = False
    state: dict[str, str] = field(
        default_factory=lambda: {
            account_key(id_of(RICH)): account(1_000_000_000_000_000_001, 20_000_000_000, 999),
            account_key(id_of(ALICE)): account(5),
            asset_key("Account", 1984, id_of(RICH)): holding(7_000_000),
            asset_key("Account", 1337, id_of(RICH)): holding(3, status=1, reason=b"\x02" + little(10**8, 16)),
            asset_key("Asset", 1984): details(),
            asset_key("Asset", 1337): details(),
            asset_key("Metadata", 1984): metadata(6),
            asset_key("Metadata", 1337): metadata(6),
        }
    )

    def __call__(self, method: str, params: list[Any]) -> Any:
        if method == "chain_getFinalizedHead":
            return block(self.finalised)[0]
        if method == "chain_getBlockHash":
            return block(params[0])[0] if params[0] <= self.finalised + 2 else None
        height = next((height for height in range(self.finalised + 3) if block(height)[0] == params[-1]), None)
        if method == "chain_getHeader":
            return None if height is None else block(height)[1]
        if height is None:
            raise RpcError(4003, f"Client error: UnknownBlock: Header was not found in the database: {params[-1]}")
        if self.pruned and height < self.finalised - 256:
            raise RpcError(4003, f"Client error: UnknownBlock: State already discarded for {params[-1]}")
        if method == "state_getStorage":
            assert params[0] == NOW
            return "0x" + little(moment(height), 8).hex() if height else None
        if method == "state_queryStorageAt":
            return [{"block": params[1], "changes": [[key, self.state.get(key)] for key in params[0]]}]
        raise RpcError(-32601, "Method not found")


AT = SnapshotBlock(
    chain=CHAIN.name, height=200, hash=block(200)[0], time=time_of(200), finality="finalized", distance_seconds=0
)  # fmt: skip


def ask(node: Any, question: Callable[[PolkadotReader], Awaitable[T]], **changes: Any) -> T:
    with ScriptedServer(json_rpc(node) if isinstance(node, Node) else node) as server:
        return ask_url(server.url, question, **changes)


def ask_url(url: str, question: Callable[[PolkadotReader], Awaitable[T]], **changes: Any) -> T:
    async def run() -> T:
        archive = changes.get("archive") or EvidenceArchive("test")
        found = reader(
            changes.get("chain", CHAIN), changes.get("source", SOURCE), assets=changes.get("assets", ASSETS), archive=archive, url=url
        )
        async with found:
            return await question(found)

    return asyncio.run(run())


def reading(*addresses: str) -> Callable[[PolkadotReader], Awaitable[list[Balance]]]:
    return lambda found: found.read(AT, addresses)


def told(balances: list[Balance]) -> list[tuple[str, str, int]]:
    return [(item.address, item.asset, item.amount) for item in balances]


# Reading

WANTED = [
    (RICH, "DOT", 1_000_000_020_000_000_001),
    (RICH, "USDC", 3),
    (RICH, "USDT", 7_000_000),
    (ALICE, "DOT", 5),
    (ALICE, "USDC", 0),
    (ALICE, "USDT", 0),
]


def test_free_and_reserved_dot_and_assets_are_read_at_the_block_hash_in_order() -> None:
    with ScriptedServer(json_rpc(Node())) as server:
        assert told(ask_url(server.url, reading(RICH, ALICE))) == WANTED
        asked = [request.body for request in server.requests]
    assert {call["method"] for call in asked} == {"state_queryStorageAt"}
    assert {call["params"][1] for call in asked} == {AT.hash}
    assert [len(call["params"][0]) for call in asked] in ([4, 2], [2, 4])


def test_the_relay_chain_is_read_the_same_way_and_has_no_tokens() -> None:
    assert told(ask(Node(), reading(RICH, NOBODY), chain=RELAY)) == [WANTED[0], (NOBODY, "DOT", 0)]
    with pytest.raises(RegistryError, match="no assets but its own"):
        ask(Node(), reading(RICH), chain=replace(RELAY, tokens=TOKENS))


def test_an_account_that_does_not_exist_holds_zero_and_the_answer_that_says_so_is_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    found = ask(Node(), reading(NOBODY), archive=archive)
    assert [item.amount for item in found] == [0, 0, 0]
    exchange = dict(read_archive(archive.write(tmp_path / "a.jsonl.zst")))[found[0].evidence]
    assert exchange["method"] == "state_queryStorageAt"
    assert [account_key(id_of(NOBODY)), None] in exchange["result"][0]["changes"]


def test_an_archive_played_back_gives_the_same_balances_with_the_same_evidence(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    before = ask(Node(), reading(RICH, ALICE, NOBODY), archive=archive)
    assert ask_url(f"tape:{archive.write(tmp_path / 'a.jsonl.zst')}", reading(RICH, ALICE, NOBODY)) == before


def test_no_wallets_need_no_question() -> None:
    assert ask(lambda request: 1 / 0, reading()) == []


def test_a_token_with_fewer_decimals_than_its_asset_is_scaled_up_exactly() -> None:
    assets = ASSETS | {"USDT": replace(ASSETS["USDT"], decimals=18)}
    assert told(ask(Node(), reading(RICH), assets=assets))[2] == (RICH, "USDT", 7_000_000 * 10**12)


def test_an_asset_counted_coarser_than_on_the_chain_is_refused() -> None:
    with pytest.raises(RegistryError, match="asset DOT"):
        ask(Node(), reading(RICH), assets=ASSETS | {"DOT": replace(ASSETS["DOT"], decimals=8)})


def test_one_wrong_balance_of_one_source_is_found_by_comparing_sources() -> None:
    node = Node()
    liar = replace(node, state=node.state | {asset_key("Account", 1984, id_of(RICH)): holding(7_000_001)})
    answers = {"dot_a": ask(node, reading(RICH, ALICE)), "dot_b": ask(liar, reading(RICH, ALICE))}
    with pytest.raises(SourceMismatchError, match=rf"{RICH}.*7000000.*7000001"):
        agree_on_balances(CHAIN.name, answers)


# The snapshot block


@pytest.mark.parametrize(("shift", "height", "distance"), [(0, 200, 0), (5_999, 200, 5), (-1, 199, 5), (-1_000, 199, 5), (6_000, 201, 0)])
def test_the_snapshot_block_is_the_last_one_not_after_the_moment_to_the_millisecond(shift: int, height: int, distance: int) -> None:
    found = ask(Node(), lambda it: it.resolve(time_of(200) + timedelta(milliseconds=shift)))
    assert (found.height, found.hash, found.time, found.finality) == (height, block(height)[0], time_of(height), "finalized")
    assert found.distance_seconds == distance


@pytest.mark.parametrize("finalised", [201, 250, BLOCKS - 1])
def test_the_snapshot_block_does_not_depend_on_how_far_the_node_is(finalised: int) -> None:
    assert ask(Node(finalised=finalised), lambda it: it.resolve(time_of(200))) == AT


def test_the_deciding_headers_and_times_are_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    ask(Node(), lambda it: it.resolve(time_of(200)), archive=archive)
    lines = [exchange for _, exchange in read_archive(archive.write(tmp_path / "a.jsonl.zst"))]
    assert sorted(exchange["method"] for exchange in lines) == ["chain_getHeader"] * 2 + ["state_getStorage"] * 2
    assert {exchange["params"][-1] for exchange in lines} == {block(200)[0], block(201)[0]}


@pytest.mark.parametrize("height", [BLOCKS - 1, BLOCKS + 50])
def test_a_node_without_a_finalised_block_after_the_moment_is_behind(height: int) -> None:
    # The node has blocks after its finalised head; they don't count.
    with pytest.raises(SourceBehindError, match=r"dot_a.*one after"):
        ask(Node(), lambda it: it.resolve(time_of(height)))


def test_a_moment_long_before_all_blocks_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="allowed"):
        ask(Node(), lambda it: it.resolve(START - timedelta(days=1)))


def test_a_height_that_the_node_does_not_have_is_behind() -> None:
    with pytest.raises(SourceBehindError, match="block 999"):
        ask(Node(), lambda it: it.block_hash(999))


def test_the_hash_of_a_height_is_told_and_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    assert ask(Node(), lambda it: it.block_hash(200), archive=archive) == AT.hash
    assert len(list(read_archive(archive.write(tmp_path / "a.jsonl.zst")))) == 2


def rpc(change: Callable[[dict[str, Any], dict[str, Any]], Any], node: Node | None = None) -> Any:
    """A node whose answers are changed, given the call."""
    return altered(json_rpc(node or Node()), lambda request, answer: change(request.body, json.loads(answer.content)))


@pytest.mark.parametrize(
    ("method", "result", "words"),
    [
        ("chain_getHeader", block(7)[1], "has the hash"),
        ("chain_getHeader", block(200)[1] | {"number": "0xc9"}, "has the hash"),
        ("chain_getHeader", block(200)[1] | {"digest": {}}, "no digest"),
        ("chain_getHeader", block(200)[1] | {"stateRoot": "0x00"}, "1 bytes and not 32"),
        ("chain_getHeader", None, "no result"),
        ("chain_getHeader", "0x", "not a header"),
        ("chain_getBlockHash", block(7)[0], "block 7 was given"),
        ("state_getStorage", "0x0011", "2 bytes and not 8"),
        ("state_getStorage", None, "no result"),
        ("state_getStorage", "0x" + little(1, 8).hex(), "not between|lies"),
    ],
)
def test_headers_that_contradict_themselves_stop_the_search(method: str, result: Any, words: str) -> None:
    def lie(call: dict[str, Any], answer: dict[str, Any]) -> Any:
        wanted = call["method"] == method and (call["params"][-1] in (200, block(200)[0]))
        return answer | {"result": result} if wanted else answer

    with pytest.raises(SourceMismatchError, match=words):
        ask(rpc(lie), lambda it: it.resolve(time_of(200)))


def test_the_network_is_told_by_its_genesis_block() -> None:
    ask(Node(), lambda it: it.check_network())
    with pytest.raises(SourceMismatchError, match="its genesis block is"):
        ask(Node(), lambda it: it.check_network(), chain=replace(CHAIN, genesis="0x" + "91" * 32))


# Assets


def test_live_assets_with_the_registrys_decimals_pass() -> None:
    ask(Node(), lambda it: it.check_assets(AT))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (asset_key("Metadata", 1984), metadata(10), "10 decimals and the registry says 6 at block 200"),
        (asset_key("Metadata", 1984), None, "None decimals"),
        (asset_key("Asset", 1984), None, "there is no such asset"),
        (asset_key("Asset", 1984), details(1), "the asset is frozen"),
        (asset_key("Asset", 1984), details(2), "the asset is being destroyed"),
    ],
)
def test_an_asset_that_is_gone_closing_or_changed_is_refused(key: str, value: Any, words: str) -> None:
    node = Node()
    with pytest.raises(RegistryError, match=words):
        ask(replace(node, state=node.state | {key: value}), lambda it: it.check_assets(AT))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (asset_key("Asset", 1984), details(3)),
        (asset_key("Asset", 1984), "0x00"),
        (asset_key("Metadata", 1984), metadata(6)[:-2]),
        (asset_key("Metadata", 1984), metadata(6) + "00"),
        (asset_key("Metadata", 1984), "0x"),
    ],
)
def test_an_asset_in_another_layout_is_not_guessed_at(key: str, value: Any) -> None:
    node = Node()
    with pytest.raises(SourceMismatchError):
        ask(replace(node, state=node.state | {key: value}), lambda it: it.check_assets(AT))


@pytest.mark.parametrize("contract", ["", "USDT", "0x7c0", "-1", "01984", "4294967296", "19842354678901", "١٩٨٤"])
def test_a_contract_that_is_no_asset_number_is_refused(contract: str) -> None:
    with pytest.raises(RegistryError, match="asset's number"):
        ask(Node(), reading(RICH), chain=replace(CHAIN, tokens={"USDT": replace(TOKENS["USDT"], contract=contract)}))


# Bad answers

ONLY = replace(CHAIN, tokens={})
KEY = account_key(id_of(RICH))
GOOD = account(1)


def changes(*items: Any, at: str = AT.hash) -> list[Any]:
    return [{"block": at, "changes": list(items)}]


@pytest.mark.parametrize(
    ("result", "kind", "words"),
    [
        (None, SourceMismatchError, "no result"),
        ([], SourceMismatchError, "not answered with one list"),
        ("0x", SourceMismatchError, "not answered with one list"),
        ([None], SourceMismatchError, "not answered with one list"),
        ([{"block": AT.hash}], SourceMismatchError, "not answered with one list"),
        (changes([KEY]), SourceMismatchError, "not answered with one list"),
        (changes(), SourceMismatchError, "keys that were answered"),
        (changes([ALICE_KEY, GOOD]), SourceMismatchError, "keys that were answered"),
        (changes([KEY, GOOD], [KEY, GOOD]), SourceMismatchError, "keys that were answered"),
        (changes([KEY, GOOD], [ALICE_KEY, None]), SourceMismatchError, "keys that were answered"),
        (changes([KEY, GOOD]) * 2, SourceMismatchError, "not answered with one list"),
        (changes([KEY, GOOD], at=block(7)[0]), SourceMismatchError, "was asked and .* answered"),
        (changes([KEY, "0x"]), SourceMismatchError, "0 bytes and not 80"),
        (changes([KEY, GOOD[:-2]]), SourceMismatchError, "79 bytes and not 80"),
        (changes([KEY, GOOD + "00"]), SourceMismatchError, "81 bytes and not 80"),
        (changes([KEY, GOOD[:-16]]), SourceMismatchError, "72 bytes and not 80"),
        (changes([KEY, 0]), SourceMismatchError, "not hexadecimal"),
        (changes([KEY, "0x" + "zz" * 80]), SourceMismatchError, "not hexadecimal"),
        (changes([KEY, account(2**127)]), AmountError, RICH),
    ],
)
def test_an_answer_that_is_no_balance_is_an_error_and_never_zero(result: Any, kind: type[AssayError], words: str) -> None:
    with pytest.raises(AssayError, match=words) as raised:
        ask(rpc(lambda call, answer: answer | {"result": result}), reading(RICH), chain=ONLY)
    assert type(raised.value) is kind
    assert "dot_a" in str(raised.value)


def raw(told: Any) -> Any:
    return altered(json_rpc(Node()), lambda request, answer: told(answer) if callable(told) else told)


@pytest.mark.parametrize(
    ("told", "kind", "words"),
    [
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}', SourceMismatchError, "error -32000: no"),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"slow down"}}', SourceUnavailableError, "slow down"),
        (b'{"jsonrpc":"2.0","id":1}', SourceMismatchError, "no result"),
        (b'{"jsonrpc":"2.0","id":77,"result":[]}', SourceMismatchError, "not one to this call"),
        (b"null", SourceMismatchError, "not one to this call"),
        (b"", SourceUnavailableError, "cut off"),
        (b"<html>busy</html>", SourceUnavailableError, "not JSON"),
        (cut_off, SourceUnavailableError, "connection failed"),
        ((429, {}), SourceUnavailableError, "429"),
        ((503, {}), SourceUnavailableError, "503"),
        ((403, {}), ConfigError, "403"),
        (lambda answer: replace(answer, delay=1.4), SourceUnavailableError, "within 1 s"),
    ],
)
def test_a_server_that_does_not_answer_in_full_stops_the_read(told: Any, kind: type[AssayError], words: str) -> None:
    with pytest.raises(AssayError, match=words) as raised:
        ask(raw(told), reading(RICH), chain=ONLY, source=replace(SOURCE, timeout_seconds=1))
    assert isinstance(raised.value, kind)


def test_a_body_that_never_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 1 << 20)
    with pytest.raises(SourceUnavailableError, match="longer than 1 MiB"):
        ask(raw(b'"' + b"1" * (2 << 20) + b'"'), reading(RICH))


@pytest.mark.parametrize("question", [reading(RICH), lambda it: it.resolve(time_of(20)), lambda it: it.check_assets(AT)])
def test_state_that_the_node_has_discarded_is_said_plainly(question: Any) -> None:
    with pytest.raises(SourceMismatchError, match=r"no longer has the state.*archive node"):
        ask(Node(finalised=600, pruned=True), question)


def test_a_block_that_the_node_does_not_know_stops_the_read() -> None:
    with pytest.raises(SourceMismatchError, match="Header was not found"):
        ask(Node(), lambda it: it.read(replace(AT, hash="0x" + "1" * 64), [RICH]))


# Formats


@pytest.mark.parametrize(
    ("hash_", "header"),
    [
        (  # Polkadot's genesis block
            "0x91b171bb158e2d3848fa23a9f1c25182fb8e20313b2c1eb49219da7a70ce90c3",
            {
                "parentHash": "0x" + "0" * 64,
                "number": "0x0",
                "stateRoot": "0x29d0d972cd27cbc511e9589fcb7a4506d5eb6a9e8df205f00472e5ab354a4e17",
                "extrinsicsRoot": "0x03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314",
                "digest": {"logs": []},
            },
        ),
        (  # https://wiki.polkadot.network/docs/build-node-interaction, the answer to chain_getBlock
            "0x7d4ef171d483d37aa2339877524f0731af98e367c38f8fa27f133193ed2b5615",
            {
                "parentHash": "0xb5e10293122a3c706dfcf5c0e89d5fb90929e7ee580c5167e439afa330fae2c7",
                "number": "0xbb07fe",
                "stateRoot": "0x872dfbb3516a6e3b9becf01bb2192e53a1d77ef6c37e426f03ebf64b33a68ede",
                "extrinsicsRoot": "0xe131e6af57c503ca6c6a151b2e621d05f65ef7be07e24abc2444fa1eb67c444a",
                "digest": {
                    "logs": [
                        "0x0642414245b50103b9000000ebdf8810000000002621c85fe312c4b8b9db111b9311a2857e265a62c7bd5a9b08f3e0989e51ea619481408decdc83f0f1322b706b50904f692f3c2dd505e7633dc029ca38a3f40072e7378760cf44e83566ec92ee330042d916684e957399badba91ed342a3270d",
                        "0x0542414245010190e94b9f1af95ae7645f85dc3d49f4c73dcce31083c9e1f712523a9b132aff798f89e0e6146429a869dde4ee060e7630831890f15942d5889ac4dfa24150368a",
                    ]
                },
            },
        ),
    ],
)
def test_published_headers_give_their_published_hashes(hash_: str, header: dict[str, Any]) -> None:
    assert parse_header(header).hash == hash_


@pytest.mark.parametrize(
    ("number", "encoded"), [(0, "00"), (1, "04"), (63, "fc"), (64, "0101"), (69, "1501"), (16383, "fdff"), (16384, "02000100"), (2**30 - 1, "feffffff")]
)  # fmt: skip
def test_compact_numbers_are_those_of_the_specification(number: int, encoded: str) -> None:
    assert compact(number).hex() == encoded


def test_a_number_that_is_no_height_is_refused() -> None:
    with pytest.raises(AnswerError):
        compact(2**30)


def test_the_key_of_an_account_is_the_published_one() -> None:
    assert account_key(id_of(ALICE)) == ALICE_KEY


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_any_account_counts_free_and_reserved_whatever_is_frozen(free: int, reserved: int, frozen: int) -> None:
    assert native_balance(account(free, reserved, frozen)) == free + reserved


@pytest.mark.parametrize("reason", [b"\x00", b"\x01", b"\x02" + bytes(16), b"\x03", b"\x04" + bytes(48)])
def test_an_assets_account_is_read_whatever_the_reason_for_it(reason: bytes) -> None:
    assert asset_balance(holding(2**100, status=2, reason=reason)) == 2**100


@pytest.mark.parametrize(
    "value", [holding(1)[:-2], holding(1) + "00", holding(1, status=3), holding(1, reason=b"\x05"), holding(1, reason=b"\x02"), "0x"]
)
def test_an_assets_account_in_another_layout_is_refused(value: str) -> None:
    with pytest.raises(AnswerError):
        asset_balance(value)


@given(st.binary(max_size=40))
def test_no_other_bytes_are_read_as_metadata_by_accident(content: bytes) -> None:
    try:
        decimals = asset_decimals("0x" + content.hex())
    except AnswerError:
        return
    assert decimals == content[-2]
    assert 16 + 1 + (content[16] >> 2) < len(content)


# Addresses and configuration


@given(st.binary(min_size=32, max_size=32))
def test_every_account_has_one_address_and_any_changed_letter_is_seen(raw: bytes) -> None:
    address = encode_ss58(0, raw)
    assert decode_ss58(address) == (0, raw)
    assert check_address(CHAIN, address) == address
    changed = address[:20] + ("a" if address[20] != "a" else "b") + address[21:]
    with pytest.raises(RegistryError):
        check_address(CHAIN, changed)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", f"prefix 42 .*{ALICE}"),  # any Substrate chain
        ("HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F", f"prefix 2 .*{ALICE}"),  # Kusama
    ],
)
def test_another_networks_address_is_refused_and_the_error_says_what_it_is_here(address: str, words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        check_address(CHAIN, address)


@pytest.mark.parametrize(
    "address",
    ["", "1", ALICE[:-1], ALICE + "1", "1" + ALICE, " " + ALICE, ALICE + "\n", ALICE.lower(), "0x" + "ab" * 32, "l" * 48, "é" * 48],
)
def test_text_that_is_not_an_address_is_refused(address: str) -> None:
    with pytest.raises(RegistryError, match="SS58"):
        check_address(CHAIN, address)


@given(st.text())
def test_no_other_text_is_an_address(text: str) -> None:
    with pytest.raises(RegistryError):
        check_address(RELAY, text)


@pytest.mark.parametrize(
    ("chain", "source"),
    [
        (CHAIN, replace(SOURCE, kind="rest")),
        (replace(CHAIN, network="kusama"), SOURCE),
        (replace(CHAIN, genesis=""), SOURCE),
        (replace(CHAIN, finality="confirmations"), SOURCE),
    ],
)
def test_another_protocol_network_or_finality_is_refused(chain: Chain, source: Source) -> None:
    with pytest.raises(ConfigError):
        reader(chain, source, assets=ASSETS, archive=EvidenceArchive("test"), url="http://127.0.0.1:1")
