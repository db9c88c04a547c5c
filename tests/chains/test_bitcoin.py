"""Against ElectrumX on regtest blocks that Bitcoin Core's own kernel validated; lies and failures come from a proxy in front of it."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from assay.chains.bitcoin import check_address, reader
from assay.chains.bitcoin.electrum import ElectrumReader
from assay.chains.evidence import EvidenceArchive, read_archive
from assay.chains.interface import Balance, Reader, SnapshotBlock
from assay.chains.quorum import agree_on_balances, agree_on_block, agree_on_hash
from assay.config import Asset, Chain, Source, Token
from assay.errors import (
    AssayError,
    ConfigError,
    EvidenceError,
    RegistryError,
    SourceBehindError,
    SourceMismatchError,
    SourceUnavailableError,
)
from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, MinedChain, mine
from sandbox.bitcoin_keys import sha256d
from sandbox.scenario import FIRST, SECOND, WalletPlan, wallets
from tests.chains.electrum_proxy import Twist, after, change, line, proxy
from tests.chains.esplora_server import EsploraChain
from tests.chains.scripted_server import ScriptedServer

T = TypeVar("T")

SOURCE = Source(name="electrum_a", kind="electrum", connection="assay_bitcoin_a", batch_size=40)
CHAIN = Chain(name="bitcoin", family="bitcoin", asset="BTC", network="regtest", genesis=BITCOIN.genesis, confirmations=6, sources=(SOURCE,))
PATIENT = replace(CHAIN, max_distance_seconds=10**9)
ASSETS = {"BTC": Asset(symbol="BTC", name="Bitcoin", decimals=8)}
UNUSED = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
PLANS = [plan for plan in wallets(litecoin=False) if plan.chain == "bitcoin"]


@pytest.fixture(scope="module")
def mined() -> MinedChain:
    return mine(BITCOIN, PLANS)


@pytest.fixture(scope="module")
def node(mined: MinedChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BitcoinNode]:
    with BitcoinNode(folder=tmp_path_factory.mktemp("bitcoin") / "a", mined=mined) as started:
        yield started


def ask(
    url: str,
    work: Callable[[ElectrumReader], Awaitable[T]],
    *,
    chain: Chain = CHAIN,
    source: Source = SOURCE,
    archive: EvidenceArchive | None = None,
    twist: Twist | None = None,
) -> T:
    """Open a reader, through a lying server if there is a lie, and do some work with it."""

    async def with_reader(address: str) -> T:
        kept = archive or EvidenceArchive("test")
        async with reader(chain, source, assets=ASSETS, archive=kept, url=address) as opened:
            assert isinstance(opened, ElectrumReader)
            return await work(opened)

    async def run() -> T:
        if twist is None:
            return await with_reader(url)
        async with proxy(url, twist) as address:
            return await with_reader(address)

    return asyncio.run(run())


def read_at(as_of: datetime, addresses: list[str]) -> Callable[[ElectrumReader], Awaitable[list[Balance]]]:
    async def work(opened: ElectrumReader) -> list[Balance]:
        return await opened.read(await opened.resolve(as_of), addresses)

    return work


def addresses_of(node: BitcoinNode, plans: list[WalletPlan] = PLANS) -> list[str]:
    return [node.addresses[plan.index] for plan in plans]


def amounts(balances: list[Balance]) -> list[int]:
    return [balance.amount for balance in balances]


# What a truthful server gives


@pytest.mark.parametrize(("as_of", "stage"), [(FIRST, "first"), (SECOND, "second")])
def test_every_kind_of_wallet_holds_what_was_planned_at_the_attested_moments(node: BitcoinNode, as_of: datetime, stage: str) -> None:
    balances = ask(node.electrum_url, read_at(as_of, addresses_of(node)))
    assert amounts(balances) == [getattr(plan, stage)["BTC"] for plan in PLANS]
    assert {plan.kind for plan in PLANS} == {"p2pkh", "p2wpkh", "p2sh_p2wpkh", "p2sh_multisig", "p2wsh_multisig", "p2tr"}
    assert [(balance.address, balance.asset) for balance in balances] == [(address, "BTC") for address in addresses_of(node)]


def test_the_block_after_the_snapshot_block_already_holds_other_balances(node: BitcoinNode) -> None:
    async def work(opened: ElectrumReader) -> list[int]:
        block = await opened.resolve(SECOND)
        after_it = replace(block, height=block.height + 1, hash=await opened.block_hash(block.height + 1))
        return amounts(await opened.read(after_it, addresses_of(node)))

    assert ask(node.electrum_url, work) == [plan.later["BTC"] for plan in PLANS]


def test_balances_an_hour_later_are_the_later_ones(node: BitcoinNode) -> None:
    balances = ask(node.electrum_url, read_at(SECOND + timedelta(hours=1), addresses_of(node)), chain=PATIENT)
    assert amounts(balances) == [plan.later["BTC"] for plan in PLANS]


def test_the_resolved_block_is_the_last_one_whose_median_time_is_not_later(node: BitcoinNode, mined: MinedChain) -> None:
    medians = [
        sorted(mined.times[max(0, height - 10) : height + 1])[len(mined.times[max(0, height - 10) : height + 1]) // 2]
        for height in range(len(mined.times))
    ]
    final = len(medians) - 1 - CHAIN.confirmations
    moments = [medians[height] + shift for height in (12, 100, 239, 240, 300, final - 1) for shift in (0, 1)] + [medians[final] - 1]

    async def work(opened: ElectrumReader) -> list[SnapshotBlock]:
        return [await opened.resolve(datetime.fromtimestamp(moment, UTC)) for moment in moments]

    for moment, block in zip(moments, ask(node.electrum_url, work, chain=PATIENT), strict=True):
        height = max(index for index, median in enumerate(medians) if median <= moment)
        assert (block.height, block.distance_seconds) == (height, moment - medians[height])


def test_the_snapshot_block_says_how_it_became_final(node: BitcoinNode, mined: MinedChain) -> None:
    block = ask(node.electrum_url, lambda opened: opened.resolve(SECOND))
    assert (block.chain, block.height, block.finality) == ("bitcoin", mined.snapshots[SECOND], "6 confirmations")
    assert 0 <= block.distance_seconds <= 3600


def test_an_address_that_was_never_used_holds_zero_and_has_evidence(node: BitcoinNode) -> None:
    archive = EvidenceArchive("test")
    (balance,) = ask(node.electrum_url, read_at(SECOND, [UNUSED]), archive=archive)
    assert (balance.amount, balance.since) == (0, None)
    archive.require(balance.evidence)


def test_an_address_asked_for_twice_is_answered_twice(node: BitcoinNode) -> None:
    address = node.addresses[PLANS[0].index]
    balances = ask(node.electrum_url, read_at(SECOND, [address, address]))
    assert amounts(balances) == [PLANS[0].second["BTC"]] * 2


def test_evidence_names_only_archived_exchanges_and_no_address_of_a_server(node: BitcoinNode, tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    balances = ask(node.electrum_url, read_at(SECOND, addresses_of(node)), archive=archive)
    kept = dict(read_archive(archive.write(tmp_path / "a.jsonl.zst")))
    for balance in balances:
        for entry in kept[balance.evidence]["result"]:
            assert {kept[digest]["method"].rpartition(".")[2] for digest in entry["evidence"]} == {"get", "get_merkle", "header"}
    assert "127.0.0.1" not in str(kept)


def test_evidence_does_not_depend_on_batches_or_on_when_it_was_read(node: BitcoinNode) -> None:
    small = replace(SOURCE, batch_size=7, concurrency=3)
    first = ask(node.electrum_url, read_at(FIRST, addresses_of(node)))
    assert ask(node.electrum_url, read_at(FIRST, addresses_of(node)), source=small) == first


def test_unconfirmed_transactions_count_for_nothing(node: BitcoinNode) -> None:
    pending = [{"tx_hash": "ab" * 32, "height": 0, "fee": 1}, {"tx_hash": "cd" * 32, "height": -1, "fee": 1}]
    twist = change("blockchain.scripthash.get_history", lambda _, history: [*history, *pending])
    assert ask(node.electrum_url, read_at(SECOND, addresses_of(node)), twist=twist) == ask(
        node.electrum_url, read_at(SECOND, addresses_of(node))
    )


def test_requests_are_sent_no_faster_than_configured(node: BitcoinNode) -> None:
    slow = replace(SOURCE, requests_per_second=400)
    started = time.monotonic()
    ask(node.electrum_url, read_at(SECOND, addresses_of(node)), source=slow)
    # 150 histories and the search alone; a greater part of the requests must have been waited for.
    assert time.monotonic() - started > 0.4


def test_balances_are_replayed_from_the_archive_alone(node: BitcoinNode, tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    wanted = [*addresses_of(node), UNUSED]

    async def work(opened: ElectrumReader) -> tuple[SnapshotBlock, list[Balance]]:
        block = await opened.resolve(SECOND)
        return block, await opened.read(block, wanted)

    block, balances = ask(node.electrum_url, work, archive=archive)
    path = archive.write(tmp_path / "a.jsonl.zst")
    again = EvidenceArchive("again")
    assert ask(f"tape:{path}", lambda opened: opened.read(block, wanted), archive=again) == balances
    with pytest.raises(EvidenceError, match="holds no answer"):
        ask(f"tape:{path}", lambda opened: opened.read(replace(block, height=block.height - 1), wanted))


def test_an_address_counts_as_used_from_its_first_transaction_on(node: BitcoinNode) -> None:
    async def work(opened: ElectrumReader) -> list[list[bool]]:
        blocks = [await opened.resolve(moment) for moment in (FIRST, SECOND, SECOND + timedelta(minutes=30))]
        return [await opened.used(block, [*addresses_of(node), UNUSED]) for block in blocks]

    first, second, later = ask(node.electrum_url, work)
    assert first == [plan.first["BTC"] > 0 for plan in PLANS] + [False]
    assert second == [plan.first["BTC"] > 0 or plan.second["BTC"] > 0 for plan in PLANS] + [False]
    assert later == [any(stage["BTC"] for stage in (plan.first, plan.second, plan.later)) for plan in PLANS] + [False]


def test_an_esplora_server_over_the_same_chain_agrees(node: BitcoinNode, mined: MinedChain) -> None:
    esplora = replace(SOURCE, name="esplora_a", kind="esplora")
    names = [node.call("getblockhash", height) for height in range(len(mined.blocks) + 1)]
    blocks = [bytes.fromhex(node.call("getblock", name, 0)) for name in names]

    async def work(opened: Reader) -> tuple[SnapshotBlock, list[Balance]]:
        block = await opened.resolve(SECOND)
        return block, await opened.read(block, addresses_of(node))

    async def through_esplora(url: str) -> tuple[SnapshotBlock, list[Balance]]:
        async with reader(CHAIN, esplora, assets=ASSETS, archive=EvidenceArchive("test"), url=url) as opened:
            return await work(opened)

    block, balances = ask(node.electrum_url, work)
    with ScriptedServer(EsploraChain(blocks)) as server:
        other_block, others = asyncio.run(through_esplora(server.url))
    assert agree_on_block({"electrum_a": block, "esplora_a": other_block}) == block
    assert agree_on_balances("bitcoin", {"electrum_a": balances, "esplora_a": others}) == balances
    assert [balance.since for balance in balances] == [balance.since for balance in others]


# Headers that link the evidence to the block


def recheck(since: int | None) -> Callable[[ElectrumReader], Awaitable[tuple[SnapshotBlock, str]]]:
    async def work(opened: ElectrumReader) -> tuple[SnapshotBlock, str]:
        block = await opened.resolve(SECOND)
        return block, await opened.recheck(block, since=since)

    return work


@pytest.mark.parametrize("stretch", [1, 7, 100, 2016])
@pytest.mark.parametrize("since", [0, 1, 130, 240])
def test_all_headers_from_the_oldest_evidence_on_are_archived_and_linked(
    node: BitcoinNode, mined: MinedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stretch: int, since: int
) -> None:
    monkeypatch.setattr("assay.chains.bitcoin.base.STRETCH", stretch)
    archive = EvidenceArchive("test")

    async def work(opened: ElectrumReader) -> str:
        block = await opened.resolve(SECOND)
        opened.archive = archive
        assert await opened.recheck(block, since=since) == block.hash
        return block.hash

    found = ask(node.electrum_url, work)
    headers: dict[int, bytes] = {}
    for _, kept in read_archive(archive.write(tmp_path / "a.jsonl.zst")):
        first, count = kept["params"]
        raw = bytes.fromhex(kept["result"]["hex"])
        assert (kept["method"], len(raw), count <= stretch) == ("blockchain.block.headers", 80 * count, True)
        headers |= {first + place: raw[80 * place : 80 * place + 80] for place in range(count)}
    height = mined.snapshots[SECOND]
    assert sorted(headers) == list(range(since, height + 1))
    assert [headers[place] for place in range(max(1, since), height + 1)] == [
        block[:80] for block in mined.blocks[max(0, since - 1) : height]
    ]
    assert sha256d(headers[height])[::-1].hex() == found


def test_without_evidence_only_the_blocks_hash_is_read_again(node: BitcoinNode) -> None:
    block, found = ask(node.electrum_url, recheck(None))
    assert found == block.hash


def at_height(height: int, lie: Callable[[str], str]) -> Twist:
    """Alter one header wherever it is asked for in a stretch of more than those that a search asks for."""

    def alter(params: list[Any], found: Any) -> Any:
        first, count = params
        if count <= 12 or not first <= height < first + count:
            return found
        headers = [lie(item) if first + place == height else item for place, item in enumerate(found["headers"])]
        return found | {"headers": headers}

    return change("blockchain.block.headers", alter)


def with_nonce(header: str, nonce: int) -> str:
    return header[:152] + struct.pack("<I", nonce).hex()


WRONG_HEADERS = {
    "another nonce": lambda header: with_nonce(header, int.from_bytes(bytes.fromhex(header[152:]), "little") + 1),
    "another root": lambda header: header[:72] + "00" * 32 + header[136:],
    "another block before it": lambda header: header[:8] + "00" * 32 + header[72:],
    "easier than the network allows": lambda header: header[:144] + "ffff7f21" + header[152:],
}


@pytest.mark.parametrize("height", [100, 150, 200])
@pytest.mark.parametrize("wrong", WRONG_HEADERS)
def test_a_header_that_does_not_lead_to_the_block_is_refused(node: BitcoinNode, height: int, wrong: str) -> None:
    with pytest.raises(SourceMismatchError, match=r"its headers 100 to \d+ are wrong"):
        ask(node.electrum_url, recheck(100), twist=at_height(height, WRONG_HEADERS[wrong]))


def test_another_block_at_the_end_of_the_headers_is_another_hash(node: BitcoinNode, mined: MinedChain) -> None:
    height = mined.snapshots[SECOND]

    def mine_again(header: str) -> str:
        nonce = 1 << 20
        while sha256d(bytes.fromhex(with_nonce(header, nonce)))[31] > 0x7F:
            nonce += 1
        return with_nonce(header, nonce)

    block, found = ask(node.electrum_url, recheck(100), twist=at_height(height, mine_again))
    with pytest.raises(SourceMismatchError, match="reorganised"):
        agree_on_hash(block, {"electrum_a": found})


def test_a_header_of_a_transactions_block_that_no_work_stands_behind_is_refused(node: BitcoinNode) -> None:
    def made_up(_: list[Any], header: str) -> str:
        return header[:144] + "00000101" + header[152:]

    with pytest.raises(SourceMismatchError, match="does not carry the work"):
        ask(node.electrum_url, read_at(SECOND, addresses_of(node)), twist=change("blockchain.block.header", made_up))


# What is refused


def test_a_sister_chain_with_the_same_genesis_block_is_refused(node: BitcoinNode, mined: MinedChain) -> None:
    async def work(opened: ElectrumReader) -> None:
        opened.rules = replace(opened.rules, landmark=(10, sha256d(mined.blocks[9][:80])[::-1].hex()))
        await opened.check_network()
        opened.rules = replace(opened.rules, landmark=(10, "00" * 32))
        with pytest.raises(SourceMismatchError, match=r"block 10 is .* it serves a sister chain"):
            await opened.check_network()
        opened.chain = replace(CHAIN, genesis="")
        with pytest.raises(SourceMismatchError, match="sister chain"):
            await opened.check_network()

    ask(node.electrum_url, work)
    with pytest.raises(ConfigError, match="genesis block is not given"):
        reader(replace(CHAIN, genesis=""), SOURCE, assets=ASSETS, archive=EvidenceArchive("test"), url=node.electrum_url)


def test_a_source_on_another_network_is_refused(node: BitcoinNode) -> None:
    main = replace(CHAIN, genesis="000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f")
    with pytest.raises(SourceMismatchError, match="genesis block is 0f9188f1"):
        ask(node.electrum_url, lambda opened: opened.check_network(), chain=main)


def test_the_right_network_passes(node: BitcoinNode) -> None:
    ask(node.electrum_url, lambda opened: opened.check_network())


def test_naming_the_right_genesis_does_not_help_a_source_that_serves_another(node: BitcoinNode) -> None:
    main = replace(CHAIN, genesis="000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f")
    twist = change("server.features", lambda _, features: features | {"genesis_hash": main.genesis})
    with pytest.raises(SourceMismatchError, match="genesis block is 0f9188f1"):
        ask(node.electrum_url, lambda opened: opened.check_network(), chain=main, twist=twist)


@pytest.mark.parametrize(
    ("as_of", "problem"),
    [
        (datetime(2010, 1, 1, tzinfo=UTC), "began after as_of"),
        (FIRST + timedelta(days=10), "lies .* s before it and at most 7200"),
    ],
)
def test_a_moment_that_the_chain_cannot_answer_for_is_refused(node: BitcoinNode, as_of: datetime, problem: str) -> None:
    with pytest.raises(SourceMismatchError, match=problem):
        ask(node.electrum_url, lambda opened: opened.resolve(as_of))


def test_a_moment_after_the_final_blocks_may_be_asked_for_again_later(node: BitcoinNode) -> None:
    with pytest.raises(SourceBehindError, match="behind as_of") as caught:
        ask(node.electrum_url, lambda opened: opened.resolve(SECOND + timedelta(days=10)))
    assert caught.value.RETRYABLE


def test_the_block_after_the_snapshot_block_must_be_final_too(node: BitcoinNode, mined: MinedChain) -> None:
    tip = len(mined.blocks)
    known = mined.snapshots[SECOND]

    def resolve(confirmations: int) -> SnapshotBlock:
        return ask(node.electrum_url, lambda opened: opened.resolve(SECOND), chain=replace(CHAIN, confirmations=confirmations))

    assert resolve(tip - known - 1).height == known
    with pytest.raises(SourceBehindError, match="behind as_of"):
        resolve(tip - known)


def test_a_chain_shorter_than_its_confirmations_is_behind(node: BitcoinNode) -> None:
    with pytest.raises(SourceBehindError, match="end at the genesis block"):
        ask(node.electrum_url, lambda opened: opened.resolve(SECOND), chain=replace(CHAIN, confirmations=10**6))


def test_another_block_at_the_snapshot_height_is_refused(node: BitcoinNode) -> None:
    async def work(opened: ElectrumReader) -> list[Balance]:
        block = await opened.resolve(SECOND)
        return await opened.read(replace(block, hash="00" * 32), addresses_of(node))

    with pytest.raises(SourceMismatchError, match="not the snapshot block"):
        ask(node.electrum_url, work)


def test_a_height_that_does_not_exist_yet_has_no_hash(node: BitcoinNode) -> None:
    with pytest.raises(SourceMismatchError, match="has no block 100000"):
        ask(node.electrum_url, lambda opened: opened.block_hash(100_000))


def test_tokens_and_foreign_decimals_are_configuration_errors(node: BitcoinNode) -> None:
    async def work(opened: ElectrumReader) -> None:
        block = await opened.resolve(SECOND)
        await opened.check_assets(block)
        opened.assets = {"BTC": replace(ASSETS["BTC"], decimals=18)}
        with pytest.raises(RegistryError, match="18 decimals"):
            await opened.check_assets(block)
        opened.chain = replace(CHAIN, tokens={"USDT": Token(asset="USDT", contract="x", decimals=6, source="x")})
        with pytest.raises(RegistryError, match="no tokens"):
            await opened.check_assets(block)

    ask(node.electrum_url, work)


@pytest.mark.parametrize(
    ("chain", "source"),
    [(CHAIN, replace(SOURCE, kind="jsonrpc")), (replace(CHAIN, finality="finalized"), SOURCE), (replace(CHAIN, confirmations=0), SOURCE)],
)
def test_a_configuration_that_the_family_does_not_know_is_refused(chain: Chain, source: Source) -> None:
    with pytest.raises(ConfigError):
        reader(chain, source, assets=ASSETS, archive=EvidenceArchive("test"), url="tcp://127.0.0.1:1")


def test_an_address_is_checked_for_the_chains_network() -> None:
    assert check_address(replace(CHAIN, network="bitcoin"), "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa") == "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
    with pytest.raises(RegistryError, match="another network"):
        check_address(CHAIN, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")


# Servers that lie


def bump_value(_: list[Any], raw: str) -> str:
    # The first output's value stands right behind the inputs; any changed byte will do.
    return (
        raw[:-20] + f"{(int(raw[-20:-18], 16) ^ 1):02x}" + raw[-18:]
        if raw[8:12] != "0001"
        else raw[:100] + f"{(int(raw[100:102], 16) ^ 1):02x}" + raw[102:]
    )


HISTORY = "blockchain.scripthash.get_history"
LIES = {
    "another transaction": change("blockchain.transaction.get", bump_value),
    "half a transaction": change("blockchain.transaction.get", lambda _, raw: raw[: len(raw) // 4 * 2]),
    "a transaction and more": change("blockchain.transaction.get", lambda _, raw: raw + "00"),
    "no transaction": change("blockchain.transaction.get", lambda _, raw: {"raw": raw}),
    "an odd transaction": change("blockchain.transaction.get", lambda _, raw: raw[:-1]),
    "another branch": change("blockchain.transaction.get_merkle", lambda _, branch: branch | {"merkle": ["00" * 32, *branch["merkle"]]}),
    "another position": change("blockchain.transaction.get_merkle", lambda _, branch: branch | {"pos": branch["pos"] + 1}),
    "no branch": change("blockchain.transaction.get_merkle", lambda _, branch: None),
    "another block": change("blockchain.block.header", lambda _, header: header[:72] + "00" * 32 + header[136:]),
    "a short header": change("blockchain.block.header", lambda _, header: header[:-2]),
    "histories without their first entry": change("blockchain.scripthash.get_history", lambda _, history: history[1:]),
    "histories with repeats": change("blockchain.scripthash.get_history", lambda _, history: history * 2),
    "histories without heights": change(
        "blockchain.scripthash.get_history", lambda _, history: [{"tx_hash": item["tx_hash"]} for item in history]
    ),
    "histories of numbers": change("blockchain.scripthash.get_history", lambda _, history: len(history)),
    "histories that are an object": change(HISTORY, lambda _, history: {}),
    "histories that are a text": change(HISTORY, lambda _, history: ""),
    **{
        f"histories at the height {height!r}": change(HISTORY, lambda _, history, to=height: [item | {"height": to} for item in history])  # type: ignore[misc]
        for height in (-7, -1.0, False, "12", 10**30 + 0.5)
    },
    "histories of short ids": change(
        "blockchain.scripthash.get_history", lambda _, history: [entry | {"tx_hash": entry["tx_hash"][:-2]} for entry in history]
    ),
    "headers that do not link": change("blockchain.block.headers", lambda _, found: found | {"headers": found["headers"][::-1]}),
    "headers cut short": change("blockchain.block.headers", lambda _, found: found | {"headers": [item[:-2] for item in found["headers"]]}),
    "no headers": change("blockchain.block.headers", lambda _, found: None),
    "no tip": change("blockchain.headers.subscribe", lambda _, tip: tip | {"height": None}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_is_caught(node: BitcoinNode, lie: str) -> None:
    with pytest.raises(SourceMismatchError, match="chain bitcoin, source electrum_a"):
        ask(node.electrum_url, read_at(SECOND, addresses_of(node)), twist=LIES[lie])


def test_a_history_at_other_heights_is_refused(node: BitcoinNode) -> None:
    twist = change("blockchain.scripthash.get_history", lambda _, history: [item | {"height": item["height"] - 1} for item in history])
    with pytest.raises((SourceMismatchError, SourceUnavailableError)):
        ask(node.electrum_url, read_at(SECOND, addresses_of(node)), twist=twist)


def test_two_histories_with_one_transaction_at_two_heights_are_a_contradiction(node: BitcoinNode) -> None:
    seen = 0

    def first_one_higher(_: list[Any], history: Any) -> Any:
        nonlocal seen
        seen += 1
        return [item | {"height": item["height"] + 1} for item in history] if seen == 1 else history

    with pytest.raises(SourceMismatchError, match="in one history"):
        ask(node.electrum_url, read_at(SECOND, addresses_of(node)), twist=change("blockchain.scripthash.get_history", first_one_higher))


def test_only_a_second_source_shows_that_a_wallets_last_spending_is_hidden(node: BitcoinNode, mined: MinedChain) -> None:
    spender = next(plan for plan in PLANS if 0 < plan.second["BTC"] < plan.first["BTC"])
    spent_at = mined.snapshots[FIRST] + 1
    twist = change("blockchain.scripthash.get_history", lambda _, history: [item for item in history if item["height"] != spent_at])
    honest = ask(node.electrum_url, read_at(SECOND, addresses_of(node, [spender])))
    lied = ask(node.electrum_url, read_at(SECOND, addresses_of(node, [spender])), twist=twist)
    assert (amounts(honest), amounts(lied)) == ([spender.second["BTC"]], [spender.first["BTC"]])
    with pytest.raises(SourceMismatchError, match="the sources disagree"):
        agree_on_balances("bitcoin", {"honest": honest, "lying": lied})


def test_a_header_with_another_time_is_caught_by_the_links(node: BitcoinNode) -> None:
    def later(_: list[Any], found: Any) -> Any:
        headers = [header[:136] + "ffffff7f" + header[144:] if place == 3 else header for place, header in enumerate(found["headers"])]
        return found | {"headers": headers}

    with pytest.raises(SourceMismatchError, match="do not form a chain"):
        ask(node.electrum_url, lambda opened: opened.resolve(SECOND), twist=change("blockchain.block.headers", later))


# Servers that do not answer


THROTTLED = {"code": -101, "message": "excessive resource usage"}
FAILURES: dict[str, tuple[Twist, str]] = {
    "cut off": (lambda _, replies: line(replies)[:-40], "closed the connection in the middle"),
    "garbled": (lambda _, replies: line(replies)[:-40] + b"\n", "not JSON"),
    "no number": (lambda _, replies: line([{"id": reply["id"], "result": float("nan")} for reply in replies]), "not JSON"),
    "nested without end": (lambda _, replies: b"[" * 100_000 + b"\n", "not JSON"),
    "not text": (lambda _, replies: b"\xff\xfe\n", "not JSON"),
    "closed": (lambda _, replies: b"", "closed the connection"),
    "silent": (lambda _, replies: None, "no answer to .* in 1 s"),
    "throttled": (lambda _, replies: line([{"id": reply["id"], "error": THROTTLED} for reply in replies]), "excessive resource usage"),
    "throttled as a whole": (lambda _, replies: line({"jsonrpc": "2.0", "id": None, "error": THROTTLED}), "excessive resource usage"),
    "one answer missing": (lambda _, replies: line(replies[:-1]), "it answered .* of|not the form"),
    "one answer without a result": (lambda _, replies: line([{"id": replies[0]["id"]}, *replies[1:]]), "refuses"),
    "another question's answer": (
        lambda _, replies: line([reply | {"id": reply["id"] + 10**9} for reply in replies]),
        "answers no question",
    ),
    "a number": (lambda _, replies: b"7\n", "not the form"),
    "an empty list": (lambda _, replies: b"[]\n", "not the form"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("truths", [0, 1, 6])
def test_a_server_that_does_not_answer_in_full_is_unavailable(node: BitcoinNode, failure: str, truths: int) -> None:
    twist, problem = FAILURES[failure]
    started = time.monotonic()
    with pytest.raises(SourceUnavailableError, match=problem) as caught:
        ask(
            node.electrum_url,
            read_at(SECOND, addresses_of(node)),
            source=replace(SOURCE, timeout_seconds=1),
            twist=after(truths, twist),
        )
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.RETRYABLE
    assert time.monotonic() - started < 10, "nothing may be tried twice"


LASTING: dict[str, tuple[dict[str, Any], str]] = {
    "a history over the server's limit": ({"code": 1, "message": "history too large"}, "raise the server's limit"),
    "a history over another server's limit": ({"code": -32603, "message": "get_history exceeds max_history of 125000"}, "UTXO-set file"),
    "a reply over the server's limit": (
        {"code": -32600, "message": "response too large (over 1,000,000 bytes"},
        "lower the source's batch_size",
    ),
    "an unknown method": ({"code": -32601, "message": "unknown method"}, "speaks protocol 1.4"),
    "a bad request": ({"code": 1, "message": "is not a valid script hash"}, "keep all blocks"),
    "a pruned node": ({"code": 2, "message": "daemon error: Block not available (pruned data)"}, "keep all blocks"),
}


@pytest.mark.parametrize("refusal", LASTING)
@pytest.mark.parametrize("whole", [False, True])
def test_a_refusal_that_will_not_pass_is_not_tried_again(node: BitcoinNode, refusal: str, whole: bool) -> None:
    error, next_step = LASTING[refusal]

    def twist(requests: list[Any], replies: list[Any]) -> bytes:
        if requests[0]["method"] != "blockchain.scripthash.get_history":
            return line(replies)
        return line({"jsonrpc": "2.0", "id": None, "error": error} if whole else [{"id": reply["id"], "error": error} for reply in replies])

    with pytest.raises(SourceMismatchError, match=re.escape(error["message"])) as caught:
        ask(node.electrum_url, read_at(SECOND, addresses_of(node)), twist=twist)
    assert next_step in caught.value.next_step
    assert not caught.value.RETRYABLE


@pytest.mark.parametrize(
    "error",
    [{"code": -101, "message": "excessive resource usage"}, {"code": -102, "message": "server busy"}, {"code": 2, "message": "daemon"}],
)
def test_a_refusal_that_may_pass_is_tried_again(node: BitcoinNode, error: dict[str, Any]) -> None:
    with pytest.raises(SourceUnavailableError, match=error["message"]):
        ask(
            node.electrum_url,
            read_at(SECOND, addresses_of(node)),
            twist=lambda _, replies: line([{"id": reply["id"], "error": error} for reply in replies]),
        )


def test_a_reply_over_the_limit_is_not_kept(node: BitcoinNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.chains.bitcoin.electrum_session._LINE_LIMIT", 4096)
    with pytest.raises(SourceUnavailableError, match="a reply is longer than"):
        ask(node.electrum_url, read_at(SECOND, addresses_of(node)))


def test_answers_in_another_order_are_put_right(node: BitcoinNode) -> None:
    expected = ask(node.electrum_url, read_at(SECOND, addresses_of(node)))
    assert ask(node.electrum_url, read_at(SECOND, addresses_of(node)), twist=lambda _, replies: line(replies[::-1])) == expected


def test_notifications_between_answers_are_passed_over(node: BitcoinNode) -> None:
    news = line({"jsonrpc": "2.0", "method": "blockchain.headers.subscribe", "params": []})
    expected = ask(node.electrum_url, read_at(SECOND, addresses_of(node)))
    assert ask(node.electrum_url, read_at(SECOND, addresses_of(node)), twist=lambda _, replies: news + line(replies)) == expected


def test_a_port_that_nobody_listens_on_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(SourceUnavailableError, match="cannot be reached") as caught:
            ask(f"tcp://127.0.0.1:{port}", lambda opened: opened.check_network())
    assert str(port) not in str(caught.value)


def test_a_server_without_tls_is_unavailable_over_tls(node: BitcoinNode) -> None:
    with pytest.raises(SourceUnavailableError, match="cannot be reached"):
        ask(node.electrum_url.replace("tcp://", "ssl://"), lambda opened: opened.check_network(), source=replace(SOURCE, timeout_seconds=2))


def self_signed(folder: Path) -> tuple[ssl.SSLContext, str]:
    """Return a server's TLS settings with a certificate of its own making, and the certificate's SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "electrum")])
    start = datetime(2023, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, start + timedelta(days=36500))
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context, certificate.fingerprint(hashes.SHA256()).hex()


def test_a_self_signed_server_is_read_only_where_its_certificate_is_pinned(node: BitcoinNode, tmp_path: Path) -> None:
    tls, fingerprint = self_signed(tmp_path)

    async def check(pin: str) -> None:
        async with (
            proxy(node.electrum_url, lambda _, replies: line(replies), tls=tls) as url,
            reader(CHAIN, SOURCE, assets=ASSETS, archive=EvidenceArchive("test"), url=url + pin) as opened,
        ):
            await opened.check_network()

    asyncio.run(check(f"/{fingerprint}"))
    with pytest.raises(SourceUnavailableError, match="another one is configured"):
        asyncio.run(check("/" + "00" * 32))
    with pytest.raises(SourceUnavailableError, match="cannot be reached"):
        asyncio.run(check(""))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "tcp://127.0.0.1", "tcp://:1", "tcp://127.0.0.1:99999", "tcp://127.0.0.1:1/aa", "ssl://127.0.0.1:1/aa"]
)
def test_an_address_of_another_form_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="tcp://host:port") as caught:
        ask(url, lambda opened: opened.check_network())
    assert url not in str(caught.value)


def test_a_real_server_with_narrow_limits_is_unavailable_and_not_wrong(mined: MinedChain, tmp_path: Path) -> None:
    limits = {"COST_SOFT_LIMIT": "1", "COST_HARD_LIMIT": "20", "REQUEST_SLEEP": "10"}
    with BitcoinNode(folder=tmp_path / "throttled", mined=mined, electrumx=limits) as throttled, pytest.raises(SourceUnavailableError):
        ask(throttled.electrum_url, read_at(SECOND, addresses_of(throttled)), source=replace(SOURCE, timeout_seconds=20))


def test_a_server_that_restarts_in_the_middle_fails_the_read_and_answers_the_next_one(mined: MinedChain, tmp_path: Path) -> None:
    with BitcoinNode(folder=tmp_path / "restarted", mined=mined) as restarted:

        async def work(opened: ElectrumReader) -> list[Balance]:
            block = await opened.resolve(SECOND)
            restarted.electrumx.stop()
            return await opened.read(block, addresses_of(restarted))

        with pytest.raises(SourceUnavailableError):
            ask(restarted.electrum_url, work)
        restarted.electrumx.start()
        restarted.electrumx.wait()
        balances = ask(restarted.electrum_url, read_at(SECOND, addresses_of(restarted)))
        assert amounts(balances) == [plan.second["BTC"] for plan in PLANS]


def test_every_error_says_what_to_do_next(node: BitcoinNode) -> None:
    with pytest.raises(AssayError) as caught:
        ask(node.electrum_url, lambda opened: opened.resolve(SECOND + timedelta(days=10)))
    assert "Next step: " in str(caught.value)
