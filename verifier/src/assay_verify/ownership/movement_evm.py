"""Movements on EVM chains: what an account's own transaction sent, and that it stands in a block and was carried out.

The sender is recovered from the transaction's signature. All transactions and all receipts of its block are there, so that both roots of the header
are computed, and the header has the block's hash. Headers from there to the snapshot block would be tens of thousands: that the block is of the
snapshot block's chain is what the sources said, all of them alike. Where the chain's balances are proven, the account's proof at the snapshot
block shows that it had sent as many transactions by then.

Accounts with a key only: a contract sends nothing of its own accord, and signs by EIP-1271 or through its owners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay_verify import evm, trie
from assay_verify import evm_transactions as encoding
from assay_verify.digests import keccak256
from assay_verify.findings import MalformedError, require
from assay_verify.ownership.evm import account_of, require_account
from assay_verify.ownership.interface import NotVerifiedError, UnsupportedError
from assay_verify.ownership.movement import Moved
from assay_verify.ownership.movement_evidence import Answers

BLOCK, RECEIPTS, PROOF = "eth_getBlockByNumber", "eth_getBlockReceipts", "eth_getProof"
METHODS = frozenset({BLOCK, RECEIPTS, PROOF})
NOTE = "that the blocks of the movement and of its announcement are of the snapshot block's chain is the sources' word, all of them alike"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The chain at its snapshot block.

    Attributes:
        chain_id: EIP-155.
        height: Of the block.
        block_hash: Of the block.
        proofs: Whether accounts are proven by its state root.
    """

    chain_id: int
    height: int
    block_hash: str
    proofs: bool


def establish(answers: Answers, snapshot: Snapshot, address: str, txid: str) -> Moved:
    """Return what a transaction moved within an address.

    Args:
        answers: With the transaction's block and all its receipts, and where accounts are proven the account's proof and the snapshot block's header.
        snapshot: See there.
        address: That sent.
        txid: The transaction's hash.

    Raises:
        NotVerifiedError: The evidence is not all there, contradicts itself, or the account did not send to itself.
        UnsupportedError: The block, or another transaction of it, is of a form that is not known here.
    """
    try:
        return _established(answers, snapshot, address, txid)
    except (NotVerifiedError, UnsupportedError):
        raise
    except (MalformedError, evm.UnknownHeaderError, TypeError, LookupError, ValueError, AttributeError) as error:
        raise NotVerifiedError(f"the evidence of transaction {txid[:66]} does not hold: {error}") from error


def _established(answers: Answers, snapshot: Snapshot, address: str, txid: str) -> Moved:
    height, block, position = _place(answers, txid)
    transactions: Sequence[Mapping[str, Any]] = block["transactions"]
    header = evm.header(block, block["hash"])
    require(header.number == height, "its block has another height")
    encoded = [encoding.encoded(item) for item in transactions]
    require(keccak256(encoded[position]) == evm.data(txid, 32), "another transaction stands in its place")
    require(trie.list_root(encoded) == header.transactions_root, "its block's header is of other transactions")
    receipts = answers.of(RECEIPTS, [hex(height)])
    require(
        trie.list_root([encoding.encoded_receipt(item) for item in receipts]) == header.receipts_root,
        "its block's header is of other receipts",
    )
    require(height != snapshot.height or block["hash"] == snapshot.block_hash, "its block is another one than the snapshot block")
    moved = transactions[position]
    require_account(account_of(encoding.signer(moved, snapshot.chain_id)), address)
    if moved["to"] is None or evm.data(moved["to"], 20) != evm.data(address, 20):
        raise NotVerifiedError("the transaction pays somebody else, and a movement is from an address to itself alone")
    if evm.quantity(receipts[position]["status"]) != 1:
        raise NotVerifiedError("the transaction was reverted: nothing was moved")
    if snapshot.proofs:
        _require_sent(answers, snapshot, address, evm.quantity(moved["nonce"]))
    return Moved(height=height, amounts=(evm.quantity(moved["value"]),), note=NOTE)


def _place(answers: Answers, txid: str) -> tuple[int, Mapping[str, Any], int]:
    """Return height and block of a transaction, and its position in it."""
    for params, block in answers.all(BLOCK):
        if params[1] is not True:
            continue
        hashes = [item["hash"] for item in block["transactions"]]
        if txid in hashes:
            return evm.quantity(params[0]), block, hashes.index(txid)
    raise NotVerifiedError("its block is not in the evidence: no block up to the snapshot block is shown to have it")


def _require_sent(answers: Answers, snapshot: Snapshot, address: str, nonce: int) -> None:
    """Raise unless the account had sent that many transactions by the snapshot block, and one more."""
    header = evm.header(answers.of(BLOCK, [hex(snapshot.height), False]), snapshot.block_hash)
    proof = answers.of(PROOF, [address, [], {"blockHash": snapshot.block_hash, "requireCanonical": True}])
    account = evm.account(header, address, proof["accountProof"])
    if account is None or account.nonce <= nonce:
        raise NotVerifiedError("the account had sent fewer transactions by the snapshot block")
