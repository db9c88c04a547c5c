"""The byte format of the sum tree: what is hashed, and `commitment.json`. Written down in `docs/formats/sum_tree.md`.

Nothing here is secret and nothing is random; how users become leaves is told elsewhere (`splitting.py`, `secrets.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import rfc8785

from assay.errors import AssayError, CommitmentError
from assay.lake import format_as_of, parse_as_of, replacing_file

FORMAT = "assay-sum-tree-v1"
PROOF_FORMAT = "assay-inclusion-proof-v1"
COMMITMENT_FILE = "commitment.json"
TOP_FILE = "top.parquet"

HASH_BYTES = 32
AMOUNT_BYTES = 16
AMOUNT_LIMIT = 10**38
"""Amounts are below it, sums too: the widest exact integer that Parquet readers agree on."""

MAX_ASSETS = 1000
MAX_LEAVES = 1 << 40
MAX_SHARD_LEAVES = 1 << 30
MAX_PARTS = 4096
MIN_PARTS = 2
_MIN_CLASS = 16  # the number of leaves is m·2^e with m from 16 to 32

_CONTEXT, _LEAF, _NODE, _PADDING, _USER_KEY, _COMMITMENT = (bytes([number]) for number in range(6))
_HASH = re.compile(r"[0-9a-f]{64}")
_AMOUNT = re.compile(r"0|[1-9][0-9]{0,37}")
_RESERVED_COLUMNS = ("level", "position", "hash")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a tree is of.

    Attributes:
        series: The line of publications.
        as_of: The attested moment.
        revision: 1 for a first publication.
        assets: Symbol and decimals of each asset, sorted by symbol.
    """

    series: str
    as_of: datetime
    revision: int
    assets: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        symbols = [symbol for symbol, _ in self.assets]
        for problem, wrong in (
            ("it has no asset", not symbols),
            (f"it has more than {MAX_ASSETS} assets", len(symbols) > MAX_ASSETS),
            ("its assets are not sorted by the bytes of their symbols, or one is there twice", symbols != _sorted_once(symbols)),
            ("an asset has decimals outside 0 to 38", any(not 0 <= decimals <= 38 for _, decimals in self.assets)),  # noqa: PLR2004
            ("an asset has the name of a column of the tree", any(symbol.lower() in _RESERVED_COLUMNS or not symbol for symbol in symbols)),
            ("its revision is not a number from 1 on", not 1 <= self.revision < 1 << 32),
        ):
            if wrong:
                raise CommitmentError(problem, subject=f"report {self.series} {format_as_of(self.as_of)}", next_step="correct the assets")

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the assets, in the order of all balances."""
        return tuple(symbol for symbol, _ in self.assets)

    @cached_property
    def context(self) -> bytes:
        """What every hash of the tree binds: version, report and assets."""
        parts = [_CONTEXT, _text(FORMAT), _text(self.series), _text(format_as_of(self.as_of)), self.revision.to_bytes(4, "big")]
        parts.append(len(self.assets).to_bytes(2, "big"))
        parts += [_text(symbol) + bytes([decimals]) for symbol, decimals in self.assets]
        return hashlib.sha256(b"".join(parts)).digest()

    @property
    def leaf_prefix(self) -> bytes:
        """What stands before user key, part, parts, nonce and balances of a leaf."""
        return _LEAF + self.context

    def node_prefix(self, level: int) -> bytes:
        """Return what stands before the two children of a node."""
        return _NODE + self.context + bytes([level])

    def padding_hash(self, level: int) -> bytes:
        """Return the hash of a missing right child."""
        return hashlib.sha256(_PADDING + self.context + bytes([level])).digest()


def _sorted_once(symbols: Sequence[str]) -> list[str]:
    return sorted(set(symbols), key=str.encode)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def user_key_prefix(series: str, as_of: datetime) -> bytes:
    """Return what is hashed before blind and user id: the same for all users of a report."""
    return _USER_KEY + _text(FORMAT) + _text(series) + _text(format_as_of(as_of))


def user_key(series: str, as_of: datetime, blind: bytes, user_id: str) -> bytes:
    """Return the 32 bytes that stand for a user in one report."""
    return hashlib.sha256(user_key_prefix(series, as_of) + blind + user_id.encode()).digest()


def pack(balances: Sequence[int]) -> bytes:
    """Return balances as they are hashed."""
    return b"".join(balance.to_bytes(AMOUNT_BYTES, "big") for balance in balances)


def size_class(leaves: int) -> int:
    """Return the number of leaves, dummies included, of a tree for so many users' leaves: the smallest m·2^e with 16 ≤ m ≤ 32."""
    shift = max((leaves - 1).bit_length() - _MIN_CLASS.bit_length(), 0)
    return max(-(-leaves >> shift), _MIN_CLASS) << shift


def level_sizes(leaf_count: int) -> list[int]:
    """Return the number of nodes of each level, leaves first, the root's level last."""
    sizes = [leaf_count]
    while sizes[-1] > 1:
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """What `commitment.json` says.

    Attributes:
        report: What the tree is of.
        leaf_count: Leaves, dummies included.
        shard_leaves: Leaves of one file; a power of two.
        limits: Largest amount of each asset in one leaf.
        root_hash: Hash of the root.
        totals: Balances of the root.
    """

    report: Report
    leaf_count: int
    shard_leaves: int
    limits: tuple[int, ...]
    root_hash: bytes
    totals: tuple[int, ...]

    @property
    def commitment(self) -> bytes:
        """The one hash for all of it."""
        parts = (_COMMITMENT, self.report.context, self.leaf_count.to_bytes(8, "big"), self.root_hash, pack(self.totals))
        return hashlib.sha256(b"".join(parts)).digest()

    @property
    def shard_count(self) -> int:
        """Files of leaves."""
        return -(-self.leaf_count // self.shard_leaves)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a `commitment.json` that was written by `write`.

        Raises:
            CommitmentError: It cannot be read, is not of this format, or its commitment is not that of its contents.
        """
        try:
            document = json.loads(path.read_text())
            found = cls._of(document)
            stated = str(document["commitment"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError, AssayError) as error:
            raise _broken(f"it is not a commitment of the format {FORMAT}: {error}", path) from error
        if found.commitment.hex() != stated:
            raise _broken("the commitment that it states is not that of its contents", path)
        return found

    @classmethod
    def _of(cls, document: dict[str, Any]) -> Self:
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}")
        report = Report(
            series=document["series"],
            as_of=parse_as_of(document["as_of"]),
            revision=_whole(document["revision"]),
            assets=tuple((asset["symbol"], _whole(asset["decimals"])) for asset in document["assets"]),
        )
        root = document["root"]
        if len(root["balances"]) != len(report.assets) or not _HASH.fullmatch(root["hash"]):
            raise ValueError("root")
        found = cls(
            report=report,
            leaf_count=_whole(document["leaf_count"]),
            shard_leaves=_whole(document["shard_leaves"]),
            limits=tuple(_amount(asset["limit"]) for asset in document["assets"]),
            root_hash=bytes.fromhex(root["hash"]),
            totals=tuple(_amount(balance) for balance in root["balances"]),
        )
        if not (1 < found.leaf_count <= MAX_LEAVES and 1 < found.shard_leaves <= MAX_SHARD_LEAVES and found.shard_leaves.bit_count() == 1):
            raise ValueError("leaf_count or shard_leaves")
        return found

    def write(self, path: Path) -> None:
        """Write the file in canonical JSON (RFC 8785)."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "series": self.report.series,
            "as_of": format_as_of(self.report.as_of),
            "revision": self.report.revision,
            "assets": [
                {"symbol": symbol, "decimals": decimals, "limit": str(limit)}
                for (symbol, decimals), limit in zip(self.report.assets, self.limits, strict=True)
            ],
            "leaf_count": self.leaf_count,
            "shard_leaves": self.shard_leaves,
            "root": {"hash": self.root_hash.hex(), "balances": [str(total) for total in self.totals]},
            "commitment": self.commitment.hex(),
        }
        with replacing_file(path) as temporary:
            temporary.write_bytes(rfc8785.dumps(document))


def _whole(number: object) -> int:
    if type(number) is not int:
        raise ValueError(f"{number!r} is not a whole number")
    return number


def _amount(text: str) -> int:
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is not an amount")
    return int(text)


def _broken(problem: str, path: Path) -> CommitmentError:
    return CommitmentError(problem, subject=str(path), next_step="build the tree again, or take it from the publication again")
