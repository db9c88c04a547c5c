"""What the chains that sign with ed25519 make of a key: the address, as its own documentation has it.

| rule | address |
|---|---|
| `solana` | base58 of the key (https://solana.com/docs/core/accounts) |
| `aptos` | SHA3-256 of key ‖ 00; leading zeros may be left out. The account's key can be rotated: the chain then holds the new one's hash, the authentication key (https://aptos.dev/en/network/blockchain/accounts) |
| `sui` | BLAKE2b-256 of 00 ‖ key (https://docs.sui.io/concepts/cryptography/transaction-auth/keys-addresses) |
| `ton` | hash of a wallet contract's first state: see `ton_wallets` |
| `polkadot` | SS58 of the key (https://docs.polkadot.com/polkadot-protocol/parachain-basics/accounts/) |
| `cardano` | Bech32 of header ‖ BLAKE2b-224 of the key ‖ …: the payment part (CIP-19, https://cips.cardano.org/cip/CIP-19) |
| `near` | the key in hexadecimal, or a name that the chain binds to keys (https://docs.near.org/protocol/account-id) |
| `stellar` | base32 of 30 ‖ key ‖ CRC-16 (SEP-23, https://stellar.org/protocol/sep-23) |
| `ripple` | as for secp256k1, of ED ‖ key (https://xrpl.org/docs/concepts/accounts/addresses) |
| `hedera` | a number that the chain binds to keys (https://docs.hedera.com/hedera/core-concepts/accounts) |
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from assay_verify.ownership.encodings import base32, base58, bech32, from_base58, hexadecimal
from assay_verify.ownership.interface import NotVerifiedError
from assay_verify.ownership.native_ecdsa import ripple_address
from assay_verify.ownership.ton_wallets import is_wallet_of

KEY_BYTES = 32
_SS58_PREFIX = b"\0"
_SS58_BYTES = 1 + KEY_BYTES + 2
_STELLAR_ACCOUNT = b"\x30"
_CARDANO_BASE_LENGTH, _CARDANO_ENTERPRISE_LENGTH = 103, 58
_CARDANO_BASE, _CARDANO_ENTERPRISE = b"\x01", b"\x61"


def _always(_address: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """How addresses of a chain follow from keys.

    Attributes:
        matches: Whether an address is a key's.
        held: The key inside an address, where it is there.
        authority: What the chain's state holds for a key, where its state decides who signs.
        may_be_chains: Whether the chain's state decides for this address.
        named: Addresses don't follow from keys, for which the state decides.
        mark: What stands before the key's digits.
        sr25519: The chain's other signatures are of sr25519.
    """

    matches: Callable[[bytes, str], bool]
    held: Callable[[str], bytes] | None = None
    authority: Callable[[bytes], bytes] | None = None
    may_be_chains: Callable[[str], bool] = _always
    named: bool = False
    mark: str = ""
    sr25519: bool = False


def _authentication_key(key: bytes) -> bytes:
    return hashlib.sha3_256(key + b"\0").digest()


def _is_aptos(key: bytes, address: str) -> bool:
    digits = _authentication_key(key).hex()
    return address in (f"0x{digits}", f"0x{digits.lstrip('0')}")


def _is_sui(key: bytes, address: str) -> bool:
    return address == "0x" + hashlib.blake2b(b"\0" + key, digest_size=32).hexdigest()


def _ss58(key: bytes) -> str:
    body = _SS58_PREFIX + key
    return base58(body + hashlib.blake2b(b"SS58PRE" + body, digest_size=64).digest()[:2])


def _polkadot_key(address: str) -> bytes:
    return from_base58(address, _SS58_BYTES, "the address")[1:-2]


def _is_cardano(key: bytes, address: str) -> bool:
    payment = hashlib.blake2b(key, digest_size=28).digest()
    if len(address) != _CARDANO_BASE_LENGTH:
        return address == bech32("addr", _CARDANO_ENTERPRISE + payment)
    # A base address goes on with the stake credential, which says nothing about who spends.
    return address == bech32("addr", _CARDANO_BASE + payment + _stake_credential(address))


def _stake_credential(address: str) -> bytes:
    """Return the last 28 of a base address's 57 bytes; whether it is an address at all shows when it is written again."""
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    number = 0
    for letter in address[5:-6]:
        number = number << 5 | max(alphabet.find(letter), 0)
    return (number >> 4).to_bytes(57, "big")[-28:]  # 92 groups of five bits, the last four of them padding


def _stellar(key: bytes) -> str:
    body = _STELLAR_ACCOUNT + key
    return base32(body + binascii.crc_hqx(body, 0).to_bytes(2, "little"))


def _near_key(address: str) -> bytes:
    if address != address.lower():
        raise NotVerifiedError("the address holds capitals, which no account of this chain does")
    return hexadecimal(address, KEY_BYTES, "the address")


def _never(_key: bytes, _address: str) -> bool:
    return False


def _same(key: bytes) -> bytes:
    return key


RULES = {
    "solana": Rule(lambda key, address: address == base58(key), held=lambda address: from_base58(address, KEY_BYTES, "the address")),
    "aptos": Rule(_is_aptos, authority=_authentication_key),
    "sui": Rule(_is_sui),
    "ton": Rule(is_wallet_of, authority=_same),
    "polkadot": Rule(lambda key, address: address == _ss58(key), held=_polkadot_key, sr25519=True),
    "cardano": Rule(_is_cardano),
    "near": Rule(
        lambda key, address: address == key.hex(), held=_near_key, authority=_same, may_be_chains=lambda name: "." in name, named=True
    ),
    "stellar": Rule(lambda key, address: address == _stellar(key)),
    "ripple": Rule(lambda key, address: address == ripple_address(b"\xed" + key), mark="ED"),
    "hedera": Rule(_never, authority=_same, named=True),
}
