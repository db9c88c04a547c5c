"""Signed messages of Bitcoin and its relatives: one key, one 65-byte signature from which the key is recovered.

BIP-137 (https://github.com/bitcoin/bips/blob/master/bip-0137.mediawiki) gives the first byte: 27-30 for an uncompressed key, 31-34 for a
compressed one, 35-38 for P2SH-P2WPKH, 39-42 for P2WPKH. Electrum (https://github.com/spesmilo/electrum/blob/master/electrum/bitcoin.py) writes
31-34 for the last two as well. Each chain has its own first line, `strMessageMagic` or `MESSAGE_MAGIC` in its node software.

- A high s is accepted. No rule here forbids it, `verifymessage` takes it, and it leads to the same key and the same text: it proves no less.
- For Taproot no such form is specified, but some wallets sign so. The key that is recovered must be the address's own or the internal key of
  BIP-86 (https://github.com/bitcoin/bips/blob/master/bip-0086.mediawiki); both can spend, so it is accepted with a note.
"""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from dataclasses import dataclass
from functools import lru_cache

from coincurve import PublicKeyXOnly

from assay_verify.addresses import NETWORKS, locking_script, test_network_of
from assay_verify.digests import double_sha256
from assay_verify.findings import MalformedError
from assay_verify.ownership import ecdsa
from assay_verify.ownership.bitcoin_script import hash160, is_pay_to_script_hash, tagged_hash, with_length
from assay_verify.ownership.encodings import base58_check
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified

UNCOMPRESSED_KEY, COMPRESSED_KEY, NESTED, NATIVE = range(4)
_ONE_KEY = (UNCOMPRESSED_KEY, COMPRESSED_KEY)
_TEXT, _FIRST_HEADER, _HEADERS = 88, 27, 16
_TAPROOT_NOTE = "signed with an ECDSA signature, which no specification defines for Taproot addresses; the key is one that can spend"


@dataclass(frozen=True, slots=True)
class Coin:
    """How a coin signs messages and writes addresses.

    Attributes:
        magic: First line of what is signed.
        network: Of `assay_verify.addresses.NETWORKS`.
        witness: Whether it has SegWit.
        p2pkh: Version byte of addresses of a key.
    """

    magic: bytes
    network: str
    witness: bool
    p2pkh: bytes

    def address_of(self, key: bytes) -> str:
        """Return the P2PKH address of a key in base58."""
        return base58_check(self.p2pkh + hash160(key))


_MAGIC = {"litecoin": b"Litecoin", "dogecoin": b"Dogecoin", "dash": b"DarkCoin"}
_TICKERS = {
    "BTC": "bitcoin",
    "XBT": "bitcoin",
    "BSV": "bitcoin",
    "BCH": "bitcoin_cash",
    "BCHN": "bitcoin_cash",
    "LTC": "litecoin",
    "DOGE": "dogecoin",
    "DASH": "dash",
}
_WITHOUT_WITNESS = {"BSV"}


def _coin(name: str, network: str) -> Coin:
    magic = next((text for chain, text in _MAGIC.items() if network.startswith(chain)), b"Bitcoin") + b" Signed Message:\n"
    known = NETWORKS[network]
    return Coin(magic, network, witness=bool(known.bech32) and name not in _WITHOUT_WITNESS, p2pkh=bytes(known.p2pkh[:1]))


COINS = {name: _coin(name, network) for name, network in (*_TICKERS.items(), *((network, network) for network in NETWORKS))}
"""Coins by ticker, as exchanges write them in their lists, and by the names of networks that a publication uses."""


class BitcoinMessage:
    """Addresses of a single key."""

    name = "bip137"
    specification = "https://github.com/bitcoin/bips/blob/master/bip-0137.mediawiki"

    def verify(self, statement: Statement) -> Verified:
        """Check one statement. A script, where given, must be the public key or the redeem script that it leads to.

        Raises:
            NotVerifiedError: Wrong key, message or form.
            UnsupportedError: Unknown coin.
        """
        coin = coin_of(statement.coin)
        if len(statement.signatures) != 1:
            raise NotVerifiedError(f"{len(statement.signatures)} signatures and no script that asks for them")
        kind, key = recover(statement.signatures[0], digest(coin.magic, statement.message))
        if kind in _ONE_KEY and not statement.script and statement.address == coin.address_of(key):
            return Verified(scheme=self.name, keys=(key.hex(),))  # most rows of most lists, and the shorter way
        locked = locking_script_of(coin, statement.address)
        note = _check_address(coin, locked, kind, key)
        if statement.script and statement.script.lower() not in (key.hex(), (b"\0\x14" + hash160(key)).hex()):
            raise NotVerifiedError("the signature is by another key than the public key that is stated")
        return Verified(scheme=self.name, keys=(key.hex(),), note=note)


def coin_of(name: str) -> Coin:
    """Return how a coin signs.

    Raises:
        UnsupportedError: It is not in the table.
    """
    coin = COINS.get(name)
    if coin is None:
        raise UnsupportedError(f"signed messages of {name!r} are unknown to this verifier")
    return coin


def locking_script_of(coin: Coin, address: str) -> bytes:
    """Return the script that an address of the coin stands for.

    Raises:
        NotVerifiedError: It is no address of the coin.
    """
    try:
        script = locking_script(coin.network, address)
    except MalformedError as error:
        test = test_network_of(coin.network, address)
        words = (
            f"it is an address of {test}, a test network whose coins are worth nothing; --test-networks takes those" if test else str(error)
        )
        raise NotVerifiedError(words) from None
    if not coin.witness and script[0] not in (0x76, 0xA9, 0xAA):
        raise NotVerifiedError(f"{address} is an address of another network")
    return script


@lru_cache(maxsize=256)
def digest(magic: bytes, message: str) -> bytes:
    """Return what is signed. Kept, as lists have one text for many addresses.

    Raises:
        NotVerifiedError: The text is not Unicode.
    """
    try:
        return double_sha256(with_length(magic) + with_length(message.encode()))
    except UnicodeEncodeError:
        raise NotVerifiedError("the message holds half of a surrogate pair, which no encoding can write") from None


def recover(signature: str, signed: bytes) -> tuple[int, bytes]:
    """Return the kind of address that a signature is for, and its public key, serialised as that kind asks.

    Raises:
        NotVerifiedError: It is not 65 bytes in canonical base64, its first byte is out of range, or no key belongs to it.
    """
    try:
        raw = a2b_base64(signature, strict_mode=True) if len(signature) == _TEXT else b""
    except (Error, ValueError):
        raw = b""
    # Encoding it again notices what base64 decoders let through: bits behind the last byte.
    if len(raw) != 65 or b2a_base64(raw, newline=False).decode() != signature:  # noqa: PLR2004
        raise NotVerifiedError("the signature is not 65 bytes in base64 (88 characters, the last one '=')")
    kind, recovery = divmod(raw[0] - _FIRST_HEADER, 4)
    if not 0 <= raw[0] - _FIRST_HEADER < _HEADERS:
        raise NotVerifiedError(f"the signature's first byte is {raw[0]}, which is none of 27 to 42")
    key = ecdsa.recover(signed, raw[1:], recovery, low_s=False)
    return kind, key if kind == UNCOMPRESSED_KEY else ecdsa.compressed(key)


def _check_address(coin: Coin, locked: bytes, kind: int, key: bytes) -> str:
    """Raise unless the key is the address's; return the note."""
    if locked[0] == 0x76:  # noqa: PLR2004 (OP_DUP of P2PKH)
        held, allowed = locked[3:23] == hash160(key), (UNCOMPRESSED_KEY, COMPRESSED_KEY)
    elif coin.witness and is_pay_to_script_hash(locked):
        held, allowed = locked[2:22] == hash160(b"\0\x14" + hash160(key)), (COMPRESSED_KEY, NESTED)
    elif locked[:2] == b"\0\x14":
        held, allowed = locked[2:] == hash160(key), (COMPRESSED_KEY, NATIVE)
    elif locked[:2] == b"\x51\x20":
        held, allowed = locked[2:] in (key[1:33], _output_key(key)), (COMPRESSED_KEY, NATIVE)
    else:
        raise NotVerifiedError("the address stands for a script, which has to be stated with the signatures")
    if kind not in allowed:
        raise NotVerifiedError("the signature's first byte is for another kind of address")
    if not held:
        raise NotVerifiedError("the signature is by another key, for another text, or the address stands for a script that is not stated")
    return _TAPROOT_NOTE if locked[0] == 0x51 else ""  # noqa: PLR2004


def _output_key(key: bytes) -> bytes:
    """Return the key of a Taproot address without scripts, from its internal key (BIP-86)."""
    output = PublicKeyXOnly(key[1:33])
    output.tweak_add(tagged_hash("TapTweak", key[1:33]))
    return bytes(output.format())
