from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import PublicationError
from assay.publication.log import FILE_NAME, Log, folder_name

NOW = datetime(2023, 3, 1, tzinfo=UTC)
MOMENTS = [datetime(2023, month, 17, 16, tzinfo=UTC) for month in range(1, 7)]


def fill(folder: Path, *moments: datetime) -> Log:
    folder.mkdir(parents=True, exist_ok=True)
    for number, as_of in enumerate(moments):
        log = Log.read(folder)
        log.append(as_of=as_of, revision=len(log.of(as_of)) + 1, manifest_sha256=f"{number:064x}", published_at=NOW)
    return Log.read(folder)


def test_a_series_without_a_log_has_published_nothing(tmp_path: Path) -> None:
    log = Log.read(tmp_path)
    assert log.entries == ()
    assert log.previous(MOMENTS[0]) is None


def test_previous_of_a_new_moment_is_the_last_one(tmp_path: Path) -> None:
    log = fill(tmp_path, *MOMENTS[:3])
    assert log.previous(MOMENTS[3]) == log.entries[2]


def test_previous_of_a_known_moment_is_what_it_was_when_it_was_published(tmp_path: Path) -> None:
    log = fill(tmp_path, *MOMENTS[:3])
    assert log.previous(MOMENTS[1]) == log.entries[0]
    assert log.previous(MOMENTS[0]) is None


def test_a_moment_is_compared_with_the_corrected_one_before_it_unless_the_correction_came_later(tmp_path: Path) -> None:
    log = fill(tmp_path, MOMENTS[0], MOMENTS[1], MOMENTS[0])
    assert log.entries[2].revision == 2
    assert log.previous(MOMENTS[1]) == log.entries[0]
    assert log.previous(MOMENTS[1], revision=2) == log.entries[2]
    assert log.previous(MOMENTS[2]) == log.entries[1]


def test_a_new_moment_before_the_newest_is_refused_and_a_known_one_is_not(tmp_path: Path) -> None:
    log = fill(tmp_path, MOMENTS[0], MOMENTS[2])
    with pytest.raises(PublicationError, match="never published"):
        log.check_order(MOMENTS[1])
    log.check_order(MOMENTS[0])
    log.check_order(MOMENTS[3])


def test_an_older_log_is_the_beginning_of_every_newer_one(tmp_path: Path) -> None:
    contents = []
    for number in range(1, 4):
        fill(tmp_path, MOMENTS[number])
        contents.append((tmp_path / FILE_NAME).read_bytes())
    assert contents[1].startswith(contents[0])
    assert contents[2].startswith(contents[1])


@given(data=st.data())
def test_any_changed_byte_breaks_the_log(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("log")
    fill(folder, *MOMENTS[:2])
    content = bytearray((folder / FILE_NAME).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / FILE_NAME).write_bytes(content)
    with pytest.raises(PublicationError):
        Log.read(folder)


@pytest.mark.parametrize("tamper", ["remove first", "swap", "cut", "repeat", "blank line"])
def test_lines_that_are_removed_swapped_or_repeated_are_found(tmp_path: Path, tamper: str) -> None:
    fill(tmp_path, *MOMENTS[:3])
    lines = (tmp_path / FILE_NAME).read_bytes().splitlines(keepends=True)
    changed = {
        "remove first": lines[1:],
        "swap": [lines[1], lines[0], lines[2]],
        "cut": [*lines[:2], lines[2][:-1]],
        "repeat": [*lines, lines[2]],
        "blank line": [*lines, b"\n"],
    }[tamper]
    (tmp_path / FILE_NAME).write_bytes(b"".join(changed))
    with pytest.raises(PublicationError):
        Log.read(tmp_path)


def test_an_error_in_the_log_names_file_and_line(tmp_path: Path) -> None:
    fill(tmp_path, *MOMENTS[:2])
    path = tmp_path / FILE_NAME
    path.write_text(path.read_text().replace('"sequence":2', '"sequence":3'))
    with pytest.raises(PublicationError, match=r"log\.jsonl, line 2: the line is not canonical or its entry_sha256"):
        Log.read(tmp_path)


def test_a_line_has_the_members_of_the_specification(tmp_path: Path) -> None:
    fill(tmp_path, MOMENTS[0])
    members = set(json.loads((tmp_path / FILE_NAME).read_bytes()))
    page = (Path(__file__).parents[2] / "docs" / "formats" / "log.md").read_text()
    assert members == {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}


def test_folders_of_corrections_carry_their_revision() -> None:
    assert folder_name(MOMENTS[0], 1) == "2023-01-17T160000Z"
    assert folder_name(MOMENTS[0] + timedelta(seconds=1), 12) == "2023-01-17T160001Z.r12"
