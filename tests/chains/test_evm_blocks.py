"""Header hashes and the search for a block, without a node.

`evm_headers.json` holds blocks of public chains as their nodes gave them; that the fields give the hash shows that they are whole.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.answers import AnswerError
from assay.chains.evm.blocks import UNHASHED_CHAINS, header_hash, parse_header
from assay.chains.search import Header, last_at

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
GENESIS = {
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": EMPTY_ROOT,
    "receiptsRoot": EMPTY_ROOT,
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
}
"""Ethereum's first block."""


def test_the_hash_of_ethereums_first_block_is_recomputed_from_its_fields() -> None:
    assert header_hash(GENESIS, 1) == GENESIS["hash"]
    assert parse_header(GENESIS, chain_id=1, number=0).time == 0


def test_a_block_of_another_height_is_refused() -> None:
    with pytest.raises(AnswerError, match="block 7 was asked and block 0 was given"):
        parse_header(GENESIS, chain_id=1, number=7)


PUBLIC: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "evm_headers.json").read_text())


@pytest.mark.parametrize("name", PUBLIC)
def test_the_hash_of_public_blocks_is_recomputed_by_their_chains_rule(name: str) -> None:
    chain_id, raw = PUBLIC[name]["chain_id"], PUBLIC[name]["block"]
    header = parse_header(raw, chain_id=chain_id)
    assert header.hash == header_hash(raw, chain_id)
    for field in ("stateRoot", "timestamp", "gasUsed", *({"extDataHash", "blockGasCost", "requestsHash"} & set(raw))):
        altered = raw | {field: raw[field][:-1] + ("0" if raw[field][-1] != "0" else "1")}
        with pytest.raises(AnswerError, match="its fields give"):
            parse_header(altered, chain_id=chain_id)


def test_avalanche_blocks_are_not_hashed_by_ethereums_rule_nor_the_other_way_round() -> None:
    for name, entry in PUBLIC.items():
        with pytest.raises(AnswerError):
            parse_header(entry["block"], chain_id=1 if name.startswith("avalanche") else 43114)


def test_a_later_field_is_hashed_as_empty_where_one_after_it_is_there_and_left_out_where_none_is() -> None:
    with_gap = GENESIS | {"baseFeePerGas": "0x7", "requestsHash": "0x" + "11" * 32}
    empty = {"withdrawalsRoot": "0x", "blobGasUsed": "0x0", "excessBlobGas": "0x0", "parentBeaconBlockRoot": "0x"}
    assert header_hash(with_gap, 1) == header_hash(with_gap | empty, 1)
    assert header_hash(GENESIS | dict.fromkeys(empty), 1) == GENESIS["hash"]


@pytest.mark.parametrize("chain_id", sorted(UNHASHED_CHAINS))
def test_a_chain_that_hashes_something_else_takes_the_hash_from_the_source(chain_id: int) -> None:
    assert parse_header(GENESIS | {"hash": "0x" + "11" * 32}, chain_id=chain_id).hash == "0x" + "11" * 32
    with pytest.raises(AnswerError, match="its fields give"):
        parse_header(GENESIS | {"hash": "0x" + "11" * 32}, chain_id=1)


@pytest.mark.parametrize("name", sorted(GENESIS))
def test_a_block_without_one_of_its_fields_is_refused(name: str) -> None:
    with pytest.raises(AnswerError):
        parse_header({key: value for key, value in GENESIS.items() if key != name}, chain_id=1)


def headers(times: list[int]) -> list[Header]:
    return [
        Header(number=height, hash=f"0x{height:064x}", parent=f"0x{max(height - 1, 0):064x}", time=time, raw={})
        for height, time in enumerate(times)
    ]


def search(chain: list[Header], moment: int, top: int) -> tuple[tuple[Header, Header] | None, int]:
    asked = 0

    async def fetch(height: int) -> Header:
        nonlocal asked
        asked += 1
        return chain[height]

    return asyncio.run(last_at(moment, chain[top], fetch)), asked


@given(st.lists(st.integers(0, 50), min_size=2, max_size=60), st.data())
def test_the_search_finds_the_last_block_whatever_the_distances(gaps: list[int], draw: st.DataObject) -> None:
    times = [1000 + sum(gaps[: position + 1]) for position in range(len(gaps))]
    moment = draw.draw(st.integers(900, times[-1]))
    chain = headers([*times, times[-1] + 1])
    found, asked = search(chain, moment, len(chain) - 1)
    earlier = [height for height, time in enumerate(times) if time <= moment]
    assert asked <= 20
    if earlier:
        assert found == (chain[earlier[-1]], chain[earlier[-1] + 1])
    else:
        assert found is None


def test_a_month_back_on_a_long_chain_takes_few_questions_and_none_about_its_beginning() -> None:
    heights: set[int] = set()
    top = 18_000_000

    def header(height: int) -> Header:
        return Header(number=height, hash=str(height), parent=str(height - 1), time=12 * height + height % 3, raw={})

    async def fetch(height: int) -> Header:
        heights.add(height)
        return header(height)

    found = asyncio.run(last_at(12 * (top - 216_000), header(top), fetch))
    assert found is not None
    assert found[0].number in {top - 216_000, top - 216_001}
    assert len(heights) < 20
    assert min(heights) > top - 1_000_000


def test_neighbours_that_do_not_hang_together_are_refused() -> None:
    chain = headers([0, 10, 20])
    broken = [chain[0], chain[1], Header(number=2, hash="0x2", parent="0xother", time=20, raw={})]
    with pytest.raises(AnswerError, match="does not follow"):
        search(broken, 15, 2)


def test_times_that_go_backwards_are_refused() -> None:
    with pytest.raises(AnswerError, match="not between"):
        search(headers([0, 500, 600, 700, 90, 100]), 10, 5)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=2, max_size=40), st.data())
def test_heights_without_a_block_are_passed_over(steps: list[tuple[int, int]], draw: st.DataObject) -> None:
    chain: dict[int, Header] = {}
    height, time = 0, 1000
    for gap, distance in steps:
        chain[height] = Header(number=height, hash=f"0x{height:064x}", parent=f"0x{max(chain, default=0):064x}", time=time, raw={})
        height, time = height + distance, time + gap
    top = max(chain)
    moment = draw.draw(st.integers(990, chain[top].time - 1)) if chain[top].time > 990 else 990
    asked: list[int] = []

    async def fetch(wanted: int) -> Header:
        asked.append(wanted)
        return chain[max(number for number in chain if number <= wanted)]

    found = asyncio.run(last_at(moment, chain[top], fetch))
    earlier = [number for number, header in chain.items() if header.time <= moment]
    assert len(asked) <= 30
    if not earlier:
        assert found is None
    else:
        assert found is not None
        assert found[0].number == earlier[-1]
        assert found[1].number == min(number for number in chain if number > earlier[-1])
