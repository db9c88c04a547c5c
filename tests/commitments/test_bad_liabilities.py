"""Liabilities that must not be committed to, and machines that give up in the middle. Whatever happens, no half-made tree is left."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.commitments.format import Commitment, Report
from assay.commitments.index import FORMAT
from assay.commitments.pipeline import write_table
from assay.commitments.proving import Prover
from assay.commitments.tree_files import Shape, write_shard
from assay.errors import AmountError, AssayError, CommitmentError, ConfigError
from tests.commitments.ledger import ASSETS, SECRET, build_tree, commit_to, report_of, rows_of, some_users, write_rows

REPORT = report_of(ASSETS)
Rows = list[tuple[str, str, str, int, int]]


def spooled_leaf(position: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """A leaf as the builder spools it: its position, user key, part, parts, nonce and balances."""
    rest = np.zeros(32 + 8 + 32 + 16 * len(ASSETS), np.uint8)
    return np.concatenate((np.array([position], "<i8").view(np.uint8), rest)).reshape(1, -1)


def changed(row: int, **values: object) -> Callable[[Rows], list[list[object]]]:
    """Change columns of one row."""
    names = ("user_key", "account_type", "asset", "decimals", "amount")
    return lambda rows: [
        [values.get(name, cell) if number == row else cell for name, cell in zip(names, cells, strict=True)]
        for number, cells in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda rows: [], CommitmentError, "there is no user"),
        (changed(7, amount=None), CommitmentError, "amount: it is null"),
        (changed(7, asset=None), CommitmentError, "asset: it is null"),
        (changed(7, user_key=None), CommitmentError, "user_key: it is null"),
        (changed(7, asset="DOGE"), CommitmentError, "DOGE: asset: it is no asset of the report"),
        (changed(7, decimals=7), CommitmentError, "decimals: they are not the asset's"),
        (changed(7, user_key="F" * 64), CommitmentError, "user_key: it is not 64 lower-case hexadecimal digits"),
        (changed(7, user_key="0" * 63), CommitmentError, "user_key: it is not 64 lower-case hexadecimal digits"),
        (lambda rows: [*rows[10:], *rows[:10]], CommitmentError, "the user was there before, or the rows are not sorted"),
        (lambda rows: [*rows, rows[0]], CommitmentError, "the user was there before"),
        (lambda rows: [*rows[:9], rows[8], *rows[9:]], CommitmentError, "row: the user has it twice for this account type and asset"),
        (lambda rows: [*rows[:9], (*rows[8][:4], -5), *rows[9:]], CommitmentError, "the user has it twice"),
        (
            lambda rows: [(rows[0][0], kind, "BTC", 8, 5) for kind in ("spot", "earn", "spot")],
            CommitmentError,
            "or the rows are not sorted",
        ),
        (
            lambda rows: [(rows[0][0], "spot", asset, ASSETS[asset], 5) for asset in ("ETH", "BTC")],
            CommitmentError,
            "or the rows are not sorted",
        ),
        (lambda rows: [*rows[:9], *[(*rows[8][:4], 10**38 - 1)] * 2, *rows[9:]], AmountError, "the user's balance has more than 38 digits"),
        (
            lambda rows: sorted([*rows, *[(f"{number:064x}", "spot", "ETH", 18, 4 * 10**37) for number in range(3)]]),
            AmountError,
            "ETH: the balances of all users add up to more than 38 digits",
        ),
    ],
)
def test_bad_rows_are_refused_and_named(
    change: Callable[[Rows], list[tuple[object, ...]]], kind: type[AssayError], words: str, tmp_path: Path
) -> None:
    rows = rows_of(REPORT, some_users(30))
    path = write_rows(tmp_path / "liabilities.parquet", change(rows))
    with pytest.raises(kind) as error:
        build_tree(REPORT, [path], tmp_path / "made")
    assert words in str(error.value)
    if len(error.value.subject.split(", ")) == 3:
        assert error.value.subject.startswith("liabilities.parquet, user_key ")
    assert not [file for file in (tmp_path / "made").rglob("*") if file.is_file()]


def test_amounts_of_another_type_are_refused(tmp_path: Path) -> None:
    table = pq.read_table(write_rows(tmp_path / "good.parquet", rows_of(REPORT, some_users(3))))
    pq.write_table(table.set_column(4, "amount", table["amount"].cast(pa.float64())), tmp_path / "floats.parquet")
    with pytest.raises(CommitmentError, match=r"floats.parquet: column amount is double and must be decimal128\(38, 0\)"):
        build_tree(REPORT, [tmp_path / "floats.parquet"], tmp_path / "made")


def shards_of(folder: Path) -> list[Path]:
    rows = rows_of(REPORT, some_users(90))
    keys = sorted({row[0] for row in rows})
    return [
        write_rows(folder / f"{number}.parquet", [row for row in rows if row[0] in keys[30 * number : 30 * number + 30]])
        for number in range(3)
    ]


TOTALS = {asset: sum(own.get(asset, 0) for own in some_users(90).values()) for asset in ASSETS}


def test_shards_are_read_one_after_the_other(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "one.parquet", rows_of(REPORT, some_users(90)))
    assert build_tree(REPORT, shards_of(tmp_path), tmp_path / "3", totals=TOTALS) == build_tree(
        REPORT, [one], tmp_path / "1", totals=TOTALS
    )


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ([0, 1], "the rows add up to "),
        ([0, 1, 1, 2], "a shard may be there twice"),
        ([0, 2, 1], "not sorted"),
    ],
)
def test_a_shard_that_is_missing_doubled_or_out_of_order_is_noticed(chosen: list[int], words: str, tmp_path: Path) -> None:
    shards = shards_of(tmp_path)
    with pytest.raises(CommitmentError, match=words):
        build_tree(REPORT, [shards[number] for number in chosen], tmp_path / "made", totals=TOTALS)


def test_totals_of_an_asset_that_the_report_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommitmentError, match="DOGE is no asset of the report"):
        build_tree(REPORT, shards_of(tmp_path), tmp_path / "made", totals={**TOTALS, "DOGE": 0})


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = shards_of(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CommitmentError, match=r"0.parquet: the file cannot be read"):
        build_tree(REPORT, [path], tmp_path / "made")


@pytest.mark.parametrize(
    "options",
    [{"secret": b"short"}, {"parts": 1}, {"shard_leaves": 100}, {"memory_limit": "lots"}, {"memory_limit": "50MB"}, {"processes": 0}],
)
def test_impossible_settings_are_refused(options: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        commit_to(REPORT, some_users(3), tmp_path, **options)


@pytest.mark.parametrize(
    "assets", [(), (("B", 8), ("A", 8)), (("A", 8), ("A", 8)), (("A", 39),), (("Level", 8),), tuple((f"{n:04}", 0) for n in range(1001))]
)
def test_reports_that_the_format_does_not_know_are_refused(assets: tuple[tuple[str, int], ...]) -> None:
    with pytest.raises(CommitmentError):
        Report(series="example", as_of=REPORT.as_of, revision=1, assets=assets)


def test_a_full_disk_leaves_the_old_tree_and_nothing_else(tmp_path: Path) -> None:
    before = commit_to(REPORT, some_users(20), tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    rows = write_rows(tmp_path.parent / "more.parquet", rows_of(REPORT, some_users(3000)))
    # A limit on the size of files has the effect of a full disk in the middle of a write.
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (1 << 12, 1 << 15, 1 << 16):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
        try:
            with pytest.raises(CommitmentError, match="make room on the disk"):
                build_tree(REPORT, [rows], tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    assert Commitment.read(tmp_path / "tree" / "commitment.json") == before


BUILD = """
import sys
from pathlib import Path
from tests.commitments.ledger import ASSETS, build_tree, report_of
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    build_tree(report_of(ASSETS), [folder / "liabilities.parquet"], folder, processes=2, memory_limit="2GB")
"""


def test_a_build_that_is_killed_at_any_moment_ends_in_the_same_tree_when_run_again(tmp_path: Path) -> None:
    balances = some_users(3000)
    folder = tmp_path / "killed"
    write_rows(folder / "liabilities.parquet", rows_of(REPORT, balances))
    (tmp_path / "build.py").write_text(BUILD)
    command = [sys.executable, str(tmp_path / "build.py"), str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["plugins", "."])}
    seen = set()
    for stage in ("user_keys", "leaves-0-*", "../../.tree.*/leaves/*", "../../.tree.*/nodes/*"):
        with subprocess.Popen(command, env=environment, start_new_session=True) as process:
            while process.poll() is None:
                if found := [path for path in (folder / "work").glob("sum-tree-*/" + stage) if path.exists()]:
                    seen.add(stage)
                    assert found
                    os.kill(process.pid, signal.SIGKILL)
                    break
                time.sleep(0.002)
        assert not (folder / "tree").exists()
    assert len(seen) >= 3
    subprocess.run(command, env=environment, check=True)
    assert Commitment.read(folder / "tree" / "commitment.json") == commit_to(REPORT, balances, tmp_path / "whole")
    assert sorted(path.name for path in folder.iterdir()) == ["index", "liabilities.parquet", "tree", "work"]
    assert not list((folder / "work").iterdir())
    assert (folder / "index").stat().st_mode & 0o777 == 0o700


SUMS = """
with nodes as (from read_parquet(['leaves/*.parquet', 'nodes/*.parquet', 'top.parquet']))
(select level + 1 as level, position // 2 as position, sum(columns(* exclude (level, position, hash))) from nodes
 where level < (select max(level) from nodes) group by all)
except
(select * exclude (hash) from nodes)
"""


def sums_that_are_wrong(tree: Path) -> list[tuple[object, ...]]:
    page = (Path(__file__).parents[2] / "docs" / "formats" / "sum_tree.md").read_text()
    assert SUMS.strip() in page
    return (
        duckdb.connect()
        .execute(SUMS.replace("'leaves", f"'{tree}/leaves").replace("'nodes", f"'{tree}/nodes").replace("'top", f"'{tree}/top"))
        .fetchall()
    )


@pytest.mark.parametrize("altered", ["leaves/00000.parquet", "nodes/00001.parquet", "top.parquet"])
def test_the_statement_of_the_format_page_finds_a_changed_amount(altered: str, tmp_path: Path) -> None:
    commit_to(REPORT, some_users(300), tmp_path)
    assert sums_that_are_wrong(tmp_path / "tree") == []
    path = tmp_path / "tree" / altered
    table = pq.read_table(path)
    amounts = table["BTC"].to_pylist()
    amounts[0] += 1
    pq.write_table(
        table.set_column(table.schema.get_field_index("BTC"), table.schema.field("BTC"), [pa.array(amounts, pa.decimal128(38, 0))]), path
    )
    assert len(sums_that_are_wrong(tmp_path / "tree")) in (1, 2)


@pytest.mark.parametrize("altered", ["leaves/00000.parquet", "nodes/00000.parquet", "top.parquet", "commitment.json"])
@pytest.mark.parametrize("damage", [b"", b"PAR1 no more"])
def test_a_damaged_tree_gives_no_proof(altered: str, damage: bytes, tmp_path: Path) -> None:
    balances = some_users(100)
    commit_to(REPORT, balances, tmp_path)
    (tmp_path / "tree" / altered).write_bytes(damage)
    failed = 0
    for user_id in balances:
        try:
            Prover(tmp_path / "tree", tmp_path / "index", secret=SECRET).prove(user_id)
        except CommitmentError:
            failed += 1
    assert failed > (0 if altered.endswith("00000.parquet") else 99)


def test_tree_index_and_secret_must_belong_together(tmp_path: Path) -> None:
    balances = some_users(50)
    for name, options in (("1", {}), ("2", {"secret": b"x" * 32})):
        commit_to(REPORT, balances, tmp_path / name, **options)
    with pytest.raises(CommitmentError, match="the index is that of another tree"):
        Prover(tmp_path / "1" / "tree", tmp_path / "2" / "index", secret=SECRET)
    # The user keys are those of the first secret, the nonces those of the second.
    with pytest.raises(CommitmentError, match="the secret is not the one that the report's user keys were made with"):
        Prover(tmp_path / "2" / "tree", tmp_path / "2" / "index", secret=SECRET)
    # An index that was given the check of another one: the user keys are those of the first secret, the nonces those of the second.
    first, second = (json.loads((tmp_path / name / "index" / "index.json").read_text()) for name in ("1", "2"))
    (tmp_path / "2" / "index" / "index.json").write_text(json.dumps({**second, "key_check": first["key_check"]}))
    with pytest.raises(CommitmentError, match="its leaves don't lead to the root"):
        Prover(tmp_path / "2" / "tree", tmp_path / "2" / "index", secret=SECRET).prove("user-1")


def test_an_index_of_another_version_is_named(tmp_path: Path) -> None:
    commit_to(REPORT, some_users(3), tmp_path)
    path = tmp_path / "index" / "index.json"
    path.write_text(path.read_text().replace(FORMAT, "assay-sum-tree-index-v1"))
    with pytest.raises(CommitmentError, match="it is of the format 'assay-sum-tree-index-v1'"):
        Prover(tmp_path / "tree", tmp_path / "index", secret=SECRET)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([np.zeros((1, 200), np.uint8)], r"0 ends within a leaf"),
        ([spooled_leaf(5)], r"0 has a leaf of another file"),
        ([spooled_leaf(-1)], r"0 has a leaf of another file"),
        ([spooled_leaf(0), spooled_leaf(0)], "its leaves are not each there once"),
    ],
)
def test_spool_files_that_a_disk_spoiled_are_refused(files: list[np.ndarray], words: str, tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(len(files))]
    for path, rows in zip(paths, files, strict=True):
        rows.tofile(path)
    with pytest.raises(CommitmentError, match=words):
        write_shard(Shape(report=REPORT, leaf_count=2, shard_leaves=2), 0, paths, tmp_path / "tree")


def test_one_users_file_given_twice_is_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "one.parquet", rows_of(REPORT, {"ann": {"BTC": 5, "ETH": 7}}))
    assert build_tree(REPORT, [path], tmp_path / "made").totals == (5, 7, 0)
    with pytest.raises(CommitmentError, match="the user has it twice"):
        build_tree(REPORT, [path, path], tmp_path / "made")


def test_a_limit_fits_the_column_that_it_is_published_in(tmp_path: Path) -> None:
    commitment = commit_to(REPORT, {"whale": {"BTC": 9 * 10**37}}, tmp_path)
    assert commitment.limits[0] == 10**38 - 1
    assert write_table(tmp_path / "tree" / "commitment.json", tmp_path / "table.parquet").is_file()


def test_a_process_that_may_not_have_children_does_it_all_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = commit_to(REPORT, some_users(20), tmp_path / "1")
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # type: ignore[attr-defined]
    assert commit_to(REPORT, some_users(20), tmp_path / "2", processes=2) == expected
