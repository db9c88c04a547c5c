"""Proofs of all users at once: each must hold, none be missing, and an export that was broken off go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.commitments import export as exporting
from assay.commitments.export import Export, export
from assay.commitments.format import Commitment
from assay.commitments.proving import Prover
from assay.errors import CommitmentError
from tests.commitments import reference
from tests.commitments.ledger import ASSETS, SECRET, commit_to, key_of, report_of, some_users

BALANCES = some_users(800)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    commit_to(report_of(ASSETS), BALANCES, folder, shard_leaves=512)
    return folder


def write_ids(path: Path, ids: list[str | None]) -> Path:
    if path.suffix == ".csv":
        path.write_text("user_id,asset\n" + "".join(f"{user_id},BTC\n" for user_id in ids))
    else:
        pq.write_table(pa.table({"asset": ["BTC"] * len(ids), "user_id": pa.array(ids, pa.string())}), path)
    return path


def run(made: Path, ids: list[Path], folder: Path, **options: Any) -> Export:
    settings = {"secret": SECRET, "work": folder / "work", "memory_limit": "1GB", "processes": 1} | options
    return export(made / "tree", made / "index", ids, folder / "proofs", **settings)


def proofs_in(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    files = {path.name[:2]: pa.input_stream(str(path), compression="zstd").read() for path in sorted(folder.glob("*.ndjson.zst"))}
    return [(name, json.loads(line)) for name, lines in files.items() for line in lines.splitlines()]


def test_every_user_gets_the_proof_that_the_prover_cuts(made: Path, tmp_path: Path) -> None:
    ids = sorted(BALANCES)
    files = [write_ids(tmp_path / "a.parquet", [*ids[:500], *ids[:300], "nobody", None]), write_ids(tmp_path / "b.csv", list(ids[500:]))]
    assert run(made, files, tmp_path) == Export(proofs=800, unknown=1)
    commitment = Commitment.read(made / "tree" / "commitment.json").commitment.hex()
    prover = Prover(made / "tree", made / "index", secret=SECRET)
    expected = {proof["user_key"]: (user_id, proof) for user_id in ids for proof in [prover.prove(user_id)]}
    found = proofs_in(tmp_path / "proofs")
    assert len(found) == len(expected)
    for name, proof in found:
        user_id, same = expected.pop(proof["user_key"])
        assert proof == same
        assert name == proof["user_key"][:2]
        reference.check_proof(proof, user_id, commitment)
    assert not expected
    assert not list((tmp_path / "work").iterdir())
    assert (tmp_path / "proofs").stat().st_mode & 0o777 == 0o700


def test_an_export_that_broke_off_goes_on(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [write_ids(tmp_path / "ids.parquet", sorted(BALANCES))]
    write, done = exporting._write_shard, []

    def fail_in_the_middle(shard: int, *rest: Any) -> tuple[int, int]:
        if len(done) == 100:
            raise OSError(28, "No space left on device")
        done.append(shard)
        return write(shard, *rest)

    monkeypatch.setattr(exporting, "_write_shard", fail_in_the_middle)
    with pytest.raises(CommitmentError, match="make room on the disk"):
        run(made, ids, tmp_path)
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "proofs").glob("*.zst")}
    assert len(first) == 100
    monkeypatch.setattr(exporting, "_write_shard", write)
    assert run(made, ids, tmp_path) == Export(proofs=800, unknown=0)
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert len(proofs_in(tmp_path / "proofs")) == 800


def test_a_tree_that_was_altered_is_not_exported(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "made")
    path = tmp_path / "made" / "tree" / "nodes" / "00001.parquet"
    table = pq.read_table(path)
    amounts = table["ETH"].to_pylist()
    amounts[3] += 1
    column = table.schema.get_field_index("ETH")
    pq.write_table(table.set_column(column, table.schema.field(column), [pa.array(amounts, pa.decimal128(38, 0))]), path)
    with pytest.raises(CommitmentError, match=r"00001.parquet: a node is not that of its children"):
        run(tmp_path / "made", [write_ids(tmp_path / "ids.parquet", sorted(BALANCES))], tmp_path)
    assert not proofs_in(tmp_path / "proofs")


def test_a_folder_with_the_proofs_of_another_tree_is_refused(made: Path, tmp_path: Path) -> None:
    ids = [write_ids(tmp_path / "ids.parquet", ["user-1"])]
    run(made, ids, tmp_path)
    commit_to(report_of(ASSETS, revision=2), BALANCES, tmp_path / "other")
    with pytest.raises(CommitmentError, match="it holds the proofs of another tree"):
        run(tmp_path / "other", ids, tmp_path)


def test_a_folder_with_the_proofs_of_another_list_of_users_is_refused(made: Path, tmp_path: Path) -> None:
    ids = sorted(BALANCES)
    assert run(made, [write_ids(tmp_path / "1.parquet", list(ids[:20]))], tmp_path) == Export(proofs=20, unknown=0)
    before = {path: path.read_bytes() for path in (tmp_path / "proofs").iterdir()}
    with pytest.raises(CommitmentError, match="it holds the proofs of another list of users"):
        run(made, [write_ids(tmp_path / "2.parquet", list(ids[:21]))], tmp_path)
    assert {path: path.read_bytes() for path in (tmp_path / "proofs").iterdir()} == before
    # The same users, in another order and twice, are the same list.
    assert run(made, [write_ids(tmp_path / "3.csv", list(ids[19::-1] + ids[:3]))], tmp_path) == Export(proofs=20, unknown=0)


def test_two_exports_at_a_time_keep_their_users_apart(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, write, inner = sorted(BALANCES), exporting._write_shard, []
    left = tmp_path / "work" / "export-of-one-that-was-killed"
    (left / "ids").mkdir(parents=True)

    def with_another_one_inside(shard: int, *rest: Any) -> tuple[int, int]:
        if shard == 100 and not inner:
            inner.append(None)
            files = [write_ids(tmp_path / "inner.parquet", list(ids[10:40]))]
            inner.append(run(made, files, tmp_path / "inner", work=tmp_path / "work"))
        return write(shard, *rest)

    monkeypatch.setattr(exporting, "_write_shard", with_another_one_inside)
    assert run(made, [write_ids(tmp_path / "outer.parquet", list(ids[:10]))], tmp_path) == Export(proofs=10, unknown=0)
    assert inner[1] == Export(proofs=30, unknown=0)
    assert len(proofs_in(tmp_path / "proofs")) == 10
    assert len(proofs_in(tmp_path / "inner" / "proofs")) == 30
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name;user_id\nx;user-1\n", "ids.csv: it was saved with a semicolon between the columns, as spreadsheets do"),
        (b"name\tuser_id\nx\tuser-1\n", "ids.csv: it was saved with a tab between the columns"),
        ("user_id\nuser-1\n".encode("utf-16"), "ids.csv: it was saved as UTF-16"),
        ("user_id,name\nuser-1,x\nuser-2,Ren\xe9\n".encode("latin-1"), "ids.csv: line 3 is not UTF-8"),
        (b'"user_id\nuser-1\n', "ids.csv: its first line is not one of a CSV file"),
    ],
)
def test_a_list_that_a_spreadsheet_saved_in_another_way_is_refused_with_what_happened(
    content: bytes, words: str, made: Path, tmp_path: Path
) -> None:
    (tmp_path / "ids.csv").write_bytes(content)
    with pytest.raises(CommitmentError, match=words):
        run(made, [tmp_path / "ids.csv"], tmp_path)


def test_nothing_is_left_of_an_export_that_failed(made: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("asset\nBTC\n")
    with pytest.raises(CommitmentError, match=r"ids.csv: it has no column user_id"):
        run(made, [tmp_path / "ids.csv"], tmp_path)
    assert not list((tmp_path / "work").iterdir())
    assert not list((tmp_path / "proofs").iterdir())


def test_a_folder_with_other_files_is_left_as_it_is(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "proofs"
    folder.mkdir(mode=0o755)
    (folder / "letter.txt").write_text("Dear all")
    with pytest.raises(CommitmentError, match="it is not empty"):
        run(made, [write_ids(tmp_path / "ids.parquet", ["user-1"])], tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "text",
    [
        "user_id\nuser-1\n00017\n",
        "\ufeffuser_id\nuser-1\n00017\n",
        "\ufeffuser_id,name\r\nuser-1,x\r\n00017,y\r\n\r\n\r\n,\r\n",
        'asset,user_id\r\n"a;b",user-1\r\n"c ""d"", e","00017"\r\n',
        "user_id;x,user_id\n;;;,user-1\n1,00017\n",
    ],
)
def test_ids_in_csv_files_are_taken_as_they_are_written(text: str, tmp_path: Path) -> None:
    report = report_of(ASSETS)
    balances = {user_id: {"BTC": 5} for user_id in ("user-1", "00017", "17")}
    commit_to(report, balances, tmp_path / "made")
    (tmp_path / "ids.csv").write_text(text)
    assert run(tmp_path / "made", [tmp_path / "ids.csv"], tmp_path) == Export(proofs=2, unknown=0)
    assert {proof["user_key"] for _, proof in proofs_in(tmp_path / "proofs")} == {
        key_of(report, user_id) for user_id in ("user-1", "00017")
    }


@pytest.mark.parametrize("text", ['user_id\nuser-1\n"ann@example.com\n', "user_id\nann@example.com,5,6\n", 'user_id\n"ann"@example.com\n'])
def test_a_broken_list_is_refused_without_a_word_of_its_rows(text: str, made: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text(text)
    with pytest.raises(CommitmentError, match=r"ids.csv: the user ids could not be read \(\w+\)") as error:
        run(made, [tmp_path / "ids.csv"], tmp_path)
    assert "ann" not in str(error.value)
    assert error.value.__suppress_context__


def test_another_secret_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(CommitmentError, match="the secret is not the one that the report's user keys were made with"):
        run(made, [write_ids(tmp_path / "ids.parquet", ["user-1"])], tmp_path, secret=b"x" * 32)
    assert not (tmp_path / "proofs").exists()
