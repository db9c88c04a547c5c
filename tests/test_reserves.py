"""The steps of `reserve_snapshot` over real nodes: what they write, and that a lie, a reorganisation or a gap stops them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assay import reserves
from assay.chains.asking import HEALTH, Connect
from assay.chains.evidence import SUFFIX, EvidenceArchive, read_archive
from assay.chains.health import read_meters
from assay.config import Settings
from assay.errors import EvidenceError, RegistryError, SourceMismatchError, SourceUnavailableError
from assay.origin import Origin
from assay.replay import read_again
from sandbox.evm import EvmNode
from sandbox.scenario import SECOND, WalletPlan, wallets
from tests.chains.lying_proxy import Call, LyingProxy, tamper_results

TOKEN = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
PLANS = [plan for plan in wallets(litecoin=False) if plan.chain == "ethereum"][:40]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[EvmNode, EvmNode]]:
    """Two independent nodes with the same blocks; new for each test, because tests change them."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(EvmNode(folder=tmp_path / name, chain="ethereum", chain_id=1, plans=PLANS, token_contract=TOKEN))
            for name in ("a", "b")
        )
        yield first, second


@pytest.fixture
def settings(config_file: Path, nodes: tuple[EvmNode, EvmNode]) -> Settings:
    """The configuration of one chain with both nodes, and its wallets."""
    folder = config_file.parent / "registry"
    chains = (folder / "chains.toml").read_text()
    (folder / "chains.toml").write_text(chains[chains.index("[ethereum]") :])
    rows = [f"ethereum,{nodes[0].addresses[plan.index]},{plan.custody},{plan.encumbrance},w{plan.index}" for plan in PLANS]
    (folder / "wallets.csv").write_text("\n".join(["chain,address,custody,encumbrance,label", *rows]) + "\n")
    config_file.write_text("chunk_size = 15\n" + config_file.read_text())
    return Settings.load(config_file)


def connect_to(first: str, second: str) -> Connect:
    return lambda source, _: {"assay_ethereum_a": first, "assay_ethereum_b": second}[source.connection]


def read_all(settings: Settings, folder: Path, connect: Connect) -> tuple[list[Path], list[Path], Path]:
    registry = reserves.check_registry(settings, SECOND, folder.with_name(f"{folder.name}-registry"))
    chunks = reserves.resolve_block(settings, "ethereum", SECOND, registry, folder, connect=connect)
    reads = [
        reserves.read_chunk(settings, "ethereum", source, chunk, folder, connect=connect)
        for chunk in chunks
        for source in ("ethereum_a", "ethereum_b")
    ]
    return chunks, reads, registry


def planned(plan: WalletPlan) -> set[tuple[str, Decimal]]:
    return {(asset, Decimal(plan.second.get(asset, 0))) for asset in ("ETH", "USDT")}


def test_every_wallet_is_published_with_what_it_held_at_the_block(
    settings: Settings, nodes: tuple[EvmNode, EvmNode], tmp_path: Path
) -> None:
    connect = connect_to(nodes[0].url, nodes[1].url)
    chunks, reads, registry = read_all(settings, tmp_path / "raw", connect)
    assert len(chunks) == 3
    chain = reserves.agree(settings, "ethereum", chunks, reads, registry, tmp_path / "raw", connect=connect)
    folder = reserves.collect(settings, [chain], registry, tmp_path / "out")
    rows = pq.read_table(folder / "wallet_balances.parquet").to_pylist()
    for plan in PLANS:
        mine = {(row["asset"], row["amount"]) for row in rows if row["address"] == nodes[0].addresses[plan.index]}
        assert mine == planned(plan)
    (block,) = pq.read_table(folder / "snapshot_blocks.parquet").to_pylist()
    assert (block["sources_asked"], block["sources_agreed"]) == (2, 2)
    assert {row["block_hash"] for row in rows} == {block["hash"]}
    archived = {digest for path in (tmp_path / "raw").rglob(f"*{SUFFIX}") for digest, _ in read_archive(path)}
    assert {row["evidence"] for row in rows} <= archived


def test_reading_again_gives_the_same_files(settings: Settings, nodes: tuple[EvmNode, EvmNode], tmp_path: Path) -> None:
    connect = connect_to(nodes[0].url, nodes[1].url)
    for name in ("one", "two"):
        read_all(settings, tmp_path / name, connect)
    files = sorted(
        path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file() and path.parent.name != HEALTH
    )
    assert len(files) > 10
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path


def test_a_source_that_lies_about_one_balance_stops_the_chain_and_both_answers_are_named(
    settings: Settings, nodes: tuple[EvmNode, EvmNode], tmp_path: Path
) -> None:
    with LyingProxy(nodes[1].url, tamper_results(one_more)) as liar:
        connect = connect_to(nodes[0].url, liar.url)
        chunks, reads, registry = read_all(settings, tmp_path / "raw", connect)
        with pytest.raises(SourceMismatchError, match=r"ethereum_a says \d+, ethereum_b says \d+"):
            reserves.agree(settings, "ethereum", chunks, reads, registry, tmp_path / "raw", connect=connect)
    assert not (tmp_path / "raw" / "balances.parquet").exists()


def one_more(call: Call, answer: Call) -> Call:
    """Add one to the last byte of a Multicall3 answer, which is the last wallet's token balance; other calls pass."""
    result = answer.get("result")
    if call["method"] != "eth_call" or not result or len(result) <= 2 + 64:
        return answer
    return answer | {"result": result[:-2] + f"{(int(result[-2:], 16) + 1) % 256:02x}"}


def test_a_reorganisation_while_balances_were_read_stops_the_chain(
    settings: Settings, nodes: tuple[EvmNode, EvmNode], tmp_path: Path
) -> None:
    connect = connect_to(nodes[0].url, nodes[1].url)
    chunks, reads, registry = read_all(settings, tmp_path / "raw", connect)
    block = json.loads(chunks[0].read_text())["blocks"]["0"]
    for node in nodes:
        depth = int(node.call("eth_blockNumber"), 16) - block["height"] + 1
        node.call("anvil_reorg", depth, [])
    with pytest.raises(SourceMismatchError, match="reorganised during the run"):
        reserves.agree(settings, "ethereum", chunks, reads, registry, tmp_path / "raw", connect=connect)


def test_a_chunk_that_one_source_did_not_read_stops_the_chain(settings: Settings, nodes: tuple[EvmNode, EvmNode], tmp_path: Path) -> None:
    connect = connect_to(nodes[0].url, nodes[1].url)
    chunks, reads, registry = read_all(settings, tmp_path / "raw", connect)
    with pytest.raises(RegistryError, match="ethereum_b read 2 of 3 chunks"):
        reserves.agree(settings, "ethereum", chunks, reads[:-1], registry, tmp_path / "raw", connect=connect)


def test_a_wallet_without_a_balance_is_not_left_out_in_silence(settings: Settings, nodes: tuple[EvmNode, EvmNode], tmp_path: Path) -> None:
    connect = connect_to(nodes[0].url, nodes[1].url)
    chunks, reads, registry = read_all(settings, tmp_path / "raw", connect)
    chain = reserves.agree(settings, "ethereum", chunks, reads, registry, tmp_path / "raw", connect=connect)
    balances = pq.read_table(chain / "balances.parquet")
    pq.write_table(balances.slice(2), chain / "balances.parquet")
    with pytest.raises(RegistryError, match="was not read"):
        reserves.collect(settings, [chain], registry, tmp_path / "out")


def test_balances_come_out_the_same_from_the_archives_once_the_nodes_are_gone(
    settings: Settings, nodes: tuple[EvmNode, EvmNode], tmp_path: Path
) -> None:
    connect = connect_to(nodes[0].url, nodes[1].url)
    chunks, reads, registry = read_all(settings, tmp_path / "raw", connect)
    chain = reserves.agree(settings, "ethereum", chunks, reads, registry, tmp_path / "raw", connect=connect)
    for node in nodes:
        node.stop()
    origin = Origin(settings=settings, wallets=registry, liabilities=tmp_path, prices=tmp_path, revision=1, reason="")
    again = read_again(origin, "ethereum", tmp_path / "raw", tmp_path / "again")
    for name in ("balances", "offset_balances", "block"):
        assert (again / f"{name}.parquet").read_bytes() == (chain / f"{name}.parquet").read_bytes(), name
    offsets = pq.read_table(again / "offset_balances.parquet").column("offset_seconds").to_pylist()
    assert {offset: offsets.count(offset) for offset in offsets} == {-86_400: 80, 86_400: 80}


def test_an_altered_or_missing_archive_does_not_replay(settings: Settings, nodes: tuple[EvmNode, EvmNode], tmp_path: Path) -> None:
    connect = connect_to(nodes[0].url, nodes[1].url)
    chunks, reads, registry = read_all(settings, tmp_path / "raw", connect)
    reserves.agree(settings, "ethereum", chunks, reads, registry, tmp_path / "raw", connect=connect)
    origin = Origin(settings=settings, wallets=registry, liabilities=tmp_path, prices=tmp_path, revision=1, reason="")
    (archive,) = (tmp_path / "raw" / "ethereum_b").glob(f"balances-00001{SUFFIX}")
    kept = EvidenceArchive("")
    for _, exchange in read_archive(archive):
        if exchange["method"] != "eth_call":
            kept.record(exchange["method"], exchange["params"], exchange["result"])
    kept.write(archive)
    with pytest.raises(EvidenceError, match="holds no answer to eth_call"):
        read_again(origin, "ethereum", tmp_path / "raw", tmp_path / "again")
    archive.unlink()
    with pytest.raises(EvidenceError, match="not a readable archive"):
        read_again(origin, "ethereum", tmp_path / "raw", tmp_path / "again")


def test_every_disagreement_is_written_down_with_who_said_what(settings: Settings, nodes: tuple[EvmNode, EvmNode], tmp_path: Path) -> None:
    with LyingProxy(nodes[1].url, tamper_results(one_more)) as liar:
        connect = connect_to(nodes[0].url, liar.url)
        chunks, reads, registry = read_all(settings, tmp_path / "raw", connect)
        with pytest.raises(SourceMismatchError, match="and on 2 more balances"):
            reserves.agree(settings, "ethereum", chunks, reads, registry, tmp_path / "raw", connect=connect)
    with (tmp_path / "raw" / "disagreements.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["source"], row["other_source"], int(row["other_amount"]) - int(row["amount"])) for row in rows] == [
        ("ethereum_a", "ethereum_b", 1)
    ] * 3


def test_a_source_that_keeps_failing_is_left_alone_and_the_failures_are_counted(
    settings: Settings, nodes: tuple[EvmNode, EvmNode], tmp_path: Path
) -> None:
    connect = connect_to(nodes[0].url, "http://127.0.0.1:9")
    registry = reserves.check_registry(settings, SECOND, tmp_path / "registry")
    for _ in range(3):
        with pytest.raises(SourceUnavailableError, match="it cannot be reached"):
            reserves.resolve_block(settings, "ethereum", SECOND, registry, tmp_path / "raw", connect=connect)
    with pytest.raises(SourceUnavailableError, match="left alone"):
        reserves.resolve_block(settings, "ethereum", SECOND, registry, tmp_path / "raw", connect=connect)
    tries, failed, meter = read_meters(tmp_path / "raw" / HEALTH)["ethereum_b"]
    assert (tries, failed, meter.errors) == (3, 3, 3)
    shutil.rmtree(settings.lake / "raw" / "breakers")
    reserves.resolve_block(settings, "ethereum", SECOND, registry, tmp_path / "raw", connect=connect_to(nodes[0].url, nodes[1].url))
