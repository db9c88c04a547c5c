from __future__ import annotations

import io

import pytest
from rich.console import Console

from assay.terminal_table import Column, open_console, print_table

COLUMNS = [Column(name="asset"), Column(name="reserves", right=True), Column(name="user balances", right=True)]
ROWS = [("BTC", "643,546.497", "629,000.000"), ("USDT", "40,123,456,789,012,345,678.123", "[bold red]-39,123,456,789,012,345,678.999[/]")]


def printed(width: int) -> list[str]:
    file = io.StringIO()
    print_table(Console(file=file, width=width, highlight=False), "Reserve ratios [at] 80 columns", COLUMNS, ROWS)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [200, 80, 60, 40, 20, 5])
def test_no_number_is_ever_cut_or_broken(width: int) -> None:
    text = "\n".join(printed(width))
    for number in ("643,546.497", "40,123,456,789,012,345,678.123", "-39,123,456,789,012,345,678.999"):
        assert number in text
    assert "…" not in text
    assert "Reserve ratios [at] 80 columns" in text


def test_a_table_that_fits_is_one_and_one_that_does_not_has_a_line_for_each_cell() -> None:
    assert "│ BTC   │" in "\n".join(printed(90))
    assert printed(40)[1:4] == ["BTC", "  reserves       643,546.497", "  user balances  629,000.000"]


def test_a_pipe_has_no_width(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    print_table(open_console(), "title", COLUMNS, ROWS)
    assert any("USDT" in line and "40,123,456,789,012,345,678.123" in line for line in capsys.readouterr().out.splitlines())
