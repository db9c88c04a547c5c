"""The TON reader against a server on loopback that plays TON Center's HTTP API v2; no TON node can be installed here.

Its answers are written from the API's documentation (https://docs.ton.org/ecosystem/api/toncenter/v2/overview, with the examples of
https://docs.getblock.io for `getMasterchainInfo` and `getBlockHeader` and of https://www.quicknode.com/docs/ton/runGetMethod for what a get-method's answer
holds), the contracts' from TEP-74 and TEP-64. Addresses, a bag of cells and the network's first state are held against published ones.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
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
from assay.chains.evidence import EvidenceArchive, read_archive
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.chains.ton import TonReader, check_address, reader
from assay.chains.ton.cells import Address, Cell, address_cell, jetton_decimals, parse_address, read_address, read_bag, write_bag
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, ConfigError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import Answer, NotScripted, Request, ScriptedServer, altered, cut_off

T = TypeVar("T")
START = datetime(2026, 8, 31, 12, tzinfo=UTC)
LAST = 300
GENESIS = "F6OpKZKqvqeFp6CQmFomXNMfMj2EnaUSOXN+Mh+wVWk="
"""Root hash of mainnet's first state, as in https://ton.org/global.config.json (`zero_state`)."""
USDT = "EQCxE6mUtQJKFnGfaROTKOt1lZbDiiX1kCixRv7Nw2Id_sDs"
USDT_RAW = "0:b113a994b5024a16719f69139328eb759596c38a25f59028b146fecdc3621dfe"
"""Tether's jetton master in both forms, as in https://docs.ton.org/standard/tokens/jettons/supply-data."""
RICH = "UQA2ogqg4sy7KfGuQVXWtbOm3vnE7NVGCeBCl6-XdJkqy3pq"
POOR = "UQAqc2WkItRXN4xB6n5tBzNxhT8pP-e3MtTlReU3UdIJVI-s"
NOBODY = "UQB0Pe-86bTQrmztmIL2MXMT4fZTHw2UwXEG8rpv-vRTP4np"

ASSETS = {"TON": Asset(symbol="TON", name="Toncoin", decimals=9), "USDT": Asset(symbol="USDT", name="Tether USD", decimals=6)}
CHAIN = Chain(
    name="ton",
    family="ton",
    asset="TON",
    network="mainnet",
    genesis=base64.b64decode(GENESIS).hex(),
    finality="finalized",
    max_distance_seconds=60,
    tokens={"USDT": Token(asset="USDT", contract=USDT, decimals=6, source="")},
)
SOURCE = Source(name="ton_a", kind="toncenter", connection="unused", timeout_seconds=5, concurrency=4)


def raw_of(address: str) -> str:
    return parse_address(address)[0].raw


def wallet_of(owner: str) -> str:
    """The jetton wallet's address: any function of owner and master will do."""
    return "0:" + hashlib.sha256(f"{raw_of(owner)} {USDT_RAW}".encode()).hexdigest()


def write_tree(root: Cell) -> str:
    """A bag of cells with references, cells in the order in which they are met; written here for the tests alone."""
    order: list[Cell] = []

    def visit(cell: Cell) -> None:
        order.append(cell)
        for ref in cell.refs:
            visit(ref)

    visit(root)
    numbers = {id(cell): place for place, cell in enumerate(order)}
    body = b""
    for cell in order:
        whole, rest = divmod(len(cell.bits), 8)
        padded = cell.bits + ("1" + "0" * (7 - rest) if rest else "")
        body += bytes([len(cell.refs), 2 * whole + bool(rest)]) + bytes(int(padded[at : at + 8], 2) for at in range(0, len(padded), 8))
        body += bytes(numbers[id(ref)] for ref in cell.refs)
    return base64.b64encode(
        bytes.fromhex("b5ee9c72") + bytes([1, 2, len(order), 1, 0]) + len(body).to_bytes(2, "big") + b"\0" + body
    ).decode()


def text_cell(content: bytes) -> Cell:
    return Cell("".join(f"{octet:08b}" for octet in content))


def dictionary(entries: dict[str, Cell], longest: int = 256) -> Cell:
    """A `Hashmap` with references as values (block.tlb), its labels written long."""
    keys = sorted(entries)
    common = 0
    while common < len(keys[0]) and len({key[: common + 1] for key in keys}) == 1:
        common += 1
    label = "10" + f"{common:0{longest.bit_length()}b}" + keys[0][:common]
    if len(keys) == 1:
        return Cell(label, (entries[keys[0]],))
    rest = longest - common - 1
    branches = ({key[common + 1 :]: entries[key] for key in keys if key[common] == bit} for bit in "01")
    return Cell(label, tuple(dictionary(branch, rest) for branch in branches))


def content(**values: bytes) -> Cell:
    """On-chain content by TEP-64: a dictionary by SHA-256 of the name, values as snake texts."""
    if not values:
        return Cell("000000000")
    keys = {f"{int.from_bytes(hashlib.sha256(name.encode()).digest(), 'big'):0256b}": name for name in values}
    return Cell("000000001", (dictionary({key: text_cell(b"\0" + values[name]) for key, name in keys.items()}),))


TETHER = content(uri=b"https://tether.to/usdt-ton.json", decimals=b"6")


def time_of(seqno: int) -> datetime:
    return START + seqno * timedelta(seconds=5)


def root_hash(seqno: int) -> str:
    return GENESIS if seqno == 0 else base64.b64encode(hashlib.sha256(f"block {seqno}".encode()).digest()).decode()


def block_id(seqno: int) -> dict[str, Any]:
    return {
        "@type": "ton.blockIdExt",
        "workchain": -1,
        "shard": "-9223372036854775808",
        "seqno": seqno,
        "root_hash": root_hash(seqno),
        "file_hash": base64.b64encode(bytes(32)).decode(),
    }


def good(result: Any) -> dict[str, Any]:
    return {"ok": True, "result": result, "@extra": "1756641600.1:0:0.1"}


def refusal(status: int, words: str, code: int | None = None) -> tuple[int, dict[str, Any]]:
    return status, {"ok": False, "error": words, "code": status if code is None else code}


def cell_entry(cell: Cell) -> list[Any]:
    return ["cell", {"bytes": write_tree(cell), "object": {"data": {"b64": "", "len": len(cell.bits)}, "refs": [], "special": False}}]


@dataclass
class Server:
    """TON Center's API in front of an archival liteserver; its accounts are the same at every block."""

    last: int = LAST
    content: Cell = TETHER
    accounts: dict[str, tuple[int, str]] = field(
        default_factory=lambda: {
            raw_of(RICH): (1_234_567_890_123_456_789, "active"),
            raw_of(POOR): (5, "uninitialized"),
            wallet_of(RICH): (10**7, "active"),
            USDT_RAW: (10**9, "active"),
        }
    )
    jettons: dict[str, int] = field(default_factory=lambda: {wallet_of(RICH): 2**100})
    owners: dict[str, str] = field(default_factory=lambda: {wallet_of(RICH): raw_of(RICH)})

    def __call__(self, request: Request) -> Any:
        method = request.path.removeprefix("/api/v2/")
        if method == "getMasterchainInfo":
            init = block_id(0) | {"shard": "0"}
            return good({"@type": "blocks.masterchainInfo", "last": block_id(self.last), "state_root_hash": root_hash(1), "init": init})
        if method == "getBlockHeader":
            assert (request.query["workchain"], request.query["shard"]) == ("-1", "-9223372036854775808")
            return self.header(int(request.query["seqno"]))
        if method == "getAddressInformation":
            return self.account(raw_of(request.query["address"]), int(request.query["seqno"]))
        if method == "runGetMethod":
            return self.run(raw_of(request.body["address"]), request.body)
        raise NotScripted

    def header(self, seqno: int) -> Any:
        if not 0 < seqno <= self.last:
            return refusal(500, f"LITE_SERVER_NOTREADY: cannot find block (-1,8000000000000000,{seqno}): block not found", 500)
        return good(
            {"@type": "blocks.header", "id": block_id(seqno), "global_id": -239, "version": 0, "after_merge": False, "start_lt": "1", "end_lt": "5"}
            | {"gen_utime": int(time_of(seqno).timestamp()), "prev_blocks": [block_id(seqno - 1)], "is_key_block": False}
        )  # fmt: skip

    def account(self, address: str, seqno: int) -> Any:
        balance, state = self.accounts.get(address, (0, "uninitialized"))
        return good(
            {"@type": "raw.fullAccountState", "balance": str(balance), "code": "", "data": "", "frozen_hash": "", "sync_utime": 1}
            | {"last_transaction_id": {"lt": "0", "hash": ""}, "block_id": block_id(seqno), "state": state}
        )  # fmt: skip

    def run(self, address: str, body: dict[str, Any]) -> Any:
        if body["method"] == "get_wallet_address":
            assert address == USDT_RAW
            ((kind, bag),) = body["stack"]
            assert kind == "tvm.Slice"
            owner = read_address(read_bag(bag)).friendly(test_only=False)
            stack = [cell_entry(address_cell(parse_address(wallet_of(owner))[0]))]
        elif body["method"] == "get_wallet_data":
            if address not in self.jettons:
                return self.ran(body, [], 11)
            named = [cell_entry(address_cell(parse_address(text)[0])) for text in (self.owners[address], USDT_RAW)]
            stack = [["num", hex(self.jettons[address])], *named, cell_entry(Cell("1"))]
        elif body["method"] == "get_jetton_data":
            admin = cell_entry(address_cell(parse_address(RICH)[0]))
            stack = [["num", hex(10**15)], ["num", "-0x1"], admin, cell_entry(self.content), cell_entry(Cell("1"))]
        return self.ran(body, stack, 0)

    def ran(self, body: dict[str, Any], stack: list[Any], code: int) -> Any:
        last = {"@type": "internal.transactionId", "lt": "1", "hash": ""}
        return good(
            {"@type": "smc.runResult", "gas_used": 700, "stack": stack, "exit_code": code}
            | {"block_id": block_id(body["seqno"]), "last_transaction_id": last}
        )


AT = SnapshotBlock(
    chain="ton", height=200, hash=base64.b64decode(root_hash(200)).hex(), time=time_of(200), finality="finalized", distance_seconds=0
)  # fmt: skip


def ask(server: Any, question: Callable[[TonReader], Awaitable[T]], **changes: Any) -> T:
    with ScriptedServer(server) as listening:
        answer = ask_url(f"{listening.url}/api/v2", question, **changes)
        assert listening.unforeseen == []
    return answer


def ask_url(url: str, question: Callable[[TonReader], Awaitable[T]], **changes: Any) -> T:
    async def run() -> T:
        archive = changes.get("archive") or EvidenceArchive("test")
        found = reader(
            changes.get("chain", CHAIN), changes.get("source", SOURCE), assets=changes.get("assets", ASSETS), archive=archive, url=url
        )
        async with found:
            return await question(found)

    return asyncio.run(run())


def reading(*addresses: str) -> Callable[[TonReader], Awaitable[list[Balance]]]:
    return lambda found: found.read(AT, addresses)


def told(balances: list[Balance]) -> list[tuple[str, str, int]]:
    return [(item.address, item.asset, item.amount) for item in balances]


# Reading


def test_ton_and_jettons_are_read_at_the_block_in_order_and_an_uninitialised_accounts_ton_counts() -> None:
    with ScriptedServer(Server()) as server:
        found = ask_url(f"{server.url}/api/v2", reading(RICH, POOR))
        seqnos = {str(request.query.get("seqno") or request.body["seqno"]) for request in server.requests}
    assert told(found) == [(RICH, "TON", 1_234_567_890_123_456_789), (RICH, "USDT", 2**100), (POOR, "TON", 5), (POOR, "USDT", 0)]
    assert seqnos == {"200"}


def test_a_frozen_accounts_ton_counts() -> None:
    server = Server(accounts={raw_of(RICH): (42, "frozen")})
    assert told(ask(server, reading(RICH), chain=replace(CHAIN, tokens={}))) == [(RICH, "TON", 42)]


def test_an_account_and_a_jetton_wallet_that_do_not_exist_hold_zero_with_the_answers_that_say_so(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    found = ask(Server(), reading(NOBODY), archive=archive)
    lines = dict(read_archive(archive.write(tmp_path / "a.jsonl.zst")))
    assert [item.amount for item in found] == [0, 0]
    asked = [lines[item.evidence] for item in found]
    assert [exchange["method"] for exchange in asked] == ["GET /getAddressInformation"] * 2
    assert [exchange["params"]["address"] for exchange in asked] == [NOBODY, wallet_of(NOBODY)]
    assert {exchange["result"]["body"]["result"]["state"] for exchange in asked} == {"uninitialized"}
    assert len(lines) == 3  # and the one that names the wallet


def test_an_archive_played_back_gives_the_same_balances_with_the_same_evidence(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    before = ask(Server(), reading(RICH, POOR, NOBODY), archive=archive)
    assert ask_url(f"tape:{archive.write(tmp_path / 'a.jsonl.zst')}", reading(RICH, POOR, NOBODY)) == before


def test_no_wallets_need_no_question() -> None:
    assert ask(lambda request: 1 / 0, reading()) == []


def test_a_jetton_with_fewer_decimals_than_its_asset_is_scaled_up_exactly() -> None:
    assets = ASSETS | {"USDT": replace(ASSETS["USDT"], decimals=9)}
    assert told(ask(Server(), reading(RICH), assets=assets))[1] == (RICH, "USDT", 2**100 * 1000)


def test_an_asset_counted_coarser_than_on_the_chain_is_refused() -> None:
    with pytest.raises(RegistryError, match="asset TON"):
        ask(Server(), reading(RICH), assets=ASSETS | {"TON": replace(ASSETS["TON"], decimals=8)})


def test_one_wrong_balance_of_one_source_is_found_by_comparing_sources() -> None:
    liar = Server(jettons={wallet_of(RICH): 2**100 + 1})
    answers = {"ton_a": ask(Server(), reading(RICH, POOR)), "ton_b": ask(liar, reading(RICH, POOR))}
    with pytest.raises(SourceMismatchError, match=rf"{RICH}.*{2**100}.*{2**100 + 1}"):
        agree_on_balances("ton", answers)


# The snapshot block


@pytest.mark.parametrize(("shift", "seqno", "distance"), [(0, 200, 0), (4, 200, 4), (-1, 199, 4), (5, 201, 0)])
def test_the_snapshot_block_is_the_last_one_not_after_the_moment(shift: int, seqno: int, distance: int) -> None:
    found = ask(Server(), lambda it: it.resolve(time_of(200) + timedelta(seconds=shift)))
    assert (found.height, found.time, found.distance_seconds) == (seqno, time_of(seqno), distance)
    assert (found.hash, found.finality) == (base64.b64decode(root_hash(seqno)).hex(), "finalized")


@pytest.mark.parametrize("last", [201, 250, 4000])
def test_the_snapshot_block_does_not_depend_on_how_far_the_server_is(last: int) -> None:
    assert ask(Server(last=last), lambda it: it.resolve(time_of(200))) == AT


@pytest.mark.parametrize("seqno", [1, 2, 3])
def test_the_first_blocks_are_found_too(seqno: int) -> None:
    assert ask(Server(), lambda it: it.resolve(time_of(seqno))).height == seqno


def test_the_deciding_headers_are_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    ask(Server(), lambda it: it.resolve(time_of(200)), archive=archive)
    lines = [exchange for _, exchange in read_archive(archive.write(tmp_path / "a.jsonl.zst"))]
    assert {(exchange["method"], exchange["params"]["seqno"]) for exchange in lines} == {
        ("GET /getBlockHeader", "200"),
        ("GET /getBlockHeader", "201"),
    }


@pytest.mark.parametrize("seqno", [LAST, LAST + 50])
def test_a_server_without_a_block_after_the_moment_is_behind(seqno: int) -> None:
    with pytest.raises(SourceBehindError, match=r"ton_a.*one after"):
        ask(Server(), lambda it: it.resolve(time_of(seqno)))


def test_a_moment_before_the_first_block_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="no block at or before"):
        ask(Server(), lambda it: it.resolve(START - timedelta(days=1)))


def headers(seqno: int, change: Callable[[dict[str, Any]], Any]) -> Any:
    def lie(request: Request, answer: Answer) -> Any:
        if request.query.get("seqno") != str(seqno) or not request.path.endswith("getBlockHeader"):
            return answer
        return good(change(json.loads(answer.content)["result"]))

    return altered(Server(), lie)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told | {"id": block_id(7)}, "block 7 was given"),
        (lambda told: told | {"id": told["id"] | {"root_hash": root_hash(7)}}, "does not follow from block 200"),
        (lambda told: told | {"id": told["id"] | {"root_hash": "AAAA"}}, "not a hash"),
        (lambda told: told | {"id": told["id"] | {"workchain": 0}}, "no masterchain block"),
        (lambda told: told | {"id": None}, "no masterchain block"),
        (lambda told: told | {"prev_blocks": []}, "follow from one block"),
        (lambda told: told | {"prev_blocks": [block_id(7)]}, "follows from block 7"),
        (lambda told: told | {"gen_utime": None}, "not a count"),
        (lambda told: told | {"gen_utime": 5}, "in time|lies"),
        (lambda told: told | {"gen_utime": told["gen_utime"] - 1000}, "in time|lies"),
        (lambda told: None, "no result"),
    ],
)
def test_headers_that_contradict_themselves_stop_the_search(change: Any, words: str) -> None:
    with pytest.raises(SourceMismatchError, match=words):
        ask(headers(200, change), lambda it: it.resolve(time_of(200)))


def test_a_moment_long_after_the_last_block_before_it_is_refused() -> None:
    def gap(request: Request, answer: Answer) -> Any:
        body = json.loads(answer.content)
        if "gen_utime" in body["result"] and body["result"]["id"]["seqno"] > 200:
            body["result"]["gen_utime"] += 3600
        return body

    with pytest.raises(SourceMismatchError, match="as_of, 200, lies 120 s before it and at most 60 s"):
        ask(altered(Server(), gap), lambda it: it.resolve(time_of(200) + timedelta(seconds=120)))


def test_the_hash_of_a_seqno_is_told_and_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    assert ask(Server(), lambda it: it.block_hash(200), archive=archive) == AT.hash
    assert len(list(read_archive(archive.write(tmp_path / "a.jsonl.zst")))) == 1


def test_the_network_is_told_by_its_first_state() -> None:
    ask(Server(), lambda it: it.check_network())
    with pytest.raises(SourceMismatchError, match="its network began with 17a3a929"):
        ask(Server(), lambda it: it.check_network(), chain=replace(CHAIN, genesis="00" * 32))


# Jettons


@pytest.mark.parametrize("found", [TETHER, content(decimals=b"6"), content(decimals=b"6", name=b"x", symbol=b"y", image=b"z")])
def test_a_jetton_with_the_registrys_decimals_passes(found: Cell) -> None:
    ask(Server(content=found), lambda it: it.check_assets(AT))


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (Server(content=content(decimals=b"9")), "9 decimals and the registry says 6 at block 200"),
        (Server(content=content()), "9 decimals"),
        (Server(content=content(name=b"Tether")), "9 decimals"),
        (Server(content=content(uri=b"https://x")), "does not say its decimals"),
        (Server(content=text_cell(b"\x01https://x/y.json")), "does not say its decimals"),
        (Server(content=content(decimals=b"six")), "not a number"),
        (Server(content=content(decimals=b"")), "not a number"),
        (Server(content=Cell("0")), "neither on the chain nor elsewhere"),
        (Server(content=Cell("000000001", (Cell("1"),))), "no label|dictionary"),
        (Server(accounts={}), "there is no contract, its account is uninitialized"),
        (Server(accounts={USDT_RAW: (1, "frozen")}), "its account is frozen"),
    ],
)
def test_a_jetton_that_is_gone_or_changed_is_refused(server: Server, words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        ask(server, lambda it: it.check_assets(AT))


def runs(method: str, change: Callable[[dict[str, Any]], Any], server: Server | None = None) -> Any:
    """A server that answers one get-method wrongly."""

    def lie(request: Request, answer: Answer) -> Any:
        if request.body is None or request.body["method"] != method:
            return answer
        return good(change(json.loads(answer.content)["result"]))

    return altered(server or Server(), lie)


def test_a_contract_that_is_no_jetton_master_is_refused() -> None:
    with pytest.raises(RegistryError, match="exit code 11"):
        ask(runs("get_jetton_data", lambda told: told | {"exit_code": 11, "stack": []}), lambda it: it.check_assets(AT))


@pytest.mark.parametrize("contract", ["", "USDT", USDT[:-1] + "t", "0:12"])
def test_a_contract_that_is_no_address_is_refused(contract: str) -> None:
    with pytest.raises(RegistryError):
        ask(Server(), reading(RICH), chain=replace(CHAIN, tokens={"USDT": replace(CHAIN.tokens["USDT"], contract=contract)}))


def entry(place: int, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda told: told | {"stack": [*told["stack"][:place], value, *told["stack"][place + 1 :]]}


STRANGER = cell_entry(address_cell(parse_address(POOR)[0]))


@pytest.mark.parametrize(
    ("method", "change", "kind", "words"),
    [
        ("get_wallet_data", lambda told: told | {"exit_code": -13}, SourceMismatchError, "exit code -13"),
        ("get_wallet_data", lambda told: told | {"exit_code": 11, "stack": []}, SourceMismatchError, "exit code 11"),
        ("get_wallet_data", lambda told: told | {"exit_code": None}, SourceMismatchError, "without exit code"),
        ("get_wallet_data", lambda told: told | {"stack": None}, SourceMismatchError, "without exit code or stack"),
        ("get_wallet_data", lambda told: told | {"stack": []}, SourceMismatchError, "no result"),
        ("get_wallet_data", lambda told: told | {"block_id": block_id(201)}, SourceMismatchError, "was asked and block 201"),
        (
            "get_wallet_data",
            lambda told: told | {"block_id": block_id(200) | {"root_hash": root_hash(7)}},
            SourceMismatchError,
            "was asked",
        ),
        ("get_wallet_data", lambda told: told | {"block_id": None}, SourceMismatchError, "names no masterchain block"),
        ("get_wallet_data", lambda told: None, SourceMismatchError, "no result"),
        ("get_wallet_data", entry(0, ["num", "-0x1"]), SourceMismatchError, "balance -1"),
        ("get_wallet_data", entry(0, ["num", "5"]), SourceMismatchError, "not an integer"),
        ("get_wallet_data", entry(0, ["num", None]), SourceMismatchError, "not an integer"),
        ("get_wallet_data", entry(0, ["num", "0x"]), SourceMismatchError, "not an integer"),
        ("get_wallet_data", entry(0, STRANGER), SourceMismatchError, "not an integer"),
        ("get_wallet_data", entry(0, ["num", hex(10**38)]), AmountError, "38"),
        ("get_wallet_data", entry(1, STRANGER), SourceMismatchError, "is of owner"),
        ("get_wallet_data", entry(2, STRANGER), SourceMismatchError, "and master"),
        ("get_wallet_data", entry(1, ["num", "0x1"]), SourceMismatchError, "not a cell"),
        ("get_wallet_data", entry(1, ["cell", {"bytes": "AAAA"}]), SourceMismatchError, "not a bag of cells"),
        ("get_wallet_data", entry(1, ["cell", {}]), SourceMismatchError, "not a bag of cells"),
        ("get_wallet_data", entry(1, cell_entry(Cell("00"))), SourceMismatchError, "doesn't"),
        ("get_wallet_address", lambda told: told | {"exit_code": 4}, SourceMismatchError, "exit code 4"),
        ("get_wallet_address", entry(0, cell_entry(Cell("00"))), SourceMismatchError, "doesn't"),
        ("get_wallet_address", lambda told: told | {"block_id": block_id(300)}, SourceMismatchError, "was asked"),
    ],
)
def test_a_get_method_that_fails_or_answers_something_else_is_an_error_and_never_zero(
    method: str, change: Any, kind: type[AssayError], words: str
) -> None:
    with pytest.raises(AssayError, match=words) as raised:
        ask(runs(method, change), reading(RICH))
    assert type(raised.value) is kind
    assert "ton_a" in str(raised.value)


def test_a_frozen_jetton_wallet_is_an_error_and_not_zero() -> None:
    server = Server()
    with pytest.raises(SourceMismatchError, match="frozen jetton wallet"):
        ask(replace(server, accounts=server.accounts | {wallet_of(RICH): (0, "frozen")}, jettons={}), reading(RICH))


# Bad answers

ONLY = replace(CHAIN, tokens={})


def states(told: Any) -> Any:
    return altered(Server(), lambda request, answer: told(json.loads(answer.content)) if callable(told) else told)


def result(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda body: body | {"result": body["result"] | changes}


@pytest.mark.parametrize(
    ("told", "kind", "words"),
    [
        (result(balance=None), SourceMismatchError, "not a balance"),
        (result(balance="-1"), SourceMismatchError, "not a balance"),
        (result(balance=-1), SourceMismatchError, "not a balance"),
        (result(balance=""), SourceMismatchError, "not a balance"),
        (result(balance="1.5"), SourceMismatchError, "not a balance"),
        (result(balance=True), SourceMismatchError, "not a balance"),
        (result(balance="1" + "0" * 38), AmountError, "38"),
        (result(balance="1" + "0" * 5000), SourceMismatchError, "not a balance"),
        (result(state=None), SourceMismatchError, "unknown state"),
        (result(state="nonexist"), SourceMismatchError, "unknown state"),
        (result(block_id=block_id(300)), SourceMismatchError, "block 200 .* was asked and block 300"),
        (result(block_id=None), SourceMismatchError, "no masterchain block"),
        (lambda body: body | {"ok": False}, SourceMismatchError, "error 200"),
        (lambda body: body | {"ok": "true"}, SourceMismatchError, "error 200"),
        (lambda body: {"ok": True, "result": None}, SourceMismatchError, "no result"),
        (lambda body: {"ok": True}, SourceMismatchError, "no result"),
        (lambda body: {"ok": True, "result": "0"}, SourceMismatchError, "no result"),
        (b"null", SourceMismatchError, "not an object"),
        (b"[]", SourceMismatchError, "not an object"),
        (refusal(200, "Ratelimit exceed", 429), SourceUnavailableError, "error 429: Ratelimit"),
        (refusal(200, "LITE_SERVER_NOTREADY: not synced", 500), SourceUnavailableError, "LITE_SERVER_NOTREADY"),
        (refusal(500, "LITE_SERVER_UNKNOWN: timeout"), SourceUnavailableError, "LITE_SERVER_UNKNOWN"),
        (
            refusal(500, "LITE_SERVER_UNKNOWN: cannot load state for (-1,8000000000000000,200): state already gc'd"),
            SourceMismatchError,
            "archival",
        ),
        (refusal(422, "Validation error: seqno"), SourceMismatchError, "error 422: Validation"),
        (refusal(416, "Incorrect address"), SourceMismatchError, "Incorrect address"),
        (refusal(429, "Ratelimit exceed"), SourceUnavailableError, "429"),
        (refusal(504, "Liteserver timeout"), SourceUnavailableError, "504"),
        (refusal(403, "API key does not exist"), ConfigError, "403"),
        ((404, {"detail": "Not Found"}), ConfigError, "404"),
        (b"", SourceUnavailableError, "cut off"),
        (b"<html>busy</html>", SourceUnavailableError, "not JSON"),
    ],
)
def test_an_answer_that_is_no_balance_is_an_error_and_never_zero(told: Any, kind: type[AssayError], words: str) -> None:
    with pytest.raises(AssayError, match=words) as raised:
        ask(states(told), reading(NOBODY), chain=ONLY)
    assert type(raised.value) is kind
    assert "ton_a" in str(raised.value)


def test_a_body_that_breaks_off_comes_late_or_never_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceUnavailableError, match="connection failed"):
        ask(altered(Server(), lambda request, answer: cut_off(answer)), reading(RICH))
    with pytest.raises(SourceUnavailableError, match="within 1 s"):
        ask(
            altered(Server(), lambda request, answer: replace(answer, delay=1.4)),
            reading(RICH),
            chain=ONLY,
            source=replace(SOURCE, timeout_seconds=1),
        )
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 1 << 20)
    with pytest.raises(SourceUnavailableError, match="longer than 1 MiB"):
        ask(states(b'"' + b"1" * (2 << 20) + b'"'), reading(RICH))


def test_no_error_and_no_evidence_names_the_server(tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    with ScriptedServer(Server()) as server:
        ask_url(server.url.replace("http://", "http://user-name:pass-word@") + "/api/v2", reading(RICH), archive=archive)
    with pytest.raises(SourceUnavailableError) as raised:
        ask_url("http://user-name:pass-word@127.0.0.1:1/api/v2", reading(RICH))
    shown = str(list(read_archive(archive.write(tmp_path / "a.jsonl.zst")))) + str(raised.value)
    for secret in ("user-name", "pass-word", "127.0.0.1"):
        assert secret not in shown


# Cells

BITS = st.text("01", max_size=1023)


def test_a_published_bag_is_read_and_written_again() -> None:
    # EMPTY_BODY_BOC of https://github.com/toncenter/ton-http-api-cpp/blob/main/tests/data.py
    assert read_bag("te6ccgEBAQEAAgAAAA==") == Cell("")
    assert write_bag(Cell("")) == "te6ccgEBAQEAAgAAAA=="


@given(BITS, BITS, BITS)
def test_any_tree_of_cells_is_read_back(top: str, left: str, right: str) -> None:
    tree = Cell(top, (Cell(left, (Cell(right),)), Cell(right)))
    assert read_bag(write_tree(tree)) == tree
    assert read_bag(write_bag(Cell(top))) == Cell(top)


@given(st.binary(max_size=60))
def test_other_bytes_end_in_no_other_error_than_a_refusal(content: bytes) -> None:
    for head in (b"", bytes.fromhex("b5ee9c72"), bytes.fromhex("b5ee9c7201010101")):
        try:
            read_bag(base64.b64encode(head + content).decode())
        except AnswerError:
            continue


@pytest.mark.parametrize(
    "bag",
    [
        "b5ee9c72010101010002000000"[:-2],  # cut off
        "b5ee9c7201010101000200000000",  # more after it
        "b5ee9c7201010101000300000000",  # more than its cells
        "b5ee9c7201010102000200000000",  # two roots
        "b5ee9c72010101010002000800",  # exotic
        "b5ee9c7201010101000300010000",  # refers to itself
        "b5ee9c72010101010002050000",  # no such root
        "b5ee9c72000101010002000000",  # sizes of no byte
        "b5ee9c73010101010002000000",  # another magic
    ],
)
def test_a_bag_that_contradicts_itself_is_refused(bag: str) -> None:
    with pytest.raises(AnswerError):
        read_bag(base64.b64encode(bytes.fromhex(bag)).decode())


def test_index_and_checksum_of_a_bag_are_passed_over() -> None:
    plain = base64.b64decode(write_bag(Cell("101")))
    indexed = plain[:4] + bytes([plain[4] | 0xC0]) + plain[5:11] + bytes([len(plain) - 11]) + plain[11:] + b"\1\2\3\4"
    assert read_bag(base64.b64encode(indexed).decode()) == Cell("101")


@given(st.dictionaries(st.binary(min_size=32, max_size=32), st.integers(0, 255), max_size=12), st.integers(0, 24))
def test_the_decimals_are_found_among_any_other_entries(others: dict[bytes, int], decimals: int) -> None:
    key = f"{int.from_bytes(hashlib.sha256(b'decimals').digest(), 'big'):0256b}"
    entries = {f"{int.from_bytes(name, 'big'):0256b}": text_cell(bytes([0, value])) for name, value in others.items()}
    tree = dictionary(entries | {key: text_cell(b"\0" + str(decimals).encode())})
    assert jetton_decimals(Cell("000000001", (tree,))) == decimals


@pytest.mark.parametrize("label", ["0" + "1" * 256 + "0" + "{key}", "10" + "100000000" + "{key}"])
def test_short_and_long_labels_are_read(label: str) -> None:
    key = f"{int.from_bytes(hashlib.sha256(b'decimals').digest(), 'big'):0256b}"
    assert jetton_decimals(Cell("000000001", (Cell(label.format(key=key), (text_cell(b"\x006"),)),))) == 6


def test_a_label_of_one_repeated_bit_is_read() -> None:
    assert jetton_decimals(Cell("000000001", (Cell("110" + "100000000", (text_cell(b"\x006"),)),))) == 9  # the key of zeros is none of ours


# Addresses and configuration


def test_all_forms_of_an_address_become_one() -> None:
    account = parse_address(USDT)[0]
    assert account.raw == USDT_RAW
    forms = [USDT, USDT_RAW, USDT_RAW.upper(), USDT.replace("_", "/").replace("-", "+"), account.friendly(test_only=False)]
    assert {check_address(CHAIN, form) for form in forms} == {account.friendly(test_only=False)}
    assert check_address(CHAIN, USDT).startswith("UQ")


def test_the_masterchains_addresses_are_known() -> None:
    elector = "-1:" + "3" * 64
    assert check_address(CHAIN, elector) == check_address(CHAIN, "Ef8zMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM0vF")


@pytest.mark.parametrize(("tag", "workchain"), [(0x11, 1), (0x51, 7), (0x00, 0), (0x71, 0)])
def test_an_unknown_tag_or_workchain_is_refused_even_with_a_right_checksum(tag: int, workchain: int) -> None:
    body = bytes([tag, workchain]) + b"\x33" * 32
    address = base64.urlsafe_b64encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "big")).decode()
    with pytest.raises(RegistryError, match="unknown tag"):
        check_address(CHAIN, address)


def test_an_address_of_the_other_network_is_refused() -> None:
    testnet = replace(CHAIN, network="testnet")
    marked = parse_address(RICH)[0].friendly(test_only=True)
    assert check_address(testnet, marked) == check_address(testnet, raw_of(RICH)) == marked
    with pytest.raises(RegistryError, match="the test network"):
        check_address(CHAIN, marked)
    with pytest.raises(RegistryError, match="of mainnet"):
        check_address(testnet, RICH)


@given(st.binary(min_size=32, max_size=32).filter(any), st.sampled_from([0, -1]), st.integers(0, 47))
def test_any_account_survives_both_forms_and_any_changed_letter_is_seen(raw: bytes, workchain: int, place: int) -> None:
    account = Address(workchain, raw)
    assert read_address(address_cell(account)) == account
    friendly = check_address(CHAIN, account.raw)
    assert parse_address(friendly) == (account, False)
    with pytest.raises(RegistryError):
        check_address(CHAIN, friendly[:place] + ("A" if friendly[place] != "A" else "B") + friendly[place + 1 :])


@pytest.mark.parametrize(
    "address",
    ["", "0:", "0:" + "0" * 64, "1:" + "3" * 64, "0:" + "g" * 64, USDT_RAW + "0", USDT_RAW[2:], USDT[:-1], USDT + "A", " " + USDT, USDT + "\n", USDT.lower(), "٣" * 48, "0x" + "ab" * 20, "UQ" + "A" * 46],
)  # fmt: skip
def test_text_that_is_not_an_address_is_refused(address: str) -> None:
    with pytest.raises(RegistryError, match="ton address"):
        check_address(CHAIN, address)


@given(st.text())
def test_no_other_text_is_an_address(text: str) -> None:
    with pytest.raises(RegistryError):
        check_address(CHAIN, text)


@pytest.mark.parametrize(
    ("chain", "source"),
    [
        (CHAIN, replace(SOURCE, kind="jsonrpc")),
        (replace(CHAIN, network=""), SOURCE),
        (replace(CHAIN, genesis=""), SOURCE),
        (replace(CHAIN, finality="confirmations"), SOURCE),
    ],
)
def test_another_protocol_network_or_finality_is_refused(chain: Chain, source: Source) -> None:
    with pytest.raises(ConfigError):
        reader(chain, source, assets=ASSETS, archive=EvidenceArchive("test"), url="http://127.0.0.1:1")
