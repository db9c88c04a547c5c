"""Texts signed with the keys of the sandbox's EVM wallets, as wallet software signs them.

- Personal message (EIP-191, https://eips.ethereum.org/EIPS/eip-191), over the text or over its Keccak-256, as some exchanges' lists have it.
- Typed data (EIP-712, https://eips.ethereum.org/EIPS/eip-712): the structure that `docs/formats/address_ownership.md` gives, hashed here by hand.
- A contract wallet's signature (ERC-1271, https://eips.ethereum.org/EIPS/eip-1271) is what contracts/wallet.vy takes: its owners' signatures, ascending.

Libsecp256k1 signs. `eth_account` would take a good half second to import, at every start of the sandbox; a test holds these to it.
"""

from __future__ import annotations

from coincurve import PrivateKey
from eth_hash.auto import keccak

from sandbox.evm_accounts import THRESHOLD, owners_of

_DOMAIN = keccak(keccak(b"EIP712Domain(string name,string version)") + keccak(b"Assay") + keccak(b"1"))
_STATEMENT_TYPE = keccak(b"Attestation(string statement)")


def personal(text: str) -> bytes:
    """Return the digest of a personal message."""
    return _personal(text.encode())


def hashed(text: str) -> bytes:
    """Return the digest of a personal message over the text's hash."""
    return _personal(keccak(text.encode()))


def typed(text: str) -> bytes:
    """Return the digest of the text as typed data."""
    return keccak(b"\x19\x01" + _DOMAIN + keccak(_STATEMENT_TYPE + keccak(text.encode())))


def sign(key: bytes, digest: bytes) -> bytes:
    """Return r, s and v of a key's signature: 65 bytes."""
    signature = PrivateKey(key).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([27 + signature[64]])


def signing_owners(chain: str, index: int) -> list[tuple[str, bytes]]:
    """Return address and key of as many of a contract wallet's owners as it wants, ascending; which of them differs by wallet."""
    owners = owners_of(chain, index)
    first = index % len(owners)
    return sorted((owners[first:] + owners[:first])[:THRESHOLD], key=owners.index)


def sign_for_contract(chain: str, index: int, digest: bytes) -> bytes:
    """Return what a contract wallet takes for its own signature."""
    return b"".join(sign(key, digest) for _, key in signing_owners(chain, index))


def _personal(content: bytes) -> bytes:
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(content)).encode() + content)
