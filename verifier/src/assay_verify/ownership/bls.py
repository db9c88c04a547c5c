"""BLS signatures with the keys of Ethereum validators, or of the withdrawals of early ones.

Signatures of the proof-of-possession suite of draft-irtf-cfrg-bls-signature (`BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_`), which Ethereum's
consensus uses (https://github.com/ethereum/consensus-specs/blob/master/specs/phase0/beacon-chain.md#bls-signatures): 48-byte keys, 96-byte
signatures, both in hexadecimal.

- `bls`: over the text itself. - `bls_hashed`: over the 32 bytes of `eip191_hashed`, as a large exchange's lists do.

An address is the validator's key itself, or withdrawal credentials: 00 and the last 31 bytes of the SHA-256 of the withdrawal key, which is then
`script`. Credentials that begin with 01 or 02 name an execution address: its key signs, as on any EVM chain.

py_ecc does the arithmetic (https://github.com/ethereum/py_ecc, MIT): pure Python, about a second each, and wanted by no other scheme, so it is not
installed unless asked for.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass

from assay_verify.ownership.encodings import hexadecimal, only_signature, text_of
from assay_verify.ownership.evm import eip191_hashed
from assay_verify.ownership.interface import NotVerifiedError, Scheme, Statement, UnsupportedError, Verified

_KEY_BYTES, _SIGNATURE_BYTES, _CREDENTIALS_BYTES = 48, 96, 32
_BLS_PREFIX = b"\0"
_DEPTH = 100_000
"""What py_ecc itself sets, for powers that it takes by recursion."""


def _plain(text: bytes) -> bytes:
    return text


@dataclass(slots=True)
class Bls:
    """One of the two forms.

    Attributes:
        name: As above.
        signed: What is signed, of a text.
        specification: As above.
    """

    name: str
    signed: Callable[[bytes], bytes]
    specification: str = "https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-bls-signature-05"

    def verify(self, statement: Statement) -> Verified:
        """Check that the key signed and that the address is the key or its hash; see `interface.Scheme`."""
        key = _key(statement)
        signature = hexadecimal(only_signature(statement), _SIGNATURE_BYTES, "the signature")
        if not _holds(key, self.signed(text_of(statement)), signature):
            raise NotVerifiedError("the signature is not by this key over this text")
        return Verified(scheme=self.name, keys=(key.hex(),))


def _holds(key: bytes, message: bytes, signature: bytes) -> bool:
    """Check a signature; points outside the group, other spellings of a point and the point at infinity are refused."""
    limit = sys.getrecursionlimit()
    try:
        from eth_typing import BLSPubkey, BLSSignature  # noqa: PLC0415 (optional, and slow to import)
        from py_ecc.bls.ciphersuites import G2ProofOfPossession  # noqa: PLC0415 (as above)

        sys.setrecursionlimit(max(limit, _DEPTH))
        return bool(G2ProofOfPossession.Verify(BLSPubkey(key), message, BLSSignature(signature)))
    except ImportError:
        raise UnsupportedError("BLS signatures need py_ecc, which is not installed: pip install py_ecc") from None
    finally:
        # py_ecc lifts the limit for good when it is imported, and then JSON that is nested deeply enough ends the process.
        sys.setrecursionlimit(limit)


def _key(statement: Statement) -> bytes:
    address = statement.address
    digits = address.removeprefix("0x")
    if address != address.lower():
        raise NotVerifiedError("keys and credentials are written in lower case")
    if len(digits) == 2 * _KEY_BYTES:
        key = hexadecimal(address, _KEY_BYTES, "the address")
        if statement.script and hexadecimal(statement.script, _KEY_BYTES, "the public key") != key:
            raise NotVerifiedError("the public key is not the validator's, which is the address")
        return key
    credentials = hexadecimal(address, _CREDENTIALS_BYTES, "the address")
    key = hexadecimal(statement.script, _KEY_BYTES, "the public key")
    if credentials != _BLS_PREFIX + hashlib.sha256(key).digest()[1:]:
        raise NotVerifiedError("the withdrawal credentials are not the hash of the public key")
    return key


BLS: Scheme = Bls("bls", _plain)
BLS_HASHED: Scheme = Bls("bls_hashed", eip191_hashed)
