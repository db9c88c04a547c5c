"""Building a publication aside and putting it in place in one step.

`stage` writes a complete folder and touches nothing that is published. `publish` checks that folder against its manifest, renames a
copy of it into place and appends to the log, all under the series' lock. Whatever fails, and whenever the process dies, the publications
before are as they were; running the same call again completes what was begun.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay import __version__
from assay.chains.evidence import SUFFIX
from assay.config import Settings
from assay.errors import PublicationError
from assay.lake import format_as_of, new_folder, parse_as_of
from assay.publication import derived, facts, manifest
from assay.publication.log import Log, LogEntry, folder_name, locked
from assay.publication.manifest import FILE_NAME, TABLES, Correction

_PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Published:
    """What `publish` did.

    Attributes:
        folder: The publication.
        entry: Its line in the log.
        repeated: It was published before with the same content, so nothing was written.
    """

    folder: Path
    entry: LogEntry
    repeated: bool

    def __str__(self) -> str:
        """Say it in a sentence, for task logs and the terminal."""
        what = f"{format_as_of(self.entry.as_of)} revision {self.entry.revision} (manifest {self.entry.manifest_sha256})"
        if self.repeated:
            return f"Nothing to do: {what} is published already, with this content, in {self.folder}"
        return f"Published {what} in {self.folder}, line {self.entry.sequence} of the log"


def series_folder(settings: Settings) -> Path:
    """Return the folder that holds a series' publications and its log."""
    return settings.lake / "publications" / settings.series


def correction(settings: Settings, *, as_of: datetime, revision: int, reason: str) -> Correction | None:
    """Return what a run with these parameters corrects; None for a first publication (revision 1).

    Raises:
        PublicationError: A revision without a reason or a publication to correct, a gap in the revisions, or a reason without a revision.
    """
    subject = f"publication {folder_name(as_of, revision)}"
    if revision == 1 and not reason:
        return None
    if revision <= 1 or not reason.strip():
        raise PublicationError(
            "a correction needs both a revision from 2 on and a reason", subject=subject, next_step="give revision and reason together"
        )
    known = [entry for entry in Log.read(series_folder(settings)).of(as_of) if entry.revision == revision - 1]
    if not known:
        raise PublicationError(
            f"there is no revision {revision - 1} to correct", subject=subject, next_step="give the number after the newest revision"
        )
    return Correction(revision=revision, replaces=known[0], reason=reason.strip())


def stage(
    settings: Settings,
    *,
    as_of: datetime,
    tables: Path,
    evidence: Mapping[str, Path],
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
        contracts: Folder with `<table>.odcs.yaml`.
        previous: The publication that the deltas were computed from: `Log.previous`.
        work: The folder to build; one that stands there is replaced.
        corrects: See `correction`.

    Returns:
        `work`.

    Raises:
        PublicationError: A table or contract is missing or not to be published, a chain has no evidence, or an archive names an address.
    """
    from assay.publication import report  # altair takes a second to load; publishing alone does not need it

    if work.exists():
        shutil.rmtree(work)
    with new_folder(work) as folder:
        _copy_tables(tables, contracts, folder)
        _copy_evidence(evidence, folder)
        (folder / "evidence" / facts.FILE_NAME).write_bytes(facts.chain_facts(settings))
        derived.write_all(folder / "tables", folder / "derived")
        page = report.render(folder / "tables", settings, as_of=as_of, previous=previous, corrects=corrects)
        (folder / "report.html").write_text(page, encoding="utf-8")
        content = manifest.build(folder, settings, as_of=as_of, previous=previous, correction=corrects, version=__version__)
        (folder / FILE_NAME).write_bytes(content)
    return work


def publish(settings: Settings, staged: Path, *, now: datetime | None = None) -> Published:
    """Put a staged publication in place and into the log; the same one twice is one publication.

    Args:
        settings: For the place and the series.
        staged: What `stage` returned; it stays as it is.
        now: Wall-clock time for the log; the current one by default.

    Raises:
        PublicationError: The folder is not what its manifest says, the log is broken, the moment is out of order, or the same moment is
            published with other content.
    """
    content = (staged / FILE_NAME).read_bytes()
    values = manifest.read(staged)
    as_of, revision = parse_as_of(values["as_of"]), int(values["revision"])
    series = series_folder(settings)
    target = series / folder_name(as_of, revision)
    with locked(series):
        log = Log.read(series)
        for entry in log.of(as_of):
            if entry.revision == revision:
                _check_same(target, values)
                return Published(folder=target, entry=entry, repeated=True)
        if again := _same_correction(series, log.of(as_of), values):
            return Published(folder=series / again.folder, entry=again, repeated=True)
        _check_place(log, values, as_of=as_of, revision=revision)
        # A process died between renaming and logging: without its line the folder was never published, so it may be replaced.
        if target.exists() and (target / FILE_NAME).read_bytes() != content:
            shutil.rmtree(target)
        if not target.exists():
            _put_in_place(staged, target, values)
        manifest.check_files(target, values)
        entry = log.append(as_of=as_of, revision=revision, manifest_sha256=manifest.digest(content), published_at=now or datetime.now(UTC))
    return Published(folder=target, entry=entry, repeated=False)


def _check_place(log: Log, values: dict[str, Any], *, as_of: datetime, revision: int) -> None:
    """Hold a new publication against the log: order, revision, and the publication it was computed from."""
    subject = f"publication {folder_name(as_of, revision)}"
    log.check_order(as_of)
    if revision != len(log.of(as_of)) + 1:
        raise PublicationError(
            f"revision {revision} does not follow the {len(log.of(as_of))} in the log",
            subject=subject,
            next_step="give the number after the newest revision",
        )
    previous = log.previous(as_of, revision=revision)
    named = values["previous"] and values["previous"]["manifest_sha256"]
    if named != (previous and previous.manifest_sha256):
        raise PublicationError(
            "it was computed from another publication than the one before it in the log",
            subject=subject,
            next_step="run the attestation again",
        )


def _check_same(published: Path, values: dict[str, Any]) -> None:
    """Make sure that a publication which is there is whole, and says the same as the one to be published.

    A newer version of the code that comes to the same content is no reason to publish again, so the version alone does not count.
    """
    known = manifest.read(published)
    manifest.check_files(published, known)
    different = [name for name in manifest.differences(known, values) if name != "code_version"]
    if different:
        others = f" and {len(different) - 1} more" if len(different) > 1 else ""
        raise PublicationError(
            f"it stands there with other content: {different[0]}{others}",
            subject=str(published),
            next_step=f"publish a correction: the same as_of with revision {int(known['revision']) + 1} and a reason",
        )


def _same_correction(series: Path, known: Sequence[LogEntry], values: dict[str, Any]) -> LogEntry | None:
    """Find out whether this is the newest correction once more: a run that is repeated counts on from what it published itself."""
    if len(known) <= 1 or values["revision"] != known[-1].revision + 1:
        return None
    newest = manifest.read(series / known[-1].folder)
    if newest["replaces"]["reason"] != values["replaces"]["reason"]:
        return None
    # The report names the revision, so it differs even when nothing else does.
    different = set(manifest.differences(newest, values)) - {"code_version", "report.html", "replaces", "revision"}
    return None if different else known[-1]


def _put_in_place(staged: Path, target: Path, values: dict[str, Any]) -> None:
    for leftover in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(leftover)  # of a process that died while copying; the lock says that none is copying now
    with new_folder(target) as temporary:
        shutil.copytree(staged, temporary, dirs_exist_ok=True, copy_function=shutil.copyfile)
        # Read back what was copied: nothing that differs from its manifest may ever get the name of a publication.
        manifest.check_files(temporary, values)
        for path in sorted(temporary.rglob("*")):
            if path.is_file():
                path.chmod(0o444)
            _flush(path)
    _flush(target.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
