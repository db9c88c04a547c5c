"""ed25519 with PyNaCl signing, and addresses against other packages and the pipeline's own readers of addresses; published vectors in `test_schemes.py`."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import replace

import base58
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from assay.chains.polkadot.storage import encode_ss58
from assay.chains.ton.cells import parse_address
from assay_verify.ownership import ed25519
from assay_verify.ownership.ed25519 import Ed25519
from assay_verify.ownership.ed25519_accounts import _authentication_key, _is_cardano, _stellar
from assay_verify.ownership.encodings import bech32
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError
from assay_verify.ownership.native_ecdsa import ripple_address
from assay_verify.ownership.ton_wallets import CODES, wallets
from tests.verifier.ownership.one_bit import PLACES, assert_each_bit_counts

SEEDS = st.binary(min_size=32, max_size=32)
TEXT = "I am an OKX address"
ORDER = 2**252 + 27742317777372353535851937790883648493


def sui(key: bytes) -> str:
    return "0x" + hashlib.blake2b(b"\0" + key, digest_size=32).hexdigest()


def cardano(key: bytes) -> str:
    return bech32("addr", b"\x61" + hashlib.blake2b(key, digest_size=28).digest())


ADDRESSES: dict[str, Callable[[bytes], str]] = {
    "SOLANA": lambda key: base58.b58encode(key).decode(),
    "APTOS": lambda key: f"0x{_authentication_key(key).hex()}",
    "SUI": sui,
    "TON": lambda key: f"0:{wallets(key)['v4r2'].hex()}",
    "POLKADOT": lambda key: encode_ss58(0, key),
    "CARDANO": cardano,
    "NEAR": bytes.hex,
    "STELLAR": _stellar,
    "RIPPLE": lambda key: ripple_address(b"\xed" + key),
}
HOLDING_THE_KEY = ("SOLANA", "POLKADOT", "NEAR")
EACH = pytest.mark.parametrize("chain", ADDRESSES)


def signed(chain: str, seed: bytes, *, okx: bool = False, text: str = TEXT) -> tuple[Ed25519, Statement]:
    scheme: Ed25519 = getattr(ed25519, f"{chain}_OKX" if okx else chain)
    signing = SigningKey(seed)
    key = bytes(signing.verify_key)
    content = b"\x14OKX Signed Message:\n" + bytes([len(text)]) + text.encode() if okx else text.encode()
    signature = signing.sign(content).signature.hex()
    script = ("ED" if chain == "RIPPLE" else "") + key.hex()
    return scheme, Statement(coin=chain, address=ADDRESSES[chain](key), message=text, signatures=(signature,), script=script)


@EACH
@pytest.mark.parametrize("okx", [False, True])
@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_what_a_key_signs_verifies_in_its_own_framing_only(chain: str, okx: bool, seed: bytes) -> None:
    scheme, statement = signed(chain, seed, okx=okx)
    verified = scheme.verify(statement)
    assert verified.scheme == ("ed25519_okx" if okx else "ed25519")
    assert verified.keys == (bytes(SigningKey(seed).verify_key).hex(),)
    assert not verified.note
    other, _ = signed(chain, seed, okx=not okx)
    with pytest.raises((NotVerifiedError, UnsupportedError)):
        other.verify(statement)


@EACH
@given(seed=SEEDS, place=PLACES)
@settings(max_examples=30, deadline=None)
def test_one_other_bit_does_not_verify(chain: str, seed: bytes, place: int) -> None:
    scheme, statement = signed(chain, seed)
    if chain == "POLKADOT" and place % 512 == 511:
        place += 1  # that bit marks signatures of sr25519: see below
    if chain == "RIPPLE":
        assert_each_bit_counts(scheme, statement, place)
        return
    assert_each_bit_counts(scheme, statement, place, script=True)


@EACH
def test_another_keys_address_does_not_verify(chain: str) -> None:
    scheme, statement = signed(chain, b"a" * 32)
    _, others = signed(chain, b"b" * 32)
    with pytest.raises(NotVerifiedError, match="address"):
        scheme.verify(replace(statement, address=others.address))
    with pytest.raises(NotVerifiedError, match="not by this key"):
        scheme.verify(replace(statement, script=others.script))


@EACH
def test_the_key_may_be_left_out_where_the_address_holds_it(chain: str) -> None:
    scheme, statement = signed(chain, b"a" * 32)
    bare = replace(statement, script="")
    if chain in HOLDING_THE_KEY:
        assert scheme.verify(bare) == scheme.verify(statement)
        with pytest.raises(NotVerifiedError):
            scheme.verify(replace(bare, address=statement.address[:-1]))
    else:
        with pytest.raises(NotVerifiedError, match="key is missing"):
            scheme.verify(bare)


@EACH
def test_an_s_of_the_order_or_above_is_refused(chain: str) -> None:
    scheme, statement = signed(chain, b"a" * 32)
    raw = bytes.fromhex(statement.signatures[0])
    other = raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
    with pytest.raises(NotVerifiedError):
        scheme.verify(replace(statement, signatures=(other.hex(),)))


@pytest.mark.parametrize("key", ["00" * 32, "01" + "00" * 31, "ff" * 32, "ecff" + "ff" * 29 + "7f"])
def test_a_key_of_small_order_is_refused(key: str) -> None:
    # With such keys R = key, S = 0 holds for some texts in checks that don't look.
    address = base58.b58encode(bytes.fromhex(key)).decode()
    for signature in (key + "00" * 32, "01" + "00" * 63):
        with pytest.raises(NotVerifiedError):
            ed25519.SOLANA.verify(Statement(coin="SOL", address=address, message=TEXT, signatures=(signature,), script=key))


@pytest.mark.parametrize("broken", ["", "0x", "00" * 63, "00" * 65, "zz" * 64, "0x" + "00" * 64, " " * 128])
def test_a_malformed_signature_is_refused(broken: str) -> None:
    scheme, statement = signed("SOLANA", b"a" * 32)
    with pytest.raises(NotVerifiedError):
        scheme.verify(replace(statement, signatures=(broken,)))


def test_sr25519_is_unsupported_and_not_called_wrong() -> None:
    scheme, statement = signed("POLKADOT", b"a" * 32)
    raw = bytearray.fromhex(statement.signatures[0])
    raw[63] |= 0x80
    with pytest.raises(UnsupportedError, match="sr25519"):
        scheme.verify(replace(statement, signatures=(raw.hex(),)))


class TestAptos:
    def test_leading_zeros_may_be_left_out_all_or_none(self) -> None:
        seed = next(n for n in range(1000) if _authentication_key(bytes(SigningKey(n.to_bytes(32, "big")).verify_key))[0] == 0)
        scheme, statement = signed("APTOS", seed.to_bytes(32, "big"))
        digits = statement.address[2:]
        assert scheme.verify(replace(statement, address=f"0x{digits.lstrip('0')}"))
        for wrong in (digits, f"0x0{digits.lstrip('0')}", f"0x{digits.upper()}", f"0X{digits}"):
            with pytest.raises(NotVerifiedError):
                scheme.verify(replace(statement, address=wrong))

    def test_a_rotated_key_needs_the_chain(self) -> None:
        scheme, statement = signed("APTOS", b"a" * 32)
        _, first = signed("APTOS", b"b" * 32)
        moved = replace(statement, address=first.address)
        with pytest.raises(NotVerifiedError, match="rotated"):
            scheme.verify(moved)
        held = {first.address: [_authentication_key(bytes.fromhex(statement.script))]}
        assert "chain's state" in scheme.asking(held.__getitem__).verify(moved).note
        with pytest.raises(NotVerifiedError, match="chain's state"):
            scheme.asking(lambda _address: []).verify(moved)

    def test_a_read_that_fails_is_not_an_answer(self) -> None:
        def fails(_address: str) -> list[bytes]:
            raise ConnectionError

        scheme, statement = signed("APTOS", b"a" * 32)
        with pytest.raises(ConnectionError):
            scheme.asking(fails).verify(replace(statement, address="0x1"))


class TestNamedAccounts:
    @pytest.mark.parametrize(("chain", "name"), [("NEAR", "custody.near"), ("HEDERA", "0.0.1234")])
    def test_a_name_needs_the_chain(self, chain: str, name: str) -> None:
        _, statement = signed("NEAR", b"a" * 32)
        scheme: Ed25519 = getattr(ed25519, chain)
        named = replace(statement, address=name)
        with pytest.raises(UnsupportedError, match="has to be asked"):
            scheme.verify(named)
        assert scheme.asking(lambda _name: [bytes.fromhex(statement.script)]).verify(named).note
        with pytest.raises(NotVerifiedError):
            scheme.asking(lambda _name: [b"\1" * 32]).verify(named)
        with pytest.raises(NotVerifiedError, match="not by this key"):
            scheme.verify(replace(named, message="another"))


class TestCardano:
    def test_the_payment_part_of_a_base_address_decides(self) -> None:
        key = bytes(SigningKey(b"a" * 32).verify_key)
        payment = hashlib.blake2b(key, digest_size=28).digest()
        assert _is_cardano(key, bech32("addr", b"\x01" + payment + b"s" * 28))
        for wrong in (b"\x11" + payment + b"s" * 28, b"\x01" + b"s" * 28 + payment, b"\x00" + payment + b"s" * 28):
            assert not _is_cardano(key, bech32("addr", wrong))


class TestTon:
    KEY = bytes.fromhex("6711ba8eaa47855b01d73e3849cd93861b1c11d7a86ae5fb8f96bb63d9be5a6b")

    def test_the_published_example_verifies(self) -> None:
        """The row of https://github.com/okx/proof-of-reserves/blob/main/example/okx_por_example.csv."""
        signature = "6c5b3b11b8d4a7b356cb4e4e4a960e476d05b52824a62ef961054617b401f157ef6c01c537f3751c22ba018f97b067d508b455f6cbdf757a64ca2571e76dc004"
        statement = Statement(
            coin="USDT-TON",
            address="UQB1CKrUWm7qf41Z1GeEE6AgVVj5cH6y6x1aRmWe6q4mj1fn",
            message=TEXT,
            signatures=(f"0x{signature}",),
            script=self.KEY.hex(),
        )
        assert ed25519.TON_OKX.verify(statement).scheme == "ed25519_okx"

    @pytest.mark.parametrize(
        ("version", "raw"),
        [
            ("v3r2", "EQCvoBT5Keb46oUhI_DpX0WXFDdX9ZyxXBfX3FC9cZa90nQP"),
            ("v4r2", "UQAwwdowWbBKkrnRlbY8CUEzy_pgK9pIvOKP2eqcD01EWl2U"),
        ],
    )
    def test_wallets_of_another_library(self, version: str, raw: str) -> None:
        """From the tests of https://github.com/xssnick/tonutils-go."""
        key = bytes.fromhex("dcc39550bb494f4b493e7efe1aa18ea31470f33a2553c568cb74a17ed56790c1")
        assert parse_address(raw)[0].account == wallets(key)[version]

    @pytest.mark.parametrize("version", CODES)
    def test_every_spelling_of_a_wallets_address(self, version: str) -> None:
        account = wallets(bytes(SigningKey(b"a" * 32).verify_key))[version]
        scheme, statement = signed("TON", b"a" * 32)

        def friendly(tag: int, workchain: int = 0) -> str:
            body = bytes([tag, workchain]) + account
            return base64.urlsafe_b64encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "big")).decode()

        for address in (f"0:{account.hex()}", friendly(0x11), friendly(0x51), friendly(0x11).replace("-", "+").replace("_", "/")):
            assert scheme.verify(replace(statement, address=address))
        wrong = (
            f"-1:{account.hex()}",
            f"0:{account.hex().upper()}",
            account.hex(),
            friendly(0x91),
            friendly(0x12),
            friendly(0x11, 255),
            friendly(0x11)[:-1],
        )
        for address in wrong:
            with pytest.raises(NotVerifiedError):
                scheme.verify(replace(statement, address=address))

    def test_the_chain_may_know_another_contracts_key(self) -> None:
        scheme, statement = signed("TON", b"a" * 32)
        other = replace(statement, address="0:" + "11" * 32)
        with pytest.raises(NotVerifiedError):
            scheme.verify(other)
        assert scheme.asking(lambda _address: [bytes.fromhex(statement.script)]).verify(other).note
