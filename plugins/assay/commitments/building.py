"""Building a sum tree (`docs/formats/sum_tree.md`) and its private index from the liabilities of a report.

Users are read once (`reading.py`), how they are split is decided over all of them (`survey.py`), their leaves are spooled (`leaves.py`) and each file
of the tree is made by itself (`tree_files.py`). Memory depends on none of the numbers but that of leaves: 24 bytes each, for their
secret order. The same liabilities and the same secret give the same bytes, whatever the memory and however many processes.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from assay.commitments import amount_kernels, derivation
from assay.commitments.arrays import Counts
from assay.commitments.derivation import Keys
from assay.commitments.format import (
    AMOUNT_BYTES,
    COMMITMENT_FILE,
    HASH_BYTES,
    MAX_LEAVES,
    MAX_PARTS,
    MAX_SHARD_LEAVES,
    MIN_PARTS,
    Commitment,
    Report,
    size_class,
)
from assay.commitments.index import INDEX_USERS, finish_index
from assay.commitments.leaves import Run, Spool, write_dummy_leaves, write_user_leaves
from assay.commitments.reading import Users, check_totals, read_users
from assay.commitments.survey import Splitting, decide
from assay.commitments.tree_files import Shape, write_shard, write_top
from assay.commitments.workers import Do, workers
from assay.errors import AssayError, CommitmentError, ConfigError
from assay.lake import format_as_of, private_folder
from assay.liabilities.disk import is_full

SHARD_LEAVES = 1 << 18
"""Leaves of one file."""

_SPOOL = "sum-tree-"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}
_PROCESS_BYTES = 200 << 20  # interpreter and libraries
_BATCH_SHARE = 16  # of a process's memory, for the balances of a batch: they are there several times over


def build(
    report: Report,
    liabilities: Sequence[Path],
    *,
    secret: bytes,
    tree: Path,
    index: Path,
    work: Path,
    memory_limit: str,
    processes: int = 2,
    parts: int = MIN_PARTS,
    shard_leaves: int = SHARD_LEAVES,
    totals: Mapping[str, int] | None = None,
) -> Commitment:
    """Build the tree of a report.

    Args:
        report: What it is of.
        liabilities: Parquet files with user_key, account_type, asset, decimals and signed amount, sorted by user_key within each and from each to
            the next.
        secret: The entity's long-lived secret, which the user keys were made with too.
        tree: Receives `commitment.json`, `leaves/`, `nodes/` and `top.parquet`; for publication. What was there is replaced.
        index: Receives the private index. What was there is replaced.
        work: For spool files, which take some 500 bytes a leaf with 22 assets.
        memory_limit: For all processes together, in DuckDB's notation.
        processes: How many work at a time, if the memory is enough for them.
        parts: Leaves of a user at least.
        shard_leaves: Leaves of one file; a power of two.
        totals: Sum of the positive balances of each asset, to hold what is read against; an asset that is not named has none.

    Returns:
        What was committed to.

    Raises:
        CommitmentError: The liabilities are empty, unsorted, doubled, incomplete or of other assets, or the disk is full; `tree` and `index` are as
            they were.
        AmountError: A user's balance or a total has more than 38 digits.
        ConfigError: The secret is too short, or the memory is not enough for one file of the tree.
    """
    _check_arguments(parts, shard_leaves, processes)
    keys = Keys(secret, report)
    processes, batch_bytes = _fit(report, memory_limit, processes, shard_leaves)
    with _spool_folder(work, report) as folder, _aside(tree) as new_tree, _aside(index) as new_index:
        private_folder(new_index)
        with workers(processes, _load) as do:
            users, survey = read_users(report, liabilities, folder)
            if totals is not None:
                check_totals(report, survey, totals)
            splitting = decide(survey)
            spool = Spool(folder=folder, keys=keys, users=users, splitting=splitting, shard_leaves=shard_leaves, batch_bytes=batch_bytes)
            shape = _spool_leaves(report, spool, parts, new_index, do, processes)
            root = _write_tree(shape, spool, new_tree, do)
        commitment = Commitment(
            report=report,
            leaf_count=shape.leaf_count,
            shard_leaves=shard_leaves,
            limits=splitting.limits,
            root_hash=root[:HASH_BYTES],
            totals=tuple(int.from_bytes(root[at : at + AMOUNT_BYTES], "big") for at in range(HASH_BYTES, len(root), AMOUNT_BYTES)),
        )
        read = tuple(words[0] << 64 | words[1] for words in survey.totals.tolist())
        if commitment.totals != read:
            raise CommitmentError("its totals are not those of the balances", subject=_name(report), next_step="build it again")
        commitment.write(new_tree / COMMITMENT_FILE)
        finish_index(new_index, commitment.commitment, keys)
    return commitment


def _load() -> None:
    """Have this module in a process, and with it all that the tasks need."""


def check_limits(report: Report, memory_limit: str, *, parts: int, shard_leaves: int, processes: int) -> None:
    """Refuse what `build` would refuse before it has read a balance.

    Raises:
        ConfigError: A number is out of its bounds, or the memory is too little for one file of the tree.
    """
    _check_arguments(parts, shard_leaves, processes)
    _fit(report, memory_limit, processes, shard_leaves)


def _check_arguments(parts: int, shard_leaves: int, processes: int) -> None:
    for name, wrong, allowed in (
        ("parts", not MIN_PARTS <= parts <= MAX_PARTS // 2, f"a number from {MIN_PARTS} to {MAX_PARTS // 2}"),
        ("shard_leaves", shard_leaves.bit_count() != 1 or not 1 < shard_leaves <= MAX_SHARD_LEAVES, "a power of two from 2 to 2^30"),
        ("processes", processes < 1, "at least 1"),
    ):
        if wrong:
            raise ConfigError(f"it must be {allowed}", subject=f"liability tree, {name}", next_step="correct the configuration")


def bytes_of(memory_limit: str) -> int:
    """Return the bytes of an amount of memory such as `2GB`.

    Raises:
        ConfigError: It is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *([kmgt]?i?)b?", memory_limit.strip().lower())
    if not found:
        raise ConfigError(f"{memory_limit!r} is not an amount of memory", subject="memory_limit", next_step="write it like 2GB")
    return int(float(found[1]) * _UNITS[found[2]])


def _fit(report: Report, memory_limit: str, processes: int, shard_leaves: int) -> tuple[int, int]:
    """Return how many processes the memory is enough for, and the bytes of balances that each may work on at a time."""
    memory = bytes_of(memory_limit)
    # A level of a shard, and the next one.
    shard = shard_leaves * (HASH_BYTES + AMOUNT_BYTES * len(report.assets)) * 3 // 2
    possible = (memory - _PROCESS_BYTES) // (shard + _PROCESS_BYTES)
    if possible < 1:
        raise ConfigError(
            f"{memory_limit} is not enough for {shard_leaves} leaves of {len(report.assets)} assets in one file",
            subject="memory_limit",
            next_step="allow more memory, or fewer leaves in a file (commitment.shard_leaves)",
        )
    processes = min(processes, possible)
    return processes, max(1 << 16, min(16 << 20, (memory // processes - _PROCESS_BYTES) // _BATCH_SHARE))


@contextmanager
def _spool_folder(work: Path, report: Report) -> Iterator[Path]:
    """Give a private folder for the length of a build; those of builds that were killed are removed."""
    work.mkdir(parents=True, exist_ok=True)
    for left in work.glob(f"{_SPOOL}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=work, prefix=_SPOOL))
    try:
        yield folder
    except AssayError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise CommitmentError(
            f"a file could not be written or read: {error}",
            subject=_name(report),
            next_step="make room on the disk (some 1,500 bytes a user with 22 assets), and run it again"
            if is_full(str(error))
            else "see to what it says, and run it again",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path` that takes its place when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    temporary.chmod(0o755)
    try:
        yield temporary
        if path.exists():
            path.rename(temporary.with_name(f"{temporary.name}.old"))
        temporary.rename(path)
    finally:
        for left in path.parent.glob(f"{temporary.name}*"):
            shutil.rmtree(left, ignore_errors=True)


def _name(report: Report) -> str:
    return f"liability tree of {report.series} {format_as_of(report.as_of)}"


def _spool_leaves(report: Report, spool: Spool, least: int, index: Path, do: Do, processes: int) -> Shape:
    parts = _count_parts(spool.users, spool.splitting, least)
    leaves = int(parts.sum())
    leaf_count = size_class(leaves)
    if leaf_count > MAX_LEAVES:
        raise CommitmentError(f"it would have {leaf_count} leaves", subject=_name(report), next_step="use fewer parts a user")
    spool.write_plan(parts, derivation.permutation(spool.keys.key("order"), leaf_count))
    runs = _runs(parts, processes)
    del parts
    do(write_user_leaves, [(spool, run, index) for run in runs])
    write_dummy_leaves(spool, len(runs), leaves, leaf_count)
    return Shape(report=report, leaf_count=leaf_count, shard_leaves=spool.shard_leaves)


def _count_parts(users: Users, splitting: Splitting, least: int) -> Counts:
    parts = np.empty(users.count, np.int64)
    for start in range(0, users.count, _COUNTED):
        end = min(start + _COUNTED, users.count)
        amount_kernels.count_parts(users.balances(start, end), splitting.limit_words, least, parts[start:end])
    return parts


_COUNTED = 1 << 13


def _runs(parts: Counts, processes: int) -> list[Run]:
    """Divide the users among processes in whole files of the index."""
    files = -(-len(parts) // INDEX_USERS)
    bounds = [min(files * number // processes * INDEX_USERS, len(parts)) for number in range(processes + 1)]
    return [Run(number, start, end, int(parts[:start].sum())) for number, (start, end) in enumerate(pairwise(bounds)) if end > start]


def _write_tree(shape: Shape, spool: Spool, tree: Path, do: Do) -> bytes:
    shards = do(write_shard, [(shape, shard, spool.leaf_files(shard), tree) for shard in range(shape.shards)])
    return write_top(shape, shards, tree)
