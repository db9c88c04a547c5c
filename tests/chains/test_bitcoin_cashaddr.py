"""Against the test vectors of the specification (https://github.com/bitcoincashorg/bitcoincash.org/blob/master/spec/cashaddr.md)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.bitcoin.addresses import parse_address
from assay.chains.bitcoin.cashaddr import NotCashAddrError, decode, encode
from assay.errors import RegistryError

TRANSLATED = [
    ("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
    ("1KXrWXciRDZUpQwQmuM1DbwsKDLYAYsVLR", "bitcoincash:qr95sy3j9xwd2ap32xkykttr4cvcu7as4y0qverfuy"),
    ("16w1D5WRVKJuZUsSRzdLp9w3YGcgoxDXb", "bitcoincash:qqq3728yw0y47sqn6l2na30mcw6zm78dzqre909m2r"),
    ("3CWFddi6m4ndiGyKqzYvsFYagqDLPVMTzC", "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq"),
    ("3LDsS579y7sruadqu11beEJoTjdFiFCdX4", "bitcoincash:pr95sy3j9xwd2ap32xkykttr4cvcu7as4yc93ky28e"),
    ("31nwvkZwyPdgzjBJZXfDmSWsC4ZLKpYyUw", "bitcoincash:pqq3728yw0y47sqn6l2na30mcw6zm78dzq5ucqzc37"),
]
HASH_20 = "f5bf48b397dae70be82b3cca4793f8eb2b6cdac9"
HASH_32 = "3173ef6623c6b48ffd1a3dcc0cc6489b0a07bb47a37f47cfef4fe69de825c060"
WITH_SCRIPTS = [
    ("bitcoincash", "bitcoincash:qr6m7j9njldwwzlg9v7v53unlr4jkmx6eylep8ekg2", f"76a914{HASH_20}88ac"),
    ("bchtest", "bchtest:pr6m7j9njldwwzlg9v7v53unlr4jkmx6eyvwc0uz5t", f"a914{HASH_20}87"),
    ("bchtest", "bchtest:pvch8mmxy0rtfrlarg7ucrxxfzds5pamg73h7370aa87d80gyhqxq7fqng6m6", f"aa20{HASH_32}87"),
]
# Right checksums, and nothing that the chain has rules for.
WITHOUT_RULES = [
    ("bitcoincash", "bitcoincash:qvch8mmxy0rtfrlarg7ucrxxfzds5pamg73h7370aa87d80gyhqxq5nlegake"),  # a key's hash of 32 bytes
    ("bitcoincash", "bitcoincash:q9adhakpwzztepkpwp5z0dq62m6u5v5xtyj7j3h2ws4mr9g0"),
    ("bchtest", "bchtest:pnq8zwpj8cq05n7pytfmskuk9r4gzzel8qtsvwz79zdskftrzxtar994cgutavfklvmgm6ynej"),
    ("prefix", "prefix:0zeuqqwwk0xjclsv4lzljpye09m74gv4darmzluu6g4yxxk5eja92nup8dp7p"),
    ("prefix", "prefix:0qxsg0rgpa"),
    ("prefix", "prefix:x64nx6hz"),
    ("p", "p:gpf8m4h7"),
    ("bitcoincash", "bitcoincash:qpzry9x8gf2tvdw0s3jn54khce6mua7lcw20ayyn"),
    ("bchreg", "bchreg:555555555555555555555555555555555555555555555udxmlmrz"),
]
ADDRESS = TRANSLATED[0][1]

scripts = st.one_of(
    st.binary(min_size=20, max_size=20).map(lambda content: b"\x76\xa9\x14" + content + b"\x88\xac"),
    st.binary(min_size=20, max_size=20).map(lambda content: b"\xa9\x14" + content + b"\x87"),
    st.binary(min_size=32, max_size=32).map(lambda content: b"\xaa\x20" + content + b"\x87"),
)


@pytest.mark.parametrize(("legacy", "cash"), TRANSLATED)
def test_both_forms_of_an_address_have_one_canonical_form(legacy: str, cash: str) -> None:
    forms = [legacy, cash, cash.partition(":")[2], cash.upper(), cash.partition(":")[2].upper()]
    assert {parse_address("bitcoin_cash", form).text for form in forms} == {cash}
    assert len({parse_address("bitcoin_cash", form).script for form in forms}) == 1


@pytest.mark.parametrize(("prefix", "text", "script"), WITH_SCRIPTS)
def test_published_addresses_stand_for_their_published_hashes(prefix: str, text: str, script: str) -> None:
    assert decode(prefix, text).hex() == script
    assert encode(prefix, bytes.fromhex(script)) == text


@pytest.mark.parametrize(("prefix", "text"), WITHOUT_RULES)
def test_what_the_chain_has_no_rules_for_is_refused(prefix: str, text: str) -> None:
    with pytest.raises(NotCashAddrError):
        decode(prefix, text)


@given(scripts)
def test_an_address_is_read_as_it_was_written(script: bytes) -> None:
    assert decode("bchreg", encode("bchreg", script)) == script
    with pytest.raises(NotCashAddrError):
        decode("bitcoincash", encode("bchreg", script).partition(":")[2])


@given(scripts, st.data())
def test_one_changed_letter_is_refused(script: bytes, data: st.DataObject) -> None:
    text = encode("bitcoincash", script)
    place = data.draw(st.integers(text.index(":") + 1, len(text) - 1))
    letter = data.draw(st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l1b ").filter(lambda drawn: drawn != text[place]))
    with pytest.raises(RegistryError):
        parse_address("bitcoin_cash", text[:place] + letter + text[place + 1 :])


def test_a_token_aware_address_is_the_plain_address_of_its_script() -> None:
    aware = "bitcoincash:zr6m7j9njldwwzlg9v7v53unlr4jkmx6eycnjehshe"  # CHIP-2022-02-CashTokens: type 2 of the same hash
    assert parse_address("bitcoin_cash", aware).text == WITH_SCRIPTS[0][1]
    assert parse_address("bitcoin_cash", aware).script.hex() == WITH_SCRIPTS[0][2]


@pytest.mark.parametrize(
    "text",
    [
        ADDRESS[:-1],
        ADDRESS + "q",
        "Bitcoincash:" + ADDRESS.partition(":")[2],
        ADDRESS[:-1] + ADDRESS[-1].upper(),
        f"bitcoincash:{ADDRESS}",
        "bitcoincash:",
        ":" + ADDRESS.partition(":")[2],
        "bchtest:" + ADDRESS.partition(":")[2],
        WITH_SCRIPTS[1][1],
        "bitcoincash:é" + ADDRESS.partition(":")[2],
    ],
)
def test_malformed_addresses_are_refused(text: str) -> None:
    with pytest.raises(RegistryError):
        parse_address("bitcoin_cash", text)


def test_bitcoin_does_not_read_them() -> None:
    with pytest.raises(RegistryError):
        parse_address("bitcoin", ADDRESS)
