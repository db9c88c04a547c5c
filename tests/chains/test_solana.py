"""The solana reader against a loopback server that plays a validator's JSON-RPC.

No validator can be installed from a package registry, so the answers have the forms of the documentation: https://solana.com/docs/rpc
(getBlock, getBlocks, getSlot, getGenesisHash, getMultipleAccounts, getTokenAccountsByOwner, getAccountInfo), error codes by
https://docs.rs/solana-rpc-client-api (`custom_error`), parsed accounts by https://docs.rs/solana-account-decoder (`parse_token`).
"""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_left, bisect_right
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
from assay.chains.solana import FACTS, check_address, reader
from assay.chains.solana.blocks import last_at, parse_block
from assay.config import Asset, Chain, Source, Token
from assay.errors import AmountError, AssayError, ConfigError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from tests.chains.scripted_server import Answer, RpcError, ScriptedServer, altered, cut_off, json_rpc

T = TypeVar("T")

GENESIS = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
PYUSD = "2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo"
SPL, SPL_2022 = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
WALLETS = ["5VCwKtCXgCJ6kit5FybXjvriW3xELsFDhYrPSqtJNmcD", "is6MTRHEgyFLNTfYcuV4QBWLjrZBfmhVNYR6ccgr8KV"]
STAKE = "3LzmBquLMap6ak2ofyeDbH99VhJ84k336RJzkLBwq3b1"
UNKNOWN = "9bAV2yg9oTWMc3sTdXhSeyDhuxs3iYfqvBzq1boYTLJT"
ALL = [*WALLETS, STAKE, UNKNOWN]
ASSETS = {
    "SOL": Asset(symbol="SOL", name="Solana", decimals=9),
    "USDC": Asset(symbol="USDC", name="USD Coin", decimals=6),
    "PYUSD": Asset(symbol="PYUSD", name="PayPal USD", decimals=6),
}
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
AS_OF = datetime(2026, 2, 1, tzinfo=UTC)
AS_OF_SLOT = 43200 * 1000 // 400  # 108,000 slots of 400 ms
SLOTS = [slot for slot in range(130_000) if slot % 5 != 3 and not 90_000 < slot < 94_000]
"""Every fifth slot stays without a block, and once there are none for half an hour."""


def hash_of(slot: int) -> str:
    return base58.b58encode(hashlib.sha256(slot.to_bytes(8, "big")).digest()).decode()


def block(slot: int) -> dict[str, Any]:
    """As https://solana.com/docs/rpc/http/getblock shows one without transactions."""
    place = bisect_left(SLOTS, slot)
    parent = SLOTS[place - 1] if place else 0
    return {
        "blockHeight": place,
        "blockTime": int(START.timestamp()) + slot * 400 // 1000,
        "blockhash": hash_of(slot),
        "parentSlot": parent,
        "previousBlockhash": hash_of(parent),
    }


def account(lamports: int, owner: str = "11111111111111111111111111111111") -> dict[str, Any]:
    return {"data": ["", "base64"], "executable": False, "lamports": lamports, "owner": owner, "rentEpoch": 2**64 - 1, "space": 0}


def token_account(owner: str, mint: str, amount: int, *, number: int = 0, program: str = SPL, **info: Any) -> dict[str, Any]:
    name = {SPL: "spl-token", SPL_2022: "spl-token-2022"}[program]
    shown = {"amount": str(amount), "decimals": 6, "uiAmount": Decimal(amount) / 10**6, "uiAmountString": "…"}
    held = {"isNative": False, "mint": mint, "owner": owner, "state": "initialized", "tokenAmount": shown, **info}
    data = {"program": name, "parsed": {"type": "account", "info": held}, "space": 165}
    key = base58.b58encode(hashlib.sha256(f"{owner}{mint}{number}".encode()).digest()).decode()
    return {"pubkey": key, "account": account(2_039_280, program) | {"data": data}}


def mint(decimals: int = 6, program: str = SPL, **info: Any) -> dict[str, Any]:
    name = {SPL: "spl-token", SPL_2022: "spl-token-2022"}[program]
    parsed = {"type": "mint", "info": {"decimals": decimals, "isInitialized": True, "supply": "1", **info}}
    return account(1_461_600, program) | {"data": {"program": name, "parsed": parsed, "space": 82}}


@dataclass
class Node:
    """An honest node."""

    top: int = 109_000
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    mints: dict[str, dict[str, Any]] = field(default_factory=lambda: {USDC: mint(), PYUSD: mint(program=SPL_2022)})
    first: int = 0
    grows: int = 0
    """How many blocks further the state is with each answer."""

    def __call__(self, method: str, params: Any) -> Any:
        return getattr(self, method)(*params)

    def getGenesisHash(self) -> str:  # noqa: N802
        return GENESIS

    def getSlot(self, config: dict[str, Any]) -> int:  # noqa: N802
        return self.top

    def getBlocks(self, first: int, last: int, config: dict[str, Any]) -> list[int]:  # noqa: N802
        assert last - first <= 500_000
        return SLOTS[bisect_left(SLOTS, max(first, self.first)) : bisect_right(SLOTS, min(last, self.top))]

    def getBlock(self, slot: int, config: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert (config["commitment"], config["transactionDetails"]) == ("finalized", "none")
        if slot < self.first:
            raise RpcError(-32001, f"Block {slot} cleaned up, does not exist on node. First available block: {self.first}")
        if slot > self.top:
            raise RpcError(-32004, f"Block not available for slot {slot}")
        if slot not in SLOTS:
            raise RpcError(-32007, f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot")
        return block(slot)

    def state(self, config: dict[str, Any], value: Any) -> dict[str, Any]:
        assert config["commitment"] == "finalized"
        if self.top < config["minContextSlot"]:
            raise RpcError(-32016, "Minimum context slot has not been reached", data={"contextSlot": self.top})
        self.top = SLOTS[bisect_left(SLOTS, self.top) + self.grows]
        return {"context": {"apiVersion": "2.1.21", "slot": self.top}, "value": value}

    def getMultipleAccounts(self, keys: list[str], config: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert len(keys) <= 100
        return self.state(config, [self.accounts.get(key) for key in keys])

    def getTokenAccountsByOwner(self, owner: str, chosen: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self.state(config, self.tokens.get((owner, chosen["mint"]), []))

    def getAccountInfo(self, key: str, config: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self.state(config, self.mints.get(key))


def node_of(**changes: Any) -> Node:
    accounts = {WALLETS[0]: account(2_000_000_000_123), WALLETS[1]: account(1), STAKE: account(5_002_282_880, "Stake" + "1" * 38)}
    tokens = {
        (WALLETS[0], USDC): [
            token_account(WALLETS[0], USDC, 420_000_000_000_000),
            token_account(WALLETS[0], USDC, 7, number=1, state="frozen"),
        ],
        (UNKNOWN, PYUSD): [token_account(UNKNOWN, PYUSD, 2**64 - 1, program=SPL_2022)],
    }
    return replace(Node(accounts=accounts, tokens=tokens), **changes)


PLANNED = [
    (WALLETS[0], "SOL", 2_000_000_000_123),
    (WALLETS[0], "PYUSD", 0),
    (WALLETS[0], "USDC", 420_000_000_000_007),
    (WALLETS[1], "SOL", 1),
    (WALLETS[1], "PYUSD", 0),
    (WALLETS[1], "USDC", 0),
    (STAKE, "SOL", 5_002_282_880),
    (STAKE, "PYUSD", 0),
    (STAKE, "USDC", 0),
    (UNKNOWN, "SOL", 0),
    (UNKNOWN, "PYUSD", 2**64 - 1),
    (UNKNOWN, "USDC", 0),
]


def chain_of(**changes: Any) -> Chain:
    tokens = {symbol: Token(asset=symbol, contract=key, decimals=6, source="") for symbol, key in (("USDC", USDC), ("PYUSD", PYUSD))}
    chain = Chain(
        name="solana", family="solana", asset="SOL", genesis=GENESIS, finality="finalized", max_distance_seconds=60, tokens=tokens
    )
    return replace(chain, **changes)


def ask(url: str, question: Callable[[Reader], Awaitable[T]], **kwargs: Any) -> T:
    """Open a reader, ask it, close it."""
    source = Source(
        name=kwargs.get("name", "solana_a"),
        kind="jsonrpc",
        connection="unused",
        timeout_seconds=kwargs.get("timeout", 20),
        batch_size=kwargs.get("batch_size", 500),
    )
    archive = kwargs.get("archive") or EvidenceArchive("solana")

    async def run() -> T:
        chain = kwargs.get("chain") or chain_of()
        async with reader(chain, source, assets=kwargs.get("assets", ASSETS), archive=archive, url=url) as opened:
            return await question(opened)

    return asyncio.run(run())


def ask_node(node: Any, question: Callable[[Reader], Awaitable[T]], **kwargs: Any) -> T:
    with ScriptedServer(json_rpc(node)) as server:
        return ask(server.url, question, **kwargs)


def snapshot(slot: int = AS_OF_SLOT) -> SnapshotBlock:
    return SnapshotBlock(chain="solana", height=slot, hash=hash_of(slot), time=AS_OF, finality="finalized", distance_seconds=0)


def read(opened: Reader) -> Awaitable[list[Balance]]:
    return opened.read(snapshot(), ALL)


def told(balances: list[Balance]) -> list[tuple[str, str, int]]:
    return [(balance.address, balance.asset, balance.amount) for balance in balances]


# Reading


@pytest.mark.parametrize("batch_size", [1, 3, 500])
def test_balances_are_read_whatever_the_size_of_batches(batch_size: int) -> None:
    assert told(ask_node(node_of(), read, batch_size=batch_size)) == PLANNED


def test_more_addresses_than_one_call_takes_are_read_in_several() -> None:
    addresses = [hash_of(number) for number in range(250)]
    node = node_of(accounts={address: account(number) for number, address in enumerate(addresses)})
    balances = ask_node(node, lambda opened: opened.read(snapshot(), addresses), chain=chain_of(tokens={}))
    assert told(balances) == [(address, "SOL", number) for number, address in enumerate(addresses)]


def test_each_balance_carries_the_slot_and_time_of_its_own_state() -> None:
    balances = ask_node(node_of(grows=1), read, batch_size=4)
    slots = {balance.read_height for balance in balances if balance.read_height}
    assert len(slots) > 1
    assert min(slots) > AS_OF_SLOT
    for balance in balances:
        assert balance.read_height is not None
        assert balance.read_time == START + timedelta(seconds=balance.read_height * 400 // 1000)


def test_an_account_that_does_not_exist_is_a_zero_with_its_archived_reply(tmp_path: Path) -> None:
    archive = EvidenceArchive("solana")
    balances = ask_node(node_of(), read, archive=archive)
    exchanges = dict(read_archive(archive.write(tmp_path / "a.jsonl.zst")))
    (zero,) = [balance for balance in balances if (balance.address, balance.asset) == (UNKNOWN, "SOL")]
    evidence = exchanges[zero.evidence]
    assert evidence["method"] == "getMultipleAccounts"
    assert evidence["result"]["value"][evidence["params"][0].index(UNKNOWN)] is None


@pytest.mark.parametrize("batch_size", [2, 500])
def test_an_archive_gives_the_same_balances_when_the_server_is_gone(tmp_path: Path, batch_size: int) -> None:
    archive = EvidenceArchive("solana")
    first = ask_node(node_of(), read, archive=archive, batch_size=batch_size)
    path = archive.write(tmp_path / "balances.jsonl.zst")
    again = EvidenceArchive("solana")
    assert ask(f"tape:{path}", read, archive=again, batch_size=batch_size) == first
    assert again.write(tmp_path / "again.jsonl.zst").read_bytes() == path.read_bytes()


def test_a_token_of_fewer_decimals_than_its_asset_is_scaled_exactly() -> None:
    assets = ASSETS | {"USDC": Asset(symbol="USDC", name="USD Coin", decimals=18)}
    assert told(ask_node(node_of(), read, assets=assets))[2] == (WALLETS[0], "USDC", 420_000_000_000_007 * 10**12)


@pytest.mark.parametrize(("honest", "lie", "asset"), [(b"2000000000123", b"2000000000124", "SOL"), (b'"7"', b'"8"', "USDC")])
def test_a_lying_second_source_is_caught(honest: bytes, lie: bytes, asset: str) -> None:
    liar = altered(json_rpc(node_of()), lambda request, answer: replace(answer, content=answer.content.replace(honest, lie)))
    answers = {"solana_a": ask_node(node_of(), read)}
    with ScriptedServer(liar) as server:
        answers["solana_b"] = ask(server.url, read, name="solana_b")
    with pytest.raises(SourceMismatchError, match=f"disagree on {asset}"):
        agree_on_balances("solana", answers)


# Bad answers


def with_method(method: str, answer: Any) -> Callable[[], Callable[[str, Any], Any]]:
    """Make a node that answers one method with something else; a function gets the honest answer."""

    def make() -> Callable[[str, Any], Any]:
        node = node_of()

        def answering(asked: str, params: Any) -> Any:
            if asked != method:
                return node(asked, params)
            if isinstance(answer, Exception):
                raise answer
            return answer(node(asked, params)) if callable(answer) else answer

        return answering

    return make


def first_value(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda honest: honest | {"value": [change(value) for value in honest["value"]]}


def amount(**changes: Any) -> Callable[[Any], Any]:
    item = token_account(WALLETS[0], USDC, 5)
    item["account"]["data"]["parsed"]["info"]["tokenAmount"] |= changes
    return lambda honest: honest | {"value": [item]}


ACCOUNTS, TOKENS = "getMultipleAccounts", "getTokenAccountsByOwner"


@pytest.mark.parametrize(
    ("method", "answer", "kind", "words"),
    [
        (ACCOUNTS, RpcError(-32602, "Invalid param"), SourceMismatchError, "Invalid param"),
        (ACCOUNTS, RpcError(-32005, "Node is behind by 42 slots"), SourceUnavailableError, "behind by 42"),
        (ACCOUNTS, RpcError(-32016, "Minimum context slot has not been reached"), SourceBehindError, "Minimum context slot"),
        (ACCOUNTS, None, SourceMismatchError, "no result"),
        (ACCOUNTS, {"value": []}, SourceMismatchError, "which slot"),
        (ACCOUNTS, {"context": {"slot": "109000"}, "value": []}, SourceMismatchError, "which slot"),
        (ACCOUNTS, {"context": {"slot": 109_000}}, SourceMismatchError, "which slot"),
        (ACCOUNTS, {"context": {"slot": 109_000}, "value": []}, SourceMismatchError, "one account for each"),
        (ACCOUNTS, {"context": {"slot": 109_000}, "value": None}, SourceMismatchError, "one account for each"),
        (ACCOUNTS, lambda honest: honest | {"context": {"slot": AS_OF_SLOT - 1}}, SourceBehindError, f"from slot {AS_OF_SLOT - 1}"),
        (ACCOUNTS, first_value(lambda value: {}), SourceMismatchError, "not an account"),
        (ACCOUNTS, first_value(lambda value: 5), SourceMismatchError, "not an account"),
        (ACCOUNTS, first_value(lambda value: account(-1)), SourceMismatchError, "not an account"),
        (ACCOUNTS, first_value(lambda value: account(1) | {"lamports": "1"}), SourceMismatchError, "not an account"),
        (ACCOUNTS, first_value(lambda value: account(1) | {"lamports": Decimal("1.5")}), SourceMismatchError, "not an account"),
        (ACCOUNTS, first_value(lambda value: account(1) | {"lamports": Decimal(10**38)}), AmountError, "39 digits"),
        (TOKENS, RpcError(-32602, "Invalid param: could not find mint"), SourceMismatchError, "could not find mint"),
        (TOKENS, RpcError(-32016, "Minimum context slot has not been reached"), SourceBehindError, "Minimum context slot"),
        (TOKENS, None, SourceMismatchError, "no result"),
        (TOKENS, lambda honest: honest | {"value": None}, SourceMismatchError, "not a list"),
        (TOKENS, lambda honest: honest | {"context": {"slot": 5}}, SourceBehindError, "from slot 5"),
        (TOKENS, lambda honest: honest | {"value": [token_account(WALLETS[0], USDC, 5)] * 2}, SourceMismatchError, "listed twice"),
        (TOKENS, lambda honest: honest | {"value": [token_account(WALLETS[1], USDC, 5)]}, SourceMismatchError, "another owner"),
        (TOKENS, lambda honest: honest | {"value": [token_account(WALLETS[0], PYUSD, 5)]}, SourceMismatchError, "another owner or mint"),
        (
            TOKENS,
            lambda honest: honest | {"value": [{"pubkey": UNKNOWN, "account": account(5)}]},
            SourceMismatchError,
            "not one of a token",
        ),
        (TOKENS, lambda honest: honest | {"value": [{"pubkey": UNKNOWN, "account": mint()}]}, SourceMismatchError, "no account but a mint"),
        (TOKENS, lambda honest: honest | {"value": [None]}, SourceMismatchError, "without its address"),
        (TOKENS, amount(amount=5), SourceMismatchError, "has no amount"),
        (TOKENS, amount(amount="-5"), SourceMismatchError, "has no amount"),
        (TOKENS, amount(amount="5.0"), SourceMismatchError, "has no amount"),
        (TOKENS, amount(amount="1" + "0" * 38), AmountError, "39 digits"),
        (TOKENS, amount(decimals=9), SourceMismatchError, "counts in 9 decimals"),
        ("getBlock", None, SourceMismatchError, "no result"),
        ("getBlock", lambda honest: honest | {"blockTime": None}, SourceMismatchError, "has no time"),
        ("getBlock", lambda honest: honest | {"blockhash": hash_of(1)}, SourceMismatchError, "not the snapshot block"),
        ("getBlock", lambda honest: honest | {"blockhash": "0OIl"}, SourceMismatchError, "not 32 bytes"),
        ("getBlock", RpcError(-32004, "Block not available for slot 109000"), SourceUnavailableError, "not available"),
        ("getBlock", RpcError(-32001, "Block 108000 cleaned up"), SourceMismatchError, "cleaned up"),
    ],
)
def test_a_source_that_does_not_answer_properly_stops_the_read(method: str, answer: Any, kind: type[AssayError], words: str) -> None:
    with pytest.raises(AssayError, match=words) as raised:
        ask_node(
            with_method(method, answer)(),
            lambda opened: opened.read(snapshot(), WALLETS[:1]),
            chain=chain_of(tokens={"USDC": chain_of().tokens["USDC"]}),
        )
    assert isinstance(raised.value, kind)
    assert raised.value.RETRYABLE == kind.RETRYABLE
    assert "source solana_a" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (cut_off, SourceUnavailableError, "connection failed"),
        (lambda honest: replace(honest, content=honest.content[:-9]), SourceUnavailableError, "cut off"),
        (lambda honest: replace(honest, delay=1.6), SourceUnavailableError, "within 1 s"),
        (lambda honest: (429, {}), SourceUnavailableError, "HTTP status 429"),
        (lambda honest: (502, b"<html>"), SourceUnavailableError, "HTTP status 502"),
        (lambda honest: (403, {}), ConfigError, "HTTP status 403"),
        (lambda honest: b"null", SourceMismatchError, "not one to this call"),
    ],
)
def test_a_connection_that_fails_stops_the_read(change: Callable[[Answer], Any], kind: type[AssayError], words: str) -> None:
    with (
        ScriptedServer(altered(json_rpc(node_of()), lambda request, honest: change(honest))) as server,
        pytest.raises(kind, match=words),
    ):
        ask(server.url, read, timeout=1)


def paths(value: Any) -> list[list[Any]]:
    """Return where in a value an object has a name."""
    if isinstance(value, list):
        return [[place, *rest] for place, item in enumerate(value) for rest in paths(item)]
    if not isinstance(value, dict):
        return []
    return [[name] for name in value] + [[name, *rest] for name, item in value.items() for rest in paths(item)]


def test_an_answer_with_any_part_missing_is_never_another_number() -> None:
    wallet, chain = WALLETS[0], chain_of(tokens={"USDC": chain_of().tokens["USDC"]})
    planned, stopped = [], 0
    for method, params in ((ACCOUNTS, [[wallet], {}]), (TOKENS, [wallet, {"mint": USDC}, {}]), ("getBlock", [AS_OF_SLOT, {}])):
        params[-1] = {"commitment": "finalized", "minContextSlot": 0, "transactionDetails": "none"}
        for path in paths(node_of()(method, params)):

            def without(honest: Any, path: list[Any] = path) -> Any:
                copied = msgspec.json.decode(msgspec.json.encode(honest))
                inner = copied
                for step in path[:-1]:
                    inner = inner[step]
                del inner[path[-1]]
                return copied

            try:
                balances = ask_node(with_method(method, without)(), lambda opened: opened.read(snapshot(), [wallet]), chain=chain)
            except SourceMismatchError:
                stopped += 1
            else:
                planned.append(told(balances))
    assert stopped > 15
    assert all(found == [PLANNED[0], PLANNED[2]] for found in planned)


def test_no_error_shows_a_key_that_the_server_echoes() -> None:
    def echo(method: str, params: Any) -> Any:
        raise RpcError(-32602, "bad request to /keys/s3cr3t-k3y-of-ours")

    with ScriptedServer(json_rpc(echo)) as server, pytest.raises(SourceMismatchError, match="bad request") as raised:
        ask(f"{server.url}/keys/s3cr3t-k3y-of-ours", read)
    assert "s3cr3t" not in str(raised.value)
    with (
        ScriptedServer(json_rpc(lambda method, params: "s3cr3t-k3y-of-ours")) as server,
        pytest.raises(SourceMismatchError, match="genesis hash") as raised,
    ):
        ask(f"{server.url}/keys/s3cr3t-k3y-of-ours", lambda opened: opened.check_network())
    assert "s3cr3t" not in str(raised.value)


def test_an_oversized_answer_stops_the_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 100)
    with pytest.raises(SourceUnavailableError, match="longer than"):
        ask_node(node_of(), read)


# Network, snapshot block, tokens


def test_the_network_is_told_by_its_genesis_hash() -> None:
    ask_node(node_of(), lambda opened: opened.check_network())
    with pytest.raises(SourceMismatchError, match="genesis hash"):
        ask_node(node_of(), lambda opened: opened.check_network(), chain=chain_of(genesis=hash_of(1)))


@pytest.mark.parametrize(
    ("seconds", "slot"),
    [
        (0, 108_002),  # 108,000 to 108,002 all have the second of as_of
        (1, 108_004),
        (-1, 107_999),
        (-43_200, 2),
        (-20_000, 57_999 + 3),
        (90_000 * 400 // 1000 - 43_200, 90_000 + 0),
        (92_000 * 400 // 1000 - 43_200, 90_000),
        (93_999 * 400 // 1000 - 43_200, 90_000),
    ],
)
def test_the_snapshot_block_is_the_last_one_at_or_before_as_of(seconds: int, slot: int) -> None:
    as_of = AS_OF + timedelta(seconds=seconds)
    found = ask_node(node_of(), lambda opened: opened.resolve(as_of), chain=chain_of(max_distance_seconds=3600))
    assert (found.height, found.hash) == (slot, hash_of(slot))
    assert found.distance_seconds == int((as_of - found.time).total_seconds())
    following = SLOTS[bisect_right(SLOTS, slot)]
    assert block(slot)["blockTime"] <= as_of.timestamp() < block(following)["blockTime"]


def test_the_snapshot_block_is_the_same_however_far_the_node_has_come(tmp_path: Path) -> None:
    written = set()
    for top in (108_005, 109_000, 129_999):
        archive = EvidenceArchive("solana")
        found = ask_node(node_of(top=top), lambda opened: opened.resolve(AS_OF), archive=archive)
        written.add((found, archive.write(tmp_path / "blocks.jsonl.zst").read_bytes()))
    assert len(written) == 1


def test_the_search_asks_few_questions() -> None:
    with ScriptedServer(json_rpc(node_of(top=129_999))) as server:
        ask(server.url, lambda opened: opened.resolve(AS_OF - timedelta(hours=6)))
        assert len(server.requests) < 25


@pytest.mark.parametrize("top", [107_999, 108_000, 108_002])
def test_a_node_whose_final_blocks_do_not_pass_as_of_is_behind(top: int) -> None:
    with pytest.raises(SourceBehindError, match="is needed"):
        ask_node(node_of(top=top), lambda opened: opened.resolve(AS_OF))


def test_a_snapshot_block_too_far_before_as_of_is_refused() -> None:
    as_of = START + timedelta(seconds=92_000 * 400 // 1000)
    with pytest.raises(SourceMismatchError, match="lies 800 s before it and at most 60 s"):
        ask_node(node_of(), lambda opened: opened.resolve(as_of))


def test_a_chain_that_began_after_as_of_has_no_snapshot_block() -> None:
    with pytest.raises(SourceMismatchError, match="no block at or before"):
        ask_node(node_of(), lambda opened: opened.resolve(START - timedelta(seconds=1)))


def test_a_node_that_keeps_only_newer_blocks_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="keeps only part of the chain"):
        ask_node(node_of(first=108_500), lambda opened: opened.resolve(AS_OF))


@pytest.mark.parametrize(
    ("method", "answer", "words"),
    [
        ("getSlot", "109000", "not a slot"),
        ("getBlocks", [1, "2"], "not a list of slots"),
        ("getBlocks", {}, "not a list of slots"),
        ("getBlocks", lambda honest: honest[::-1], "not in order"),
        ("getBlocks", lambda honest: honest + honest[-1:], "not in order"),
        ("getBlocks", [], "keeps only part"),
        ("getBlock", lambda honest: honest | {"previousBlockhash": hash_of(5)}, "does not follow"),
        ("getBlock", lambda honest: honest | {"parentSlot": 200_000}, "names no block below"),
    ],
)
def test_blocks_that_contradict_each_other_are_refused(method: str, answer: Any, words: str) -> None:
    with pytest.raises(SourceMismatchError, match=words):
        ask_node(with_method(method, answer)(), lambda opened: opened.resolve(AS_OF))


def test_a_block_left_out_of_the_list_is_noticed_by_its_child() -> None:
    def without(honest: list[int]) -> list[int]:
        return [slot for slot in honest if slot != 108_002]

    with pytest.raises(SourceMismatchError, match="does not follow from block 108001"):
        ask_node(with_method("getBlocks", without)(), lambda opened: opened.resolve(AS_OF))


def test_the_hash_of_a_slot_is_archived(tmp_path: Path) -> None:
    archive = EvidenceArchive("solana")
    assert ask_node(node_of(), lambda opened: opened.recheck(snapshot(), since=None), archive=archive) == hash_of(AS_OF_SLOT)
    ((_, exchange),) = read_archive(archive.write(tmp_path / "a.jsonl.zst"))
    assert exchange["method"] == "getBlock"


def test_mints_of_both_token_programs_are_accepted() -> None:
    ask_node(node_of(), lambda opened: opened.check_assets(snapshot()))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({PYUSD: mint(program=SPL_2022)}, "there is no mint"),
        ({USDC: mint(9), PYUSD: mint(program=SPL_2022)}, "has 9 decimals and the registry says 6"),
        ({USDC: account(5), PYUSD: mint(program=SPL_2022)}, "belongs to no token program"),
        ({USDC: mint(isInitialized=False), PYUSD: mint(program=SPL_2022)}, "not initialised"),
        ({USDC: token_account(UNKNOWN, USDC, 1)["account"], PYUSD: mint(program=SPL_2022)}, "is no mint but a account"),
    ],
)
def test_a_token_that_is_not_what_the_registry_says_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(RegistryError, match=words) as raised:
        ask_node(node_of(mints=changed), lambda opened: opened.check_assets(snapshot()))
    assert USDC in str(raised.value)


@pytest.mark.parametrize(
    ("chain", "assets", "kind", "words"),
    [
        (chain_of(finality="confirmations"), ASSETS, ConfigError, "use finalized"),
        (chain_of(tokens={"USDC": Token(asset="USDC", contract=USDC + "1", decimals=6, source="")}), ASSETS, RegistryError, "32 bytes"),
        (chain_of(), ASSETS | {"SOL": Asset(symbol="SOL", name="Solana", decimals=8)}, RegistryError, "counted in 9 decimals"),
    ],
)
def test_a_registry_that_the_chain_contradicts_is_refused(
    chain: Chain, assets: dict[str, Asset], kind: type[AssayError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        ask("http://127.0.0.1:1", lambda opened: opened.check_network(), chain=chain, assets=assets)


# The search by itself


@given(
    gaps=st.lists(st.integers(1, 3000), min_size=3, max_size=60),
    pace=st.integers(100, 1500),
    place=st.integers(0, 10**6),
    off=st.integers(0, 3),
)
def test_the_search_finds_the_last_block_whatever_the_pace_and_gaps(gaps: list[int], pace: int, place: int, off: int) -> None:
    slots = [0]
    for gap in gaps:
        slots.append(slots[-1] + gap)

    def made(position: int) -> dict[str, Any]:
        parent = slots[max(0, position - 1)]
        return {
            "blockTime": slots[position] * pace // 1000,
            "blockhash": hash_of(slots[position]),
            "parentSlot": parent,
            "previousBlockhash": hash_of(parent),
        }

    async def fetch(slot: int) -> Any:
        return parse_block(made(slots.index(slot)), slot=slot)

    async def listed(first: int, last: int) -> list[int]:
        return [slot for slot in slots if first <= slot <= last]

    times = [made(position)["blockTime"] for position in range(len(slots))]
    moment = min(times[place % len(slots)] + off, times[-1] - 1)
    if moment < 0:
        return
    found = asyncio.run(search(moment, slots[-1], listed, fetch))
    assert found is not None
    assert found[0].slot == slots[bisect_right(times, moment) - 1]


async def search(moment: int, top: int, listed: Any, fetch: Any) -> Any:
    return await last_at(moment, await fetch(top), listed, fetch)


def test_times_that_lead_nowhere_end_the_search() -> None:
    async def fetch(slot: int) -> Any:
        time = 10**9 if slot == 10**7 else 10 * slot % 977 * 10**3
        return parse_block({"blockTime": time, "blockhash": GENESIS, "parentSlot": 0, "previousBlockhash": GENESIS}, slot=slot)

    async def listed(first: int, last: int) -> list[int]:
        return [first, last]

    with pytest.raises(AnswerError):
        asyncio.run(search(10**8, 10**7, listed, fetch))


# Addresses


@pytest.mark.parametrize("address", [*ALL, USDC, PYUSD])
def test_real_addresses_are_accepted_as_they_are(address: str) -> None:
    assert check_address(chain_of(), address) == address


@given(st.binary(min_size=32, max_size=32).filter(any))
def test_any_32_bytes_are_an_address_on_the_curve_or_not(raw: bytes) -> None:
    address = base58.b58encode(raw).decode()
    assert check_address(chain_of(), address) == address


@given(st.binary(max_size=64).filter(lambda raw: len(raw) != 32))
def test_no_other_length_is_an_address(raw: bytes) -> None:
    with pytest.raises(RegistryError):
        check_address(chain_of(), base58.b58encode(raw).decode())


@pytest.mark.parametrize(
    "address",
    [
        "",
        "1" * 32,
        WALLETS[0] + "\n",
        " " + WALLETS[0],
        "1" + WALLETS[0],
        WALLETS[0].replace("5", "0"),
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "TBNHZP2iAVyDhpTSZ8ee2Xjci1JExZTPE5",
        "Я" * 44,
    ],
)
def test_text_that_is_no_address_of_the_chain_is_refused(address: str) -> None:
    with pytest.raises(RegistryError):
        check_address(chain_of(), address)


def test_the_family_says_that_it_cannot_answer_for_the_past() -> None:
    assert FACTS.past == ""


def test_the_documented_answer_is_read() -> None:
    """The example of https://solana.com/docs/rpc/http/getTokenAccountsByOwner."""
    documented = msgspec.json.decode(
        b"""{"context": {"apiVersion": "2.0.15", "slot": 341197933}, "value": [{
        "pubkey": "BGocb4GEpbTFm8UFV2VsDSaBXHELPfAXrvd4vtt8QWrA", "account": {"data": {"program": "spl-token", "parsed": {"info": {
        "isNative": false, "mint": "2cHr7QS3xfuSV8wdxo3ztuF4xbiarF6Nrgx3qpx3HzXR", "owner": "A1TMhSGzQxMr1TboBKtgixKz1sS6REASMxPo1qsyTSJd",
        "state": "initialized", "tokenAmount": {"amount": "420000000000000", "decimals": 6, "uiAmount": 420000000.0,
        "uiAmountString": "420000000"}}, "type": "account"}, "space": 165}, "executable": false, "lamports": 2039280,
        "owner": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "rentEpoch": 18446744073709551615, "space": 165}}]}"""
    )
    holder, kind = "A1TMhSGzQxMr1TboBKtgixKz1sS6REASMxPo1qsyTSJd", "2cHr7QS3xfuSV8wdxo3ztuF4xbiarF6Nrgx3qpx3HzXR"
    node = with_method(TOKENS, documented)()
    chain = chain_of(tokens={"USDC": Token(asset="USDC", contract=kind, decimals=6, source="")})

    def answering(method: str, params: Any) -> Any:
        return block(108_001) if method == "getBlock" and params[0] == 341197933 else node(method, params)

    balances = ask_node(answering, lambda opened: opened.read(snapshot(), [holder]), chain=chain)
    assert told(balances)[1] == (holder, "USDC", 420_000_000_000_000)
