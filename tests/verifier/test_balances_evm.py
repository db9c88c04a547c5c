"""EVM balances by EIP-1186 proofs that a real anvil gave, and each way in which a publisher could lie about them.

Every lie is one that its teller sealed well: digests, references and manifest fit what was changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_utils import to_checksum_address
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay_verify import evm
from assay_verify.balances import VerifiedBalances, verify
from assay_verify.findings import Exit, MalformedError
from assay_verify.verdicts import Verdict
from sandbox.anvil import Anvil
from tests.verifier.evidence_maker import HOLDERS, NOBODY, Publication, evm_publication, run_token

Edit = Callable[[Publication], None]
ANSWERS, BLOCKS = "ethereum/ethereum_a/balances-00000.jsonl.zst", "ethereum/blocks/ethereum_a.jsonl.zst"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with Anvil(folder=tmp_path_factory.mktemp("anvil"), chain_id=31337) as started:
        yield started


@pytest.fixture(scope="module")
def original(node: Anvil) -> Publication:
    return evm_publication(node, run_token(node))


@pytest.fixture
def made(original: Publication) -> Publication:
    return copy.deepcopy(original)


def counts(verified: VerifiedBalances) -> dict[str, int]:
    return {verdict.value: sum(record.count(verdict) for record in verified.chains) for verdict in Verdict}


def failures(verified: VerifiedBalances) -> list[str]:
    return [failure for check in verified.findings.checks for failure in check.failures]


def row(made: Publication, address: str, asset: str) -> dict[str, Any]:
    return next(item for item in made.rows if (item["address"], item["asset"]) == (address, asset))


def test_every_balance_is_proven_and_so_is_that_somebody_has_none(made: Publication, tmp_path: Path) -> None:
    verified = verify(made.write(tmp_path), all_proven=True)
    assert failures(verified) == []
    assert verified.findings.exit_code is Exit.HELD
    assert counts(verified) == {"proven": 2 * len(HOLDERS) + 2, "archived": 0, "failed": 0}
    tallies = verified.chains[0].tallies
    assert tallies["ETH"].amounts[Verdict.PROVEN] == 12 * 10**18 + 66
    assert tallies["USDT"].amounts[Verdict.PROVEN] == 100 * (12_000 + 66)  # six decimals on the chain, eight in the tables
    assert row(made, NOBODY, "ETH")["amount"] == row(made, NOBODY, "USDT")["amount"] == 0


def flip(text: str, place: int = -1) -> str:
    """Change one digit of hexadecimal data."""
    digits = list(text)
    digits[place] = "0" if digits[place] != "0" else "1"
    return "".join(digits)


def _account_node(made: Publication) -> None:
    proof = made.lines[ANSWERS][0][2]["accountProof"]
    proof[-1] = flip(proof[-1], -40)


def _storage_node(made: Publication) -> None:
    proof = made.lines[ANSWERS][-1][2]["storageProof"][0]["proof"]
    proof[-1] = flip(proof[-1])


def _cut_proof(made: Publication) -> None:
    made.lines[ANSWERS][0][2]["accountProof"].pop()


def _longer_proof(made: Publication) -> None:
    made.lines[ANSWERS][0][2]["accountProof"].append("0x80")


def _amount(made: Publication) -> None:
    row(made, HOLDERS[3], "USDT")["amount"] += 100


def _small_amount(made: Publication) -> None:
    row(made, HOLDERS[3], "ETH")["amount"] -= 1


def _zero_becomes_something(made: Publication) -> None:
    row(made, NOBODY, "ETH")["amount"] = 1


def _token(**facts: Any) -> Edit:
    def change(made: Publication) -> None:
        made.facts["ethereum"]["tokens"] = {"USDT": made.facts["ethereum"]["tokens"]["USDT"] | facts}

    return change


def _decimals(made: Publication) -> None:
    made.facts["ethereum"]["decimals"] = {"ETH": 18, "USDT": 9}


def _rows_decimals(made: Publication) -> None:
    row(made, HOLDERS[0], "USDT")["decimals"] = 7


def _native_decimals(made: Publication) -> None:
    made.facts["ethereum"]["decimals"] = {"ETH": 20, "USDT": 8}


def _others_evidence(made: Publication) -> None:
    row(made, HOLDERS[0], "ETH")["evidence"] = row(made, HOLDERS[1], "ETH")["evidence"]
    row(made, HOLDERS[0], "ETH")["amount"] = row(made, HOLDERS[1], "ETH")["amount"]


def _no_evidence(made: Publication) -> None:
    row(made, HOLDERS[0], "ETH")["evidence"] = "ab" * 32


def _answer_in_the_place_of_a_proof(made: Publication) -> None:
    place = made.add(ANSWERS, "eth_getBalance", [HOLDERS[0], "latest"], "0xffffffffffffffff")
    row(made, HOLDERS[0], "ETH").update(evidence=place, amount=0xFFFFFFFFFFFFFFFF)


def _twice(made: Publication) -> None:
    other = row(made, HOLDERS[0], "ETH")
    made.rows.append(other | {"address": to_checksum_address(HOLDERS[0])})


def _another_block(made: Publication) -> None:
    row(made, HOLDERS[0], "ETH")["block_height"] = 0


def _later_state(made: Publication) -> None:
    row(made, HOLDERS[0], "ETH").update(read_height=7, read_time=made.blocks[0]["time"])


def _key_left_out(made: Publication) -> None:
    line = made.lines[ANSWERS][-1]
    line[1][1].pop(0)
    line[2]["storageProof"].pop(0)


def _no_list(made: Publication) -> None:
    made.lines[ANSWERS][0][2] = None


def _no_header(made: Publication) -> None:
    made.lines[BLOCKS].clear()


def _unknown_family(made: Publication) -> None:
    made.facts["ethereum"]["family"] = "mars"


def _unknown_chain(made: Publication) -> None:
    made.facts["other"] = made.facts.pop("ethereum") | {"decimals": {"ETH": 18, "USDT": 8}}


LIES: list[tuple[Edit, str]] = [
    (_account_node, "has not the hash that the node before says"),
    (_storage_node, "has not the hash that"),
    (_cut_proof, "ends before the value"),
    (_longer_proof, "nodes that lead nowhere"),
    (_amount, "its evidence shows 100300 base units and the table says 100400"),
    (_small_amount, "its evidence shows 1000000000000000003 base units and the table says 1000000000000000002"),
    (_zero_becomes_something, "its evidence shows 0 base units and the table says 1"),
    (_token(balance_slot=2), "holds no proof of the slot"),
    (_token(slot_layout="solidity"), "holds no proof of the slot"),
    (_token(balance_bits=3), "its evidence shows"),
    (_token(contract="0x" + "11" * 20), "a proof of another contract"),
    (_token(balance_slot=-1), "names no slot"),
    (_token(decimals=7), "its evidence shows 10000 base units and the table says 100000"),
    (_token(decimals=12), "has fewer decimals than on the chain"),
    (_decimals, "its evidence shows 1000000 base units and the table says 100000"),
    (_native_decimals, "its evidence shows"),
    (_rows_decimals, "it is counted in 7 decimals"),
    (_others_evidence, "a proof of another account"),
    (_no_evidence, "is in no archive of the chain"),
    (_answer_in_the_place_of_a_proof, "should be a proof"),
    (_twice, "another spelling of the address"),
    (_another_block, "another block than its chain's snapshot block"),
    (_later_state, "said to be of a later state"),
    (_key_left_out, "holds no proof of the slot"),
    (_no_list, "has not the form of an answer to eth_getProof"),
    (_no_header, "no archived header has the hash of the snapshot block"),
]


@pytest.mark.parametrize(("lie", "said"), LIES, ids=[f"{lie.__name__}-{said[:24]}" for lie, said in LIES])
def test_a_well_sealed_lie_is_found(made: Publication, tmp_path: Path, lie: Edit, said: str) -> None:
    lie(made)
    verified = verify(made.write(tmp_path))
    assert verified.findings.exit_code is Exit.FAILED
    assert counts(verified)["failed"] >= 1
    assert any(said in failure for failure in failures(verified)), failures(verified)


def test_an_asset_that_was_left_out_of_a_wallet_is_found(made: Publication, tmp_path: Path) -> None:
    made.rows.remove(row(made, HOLDERS[3], "USDT"))
    verified = verify(made.write(tmp_path))
    assert verified.findings.exit_code is Exit.FAILED
    assert failures(verified) == [f"ethereum {HOLDERS[3]}: it has no row for USDT, and zeros have rows as well"]


@pytest.mark.parametrize(("lie", "said"), [(_unknown_family, "family 'mars'"), (_unknown_chain, "does not name it")])
def test_unknown_families_and_chains_are_not_passed_over(made: Publication, tmp_path: Path, lie: Edit, said: str) -> None:
    folder = made.write(tmp_path)
    lie(made)
    from tests.verifier.evidence_maker import rfc8785, seal

    (folder / "evidence" / "chains.json").write_bytes(rfc8785.dumps(made.facts))
    seal(folder)
    verified = verify(folder)
    assert verified.findings.exit_code is Exit.FAILED
    assert any(said in failure for failure in failures(verified)), failures(verified)


def test_every_field_of_the_header_is_part_of_its_hash(made: Publication, tmp_path: Path) -> None:
    raw = made.lines[BLOCKS][0][2]
    unhashed = {"size", "transactions", "uncles", "withdrawals", "totalDifficulty", "hash"}
    tried = 0
    for name, value in sorted(raw.items()):
        if name not in unhashed and isinstance(value, str) and value != "0x":
            with pytest.raises(MalformedError):
                evm.header(raw | {name: flip(value, 2 if len(value) < 20 else -1)}, raw["hash"])
            if int(value, 16):  # a missing field before others is hashed as a zero is
                with pytest.raises(MalformedError):
                    evm.header({key: item for key, item in raw.items() if key != name}, raw["hash"])
            tried += 1
    assert tried >= 20


@pytest.mark.parametrize("name", ["stateRoot", "timestamp", "number", "gasUsed", "extraData"])
def test_a_changed_header_proves_nothing(made: Publication, tmp_path: Path, name: str) -> None:
    raw = made.lines[BLOCKS][0][2]
    raw[name] = {"stateRoot": flip(raw["stateRoot"]), "extraData": "0x01"}.get(name) or hex(int(raw[name], 16) + 1)
    verified = verify(made.write(tmp_path))
    assert counts(verified)["proven"] == 0
    assert any("its fields have another hash" in failure for failure in failures(verified))


def test_a_changed_header_is_a_failure_even_beside_a_whole_one(made: Publication, tmp_path: Path) -> None:
    raw = made.lines[BLOCKS][0][2]
    made.add("ethereum/blocks/ethereum_b.jsonl.zst", "eth_getBlockByNumber", ["0x1", False], raw | {"stateRoot": flip(raw["stateRoot"])})
    verified = verify(made.write(tmp_path))
    assert counts(verified)["failed"] == 0
    assert verified.findings.exit_code is Exit.FAILED


def test_a_header_with_unknown_fields_is_not_proven_and_says_why(made: Publication, tmp_path: Path) -> None:
    made.lines[BLOCKS][0][2]["mysteryRoot"] = "0x01"
    made.lines[BLOCKS][0][2]["gasUsed"] = "0x1"
    verified = verify(made.write(tmp_path))
    assert counts(verified) == {"proven": 0, "archived": 2 * len(HOLDERS) + 2, "failed": 0}
    assert any("mysteryRoot" in reason for reason in verified.chains[0].reasons)
    assert verify(tmp_path, all_proven=True).findings.exit_code is Exit.FAILED


@pytest.mark.parametrize("source", ["a", "0"], ids=["after", "before"])
def test_a_header_with_unknown_fields_beside_a_whole_one_is_a_lie_and_takes_nothing_away(
    made: Publication, tmp_path: Path, source: str
) -> None:
    raw = made.lines[BLOCKS][0][2]
    forged = raw | {"mysteryRoot": "0x01", "stateRoot": flip(raw["stateRoot"])}
    made.add(f"ethereum/recheck/ethereum_{source}.jsonl.zst", "eth_getBlockByNumber", ["0x1", False], forged)
    made.add(f"ethereum/blocks/ethereum_{source}0.jsonl.zst", "eth_getBlockByNumber", ["0x1", False], forged)
    verified = verify(made.write(tmp_path))
    assert counts(verified) == {"proven": 2 * len(HOLDERS) + 2, "archived": 0, "failed": 0}
    assert verified.findings.exit_code is Exit.FAILED
    assert any("another line has a whole header" in failure for failure in failures(verified)), failures(verified)


def test_of_a_header_with_unknown_fields_a_proof_must_still_lead_to_its_root(made: Publication, tmp_path: Path) -> None:
    made.lines[BLOCKS][0][2].update(mysteryRoot="0x01", stateRoot="0x" + "12" * 32)
    assert counts(verify(made.write(tmp_path)))["archived"] == 0


def test_the_header_of_a_real_avalanche_block_has_its_hash() -> None:
    verified = evm.header(AVALANCHE, AVALANCHE["hash"])
    assert (verified.number, verified.avalanche) == (30806757, True)
    with pytest.raises(MalformedError):
        evm.header(AVALANCHE | {"extDataGasUsed": "0x1"}, AVALANCHE["hash"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_digit_anywhere_in_a_proof_is_found(original: Publication, data: st.DataObject) -> None:
    block = next(item for item in original.blocks if item["chain"] == "ethereum")
    header = evm.header(original.lines[BLOCKS][0][2], block["hash"])
    number = data.draw(st.integers(0, len(HOLDERS)))
    _, params, answer = original.lines[ANSWERS][number]
    proof = list(answer["accountProof"])
    node = data.draw(st.integers(0, len(proof) - 1))
    place = data.draw(st.integers(2, len(proof[node]) - 1))
    proof[node] = flip(proof[node], place)
    with pytest.raises(MalformedError):
        evm.account(header, params[0], proof)


# Block 30,806,757 of Avalanche's C-Chain, as its servers give it.
AVALANCHE = {
    "baseFeePerGas": "0x5d21dba00",
    "blockExtraData": "0x",
    "blockGasCost": "0x61a80",
    "difficulty": "0x1",
    "extDataGasUsed": "0x0",
    "extDataHash": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "extraData": "0x000000000000000000000000004cf11400000000002a658c00000000000000000000000000000000000000000018f890000000000025b806"
    "00000000000d161100000000000000000000000000000000",
    "gasLimit": "0xe4e1c0",
    "gasUsed": "0x2c5572",
    "hash": "0x746540c469f195d7e44d124abcf406b7bd1ea8863eba18783dcd54791862e506",
    "logsBloom": "0x000002400000001800200028000800a10003400400002100200020020020025010004000404020430250040004180011010000040001"
    "000201b04200002034000441c000080800020c00000c00400009c08020000042000800020000c0880a000204009982000c010040800000"
    "a0180800000000088a54000200001140800021000240040400100008000005400048001000001128000011000000801002000002044040"
    "60006a00a00400044000000004200010011841000401802000010050808010020402080000000101011000100006004040000481840100"
    "0202003000101080040000040400890401204800201220010000120042a10100000a400140",
    "miner": "0x0100000000000000000000000000000000000000",
    "mixHash": "0x" + "0" * 64,
    "nonce": "0x0000000000000000",
    "number": "0x1d612e5",
    "parentHash": "0xcba4335f04ed5b7a74f1199ec9eb80443dd798928a0fdd7a72bde5dbc218309a",
    "receiptsRoot": "0xddf770d794d2e146de33f3d35dc71658ab82287425c33f637ddf4c273dfd242f",
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "size": "0x2358",
    "stateRoot": "0xb1f578c894cf567bac5074e3cf48532b1ad79fbfd758c8962e630dfad6c9e064",
    "timestamp": "0x6479af6d",
    "totalDifficulty": "0x1d612e5",
    "transactions": [],
    "transactionsRoot": "0x0133259bccb93f74041ebec5a24cb323f9351f2779a4c5b6ae8530d9c3a9f4c0",
    "uncles": [],
}
