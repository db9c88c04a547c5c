"""Contracts' words out of a publication's evidence: what was archived is what counts, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.chains.evidence import EvidenceArchive
from assay_verify.facts import Chain
from assay_verify.findings import MalformedError
from assay_verify.ownership import archived
from assay_verify.ownership.chain_state import ChainState, RevertedError
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified
from assay_verify.ownership.schemes import verify_for

WALLET = "0x5615dEB798BB3E4dFa0139dFa1b3D433Cc23b72f"
BLOCK = "0x" + "ab" * 32
OTHER = "0x" + "cd" * 32
MAGIC = "0x1626ba7e" + "00" * 28
CHAIN = Chain(
    name="ethereum", family="evm", asset="ETH", chain_id=1, network="", proofs=True, sources=("a", "b"), decimals={"ETH": 18}, tokens={}
)
STATEMENT = Statement(coin="ethereum", address=WALLET, message="a text", signatures=("0x" + "11" * 65,))


class Asked:
    """Contracts that note what they are asked, so that the archive can answer it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def call(self, _address: str, data: bytes, _block: str) -> bytes:
        self.calls.append("0x" + data.hex())
        return bytes(32)

    def code(self, _address: str, _block: str) -> bytes:
        return b"\x01"


def questions() -> list[str]:
    """Return the calls that the statement leads to: one a form of the text."""
    from assay_verify.ownership.chain_state import Contracts

    asked = Asked()
    with pytest.raises(NotVerifiedError):
        verify_for(STATEMENT, "evm", ChainState(contracts=Contracts(call=asked.call, code=asked.code, block_hash=BLOCK)))
    return [call for call in asked.calls if call.startswith("0x1626ba7e")]


def publish(folder: Path, answers: list[Any], *, block: str = BLOCK, code: str = "0x01") -> archived.ArchivedContracts:
    """Archive answers to the statement's questions in turn, an exception for a refusal, and read them back."""
    at = {"blockHash": block, "requireCanonical": True}
    archive = EvidenceArchive("x")
    archive.record("eth_getCode", [WALLET, at], code)
    for call, answer in zip(questions(), answers, strict=False):
        if answer is None:
            archive.record_error("eth_call", [{"to": WALLET, "data": call}, at], {"code": 3, "message": "reverted"})
        else:
            archive.record("eth_call", [{"to": WALLET, "data": call}, at], answer)
    archive.write(folder / archived.place(CHAIN))
    return archived.read(folder, CHAIN, BLOCK)


def judge(contracts: archived.ArchivedContracts) -> Verified:
    return verify_for(STATEMENT, "evm", ChainState(contracts=contracts.contracts()))


def test_what_the_contract_took_is_verified(tmp_path: Path) -> None:
    assert judge(publish(tmp_path, [MAGIC])).scheme == "eip1271"


def test_a_form_that_it_refused_gives_way_to_the_next(tmp_path: Path) -> None:
    assert judge(publish(tmp_path, [None, MAGIC])).scheme == "eip1271"


@pytest.mark.parametrize("answer", ["0x" + "00" * 32, "0x1626ba7f" + "00" * 28, MAGIC[:-2] + "01", "0x", MAGIC[:-2], MAGIC + "00"])
def test_any_other_answer_is_not_verified(tmp_path: Path, answer: str) -> None:
    with pytest.raises(NotVerifiedError):
        judge(publish(tmp_path, [answer] * len(questions())))


def test_a_contract_that_was_not_there_is_not_verified(tmp_path: Path) -> None:
    with pytest.raises(NotVerifiedError, match="no code at the block"):
        judge(publish(tmp_path, [MAGIC], code="0x"))


def test_what_is_not_in_the_evidence_is_never_taken_for_verified(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="not in the evidence"):
        judge(publish(tmp_path, []))
    with pytest.raises(UnsupportedError, match="not in the evidence"):
        judge(publish(tmp_path, [MAGIC], block=OTHER))


def test_a_refusal_is_told_from_an_answer(tmp_path: Path) -> None:
    contracts = publish(tmp_path, [None]).contracts()
    with pytest.raises(RevertedError):
        contracts.call(WALLET, bytes.fromhex(questions()[0][2:]), BLOCK)


@pytest.mark.parametrize("result", [None, 7, "1626", "0xzz", {"a": 1}])
def test_a_line_that_is_none_is_refused(tmp_path: Path, result: object) -> None:
    archive = EvidenceArchive("x")
    archive.record("eth_getCode", [WALLET, {"blockHash": BLOCK}], result)
    archive.write(tmp_path / archived.place(CHAIN))
    with pytest.raises(MalformedError, match="eth_getCode line"):
        archived.read(tmp_path, CHAIN, BLOCK)
