"""Ethereum's forms, against eth-account and eth-abi as second implementation; addresses of Filecoin against the published vectors (`test_schemes.py`)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import SignableMessage, encode_defunct, encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.chains.filecoin.addresses import parse_address
from assay_verify.ownership.evm import EIP191, EIP191_ABI_HASHED, EIP191_HASHED, EIP712, TYPED_DATA, eip55
from assay_verify.ownership.interface import NotVerifiedError, Scheme, Statement
from tests.verifier.ownership.one_bit import PLACES, assert_each_bit_counts

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEYS = st.integers(min_value=1, max_value=ORDER - 1)
TEXT = "Example Custodian 2026-10 ethereum, block 21000000"


def as_personal(text: str) -> SignableMessage:
    return encode_defunct(text=text)


def as_hashed(text: str) -> SignableMessage:
    return encode_defunct(primitive=keccak(text=text))


def as_typed(text: str) -> SignableMessage:
    return encode_typed_data(full_message=TYPED_DATA | {"message": {"statement": text}})


def as_abi_hashed(text: str) -> SignableMessage:
    return encode_defunct(primitive=keccak(encode(["string"], [text])))


FORMS = [(EIP191, as_personal), (EIP191_HASHED, as_hashed), (EIP712, as_typed), (EIP191_ABI_HASHED, as_abi_hashed)]
EACH = pytest.mark.parametrize(("scheme", "signable"), FORMS, ids=[scheme.name for scheme, _ in FORMS])


def signed(signable: object, key: int = 7, text: str = TEXT) -> Statement:
    account = Account.from_key(key.to_bytes(32, "big"))
    signature = account.sign_message(signable(text)).signature  # type: ignore[operator]
    return Statement(coin="ETH", address=account.address.lower(), message=text, signatures=(f"0x{signature.hex()}",))


@EACH
@given(key=KEYS, text=st.text(max_size=300))
@settings(max_examples=30, deadline=None)
def test_what_a_wallet_signs_verifies(scheme: Scheme, signable: object, key: int, text: str) -> None:
    verified = scheme.verify(signed(signable, key, text))
    assert verified.scheme == scheme.name
    assert verified.keys == (Account.from_key(key.to_bytes(32, "big"))._key_obj.public_key.to_compressed_bytes().hex(),)


@EACH
@given(key=KEYS, place=PLACES)
@settings(max_examples=60, deadline=None)
def test_one_other_bit_does_not_verify(scheme: Scheme, signable: object, key: int, place: int) -> None:
    assert_each_bit_counts(scheme, signed(signable, key), place)


@EACH
def test_the_mirrored_signature_is_refused(scheme: Scheme, signable: object) -> None:
    statement = signed(signable)
    raw = bytes.fromhex(statement.signatures[0][2:])
    mirrored = raw[:32] + (ORDER - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big") + bytes([55 - raw[64]])
    with pytest.raises(NotVerifiedError, match="high s"):
        scheme.verify(replace(statement, signatures=(mirrored.hex(),)))


@pytest.mark.parametrize("v", range(256))
def test_v_has_four_spellings(v: int) -> None:
    statement = signed(as_personal)
    raw = bytes.fromhex(statement.signatures[0][2:])
    other = replace(statement, signatures=(f"0x{raw[:64].hex()}{v:02x}",))
    if v in (raw[64], raw[64] - 27):
        assert EIP191.verify(other).scheme == "eip191"
    else:
        with pytest.raises(NotVerifiedError):
            EIP191.verify(other)


def test_an_address_has_the_capitals_of_its_checksum_or_none() -> None:
    statement = signed(as_personal)
    checksummed = Account.from_key((7).to_bytes(32, "big")).address
    assert eip55(bytes.fromhex(statement.address[2:])) == checksummed
    EIP191.verify(replace(statement, address=checksummed))
    for wrong in (checksummed.swapcase(), "0x" + checksummed[2:].upper(), "0X" + statement.address[2:], statement.address[2:]):
        with pytest.raises(NotVerifiedError):
            EIP191.verify(replace(statement, address=wrong))


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "0x",
        "0x00",
        "zz" * 65,
        "00" * 65,
        "ff" * 65,
        "00" * 64 + "1b",
        "ab" * 64,
        "ab" * 66,
        " " + "ab" * 64 + "1",
        "ab " * 65,
        "0x" * 65,
    ],
)
def test_a_malformed_signature_is_refused(broken: str) -> None:
    with pytest.raises(NotVerifiedError):
        EIP191.verify(replace(signed(as_personal), signatures=(broken,)))


def test_a_truncated_signature_is_refused_at_every_length() -> None:
    statement = signed(as_personal)
    for length in range(len(statement.signatures[0])):
        with pytest.raises(NotVerifiedError):
            EIP191.verify(replace(statement, signatures=(statement.signatures[0][:length],)))


def test_one_signature_and_no_more() -> None:
    statement = signed(as_personal)
    with pytest.raises(NotVerifiedError, match="one signature"):
        EIP191.verify(replace(statement, signatures=statement.signatures * 2))


def test_a_message_that_is_no_text_is_refused() -> None:
    with pytest.raises(NotVerifiedError, match="surrogate"):
        EIP191.verify(replace(signed(as_personal), message="\ud800"))


def test_another_signer_is_named() -> None:
    with pytest.raises(NotVerifiedError, match="the signature is by 0x"):
        EIP191.verify(replace(signed(as_personal), address="0x" + "11" * 20))


@EACH
def test_a_form_is_none_of_the_others(scheme: Scheme, signable: object) -> None:
    statement = signed(signable)
    for other, _ in FORMS:
        if other is not scheme:
            with pytest.raises(NotVerifiedError):
                other.verify(statement)


@given(key=KEYS, place=PLACES)
@settings(max_examples=40, deadline=None)
def test_filecoins_spelling_is_the_same_account(key: int, place: int) -> None:
    statement = signed(as_hashed, key)
    for network in ("mainnet", "calibration"):
        delegated = replace(statement, address=parse_address(statement.address, network).text(network))
        assert delegated.address[1:5] == "410f"
        EIP191_HASHED.verify(delegated)
        # Its first letter is the network's, which the checksum leaves out: f and t differ by two bits.
        assert_each_bit_counts(EIP191_HASHED, delegated, place)
