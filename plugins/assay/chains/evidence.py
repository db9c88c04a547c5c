"""The archive of responses that numbers rest on.

One file per reading task: zstd-compressed JSON lines, one exchange a line, sorted by digest and without repeats, so
that the same answers give the same bytes whatever order they came in. A line is the canonical JSON (RFC 8785) of
`{"method": …, "params": …, "result": …}`, and its SHA-256 is the reference that balances carry. Neither the address of a server nor
a key is ever part of an exchange.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from assay.errors import SourceMismatchError
from assay.lake import replacing_file

SUFFIX = ".jsonl.zst"


class EvidenceArchive:
    """Collects exchanges in memory (a chunk's worth) and writes them at the end.

    Args:
        subject: Chain and source, for errors.
    """

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._lines: dict[str, bytes] = {}

    def record(self, method: str, params: object, result: object) -> str:
        """Archive one exchange and return its SHA-256 in hexadecimal."""
        line = canonical_line({"method": method, "params": params, "result": result})
        digest = hashlib.sha256(line).hexdigest()
        self._lines[digest] = line
        return digest

    def require(self, digest: str) -> None:
        """Make sure that a reference points into this archive.

        Raises:
            SourceMismatchError: Nothing was recorded under the digest.
        """
        if digest not in self._lines:
            raise SourceMismatchError(
                f"the evidence {digest} was referenced and never recorded",
                subject=self._subject,
                next_step="report this as a defect of the reader",
            )

    def write(self, path: Path) -> Path:
        """Write the archive; an archive without exchanges gives an empty, valid file."""
        with replacing_file(path) as temporary, pa.OSFile(str(temporary), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
            for digest in sorted(self._lines):
                stream.write(self._lines[digest] + b"\n")
        return path


def canonical_line(exchange: dict[str, object]) -> bytes:
    """Return the bytes that an exchange is hashed and stored as: sorted keys, no blanks, UTF-8, integers in full.

    RFC 8785 bounds integers to 2^53; amounts on the Electrum protocol may be larger sums, so integers are written in
    full, which is the same text for all that RFC 8785 can hold.
    """
    return json.dumps(exchange, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def read_archive(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield digest and exchange of each line of an archive."""
    with pa.OSFile(str(path), "rb") as file, pa.CompressedInputStream(file, "zstd") as stream:
        for line in stream.read().splitlines():
            yield hashlib.sha256(line).hexdigest(), json.loads(line)
