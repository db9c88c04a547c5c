"""Signatures with secp256k1 keys of the XRP Ledger, as its own libraries make them.

`xrp_secp256k1`: a DER signature in hexadecimal over the first half of the text's SHA-512 (https://xrpl.org/docs/concepts/accounts/cryptographic-keys).
The ledger wants "fully canonical" signatures: strict DER and the lower half of s (https://xrpl.org/docs/concepts/transactions/finality-of-results/transaction-malleability).
The statement's `script` is the public key, 33 bytes in hexadecimal; the address is made of it, and of nothing that the chain holds: an account whose
regular key or signer list signs for it is not recognised here. Keys that begin with ED are `ed25519`'s.
"""

from __future__ import annotations

import hashlib

from coincurve import PublicKey
from coincurve.ecdsa import cdata_to_der, der_to_cdata

from assay_verify.ownership.encodings import hexadecimal, only_signature, text_of
from assay_verify.ownership.interface import NotVerifiedError, Statement, Verified
from assay_verify.ownership.native_ecdsa import ripple_address

_KEY_BYTES = 33
_LONGEST_DER = 72


class XrpSecp256k1:
    """The scheme above."""

    name = "xrp_secp256k1"
    specification = "https://xrpl.org/docs/concepts/accounts/cryptographic-keys"

    def verify(self, statement: Statement) -> Verified:
        """Check that the key signed and that the address is the key's; see `interface.Scheme`."""
        key = hexadecimal(statement.script, _KEY_BYTES, "the public key")
        text = only_signature(statement)
        signature = hexadecimal(text, min(len(text) // 2, _LONGEST_DER), "the signature")
        digest = hashlib.sha512(text_of(statement)).digest()[:32]
        try:
            strict = cdata_to_der(der_to_cdata(signature)) == signature
            # libsecp256k1 verifies no signature with a high s.
            held = strict and PublicKey(key).verify(signature, digest, hasher=None)
        except ValueError:
            raise NotVerifiedError("the public key is no point of the curve, or the signature is not in DER") from None
        if not held:
            raise NotVerifiedError("the signature is not by this key over this text, or is not fully canonical")
        if statement.address != (signer := ripple_address(key)):
            raise NotVerifiedError(f"the signature is by {signer}, and the address is another")
        return Verified(scheme=self.name, keys=(key.hex(),))


XRP_SECP256K1 = XrpSecp256k1()
