"""Tron's two versions, with digests written again here from TIP-191 and eth-account's signing; the base58 package writes the addresses."""

from __future__ import annotations

from dataclasses import replace

import base58
import pytest
from eth_account import Account
from eth_account.messages import SignableMessage
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_verify.ownership.interface import NotVerifiedError, Scheme, Statement
from assay_verify.ownership.tron import TRON_V1, TRON_V2
from tests.verifier.ownership.one_bit import PLACES, assert_each_bit_counts

KEYS = st.integers(min_value=1, max_value=2**255)
FIRST_KEYS_ADDRESS = "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"
"""Of the private key 1, as any Tron wallet shows it."""


def signed(scheme: Scheme, key: int, text: str) -> Statement:
    account = Account.from_key(key.to_bytes(32, "big"))
    content = keccak(text=text) if scheme is TRON_V1 else text.encode()
    # eth-account puts 0x19, the version's byte and the header in front: "TRON…" begins with that byte.
    message = SignableMessage(b"T", b"RON Signed Message:\n" + str(len(content)).encode(), content)
    address = base58.b58encode_check(b"\x41" + bytes.fromhex(account.address[2:])).decode()
    return Statement(coin="TRX", address=address, message=text, signatures=(account.sign_message(message).signature.hex(),))


EACH = pytest.mark.parametrize("scheme", [TRON_V1, TRON_V2], ids=["v1", "v2"])


@EACH
def test_the_address_is_the_one_that_wallets_show(scheme: Scheme) -> None:
    statement = signed(scheme, 1, "I am an OKX address")
    assert statement.address == FIRST_KEYS_ADDRESS
    assert scheme.verify(statement).scheme == scheme.name


@EACH
@given(key=KEYS, text=st.text(min_size=1, max_size=200))
@settings(max_examples=30, deadline=None)
def test_what_a_wallet_signs_verifies(scheme: Scheme, key: int, text: str) -> None:
    assert len(scheme.verify(signed(scheme, key, text)).keys) == 1


@EACH
@given(key=KEYS, place=PLACES)
@settings(max_examples=60, deadline=None)
def test_one_other_bit_does_not_verify(scheme: Scheme, key: int, place: int) -> None:
    assert_each_bit_counts(scheme, signed(scheme, key, "I am an OKX address"), place)


@EACH
def test_the_other_version_and_the_same_account_on_ethereum_do_not_verify(scheme: Scheme) -> None:
    statement = signed(scheme, 5, "text")
    with pytest.raises(NotVerifiedError):
        (TRON_V2 if scheme is TRON_V1 else TRON_V1).verify(statement)
    with pytest.raises(NotVerifiedError):
        scheme.verify(replace(statement, address="0x" + base58.b58decode_check(statement.address)[1:].hex()))
