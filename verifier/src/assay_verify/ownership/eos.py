"""Signatures with K1 keys of EOS (Vaulta, Antelope).

A signature is `SIG_K1_` and base58 of v‖r‖s and four bytes of RIPEMD-160 over these and `K1`; v is 31 or 32 (27, 4 for a compressed key, the recovery
id), as in https://github.com/AntelopeIO/spring/blob/main/libraries/libfc/src/crypto/signature.cpp. Chains of this kind refuse a signature of which
r or s begins with a set bit, or with a zero byte before one that doesn't; here s must be low besides.

- `eos`: over SHA-256 of the text.
- `eos_okx`: over SHA-256 of `OKX Signed Message:`, a line feed, and the text, each behind its length.

**An account is a name.** Which keys sign for it is a matter of the chain, so without the chain a signature proves the possession of a key, not of an
account, and the statement is unsupported. The key that the list gives in `script` (`EOS…` or `PUB_K1_…`) must be the signer's in any case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from Crypto.Hash import RIPEMD160

from assay_verify.ownership.chain_state import KeysOf
from assay_verify.ownership.ecdsa import compressed, recover
from assay_verify.ownership.encodings import from_base58, only_signature, text_of
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified
from assay_verify.ownership.native_ecdsa import okx_framed

_PREFIX = "SIG_K1_"
_CHECKSUM = 4
_KEY_BYTES, _SIGNATURE_BYTES = 33, 65
_RECOVERY = {31: 0, 32: 1}


def _plain(text: bytes) -> bytes:
    return text


@dataclass(slots=True)
class Eos:
    """One of the two framings.

    Attributes:
        name: As above.
        framed: What is hashed and signed, of a text.
        keys_of: The chain's word on who signs alone for an account; None where it was not asked.
        specification: As above.
    """

    name: str
    framed: Callable[[bytes], bytes]
    keys_of: KeysOf | None = None
    specification: str = "https://github.com/AntelopeIO/spring/blob/main/libraries/libfc/src/crypto/signature.cpp"

    def verify(self, statement: Statement) -> Verified:
        """Check that a key of the account signed; see `interface.Scheme`."""
        raw = signature_of(only_signature(statement))
        key = compressed(recover(hashlib.sha256(self.framed(text_of(statement))).digest(), raw[1:], _RECOVERY[raw[0]]))
        if statement.script and key_of(statement.script) != key:
            raise NotVerifiedError("the signature is by another key than the list gives")
        if self.keys_of is None:
            raise UnsupportedError(
                f"which keys sign for the account {statement.address[:13]!r} is known to the chain alone, and it was not asked: "
                f"the signature proves possession of the key {key.hex()}"
            )
        if key not in self.keys_of(statement.address):
            raise NotVerifiedError("the signer's key is none that signs alone for the account at the block")
        return Verified(scheme=self.name, keys=(key.hex(),), note="that this key signs for the account is the chain's state at the block")

    def asking(self, keys_of: KeysOf | None) -> Eos:
        """Return the scheme with the chain's word on who signs for an account."""
        return replace(self, keys_of=keys_of)


def signature_of(text: str) -> bytes:
    """Return v, r and s of a signature.

    Raises:
        NotVerifiedError: Another kind of key, a wrong checksum, or a form that the chain refuses.
    """
    if not text.startswith(_PREFIX):
        raise NotVerifiedError(f"the signature does not begin with {_PREFIX}")
    raw = _checked(text[len(_PREFIX) :], _SIGNATURE_BYTES, b"K1", "the signature")
    if raw[0] not in _RECOVERY:
        raise NotVerifiedError(f"the signature begins with {raw[0]}, which is neither 31 nor 32")
    if any(half[0] & 0x80 or (half[0] == 0 and not half[1] & 0x80) for half in (raw[1:33], raw[33:])):
        raise NotVerifiedError("the signature is not canonical as the chain wants it")
    return raw


def key_of(text: str) -> bytes:
    """Return a public key's 33 bytes.

    Raises:
        NotVerifiedError: Neither of the two forms, or a wrong checksum.
    """
    if text.startswith("PUB_K1_"):
        return _checked(text[7:], _KEY_BYTES, b"K1", "the public key")
    if text.startswith("EOS"):
        return _checked(text[3:], _KEY_BYTES, b"", "the public key")
    raise NotVerifiedError("the public key begins with neither PUB_K1_ nor EOS")


def _checked(text: str, length: int, kind: bytes, name: str) -> bytes:
    content = from_base58(text, length + _CHECKSUM, name)
    body = content[:length]
    if RIPEMD160.new(body + kind).digest()[:_CHECKSUM] != content[length:]:
        raise NotVerifiedError(f"{name} has a wrong checksum")
    return body


EOS = Eos("eos", _plain)
EOS_OKX = Eos("eos_okx", okx_framed)
