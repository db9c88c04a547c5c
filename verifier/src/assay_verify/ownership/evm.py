"""Signatures of Ethereum accounts: the personal message, typed data, and two hashed forms that published lists use.

- `eip191`: what wallets call `personal_sign` (https://eips.ethereum.org/EIPS/eip-191, version 0x45): Keccak-256 of 0x19, `Ethereum Signed Message:`,
  a line feed, the text's length in bytes in decimal, and the text.
- `eip191_hashed`: the same over the 32 bytes of the text's Keccak-256, so the length is always `32`.
- `eip191_abi_hashed`: the same over the Keccak-256 of the text as Solidity's `abi.encode` writes a string
  (https://docs.soliditylang.org/en/latest/abi-spec.html): the offset 32, the length, the text filled up with zeros to whole words.
- `eip712` (https://eips.ethereum.org/EIPS/eip-712): typed data, which wallets show field by field. Byte by byte, with `k` for Keccak-256:

      domain  = k( k("EIP712Domain(string name,string version)") ‖ k("Assay") ‖ k("1") )
      message = k( k("Attestation(string statement)") ‖ k(text) )
      digest  = k( 0x19 ‖ 0x01 ‖ domain ‖ message )

  No chain id: one account has the same key on every EVM chain, and the text itself names chain, report and block.

A signature is r‖s‖v, 65 bytes in hexadecimal, with v of 0, 1, 27 or 28 and s in the lower half (EIP-2). An address is written in lower case, or
with the capitals of EIP-55 and no others. Filecoin's `f410f…` is the same account in other letters (FIP-0048,
https://github.com/filecoin-project/FIPs/blob/master/FIPS/fip-0048.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from assay_verify.digests import keccak256
from assay_verify.ownership.ecdsa import compressed, recover_text
from assay_verify.ownership.encodings import base32, only_signature, text_of
from assay_verify.ownership.interface import NotVerifiedError, Scheme, Statement, Verified

_PERSONAL = b"\x19Ethereum Signed Message:\n"
_DOMAIN = keccak256(keccak256(b"EIP712Domain(string name,string version)") + keccak256(b"Assay") + keccak256(b"1"))
_ATTESTATION = keccak256(b"Attestation(string statement)")
_ETHEREUM_ADDRESS_MANAGER = 10
_CHECKSUM_BYTES = 4
_WORD = 32
TYPED_DATA = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "version", "type": "string"}],
        "Attestation": [{"name": "statement", "type": "string"}],
    },
    "primaryType": "Attestation",
    "domain": {"name": "Assay", "version": "1"},
}
"""What a wallet is handed for `eip712`, but for `message`, which is `{"statement": text}`."""


@lru_cache(maxsize=4096)
def eip191(text: bytes) -> bytes:
    """Return what is signed in a personal message."""
    return keccak256(_PERSONAL + str(len(text)).encode() + text)


@lru_cache(maxsize=4096)
def eip191_hashed(text: bytes) -> bytes:
    """Return what is signed in a personal message over the text's hash."""
    return keccak256(_PERSONAL + b"32" + keccak256(text))


@lru_cache(maxsize=4096)
def eip191_abi_hashed(text: bytes) -> bytes:
    """Return what is signed in a personal message over the hash of the text as Solidity encodes it."""
    encoded = _WORD.to_bytes(_WORD, "big") + len(text).to_bytes(_WORD, "big") + text + bytes(-len(text) % _WORD)
    return keccak256(_PERSONAL + b"32" + keccak256(encoded))


@lru_cache(maxsize=4096)
def eip712(text: bytes) -> bytes:
    """Return what is signed in typed data."""
    return keccak256(b"\x19\x01" + _DOMAIN + keccak256(_ATTESTATION + keccak256(text)))


def account_of(key: bytes) -> bytes:
    """Return the 20 bytes that stand for an uncompressed key."""
    return keccak256(key[1:])[12:]


def require_account(account: bytes, address: str) -> None:
    """Raise unless an address is the account, in one of the spellings above.

    Raises:
        NotVerifiedError: It is another account's, or its capitals or its checksum are wrong.
    """
    digits = account.hex()
    plain = f"0x{digits}"
    if address == plain:
        return
    if address.lower() == plain and address.startswith("0x"):
        if address != eip55(account):
            raise NotVerifiedError("the address is the signer's, but its capitals are neither absent nor the checksum of EIP-55")
        return
    if address[1:5] != "410f" or address != f"{address[:1]}410f{_filecoin(account)}" or address[0] not in "ft":
        raise NotVerifiedError(f"the signature is by {plain}, and the address is another")


def eip55(account: bytes) -> str:
    """Write an account with the capitals of EIP-55 (https://eips.ethereum.org/EIPS/eip-55)."""
    digits = account.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join(digit.upper() if mark > "7" else digit for digit, mark in zip(digits, marks, strict=False))


def _filecoin(account: bytes) -> str:
    checksum = hashlib.blake2b(bytes([4, _ETHEREUM_ADDRESS_MANAGER]) + account, digest_size=_CHECKSUM_BYTES).digest()
    return base32(account + checksum).lower()


@dataclass(slots=True)
class EvmScheme:
    """One of the forms.

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
        require_account(account_of(key), statement.address)
        return Verified(scheme=self.name, keys=(compressed(key).hex(),))


EIP191: Scheme = EvmScheme("eip191", "https://eips.ethereum.org/EIPS/eip-191", eip191)
EIP191_HASHED: Scheme = EvmScheme("eip191_hashed", "https://github.com/okx/proof-of-reserves/blob/main/common/hash.go", eip191_hashed)
EIP191_ABI_HASHED: Scheme = EvmScheme("eip191_abi_hashed", "https://github.com/summa-dev/summa-solvency", eip191_abi_hashed)
EIP712: Scheme = EvmScheme("eip712", "https://eips.ethereum.org/EIPS/eip-712", eip712)
