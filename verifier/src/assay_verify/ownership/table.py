"""Our own table `address_ownership`, read as statements. Format: docs/formats/address_ownership.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from assay_verify import manifest, rows
from assay_verify.facts import Chain
from assay_verify.findings import MalformedError
from assay_verify.manifest import Manifest
from assay_verify.ownership import archived, movement_archive
from assay_verify.ownership.checking import Report, TableRow, check_rows
from assay_verify.ownership.interface import Statement
from assay_verify.ownership.sources import Source, changed
from assay_verify.ownership.wallets import COLUMNS, NAME, PATH, check_columns
from assay_verify.ownership.workers import Piece
from assay_verify.tables import Row, time_text

_SMALL = 1_000
_TEXTS = ("scheme", "message", "signatures", "script", "owners", "verified_at_block", "note")


def open_table(path: Path, report: Report | None) -> Source:
    """Look at the table's columns.

    Args:
        path: The file.
        report: The publication that it is part of; None for a file alone.

    Raises:
        MalformedError: It is no Parquet file, or has other columns.
    """
    check_columns(path)
    sha256, count = manifest.measure(path)[1], rows.open_table(path).metadata.num_rows
    return Source(
        name=f"table {NAME}",
        subject={"sha256": sha256, "layout": NAME, "report": repr(report)},
        start=0,
        end=count,
        first=1,
        small=count <= _SMALL,
        check=partial(check_rows, report),
        pieces=partial(_pieces, path, sha256),
    )


def report_of(known: Manifest, chains: Mapping[str, Chain], folder: Path) -> Report:
    """Return what fresh texts of a publication have to name, and how its chains sign.

    Args:
        known: Its manifest.
        chains: Its facts about chains.
        folder: It.
    """
    hashes = {block["chain"]: block["hash"] for block in known.values["snapshot_blocks"]}
    return Report(
        names=(known.values["entity"], known.values["series"], time_text(known.as_of)),
        blocks={block["chain"]: (block["height"], block["hash"]) for block in known.values["snapshot_blocks"]},
        # Addresses of the Bitcoin family differ by network; the others' chains sign as their family does.
        networks={name: chain.network if chain.family == "bitcoin" else chain.family for name, chain in chains.items()},
        contracts={
            name: archived.read(folder, chain, hashes[name])
            for name, chain in chains.items()
            if chain.family == "evm" and name in hashes and archived.place(chain) in known.files
        },
        coins=movement_archive.coins(chains),
        moved=movement_archive.read(folder, known, chains, movement_archive.claims(folder / PATH)),
    )


def _pieces(path: Path, sha256: str, start: int, first: int) -> Iterator[Piece]:
    number = 0
    for batch in rows.batches(path, list(COLUMNS)):
        if number >= start:
            content = [_row(row) for row in rows.plain(batch, NAME)]
            yield Piece(number, number + len(content), first, first + len(content), content)
            first += len(content)
        number += batch.num_rows
    if manifest.measure(path)[1] != sha256:
        raise changed(path)


def _row(row: Row) -> TableRow:
    for column, kind in COLUMNS.items():
        if row[column] is None and not kind.endswith("?"):
            raise MalformedError(f"{NAME}: {column} is empty in a row where it may not be")
    empty = next((column for column in _TEXTS if row[column] == ""), None)
    if empty:
        raise MalformedError(f"{NAME}: {empty} is a text of no length; what is not there is null")
    statement = Statement(
        coin=row["chain"],
        address=row["address"],
        message=row["message"] or "",
        signatures=_lines(row["signatures"]),
        script=row["script"] or "",
        owners=_lines(row["owners"]),
    )
    return TableRow(row["chain"], row["scheme"], row["status"], row["signed_at"] is not None, row["verified_at_block"], statement)


def _lines(text: str | None) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()
