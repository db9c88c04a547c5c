"""The rows of a tree's Parquet files as bytes: each row is its hash followed by its balances, as its parent's hash takes them.

A row group is read in pieces, and Arrow's columns become rows by strided copies of 8 bytes: per row and asset that is some nanoseconds, where a
Python integer would take a hundred times as long. numpy could do the same, and would be one more thing that whoever verifies has to trust.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay_verify.findings import MalformedError
from assay_verify.sum_tree.hashing import AMOUNT_BYTES, AMOUNT_LIMIT, HASH_BYTES

_WORD = 8
_PIECE_BYTES, _MOST_ROWS = 8 << 20, 8192
_BUFFER = 1 << 20
_HASH_TYPES = (pa.binary(), pa.large_binary(), pa.binary(HASH_BYTES))
_AMOUNT = pa.decimal128(38, 0)


def row_bytes(assets: int) -> int:
    """Return how long a row is."""
    return HASH_BYTES + AMOUNT_BYTES * assets


def piece_rows(assets: int) -> int:
    """Return how many rows are worked on at a time: an even number, so that no pair is torn apart."""
    return max(2, min(_MOST_ROWS, _PIECE_BYTES // row_bytes(assets)) // 2 * 2)


class Place(NamedTuple):
    """The nodes of one level in one file.

    Attributes:
        level: 0 for leaves.
        first: Position of the first one.
        size: How many there are.
    """

    level: int
    first: int
    size: int


class NodeFile:
    """A file of nodes, its columns checked.

    Args:
        path: The file.
        name: What to call it in errors.
        assets: Symbols, in order.

    Raises:
        MalformedError: It is missing, is no Parquet file, or its columns are others.
    """

    def __init__(self, path: Path, name: str, assets: tuple[str, ...]) -> None:
        self._name, self._assets = name, assets
        try:
            # Pages are read as they are needed; otherwise whole columns of a row group would be in memory.
            self._file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
        except (OSError, pa.ArrowException) as error:
            raise self._malformed(f"cannot be read as Parquet ({str(error).splitlines()[0]})") from error
        found = [(item.name, item.type) for item in self._file.schema_arrow]
        expected = [("level", pa.int32()), ("position", pa.int64()), ("hash", pa.binary()), *((symbol, _AMOUNT) for symbol in assets)]
        alike = [(name, pa.binary()) if name == "hash" and kind in _HASH_TYPES else (name, kind) for name, kind in found]
        if alike != expected:
            odd = next((f"{name}: {kind}" for name, kind in alike if (name, kind) not in expected), "a column missing or out of order")
            raise self._malformed(f"does not have the columns level, position, hash and one amount for each asset ({odd[:80]})")

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return int(self._file.metadata.num_rows)

    def levels(self, places: Sequence[Place], skip: int = 0, limits: tuple[int, ...] | None = None) -> NodeRows:
        """Return the rows of levels that follow each other in the file.

        Args:
            places: Which.
            skip: Rows of other levels before them.
            limits: What no balance exceeds, asset by asset.
        """
        return NodeRows(self._pieces(places, skip, limits), row_bytes(len(self._assets)))

    def _pieces(self, places: Sequence[Place], skip: int, limits: tuple[int, ...] | None) -> Iterator[bytes]:
        batches = self._batches(skip, sum(place.size for place in places))
        batch = next(batches, None)
        for place in places:
            at, end = place.first, place.first + place.size
            while at < end:
                if batch is None:
                    raise self._malformed(f"ends before position {at:,} of level {place.level}")
                piece = batch.slice(0, end - at)
                self._check_places(piece, place.level, at)
                yield self._as_rows(piece, at, limits)
                at += piece.num_rows
                batch = batch.slice(piece.num_rows) if piece.num_rows < batch.num_rows else next(batches, None)

    def _batches(self, skip: int, count: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows after the first `skip` ones, from the row groups that hold them."""
        groups: list[int] = []
        for at in range(self._file.num_row_groups):
            held = self._file.metadata.row_group(at).num_rows
            if not groups and skip >= held:
                skip -= held
                continue
            groups.append(at)
        try:
            for batch in self._file.iter_batches(batch_size=piece_rows(len(self._assets)), row_groups=groups, use_threads=False):
                if skip >= batch.num_rows:
                    skip -= batch.num_rows
                    continue
                wanted = batch.slice(skip, count)
                skip, count = 0, count - wanted.num_rows
                yield wanted
                if not count:
                    return
        except (OSError, pa.ArrowException) as error:
            raise self._malformed(f"is damaged ({str(error).splitlines()[0]})") from error

    def _check_places(self, batch: pa.RecordBatch, level: int, first: int) -> None:
        for column in batch.columns:
            if column.null_count:
                raise self._malformed("has an empty cell")
        end = first + batch.num_rows
        levels, positions = _words(batch.column(0), 4), _words(batch.column(1), _WORD)
        if bytes(levels) != array("i", [level]).tobytes() * batch.num_rows:
            raise self._malformed(f"has a row of another level among those of level {level}, from position {first:,}")
        if bytes(positions) != array("q", range(first, end)).tobytes():
            raise self._malformed(f"does not hold the positions {first:,} to {end - 1:,} of level {level} in order, each once")

    def _as_rows(self, batch: pa.RecordBatch, first: int, limits: tuple[int, ...] | None) -> bytes:
        count = batch.num_rows
        rows = bytearray(count * row_bytes(len(self._assets)))
        words = memoryview(rows).cast("Q")
        step = row_bytes(len(self._assets)) // _WORD
        hashes = self._hashes(batch.column(2)).cast("Q")
        for word in range(HASH_BYTES // _WORD):
            words[word::step] = hashes[word :: HASH_BYTES // _WORD]
        for at, symbol in enumerate(self._assets):
            column = batch.column(3 + at)
            self._check_amounts(column, symbol, first, None if limits is None else limits[at])
            # Arrow's are little-endian. Turned round as one, each is big-endian, and the last is first.
            turned = memoryview(bytes(_words(column, AMOUNT_BYTES))[::-1]).cast("Q")
            place = (HASH_BYTES + AMOUNT_BYTES * at) // _WORD
            words[place::step] = turned[-2::-2]
            words[place + 1 :: step] = turned[-1::-2]
        return bytes(rows)

    def _hashes(self, column: pa.Array) -> memoryview[int]:
        lengths = pc.min_max(pc.binary_length(column))
        if (lengths["min"].as_py(), lengths["max"].as_py()) != (HASH_BYTES, HASH_BYTES):
            raise self._malformed("has a hash that is not 32 bytes long")
        # Offsets and empty cells are gone that way, so that one hash follows the other.
        return _words(column.cast(pa.binary(HASH_BYTES)), HASH_BYTES)

    def _check_amounts(self, column: pa.Array, symbol: str, first: int, limit: int | None) -> None:
        bounds = pc.min_max(column)
        least, most = int(bounds["min"].as_py()), int(bounds["max"].as_py())
        if least < 0 or most >= AMOUNT_LIMIT:
            raise self._malformed(f"has an amount of {symbol[:40]!r} below zero or of more than 38 digits, after position {first:,}")
        if limit is not None and most > limit:
            raise self._malformed(f"has a leaf with more {symbol[:40]!r} than its limit, after position {first:,}")

    def _malformed(self, problem: str) -> MalformedError:
        return MalformedError(f"{self._name} {problem}")


class NodeRows:
    """Rows, taken from the left as many at a time as are wanted.

    Args:
        pieces: Rows, any number at a time.
        row: Length of a row.
    """

    def __init__(self, pieces: Iterator[bytes], row: int) -> None:
        self._pieces, self._row = pieces, row
        self._left = b""

    def take(self, rows: int) -> bytes:
        """Return the next rows, fewer at the end."""
        wanted = rows * self._row
        parts, held = [self._left], len(self._left)
        while held < wanted and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            held += len(piece)
        joined = parts[0] if len(parts) == 1 else b"".join(parts)
        self._left = joined[wanted:]
        return joined[:wanted]


def _words(column: Any, width: int) -> memoryview[int]:
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]
