"""Published lists of addresses with signatures: which layouts there are, and a line of one as a statement.

Lists are read as they are found in public (https://github.com/okx/proof-of-reserves, folder `example`), line by line: a line end always ends a row.
Commas inside `[…]` and `{…}` don't separate, and cells in quotation marks are read as RFC 4180 has them. The module `csv` knows no
brackets, so lines that have either are split here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import BinaryIO, NamedTuple

from assay_verify.findings import MalformedError, UnusableInputError, require
from assay_verify.ownership.interface import Statement

LONGEST_LINE = 1 << 16
"""Bytes. The longest real rows, with a multisig script, have about 2,000; BIP-322 proofs of funds have more."""

EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])
"""Decimal arithmetic that gives the exact number or none."""

_MOST_TOTALS = 100_000
_AMOUNT = re.compile(r"[0-9]{1,60}(\.[0-9]{1,60})?")
_BOM = b"\xef\xbb\xbf"
_OPENING, _CLOSING = "[{", "]}"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a list is written.

    Attributes:
        name: For people.
        columns: Names of the header, lower-case, without blanks beside `/`.
        widths: How many cells a row may have.
        separator: Between cells.
        has_totals: A block of totals stands above.
    """

    name: str
    columns: tuple[str, ...]
    widths: frozenset[int]
    separator: str = ","
    has_totals: bool = True


class Entry(NamedTuple):
    """A row of a list.

    Attributes:
        coin: As given.
        network: As given; the coin where the layout has no networks.
        amount: In whole units; None where the layout has no amounts.
        statement: What is claimed; its signatures are empty where none is given.
    """

    coin: str
    network: str
    amount: Decimal | None
    statement: Statement


class Total(NamedTuple):
    """A line of the block of totals.

    Attributes:
        line: Its number, from 1.
        label: A coin, a coin and its network joined by `-`, or a coin over all networks.
        everywhere: It is over all networks.
        amount: In whole units.
    """

    line: int
    label: str
    everywhere: bool
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands above the rows.

    Attributes:
        layout: How the list is written.
        totals: In the order of the file.
        offset: Where the rows begin, in bytes.
        line: Number of the first row's line.
    """

    layout: Layout
    offset: int
    line: int
    totals: list[Total] = field(default_factory=list)


_CELLS = ("message", "signature1", "signature2", "redeem script/public key", "eoa1", "eoa2")
ADDRESS_LIST = Layout(
    name="address list",
    columns=("coin", "network", "snapshot height", "address", "amount", *_CELLS),
    widths=frozenset({9, 11}),
)
ADDRESS_LIST_WITH_TYPES = Layout(
    name="address list with types",
    columns=("coin", "type", "network", "snapshot height", "address", "amount", *_CELLS),
    widths=frozenset({10, 12}),
)
STATEMENTS = Layout(
    name="statements",
    columns=("chain", "address", "signature", "message"),
    widths=frozenset({4}),
    separator=";",
    has_totals=False,
)
_LAYOUTS = (ADDRESS_LIST, ADDRESS_LIST_WITH_TYPES, STATEMENTS)
_TOTALS = {("coin", "snapshot height", "amount"): True, ("coin", "amount"): False}


def read_head(file: BinaryIO) -> Head:
    """Read everything above the rows.

    Raises:
        UnusableInputError: It is none of the layouts, or there is nothing.
        MalformedError: A line of the totals is not what it should be.
    """
    first = _line(file).removeprefix(_BOM)
    if not first:
        raise UnusableInputError("The file is empty", "Nothing can be proven about nothing: download it again")
    header, line, totals = _header(first), 1, []
    if header in _TOTALS:
        with_height = _TOTALS[header]
        while not _is_blank(text := _line(file)):
            line += 1
            totals.append(_total(text, line, with_height=with_height))
            require(len(totals) <= _MOST_TOTALS, f"there are more than {_MOST_TOTALS:,} totals, or no empty line after them")
        header = _header(_line(file))
        line += 2
    layout = next((known for known in _LAYOUTS if known.columns == header and (known.has_totals or line == 1)), None)
    if layout is None:
        raise UnusableInputError(
            f"Line {line} is the header of no list that this verifier knows",
            "Give an address list with its totals, a list of chain;address;signature;message, or a table address_ownership.parquet",
        )
    return Head(layout=layout, offset=file.tell(), line=line + 1, totals=totals)


def parse_line(layout: Layout, line: str) -> Entry:
    """Read a row.

    Raises:
        MalformedError: It has another number of cells, or one of them is not what it should be.
    """
    cells = split(line, layout.separator)
    if len(cells) not in layout.widths:
        wanted = " or ".join(map(str, sorted(layout.widths)))
        raise MalformedError(f"it has {len(cells)} columns, and {wanted} are expected")
    if layout is STATEMENTS:
        chain, address, signature, message = cells
        _require_names(chain, address)
        statement = Statement(coin=chain, address=address, message=message, signatures=(signature,) if signature else ())
        return Entry(chain, chain, None, statement)
    if layout is ADDRESS_LIST_WITH_TYPES:
        del cells[1]
    coin, network, _, address, amount, message, first, second, script, *owners = cells
    _require_names(coin, network, address)
    if second and not first:
        raise MalformedError("it has a second signature and no first one")
    signatures = (first, second) if second else (first,) if first else ()
    named = tuple(owner for owner in owners if owner)
    statement = Statement(coin=coin, address=address, message=message, signatures=signatures, script=script, owners=named)
    return Entry(coin, network, parse_amount(amount), statement)


def split(line: str, separator: str) -> list[str]:
    """Return the cells of a line.

    Raises:
        MalformedError: A quotation mark is not closed, or something follows where it is.
    """
    if separator != "," or not ('"' in line or "[" in line or "{" in line):
        return line.split(separator)
    cells: list[str] = []
    position = 0
    while position <= len(line):
        cell, position = _quoted(line, position) if line.startswith('"', position) else _bare(line, position)
        cells.append(cell)
    return cells


def parse_amount(text: str) -> Decimal:
    """Read an amount in whole units, without sign and exponent.

    Raises:
        MalformedError: It is written in any other way.
    """
    stripped = text.strip(" ")
    if not _AMOUNT.fullmatch(stripped):
        raise MalformedError(f"{text[:80]!r} is no amount")
    return Decimal(stripped)


def _bare(line: str, start: int) -> tuple[str, int]:
    depth = 0
    for position in range(start, len(line)):
        character = line[position]
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth = max(0, depth - 1)
        elif character == "," and not depth:
            return line[start:position], position + 1
    return line[start:], len(line) + 1


def _quoted(line: str, start: int) -> tuple[str, int]:
    parts, position = [], start + 1
    while (end := line.find('"', position)) >= 0:
        parts.append(line[position:end])
        if line.startswith('""', end):
            parts.append('"')
            position = end + 2
            continue
        require(end + 1 == len(line) or line[end + 1] == ",", "something follows a closing quotation mark")
        return "".join(parts), end + 2
    raise MalformedError("a quotation mark is not closed on its line")


def _require_names(*names: str) -> None:
    for name in names:
        if not name or not name.isprintable() or name != name.strip():
            raise MalformedError(f"coin, network or address {name[:80]!r} is empty or has odd blanks")


def _line(file: BinaryIO) -> bytes:
    line = file.readline(LONGEST_LINE + 1)
    require(len(line) <= LONGEST_LINE, f"a line above the rows is longer than {LONGEST_LINE:,} bytes")
    return line


def _text(line: bytes) -> str:
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UnusableInputError("The file is not UTF-8", "Give the file as it was published, or a list in UTF-8") from error


def _is_blank(line: bytes) -> bool:
    # Spreadsheets write an empty row as commas.
    return not line.strip(b", \r\n")


def _header(line: bytes) -> tuple[str, ...]:
    text = _text(line)
    separator = ";" if ";" in text else ","
    return tuple(re.sub(r" */ *", "/", cell.strip().lower()) for cell in text.split(separator))


def _total(line: bytes, number: int, *, with_height: bool) -> Total:
    cells = [cell.strip() for cell in split(_text(line), ",")]
    require(len(cells) == (3 if with_height else 2) and bool(cells[0]), f"line {number}: it is no line of totals")
    label = cells[0].removesuffix("(ALL)")
    everywhere = not with_height or cells[1] == "-" or label != cells[0]
    try:
        return Total(number, label, everywhere, parse_amount(cells[-1]))
    except MalformedError as error:
        raise MalformedError(f"line {number}: {error}") from error
