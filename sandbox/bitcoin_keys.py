# ruff: noqa: PLR2004 (opcodes and the bounds of length forms)
"""Keys, scripts and signatures of the sandbox's Bitcoin-family wallets.

Every key is a hash of the chain's name and the wallet's number, so it is known to anybody and exists on regtest only.
Signing follows the original algorithm for P2PKH and P2SH, BIP-143 for segregated witness and BIP-341 (key path) for
taproot; the curve is libsecp256k1's. Nonces are deterministic (RFC 6979, and zero auxiliary randomness for BIP-340).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from coincurve import PrivateKey, PublicKeyXOnly
from electrumx.lib.hash import Base58  # type: ignore[import-untyped]

KINDS = ("p2pkh", "p2wpkh", "p2sh_p2wpkh", "p2sh_multisig", "p2wsh_multisig", "p2tr")
"""Script kinds; the multisig ones are two of three."""

_SIGHASH_ALL = 1
_FINAL = 0xFFFFFFFF
_MULTISIG_REQUIRED, _MULTISIG_KEYS = 2, 3
_BECH32_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32M = 0x2BC830A3  # BIP-350


def sha256d(data: bytes) -> bytes:
    """Return SHA-256 of SHA-256."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def hash160(data: bytes) -> bytes:
    """Return RIPEMD-160 of SHA-256."""
    return hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()


def tagged_hash(tag: str, data: bytes) -> bytes:
    """Return the BIP-340 tagged hash."""
    prefix = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(prefix + prefix + data).digest()


def compact(number: int) -> bytes:
    """Return a length in Bitcoin's variable-length form."""
    if number < 0xFD:
        return bytes([number])
    return b"\xfd" + struct.pack("<H", number) if number <= 0xFFFF else b"\xfe" + struct.pack("<I", number)


def with_length(data: bytes) -> bytes:
    """Return data behind its length."""
    return compact(len(data)) + data


def push(data: bytes) -> bytes:
    """Return the script that pushes up to 255 bytes."""
    return (bytes([len(data)]) if len(data) < 0x4C else b"\x4c" + bytes([len(data)])) + data


@dataclass(frozen=True)
class Output:
    """A transaction output: value in base units, and the script that guards it."""

    value: int
    script: bytes

    def serialise(self) -> bytes:
        """Return its bytes on the wire."""
        return struct.pack("<q", self.value) + with_length(self.script)


@dataclass(frozen=True)
class Coin:
    """An output that can be spent: where it stands (transaction id in wire order), and whose it is."""

    txid: bytes
    position: int
    output: Output
    wallet: Wallet

    @property
    def outpoint(self) -> bytes:
        """Its reference on the wire."""
        return self.txid + struct.pack("<I", self.position)


@dataclass
class Transaction:
    """A transaction without lock time that spends all of its coins' value: fees are zero, which consensus allows.

    Every input has the same sequence number; version and number have other values only where a text is signed (BIP-322).
    """

    coins: Sequence[Coin]
    outputs: Sequence[Output]
    unlocking: list[tuple[bytes, list[bytes]]] = field(default_factory=list)
    version: int = 2
    sequence: int = _FINAL

    def sign(self) -> Transaction:
        """Fill in every input's script and witness, and return the transaction itself."""
        self.unlocking = [coin.wallet.unlock(self, position) for position, coin in enumerate(self.coins)]
        return self

    def serialise(self, *, witness: bool = True) -> bytes:
        """Return its bytes, without the witnesses for the transaction id."""
        witness = witness and any(stack for _, stack in self.unlocking)
        inputs = b"".join(
            coin.outpoint + with_length(script) + self._sequence for coin, (script, _) in zip(self.coins, self.unlocking, strict=True)
        )
        body = compact(len(self.coins)) + inputs + compact(len(self.outputs)) + b"".join(item.serialise() for item in self.outputs)
        stacks = b"".join(compact(len(stack)) + b"".join(map(with_length, stack)) for _, stack in self.unlocking) if witness else b""
        return self._version + (b"\x00\x01" if witness else b"") + body + stacks + struct.pack("<I", 0)

    def txid(self) -> bytes:
        """Return its id in wire order."""
        return sha256d(self.serialise(witness=False))

    def legacy_digest(self, position: int, script: bytes) -> bytes:
        """Return the digest that SIGHASH_ALL signs in a script before segregated witness."""
        inputs = b"".join(
            coin.outpoint + with_length(script if index == position else b"") + self._sequence for index, coin in enumerate(self.coins)
        )
        outputs = compact(len(self.outputs)) + b"".join(item.serialise() for item in self.outputs)
        return sha256d(self._version + compact(len(self.coins)) + inputs + outputs + struct.pack("<II", 0, _SIGHASH_ALL))

    def witness_digest(self, position: int, script: bytes) -> bytes:
        """Return the digest that SIGHASH_ALL signs in a version 0 witness program (BIP-143)."""
        coin = self.coins[position]
        return sha256d(
            self._version
            + sha256d(b"".join(item.outpoint for item in self.coins))
            + sha256d(self._sequence * len(self.coins))
            + coin.outpoint
            + with_length(script)
            + struct.pack("<q", coin.output.value)
            + self._sequence
            + sha256d(b"".join(item.serialise() for item in self.outputs))
            + struct.pack("<II", 0, _SIGHASH_ALL)
        )

    def taproot_digest(self, position: int) -> bytes:
        """Return the digest that SIGHASH_DEFAULT signs on taproot's key path (BIP-341)."""
        pieces = (
            b"".join(coin.outpoint for coin in self.coins),
            b"".join(struct.pack("<q", coin.output.value) for coin in self.coins),
            b"".join(with_length(coin.output.script) for coin in self.coins),
            self._sequence * len(self.coins),
            b"".join(item.serialise() for item in self.outputs),
        )
        message = b"\x00\x00" + self._version + struct.pack("<I", 0) + b"".join(hashlib.sha256(piece).digest() for piece in pieces)
        return tagged_hash("TapSighash", message + b"\x00" + struct.pack("<I", position))

    @property
    def _version(self) -> bytes:
        return struct.pack("<i", self.version)

    @property
    def _sequence(self) -> bytes:
        return struct.pack("<I", self.sequence)


class Wallet:
    """One address: its keys, its script and how to spend from it.

    Args:
        chain: Name of the chain, part of the keys' derivation.
        index: Number of the wallet; negative for the sandbox's own.
        kind: One of KINDS.

    Attributes:
        script: Locks its coins.
        multisig: The script behind a multisig's hash.
    """

    def __init__(self, chain: str, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        count = _MULTISIG_KEYS if kind.endswith("multisig") else 1
        self._keys = [PrivateKey(hashlib.sha256(f"sandbox {chain} {index} {number}".encode()).digest()) for number in range(count)]
        public = [key.public_key.format() for key in self._keys]
        self._pubkey_hash = hash160(public[0])
        # OP_2 <key> <key> <key> OP_3 OP_CHECKMULTISIG
        self.multisig = b"\x52" + b"".join(map(push, public)) + b"\x53\xae"
        self.script = self._script()

    def _script(self) -> bytes:
        match self.kind:
            case "p2pkh":
                return b"\x76\xa9" + push(self._pubkey_hash) + b"\x88\xac"
            case "p2wpkh":
                return b"\x00" + push(self._pubkey_hash)
            case "p2sh_p2wpkh":
                return b"\xa9" + push(hash160(b"\x00" + push(self._pubkey_hash))) + b"\x87"
            case "p2sh_multisig":
                return b"\xa9" + push(hash160(self.multisig)) + b"\x87"
            case "p2wsh_multisig":
                return b"\x00" + push(hashlib.sha256(self.multisig).digest())
            case "p2tr":
                self._keys = [_taproot_key(self._keys[0])]
                return b"\x51" + push(PublicKeyXOnly.from_secret(self._keys[0].secret).format())
        raise ValueError(f"{self.kind!r} is not one of {', '.join(KINDS)}")

    def unlock(self, transaction: Transaction, position: int) -> tuple[bytes, list[bytes]]:
        """Return the input script and the witness that spend the coin at `position` of the transaction."""
        public = self._keys[0].public_key.format()
        # BIP-143: a witness key hash signs the script that a P2PKH output of the same key would have.
        key_script = b"\x76\xa9" + push(self._pubkey_hash) + b"\x88\xac"
        match self.kind:
            case "p2pkh":
                return push(self._signatures(transaction.legacy_digest(position, key_script), 1)[0]) + push(public), []
            case "p2wpkh":
                return b"", [self._signatures(transaction.witness_digest(position, key_script), 1)[0], public]
            case "p2sh_p2wpkh":
                return push(b"\x00" + push(self._pubkey_hash)), [
                    self._signatures(transaction.witness_digest(position, key_script), 1)[0],
                    public,
                ]
            case "p2sh_multisig":
                signatures = self._signatures(transaction.legacy_digest(position, self.multisig), _MULTISIG_REQUIRED)
                # The leading zero is the element that OP_CHECKMULTISIG removes without use.
                return b"\x00" + b"".join(map(push, signatures)) + push(self.multisig), []
            case "p2wsh_multisig":
                signatures = self._signatures(transaction.witness_digest(position, self.multisig), _MULTISIG_REQUIRED)
                return b"", [b"", *signatures, self.multisig]
        return b"", [self._keys[0].sign_schnorr(transaction.taproot_digest(position), bytes(32))]

    def sign_recoverable(self, digest: bytes) -> list[bytes]:
        """Return signatures of as many keys as the wallet needs: r, s, and a byte that tells which of the possible keys is the signer's."""
        required = _MULTISIG_REQUIRED if self.kind.endswith("multisig") else 1
        return [key.sign_recoverable(digest, hasher=None) for key in self._keys[:required]]

    def _signatures(self, digest: bytes, count: int) -> list[bytes]:
        return [key.sign(digest, hasher=None) + bytes([_SIGHASH_ALL]) for key in self._keys[:count]]


def _taproot_key(internal: PrivateKey) -> PrivateKey:
    """Return the output key of an internal key without scripts (BIP-341, BIP-86)."""
    compressed = internal.public_key.format()
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    even = internal if compressed[0] == 2 else PrivateKey.from_int(order - internal.to_int())
    return even.add(tagged_hash("TapTweak", compressed[1:]))


@dataclass(frozen=True, kw_only=True)
class AddressPrefixes:
    """How a network writes addresses: version bytes of BASE58 addresses and the human-readable part of BECH32 ones."""

    p2pkh: int
    p2sh: int
    bech32: str


def address(script: bytes, prefixes: AddressPrefixes) -> str:
    """Return the address of a script as BIP-13, BIP-173 and BIP-350 write it."""
    encode: Callable[[bytes], str] = Base58.encode_check
    if script[0] == 0x76:
        return encode(bytes([prefixes.p2pkh]) + script[3:23])
    if script[0] == 0xA9:
        return encode(bytes([prefixes.p2sh]) + script[2:22])
    version = script[0] - 0x50 if script[0] else 0
    bits = "".join(f"{byte:08b}" for byte in script[2:])
    bits += "0" * (-len(bits) % 5)
    data = [version] + [int(bits[start : start + 5], 2) for start in range(0, len(bits), 5)]
    expanded = [ord(letter) >> 5 for letter in prefixes.bech32] + [0] + [ord(letter) & 31 for letter in prefixes.bech32]
    checksum = _bech32_polymod(expanded + data + [0] * 6) ^ (_BECH32M if version else 1)
    data += [(checksum >> 5 * (5 - place)) & 31 for place in range(6)]
    return prefixes.bech32 + "1" + "".join(_BECH32_ALPHABET[item] for item in data)


def _bech32_polymod(values: Sequence[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if (top >> place) & 1 else 0
    return checksum
