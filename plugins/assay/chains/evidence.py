"""The archive of responses that numbers rest on.

One file per reading task: zstd-compressed JSON lines, one exchange a line, sorted by digest and without repeats, so
that the same answers give the same bytes whatever order they came in. A line is the canonical JSON (RFC 8785) of
`{"method": …, "params": …, "result": …}` (or `"error"` in the place of `"result"`, where a refusal is the fact that a number rests on),
and its SHA-256 is the reference that balances carry. Neither the address of a server nor a key is ever part of an exchange.

A `Tape` plays an archive back: a reader whose address is `tape:<file>` asks the file what it would have asked the
server, so numbers are computed from evidence by the very code that computed them first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from assay.errors import EvidenceError, SourceMismatchError
from assay.lake import replacing_file

SUFFIX = ".jsonl.zst"
TAPE = "tape:"
"""What a source's address begins with where an archive is played back: `tape:/folder/archive.jsonl.zst`."""

Exchange = tuple[str, Any, Any]
"""Method, parameters and result of a question to a source."""

_ENCODER = msgspec.json.Encoder(decimal_format="number", order="deterministic")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class TapedError(Exception):
    """An archived refusal, played back."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.error = error


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
        return self._keep({"method": method, "params": params, "result": result})

    def record_error(self, method: str, params: object, error: object) -> str:
        """Archive a refusal that a number rests on ("no such account") and return its SHA-256 in hexadecimal."""
        return self._keep({"method": method, "params": params, "error": error})

    def _keep(self, exchange: dict[str, object]) -> str:
        line = canonical_line(exchange)
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


class Tape:
    """An archive that answers what was asked of the source it was recorded from.

    Args:
        path: The archive.

    Raises:
        EvidenceError: It cannot be read, or answers one question in two ways.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._answers: dict[bytes, dict[str, Any]] = {}
        for _, exchange in read_archive(path):
            key = canonical_line({"method": exchange["method"], "params": exchange["params"]})
            if self._answers.setdefault(key, exchange) != exchange:
                raise self._fail(f"it answers {exchange['method']} in two ways")

    def answer(self, method: str, params: object) -> Any:
        """Return the archived result.

        Raises:
            TapedError: The archived answer is a refusal.
            EvidenceError: This was never asked, so what is computed now is not what was computed then.
        """
        exchange = self._answers.get(canonical_line({"method": method, "params": params}))
        if exchange is None:
            raise self._fail(f"it holds no answer to {method} {str(params)[:120]}")
        if "error" in exchange:
            raise TapedError(exchange["error"])
        return exchange["result"]

    def _fail(self, problem: str) -> EvidenceError:
        return EvidenceError(problem, subject=str(self._path), next_step="fetch the publication again; its evidence is not complete")


def tape_of(url: str) -> Tape | None:
    """Return the tape that an address names, or None for the address of a server."""
    return Tape(Path(url.removeprefix(TAPE))) if url.startswith(TAPE) else None


def canonical_line(exchange: dict[str, object]) -> bytes:
    """Return the bytes that an exchange is hashed and stored as: sorted keys, no blanks, UTF-8, numbers in full.

    RFC 8785 writes numbers as doubles; amounts may be more than a double holds, so integers are written in full and fractions with
    the digits that they came with, which is the same text for all the integers that RFC 8785 can hold.
    """
    try:
        return _ENCODER.encode(exchange)
    except OverflowError:  # an integer of more than 64 bits
        return _ENCODER.encode(_wide(exchange))


def read_archive(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield digest and exchange of each line of an archive, fractions as `Decimal`.

    Raises:
        EvidenceError: It is missing, cut off or not an archive.
    """
    try:
        with pa.OSFile(str(path), "rb") as file, pa.CompressedInputStream(file, "zstd") as stream:
            for line in stream.read().split(b"\n")[:-1]:
                yield hashlib.sha256(line).hexdigest(), _DECODER.decode(line)
    except (OSError, pa.ArrowException, msgspec.DecodeError) as error:
        raise EvidenceError(
            f"it is not a readable archive ({type(error).__name__})", subject=str(path), next_step="fetch the publication again"
        ) from error


def _wide(value: Any) -> Any:
    """Return the value with integers as `Decimal`, which the encoder writes whatever their size."""
    if isinstance(value, dict):
        return {key: _wide(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_wide(item) for item in value]
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value
