"""Keys recovered from signatures on secp256k1, which is how most chains turn a signature into an address.

Recovery: SEC 1, section 4.1.6 (https://www.secg.org/sec1-v2.pdf), done by libsecp256k1. A signature (r, s) and its mirror image (r, n − s) hold
for one key and one text. Ethereum accepts only the lower half of s (EIP-2, https://eips.ethereum.org/EIPS/eip-2), and so does every scheme
here that doesn't say otherwise: a statement has one signature, not two. The published lists hold none with a high s.
"""

from __future__ import annotations

from coincurve import PublicKey

from assay_verify.ownership.encodings import hexadecimal
from assay_verify.ownership.interface import NotVerifiedError

COMPACT_BYTES = 64
_HALF_ORDER = bytes.fromhex("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0")
_RECOVERY = {0: b"\0", 1: b"\1", 27: b"\0", 28: b"\1"}
"""The four spellings of the two recovery ids. The ids 2 and 3 stand for an r beyond the group's order, which no signer ever met."""


def recover(digest: bytes, compact: bytes, recovery: bytes, *, low_s: bool = True) -> bytes:
    """Return the key that made a signature, uncompressed: 65 bytes, the first of them 4.

    Args:
        digest: 32 bytes.
        compact: r and s, 32 bytes each.
        recovery: The recovery id, as one byte.
        low_s: Refuse an s in the upper half.

    Raises:
        NotVerifiedError: No key made it, a number is out of range, or s is high.
    """
    if low_s and compact[32:] > _HALF_ORDER:
        raise NotVerifiedError("the signature has a high s: it is the mirror image of the one that was made (EIP-2)")
    try:
        key: bytes = PublicKey.from_signature_and_message(compact + recovery, digest, hasher=None).format(compressed=False)
    except ValueError:
        raise NotVerifiedError("no key can have made this signature: r or s is out of range, or r is no point of the curve") from None
    return key


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
