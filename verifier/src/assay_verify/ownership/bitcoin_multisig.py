"""Signed messages for m-of-n addresses: one signature of BIP-137 for each key, and the script that names the keys.

No specification covers it; this is how exchanges publish multisig wallets
(https://github.com/okx/proof-of-reserves, and BIP-137 for the single signature). Held against each other: the script's hash and the address
(BIP-16 for P2SH, BIP-141 for P2WSH and P2SH-P2WSH), the recovered keys and the script's keys, their number and the script's threshold.
"""

from __future__ import annotations

from assay_verify.digests import double_sha256
from assay_verify.ownership.bitcoin_message import (
    COMPRESSED_KEY,
    NATIVE,
    NESTED,
    UNCOMPRESSED_KEY,
    Coin,
    coin_of,
    digest,
    locking_script_of,
    recover,
)
from assay_verify.ownership.bitcoin_script import hash160, multisig, sha256
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified

_LONGEST_REDEEM_SCRIPT = 520
_HEADERS = {"P2SH": (UNCOMPRESSED_KEY, COMPRESSED_KEY), "P2SH-P2WSH": (COMPRESSED_KEY, NESTED), "P2WSH": (COMPRESSED_KEY, NATIVE)}


class BitcoinMultisig:
    """P2SH, P2WSH and P2SH-P2WSH addresses of m-of-n scripts."""

    name = "bitcoin_multisig"
    specification = "https://github.com/okx/proof-of-reserves"

    def verify(self, statement: Statement) -> Verified:
        """Check one statement, whose script is in hexadecimal.

        Raises:
            NotVerifiedError: The script is not the address's, a key is not in the script or signs twice, or signatures are missing.
            UnsupportedError: Unknown coin, or a script that is not m-of-n.
        """
        coin = coin_of(statement.coin)
        script = _read(statement.script)
        headers = _HEADERS[_kind(coin, locking_script_of(coin, statement.address), script)]
        template = multisig(script)
        if template is None:
            raise UnsupportedError("the address's script is not m-of-n; BIP-322 covers such scripts")
        threshold, keys = template
        signed = digest(coin.magic, statement.message)
        signers = [_signer(signature, signed, headers, keys) for signature in statement.signatures]
        if len(set(signers)) != len(signers):
            raise NotVerifiedError("two signatures are by the same key")
        if len(signers) < threshold:
            raise NotVerifiedError(f"{len(signers)} of {threshold} required signatures")
        return Verified(scheme=self.name, keys=tuple(signers))


def _read(text: str) -> bytes:
    """Read a script from hexadecimal, strictly: `bytes.fromhex` skips spaces."""
    try:
        script = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        script = b""
    if not script or script.hex() != text.removeprefix("0x").lower():
        raise NotVerifiedError("the script is not hexadecimal")
    return script


def _kind(coin: Coin, locked: bytes, script: bytes) -> str:
    """Return the kind of address that the script hashes to."""
    fits = len(script) <= _LONGEST_REDEEM_SCRIPT
    if fits and locked in (b"\xa9\x14" + hash160(script) + b"\x87", b"\xaa\x20" + double_sha256(script) + b"\x87"):
        return "P2SH"
    program = b"\0\x20" + sha256(script)
    if coin.witness and locked == program:
        return "P2WSH"
    if coin.witness and locked == b"\xa9\x14" + hash160(program) + b"\x87":
        return "P2SH-P2WSH"
    raise NotVerifiedError("the script does not hash to the address")


def _signer(signature: str, signed: bytes, headers: tuple[int, ...], keys: tuple[bytes, ...]) -> str:
    """Return the key of the script that made a signature."""
    kind, key = recover(signature, signed)
    if kind not in headers:
        raise NotVerifiedError("a signature's first byte is for another kind of address")
    if key not in keys:
        raise NotVerifiedError("a signature is by a key that is not in the script, or for another text")
    return key.hex()
