"""The table `liability_commitment`: held against the tree's `commitment.json`, the manifest, and the stated liabilities.

That the tree leads to this root at all is checked by `assay-verify tree`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay_verify import tables
from assay_verify.findings import Findings
from assay_verify.manifest import Manifest
from assay_verify.sum_tree import hashing, published
from assay_verify.tables import Row


def check(findings: Findings, folder: Path, manifest: Manifest, ratios: Sequence[Row]) -> None:
    """Check what a publication says that it commits to.

    Args:
        findings: Receives the outcome.
        folder: The publication.
        manifest: Its manifest.
        ratios: Rows of `reserve_ratios`.
    """
    with findings.check(
        "tables.commitment", "The root of the liability tree adds up to the stated liabilities, and the manifest carries its commitment."
    ) as check:
        known = published.read(folder / published.FOLDER / published.FILE_NAME)
        report, values = known.report, manifest.values
        stated = (values["series"], values["as_of"], values["revision"])
        check.expect(
            (report.series, report.as_of, report.revision) == stated,
            f"the tree is of {report.series} {report.as_of} revision {report.revision}, not of this report",
        )
        check.expect(published.in_manifest(manifest) == known.commitment, "the manifest carries another commitment than the tree's")
        shards = range(-(-known.leaf_count // known.shard_leaves))
        tree = {published.FILE_NAME, "top.parquet", *(f"{part}/{number:05d}.parquet" for part in ("leaves", "nodes") for number in shards)}
        listed = {name for name in manifest.files if name.startswith(f"{published.FOLDER}/")}
        check.expect(
            listed == {f"{published.FOLDER}/{name}" for name in tree},
            f"the manifest does not list the files of a tree of {known.leaf_count:,} leaves",
        )
        owed = {row["asset"]: (row["decimals"], row["liabilities_gross"]) for row in ratios}
        committed = dict(zip(report.assets, zip(known.root.balances, known.limits, strict=True), strict=True))
        check.expect([asset for asset, _ in report.assets] == sorted(owed), "the tree is not over the assets of reserve_ratios")
        rows = list(tables.read(folder / "tables" / "liability_commitment.parquet", "liability_commitment"))
        check.expect([row["asset"] for row in rows] == sorted(owed), "liability_commitment does not list the assets of reserve_ratios")
        for row in rows:
            asset = (row["asset"], row["decimals"])
            check.expect(
                owed.get(row["asset"]) == (row["decimals"], row["total"]),
                f"{row['asset']}: the tree adds up to {row['total']}, which is not liabilities_gross of reserve_ratios",
            )
            check.expect(
                committed.get(asset) == (row["total"], row["leaf_limit"])
                and (row["leaf_count"], row["root_hash"], row["commitment"], row["format"])
                == (known.leaf_count, known.root.hash.hex(), known.commitment.hex(), hashing.VERSION),
                f"{row['asset']}: the row says something else than {published.FILE_NAME}",
            )
