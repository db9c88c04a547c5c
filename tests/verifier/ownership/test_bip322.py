"""BIP-322 signatures: every published vector (`../shared/vectors/bip322`), a second implementation (`bip322` of PyPI), and each way to be wrong."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import bip322 as second_implementation
import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_verify.addresses import locking_script
from assay_verify.ownership.bip322 import Bip322, message_hash, to_sign, to_spend
from assay_verify.ownership.bitcoin_script import push, with_length
from assay_verify.ownership.bitcoin_script_transaction import Input, Output, Spend, Transaction
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified
from tests.verifier.ownership.bitcoin_signer import (
    address_of,
    compressed,
    ecdsa,
    full,
    key_hash,
    multisig_script,
    nodes_accept,
    sign_bip322,
    sign_message,
    signed,
    simple,
    stack,
    taproot,
    taproot_key,
    unsigned,
    witness_key_hash,
    witness_script_hash,
)

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "bip322"
SCHEME = Bip322()
KEY, OTHER = PrivateKey(bytes(range(1, 33))), PrivateKey(bytes([7]) * 32)
KEYS = st.integers(1, 1 << 255).map(PrivateKey.from_int)
KINDS = ("p2pkh", "p2sh-p2wpkh", "p2wpkh", "p2tr")
TEXT = "I am an X address"

needs_vectors = pytest.mark.skipif(not FOLDER.exists(), reason=f"the vectors are not there: {FOLDER}")


@cache
def vectors() -> dict[str, list[dict[str, Any]]]:
    """The vectors of both files by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(FOLDER.glob("*.json")):
        for kind, entries in json.loads(path.read_text()).items():
            found.setdefault(kind, []).extend(entries)
    return found


def valid() -> list[tuple[str, dict[str, Any], str]]:
    kinds = ("simple", "full", "proof_of_funds")
    return [(kind, entry, text) for kind in kinds for entry in vectors().get(kind, []) for text in entry["bip322_signatures"]]


def verify(address: str, signature: str, message: str = TEXT, coin: str = "BTC") -> Verified:
    return SCHEME.verify(Statement(coin=coin, address=address, message=message, signatures=(signature,)))


@needs_vectors
def test_every_entry_of_the_vectors_is_counted() -> None:
    assert {kind: len(entries) for kind, entries in vectors().items()} == {
        "tx_hashes": 3,
        "simple": 8,
        "full": 10,
        "proof_of_funds": 3,
        "error": 36,
    }
    assert Counter(kind for kind, _, _ in valid()) == {"simple": 10, "full": 10, "proof_of_funds": 3}


@needs_vectors
def test_every_hash_of_the_vectors_is_recomputed() -> None:
    for entry in vectors()["tx_hashes"]:
        spend = to_spend(entry["message"], locking_script("bitcoin", entry["address"]))
        assert message_hash(entry["message"]).hex() == entry["message_hash"]
        assert spend.txid[::-1].hex() == entry["to_spend_tx_hash"]
        assert to_sign(spend).txid[::-1].hex() == entry["to_sign_tx_hash"]


@pytest.mark.parametrize(
    ("kind", "entry", "text"), valid(), ids=[f"{kind}-{entry['type']}-{n}" for n, (kind, entry, _) in enumerate(valid())]
)
def test_every_valid_vector_verifies_with_the_outcome_of_its_locks(kind: str, entry: dict[str, Any], text: str) -> None:
    verified = verify(entry["address"], text, entry["message"])
    stated = f"valid at time {entry['lock_time']} and age {entry['sequence']}" if kind != "simple" else ""
    assert verified.note.startswith(stated)
    assert bool(verified.note) == bool(stated)
    assert len(verified.keys) == len(set(verified.keys)) >= 1
    assert ("other keys may be able to unlock it" in verified.note) == entry["type"].endswith("time-lock")
    further = [item for group in entry.get("additional_inputs", []) for item in group]
    assert (f"also unlocks {len(further)} outputs of {sum(item['value'] for item in further)} satoshi" in verified.note) == bool(further)


@pytest.mark.parametrize("entry", vectors().get("error", []), ids=lambda entry: entry["description"])
def test_every_invalid_vector_is_refused(entry: dict[str, str]) -> None:
    with pytest.raises(NotVerifiedError):
        verify(entry["address"], entry["signature"], entry["message"])


@pytest.mark.parametrize(
    ("kind", "entry", "text"), valid(), ids=[f"{kind}-{entry['type']}-{n}" for n, (kind, entry, _) in enumerate(valid())]
)
def test_a_valid_vector_holds_for_no_other_text_or_address(kind: str, entry: dict[str, Any], text: str) -> None:
    del kind
    with pytest.raises(NotVerifiedError):
        verify(entry["address"], text, entry["message"] + " ")
    with pytest.raises(NotVerifiedError):
        verify(sign_bip322("p2wpkh", KEY, "")[0], text, entry["message"])


def agrees_with_the_second_implementation(address: str, message: str, signature: str) -> bool:
    """Tell whether both say the same."""
    try:
        second_implementation.verify_simple_encoded(address, message, signature)
        theirs = True
    except second_implementation.VerificationError:
        theirs = False
    try:
        ours = bool(verify(address, "smp" + signature, message))
    except NotVerifiedError:
        ours = False
    return ours == theirs


@needs_vectors
def test_a_second_implementation_says_the_same_about_the_vectors_of_its_types() -> None:
    compared = 0
    for _, entry, text in valid():
        if entry["type"] in ("p2wpkh", "p2tr") and entry in vectors()["simple"]:
            assert agrees_with_the_second_implementation(entry["address"], entry["message"], text.removeprefix("smp"))
            compared += 1
    for entry in vectors()["error"]:
        if entry["signature"].startswith("smp") and len(entry["address"]) != len(
            "bc1qw6g0rgrpuxvj4edkwtvzpmt3c5m08mhp8nuk3mrk4erufvlczp5ssdscjd"
        ):
            assert agrees_with_the_second_implementation(entry["address"], entry["message"], entry["signature"].removeprefix("smp"))
            compared += 1
    assert compared == 11


@settings(deadline=None)
@given(
    key=KEYS, message=st.text(st.characters(exclude_categories=["Cs"])), kind=st.sampled_from(KINDS), bit=st.none() | st.integers(0, 10_000)
)
def test_a_second_implementation_says_the_same_about_random_keys(key: PrivateKey, message: str, kind: str, bit: int | None) -> None:
    address, signature = sign_bip322(kind, key, message)
    assert verify(address, signature, message).keys
    if kind in ("p2wpkh", "p2tr", "p2sh-p2wpkh"):
        body = signature.removeprefix("smp")
        assert agrees_with_the_second_implementation(address, message, body if bit is None else flipped(body, bit))


def flipped(text: str, bit: int) -> str:
    """Flip a bit of what base64 holds."""
    raw = bytearray(base64.b64decode(text))
    bit %= len(raw) * 8
    raw[bit // 8] ^= 1 << bit % 8
    return base64.b64encode(raw).decode()


SIGNED = {kind: sign_bip322(kind, KEY, TEXT) for kind in KINDS}


@settings(deadline=None)
@given(kind=st.sampled_from(KINDS), bit=st.integers(0, 10_000))
def test_one_flipped_bit_of_the_signature_fails(kind: str, bit: int) -> None:
    address, signature = SIGNED[kind]
    with pytest.raises(NotVerifiedError):
        verify(address, signature[:3] + flipped(signature[3:], bit))


@settings(deadline=None)
@given(kind=st.sampled_from(KINDS), place=st.integers(0, 1_000), bit=st.integers(0, 6))
def test_one_flipped_bit_of_the_written_signature_or_address_or_text_fails(kind: str, place: int, bit: int) -> None:
    address, signature = SIGNED[kind]
    for changed in (
        (address, change(signature, place, bit), TEXT),
        (change(address, place, bit), signature, TEXT),
        (address, signature, change(TEXT, place, bit)),
    ):
        with pytest.raises(NotVerifiedError):
            verify(*changed)


@needs_vectors
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_one_flipped_bit_of_a_proof_of_funds_fails(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from(vectors()["proof_of_funds"]))
    text = entry["bip322_signatures"][0]
    with pytest.raises(NotVerifiedError):
        verify(entry["address"], "pof" + flipped(text[3:], data.draw(st.integers(0, len(text) * 6))), entry["message"])


def change(text: str, place: int, bit: int) -> str:
    place %= len(text)
    return text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_without_prefix_is_told_by_its_bytes(kind: str) -> None:
    address, signature = SIGNED[kind]
    assert verify(address, signature[3:]) == verify(address, signature)
    for prefix in {"smp", "ful", "pof", "SMP", "foo"} - {signature[:3]}:
        with pytest.raises(NotVerifiedError):
            verify(address, prefix + signature[3:])


@needs_vectors
def test_a_proof_of_funds_without_prefix_is_told_by_its_bytes() -> None:
    for entry in vectors()["proof_of_funds"]:
        assert verify(entry["address"], entry["bip322_signatures"][0][3:], entry["message"]).keys


@pytest.mark.parametrize("change_of", ["{}\n", " {}", "{}=", "{}A", "{}====", "{}é"])
def test_base64_is_read_strictly(change_of: str) -> None:
    address, signature = SIGNED["p2wpkh"]
    with pytest.raises(NotVerifiedError, match="base64"):
        verify(address, change_of.format(signature))
    with pytest.raises(NotVerifiedError):
        verify(address, signature[:-4])


def test_the_older_form_is_named_as_such() -> None:
    with pytest.raises(NotVerifiedError, match="BIP-137"):
        verify(SIGNED["p2pkh"][0], sign_message(KEY, TEXT))


@pytest.mark.parametrize("coin", ["LTC", "DOGE", "BCH", "BSV", "btc", ""])
def test_other_coins_have_no_bip322(coin: str) -> None:
    with pytest.raises(UnsupportedError, match="not defined"):
        verify(*SIGNED["p2wpkh"], coin=coin)


def test_several_signatures_and_texts_that_cannot_be_written_are_refused() -> None:
    address, signature = SIGNED["p2wpkh"]
    with pytest.raises(NotVerifiedError, match="2 signatures"):
        SCHEME.verify(Statement(coin="BTC", address=address, message=TEXT, signatures=(signature, signature)))
    with pytest.raises(NotVerifiedError, match="surrogate"):
        verify(address, signature, "\ud800")
    with pytest.raises(UnsupportedError, match="million"):
        verify(address, "smp" + "A" * (1 << 21))


def test_a_transaction_of_another_form_is_refused() -> None:
    spend = unsigned(TEXT, witness_key_hash(KEY))
    good = spend.transaction
    for other in (
        replace(good, outputs=(*good.outputs, *good.outputs)),
        replace(good, outputs=(Output(1, b"\x6a"),)),
        replace(good, outputs=(Output(0, b"\x6a\0"),)),
        replace(good, outputs=()),
        replace(good, inputs=(replace(good.inputs[0], outpoint=good.inputs[0].outpoint[:32] + b"\1\0\0\0"),)),
    ):
        changed = Spend(other, 0, spend.spent)
        text = full(signed(changed, witness=(ecdsa(KEY, changed.witness_digest(key_hash(KEY))), compressed(KEY))))
        with pytest.raises(NotVerifiedError):
            verify(address_of(witness_key_hash(KEY)), text)


def test_a_version_that_no_rule_knows_is_inconclusive_where_the_signature_is_right_and_invalid_where_not() -> None:
    spend = unsigned(TEXT, witness_key_hash(KEY), version=3)
    for key, outcome in ((KEY, UnsupportedError), (OTHER, NotVerifiedError)):
        text = full(signed(spend, witness=(ecdsa(key, spend.witness_digest(key_hash(KEY))), compressed(KEY))))
        with pytest.raises(outcome, match="version 3" if key is KEY else "another key"):
            verify(address_of(witness_key_hash(KEY)), text)


def test_further_inputs_without_their_outputs_are_inconclusive() -> None:
    spend = unsigned(TEXT, witness_key_hash(KEY))
    more = replace(spend.transaction, inputs=(*spend.transaction.inputs, Input(bytes(36))))
    with pytest.raises(UnsupportedError, match="proof of funds"):
        verify(address_of(witness_key_hash(KEY)), full(more))


FUNDS = Transaction(1, (Input(bytes([3]) * 36),), (Output(5_000, key_hash(KEY)), Output(7_000, b"\x51")), 0)
COIN = Output(9_000, taproot(compressed(KEY)[1:])[0])


def field(key: bytes, value: bytes) -> bytes:
    return with_length(key) + with_length(value)


def proof(
    *,
    told: dict[int, bytes] | None = None,
    place: int = 0,
    signer: PrivateKey = KEY,
    head: bytes = b"",
    twice: bool = False,
    where: bytes = b"",
) -> str:
    """Return a proof of funds for KEY's P2WPKH address and two outputs, one told with its transaction and one by itself."""
    spend = to_spend(TEXT, witness_key_hash(KEY))
    outpoints = [spend.txid + bytes(4), FUNDS.txid + place.to_bytes(4, "little"), where or bytes([9]) * 36]
    outpoints[2] = outpoints[1] if twice else outpoints[2]
    plain = Transaction(0, tuple(map(Input, outpoints)), to_sign(spend).outputs, 0)
    outputs = (spend.outputs[0], FUNDS.outputs[place], COIN)
    first = ecdsa(KEY, Spend(plain, 0, outputs).witness_digest(key_hash(KEY)))
    unlocking = push(ecdsa(signer, Spend(plain, 1, outputs).legacy_digest(key_hash(KEY)))) + push(compressed(KEY))
    schnorr = taproot_key(KEY).sign_schnorr(Spend(plain, 2, outputs).taproot_digest(0, b"", b""))
    maps = {
        0: field(b"\1", outputs[0].serialize()) + field(b"\x08", stack((first, compressed(KEY)))),
        1: field(b"\0", FUNDS.serialize()) + (field(b"\x07", unlocking) if place == 0 else b""),
        2: field(b"\1", COIN.serialize()) + field(b"\x08", stack((schnorr,))),
    } | (told or {})
    raw = b"psbt\xff" + field(b"\0", plain.serialize()) + head + b"\0" + b"".join(maps[number] + b"\0" for number in range(3)) + b"\0"
    return "pof" + base64.b64encode(raw).decode()


def test_a_proof_of_funds_names_what_it_unlocks_and_what_it_does_not_show() -> None:
    address = address_of(witness_key_hash(KEY))
    for text in (proof(), proof(head=field(b"\x09", TEXT.encode())), proof(head=field(b"\xfb", bytes(4)))):
        verified = verify(address, text)
        assert verified.keys == (compressed(KEY).hex(),)
        assert verified.note == "also unlocks 2 outputs of 14000 satoshi as it tells them; that they exist unspent is not shown here"


@pytest.mark.parametrize(
    "options",
    [
        {"signer": OTHER},
        {"told": {1: b""}},
        {"told": {2: b""}},
        {"told": {1: field(b"\1", FUNDS.outputs[0].serialize())}},  # a legacy output needs its transaction
        {"told": {1: field(b"\0", replace(FUNDS, lock_time=1).serialize())}},
        {"told": {1: field(b"\0", FUNDS.serialize()) + field(b"\1", COIN.serialize())}},
        {"told": {0: field(b"\1", COIN.serialize())}},
        {"told": {0: field(b"\1", FUNDS.outputs[1].serialize())}},
        {"told": {2: field(b"\1", COIN.serialize()) * 2}},
        {"told": {2: field(b"\1", replace(COIN, value=1).serialize())}},
        {"head": field(b"\x09", b"another text")},
        {"head": field(b"\x09", b"\xff")},
        {"head": field(b"\0", b"")},
        {"head": field(b"\x0a", b"")},
        {"told": {1: field(b"\0", FUNDS.serialize()) + field(b"\x02", b"")}},  # a field of the time before it was finalized
        {"twice": True},
        {"where": bytes(32) + b"\xff" * 4},
        {"place": 1},  # anybody can unlock it
    ],
    ids="-".join,
)
def test_a_proof_of_funds_with_anything_wrong_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(NotVerifiedError):
        verify(address_of(witness_key_hash(KEY)), proof(**options))


def test_a_proof_of_funds_of_the_later_version_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="version"):
        verify(address_of(witness_key_hash(KEY)), proof(head=field(b"\xfb", b"\2\0\0\0")))


@settings(deadline=None)
@given(
    keys=st.lists(KEYS, min_size=3, max_size=3, unique_by=lambda key: key.secret), message=st.text(st.characters(exclude_categories=["Cs"]))
)
def test_a_multisig_script_takes_its_threshold_in_order(keys: list[PrivateKey], message: str) -> None:
    script = multisig_script(2, keys)
    locked = witness_script_hash(script)
    spend = unsigned(message, locked)
    made = [ecdsa(key, spend.witness_digest(script)) for key in keys]
    for first, last, held in ((0, 1, True), (0, 2, True), (1, 2, True), (1, 0, False), (0, 0, False)):
        witness = (b"", made[first], made[last], script)
        assert nodes_accept(signed(spend, witness=witness), spend.spent) == held
        if held:
            assert set(verify(address_of(locked), simple(witness), message).keys) == {compressed(keys[i]).hex() for i in (first, last)}
        else:
            with pytest.raises(NotVerifiedError):
                verify(address_of(locked), simple(witness), message)
    for witness in ((b"", made[0], script), (b"", made[0], b"", script), (b"\1", made[0], made[1], script), (made[0], made[1], script)):
        with pytest.raises(NotVerifiedError):
            verify(address_of(locked), simple(witness), message)
