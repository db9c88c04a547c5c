"""What a statement shows about a wallet: signed for this report, signed once and for ever, or nothing.

Statuses: `fresh` (the challenge of this report), `static` (a constant text: whoever signed it had the key once), `movement` (the wallet sent the amount
that it was asked for), `failed` (it does not hold; a run stops), `none`. What a contract wallet says is asked of the contract at the snapshot block, and
transactions are looked up in the chain up to it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from assay.chains.interface import Reader, SnapshotBlock
from assay.config import Chain, Settings
from assay.ownership.challenge import age_problem, text_for
from assay.ownership.moving import announced_problem, look_up
from assay.ownership.statements import OwnershipStatement
from assay_verify.findings import MalformedError
from assay_verify.ownership import challenge as texts
from assay_verify.ownership import movement
from assay_verify.ownership.chain_state import ChainState, Contracts, RevertedError
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError
from assay_verify.ownership.schemes import NO_STATE, verify_for

LATER = "only the contract itself can confirm it"
"""The note of a proof that has to wait for the snapshot block."""
MOVES = "only the chain can show the transaction"
"""Likewise."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What is known of a wallet's owner.

    Attributes:
        status: See above.
        scheme: Name of the signature scheme; empty unless it verified.
        signed_at: Time of the block that the text names; None for a static text.
        verified_at_block: Hash of the block at which a contract was asked; empty where none was.
        note: What a reader must know to rely on it, or why it failed.
    """

    status: str
    scheme: str = ""
    signed_at: datetime | None = None
    verified_at_block: str = ""
    note: str = ""

    @property
    def waits(self) -> bool:
        """Whether the chain has to be asked first."""
        return self.status == "failed" and self.note in (LATER, MOVES)


def prove(
    settings: Settings, as_of: datetime, chain: Chain, item: OwnershipStatement, block: SnapshotBlock | None, state: ChainState = NO_STATE
) -> Proof:
    """Check one statement.

    Args:
        settings: Names the report, and how old a signature may be.
        as_of: The attested moment.
        chain: The wallet's chain.
        item: What was signed.
        block: The block that this report's challenges name; None where none were written.
        state: What the chain may be asked.
    """
    if item.scheme == movement.SCHEME or movement.is_announcement(item.message):
        return Proof(status="failed", note=announced_problem(settings, as_of, chain, item, block) or MOVES)
    fresh = texts.is_challenge(item.message)
    if fresh and (problem := _challenge_problem(settings, as_of, item, block)):
        return Proof(status="failed", note=problem)
    statement = Statement(
        coin=chain.network if chain.family == "bitcoin" else chain.name,
        address=item.address,
        message=item.message,
        signatures=tuple(item.signatures.splitlines()),
        script=item.script,
        owners=tuple(item.owners.splitlines()),
    )
    unasked = chain.family == "evm" and state.contracts is None
    if unasked and item.scheme == "eip1271":
        return Proof(status="failed", note=LATER)
    try:
        # Addresses of the Bitcoin family differ by network; the others' chains sign as their family does.
        verified = verify_for(statement, chain.network if chain.family == "bitcoin" else chain.family, state)
    except (NotVerifiedError, UnsupportedError) as error:
        return Proof(status="failed", note=str(error))
    note = verified.note
    if item.scheme not in ("", verified.scheme):
        note = f"it verifies as {verified.scheme}, and {item.scheme} is stated"
    elif unasked and item.owners:
        note = LATER  # the contract is asked whose it is
    if note != verified.note:
        return Proof(status="failed", note=note)
    return Proof(
        status="fresh" if fresh else "static",
        scheme=verified.scheme,
        signed_at=block.time if fresh and block else None,
        verified_at_block=state.contracts.block_hash if state.contracts else "",
        note=note,
    )


async def prove_by_contract(
    reader: Reader, settings: Settings, as_of: datetime, item: OwnershipStatement, named: SnapshotBlock | None, block: SnapshotBlock
) -> Proof:
    """Check a statement that only a contract can confirm, at the snapshot block.

    Args:
        reader: Open on the chain.
        settings: As in `prove`.
        as_of: As in `prove`.
        item: As in `prove`.
        named: The block that challenges name.
        block: The snapshot block.
    """
    loop = asyncio.get_running_loop()

    def code(address: str, _: str) -> bytes:
        return asyncio.run_coroutine_threadsafe(reader.contract_code(block, address), loop).result()

    def call(address: str, data: bytes, _: str) -> bytes:
        answer = asyncio.run_coroutine_threadsafe(reader.contract_answer(block, address, data), loop).result()
        if answer is None:
            raise RevertedError(address)
        return answer

    state = ChainState(contracts=Contracts(call=call, code=code, block_hash=block.hash))
    # The schemes know nothing of event loops: they run beside this one, and their questions come back to it.
    return await asyncio.to_thread(prove, settings, as_of, reader.chain, item, named, state)


async def prove_by_movement(reader: Reader, item: OwnershipStatement, block: SnapshotBlock) -> Proof:
    """Check a movement that `prove` left to the chain.

    Args:
        reader: Open on the chain.
        item: As in `prove`.
        block: The snapshot block.
    """
    try:
        note = await look_up(reader, item, block)
    except (NotVerifiedError, UnsupportedError) as error:
        return Proof(status="failed", note=str(error))
    return Proof(status=movement.SCHEME, scheme=movement.SCHEME, note=note)


def _challenge_problem(settings: Settings, as_of: datetime, item: OwnershipStatement, block: SnapshotBlock | None) -> str:
    """Say what is wrong with a text that means to be a challenge; empty for nothing."""
    try:
        asked = texts.parse(item.message)
    except MalformedError as error:
        return str(error)
    if block is None:
        return "no challenges were written for this moment"
    if item.message != text_for(settings, as_of, item.chain, item.address, block):
        report = " ".join(asked.report)
        return f"it is signed for {asked.address} on {asked.chain}, block {asked.block_height}, report {report}: not the text asked for"
    return age_problem(settings, as_of, block)
