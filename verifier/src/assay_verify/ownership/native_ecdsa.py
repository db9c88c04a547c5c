"""Signatures with the keys of chains that sign with secp256k1 and have no message format of their own.

`okx_ecdsa`: r‖s‖v over Keccak-256 of `OKX Signed Message:`, a line feed, and the text, each behind its length
(https://github.com/okx/proof-of-reserves/blob/main/common/hash.go). Low s, as in `ecdsa`.

The recovered key is turned into an address of the form that the address has, and the two are compared whole:

| address | made of |
|---|---|
| Filecoin `f1…` | BLAKE2b-160 of the key (https://spec.filecoin.io/appendix/address/) |
| Cosmos family `terra1…`, `cosmos1…` | RIPEMD-160 of SHA-256 of the compressed key |
| `ex1…`, `inj1…`, `one1…`; `0x…` | the Ethereum account |
| Conflux `cfx:…` | the Ethereum account, its first digit a 1 (CIP-37) |
| aelf, base58 | double SHA-256 of the key |
| ICON `hx…` | the last 20 bytes of the key's SHA3-256 |
| XRP Ledger `r…` | RIPEMD-160 of SHA-256 of the compressed key |
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache

from assay_verify.digests import double_sha256, keccak256
from assay_verify.ownership.ecdsa import compressed, recover_text
from assay_verify.ownership.encodings import (
    BASE58_RIPPLE,
    base32,
    base58_check,
    bech32,
    conflux_base32,
    hash160,
    only_signature,
    prefixed,
    text_of,
)
from assay_verify.ownership.evm import account_of, require_account
from assay_verify.ownership.interface import NotVerifiedError, Statement, Verified

_WORDS = prefixed(b"OKX Signed Message:\n")
_COSMOS = frozenset({"celestia", "cosmos", "cro", "dora", "dydx", "kava", "osmo", "sei", "terra"})
_ETHERMINT = frozenset({"ex", "inj", "one"})
_FILECOIN_SECP256K1 = b"\1"


@lru_cache(maxsize=4096)
def okx_ecdsa(text: bytes) -> bytes:
    """Return the 32 bytes that are signed."""
    return keccak256(okx_framed(text))


def okx_framed(text: bytes) -> bytes:
    """Return the text behind the words, each with its length."""
    return _WORDS + prefixed(text)


def ripple_address(key: bytes) -> str:
    """Return the address of a 33-byte key (https://xrpl.org/docs/concepts/accounts/addresses)."""
    return base58_check(b"\0" + hash160(key), BASE58_RIPPLE)


class OkxEcdsa:
    """The scheme above; which form the address has decides what it is compared with."""

    name = "okx_ecdsa"
    specification = "https://github.com/okx/proof-of-reserves/blob/main/common/hash.go"

    def verify(self, statement: Statement) -> Verified:
        """Check that the address's key signed; see `interface.Scheme`."""
        key = recover_text(okx_ecdsa(text_of(statement)), only_signature(statement))
        address = statement.address
        if address.startswith("0x"):
            require_account(account_of(key), address)
        elif not (signer := _address(key, address)):
            raise NotVerifiedError(f"{address[:100]!r} has the form of no address that a signature of this kind can be checked for")
        elif signer != address:
            raise NotVerifiedError(f"the signature is by {signer}, and the address is another")
        return Verified(scheme=self.name, keys=(compressed(key).hex(),))


def _address(key: bytes, like: str) -> str:
    """Write the address of a key in the form of another one; nothing where the form is unknown."""
    human = like.rpartition("1")[0]
    if human in _COSMOS:
        return bech32(human, hash160(compressed(key)))
    if human in _ETHERMINT:
        return bech32(human, account_of(key))
    if like.isalnum() and len(like) > _LONGEST_OTHER:
        return base58_check(double_sha256(key))
    return next((write(key) for beginning, write in _FORMS.items() if like.startswith(beginning)), "")


def _filecoin(key: bytes) -> str:
    payload = hashlib.blake2b(key, digest_size=20).digest()
    return base32(payload + hashlib.blake2b(_FILECOIN_SECP256K1 + payload, digest_size=4).digest()).lower()


def _conflux(key: bytes) -> str:
    account = account_of(key)
    return conflux_base32("cfx", bytes([0x10 | account[0] & 0x0F]) + account[1:])


_FORMS: dict[str, Callable[[bytes], str]] = {
    "f1": lambda key: f"f1{_filecoin(key)}",
    "t1": lambda key: f"t1{_filecoin(key)}",  # Filecoin's test networks
    "cfx:": _conflux,
    "hx": lambda key: "hx" + hashlib.sha3_256(key[1:]).digest()[-20:].hex(),
    "r": lambda key: ripple_address(compressed(key)),
}
"""How an address that begins so is written."""
_LONGEST_OTHER = 42
"""Characters of the longest of these (`hx…`). aelf's addresses are 36 bytes in BASE58, so longer, and may begin with anything, `r` or `f1` too."""


OKX_ECDSA = OkxEcdsa()
