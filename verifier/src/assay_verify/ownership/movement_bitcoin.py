"""Movements on chains of the Bitcoin family: what a transaction spends and pays, and that it stands in the snapshot block's chain.

Each coin that it spends is looked up in the transaction that paid it, whose id is computed from its bytes. That the spending was allowed, the
block that it stands in shows: its place by a Merkle branch, and the block by the work of the headers from it to the snapshot block
(docs/formats/evidence.md).
"""

from __future__ import annotations

from collections.abc import Callable

from assay_verify import headers, transactions
from assay_verify.addresses import locking_script
from assay_verify.findings import MalformedError
from assay_verify.ownership.interface import NotVerifiedError
from assay_verify.ownership.movement import Moved
from assay_verify.ownership.movement_evidence import Answers
from assay_verify.transactions import Transaction

TRANSACTION, BRANCH, HEADER = "blockchain.transaction.get", "blockchain.transaction.get_merkle", "blockchain.block.header"
METHODS = frozenset({TRANSACTION, BRANCH, HEADER})
_ID_BYTES = 32
Holds = Callable[[int, bytes], bool]
"""Tells whether a block, given by height and hash in the order of the wire, is linked to the snapshot block."""


def establish(answers: Answers, network: str, address: str, txid: str, holds: Holds) -> Moved:
    """Return what a transaction moved within an address.

    Args:
        answers: With the transaction, its branch, its block's header, and the transactions that it spends coins of.
        network: As in chains.json.
        address: That sent.
        txid: As people write it.
        holds: See above.

    Raises:
        NotVerifiedError: The evidence is not all there, contradicts itself, or the address did not send to itself alone.
    """
    try:
        script = locking_script(network, address)
        moved = _transaction(answers, network, txid)
        height = _height(answers, txid, moved, holds)
        for outpoint in moved.spends:
            _require_own(answers, network, outpoint, script)
        if any(value and paid != script for value, paid in moved.outputs):
            raise NotVerifiedError("the transaction pays others as well, and a movement is from an address to itself alone")
    except (MalformedError, TypeError, LookupError, ValueError, AttributeError) as error:
        if isinstance(error, NotVerifiedError):
            raise
        raise NotVerifiedError(f"the evidence of transaction {txid[:64]} cannot be read: {error}") from error
    amounts = tuple(value for value, paid in moved.outputs if paid == script)
    return Moved(height=height, amounts=amounts, note="")


def _transaction(answers: Answers, network: str, txid: str) -> Transaction:
    read = transactions.read(bytes.fromhex(answers.of(TRANSACTION, [txid])), network)
    if read.txid[::-1].hex() != txid:
        raise NotVerifiedError(f"another transaction stands in the place of {txid[:64]}")
    return read


def _height(answers: Answers, txid: str, moved: Transaction, holds: Holds) -> int:
    """Return the height of the block in which a transaction is proven to stand."""
    for params, branch in answers.all(BRANCH):
        if params[0] != txid:
            continue
        height = params[1]
        header = headers.read(bytes.fromhex(answers.of(HEADER, [height]))[: headers.HEADER_BYTES])
        hashes = [bytes.fromhex(item)[::-1] for item in branch["merkle"]]
        if type(branch["pos"]) is not int or branch["pos"] < 0 or any(len(item) != _ID_BYTES for item in hashes):
            raise NotVerifiedError("its Merkle branch has not the form of one")
        if transactions.branch_root(moved.txid, hashes, branch["pos"]) != header.merkle_root:
            raise NotVerifiedError(f"its Merkle branch does not lead to the header of block {height}")
        if type(height) is not int or not holds(height, header.hash):
            raise NotVerifiedError(f"block {height} is not linked to the snapshot block")
        return height
    raise NotVerifiedError("its Merkle branch is not in the evidence: no block up to the snapshot block is shown to have it")


def _require_own(answers: Answers, network: str, outpoint: bytes, script: bytes) -> None:
    txid, position = outpoint[:_ID_BYTES][::-1].hex(), int.from_bytes(outpoint[_ID_BYTES:], "little")
    paid = _transaction(answers, network, txid).outputs
    if position >= len(paid) or paid[position][1] != script:
        raise NotVerifiedError("the transaction spends coins of another address as well")
