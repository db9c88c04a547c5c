"""What the table `address_ownership` says about every wallet of a publication. Format: docs/formats/address_ownership.md."""

from __future__ import annotations

from pathlib import Path

from assay_verify import rows, tables
from assay_verify.findings import Check, Findings, MalformedError
from assay_verify.manifest import Manifest

NAME = "address_ownership"
PATH = f"tables/{NAME}.parquet"
KEY = tables.KEYS[NAME]
COLUMNS = tables.TABLES[NAME]


def check_columns(path: Path) -> None:
    """Make sure that a file has the columns of the table.

    Raises:
        MalformedError: It has others, or in another order, or of another type.
    """
    if rows.columns(path) != [(name, kind.rstrip("?")) for name, kind in COLUMNS.items()]:
        raise MalformedError(f"{path.name} does not have the columns of {NAME} that this verifier knows; a newer verifier may")


def check_wallets(findings: Findings, folder: Path, known: Manifest) -> None:
    """Hold the table against the wallets: one row for each, about the moment, with the status that its balances have.

    Nothing is done where the publication has no such table.
    """
    path = folder / PATH
    if not path.exists() and PATH not in known.files:
        return
    with findings.check(
        "tables.ownership", "Every wallet has one row about its ownership, with the status that its balances show."
    ) as check:
        check_columns(path)
        statuses: dict[tuple[str, str], str] = {}
        before: tuple[str, str] | None = None
        for batch in rows.batches(path, ["as_of", "status", *KEY]):
            for row in rows.plain(batch, NAME):
                key = (row["chain"], row["address"])
                where = f"{NAME}: {row['chain']} {row['address']}"
                check.expect(row["as_of"] == known.as_of, f"{where} is about {row['as_of']}")
                check.expect(before is None or key > before, f"{where} is there twice or out of order")
                statuses[key], before = row["status"], key
        _compare(check, folder, statuses)


def _compare(check: Check, folder: Path, statuses: dict[tuple[str, str], str]) -> None:
    wallets = set()
    for row in tables.read(folder / "tables" / "wallet_balances.parquet", "wallet_balances", ("ownership_status",)):
        key = (row["chain"], row["address"])
        wallets.add(key)
        stated = statuses.get(key)
        check.expect(
            stated == row["ownership_status"],
            f"{row['chain']} {row['address']} {row['asset']} is called {row['ownership_status']}, and {NAME} says {stated or 'nothing'}",
        )
    for chain, address in sorted(statuses.keys() - wallets):
        check.expect(held=False, failure=f"{NAME}: {chain} {address} holds no balance of this publication")
