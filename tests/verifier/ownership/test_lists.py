"""Layouts of published lists: what is a row, what separates its cells, and what no list may look like."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_verify.findings import MalformedError, UnusableInputError
from assay_verify.ownership.lists import (
    ADDRESS_LIST,
    ADDRESS_LIST_WITH_TYPES,
    LONGEST_LINE,
    STATEMENTS,
    Head,
    parse_amount,
    parse_line,
    read_head,
    split,
)
from tests.verifier.ownership.list_maker import HEADER, TOTALS, TYPED_HEADER


def head(text: str | bytes) -> Head:
    return read_head(io.BytesIO(text.encode() if isinstance(text, str) else text))


def test_totals_stand_above_the_rows_with_an_empty_line_between() -> None:
    found = head(f"{TOTALS}\nETH(ALL),-,6\nETH,16005122, 5.2834\n\n{HEADER}\nETH,…")
    assert found.layout is ADDRESS_LIST
    assert found.totals == [(2, "ETH", True, Decimal(6)), (3, "ETH", False, Decimal("5.2834"))]
    assert (found.line, found.offset) == (6, len(f"{TOTALS}\nETH(ALL),-,6\nETH,16005122, 5.2834\n\n{HEADER}\n"))


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        (f"{TOTALS}\n\n{TYPED_HEADER}\n", ADDRESS_LIST_WITH_TYPES),
        (f"coin,amount\nBTC,1\n\n{HEADER}\n", ADDRESS_LIST),
        (f"\ufeff{TOTALS}\r\nBTC,1,1\r\n,,\r\n{HEADER.replace('script/ ', 'script / ').upper()}\r\n", ADDRESS_LIST),
        (HEADER, ADDRESS_LIST),
        ("chain;address;signature;message\n", STATEMENTS),
    ],
)
def test_each_layout_is_known_by_its_header(text: str, layout: object) -> None:
    assert head(text).layout is layout


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "coin\n",
        f"{TOTALS}\nBTC,1,1\n",
        f"{TOTALS}\n\nchain;address;signature;message\n",
        HEADER + ",more\n",
        "%PDF-1.7\n",
        b"\xff\xfec\0",
    ],
)
def test_what_has_no_header_of_a_layout_is_no_list(text: str | bytes) -> None:
    with pytest.raises(UnusableInputError):
        head(text)


@pytest.mark.parametrize("line", ["BTC,1", "BTC,1,1,1", ",1,1", "BTC,1,-1", "BTC,1,1e3", "BTC,1,", "x" * (LONGEST_LINE + 1)])
def test_a_line_of_totals_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(MalformedError):
        head(f"{TOTALS}\n{line}\n\n{HEADER}\n")


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("a,b,,c,", ["a", "b", "", "c", ""]),
        ("a,[b,c],d", ["a", "[b,c]", "d"]),
        ("a,x[b,[c,d],e]y,f", ["a", "x[b,[c,d],e]y", "f"]),
        ('a,{"k":1,"l":2},d', ["a", '{"k":1,"l":2}', "d"]),
        ('"a,b",c', ["a,b", "c"]),
        ('"a ""b"", c",', ['a "b", c', ""]),
        ('"",', ["", ""]),
        ("", [""]),
        ("]a,b", ["]a", "b"]),
        ("[a,b", ["[a,b"]),
    ],
)
def test_commas_in_brackets_and_quotation_marks_do_not_separate(line: str, cells: list[str]) -> None:
    assert split(line, ",") == cells


@pytest.mark.parametrize("line", ['"a', '"a"b,c', 'a,"b""'])
def test_quotation_marks_have_to_be_closed(line: str) -> None:
    with pytest.raises(MalformedError):
        split(line, ",")


@given(st.lists(st.text(alphabet=st.characters(exclude_characters='"[]{}\n\r,', codec="utf-8")), min_size=1))
def test_plain_cells_are_read_back(cells: list[str]) -> None:
    assert split(",".join(cells), ",") == cells


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\n\r", codec="utf-8")), min_size=1))
def test_quoted_cells_are_read_back(cells: list[str]) -> None:
    assert split(",".join('"' + cell.replace('"', '""') + '"' for cell in cells), ",") == cells


def test_a_row_may_stop_before_the_owners() -> None:
    entry = parse_line(ADDRESS_LIST, "BTC,BTC,1,addr, 2.50,text,s1,s2,5221")
    assert (entry.coin, entry.network, entry.amount) == ("BTC", "BTC", Decimal("2.50"))
    assert (entry.statement.signatures, entry.statement.script, entry.statement.owners) == (("s1", "s2"), "5221", ())


def test_a_row_with_a_type_has_one_cell_more() -> None:
    entry = parse_line(ADDRESS_LIST_WITH_TYPES, "ETH,Native ETH Staking,ETH,1,0xab,32,text,s1,,,0xcd,")
    assert (entry.statement.address, entry.statement.signatures, entry.statement.owners) == ("0xab", ("s1",), ("0xcd",))


@pytest.mark.parametrize(
    "line",
    [
        "BTC,BTC,1,addr,1,text,s1,",
        "BTC,BTC,1,addr,1,text,s1,,,",
        "BTC,BTC,1,addr,1,text,s1,,,,,",
        "BTC,BTC,1,addr,1,te,xt,s1,,,,",
        "BTC,BTC,1,addr,1,text,,s2,",
        "BTC,BTC,1,,1,text,s1,,",
        ",BTC,1,addr,1,text,s1,,",
        "BTC,BTC,1, addr,1,text,s1,,",
        "BTC,BTC,1,ad\tdr,1,text,s1,,",
        "BTC,BTC,1,addr,,text,s1,,",
        "BTC,BTC,1,addr,-1,text,s1,,",
        "BTC,BTC,1,addr,NaN,text,s1,,",
        "BTC,BTC,1,addr,1.,text,s1,,",
        "BTC,BTC,1,addr,١,text,s1,,",
    ],
)
def test_a_row_that_is_not_as_its_layout_is_refused(line: str) -> None:
    with pytest.raises(MalformedError):
        parse_line(ADDRESS_LIST, line)


@pytest.mark.parametrize("line", ["ETH;a;s", "ETH;a;s;m;", ";a;s;m", "ETH;;s;m"])
def test_a_statement_has_four_cells(line: str) -> None:
    with pytest.raises(MalformedError):
        parse_line(STATEMENTS, line)


@given(st.decimals(min_value=0, allow_nan=False, allow_infinity=False, places=18))
def test_amounts_are_exact(amount: Decimal) -> None:
    assert parse_amount(f"{amount:f}") == amount


@given(st.text())
def test_no_line_brings_the_reader_down(line: str) -> None:
    for layout in (ADDRESS_LIST, ADDRESS_LIST_WITH_TYPES, STATEMENTS):
        try:
            entry = parse_line(layout, line)
        except MalformedError:
            continue
        assert entry.statement.address
