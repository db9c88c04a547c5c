"""Checking a whole published tree: every leaf's form, every node's hash and sums, root, commitment, and what the publication says of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from assay_verify import manifest, publication, rows
from assay_verify.arithmetic import whole_units
from assay_verify.findings import Check, Exit, Findings, MalformedError, UnusableInputError
from assay_verify.manifest import Manifest
from assay_verify.progress import Progress
from assay_verify.sum_tree import hashing, published
from assay_verify.sum_tree.hashing import HASH_BYTES
from assay_verify.sum_tree.published import Commitment
from assay_verify.sum_tree.shards import Outcome, Shape, check_top
from assay_verify.sum_tree.strict_json import shown
from assay_verify.sum_tree.workers import check_shards

_MOST_FILES = 100_000
"""Their names have five digits."""
_FEWEST_IN_CLASS, _MOST_IN_CLASS = 16, 32


@dataclass
class VerifiedTree:
    """What a run found out about a tree.

    Attributes:
        folder: The tree's own.
        publication: The folder of the publication that it is in; None when a tree alone was given.
        findings: All checks.
        report: What the tree says it is of.
        totals: Asset and total in whole units; empty when something failed.
        leaves: How many leaves it has.
        nodes: How many nodes are above them.
        commitment: Hexadecimal.
        seconds: How long the run took.
        proven: Sentences that the checks justify.
        not_proven: Sentences that nobody should take as shown.
        notices: What the reader should know before relying on it.
    """

    folder: Path
    publication: Path | None
    findings: Findings = field(default_factory=Findings)
    report: list[str] = field(default_factory=list)
    totals: list[tuple[str, str]] = field(default_factory=list)
    leaves: int = 0
    nodes: int = 0
    commitment: str = ""
    seconds: float = 0.0
    proven: list[str] = field(default_factory=list)
    not_proven: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def verify(folder: Path, *, processes: int | None = None, progress: Progress | None = None) -> VerifiedTree:
    """Check a tree.

    Args:
        folder: A publication's, or a `liability_tree` alone.
        processes: How many check at once; as many as there are cores by default.
        progress: Told how far it is.

    Raises:
        UnusableInputError: The folder is neither.
    """
    started = time.monotonic()
    verified = _open(folder.resolve())
    known = _read_manifest(verified)
    commitment = _read_commitment(verified)
    if commitment is not None:
        shape = Shape(commitment.report, commitment.leaf_count, commitment.shard_leaves.bit_length() - 1, commitment.limits)
        _describe(verified, commitment)
        if _check_names(verified, shape):
            _check_nodes(verified, shape, commitment, processes or os.cpu_count() or 1, progress or Progress(wanted=False))
        if known is not None:
            _check_published(verified, known, commitment)
    _conclude(verified)
    verified.seconds = time.monotonic() - started
    return verified


def _open(folder: Path) -> VerifiedTree:
    if (folder / published.FILE_NAME).is_file():
        return VerifiedTree(folder, None)
    if folder.name == published.FOLDER and folder.is_dir():
        raise UnusableInputError(
            f"{folder} has no {published.FILE_NAME}", "Give a publication's folder, or its liability_tree as it was published"
        )
    publication.require_publication(folder)
    if not (folder / published.FOLDER).is_dir():
        raise UnusableInputError(f"{folder} has no folder {published.FOLDER}", "Download it too: it is a part of the publication")
    return VerifiedTree(folder / published.FOLDER, folder)


def _read_manifest(verified: VerifiedTree) -> Manifest | None:
    if verified.publication is None:
        return None
    known = None
    with verified.findings.check("manifest", "The manifest is in canonical form and of a format that this verifier knows.") as check:
        known = manifest.read(verified.publication)
        check.expect(held=True, failure="")
    return known


def _read_commitment(verified: VerifiedTree) -> Commitment | None:
    commitment = None
    with verified.findings.check(
        "commitment", "The commitment is that of the root, number of leaves, assets and report beside it."
    ) as check:
        commitment = published.read(verified.folder / published.FILE_NAME)
        check.expect(held=True, failure="")
    return commitment


def _describe(verified: VerifiedTree, commitment: Commitment) -> None:
    report = commitment.report
    verified.report = [f"series {shown(report.series)[1:-1]}", report.as_of, f"revision {report.revision}"]
    verified.leaves, verified.commitment = commitment.leaf_count, commitment.commitment.hex()
    verified.totals = [
        (shown(symbol)[1:-1], whole_units(total, decimals))
        for (symbol, decimals), total in zip(report.assets, commitment.root.balances, strict=True)
    ]
    least = commitment.leaf_count
    while least > _MOST_IN_CLASS and not least % 2:
        least //= 2
    if not _FEWEST_IN_CLASS <= least <= _MOST_IN_CLASS:
        verified.notices.append(
            "The number of leaves is no size class of the format, so it tells more about the number of users than it should."
        )


def _check_names(verified: VerifiedTree, shape: Shape) -> bool:
    with verified.findings.check("files.complete", "The folder holds the files of a tree of this size, and no others.") as check:
        if shape.shards > _MOST_FILES:
            raise MalformedError(f"{shape.shards:,} files of leaves would be needed, and names have five digits")
        expected = {published.FILE_NAME, "top.parquet"}
        expected |= {f"{kind}/{shard:05d}.parquet" for kind in ("leaves", "nodes") for shard in range(shape.shards)}
        found = set(_names(verified.folder, len(expected) + 1000))
        for name in sorted(expected | found):
            check.expect(name in found, f"{name} is missing")
            check.expect(name in expected, f"{shown(name)} does not belong there")
            check.expect(not (verified.folder / name).is_symlink(), f"{shown(name)} is a link, which may lead anywhere")
    return not check.failures


def _names(folder: Path, most: int) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield path.relative_to(folder).as_posix()
            most -= 1
        if most < 0:
            raise MalformedError("there are far more files than the tree has")


def _check_nodes(verified: VerifiedTree, shape: Shape, commitment: Commitment, processes: int, progress: Progress) -> None:
    findings = verified.findings
    leaves = Check("leaves", "Every leaf is there once, in order, with no balance below zero or above its asset's limit.")
    nodes = Check("nodes", "Every node's hash is that of both its children, and its balances are their sums.")
    findings.checks += [leaves, nodes]
    tops = []
    for outcome in check_shards(verified.folder, shape, processes=processes):
        _count(outcome, leaves, nodes)
        tops.append(outcome.top)
        progress(f"checked {leaves.compared:,} of {shape.leaf_count:,} leaves")
    progress.clear()
    top = b"".join(tops)
    if not (leaves.failures or nodes.failures):
        outcome = check_top(verified.folder, shape, top)
        _count(outcome, leaves, nodes)
        top = outcome.top
    verified.nodes = nodes.compared
    with findings.check("root", "The root, which binds all of it, is the one that is committed to.") as check:
        if leaves.failures or nodes.failures:
            raise MalformedError("what is below the root does not hold")
        check.expect(top[:HASH_BYTES] == commitment.root.hash, f"the tree's root is {top[:HASH_BYTES].hex()}, and another is committed to")
        totals = hashing.unpack(top[HASH_BYTES:])
        for (symbol, _), total, said in zip(shape.report.assets, totals, commitment.root.balances, strict=True):
            check.expect(total == said, f"{shown(symbol)}: the tree's total is {total}, and {said} is committed to")


def _count(outcome: Outcome, leaves: Check, nodes: Check) -> None:
    leaves.compared += outcome.leaves
    nodes.compared += outcome.nodes
    nodes.failures += outcome.failures
    if outcome.problem:
        (leaves if outcome.problem.startswith("leaves/") else nodes).failures.append(outcome.problem)


def _check_published(verified: VerifiedTree, known: Manifest, commitment: Commitment) -> None:
    folder = verified.publication or verified.folder
    with verified.findings.check("files.digests", "Every file of the tree is the one that the manifest lists.") as check:
        for name in sorted(_names(verified.folder, 3 * _MOST_FILES)):
            listed = known.files.get(f"{published.FOLDER}/{name}", {})
            size, digest = manifest.measure(verified.folder / name)
            check.expect((listed.get("size"), listed.get("sha256")) == (size, digest), f"{shown(name)} is not what the manifest lists")
    with verified.findings.check(
        "commitment.published", "The manifest carries this commitment, for this series, moment and revision."
    ) as check:
        listed_commitment = published.in_manifest(known)
        check.expect(listed_commitment == commitment.commitment, f"the manifest's commitment is {listed_commitment.hex()}")
        report = commitment.report
        for name, said in (("series", report.series), ("as_of", report.as_of), ("revision", report.revision)):
            check.expect(known.values[name] == said, f"{name}: the manifest says {shown(known.values[name])}, the tree {shown(said)}")
    with verified.findings.check(
        "totals.ratios", "The tree's totals are the gross liabilities that the ratios are computed with."
    ) as check:
        _check_ratios(check, _table(folder, known, "reserve_ratios", {"asset", "decimals", "liabilities_gross"}), commitment)
    with verified.findings.check("totals.table", "The table liability_commitment says what the tree says.") as check:
        columns = {"asset", "decimals", "total", "leaf_limit", "leaf_count", "root_hash", "commitment"}
        _check_table(check, _table(folder, known, "liability_commitment", columns), commitment)


def _table(folder: Path, known: Manifest, name: str, columns: set[str]) -> dict[str, dict[str, object]]:
    """Return a table's rows by asset."""
    path = f"tables/{name}.parquet"
    if path not in known.files or not (folder / path).is_file():
        raise MalformedError(f"the table {name} is missing")
    if manifest.measure(folder / path)[1] != known.files[path]["sha256"]:
        raise MalformedError(f"the table {name} is not the one that the manifest lists")
    if missing := columns - {column for column, _ in rows.columns(folder / path)}:
        raise MalformedError(f"the table {name} has no column {min(missing)}")
    found: dict[str, dict[str, object]] = {}
    for batch in rows.batches(folder / path, sorted(columns)):
        for row in rows.plain(batch, name):
            if row["asset"] in found:
                raise MalformedError(f"the table {name} has {shown(row['asset'])} twice")
            found[row["asset"]] = row
    return found


def _check_ratios(check: Check, ratios: dict[str, dict[str, object]], commitment: Commitment) -> None:
    for (symbol, decimals), total in zip(commitment.report.assets, commitment.root.balances, strict=True):
        row = ratios.pop(symbol, None)
        if check.expect(row is not None, f"{shown(symbol)} is in the tree, and has no ratio") and row is not None:
            check.expect(
                row["decimals"] == decimals, f"{shown(symbol)} has {row['decimals']} decimals in reserve_ratios, and {decimals} in the tree"
            )
            check.expect(
                row["liabilities_gross"] == total,
                f"{shown(symbol)}: liabilities are {row['liabilities_gross']}, the tree's total is {total}",
            )
    for symbol, row in ratios.items():
        check.expect(
            row["liabilities_gross"] == 0, f"{shown(symbol)}: liabilities are {row['liabilities_gross']}, and the tree does not have it"
        )


def _check_table(check: Check, table: dict[str, dict[str, object]], commitment: Commitment) -> None:
    report = commitment.report
    check.expect(table.keys() == {symbol for symbol, _ in report.assets}, "it has other assets than the tree")
    for (symbol, decimals), total, limit in zip(report.assets, commitment.root.balances, commitment.limits, strict=True):
        expected = {
            "decimals": decimals,
            "total": total,
            "leaf_limit": limit,
            "leaf_count": commitment.leaf_count,
            "root_hash": commitment.root.hash.hex(),
            "commitment": commitment.commitment.hex(),
        }
        for column, value in expected.items():
            said = table.get(symbol, {}).get(column)
            check.expect(said == value, f"{shown(symbol)}: {column} is {shown(said)}, and the tree's is {value}")


def _conclude(verified: VerifiedTree) -> None:
    findings = verified.findings
    if findings.exit_code == Exit.FAILED:
        verified.totals = []
    else:
        verified.proven.append(
            f"The totals are the sums of {verified.leaves:,} leaves, to the last unit; none of these holds less than nothing, and all of them are bound by the commitment."
        )
    if verified.proven and verified.publication:
        verified.proven.append("The liabilities that the published ratios are computed with are these totals.")
    if not findings.held("commitment.published"):
        verified.not_proven.append(
            "That this is the published tree: compare the commitment with the one in the publication's manifest, or give its folder."
        )
    verified.not_proven += [
        "That each leaf belongs to a real user, and no user is left out: a leaf's hash can be recomputed by its owner alone, with `assay-verify inclusion`.",
        "That users are owed no more than their leaves hold: each user sees that alone.",
        "That reserves cover the totals: see `assay-verify publication`, `balances` and `ownership`.",
    ]
