"""The tron reader against a loopback server that plays java-tron's HTTP API.

No Tron node can be installed from a package registry, so the answers have the forms of its documentation:
https://tronprotocol.github.io/documentation-en/api/http/ (getblock, getaccount, getcontract, triggerconstantcontract), whose own
examples of headers are the test cases of the block id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
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
from assay.chains.tron import FACTS, check_address, reader
from assay.chains.tron.accounts import decode_address, owned
from assay.chains.tron.blocks import block_id, parse_block
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, ConfigError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import Answer, NotScripted, Request, ScriptedServer, altered, cut_off

T = TypeVar("T")

USDT = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
WALLETS = ["TBNHZP2iAVyDhpTSZ8ee2Xjci1JExZTPE5", "TCw6YaWm3y6DvxY7M8hrCDnrJGeGMumzGJ", "TYah6kK3TKwTdTVt4XWpwpFCayLmnbURRM"]
UNKNOWN = WALLETS[2]
ASSETS = {"TRX": Asset(symbol="TRX", name="Tron", decimals=6), "USDT": Asset(symbol="USDT", name="Tether USD", decimals=6)}
START = datetime(2026, 1, 31, 23, 50, tzinfo=UTC)
AS_OF = datetime(2026, 2, 1, tzinfo=UTC)
BLOCK_SECONDS = 3
SNAPSHOT = 200  # the block of AS_OF itself, ten minutes after START

DOCUMENTED = {
    "blockID": "0000000003fe262d52bfa4b2814f816fd2e57af5b98a33d60d8630a03a908e0e",
    "block_header": {
        "raw_data": {
            "number": 66987565,
            "txTrieRoot": "faf8fe3858339ead25cc892461c82a59b84dca4a51c45b026676bf3f45a352a2",
            "witness_address": "41b2f713d57dbcec679d93a8849fa0cd0e4db594ba",
            "parentHash": "0000000003fe262c85cd6b02033f4c3e5c1efa35de256a17bd906dc61fb1aeed",
            "version": 34,
            "timestamp": 1777445121000,
        },
        "witness_signature": "5b3cf6cb15d52947989f7726f4907a144b39ccd667a1a0f98707b40cdfe65b96173ddf34ae8dcc5e78f136e0cf903a15c7128984aa2191f02333209d1879d3f900",
    },
}
"""The example of https://tronprotocol.github.io/documentation-en/api/http/block-and-tx-query/getblock/."""


def blocks() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(400):
        data = {
            "number": number,
            "timestamp": int(START.timestamp() + BLOCK_SECONDS * number) * 1000,
            "parentHash": made[-1]["blockID"] if made else "",
            "witness_address": "41" + "ab" * 20,
            "txTrieRoot": f"{number:064x}",
        }
        kept = {name: value for name, value in data.items() if value not in (0, "")}  # defaults are left out
        made.append({"blockID": block_id(kept), "block_header": {"raw_data": kept, "witness_signature": "00" * 65}})
    return made


BLOCKS = blocks()


@dataclass
class Node:
    """An honest node: blocks every three seconds, accounts and one token."""

    top: int = 260
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    decimals: int = 6
    deprecated: int | None = 0
    contract: bool = True
    grows: bool = False
    """Whether a block is solidified with each question for the newest one."""

    def __call__(self, request: Request) -> Any:
        asked = request.body
        if request.path == "/walletsolidity/getblock":
            if not asked.get("id_or_num"):
                self.top += self.grows
                return BLOCKS[self.top]
            return BLOCKS[int(asked["id_or_num"])] if int(asked["id_or_num"]) <= self.top else {}
        if request.path == "/walletsolidity/getaccount":
            return self.accounts.get(asked["address"], {})
        if request.path == "/wallet/getcontract":
            return {"contract_address": asked["value"], "bytecode": "60806040", "name": "TetherToken"} if self.contract else {}
        if request.path == "/walletsolidity/triggerconstantcontract":
            return self.call(asked)
        raise NotScripted

    def call(self, asked: dict[str, Any]) -> dict[str, Any]:
        function = asked["function_selector"]
        if function == "decimals()":
            return returned(f"{self.decimals:064x}")
        if function == "deprecated()":
            return REVERTED if self.deprecated is None else returned(f"{self.deprecated:064x}")
        holder = base58.b58encode_check(bytes([0x41]) + bytes.fromhex(asked["parameter"])[12:]).decode()
        return returned(f"{self.tokens.get(holder, 0):064x}")


def returned(*results: str) -> dict[str, Any]:
    return {"result": {"result": True}, "energy_used": 935, "constant_result": list(results), "transaction": {"ret": [{}], "visible": True}}


REVERTED = {
    "result": {"result": True, "message": "REVERT opcode executed"},
    "constant_result": [""],
    "transaction": {"ret": [{"ret": "FAILED"}]},
}
STAKER = {
    "address": WALLETS[1],
    "balance": 1,
    "frozen": [{"frozen_balance": 20, "expire_time": 1}],
    "frozenV2": [{"amount": 300}, {"type": "ENERGY"}, {"type": "TRON_POWER", "amount": 4_000}],
    "unfrozenV2": [{"type": "ENERGY", "unfreeze_amount": 50_000, "unfreeze_expire_time": 1}],
    "tron_power": {"frozen_balance": 600_000},
    "delegated_frozen_balance_for_bandwidth": 7_000_000,
    "delegated_frozenV2_balance_for_bandwidth": 80_000_000,
    "acquired_delegated_frozenV2_balance_for_bandwidth": 5,
    "allowance": 5,
    "account_resource": {
        "frozen_balance_for_energy": {"frozen_balance": 900_000_000},
        "delegated_frozen_balance_for_energy": 1_000_000_000,
        "delegated_frozenV2_balance_for_energy": 20_000_000_000,
        "acquired_delegated_frozenV2_balance_for_energy": 5,
    },
}
STAKED = 21_987_654_321


def node_of(**changes: Any) -> Node:
    accounts = {WALLETS[0]: {"address": WALLETS[0], "balance": 1_793_227_200}, WALLETS[1]: STAKER}
    return replace(Node(accounts=accounts, tokens={WALLETS[0]: 1_087_359_000, UNKNOWN: 5}), **changes)


def chain_of(**changes: Any) -> Chain:
    chain = Chain(
        name="tron",
        family="tron",
        asset="TRX",
        genesis=BLOCKS[0]["blockID"],
        finality="finalized",
        max_distance_seconds=60,
        max_lag_seconds=900,
        tokens={"USDT": Token(asset="USDT", contract=USDT, decimals=6, source="")},
    )
    return replace(chain, **changes)


def ask(url: str, question: Callable[[Reader], Awaitable[T]], **kwargs: Any) -> T:
    """Open a reader, ask it, close it."""
    source = Source(name=kwargs.get("name", "tron_a"), kind="rest", connection="unused", timeout_seconds=kwargs.get("timeout", 20))
    archive = kwargs.get("archive") or EvidenceArchive("tron")

    async def run() -> T:
        chain = kwargs.get("chain") or chain_of()
        async with reader(chain, source, assets=kwargs.get("assets", ASSETS), archive=archive, url=url) as opened:
            return await question(opened)

    return asyncio.run(run())


def ask_node(handler: Any, question: Callable[[Reader], Awaitable[T]], **kwargs: Any) -> T:
    with ScriptedServer(handler) as server:
        answer = ask(server.url, question, **kwargs)
        assert not server.unforeseen
        return answer


def block_of(number: int = SNAPSHOT) -> SnapshotBlock:
    return SnapshotBlock(chain="tron", height=number, hash=BLOCKS[number]["blockID"], time=AS_OF, finality="finalized", distance_seconds=0)


def read(opened: Reader) -> Awaitable[list[Balance]]:
    return opened.read(block_of(), WALLETS)


def told(balances: list[Balance]) -> list[tuple[str, str, int]]:
    return [(balance.address, balance.asset, balance.amount) for balance in balances]


PLANNED = [
    (WALLETS[0], "TRX", 1_793_227_200),
    (WALLETS[0], "USDT", 1_087_359_000),
    (WALLETS[1], "TRX", STAKED),
    (WALLETS[1], "USDT", 0),
    (UNKNOWN, "TRX", 0),
    (UNKNOWN, "USDT", 5),
]


# Reading


def test_balances_count_whatever_an_account_owns_and_zeros_are_listed() -> None:
    assert told(ask_node(node_of(), read)) == PLANNED


def test_balances_carry_the_height_and_time_of_the_state_before_them() -> None:
    balances = ask_node(node_of(grows=True), read)
    assert {balance.read_height for balance in balances} == {261}
    assert {balance.read_time for balance in balances} == {START + timedelta(seconds=261 * BLOCK_SECONDS)}


def test_an_account_that_does_not_exist_is_a_zero_with_its_archived_reply(tmp_path: Path) -> None:
    archive = EvidenceArchive("tron")
    balances = ask_node(node_of(), read, archive=archive)
    exchanges = dict(read_archive(archive.write(tmp_path / "a.jsonl.zst")))
    (zero,) = [balance for balance in balances if (balance.address, balance.asset) == (UNKNOWN, "TRX")]
    assert exchanges[zero.evidence] == {
        "method": "POST /walletsolidity/getaccount",
        "params": {"address": UNKNOWN, "visible": True},
        "result": {"status": 200, "body": {}},
    }


@pytest.mark.parametrize("grows", [False, True])
def test_an_archive_gives_the_same_balances_when_the_server_is_gone(tmp_path: Path, grows: bool) -> None:
    archive = EvidenceArchive("tron")
    first = ask_node(node_of(grows=grows), read, archive=archive)
    path = archive.write(tmp_path / "balances.jsonl.zst")
    again = EvidenceArchive("tron")
    assert ask(f"tape:{path}", read, archive=again) == first
    assert again.write(tmp_path / "again.jsonl.zst").read_bytes() == path.read_bytes()


def test_a_token_of_fewer_decimals_than_its_asset_is_scaled_exactly() -> None:
    assets = ASSETS | {"USDT": Asset(symbol="USDT", name="Tether USD", decimals=18)}
    assert told(ask_node(node_of(), read, assets=assets))[1] == (WALLETS[0], "USDT", 1_087_359_000 * 10**12)


def test_a_lying_second_source_is_caught() -> None:
    def shave(request: Request, honest: Answer) -> Answer:
        return replace(honest, content=honest.content.replace(b"1793227200", b"1793227201"))

    answers = {"tron_a": ask_node(node_of(), read), "tron_b": ask_node(altered(node_of(), shave), read, name="tron_b")}
    with pytest.raises(SourceMismatchError, match=WALLETS[0]) as raised:
        agree_on_balances("tron", answers)
    assert "1793227200" in str(raised.value)
    assert "1793227201" in str(raised.value)


@given(st.lists(st.integers(0, 10**18), min_size=3, max_size=3))
def test_what_is_owned_is_the_sum_of_what_is_free_staked_and_leaving(amounts: list[int]) -> None:
    account = {
        "address": USDT,
        "balance": amounts[0],
        "frozenV2": [{"amount": amounts[1]}],
        "unfrozenV2": [{"unfreeze_amount": amounts[2]}],
    }
    assert owned(account, USDT) == sum(amounts)


# Bad answers

ACCOUNT, CALL, HEADER = "/walletsolidity/getaccount", "/walletsolidity/triggerconstantcontract", "/walletsolidity/getblock"


def at(path: str, answer: Any) -> Callable[[Request, Answer], Any]:
    """Make a change that answers a path with something else."""
    return lambda request, honest: answer if request.path == path else honest


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (at(ACCOUNT, {"Error": "class java.lang.NullPointerException : null"}), SourceMismatchError, "NullPointerException"),
        (
            at(ACCOUNT, {"Error": "class java.lang.IllegalAccessException : lack of computing resources"}),
            SourceUnavailableError,
            "limits its requests",
        ),
        (at(ACCOUNT, b"null"), SourceMismatchError, "not an account"),
        (at(ACCOUNT, []), SourceMismatchError, "not an account"),
        (at(ACCOUNT, {"address": USDT, "balance": 1}), SourceMismatchError, "not the account that was asked"),
        (at(ACCOUNT, {"balance": 1}), SourceMismatchError, "not the account that was asked"),
        (at(ACCOUNT, {"address": WALLETS[0], "balance": -1}), SourceMismatchError, "not an amount"),
        (at(ACCOUNT, {"address": WALLETS[0], "balance": "1"}), SourceMismatchError, "not an amount"),
        (at(ACCOUNT, b'{"address": "%s", "balance": 1.5}' % WALLETS[0].encode()), SourceMismatchError, "not an amount"),
        (at(ACCOUNT, {"address": WALLETS[0], "balance": None}), SourceMismatchError, "not an amount"),
        (at(ACCOUNT, {"address": WALLETS[0], "frozenV2": {}}), SourceMismatchError, "not a list"),
        (at(ACCOUNT, b'{"address": "%s", "balance": 1%s}' % (WALLETS[0].encode(), b"0" * 38)), AmountError, "39 digits"),
        (at(CALL, REVERTED), SourceMismatchError, "refused the call"),
        (at(CALL, returned("")), SourceMismatchError, "returned nothing"),
        (at(CALL, returned("00" * 31)), SourceMismatchError, "not one word"),
        (at(CALL, returned("00" * 32, "00" * 32)), SourceMismatchError, "not one word"),
        (at(CALL, returned("zz" * 32)), SourceMismatchError, "not hexadecimal"),
        (at(CALL, returned("ff" * 32)), AmountError, "78 digits"),
        (at(CALL, {}), SourceMismatchError, "not one to a call"),
        (at(CALL, b"null"), SourceMismatchError, "not one to a call"),
        (
            at(CALL, {"result": {"code": "CONTRACT_VALIDATE_ERROR", "message": "this node does not support constant"}}),
            SourceMismatchError,
            "does not support constant",
        ),
        (at(HEADER, {}), SourceMismatchError, "no such block"),
        (at(HEADER, b"null"), SourceMismatchError, "not a block"),
        (lambda request, honest: cut_off(honest), SourceUnavailableError, "connection failed"),
        (lambda request, honest: replace(honest, content=honest.content[:-9]), SourceUnavailableError, "cut off"),
        (lambda request, honest: replace(honest, delay=1.6), SourceUnavailableError, "within 1 s"),
        (lambda request, honest: (429, {}), SourceUnavailableError, "HTTP status 429"),
        (lambda request, honest: (503, b"busy"), SourceUnavailableError, "HTTP status 503"),
        (lambda request, honest: (403, {}), ConfigError, "HTTP status 403"),
    ],
)
def test_a_source_that_does_not_answer_properly_stops_the_read(
    change: Callable[[Request, Answer], Any], kind: type[AssayError], words: str
) -> None:
    with pytest.raises(AssayError, match=words) as raised:
        ask_node(altered(node_of(), change), lambda opened: opened.read(block_of(), WALLETS[:1]), timeout=1)
    assert type(raised.value) is kind
    assert "source tron_a" in str(raised.value)


@pytest.mark.parametrize("path", ["result", "result/result", "constant_result"])
def test_an_answer_to_a_call_with_a_part_missing_is_never_another_number(path: str) -> None:
    def without(request: Request, honest: Answer) -> Any:
        return honest if request.path != CALL else remove(msgspec.json.decode(honest.content), path.split("/"))

    with pytest.raises(SourceMismatchError):
        ask_node(altered(node_of(), without), read)


def remove(value: dict[str, Any], path: list[str]) -> dict[str, Any]:
    inner = value
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return value


def test_no_error_shows_a_key_that_the_server_echoes() -> None:
    echo = {"Error": "bad request to /keys/s3cr3t-k3y-of-ours/walletsolidity/getblock"}
    with ScriptedServer(lambda request: echo) as server, pytest.raises(SourceMismatchError, match="bad request") as raised:
        ask(f"{server.url}/keys/s3cr3t-k3y-of-ours", read)
    assert "s3cr3t" not in str(raised.value)


def test_an_oversized_answer_stops_the_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 100)
    with pytest.raises(SourceUnavailableError, match="longer than"):
        ask_node(node_of(), read)


def test_a_state_older_than_the_snapshot_block_is_refused() -> None:
    # Another server behind the same address, which has the snapshot block, answers the first question.
    def older(request: Request, honest: Answer) -> Any:
        return BLOCKS[SNAPSHOT - 1] if request.body == {"detail": False} else honest

    with pytest.raises(SourceBehindError, match=f"is {SNAPSHOT - 1} and the snapshot block is {SNAPSHOT}"):
        ask_node(altered(node_of(), older), read)


def test_a_state_that_goes_back_between_the_reads_is_refused() -> None:
    def older(request: Request, honest: Answer) -> Any:
        return BLOCKS[255] if request.body == {"id_or_num": "", "detail": False} else honest

    with pytest.raises(SourceUnavailableError, match="was 260 and then 255"):
        ask_node(altered(node_of(), older), read)


def test_a_state_read_too_long_after_as_of_is_refused() -> None:
    assert told(ask_node(node_of(), read, chain=chain_of(max_lag_seconds=180))) == PLANNED
    with pytest.raises(SourceMismatchError, match="180 s after as_of, and at most 179 s"):
        ask_node(node_of(), read, chain=chain_of(max_lag_seconds=179))


def test_a_source_on_another_branch_is_refused() -> None:
    block = replace(block_of(), hash="00" * 32)
    with pytest.raises(SourceMismatchError, match="not the snapshot block"):
        ask_node(node_of(), lambda opened: opened.read(block, WALLETS))


# Network, snapshot block, tokens


def test_the_network_is_told_by_its_genesis_block() -> None:
    ask_node(node_of(), lambda opened: opened.check_network())
    with pytest.raises(SourceMismatchError, match="genesis block"):
        ask_node(node_of(), lambda opened: opened.check_network(), chain=chain_of(genesis="00" * 32))


@pytest.mark.parametrize(
    ("as_of", "number", "distance"),
    [
        (AS_OF, 200, 0),
        (AS_OF - timedelta(seconds=1), 199, 2),
        (AS_OF + timedelta(seconds=2), 200, 2),
        (AS_OF - timedelta(minutes=10), 0, 0),
    ],
)
def test_the_snapshot_block_is_the_last_one_at_or_before_as_of(as_of: datetime, number: int, distance: int) -> None:
    block = ask_node(node_of(), lambda opened: opened.resolve(as_of))
    assert (block.height, block.distance_seconds, block.finality) == (number, distance, "finalized")
    assert block.hash == BLOCKS[number]["blockID"]
    assert block.time == START + timedelta(seconds=number * BLOCK_SECONDS)


def test_the_snapshot_block_is_the_same_however_far_the_node_has_come(tmp_path: Path) -> None:
    written = set()
    for top in (201, 230, 399):
        archive = EvidenceArchive("tron")
        block = ask_node(node_of(top=top), lambda opened: opened.resolve(AS_OF), archive=archive)
        written.add((block, archive.write(tmp_path / "blocks.jsonl.zst").read_bytes()))
    assert len(written) == 1


@pytest.mark.parametrize("top", [0, 199, 200])
def test_a_node_whose_solidified_blocks_do_not_pass_as_of_is_behind(top: int) -> None:
    with pytest.raises(SourceBehindError, match="is needed"):
        ask_node(node_of(top=top), lambda opened: opened.resolve(AS_OF))


def test_a_snapshot_block_too_far_before_as_of_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="lies 2 s before it and at most 1 s"):
        ask_node(node_of(), lambda opened: opened.resolve(AS_OF - timedelta(seconds=1)), chain=chain_of(max_distance_seconds=1))


def test_a_chain_that_began_after_as_of_has_no_snapshot_block() -> None:
    with pytest.raises(SourceMismatchError, match="no block at or before"):
        ask_node(node_of(), lambda opened: opened.resolve(START - timedelta(seconds=1)))


def test_a_node_that_keeps_only_part_of_the_chain_is_refused() -> None:
    def pruned(request: Request, honest: Answer) -> Any:
        return {} if 0 < int(request.body.get("id_or_num") or 0) < 250 else honest

    with pytest.raises(SourceMismatchError, match="keeps only part of the chain"):
        ask_node(altered(node_of(), pruned), lambda opened: opened.resolve(AS_OF))


def test_the_hash_of_a_height_is_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("tron")
    assert ask_node(node_of(), lambda opened: opened.recheck(block_of(), since=None), archive=archive) == block_of().hash
    ((_, exchange),) = read_archive(archive.write(tmp_path / "a.jsonl.zst"))
    assert exchange["params"] == {"id_or_num": "200", "detail": False}


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (node_of(decimals=8), "has 8 decimals and the registry says 6"),
        (node_of(contract=False), "no contract"),
        (node_of(deprecated=1), "deprecated"),
    ],
)
def test_a_token_that_is_not_what_the_registry_says_is_refused(node: Node, words: str) -> None:
    with pytest.raises(RegistryError, match=words) as raised:
        ask_node(node, lambda opened: opened.check_assets(block_of()))
    assert USDT in str(raised.value)


@pytest.mark.parametrize("deprecated", [0, None])
def test_a_token_is_accepted_with_and_without_a_switch_for_deprecation(deprecated: int | None) -> None:
    ask_node(node_of(deprecated=deprecated), lambda opened: opened.check_assets(block_of()))


def test_a_contract_without_decimals_is_refused() -> None:
    with pytest.raises(RegistryError, match="no decimals"):
        ask_node(altered(node_of(), at(CALL, REVERTED)), lambda opened: opened.check_assets(block_of()))


@pytest.mark.parametrize(
    ("chain", "assets", "kind", "words"),
    [
        (chain_of(finality="confirmations"), ASSETS, ConfigError, "use finalized"),
        (
            chain_of(tokens={"USDT": Token(asset="USDT", contract=USDT[:-1] + "u", decimals=6, source="")}),
            ASSETS,
            RegistryError,
            "checksum",
        ),
        (chain_of(), ASSETS | {"TRX": Asset(symbol="TRX", name="Tron", decimals=5)}, RegistryError, "counted in 6 decimals"),
    ],
)
def test_a_registry_that_the_chain_contradicts_is_refused(
    chain: Chain, assets: dict[str, Asset], kind: type[AssayError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        ask("http://127.0.0.1:1", lambda opened: opened.check_network(), chain=chain, assets=assets)


def test_another_kind_of_source_is_refused() -> None:
    source = Source(name="tron_a", kind="electrum", connection="unused")
    with pytest.raises(ConfigError, match="use rest"):
        reader(chain_of(), source, assets=ASSETS, archive=EvidenceArchive("tron"), url="http://127.0.0.1:1")


# Headers


def test_the_documented_header_has_the_id_that_its_fields_give() -> None:
    header = parse_block(DOCUMENTED, number=66987565)
    assert header.hash == DOCUMENTED["blockID"]
    assert header.number == int(header.hash[:16], 16)


@pytest.mark.parametrize(
    ("named", "root", "parent"),
    [
        (
            "00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc",  # the main network's
            "8ef446bf3f395af929c218014f6101ec86576c5f61b2ae3236bf3a2ab5e2fecd",
            "e58f33f9baf9305dc6f82b9f1934ea8f0ade2defb951258d50167028c780351f",
        ),
        (
            "0000000000000000de1aa88295e1fcf982742f773e0419c5a9c134c994a9059e",  # Shasta's, as the documentation of TronWeb shows it
            "ea97ca7ac977cf2765093fa0e4732e561dc4ff8871c17e35fd2bcabb8b5f821d",
            "957dc2d350daecc7bb6a38f3938ebde0a0c1cedafe15f0edae4256a2907449f6",
        ),
    ],
)
def test_real_genesis_blocks_have_the_ids_that_their_fields_give(named: str, root: str, parent: str) -> None:
    creed = b"A new system must allow existing systems to be linked together without requiring any central control or coordination"
    data = {"txTrieRoot": root, "parentHash": parent, "witness_address": creed.hex()}
    header = parse_block({"blockID": named, "block_header": {"raw_data": data}}, number=0)
    assert (header.hash, header.number, header.time) == (named, 0, 0)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("timestamp", 1777445121001, "its fields give"),
        ("parentHash", "00" * 32, "its fields give"),
        ("number", 66987566, "was asked"),
        ("number", "66987565", "not a number"),
        ("timestamp", -1, "not a number"),
        ("timestamp", True, "not a number"),
        ("txTrieRoot", "xx", "not hexadecimal"),
        ("txTrieRoot", 5, "not hexadecimal"),
        ("crossTxRoot", "00", "cannot be recomputed"),
    ],
)
def test_an_altered_header_is_refused(name: str, value: Any, words: str) -> None:
    altered_data = DOCUMENTED["block_header"]["raw_data"] | {name: value}  # type: ignore[index]
    with pytest.raises(AnswerError, match=words):
        parse_block({"blockID": DOCUMENTED["blockID"], "block_header": {"raw_data": altered_data}}, number=66987565)


@pytest.mark.parametrize("raw", [None, [], {}, {"block_header": {}}, {"blockID": "00", "block_header": {"raw_data": {}}}])
def test_what_is_no_block_is_refused(raw: Any) -> None:
    with pytest.raises(AnswerError):
        parse_block(raw)


# Addresses


@pytest.mark.parametrize("address", [*WALLETS, USDT])
def test_real_addresses_are_accepted_as_they_are(address: str) -> None:
    assert check_address(chain_of(), address) == address


@given(st.binary(min_size=20, max_size=20).filter(any), st.integers(1, 33), st.sampled_from("123456789ABCDEFGHJKLMNPQRSTUVWXYZ"))
def test_one_changed_letter_is_refused(raw: bytes, position: int, letter: str) -> None:
    address = base58.b58encode_check(b"\x41" + raw).decode()
    assert decode_address(check_address(chain_of(), address)) == raw
    changed = address[:position] + letter + address[position + 1 :]
    if changed != address:
        with pytest.raises(RegistryError):
            check_address(chain_of(), changed)


@pytest.mark.parametrize(
    "address",
    [
        "",
        USDT + "\n",
        " " + USDT,
        USDT[:-1],
        "41a614f803b6fd780986a42c78ec9c7f77e6ded13c",
        "0xa614f803b6fd780986a42c78ec9c7f77e6ded13c",
        "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb",
        base58.b58encode_check(b"\xa0" + bytes(range(20))).decode(),
        base58.b58encode_check(b"\x41" + bytes(range(21))).decode(),
        "13jTtHxBPFwZkaCdm6BwJMMJkqvTpBZccw",
        "rBPzKpfEh6Pv9qjh6gt9E66BL8UVbcZxHP",
        "TЯ7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    ],
)
def test_text_that_is_no_address_of_the_chain_is_refused(address: str) -> None:
    with pytest.raises(RegistryError):
        check_address(chain_of(), address)


def test_the_family_says_that_it_cannot_answer_for_the_past() -> None:
    assert FACTS.past == ""
