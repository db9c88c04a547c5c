"""Balances of the Bitcoin family that rest on a scan, on a UTXO set or on Esplora's histories: archived, and never another amount than the answer's.

The lines are written from docs/formats/evidence.md; scans as `help scantxoutset` of Bitcoin Core describes them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bitcoinlib.encoding import pubkeyhash_to_addr_base58

from assay_verify.addresses import script_hash
from assay_verify.archives import Exchange
from assay_verify.balances import verify
from assay_verify.bitcoin_answers import said
from assay_verify.findings import Exit, MalformedError
from tests.verifier.evidence_maker import Publication
from tests.verifier.test_balances_evm import counts, failures

ANSWERS = "bitcoin/bitcoin_a/balances-00000.jsonl.zst"
BLOCK = "ab" * 32
KEYS = [bytes([number]) * 20 for number in range(1, 4)]
SCRIPTS = [b"\x76\xa9\x14" + key + b"\x88\xac" for key in KEYS]
ADDRESSES = [pubkeyhash_to_addr_base58(key, b"\x6f") for key in KEYS]


def coins(*amounts: int) -> list[list[Any]]:
    return [[f"{number:064x}", 0, 100, False, amount] for number, amount in enumerate(amounts)]


def listed(script: bytes, result: Any, **more: Any) -> list[Any]:
    return ["utxo_set_coins", {"block_hash": BLOCK, "hash_serialized_3": "cd" * 32, "script": script.hex()} | more, result]


def unspent(number: int, script: bytes, amount: Any) -> dict[str, Any]:
    return {"txid": f"{number:064x}", "vout": 1, "scriptPubKey": script.hex(), "amount": amount, "height": 100}


def scan(*unspents: dict[str, Any], **more: Any) -> list[Any]:
    params = ["start", [{"desc": f"raw({script.hex()})"} for script in SCRIPTS]]
    return ["scantxoutset", params, {"success": True, "height": 150, "bestblock": BLOCK, "unspents": list(unspents)} | more]


def publication(lines: list[list[Any]], amounts: list[int]) -> Publication:
    made = Publication()
    made.chain(
        "bitcoin",
        height=150,
        block_hash=BLOCK,
        time=datetime(2023, 2, 17, 15, 59, tzinfo=UTC),
        family="bitcoin",
        asset="BTC",
        network="regtest",
        decimals={"BTC": 8},
    )
    places = [made.add(ANSWERS, *line) for line in lines]
    for number, amount in enumerate(amounts):
        made.balance("bitcoin", ADDRESSES[number], "BTC", amount, places[min(number, len(places) - 1)])
    return made


def test_coins_of_utxo_sets_are_added_up(tmp_path: Path) -> None:
    lines = [listed(SCRIPTS[0], coins(5, 6)), listed(SCRIPTS[1], []), listed(SCRIPTS[2], coins(2**60))]
    verified = verify(publication(lines, [11, 0, 2**60]).write(tmp_path))
    assert failures(verified) == []
    assert counts(verified) == {"proven": 0, "archived": 3, "failed": 0}
    assert any("utxo_set_coins prove nothing" in reason for reason in verified.chains[0].reasons)
    assert verify(tmp_path, required=["bitcoin"]).findings.exit_code is Exit.FAILED


@pytest.mark.parametrize(("lines", "amounts"), [([listed(SCRIPTS[0], coins(5, 6))], [12]), ([listed(SCRIPTS[0], [])], [1])])
def test_another_amount_than_that_of_the_answer_is_found(tmp_path: Path, lines: list[list[Any]], amounts: list[int]) -> None:
    verified = verify(publication(lines, amounts).write(tmp_path))
    assert any("its evidence shows" in failure for failure in failures(verified))


def test_a_scan_of_many_scripts_is_added_up_exactly(tmp_path: Path) -> None:
    made = publication([scan()], [20_000_001, 0, 300_000_000])
    # Fractions cannot be written by the standard library's JSON without a float, so the archive is given as it would come.
    said_of = [(1, 0, Decimal("0.10000001")), (2, 0, Decimal("0.1")), (3, 2, 3)]
    exchange = Exchange(*scan(*(unspent(number, SCRIPTS[script], amount) for number, script, amount in said_of)), refused=False)
    assert [said(exchange, script, BLOCK) for script in SCRIPTS] == [20_000_001, 0, 300_000_000]
    assert counts(verify(made.write(tmp_path)))["failed"] == 2


def test_esploras_histories_are_archived_where_they_are_those_of_the_address(tmp_path: Path) -> None:
    def history(script: bytes) -> list[Any]:
        return [f"GET /scripthash/{script_hash(script)}/txs/chain", {}, {"status": 200, "body": []}]

    made = publication([history(SCRIPTS[0]), history(SCRIPTS[2])], [7, 7])
    verified = verify(made.write(tmp_path))
    assert counts(verified) == {"proven": 0, "archived": 1, "failed": 1}
    assert any("GET requests prove nothing" in reason for reason in verified.chains[0].reasons)
    assert any("no question for its balance" in failure for failure in failures(verified))


def test_a_balance_of_a_later_state_does_not_rest_on_a_scan(tmp_path: Path) -> None:
    made = publication([scan()], [0])
    made.rows[0].update(read_height=151, read_time=made.blocks[0]["time"])
    assert any("said to be of a later state" in failure for failure in failures(verify(made.write(tmp_path))))


MINE = unspent(1, SCRIPTS[0], 1)
WRONG: dict[str, tuple[list[Any], str]] = {
    "another script's coins": (listed(SCRIPTS[1], coins(1)), "another script's coins"),
    "another block's coins": (listed(SCRIPTS[0], coins(1), block_hash="00" * 32), "another block's coins"),
    "a coin twice": (listed(SCRIPTS[0], coins(1) * 2), "counts an output twice"),
    "a negative coin": (listed(SCRIPTS[0], coins(-1)), "lists what is no coin"),
    "a coin that is true": (listed(SCRIPTS[0], [["ab", 0, 1, False, True]]), "lists what is no coin"),
    "a coin in words": (listed(SCRIPTS[0], [["ab", 0, 1, False, "5"]]), "lists what is no coin"),
    "coins in an object": (listed(SCRIPTS[0], {}), "no list of coins"),
    "coins in a text": (listed(SCRIPTS[0], ""), "no list of coins"),
    "coins of null": (listed(SCRIPTS[0], None), "no list of coins"),
    "a scan for others": (["scantxoutset", ["start", [{"desc": f"raw({SCRIPTS[1].hex()})"}]], scan()[2]], "a scan for other scripts"),
    "a scan that was asked after": (["scantxoutset", ["status", scan()[1][1]], scan()[2]], "a scan for other scripts"),
    "a scan elsewhere": (scan(bestblock="00" * 32), "no whole scan at the snapshot block"),
    "half a scan": (scan(success=False), "no whole scan at the snapshot block"),
    "a scan in an object": (scan(unspents={}), "no list of coins"),
    "a scan with an output twice": (scan(MINE, MINE), "counts an output twice"),
    "a scan in words": (scan(unspent(1, SCRIPTS[0], "1")), "an amount that is none"),
    "a scan of true": (scan(unspent(1, SCRIPTS[0], True)), "an amount that is none"),
    "a negative scan": (scan(unspent(1, SCRIPTS[0], -1)), "an amount that is none"),
    "a scan in dust": (scan(unspent(1, SCRIPTS[0], Decimal("0.000000001"))), "finer than a base unit"),
    "a scan of endless digits": (scan(unspent(1, SCRIPTS[0], Decimal("1." + "1" * 120))), "not the form"),
    "a scan of nothing": (["scantxoutset", ["start"], None], "not the form"),
    "another question": (["getblockcount", [], 7], "no question for its balance"),
    "a set's facts": (["utxo_set", {"block_hash": BLOCK}, {"total_amount": 5}], "no question for its balance"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_line_that_does_not_say_the_balance_is_no_evidence(wrong: str) -> None:
    line, problem = WRONG[wrong]
    with pytest.raises(MalformedError, match=problem):
        said(Exchange(*line, refused=False), SCRIPTS[0], BLOCK)


@pytest.mark.parametrize("line", [listed(SCRIPTS[0], coins(1)), scan(MINE)])
def test_a_refusal_is_no_evidence(line: list[Any]) -> None:
    with pytest.raises(MalformedError, match="a refusal"):
        said(Exchange(*line, refused=True), SCRIPTS[0], BLOCK)
