"""Ownership by movement: what a wallet whose keeper cannot sign was asked to move, and whether it did.

The text, the amount and the checks of what a chain has are those of the verifier's package, so that what is published is what a stranger's verifier
takes.
"""

from __future__ import annotations

import re
from datetime import datetime

from assay.chains.interface import Reader, SnapshotBlock
from assay.config import Chain, Settings
from assay.ownership.challenge import age_problem, announcement_for, coin_of
from assay.ownership.statements import OwnershipStatement
from assay_verify.findings import MalformedError
from assay_verify.ownership import movement, movement_bitcoin, movement_evm
from assay_verify.ownership.interface import UnsupportedError
from assay_verify.ownership.movement import Moved
from assay_verify.ownership.movement_evidence import Answers

_TRANSACTION = {"bitcoin": re.compile("[0-9a-f]{64}"), "evm": re.compile("0x[0-9a-f]{64}")}
"""How the families write transactions."""


def announced_problem(settings: Settings, as_of: datetime, chain: Chain, item: OwnershipStatement, block: SnapshotBlock | None) -> str:
    """Say what is wrong with a movement as it is stated, before the chain is asked; empty for nothing.

    Args:
        settings: Names the report, and how old its block may be.
        as_of: The attested moment.
        chain: The wallet's chain.
        item: The announcement, and the transaction in the signature's place.
        block: The block that this report's texts name; None where none were written.
    """
    try:
        movement.parse(coin_of(chain), item.message)
    except (MalformedError, UnsupportedError) as error:
        return str(error)
    if block is None:
        return "no challenges were written for this moment"
    if item.message != announcement_for(settings, as_of, chain, item.address, block):
        return "it was announced for another report, address or block: not the movement asked for"
    if not _TRANSACTION[chain.family].fullmatch(item.signatures):
        return f"{item.signatures[:80]!r} is no transaction of the chain (64 hexadecimal digits in lower case, on EVM chains behind 0x)"
    if item.script or item.owners or item.scheme not in ("", movement.SCHEME):
        return f"a movement has no script, no owners, and the scheme {movement.SCHEME!r}"
    return age_problem(settings, as_of, block)


async def look_up(reader: Reader, item: OwnershipStatement, block: SnapshotBlock) -> str:
    """Find a movement on the chain, and return what must be known to rely on it.

    Args:
        reader: Open on the chain.
        item: A statement in which `announced_problem` finds nothing.
        block: The snapshot block.

    Raises:
        NotVerifiedError: It is not there, or another one than was announced.
        UnsupportedError: It cannot be shown.
        ConfigError: The source does not look transactions up.
    """
    chain, coin = reader.chain, coin_of(reader.chain)
    answers = Answers(await reader.movement(block, item.address, item.signatures))
    if chain.family == "evm":
        snapshot = movement_evm.Snapshot(chain_id=chain.chain_id, height=block.height, block_hash=block.hash, proofs=chain.proofs)
        moved = movement_evm.establish(answers, snapshot, item.address, item.signatures)
    else:
        moved = await _in_bitcoin(reader, answers, item)
    movement.require_movement(coin, movement.parse(coin, item.message), moved, block.height)
    return "; ".join(filter(None, (f"moved in block {moved.height}", moved.note)))


async def _in_bitcoin(reader: Reader, answers: Answers, item: OwnershipStatement) -> Moved:
    heights = [params[1] for params, _ in answers.all(movement_bitcoin.BRANCH)]
    # The headers between them and the snapshot block are linked where the block is looked at again (`Reader.recheck`).
    hashes = {height: bytes.fromhex(await reader.block_hash(height))[::-1] for height in heights}
    network, transaction = reader.chain.network, item.signatures
    return movement_bitcoin.establish(answers, network, item.address, transaction, lambda height, found: hashes.get(height) == found)
