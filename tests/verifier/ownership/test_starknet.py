"""Starknet: hashes against published values, signatures against the published vector (`test_schemes.py`) and keys made here.

Values of the Pedersen hash: tests of https://github.com/starkware-libs/cairo-lang and https://github.com/starknet-io/starknet.js.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError
from assay_verify.ownership.stark_curve import FIELD, GENERATOR, ORDER, add, multiply, pedersen, pedersen_all, point_of
from assay_verify.ownership.starknet import CLASSES, STARKNET, message_hash, selector
from tests.verifier.ownership.one_bit import other_hexadecimal, other_text

TEXT = "hello world"
KEYS = st.integers(min_value=1, max_value=ORDER - 1)


def signed(number: int, nonce: int = 12345, text: str = TEXT) -> Statement:
    public = multiply(number, GENERATOR)
    r_point = multiply(nonce, GENERATOR)
    assert public is not None
    assert r_point is not None
    address = CLASSES[2].address(public[0])
    r = r_point[0]
    s = (message_hash(text.encode(), address) + r * number) * pow(nonce, -1, ORDER) % ORDER
    return Statement(
        coin="STARKNET", address=f"0x{address:064x}", message=text, signatures=(f"{r:064x}{s:064x}",), script=f"0x{public[0]:x}"
    )


def test_the_pedersen_hash_is_the_published_one() -> None:
    assert (
        pedersen(
            0x3D937C035C878245CAF64531A5756109C53068DA139362728FEB561405371CB,
            0x208A0A10250E382E1E4BBE2880906C2791BF6275695E02FBBC6AEFF9CD8B31A,
        )
        == 0x30E480BED5FE53FA909CC0F8C4D99B8F9F2C016BE4C41E13A4848797979C662
    )
    assert pedersen_all(()) == 0x49EE3EBA8C1600700EE1B87EB599F16716B0B1022947733551FDE4050CA6804
    assert pedersen_all((123782376, 213984, 128763521321)) == 0x7B422405DA6571242DFC245A43DE3B0FE695E7021C148B918CD9CDB462CAC59


def test_selectors_are_the_published_ones() -> None:
    assert selector("initialize") == 0x79DC0DA7C54B95F10AA182AD0A46400DB63156920ADB65ECA2654C0945A463
    assert selector("mint") == 0x2F0B3C5710379609EB5495F1ECD348CB28167711B73609FE565A72734550354


@given(number=KEYS)
@settings(max_examples=15, deadline=None)
def test_points_are_found_again_from_their_x(number: int) -> None:
    point = multiply(number, GENERATOR)
    assert point is not None
    found = point_of(point[0])
    assert found in (point, (point[0], FIELD - point[1]))
    assert add(point, (point[0], FIELD - point[1])) is None
    assert multiply(ORDER, point) is None


@given(number=KEYS, nonce=KEYS)
@settings(max_examples=4, deadline=None)
def test_what_a_key_signs_verifies_with_the_address_derived(number: int, nonce: int) -> None:
    verified = STARKNET.verify(signed(number, nonce))
    assert (verified.scheme, verified.note) == ("starknet_okx", "")


@given(number=KEYS, place=st.integers(min_value=0, max_value=10_000))
@settings(max_examples=4, deadline=None)
def test_one_other_bit_does_not_verify(number: int, place: int) -> None:
    statement = signed(number)
    for wrong in (
        replace(statement, signatures=(other_hexadecimal(statement.signatures[0], place),)),
        replace(statement, address="0x" + other_hexadecimal(statement.address, place)[2:]),
        replace(statement, script=f"0x{int(statement.script, 16) ^ 1 << place % 248:x}"),
    ):
        with pytest.raises(NotVerifiedError):
            STARKNET.verify(wrong)
    changed = other_text(TEXT, place)
    with pytest.raises(NotVerifiedError if changed.isprintable() else UnsupportedError):
        STARKNET.verify(replace(statement, message=changed))


@pytest.mark.parametrize("text", ["", "a" * 32, "ü", "12345", "0x12", "a\0", "a\n"])
def test_a_text_that_is_no_felt_or_may_be_a_number_is_unsupported(text: str) -> None:
    with pytest.raises(UnsupportedError):
        STARKNET.verify(replace(signed(5), message=text))


def test_an_account_of_an_unknown_class_needs_the_chain() -> None:
    public = multiply(5, GENERATOR)
    assert public is not None
    known = signed(5)
    r_point = multiply(77, GENERATOR)
    assert r_point is not None
    address, r = 0x1234, r_point[0]
    s = (message_hash(TEXT.encode(), address) + r * 5) * pow(77, -1, ORDER) % ORDER
    other = replace(known, address="0x1234", signatures=(f"{r:064x}{s:064x}",))
    with pytest.raises(UnsupportedError, match="has to be asked"):
        STARKNET.verify(other)
    assert STARKNET.asking(lambda _address: [public[0].to_bytes(32, "big")]).verify(other).note
    with pytest.raises(NotVerifiedError):
        STARKNET.asking(lambda _address: [bytes(32)]).verify(other)


@pytest.mark.parametrize("broken", ["", "00" * 64, "ff" * 64, "00" * 63, "zz" * 64, "00" * 32 + "11" * 32, "11" * 32 + "00" * 32])
def test_a_malformed_signature_is_refused(broken: str) -> None:
    with pytest.raises(NotVerifiedError):
        STARKNET.verify(replace(signed(5), signatures=(broken,)))


@pytest.mark.parametrize("felt", ["", "0x", "1234", "0xAB", "0x" + "f" * 64, "0x" + "0" * 65, f"0x{FIELD:x}"])
def test_what_is_no_number_of_the_field_is_refused(felt: str) -> None:
    for wrong in (replace(signed(5), address=felt), replace(signed(5), script=felt)):
        with pytest.raises(NotVerifiedError):
            STARKNET.verify(wrong)
