"""TON addresses of wallet contracts: the hash of code and first data, in which the key stands.

Nothing on TON is owned by a key directly. An account's address is the hash of its `StateInit`, a cell with two references: the contract's code and the
data that it begins with (https://docs.ton.org/foundations/addresses/overview). For the wallets that are in use the code is known, and the data are
a counter, a number of the wallet and the key, so the address follows from the key:

- v3r1, v3r2, v4r1, v4r2 (https://docs.ton.org/standard/wallets/history), wallet number 698983191 on the basic workchain
- v5r1 (https://docs.ton.org/standard/wallets/v5), wallet number 2147483409: mainnet, basic workchain, subwallet 0
- highload v3 (https://docs.ton.org/standard/wallets/highload/v3/specification), subwallet 4269 and timeout 43,200 s as exchanges use it

Another code, number or network is not recognised and not accepted. Of a wallet's code only hash and depth go into the address
(representation of cells: https://docs.ton.org/foundations/serialization/cells), so these stand here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from functools import lru_cache

_FRIENDLY_LENGTH = 48
_BOUNCEABLE, _NON_BOUNCEABLE = 0x11, 0x51
_BASIC = 0
_STATE_INIT = bytes([2, 1, 0x34])
"""Two references, five bits: no split depth, nothing special, code, data, no library; then the bit that ends the padding."""
_SUBWALLET = (698983191).to_bytes(4, "big")
_V5_NUMBER = (2147483409).to_bytes(4, "big")
_HIGHLOAD_SUBWALLET = (4269).to_bytes(4, "big")
_HIGHLOAD_TIMEOUT = 43_200
_SEQUENCE = bytes(4)

CODES = {
    "v3r1": ("b61041a58a7980b946e8fb9e198e3c904d24799ffa36574ea4251c41a566f581", 0),
    "v3r2": ("84dafa449f98a6987789ba232358072bc0f76dc4524002a5d0918b9a75d2d599", 0),
    "v4r1": ("64dd54805522c5be8a9db59cea0105ccf0d08786ca79beb8cb79e880a8d7322d", 7),
    "v4r2": ("feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0", 7),
    "v5r1": ("20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f", 6),
    "highload_v3": ("11acad7955844090f283bf238bc1449871f783e7cc0979408d3f4859483e8525", 6),
}
"""Hash and depth of each code cell."""


def is_wallet_of(key: bytes, address: str) -> bool:
    """Tell whether an address is a known wallet's with this key."""
    account = _account(address)
    return account is not None and account in wallets(key).values()


@lru_cache(maxsize=1024)
def wallets(key: bytes) -> dict[str, bytes]:
    """Return the account ids of a key's wallets by version."""
    first = {version: _first_data(version, key) for version in CODES}
    return {version: _state_hash(version, data, bits) for version, (data, bits) in first.items()}


def _first_data(version: str, key: bytes) -> tuple[bytes, int]:
    """Return what a wallet begins with: bytes, filled up with zero bits, and how many bits of them count."""
    if version.startswith("v3"):
        return _SEQUENCE + _SUBWALLET + key, 320
    if version.startswith("v4"):
        return _SEQUENCE + _SUBWALLET + key + b"\0", 321  # an empty dictionary of plugins
    if version == "v5r1":
        # A set bit, by which signatures are allowed, moves the rest by one; an empty dictionary of extensions ends it.
        number = int.from_bytes(b"\1" + _SEQUENCE + _V5_NUMBER + key, "big") << 1
        return (number << 6).to_bytes(41, "big"), 322
    # Two empty dictionaries of queries, the time of the last cleaning (zero), and the timeout in 22 bits.
    return key + _HIGHLOAD_SUBWALLET + (_HIGHLOAD_TIMEOUT).to_bytes(11, "big"), 376


def _state_hash(version: str, data: bytes, bits: int) -> bytes:
    code, depth = CODES[version]
    whole, rest = divmod(bits, 8)
    if rest:
        data = data[:-1] + bytes([data[-1] | 0x80 >> rest])
    first = hashlib.sha256(bytes([0, 2 * whole + bool(rest)]) + data).digest()
    return hashlib.sha256(_STATE_INIT + depth.to_bytes(2, "big") + bytes(2) + bytes.fromhex(code) + first).digest()


def _account(address: str) -> bytes | None:
    """Return the account id of an address on mainnet's basic workchain, raw or user-friendly; nothing where it is none."""
    if address.startswith(f"{_BASIC}:"):
        digits = address[2:]
        return bytes.fromhex(digits) if len(digits) == 2 * 32 and not set(digits) - set("0123456789abcdef") else None
    if len(address) != _FRIENDLY_LENGTH or not address.isascii() or (set(address) & set("-_") and set(address) & set("+/")):
        return None
    try:
        content = base64.b64decode(address.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        return None
    if content[0] not in (_BOUNCEABLE, _NON_BOUNCEABLE) or content[1] != _BASIC:
        return None
    return content[2:34] if binascii.crc_hqx(content, 0) == 0 else None
