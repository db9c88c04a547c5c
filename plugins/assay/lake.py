"""Where files stand, and how they get there.

Data moves one way, `raw` → `snapshot` → `marts` → `publications`. A file is written beside its place under a
temporary name and renamed, so a reader sees all of it or none of it, and a killed task leaves nothing half-written.
This module knows no format and no table.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from assay.errors import ConfigError

AS_OF_PATTERN = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
"""What an attested moment looks like: a UTC instant in whole seconds, `2023-02-17T16:00:00Z`."""

_AS_OF_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_CHUNK = 1 << 20

CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far a moment may lie ahead of this machine's clock and still count as the present."""


def parse_as_of(text: str) -> datetime:
    """Read an attested moment.

    Args:
        text: A UTC instant in whole seconds, `2023-02-17T16:00:00Z`.

    Raises:
        ConfigError: Any other form; a moment without an explicit `Z` would be ambiguous.
    """
    if not re.fullmatch(AS_OF_PATTERN, text):
        raise ConfigError(f"{text!r} is not a UTC instant", subject="as_of", next_step="write it like 2023-02-17T16:00:00Z")
    try:
        return datetime.strptime(text, _AS_OF_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a date: {error}", subject="as_of", next_step="write it like 2023-02-17T16:00:00Z") from error


def check_as_of(as_of: datetime, *, now: datetime) -> None:
    """Refuse a moment in the future: nothing of it can be read, and waiting for it would keep every other moment from running.

    A scheduled run starts at the very moment that it attests to, and clocks differ a little, so a minute ahead is still the present.

    Raises:
        ConfigError: It lies further ahead.
    """
    if as_of > now + CLOCK_TOLERANCE:
        raise ConfigError(
            f"{format_as_of(as_of)} is in the future (it is {format_as_of(now)} here)",
            subject="as_of",
            next_step="name a moment that has passed, or correct the machine's clock",
        )


def format_as_of(as_of: datetime) -> str:
    """Write an attested moment the way `parse_as_of` reads it."""
    return as_of.astimezone(UTC).strftime(_AS_OF_FORMAT)


def slug(as_of: datetime) -> str:
    """Return the folder name of a moment: `2023-02-17T160000Z` (no colons: they are not portable in paths)."""
    return as_of.astimezone(UTC).strftime("%Y-%m-%dT%H%M%SZ")


def run_folder(root: Path, stage: str, dataset: str, as_of: datetime, run_id: str) -> Path:
    """Return the folder of one Airflow run's files: `<root>/<stage>/<dataset>/<as_of>/<run digest>`.

    The same run always gets the same folder, so a task that is run again replaces its own files and no others.
    """
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:12]
    return root / stage / dataset / slug(as_of) / digest


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter, for what concerns users; returns it."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    current = os.umask(0o022)
    os.umask(current)
    return current


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed over it when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, renamed to it when the block ends without an error.

    Raises:
        FileExistsError: `path` exists already when the block ends; it is left untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            raise FileExistsError(path)
        temporary.rename(path)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, read in bounded pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()
