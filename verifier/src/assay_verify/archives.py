"""The lines of archives, one at a time. Format: docs/formats/evidence.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from assay_verify.findings import MalformedError

SUFFIX = ".jsonl.zst"
_PIECE = 1 << 20
_LONGEST_LINE = 256 << 20
"""Bytes; what is longer would have to be held in memory to know its digest."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked and what was answered.

    Attributes:
        method: `eth_getProof`, `GET /v1/…`.
        params: As sent.
        result: The answer; None where it was a refusal.
        refused: Whether the answer was a refusal.
    """

    method: str
    params: Any
    result: Any
    refused: bool


def lines(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield digest and bytes of each line of an archive, in bounded memory.

    Raises:
        MalformedError: It is not zstd, its last line is cut off, a line is over-long, or lines are out of order.
    """
    before = b""
    for line in _split(path):
        digest = hashlib.sha256(line).digest()
        if digest <= before:
            raise MalformedError(f"{path.name} has lines twice or out of the order of their digests")
        before = digest
        yield digest, line


def exchange(line: bytes, *, subject: str) -> Exchange:
    """Read a line.

    Raises:
        MalformedError: It is no exchange, or names a member twice.
    """
    try:
        values = json.loads(line, parse_float=Decimal, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{subject} is not JSON ({error})") from error
    members = set(values) if isinstance(values, dict) else set()
    if members not in ({"method", "params", "result"}, {"method", "params", "error"}) or not isinstance(values["method"], str):
        raise MalformedError(f"{subject} is not made of method, params and result")
    return Exchange(values["method"], values["params"], values.get("result"), "error" in members)


def exchanges(paths: Iterable[Path]) -> Iterator[tuple[bytes, Exchange]]:
    """Yield digest and content of each line of several archives, each line once. Raises like `lines` and `exchange`."""
    seen: set[bytes] = set()
    for path in paths:
        for digest, line in lines(path):
            if digest not in seen:
                seen.add(digest)
                yield digest, exchange(line, subject=f"line {digest.hex()} of {path.name}")


def _split(path: Path) -> Iterator[bytes]:
    pending: list[bytes] = []
    size = 0
    try:
        with pa.OSFile(str(path), "rb") as file, pa.CompressedInputStream(file, "zstd") as stream:
            while piece := stream.read(_PIECE):
                *ended, rest = piece.split(b"\n")
                for line in ended:
                    yield b"".join([*pending, line])
                    pending, size = [], 0
                if rest:
                    pending.append(rest)
                    size += len(rest)
                if size > _LONGEST_LINE:
                    raise MalformedError(f"{path.name} has a line of more than {_LONGEST_LINE >> 20} MiB")
    except (OSError, pa.ArrowException) as error:
        raise MalformedError(f"{path.name} is not a readable archive ({str(error).splitlines()[0]})") from error
    if pending:
        raise MalformedError(f"the last line of {path.name} is cut off")


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(members)
    if len(values) != len(members):
        raise ValueError("a member is named twice")
    return values
