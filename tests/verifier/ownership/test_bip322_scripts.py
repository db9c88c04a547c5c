"""The interpreter behind BIP-322 against libbitcoinkernel: the same outcome for what consensus decides, and stricter where the BIP is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from coincurve import PrivateKey
from Crypto.Hash import RIPEMD160
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assay_verify.ownership.bip322 import Bip322
from assay_verify.ownership.bitcoin_script import from_number, hash160, is_true, multisig, operations, push, sha256, tagged_hash, to_number
from assay_verify.ownership.bitcoin_script_machine import Machine, Outcome, Rules
from assay_verify.ownership.bitcoin_script_spend import unlock
from assay_verify.ownership.bitcoin_script_transaction import Spend
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified
from tests.verifier.ownership.bitcoin_signer import (
    INTERNAL,
    ORDER,
    address_of,
    compressed,
    ecdsa,
    full,
    key_hash,
    multisig_script,
    nodes_accept,
    script_hash,
    signed,
    taproot,
    taproot_key,
    taproot_leaf,
    unsigned,
    witness_key_hash,
    witness_script_hash,
)

KEY, OTHER = PrivateKey(bytes(range(1, 33))), PrivateKey(bytes([7]) * 32)
TEXT = "I am an X address"
CHECK_KEY = push(compressed(KEY)) + b"\xac"
CHECK_X_ONLY = push(compressed(KEY)[1:]) + b"\xac"
ACCEPTED, REFUSED, INCONCLUSIVE = "accepted", "refused", "inconclusive"

Sign = Callable[[bytes], bytes]
Witness = Callable[[Sign], tuple[bytes, ...]]


def outcome_of(spend: Spend, script: bytes = b"", witness: tuple[bytes, ...] = ()) -> tuple[str, bool]:
    """Return what BIP-322 says here, and whether the nodes' consensus rules hold."""
    transaction = signed(spend, script=script, witness=witness)
    return said(spend.output.script, full(transaction)), nodes_accept(transaction, spend.spent)


def said(locked: bytes, signature: str) -> str:
    try:
        verified: Verified = Bip322().verify(Statement(coin="BTC", address=address_of(locked), message=TEXT, signatures=(signature,)))
    except NotVerifiedError:
        return REFUSED
    except UnsupportedError:
        return INCONCLUSIVE
    assert verified.keys
    return ACCEPTED


def in_witness(script: bytes, witness: Witness, *, hash_type: int = 1, **locks: int) -> tuple[str, bool]:
    spend = unsigned(TEXT, witness_script_hash(script), **locks)
    return outcome_of(spend, witness=(*witness(lambda _: ecdsa(KEY, spend.witness_digest(script), hash_type)), script))


def in_script_hash(script: bytes, pushes: Callable[[Sign], bytes], **locks: int) -> tuple[str, bool]:
    spend = unsigned(TEXT, script_hash(script), **locks)
    return outcome_of(spend, script=pushes(lambda _: ecdsa(KEY, spend.legacy_digest(script))) + push(script))


def in_tapscript(script: bytes, witness: Witness, *, leaf_version: int = 0xC0, annex: bytes = b"", **locks: int) -> tuple[str, bool]:
    locked, leaf, control = taproot_leaf(script, leaf_version)
    spend = unsigned(TEXT, locked, **locks)
    made = witness(lambda _: KEY.sign_schnorr(spend.taproot_digest(0, annex, leaf)))
    return outcome_of(spend, witness=(*made, script, control, *([annex] if annex else [])))


def one(sign: Sign) -> tuple[bytes, ...]:
    return (sign(b""),)


@pytest.mark.parametrize(
    ("script", "witness", "said", "consensus"),
    [
        (CHECK_KEY, one, ACCEPTED, True),
        (CHECK_KEY, lambda _: (b"",), REFUSED, False),
        (CHECK_KEY + b"\x91", lambda _: (b"",), REFUSED, True),  # satisfied by whoever cannot sign
        (b"\x51", lambda _: (), REFUSED, True),  # by anybody
        (b"\xa8" + push(sha256(b"secret")) + b"\x87", lambda _: (b"secret",), REFUSED, True),  # by whoever knows a secret
        (b"\xa8" + push(sha256(b"secret")) + b"\x88" + CHECK_KEY, lambda sign: (sign(b""), b"secret"), ACCEPTED, True),
        (CHECK_KEY + b"\x91", lambda sign: (sign(b"")[:-2] + b"\0\1",), REFUSED, True),  # NULLFAIL
        (CHECK_KEY, lambda sign: (sign(b""), sign(b"")), REFUSED, False),  # CLEANSTACK
        (b"\x01\x01\x75" + CHECK_KEY, one, REFUSED, True),  # MINIMALDATA: OP_1 is shorter
        (b"\x4c\x02\x01\x02\x75" + CHECK_KEY, one, REFUSED, True),  # MINIMALDATA: no OP_PUSHDATA1 needed
        (b"\x02\x01\x00\x8b\x75" + CHECK_KEY, one, REFUSED, True),  # MINIMALDATA: a number with a zero too much
        (b"\x63" + CHECK_KEY + b"\x68", lambda sign: (sign(b""), b"\1"), ACCEPTED, True),
        (b"\x63" + CHECK_KEY + b"\x68", lambda sign: (sign(b""), b"\2"), REFUSED, True),  # MINIMALIF
        (b"\x63" + CHECK_KEY + b"\x67" + CHECK_KEY + b"\x68", lambda sign: (sign(b""), b"\0"), REFUSED, True),  # MINIMALIF
        (b"\x64\x67" + CHECK_KEY + b"\x68", lambda sign: (sign(b""), b"\1"), ACCEPTED, True),
        (b"\xab" + CHECK_KEY, one, REFUSED, False),  # signed as if there were no OP_CODESEPARATOR
        (CHECK_KEY + b"\x00\x63\xab\x68", one, REFUSED, True),  # OP_CODESEPARATOR, not even reached
        (b"\xb0" + CHECK_KEY, one, INCONCLUSIVE, True),  # OP_NOP1
        (b"\xb9" + CHECK_KEY, one, INCONCLUSIVE, True),  # OP_NOP10
        (b"\xb9" + CHECK_KEY, lambda _: (b"",), REFUSED, False),
        (b"\x61" + CHECK_KEY, one, ACCEPTED, True),  # OP_NOP is for good
        (b"\x61" * 200 + CHECK_KEY, one, ACCEPTED, True),
        (b"\x61" * 201 + CHECK_KEY, one, REFUSED, False),
        (push(bytes(520)) + b"\x75" + CHECK_KEY, one, ACCEPTED, True),
        (push(bytes(521)) + b"\x75" + CHECK_KEY, one, REFUSED, False),
        ((push(bytes(520)) + b"\x75") * 20 + CHECK_KEY, one, REFUSED, False),  # more than 10,000 bytes
        (CHECK_KEY + b"\x00\x63\x7e\x68", one, REFUSED, False),  # a disabled operation, not reached
        (CHECK_KEY + b"\x00\x63\x65\x68", one, REFUSED, False),  # OP_VERIF, not reached
        (CHECK_KEY + b"\x00\x63\x50\x68", one, ACCEPTED, True),  # OP_RESERVED, not reached
        (b"\x50" + CHECK_KEY, one, REFUSED, False),
        (b"\xba" + CHECK_KEY, one, REFUSED, False),
        (CHECK_KEY + b"\x63", one, REFUSED, False),
        (CHECK_KEY + b"\x68", one, REFUSED, False),
        (CHECK_KEY + b"\x67", one, REFUSED, False),
        (CHECK_KEY + b"\x02\1", one, REFUSED, False),
        (b"\x6a" + CHECK_KEY, one, REFUSED, False),
        (b"\x6c" + CHECK_KEY, one, REFUSED, False),
        (b"\x6b\x6c" + CHECK_KEY, one, ACCEPTED, True),
        (push(KEY.public_key.format(compressed=False)) + b"\xac", one, REFUSED, True),  # WITNESS_PUBKEYTYPE
        (push(b"\x05" + compressed(KEY)[1:]) + b"\xac\x91", lambda _: (b"",), REFUSED, True),  # STRICTENC
        (b"\x00" * 999 + b"\x75" * 999 + CHECK_KEY, one, REFUSED, False),
        (b"\x00" * 21 + b"\x01\x15\xae", one, REFUSED, False),  # 21 keys
        (b"\x51" + push(compressed(KEY)) + b"\x51\xaf\x51", lambda sign: (b"", sign(b"")), ACCEPTED, True),
        (b"\x51" + push(compressed(KEY)) + b"\x51\xae", lambda sign: (b"\1", sign(b"")), REFUSED, False),  # NULLDUMMY
        (b"\x51" + push(compressed(OTHER)) + b"\x51\xae\x91", lambda sign: (b"", sign(b"")), REFUSED, True),  # NULLFAIL
        (b"\x51" + push(compressed(OTHER)) + b"\x51\xae\x91", lambda _: (b"", b""), REFUSED, True),  # nobody signed
    ],
)
def test_a_script_in_a_witness(script: bytes, witness: Witness, said: str, consensus: bool) -> None:
    assert in_witness(script, witness) == (said, consensus)


@pytest.mark.parametrize("hash_type", [0, 2, 3, 0x81, 0x41])
def test_only_signatures_over_everything_count(hash_type: int) -> None:
    assert in_witness(CHECK_KEY, one, hash_type=hash_type)[0] == REFUSED


def high_s(signature: bytes) -> bytes:
    """The mirrored signature, in strict DER."""
    length = signature[3]
    s = ORDER - int.from_bytes(signature[6 + length : -1], "big")
    body = signature[2 : 4 + length] + b"\x02\x21\0" + s.to_bytes(32, "big")
    return b"\x30" + bytes([len(body)]) + body + signature[-1:]


def padded(signature: bytes) -> bytes:
    """With a zero in front of r."""
    return b"\x30" + bytes([signature[1] + 1, 2, signature[3] + 1, 0]) + signature[4:]


def test_malleated_signatures_are_refused_though_consensus_takes_the_high_s() -> None:
    assert in_witness(CHECK_KEY, lambda sign: (high_s(sign(b"")),)) == (REFUSED, True)
    assert in_witness(CHECK_KEY, lambda sign: (padded(sign(b"")),)) == (REFUSED, False)
    assert in_witness(CHECK_KEY, lambda sign: (sign(b"")[:-1],))[0] == REFUSED
    assert in_witness(CHECK_KEY, lambda _: (b"\x01",))[0] == REFUSED


@settings(deadline=None)
@given(place=st.integers(0, 71), value=st.integers(0, 255))
def test_no_changed_byte_of_a_signature_is_taken_and_none_breaks_the_reader(place: int, value: int) -> None:
    def changed(sign: Sign) -> tuple[bytes, ...]:
        signature = bytearray(sign(b""))
        signature[place % len(signature)] ^= value
        return (bytes(signature),)

    assert in_witness(CHECK_KEY, changed)[0] == (REFUSED if value else ACCEPTED)


@pytest.mark.parametrize(
    ("pushes", "said", "consensus"),
    [
        (lambda sign: push(sign(b"")), ACCEPTED, True),
        (lambda sign: b"\x4c" + bytes([len(sign(b""))]) + sign(b""), REFUSED, True),  # MINIMALDATA
        (lambda sign: b"\x51" + push(sign(b"")), REFUSED, True),  # CLEANSTACK
        (lambda sign: push(sign(b"")) + b"\x61", REFUSED, False),  # more than pushes
        (lambda _: b"", REFUSED, False),
    ],
)
def test_a_script_behind_a_hash(pushes: Callable[[Sign], bytes], said: str, consensus: bool) -> None:
    assert in_script_hash(CHECK_KEY, pushes) == (said, consensus)


def test_a_script_that_holds_its_own_signature_is_refused() -> None:
    """Which takes a signature that holds for whatever the script is: with the empty one, and OP_0 in the script."""
    assert in_script_hash(b"\x00\x75" + CHECK_KEY + b"\x91\x69" + CHECK_KEY, lambda sign: push(sign(b"")) + b"\x00")[0] == REFUSED


def test_a_multisig_behind_a_hash_and_bare() -> None:
    script = multisig_script(2, [KEY, OTHER])
    spend = unsigned(TEXT, script_hash(script))
    made = [push(ecdsa(key, spend.legacy_digest(script))) for key in (KEY, OTHER)]
    assert outcome_of(spend, script=b"\x00" + b"".join(made) + push(script)) == (ACCEPTED, True)
    assert outcome_of(spend, script=b"\x00" + b"".join(reversed(made)) + push(script)) == (REFUSED, False)
    bare = unsigned(TEXT, script)
    unlocking = b"\x00" + b"".join(push(ecdsa(key, bare.legacy_digest(script))) for key in (KEY, OTHER))
    assert set(unlock(signed(bare, script=unlocking), 0, bare.spent).keys) == {compressed(KEY), compressed(OTHER)}
    with pytest.raises(NotVerifiedError, match="witness"):
        unlock(signed(bare, script=unlocking, witness=(b"",)), 0, bare.spent)


LATER, OLDER = b"\x02\xe0\x07\xb1\x75", b"\x02\xe0\x07\xb2\x75"
"""2016 OP_CHECKLOCKTIMEVERIFY OP_DROP, and 2016 OP_CHECKSEQUENCEVERIFY OP_DROP."""
BY_TIME = push(from_number(500_000_000)) + b"\xb1\x75"
ALTOGETHER = push(from_number(1 << 31)) + b"\xb2\x75"


@pytest.mark.parametrize(
    ("script", "locks", "held"),
    [
        (LATER, {"lock_time": 2016}, True),
        (LATER, {"lock_time": 2015}, False),
        (LATER, {"lock_time": 2016, "sequence": 0xFFFFFFFF}, False),
        (LATER, {"lock_time": 500_000_000}, False),
        (BY_TIME, {"lock_time": 499_999_999}, False),
        (BY_TIME, {"lock_time": 500_000_000}, True),
        (b"\x4f\xb1\x75", {"lock_time": 2016}, False),
        (OLDER, {"version": 2, "sequence": 2016}, True),
        (OLDER, {"version": 2, "sequence": 2015}, False),
        (OLDER, {"version": 0, "sequence": 2016}, False),
        (OLDER, {"version": 2, "sequence": 2016 | 1 << 22}, False),
        (OLDER, {"version": 2, "sequence": 2016 | 1 << 31}, False),
        (b"\x4f\xb2\x75", {"version": 2, "sequence": 2016}, False),
        (ALTOGETHER, {}, True),
        (b"\xb2", {}, False),
        (b"\xb1", {}, False),
    ],
)
def test_time_locks_in_every_kind_of_script(script: bytes, locks: dict[str, int], held: bool) -> None:
    expected = (ACCEPTED, True) if held else (REFUSED, False)
    assert in_witness(script + CHECK_KEY, one, **locks) == expected
    assert in_script_hash(script + CHECK_KEY, lambda sign: push(sign(b"")), **locks) == expected
    assert in_tapscript(script + CHECK_X_ONLY, one, **locks) == expected


ADD = push(compressed(KEY)[1:]) + b"\xba"


@pytest.mark.parametrize(
    ("script", "witness", "options", "said", "consensus"),
    [
        (CHECK_X_ONLY, one, {}, ACCEPTED, True),
        (CHECK_X_ONLY, lambda _: (b"",), {}, REFUSED, False),
        (CHECK_X_ONLY, lambda sign: (sign(b"") + b"\0",), {}, REFUSED, False),
        (CHECK_X_ONLY, lambda sign: (sign(b"")[:-1],), {}, REFUSED, False),
        (b"\x00" + ADD + b"\x51\x87", one, {}, ACCEPTED, True),
        (b"\x00" + ADD + b"\x52\x87", one, {}, REFUSED, False),
        (b"\x00" + ADD, lambda _: (b"",), {}, REFUSED, False),
        (CHECK_KEY, one, {}, INCONCLUSIVE, True),  # a key of 33 bytes is of an unknown type
        (b"\x00\xac", one, {}, REFUSED, False),
        (b"\x50" + CHECK_X_ONLY, one, {}, INCONCLUSIVE, True),  # OP_SUCCESS
        (b"\x50\x4c", lambda _: (), {}, INCONCLUSIVE, True),  # and nothing after it counts
        (CHECK_X_ONLY + b"\x4c", one, {}, REFUSED, False),
        (CHECK_X_ONLY, one, {"leaf_version": 0xC2}, INCONCLUSIVE, True),
        (CHECK_X_ONLY, one, {"annex": b"\x50"}, INCONCLUSIVE, True),
        (CHECK_X_ONLY, one, {"annex": b"\x50more"}, INCONCLUSIVE, True),
        (b"\xb5" + CHECK_X_ONLY, one, {}, INCONCLUSIVE, True),
        (b"\x00" * 3 + b"\xae", lambda _: (), {}, REFUSED, False),  # no OP_CHECKMULTISIG
        (b"\x63" + CHECK_X_ONLY + b"\x68", lambda sign: (sign(b""), b"\2"), {}, REFUSED, False),
        (b"\x61" * 500 + CHECK_X_ONLY, one, {}, ACCEPTED, True),  # no limit of operations
        ((b"\x76" + CHECK_X_ONLY + b"\x69") * 3 + CHECK_X_ONLY, one, {}, ACCEPTED, True),
        ((b"\x76" + push(compressed(KEY)[1:]) + b"\xad") * 2 + CHECK_X_ONLY, one, {}, ACCEPTED, True),
        (push(compressed(KEY)[1:]) + b"\x7c" + b"\x6e\x7c\xad" * 20 + b"\x7c\xac", one, {}, REFUSED, False),  # budget
    ],
)
def test_a_tapscript(script: bytes, witness: Witness, options: dict[str, int | bytes], said: str, consensus: bool) -> None:
    assert in_tapscript(script, witness, **options) == (said, consensus)  # type: ignore[arg-type]


def test_taproot_signatures_are_over_everything_in_either_spelling() -> None:
    locked, _ = taproot(compressed(KEY)[1:])
    spend = unsigned(TEXT, locked)
    for hash_type, tail, said in (
        (0, b"", ACCEPTED),
        (1, b"\1", ACCEPTED),
        (0, b"\0", REFUSED),
        (2, b"\2", REFUSED),
        (0x81, b"\x81", REFUSED),
    ):
        signature = taproot_key(KEY).sign_schnorr(spend.taproot_digest(hash_type, b"", b"")) + tail
        assert outcome_of(spend, witness=(signature,))[0] == said
    assert outcome_of(spend, witness=()) == (REFUSED, False)
    assert outcome_of(spend, script=b"\x51", witness=(KEY.sign_schnorr(bytes(32)),)) == (REFUSED, False)


def test_a_control_block_must_lead_to_the_address() -> None:
    other = tagged_hash("TapLeaf", b"\xc0\x01\x51")
    leaf = tagged_hash("TapLeaf", b"\xc0" + bytes([len(CHECK_X_ONLY)]) + CHECK_X_ONLY)
    locked, parity = taproot(INTERNAL, tagged_hash("TapBranch", b"".join(sorted((leaf, other)))))
    spend = unsigned(TEXT, locked)
    signature = KEY.sign_schnorr(spend.taproot_digest(0, b"", leaf))
    control = bytes([0xC0 | parity]) + INTERNAL + other
    assert outcome_of(spend, witness=(signature, CHECK_X_ONLY, control)) == (ACCEPTED, True)
    for wrong in (
        bytes([control[0] ^ 1]) + control[1:],
        control[:-1],
        control[:33],
        control + bytes(32),
        control[:1] + bytes(32) + other,
        control[:32],
        b"",
        control[:33] + bytes(32),
    ):
        assert outcome_of(spend, witness=(signature, CHECK_X_ONLY, wrong)) == (REFUSED, False)


@pytest.mark.parametrize("locked", [b"\x52\x20" + bytes([1] * 32), b"\x60\x02\1\2", b"\x51\x02\x4e\x73", b"\x51\x14" + bytes([1] * 20)])
def test_witness_programs_that_no_rule_knows_are_inconclusive(locked: bytes) -> None:
    assert outcome_of(unsigned(TEXT, locked), witness=(b"",)) == (INCONCLUSIVE, True)


def test_a_taproot_program_in_a_script_hash_is_inconclusive_as_nobody_checks_it() -> None:
    program, _ = taproot(compressed(KEY)[1:])
    assert outcome_of(unsigned(TEXT, script_hash(program)), script=push(program), witness=(b"",)) == (INCONCLUSIVE, True)


def test_scripts_and_witnesses_where_none_belongs_are_refused() -> None:
    spend = unsigned(TEXT, witness_key_hash(KEY))
    good = (ecdsa(KEY, spend.witness_digest(key_hash(KEY))), compressed(KEY))
    assert outcome_of(spend, witness=good) == (ACCEPTED, True)
    assert outcome_of(spend, script=b"\x51", witness=good) == (REFUSED, False)
    assert outcome_of(spend, witness=(*good, b"")) == (REFUSED, False)
    legacy = unsigned(TEXT, key_hash(KEY))
    unlocking = push(ecdsa(KEY, legacy.legacy_digest(key_hash(KEY)))) + push(compressed(KEY))
    assert outcome_of(legacy, script=unlocking) == (ACCEPTED, True)
    assert outcome_of(legacy, script=unlocking, witness=(b"",)) == (REFUSED, False)
    assert outcome_of(legacy, script=b"\x51" + unlocking) == (REFUSED, True)  # CLEANSTACK
    nested = unsigned(TEXT, script_hash(witness_key_hash(KEY)))
    good = (ecdsa(KEY, nested.witness_digest(key_hash(KEY))), compressed(KEY))
    assert outcome_of(nested, script=push(witness_key_hash(KEY)), witness=good) == (ACCEPTED, True)
    assert outcome_of(nested, script=b"\x51" + push(witness_key_hash(KEY)), witness=good) == (REFUSED, False)


def push_number(number: int) -> bytes:
    if 1 <= number <= 16:
        return bytes([0x50 + number])
    return b"\x4f" if number == -1 else push(from_number(number))


NUMBERS = st.integers(-(2**31) + 1, 2**31 - 1) | st.integers(-3, 20)
PUSHES = NUMBERS.map(push_number) | st.binary(min_size=6, max_size=90).map(push)
PLAIN = st.sampled_from(
    [bytes([code]) for code in (*range(0x6B, 0x7E), 0x82, 0x87, 0x88, 0x8B, 0x8C, *range(0x8F, 0x95), *range(0x9A, 0xAB))]
)
CONDITION = st.sampled_from([b"\x92\x63", b"\x92\x64", b"\x67", b"\x68"])  # after OP_0NOTEQUAL, which leaves 0 or 1
ODD = st.sampled_from([b"\x50", b"\x61", b"\x62", b"\x69", b"\x6a", b"\x89", b"\x7e", b"\x65", b"\xff", b"\x4c", b"\xb1", b"\xb2"])


@settings(max_examples=400, deadline=None)
@given(
    steps=st.lists(st.one_of(PUSHES, PUSHES, PLAIN, PLAIN, PLAIN, CONDITION, ODD), max_size=25),
    witness=st.lists(NUMBERS.map(from_number) | st.binary(min_size=6, max_size=60), max_size=7),
    clean=st.booleans(),
    lock=st.sampled_from([0, 5, 500_000_000]),
)
@example(steps=[b"\x51"], witness=[], clean=False, lock=0)
@example(steps=[b"\x00"], witness=[], clean=False, lock=0)
def test_random_scripts_end_as_the_nodes_say(steps: list[bytes], witness: list[bytes], clean: bool, lock: int) -> None:
    """Without signatures; with pushes and conditions that are minimal, so that no rule beyond consensus is touched."""
    script = b"".join(steps) + (b"\x6d" * 2 + b"\x51" if clean else b"")
    spend = unsigned(TEXT, witness_script_hash(script), version=2, lock_time=lock, sequence=lock & 0xFFFF)
    transaction = signed(spend, witness=(*witness, script))
    assert unlocks(spend, (*witness, script)) == nodes_accept(transaction, spend.spent)


ELEMENTS = st.sampled_from([b"", b"\1", b"\2", b"\3", b"\x81", b"\x05", b"\x8f", b"\xe8\x03", bytes(6)])


@pytest.mark.parametrize("code", [code for code in range(0x4F, 0x100) if code not in (0x63, 0x64, *range(0xAB, 0xB0))], ids=hex)
@settings(max_examples=10, deadline=None)
@given(stack=st.lists(ELEMENTS, max_size=7))
@example(stack=[b"\1", b"\2", b"\3", b"\x05", b"\1", b"\2", b"\1"])
@example(stack=[b"\x81", b"\x8f"])
def test_each_operation_leaves_what_the_nodes_say(code: int, stack: list[bytes]) -> None:
    """Outside of witnesses, where consensus lets the stack end in any way: its elements are then compared one by one."""
    pushes = b"".join(map(push_minimally, stack))
    spend = unsigned(TEXT, bytes([code]) + b"\x51", version=2)
    machine = Machine(spend, Rules.LEGACY, list(stack), Outcome())
    try:
        machine.run(bytes([code]))
        left = machine.stack
    except NotVerifiedError:
        left = None
    assert nodes_accept(signed(spend, script=pushes), spend.spent) == (left is not None)
    if left is not None:
        compare = b"".join(push_minimally(element) + b"\x88" for element in reversed(left)) + b"\x74\x91"  # and nothing below them
        spend = unsigned(TEXT, bytes([code]) + compare, version=2)
        assert nodes_accept(signed(spend, script=pushes), spend.spent)


def push_minimally(element: bytes) -> bytes:
    return push(element) if len(element) > 4 else push_number(to_number(element))


def unlocks(spend: Spend, witness: tuple[bytes, ...]) -> bool:
    try:
        unlock(signed(spend, witness=witness), 0, spend.spent)
    except NotVerifiedError:
        return False
    return True


@settings(deadline=None)
@given(number=st.integers(-(2**39) + 1, 2**39 - 1))
def test_numbers_are_read_as_written_and_true_unless_zero(number: int) -> None:
    assert to_number(from_number(number), 5) == number
    assert is_true(from_number(number)) == bool(number)
    assert is_true(b"\x80") is is_true(b"\0\0") is is_true(b"") is False


@settings(deadline=None)
@given(data=st.binary(max_size=70_000) | st.binary(max_size=300))
def test_a_push_is_read_as_written(data: bytes) -> None:
    assert list(operations(push(data))) == [(push(data)[0], data)]
    assert multisig(push(data)) is None


def test_the_hash_is_the_one_that_addresses_use_in_either_library() -> None:
    assert hash160(b"") == RIPEMD160.new(sha256(b"")).digest()
