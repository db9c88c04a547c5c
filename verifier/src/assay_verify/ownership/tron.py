"""Signatures of Tron accounts, in the two versions that wallets have.

- `tron_v1`: Keccak-256 of 0x19, `TRON Signed Message:`, a line feed, `32`, and the 32 bytes of the text's Keccak-256.
- `tron_v2` (TIP-191, https://github.com/tronprotocol/tips/blob/master/tip-191.md): the same words, the text's length in bytes in decimal, the text.

An address is base58 with checksum of 0x41 and the last 20 bytes of the key's Keccak-256
(https://developers.tron.network/docs/account). Signatures are as in `evm`: r‖s‖v, low s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from assay_verify.digests import keccak256
from assay_verify.ownership.ecdsa import compressed, recover_text
from assay_verify.ownership.encodings import base58_check, only_signature, text_of
from assay_verify.ownership.evm import account_of
from assay_verify.ownership.interface import NotVerifiedError, Scheme, Statement, Verified

_WORDS = b"\x19TRON Signed Message:\n"
_MAINNET = b"\x41"


@lru_cache(maxsize=4096)
def tron_v1(text: bytes) -> bytes:
    """Return what is signed in the first version."""
    return keccak256(_WORDS + b"32" + keccak256(text))


@lru_cache(maxsize=4096)
def tron_v2(text: bytes) -> bytes:
    """Return what is signed in the second version."""
    return keccak256(_WORDS + str(len(text)).encode() + text)


@dataclass(slots=True)
class TronScheme:
    """One of the two versions.

    Attributes:
        name: As above.
        specification: As above.
        digest: The 32 bytes that are signed, of a text.
    """

    name: str
    specification: str
    digest: Callable[[bytes], bytes]

    def verify(self, statement: Statement) -> Verified:
        """Check that the address's key signed; see `interface.Scheme`."""
        key = recover_text(self.digest(text_of(statement)), only_signature(statement))
        signer = base58_check(_MAINNET + account_of(key))
        if signer != statement.address:
            raise NotVerifiedError(f"the signature is by {signer}, and the address is another")
        return Verified(scheme=self.name, keys=(compressed(key).hex(),))


TRON_V1: Scheme = TronScheme("tron_v1", "https://github.com/okx/proof-of-reserves/blob/main/common/hash.go", tron_v1)
TRON_V2: Scheme = TronScheme("tron_v2", "https://github.com/tronprotocol/tips/blob/master/tip-191.md", tron_v2)
