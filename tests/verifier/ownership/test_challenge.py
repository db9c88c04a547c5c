"""The text that an address signs for a report: what is built is what is read, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_verify.findings import MalformedError
from assay_verify.ownership.challenge import Challenge, build, is_challenge, parse

CHALLENGE = Challenge(
    entity="Sandbox Exchange",
    series="sandbox-exchange",
    as_of="2023-02-17T16:00:00Z",
    chain="bitcoin",
    address="bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    block_height=776_925,
    block_hash="0000000000000000000527d3a6dd1a3f3eab8e0b6ab6f7d4a5bb0b8b5b8a1c11",
)
TEXT = """\
I control this address for a reserve attestation.
entity: Sandbox Exchange
series: sandbox-exchange
as of: 2023-02-17T16:00:00Z
chain: bitcoin
address: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4
block: 776925 0000000000000000000527d3a6dd1a3f3eab8e0b6ab6f7d4a5bb0b8b5b8a1c11"""


def test_a_challenge_is_written_as_the_format_says() -> None:
    assert build(CHALLENGE) == TEXT
    assert build(CHALLENGE, one_line=True) == TEXT.replace("\n", " | ")


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", " | ")])
def test_both_forms_are_read(text: str) -> None:
    assert is_challenge(text)
    assert parse(text) == CHALLENGE


@pytest.mark.parametrize(
    "text",
    [
        TEXT + "\n",
        " " + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\n\n", 1),
        TEXT.replace("entity: ", "entity:"),
        TEXT.replace("entity", "Entity"),
        TEXT.replace("as of: 2023-02-17T16:00:00Z", "as of: 2023-2-17T16:00:00Z"),
        TEXT.replace("as of: 2023-02-17T16:00:00Z", "as of: 2023-02-30T16:00:00Z"),
        TEXT.replace("776925 ", "0776925 "),
        TEXT.replace("776925 ", "-1 "),
        TEXT.replace("776925 ", "776925  "),
        TEXT.replace("776925 ", "776925"),
        TEXT.replace("bc1q", "bc1q\u00a0"),
        TEXT.replace("Sandbox Exchange", "Sandbox\u2028Exchange"),
        TEXT.replace("Sandbox Exchange", ""),
        TEXT.replace("Sandbox Exchange", "a | b"),
        TEXT + "\nnote: and more",
        "\n".join(TEXT.split("\n")[:-1]),
        "\n".join([*TEXT.split("\n")[:1], *reversed(TEXT.split("\n")[1:])]),
        TEXT.replace("\n", " | ", 1),
        "I am an OKX address",
        "",
    ],
)
def test_anything_else_is_no_challenge(text: str) -> None:
    with pytest.raises(MalformedError):
        parse(text)


@pytest.mark.parametrize(
    "change",
    [
        {"entity": ""},
        {"entity": " a"},
        {"series": "a\nb"},
        {"address": "a | b"},
        {"as_of": "today"},
        {"block_height": -1},
        {"block_hash": "a b"},
    ],
)
def test_a_value_that_could_not_be_read_back_is_not_written(change: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        build(replace(CHALLENGE, **change))  # type: ignore[arg-type]


def test_the_form_of_one_line_has_no_commas() -> None:
    named = replace(CHALLENGE, entity="Exchange, Inc.")
    assert parse(build(named)) == named
    with pytest.raises(MalformedError, match="entity"):
        build(named, one_line=True)


values = st.text(min_size=1, max_size=20)


@given(values, values, values, values, st.integers(0, 10**17), values)
def test_what_is_written_is_read_back(entity: str, series: str, chain: str, address: str, height: int, hash_: str) -> None:
    challenge = Challenge(
        entity=entity, series=series, as_of="2023-02-17T16:00:00Z", chain=chain, address=address, block_height=height, block_hash=hash_
    )
    for one_line in (False, True):
        try:
            text = build(challenge, one_line=one_line)
        except MalformedError:
            continue
        assert parse(text) == challenge


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_another_character_anywhere_is_another_challenge_or_none(position: int, character: str) -> None:
    changed = TEXT[:position] + character + TEXT[position + 1 :]
    try:
        found = parse(changed)
    except MalformedError:
        return
    assert (found == CHALLENGE) == (changed == TEXT)
