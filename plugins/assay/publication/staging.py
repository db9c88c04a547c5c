"""Building a publication aside: tables, contracts, tree, evidence, derived files, report, manifest.

Nothing that is published is touched here; putting the folder in place is `publish.py`'s.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay import __version__
from assay.chains.evidence import SUFFIX
from assay.commitments.format import COMMITMENT_FILE, TOP_FILE, Commitment
from assay.commitments.pipeline import TREE, report_of
from assay.config import Settings
from assay.errors import PublicationError
from assay.lake import new_folder
from assay.publication import derived, facts, manifest
from assay.publication.log import LogEntry
from assay.publication.manifest import FILE_NAME, TABLES, Correction
from assay.warehouse.session import quote_name, read_parquet, session

_PIECE = 1 << 20
_TREE_FILE = re.compile(r"commitment\.json|top\.parquet|(leaves|nodes)/\d{5}\.parquet")


def stage(
    settings: Settings,
    *,
    as_of: datetime,
    tables: Path,
    evidence: Mapping[str, Path],
    tree: Path,
    contracts: Path,
    previous: LogEntry | None,
    work: Path,
    corrects: Correction | None = None,
) -> Path:
    """Build the whole publication in a folder of its own.

    Args:
        settings: The configuration in force.
        as_of: The attested moment.
        tables: Folder with `<table>.parquet` for every published table, and nothing else.
        evidence: By chain, the folder below which the reading tasks left their archives; archives alone are taken from it.
        tree: Folder of the sum tree over the liabilities, `docs/formats/sum_tree.md`; nothing else may be in it.
        contracts: Folder with `<table>.odcs.yaml`.
        previous: The publication that the deltas were computed from: `Log.previous`.
        work: The folder to build; one that stands there is replaced.
        corrects: See `correction`.

    Returns:
        `work`.

    Raises:
        PublicationError: A table or contract is missing or not to be published, a chain has no evidence, an archive names an address, or the
            tree is of another report or commits to other amounts than the tables.
    """
    from assay.publication import report  # altair takes a second to load; publishing alone does not need it

    if work.exists():
        shutil.rmtree(work)
    with new_folder(work) as folder:
        _copy_tables(tables, contracts, folder)
        _copy_evidence(evidence, folder)
        _copy_tree(tree, folder)
        (folder / "evidence" / facts.FILE_NAME).write_bytes(facts.chain_facts(settings))
        derived.write_all(folder / "tables", folder / "derived")
        _check_tree(folder, settings, as_of, corrects.revision if corrects else 1)
        page = report.render(folder / "tables", settings, as_of=as_of, previous=previous, corrects=corrects)
        (folder / "report.html").write_text(page, encoding="utf-8")
        content = manifest.build(folder, settings, as_of=as_of, previous=previous, correction=corrects, version=__version__)
        (folder / FILE_NAME).write_bytes(content)
    return work


def _copy_tables(tables: Path, contracts: Path, folder: Path) -> None:
    given = {path.name for path in tables.iterdir()}
    expected = {f"{name}.parquet" for name in TABLES}
    if given != expected:
        name = min(given ^ expected)
        raise PublicationError(
            "the table is missing" if name in expected else "it is not among the tables that may be published",
            subject=str(tables / name),
            next_step="run the computation again, or add the table to the published ones with its contract",
        )
    for part in ("tables", "contracts"):
        (folder / part).mkdir()
    for name in TABLES:
        contract = contracts / f"{name}.odcs.yaml"
        if not contract.is_file():
            raise PublicationError("the table has no contract", subject=str(contract), next_step="write its contract")
        shutil.copyfile(contract, folder / "contracts" / contract.name)
        shutil.copyfile(tables / f"{name}.parquet", folder / "tables" / f"{name}.parquet")


def _copy_tree(tree: Path, folder: Path) -> None:
    """Take the tree's own files and nothing else: what says whose leaves they are lies beside it."""
    for source in sorted(path for path in tree.rglob("*") if path.is_file()):
        name = source.relative_to(tree).as_posix()
        if not _TREE_FILE.fullmatch(name):
            raise PublicationError(
                "it is no file of a sum tree", subject=str(source), next_step="clear commit_liabilities and what follows"
            )
        target = folder / TREE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _check_tree(folder: Path, settings: Settings, as_of: datetime, revision: int) -> None:
    """Hold the tree against the report and the tables, to the unit, leaf by leaf; they were computed apart from each other."""
    path = folder / TREE / COMMITMENT_FILE
    known = Commitment.read(path)

    def fail(problem: str) -> PublicationError:
        return PublicationError(problem, subject=str(path), next_step="clear commit_liabilities and what follows")

    if known.report != report_of(settings, as_of, revision):
        raise fail("it is of another report")
    shards = [f"{part}/{number:05d}.parquet" for part in ("leaves", "nodes") for number in range(known.shard_count)]
    found = {file.relative_to(folder / TREE).as_posix() for file in (folder / TREE).rglob("*") if file.is_file()}
    if found != {COMMITMENT_FILE, TOP_FILE, *shards}:
        raise fail(f"the tree beside it has {len(found)} files, not those of {known.leaf_count} leaves")
    leaves, sums = _sums(folder, known, settings.memory_limit)
    if (leaves, sums) != (known.leaf_count, known.totals):
        raise fail(f"its {leaves} leaves add up to {', '.join(map(str, sums))}, and it states {known.leaf_count} and {known.totals}")
    table = pq.read_table(folder / "tables" / "reserve_ratios.parquet", columns=["asset", "liabilities_gross"]).to_pylist()
    stated = {row["asset"]: int(row["liabilities_gross"]) for row in table}
    committed = {symbol: total for (symbol, _), total in zip(known.report.assets, known.totals, strict=True)}
    for asset in sorted(stated.keys() | committed.keys()):
        if stated.get(asset) != committed.get(asset):
            raise fail(f"it adds up to {committed.get(asset)} base units of {asset}, and the tables say {stated.get(asset)}")


def _sums(folder: Path, known: Commitment, memory_limit: str) -> tuple[int, tuple[int, ...]]:
    """Count the leaves that are really there, and add them up."""
    files = sorted((folder / TREE / "leaves").glob("*.parquet"))
    columns = ", ".join(f"sum({quote_name(symbol)})" for symbol in known.report.symbols)
    with session(memory_limit=memory_limit) as connection:
        count, *sums = connection.execute(f"select count(*), {columns} from {read_parquet(files)}").fetchall()[0]  # noqa: S608 - quoted names
    return int(count), tuple(int(total) for total in sums)


def _copy_evidence(evidence: Mapping[str, Path], folder: Path) -> None:
    chains = set(pq.read_table(folder / "tables" / "snapshot_blocks.parquet", columns=["chain"]).column("chain").to_pylist())
    if chains != set(evidence):
        chain = min(chains ^ set(evidence))
        raise PublicationError(
            "tables and evidence are not of the same chains", subject=f"chain {chain}", next_step="hand over the evidence of every chain"
        )
    for chain, source in sorted(evidence.items()):
        archives = sorted(source.rglob(f"*{SUFFIX}"))
        if not archives:
            raise PublicationError("there is no evidence", subject=f"chain {chain}, {source}", next_step="run the reading tasks again")
        for archive in archives:
            _refuse_addresses(archive)
            target = folder / "evidence" / chain / archive.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(archive, target)


def _refuse_addresses(archive: Path) -> None:
    """Stop at anything like a URL: keys of node providers stand in them, and what is published stays published."""
    tail = b""
    with pa.OSFile(str(archive), "rb") as file, pa.CompressedInputStream(file, "zstd") as stream:
        while piece := stream.read(_PIECE):
            if b"://" in tail + piece:
                raise PublicationError(
                    "the evidence names an address of a server", subject=str(archive), next_step="remove it where the archive is written"
                )
            tail = piece[-2:]
