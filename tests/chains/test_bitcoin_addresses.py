"""Against addresses published by the specifications, an encoder that shares nothing with the parser, and an exchange's own list."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.bitcoin.addresses import NETWORKS, parse_address
from assay.errors import ConfigError, RegistryError
from sandbox.bitcoin_keys import AddressPrefixes, address
from tests.conftest import SHARED

TEMPLATES = {
    "p2pkh": (b"\x76\xa9\x14", 20, b"\x88\xac"),
    "p2sh": (b"\xa9\x14", 20, b"\x87"),
    "p2wpkh": (b"\x00\x14", 20, b""),
    "p2wsh": (b"\x00\x20", 32, b""),
    "p2tr": (b"\x51\x20", 32, b""),
}
# From BIP-13, BIP-173, BIP-350 and Litecoin Core's own tests and documentation.
PUBLISHED = [
    ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"),
    ("bitcoin", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"),
    (
        "testnet",
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
    ),
    (
        "bitcoin",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    ),
]
REFUSED = [
    "tc1qw508d6qejxtdg4y5r3zarvary0c5xw7kg3g4ty",  # BIP-173: unknown prefix
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",  # BIP-173: checksum
    "bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",  # BIP-350: version 0 with the newer checksum
    "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",  # BIP-350: letter outside the alphabet
    "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",  # BIP-350: version 2, which has no rules
    "bc1pfeessrawgf",  # version 1 of two bytes: spendable by anybody
    "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",  # mixed case
    "bc1",
    "",
    "1",
    " 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "1AlzP1eP5QGefi2DMPTfTL5SLmv7DivfNa",  # a look-alike letter
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
    "11A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "0xdAC17F958D2ee523a2206206994597C13D831ec7",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3té",
    "\N{MATHEMATICAL BOLD DIGIT ONE}A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
]

ORIGINAL = ("p2pkh", "p2sh")
# Bitcoin Cash has a test file of its own.


def scripts_of(kinds: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    return st.sampled_from(kinds).flatmap(
        lambda kind: st.binary(min_size=TEMPLATES[kind][1], max_size=TEMPLATES[kind][1]).map(
            lambda payload: TEMPLATES[kind][0] + payload + TEMPLATES[kind][2]
        )
    )


scripts = scripts_of(tuple(TEMPLATES))
placed = st.sampled_from([name for name, prefixes in sorted(NETWORKS.items()) if not prefixes.cashaddr]).flatmap(
    lambda network: st.tuples(st.just(network), scripts_of(tuple(TEMPLATES) if NETWORKS[network].bech32 else ORIGINAL))
)


def written(network: str, script: bytes) -> str:
    """Write an address with the sandbox's encoder, which shares nothing with the parser."""
    prefixes = NETWORKS[network]
    return address(script, AddressPrefixes(p2pkh=prefixes.p2pkh, p2sh=prefixes.p2sh[0], bech32=prefixes.bech32))


@pytest.mark.parametrize(("network", "text", "script"), PUBLISHED)
def test_published_addresses_stand_for_their_published_scripts(network: str, text: str, script: str) -> None:
    parsed = parse_address(network, text)
    assert (parsed.script.hex(), parsed.text.lower()) == (script, text.lower())


@given(placed)
def test_every_address_stands_for_the_script_it_was_written_from(case: tuple[str, bytes]) -> None:
    network, script = case
    text = written(network, script)
    parsed = parse_address(network, text)
    assert (parsed.script, parsed.text) == (script, text)


@given(placed)
def test_addresses_in_capitals_have_the_same_canonical_form(case: tuple[str, bytes]) -> None:
    network, script = case
    text = written(network, script)
    if NETWORKS[network].bech32 and text.startswith(f"{NETWORKS[network].bech32}1"):
        assert parse_address(network, text.upper()).text == text


@given(placed, st.data())
def test_one_changed_letter_is_refused(case: tuple[str, bytes], data: st.DataObject) -> None:
    network, script = case
    text = written(network, script)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="ascii", categories=["L", "N"]).filter(lambda drawn: drawn != text[place]))
    with pytest.raises(RegistryError):
        parse_address(network, text[:place] + letter + text[place + 1 :])


@given(st.text(max_size=100))
def test_any_other_text_is_refused_and_never_crashes(text: str) -> None:
    with pytest.raises(RegistryError):
        parse_address("bitcoin", text)


@pytest.mark.parametrize("text", REFUSED)
def test_malformed_addresses_are_refused(text: str) -> None:
    with pytest.raises(RegistryError):
        parse_address("bitcoin", text)


@given(scripts)
def test_an_address_of_another_network_is_refused(script: bytes) -> None:
    for network in ("testnet", "regtest", "litecoin", "litecoin_regtest"):
        with pytest.raises(RegistryError):
            parse_address("bitcoin", written(network, script))


@given(scripts_of(ORIGINAL), st.permutations(("bitcoin", "litecoin", "dogecoin", "dash")))
def test_an_address_of_a_sister_coin_is_refused(script: bytes, coins: list[str]) -> None:
    if (coins[0], script[0]) != ("litecoin", 0xA9) and (coins[1], script[0]) != ("litecoin", 0xA9):  # which reads Bitcoin's old form
        with pytest.raises(RegistryError):
            parse_address(coins[0], written(coins[1], script))


@pytest.mark.parametrize("network", ["dogecoin", "dash", "bitcoin_cash"])
def test_coins_without_segregated_witness_have_no_such_addresses(network: str) -> None:
    with pytest.raises(RegistryError, match="has no such addresses"):
        parse_address(network, "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4")


@pytest.mark.parametrize(("key", "network"), [("bitcoin", "bitcoin"), ("litecoin", "litecoin"), ("doge", "dogecoin")])
def test_the_addresses_of_an_exchange_are_all_read_and_none_twice(key: str, network: str) -> None:
    path = SHARED / "addresses" / "okx.json"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    listed = json.loads(path.read_text())["chains"][key]
    parsed = [parse_address(network, text) for text in listed]
    assert len({item.script for item in parsed}) == len(listed) > 0
    assert len({item.text for item in parsed}) == len(listed)


def test_both_forms_of_a_litecoin_script_hash_are_one_address() -> None:
    old = "3CDJNfdWX8m2NwuGUV3nhXHXEeLygMXoAj"
    new = parse_address("litecoin", old).text
    assert new.startswith("M")
    assert parse_address("litecoin", new) == parse_address("litecoin", old)


def test_an_unknown_network_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="'peercoin' is unknown"):
        parse_address("peercoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
