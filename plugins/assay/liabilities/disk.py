"""A disk without room, said as such: DuckDB and the operating system report it in many ways, some of which look like a broken connection."""

from __future__ import annotations

import errno
import re
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
