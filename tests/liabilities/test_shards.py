"""The canonical shards: the same rows whatever their number, made again only where they are not whole, and killed at any moment."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from assay.commitments.format import user_key
from assay.config import Settings
from assay.errors import EvidenceError, LedgerError
from assay.liabilities import shards
from assay.liabilities.interface import BALANCE_COLUMNS, FLOW_COLUMNS, TOTAL_COLUMNS, RawSnapshot, write_texts
from assay.liabilities.snapshot import canonicalise, liability_files, report_key, shards_digest
from sandbox.scenario import SECOND

from .conftest import with_ledger

SECRET = b"s" * 32
USERS = 300
ROOT = Path(__file__).parents[2]
Rows = list[tuple[str, ...]]


def raw_of(folder: Path, files: list[Rows], *, as_of: str = "2023-02-17T16:00:00Z") -> RawSnapshot:
    """Write a raw snapshot whose control totals are right."""
    raw = RawSnapshot(folder=folder)
    raw.start()
    for number, rows in enumerate(files):
        write_texts(raw.balances / f"{number:02d}-data_0.parquet", BALANCE_COLUMNS, rows)
    count = str(sum(map(len, files)))
    total = str(sum(int(row[3]) for rows in files for row in rows))
    write_texts(raw.control_totals, TOTAL_COLUMNS, [("spot", "BTC", count, count, total)])
    write_texts(raw.flows, FLOW_COLUMNS, [])
    raw.seal({"as_of": as_of})
    return raw


def users(first: int, last: int) -> Rows:
    return [(f"U{number}", "spot", "BTC", str(number % 7)) for number in range(first, last)]


@pytest.fixture
def raw(tmp_path: Path) -> RawSnapshot:
    return raw_of(tmp_path / "raw", [users(0, 100), users(100, 250), users(250, USERS)])


def rows_of(folder: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for path in liability_files(folder) for row in pq.read_table(path).to_pylist()]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in liability_files(folder)}


@pytest.mark.parametrize("count", [1, 2, 7, 200])
def test_shards_are_ascending_ranges_of_the_key_and_together_all_rows_in_order(
    settings: Settings, raw: RawSnapshot, tmp_path: Path, count: int
) -> None:
    canonicalise(with_ledger(settings, shards=count), raw, SECRET, tmp_path / "done")
    found = rows_of(tmp_path / "done")
    key = report_key(SECRET, "test", SECOND)
    expected = [user_key("test", SECOND, hmac.digest(key, f"U{number}".encode(), "sha256"), f"U{number}").hex() for number in range(USERS)]
    assert [row[0] for row in found] == sorted(expected)
    for path in liability_files(tmp_path / "done"):
        keys = pq.read_table(path)["user_key"].to_pylist()
        assert {int(key[:8], 16) * count >> 32 for key in keys} == {int(path.stem)}
    assert not (tmp_path / "done" / "keyed").exists()


@hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 4), min_size=USERS, max_size=USERS), st.integers(1, 9))
def test_how_rows_lie_in_the_raw_files_changes_no_byte(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, places: list[int], count: int
) -> None:
    folder = tmp_path_factory.mktemp("places")
    several = [[row for row, place in zip(users(0, USERS), places, strict=True) if place == file] for file in range(5)]
    settings = with_ledger(settings, shards=count)
    canonicalise(settings, raw_of(folder / "a", [users(0, USERS)]), SECRET, folder / "one")
    canonicalise(settings, raw_of(folder / "b", [rows[::-1] for rows in several]), SECRET, folder / "many")
    assert bytes_of(folder / "one") == bytes_of(folder / "many")


def test_the_number_of_shards_follows_the_size(
    settings: Settings, raw: RawSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROWS_A_SHARD", 100)
    canonicalise(settings, raw, SECRET, tmp_path / "done")
    assert sorted(bytes_of(tmp_path / "done")) == ["00000.parquet", "00001.parquet", "00002.parquet"]


def test_a_user_in_two_raw_files_is_named(settings: Settings, tmp_path: Path) -> None:
    raw = raw_of(tmp_path / "raw", [users(0, 100), users(99, 200)])
    with pytest.raises(LedgerError, match="user U99, spot, BTC: the row is there 2 times"):
        canonicalise(with_ledger(settings, shards=5), raw, SECRET, tmp_path / "done")
    with pytest.raises(EvidenceError, match="list of shards"):
        liability_files(tmp_path / "done")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: (raw.balances / "01-data_0.parquet").unlink(), "01-data_0.parquet: it is missing after the extract"),
        (lambda raw: (raw.balances / "01-data_0.parquet").rename(raw.balances / "09.parquet"), "01-data_0.parquet: it is missing"),
        (
            lambda raw: (raw.balances / "03.parquet").write_bytes((raw.balances / "01-data_0.parquet").read_bytes()),
            "03.parquet: it was added",
        ),
        (
            lambda raw: write_texts(raw.balances / "01-data_0.parquet", BALANCE_COLUMNS, users(100, 249)),
            "01-data_0.parquet: it was changed",
        ),
        (lambda raw: (raw.balances / "01-data_0.parquet").write_bytes(b""), "01-data_0.parquet: it was changed"),
        (lambda raw: raw.flows.unlink(), "flows.parquet: it is missing"),
    ],
)
def test_a_raw_file_that_is_missing_doubled_or_changed_is_named(
    settings: Settings, raw: RawSnapshot, tmp_path: Path, change: Callable[[RawSnapshot], object], said: str
) -> None:
    change(raw)
    with pytest.raises(LedgerError, match=said):
        canonicalise(settings, raw, SECRET, tmp_path / "done")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "00002.parquet").unlink(), "00002.parquet: the shard is missing"),
        (
            lambda folder: (folder / "00009.parquet").write_bytes((folder / "00002.parquet").read_bytes()),
            "00009.parquet: the shard does not belong",
        ),
        (lambda folder: (folder / "00002.parquet").write_bytes(b"PAR1"), "00002.parquet: the shard has another size"),
    ],
)
def test_a_shard_that_is_missing_doubled_or_cut_off_is_named(
    settings: Settings, raw: RawSnapshot, tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    canonicalise(with_ledger(settings, shards=4), raw, SECRET, tmp_path / "done")
    change(tmp_path / "done" / "liabilities")
    with pytest.raises(EvidenceError, match=said):
        liability_files(tmp_path / "done")


def test_the_digest_is_of_a_list_that_has_the_hash_of_every_shard(settings: Settings, raw: RawSnapshot, tmp_path: Path) -> None:
    settings = with_ledger(settings, shards=4)
    for name in ("one", "again"):
        canonicalise(settings, raw, SECRET, tmp_path / name)
    listed = json.loads((tmp_path / "one" / "shards.json").read_text())
    assert {name: shard["sha256"] for name, shard in listed.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in bytes_of(tmp_path / "one").items()
    }
    assert shards_digest(tmp_path / "one") == hashlib.sha256((tmp_path / "one" / "shards.json").read_bytes()).hexdigest()
    assert shards_digest(tmp_path / "one") == shards_digest(tmp_path / "again")


def test_other_liabilities_of_the_same_size_have_another_digest(settings: Settings, raw: RawSnapshot, tmp_path: Path) -> None:
    canonicalise(with_ledger(settings, shards=4), raw, SECRET, tmp_path / "done")
    files, before = liability_files(tmp_path / "done"), shards_digest(tmp_path / "done")
    files[2].write_bytes(files[2].read_bytes()[::-1])
    shards.finish(tmp_path / "done", files)
    assert liability_files(tmp_path / "done") == files
    assert shards_digest(tmp_path / "done") != before


@pytest.mark.parametrize(
    "content", ["", "[]", '{"00000.parquet": 5}', '{"00000.parquet": {"sha256": "00"}}', '{"00000.parquet": {"size": null}}']
)
def test_a_list_of_shards_of_another_form_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "shards.json").write_text(content)
    with pytest.raises(EvidenceError, match="list of shards cannot be read"):
        liability_files(tmp_path)


def test_an_unfinished_snapshot_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="list of shards cannot be read"):
        shards_digest(tmp_path)


class KilledError(Exception):
    pass


def test_what_is_whole_is_not_made_again_after_a_kill_at_any_step(
    settings: Settings, raw: RawSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_ledger(settings, shards=4)
    canonicalise(settings, raw, SECRET, tmp_path / "whole")
    steps: list[str] = []
    made: list[str] = []
    limit = 0

    for name, place in (("_key_rows", 5), ("_sort", 5)):
        step = getattr(shards, name)

        def run(*arguments: Any, step: Callable[..., Any] = step, place: int = place) -> Any:
            if len(steps) == limit:
                raise KilledError
            path = arguments[place]
            before = path.stat().st_ino if path.exists() else 0
            steps.append(str(path))
            found = step(*arguments)
            if path.stat().st_ino != before:
                made.append(path.name)
            return found

        monkeypatch.setattr(shards, name, run)
    for limit in range(8):
        steps.clear()
        if limit < 7:
            with pytest.raises(KilledError):
                canonicalise(settings, raw, SECRET, tmp_path / "killed")
            with pytest.raises(EvidenceError):
                liability_files(tmp_path / "killed")
        else:
            canonicalise(settings, raw, SECRET, tmp_path / "killed")
    assert len(made) == 7 == len(set(made))
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")


def test_another_extract_another_configuration_or_another_secret_makes_everything_anew(
    settings: Settings, raw: RawSnapshot, tmp_path: Path
) -> None:
    settings = with_ledger(settings, shards=3)
    canonicalise(settings, raw, SECRET, tmp_path / "done")
    first = bytes_of(tmp_path / "done")
    canonicalise(settings, raw, SECRET[::-1] + b"x", tmp_path / "done")
    second = bytes_of(tmp_path / "done")
    assert not set(first.values()) & set(second.values())
    canonicalise(with_ledger(settings, shards=2), raw, SECRET, tmp_path / "done")
    assert len(bytes_of(tmp_path / "done")) == 2
    canonicalise(settings, raw_of(tmp_path / "raw", [users(0, 20)]), SECRET, tmp_path / "done")
    assert len(rows_of(tmp_path / "done")) == 20


def test_a_shard_that_was_cut_off_is_made_again(settings: Settings, raw: RawSnapshot, tmp_path: Path) -> None:
    settings = with_ledger(settings, shards=3)
    canonicalise(settings, raw, SECRET, tmp_path / "done")
    before = bytes_of(tmp_path / "done")
    (tmp_path / "done" / "liabilities" / "00001.parquet").write_bytes(before["00001.parquet"][:-20])
    canonicalise(settings, raw, SECRET, tmp_path / "done")
    assert bytes_of(tmp_path / "done") == before


PROGRAM = """
import dataclasses, resource, sys
from pathlib import Path
from assay.config import Settings
from assay.errors import AssayError
from assay.liabilities.interface import RawSnapshot
from assay.liabilities.snapshot import canonicalise
config, raw, folder, limit = sys.argv[1:]
settings = Settings.load(Path(config))
settings = dataclasses.replace(settings, ledger=dataclasses.replace(settings.ledger, shards=6))
if limit != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
print("begin", flush=True)
try:
    canonicalise(settings, RawSnapshot(folder=Path(raw)), b"s" * 32, Path(folder))
except AssayError as error:
    print(error)
    sys.exit(3)
print("done")
"""


def process(config: Path, raw: RawSnapshot, folder: Path, limit: int = 0) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}"}
    command = [sys.executable, "-c", PROGRAM, str(config), str(raw.folder), str(folder), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_a_process_that_is_killed_at_any_moment_goes_on_where_it_was(settings: Settings, config_file: Path, tmp_path: Path) -> None:
    raw = raw_of(tmp_path / "raw", [users(start, start + 40_000) for start in range(0, 200_000, 40_000)])
    kills = 0
    for moment in (0.05, 0.2, 0.4):
        with process(config_file, raw, tmp_path / "killed") as running:
            assert running.stdout is not None
            running.stdout.readline()
            time.sleep(moment)
            running.send_signal(signal.SIGKILL)
            kills += running.wait() == -signal.SIGKILL
    assert kills
    for folder in ("killed", "quiet"):
        with process(config_file, raw, tmp_path / folder) as running:
            said, wrong = running.communicate()
            assert running.returncode == 0, said + wrong
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "quiet")
    left = {path.relative_to(tmp_path / "killed").as_posix() for path in (tmp_path / "killed").rglob("*")}
    assert left == {"liabilities", *(f"liabilities/{name}" for name in bytes_of(tmp_path / "quiet"))} | {
        "plan.txt",
        "shards.json",
        "control_totals.parquet",
        "flows.parquet",
    }


@pytest.mark.parametrize("limit", [4_000, 40_000, 300_000])
def test_a_full_disk_is_said_leaves_no_half_file_and_can_be_gone_on_from(
    settings: Settings, config_file: Path, tmp_path: Path, limit: int
) -> None:
    """RLIMIT_FSIZE stands for the full disk: a write beyond it fails like one on a disk without room."""
    raw = raw_of(tmp_path / "raw", [users(0, 60_000)])
    with process(config_file, raw, tmp_path / "done", limit) as running:
        said, wrong = running.communicate()
    assert running.returncode == 3, said + wrong
    assert "the disk is full (File too large)" in said
    assert "make room, then clear the task" in said
    for path in (tmp_path / "done").rglob("*.parquet"):
        pq.read_metadata(path)
    with process(config_file, raw, tmp_path / "done") as running:
        said, wrong = running.communicate()
    assert running.returncode == 0, said + wrong
    assert len(rows_of(tmp_path / "done")) == 60_000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_really_full_disk_is_said(settings: Settings, config_file: Path, tmp_path: Path) -> None:
    raw = raw_of(tmp_path / "raw", [users(0, 60_000)])
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        with process(config_file, raw, disk / "done") as running:
            said, wrong = running.communicate()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert running.returncode == 3, said + wrong
    assert "the disk is full (No space left on device)" in said
