"""EVM balances without proofs: archived as the publishing program's own reader archives them from a real anvil, and each way to say another thing."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from eth_utils import to_checksum_address

from assay.chains.evidence import EvidenceArchive, read_archive
from assay.chains.evm import EvmReader
from assay.chains.evm.abi import MULTICALL3
from assay.chains.interface import Balance, SnapshotBlock
from assay.config import Asset, Chain, Source, Token
from assay_verify.balances import verify
from assay_verify.findings import Exit
from sandbox.anvil import Anvil
from sandbox.evm_accounts import artifact
from tests.verifier.evidence_maker import HOLDERS, NOBODY, TOKEN, TOKEN_FACTS, Publication, run_token
from tests.verifier.test_balances_evm import counts, failures, row

ANSWERS = "ethereum/ethereum_a/balances-00000.jsonl.zst"
ASSETS = {
    "ETH": Asset(symbol="ETH", name="Ether", decimals=18),
    "USDT": Asset(symbol="USDT", name="Tether USD", decimals=8),
}
CHAIN = Chain(
    name="ethereum",
    family="evm",
    asset="ETH",
    chain_id=31337,
    finality="finalized",
    tokens={"USDT": Token(asset="USDT", contract=TOKEN, decimals=6, source="")},
)
SOURCE = Source(name="ethereum_a", kind="jsonrpc", connection="unused", batch_size=10)
ADDRESSES = [to_checksum_address(address) for address in (*HOLDERS, NOBODY)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Anvil, str]]:
    with Anvil(folder=tmp_path_factory.mktemp("anvil"), chain_id=31337) as started:
        yield started, run_token(started)


def published(node: Anvil, block_hash: str, folder: Path, *, proofs: bool, slot: int) -> Publication:
    """Return a publication of what the reader read and archived."""
    raw = node.call("eth_getBlockByHash", block_hash, False)
    time = datetime.fromtimestamp(int(raw["timestamp"], 16), UTC)
    block = SnapshotBlock(
        chain="ethereum", height=int(raw["number"], 16), hash=block_hash, time=time, finality="finalized", distance_seconds=0
    )
    token = replace(CHAIN.tokens["USDT"], balance_slot=slot, slot_layout="vyper")
    archive = EvidenceArchive("test")

    async def read() -> list[Balance]:
        chain = replace(CHAIN, proofs=proofs, tokens={"USDT": token})
        async with EvmReader(chain, SOURCE, assets=ASSETS, archive=archive, url=node.url) as reader:
            return await reader.read(block, ADDRESSES, prove=True)

    balances = asyncio.run(read())
    made = Publication()
    facts = TOKEN_FACTS | {"balance_slot": slot, "slot_note": "balances are shares"}
    made.chain(
        "ethereum",
        height=block.height,
        block_hash=block_hash,
        time=time,
        family="evm",
        asset="ETH",
        chain_id=31337,
        proofs=proofs,
        decimals={"ETH": 18, "USDT": 8},
        tokens={"USDT": facts},
    )
    made.add("ethereum/blocks/ethereum_a.jsonl.zst", "eth_getBlockByNumber", [raw["number"], False], raw)
    places = {}
    for digest, line in read_archive(archive.write(folder / "archive.jsonl.zst")):
        places[digest] = made.add(ANSWERS, line["method"], line["params"], line["result"])
    for balance in balances:
        made.balance("ethereum", balance.address, balance.asset, balance.amount, places[balance.evidence])
    return made


@pytest.fixture(scope="module")
def batched(node: tuple[Anvil, str], tmp_path_factory: pytest.TempPathFactory) -> Publication:
    return published(*node, tmp_path_factory.mktemp("batched"), proofs=False, slot=-1)


@pytest.fixture(scope="module")
def aggregated(node: tuple[Anvil, str], tmp_path_factory: pytest.TempPathFactory) -> Publication:
    anvil, _ = node
    anvil.call("anvil_setCode", MULTICALL3, artifact("multicall3")["runtime"])
    anvil.mine(datetime(2023, 2, 17, 15, 52, tzinfo=UTC))
    newest = anvil.call("eth_getBlockByNumber", "latest", False)["hash"]
    return published(anvil, newest, tmp_path_factory.mktemp("aggregated"), proofs=True, slot=-1)


def lines_of(made: Publication, *methods: str) -> list[list[Any]]:
    return [line for line in made.lines[ANSWERS] if line[0] in methods]


def test_a_chain_without_proofs_is_archived_and_says_what_its_batches_say(batched: Publication, tmp_path: Path) -> None:
    verified = verify(batched.write(tmp_path))
    assert failures(verified) == []
    assert counts(verified) == {"proven": 0, "archived": 2 * len(ADDRESSES), "failed": 0}
    assert row(batched, ADDRESSES[3], "USDT")["amount"] == 100 * 1003
    assert row(batched, ADDRESSES[-1], "USDT")["amount"] == 0


def test_a_token_without_a_plain_slot_is_archived_and_says_what_multicall3_said(aggregated: Publication, tmp_path: Path) -> None:
    verified = verify(aggregated.write(tmp_path))
    assert failures(verified) == []
    assert counts(verified) == {"proven": len(ADDRESSES), "archived": len(ADDRESSES), "failed": 0}
    assert {line[0] for line in lines_of(aggregated, "eth_call", "batch")} == {"eth_call"}
    assert any("balances are shares" in reason for reason in verified.chains[0].reasons)
    assert verified.findings.exit_code is Exit.HELD
    assert verify(tmp_path, required=["ethereum"]).findings.exit_code is Exit.FAILED


Edit = Callable[[Publication], None]


def _amount(by: int) -> Edit:
    def change(made: Publication) -> None:
        row(made, ADDRESSES[3], "USDT")["amount"] += by

    return change


def _others_line(made: Publication) -> None:
    row(made, ADDRESSES[0], "USDT").update(evidence=row(made, ADDRESSES[-1], "USDT")["evidence"], amount=0)


def _another_block(made: Publication) -> None:
    for line in lines_of(made, "eth_call"):
        line[1][1] = {"blockHash": "0x" + "12" * 32, "requireCanonical": True}
    for line in lines_of(made, "batch"):
        for call in line[1]:
            call[1] = [call[1][0], "latest"]


def _another_method(made: Publication) -> None:
    for line in lines_of(made, "eth_call", "batch"):
        line[0] = "eth_getStorageAt"


def _results(change: Callable[[Any], Any]) -> Edit:
    def edit(made: Publication) -> None:
        for line in lines_of(made, "eth_call", "batch"):
            line[2] = change(copy.deepcopy(line[2]))

    return edit


def _longer(result: Any) -> Any:
    return [*result, "0x0"] if isinstance(result, list) else result + "00" * 32


def _shorter(result: Any) -> Any:
    return result[:-1] if isinstance(result, list) else result[:-64]


def _failed_calls(result: Any) -> Any:
    """Let each call of Multicall3 say that it failed, or each one of a batch return nothing."""
    return ["0x" for _ in result] if isinstance(result, list) else result.replace(f"{1:064x}{64:064x}", f"{0:064x}{64:064x}")


def _later_state(made: Publication) -> None:
    row(made, ADDRESSES[3], "USDT").update(read_height=7000, read_time=made.blocks[0]["time"])


def _another_contract(made: Publication) -> None:
    made.facts["ethereum"]["tokens"] = {"USDT": made.facts["ethereum"]["tokens"]["USDT"] | {"contract": "0x" + "11" * 20}}


def _other_decimals(made: Publication) -> None:
    made.facts["ethereum"]["tokens"] = {"USDT": made.facts["ethereum"]["tokens"]["USDT"] | {"decimals": 7}}


LIES: list[tuple[Edit, str]] = [
    (_amount(1), "base units and the table says"),
    (_amount(-100), "base units and the table says"),
    (_others_line, "says nothing of this balance"),
    (_another_block, "was not asked for at the snapshot block"),
    (_another_method, "no question for balances"),
    (_results(_longer), "form of a batch|no list of calls"),
    (_results(_shorter), "form of a batch|no list of calls"),
    (_results(lambda _: None), "form of a batch|is not hexadecimal data"),
    (_results(lambda _: {}), "form of a batch|is not hexadecimal data"),
    (_results(_failed_calls), "is not a number in hexadecimal|a call that failed"),
    (_later_state, "said to be of a later state"),
    (_another_contract, "says nothing of this balance"),
    (_other_decimals, "base units and the table says"),
]


@pytest.mark.parametrize("name", ["batched", "aggregated"])
@pytest.mark.parametrize(("lie", "said"), LIES, ids=[f"{number}-{said[:24]}" for number, (_, said) in enumerate(LIES)])
def test_a_balance_that_its_answer_does_not_say_is_found(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, lie: Edit, said: str
) -> None:
    made: Publication = copy.deepcopy(request.getfixturevalue(name))
    lie(made)
    verified = verify(made.write(tmp_path))
    assert verified.findings.exit_code is Exit.FAILED
    assert any(part in failure for part in said.split("|") for failure in failures(verified)), failures(verified)


def _call_data(old: str, new: str) -> Edit:
    def change(made: Publication) -> None:
        for line in lines_of(made, "eth_call"):
            line[1][0] = line[1][0] | {"data": line[1][0]["data"].replace(old, new)}

    return change


def _to(address: str) -> Edit:
    def change(made: Publication) -> None:
        for line in lines_of(made, "eth_call"):
            line[1][0] = line[1][0] | {"to": address}

    return change


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (_call_data("70a08231", "18160ddd"), "asks for no balance"),  # totalSupply()
        (_call_data("82ad56cb", "bce38bd7"), "something else than Multicall3"),  # tryAggregate
        (_call_data(f"{96:064x}", f"{64:064x}"), "a call of another form"),
        (_to(TOKEN), "something else than Multicall3"),
    ],
)
def test_a_call_that_asks_for_something_else_is_no_evidence(aggregated: Publication, tmp_path: Path, lie: Edit, said: str) -> None:
    made = copy.deepcopy(aggregated)
    lie(made)
    verified = verify(made.write(tmp_path))
    assert counts(verified)["failed"] == len(ADDRESSES)
    assert any(said in failure for failure in failures(verified)), failures(verified)
