"""The announcement of a movement, written and read; and what is hashed of EVM blocks, beside eth_account's transactions and py-trie's roots."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_account.datastructures import SignedTransaction
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from assay_verify import evm_transactions, trie
from assay_verify.findings import MalformedError
from assay_verify.ownership import movement
from assay_verify.ownership.challenge import Challenge
from assay_verify.ownership.evm import account_of
from assay_verify.ownership.interface import NotVerifiedError, UnsupportedError
from assay_verify.ownership.movement import Moved
from sandbox.movement import Request

ASKED = Challenge(
    entity="Sandbox Exchange",
    series="sandbox-exchange",
    as_of="2023-02-17T16:00:00Z",
    chain="bitcoin",
    address="bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    block_height=776925,
    block_hash="0000000000000000000527d3a6dd1a3f3eab8e0b6ab6f7d4a5bb0b8b5b8a1c11",
)
BTC = movement.coin_of("bitcoin", "bitcoin", "BTC")
TEXT = """\
I send an amount from this address to itself for a reserve attestation.
entity: Sandbox Exchange
series: sandbox-exchange
as of: 2023-02-17T16:00:00Z
chain: bitcoin
address: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4
block: 776925 0000000000000000000527d3a6dd1a3f3eab8e0b6ab6f7d4a5bb0b8b5b8a1c11
amount: {amount} BTC"""


def test_the_text_is_the_one_that_the_format_gives() -> None:
    asked = Request(entity=ASKED.entity, series=ASKED.series, chain=ASKED.chain, index=0)
    by_hand = asked.amount(datetime(2023, 2, 17, 16, tzinfo=UTC), ASKED.address, ASKED.block_height, ASKED.block_hash)
    assert movement.announce(BTC, ASKED) == TEXT.format(amount=f"0.{by_hand:08d}")
    assert movement.announce(BTC, ASKED, one_line=True) == TEXT.format(amount=f"0.{by_hand:08d}").replace("\n", " | ")
    assert BTC.base_units(ASKED) == by_hand
    page = Path(__file__).parents[3] / "docs" / "formats" / "address_ownership.md"
    assert movement.announce(BTC, ASKED).replace("\n", "\n    ") in page.read_text()


@pytest.mark.parametrize(
    ("family", "network", "least", "most", "units"),
    [
        ("bitcoin", "litecoin", 10_000, 1_009_999, 1),
        ("bitcoin", "dogecoin", 10_000 * 10_000, 1_009_999 * 10_000, 1),
        ("evm", "", 10_000, 1_009_999, 10**10),
    ],
)
def test_amounts_stay_within_their_range(family: str, network: str, least: int, most: int, units: int) -> None:
    coin = movement.coin_of(family, network, "X")
    amounts = {coin.designated(replace(ASKED, block_height=height)) for height in range(300)}
    assert len(amounts) > 295
    assert least <= min(amounts) < max(amounts) <= most
    assert coin.base_units(ASKED) == coin.designated(ASKED) * units


@given(one_line=st.booleans(), place=st.integers(0, 10_000), letter=st.characters(codec="utf-8"))
def test_any_other_letter_anywhere_is_no_announcement_of_the_same(one_line: bool, place: int, letter: str) -> None:
    text = movement.announce(BTC, ASKED, one_line=one_line)
    assert movement.parse(BTC, text) == ASKED
    place %= len(text)
    changed = text[:place] + letter + text[place + 1 :]
    if changed != text:
        with pytest.raises(MalformedError):
            movement.parse(BTC, changed)


@pytest.mark.parametrize("text", ["", movement.FIRST_LINE, TEXT, TEXT.format(amount="0.00010000"), TEXT.format(amount="1")])
def test_texts_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        movement.parse(BTC, text)


def test_the_coin_must_be_the_chains() -> None:
    with pytest.raises(MalformedError, match="the chain's coin is LTC"):
        movement.parse(replace(BTC, asset="LTC"), movement.announce(BTC, ASKED))


def test_only_the_announced_amount_within_the_window_is_taken() -> None:
    amount, height = BTC.base_units(ASKED), ASKED.block_height
    good = Moved(height=height + 1, amounts=(5, amount), note="")
    movement.require_movement(BTC, ASKED, good, height + 1)
    for moved, last in (
        (replace(good, amounts=(amount + 1, amount - 1)), height + 1),
        (replace(good, amounts=()), height + 1),
        (replace(good, height=height), height + 1),
        (replace(good, height=height + 2), height + 1),
    ):
        with pytest.raises(NotVerifiedError):
            movement.require_movement(BTC, ASKED, moved, last)


# EVM


KEY = "0x" + "07" * 32
ADDRESS = Account.from_key(KEY).address
CALL: dict[str, Any] = {"nonce": 300, "gas": 21_000, "to": ADDRESS, "value": 10**15, "data": "0x"}
FEES = {"chainId": 10, "maxFeePerGas": 7, "maxPriorityFeePerGas": 0}
LIST = [{"address": ADDRESS, "storageKeys": ["0x" + "05" * 32, "0x" + "00" * 32]}]
AUTHORIZATION = {"chainId": 10, "address": ADDRESS, "nonce": 0}
TRANSACTIONS: list[dict[str, Any]] = [
    CALL | {"gasPrice": 9, "chainId": 10},
    CALL | {"gasPrice": 0, "chainId": 10, "nonce": 0, "value": 0, "data": "0x" + "ab" * 90},
    CALL | {"type": 1, "gasPrice": 9, "chainId": 10, "accessList": LIST},
    CALL | FEES | {"type": 2, "accessList": LIST},
    CALL | FEES | {"type": 2},
]


def told(transaction: dict[str, Any], signed: SignedTransaction) -> dict[str, Any]:
    """Return what a node says of a transaction."""
    values = {name: hex(value) if isinstance(value, int) else value for name, value in transaction.items() if name != "data"}
    return (
        values
        | {
            "input": transaction["data"],
            "accessList": transaction.get("accessList", []),
            "hash": "0x" + signed.hash.hex().removeprefix("0x"),
        }
        | {name: hex(getattr(signed, name)) for name in ("v", "r", "s")}
    )


@pytest.mark.parametrize("transaction", TRANSACTIONS)
def test_transactions_are_encoded_and_signed_as_eth_account_has_them(transaction: dict[str, Any]) -> None:
    signed = Account.sign_transaction(transaction, KEY)
    said = told(transaction, signed)
    assert evm_transactions.encoded(said) == bytes(signed.raw_transaction)
    assert "0x" + account_of(evm_transactions.signer(said, 10)).hex() == ADDRESS.lower()
    with pytest.raises(MalformedError):
        evm_transactions.signer(said, 1)
    changed = evm_transactions.signer(said | {"value": "0x1"}, 10)
    assert "0x" + account_of(changed).hex() != ADDRESS.lower(), "another value is signed by another key"


def test_authorizations_are_encoded_as_eth_account_has_them() -> None:
    authorization = Account.sign_authorization(AUTHORIZATION, KEY)
    transaction = CALL | FEES | {"type": 4, "accessList": [], "authorizationList": [authorization]}
    signed = Account.sign_transaction(transaction, KEY)
    listed = {"chainId": "0xa", "address": ADDRESS, "nonce": "0x0"}
    listed |= {"yParity": hex(authorization.y_parity), "r": hex(authorization.r), "s": hex(authorization.s)}
    said = told(transaction, signed) | {"authorizationList": [listed], "type": "0x4"}
    assert evm_transactions.encoded(said) == bytes(signed.raw_transaction)
    assert "0x" + account_of(evm_transactions.signer(said, 10)).hex() == ADDRESS.lower()


def test_a_transaction_for_no_chain_in_particular_is_no_movement() -> None:
    signed = Account.sign_transaction({name: value for name, value in TRANSACTIONS[0].items() if name != "chainId"}, KEY)
    said = told(TRANSACTIONS[0], signed)
    with pytest.raises(MalformedError, match="no chain in particular"):
        evm_transactions.signer(said, 10)


def test_what_cannot_be_encoded_is_named() -> None:
    with pytest.raises(UnsupportedError, match="type 0x64"):
        evm_transactions.encoded({"type": "0x64"})
    with pytest.raises(UnsupportedError, match="no status"):
        evm_transactions.encoded_receipt({"root": "0x" + "00" * 32})
    with pytest.raises(MalformedError):
        evm_transactions.signer({"type": "0x7e"}, 10)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 16, 17, 127, 128, 129, 256, 300])
@pytest.mark.parametrize("length", [1, 20, 40, 120])
def test_roots_of_lists_are_those_of_py_trie(count: int, length: int) -> None:
    values = [number.to_bytes(2, "big") * length for number in range(count)]
    peer = HexaryTrie({})
    for number, value in enumerate(values):
        peer[rlp.encode(number)] = value
    assert trie.list_root(values) == peer.root_hash
