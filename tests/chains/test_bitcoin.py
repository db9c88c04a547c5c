from __future__ import annotations

import asyncio
import socket
import ssl
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

from assay.chains.bitcoin import ElectrumReader, check_address, reader
from assay.chains.evidence import EvidenceArchive
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.config import Asset, Chain, Source, Token
from assay.errors import AssayError, ConfigError, RegistryError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, MinedChain, mine
from sandbox.scenario import FIRST, SECOND, WalletPlan, wallets
from tests.chains.electrum_proxy import Twist, after, change, line, proxy

T = TypeVar("T")

SOURCE = Source(name="electrum_a", kind="electrum", connection="assay_bitcoin_a", batch_size=40)
CHAIN = Chain(name="bitcoin", family="bitcoin", asset="BTC", network="regtest", genesis=BITCOIN.genesis, confirmations=6, sources=(SOURCE,))
PATIENT = replace(CHAIN, max_distance_seconds=10**9)
ASSETS = {"BTC": Asset(symbol="BTC", name="Bitcoin", decimals=8)}
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
    unused = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
    (balance,) = ask(node.electrum_url, read_at(SECOND, [unused]), archive=archive)
    assert balance.amount == 0
    archive.require(balance.evidence)


def test_an_address_asked_for_twice_is_answered_twice(node: BitcoinNode) -> None:
    address = node.addresses[PLANS[0].index]
    balances = ask(node.electrum_url, read_at(SECOND, [address, address]))
    assert amounts(balances) == [PLANS[0].second["BTC"]] * 2


def test_evidence_names_only_archived_exchanges_and_no_address_of_a_server(node: BitcoinNode, tmp_path: Path) -> None:
    from assay.chains.evidence import read_archive

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


# What is refused


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
    [(CHAIN, replace(SOURCE, kind="esplora")), (replace(CHAIN, finality="finalized"), SOURCE), (replace(CHAIN, confirmations=0), SOURCE)],
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
