"""Against the published vectors of BIP-32, 44, 49, 67, 84, 86, 380 to 386 and 389 and of SLIP-132, and against bitcoinlib's own derivation.

Vectors are from https://github.com/bitcoin/bips and https://github.com/satoshilabs/slips; those that give private keys are used to be refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
import tempfile
from collections.abc import Sequence
from typing import Any

import base58
import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.chains.bitcoin import descriptors
from assay.chains.bitcoin.addresses import parse_address
from assay.chains.bitcoin.descriptor_scripts import checksum, hash160
from assay.chains.bitcoin.descriptors import derive, expand
from assay.chains.bitcoin.extended_keys import VERSIONS, ExtendedKeyError, PrivateKeyError, parse_extended_key
from assay.errors import AssayError, ConfigError, RegistryError

KEY = "03a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"
LONG_KEY = (
    "04a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd5b8dec5235a0fa8722476c7709c02559e3aa73aa03918ba2d492eea75abea235"
)
WIF = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1"
LONG_WIF = "5KYZdUEo39z3FPrtuX2QbbwGnNP5zTd7yyr2SC1j299sBCnWjss"
XPRV = "xprvA1RpRA33e1JQ7ifknakTFpgNXPmW2YvmhqLQYMmrj4xJXXWYpDPS3xz7iAxn8L39njGVyuoseXzU6rcxFLJ8HFsTjSyQbLYnMpCqE2VbFWc"
A = "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL"
B = "xpub68NZiKmJWnxxS6aaHmn81bvJeTESw724CRDs6HbuccFQN9Ku14VQrADWgqbhhTHBaohPX4CjNLf9fq9MYo6oDaPPLPxSb7gwQN3ih19Zm4Y"
C = "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB"
D = "xpub661MyMwAqRbcGDZQUKLqmWodYLcoBQnQH33yYkkF3jjxeLvY8qr2wWGEWkiKFaaQfJCoi3HeEq3Dc5DptfbCyjD38fNhSqtKc1UHaP4ba3t"
W = "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH"
M = "xpub69H7F5dQzmVd3vPuLKtcXJziMEQByuDidnX3YdwgtNsecY5HRGtAAQC5mXTt4dsv9RzyjgDjAQs9VGVV6ydYCHnprc9vvaA5YtqWyL6hyds"
BIP44 = "xpub6BosfCnifzxcFwrSzQiqu2DBVTshkCXacvNsWGYJVVhhawA7d4R5WSWGFNbi8Aw6ZRc1brxMyWMzG3DSSSSoekkudhUd9yLb6qx39T9nMdj"
BIP49 = "ypub6Ww3ibxVfGzLrAH1PNcjyAWenMTbbAosGNB6VvmSEgytSER9azLDWCxoJwW7Ke7icmizBMXrzBx9979FfaHxHcrArf3zbeJJJUZPf663zsP"
BIP49_TEST = "upub5EFU65HtV5TeiSHmZZm7FUffBGy8UKeqp7vw43jYbvZPpoVsgU93oac7Wk3u6moKegAEWtGNF8DehrnHtv21XXEMYRUocHqguyjknFHYfgY"
BIP84 = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
BIP86 = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ"
BIP67 = (
    "02ff12471208c14bd580709cb2358d98975247d8765f92bc25eab3b2763ed605f8",
    "02fe6f0a5a297eb38c391581c4413e084773ea23954d93f7753db7dc0adc188b2f",
    "022df8750480ad5b26950b25c7ba79d3e37d75f640f8e5d9bcd5b150a0f85014da",
    "03e3818b65bcc73a7d64064106a859cc1a5a728c4345ff0b641209fba0d90de6e9",
    "021f2f6e1e50cb6a953935c3601284925decd3fd21bc445712576873fb8c6ebc18",
)
SIXTEEN = (
    "03669b8afcec803a0d323e9a17f3ea8e68e8abe5a278020a929adbec52421adbd0,0260b2003c386519fc9eadf2b5cf124dd8eea4c4e68d5e154050a9346ea98ce600,"
    "0362a74e399c39ed5593852a30147f2959b56bb827dfa3e60e464b02ccf87dc5e8,0261345b53de74a4d721ef877c255429961b7e43714171ac06168d7e08c542a8b8,"
    "02da72e8b46901a65d4374fe6315538d8f368557dda3a1dcf9ea903f3afe7314c8,0318c82dd0b53fd3a932d16e0ba9e278fcc937c582d5781be626ff16e201f72286,"
    "0297ccef1ef99f9d73dec9ad37476ddb232f1238aff877af19e72ba04493361009,02e502cfd5c3f972fe9a3e2a18827820638f96b6f347e54d63deb839011fd5765d,"
    "03e687710f0e3ebe81c1037074da939d409c0025f17eb86adb9427d28f0f7ae0e9,02c04d3a5274952acdbc76987f3184b346a483d43be40874624b29e3692c1df5af,"
    "02ed06e0f418b5b43a7ec01d1d7d27290fa15f75771cb69b642a51471c29c84acd,036d46073cbb9ffee90473f3da429abc8de7f8751199da44485682a989a4bebb24,"
    "02f5d1ff7c9029a80a4e36b9a5497027ef7f3e73384a4a94fbfe7c4e9164eec8bc,02e41deffd1b7cce11cde209a781adcffdabd1b91c0ba0375857a2bfd9302419f3,"
    "02d76625f7956a7fc505ab02556c23ee72d832f1bac391bcd2d3abce5710a13d06,0399eb0a5487515802dc14544cf10b3666623762fbed2ec38a3975716e2c29c232"
)


@pytest.mark.parametrize(
    ("descriptor", "scripts"),
    [
        # BIP-381
        (f"pk({KEY})", [f"21{KEY}ac"]),
        (f"pk({LONG_KEY})", [f"41{LONG_KEY}ac"]),
        (f"pkh([deadbeef/1/2'/3/4']{KEY})", ["76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac"]),
        (f"pkh([deadbeef/1/2h/3/4h]{KEY})", ["76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac"]),
        (f"pkh({LONG_KEY})", ["76a914b5bd079c4d57cc7fc28ecf8213a6b791625b818388ac"]),
        (f"sh(pk({KEY}))", ["a9141857af51a5e516552b3086430fd8ce55f7c1a52487"]),
        (f"sh(pkh({KEY}))", ["a9141a31ad23bf49c247dd531a623c2ef57da3c400c587"]),
        (f"pkh([bd16bee5/2147483647h]{M}/0)", ["76a914ebdc90806a9c4356c1c88e42216611e1cb4c1c1788ac"]),
        (f"pk({B}/0)", ["210379e45b3cf75f9c5f9befd8e9506fb962f6a9d185ac87001ec44a8d3df8d4a9e3ac"]),
        # BIP-382
        (f"wpkh({KEY})", ["00149a1c78a507689f6f54b847ad1cef1e614ee23f1e"]),
        (
            f"wpkh([ffffffff/13']{W}/1/2/*)",
            [
                "0014326b2249e3a25d5dc60935f044ee835d090ba859",
                "0014af0bd98abc2f2cae66e36896a39ffe2d32984fb7",
                "00141fa798efd1cbf95cebf912c031b8a4a6e9fb9f27",
            ],
        ),
        (f"wsh(pkh({KEY}))", ["0020338e023079b91c58571b20e602d7805fb808c22473cbc391a41b1bd3a192e75b"]),
        (f"wsh(pk({KEY}))", ["00202e271faa2325c199d25d22e1ead982e45b64eeb4f31e73dbdf41bd4b5fec23fa"]),
        (f"sh(wsh(pkh({KEY})))", ["a914b61b92e2ca21bac1e72a3ab859a742982bea960a87"]),
        # BIP-383
        (f"multi(1,{KEY},{LONG_KEY})", [f"5121{KEY}41{LONG_KEY}52ae"]),
        (f"sortedmulti(1,{LONG_KEY},{KEY})", [f"5121{KEY}41{LONG_KEY}52ae"]),
        (
            f"sortedmulti(2,{A}/*,{B}/0/0/*)",
            [
                "5221025d5fc65ebb8d44a5274b53bac21ff8307fec2334a32df05553459f8b1f7fe1b62102fbd47cc8034098f0e6a94c6aeee8528abf0a2153a5d8e46d325b7284c046784652ae",
                "52210264fd4d1f5dea8ded94c61e9641309349b62f27fbffe807291f664e286bfbe6472103f4ece6dfccfa37b211eb3d0af4d0c61dba9ef698622dc17eecdf764beeb005a652ae",
                "5221022ccabda84c30bad578b13c89eb3b9544ce149787e5b538175b1d1ba259cbb83321024d902e1a2fc7a8755ab5b694c575fce742c48d9ff192e63df5193e4c7afe1f9c52ae",
            ],
        ),
        (f"sh(wsh(multi(16,{SIXTEEN})))", ["a9147fc63e13dc25e8a95a3cee3d9a714ac3afd96f1e87"]),
        # BIP-385
        ("raw(deadbeef)", ["deadbeef"]),
        ("raw(deadbeef)#89f8spxm", ["deadbeef"]),
        ("raw(a9149a4d9901d6af519b2a23d4a2f51650fcba87ce7b87)", ["a9149a4d9901d6af519b2a23d4a2f51650fcba87ce7b87"]),
        ("addr(3PUNyaW7M55oKWJ3kDukwk9bsKvryra15j)", ["a914eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee87"]),
        # BIP-386
        (f"tr({KEY[2:]})", ["512077aab6e066f8a7419c5ab714c12c67d25007ed55a43cadcacb4d7a970a093f11"]),
        (f"tr({KEY})", ["512077aab6e066f8a7419c5ab714c12c67d25007ed55a43cadcacb4d7a970a093f11"]),
    ],
)
def test_published_descriptors_give_their_published_scripts(descriptor: str, scripts: list[str]) -> None:
    (found,) = expand(descriptor, "bitcoin")
    assert [found.script(number).hex() for number in range(len(scripts))] == scripts
    assert found.ranged == (len(scripts) > 1)


@pytest.mark.parametrize(
    ("text", "network", "addresses"),
    [
        (BIP44, "bitcoin", {(0, 0): "1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA"}),
        (BIP49, "bitcoin", {(0, 0): "37VucYSaXLCAsxYyAPfbSi9eh4iEcbShgf"}),
        (BIP49_TEST, "testnet", {(0, 0): "2Mww8dCYPUpKHofjgcXcBCEGmniw9CoaiD2"}),
        (
            BIP84,
            "bitcoin",
            {
                (0, 0): "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
                (0, 1): "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g",
                (1, 0): "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el",
            },
        ),
        (
            f"tr([73c5da0a/86'/0'/0']{BIP86}/<0;1>/*)",
            "bitcoin",
            {
                (0, 0): "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
                (0, 1): "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh",
                (1, 0): "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7",
            },
        ),
        # BIP-67
        (
            f"sh(sortedmulti(2,{','.join(BIP67[:2])}))",
            "bitcoin",
            {(0, 0): "39bgKC7RFbpoCRbtD5KEdkYKtNyhpsNa3Z"},
        ),
        (
            f"sh(sortedmulti(2,{','.join(BIP67[2:])}))",
            "bitcoin",
            {(0, 0): "3Q4sF6tv9wsdqu2NtARzNCpQgwifm2rAba"},
        ),
    ],
)
def test_published_accounts_give_their_published_addresses(text: str, network: str, addresses: dict[tuple[int, int], str]) -> None:
    found = expand(text, network)
    assert {place: found[place[0]].address(place[1]) for place in addresses} == addresses


# BIP-32, test vectors 1 and 2: every step that is not hardened.
@pytest.mark.parametrize(
    ("parent", "number", "child"),
    [
        (
            "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw",
            1,
            "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ",
        ),
        (
            "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5",
            2,
            "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
        ),
        (
            "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
            1000000000,
            "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy",
        ),
        (C, 0, W),
        (
            "xpub6ASAVgeehLbnwdqV6UKMHVzgqAG8Gr6riv3Fxxpj8ksbH9ebxaEyBLZ85ySDhKiLDBrQSARLq1uNRts8RuJiHjaDMBU4Zn9h8LZNnBC5y4a",
            1,
            "xpub6DF8uhdarytz3FWdA8TvFSvvAh8dP3283MY7p2V4SeE2wyWmG5mg5EwVvmdMVCQcoNJxGoWaU9DCWh89LojfZ537wTfunKau47EL2dhHKon",
        ),
        (A, 2, "xpub6FnCn6nSzZAw5Tw7cgR9bi15UV96gLZhjDstkXXxvCLsUXBGXPdSnLFbdpq8p9HmGsApME5hQTZ3emM2rnY5agb9rXpVGyy3bdW6EEgAtqt"),
    ],
)
def test_published_keys_have_their_published_children(parent: str, number: int, child: str) -> None:
    assert parse_extended_key(parent, "bitcoin").child(number) == parse_extended_key(child, "bitcoin")


def extended(
    version: int = 0x0488B21E, *, secret: int = 7, depth: int = 3, parent: bytes = b"\x01" * 4, number: int = 5, key: bytes = b""
) -> str:
    point = key or PrivateKey(secret.to_bytes(32)).public_key.format()
    return base58.b58encode_check(
        struct.pack(">IB4sI32s33s", version, depth, parent, number, hashlib.sha256(point).digest(), point)
    ).decode()


@settings(max_examples=40, deadline=None)
@given(secret=st.integers(1, 2**200), number=st.one_of(st.integers(0, 2**31 - 1), st.integers(0, 30)))
def test_children_are_those_of_bitcoinlib(secret: int, number: int) -> None:
    os.environ.setdefault("BCL_DATA_DIR", tempfile.mkdtemp())
    from bitcoinlib.keys import HDKey

    text = extended(secret=secret)
    theirs = HDKey.from_wif(text, network="bitcoin").child_public(number)
    ours = parse_extended_key(text, "bitcoin").child(number)
    assert (ours.key, ours.chain_code) == (theirs.public_byte, theirs.chain)


@settings(max_examples=60, deadline=None)
@given(
    secret=st.integers(1, 2**200),
    form=st.sampled_from(["pkh({})", "wpkh({})", "sh(wpkh({}))", "tr({})", "wsh(pk({}))", "sh(wsh(multi(1,{})))", "sh(pkh({}))"]),
    network=st.sampled_from(["bitcoin", "regtest", "litecoin", "litecoin_testnet"]),
    number=st.integers(0, 2**31 - 1),
)
def test_every_address_stands_for_the_script_that_it_was_made_of(secret: int, form: str, network: str, number: int) -> None:
    text = form.format(extended(0x043587CF if "test" in network else 0x0488B21E, secret=secret) + "/*")
    (found,) = expand(f"{text}#{checksum(text)}", network)
    assert parse_address(network, found.address(number)).script == found.script(number)
    assert parse_address(network, found.address(number)).text == found.address(number)


@pytest.mark.parametrize(("network", "begin"), [("dogecoin", "D"), ("dash", "X"), ("bitcoin_cash", "bitcoincash:q"), ("litecoin", "L")])
def test_sister_chains_write_their_own_addresses(network: str, begin: str) -> None:
    key = extended(0x02FACAFD if network == "dogecoin" else 0x0488B21E)
    receiving, change = expand(key, network)
    assert receiving.address().startswith(begin)
    assert change.address().startswith(begin)
    assert receiving.address() != change.address()


def test_a_tuple_gives_as_many_descriptors_in_lockstep() -> None:
    """BIP-389."""
    text = f"sh(multi(2,{A}/<1;2;3>/0/*,{B}/0/*,{D}/0/0/<3;4;5>/*))"
    single = [f"sh(multi(2,{A}/{one}/0/*,{B}/0/*,{D}/0/0/{other}/*))" for one, other in ((1, 3), (2, 4), (3, 5))]
    assert [found.address(9) for found in expand(text, "bitcoin")] == [expand(each, "bitcoin")[0].address(9) for each in single]
    assert [found.address() for found in expand(f"pkh({C}/<0;1;2>)", "bitcoin")] == [
        expand(f"pkh({C}/{step})", "bitcoin")[0].address() for step in range(3)
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # BIP-380, checksums
        ("raw(deadbeef)#", "checksum is wrong"),
        ("raw(deadbeef)#89f8spxmx", "checksum is wrong"),
        ("raw(deadbeef)#89f8spx", "checksum is wrong"),
        ("raw(deedbeef)#89f8spxm", "checksum is wrong"),
        ("raw(deedbeef)##9f8spxm", "checksum is wrong"),
        ("raw(Ü)#00000000", "characters that no descriptor has"),
        # BIP-380, keys
        (f"pkh([deadbeef/0h/0h/0h/*]{KEY})", "malformed"),
        (f"pkh([deadbeef/0h/0h/0h/]{KEY})", "malformed"),
        (f"pkh([deadbef/0h/0h/0h]{KEY})", "malformed"),
        (f"pkh([deadbeeef/0h/0h/0h]{KEY})", "malformed"),
        (f"pkh([deadbeef/0f/0f/0f]{KEY})", "malformed"),
        (f"pkh([deadbeef/0H/0H/0H]{KEY})", "malformed"),
        (f"pkh([deadbeef/-0/-0/-0]{KEY})", "malformed"),
        (f"pkh([deadbeef/2147483648]{KEY})", "below 2147483648"),
        (f"pkh({A}/2147483648)", "below 2147483648"),
        (f"pkh({A}/1aa)", "below 2147483648"),
        (f"pkh({A}/*/0)", "below 2147483648"),
        (f"pkh({A}/)", "malformed"),
        (f"pkh([aaaaaaaa][aaaaaaaa]{A}/0)", "malformed"),
        (f"pkh(aaaaaaaa]{A}/0)", "malformed"),
        (f"pkh([gaaaaaaa]{A}/0)", "malformed"),
        ("pkh([deadbeef])", "malformed"),
        (f"pkh({KEY}/0)", "only extended ones can have one"),
        (f"pkh({A}/3h/4h/5h/*)", "hardened"),
        (f"pkh({A}/3'/*)", "hardened"),
        (f"pkh({A}/*h)", "hardened"),
        (f"pkh({A[:-1]}M)", "checksum or its letters"),
        (f"pkh(02{'00' * 31}05)", "not on the curve"),
        # BIP-381
        (f"pk(pk({KEY}))", "malformed"),
        (f"pkh(pk({KEY}))", "malformed"),
        (f"sh({KEY})", "unknown within sh"),
        (f"sh(sh(pkh({KEY})))", "sh is unknown within sh"),
        # BIP-382
        (f"wpkh({LONG_KEY})", "not compressed"),
        (f"sh(wpkh({LONG_KEY}))", "not compressed"),
        (f"wsh(pk({LONG_KEY}))", "not compressed"),
        (f"wsh(wpkh({KEY}))", "wpkh is unknown within wsh"),
        (f"wsh(wsh(pkh({KEY})))", "wsh is unknown within wsh"),
        (f"sh(wsh(wsh(pkh({KEY}))))", "wsh is unknown within"),
        (f"wpkh(wsh(pkh({KEY})))", "malformed"),
        (f"wsh({KEY})", "unknown within wsh"),
        # BIP-383
        (f"sh(multi(16,{SIXTEEN}))", "at most 15"),
        (f"multi(a,{KEY},{LONG_KEY})", "threshold"),
        (f"multi(0,{KEY},{LONG_KEY})", "threshold"),
        (f"multi(3,{KEY},{LONG_KEY})", "threshold"),
        (f"multi({'9' * 5000},{KEY})", "threshold"),
        (f"multi(1,{KEY},{KEY},{KEY},{KEY})", "at most 3"),
        (f"sh(multi(1,{','.join([LONG_KEY] * 8)}))", "longer than the 520 bytes"),
        # BIP-385
        ("raw(asdf)", "hexadecimal"),
        ("addr(asdf)", "its checksum or its letters"),
        ("sh(raw(deadbeef))", "raw is unknown within sh"),
        ("wsh(raw(deadbeef))", "raw is unknown within wsh"),
        ("sh(addr(3PUNyaW7M55oKWJ3kDukwk9bsKvryra15j))", "addr is unknown within sh"),
        ("addr(bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080)", "another network"),
        # BIP-386
        (f"tr({LONG_KEY})", "has not a form that tr takes"),
        (f"wsh(tr({KEY[2:]}))", "tr is unknown within wsh"),
        (f"sh(tr({KEY[2:]}))", "tr is unknown within sh"),
        (f"tr({KEY[2:]},pk({KEY}))", "malformed"),
        (f"wpkh({KEY[2:]})", "has not a form that wpkh takes"),
        # BIP-389
        (f"pkh({C}/<0;1>/<2;3>)", "two tuples"),
        (f"pkh([deadbeef/<0;1>]{C}/0)", "origin has a tuple"),
        (f"sh(multi(2,{A}/<1;2;3>/0/*,{B}/0/*,{D}/0/0/<3;4>/*))", "different lengths"),
        (f"wpkh({C}/<>/*)", "not one of different numbers"),
        (f"wpkh({C}/0>/*)", "below 2147483648"),
        (f"wpkh({C}/<0/*)", "below 2147483648"),
        (f"wpkh({C}/<0;>/*)", "not one of different numbers"),
        (f"wpkh({C}/<0;0>/*)", "not one of different numbers"),
        (f"wpkh({C}/<0;1h>/*)", "hardened"),
        # Beyond the vectors
        ("", "checksum or its letters"),
        ("combo(" + KEY + ")", "combo is unknown"),
        (f"pkh({BIP84}/0/*)", "prefix of an extended key says wpkh"),
        (f"wpkh({BIP49}/0/*)", "prefix of an extended key says sh"),
        (f"wpkh({BIP49_TEST}/0/*)", "another network than bitcoin"),
        (extended(0x02AA7ED3), "one key of several"),
        (extended(0x0295B43F), "one key of several"),
        (extended(0x02FACAFD), "another network than bitcoin"),
        (f"pkh({'a' * 10_001})", "longer than 10000"),
    ],
)
def test_what_is_not_a_descriptor_is_refused_without_showing_a_key(text: str, words: str) -> None:
    with pytest.raises(RegistryError, match=words) as caught:
        expand(text, "bitcoin", subject="descriptors.csv line 3")
    for key in (KEY, LONG_KEY, KEY[2:], A, B, C, BIP84, BIP49):
        assert key not in str(caught.value)
    assert str(caught.value).startswith("descriptors.csv line 3: ")


@pytest.mark.parametrize(
    "text",
    [
        XPRV,
        f"pkh({XPRV}/0/*)",
        f"pkh({XPRV[:-1]}d/0/*)",  # its checksum is wrong
        f"pkh({XPRV[:60]}",  # cut off
        f"wpkh([deadbeef/0h/1h/2h]{XPRV}/3h/4h/5h/*h)#00000000",
        f"sh(multi(2,{A}/0/*,{XPRV}/0/*))",
        f"combo({XPRV})",
        WIF,
        f"pk({WIF})",
        f"pkh({LONG_WIF})",
        f"wpkh({WIF}/0)",
        f"wsh(multi(1,{KEY},{WIF}))",
        "uprv91G7gZkzehuMVxDJTYE6tLivdF8e4rvzSu1LFfKw3b2Qx1Aj8vpoFnHdfUZ3hmi9jsvPifmZ24RTN2KhwB8BfMLTVqaBReibyaFFcTP1s9n",
        "zprvAdG4iTXWBoARxkkzNpNh8r6Qag3irQB8PzEMkAFeTRXxHpbF9z4QgEvBRmfvqWvGp42t42nvgGpNgYSJA9iefm1yYNZKEm7z6qUWCroSQnE",
        extended(key=b"\x00" + b"\x07" * 32),
    ],
)
def test_a_private_key_is_refused_loudly_and_never_shown(text: str) -> None:
    with pytest.raises(RegistryError, match="PRIVATE KEY") as caught:
        expand(text, "bitcoin", subject="descriptors.csv line 3")
    error: BaseException | None = caught.value
    while error:
        for secret in (XPRV[:40], WIF[:20], LONG_WIF[:20], "uprv91G7", "zprvAdG4"):
            assert secret not in str(error)
        error = error.__cause__
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (extended(depth=0), "has no parent, and names it"),
        (extended(depth=0, parent=bytes(4)), "has no parent, and names it"),
        (extended(version=0x11223344), "version is unknown"),
        (extended(key=b"\x04" + b"\x01" * 32), "not on the curve"),
        (extended(key=b"\x02" + bytes(31) + b"\x05"), "not on the curve"),
        (base58.b58encode_check(b"\x04\x88\xb2\x1e" + bytes(70)).decode(), "neither a public one nor an extended one"),
        (A.replace("E", "0"), "letters"),
    ],
)
def test_an_extended_key_that_contradicts_itself_is_refused(text: str, words: str) -> None:
    with pytest.raises(ExtendedKeyError, match=words) as caught:
        parse_extended_key(text, "bitcoin")
    assert type(caught.value) is ExtendedKeyError
    assert text not in str(caught.value)


def test_every_prefix_says_whether_its_key_is_private() -> None:
    for version in VERSIONS:
        network = min(VERSIONS[version].networks)
        assert parse_extended_key(extended(version), network).kind == VERSIONS[version].kind
    for private in ("0488ade4", "049d7878", "04b2430c", "019d9cfe", "02fac398", "04358394", "045f18bc", "02575048"):
        with pytest.raises(PrivateKeyError):
            parse_extended_key(extended(int(private, 16), key=b"\x00" + b"\x07" * 32), "bitcoin")


def test_scripts_without_an_address_are_refused() -> None:
    for text in (f"pk({KEY})", f"multi(1,{KEY})", "raw(deadbeef)"):
        with pytest.raises(RegistryError, match="no address on bitcoin"):
            expand(text, "bitcoin")[0].address()
    with pytest.raises(RegistryError, match="no address on dogecoin"):
        expand(f"wpkh({KEY})", "dogecoin")[0].address()


def test_an_unknown_network_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="'mars' is unknown"):
        expand(A, "mars")


# The gap limit


def asking(used_numbers: dict[int, set[int]], text: str = BIP84) -> tuple[Any, list[int], list[list[str]]]:
    """Return a source that calls the given numbers of each branch used, what it was asked, and the branches' addresses."""
    branches = [[found.address(number) for number in range(120)] for found in expand(text, "bitcoin")]
    yes = {branches[branch][number] for branch, numbers in used_numbers.items() for number in numbers}
    asked: list[int] = []

    async def used(addresses: Sequence[str]) -> list[bool]:
        asked.append(len(addresses))
        return [address in yes for address in addresses]

    return used, asked, branches


@settings(max_examples=60, deadline=None)
@given(numbers=st.sets(st.integers(0, 60), min_size=1), change=st.sets(st.integers(0, 60)), gap_limit=st.integers(1, 25))
def test_a_range_goes_to_its_last_used_address_before_the_gap(numbers: set[int], change: set[int], gap_limit: int) -> None:
    def end(found: set[int]) -> int:
        last = -1
        while following := {number for number in found if last < number <= last + gap_limit}:
            last = max(following)
        return last + 1

    used, asked, branches = asking({0: numbers, 1: change})
    expected = [*branches[0][: end(numbers)], *branches[1][: end(change)]]
    work = derive(BIP84, "bitcoin", gap_limit=gap_limit, used=used)
    if not expected:
        with pytest.raises(RegistryError, match="ever used"):
            asyncio.run(work)
        return
    assert asyncio.run(work) == expected
    assert sum(asked) == len(expected) + 2 * gap_limit
    assert max(asked) <= gap_limit


def test_what_was_never_used_is_an_error_and_not_a_wallet_of_nothing() -> None:
    used, _, _ = asking({})
    with pytest.raises(RegistryError, match="none of its first 20 addresses was ever used") as caught:
        asyncio.run(derive(BIP84, "bitcoin", gap_limit=20, used=used, subject="descriptors.csv line 2"))
    assert "descriptors.csv line 2" in str(caught.value)


def test_a_source_that_calls_everything_used_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "MAX_ADDRESSES", 100)

    async def used(addresses: Sequence[str]) -> list[bool]:
        return [True] * len(addresses)

    with pytest.raises(RegistryError, match="more than 100 addresses"):
        asyncio.run(derive(BIP84, "bitcoin", gap_limit=20, used=used))


def test_a_source_that_answers_for_fewer_addresses_is_an_error() -> None:
    async def used(addresses: Sequence[str]) -> list[bool]:
        return [True] * (len(addresses) - 1)

    with pytest.raises(AssayError, match="19 answers came for 20"):
        asyncio.run(derive(BIP84, "bitcoin", gap_limit=20, used=used))


def test_a_single_script_is_counted_without_asking_anybody() -> None:
    async def used(addresses: Sequence[str]) -> list[bool]:
        raise AssertionError(addresses)

    assert asyncio.run(derive(f"pkh({KEY})", "bitcoin", gap_limit=20, used=used)) == [expand(f"pkh({KEY})", "bitcoin")[0].address()]
    assert asyncio.run(derive("addr(3PUNyaW7M55oKWJ3kDukwk9bsKvryra15j)", "bitcoin", gap_limit=20, used=used)) == [
        "3PUNyaW7M55oKWJ3kDukwk9bsKvryra15j"
    ]


def test_a_gap_limit_below_one_is_refused() -> None:
    used, _, _ = asking({})
    with pytest.raises(RegistryError, match="gap limit is 0"):
        asyncio.run(derive(BIP84, "bitcoin", gap_limit=0, used=used))


def test_hash160_is_the_one_of_the_published_key() -> None:
    assert hash160(bytes.fromhex(KEY)).hex() == "9a1c78a507689f6f54b847ad1cef1e614ee23f1e"
