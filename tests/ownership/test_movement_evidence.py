"""Movements checked from the evidence of a run alone, and everything that must not pass.

The evidence comes from real nodes. Blocks that no node would make are forged with roots and hashes that fit.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assay.chains.evidence import EvidenceArchive
from assay.config import Settings
from assay_verify import evm, evm_transactions, trie
from assay_verify.cli import main
from assay_verify.ownership import movement, movement_bitcoin, movement_evm
from assay_verify.ownership.checking import Refusal, TableRow, check_rows
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError
from assay_verify.ownership.movement import Moved
from assay_verify.ownership.tallies import Outcome
from sandbox.scenario import FIRST
from tests.ownership.movements import PLANS, Node, Published, establish


def test_the_verifier_finds_it_in_the_evidence_alone(published: Published) -> None:
    moved = published.shown()
    assert isinstance(moved, Moved), moved
    tally = published.check(moved)
    assert (tally.count(Outcome.VERIFIED), tally.failures) == (1, [])
    assert tally.schemes["movement"]["fresh"] == 1
    assert bool(moved.note) is (published.chain == "ethereum"), "of EVM chains not everything is proven"


def test_the_command_verifies_a_publication_with_a_movement_and_fails_without_its_evidence(
    published: Published, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = published.seal(settings, tmp_path / "raw")
    assert main(["ownership", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["outcomes"] == {**document["outcomes"], "verified": len(PLANS[published.chain]), "movement": 0}
    assert document["schemes"]["movement"]["fresh"] == 1
    assert any(said.startswith("For 1 addresses: whoever holds the key sent an amount to itself") for said in document["proven"])
    EvidenceArchive("nothing").write(folder / published.archive)
    published.seal(settings, tmp_path / "raw")
    assert main(["ownership", str(folder), "--json"]) == 1
    failures = json.loads(capsys.readouterr().out)["failures"]
    (failure,) = [item for item in failures if item["address"] == published.address]
    assert failure["outcome"] == "failed"
    assert "is not in the evidence" in failure["reason"]


def test_it_fails_for_another_report_amount_or_time(published: Published) -> None:
    moved = published.shown()
    assert isinstance(moved, Moved)
    asked = movement.parse(published.coin, published.row["message"])

    def said(moved: Moved, message: str = "", **names: str) -> str:
        (failure,) = published.check(moved, message, **names).failures
        return failure.reason

    assert "signed for the report Test Custodian" in said(moved, entity="Another")
    january = movement.announce(published.coin, replace(asked, as_of=f"{FIRST:%Y-%m-%dT%H:%M:%SZ}"), one_line=True)
    assert "signed for the report" in said(moved, january)
    other = movement.announce(published.coin, replace(asked, address="somebody"), one_line=True)
    assert "somebody" in said(moved, other)
    # The same report's text with another block designates another amount.
    later = movement.announce(published.coin, replace(asked, block_height=asked.block_height - 1), one_line=True)
    assert "base units were designated" in said(moved, later)
    assert "base units were designated" in said(replace(moved, amounts=(published.coin.base_units(asked) + 1,)))
    assert "not after block" in said(replace(moved, height=asked.block_height))
    assert "after the snapshot block" in said(replace(moved, height=published.block["height"] + 1))
    changed = published.row["message"].replace("amount: 0.00", "amount: 0.01")
    assert changed != published.row["message"]
    assert "follow from the other lines" in said(moved, changed)


def test_a_movement_without_its_publication_is_not_verified(published: Published) -> None:
    statement = Statement(
        coin=published.chain, address=published.address, message=published.row["message"], signatures=(published.row["signatures"],)
    )
    tally = check_rows(None, 1, [TableRow(published.chain, "movement", "movement", False, None, statement)])
    assert (tally.count(Outcome.MOVEMENT), tally.count(Outcome.VERIFIED)) == (1, 0)


def test_another_wallets_movement_and_an_unknown_one_are_refused(published: Published, nodes: dict[str, Node]) -> None:
    other = next(found for index, found in nodes[published.chain].addresses.items() if index == 22)
    refused = published.shown(address=other)
    assert isinstance(refused, Refusal)
    assert any(words in refused.reason for words in ("another address", "pays others", "address is another", "pays somebody else"))
    unknown = published.shown(transaction=("0x" if published.chain == "ethereum" else "") + "ab" * 32)
    assert isinstance(unknown, Refusal)
    assert "is not in the evidence" in unknown.reason


def test_no_line_of_the_evidence_can_be_left_out_or_changed(published: Published) -> None:
    exchanges = published.answers()
    rests = [line for line in exchanges if line[0] in movement_bitcoin.METHODS | movement_evm.METHODS and needed(published, line)]
    assert len(rests) >= 4
    for line in rests:
        others = [item for item in exchanges if item is not line]
        with pytest.raises(NotVerifiedError):
            establish(published, others)
    for line in rests:
        for altered in alterations(line[2]):
            with pytest.raises((NotVerifiedError, UnsupportedError)):
                establish(published, [(*line[:2], altered) if item is line else item for item in exchanges])


def needed(published: Published, line: tuple[str, Any, Any]) -> bool:
    """Tell whether the movement rests on a line: not on headers that were read for other reasons."""
    method, params, _ = line
    return method != "eth_getBlockByNumber" or params[1] is True or params[0] == hex(published.block["height"])


def alterations(result: Any) -> Iterator[Any]:
    """Yield the answer with one thing changed, at several places."""
    if isinstance(result, str):
        # Not in the middle, where witnesses are: no id covers them, and the block shows that they held.
        for place in (10, len(result) // 4, len(result) - 1):
            yield f"{result[:place]}{(int(result[place], 16) + 1) % 16:x}{result[place + 1 :]}"
        yield result[:-2]
        yield None
        return
    if isinstance(result, list):
        yield result[:-1]
        yield [result[0] | {"status": "0x0"}, *result[1:]]
        yield [result[0] | {"cumulativeGasUsed": "0x1"}, *result[1:]]
        return
    if result.get("transactions"):
        yield result | {"transactions": result["transactions"][:-1]}
        yield result | {"transactions": [*result["transactions"], result["transactions"][0]]}
        for name in ("value", "nonce", "to"):
            changed = copy.deepcopy(result)
            changed["transactions"][-1][name] = "0x" + "11" * (20 if name == "to" else 1)
            yield changed
    elif "stateRoot" in result:
        yield result | {"stateRoot": "0x" + "11" * 32}
    if "accountProof" in result:
        yield result | {"accountProof": result["accountProof"][:-1]}
    if "merkle" in result:
        yield result | {"pos": result["pos"] + 1}
        yield result | {"merkle": result["merkle"][:-1]}
        yield result | {"merkle": "nonsense"}


@pytest.mark.parametrize("chain", ["ethereum"], indirect=True)
def test_what_no_node_would_say_is_refused_though_roots_and_hashes_fit(published: Published) -> None:
    exchanges = published.answers()
    ((_, (height, _), block),) = [line for line in exchanges if line[0] == "eth_getBlockByNumber" and line[1][1] is True]
    ((_, _, receipts),) = [line for line in exchanges if line[0] == "eth_getBlockReceipts"]
    place = [item["hash"] for item in block["transactions"]].index(published.row["signatures"])

    def forged(new_receipts: list[Any], transactions: list[Any]) -> list[tuple[str, Any, Any]]:
        header = block | {
            "transactions": transactions,
            "transactionsRoot": "0x" + trie.list_root([evm_transactions.encoded(item) for item in transactions]).hex(),
            "receiptsRoot": "0x" + trie.list_root([evm_transactions.encoded_receipt(item) for item in new_receipts]).hex(),
        }
        header["hash"] = "0x" + evm._hash(header).hex()
        others = [line for line in exchanges if line[0] != "eth_getBlockReceipts" and line[2] is not block]
        return [*others, ("eth_getBlockByNumber", [height, True], header), ("eth_getBlockReceipts", [height], new_receipts)]

    assert establish(published, forged(receipts, block["transactions"]))
    reverted = [item | {"status": "0x0"} if number == place else item for number, item in enumerate(receipts)]
    with pytest.raises(NotVerifiedError, match="reverted"):
        establish(published, forged(reverted, block["transactions"]))
    unknown = [*block["transactions"], {"type": "0x68", "hash": "0x"}]
    with pytest.raises(UnsupportedError, match="type 0x68"):
        establish(
            published,
            [(method, params, block | {"transactions": unknown} if result is block else result) for method, params, result in exchanges],
        )
    bare = [line for line in exchanges if line[0] != "eth_getProof"]
    with pytest.raises(NotVerifiedError, match="eth_getProof"):
        establish(published, bare)
