"""Proofs of all users at once, for a website that hands them out: one file of JSON lines for each beginning of the user key.

A line is the same document that `Prover.prove` returns. The tree is unpacked and checked once, so a proof costs writing it down. A shard that is there is
not made again, so an export that was killed goes on where it was.
"""

from __future__ import annotations

import codecs
import csv
import fcntl
import hashlib
import hmac
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.commitments import derivation
from assay.commitments.derivation import Keys
from assay.commitments.format import (
    AMOUNT_BYTES,
    COMMITMENT_FILE,
    HASH_BYTES,
    PROOF_FORMAT,
    Commitment,
    user_key_prefix,
)
from assay.commitments.index import Index
from assay.commitments.unpacked import UnpackedTree, unpack_shard
from assay.commitments.workers import workers
from assay.csv_file import SAVE_AS, other_encoding, other_separator
from assay.errors import CommitmentError
from assay.lake import format_as_of, private_folder, replacing_file
from assay.liabilities.disk import is_full
from assay.warehouse.session import quote_text, read_parquet, session

SUMMARY_FILE = "export.json"
"""Says first whose proofs the folder holds, and in the end how many: an export whose summary has the numbers is whole."""

_SHARDS = 256
_SPOOL = "export-"
_LONGEST_HEADER = 1 << 16
_IDS = 1 << 16  # user ids at a time
_SHOWN_LEVELS = 8  # nodes from this level on are asked for again and again
_IDS_SCHEMA = pa.schema([("user_key", pa.binary(HASH_BYTES)), ("blind", pa.binary(HASH_BYTES))])


@dataclass(frozen=True, kw_only=True)
class Export:
    """What became of an export.

    Attributes:
        proofs: Proofs written.
        unknown: User ids that have no leaf in the tree: accounts that are out of scope, or opened later.
    """

    proofs: int
    unknown: int


def export(
    tree: Path, index: Path, users: Sequence[Path], folder: Path, *, secret: bytes, work: Path, memory_limit: str, processes: int = 2
) -> Export:
    """Write the proofs of users to `folder`: `00.ndjson.zst` … `ff.ndjson.zst`, by the first byte of the user key.

    Args:
        tree: Folder of the published tree.
        index: Folder of its private index.
        users: Parquet or CSV files with a column `user_id`, in no order and with repetitions; a raw ledger extract will do.
        folder: Private; receives the proofs.
        secret: The entity's long-lived secret.
        work: For the unpacked tree, some 1,600 bytes a user with 22 assets; what it holds is removed in the end.
        memory_limit: For finding the distinct user ids, in DuckDB's notation.
        processes: How many work at a time.

    Raises:
        CommitmentError: Tree, index and secret don't belong together, `folder` holds something else than these users' proofs out of this tree, a file
            is damaged or the disk is full.
    """
    commitment = Commitment.read(tree / COMMITMENT_FILE)
    opened = Index(index)
    if opened.commitment != commitment.commitment:
        raise CommitmentError(
            "the index is that of another tree", subject=str(tree), next_step="name the index that was made with this tree"
        )
    keys = Keys(secret, commitment.report)
    opened.check_keys(keys)
    try:
        _check_claim(folder, {"commitment": commitment.commitment.hex()})
        private_folder(folder)
        with _spool_folder(work) as spool:
            claim = {
                "commitment": commitment.commitment.hex(),
                "users": _spool_ids(keys, users, private_folder(spool / "ids"), memory_limit),
            }
            _check_claim(folder, claim)
            _summarise(folder, claim)
            with workers(processes, _load) as do:
                do(unpack_shard, [(tree, shard, private_folder(spool / "tree")) for shard in range(commitment.shard_count)])
                counts = do(_write_shard, [(shard, keys, tree, index, spool, folder) for shard in range(_SHARDS)])
        done = Export(proofs=sum(proofs for proofs, _ in counts), unknown=sum(unknown for _, unknown in counts))
        _summarise(folder, {**claim, "proofs": done.proofs, "unknown": done.unknown})
    except duckdb.Error as error:
        # Its words may quote a row, and so a user's id.
        raise CommitmentError(
            f"the user ids could not be read ({type(error).__name__})",
            subject=", ".join(path.name for path in users),
            next_step="make room on the disk, and run it again"
            if is_full(str(error))
            else "check that they are whole Parquet or CSV files in UTF-8, with as many cells in each row as the header has",
        ) from None
    except (OSError, pa.ArrowException) as error:
        step = "make room on the disk, and run it again" if is_full(str(error)) else "see to what it says, and run it again"
        raise CommitmentError(f"a file could not be written or read: {error}", subject=str(folder), next_step=step) from error
    return done


def _load() -> None:
    """Have this module in a process."""


@contextmanager
def _spool_folder(work: Path) -> Iterator[Path]:
    """Give a private folder for the length of an export; those of exports that were killed are removed, those of others at work are not."""
    work.mkdir(parents=True, exist_ok=True)
    # Whoever makes or removes folders holds the lock of `work`, so that none is removed between being made and being locked.
    with _locked(work, fcntl.LOCK_EX):
        for left in work.glob(f"{_SPOOL}*"):
            try:
                with _locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    shutil.rmtree(left, ignore_errors=True)
            except OSError:
                continue
        folder = Path(tempfile.mkdtemp(dir=work, prefix=_SPOOL))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold a folder's lock, which ends with the process if not before."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _check_claim(folder: Path, claim: dict[str, str]) -> None:
    """Refuse a folder that holds anything else than the proofs of this tree's users."""
    path = folder / SUMMARY_FILE
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise CommitmentError("it is not empty", subject=str(folder), next_step="name an empty folder, or one that is not there yet")
        return
    try:
        found = json.loads(path.read_text())
        other = [name for name, value in claim.items() if found[name] != value]
    except (ValueError, KeyError, TypeError) as error:
        raise CommitmentError(f"{SUMMARY_FILE} is damaged", subject=str(folder), next_step="name an empty folder") from error
    if other:
        whose = {"commitment": "of another tree", "users": "of another list of users"}[other[0]]
        raise CommitmentError(f"it holds the proofs {whose}", subject=str(folder), next_step="name an empty folder")


def _summarise(folder: Path, document: dict[str, Any]) -> None:
    with replacing_file(folder / SUMMARY_FILE) as path:
        path.write_text(json.dumps(document, indent=1) + "\n")


def _spool_ids(keys: Keys, users: Sequence[Path], folder: Path, memory_limit: str) -> str:
    """Write user key and blind of each user to the file of its shard; returns a digest of who they are, whatever their order."""
    count, total = 0, 0  # the sum of hashes is the same in any order
    blind_key, prefix = keys.blind_key(), user_key_prefix(keys.report.series, keys.report.as_of)
    with session(folder.parent, memory_limit=memory_limit) as connection:
        files = " union all ".join(f"select user_id::varchar as user_id from {_reading(path)}" for path in users)  # noqa: S608 - quoted
        found = connection.execute(f"select distinct user_id from ({files}) where user_id is not null")  # noqa: S608 - as above
        writers = [pq.ParquetWriter(folder / f"{shard:02x}.parquet", _IDS_SCHEMA) for shard in range(_SHARDS)]
        try:
            for batch in found.to_arrow_reader(_IDS):
                rows: list[list[tuple[bytes, bytes]]] = [[] for _ in range(_SHARDS)]
                for user_id in batch.column(0).to_pylist():
                    text = user_id.encode()
                    blind = hmac.digest(blind_key, text, hashlib.sha256)
                    key = hashlib.sha256(prefix + blind + text).digest()
                    rows[key[0]].append((key, blind))
                    total += int.from_bytes(key, "big")
                count += batch.num_rows
                for shard, own in enumerate(rows):
                    if own:
                        columns = [pa.array(column, field.type) for column, field in zip(zip(*own, strict=True), _IDS_SCHEMA, strict=True)]
                        writers[shard].write_table(pa.Table.from_arrays(columns, schema=_IDS_SCHEMA))
        finally:
            for writer in writers:
                writer.close()
    return hashlib.sha256(f"{count} {total:x}".encode()).hexdigest()


def _reading(path: Path) -> str:
    if path.suffix == ".parquet":
        _check_columns(path, pq.read_schema(path).names)
        return read_parquet(path)
    # Nothing is guessed from the rows: an id may look like a number, a date or a quoted text.
    columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in _csv_columns(path))
    dialect = "auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', strict_mode = true"
    return f"read_csv({quote_text(str(path))}, {dialect}, columns = {{{columns}}})"


def _csv_columns(path: Path) -> list[str]:
    with pa.input_stream(str(path), compression="detect") as stream:
        beginning = stream.read(_LONGEST_HEADER)
    names, problem = [], other_encoding(beginning)
    try:
        if not problem:
            # What is cut in two at the end is left for later.
            text = codecs.getincrementaldecoder("utf-8-sig")().decode(beginning)
            names = next(csv.reader(io.StringIO(text, newline=""), strict=True), [])
    except UnicodeDecodeError as error:
        line = beginning.count(b"\n", 0, error.start) + 1
        problem = f"line {line} is not UTF-8"
    except csv.Error as error:
        problem = f"its first line is not one of a CSV file: {error}"
    if problem := problem or other_separator(names):
        raise CommitmentError(problem, subject=path.name, next_step=SAVE_AS)
    _check_columns(path, names)
    return names


def _check_columns(path: Path, names: list[str]) -> None:
    if names.count("user_id") != 1:
        raise CommitmentError("it has no column user_id", subject=path.name, next_step="name a Parquet or CSV file that has it once")


def _write_shard(shard: int, keys: Keys, tree: Path, index: Path, spool: Path, folder: Path) -> tuple[int, int]:
    """Write the proofs of one shard; returns the number of proofs, and of users without one."""
    wanted = pq.read_table(spool / "ids" / f"{shard:02x}.parquet").sort_by("user_key")
    owned = _owned(Index(index), shard)
    known = pc.is_in(wanted["user_key"], value_set=owned["user_key"])
    unknown = wanted.num_rows - (pc.sum(known).as_py() or 0)
    wanted = wanted.filter(known)
    path = folder / f"{shard:02x}.ndjson.zst"
    if not path.exists():
        proofs = _Proofs(keys, Commitment.read(tree / COMMITMENT_FILE), tree, spool / "tree")
        leaves = _positions(owned)
        with replacing_file(path) as temporary, pa.output_stream(str(temporary), compression="zstd") as file:
            for key, blind in zip(wanted["user_key"].to_pylist(), wanted["blind"].to_pylist(), strict=True):
                file.write(proofs.line(key, blind, leaves[key]))
    return wanted.num_rows, unknown


def _owned(index: Index, shard: int) -> pa.Table:
    """The leaves of the users whose keys begin with this byte."""
    first, last = (pa.scalar(bytes([shard]) + bytes([end]) * (HASH_BYTES - 1), pa.binary(HASH_BYTES)) for end in (0, 255))
    field = pc.field("user_key").cast(pa.binary())
    within = (field >= first.cast(pa.binary())) & (field <= last.cast(pa.binary()))
    tables = [pq.read_table(path, use_threads=False).filter(within) for path in index.files_of(shard)]
    return pa.concat_tables(tables)


def _positions(owned: pa.Table) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for key, position in zip(owned["user_key"].to_pylist(), owned["position"].to_pylist(), strict=True):
        found.setdefault(key, []).append(position)
    return found


class _Proofs:
    """Writes proofs of one tree down."""

    def __init__(self, keys: Keys, commitment: Commitment, tree: Path, unpacked: Path) -> None:
        self._tree = UnpackedTree(commitment, tree, unpacked)
        self._levels = (commitment.leaf_count - 1).bit_length()
        self._nonce_key = keys.key("nonce")
        self._prefix = commitment.report.leaf_prefix
        document: dict[str, Any] = {
            "format": PROOF_FORMAT,
            "series": commitment.report.series,
            "as_of": format_as_of(commitment.report.as_of),
            "revision": commitment.report.revision,
            "assets": [{"symbol": symbol, "decimals": decimals} for symbol, decimals in commitment.report.assets],
            "leaf_count": commitment.leaf_count,
            "root": {"hash": commitment.root_hash.hex(), "balances": [str(total) for total in commitment.totals]},
            "commitment": commitment.commitment.hex(),
        }
        self._head = json.dumps(document)[:-1]
        self._shown: Callable[[int, int], str] = lru_cache(maxsize=1 << 16)(self._node)

    def line(self, key: bytes, blind: bytes, positions: list[int]) -> bytes:
        """Return the proof of a user, and a line feed."""
        leaves = ", ".join(self._leaf(key, part, len(positions), position) for part, position in enumerate(positions))
        return f'{self._head}, "user_key": "{key.hex()}", "blind": "{blind.hex()}", "leaves": [{leaves}]}}\n'.encode()

    def _leaf(self, key: bytes, part: int, parts: int, position: int) -> str:
        row = self._tree.row(0, position) or b""
        nonce = derivation.nonce(self._nonce_key, key, part)
        head = key + part.to_bytes(4, "big") + parts.to_bytes(4, "big") + nonce
        if hashlib.sha256(self._prefix + head + row[HASH_BYTES:]).digest() != row[:HASH_BYTES]:
            raise CommitmentError(
                "its leaf is not at its place",
                subject=f"user_key {key.hex()}, leaf {position}",
                next_step="check that the secret is the report's",
            )
        path = ", ".join(
            (self._node if level < _SHOWN_LEVELS else self._shown)(level, (position >> level) ^ 1) for level in range(self._levels)
        )
        return f'{{"part": {part}, "position": {position}, "nonce": "{nonce.hex()}", "balances": [{_amounts(row)}], "path": [{path}]}}'

    def _node(self, level: int, position: int) -> str:
        row = self._tree.row(level, position)
        return "null" if row is None else f'{{"hash": "{row[:HASH_BYTES].hex()}", "balances": [{_amounts(row)}]}}'


def _amounts(row: bytes) -> str:
    return ", ".join(f'"{int.from_bytes(row[at : at + AMOUNT_BYTES], "big")}"' for at in range(HASH_BYTES, len(row), AMOUNT_BYTES))
