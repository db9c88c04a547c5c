"""Proofs of EVM balances, from real anvil nodes and from the archives of what they answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak

from assay.chains.evidence import EvidenceArchive, Tape, read_archive
from assay.chains.evm.proofs import slot_key
from assay.chains.interface import Balance, SnapshotBlock
from assay.config import Asset, Chain, Source, Token
from assay.errors import EvidenceError, SourceMismatchError
from sandbox.evm import EvmNode
from sandbox.scenario import SECOND
from tests.chains.evm_asking import (
    ABSENT,
    ASSETS,
    TOKENS,
    Recorded,
    ask,
    chain_of,
    newest,
    planned,
    proven_chain,
    read_proven,
    source_of,
    started,
    told,
)
from tests.chains.evm_contracts import proxy_code, put_balance, token_code
from tests.chains.lying_proxy import LyingProxy

CONTRACT = "0x00000000000000000000000000000000000C0DE1"
OTHER = "0x00000000000000000000000000000000000c0De2"
HOLDERS = [f"0x{number:040x}" for number in range(0xA0001, 0xA0008)]


@pytest.fixture(scope="module")
def ethereum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    yield from started(tmp_path_factory.mktemp("ethereum"), "ethereum")


@pytest.fixture(scope="module")
def arbitrum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    yield from started(tmp_path_factory.mktemp("arbitrum"), "arbitrum")


@pytest.fixture(scope="module")
def block(ethereum: EvmNode) -> SnapshotBlock:
    return ask(ethereum.url, lambda reader: reader.resolve(SECOND))


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[EvmNode]:
    with EvmNode(folder=tmp_path, chain="ethereum", chain_id=1, plans=[], token_contract=TOKENS["ethereum"]) as node:
        yield node


def evidence_of(archive: Recorded, balance: Balance) -> tuple[str, Any, Any]:
    return archive.exchanges[int(balance.evidence, 16) - 1]


# What is proven


@pytest.mark.parametrize("name", ["ethereum", "arbitrum"])
def test_all_wallets_are_proven_and_their_evidence_is_the_proof(request: pytest.FixtureRequest, name: str) -> None:
    node: EvmNode = request.getfixturevalue(name)
    at = ask(node.url, lambda reader: reader.resolve(SECOND), chain=proven_chain(name))
    archive, addresses = Recorded(), list(node.addresses.values())
    balances = read_proven(node.url, at, addresses, chain=proven_chain(name), archive=archive)
    assert told(balances) == planned(node, "second")
    named = {"blockHash": at.hash, "requireCanonical": True}
    for balance in balances:
        method, params, _ = evidence_of(archive, balance)
        assert method == "eth_getProof"
        assert params[2] == named
        if balance.asset == "ETH":
            assert params[:2] == [balance.address, []]
        else:
            assert params[0] == TOKENS[name]
            assert slot_key(balance.address, 1, "vyper") in params[1]
    (header,) = [result for method, params, result in archive.exchanges if method == "eth_getBlockByNumber"]
    assert header["hash"] == at.hash


def test_an_absent_account_and_an_empty_slot_are_zeros_with_a_proof(ethereum: EvmNode, block: SnapshotBlock) -> None:
    archive = Recorded()
    balances = read_proven(ethereum.url, block, [ABSENT], archive=archive)
    assert told(balances) == [(ABSENT, "ETH", 0), (ABSENT, "USDT", 0)]
    assert evidence_of(archive, balances[0])[2]["accountProof"]
    assert evidence_of(archive, balances[1])[2]["storageProof"][0]["proof"]


@pytest.mark.parametrize(
    ("kwargs", "prove"),
    [({"chain": chain_of("ethereum")}, True), ({"chain": proven_chain()}, False)],
    ids=["chain without proofs", "not asked"],
)
def test_nothing_is_proven_where_it_is_not_wanted(ethereum: EvmNode, block: SnapshotBlock, kwargs: dict[str, Any], prove: bool) -> None:
    archive = Recorded()
    balances = ask(ethereum.url, lambda reader: reader.read(block, [ABSENT], prove=prove), archive=archive, **kwargs)
    assert {evidence_of(archive, balance)[0] for balance in balances} == {"eth_call"}
    assert "eth_getProof" not in {method for method, _, _ in archive.exchanges}


def test_a_token_without_a_plain_slot_keeps_the_answer_as_its_evidence(ethereum: EvmNode, block: SnapshotBlock) -> None:
    archive = Recorded()
    chain = replace(chain_of("ethereum"), proofs=True)
    balances = read_proven(ethereum.url, block, list(ethereum.addresses.values())[:3], chain=chain, archive=archive)
    assert [evidence_of(archive, balance)[0] for balance in balances] == ["eth_getProof", "eth_call"] * 3


def test_no_wallets_need_no_proof(ethereum: EvmNode, block: SnapshotBlock) -> None:
    assert read_proven(ethereum.url, block, []) == []


def test_one_call_asks_no_more_slots_than_the_batch_size(ethereum: EvmNode, block: SnapshotBlock) -> None:
    archive, addresses = Recorded(), list(ethereum.addresses.values())
    read_proven(ethereum.url, block, addresses, archive=archive, source=source_of(batch_size=3))
    sizes = [len(params[1]) for method, params, _ in archive.exchanges if method == "eth_getProof" and params[1]]
    assert max(sizes) == 3
    assert sum(sizes) == len(addresses)


def test_nothing_is_proven_at_anvils_block_0_whose_state_root_is_not_that_of_its_state(bare: EvmNode) -> None:
    raw = bare.call("eth_getBlockByNumber", "0x0", False)
    at = SnapshotBlock(chain="ethereum", height=0, hash=raw["hash"], time=SECOND, finality="", distance_seconds=0)
    with pytest.raises(SourceMismatchError, match="its trie is empty"):
        read_proven(bare.url, at, [ABSENT], chain=chain_of("ethereum", proofs=True, tokens={}))


# Where tokens keep balances


def token_chain(decimals: int = 6, **slot: Any) -> Chain:
    return chain_of("ethereum", proofs=True, tokens={"USDT": Token(asset="USDT", contract=CONTRACT, decimals=decimals, source="", **slot)})


def settle(node: EvmNode) -> SnapshotBlock:
    node.mine_many(1, 12)
    return newest(node)


@pytest.mark.parametrize(
    ("position", "layout", "bits"),
    [
        (0, "solidity", 256),
        (9, "solidity", 255),
        (51, "solidity", 256),
        (3, "vyper", 256),
        (7, "vyper", 128),
        (2**255 + 5, "solidity", 256),
    ],
)
def test_balances_are_proven_wherever_the_contract_keeps_them(bare: EvmNode, position: int, layout: str, bits: int) -> None:
    bare.call("anvil_setCode", CONTRACT, token_code(position, layout=layout, bits=bits))
    flags = ((1 << 256) - 1) >> bits << bits  # all set
    amounts = {holder: 10**number for number, holder in enumerate(HOLDERS[:4])}
    for holder, amount in amounts.items():
        put_balance(bare, CONTRACT, holder, amount | flags, position, layout)
    put_balance(bare, CONTRACT, HOLDERS[4], flags, position, layout)
    at = settle(bare)
    archive = Recorded()
    chain = token_chain(balance_slot=position, slot_layout=layout, balance_bits=bits)
    balances = read_proven(bare.url, at, HOLDERS, chain=chain, archive=archive)
    assert {balance.address: balance.amount for balance in balances if balance.asset == "USDT"} == dict.fromkeys(HOLDERS, 0) | amounts
    assert {evidence_of(archive, balance)[0] for balance in balances} == {"eth_getProof"}
    if bits < 256:
        with pytest.raises(SourceMismatchError, match=f"USDT balance of {HOLDERS[0]}: it says 1 and proves"):
            read_proven(bare.url, at, HOLDERS, chain=token_chain(balance_slot=position, slot_layout=layout))


def test_a_proven_amount_is_scaled_like_the_amount_that_was_read(bare: EvmNode) -> None:
    bare.call("anvil_setCode", CONTRACT, token_code(decimals=6))
    put_balance(bare, CONTRACT, HOLDERS[0], 5, 0)
    assets = ASSETS | {"USDT": Asset(symbol="USDT", name="Tether USD", decimals=18)}
    balances = read_proven(bare.url, settle(bare), HOLDERS[:1], chain=token_chain(balance_slot=0), assets=assets)
    assert balances[1].amount == 5 * 10**12


def test_a_token_whose_whole_storage_is_empty_is_proven_empty(bare: EvmNode) -> None:
    bare.call("anvil_setCode", CONTRACT, token_code())
    balances = read_proven(bare.url, settle(bare), HOLDERS[:2], chain=token_chain(balance_slot=0))
    assert [balance.amount for balance in balances] == [0] * 4


def test_a_rebasing_token_is_refused_and_the_error_says_both_amounts(bare: EvmNode) -> None:
    bare.call("anvil_setCode", CONTRACT, token_code(times=2))
    put_balance(bare, CONTRACT, HOLDERS[1], 21, 0)
    with pytest.raises(SourceMismatchError, match=f"source node_a, USDT balance of {HOLDERS[1]}: it says 42 and proves 21 base units"):
        read_proven(bare.url, settle(bare), HOLDERS, chain=token_chain(balance_slot=0))


def test_a_proxy_is_proven_in_its_own_storage_until_an_upgrade_moves_the_balances(bare: EvmNode) -> None:
    bare.call("anvil_setCode", OTHER, token_code(4))
    bare.call("anvil_setCode", CONTRACT, proxy_code(OTHER))
    put_balance(bare, CONTRACT, HOLDERS[0], 77, 4)
    put_balance(bare, CONTRACT, HOLDERS[0], 78, 5)
    before = settle(bare)
    chain = token_chain(balance_slot=4)
    assert ask(bare.url, lambda reader: reader.check_assets(before), chain=chain) is None
    assert read_proven(bare.url, before, HOLDERS[:1], chain=chain)[1].amount == 77
    bare.mine_many(1, 12)
    bare.call("anvil_setCode", OTHER, token_code(5))
    with pytest.raises(SourceMismatchError, match="it says 78 and proves 77"):
        read_proven(bare.url, settle(bare), HOLDERS[:1], chain=chain)
    assert read_proven(bare.url, before, HOLDERS[:1], chain=chain)[1].amount == 77


# Archives


def recorded(node: EvmNode, at: SnapshotBlock, addresses: list[str], path: Path, *, prove: bool, source: Source) -> list[Balance]:
    archive = EvidenceArchive("node_a")
    with LyingProxy(node.url, lambda request, content: content) as proxy:
        balances = ask(
            proxy.url,
            lambda reader: reader.read(at, addresses, prove=prove),
            chain=proven_chain(node.chain),
            archive=archive,
            source=source,
        )
    archive.write(path)
    return balances


@pytest.mark.parametrize("prove", [False, True])
@pytest.mark.parametrize("name", ["ethereum", "arbitrum"])
def test_an_archive_gives_the_same_balances_and_digests_without_the_server(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, prove: bool
) -> None:
    node: EvmNode = request.getfixturevalue(name)
    at = ask(node.url, lambda reader: reader.resolve(SECOND), chain=proven_chain(name))
    addresses, source, path = [*node.addresses.values(), ABSENT], source_of(batch_size=7), tmp_path / "a.jsonl.zst"
    first = recorded(node, at, addresses, path, prove=prove, source=source)
    again = EvidenceArchive("tape")
    second = ask(
        f"tape:{path}", lambda reader: reader.read(at, addresses, prove=prove), chain=proven_chain(name), archive=again, source=source
    )
    assert second == first
    assert again.write(tmp_path / "b.jsonl.zst").read_bytes() == path.read_bytes()
    lines = dict(read_archive(path))
    methods = {lines[balance.evidence]["method"] for balance in first}
    assert methods == ({"eth_getProof"} if prove else {"eth_call" if name == "ethereum" else "batch"})


def test_an_archive_that_lacks_or_alters_a_proof_gives_no_balances(ethereum: EvmNode, block: SnapshotBlock, tmp_path: Path) -> None:
    addresses = list(ethereum.addresses.values())[:5]
    path = tmp_path / "a.jsonl.zst"
    balances = recorded(ethereum, block, addresses, path, prove=True, source=source_of())
    lines = dict(read_archive(path))
    gone, forged = EvidenceArchive("x"), EvidenceArchive("x")
    for digest, line in lines.items():
        if digest != balances[2].evidence:
            gone.record(line["method"], line["params"], line["result"])
        else:
            line["result"]["accountProof"][-1] = line["result"]["accountProof"][-2]
        forged.record(line["method"], line["params"], line["result"])
    for archive, kind in ((gone, EvidenceError), (forged, SourceMismatchError)):
        with pytest.raises(kind, match=addresses[1]):
            read_proven(f"tape:{archive.write(tmp_path / 'b.jsonl.zst')}", block, addresses)


def test_what_a_stranger_needs_stands_in_the_archive(ethereum: EvmNode, block: SnapshotBlock, tmp_path: Path) -> None:
    """Follow one balance by hand: digest, line, leaf, header."""
    address = ethereum.addresses[0]
    path = tmp_path / "a.jsonl.zst"
    balances = recorded(ethereum, block, [address], path, prove=True, source=source_of())
    lines = dict(read_archive(path))
    proof = lines[balances[0].evidence]["result"]["accountProof"]
    header = Tape(path).answer("eth_getBlockByNumber", [hex(block.height), False])
    assert header["hash"] == block.hash
    assert keccak(bytes.fromhex(proof[0][2:])).hex() == header["stateRoot"][2:]
    assert f"{balances[0].amount:x}" in proof[-1]
    assert json.dumps(lines[balances[1].evidence]["params"][1]) == json.dumps([slot_key(address, 1, "vyper")])
