"""The ownership table of a publication, with what the publication says around it."""

from __future__ import annotations

from pathlib import Path

from assay_verify import facts, manifest
from assay_verify.findings import Findings, MalformedError, UnusableInputError
from assay_verify.ownership import archived, table, wallets
from assay_verify.ownership.sources import Source
from assay_verify.publication import require_publication


def open_published(path: Path, findings: Findings) -> Source:
    """Open the table of a publication's folder, or a table alone.

    Args:
        path: Folder or file.
        findings: Receives what holds the table to its publication.

    Raises:
        UnusableInputError: There is no such table.
    """
    if path.is_dir():
        path = path.resolve()
        require_publication(path)
        return _of_publication(path, findings)
    try:
        return table.open_table(path, None)
    except MalformedError as error:
        raise UnusableInputError(str(error)[0].upper() + str(error)[1:], f"Give a table {wallets.NAME}.parquet") from error


def _of_publication(folder: Path, findings: Findings) -> Source:
    file = folder / wallets.PATH
    if not file.is_file():
        raise UnusableInputError(f"{folder} has no {wallets.PATH}", "This publication proves no ownership; give another, or a list")
    try:
        known = manifest.read(folder)
        chains = facts.read((folder / facts.FILE_NAME).read_bytes())
        opened = table.open_table(file, table.report_of(known, chains, folder))
    except (MalformedError, FileNotFoundError) as error:
        raise UnusableInputError(f"{folder} cannot be read: {error}", "Look at it with `assay-verify publication`") from error
    with findings.check(
        "ownership.listed", "The table, what is said about chains, and what contracts and chains answered are as the manifest lists them."
    ) as check:
        places = [archived.place(chain) for chain in chains.values() if chain.family in ("bitcoin", "evm") and chain.sources]
        asked = [place for place in places if place in known.files]
        for path in (wallets.PATH, facts.FILE_NAME, *asked):
            found, listed = manifest.measure(folder / path)[1], known.files.get(path, {}).get("sha256")
            check.expect(listed == found, f"{path} has the SHA-256 {found}, and the manifest lists {listed}")
    wallets.check_wallets(findings, folder, known)
    return opened
