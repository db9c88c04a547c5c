"""The hand-written encoding against the general one."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.answers import AnswerError, data, quantity, word
from assay.chains.evm.abi import BALANCE_OF, GET_ETH_BALANCE, address_call, pack_aggregate3, unpack_aggregate3

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
WORDS = st.integers(0, 2**256 - 1)


@given(st.lists(st.tuples(ADDRESSES, st.sampled_from([BALANCE_OF, GET_ETH_BALANCE]), ADDRESSES), max_size=20))
def test_aggregate3_is_packed_as_the_general_encoder_packs_it(calls: list[tuple[str, str, str]]) -> None:
    structs = [(target, True, bytes.fromhex(selector) + encode(["address"], [address])) for target, selector, address in calls]
    expected = "0x82ad56cb" + encode(["(address,bool,bytes)[]"], [structs]).hex()
    assert pack_aggregate3(calls) == expected
    for _, selector, address in calls:
        assert address_call(selector, address) == "0x" + selector + encode(["address"], [address]).hex()


@given(st.lists(WORDS, min_size=1, max_size=20))
def test_good_answers_are_unpacked_exactly(amounts: list[int]) -> None:
    answer = encode(["(bool,bytes)[]"], [[(True, amount.to_bytes(32, "big")) for amount in amounts]])
    assert unpack_aggregate3("0x" + answer.hex(), len(amounts)) == amounts


@given(st.lists(st.tuples(st.booleans(), st.one_of(st.binary(max_size=100), st.binary(min_size=32, max_size=32))), min_size=1, max_size=12))
def test_only_successful_answers_of_32_bytes_are_amounts(answers: list[tuple[bool, bytes]]) -> None:
    encoded = "0x" + encode(["(bool,bytes)[]"], [answers]).hex()
    expected = [int.from_bytes(content, "big") if success and len(content) == 32 else None for success, content in answers]
    assert unpack_aggregate3(encoded, len(answers)) == expected


@given(st.lists(WORDS, min_size=1, max_size=4), st.data())
def test_an_answer_with_any_byte_outside_the_amounts_changed_gives_no_other_amounts(amounts: list[int], draw: st.DataObject) -> None:
    answer = bytearray(encode(["(bool,bytes)[]"], [[(True, amount.to_bytes(32, "big")) for amount in amounts]]))
    heads = 64 + 32 * len(amounts)
    payload = {heads + 128 * index + 96 + byte for index in range(len(amounts)) for byte in range(32)}
    position = draw.draw(st.sampled_from(sorted(set(range(len(answer))) - payload)))
    answer[position] ^= draw.draw(st.integers(1, 255))
    try:
        unpacked = unpack_aggregate3("0x" + answer.hex(), len(amounts))
    except AnswerError:
        return
    assert None in unpacked
    assert all(found in (None, amount) for found, amount in zip(unpacked, amounts, strict=True))


@given(st.lists(WORDS, min_size=1, max_size=4), st.integers(0, 6))
def test_an_answer_to_another_number_of_calls_is_refused(amounts: list[int], count: int) -> None:
    encoded = "0x" + encode(["(bool,bytes)[]"], [[(True, amount.to_bytes(32, "big")) for amount in amounts]]).hex()
    if count != len(amounts):
        with pytest.raises(AnswerError):
            unpack_aggregate3(encoded, count)


@given(WORDS)
def test_quantities_and_words_are_read_exactly(number: int) -> None:
    assert quantity(hex(number)) == number
    assert word(f"0x{number:064x}") == number


@pytest.mark.parametrize(
    "value", [None, 5, True, "", "0x", "5", "0x-5", "0x5 ", " 0x5", "0X5", "0xg", "0x" + "0" * 65, "0x1_0", "0x٣", b"0x5"]
)
def test_anything_else_is_no_quantity(value: object) -> None:
    with pytest.raises(AnswerError):
        quantity(value)


@pytest.mark.parametrize(
    "value", [None, 5, "", "0x" + "0" * 62, "0x" + "0" * 66, "0x", "0x5", "0" * 64, "0x" + "0" * 63, "0x" + "g" * 64, "0x " + "0" * 63]
)
def test_anything_else_is_no_word(value: object) -> None:
    with pytest.raises(AnswerError):
        word(value)


@given(st.text(max_size=20))
def test_data_is_whole_bytes_or_an_error(text: str) -> None:
    try:
        content = data(text)
    except AnswerError:
        return
    assert text.lower() == "0x" + content.hex()
