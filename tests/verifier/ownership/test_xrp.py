"""secp256k1 keys of the XRP Ledger, with coincurve signing and the documented genesis account."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_verify.ownership.interface import NotVerifiedError, Statement
from assay_verify.ownership.native_ecdsa import ripple_address
from assay_verify.ownership.xrp import XRP_SECP256K1
from tests.verifier.ownership.one_bit import PLACES, assert_each_bit_counts

KEYS = st.integers(min_value=1, max_value=2**255)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def signed(number: int, text: str = "statement") -> Statement:
    key = PrivateKey.from_int(number)
    public = key.public_key.format()
    signature = key.sign(hashlib.sha512(text.encode()).digest()[:32], hasher=None)
    return Statement(
        coin="XRP", address=ripple_address(public), message=text, signatures=(signature.hex().upper(),), script=public.hex().upper()
    )


def der(r: int, s: int, *, pad: bytes = b"") -> bytes:
    def number(value: int) -> bytes:
        raw = pad + value.to_bytes(value.bit_length() // 8 + 1, "big")
        return b"\x02" + bytes([len(raw)]) + raw

    body = number(r) + number(s)
    return b"\x30" + bytes([len(body)]) + body


def halves(signature: str) -> tuple[int, int]:
    raw = bytes.fromhex(signature)
    first = raw[3]
    return int.from_bytes(raw[4 : 4 + first], "big"), int.from_bytes(raw[6 + first :], "big")


@given(number=KEYS, text=st.text(max_size=100))
@settings(max_examples=50, deadline=None)
def test_what_a_key_signs_verifies(number: int, text: str) -> None:
    assert XRP_SECP256K1.verify(signed(number, text)).scheme == "xrp_secp256k1"


@given(number=KEYS, place=PLACES)
@settings(max_examples=150, deadline=None)
def test_one_other_bit_does_not_verify(number: int, place: int) -> None:
    assert_each_bit_counts(XRP_SECP256K1, signed(number), place, script=True)


def test_only_the_fully_canonical_signature_verifies() -> None:
    statement = signed(11)
    r, s = halves(statement.signatures[0])
    assert XRP_SECP256K1.verify(replace(statement, signatures=(der(r, s).hex(),)))
    for other in (der(r, ORDER - s), der(r, s, pad=b"\0"), der(r, s) + b"\0", der(r + ORDER, s), der(0, s), der(r, 0)):
        with pytest.raises(NotVerifiedError):
            XRP_SECP256K1.verify(replace(statement, signatures=(other.hex(),)))


def test_truncated_and_malformed_signatures_are_refused() -> None:
    statement = signed(11)
    whole = statement.signatures[0]
    for broken in (*(whole[:length] for length in range(len(whole))), "zz" * 70, " " * 140, "00" * 100, "0x"):
        with pytest.raises(NotVerifiedError):
            XRP_SECP256K1.verify(replace(statement, signatures=(broken,)))


@pytest.mark.parametrize("script", ["", "02", "ED" + "00" * 32, "04" + "11" * 64, "02" + "ff" * 32, "00" * 33])
def test_a_key_that_is_none_is_refused(script: str) -> None:
    with pytest.raises(NotVerifiedError):
        XRP_SECP256K1.verify(replace(signed(11), script=script))


def test_another_keys_address_is_refused() -> None:
    with pytest.raises(NotVerifiedError, match="the address is another"):
        XRP_SECP256K1.verify(replace(signed(11), address=signed(12).address))
