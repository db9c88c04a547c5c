"""Tables at a terminal and in a pipe, of which nothing is ever cut: a number without its end is another number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_UNBOUNDED = 1 << 20
"""Characters of a line where no terminal sets a width."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's name, and whether its cells stand at the right, as numbers do."""

    name: str
    right: bool = False


def open_console(*, stderr: bool = False) -> Console:
    """Return a console of the terminal's width; a pipe or a file has none, so that no line is broken there for a width that nobody has."""
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    return console


def print_table(console: Console, title: str, columns: Sequence[Column], rows: Collection[Sequence[str]]) -> None:
    """Print a table; where the terminal is too narrow for it, each row in lines of its own.

    Args:
        console: Where it goes.
        title: Stands above it.
        columns: From left to right; the first one names the row.
        rows: Cells, in rich's markup.
    """
    table = Table()
    for column in columns:
        table.add_column(column.name, justify="right" if column.right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(title, markup=False, soft_wrap=True)
    wide = console.options.update(max_width=_UNBOUNDED)
    if Measurement.get(console, wide, table).maximum <= console.width:
        console.print(table)
        return
    indent = max(len(column.name) for column in columns)
    for first, *others in rows:
        console.print(first, soft_wrap=True)
        for column, cell in zip(columns[1:], others, strict=True):
            console.print(f"  {column.name:<{indent}}  {cell}", soft_wrap=True)
