"""BLS with py_ecc signing."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace

import pytest

from assay_verify.ownership.bls import BLS, BLS_HASHED
from assay_verify.ownership.evm import eip191_hashed
from assay_verify.ownership.interface import NotVerifiedError, Scheme, Statement, UnsupportedError

LIMIT = sys.getrecursionlimit()
from py_ecc.bls import G2ProofOfPossession  # noqa: E402

sys.setrecursionlimit(LIMIT)  # py_ecc lifts it for the whole process, and other tests nest JSON on purpose

TEXT = "I am an OKX address"
KEY = G2ProofOfPossession.SkToPk(41)
PLAIN = G2ProofOfPossession.Sign(41, TEXT.encode())
HASHED = G2ProofOfPossession.Sign(41, eip191_hashed(TEXT.encode()))
CREDENTIALS = "0x00" + hashlib.sha256(KEY).hexdigest()[2:]


def statement(signature: bytes = HASHED, address: str = f"0x{KEY.hex()}", script: str = "") -> Statement:
    return Statement(coin="BETH", address=address, message=TEXT, signatures=(f"0x{signature.hex()}",), script=script)


@pytest.mark.parametrize(("scheme", "signature"), [(BLS, PLAIN), (BLS_HASHED, HASHED)], ids=["bls", "bls_hashed"])
def test_a_validators_key_verifies_in_its_own_form_only(scheme: Scheme, signature: bytes) -> None:
    assert scheme.verify(statement(signature)).keys == (KEY.hex(),)
    with pytest.raises(NotVerifiedError):
        (BLS_HASHED if scheme is BLS else BLS).verify(statement(signature))


def test_withdrawal_credentials_are_the_hash_of_the_key() -> None:
    assert BLS_HASHED.verify(statement(address=CREDENTIALS, script=KEY.hex())).scheme == "bls_hashed"
    for address, script in (
        (CREDENTIALS, ""),
        ("0x01" + CREDENTIALS[4:], KEY.hex()),
        (CREDENTIALS[:-1] + "0", KEY.hex()),
        (CREDENTIALS, G2ProofOfPossession.SkToPk(42).hex()),
        (f"0x{KEY.hex()}", G2ProofOfPossession.SkToPk(42).hex()),
        (KEY.hex().upper(), ""),
        ("0x", ""),
    ):
        with pytest.raises(NotVerifiedError):
            BLS_HASHED.verify(statement(address=address, script=script))


@pytest.mark.parametrize("place", [0, 383, 767])
def test_one_other_bit_does_not_verify(place: int) -> None:
    raw = bytearray(HASHED)
    raw[place // 8] ^= 1 << place % 8
    with pytest.raises(NotVerifiedError):
        BLS_HASHED.verify(statement(bytes(raw)))
    with pytest.raises(NotVerifiedError):
        BLS_HASHED.verify(replace(statement(), message=TEXT + "."))


@pytest.mark.parametrize(
    "broken",
    [b"", HASHED[:-1], HASHED + b"\0", bytes(96), b"\xc0" + bytes(95), b"\xff" * 96],
    ids=["empty", "short", "long", "zeros", "infinity", "ones"],
)
def test_a_malformed_signature_is_refused(broken: bytes) -> None:
    with pytest.raises(NotVerifiedError):
        BLS_HASHED.verify(statement(broken))


def test_the_key_at_infinity_is_refused() -> None:
    with pytest.raises(NotVerifiedError):
        BLS_HASHED.verify(statement(b"\xc0" + bytes(95), address="0xc0" + "00" * 47))


def test_without_the_library_it_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_ecc.bls.ciphersuites", None)
    with pytest.raises(UnsupportedError, match="py_ecc"):
        BLS_HASHED.verify(statement())


def test_the_recursion_limit_stays_as_it_was() -> None:
    """With py_ecc's own limit, JSON that is nested deeply enough ends the process instead of being refused."""
    BLS_HASHED.verify(statement())
    assert sys.getrecursionlimit() < 10_000
