"""What goes wrong with the disk: no room, said as such, and what killed attempts left behind.

DuckDB and the operating system report a full disk in many ways, some of which look like a broken connection.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from assay.errors import LedgerError

_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TEXTS = re.compile(r"No space left on device|Disk quota exceeded|File too large|max_temp_directory_size")


def is_full(text: str) -> bool:
    """Tell whether a message of DuckDB is about a full disk."""
    return bool(_TEXTS.search(text))


def sweep(folder: Path) -> None:
    """Remove what killed attempts left in a folder that one task at a time writes into: unfinished files, and DuckDB's own."""
    for path in [*folder.glob(".*"), *folder.glob("duckdb-*")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk into an error that says so.

    Raises:
        LedgerError: The disk is full; no file is left half-written, and what was finished is used by the next attempt.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _CODES and not is_full(str(error)):
            raise
        reason = error.strerror or str(error)
    except duckdb.Error as error:
        if not is_full(str(error)):
            raise
        reason = _TEXTS.findall(str(error))[0]
    else:
        return
    raise LedgerError(f"the disk is full ({reason})", subject=str(folder), next_step="make room, then clear the task")
