"""Against transactions that the sandbox writes, and published ones of the chains that it has no node of."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.bitcoin.rules import RULES
from assay.chains.bitcoin.transactions import MalformedError, double_sha256, parse_header, parse_transaction
from sandbox.bitcoin_keys import KINDS, Coin, Output, Transaction, Wallet

GENESIS_HEADER = (
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f61"
    "7fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
)

coins = st.builds(
    Coin,
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**32 - 1),
    st.builds(Output, st.integers(0, 21 * 10**14), st.just(b"")),
    st.builds(Wallet, st.just("bitcoin"), st.integers(0, 5), st.sampled_from(KINDS)),
)
transactions = st.builds(
    Transaction,
    st.lists(coins, min_size=1, max_size=4),
    st.lists(st.builds(Output, st.integers(0, 21 * 10**14), st.binary(max_size=300)), min_size=1, max_size=5),
)


@given(transactions)
def test_a_transaction_is_read_as_it_was_written(transaction: Transaction) -> None:
    raw = transaction.sign().serialise()
    parsed = parse_transaction(raw, txid=transaction.txid()[::-1].hex())
    assert parsed.spends == tuple(coin.outpoint for coin in transaction.coins)
    assert parsed.outputs == tuple((output.value, output.script) for output in transaction.outputs)
    assert parsed.outpoint(0) == transaction.txid() + bytes(4)


@given(transactions, st.data())
def test_a_transaction_that_was_cut_or_lengthened_is_malformed(transaction: Transaction, data: st.DataObject) -> None:
    raw = transaction.sign().serialise()
    txid = transaction.txid()[::-1].hex()
    for changed in (raw[: data.draw(st.integers(0, len(raw) - 1))], raw + data.draw(st.binary(min_size=1, max_size=4))):
        with pytest.raises(MalformedError):
            parse_transaction(changed, txid=txid)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_malformed_and_never_crash(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_transaction(raw, txid="00" * 32)


@given(transactions)
def test_an_integrating_transaction_of_litecoin_has_the_id_of_its_plain_form(transaction: Transaction) -> None:
    plain = transaction.sign().serialise(witness=False)
    integrating = plain[:4] + b"\x00\x08" + plain[4:-4] + b"\x00" + plain[-4:]
    txid = transaction.txid()[::-1].hex()
    litecoin = RULES["litecoin"].form
    assert parse_transaction(integrating, txid=txid, form=litecoin) == parse_transaction(plain, txid=txid)
    with pytest.raises(MalformedError, match="extension data"):
        parse_transaction(plain[:4] + b"\x00\x08" + plain[4:-4] + b"\x01" + plain[-4:], txid=txid, form=litecoin)
    with pytest.raises(MalformedError, match="unknown flag 8"):
        parse_transaction(integrating, txid=txid)


# Dash: a coinbase with a payload (DIP-4) that the developers' own tests carry, and its id.
DASH_COINBASE = (
    "03000500010000000000000000000000000000000000000000000000000000000000000000ffffffff0502fe070101ffffffff022dc71a3d05000000232103ee"
    "68257f0a4b1d9cadaf24809b2dddcf557cd3f11db99430c3a682d003861891ac21c71a3d050000001976a914e1e24b11deb712819c7d0da193423bda1b47c25d"
    "88ac0000000024fe0700006c45528d7b8d4e7a33614a1c3806f4faf5c463f0b313aa0ece1ce12c34154a44"
)
DASH_COINBASE_ID = "afb7aeb1cb84049c7c81c980c996515dda91ec5c15c29398bad985e9a286d2dc"
DASH = RULES["dash"].form
CASH = RULES["bitcoin_cash"].form


def test_a_special_transaction_of_dash_is_read_with_its_payload() -> None:
    parsed = parse_transaction(bytes.fromhex(DASH_COINBASE), txid=DASH_COINBASE_ID, form=DASH)
    assert [value for value, _ in parsed.outputs] == [22500001581, 22500001569]
    assert parsed.outputs[1][1].hex() == "76a914e1e24b11deb712819c7d0da193423bda1b47c25d88ac"


@pytest.mark.parametrize("cut", [1, 36, 37, 41])
def test_a_special_transaction_that_was_cut_is_malformed(cut: int) -> None:
    with pytest.raises(MalformedError):
        parse_transaction(bytes.fromhex(DASH_COINBASE)[:-cut], txid=DASH_COINBASE_ID, form=DASH)


def test_a_payload_is_nothing_that_other_chains_know() -> None:
    for network in ("bitcoin", "litecoin", "dogecoin", "bitcoin_cash"):
        with pytest.raises(MalformedError):
            parse_transaction(bytes.fromhex(DASH_COINBASE), txid=DASH_COINBASE_ID, form=RULES[network].form)


def test_a_withdrawal_of_dashs_platform_has_no_inputs() -> None:
    # Type 9 of DIP-27: no inputs, one output, and a payload.
    raw = b"\x03\x00\x09\x00" + b"\x00" + b"\x01" + struct.pack("<q", 99930000) + b"\x02\x51\x51" + bytes(4) + b"\x03abc"
    parsed = parse_transaction(raw, txid=double_sha256(raw)[::-1].hex(), form=DASH)
    assert (parsed.spends, parsed.outputs) == ((), ((99930000, b"\x51\x51"),))


@pytest.mark.parametrize("network", ["dogecoin", "bitcoin_cash"])
@given(transaction=transactions)
def test_chains_without_segregated_witness_have_no_flag(network: str, transaction: Transaction) -> None:
    signed = transaction.sign()
    txid = transaction.txid()[::-1].hex()
    assert parse_transaction(signed.serialise(witness=False), txid=txid, form=RULES[network].form).txid == txid
    if signed.serialise() != signed.serialise(witness=False):
        with pytest.raises(MalformedError, match="unknown flag"):
            parse_transaction(signed.serialise(), txid=txid, form=RULES[network].form)


CATEGORY = bytes(range(32))
SCRIPT = b"\x76\xa9\x14" + bytes(20) + b"\x88\xac"
# CHIP-2022-02-CashTokens, token prefix: capability and kind in one byte, then the commitment, then the amount.
TOKENS = {
    "an amount": b"\x10\x01",
    "the largest amount": b"\x10\xff" + b"\xff" * 7 + b"\x7f",
    "an nft": b"\x20",
    "a minting nft with commitment and amount": b"\x72\x02ab\xfd\xfd\x00",
}
NOT_TOKENS = {
    "a reserved bit": b"\x90\x01",
    "nothing": b"\x00",
    "a commitment without an nft": b"\x50\x01a\x01",
    "an empty commitment": b"\x60\x00",
    "a capability without an nft": b"\x11\x01",
    "an unknown capability": b"\x23",
    "an amount of zero": b"\x10\x00",
    "an amount over the limit": b"\x10\xff" + b"\xff" * 8,
}


def with_script(script: bytes) -> bytes:
    body = b"\x02\x00\x00\x00" + b"\x01" + bytes(36) + b"\x00" + bytes(4)
    return body + b"\x01" + struct.pack("<q", 1000) + bytes([len(script)]) + script + bytes(4)


@pytest.mark.parametrize("token", TOKENS)
def test_an_output_with_a_token_belongs_to_the_script_behind_it(token: str) -> None:
    raw = with_script(b"\xef" + CATEGORY + TOKENS[token] + SCRIPT)
    txid = double_sha256(raw)[::-1].hex()
    assert parse_transaction(raw, txid=txid, form=CASH).outputs == ((1000, SCRIPT),)
    assert parse_transaction(raw, txid=txid).outputs != ((1000, SCRIPT),)


@pytest.mark.parametrize("token", NOT_TOKENS)
def test_what_only_looks_like_a_token_is_part_of_the_script(token: str) -> None:
    script = b"\xef" + CATEGORY + NOT_TOKENS[token] + SCRIPT
    raw = with_script(script)
    assert parse_transaction(raw, txid=double_sha256(raw)[::-1].hex(), form=CASH).outputs == ((1000, script),)


@given(st.binary(max_size=60))
def test_no_script_with_the_tokens_first_byte_crashes(rest: bytes) -> None:
    raw = with_script(b"\xef" + rest)
    assert parse_transaction(raw, txid=double_sha256(raw)[::-1].hex(), form=CASH).outputs[0][0] == 1000


def test_an_output_of_negative_value_is_malformed() -> None:
    wallet = Wallet("bitcoin", 0, "p2pkh")
    transaction = Transaction([Coin(bytes(32), 0, Output(1, b""), wallet)], [Output(-1, b"")]).sign()
    with pytest.raises(MalformedError, match="negative"):
        parse_transaction(transaction.serialise(), txid=transaction.txid()[::-1].hex())


def test_the_first_header_of_bitcoin_has_its_known_hash() -> None:
    header = parse_header(bytes.fromhex(GENESIS_HEADER))
    assert header.hash == "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    assert header.time == 1231006505


def test_a_header_of_another_length_is_malformed() -> None:
    with pytest.raises(MalformedError):
        parse_header(bytes(79))
