"""The private index of a tree: which leaves are whose. Whoever has it can trace every user of the report.

One row a leaf, sorted by user key and part; a file holds a fixed number of users, and `index.json`, written last, says which tree it belongs to,
which secret it was made with and with which key each file begins.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from bisect import bisect_right
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.commitments.arrays import Bytes, Counts
from assay.commitments.derivation import Keys
from assay.commitments.format import HASH_BYTES
from assay.errors import CommitmentError
from assay.lake import replacing_file

INDEX_USERS = 1 << 17
"""Users of one file."""

FORMAT = "assay-sum-tree-index-v2"
INDEX_FILE = "index.json"

_CHECK_BYTES = 8  # tell two secrets apart, and say nothing of either
_GROUP_LEAVES = 1 << 13  # decoded to find one user
_SCHEMA = pa.schema(
    [
        pa.field("user_key", pa.binary(HASH_BYTES), nullable=False),
        pa.field("part", pa.int32(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
    ]
)
_PATTERN = "[0-9]" * 5 + "*.parquet"


class IndexWriter:
    """Writes one file of the index; a context manager.

    Args:
        folder: Of the index.
        number: Of the file.
    """

    def __init__(self, folder: Path, number: int) -> None:
        path = folder / f"{number:05}.parquet"
        self._writer: Any = pq.ParquetWriter(
            path,
            _SCHEMA,
            compression="zstd",
            use_dictionary=False,
            column_encoding={"user_key": "PLAIN", "part": "DELTA_BINARY_PACKED", "position": "PLAIN"},
            write_statistics=["user_key"],
            store_schema=False,
        )
        self._waiting: list[pa.RecordBatch] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._write(0)
        finally:
            self._writer.close()

    def write(self, keys: Bytes, parts: Counts, positions: Counts) -> None:
        """Append leaves."""
        columns = [
            pa.Array.from_buffers(_SCHEMA.field(0).type, len(keys), [None, pa.py_buffer(np.ascontiguousarray(keys))]),
            pa.array(parts.astype(np.int32)),
            pa.array(positions),
        ]
        self._waiting.append(pa.RecordBatch.from_arrays(columns, schema=_SCHEMA))
        self._write(_GROUP_LEAVES)

    def _write(self, kept: int) -> None:
        # Groups are of one size, however the leaves came: the same bytes every time.
        table = pa.Table.from_batches(self._waiting, schema=_SCHEMA)
        whole = table.num_rows if kept == 0 else table.num_rows // kept * kept
        if whole:
            self._writer.write_table(table[:whole], row_group_size=_GROUP_LEAVES)
        self._waiting = table[whole:].combine_chunks().to_batches()


def finish_index(folder: Path, commitment: bytes, keys: Keys) -> None:
    """Say which tree and which secret an index belongs to; it is whole then."""
    firsts = []
    for path in sorted(folder.glob(_PATTERN)):
        group = pq.ParquetFile(path).metadata.row_group(0)
        firsts.append(group.column(0).statistics.min.hex())
    with replacing_file(folder / INDEX_FILE) as path:
        document = {"format": FORMAT, "commitment": commitment.hex(), "key_check": _key_check(keys), "first_keys": firsts}
        path.write_text(json.dumps(document, indent=1) + "\n")


def _key_check(keys: Keys) -> str:
    return hmac.digest(keys.key("check"), b"check", hashlib.sha256)[:_CHECK_BYTES].hex()


class Index:
    """Finds the leaves of users.

    Args:
        folder: Of the index.

    Attributes:
        commitment: Of the tree that it belongs to.

    Raises:
        CommitmentError: The index is not whole, or of another version of the format.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            document = json.loads((folder / INDEX_FILE).read_text())
            if (found := str(document["format"])) != FORMAT:
                raise CommitmentError(
                    f"it is of the format {found!r}, and this version reads {FORMAT}",
                    subject=f"index {folder.name}",
                    next_step="use the version of Assay that the report was made with",
                )
            self.commitment = bytes.fromhex(document["commitment"])
            self._key_check = str(document["key_check"])
            self._firsts = [bytes.fromhex(key) for key in document["first_keys"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _broken(f"it is not whole: {error}", folder) from error
        self._files: dict[int, tuple[pq.ParquetFile, list[bytes]]] = {}

    def check_keys(self, keys: Keys) -> None:
        """Hold a secret against the one that the index was made with.

        Raises:
            CommitmentError: It is another one: its user keys would not be found.
        """
        if not hmac.compare_digest(self._key_check, _key_check(keys)):
            raise CommitmentError(
                "the secret is not the one that the report's user keys were made with",
                subject=f"index {self._folder.name}",
                next_step="name the Connection that was configured then",
            )

    def positions(self, user_key: bytes) -> list[int]:
        """Return the positions of a user's leaves in the order of the parts; none, if the user is not in the tree.

        Raises:
            CommitmentError: The index is damaged.
        """
        number = bisect_right(self._firsts, user_key) - 1
        if number < 0:
            return []
        try:
            file, firsts = self._file(number)
            # The user's leaves may begin at the end of one group and go on in the next ones.
            last = bisect_right(firsts, user_key) - 1
            first = last
            while first > 0 and firsts[first] == user_key:
                first -= 1
            table = file.read_row_groups(list(range(max(first, 0), last + 1)), use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise _broken(f"it cannot be read: {error}", self._folder) from error
        own = table.filter(pc.equal(table["user_key"], pa.scalar(user_key, _SCHEMA.field(0).type)))
        if own["part"].to_pylist() != list(range(own.num_rows)):
            raise _broken("the parts of a user are not numbered from 0 on", self._folder)
        found: list[int] = own["position"].to_pylist()
        return found

    def _file(self, number: int) -> tuple[pq.ParquetFile, list[bytes]]:
        if number not in self._files:
            file = pq.ParquetFile(self._folder / f"{number:05}.parquet")
            groups = range(file.metadata.num_row_groups)
            self._files = {number: (file, [file.metadata.row_group(group).column(0).statistics.min for group in groups])}
        return self._files[number]

    def files_of(self, first_byte: int) -> list[Path]:
        """Return the files that may have users whose keys begin with a byte."""
        first = max(bisect_right(self._firsts, bytes([first_byte])) - 1, 0)
        last = max(bisect_right(self._firsts, bytes([first_byte]) + b"\xff" * HASH_BYTES), 1)
        return [self._folder / f"{number:05}.parquet" for number in range(first, last)]


def _broken(problem: str, folder: Path) -> CommitmentError:
    return CommitmentError(problem, subject=f"index {folder.name}", next_step="build the tree again from the same liabilities and secret")
