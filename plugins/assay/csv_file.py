"""CSV files that people edit, read as strictly as there is doubt: commas and a known header, whatever program saved them.

A byte order mark, carriage returns and rows without any content are what spreadsheets add, and nobody can mean anything by them. Another separator or
another encoding would have to be guessed, so it is refused with the words that name what happened.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from assay.errors import AssayError

Fail = Callable[[str, str, str], AssayError]
"""Makes the error of a problem, a subject and a next step."""

_SHOWN = 120
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONGEST_CELL = 1 << 20
SAVE_AS = "save it as `CSV UTF-8 (comma delimited)`, or with commas between the columns"
"""The next step where a spreadsheet saved something else."""


def read_rows(path: Path, columns: Sequence[str], fail: Fail) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row begins, and its cells as they stand there.

    Args:
        path: The file.
        columns: What the header must be.
        fail: Makes the errors, each about a line of the file.

    Raises:
        AssayError: What `fail` makes: the file cannot be read, is no UTF-8 CSV, has another header, or a row has another number of cells.
    """
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(_text(path, fail), newline=""), strict=True)
        _check_header(next(reader, []), columns, path, fail)
        line = reader.line_num + 1
        for row in reader:
            start, line = line, reader.line_num + 1
            if not any(row):
                continue
            if len(row) != len(columns):
                next_step = "correct the line; a cell with a comma in it stands in quotation marks"
                raise fail(f"it has {len(row)} columns and {len(columns)} are expected", f"{path} line {start}", next_step)
            yield start, row
    except csv.Error as error:
        raise fail(f"it is not a CSV file: {error}", f"{path} line {reader.line_num}", "correct the line") from error
    finally:
        csv.field_size_limit(limit)


def decimal_comma(text: str) -> str:
    """Return what to say of a number with a comma in it; nothing where there is none."""
    return f"{text!r} has a comma, as spreadsheets write decimals in some languages; write it with a point" if "," in text else ""


def other_separator(header: Sequence[str]) -> str:
    """Return what to say of a header that was saved with something else than commas between its columns; nothing where it was not."""
    for separator, name in ((";", "a semicolon"), ("\t", "a tab")):
        if len(header) == 1 and separator in header[0]:
            return f"it was saved with {name} between the columns, as spreadsheets do in some languages"
    return ""


def other_encoding(beginning: bytes) -> str:
    """Return what to say of a file that begins like this and was saved in UTF-16; nothing where it was not."""
    return "it was saved as UTF-16, as spreadsheets call `Unicode text`" if beginning.startswith(_UTF_16) else ""


def _text(path: Path, fail: Fail) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise fail(f"it cannot be read ({error.strerror})", str(path), "create it, or correct the name or its rights") from error
    if problem := other_encoding(content):
        raise fail(problem, str(path), SAVE_AS)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise fail(f"it is not UTF-8 (byte {content[error.start]:#04x})", f"{path} line {line}", SAVE_AS) from error


def _check_header(header: Sequence[str], columns: Sequence[str], path: Path, fail: Fail) -> None:
    if tuple(header) == tuple(columns):
        return
    where, shown = f"{path} line 1", ",".join(header)
    if problem := other_separator(header):
        raise fail(problem, where, SAVE_AS)
    if [name.strip().lower() for name in header] == list(columns):
        raise fail(f"the header is {shown!r}, with capitals or spaces that do not belong there", where, f"make it {','.join(columns)!r}")
    raise fail(f"the header is {shown[:_SHOWN]!a}" if header else "it is empty", where, f"make it {','.join(columns)!r}")
