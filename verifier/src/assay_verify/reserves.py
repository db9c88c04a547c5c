"""Wallets, blocks and reserve ratios of one publication, held against each other."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay_verify import tables
from assay_verify.arithmetic import floor_ratio
from assay_verify.findings import Check, Findings
from assay_verify.manifest import HEX, Manifest
from assay_verify.tables import Row, seconds_between, time_text

MAX_DECIMALS = 38
PROVEN = frozenset({"fresh", "movement"})
"""Ownership statuses under which a wallet counts as proven for this publication."""
OWNERSHIP = PROVEN | {"static", "none"}


@dataclass
class Holdings:
    """What the wallets hold, added up here from the single balances.

    Attributes:
        sums: Base units by asset and chain.
        encumbered: Base units by asset in wallets whose encumbrance is not `none`.
        proven: Base units by asset in wallets whose ownership is proven for this publication.
        statuses: Number of balances by ownership status.
        references: Evidence digests by chain.
        balances: Number of balances.
    """

    sums: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    encumbered: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    proven: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    statuses: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    references: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    balances: int = 0

    def of(self, asset: str) -> int:
        """Return the asset's sum over all chains."""
        return sum(amount for (name, _), amount in self.sums.items() if name == asset)


def add_up(folder: Path) -> Holdings:
    """Add up the balances of a publication without checking anything else.

    Raises:
        MalformedError: The table cannot be read.
    """
    holdings = Holdings()
    for row in tables.read(
        folder / "tables" / "wallet_balances.parquet", "wallet_balances", ("amount", "encumbrance", "ownership_status", "evidence")
    ):
        _add(holdings, row)
    return holdings


def check_moment(findings: Findings, folder: Path, manifest: Manifest) -> None:
    """Make sure that every row of every table is about the attested moment, and compared with the one before."""
    previous = manifest.values["previous"]
    expected = previous["as_of"] if previous else None
    with findings.check("tables.moment", "Every row of every table is about the attested moment; keys are unique and in order.") as check:
        for name in tables.TABLES:
            for row in tables.read(folder / "tables" / f"{name}.parquet", name, ("as_of", "previous_as_of")):
                check.expect(row["as_of"] == manifest.as_of, f"{name} has a row of {row['as_of']}")
                if "previous_as_of" in row:
                    found = row["previous_as_of"] and time_text(row["previous_as_of"])
                    check.expect(found == expected, f"{name} compares with {found}, and the manifest names {expected}")


def check_blocks(findings: Findings, folder: Path, manifest: Manifest) -> dict[str, Row]:
    """Hold the snapshot blocks against the moment and the manifest; return them by chain."""
    blocks: dict[str, Row] = {}
    with findings.check(
        "tables.blocks", "Each chain has one block, not after the moment, the same in table and manifest; asked sources agreed."
    ) as check:
        listed = {block["chain"]: block for block in manifest.values["snapshot_blocks"]}
        sources = {item["chain"]: item for item in manifest.values["sources"]}
        for row in tables.read(folder / "tables" / "snapshot_blocks.parquet", "snapshot_blocks"):
            chain = row["chain"]
            blocks[chain] = row
            distance = seconds_between(row["time"], manifest.as_of)
            check.expect(row["time"] <= manifest.as_of, f"{chain}: the block lies after the moment")
            check.expect(row["distance_seconds"] == distance, f"{chain}: the distance is {distance} s, not {row['distance_seconds']} s")
            said = {key: row[key] for key in ("chain", "distance_seconds", "finality", "hash", "height")} | {"time": time_text(row["time"])}
            check.expect(listed.get(chain) == said, f"{chain}: the manifest names another block than the table")
            agreed = {"agreed": row["sources_agreed"], "asked": row["sources_asked"]}
            named = sources.get(chain, {})
            check.expect({key: named.get(key) for key in agreed} == agreed, f"{chain}: the manifest counts sources differently")
            check.expect(len(named.get("sources", [])) == row["sources_asked"], f"{chain}: the manifest names another number of sources")
            check.expect(
                1 <= row["sources_agreed"] == row["sources_asked"],
                f"{chain}: {row['sources_agreed']} of {row['sources_asked']} sources agreed",
            )
        check.expect(blocks.keys() == listed.keys() == sources.keys(), "table and manifest name different chains")
    return blocks


def check_wallets(findings: Findings, folder: Path, blocks: dict[str, Row]) -> Holdings:
    """Hold every balance against its chain's block, and add the balances up."""
    holdings = Holdings()
    with findings.check(
        "tables.wallets", "Every balance is not negative and was read at its chain's snapshot block, by all sources asked."
    ) as check:
        for row in tables.read(folder / "tables" / "wallet_balances.parquet", "wallet_balances"):
            _add(holdings, row)
            where = f"{row['chain']} {row['address']} {row['asset']}"
            block = blocks.get(row["chain"], {})
            read_at = (row["block_height"], row["block_hash"], row["block_time"])
            check.expect(read_at == tuple(block.get(key) for key in ("height", "hash", "time")), f"{where} was read at another block")
            check.expect(row["amount"] >= 0, f"{where} is negative")
            check.expect(row["ownership_status"] in OWNERSHIP, f"{where} has the unknown ownership status {row['ownership_status']!r}")
            check.expect(
                1 <= row["sources_agreed"] == row["sources_asked"],
                f"{where}: {row['sources_agreed']} of {row['sources_asked']} sources agreed",
            )
            check.expect(
                row["sources_asked"] == block.get("sources_asked"), f"{where} was asked of another number of sources than its block"
            )
            check.expect(bool(HEX.fullmatch(row["evidence"])), f"{where} has no digest as its evidence")
        for chain in sorted(blocks.keys() - {chain for _, chain in holdings.sums}):
            check.expect(held=False, failure=f"{chain} has a snapshot block and no balance")
    return holdings


def check_ratios(findings: Findings, folder: Path, holdings: Holdings) -> list[Row]:
    """Recompute every figure of the ratio table; return its rows."""
    ratios: list[Row] = []
    with findings.check(
        "tables.reserves", "Reserves are the sums of the single wallet balances, asset by asset, the pledged and locked ones too."
    ) as check:
        ratios = list(tables.read(folder / "tables" / "reserve_ratios.parquet", "reserve_ratios"))
        for row in ratios:
            asset = row["asset"]
            sums = {"reserves_encumbered": holdings.encumbered[asset], "reserves_proven": holdings.proven[asset]}
            _same(check, row, {"reserves": holdings.of(asset), **sums})
        known = {row["asset"] for row in ratios}
        for asset in sorted({asset for asset, _ in holdings.sums} - known):
            check.expect(held=False, failure=f"wallets hold {asset}, and reserve_ratios does not name it")
    with findings.check("tables.ratios", "Surplus, ratios (rounded down), coverage and status follow from the exact integers.") as check:
        for row in ratios:
            _same(check, row, _expected(row))
            for other in ("liabilities_net", "liabilities_netted_by_user"):
                check.expect(
                    row[other] <= row["liabilities_gross"], f"{row['asset']}: {other} is above the gross liabilities, which cannot be"
                )
            check.expect(row["liabilities_gross"] >= 0, f"{row['asset']}: gross liabilities are negative")
    return ratios


def check_decimals(findings: Findings, folder: Path, ratios: list[Row]) -> dict[str, int]:
    """Make sure that an asset has the same decimals in every table; return them."""
    decimals = {row["asset"]: row["decimals"] for row in ratios}
    with findings.check("tables.decimals", "An asset has the same decimals in every table.") as check:
        for name, columns in tables.TABLES.items():
            if "decimals" in columns:
                for row in tables.read(folder / "tables" / f"{name}.parquet", name, ("asset", "decimals")):
                    known = decimals.setdefault(row["asset"], row["decimals"])
                    check.expect(
                        row["decimals"] == known and 0 <= known <= MAX_DECIMALS,
                        f"{name}: {row['asset']} has {row['decimals']} decimals, elsewhere {known}",
                    )
    return decimals


def _add(holdings: Holdings, row: Row) -> None:
    holdings.sums[row["asset"], row["chain"]] += row["amount"]
    if row["encumbrance"] != "none":
        holdings.encumbered[row["asset"]] += row["amount"]
    holdings.statuses[row["ownership_status"]] += 1
    if row["ownership_status"] in PROVEN:
        holdings.proven[row["asset"]] += row["amount"]
    holdings.references[row["chain"]].add(row["evidence"])
    holdings.balances += 1


def _expected(row: Row) -> dict[str, Any]:
    reserves, gross = row["reserves"], row["liabilities_gross"]
    backed = reserves >= gross
    return {
        "surplus": reserves - gross,
        "ratio_gross": floor_ratio(reserves, gross),
        "ratio_net": floor_ratio(reserves, row["liabilities_net"]),
        "ratio_netted_by_user": floor_ratio(reserves, row["liabilities_netted_by_user"]),
        "ratio_unencumbered": floor_ratio(reserves - row["reserves_encumbered"], gross),
        "ratio_proven": floor_ratio(row["reserves_proven"], gross),
        "fully_backed": backed,
        "status": "no_liabilities" if gross == 0 else "covered" if backed else "short",
    }


def _same(check: Check, row: Row, expected: dict[str, Any]) -> None:
    for column, value in expected.items():
        check.expect(row[column] == value, f"{row['asset']}: {column} is {row[column]}, and it comes to {value} here")
