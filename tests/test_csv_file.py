"""CSV files as people's programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.csv_file import read_rows
from assay.errors import RegistryError

COLUMNS = ("chain", "address", "label")
GOOD = "chain,address,label\nethereum,0x1,a\nbitcoin,bc1,b\n"


def read(path: Path, content: bytes) -> list[tuple[int, list[str]]]:
    path.write_bytes(content)
    return list(read_rows(path, COLUMNS, lambda problem, subject, step: RegistryError(problem, subject=subject, next_step=step)))


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode(),
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.rstrip("\n").encode(),
        f"{GOOD}\n\n".encode(),
        f"{GOOD},,\n,,\n".encode(),
        GOOD.replace("\n", "\r\n").encode("utf-8-sig") + b"\r\n",
    ],
)
def test_what_spreadsheets_add_without_meaning_anything_by_it_is_passed_over(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "file.csv", content) == [(2, ["ethereum", "0x1", "a"]), (3, ["bitcoin", "bc1", "b"])]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (GOOD.replace(",", ";").encode(), "line 1: it was saved with a semicolon between the columns"),
        (GOOD.replace(",", "\t").encode(), "line 1: it was saved with a tab between the columns"),
        (GOOD.encode("utf-16"), "it was saved as UTF-16"),
        (GOOD.replace("label", "Label").encode(), "with capitals or spaces that do not belong there"),
        (GOOD.replace("chain", "\u200bchain").encode(), r"the header is '\\u200bchain,address,label'"),
        (GOOD.replace("0x1", "0\xe9").encode("latin-1"), "line 2: it is not UTF-8"),
        (GOOD.replace("0x1,a", "0x1").encode(), "line 2: it has 2 columns and 3 are expected"),
        (b"", "line 1: it is empty"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused_with_what_happened(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        read(tmp_path / "file.csv", content)


def test_a_row_over_several_lines_is_named_by_its_first_one(tmp_path: Path) -> None:
    rows = read(tmp_path / "file.csv", b'chain,address,label\nethereum,"a\nb\nc",x\nbitcoin,1,y\n')
    assert [line for line, _ in rows] == [2, 5]
