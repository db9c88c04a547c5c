"""Whether an input unlocks the output that it spends: P2SH (BIP-16), witnesses (BIP-141), Taproot (BIP-341, BIP-342), and any other script."""

from __future__ import annotations

from coincurve import PublicKeyXOnly

from assay_verify.ownership.bitcoin_script import (
    OP_16,
    compact_size,
    is_pay_to_script_hash,
    is_true,
    operations,
    push,
    sha256,
    tagged_hash,
    with_length,
    witness_program,
)
from assay_verify.ownership.bitcoin_script_machine import Machine, Outcome, Rules, is_satisfied
from assay_verify.ownership.bitcoin_script_signatures import check_schnorr
from assay_verify.ownership.bitcoin_script_transaction import Output, Spend, Transaction
from assay_verify.ownership.interface import NotVerifiedError

_KEY_HASH, _SCRIPT_HASH, _LONGEST_ELEMENT, _MOST_ELEMENTS = 20, 32, 520, 1_000
_ANNEX, _TAPSCRIPT, _MOST_STEPS = 0x50, 0xC0, 128
_BUDGET = 50
# BIP-342: operations that make a tapscript valid whatever else it holds, until an upgrade gives them a meaning.
_OP_SUCCESS = frozenset((80, 98, *range(126, 130), *range(131, 135), 137, 138, 141, 142, *range(149, 154), *range(187, 255)))


def unlock(transaction: Transaction, index: int, spent: tuple[Output, ...]) -> Outcome:
    """Return what came of an input.

    Args:
        transaction: The transaction.
        index: Which input.
        spent: What each input spends.

    Raises:
        NotVerifiedError: It does not unlock its output, or breaks a required rule of BIP-322.
    """
    spend = Spend(transaction, index, spent)
    outcome = Outcome()
    machine = Machine(spend, Rules.LEGACY, [], outcome)
    machine.run(spend.input.script)
    pushed = list(machine.stack)
    machine.run(spend.output.script)
    if not machine.stack or not is_true(machine.stack[-1]):
        raise _unsatisfied()
    program = witness_program(spend.output.script)
    if program is not None:
        if spend.input.script:
            raise NotVerifiedError("a script beside the witness of an address that has only a witness")
        _unlock_witness(spend, *program, outcome)
        return outcome
    if is_pay_to_script_hash(spend.output.script):
        _unlock_script_hash(spend, pushed, outcome)
        return outcome
    _refuse_witness(spend)
    if not is_satisfied(machine):
        raise _unsatisfied()
    return outcome


def _unlock_script_hash(spend: Spend, stack: list[bytes], outcome: Outcome) -> None:
    if any(opcode > OP_16 for opcode, _ in operations(spend.input.script)):
        raise NotVerifiedError("an input that does more than push")
    redeem_script = stack.pop()
    program = witness_program(redeem_script)
    if program is not None:
        if spend.input.script != push(redeem_script):
            raise NotVerifiedError("an input that pushes more than the witness program")
        if program[0] == 1:
            outcome.upgrades.append("a Taproot program inside of P2SH")
        else:
            _unlock_witness(spend, *program, outcome)
        return
    _refuse_witness(spend)
    machine = Machine(spend, Rules.LEGACY, stack, outcome)
    machine.run(redeem_script)
    if not is_satisfied(machine):
        raise _unsatisfied()


def _unlock_witness(spend: Spend, version: int, program: bytes, outcome: Outcome) -> None:
    stack = list(spend.input.witness)
    if version == 0 and len(program) == _KEY_HASH:
        if len(stack) != 2:  # noqa: PLR2004 (BIP-141)
            raise NotVerifiedError("a witness that is not a signature and a key")
        _run_witness(Machine(spend, Rules.WITNESS, stack, outcome), b"\x76\xa9\x14" + program + b"\x88\xac")
    elif version == 0:
        if len(program) != _SCRIPT_HASH or not stack or sha256(stack[-1]) != program:
            raise NotVerifiedError("the script does not hash to the address")
        script = stack.pop()
        _run_witness(Machine(spend, Rules.WITNESS, stack, outcome), script)
    elif version == 1 and len(program) == _SCRIPT_HASH:
        _unlock_taproot(spend, program, stack, outcome)
    else:
        outcome.upgrades.append(f"a witness program of version {version} and {len(program)} bytes")


def _run_witness(machine: Machine, script: bytes) -> None:
    if len(machine.stack) > _MOST_ELEMENTS or any(len(element) > _LONGEST_ELEMENT for element in machine.stack):
        raise NotVerifiedError("a witness that is too large")
    machine.run(script)
    if not is_satisfied(machine):
        raise _unsatisfied()


def _unlock_taproot(spend: Spend, key: bytes, stack: list[bytes], outcome: Outcome) -> None:
    budget = _BUDGET + len(compact_size(len(stack))) + sum(len(with_length(element)) for element in stack)
    annex = stack.pop() if len(stack) > 1 and stack[-1][:1] == bytes([_ANNEX]) else b""
    if annex:
        outcome.upgrades.append("a witness with an annex")
    if not stack:
        raise NotVerifiedError("an empty witness")
    if len(stack) == 1:
        check_schnorr(spend, stack[0], key, outcome, annex)
        return
    control, script = stack.pop(), stack.pop()
    leaf = _check_commitment(key, control, script)
    outcome.has_other_ways = True
    if control[0] & 0xFE != _TAPSCRIPT:
        outcome.upgrades.append("a script of an unknown version")
    elif _may_succeed(script):
        outcome.upgrades.append("an operation that is reserved for upgrades")
    else:
        _run_witness(Machine(spend, Rules.TAPSCRIPT, stack, outcome, leaf=leaf, annex=annex, budget=budget), script)


def _check_commitment(key: bytes, control: bytes, script: bytes) -> bytes:
    """Return the hash of a script, which must be a leaf of the tree that the output's key is tweaked with."""
    steps, rest = divmod(len(control) - 33, 32)
    if rest or not 0 <= steps <= _MOST_STEPS:
        raise NotVerifiedError("a control block of an impossible length")
    leaf = node = tagged_hash("TapLeaf", bytes([control[0] & 0xFE]) + with_length(script))
    for place in range(33, len(control), 32):
        node = tagged_hash("TapBranch", b"".join(sorted((node, control[place : place + 32]))))
    try:
        output = PublicKeyXOnly(control[1:33])
        output.tweak_add(tagged_hash("TapTweak", control[1:33] + node))
    except ValueError:
        raise NotVerifiedError("a control block with an impossible key") from None
    if output.format() != key or output.parity != bool(control[0] & 1):
        raise NotVerifiedError("the script does not hash to the address")
    return leaf


def _may_succeed(script: bytes) -> bool:
    """Tell whether a tapscript holds an operation that makes it valid; what comes after it need not even be readable."""
    return any(opcode in _OP_SUCCESS for opcode, _ in operations(script))


def _refuse_witness(spend: Spend) -> None:
    if spend.input.witness:
        raise NotVerifiedError("a witness for an output that takes none")


def _unsatisfied() -> NotVerifiedError:
    return NotVerifiedError("the address's script is not satisfied")
