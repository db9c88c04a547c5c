"""The place where a ledger drops its files: a folder on a local disk, or a prefix in S3-compatible storage.

What time can mend (a drop that is not written yet, a storage that does not answer) is told apart from what only somebody can: a place
that does not exist, and keys that may not read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from pyarrow import fs

from assay.config import Settings
from assay.errors import AssayError, ConfigError, LedgerError, SourceBehindError, SourceUnavailableError

S3 = "s3://"

_PIECE = 1 << 20
_SECONDS = 60
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")
# The storage's answers that it will give again; see "Error responses" of the Amazon S3 API reference. A HEAD request is answered without
# a body, so that of its refusal only the status is left.
_REFUSED = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|InvalidAccessKeyId|SignatureDoesNotMatch|HTTP status 40[13]"
)


def connect(settings: Settings, uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of the drops, and the place of all of them in it.

    Args:
        settings: Names the folder, and the storage's region.
        uri: Address of the storage with its keys; of no meaning for a local disk.

    Raises:
        ConfigError: No folder is named.
    """
    folder = settings.ledger.folder.rstrip("/")
    if not folder:
        raise ConfigError("ledger.folder is missing", subject=str(settings.path), next_step="name the folder of the drops")
    if not folder.startswith(S3):
        return fs.LocalFileSystem(), str((settings.path.parent / folder).resolve())
    parts = urlsplit(uri)
    keys: dict[str, Any] = {"anonymous": True}
    if parts.username:
        keys = {"access_key": unquote(parts.username), "secret_key": unquote(parts.password or "")}
    system = fs.S3FileSystem(
        **keys,
        region=settings.ledger.region,
        scheme=parts.scheme,
        endpoint_override=parts.netloc.rpartition("@")[2],
        connect_timeout=_SECONDS,
        request_timeout=_SECONDS,
        # Airflow is the one layer of retries.
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )
    return system, folder.removeprefix(S3)


def check_place(settings: Settings, system: fs.FileSystem, root: str) -> None:
    """Make sure that a place is one where a ledger drops files, because nobody should wait for files at any other.

    Args:
        settings: Names the folder, for errors.
        system: See `connect`.
        root: See `connect`.

    Raises:
        ConfigError: It does not exist, or holds no drop of any moment.
        LedgerError: It may not be read.
        SourceUnavailableError: The storage broke off.
    """
    name = f"ledger {settings.ledger.connection}"
    try:
        there = system.get_file_info(fs.FileSelector(root, allow_not_found=True))
    except NotADirectoryError:
        there = []
    except OSError as error:
        raise storage_error(error, name) from None
    if not any(item.type == fs.FileType.Directory and _MOMENT.fullmatch(item.base_name) for item in there):
        raise ConfigError(
            _lack(settings, system, root),
            subject=f"{settings.path}, ledger.folder",
            next_step="correct it, or run the task again once the ledger has begun to write its first drop, a folder named like 2023-02-17T160000Z",
        )


def _lack(settings: Settings, system: fs.FileSystem, root: str) -> str:
    """Say what a place without a drop lacks."""
    remote = settings.ledger.folder.startswith(S3)
    place = root.partition("/")[0] if remote else root
    try:
        kind = system.get_file_info(place).type
    except OSError:
        # Keys that may list their own prefix need not be allowed to see the bucket.
        kind = fs.FileType.Directory
    if kind == fs.FileType.Directory:
        return f"{settings.ledger.folder} holds no drop of any moment"
    return f"there is no bucket {place!r}" if remote else f"there is no folder {place}"


def pieces(system: fs.FileSystem, path: str, name: str, *, limit: int = 0) -> Iterator[bytes]:
    """Yield a file's bytes; only reading it can fail here, not what is done with them.

    Args:
        system: See `connect`.
        path: The file.
        name: Of the drop, for errors.
        limit: Bytes that it may have; 0 for any number.

    Raises:
        SourceBehindError: It is not there.
        SourceUnavailableError: The storage broke off.
        LedgerError: It may not be read, or is too large.
    """
    read = 0
    try:
        with system.open_input_stream(path, compression=None) as stream:
            while piece := stream.read(_PIECE):
                read += len(piece)
                if limit and read > limit:
                    raise LedgerError(f"it has more than {limit} bytes", subject=f"{name}, {path}", next_step="have the drop written anew")
                yield piece
    except (FileNotFoundError, NotADirectoryError):
        raise SourceBehindError(
            f"{path.rpartition('/')[2]} is not there", subject=name, next_step="wait until the ledger has written the drop of that moment"
        ) from None
    except OSError as error:
        raise storage_error(error, name) from None


def storage_error(error: OSError, name: str) -> AssayError:
    """Say what happened in the storage's own words; its whole message holds addresses.

    Returns:
        A LedgerError where the storage refuses to be read, which it will again; a SourceUnavailableError otherwise.
    """
    text = str(error)
    said = re.search(r"AWS Error [A-Z_]+ (\(HTTP status \d+\) )?during \w+ operation", text)
    reason = said.group() if said else error.strerror or "the connection failed"
    if isinstance(error, PermissionError):
        return LedgerError(f"it may not be read ({reason})", subject=name, next_step="give the user who runs Airflow the right to read it")
    if _REFUSED.search(text):
        return LedgerError(
            f"the storage refuses to let it be read ({reason})",
            subject=name,
            next_step="correct the Connection's keys, or give them the right to list the bucket and to get its objects (s3:ListBucket, s3:GetObject)",
        )
    return SourceUnavailableError(
        f"it cannot be read ({reason})", subject=name, next_step="check that the storage runs and that the Connection's address is right"
    )
