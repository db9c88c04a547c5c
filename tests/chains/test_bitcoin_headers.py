"""Against headers that were really mined: the sandbox's regtest chains, and published ones of the main networks."""

from __future__ import annotations

import struct

import pytest

from assay.chains.bitcoin.addresses import NETWORKS
from assay.chains.bitcoin.coins import ContradictionError
from assay.chains.bitcoin.headers import check_work, follow, parse_chain, split_headers
from assay.chains.bitcoin.rules import RULES, Rules
from assay.chains.bitcoin.transactions import MalformedError, double_sha256, parse_header
from sandbox.bitcoin_blocks import BITCOIN, LITECOIN, Network, mine

# Dogecoin's block 371,337, the first that was mined together with Litecoin, as its nodes send it.
DOGE_371337 = bytes.fromhex(
    "020162000d6f03470d329026cd1fc720c0609cd378ca8691a117bd1aa46f01fb09b1a8468a15bf6f0b0e83f2e5036684169eafb9406468d4f075c999fb5b2a78"
    "fbb827ee41fb11548441361b0000000001000000010000000000000000000000000000000000000000000000000000000000000000ffffffff380345bf09fabe"
    "6d6d980ba42120410de0554d42a5b5ee58167bcd86bf7591f429005f24da45fb51cf0800000000000000cdb1f1ff0e000000ffffffff01800c0c2a0100000019"
    "76a914aa3750aa18b8a0f3f0590731e1fab934856680cf88ac00000000a90e290fd02fe65a6cea22aad85439ef021c2a20d18bd0032a5bba0ae441df4503a979"
    "a636db2450363972d211aee67b71387a3daaa3051be0fd260c5acd4739cd52a418d29d8a0e56c8714c95a0dc24e1c9624480ec497fe2441941f3fee8f9481a33"
    "70c334178415c83d1d0c2deeec727c2330617a47691fc5e79203669312d100000000036fa40307b3a439538195245b0de56a2c1db6ba3a64f8bdd2071d00bc48"
    "c841b5e77b98e5c7d6f06f92dec5cf6d61277ecb9a0342406f49f34c51ee8ce4abd678038129485de14238bd1ca12cd2de12ff0e383aee542d90437cd664ce13"
    "9446a00000000002000000d2ec7dfeb7e8f43fe77aba3368df95ac2088034420402730ee0492a2084217083411b3fc91033bfdeea339bc11b9efc986e161c703"
    "e07a9045338c165673f09940fb11548b54021b58cc9ae5"
)
DOGE_371337_ID = "60323982f9c5ff1b5a954eac9dc1269352835f47c2c5222691d80f0d50dcf053"
# The header of the next block, without what stands behind it.
DOGE_371338 = bytes.fromhex(
    "0201620053f0dc500d0fd8912622c5c2475f83529326c19dac4e955a1bffc5f9823932607df6ee838b616413188439101f1c609b94e5143c431df75e0aab2fb2"
    "b647673661fb115490d4301b00000000"
)
DOGE_371338_ID = "6fb5ae70a65902381bcaa63a38cadf36e8c0a9b4cbffa85bc545c1be08cd0721"
DOGE_GENESIS = bytes.fromhex(
    "010000000000000000000000000000000000000000000000000000000000000000000000696ad20e2dd4365c7459b4a4a5af743d5e92c6da3229e6532cd605f6"
    "533f2a5b24a6a152f0ff0f1e67860100"
)
BITCOIN_GENESIS = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa"
    "4b1e5e4a29ab5f49ffff001d1dac2b7c"
)
DOGE = RULES["dogecoin"]


def mined(network: Network) -> list[bytes]:
    return [block[:80] for block in mine(network, []).blocks]


CHAINS = {network.network: mined(network) for network in (BITCOIN, LITECOIN)}


def with_nonce(header: bytes, nonce: int) -> bytes:
    return header[:76] + struct.pack("<I", nonce)


def test_every_network_has_addresses_and_rules() -> None:
    assert set(NETWORKS) == set(RULES)


@pytest.mark.parametrize("network", CHAINS)
def test_a_mined_chain_links_up_to_its_last_block(network: str) -> None:
    headers = CHAINS[network]
    rules = RULES[network]
    half = follow(headers[:100], rules, None)
    assert half == double_sha256(headers[99])
    assert follow(headers[100:], rules, half) == double_sha256(headers[-1])


@pytest.mark.parametrize("network", CHAINS)
@pytest.mark.parametrize("place", [0, 1, 70, -2, -1])
def test_a_header_without_its_work_is_refused(network: str, place: int) -> None:
    headers = list(CHAINS[network])
    # On regtest every second nonce does, so the first one that does not is searched for.
    for nonce in range(10_000, 10_100):
        forged = with_nonce(headers[place], nonce)
        try:
            check_work([forged], RULES[network])
        except ContradictionError:
            break
    # The headers behind it are mined again, as a forger would who has the time for all but one of them.
    rest = headers[len(headers) + place + 1 if place < 0 else place + 1 :]
    with pytest.raises(ContradictionError, match="work"):
        follow([forged], RULES[network], None)
    with pytest.raises(ContradictionError):
        follow([*headers[: len(headers) - len(rest) - 1], forged, *rest], RULES[network], None)


def test_a_missing_header_is_refused() -> None:
    headers = CHAINS["regtest"]
    with pytest.raises(ContradictionError, match="do not form a chain"):
        follow(headers[:50] + headers[51:], RULES["regtest"], None)
    with pytest.raises(ContradictionError, match="do not form a chain"):
        follow(headers[51:], RULES["regtest"], double_sha256(headers[49]))


@pytest.mark.parametrize("bits", [0x207FFFFF, 0x1D010000, 0x1D80FFFF, 0, 0x1D000000, 0xFF7FFFFF])
def test_a_header_that_claims_less_work_than_the_network_asks_for_is_refused(bits: int) -> None:
    with pytest.raises(ContradictionError, match="claims less work"):
        check_work([BITCOIN_GENESIS[:72] + struct.pack("<I", bits) + BITCOIN_GENESIS[76:]], RULES["bitcoin"])


@pytest.mark.parametrize(("header", "network"), [(BITCOIN_GENESIS, "bitcoin"), (DOGE_GENESIS, "dogecoin")])
def test_the_first_blocks_of_main_networks_carry_their_work(header: bytes, network: str) -> None:
    check_work([header], RULES[network])
    with pytest.raises(ContradictionError, match="does not carry"):
        check_work([with_nonce(header, 1)], RULES[network])


def test_a_merge_mined_header_has_the_id_of_its_first_80_bytes_and_its_parents_work() -> None:
    (header,) = split_headers(DOGE_371337, 1, DOGE)
    assert header == DOGE_371337
    assert parse_header(header[:80]).hash == DOGE_371337_ID
    check_work([header], DOGE)


def test_merge_mined_headers_are_cut_where_each_ends() -> None:
    headers = split_headers(DOGE_GENESIS + DOGE_371337 * 2 + DOGE_GENESIS, 4, DOGE)
    assert headers == [DOGE_GENESIS, DOGE_371337, DOGE_371337, DOGE_GENESIS]


def test_merge_mined_headers_link_by_the_ids_of_their_first_80_bytes() -> None:
    assert follow([DOGE_371337, DOGE_371338], DOGE, None)[::-1].hex() == DOGE_371338_ID
    assert [header.hash for header in parse_chain([DOGE_371337, DOGE_371338], DOGE)] == [DOGE_371337_ID, DOGE_371338_ID]


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(40, id="the block itself"),
        pytest.param(130, id="the coinbase"),
        pytest.param(136, id="the root in the coinbase"),
        pytest.param(260, id="the branch to the parent's root"),
        pytest.param(400, id="the branch to the root in the coinbase"),
        pytest.param(451, id="the place among the chains"),
        pytest.param(453, id="a place that the tree does not have"),
        pytest.param(534, id="the parent's nonce"),
    ],
)
def test_altered_merged_work_is_refused(place: int) -> None:
    altered = bytearray(DOGE_371337)
    altered[place] ^= 1
    with pytest.raises((ContradictionError, MalformedError)):
        check_work([bytes(altered)], DOGE)


def test_merged_work_for_another_chain_is_refused() -> None:
    with pytest.raises(ContradictionError, match="of chain 98 in the place of 99"):
        check_work([DOGE_371337], Rules(work="scrypt", merged=99, easiest=DOGE.easiest))


@pytest.mark.parametrize("length", [79, 81, 100, 300, 534])
def test_merged_work_that_was_cut_is_malformed(length: int) -> None:
    with pytest.raises(MalformedError):
        split_headers(DOGE_371337[:length], 1, DOGE)


def test_other_chains_know_no_merged_work() -> None:
    with pytest.raises(MalformedError):
        split_headers(DOGE_371337, 1, RULES["litecoin"])


def test_ids_that_cannot_be_computed_are_named_by_the_next_header() -> None:
    headers = CHAINS["regtest"][:4]
    found = parse_chain(headers, RULES["dash"])
    assert [header.hash for header in found] == [double_sha256(header)[::-1].hex() for header in headers[:3]]
    assert len(found) == 3
