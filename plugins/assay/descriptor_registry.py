"""Wallets that are listed as descriptors: `descriptors.csv` of the registry, which may be missing.

One row a descriptor or extended public key. Columns: `chain,descriptor,gap_limit,custody,encumbrance,label`. A file of its own beside `wallets.csv`,
because whoever knows an extended public key can follow the account for ever: this file stays with the custodian and is never published; only the
addresses that are derived from it are. A descriptor with commas stands in quotation marks. No error shows one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from assay.chains.bitcoin.descriptors import expand
from assay.config import Settings
from assay.csv_file import read_rows
from assay.errors import RegistryError
from assay.registry import allowed, check_value

FILE_NAME = "descriptors.csv"
COLUMNS = ("chain", "descriptor", "gap_limit", "custody", "encumbrance", "label")
_FAMILY = "bitcoin"


@dataclass(frozen=True, kw_only=True)
class ListedDescriptor:
    """One row of the file.

    Attributes:
        chain: Name of a chain of the Bitcoin family in `chains.toml`.
        descriptor: Output descriptor, or extended public key.
        gap_limit: How many unused addresses in a row end the search for used ones.
        custody: As of a wallet.
        encumbrance: As of a wallet.
        label: For people; not published.
        row: Line in the file.
        subject: Names the line, for errors.
    """

    chain: str
    descriptor: str = field(repr=False)
    gap_limit: int
    custody: str
    encumbrance: str
    label: str
    row: int
    subject: str


def read_descriptors(settings: Settings) -> list[ListedDescriptor]:
    """Read and check all descriptors without asking a node; none where there is no file.

    Raises:
        RegistryError: The file is malformed; an unknown chain or one without descriptors; a descriptor that `expand` refuses, or a
            descriptor that is listed twice.
    """
    path = settings.registry / FILE_NAME
    if not path.exists():
        return []
    found: list[ListedDescriptor] = []
    seen: dict[tuple[str, str], int] = {}
    for listed in _rows(path):
        if listed.chain not in settings.chains or settings.chains[listed.chain].family != _FAMILY:
            raise RegistryError(
                f"the chain {listed.chain!r} is unknown, or has no descriptors",
                subject=listed.subject,
                next_step=f"use one whose family is {_FAMILY}",
            )
        expand(listed.descriptor, settings.chains[listed.chain].network, subject=listed.subject)
        # With another checksum it is the same one.
        key = (listed.chain, listed.descriptor.partition("#")[0])
        if key in seen:
            raise RegistryError(f"it stands on line {seen[key]} already", subject=listed.subject, next_step="delete one of the two lines")
        seen[key] = listed.row
        found.append(listed)
    return found


def _rows(path: Path) -> Iterator[ListedDescriptor]:
    custody, encumbrance = allowed("custody"), allowed("encumbrance")
    for line, row in read_rows(path, COLUMNS, lambda problem, subject, step: RegistryError(problem, subject=subject, next_step=step)):
        listed = _listed(row, f"{path} line {line}", line)
        check_value("custody", listed.custody, custody, listed.subject)
        check_value("encumbrance", listed.encumbrance, encumbrance, listed.subject)
        yield listed


def _listed(row: list[str], subject: str, number: int) -> ListedDescriptor:
    values = dict(zip(COLUMNS, (text.strip() for text in row), strict=True))
    limit = values.pop("gap_limit")
    if not limit.isascii() or not limit.isdigit() or not 1 <= len(limit) <= 4 or int(limit) < 1:  # noqa: PLR2004 (9,999 is more than any wallet's)
        raise RegistryError("its gap limit is not a number from 1 to 9999", subject=subject, next_step="set one; wallets use 20")
    return ListedDescriptor(**values, gap_limit=int(limit), row=number, subject=subject)
