"""Signed messages for any Bitcoin address: the signature unlocks an output of a transaction that holds the text and can stand in no block.

BIP-322, version 2 (https://github.com/bitcoin/bips/blob/master/bip-0322.mediawiki). Forms: `smp`, the witness alone; `ful`, the transaction;
`pof`, a finalized PSBT with further outputs that the signer controls. Without a prefix, as signers wrote before there was one, the form is told by
the bytes, which cannot be confused.

Outcomes of the BIP: *invalid* is a NotVerifiedError; *inconclusive* an UnsupportedError; *valid at time T and age S* is verified, with T and S in
the note. Stricter than the BIP in one point: an output that anybody can unlock, with no signature, is valid there, but shows no owner and is
refused here.
"""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from dataclasses import dataclass

from assay_verify.addresses import locking_script
from assay_verify.findings import MalformedError
from assay_verify.ownership import bip322_psbt
from assay_verify.ownership.bitcoin_script import hash160, is_pay_to_script_hash, push, sha256, tagged_hash
from assay_verify.ownership.bitcoin_script_machine import Outcome
from assay_verify.ownership.bitcoin_script_spend import unlock
from assay_verify.ownership.bitcoin_script_transaction import Input, Output, Transaction, read_stack, read_transaction
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified

NETWORKS = {"BTC": "bitcoin", "XBT": "bitcoin"} | {name: name for name in ("bitcoin", "testnet", "testnet4", "signet", "regtest")}
"""Networks of Bitcoin, which alone has a BIP-322, by ticker and by name."""

_SIMPLE, _FULL, _PROOF = "smp", "ful", "pof"
_LONGEST = 1 << 20
_COMPACT = 65
_VERSIONS = (0, 2)
_MOST = 21_000_000 * 100_000_000
_NOWHERE = bytes(32) + b"\xff" * 4
_MARK = Output(0, b"\x6a")


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signature decodes to.

    Attributes:
        transaction: The BIP's `to_sign`.
        spent: What each input spends.
    """

    transaction: Transaction
    spent: tuple[Output, ...]


class Bip322:
    """Any address of Bitcoin."""

    name = "bip322"
    specification = "https://github.com/bitcoin/bips/blob/master/bip-0322.mediawiki"

    def verify(self, statement: Statement) -> Verified:
        """Check one statement.

        Raises:
            NotVerifiedError: Invalid, malformed, or unlocked without any signature.
            UnsupportedError: Inconclusive: what was signed with is reserved for upgrades, or outputs are missing.
        """
        if statement.coin not in NETWORKS:
            raise UnsupportedError(f"BIP-322 is not defined for {statement.coin!r}")
        if len(statement.signatures) != 1:
            raise NotVerifiedError(f"{len(statement.signatures)} signatures, where BIP-322 puts all into one")
        try:
            challenge = locking_script(NETWORKS[statement.coin], statement.address)
        except MalformedError as error:
            raise NotVerifiedError(str(error)) from None
        spend = to_spend(statement.message, challenge)
        signature = _decode(statement.signatures[0], spend, statement.message)
        _check_form(signature, spend)
        outcomes = [unlock(signature.transaction, index, signature.spent) for index in range(len(signature.spent))]
        upgrades = [upgrade for outcome in outcomes for upgrade in outcome.upgrades]
        if signature.transaction.version not in _VERSIONS:
            upgrades.append(f"version {signature.transaction.version}")
        if upgrades:
            raise UnsupportedError(f"inconclusive: it uses {', '.join(dict.fromkeys(upgrades))}, whose meaning a later rule may set")
        if not all(outcome.keys for outcome in outcomes):
            raise NotVerifiedError("an output that is unlocked without any signature shows nobody's key")
        return Verified(scheme=self.name, keys=tuple(key.hex() for key in outcomes[0].keys), note=_note(signature, outcomes[0]))


def message_hash(message: str) -> bytes:
    """Return the hash of a text.

    Raises:
        NotVerifiedError: The text is not Unicode.
    """
    try:
        return tagged_hash("BIP0322-signed-message", message.encode())
    except UnicodeEncodeError:
        raise NotVerifiedError("the message holds half of a surrogate pair, which no encoding can write") from None


def to_spend(message: str, challenge: bytes) -> Transaction:
    """Return the transaction that holds the text and is locked with the address's script."""
    return Transaction(0, (Input(_NOWHERE, b"\0" + push(message_hash(message))),), (Output(0, challenge),), 0)


def to_sign(spend: Transaction, script: bytes = b"", witness: tuple[bytes, ...] = ()) -> Transaction:
    """Return the transaction that unlocks it, in the simple form."""
    return Transaction(0, (Input(spend.txid + bytes(4), script, 0, witness),), (_MARK,), 0)


def _decode(text: str, spend: Transaction, message: str) -> Signature:
    form, raw = _read_text(text)
    challenge = spend.outputs[0]
    if form == _SIMPLE:
        witness = read_stack(raw)
        return Signature(to_sign(spend, _wrapping(challenge.script, witness), witness), (challenge,))
    if form == _FULL:
        transaction = read_transaction(raw)
        if len(transaction.inputs) > 1:
            raise UnsupportedError("inconclusive: it spends outputs that it does not carry; a proof of funds (prefix pof) does")
        return Signature(transaction, (challenge,))
    proof = bip322_psbt.read(raw)
    if proof.message not in (None, message.encode()):
        raise NotVerifiedError("a proof of funds that names another text")
    if proof.spent[0] not in (None, challenge) or None in proof.spent[1:]:
        raise NotVerifiedError("a proof of funds without the outputs that it spends, or with another than the address's")
    return Signature(proof.transaction, (challenge, *(output for output in proof.spent[1:] if output)))


def _read_text(text: str) -> tuple[str, bytes]:
    """Return the form of a signature and its bytes."""
    form = text[:3] if text[:3] in (_SIMPLE, _FULL, _PROOF) else ""
    body = text[len(form) :]
    if len(body) > _LONGEST:
        raise UnsupportedError("a signature of more than a million characters, which this verifier does not read")
    try:
        raw = a2b_base64(body, strict_mode=True)
    except (Error, ValueError):
        raw = b""
    if not raw or b2a_base64(raw, newline=False).decode() != body:
        raise NotVerifiedError("the signature is not base64, after smp, ful, pof or nothing")
    if form:
        return form, raw
    if len(raw) == _COMPACT:
        raise NotVerifiedError("the signature is of the older kind (BIP-137), not of BIP-322")
    if raw.startswith(bip322_psbt.MAGIC):
        return _PROOF, raw
    # A witness that began with these four would be of no element, or of two empty ones, and then have something left over.
    return (_FULL if raw[:4] in (bytes(4), b"\2" + bytes(3)) else _SIMPLE), raw


def _wrapping(challenge: bytes, witness: tuple[bytes, ...]) -> bytes:
    """Return the script of an input that unlocks a P2SH address by a witness alone, which the simple form leaves to the verifier."""
    if not is_pay_to_script_hash(challenge) or not witness:
        return b""
    programs = (b"\0\x14" + hash160(witness[-1]), b"\0\x20" + sha256(witness[-1]))
    return next((push(program) for program in programs if hash160(program) == challenge[2:22]), b"")


def _check_form(signature: Signature, spend: Transaction) -> None:
    """Raise unless the transaction is the one that the BIP describes."""
    transaction = signature.transaction
    if transaction.inputs[0].outpoint != spend.txid + bytes(4):
        raise NotVerifiedError("the signature is for another text or address")
    if transaction.outputs != (_MARK,):
        raise NotVerifiedError("the signature's transaction pays, or has more than the one output that BIP-322 gives it")
    outpoints = [item.outpoint for item in transaction.inputs]
    if len(set(outpoints)) != len(outpoints) or any(outpoint == _NOWHERE for outpoint in outpoints):
        raise NotVerifiedError("the signature's transaction spends an output twice, or none at all")
    if sum(output.value for output in signature.spent) > _MOST:
        raise NotVerifiedError("the signature's transaction spends more than there is")


def _note(signature: Signature, outcome: Outcome) -> str:
    """Return what limits the statement."""
    transaction = signature.transaction
    time, age = transaction.lock_time, transaction.inputs[0].sequence
    notes = []
    if time or age:
        notes.append(f"valid at time {time} and age {age} (nLockTime and nSequence); that the keys can spend before is not shown")
    if further := signature.spent[1:]:
        total = sum(output.value for output in further)
        notes.append(f"also unlocks {len(further)} outputs of {total} satoshi as it tells them; that they exist unspent is not shown here")
    if outcome.has_other_ways:
        notes.append("unlocked in one of the ways that the address has; other keys may be able to unlock it as well")
    return "; ".join(notes)
