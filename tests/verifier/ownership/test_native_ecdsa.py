"""Native ECDSA with coincurve signing; addresses against base58, the pipeline's readers of addresses, and the published vectors (`test_schemes.py`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import base58
import pytest
from coincurve import PrivateKey
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.chains.filecoin.addresses import parse_address
from assay_verify.ownership.encodings import bech32, conflux_base32, hash160
from assay_verify.ownership.evm import account_of
from assay_verify.ownership.interface import NotVerifiedError, Statement
from assay_verify.ownership.native_ecdsa import OKX_ECDSA, _filecoin, okx_framed, ripple_address
from tests.verifier.ownership.one_bit import PLACES, assert_each_bit_counts

KEYS = st.integers(min_value=1, max_value=2**255)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FORMS: dict[str, Callable[[bytes, bytes], str]] = {
    "f1": lambda key, _short: f"f1{_filecoin(key)}",
    "t1": lambda key, _short: f"t1{_filecoin(key)}",
    "terra": lambda _key, short: bech32("terra", hash160(short)),
    "cosmos": lambda _key, short: bech32("cosmos", hash160(short)),
    "ex": lambda key, _short: bech32("ex", account_of(key)),
    "inj": lambda key, _short: bech32("inj", account_of(key)),
    "0x": lambda key, _short: f"0x{account_of(key).hex()}",
    "cfx": lambda key, _short: conflux_base32("cfx", bytes([0x10 | account_of(key)[0] & 15]) + account_of(key)[1:]),
    "aelf": lambda key, _short: base58.b58encode_check(hashlib.sha256(hashlib.sha256(key).digest()).digest()).decode(),
    "hx": lambda key, _short: "hx" + hashlib.sha3_256(key[1:]).digest()[12:].hex(),
    "r": lambda _key, short: base58.b58encode_check(b"\0" + hash160(short), alphabet=base58.RIPPLE_ALPHABET).decode(),
}
EACH = pytest.mark.parametrize("form", FORMS)


def signed(form: str, number: int, text: str = "hello world") -> Statement:
    key = PrivateKey.from_int(number)
    content = text.encode()
    assert len(content) < 253
    digest = keccak(b"\x14OKX Signed Message:\n" + bytes([len(content)]) + content)
    raw = key.sign_recoverable(digest, hasher=None)
    address = FORMS[form](key.public_key.format(compressed=False), key.public_key.format())
    return Statement(coin="any", address=address, message=text, signatures=(f"0x{raw[:64].hex()}{raw[64] + 27:02x}",))


@EACH
@given(number=KEYS, text=st.text(max_size=60))
@settings(max_examples=15, deadline=None)
def test_what_a_key_signs_verifies(form: str, number: int, text: str) -> None:
    assert OKX_ECDSA.verify(signed(form, number, text)).keys == (PrivateKey.from_int(number).public_key.format().hex(),)


def test_an_address_of_aelf_may_begin_like_another_chains() -> None:
    found = {}
    for number in range(1, 4000):
        statement = signed("aelf", number, "a")
        found.setdefault(statement.address[:1], statement)
    assert found["r"].address.startswith("r")
    assert all(OKX_ECDSA.verify(statement).scheme == "okx_ecdsa" for statement in found.values())


@EACH
@given(number=KEYS, place=PLACES)
@settings(max_examples=40, deadline=None)
def test_one_other_bit_does_not_verify(form: str, number: int, place: int) -> None:
    assert_each_bit_counts(OKX_ECDSA, signed(form, number), place)


@EACH
def test_the_mirrored_signature_is_refused(form: str) -> None:
    statement = signed(form, 9)
    raw = bytes.fromhex(statement.signatures[0][2:])
    mirrored = raw[:32] + (ORDER - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big") + bytes([55 - raw[64]])
    with pytest.raises(NotVerifiedError, match="high s"):
        OKX_ECDSA.verify(replace(statement, signatures=(mirrored.hex(),)))


@pytest.mark.parametrize(
    "address", ["", "x", "osmosis1qqqq", "f3aaaa", "f01234", "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7", "адрес", "1" * 4000]
)
def test_an_address_of_no_known_form_is_refused(address: str) -> None:
    with pytest.raises(NotVerifiedError):
        OKX_ECDSA.verify(replace(signed("f1", 3), address=address))


@given(number=KEYS)
@settings(max_examples=20, deadline=None)
def test_filecoin_addresses_are_read_by_the_pipeline(number: int) -> None:
    parsed = parse_address(signed("f1", number).address, "mainnet")
    assert (parsed.protocol, len(parsed.payload)) == (1, 20)


def test_a_long_text_has_a_longer_length_in_front() -> None:
    assert okx_framed(b"a" * 252)[21:22] == b"\xfc"
    assert okx_framed(b"a" * 253)[21:24] == b"\xfd\xfd\x00"
    assert okx_framed(b"a" * 65_536)[21:26] == b"\xfe\x00\x00\x01\x00"


def test_ripples_alphabet_writes_the_documented_account() -> None:
    # The genesis account and its key: https://xrpl.org/docs/concepts/accounts/addresses#special-addresses
    assert (
        ripple_address(bytes.fromhex("0330E7FC9D56BB25D6893BA3F317AE5BCF33B3291BD63DB32654A313222F7FD020"))
        == "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"
    )
