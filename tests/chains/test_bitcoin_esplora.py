"""Against a loopback Esplora that is written from the API's documentation and serves a regtest chain; see `esplora_server.py`."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from assay.chains import http
from assay.chains.bitcoin import reader
from assay.chains.bitcoin.esplora import EsploraReader
from assay.chains.evidence import EvidenceArchive, read_archive
from assay.chains.interface import Balance
from assay.chains.quorum import agree_on_balances
from assay.config import Asset, Chain, Source
from assay.errors import AssayError, ConfigError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from sandbox.bitcoin_blocks import BITCOIN, MinedChain, mine
from sandbox.bitcoin_keys import sha256d
from sandbox.scenario import FIRST, SECOND, wallets
from tests.chains.esplora_server import EsploraChain, validated_blocks
from tests.chains.scripted_server import Answer, Handler, Request, ScriptedServer, altered, cut_off

T = TypeVar("T")

SOURCE = Source(name="esplora_a", kind="esplora", connection="assay_bitcoin_c", concurrency=8)
CHAIN = Chain(name="bitcoin", family="bitcoin", asset="BTC", network="regtest", genesis=BITCOIN.genesis, confirmations=6, sources=(SOURCE,))
ASSETS = {"BTC": Asset(symbol="BTC", name="Bitcoin", decimals=8)}
PLANS = [plan for plan in wallets(litecoin=False) if plan.chain == "bitcoin"]
UNUSED = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


@pytest.fixture(scope="module")
def mined() -> MinedChain:
    return mine(BITCOIN, PLANS)


@pytest.fixture(scope="module")
def blocks(mined: MinedChain, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return validated_blocks(mined, tmp_path_factory.mktemp("kernel"))


@pytest.fixture(scope="module")
def chain(blocks: list[bytes]) -> EsploraChain:
    return EsploraChain(blocks)


@pytest.fixture(scope="module")
def addresses(mined: MinedChain) -> list[str]:
    return [mined.addresses[plan.index] for plan in PLANS]


def ask(
    handler: Handler, work: Callable[[EsploraReader], Awaitable[T]], *, archive: EvidenceArchive | None = None, source: Source = SOURCE
) -> T:
    with ScriptedServer(handler) as server:
        return opened(server.url, work, archive=archive, source=source)


def opened(
    url: str, work: Callable[[EsploraReader], Awaitable[T]], *, archive: EvidenceArchive | None = None, source: Source = SOURCE
) -> T:
    async def run() -> T:
        async with reader(CHAIN, source, assets=ASSETS, archive=archive or EvidenceArchive("test"), url=url) as found:
            assert isinstance(found, EsploraReader)
            return await work(found)

    return asyncio.run(run())


def read_at_second(addresses: list[str]) -> Callable[[EsploraReader], Awaitable[list[Balance]]]:
    async def work(found: EsploraReader) -> list[Balance]:
        return await found.read(await found.resolve(SECOND), addresses)

    return work


def amounts(balances: list[Balance]) -> list[int]:
    return [balance.amount for balance in balances]


def body(answer: Answer) -> Any:
    return json.loads(answer.content)


def on(part: str, lie: Callable[[Answer], Any]) -> Callable[[Request, Answer], Any]:
    """Alter the answers to requests whose path has a part."""
    return lambda request, told: lie(told) if part in request.path else told


# What a truthful server gives


@pytest.mark.parametrize("stage", ["first", "second"])
def test_every_kind_of_wallet_holds_what_was_planned_at_the_attested_moments(
    chain: EsploraChain, addresses: list[str], mined: MinedChain, stage: str
) -> None:
    moment = {"first": FIRST, "second": SECOND}[stage]

    async def work(found: EsploraReader) -> list[Balance]:
        await found.check_network()
        block = await found.resolve(moment)
        await found.check_assets(block)
        assert (block.height, block.finality) == (mined.snapshots[moment], "6 confirmations")
        return await found.read(block, addresses)

    assert amounts(ask(chain, work)) == [getattr(plan, stage)["BTC"] for plan in PLANS]


@pytest.mark.parametrize("page", [1, 2, 100])
def test_pages_of_any_size_give_the_same_balances_and_evidence(
    blocks: list[bytes], chain: EsploraChain, addresses: list[str], page: int
) -> None:
    expected = ask(chain, read_at_second(addresses[:40]))
    assert ask(EsploraChain(blocks, page=page), read_at_second(addresses[:40])) == expected


def test_an_address_that_was_never_used_holds_zero_and_has_evidence(chain: EsploraChain) -> None:
    archive = EvidenceArchive("test")
    (balance,) = ask(chain, read_at_second([UNUSED]), archive=archive)
    assert (balance.amount, balance.since) == (0, None)
    archive.require(balance.evidence)


def test_an_address_asked_for_twice_is_answered_twice(chain: EsploraChain, addresses: list[str]) -> None:
    assert amounts(ask(chain, read_at_second([addresses[0]] * 2))) == [PLANS[0].second["BTC"]] * 2


def test_an_address_counts_as_used_from_its_first_transaction_on(chain: EsploraChain, addresses: list[str], mined: MinedChain) -> None:
    async def work(found: EsploraReader) -> list[list[bool]]:
        blocks = [await found.resolve(moment) for moment in (FIRST, SECOND, SECOND + timedelta(minutes=30))]
        return [await found.used(block, [*addresses, UNUSED]) for block in blocks]

    first, second, later = ask(chain, work)
    assert first == [plan.first["BTC"] > 0 for plan in PLANS] + [False]
    assert second == [plan.first["BTC"] > 0 or plan.second["BTC"] > 0 for plan in PLANS] + [False]
    assert later == [any(stage["BTC"] for stage in (plan.first, plan.second, plan.later)) for plan in PLANS] + [False]


def test_balances_are_replayed_from_the_archive_alone(chain: EsploraChain, addresses: list[str], tmp_path: Path) -> None:
    archive = EvidenceArchive("test")

    async def work(found: EsploraReader) -> tuple[Any, list[Balance]]:
        block = await found.resolve(SECOND)
        return block, await found.read(block, [*addresses, UNUSED])

    block, balances = ask(chain, work, archive=archive)
    path = archive.write(tmp_path / "balances.jsonl.zst")
    again = opened(f"tape:{path}", lambda found: found.read(block, [*addresses, UNUSED]))
    assert again == balances
    assert "127.0.0.1" not in str(list(read_archive(path)))


def test_every_amount_rests_on_a_line_that_names_transactions_branches_and_headers(
    chain: EsploraChain, addresses: list[str], tmp_path: Path
) -> None:
    archive = EvidenceArchive("test")
    balances = ask(chain, read_at_second(addresses[:20]), archive=archive)
    kept = dict(read_archive(archive.write(tmp_path / "a.jsonl.zst")))
    for balance in balances:
        line = kept[balance.evidence]
        assert line["method"].startswith("GET /scripthash/")
        for entry in line["result"]["body"]:
            assert [kept[digest]["method"].rpartition("/")[2] for digest in entry["evidence"]] == ["hex", "merkle-proof", "header"]


def test_all_headers_from_the_oldest_evidence_on_are_archived_and_linked(chain: EsploraChain, addresses: list[str], tmp_path: Path) -> None:
    archive = EvidenceArchive("test")

    async def work(found: EsploraReader) -> tuple[int, int]:
        block = await found.resolve(SECOND)
        since = min(balance.since or block.height for balance in await found.read(block, addresses))
        found.archive = archive
        assert await found.recheck(block, since=since) == block.hash
        assert await found.recheck(block, since=None) == block.hash
        return since, block.height

    since, height = ask(chain, work)
    lines = [line for _, line in read_archive(archive.write(tmp_path / "a.jsonl.zst"))]
    assert set(range(since, height + 1)) <= {block["height"] for line in lines for block in line["result"]["body"]}


# What is refused


def test_a_source_on_another_network_is_refused(chain: EsploraChain) -> None:
    def other(found: Answer) -> Any:
        return body(found)[1:]

    with pytest.raises(SourceMismatchError, match="no block 0"):
        ask(altered(chain, on("/blocks/0", other)), lambda found: found.check_network())


def test_a_moment_after_the_final_blocks_may_be_asked_for_again_later(chain: EsploraChain) -> None:
    with pytest.raises(SourceBehindError, match="behind as_of"):
        ask(chain, lambda found: found.resolve(SECOND + timedelta(days=10)))


def test_another_block_at_the_snapshot_height_is_refused(chain: EsploraChain, addresses: list[str]) -> None:
    async def work(found: EsploraReader) -> list[Balance]:
        return await found.read(replace(await found.resolve(SECOND), hash="00" * 32), addresses)

    with pytest.raises(SourceMismatchError, match="not the snapshot block"):
        ask(chain, work)


def test_a_server_whose_last_block_is_before_the_snapshot_block_may_be_asked_again_later(
    blocks: list[bytes], chain: EsploraChain, addresses: list[str]
) -> None:
    block = ask(chain, lambda found: found.resolve(SECOND))
    with pytest.raises(SourceBehindError, match="before the snapshot block"):
        ask(EsploraChain(blocks[: block.height]), lambda found: found.read(block, addresses[:3]))


def test_dash_is_not_read_from_esplora() -> None:
    with pytest.raises(ConfigError, match="esplora"):
        reader(replace(CHAIN, network="dash"), SOURCE, assets=ASSETS, archive=EvidenceArchive("test"), url="http://127.0.0.1:1")


def with_fields(found: Answer, **changes: Any) -> Any:
    return [item | changes for item in body(found)]


def without(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != name}


HEX_BUT_ONE = "ab" * 31 + "ac"
LIES = {
    "another transaction": on("/hex", lambda told: told.content[:-20] + b"f" + told.content[-19:]),
    "half a transaction": on("/hex", lambda told: told.content[: len(told.content) // 4 * 2]),
    "no transaction": on("/hex", lambda _: b""),
    "a transaction that is not known": on("/hex", lambda _: (404, b"Transaction not found")),
    "another branch": on("/merkle-proof", lambda told: body(told) | {"merkle": ["00" * 32, *body(told)["merkle"]]}),
    "a branch of another block": on("/merkle-proof", lambda told: body(told) | {"block_height": 1}),
    "no branch": on("/merkle-proof", lambda _: b"null"),
    "another header": on("/header", lambda told: told.content[:72] + b"00" * 32 + told.content[136:]),
    "a short header": on("/header", lambda told: told.content[:-2]),
    "histories without their first entry": on("/txs/chain", lambda told: body(told)[1:]),
    "histories that repeat": on("/txs/chain", lambda told: body(told) * 2),
    "histories that are no lists": on("/txs/chain", lambda told: {"error": "busy"}),
    "histories that are an empty object": on("/txs/chain", lambda _: b"{}"),
    "histories without a word": on("/txs/chain", lambda _: b""),
    "histories of one word": on("/txs/chain", lambda _: b'""'),
    "blocks that are an empty object": on("/blocks/", lambda told: b"{}" if told.content[:1] == b"[" else told),
    "blocks without ids": on("/blocks/", lambda told: [without(item, "id") for item in body(told)] if told.content[:1] == b"[" else told),
    "histories that are null": on("/txs/chain", lambda told: b"null"),
    "histories of the mempool": on("/txs/chain", lambda told: with_fields(told, status={"confirmed": False})),
    "histories of null heights": on("/txs/chain", lambda told: with_fields(told, status={"block_height": None, "block_hash": "ab" * 32})),
    "histories that lead elsewhere": on("/txs/chain", lambda told: with_fields(told, txid="../../blocks/tip/height")),
    "blocks without roots": on("/blocks/", lambda told: with_fields(told, merkle_root=None) if told.content[:1] == b"[" else told),
    "blocks with other ids": on("/blocks/", lambda told: with_fields(told, id="ab" * 32) if told.content[:1] == b"[" else told),
    "blocks with another time": on("/blocks/", lambda told: with_fields(told, timestamp=1) if told.content[:1] == b"[" else told),
    "no blocks": on("/blocks/", lambda told: b"[]" if told.content[:1] == b"[" else told),
    "no tip": on("/tip/height", lambda _: b"null"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_is_caught(chain: EsploraChain, addresses: list[str], lie: str) -> None:
    with pytest.raises(SourceMismatchError, match="chain bitcoin, source esplora_a"):
        ask(altered(chain, LIES[lie]), read_at_second(addresses[:30]))


def test_a_page_that_comes_again_is_an_error_and_not_a_loop(blocks: list[bytes], addresses: list[str]) -> None:
    small = EsploraChain(blocks, page=1)

    def first_page_always(request: Request) -> Any:
        path, chain, _ = request.path.partition("/txs/chain")
        return small(Request("GET", path + chain)) if chain else small(request)

    with pytest.raises(SourceMismatchError, match="repeats a transaction"):
        ask(first_page_always, read_at_second(addresses[:5]))


def test_a_history_that_never_ends_is_given_up(chain: EsploraChain, addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.chains.bitcoin.esplora._LARGEST_HISTORY", 5)
    count = 0

    def made_up(told: Answer) -> Any:
        nonlocal count
        count += 1
        status = {"confirmed": True, "block_height": 5, "block_hash": "ab" * 32}
        return [{"txid": f"{count:064x}", "status": status}]

    with pytest.raises(SourceMismatchError, match="more than 5 transactions"):
        ask(altered(chain, on("/txs/chain", made_up)), read_at_second(addresses[:1]))


def test_only_a_second_source_shows_that_a_wallets_last_spending_is_hidden(chain: EsploraChain, mined: MinedChain) -> None:
    spender = next(plan for plan in PLANS if 0 < plan.second["BTC"] < plan.first["BTC"])
    spent_at = mined.snapshots[FIRST] + 1

    def without_spending(told: Answer) -> Any:
        return [item for item in body(told) if item["status"]["block_height"] != spent_at]

    wallet = [mined.addresses[spender.index]]
    honest = ask(chain, read_at_second(wallet))
    lied = ask(altered(chain, on("/txs/chain", without_spending)), read_at_second(wallet))
    assert (amounts(honest), amounts(lied)) == ([spender.second["BTC"]], [spender.first["BTC"]])
    with pytest.raises(SourceMismatchError, match="the sources disagree"):
        agree_on_balances("bitcoin", {"honest": honest, "lying": lied})


def test_headers_that_do_not_link_up_to_the_block_are_refused(chain: EsploraChain, mined: MinedChain) -> None:
    async def work(found: EsploraReader) -> str:
        return await found.recheck(await found.resolve(SECOND), since=100)

    def forged(told: Answer) -> Any:
        """A block with another nonce whose id is right, so that only the next one's link tells."""
        page = body(told)
        for item in page:
            if item["height"] == 123:
                item["nonce"] += 1
                header = (
                    struct.pack("<i", item["version"])
                    + bytes.fromhex(item["previousblockhash"])[::-1]
                    + bytes.fromhex(item["merkle_root"])[::-1]
                )
                header += struct.pack("<III", item["timestamp"], item["bits"], item["nonce"])
                item["id"] = sha256d(header)[::-1].hex()
        return page

    with pytest.raises(SourceMismatchError, match="do not form a chain"):
        ask(altered(chain, lambda request, told: forged(told) if told.content[:1] == b"[" else told), work)


# Servers that do not answer


FAILURES: dict[str, tuple[Callable[[Request, Answer], Any], type[AssayError]]] = {
    "cut off": (lambda _, told: cut_off(told, by=2), SourceUnavailableError),
    "cut off in JSON": (lambda _, told: told.content[:-2] if told.content[:1] == b"[" else told, SourceUnavailableError),
    "throttled": (lambda _, told: (429, b"Too Many Requests"), SourceUnavailableError),
    "down": (lambda _, told: (503, b"busy"), SourceUnavailableError),
    "silent": (lambda _, told: Answer(delay=3), SourceUnavailableError),
    "garbled": (lambda _, told: b"\xff\xfe" + told.content, SourceMismatchError),
    "an error with status 200": (lambda _, told: {"error": "internal"}, SourceMismatchError),
    "another address": (lambda _, told: (301, b""), ConfigError),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_server_that_does_not_answer_in_full_gives_no_balance(chain: EsploraChain, addresses: list[str], failure: str) -> None:
    change, kind = FAILURES[failure]

    def below_a_key(request: Request) -> Any:
        return chain(replace(request, path=request.path.removeprefix("/secret-key")))

    with ScriptedServer(altered(below_a_key, change)) as server, pytest.raises(kind) as caught:
        opened(server.url + "/secret-key", read_at_second(addresses[:3]), source=replace(SOURCE, timeout_seconds=1))
    assert "127.0.0.1" not in str(caught.value)
    assert "secret-key" not in str(caught.value)


def test_an_answer_over_the_limit_is_not_kept(chain: EsploraChain, addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_LARGEST_ANSWER", 1000)
    with pytest.raises(SourceUnavailableError, match="longer than"):
        ask(chain, read_at_second(addresses[:3]))
