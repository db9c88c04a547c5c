"""What each operation of Bitcoin Script does: https://en.bitcoin.it/wiki/Script, BIP-65, BIP-112."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from assay_verify.digests import double_sha256
from assay_verify.ownership.bitcoin_script import OP_1, OP_16, from_number, hash160, is_true, ripemd160, sha256, to_number
from assay_verify.ownership.bitcoin_script_signatures import check_multisig, check_signature, check_signature_add
from assay_verify.ownership.interface import NotVerifiedError

if TYPE_CHECKING:
    from assay_verify.ownership.bitcoin_script_machine import Machine

Operation = Callable[["Machine"], None]

_TRUE, _FALSE = b"\1", b""
_FINAL = 0xFFFFFFFF
_TIME_FROM = 500_000_000
_SEQUENCE_DISABLED, _SEQUENCE_BY_TIME, _SEQUENCE_MASK = 1 << 31, 1 << 22, 0xFFFF


def _pushes(number: int) -> Operation:
    return lambda machine: machine.stack.append(from_number(number))


def _computes(arity: int, function: Callable[..., int]) -> Operation:
    """Replace so many numbers on the stack with a result."""

    def operation(machine: Machine) -> None:
        numbers = [machine.pop_number() for _ in range(arity)]
        machine.stack.append(from_number(int(function(*reversed(numbers)))))

    return operation


def _hashes(function: Callable[[bytes], bytes]) -> Operation:
    return lambda machine: machine.stack.append(function(machine.pop()))


def _rearranges(arity: int, order: str) -> Operation:
    """Take so many elements, called a, b, c… from the deepest, and put them back in an order."""

    def operation(machine: Machine) -> None:
        machine.top(arity)
        taken = machine.stack[-arity:]
        machine.stack[-arity:] = [taken[ord(letter) - ord("a")] for letter in order]

    return operation


def _then_verify(operation: Operation) -> Operation:
    def both(machine: Machine) -> None:
        operation(machine)
        machine.verify()

    return both


def _if(*, wanted: bool) -> Operation:
    def operation(machine: Machine) -> None:
        machine.outcome.has_other_ways = True
        holds = False
        if all(machine.conditions):
            element = machine.pop()
            if element not in (_TRUE, _FALSE):
                raise NotVerifiedError("a condition that is neither empty nor 1")
            holds = bool(element) == wanted
        machine.conditions.append(holds)

    return operation


def _else(machine: Machine) -> None:
    if not machine.conditions:
        raise NotVerifiedError("a script with OP_ELSE outside of a condition")
    machine.conditions[-1] = not machine.conditions[-1]


def _end_if(machine: Machine) -> None:
    if not machine.conditions:
        raise NotVerifiedError("a script with OP_ENDIF outside of a condition")
    machine.conditions.pop()


def _return(_: Machine) -> None:
    raise NotVerifiedError("a script that ends in OP_RETURN")


def _nothing(_: Machine) -> None:
    pass


def _reserved(machine: Machine) -> None:
    machine.outcome.upgrades.append("an operation that is reserved for upgrades")


def _to_alternative(machine: Machine) -> None:
    machine.set_aside.append(machine.pop())


def _from_alternative(machine: Machine) -> None:
    if not machine.set_aside:
        raise NotVerifiedError("a script that takes more from the stack than there is")
    machine.stack.append(machine.set_aside.pop())


def _duplicate_if_true(machine: Machine) -> None:
    if is_true(machine.top(1)):
        machine.stack.append(machine.top(1))


def _depth(machine: Machine) -> None:
    machine.stack.append(from_number(len(machine.stack)))


def _pick(machine: Machine) -> None:
    machine.stack.append(machine.top(machine.pop_number() + 1))


def _roll(machine: Machine) -> None:
    depth = machine.pop_number() + 1
    element = machine.top(depth)
    del machine.stack[-depth]
    machine.stack.append(element)


def _size(machine: Machine) -> None:
    machine.stack.append(from_number(len(machine.top(1))))


def _equal(machine: Machine) -> None:
    machine.stack.append(_TRUE if machine.pop() == machine.pop() else _FALSE)


def _check_lock_time(machine: Machine) -> None:
    """OP_CHECKLOCKTIMEVERIFY (BIP-65)."""
    required, stated = to_number(machine.top(1), 5), machine.spend.transaction.lock_time
    if required < 0 or (required < _TIME_FROM) != (stated < _TIME_FROM) or required > stated or machine.spend.input.sequence == _FINAL:
        raise NotVerifiedError("the script asks for a later time than the signature states")


def _check_sequence(machine: Machine) -> None:
    """OP_CHECKSEQUENCEVERIFY (BIP-112)."""
    required, stated = to_number(machine.top(1), 5), machine.spend.input.sequence
    if required < 0:
        raise NotVerifiedError("the script asks for a negative age")
    if required & _SEQUENCE_DISABLED:
        return
    by_time = required & _SEQUENCE_BY_TIME != stated & _SEQUENCE_BY_TIME
    if machine.spend.transaction.version < 2 or stated & _SEQUENCE_DISABLED or by_time:  # noqa: PLR2004 (BIP-68)
        raise NotVerifiedError("the script asks for another kind of age than the signature states")
    if required & _SEQUENCE_MASK > stated & _SEQUENCE_MASK:
        raise NotVerifiedError("the script asks for a higher age than the signature states")


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _table() -> Iterator[tuple[int, Operation]]:
    yield 0x4F, _pushes(-1)
    yield from ((opcode, _pushes(opcode - OP_1 + 1)) for opcode in range(OP_1, OP_16 + 1))
    yield from ((opcode, _reserved) for opcode in (0xB0, *range(0xB3, 0xBA)))
    yield from {
        0x61: _nothing,
        0x63: _if(wanted=True),
        0x64: _if(wanted=False),
        0x67: _else,
        0x68: _end_if,
        0x69: lambda machine: machine.verify(),
        0x6A: _return,
        0x6B: _to_alternative,
        0x6C: _from_alternative,
        0x6D: _rearranges(2, ""),
        0x6E: _rearranges(2, "abab"),
        0x6F: _rearranges(3, "abcabc"),
        0x70: _rearranges(4, "abcdab"),
        0x71: _rearranges(6, "cdefab"),
        0x72: _rearranges(4, "cdab"),
        0x73: _duplicate_if_true,
        0x74: _depth,
        0x75: _rearranges(1, ""),
        0x76: _rearranges(1, "aa"),
        0x77: _rearranges(2, "b"),
        0x78: _rearranges(2, "aba"),
        0x79: _pick,
        0x7A: _roll,
        0x7B: _rearranges(3, "bca"),
        0x7C: _rearranges(2, "ba"),
        0x7D: _rearranges(2, "bab"),
        0x82: _size,
        0x87: _equal,
        0x88: _then_verify(_equal),
        0x8B: _computes(1, lambda a: a + 1),
        0x8C: _computes(1, lambda a: a - 1),
        0x8F: _computes(1, lambda a: -a),
        0x90: _computes(1, abs),
        0x91: _computes(1, lambda a: a == 0),
        0x92: _computes(1, lambda a: a != 0),
        0x93: _computes(2, lambda a, b: a + b),
        0x94: _computes(2, lambda a, b: a - b),
        0x9A: _computes(2, lambda a, b: a != 0 and b != 0),
        0x9B: _computes(2, lambda a, b: a != 0 or b != 0),
        0x9C: _computes(2, lambda a, b: a == b),
        0x9D: _then_verify(_computes(2, lambda a, b: a == b)),
        0x9E: _computes(2, lambda a, b: a != b),
        0x9F: _computes(2, lambda a, b: a < b),
        0xA0: _computes(2, lambda a, b: a > b),
        0xA1: _computes(2, lambda a, b: a <= b),
        0xA2: _computes(2, lambda a, b: a >= b),
        0xA3: _computes(2, min),
        0xA4: _computes(2, max),
        0xA5: _computes(3, lambda number, low, high: low <= number < high),
        0xA6: _hashes(ripemd160),
        0xA7: _hashes(_sha1),
        0xA8: _hashes(sha256),
        0xA9: _hashes(hash160),
        0xAA: _hashes(double_sha256),
        0xAC: check_signature,
        0xAD: _then_verify(check_signature),
        0xAE: check_multisig,
        0xAF: _then_verify(check_multisig),
        0xB1: _check_lock_time,
        0xB2: _check_sequence,
        0xBA: check_signature_add,
    }.items()


OPERATIONS = dict(_table())
"""By code. What is missing is no operation, or a push of bytes."""
