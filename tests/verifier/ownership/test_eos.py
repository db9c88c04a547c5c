"""EOS with coincurve signing; the formats are written again here with the base58 package."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import base58
import pytest
from coincurve import PrivateKey
from Crypto.Hash import RIPEMD160
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_verify.ownership.eos import EOS, EOS_OKX, Eos, key_of
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError
from tests.verifier.ownership.one_bit import PLACES, other_text

KEYS = st.integers(min_value=1, max_value=2**255)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def written(prefix: str, body: bytes, kind: bytes) -> str:
    return prefix + base58.b58encode(body + RIPEMD160.new(body + kind).digest()[:4]).decode()


def canonical(raw: bytes) -> bool:
    return not any(half[0] & 0x80 or (half[0] == 0 and not half[1] & 0x80) for half in (raw[:32], raw[32:64]))


def signed(number: int, text: str = "statement", *, okx: bool = False) -> Statement:
    """Sign as the chain's tools do: once more with other randomness until the signature is canonical; here, with another text."""
    key = PrivateKey.from_int(number)
    while True:
        content = b"\x14OKX Signed Message:\n" + bytes([len(text)]) + text.encode() if okx else text.encode()
        raw = key.sign_recoverable(hashlib.sha256(content).digest(), hasher=None)
        if canonical(raw) and raw[64] < 2:
            break
        text += "."
    signature = written("SIG_K1_", bytes([31 + raw[64]]) + raw[:64], b"K1")
    public = written("EOS", key.public_key.format(), b"")
    return Statement(coin="EOS", address="custodywalle", message=text, signatures=(signature,), script=public)


def known(statement: Statement, scheme: Eos = EOS) -> Eos:
    return scheme.asking(lambda name: [key_of(statement.script)] if name == statement.address else [])


@pytest.mark.parametrize("okx", [False, True])
@given(number=KEYS)
@settings(max_examples=30, deadline=None)
def test_what_a_key_of_the_account_signs_verifies(okx: bool, number: int) -> None:
    statement = signed(number, okx=okx)
    verified = known(statement, EOS_OKX if okx else EOS).verify(statement)
    assert verified.scheme == ("eos_okx" if okx else "eos")
    assert "chain's state" in verified.note
    with pytest.raises(NotVerifiedError):
        known(statement, EOS if okx else EOS_OKX).verify(statement)


@given(number=KEYS, place=PLACES)
@settings(max_examples=80, deadline=None)
def test_one_other_bit_does_not_verify(number: int, place: int) -> None:
    statement = signed(number)
    scheme = known(statement)
    for wrong in (
        replace(statement, signatures=(other_text(statement.signatures[0], place),)),
        replace(statement, message=other_text(statement.message, place)),
        replace(statement, address=other_text(statement.address, place)),
        replace(statement, script=other_text(statement.script, place)),
    ):
        with pytest.raises(NotVerifiedError):
            scheme.verify(wrong)


def test_without_the_chain_it_is_unsupported_and_says_which_key_signed() -> None:
    statement = signed(3)
    with pytest.raises(UnsupportedError, match=PrivateKey.from_int(3).public_key.format().hex()):
        EOS.verify(statement)
    with pytest.raises(NotVerifiedError, match="another key"):
        EOS.verify(replace(statement, script=signed(4).script))


def test_both_forms_of_a_key_are_read() -> None:
    key = PrivateKey.from_int(3).public_key.format()
    assert key_of(written("PUB_K1_", key, b"K1")) == key_of(written("EOS", key, b"")) == key
    for wrong in (written("PUB_R1_", key, b"R1"), written("EOS", key, b"K1"), written("PUB_K1_", key, b""), key.hex(), ""):
        with pytest.raises(NotVerifiedError):
            key_of(wrong)


def test_the_mirrored_signature_and_other_kinds_are_refused() -> None:
    statement = signed(3)
    raw = base58.b58decode(statement.signatures[0][7:])[:65]
    mirrored = bytes([63 - raw[0]]) + raw[1:33] + (ORDER - int.from_bytes(raw[33:], "big")).to_bytes(32, "big")
    for wrong in (
        written("SIG_K1_", mirrored, b"K1"),
        written("SIG_R1_", raw, b"R1"),
        written("SIG_K1_", bytes([27]) + raw[1:], b"K1"),
        written("SIG_K1_", raw, b""),
        statement.signatures[0][:-1],
        "",
    ):
        with pytest.raises(NotVerifiedError):
            known(statement).verify(replace(statement, signatures=(wrong,)))
