"""Where rows come from: a list in text, read in pieces of whole lines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from assay_verify.findings import MalformedError, UnusableInputError
from assay_verify.ownership.checking import check_lines
from assay_verify.ownership.lists import LONGEST_LINE, Total, read_head
from assay_verify.ownership.workers import Check, Piece

PIECE = 1 << 18
"""Bytes. About a thousand rows: enough that sending them costs nothing, few enough that progress is smooth and memory small."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something that has rows.

    Attributes:
        name: Of its layout, for people.
        subject: What an outcome depends on: the SHA-256 of the file, and the rest.
        start: Where the rows begin, in units of its own.
        end: Where they end.
        first: Number of the first row.
        small: One process is done with it before a second has started.
        check: What to do with a piece.
        pieces: Yields what lies behind a place, given with the number of the row there. Raises UnusableInputError where the file was
            changed since it was opened.
        totals: What it says its rows come to; None where the layout has no totals.
    """

    name: str
    subject: dict[str, str]
    start: int
    end: int
    first: int
    small: bool
    check: Check
    pieces: Callable[[int, int], Iterator[Piece]]
    totals: list[Total] | None = None


def open_list(path: Path, *, test_networks: bool = False) -> Source:
    """Read what stands above the rows of a list.

    Args:
        path: The file.
        test_networks: As in `check_lines`.

    Raises:
        UnusableInputError: It is no list.
    """
    state = _state(path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        try:
            head = read_head(file)
        except MalformedError as error:
            raise UnusableInputError(
                f"{path.name}: {error}", "Nothing below can be read with certainty: ask for a list that is whole"
            ) from error
    return Source(
        name=head.layout.name,
        subject={"sha256": sha256, "layout": head.layout.name, "test_networks": str(test_networks)},
        start=head.offset,
        end=state[0],
        first=head.line,
        small=state[0] - head.offset <= PIECE,
        check=partial(check_lines, head.layout, test_networks=test_networks),
        pieces=partial(_pieces, path, state),
        totals=head.totals if head.layout.has_totals else None,
    )


def changed(path: Path) -> UnusableInputError:
    """Return the error for a file that is not what it was a moment ago."""
    return UnusableInputError(f"{path.name} was changed while it was read", "Start again once nothing writes to it")


def _pieces(path: Path, state: tuple[int, int], start: int, first: int) -> Iterator[Piece]:
    """Yield pieces of whole lines; of a line that is too long its beginning, which is still too long."""
    with path.open("rb") as file:
        file.seek(start)
        while content := file.read(PIECE):
            if not content.endswith(b"\n"):
                content += file.readline(LONGEST_LINE + 1)
            last = content.rfind(b"\n") + 1
            if len(content) - last > LONGEST_LINE:
                content = content[: last + LONGEST_LINE + 1] + b"\n"
                _skip_line(file)
            following = first + content.count(b"\n") + (not content.endswith(b"\n"))
            yield Piece(start, file.tell(), first, following, content)
            start, first = file.tell(), following
    if _state(path) != state:
        raise changed(path)


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
