"""Bitcoin Script, run under the rules that BIP-322 asks for, which are stricter than consensus.

libbitcoinkernel (https://github.com/stickies-v/py-bitcoinkernel) offers the consensus rules alone, and nothing tells from outside what a script
did, so scripts are run here. Always on, as there is nothing to choose (https://github.com/bitcoin/bips/blob/master/bip-0322.mediawiki,
"required rules"; names as in Bitcoin Core's `script/interpreter.h`): STRICTENC, LOW_S, NULLFAIL, NULLDUMMY, MINIMALDATA, MINIMALIF, CLEANSTACK,
WITNESS_PUBKEYTYPE, SIGHASH_ALL; OP_CODESEPARATOR and signatures inside the script that they sign are refused. What stands
for a future upgrade is run as the nodes do and noted in `Outcome.upgrades`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from assay_verify.ownership.bitcoin_script import OP_CODESEPARATOR, is_minimal, is_true, operations, to_number
from assay_verify.ownership.bitcoin_script_operations import OPERATIONS
from assay_verify.ownership.bitcoin_script_transaction import Spend
from assay_verify.ownership.interface import NotVerifiedError

_LONGEST_SCRIPT, _LONGEST_ELEMENT, _MOST_ELEMENTS, _MOST_OPERATIONS = 10_000, 520, 1_000, 201
_OP_RESERVED, _OP_IF, _OP_ENDIF = 0x50, 0x63, 0x68
_DISABLED = frozenset((*range(0x7E, 0x82), *range(0x83, 0x87), 0x8D, 0x8E, *range(0x95, 0x9A)))


class Rules(Enum):
    """Where a script stands, which decides how signatures are checked."""

    LEGACY = auto()
    WITNESS = auto()
    TAPSCRIPT = auto()


@dataclass
class Outcome:
    """What came of unlocking an output.

    Attributes:
        keys: Public keys whose signatures were checked and are right, in order, each once.
        upgrades: What a future upgrade may give a meaning to, so that nobody can tell today whether it holds.
        has_other_ways: The script has conditions, or is one of a tree: other keys may be able to unlock the output as well.
    """

    keys: dict[bytes, None] = field(default_factory=dict)
    upgrades: list[str] = field(default_factory=list)
    has_other_ways: bool = False


class Machine:
    """Runs scripts on one stack.

    Args:
        spend: The input that is being unlocked.
        rules: Where the script stands.
        stack: Bottom first; it is changed.
        outcome: Where signatures are noted.
        leaf: Hash of the script that is run, under the rules of tapscript.
        annex: Of the witness, under the rules of tapscript.
        budget: How much checking of signatures a tapscript may cause.
    """

    def __init__(
        self, spend: Spend, rules: Rules, stack: list[bytes], outcome: Outcome, *, leaf: bytes = b"", annex: bytes = b"", budget: int = 0
    ) -> None:
        self.spend = spend
        self.rules = rules
        self.stack = stack
        self.outcome = outcome
        self.leaf = leaf
        self.annex = annex
        self.budget = budget
        self.script = b""
        self.set_aside: list[bytes] = []
        self.conditions: list[bool] = []
        self._counted = 0
        self._digest = b""

    @property
    def in_witness(self) -> bool:
        """Whether this is the script of a version 0 witness."""
        return self.rules is Rules.WITNESS

    def run(self, script: bytes) -> None:
        """Run a script.

        Raises:
            NotVerifiedError: It fails.
        """
        self.script = script
        self.set_aside, self.conditions, self._counted, self._digest = [], [], 0, b""
        if self.rules is not Rules.TAPSCRIPT and len(script) > _LONGEST_SCRIPT:
            raise NotVerifiedError("a script that is too long")
        for opcode, data in operations(script):
            self._check_operation(opcode, data)
            if data is not None:
                self._push(opcode, data)
            elif all(self.conditions) or _OP_IF <= opcode <= _OP_ENDIF:
                self._execute(opcode)
            if len(self.stack) + len(self.set_aside) > _MOST_ELEMENTS:
                raise NotVerifiedError("a script that fills the stack")
        if self.conditions:
            raise NotVerifiedError("a script with an OP_IF that never ends")

    def digest(self) -> bytes:
        """Return what ECDSA signatures in this script are over; the same for all of them, as they are over everything."""
        if not self._digest:
            self._digest = self.spend.witness_digest(self.script) if self.in_witness else self.spend.legacy_digest(self.script)
        return self._digest

    def pop(self) -> bytes:
        """Take the top of the stack."""
        if not self.stack:
            raise NotVerifiedError("a script that takes more from the stack than there is")
        return self.stack.pop()

    def pop_number(self, longest: int = 4) -> int:
        """Take a number from the stack."""
        return to_number(self.pop(), longest)

    def top(self, depth: int) -> bytes:
        """Return what lies so deep, 1 being the top."""
        if not 1 <= depth <= len(self.stack):
            raise NotVerifiedError("a script that takes more from the stack than there is")
        return self.stack[-depth]

    def verify(self) -> None:
        """Take the top of the stack, which must be true."""
        if not is_true(self.pop()):
            raise NotVerifiedError("the address's script is not satisfied")

    def count(self, operations_more: int) -> None:
        """Count operations, whose number is limited outside of tapscript."""
        self._counted += operations_more
        if self.rules is not Rules.TAPSCRIPT and self._counted > _MOST_OPERATIONS:
            raise NotVerifiedError("a script with too many operations")

    def _check_operation(self, opcode: int, data: bytes | None) -> None:
        """Refuse what may not stand in a script even where it is not reached."""
        if data is not None and len(data) > _LONGEST_ELEMENT:
            raise NotVerifiedError("a script that pushes too much at once")
        if opcode > 0x60:  # noqa: PLR2004 (OP_16)
            self.count(1)
        if opcode in _DISABLED:
            raise NotVerifiedError("a script with a disabled operation")
        if opcode == OP_CODESEPARATOR:
            raise NotVerifiedError("a script with OP_CODESEPARATOR, which BIP-322 forbids")

    def _push(self, opcode: int, data: bytes) -> None:
        if not all(self.conditions):
            return
        if not is_minimal(opcode, data):
            raise NotVerifiedError("a push that could be shorter")
        self.stack.append(data)

    def _execute(self, opcode: int) -> None:
        operation = OPERATIONS.get(opcode)
        if operation is None:
            raise NotVerifiedError(f"a script with the operation {opcode:#x}, which there is none")
        operation(self)


def is_satisfied(machine: Machine) -> bool:
    """Tell whether what is left on the stack is a single true element (rule CLEANSTACK)."""
    return len(machine.stack) == 1 and is_true(machine.stack[0])
