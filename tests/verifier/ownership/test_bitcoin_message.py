"""Signed messages of single keys: against the public vectors of an exchange (`../shared/vectors/okx`), and against what a wallet would sign."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from bitcoinlib.encoding import pubkeyhash_to_addr_base58, pubkeyhash_to_addr_bech32
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_verify.addresses import NETWORKS
from assay_verify.ownership.bitcoin_message import COINS, BitcoinMessage
from assay_verify.ownership.bitcoin_script import hash160
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified
from tests.verifier.ownership.bitcoin_signer import address_of, compressed, malleated, sign_message, taproot

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "okx" / "signature_vectors.json"
KEY = PrivateKey(bytes(range(1, 33)))
KEYS = st.integers(1, 1 << 255).map(PrivateKey.from_int)
SIGNABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
TEXT = "I am an X address"
UNCOMPRESSED, COMPRESSED, NESTED, NATIVE = 27, 31, 35, 39
SCHEME = BitcoinMessage()


def single_keys() -> list[dict[str, str]]:
    if not VECTORS.exists():
        return []
    return [entry for entry in json.loads(VECTORS.read_text())["vectors"] if entry["kind"] == "utxo" and not entry["script"]]


def verify(address: str, signature: str, *, coin: str = "BTC", message: str = TEXT, script: str = "") -> Verified:
    return SCHEME.verify(Statement(coin=coin, address=address, message=message, signatures=(signature,), script=script))


def addresses(key: PrivateKey, coin: str = "BTC") -> dict[str, str]:
    """Every kind of address that the coin has for a key."""
    network, public = NETWORKS[COINS[coin].network], compressed(key)
    found = {
        "uncompressed": pubkeyhash_to_addr_base58(hash160(key.public_key.format(compressed=False)), bytes(network.p2pkh[:1])),
        "compressed": pubkeyhash_to_addr_base58(hash160(public), bytes(network.p2pkh[:1])),
    }
    if COINS[coin].witness:
        found["nested"] = pubkeyhash_to_addr_base58(hash160(b"\0\x14" + hash160(public)), bytes(network.p2sh[:1]))
        found["native"] = pubkeyhash_to_addr_bech32(hash160(public), prefix=network.bech32, witver=0)
    return found


HEADERS = {"uncompressed": (UNCOMPRESSED,), "compressed": (COMPRESSED,), "nested": (COMPRESSED, NESTED), "native": (COMPRESSED, NATIVE)}


@pytest.mark.skipif(not VECTORS.exists(), reason=f"the vectors are not there: {VECTORS}")
def test_every_vector_of_a_single_key_verifies() -> None:
    verified = [verify(entry["addr"], entry["sign1"], coin=entry["coin"], message=entry["msg"]) for entry in single_keys()]
    assert [entry["coin"] for entry in single_keys()] == ["BTC", "BSV", "LTC"]
    assert all(item.scheme == "bip137" and len(item.keys) == 1 and not item.note for item in verified)


@pytest.mark.parametrize("entry", single_keys(), ids=lambda entry: entry["coin"])
def test_a_vector_holds_for_its_own_coin_text_and_address_alone(entry: dict[str, str]) -> None:
    other = next(coin for coin in ("DOGE", "DASH") if coin != entry["coin"])
    for change in ({"coin": other}, {"message": entry["msg"] + " "}, {"address": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"}):
        given_values = {"address": entry["addr"], "coin": entry["coin"], "message": entry["msg"]} | change
        with pytest.raises(NotVerifiedError):
            verify(given_values["address"], entry["sign1"], coin=given_values["coin"], message=given_values["message"])


@settings(deadline=None)
@given(key=KEYS, message=SIGNABLE, coin=st.sampled_from(sorted(COINS)))
def test_what_a_wallet_signs_verifies_with_the_header_of_each_kind_of_address(key: PrivateKey, message: str, coin: str) -> None:
    for kind, address in addresses(key, coin).items():
        for header in (UNCOMPRESSED, COMPRESSED, NESTED, NATIVE):
            signature = sign_message(key, message, coin=coin, header=header)
            if header in HEADERS[kind]:
                public = key.public_key.format(compressed=header != UNCOMPRESSED).hex()
                assert verify(address, signature, coin=coin, message=message).keys == (public,)
            else:
                with pytest.raises(NotVerifiedError):
                    verify(address, signature, coin=coin, message=message)


@settings(deadline=None)
@given(key=KEYS, bit=st.integers(8, 65 * 8 - 1), kind=st.sampled_from(sorted(HEADERS)))
def test_one_flipped_bit_of_r_or_s_fails(key: PrivateKey, bit: int, kind: str) -> None:
    signature = flipped(sign_message(key, TEXT, header=HEADERS[kind][-1]), bit)
    with pytest.raises(NotVerifiedError):
        verify(addresses(key)[kind], signature)


@settings(deadline=None)
@given(key=KEYS, bit=st.integers(0, 7), kind=st.sampled_from(sorted(HEADERS)))
def test_a_flipped_bit_of_the_header_fails_or_is_the_other_way_to_write_the_same_signature(key: PrivateKey, bit: int, kind: str) -> None:
    signature = sign_message(key, TEXT, header=HEADERS[kind][0])
    try:
        assert verify(addresses(key)[kind], flipped(signature, bit)).keys == verify(addresses(key)[kind], signature).keys
    except NotVerifiedError:
        return
    assert kind in ("nested", "native")


@settings(deadline=None)
@given(key=KEYS, place=st.integers(0, 200), bit=st.integers(0, 6), kind=st.sampled_from(sorted(HEADERS)))
def test_one_flipped_bit_of_the_written_address_or_text_or_signature_fails(key: PrivateKey, place: int, bit: int, kind: str) -> None:
    signature, address = sign_message(key, TEXT, header=HEADERS[kind][0]), addresses(key)[kind]
    with pytest.raises(NotVerifiedError):
        verify(changed(address, place, bit), signature)
    with pytest.raises(NotVerifiedError):
        verify(address, signature, message=changed(TEXT, place, bit))
    if place % 88 > 1:  # the first two letters hold the header
        with pytest.raises(NotVerifiedError):
            verify(address, changed(signature, place, bit))


def flipped(signature: str, bit: int) -> str:
    """Flip a bit of the bytes."""
    raw = bytearray(base64.b64decode(signature))
    raw[bit // 8] ^= 1 << bit % 8
    return base64.b64encode(raw).decode()


def changed(text: str, place: int, bit: int) -> str:
    """Flip a bit of the letters."""
    place %= len(text)
    return text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]


GOOD = sign_message(KEY, TEXT)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        GOOD[:-1],
        GOOD[:-4],
        GOOD + "\n",
        " " + GOOD,
        GOOD[:40] + "\n" + GOOD[40:],
        GOOD.rstrip("="),
        GOOD + "=",
        GOOD[:-2] + chr(ord(GOOD[-2]) + 1) + "=",  # a bit behind the last byte
        GOOD[:-1] + "A",  # 66 bytes
        "é" + GOOD[1:],
        "\ud800" + GOOD[1:],
        "-" * 87 + "=",
        "A" * 87 + "=",  # header 0
        sign_message(KEY, TEXT, header=43),
    ],
)
def test_a_signature_in_any_other_form_is_refused(signature: str) -> None:
    address = addresses(KEY)["compressed"]
    assert verify(address, GOOD).keys == (compressed(KEY).hex(),)
    with pytest.raises(NotVerifiedError):
        verify(address, signature)


@pytest.mark.parametrize("r", [0, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141, (1 << 256) - 1])
@pytest.mark.parametrize("place", [1, 33])
@pytest.mark.parametrize("header", [31, 34])
def test_numbers_out_of_range_are_refused(r: int, place: int, header: int) -> None:
    raw = bytearray(base64.b64decode(GOOD))
    raw[0] = header
    raw[place : place + 32] = r.to_bytes(32, "big")
    with pytest.raises(NotVerifiedError):
        verify(addresses(KEY)["compressed"], base64.b64encode(raw).decode())


def test_the_mirrored_signature_holds_for_the_same_key_as_no_rule_forbids_it() -> None:
    assert verify(addresses(KEY)["compressed"], malleated(GOOD)).keys == verify(addresses(KEY)["compressed"], GOOD).keys


@pytest.mark.parametrize("header", [COMPRESSED, NATIVE])
def test_taproot_is_accepted_with_a_note_for_keys_that_can_spend(header: int) -> None:
    internal, _ = taproot(compressed(KEY)[1:])
    for locked in (internal, b"\x51\x20" + compressed(KEY)[1:]):
        assert "no specification" in verify(address_of(locked), sign_message(KEY, TEXT, header=header)).note
    for refused in (UNCOMPRESSED, NESTED):
        with pytest.raises(NotVerifiedError, match="another kind"):
            verify(address_of(internal), sign_message(KEY, TEXT, header=refused))
    with pytest.raises(NotVerifiedError):
        verify(address_of(taproot(compressed(PrivateKey())[1:])[0]), GOOD)


def test_a_stated_public_key_or_redeem_script_must_be_the_signers() -> None:
    for script in (compressed(KEY).hex(), compressed(KEY).hex().upper(), "0014" + hash160(compressed(KEY)).hex()):
        assert verify(addresses(KEY)["compressed"], GOOD, script=script)
    for script in (compressed(PrivateKey()).hex(), "51", "junk"):
        with pytest.raises(NotVerifiedError, match="public key that is stated"):
            verify(addresses(KEY)["compressed"], GOOD, script=script)


def test_bitcoin_cash_signs_for_cashaddr_with_and_without_prefix() -> None:
    key = PrivateKey(bytes(31) + b"\1")  # the CashAddr is of this key's well-known hash 751e76e8…
    address = "bitcoincash:qp63uahgrxged4z5jswyt5dn5v3lzsem6cy4spdc2h"
    for written in (address, address.removeprefix("bitcoincash:"), address.upper(), addresses(key, "BCHN")["compressed"]):
        assert verify(written, sign_message(key, TEXT, coin="BCH"), coin="BCH").keys == (compressed(key).hex(),)
    with pytest.raises(NotVerifiedError):
        verify(address.replace("bitcoincash", "bchtest"), sign_message(key, TEXT, coin="BCH"), coin="BCH")


@pytest.mark.parametrize("coin", ["BSV", "BCH", "DOGE", "DASH"])
@pytest.mark.parametrize("kind", ["nested", "native"])
def test_coins_without_witnesses_have_no_witness_addresses(coin: str, kind: str) -> None:
    for signature in (sign_message(KEY, TEXT, coin=coin), sign_message(KEY, TEXT, coin=coin, header=NESTED)):
        with pytest.raises(NotVerifiedError):
            verify(addresses(KEY, "BTC")[kind], signature, coin=coin)


def test_an_address_of_a_script_says_that_the_script_is_missing() -> None:
    with pytest.raises(NotVerifiedError, match="script"):
        verify("bc1qpypsu8sytw959yu53dk48eaq9saxumwegzwd4anava9qe40k6gfqyrsxaq", GOOD)


def test_unknown_coins_are_unsupported_and_case_matters() -> None:
    for coin in ("ZEC", "btc", ""):
        with pytest.raises(UnsupportedError):
            verify(addresses(KEY)["compressed"], GOOD, coin=coin)


def test_two_signatures_for_one_key_and_a_text_that_cannot_be_written_are_refused() -> None:
    with pytest.raises(NotVerifiedError, match="2 signatures"):
        SCHEME.verify(Statement(coin="BTC", address=addresses(KEY)["compressed"], message=TEXT, signatures=(GOOD, GOOD)))
    with pytest.raises(NotVerifiedError, match="surrogate"):
        verify(addresses(KEY)["compressed"], GOOD, message="\ud800")
