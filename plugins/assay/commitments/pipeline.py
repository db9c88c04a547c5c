"""The commitment as a step of `reserve_attestation`: which report is committed to, with which secret, and the table that is published of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay import origin
from assay.commitments.format import FORMAT, Commitment, Report
from assay.config import Settings
from assay.errors import ComputationError, EvidenceError
from assay.lake import private_folder, replacing_file, sha256_of
from assay.liabilities.snapshot import liability_files, shards_digest

if TYPE_CHECKING:
    from assay.commitments.export import Export
    from assay.commitments.proving import Prover

TREE = "liability_tree"
"""Folder of the tree, beside the index while it is made and in a publication."""
INDEX = "index"
"""Private folder: which leaves are whose. Without it, whoever has neither the secret nor the proofs cannot tell."""

_MADE_WITH = "connection.json"  # names the Connection of the secret
_AMOUNT = pa.decimal128(38, 0)
_TABLE = pa.schema(
    [
        ("asset", pa.string()),
        ("decimals", pa.int32()),
        ("total", _AMOUNT),
        ("leaf_limit", _AMOUNT),
        ("leaf_count", pa.int64()),
        ("root_hash", pa.string()),
        ("commitment", pa.string()),
        ("format", pa.string()),
    ]
)


def report_of(settings: Settings, as_of: datetime, revision: int) -> Report:
    """Return what a tree of this moment is of: every asset of the registry, also one that nobody holds."""
    assets = tuple(sorted((symbol, asset.decimals) for symbol, asset in settings.assets.items()))
    return Report(series=settings.series, as_of=as_of, revision=revision, assets=assets)


def commit(settings: Settings, as_of: datetime, inputs: Mapping[str, Any], folder: Path, *, secret_of: Callable[[str], bytes]) -> Path:
    """Build the sum tree over the liabilities of a moment.

    Args:
        settings: For the assets and the memory limit.
        as_of: The attested moment.
        inputs: What `attestation.gather_inputs` returned.
        folder: Private; the run's own.
        secret_of: Reads the secret of an Airflow Connection.

    Returns:
        A folder in `folder`, named after the commitment, with `liability_tree` and the private `index`. A run that is repeated may come to
        another commitment, and the index of one that was published meanwhile must stay.

    Raises:
        CommitmentError: The liabilities cannot be committed to; nothing half-made is left.
        ComputationError: They are not those that the run began with.
    """
    from assay.commitments.building import build  # numba takes a second to load

    liabilities = Path(inputs["liabilities"])
    check_liabilities(inputs)
    new = private_folder(private_folder(folder) / "new")
    made = build(
        report_of(settings, as_of, inputs["revision"]),
        liability_files(liabilities),
        secret=secret_of(settings.ledger.pseudonym_connection),
        tree=new / TREE,
        index=new / INDEX,
        work=folder / "spill",
        memory_limit=settings.memory_limit,
        parts=settings.commitment.parts,
        shard_leaves=settings.commitment.shard_leaves,
        processes=settings.commitment.processes,
    )
    done = private_folder(folder / made.commitment.hex())
    for name in (INDEX, TREE):
        # The same commitment is that of the same bytes.
        if not (done / name).exists():
            (new / name).rename(done / name)
    shutil.rmtree(new)
    with replacing_file(done / _MADE_WITH) as temporary:
        temporary.write_text(json.dumps({"connection": settings.ledger.pseudonym_connection}))
    return done


def check_liabilities(inputs: Mapping[str, Any]) -> None:
    """Make sure that the liabilities are those that `attestation.gather_inputs` found.

    Tree and tables must be of the same balances, and no total shows whether they are.

    Raises:
        ComputationError: The snapshot was made again meanwhile.
    """
    if shards_digest(Path(inputs["liabilities"])) != inputs["liability_shards"]:
        raise ComputationError(
            "the snapshot was made again meanwhile, and is another one",
            subject=f"liabilities in {inputs['liabilities']}",
            next_step="clear the whole run of reserve_attestation",
        )


def write_table(commitment: Path, path: Path) -> Path:
    """Write what the table `liability_commitment` says of a `commitment.json`, one row an asset."""
    known = Commitment.read(commitment)
    rows = [
        {
            "asset": symbol,
            "decimals": decimals,
            "total": Decimal(total),
            "leaf_limit": Decimal(limit),
            "leaf_count": known.leaf_count,
            "root_hash": known.root_hash.hex(),
            "commitment": known.commitment.hex(),
            "format": FORMAT,
        }
        for (symbol, decimals), total, limit in zip(known.report.assets, known.totals, known.limits, strict=True)
    ]
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=_TABLE), temporary, compression="zstd")
    return path


def prover_of(settings: Settings, publication: Path, *, secret_of: Callable[[str], bytes]) -> Prover:
    """Return what cuts the proofs of a publication's users.

    Raises:
        CommitmentError: The tree or the index is damaged, or they don't belong together.
        EvidenceError: The index of the leaves is not there, or was destroyed.
    """
    from assay.commitments.proving import Prover

    index = _index(settings, publication)
    return Prover(publication / TREE, index, secret=secret_of(connection_of(index)))


def export_proofs(settings: Settings, publication: Path, users: Path, folder: Path, *, secret_of: Callable[[str], bytes]) -> Export:
    """Write the proofs of many users of a publication; see `export.export`.

    Args:
        settings: For the lake, the secret's Connection and what may be used of the machine.
        publication: Its folder.
        users: A Parquet or CSV file with the column `user_id`.
        folder: Receives the proofs.
        secret_of: Reads the secret of an Airflow Connection.
    """
    from assay.commitments.export import export

    index = _index(settings, publication)
    return export(
        publication / TREE,
        index,
        [users],
        folder,
        secret=secret_of(connection_of(index)),
        work=private_folder(settings.lake / "marts" / "proofs"),
        memory_limit=settings.memory_limit,
        processes=settings.commitment.processes,
    )


def connection_of(index: Path) -> str:
    """Return the Airflow Connection of the secret that an index was made with; the configuration may name a newer one since.

    Raises:
        EvidenceError: Nothing says so.
    """
    note = index.parent / _MADE_WITH
    try:
        return str(json.loads(note.read_text())["connection"])
    except (OSError, ValueError, KeyError) as error:
        raise EvidenceError(
            f"it does not say which secret the index was made with ({type(error).__name__})",
            subject=str(note),
            next_step="bring it back from a backup",
        ) from error


def _index(settings: Settings, publication: Path) -> Path:
    manifest = publication / "manifest.json"
    if not manifest.is_file():
        raise EvidenceError(
            "it holds no manifest.json" if publication.is_dir() else "there is no such publication",
            subject=str(publication),
            next_step="name the folder of a publication; `assay status` lists them",
        )
    return origin.index_of(settings, sha256_of(manifest))
