"""Computing a publication again from its evidence, without any node.

The readers, the comparison of sources, the SQL and the expectations are the very code that made the publication; only that every source
is a tape of what it answered then. The tree over the liabilities is taken as published: `assay-verify tree` computes it again, and a check of the
SQL holds it against the liabilities. What users are owed is not public, so a replay needs the lake that the publication came from
(`origin.py`); nothing of it leaves the working folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from assay import attestation, origin, reserves
from assay.chains.evidence import SUFFIX, TAPE, read_archive
from assay.chains.interface import SnapshotBlock, batches
from assay.commitments.format import COMMITMENT_FILE
from assay.commitments.pipeline import TREE
from assay.config import Settings, Source
from assay.errors import EvidenceError
from assay.lake import parse_as_of, sha256_of
from assay.liabilities.snapshot import shards_digest
from assay.origin import Origin
from assay.publication import manifest
from assay.reserve_files import Chunk, block_of
from assay.warehouse.digest import canonical_digest


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """One table, computed again.

    Attributes:
        table: Its name.
        rows: How many it has now.
        same_bytes: The file is byte for byte the published one.
        same_rows: The rows are; another version of the libraries may write the same rows in other bytes.
        path: Where it stands now.
    """

    table: str
    rows: int
    same_bytes: bool
    same_rows: bool
    path: Path


def replay(settings: Settings, publication: Path, work: Path) -> list[Replayed]:
    """Compute all tables of a publication again and compare them with the published ones.

    Args:
        settings: Names the lake; everything else is taken from the configuration as it was then.
        publication: The folder of the publication.
        work: An empty folder; the tables are left there.

    Raises:
        EvidenceError: Evidence or a snapshot is missing or was changed, or does not lead to a number at all.
        PublicationError: The folder is not what its manifest says.
    """
    if not publication.is_dir():
        raise EvidenceError(
            "there is no such publication", subject=str(publication), next_step="name its folder; `assay status` lists them"
        )
    values = manifest.read(publication)
    manifest.check_files(publication, values)
    known = origin.find(settings, sha256_of(publication / manifest.FILE_NAME))
    if known.settings.digest != values["configuration_sha256"]:
        raise EvidenceError(
            "the kept configuration is not the one that the manifest names",
            subject=str(publication),
            next_step="bring it back from a backup",
        )
    as_of = parse_as_of(values["as_of"])
    chains = [read_again(known, name, publication / "evidence" / name, work / "raw" / name) for name in known.settings.chains]
    inputs: dict[str, Any] = {
        "reserves": str(reserves.collect(known.settings, chains, known.wallets, work / "reserves")),
        "liabilities": str(known.liabilities),
        "liability_shards": shards_digest(known.liabilities),
        "wallets": str(known.wallets),
        "revision": known.revision,
        "reason": known.reason,
    }
    computed = attestation.compute_tables(
        known.settings, as_of, inputs, known.prices, publication / TREE / COMMITMENT_FILE, work / "computed"
    )
    tables = attestation.validate(known.settings, as_of, inputs, computed, work / "quality")
    published = {item["path"]: item for item in values["files"]}
    return [_compare(tables / f"{name}.parquet", published[f"tables/{name}.parquet"]) for name in manifest.TABLES]


def read_again(known: Origin, name: str, evidence: Path, folder: Path) -> Path:
    """Read one chain again from its archives; returns the folder that `reserves.agree` leaves."""
    settings, chain = known.settings, known.settings.chain(name)

    def tape(_: Source, place: Path) -> str:
        return f"{TAPE}{evidence / place}"

    blocks = dict(_blocks(evidence / "blocks" / f"{chain.sources[0].name}{SUFFIX}"))
    addresses = pq.read_table(known.wallets, columns=["address"], filters=[("chain", "=", name)]).column("address").to_pylist()
    chunks = [
        Chunk(blocks=blocks, number=number, addresses=part).write(folder / f"chunk-{number:05d}.json")
        for number, part in enumerate(batches(addresses, chain.chunk_size or settings.chunk_size))
    ]
    reads = [reserves.read_chunk(settings, name, source.name, chunk, folder, connect=tape) for chunk in chunks for source in chain.sources]
    return reserves.agree(settings, name, chunks, reads, known.wallets, folder, connect=tape)


def _blocks(archive: Path) -> Iterator[tuple[int, SnapshotBlock]]:
    """Yield the blocks that were resolved, by offset, in order."""
    found = [exchange for _, exchange in read_archive(archive) if exchange["method"] == reserves.RESOLVED]
    if not found:
        raise EvidenceError("it names no resolved block", subject=str(archive), next_step="fetch the publication again")
    for exchange in sorted(found, key=lambda exchange: int(exchange["params"]["offset_seconds"])):
        yield exchange["params"]["offset_seconds"], block_of(exchange["result"])


def _compare(path: Path, published: dict[str, Any]) -> Replayed:
    return Replayed(
        table=path.stem,
        rows=pq.ParquetFile(path).metadata.num_rows,
        same_bytes=sha256_of(path) == published["sha256"],
        same_rows=canonical_digest(path) == published["rows_sha256"],
        path=path,
    )
