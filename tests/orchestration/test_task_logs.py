"""What tasks say in their logs, over files as tasks write them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assay.chains.interface import SnapshotBlock
from assay.lake import sha256_of
from assay.orchestration import reading_logs, task_logs
from assay.reserve_files import Chunk
from tests.publication.lake import settings_for, stage
from tests.publication.sample import FIRST, make_inputs

BLOCK = SnapshotBlock(
    chain="ethereum", height=16_000_000, hash="0xaa", time=datetime(2023, 2, 17, tzinfo=UTC), finality="finalized", distance_seconds=5
)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="assay.task")
    return caplog


def test_tables_prices_totals_and_the_digest_are_said_in_words(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    inputs = make_inputs(tmp_path / "inputs", FIRST)
    settings = settings_for(inputs, tmp_path)
    staged = stage(tmp_path, inputs, FIRST)
    tables = staged / "tables"
    reading_logs.of_reserves(settings, tables)
    task_logs.of_tables(tables)
    task_logs.of_prices(tables / "prices.parquet")
    task_logs.of_coverage(tables)
    digest = sha256_of(staged / "manifest.json")
    given = {"folder": str(staged), "manifest_sha256": digest}
    assert task_logs.of_staged(given) is given
    lines = [record.getMessage() for record in said.records]
    assert any(line.startswith("Reserves: ") and line.endswith(" BTC") for line in lines)
    assert any(line.startswith("Table reserve_ratios: ") for line in lines)
    assert any(line.startswith("Price: ") and "BTC" in line for line in lines)
    assert any(line.startswith("Coverage: ") for line in lines)
    assert f"Staged: the SHA-256 of the manifest is {digest}" in lines
    assert "BTC: fully backed" in lines


def test_a_chunk_is_named_by_its_source_number_and_first_and_last_address(tmp_path: Path) -> None:
    path = Chunk(blocks={0: BLOCK}, number=7, addresses=["0x01", "0x02", "0x03"]).write(tmp_path / "chunk.json")
    assert reading_logs.chunk_name("ethereum_a", path) == "ethereum_a 7: 0x01 to 0x03"
    path = Chunk(blocks={0: BLOCK}, number=8, addresses=["0x04"]).write(tmp_path / "single.json")
    assert reading_logs.chunk_name("ethereum_a", path) == "ethereum_a 8: 0x04"


def test_the_blocks_of_a_chain_are_said_with_height_and_hash(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    path = Chunk(blocks={0: BLOCK, -86_400: BLOCK}, number=0, addresses=["0x01", "0x02"]).write(tmp_path / "chunk.json")
    reading_logs.of_blocks("ethereum", [path])
    lines = [record.getMessage() for record in said.records]
    assert lines[0].startswith(f"ethereum: block 86,400 s before {BLOCK.height:,}, {BLOCK.hash}, of ")
    assert lines[1].startswith(f"ethereum: snapshot block {BLOCK.height:,}, {BLOCK.hash}, of ")
    assert lines[2] == "ethereum: 2 wallets in 1 chunk"
