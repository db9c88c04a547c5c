"""The same secret and the same liabilities are the same bytes, however they are worked on: an auditor who is given both can build the tree again."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.commitments import building, index, leaves, reading, tree_files
from tests.commitments.ledger import ASSETS, build_tree, commit_to, report_of, rows_of, some_users, write_rows

REPORT = report_of(ASSETS)
BALANCES = some_users(700)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".work"
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("expected")
    build_tree(REPORT, [write_rows(folder / "in" / "0.parquet", rows_of(REPORT, BALANCES))], folder / "out")
    return contents(folder / "out")


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_batches_of_rows_don_t_matter(rows: int, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_ROWS", rows)
    path = write_rows(tmp_path / "in" / "0.parquet", rows_of(REPORT, BALANCES))
    build_tree(REPORT, [path], tmp_path / "out")
    assert contents(tmp_path / "out") == expected


@pytest.mark.parametrize("leaves_at_a_time", [1, 10, 333])
def test_batches_of_leaves_don_t_matter(
    leaves_at_a_time: int, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_fit", lambda report, memory, processes, shard: (1, leaves_at_a_time * 16 * len(ASSETS)))
    path = write_rows(tmp_path / "in" / "0.parquet", rows_of(REPORT, BALANCES))
    build_tree(REPORT, [path], tmp_path / "out")
    assert contents(tmp_path / "out") == expected


def test_the_memory_that_is_allowed_doesn_t_matter(expected: dict[str, bytes], tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in" / "0.parquet", rows_of(REPORT, BALANCES))
    build_tree(REPORT, [path], tmp_path / "out", memory_limit="8 GiB")
    assert contents(tmp_path / "out") == expected


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_don_t_matter(processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Files of the index are what users are divided by; a build in one process has as many.
    runs = [commit_to(REPORT, BALANCES, tmp_path / str(number), processes=number, memory_limit="4GB") for number in (1, processes)]
    assert runs[0] == runs[1]
    for part in ("tree", "index"):
        assert contents(tmp_path / "1" / part) == contents(tmp_path / str(processes) / part)


def test_users_are_divided_among_processes_in_whole_files_of_the_index() -> None:
    import numpy as np

    parts = np.full(5 * index.INDEX_USERS + 17, 2, np.int64)
    for processes in (1, 2, 3, 4, 9):
        runs = building._runs(parts, processes)
        assert [run.start for run in runs[1:]] == [run.end for run in runs[:-1]]
        assert (runs[0].start, runs[-1].end) == (0, len(parts))
        assert all(run.start % index.INDEX_USERS == 0 and run.first_leaf == 2 * run.start for run in runs)


def test_spool_files_may_come_in_any_order(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shape = tree_files.Shape(report=REPORT, leaf_count=16, shard_leaves=16)
    width = tree_files.PLACE_BYTES + leaves.HEAD_BYTES + 16 * len(ASSETS)
    rows = [
        number.to_bytes(8, "little") + bytes([number]) * (leaves.HEAD_BYTES) + bytes(width - 8 - leaves.HEAD_BYTES) for number in range(16)
    ]
    roots = set()
    for number, order in enumerate(([0, 1], [1, 0])):
        kept.mkdir(exist_ok=True)
        (kept / "0").write_bytes(b"".join(rows[:9]))
        (kept / "1").write_bytes(b"".join(reversed(rows[9:])))
        (tmp_path / f"tree{number}").mkdir()
        roots.add(tree_files.write_shard(shape, 0, [kept / str(name) for name in order], tmp_path / f"tree{number}"))
    assert len(roots) == 1
