"""Balances of Bitcoin and Litecoin on mined regtest chains, and each way in which a publisher could lie about them.

Blocks are the sandbox's, whose consensus rules real node software checks elsewhere; histories, branches and header lines are worked out by the
test's own code. Every lie is well sealed: digests, references and manifest fit what was changed. Dash and Dogecoin are chains made by hand.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bitcoinlib.encoding import pubkeyhash_to_addr_base58

from assay_verify.balances import verify
from assay_verify.findings import Exit
from assay_verify.headers import scrypt
from assay_verify.verdicts import Verdict
from sandbox.bitcoin_blocks import BITCOIN, LITECOIN, mine
from sandbox.bitcoin_keys import sha256d
from sandbox.scenario import wallets
from tests.verifier.evidence_maker import Publication, bitcoin_publication, blocks_of, histories
from tests.verifier.test_balances_evm import counts, failures

Edit = Callable[[Publication], None]
ANSWERS, HEADERS = "bitcoin/bitcoin_a/balances-00000.jsonl.zst", "bitcoin/recheck/bitcoin_a.jsonl.zst"
WALLETS = 30


@pytest.fixture(scope="module")
def original() -> Publication:
    mined = mine(BITCOIN, [plan for plan in wallets(litecoin=False) if plan.chain == "bitcoin"][:WALLETS])
    blocks = blocks_of(mined)
    found, amounts = histories(mined, blocks, mined.snapshots[max(mined.snapshots)])
    return bitcoin_publication(mined, blocks, amounts, found)


@pytest.fixture
def made(original: Publication) -> Publication:
    return copy.deepcopy(original)


def lines_of(made: Publication, method: str, archive: str = ANSWERS) -> list[list[Any]]:
    return [line for line in made.lines[archive] if line[0] == method]


def history(made: Publication, number: int) -> list[Any]:
    """Return the history line of a row."""
    archive, place = made.rows[number]["evidence"]
    return made.lines[archive][place]


def spender(made: Publication) -> int:
    """Return the number of a row whose history has several transactions."""
    return next(number for number in range(len(made.rows)) if len(history(made, number)[2]) > 1 and made.rows[number]["amount"])


def test_every_balance_is_proven(made: Publication, tmp_path: Path) -> None:
    verified = verify(made.write(tmp_path), all_proven=True)
    assert failures(verified) == []
    assert counts(verified) == {"proven": WALLETS, "archived": 0, "failed": 0}
    assert verified.chains[0].tallies["BTC"].amounts[Verdict.PROVEN] == sum(item["amount"] for item in made.rows) > 0
    assert any("are linked" in note for note in verified.chains[0].notes)


def test_litecoin_is_proven_with_its_own_work(tmp_path: Path) -> None:
    mined = mine(LITECOIN, [plan for plan in wallets(litecoin=True) if plan.chain == "litecoin"][:8])
    blocks = blocks_of(mined)
    found, amounts = histories(mined, blocks, mined.snapshots[max(mined.snapshots)])
    made = bitcoin_publication(mined, blocks, amounts, found, name="litecoin")
    verified = verify(made.write(tmp_path / "whole"), all_proven=True)
    assert failures(verified) == []
    assert counts(verified)["proven"] == 8
    made.facts["litecoin"]["network"] = "regtest"
    assert verify(made.write(tmp_path / "as bitcoin")).findings.exit_code is Exit.FAILED


def _flipped(text: str, place: int) -> str:
    raw = bytearray.fromhex(text)
    raw[place] ^= 1
    return raw.hex()


def _raw_byte(place: int) -> Edit:
    def change(made: Publication) -> None:
        line = lines_of(made, "blockchain.transaction.get")[3]
        line[2] = _flipped(line[2], place)

    return change


def _branch(made: Publication) -> None:
    line = next(line for line in lines_of(made, "blockchain.transaction.get_merkle") if line[2]["merkle"])
    line[2]["merkle"][0] = _flipped(line[2]["merkle"][0], 5)


def _cut_branch(made: Publication) -> None:
    next(line for line in lines_of(made, "blockchain.transaction.get_merkle") if line[2]["merkle"])[2]["merkle"].pop()


def _position(made: Publication) -> None:
    line = next(line for line in lines_of(made, "blockchain.transaction.get_merkle") if line[2]["merkle"])
    line[2]["pos"] ^= 1


def _amount(made: Publication) -> None:
    made.rows[2]["amount"] += 1


def _entry_left_out(made: Publication) -> None:
    history(made, spender(made))[2].pop()


def _first_entry_left_out(made: Publication) -> None:
    history(made, spender(made))[2].pop(0)


def _entry_twice(made: Publication) -> None:
    history(made, 0)[2].append(history(made, 0)[2][0])


def _others_entry(made: Publication) -> None:
    known = {item["tx_hash"] for item in history(made, 0)[2]}
    history(made, 0)[2].append(next(item for item in history(made, 1)[2] + history(made, 2)[2] if item["tx_hash"] not in known))


def _empty_history(made: Publication) -> None:
    history(made, 0)[2].clear()


def _object(made: Publication) -> None:
    history(made, 0)[2] = {}
    made.rows[0]["amount"] = 0


def _text(made: Publication) -> None:
    history(made, 0)[2] = ""
    made.rows[0]["amount"] = 0


def _others_history(made: Publication) -> None:
    made.rows[0].update(evidence=made.rows[1]["evidence"], amount=made.rows[1]["amount"])


def _transaction_left_out(made: Publication) -> None:
    line = lines_of(made, "blockchain.transaction.get")[0]
    line[:] = ["blockchain.transaction.get", ["00" * 32], "00"]


def _other_transaction(made: Publication) -> None:
    lines = lines_of(made, "blockchain.transaction.get")
    lines[0][2] = lines[1][2] if lines[1][2] != lines[0][2] else lines[2][2]


def _other_header(made: Publication) -> None:
    lines = lines_of(made, "blockchain.block.header")
    lines[0][2] = next(line[2] for line in lines if line[2] != lines[0][2])


def _chain_header(place: int) -> Edit:
    def change(made: Publication) -> None:
        line = made.lines[HEADERS][2]
        line[2]["hex"] = _flipped(line[2]["hex"], 80 * 7 + place)

    return change


def _gap(made: Publication) -> None:
    made.lines[HEADERS].pop(2)


def _no_headers(made: Publication) -> None:
    made.lines[HEADERS].clear()


def _shorter_headers(made: Publication) -> None:
    made.lines[HEADERS][2][2]["hex"] = made.lines[HEADERS][2][2]["hex"][:-160]


def _other_snapshot(made: Publication) -> None:
    made.blocks[0]["hash"] = "00" * 32


def _other_height(made: Publication) -> None:
    made.blocks[0]["height"] -= 1


def _other_time(made: Publication) -> None:
    made.blocks[0]["time"] = datetime(2023, 2, 17, 15, 0, tzinfo=UTC)


def _beyond_the_block(made: Publication) -> None:
    history(made, 0)[2][0]["height"] = made.blocks[0]["height"] + 1


def _moved(made: Publication) -> None:
    history(made, 0)[2][0]["height"] -= 1


def _network(made: Publication) -> None:
    made.facts["bitcoin"]["network"] = "bitcoin"


def _decimals(made: Publication) -> None:
    made.facts["bitcoin"]["decimals"] = {"BTC": 10}


def _later_state(made: Publication) -> None:
    made.rows[0].update(read_height=1000, read_time=made.blocks[0]["time"])


def _digests_swapped(made: Publication) -> None:
    history(made, 0)[2][0]["evidence"].reverse()


def _token(made: Publication) -> None:
    made.facts["bitcoin"]["decimals"] = {"BTC": 8, "XYZ": 8}
    made.rows.append(made.rows[0] | {"asset": "XYZ"})


LIES: list[tuple[Edit, str]] = [
    *((_raw_byte(place), "transaction") for place in (0, 4, 20, 50, 90, -30, -1)),
    (_branch, "its Merkle branch does not lead to"),
    (_cut_branch, "Merkle branch"),
    (_position, "its Merkle branch does not lead to"),
    (_amount, "base units and the table says"),
    (_entry_left_out, "its evidence shows"),
    (_first_entry_left_out, "concerns it and is not listed"),
    (_entry_twice, "names a transaction twice"),
    (_others_entry, "is listed and does not concern it"),
    (_empty_history, "concerns it and is not listed"),
    (_object, "has not the form of a history"),
    (_text, "has not the form of a history"),
    (_others_history, "the history of another script"),
    (_transaction_left_out, "answer to another question"),
    (_other_transaction, "another transaction stands in its place"),
    (_other_header, "it is not linked to the snapshot block"),
    *((_chain_header(place), "bitcoin: header 2") for place in (0, 4, 40, 70)),
    (_gap, "it is not linked to the snapshot block"),
    (_no_headers, "it is not linked to the snapshot block"),
    (_shorter_headers, "not as many as were asked for"),
    (_other_snapshot, "it is not linked to the snapshot block"),
    (_other_height, "transactions up to the snapshot block"),
    (_other_time, "the median time past of the snapshot block"),
    (_beyond_the_block, "transactions up to the snapshot block"),
    (_moved, "transaction"),
    (_network, "is an address of another network"),
    (_decimals, "its evidence shows"),
    (_later_state, "said to be of a later state"),
    (_digests_swapped, "transaction"),
    (_token, "carries no tokens"),
]


@pytest.mark.parametrize(("lie", "said"), LIES, ids=[f"{number}-{lie.__name__}" for number, (lie, _) in enumerate(LIES)])
def test_a_well_sealed_lie_is_found(made: Publication, tmp_path: Path, lie: Edit, said: str) -> None:
    lie(made)
    verified = verify(made.write(tmp_path))
    assert verified.findings.exit_code is Exit.FAILED
    assert any(said in failure for failure in failures(verified)), failures(verified)


def test_a_spend_that_is_left_out_together_with_the_table_is_found_by_the_history_of_who_was_paid(
    made: Publication, tmp_path: Path
) -> None:
    """Two published wallets stand in one transaction: leaving it out for one of them contradicts the other."""
    shared = next(
        (number, item)
        for number in range(len(made.rows))
        for item in history(made, number)[2]
        if sum(item["tx_hash"] == other["tx_hash"] for row in range(len(made.rows)) for other in history(made, row)[2]) > 1
    )
    history(made, shared[0])[2].remove(shared[1])
    assert any("concerns it and is not listed" in failure for failure in failures(verify(made.write(tmp_path))))


def test_headers_without_the_work_that_they_claim_are_found(made: Publication, tmp_path: Path) -> None:
    line = made.lines[HEADERS][-1]
    raw = bytearray.fromhex(line[2]["hex"])
    raw[-8:-4] = 0x1D00FFFF.to_bytes(4, "little")
    line[2]["hex"] = raw.hex()
    made.blocks[0]["hash"] = sha256d(bytes(raw[-80:]))[::-1].hex()
    verified = verify(made.write(tmp_path))
    assert any("does not carry the work that it claims" in failure for failure in failures(verified))
    assert counts(verified)["proven"] == 0


def test_an_address_without_transactions_is_counted_apart(made: Publication, tmp_path: Path) -> None:
    from assay_verify.addresses import locking_script, script_hash

    address = pubkeyhash_to_addr_base58(b"\7" * 20, b"\x6f")
    place = made.add(ANSWERS, "blockchain.scripthash.get_history", [script_hash(locking_script("regtest", address))], [])
    made.balance("bitcoin", address, "BTC", 0, place)
    verified = verify(made.write(tmp_path))
    assert counts(verified)["proven"] == WALLETS + 1
    assert any("1 balances are zero because no transaction is listed" in note for note in verified.chains[0].notes)
    made.rows[-1]["amount"] = 5
    assert counts(verify(made.write(tmp_path)))["failed"] == 1


def by_hand(network: str, version: int, *, merged: bool = False) -> Publication:
    """Return a chain of 20 blocks with one transaction each; that of the eighth pays an address, that of the twelfth spends half of it."""
    key_hash, prefix = b"\5" * 20, {"dash_regtest": b"\x8c", "dogecoin_regtest": b"\x6f"}[network]
    script = b"\x76\xa9\x14" + key_hash + b"\x88\xac"

    def transaction(number: int, spent: bytes, value: int) -> bytes:
        body = b"\x01" + spent + b"\x01" + bytes([number]) + b"\xff" * 4 + b"\x01" + struct.pack("<q", value)
        payload = b"\x02\xaa\xbb" if version >> 16 else b""
        return struct.pack("<I", version) + body + bytes([len(script)]) + script + bytes(4) + payload

    raws, heads, previous = [], [], bytes(32)
    for number in range(20):
        spent = sha256d(raws[8]) + bytes(4) if number == 12 else bytes(32) + b"\xff" * 4
        raw = transaction(number, spent, {8: 1000, 12: 400}.get(number, 0)) if number in (8, 12) else bytes([number + 1]) * 80
        raws.append(raw)
        nonce = 0
        while True:
            flag = 0x620104 if merged else 4
            head = struct.pack("<I", flag) + previous + sha256d(raw) + struct.pack("<III", 1_600_000_000 + number, 0x207FFFFF, nonce)
            if int.from_bytes(scrypt(head), "little") <= 0x7FFFFF << 232:
                break
            nonce += 1
        heads.append(head)
        previous = sha256d(head)
    made, name = Publication(), network.partition("_")[0]
    made.chain(
        name,
        height=19,
        block_hash=sha256d(heads[19])[::-1].hex(),
        time=datetime.fromtimestamp(1_600_000_014, UTC),
        family="bitcoin",
        asset="X",
        network=network,
        decimals={"X": 8},
    )
    made.add(f"{name}/recheck/{name}_a.jsonl.zst", "blockchain.block.headers", [5, 15], {"hex": b"".join(heads[5:]).hex()})
    archive, entries = f"{name}/{name}_a/balances-00000.jsonl.zst", []
    for number in (8, 12):
        txid = sha256d(raws[number])[::-1].hex()
        tail = "00ff" if merged else ""  # what a server sends behind a merge-mined header
        places = [
            made.add(archive, "blockchain.transaction.get", [txid], raws[number].hex()),
            made.add(archive, "blockchain.transaction.get_merkle", [txid, number], {"block_height": number, "merkle": [], "pos": 0}),
            made.add(archive, "blockchain.block.header", [number], heads[number].hex() + tail),
        ]
        entries.append({"tx_hash": txid, "height": number, "evidence": places})
    from assay_verify.addresses import script_hash

    place = made.add(archive, "blockchain.scripthash.get_history", [script_hash(script)], entries)
    made.balance(name, pubkeyhash_to_addr_base58(key_hash, prefix), "X", 400, place)
    return made


@pytest.mark.parametrize("merged", [False, True])
def test_dogecoin_is_proven_and_work_of_other_chains_is_said_not_to_be_looked_at(tmp_path: Path, merged: bool) -> None:
    made = by_hand("dogecoin_regtest", 1, merged=merged)
    verified = verify(made.write(tmp_path), all_proven=True)
    assert failures(verified) == []
    assert any("15 headers were mined together" in note for note in verified.chains[0].notes) is merged


def test_dash_is_checked_as_far_as_it_can_be_and_not_called_proven(tmp_path: Path) -> None:
    made = by_hand("dash_regtest", 3 | 5 << 16)
    verified = verify(made.write(tmp_path / "whole"))
    assert failures(verified) == []
    assert counts(verified) == {"proven": 0, "archived": 1, "failed": 0}
    assert any("X11" in reason for reason in verified.chains[0].reasons)
    line = made.lines["dash/dash_a/balances-00000.jsonl.zst"][2]
    line[2] = _flipped(line[2], 40)
    assert counts(verify(made.write(tmp_path / "changed")))["failed"] == 1
