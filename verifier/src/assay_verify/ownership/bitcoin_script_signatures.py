"""The operations that check signatures: ECDSA outside of Taproot, Schnorr inside (BIP-340, BIP-342).

Encoding: BIP-66 (strict DER), rules LOW_S and STRICTENC of BIP-62, NULLFAIL of BIP-146, NULLDUMMY of BIP-147, compressed keys in witnesses (BIP-143).
SIGHASH_ALL alone, as BIP-322 asks; for Schnorr the default of BIP-341 says the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coincurve import PublicKey, PublicKeyXOnly

from assay_verify.ownership.bitcoin_script import COMPRESSED, X_ONLY, from_number, is_key, operations
from assay_verify.ownership.interface import NotVerifiedError

if TYPE_CHECKING:
    from assay_verify.ownership.bitcoin_script_machine import Machine, Outcome
    from assay_verify.ownership.bitcoin_script_transaction import Spend

_ALL = 1
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_SCHNORR, _COST = 64, 50
_MOST_KEYS = 20


def check_signature(machine: Machine) -> None:
    """OP_CHECKSIG."""
    key, signature = machine.pop(), machine.pop()
    machine.stack.append(from_number(int(_holds(machine, signature, key))))


def check_signature_add(machine: Machine) -> None:
    """OP_CHECKSIGADD, of tapscript alone."""
    if not machine.leaf:
        raise NotVerifiedError("a script with the operation 0xba, which there is none")
    key, number, signature = machine.pop(), machine.pop_number(), machine.pop()
    machine.stack.append(from_number(number + int(_holds(machine, signature, key))))


def check_multisig(machine: Machine) -> None:
    """OP_CHECKMULTISIG: signatures in the order of the keys."""
    if machine.leaf:
        raise NotVerifiedError("a tapscript with OP_CHECKMULTISIG, which it does not have")
    keys = _pop_many(machine, _MOST_KEYS)
    machine.count(len(keys))
    signatures = _pop_many(machine, len(keys))
    if machine.pop():
        raise NotVerifiedError("the extra element that OP_CHECKMULTISIG takes is not empty")
    _refuse_own_signature(machine, signatures)
    found, remaining = [], iter(keys)
    for signature in signatures:
        key = next((key for key in remaining if _matches(machine, signature, key)), None)
        if key is None:
            if any(signatures):
                raise NotVerifiedError("a signature is by none of the script's keys, is out of order, or is for another text or address")
            break
        found.append(key)
    held = len(found) == len(signatures)
    if held:
        machine.outcome.keys.update(dict.fromkeys(reversed(found)))
    machine.stack.append(from_number(int(held)))


def check_schnorr(spend: Spend, signature: bytes, key: bytes, outcome: Outcome, annex: bytes = b"", leaf: bytes = b"") -> None:
    """Raise unless a Schnorr signature is right; note its key."""
    explicit = signature[_SCHNORR:] == bytes([_ALL])
    if len(signature) != _SCHNORR + explicit:
        raise NotVerifiedError("a Schnorr signature of another length, or not over everything (SIGHASH_ALL)")
    try:
        held = PublicKeyXOnly(key).verify(signature[:_SCHNORR], spend.taproot_digest(_ALL if explicit else 0, annex, leaf))
    except ValueError:
        held = False
    if not held:
        raise NotVerifiedError("the signature is by another key, or for another text or address")
    outcome.keys[key] = None


def _pop_many(machine: Machine, most: int) -> list[bytes]:
    """Take elements and, above them, how many they are; the deepest comes last."""
    number = machine.pop_number()
    if not 0 <= number <= most:
        raise NotVerifiedError("a script with an impossible number of keys or signatures")
    return [machine.pop() for _ in range(number)]


def _holds(machine: Machine, signature: bytes, key: bytes) -> bool:
    """Tell whether a signature is right. One that is wrong and not empty ends it all (NULLFAIL)."""
    if machine.leaf:
        return _holds_in_tapscript(machine, signature, key)
    _refuse_own_signature(machine, [signature])
    if not _matches(machine, signature, key):
        if signature:
            raise NotVerifiedError("the signature is by another key, or for another text or address")
        return False
    machine.outcome.keys[key] = None
    return True


def _holds_in_tapscript(machine: Machine, signature: bytes, key: bytes) -> bool:
    if signature:
        machine.budget -= _COST
        if machine.budget < 0:
            raise NotVerifiedError("a script that checks more signatures than its witness may")
    if not key:
        raise NotVerifiedError("a script with an empty key")
    if len(key) != X_ONLY:
        machine.outcome.upgrades.append("a key of an unknown type")
    elif signature:
        check_schnorr(machine.spend, signature, key, machine.outcome, machine.annex, machine.leaf)
    return bool(signature)


def _matches(machine: Machine, signature: bytes, key: bytes) -> bool:
    """Tell whether an ECDSA signature is of a key; raise if either is not in the form that the rules ask for."""
    if signature:
        _check_encoding(signature)
    if not is_key(key) or (machine.in_witness and len(key) != COMPRESSED):
        raise NotVerifiedError("a public key in a form that is not allowed here")
    if not signature:
        return False
    try:
        return bool(PublicKey(key).verify(signature[:-1], machine.digest(), hasher=None))
    except ValueError:
        return False


def _check_encoding(signature: bytes) -> None:
    """Raise unless a signature is SIGHASH_ALL, strict DER, and has a low s."""
    body = signature[:-1]
    if signature[-1] != _ALL:
        raise NotVerifiedError("a signature that is not over everything (SIGHASH_ALL)")
    r_end = 4 + body[3] if len(body) > 3 else 0  # noqa: PLR2004
    if not 8 <= len(body) <= 72 or body[0] != 0x30 or body[1] != len(body) - 2 or r_end + 2 >= len(body):  # noqa: PLR2004 (BIP-66)
        raise NotVerifiedError("a signature that is not strict DER")
    if body[2] != 2 or body[r_end] != 2 or body[r_end + 1] != len(body) - r_end - 2:  # noqa: PLR2004 (BIP-66)
        raise NotVerifiedError("a signature that is not strict DER")
    for integer in (body[4:r_end], body[r_end + 2 :]):
        if not integer or integer[0] & 0x80 or (integer[0] == 0 and len(integer) > 1 and not integer[1] & 0x80):
            raise NotVerifiedError("a signature that is not strict DER")
    if int.from_bytes(body[r_end + 2 :], "big") > _HALF_ORDER:
        raise NotVerifiedError("a signature with a high s")


def _refuse_own_signature(machine: Machine, signatures: list[bytes]) -> None:
    """Refuse a script that holds a signature over itself, which nodes would cut out of it (`FindAndDelete`)."""
    if not machine.in_witness and any(data in signatures for _, data in operations(machine.script) if data is not None):
        raise NotVerifiedError("a script that holds the signature over it, which BIP-322 forbids")
