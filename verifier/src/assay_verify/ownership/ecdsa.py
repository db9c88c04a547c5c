"""Keys recovered from signatures on secp256k1, which is how most chains turn a signature into an address.

Recovery: SEC 1, section 4.1.6 (https://www.secg.org/sec1-v2.pdf), done by libsecp256k1. A signature (r, s) and its mirror image (r, n − s) hold
for one key and one text. Ethereum accepts only the lower half of s (EIP-2, https://eips.ethereum.org/EIPS/eip-2), and so does every scheme
here that doesn't say otherwise: a statement has one signature, not two. The published lists hold none with a high s.

The library is called without coincurve's classes, which would make four objects a signature: that is a tenth of the time that a list takes.
"""

from __future__ import annotations

import threading

from coincurve._libsecp256k1 import ffi, lib

from assay_verify.ownership.encodings import hexadecimal
from assay_verify.ownership.interface import NotVerifiedError

COMPACT_BYTES = 64
_HALF_ORDER = bytes.fromhex("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0")
_RECOVERY = {0: 0, 1: 1, 27: 0, 28: 1}
"""The four spellings of the two recovery ids. The ids 2 and 3 stand for an r beyond the group's order, which no signer ever met."""
_DIGEST_BYTES, _KEY_BYTES = 32, 65


class _Room(threading.local):
    """Where the library writes, for each thread its own: it runs without the interpreter's lock."""

    def __init__(self) -> None:
        self.signature = ffi.new("secp256k1_ecdsa_recoverable_signature *")
        self.point = ffi.new("secp256k1_pubkey *")
        self.key = ffi.new("unsigned char[]", _KEY_BYTES)
        self.length = ffi.new("size_t *")
        self.written = ffi.buffer(self.key)


_room = _Room()
_parse, _recover, _write = (
    lib.secp256k1_ecdsa_recoverable_signature_parse_compact,
    lib.secp256k1_ecdsa_recover,
    lib.secp256k1_ec_pubkey_serialize,
)
_CONTEXT, _UNCOMPRESSED = lib.secp256k1_context_static, lib.SECP256K1_EC_UNCOMPRESSED


def recover(digest: bytes, compact: bytes, recovery: int, *, low_s: bool = True) -> bytes:
    """Return the key that made a signature, uncompressed: 65 bytes, the first of them 4.

    Args:
        digest: 32 bytes.
        compact: r and s, 32 bytes each.
        recovery: The recovery id, 0 to 3.
        low_s: Refuse an s in the upper half.

    Raises:
        NotVerifiedError: No key made it, a number is out of range, or s is high.
    """
    if low_s and compact[32:] > _HALF_ORDER:
        raise NotVerifiedError("the signature has a high s: it is the mirror image of the one that was made (EIP-2)")
    if len(digest) != _DIGEST_BYTES or len(compact) != COMPACT_BYTES or not 0 <= recovery <= 3:  # noqa: PLR2004 (the library reads that much)
        raise NotVerifiedError("a signature is r and s of 32 bytes each and a recovery id, over a digest of 32 bytes")
    room = _room
    if not (_parse(_CONTEXT, room.signature, compact, recovery) and _recover(_CONTEXT, room.point, room.signature, digest)):
        raise NotVerifiedError("no key can have made this signature: r or s is out of range, or r is no point of the curve")
    room.length[0] = _KEY_BYTES
    _write(_CONTEXT, room.key, room.length, room.point, _UNCOMPRESSED)
    return bytes(room.written)


def recover_text(digest: bytes, signature: str) -> bytes:
    """Return the key that made a signature written as r‖s‖v in hexadecimal; v is 0, 1, 27 or 28.

    Raises:
        NotVerifiedError: Another length, letters that are not hexadecimal, an unknown v, or no key made it.
    """
    raw = hexadecimal(signature, COMPACT_BYTES + 1, "the signature")
    recovery = _RECOVERY.get(raw[COMPACT_BYTES])
    if recovery is None:
        raise NotVerifiedError(f"the signature ends in v = {raw[COMPACT_BYTES]}, which is none of 0, 1, 27 and 28")
    return recover(digest, raw[:COMPACT_BYTES], recovery)


def compressed(key: bytes) -> bytes:
    """Return an uncompressed key in its 33 bytes."""
    return (b"\3" if key[64] & 1 else b"\2") + key[1:33]
