"""Against litecoind on regtest, held at the snapshot block as an operator would hold it; lies come from a proxy in front of it.

Bitcoin Core cannot be installed here; Litecoin Core is derived from it and has the same calls. Without litecoind only the scripted half runs,
which plays answers in the form of https://developer.bitcoin.org/reference/rpc/scantxoutset.html.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import Request as Query
from urllib.request import urlopen

import pytest

from assay.chains.bitcoin import reader
from assay.chains.bitcoin.core import CoreReader
from assay.chains.evidence import EvidenceArchive
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.config import Asset, Chain, Source
from assay.errors import AmountError, AssayError, ConfigError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from sandbox.bitcoin_blocks import LITECOIN, MinedChain, mine
from sandbox.bitcoin_keys import address
from sandbox.litecoin import LitecoinNode, find_litecoind
from sandbox.scenario import SECOND, wallets
from tests.chains.scripted_server import Answer, RpcError, ScriptedServer, cut_off, json_rpc

T = TypeVar("T")

SOURCE = Source(name="core_a", kind="core", connection="assay_litecoin_b")
ELECTRUM = Source(name="electrum_a", kind="electrum", connection="assay_litecoin_a")
CHAIN = Chain(
    name="litecoin",
    family="bitcoin",
    asset="LTC",
    network="litecoin_regtest",
    genesis=LITECOIN.genesis,
    confirmations=6,
    sources=(SOURCE, ELECTRUM),
)
ASSETS = {"LTC": Asset(symbol="LTC", name="Litecoin", decimals=8)}
PLANS = [plan for plan in wallets(litecoin=True) if plan.chain == "litecoin"]
UNUSED = address(b"\x00\x14" + b"\x01" * 20, LITECOIN.prefixes)


@pytest.fixture(scope="module")
def mined() -> MinedChain:
    return mine(LITECOIN, PLANS)


@pytest.fixture(scope="module")
def node(mined: MinedChain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LitecoinNode]:
    if find_litecoind() is None:
        pytest.skip("litecoind is not installed, so no unspent outputs are scanned by a real node")
    with LitecoinNode(folder=tmp_path_factory.mktemp("litecoin") / "core", mined=mined) as started:
        yield started


@pytest.fixture
def held(node: LitecoinNode, mined: MinedChain) -> Iterator[SnapshotBlock]:
    """Hold the node at the second snapshot block, which was resolved before."""
    block = opened(rpc_url(node), lambda found: found.resolve(SECOND))
    (after,) = node.call_many([("getblockhash", [block.height + 1])])
    node.call_many([("invalidateblock", [after])])
    yield block
    node.call_many([("reconsiderblock", [after])])


def rpc_url(node: LitecoinNode) -> str:
    return f"http://sandbox:sandbox@127.0.0.1:{node._port}"


def opened(
    url: str,
    work: Callable[[CoreReader], Awaitable[T]],
    *,
    archive: EvidenceArchive | None = None,
    chain: Chain = CHAIN,
    source: Source = SOURCE,
) -> T:
    async def run() -> T:
        async with reader(chain, source, assets=ASSETS, archive=archive or EvidenceArchive("test"), url=url) as found:
            assert isinstance(found, CoreReader)
            return await work(found)

    return asyncio.run(run())


def electrum(node: LitecoinNode, work: Callable[[Any], Awaitable[T]]) -> T:
    async def run() -> T:
        async with reader(CHAIN, ELECTRUM, assets=ASSETS, archive=EvidenceArchive("test"), url=node.electrum_url) as found:
            return await work(found)

    return asyncio.run(run())


def through(node: LitecoinNode, lie: Callable[[str, Any], Any]) -> ScriptedServer:
    """Return a server that passes calls on to the node and answers what `lie` makes of method and true result."""

    def call(method: str, params: Any) -> Any:
        body = json.dumps([{"id": 0, "method": method, "params": params}]).encode()
        login = base64.b64encode(b"sandbox:sandbox").decode()
        headers = {"Authorization": f"Basic {login}", "Connection": "close"}
        with urlopen(Query(f"http://127.0.0.1:{node._port}/", body, headers), timeout=30) as response:
            (reply,) = json.loads(response.read(), parse_float=Decimal)
        if reply["error"]:
            raise RpcError(**reply["error"])
        return lie(method, reply["result"])

    return ScriptedServer(json_rpc(call))


def amounts(balances: list[Balance]) -> list[int]:
    return [balance.amount for balance in balances]


def addresses(node: LitecoinNode) -> list[str]:
    return [node.addresses[plan.index] for plan in PLANS]


# The real node


def test_the_node_resolves_the_same_block_as_an_electrum_server(node: LitecoinNode, mined: MinedChain) -> None:
    block = opened(rpc_url(node), lambda found: found.resolve(SECOND))
    assert block == electrum(node, lambda found: found.resolve(SECOND))
    assert block.height == mined.snapshots[SECOND]


def test_every_kind_of_wallet_holds_what_was_planned_while_the_node_is_held_at_the_block(
    node: LitecoinNode, held: SnapshotBlock, tmp_path: Path
) -> None:
    archive = EvidenceArchive("test")

    async def work(found: CoreReader) -> list[Balance]:
        await found.check_network()
        await found.check_assets(held)
        balances = await found.read(held, [*addresses(node), UNUSED, addresses(node)[0]])
        assert await found.recheck(held, since=None) == held.hash
        return balances

    balances = opened(rpc_url(node), work, archive=archive)
    assert amounts(balances) == [plan.second["LTC"] for plan in PLANS] + [0, PLANS[0].second["LTC"]]
    for balance in balances:
        archive.require(balance.evidence)
    path = archive.write(tmp_path / "core.jsonl.zst")
    again = opened(f"tape:{path}", lambda found: found.read(held, [*addresses(node), UNUSED, addresses(node)[0]]))
    assert again == balances


def test_node_and_electrum_server_agree_and_a_node_that_hides_an_output_is_caught(node: LitecoinNode, held: SnapshotBlock) -> None:
    def hide_one(method: str, result: Any) -> Any:
        if method != "scantxoutset":
            return result
        lost = result["unspents"].pop()
        return result | {"total_amount": result["total_amount"] - lost["amount"]}

    theirs = electrum(node, lambda found: found.read(held, addresses(node)))
    mine_ = opened(rpc_url(node), lambda found: found.read(held, addresses(node)))
    assert agree_on_balances("litecoin", {"core_a": mine_, "electrum_a": theirs}) == mine_
    with through(node, hide_one) as server:
        lied = opened(server.url, lambda found: found.read(held, addresses(node)))
    with pytest.raises(SourceMismatchError, match="the sources disagree"):
        agree_on_balances("litecoin", {"core_a": lied, "electrum_a": theirs})


def test_a_node_that_went_on_names_the_sources_that_answer_for_the_past(node: LitecoinNode) -> None:
    async def work(found: CoreReader) -> list[Balance]:
        return await found.read(await found.resolve(SECOND), addresses(node))

    with pytest.raises(SourceMismatchError, match="not of the snapshot block") as caught:
        opened(rpc_url(node), work)
    assert "dumptxoutset FILE rollback" in caught.value.next_step
    assert "Electrum" in caught.value.next_step


def test_a_wrong_password_is_a_configuration_error_that_does_not_show_it(node: LitecoinNode) -> None:
    with pytest.raises(ConfigError, match="401") as caught:
        opened(rpc_url(node).replace("sandbox:sandbox", "sandbox:wrong-password"), lambda found: found.check_network())
    assert "wrong-password" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


def test_a_height_that_does_not_exist_yet_has_no_hash(node: LitecoinNode) -> None:
    with pytest.raises(SourceMismatchError, match="has no block 100000"):
        opened(rpc_url(node), lambda found: found.block_hash(100_000))


def test_another_network_is_refused(node: LitecoinNode) -> None:
    other = replace(CHAIN, genesis="12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2")
    with pytest.raises(SourceMismatchError, match="genesis block is 530827f3"):
        opened(rpc_url(node), lambda found: found.check_network(), chain=other)


def test_a_moment_after_the_final_blocks_may_be_asked_for_again_later(node: LitecoinNode, held: SnapshotBlock) -> None:
    with pytest.raises(SourceBehindError, match="behind as_of"):
        opened(rpc_url(node), lambda found: found.resolve(SECOND))


@pytest.mark.parametrize("method", ["getblockhash", "getblockheader", "getblockcount"])
@pytest.mark.parametrize("result", ["", "00" * 80, "zz", 7.5, [], {"height": 1}, True])
def test_blocks_of_another_form_are_refused(node: LitecoinNode, method: str, result: Any) -> None:
    with through(node, lambda asked, told: result if asked == method else told) as server, pytest.raises(SourceMismatchError):
        opened(server.url, lambda found: found.resolve(SECOND))


# Scans, played in the documented form


SCRIPT = "76a914" + "11" * 20 + "88ac"
ADDRESS = address(bytes.fromhex(SCRIPT), LITECOIN.prefixes)
BLOCK = SnapshotBlock(chain="litecoin", height=150, hash="ab" * 32, time=SECOND, finality="6 confirmations", distance_seconds=0)


def unspent(number: int = 1, amount: Any = Decimal("0.10000001"), script: str = SCRIPT, height: int = 120) -> dict[str, Any]:
    return {
        "txid": f"{number:064x}",
        "vout": 0,
        "scriptPubKey": script,
        "desc": "raw()",
        "amount": amount,
        "coinbase": False,
        "height": height,
    }


def scan(*unspents: dict[str, Any], total: Any = None, **more: Any) -> dict[str, Any]:
    found = sum((item["amount"] for item in unspents), Decimal(0)) if total is None else total
    about = {"success": True, "txouts": 1000, "height": BLOCK.height, "bestblock": BLOCK.hash}
    return about | {"unspents": list(unspents), "total_amount": found} | more


def read_scan(result: Any) -> list[Balance]:
    with ScriptedServer(json_rpc({"scantxoutset": result})) as server:
        return opened(server.url, lambda found: found.read(BLOCK, [ADDRESS]))


@pytest.mark.parametrize(
    ("unspents", "expected"),
    [
        ([], 0),
        ([unspent()], 10_000_001),
        ([unspent(1), unspent(2, Decimal("0.2")), unspent(3, 3), unspent(4, Decimal("1E-8"))], 10_000_001 + 20_000_000 + 300_000_000 + 1),
        ([unspent(1, Decimal("123456789012345678.12345678"))], 12345678901234567812345678),
    ],
)
def test_fractions_of_coins_are_added_up_exactly(unspents: list[dict[str, Any]], expected: int) -> None:
    assert amounts(read_scan(scan(*unspents))) == [expected]


WRONG_SCANS = {
    "of another block": scan(bestblock="cd" * 32),
    "of another height": scan(height=151),
    "of another script": scan(unspent(script="76a914" + "22" * 20 + "88ac")),
    "with an output twice": scan(unspent(), unspent()),
    "with an output of a later block": scan(unspent(height=151)),
    "with a negative amount": scan(unspent(amount=Decimal("-0.1"))),
    "finer than a base unit": scan(unspent(amount=Decimal("0.000000001"))),
    "with an amount in words": scan(unspent(amount="0.1"), total=Decimal("0.1")),
    "with an amount of null": scan(unspent(amount=None), total=Decimal("0.1")),
    "with an amount that is true": scan(unspent(amount=True), total=1),
    "with an amount of endless digits": scan(unspent(amount=Decimal("1E+999")), total=Decimal("1E+999")),
    "with another total": scan(unspent(), total=Decimal("0.2")),
    "without a total": {key: value for key, value in scan().items() if key != "total_amount"},
    "without outputs": {key: value for key, value in scan().items() if key != "unspents"},
    "with outputs in an object": scan(total=0) | {"unspents": {}},
    "with outputs in a text": scan(total=0) | {"unspents": ""},
    "with outputs of null": scan(total=0) | {"unspents": None},
    "without ids": scan({key: value for key, value in unspent().items() if key != "txid"}),
    "a list": [],
    "a number": 0,
}


@pytest.mark.parametrize("wrong", WRONG_SCANS)
def test_a_wrong_scan_is_refused(wrong: str) -> None:
    with pytest.raises(SourceMismatchError, match="chain litecoin, source core_a"):
        read_scan(WRONG_SCANS[wrong])


def test_a_node_whose_tip_is_before_the_block_may_be_asked_again_later() -> None:
    with pytest.raises(SourceBehindError, match="its last block is 149, before the snapshot block 150"):
        read_scan(scan(height=149, bestblock="cd" * 32))


def test_an_amount_of_more_than_38_digits_is_refused() -> None:
    with pytest.raises(AmountError, match="at most 38"):
        read_scan(scan(unspent(amount=Decimal(10**31))))


def test_a_result_of_null_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="no result"):
        read_scan(None)


def refuse(code: int, message: str) -> Callable[[Any], Any]:
    def answer(_: Any) -> Any:
        raise RpcError(code, message)

    return answer


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuse(-8, 'Scan already in progress, use action "abort" or "status"'), SourceUnavailableError),
        (refuse(-28, "Loading block index…"), SourceUnavailableError),
        (scan(success=False), SourceUnavailableError),
        (refuse(-32601, "Method not found"), SourceMismatchError),
        (refuse(-5, "Invalid descriptor"), SourceMismatchError),
    ],
)
def test_a_refusal_is_tried_again_only_where_it_may_pass(answer: Any, kind: type[AssayError]) -> None:
    with pytest.raises(kind) as caught:
        read_scan(answer)
    assert caught.value.RETRYABLE is (kind is SourceUnavailableError)


@pytest.mark.parametrize(
    "answer", [Answer(status=503), cut_off(Answer(content=b"[" + b" " * 100)), Answer(content=b"[{"), Answer(delay=3)], ids=str
)
def test_a_node_that_does_not_answer_in_full_is_unavailable(answer: Answer) -> None:
    with ScriptedServer(lambda _: answer) as server, pytest.raises(SourceUnavailableError):
        opened(server.url, lambda found: found.read(BLOCK, [ADDRESS]), source=replace(SOURCE, timeout_seconds=1))


def test_a_node_cannot_tell_whether_an_address_was_used() -> None:
    with pytest.raises(ConfigError, match="cannot tell"):
        opened("http://127.0.0.1:1", lambda found: found.used(BLOCK, [ADDRESS]))
