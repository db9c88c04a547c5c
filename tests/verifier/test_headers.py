"""The verifier's headers and transactions of the Bitcoin family, against published blocks and hand-made bytes."""

from __future__ import annotations

import struct

import pytest

from assay_verify import transactions
from assay_verify.digests import double_sha256
from assay_verify.findings import MalformedError
from assay_verify.headers import HeaderChain, read, scrypt, target_of

# Genesis blocks: chainparams.cpp of Bitcoin Core and of Litecoin Core.
BITCOIN = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    "29ab5f49ffff001d1dac2b7c"
)
BITCOIN_1 = bytes.fromhex(
    "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e"
    "61bc6649ffff001d01e36299"
)
LITECOIN = struct.pack(
    "<I32s32sIII",
    1,
    bytes(32),
    bytes.fromhex("97ddfbbae6be97fd6cdf3e7ca13232a3afff2353e29badfab7f73011edd4ced9")[::-1],
    1317972665,
    0x1E0FFFF0,
    2084524493,
)
HASH_1 = "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048"


def test_published_blocks_have_their_names_and_carry_their_work() -> None:
    chain = HeaderChain("bitcoin", 1, HASH_1)
    chain.add(0, BITCOIN + BITCOIN_1)
    chain.link()
    assert chain.lowest == 0
    assert chain.holds(0, read(BITCOIN).hash)
    assert chain.holds(1, bytes.fromhex(HASH_1)[::-1])
    assert not chain.holds(1, read(BITCOIN).hash)
    assert not chain.holds(2, read(BITCOIN_1).hash)
    assert chain.work == 2 * 0x100010001  # difficulty 1, as Bitcoin Core's `chainwork` of block 1 says
    litecoin = HeaderChain("litecoin", 0, "12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2")
    litecoin.add(0, LITECOIN)
    litecoin.link()
    assert litecoin.lowest == 0


def test_work_is_that_of_the_network() -> None:
    assert int.from_bytes(scrypt(LITECOIN), "little") <= target_of(LITECOIN[72:76]) < int.from_bytes(double_sha256(LITECOIN), "little")
    with pytest.raises(MalformedError, match="work that it claims"):
        HeaderChain("bitcoin_regtest_like", 0, HASH_1).add(0, BITCOIN[:-1] + b"\0")
    with pytest.raises(MalformedError, match="work"):
        HeaderChain("litecoin", 0, HASH_1).add(0, BITCOIN)


@pytest.mark.parametrize("position", range(0, 80, 3))
def test_a_changed_header_in_a_chain_is_found(position: int) -> None:
    changed = bytearray(BITCOIN)
    changed[position] ^= 1
    with pytest.raises(MalformedError):
        HeaderChain("bitcoin", 1, HASH_1).add(0, bytes(changed) + BITCOIN_1)


@pytest.mark.parametrize(
    ("bits", "target"),
    [
        (0x1D00FFFF, 0xFFFF << 208),
        (0x05009234, 0x92340000),
        (0x04123456, 0x12345600),
        (0x03123456, 0x123456),
        (0x01120000, 0x12),
        (0x207FFFFF, 0x7FFFFF << 232),
    ],
)
def test_targets_are_read_as_bitcoin_core_reads_them(bits: int, target: int) -> None:
    # arith_uint256_tests.cpp of Bitcoin Core
    assert target_of(bits.to_bytes(4, "little")) == target


@pytest.mark.parametrize("bits", [0, 0x04923456, 0x01000000, 0xFF123456, 0x23000100, 0x01FEDCBA])
def test_impossible_targets_are_refused(bits: int) -> None:
    with pytest.raises(MalformedError):
        target_of(bits.to_bytes(4, "little"))


def test_a_header_that_claims_less_work_than_the_network_allows_is_refused() -> None:
    easy = BITCOIN[:72] + 0x207FFFFF.to_bytes(4, "little") + BITCOIN[76:]
    with pytest.raises(MalformedError, match="less work"):
        HeaderChain("bitcoin", 0, HASH_1).add(0, easy)


def test_a_merge_mined_header_is_counted_and_not_called_worked() -> None:
    merged = (0x620104).to_bytes(4, "little") + LITECOIN[4:]
    chain = HeaderChain("dogecoin", 0, read(merged).hash[::-1].hex())
    chain.add(0, merged)
    chain.link()
    assert (chain.merged, chain.work) == (1, 0)


INPUT = bytes(32) + b"\xff\xff\xff\xff" + b"\x02\x51\x51" + b"\xff\xff\xff\xff"
SCRIPT = b"\x76\xa9\x14" + bytes(20) + b"\x88\xac"
OUTPUT = (5).to_bytes(8, "little") + bytes([len(SCRIPT)]) + SCRIPT
BODY = b"\x01" + INPUT + b"\x01" + OUTPUT
LOCK = bytes(4)


@pytest.mark.parametrize(
    ("network", "raw", "hashed"),
    [
        ("bitcoin", b"\1\0\0\0" + BODY + LOCK, b"\1\0\0\0" + BODY + LOCK),
        ("bitcoin", b"\2\0\0\0\0\1" + BODY + b"\x01\x20" + bytes(32) + LOCK, b"\2\0\0\0" + BODY + LOCK),
        ("litecoin", b"\2\0\0\0\0\x08" + BODY + b"\0" + LOCK, b"\2\0\0\0" + BODY + LOCK),
        ("litecoin", b"\2\0\0\0\0\x09" + BODY + b"\x01\x20" + bytes(32) + b"\0" + LOCK, b"\2\0\0\0" + BODY + LOCK),
        ("dash", b"\3\0\5\0" + BODY + LOCK + b"\x03abc", b"\3\0\5\0" + BODY + LOCK + b"\x03abc"),
        ("dash", b"\3\0\6\0" + b"\0\0" + LOCK + b"\x03abc", b"\3\0\6\0" + b"\0\0" + LOCK + b"\x03abc"),
        ("dogecoin", b"\1\0\0\0" + BODY + LOCK, b"\1\0\0\0" + BODY + LOCK),
    ],
)
def test_ids_are_those_of_what_is_hashed(network: str, raw: bytes, hashed: bytes) -> None:
    assert transactions.read(raw, network).txid == double_sha256(hashed)


@pytest.mark.parametrize(
    ("network", "raw"),
    [
        ("bitcoin", b"\1\0\0\0" + BODY + LOCK + b"\0"),
        ("bitcoin", b"\1\0\0\0" + BODY + LOCK[:-1]),
        ("bitcoin", b"\1\0\0\0\0\2" + BODY + LOCK),
        ("litecoin", b"\2\0\0\0\0\x08" + BODY + b"\1" + LOCK),
        ("bitcoin", b"\1\0\0\0\x01" + INPUT + b"\x01" + b"\xff" * 8 + OUTPUT[8:] + LOCK),
        ("bitcoin", b"\1\0\0\0\xfe\xff\xff\xff\xff" + BODY),
        ("bitcoin", b"\1\0\0\0" + BODY + LOCK + b"\x03abc"),
        # 64 bytes: what could be two hashes of a Merkle tree
        ("bitcoin", b"\1\0\0\0\x01" + bytes(36) + b"\x03abc" + bytes(4) + b"\x01" + bytes(8) + b"\x01\x51" + LOCK),
        ("bitcoin", b""),
    ],
)
def test_malformed_transactions_are_refused(network: str, raw: bytes) -> None:
    with pytest.raises(MalformedError):
        transactions.read(raw, network)


@pytest.mark.parametrize(
    ("prefix", "is_token"),
    [
        # CHIP-2022-02-CashTokens, "Token prefix": an amount; a non-fungible token with commitment; both; and what is none.
        (bytes(32) + b"\x10\x01", True),
        (bytes(32) + b"\x10\xfd\xfd\x00", True),
        (bytes(32) + b"\x20", True),
        (bytes(32) + b"\x60\x01\xcc", True),
        (bytes(32) + b"\x72\x01\xcc\x01", True),
        (bytes(32) + b"\x10\x00", False),
        (bytes(32) + b"\x00", False),
        (bytes(32) + b"\x40\x01\xcc", False),
        (bytes(32) + b"\x60\x00", False),
        (bytes(32) + b"\x23", False),
        (bytes(32) + b"\xa0", False),
        (bytes(20), False),
    ],
)
def test_tokens_of_bitcoin_cash_are_no_part_of_the_script(prefix: bytes, is_token: bool) -> None:
    script = b"\xef" + prefix + (SCRIPT if len(prefix) > 30 else b"")
    raw = b"\1\0\0\0\x01" + INPUT + b"\x01" + (5).to_bytes(8, "little") + bytes([len(script)]) + script + LOCK
    assert transactions.read(raw, "bitcoin_cash").outputs == ((5, SCRIPT if is_token else script),)
    assert transactions.read(raw, "bitcoin").outputs == ((5, script),)
    assert transactions.read(raw, "bitcoin_cash").txid == double_sha256(raw)


def test_a_branch_that_is_too_short_for_its_position_is_refused() -> None:
    with pytest.raises(MalformedError):
        transactions.branch_root(bytes(32), [bytes(32)], 2)
    assert transactions.branch_root(b"a" * 32, [b"b" * 32], 0) == double_sha256(b"a" * 32 + b"b" * 32)
    assert transactions.branch_root(b"a" * 32, [b"b" * 32], 1) == double_sha256(b"b" * 32 + b"a" * 32)
