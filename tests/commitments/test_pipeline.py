"""The commitment as a step: what a repeated run leaves in place, and what it refuses."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.commitments import pipeline
from assay.commitments.format import user_key
from assay.commitments.proving import Prover
from assay.config import Settings
from assay.errors import ComputationError, EvidenceError
from assay.liabilities.snapshot import report_key, shards_digest

AS_OF = datetime(2023, 2, 17, 16, tzinfo=UTC)
SECRET = b"s" * 32
SCHEMA = pa.schema(
    [
        ("user_key", pa.string()),
        ("account_type", pa.string()),
        ("asset", pa.string()),
        ("decimals", pa.int32()),
        ("amount", pa.decimal128(38, 0)),
    ]
)


def secret_of(_: str) -> bytes:
    return SECRET


def liabilities(settings: Settings, folder: Path, balances: dict[str, int]) -> dict[str, Any]:
    """Write a snapshot; return what the pipeline says of it."""
    symbol = min(settings.assets)
    key = report_key(SECRET, settings.series, AS_OF)
    rows = [
        {
            "user_key": user_key(settings.series, AS_OF, hmac.digest(key, user.encode(), hashlib.sha256), user).hex(),
            "account_type": "spot",
            "asset": symbol,
            "decimals": settings.assets[symbol].decimals,
            "amount": Decimal(amount),
        }
        for user, amount in balances.items()
    ]
    path = folder / "liabilities" / "00000.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA).sort_by("user_key"), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "shards.json").write_text(json.dumps({path.name: {"size": path.stat().st_size, "sha256": digest}}))
    return {"liabilities": str(folder), "liability_shards": shards_digest(folder), "revision": 1}


def prover(done: Path) -> Prover:
    return Prover(done / pipeline.TREE, done / pipeline.INDEX, secret=SECRET)


def owed(done: Path, user: str) -> int:
    return sum(int(balance) for leaf in prover(done).prove(user)["leaves"] for balance in leaf["balances"])


@pytest.fixture
def settings(config_file: Path) -> Settings:
    return Settings.load(config_file)


def test_a_repeated_run_that_comes_to_another_tree_leaves_the_first_ones_index(settings: Settings, tmp_path: Path) -> None:
    inputs = liabilities(settings, tmp_path / "snapshot", {"ann": 5, "bob": 7})
    folder = tmp_path / "run"
    first = pipeline.commit(settings, AS_OF, inputs | {"revision": 2}, folder, secret_of=secret_of)
    second = pipeline.commit(settings, AS_OF, inputs | {"revision": 3}, folder, secret_of=secret_of)
    assert first != second
    assert (owed(first, "ann"), owed(second, "bob")) == (5, 7)


def test_the_same_run_once_more_changes_no_file(settings: Settings, tmp_path: Path) -> None:
    inputs = liabilities(settings, tmp_path / "snapshot", {"ann": 5, "bob": 7})
    done = pipeline.commit(settings, AS_OF, inputs, tmp_path / "run", secret_of=secret_of)
    before = {path: path.stat().st_ino for path in done.rglob("*.parquet")}
    assert pipeline.commit(settings, AS_OF, inputs, tmp_path / "run", secret_of=secret_of) == done
    assert {path: path.stat().st_ino for path in done.rglob("*.parquet")} == before
    assert not (tmp_path / "run" / "new").exists()


def test_liabilities_that_were_made_again_meanwhile_are_not_committed_to(settings: Settings, tmp_path: Path) -> None:
    inputs = liabilities(settings, tmp_path / "snapshot", {"ann": 5, "bob": 7})
    liabilities(settings, tmp_path / "snapshot", {"ann": 6, "bob": 6})
    with pytest.raises(ComputationError, match="made again meanwhile"):
        pipeline.commit(settings, AS_OF, inputs, tmp_path / "run", secret_of=secret_of)


def test_nobody_but_the_owner_may_enter_what_says_whose_leaves_they_are(settings: Settings, tmp_path: Path) -> None:
    inputs = liabilities(settings, tmp_path / "snapshot", {"ann": 5, "bob": 7})
    done = pipeline.commit(settings, AS_OF, inputs, tmp_path / "run", secret_of=secret_of)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "run", done, done / pipeline.INDEX)} == {0o700}


def test_an_index_names_the_connection_of_its_own_secret(settings: Settings, tmp_path: Path) -> None:
    inputs = liabilities(settings, tmp_path / "snapshot", {"ann": 5, "bob": 7})
    done = pipeline.commit(settings, AS_OF, inputs, tmp_path / "run", secret_of=secret_of)
    assert pipeline.connection_of(done / pipeline.INDEX) == "assay_pseudonym"
    assert SECRET.decode() not in (done / "connection.json").read_text()
    (done / "connection.json").unlink()
    with pytest.raises(EvidenceError, match="which secret"):
        pipeline.connection_of(done / pipeline.INDEX)
