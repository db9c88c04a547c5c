"""Reading JSON that must stand in the one form of RFC 8785, so that the same content always has the same hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import rfc8785

from assay_verify.findings import MalformedError

Shape = Mapping[str, type | tuple[type, ...]]


def sha256(content: bytes) -> str:
    """Return the SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_object(content: bytes, shape: Shape, *, subject: str) -> dict[str, Any]:
    """Read a JSON object that is in canonical form and has exactly the members of `shape`.

    Args:
        content: The bytes, without anything before or after the object.
        shape: By member: the types its value may have.
        subject: For the error.

    Raises:
        MalformedError: It is anything else.
    """
    try:
        values = json.loads(content)
        canonical = rfc8785.dumps(values) == content
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{subject} is not JSON ({error})") from error
    if not canonical:
        raise MalformedError(f"{subject} is not in canonical form (RFC 8785), so somebody rewrote it")
    return check_shape(values, shape, subject=subject)


def check_shape(values: object, shape: Shape, *, subject: str) -> dict[str, Any]:
    """Return an object that has exactly the members of `shape`.

    Raises:
        MalformedError: A member is missing, unknown or of another type.
    """
    if not isinstance(values, dict):
        raise MalformedError(f"{subject} is not a JSON object")
    if odd := sorted(values.keys() ^ shape.keys()):
        raise MalformedError(f"{subject} {'lacks' if odd[0] in shape else 'has the unknown member'} {odd[0]!r}")
    for key, kinds in shape.items():
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        if type(values[key]) not in allowed:
            raise MalformedError(f"{subject}: {key!r} is not of type {' or '.join(kind.__name__ for kind in allowed)}")
    return values
