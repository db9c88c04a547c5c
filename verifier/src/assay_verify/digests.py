"""Keccak-256, which Python's standard library lacks, and Bitcoin's double SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

from Crypto.Hash import keccak


def _keccak256() -> Callable[[bytes], bytes]:
    """Return safe-pysha3's, where it is installed, as it takes an eighth of the time; pycryptodome's otherwise."""
    try:
        fast: Callable[[bytes], Any] = import_module("sha3").keccak_256
    except ImportError:
        return lambda data: keccak.new(digest_bits=256, data=data).digest()
    return lambda data: bytes(fast(data).digest())


_keccak = _keccak256()


def keccak256(data: bytes) -> bytes:
    """Return the Keccak-256 that Ethereum uses: the submission, not what became SHA3-256 (FIPS 202 pads differently)."""
    return _keccak(data)


def double_sha256(data: bytes) -> bytes:
    """Return SHA-256 of SHA-256, in the order of the wire."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()
