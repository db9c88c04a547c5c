"""What a publication commits to: `liability_tree/commitment.json`, and the manifest's member `liability_commitment`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assay_verify.canonical_json import Shape, check_shape, read_object
from assay_verify.findings import MalformedError
from assay_verify.sum_tree import hashing, strict_json
from assay_verify.sum_tree.hashing import Report
from assay_verify.sum_tree.proof import Node

if TYPE_CHECKING:
    from assay_verify.manifest import Manifest

FOLDER = "liability_tree"
FILE_NAME = "commitment.json"
KEY = "liability_commitment"
"""The member of the manifest."""

_LARGEST_FILE = 4 << 20
"""A thousand assets take a tenth of it."""

_SHAPE: Shape = {
    "as_of": str,
    "assets": list,
    "commitment": str,
    "format": str,
    "leaf_count": int,
    "revision": int,
    "root": dict,
    "series": str,
    "shard_leaves": int,
}
_ASSET: Shape = {"decimals": int, "limit": str, "symbol": str}
_ROOT: Shape = {"balances": list, "hash": str}


@dataclass(frozen=True)
class Commitment:
    """A `commitment.json` whose form is right, and whose commitment is that of what stands in it.

    Attributes:
        report: What the tree is of.
        leaf_count: How many leaves it has.
        shard_leaves: How many of them stand in one file, but for the last.
        limits: What no leaf exceeds, asset by asset.
        root: The top.
        commitment: 32 bytes.
    """

    report: Report
    leaf_count: int
    shard_leaves: int
    limits: tuple[int, ...]
    root: Node
    commitment: bytes


def read(path: Path) -> Commitment:
    """Read a `commitment.json`.

    Raises:
        MalformedError: It is missing or not of the form that docs/formats/sum_tree.md describes, or its commitment is that of something else.
    """
    members = read_object(_content(path), _SHAPE, subject=FILE_NAME)
    if members["format"] != hashing.VERSION:
        raise MalformedError(
            f"{FILE_NAME} is of the format {strict_json.shown(members['format'])}, and this verifier knows {hashing.VERSION}"
        )
    assets = strict_json.assets(members["assets"], _ASSET, f"{FILE_NAME}: assets")
    report = Report(
        series=strict_json.text(members["series"], f"{FILE_NAME}: series"),
        as_of=strict_json.moment(members["as_of"], f"{FILE_NAME}: as_of"),
        revision=strict_json.revision(members["revision"], f"{FILE_NAME}: revision"),
        assets=tuple((entry["symbol"], entry["decimals"]) for entry in assets),
    )
    root = check_shape(members["root"], _ROOT, subject=f"{FILE_NAME}: root")
    balances = strict_json.array(root["balances"], f"{FILE_NAME}: root.balances", least=len(assets), most=len(assets))
    known = Commitment(
        report,
        strict_json.count(members["leaf_count"], f"{FILE_NAME}: leaf_count", least=2, most=hashing.MOST_LEAVES),
        strict_json.count(members["shard_leaves"], f"{FILE_NAME}: shard_leaves", least=1, most=hashing.MOST_LEAVES),
        tuple(strict_json.amount(entry["limit"], f"{FILE_NAME}: limit of {entry['symbol']}") for entry in assets),
        Node(
            strict_json.digest(root["hash"], f"{FILE_NAME}: root.hash"),
            tuple(strict_json.amount(value, f"{FILE_NAME}: root.balances[{at}]") for at, value in enumerate(balances)),
        ),
        strict_json.digest(members["commitment"], f"{FILE_NAME}: commitment"),
    )
    if known.shard_leaves & (known.shard_leaves - 1):
        raise MalformedError(f"{FILE_NAME}: shard_leaves is {known.shard_leaves:,}, and no power of two")
    if report.commitment(known.leaf_count, known.root.written) != known.commitment:
        raise MalformedError(f"{FILE_NAME}: its commitment is not that of its root, number of leaves, assets and report")
    return known


def in_manifest(manifest: Manifest) -> bytes:
    """Return the commitment that a manifest carries."""
    return strict_json.digest(manifest.values[KEY], f"the manifest's {KEY}")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise MalformedError(f"{path} cannot be read ({error.strerror})") from error
    if len(content) > _LARGEST_FILE:
        raise MalformedError(f"{path} is larger than any {FILE_NAME}")
    return content
