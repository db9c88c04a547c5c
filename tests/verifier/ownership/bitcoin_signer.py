"""What a Bitcoin wallet does: signed messages of BIP-137, and BIP-322 signatures for the output types and for any script.

Digests come from the verifier's own `Spend`; that they are right is shown by the published vectors and by libbitcoinkernel, not by this.
"""

from __future__ import annotations

import base64

import pbk
from bitcoinlib.encoding import pubkeyhash_to_addr_base58, pubkeyhash_to_addr_bech32
from coincurve import PrivateKey, PublicKeyXOnly
from pbk.script import PrecomputedTransactionData, ScriptVerificationFlags

from assay_verify.ownership.bip322 import to_sign, to_spend
from assay_verify.ownership.bitcoin_message import COINS, digest
from assay_verify.ownership.bitcoin_script import compact_size, hash160, push, sha256, tagged_hash, with_length
from assay_verify.ownership.bitcoin_script_transaction import Input, Output, Spend, Transaction

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
INTERNAL = bytes.fromhex("50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0")
"""The point of BIP-341 of which nobody has the key."""


def sign_message(key: PrivateKey, message: str, *, coin: str = "BTC", header: int = 31) -> str:
    """Return a signed message of BIP-137; the header is that of recovery id 0."""
    signature = key.sign_recoverable(digest(COINS[coin].magic, message), hasher=None)
    return base64.b64encode(bytes([header + signature[64]]) + signature[:64]).decode()


def malleated(signature: str) -> str:
    """Return the other signature that is valid for the same key and text: (r, n - s)."""
    raw = base64.b64decode(signature)
    s = ORDER - int.from_bytes(raw[33:], "big")
    return base64.b64encode(bytes([(raw[0] - 27 ^ 1) + 27]) + raw[1:33] + s.to_bytes(32, "big")).decode()


def compressed(key: PrivateKey) -> bytes:
    """Return a private key's public key."""
    return bytes(key.public_key.format())


def multisig_script(threshold: int, keys: list[PrivateKey]) -> bytes:
    """Return an m-of-n script."""
    return bytes([0x50 + threshold]) + b"".join(push(compressed(key)) for key in keys) + bytes([0x50 + len(keys), 0xAE])


def address_of(script: bytes) -> str:
    """Return the mainnet address of a locking script."""
    if script[0] == 0x76:
        return str(pubkeyhash_to_addr_base58(script[3:23], b"\0"))
    if script[0] == 0xA9:
        return str(pubkeyhash_to_addr_base58(script[2:22], b"\5"))
    version = script[0] - 0x50 if script[0] else 0
    program = script[2:] if script[1] in (20, 32) else script  # the library takes other lengths with version and length in front
    return str(pubkeyhash_to_addr_bech32(program, prefix="bc", witver=version, checksum_xor=0x2BC830A3 if version else 1))


def key_hash(key: PrivateKey) -> bytes:
    """Return the P2PKH script."""
    return b"\x76\xa9\x14" + hash160(compressed(key)) + b"\x88\xac"


def witness_key_hash(key: PrivateKey) -> bytes:
    """Return the P2WPKH script."""
    return b"\0\x14" + hash160(compressed(key))


def script_hash(script: bytes) -> bytes:
    """Return the P2SH script."""
    return b"\xa9\x14" + hash160(script) + b"\x87"


def witness_script_hash(script: bytes) -> bytes:
    """Return the P2WSH script."""
    return b"\0\x20" + sha256(script)


def taproot(internal: bytes, tree: bytes = b"") -> tuple[bytes, bool]:
    """Return the P2TR script, and the parity of its key."""
    output = PublicKeyXOnly(internal)
    output.tweak_add(tagged_hash("TapTweak", internal + tree))
    return b"\x51\x20" + output.format(), output.parity


def taproot_leaf(script: bytes, version: int = 0xC0) -> tuple[bytes, bytes, bytes]:
    """Return the P2TR script with one leaf, the leaf's hash, and its control block."""
    leaf = tagged_hash("TapLeaf", bytes([version]) + with_length(script))
    locked, parity = taproot(INTERNAL, leaf)
    return locked, leaf, bytes([version | parity]) + INTERNAL


def taproot_key(key: PrivateKey) -> PrivateKey:
    """Return the private key of a key's Taproot address (BIP-86)."""
    secret = int.from_bytes(key.secret, "big")
    secret = ORDER - secret if compressed(key)[0] == 3 else secret
    tweak = int.from_bytes(tagged_hash("TapTweak", compressed(key)[1:]), "big")
    return PrivateKey.from_int((secret + tweak) % ORDER)


def ecdsa(key: PrivateKey, signed: bytes, hash_type: int = 1) -> bytes:
    """Return an ECDSA signature for a script."""
    return bytes(key.sign(signed, hasher=None)) + bytes([hash_type])


def unsigned(message: str, locked: bytes, *, version: int = 0, lock_time: int = 0, sequence: int = 0) -> Spend:
    """Return the BIP's `to_sign`, to be signed."""
    spend = to_spend(message, locked)
    first = Input(spend.txid + bytes(4), b"", sequence)
    return Spend(Transaction(version, (first,), to_sign(spend).outputs, lock_time), 0, spend.outputs)


def signed(spend: Spend, *, script: bytes = b"", witness: tuple[bytes, ...] = ()) -> Transaction:
    """Return it with what unlocks it."""
    item = Input(spend.input.outpoint, script, spend.input.sequence, witness)
    return Transaction(spend.transaction.version, (item,), spend.transaction.outputs, spend.transaction.lock_time)


def serialize(transaction: Transaction) -> bytes:
    """Write a transaction with its witnesses."""
    plain = transaction.serialize()
    if not any(item.witness for item in transaction.inputs):
        return plain
    witnesses = b"".join(stack(item.witness) for item in transaction.inputs)
    return plain[:4] + b"\0\1" + plain[4:-4] + witnesses + plain[-4:]


def stack(witness: tuple[bytes, ...]) -> bytes:
    """Write a witness."""
    return compact_size(len(witness)) + b"".join(map(with_length, witness))


def simple(witness: tuple[bytes, ...], prefix: str = "smp") -> str:
    """Write the simple form."""
    return prefix + base64.b64encode(stack(witness)).decode()


def full(transaction: Transaction, prefix: str = "ful") -> str:
    """Write the full form."""
    return prefix + base64.b64encode(serialize(transaction)).decode()


def nodes_accept(transaction: Transaction, spent: tuple[Output, ...], index: int = 0) -> bool:
    """Tell what libbitcoinkernel says under consensus rules."""
    theirs = pbk.Transaction(serialize(transaction))
    outputs = [pbk.TransactionOutput(pbk.ScriptPubkey(output.script), output.value) for output in spent]
    data = PrecomputedTransactionData(theirs, outputs)
    locked = pbk.ScriptPubkey(spent[index].script)
    return bool(locked.verify(spent[index].value, theirs, data, index, ScriptVerificationFlags.ALL))


def sign_bip322(kind: str, key: PrivateKey, message: str) -> tuple[str, str]:
    """Return address and signature for one of the types of single keys, in the simple form where it has one."""
    if kind == "p2pkh":
        spend = unsigned(message, key_hash(key))
        unlocking = push(ecdsa(key, spend.legacy_digest(key_hash(key)))) + push(compressed(key))
        return address_of(key_hash(key)), full(signed(spend, script=unlocking))
    if kind == "p2tr":
        locked, _ = taproot(compressed(key)[1:])
        return address_of(locked), simple((taproot_key(key).sign_schnorr(unsigned(message, locked).taproot_digest(0, b"", b"")),))
    locked = witness_key_hash(key) if kind == "p2wpkh" else script_hash(witness_key_hash(key))
    return address_of(locked), simple((ecdsa(key, unsigned(message, locked).witness_digest(key_hash(key))), compressed(key)))
