"""What is secret in a tree: everything random about it is derived from the entity's secret, so that a tree can be built again.

Each purpose has a key of its own, and each report and revision other ones. Nothing here is published.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from assay.commitments.arrays import Bytes, Counts, Words
from assay.commitments.format import Report
from assay.lake import format_as_of
from assay.liabilities.snapshot import report_key

_LABEL = b"assay/sum-tree/v1"
_BLOCK = 16  # bytes of an AES block: FIPS 197
_AMONG = 1 << 16  # numbers that are drawn at a time


@dataclass(frozen=True)
class Keys:
    """The keys of one report.

    Args:
        secret: The entity's long-lived secret.
        report: What the tree is of.

    Raises:
        ConfigError: The secret is too short.
    """

    secret: bytes = field(repr=False)
    report: Report

    def __post_init__(self) -> None:
        self.blind_key()  # refuses a secret that is too short

    def blind_key(self) -> bytes:
        """Return the key of the blinds, which the liabilities' user keys are made with."""
        return report_key(self.secret, self.report.series, self.report.as_of)

    def key(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose: HMAC-SHA256 under the secret, one step of RFC 5869's expand."""
        names = (_LABEL, purpose.encode(), self.report.series.encode(), format_as_of(self.report.as_of).encode())
        return hmac.digest(self.secret, b"\0".join((*names, str(self.report.revision).encode())) + b"\x01", hashlib.sha256)


def nonce(key: bytes, user_key: bytes, part: int) -> bytes:
    """Return the nonce of a user's leaf; `key` is that of the purpose "nonce"."""
    return nonces(key, np.frombuffer(user_key, np.uint8).reshape(1, -1), np.array([part], np.int64)).tobytes()


def nonces(key: bytes, user_keys: Bytes, parts: Counts) -> Bytes:
    """Return the nonces of leaves: two AES-256 blocks, each of 12 bytes of the user key, the part, and which block it is.

    A block cipher is a random function to whoever lacks the key, and does in a blink what a hash a leaf takes seconds for.
    """
    blocks = np.zeros((len(parts), 2, _BLOCK), np.uint8)
    blocks[:, :, :12] = user_keys[:, None, :12]
    for half in range(2):
        blocks[:, half, 12:] = (2 * parts + half).astype(">u4").view(np.uint8).reshape(-1, 4)
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - each block is another one, and none is text
    return np.frombuffer(encryptor.update(blocks.data), np.uint8).reshape(len(parts), 2 * _BLOCK)


def words(key: bytes, start: int, count: int) -> Words:
    """Return pairs of random 64-bit numbers: AES-256 in counter mode (NIST SP 800-38A) over zeros.

    Args:
        key: 32 bytes.
        start: The first pair; each pair has a number and is the same whichever others are asked for.
        count: How many.
    """
    encryptor = Cipher(algorithms.AES(key), modes.CTR(start.to_bytes(_BLOCK, "big"))).encryptor()
    return np.frombuffer(encryptor.update(bytes(count * _BLOCK)), "<u8").astype(np.uint64, copy=False).reshape(count, 2)


def permutation(key: bytes, count: int) -> Counts:
    """Return the numbers 0 … count − 1 in a secret order: that of random 64-bit numbers; where two are equal, the first one first."""
    pairs = -(-count // 2)
    drawn = np.empty(2 * pairs, np.uint64)
    for start in range(0, pairs, _AMONG):
        piece = words(key, start, min(_AMONG, pairs - start))
        drawn[2 * start : 2 * start + piece.size] = piece.reshape(-1)
    return np.argsort(drawn[:count], kind="stable")
