from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.transactions import MalformedError, parse_header, parse_transaction
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
    assert parse_transaction(integrating, txid=txid) == parse_transaction(plain, txid=txid)
    with pytest.raises(MalformedError, match="extension data"):
        parse_transaction(plain[:4] + b"\x00\x08" + plain[4:-4] + b"\x01" + plain[-4:], txid=txid)


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
