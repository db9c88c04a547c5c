"""Keccak-256, which Python's standard library lacks, and Bitcoin's double SHA-256."""

from __future__ import annotations

import hashlib

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """Return the Keccak-256 that Ethereum uses: the submission, not what became SHA3-256 (FIPS 202 pads differently)."""
    return keccak.new(digest_bits=256, data=data).digest()


def double_sha256(data: bytes) -> bytes:
    """Return SHA-256 of SHA-256, in the order of the wire."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()
