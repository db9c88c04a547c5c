"""The canonical liabilities as shards: Parquet files of ascending, disjoint ranges of the user key, each made on its own.

First every raw file is read once, and its rows go to the shards that their keys fall into; then every shard is sorted. Both steps
leave whole files or none, and what is there of the same extract is not made again, so that a task which was killed goes on where it was.
User keys are hashes, and spread evenly over the shards; a shard without a user has no file.
"""
# ruff: noqa: S608 - statements are put together from this module's own; paths and keys are parameters.

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from pyarrow import ArrowInvalid

from assay.config import Settings
from assay.errors import ComputationError, EvidenceError, LedgerError
from assay.lake import new_folder, private_folder, replacing_file, sha256_of
from assay.liabilities import rows
from assay.liabilities.disk import sweep

ROWS_A_SHARD = 1 << 24
"""As many as sort in a few GB of memory."""

_FOLDER = "liabilities"
_INDEX = "shards.json"
_KEYED = "keyed"
_PLAN = "plan.txt"
_VERSION = "rounding"  # of the columns below; what another version of this program made is not gone on with
_HMAC_BLOCK = 64  # bytes; SHA-256's block, FIPS 198-1

# HMAC (RFC 2104): H(key ^ opad || H(key ^ ipad || message)). Once a user, because three hashes a row would take longer than all the rest.
_KEYS = """
select user_id, sha256(
    $prefix::blob || unhex(sha256($outer_pad::blob || unhex(sha256($inner_pad::blob || encode(user_id))))) || encode(user_id)
) as user_key,
from (select distinct user_id from read_parquet($raw))
"""
_KEY_ROWS = f"""
copy (
    select user_key, account_type, asset, decimals, amount, rounding,
        cast(concat('0x', user_key[:8]) as ubigint) * $shards::ubigint >> 32 as shard,
    from rows join ({_KEYS}) using (user_id)
) to $folder (format parquet, partition_by (shard), compression zstd)
"""
_COUNTS = "select count(*), count(amount) from read_parquet($files, hive_partitioning = false)"
_SORT_ROWS = """
copy (
    from read_parquet($keyed, hive_partitioning = false) order by user_key, account_type, asset
) to $path (format parquet, compression zstd)
"""
# Equal rows have equal hashes; whether different ones have too, the next statement tells, which takes ten times as long.
_DISTINCT = "select count(distinct hash(user_key, account_type, asset)) from read_parquet($path)"
_DUPLICATED = """
select user_key, account_type, asset, count(*) from read_parquet($path)
group by all having count(*) > 1 order by all limit 1
"""
_USER = f"select user_id from ({_KEYS}) where user_key = $user_key"


@dataclass(frozen=True, kw_only=True)
class UserKeys:
    """What user ids become user keys with.

    Attributes:
        prefix: What stands before the blind; see docs/formats/sum_tree.md.
        report_key: Key of the blinds.
    """

    prefix: bytes
    report_key: bytes

    def parameters(self) -> dict[str, bytes]:
        """Return the parameters of the statement that hashes user ids."""
        pads = {"inner_pad": 0x36, "outer_pad": 0x5C}
        key = self.report_key.ljust(_HMAC_BLOCK, b"\0")
        return {"prefix": self.prefix} | {name: bytes(byte ^ pad for byte in key) for name, pad in pads.items()}


def liability_files(folder: Path) -> list[Path]:
    """Return the files of a snapshot's liabilities, in ascending order of the user keys in them.

    Args:
        folder: Of the snapshot.

    Raises:
        EvidenceError: The snapshot was not finished, or a file is missing, was added, or has another size.
    """
    try:
        stated = {name: int(shard["size"]) for name, shard in json.loads(_index(folder)).items()}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise _unreadable(folder, error) from error
    there = {path.name: path.stat().st_size for path in (folder / _FOLDER).glob("*.parquet")}
    if wrong := sorted(name for name in stated.keys() | there.keys() if stated.get(name) != there.get(name)):
        problem = "is missing" if wrong[0] not in there else "does not belong there" if wrong[0] not in stated else "has another size"
        raise EvidenceError(
            f"the shard {problem}",
            subject=str(folder / _FOLDER / wrong[0]),
            next_step="bring it back from a backup, or run liability_snapshot again",
        )
    return [folder / _FOLDER / name for name in sorted(stated)]


def shards_digest(folder: Path) -> str:
    """Return what stands for the content of a snapshot's liabilities: the SHA-256 of its list of shards, which has that of every shard.

    Args:
        folder: Of the snapshot.

    Raises:
        EvidenceError: The snapshot was not finished.
    """
    return hashlib.sha256(_index(folder)).hexdigest()


def write_shards(
    connection: duckdb.DuckDBPyConnection, settings: Settings, raw: Sequence[Path], extract: str, keys: UserKeys, folder: Path
) -> list[Path]:
    """Write the canonical liabilities of raw balances; returns their files.

    Args:
        connection: A session.
        settings: Names the assets, the account types in scope and the number of shards.
        raw: The raw files, each row in one of them.
        extract: Stands for their content.
        keys: For the user keys.
        folder: Receives `liabilities/` and what is needed on the way there.

    Raises:
        LedgerError: A row is duplicated, or of an unknown asset or account type.
        AmountError: A row is not an exact amount of at most 38 digits.
    """
    count = settings.ledger.shards or -(-sum(pq.read_metadata(path).num_rows for path in raw) // ROWS_A_SHARD)
    (folder / _INDEX).unlink(missing_ok=True)
    _begin(folder, [_VERSION, extract, keys, settings.assets, settings.ledger.account_types, settings.ledger.finer_than_unit, count])
    for path in raw:
        _key_rows(connection, settings, path, keys, count, folder / _KEYED / path.stem)
    made = []
    for number in range(count):
        keyed = sorted((folder / _KEYED).glob(f"*/shard={number}/*.parquet"))
        if keyed:
            made.append(_sort(connection, settings, raw, keys, keyed, folder / _FOLDER / f"{number:05d}.parquet"))
    return made


def finish(folder: Path, files: Sequence[Path]) -> None:
    """Say that these files are all shards, and remove what was needed on the way."""
    with replacing_file(folder / _INDEX) as path:
        path.write_text(
            json.dumps({file.name: {"size": file.stat().st_size, "sha256": sha256_of(file)} for file in files}, indent=1) + "\n"
        )
    shutil.rmtree(folder / _KEYED, ignore_errors=True)


def _index(folder: Path) -> bytes:
    """Return the list of shards as it stands."""
    try:
        return (folder / _INDEX).read_bytes()
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> EvidenceError:
    return EvidenceError(
        f"its list of shards cannot be read ({type(error).__name__})", subject=str(folder), next_step="run liability_snapshot again"
    )


def _begin(folder: Path, content: list[object]) -> None:
    """Leave what an earlier attempt made of the same, and nothing else."""
    plan = hashlib.sha256(repr(content).encode()).hexdigest()
    noted = folder / _PLAN
    if not noted.exists() or noted.read_text() != plan:
        for name in (_KEYED, _FOLDER):
            shutil.rmtree(folder / name, ignore_errors=True)
        with replacing_file(noted) as path:
            path.write_text(plan)
    for name in (_KEYED, _FOLDER):
        sweep(private_folder(folder / name))


def _key_rows(connection: duckdb.DuckDBPyConnection, settings: Settings, raw: Path, keys: UserKeys, shards: int, folder: Path) -> None:
    """Send the rows of one raw file to their shards."""
    if folder.exists():
        return
    rows.register(connection, settings, raw)
    with new_folder(folder) as aside:
        connection.execute(_KEY_ROWS, {**keys.parameters(), "raw": str(raw), "shards": shards, "folder": str(aside)})
        files = list(map(str, aside.glob("*/*.parquet")))
        counts = connection.execute(_COUNTS, {"files": files}).fetchone() if files else (0, 0)
        total = pq.read_metadata(raw).num_rows
        if counts != (total, total):
            rows.check(connection, settings)
            raise ComputationError(
                f"{total} rows became {counts}", subject=str(raw), next_step="report this as a defect; nothing was published"
            )


def _sort(
    connection: duckdb.DuckDBPyConnection, settings: Settings, raw: Sequence[Path], keys: UserKeys, keyed: Sequence[Path], path: Path
) -> Path:
    """Write one shard, unless it is there and whole."""
    if _rows_of(path) == sum(pq.read_metadata(part).num_rows for part in keyed):
        return path
    with replacing_file(path) as temporary:
        connection.execute(_SORT_ROWS, {"keyed": list(map(str, keyed)), "path": str(temporary)})
        if duplicated := _duplicated(connection, temporary):
            user_key, account_type, asset, copies = duplicated
            user = connection.execute(_USER, {**keys.parameters(), "raw": list(map(str, raw)), "user_key": user_key}).fetchone()
            raise LedgerError(
                f"the row is there {copies} times",
                subject=rows.row_subject(settings, user[0] if user else None, account_type, asset),
                next_step="remove the duplicate from the ledger's view",
            )
    return path


def _duplicated(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[Any, ...] | None:
    """Return the first key that several rows of a shard have, and how many."""
    if connection.execute(_DISTINCT, {"path": str(path)}).fetchone() == (pq.read_metadata(path).num_rows,):
        return None
    return connection.execute(_DUPLICATED, {"path": str(path)}).fetchone()


def _rows_of(path: Path) -> int:
    """How many rows a whole file has; -1 for none."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, ArrowInvalid):
        return -1
