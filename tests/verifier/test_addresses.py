"""The verifier's reading of addresses against bitcoinlib's writing, and against published vectors of the formats."""

from __future__ import annotations

import pytest
from bitcoinlib.encoding import pubkeyhash_to_addr_base58, pubkeyhash_to_addr_bech32
from hypothesis import given
from hypothesis import strategies as st

from assay_verify.addresses import NETWORKS, locking_script, script_hash
from assay_verify.findings import MalformedError

HASH = st.binary(min_size=20, max_size=20)


@given(payload=HASH, network=st.sampled_from(sorted(NETWORKS)))
def test_base58_addresses_stand_for_key_hashes_and_script_hashes(payload: bytes, network: str) -> None:
    for version in NETWORKS[network].p2pkh:
        assert locking_script(network, pubkeyhash_to_addr_base58(payload, bytes([version]))).hex() == f"76a914{payload.hex()}88ac"
    for version in NETWORKS[network].p2sh:
        assert locking_script(network, pubkeyhash_to_addr_base58(payload, bytes([version]))).hex() == f"a914{payload.hex()}87"


@given(
    program=HASH | st.binary(min_size=32, max_size=32), network=st.sampled_from([name for name, item in NETWORKS.items() if item.bech32])
)
def test_bech32_addresses_stand_for_witness_programs(program: bytes, network: str) -> None:
    address = pubkeyhash_to_addr_bech32(program, prefix=NETWORKS[network].bech32, witver=0)
    assert locking_script(network, address) == bytes([0, len(program)]) + program
    assert locking_script(network, address.upper()) == bytes([0, len(program)]) + program


@given(payload=HASH, place=st.integers(0, 33), letter=st.sampled_from("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"))
def test_a_changed_letter_is_noticed(payload: bytes, place: int, letter: str) -> None:
    address = pubkeyhash_to_addr_base58(payload, b"\0")
    place %= len(address)
    changed = address[:place] + letter + address[place + 1 :]
    if changed != address:
        with pytest.raises(MalformedError):
            locking_script("bitcoin", changed)


@pytest.mark.parametrize(
    ("network", "address", "script"),
    [
        # BIP-350, test vectors for segregated witness addresses
        ("bitcoin", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"),
        (
            "testnet",
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
            "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
        ),
        (
            "bitcoin",
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        ("bitcoin", "BC1SW50QGDZ25J", "6002751e"),
        (
            "bitcoin",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
        # https://reference.cash/protocol/blockchain/encoding/cashaddr, examples of address translation
        (
            "bitcoin_cash",
            "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
            "76a91476a04053bda0a88bda5177b86a15c3b29f55987388ac",
        ),
        ("bitcoin_cash", "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", "76a91476a04053bda0a88bda5177b86a15c3b29f55987388ac"),
        ("bitcoin_cash", "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq", "a91476a04053bda0a88bda5177b86a15c3b29f55987387"),
        ("bitcoin_cash", "ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq", "a91476a04053bda0a88bda5177b86a15c3b29f55987387"),
        # The same specification, vectors for larger payloads: kind 0, 20 bytes on other prefixes
        ("bitcoin_cash_testnet", "bchtest:pr6m7j9njldwwzlg9v7v53unlr4jkmx6eyvwc0uz5t", "a914f5bf48b397dae70be82b3cca4793f8eb2b6cdac987"),
    ],
)
def test_published_addresses_stand_for_their_scripts(network: str, address: str, script: str) -> None:
    assert locking_script(network, address).hex() == script


@pytest.mark.parametrize(
    ("network", "address"),
    [
        # BIP-350: wrong checksum for the version (both ways), invalid program lengths and padding, mixed case
        ("bitcoin", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd"),
        ("bitcoin", "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL"),
        ("bitcoin", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh"),
        ("testnet", "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47"),
        ("bitcoin", "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4"),
        ("bitcoin", "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R"),
        ("bitcoin", "bc1pw5dgrnzv"),
        ("bitcoin", "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P"),
        ("testnet", "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq"),
        ("bitcoin", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf"),
        ("bitcoin", "bc1gmk9yu"),
        ("bitcoin", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"),
        ("bitcoin", "11A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("bitcoin", "A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("litecoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("bitcoin_cash", "bchtest:pr6m7j9njldwwzlg9v7v53unlr4jkmx6eyvwc0uz5t"),
        ("bitcoin_cash", "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6q"),
        ("bitcoin_cash", "bitcoincash:"),
        ("bitcoin", ""),
        ("bitcoin", "1" * 500),
        ("mars", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ],
)
def test_what_is_no_address_of_the_network_is_refused(network: str, address: str) -> None:
    with pytest.raises(MalformedError):
        locking_script(network, address)


def test_a_script_is_named_as_electrum_servers_do() -> None:
    # https://electrum-protocol.readthedocs.io/en/latest/protocol-basics.html#script-hashes
    script = locking_script("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
    assert script_hash(script) == "8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161"
