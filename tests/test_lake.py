from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assay.errors import ConfigError
from assay.lake import format_as_of, new_folder, parse_as_of, private_folder, replacing_file, run_folder, sha256_of, slug


@pytest.mark.parametrize(
    "text", ["2023-02-17", "2023-02-17T16:00:00", "2023-02-17T16:00:00+00:00", "2023-02-30T00:00:00Z", "now", "2023-02-17T16:00:00.5Z"]
)
def test_a_moment_in_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="2023-02-17T16:00:00Z"):
        parse_as_of(text)


def test_a_moment_reads_back_as_itself_and_names_a_folder() -> None:
    moment = datetime(2023, 2, 17, 16, tzinfo=UTC)
    assert parse_as_of(format_as_of(moment)) == moment
    assert slug(moment) == "2023-02-17T160000Z"


def test_the_same_run_always_gets_the_same_folder_and_another_run_another(tmp_path: Path) -> None:
    moment = datetime(2023, 2, 17, 16, tzinfo=UTC)
    first = run_folder(tmp_path, "raw", "ledger", moment, "manual__1")
    assert first == run_folder(tmp_path, "raw", "ledger", moment, "manual__1")
    assert first != run_folder(tmp_path, "raw", "ledger", moment, "manual__2")


def test_an_error_while_writing_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text("old")

    def write() -> None:
        with replacing_file(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_appears_whole_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table"
    with replacing_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert sha256_of(path) == "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"


def test_the_umask_decides_who_may_read_and_private_folders_are_the_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with replacing_file(tmp_path / "secret") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert private_folder(tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_exists_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "publication"
    with new_folder(path) as temporary:
        (temporary / "a").write_text("first")
    with pytest.raises(FileExistsError), new_folder(path):
        pass
    assert (path / "a").read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
