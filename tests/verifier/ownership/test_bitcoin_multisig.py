"""Signed messages of m-of-n scripts: against the public vectors of an exchange (`../shared/vectors/okx`), and against made-up scripts."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from bitcoinlib.encoding import pubkeyhash_to_addr_base58, pubkeyhash_to_addr_bech32
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from assay_verify.addresses import NETWORKS
from assay_verify.ownership.bitcoin_message import COINS
from assay_verify.ownership.bitcoin_multisig import BitcoinMultisig
from assay_verify.ownership.bitcoin_script import hash160, sha256
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified
from tests.verifier.ownership.bitcoin_signer import compressed, malleated, multisig_script, sign_message

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "okx" / "signature_vectors.json"
TEXT = "I am an X address"
SCHEME = BitcoinMultisig()
KEYS = [PrivateKey(bytes([number]) * 32) for number in range(1, 17)]
TWO_OF_THREE = multisig_script(2, KEYS[:3])


def vectors() -> list[dict[str, str]]:
    if not VECTORS.exists():
        return []
    return [entry for entry in json.loads(VECTORS.read_text())["vectors"] if entry["kind"] == "utxo" and entry["script"]]


def address(script: bytes, kind: str = "P2SH", coin: str = "BTC") -> str:
    network = NETWORKS[COINS[coin].network]
    if kind == "P2WSH":
        return str(pubkeyhash_to_addr_bech32(sha256(script), prefix=network.bech32, witver=0))
    return str(pubkeyhash_to_addr_base58(hash160(script if kind == "P2SH" else b"\0\x20" + sha256(script)), bytes(network.p2sh[:1])))


def verify(where: str, script: bytes | str, *signatures: str, coin: str = "BTC", message: str = TEXT) -> Verified:
    text = script if isinstance(script, str) else script.hex()
    return SCHEME.verify(Statement(coin=coin, address=where, message=message, signatures=signatures, script=text))


def sign(*keys: PrivateKey, coin: str = "BTC", header: int = 31) -> tuple[str, ...]:
    return tuple(sign_message(key, TEXT, coin=coin, header=header) for key in keys)


@pytest.mark.skipif(not VECTORS.exists(), reason=f"the vectors are not there: {VECTORS}")
def test_every_vector_of_a_multisig_verifies() -> None:
    verified = [verify(e["addr"], e["script"], e["sign1"], e["sign2"], coin=e["coin"], message=e["msg"]) for e in vectors()]
    assert [entry["coin"] for entry in vectors()] == ["BTC", "BTC", "DOGE", "DASH", "LTC", "LTC", "BCHN"]
    assert all(len(set(item.keys)) == 2 for item in verified)


@pytest.mark.parametrize("entry", vectors(), ids=lambda entry: entry["coin"] + "-" + entry["addr"][:4])
def test_what_a_lenient_verifier_lets_through_is_refused(entry: dict[str, str]) -> None:
    first, second, script, where = entry["sign1"], entry["sign2"], entry["script"], entry["addr"]
    for signatures in (
        (first, first),
        (first,),
        (second, malleated(second)),
        (first, sign_message(KEYS[0], entry["msg"], coin=entry["coin"])),
    ):
        with pytest.raises(NotVerifiedError):
            verify(where, script, *signatures, coin=entry["coin"], message=entry["msg"])
    with pytest.raises(NotVerifiedError):
        verify(where, script, first, second, coin=entry["coin"], message=entry["msg"] + "!")
    with pytest.raises(NotVerifiedError, match="hash to the address"):
        verify(where, TWO_OF_THREE, first, second, coin=entry["coin"], message=entry["msg"])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["P2SH", "P2WSH", "P2SH-P2WSH"]), coin=st.sampled_from(["BTC", "LTC", "regtest"]))
def test_any_threshold_is_met_by_distinct_keys_in_any_order_and_by_no_fewer(data: st.DataObject, kind: str, coin: str) -> None:
    count = data.draw(st.integers(1, 15))
    threshold = data.draw(st.integers(1, count))
    script = multisig_script(threshold, KEYS[:count])
    signers = data.draw(st.permutations(KEYS[:count]))[: data.draw(st.integers(threshold, count))]
    header = data.draw(st.sampled_from({"P2SH": (31,), "P2WSH": (31, 39), "P2SH-P2WSH": (31, 35)}[kind]))
    where, signatures = address(script, kind, coin), sign(*signers, coin=coin, header=header)
    assert verify(where, script, *signatures, coin=coin).keys == tuple(compressed(key).hex() for key in signers)
    with pytest.raises(NotVerifiedError, match="required signatures"):
        verify(where, script, *signatures[: threshold - 1], coin=coin)
    with pytest.raises(NotVerifiedError, match="same key"):
        verify(where, script, *signatures, signatures[-1], coin=coin)


@settings(deadline=None)
@given(bit=st.integers(0, len(TWO_OF_THREE) * 8 - 1))
def test_a_script_with_one_flipped_bit_is_another_script(bit: int) -> None:
    script = bytearray(TWO_OF_THREE)
    script[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NotVerifiedError, match="hash to the address"):
        verify(address(TWO_OF_THREE), bytes(script), *sign(*KEYS[:2]))


@settings(deadline=None)
@given(place=st.integers(2, 87), bit=st.integers(0, 6))
def test_a_signature_with_one_flipped_bit_fails(place: int, bit: int) -> None:
    first, second = sign(*KEYS[:2])
    with pytest.raises(NotVerifiedError):
        verify(address(TWO_OF_THREE), TWO_OF_THREE, first, second[:place] + chr(ord(second[place]) ^ 1 << bit) + second[place + 1 :])


@pytest.mark.parametrize("kind", ["P2WSH", "P2SH-P2WSH"])
@pytest.mark.parametrize("coin", ["DOGE", "DASH", "BCH", "BSV"])
def test_coins_without_witnesses_have_no_witness_scripts(kind: str, coin: str) -> None:
    with pytest.raises(NotVerifiedError):
        verify(address(TWO_OF_THREE, kind), TWO_OF_THREE, *sign(*KEYS[:2], coin=coin), coin=coin)


@pytest.mark.parametrize(("kind", "header"), [("P2SH", 35), ("P2SH", 39), ("P2WSH", 27), ("P2WSH", 35), ("P2SH-P2WSH", 39)])
def test_headers_of_other_kinds_of_addresses_are_refused(kind: str, header: int) -> None:
    with pytest.raises(NotVerifiedError, match="another kind"):
        verify(address(TWO_OF_THREE, kind), TWO_OF_THREE, *sign(*KEYS[:2], header=header))


def test_uncompressed_keys_are_told_from_compressed_ones() -> None:
    public = [key.public_key.format(compressed=False) for key in KEYS[:2]]
    script = b"\x52" + b"".join(b"\x41" + key for key in public) + b"\x52\xae"
    assert verify(address(script), script, *sign(*KEYS[:2], header=27)).keys == tuple(key.hex() for key in public)
    with pytest.raises(NotVerifiedError, match="not in the script"):
        verify(address(script), script, *sign(*KEYS[:2]))


@pytest.mark.parametrize("text", ["", "zz", TWO_OF_THREE.hex()[:-1], " " + TWO_OF_THREE.hex(), TWO_OF_THREE.hex() + "\n", "0x"])
def test_a_script_that_is_not_hexadecimal_is_refused(text: str) -> None:
    with pytest.raises(NotVerifiedError, match="not hexadecimal"):
        verify(address(TWO_OF_THREE), text, *sign(*KEYS[:2]))


def scripts_of_other_forms() -> list[bytes]:
    keys = [compressed(key) for key in KEYS[:2]]
    pushed = [b"\x21" + key for key in keys]
    return [
        pushed[0] + b"\xac",
        b"\x52" + pushed[0] + b"\x51\xae",  # 2 of 1
        b"\x00" + b"".join(pushed) + b"\x52\xae",  # 0 of 2
        b"\x51" + b"".join(pushed) + b"\x53\xae",  # says 3, has 2
        b"\x51" + pushed[0] + b"\x20" + keys[1][:32] + b"\x52\xae",  # no key
        b"\x51" + b"".join(pushed) + b"\x52\xae\x51",  # and then true in any case
        b"\x51" + b"".join(pushed) + b"\x52\xaf",
        b"\x51\x52\xae",
        b"\x51\x21",
    ]


@pytest.mark.parametrize("script", scripts_of_other_forms(), ids=lambda script: script.hex()[:8])
def test_other_scripts_are_unsupported_and_never_taken_for_verified(script: bytes) -> None:
    with pytest.raises(UnsupportedError, match="BIP-322"):
        verify(address(script), script, *sign(*KEYS[:2]))


def test_a_redeem_script_longer_than_nodes_take_is_not_the_addresss() -> None:
    script = multisig_script(1, KEYS[:16])
    assert len(script) > 520
    with pytest.raises(NotVerifiedError, match="hash to the address"):
        verify(address(script), script, *sign(KEYS[0]))
    assert verify(address(script, "P2WSH"), script, *sign(KEYS[0]))


def test_wrong_addresses_and_unknown_coins_are_told_apart() -> None:
    for where in ("", "3Fs7", address(TWO_OF_THREE)[:-1], address(TWO_OF_THREE).lower(), address(TWO_OF_THREE, coin="LTC")):
        with pytest.raises(NotVerifiedError):
            verify(where, TWO_OF_THREE, *sign(*KEYS[:2]))
    with pytest.raises(UnsupportedError):
        verify(address(TWO_OF_THREE), TWO_OF_THREE, *sign(*KEYS[:2]), coin="XMR")


def test_a_key_that_stands_twice_in_the_script_still_signs_once() -> None:
    script = multisig_script(2, [KEYS[0], KEYS[0]])
    for first, second in itertools.product(sign(KEYS[0]), (sign(KEYS[0])[0], malleated(sign(KEYS[0])[0]))):
        with pytest.raises(NotVerifiedError, match="same key"):
            verify(address(script), script, first, second)
