"""Proofs of all users at once: each must hold, none be missing, and an export that was broken off go on."""

from __future__ import annotations

import json
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
from tests.commitments.ledger import ASSETS, SECRET, commit_to, report_of, some_users

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
    import shutil

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
