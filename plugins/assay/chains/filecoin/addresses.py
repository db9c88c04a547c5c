"""Filecoin addresses: text to bytes and back, with their checksums (https://spec.filecoin.io/appendix/address/).

Written here because no package at hand reads them; `base64` and `hashlib` of the standard library do the work.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

MAINNET = "mainnet"
ETHEREUM_NAMESPACE = 10
"""Actor id of the Ethereum Address Manager: addresses 0x… are f410f… here (FIP-0048, FIP-0055)."""

_ID, _SECP256K1, _ACTOR, _BLS, _DELEGATED = range(5)
_LENGTHS = {_SECP256K1: 20, _ACTOR: 20, _BLS: 48}
_LONGEST_DELEGATED = 54
_CHECKSUM = 4
_LARGEST = 1 << 64
_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
_BASE32 = re.compile(r"[a-z2-7]+", re.ASCII)
_ETHEREUM = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_ETHEREUM_BYTES = 20
_MASKED_ID = b"\xff" + bytes(11)  # 0xff, eleven zeros and an id: the Ethereum spelling of f0…


class AddressError(ValueError):
    """A text that is not an address, in words that follow "it"."""


@dataclass(frozen=True)
class Address:
    """An address without its network.

    Attributes:
        protocol: The digit after the network's letter.
        payload: Key hash, key, or sub-address; the id's decimal digits for protocol 0.
        namespace: Actor id of the address manager, for protocol 4.
    """

    protocol: int
    payload: bytes
    namespace: int = 0

    def text(self, network: str) -> str:
        """Write the address for a network."""
        letter = _letter(network)
        if self.protocol == _ID:
            return f"{letter}0{self.payload.decode()}"
        encoded = base64.b32encode(self.payload + self._checksum()).decode().lower().rstrip("=")
        return f"{letter}{self.protocol}{f'{self.namespace}f' if self.protocol == _DELEGATED else ''}{encoded}"

    def _checksum(self) -> bytes:
        manager = _leb128(self.namespace) if self.protocol == _DELEGATED else b""
        return hashlib.blake2b(bytes([self.protocol]) + manager + self.payload, digest_size=_CHECKSUM).digest()


def parse_address(text: str, network: str) -> Address:
    """Read an address of a network, `0x…` included.

    Raises:
        AddressError: Wrong network, unknown protocol, wrong length or wrong checksum.
    """
    if text.startswith("0x"):
        return _from_ethereum(text)
    letter = _letter(network)
    if text[:1] != letter:
        raise AddressError(f"it does not begin with {letter}, as addresses of {network} do")
    if text[1:2] not in tuple("01234"):
        raise AddressError("it is of no known kind (f0 to f4)")
    protocol, rest, namespace = int(text[1]), text[2:], 0
    if protocol == _ID:
        return _id_address(rest)
    if protocol == _DELEGATED:
        manager, _, rest = rest.partition("f")
        if not _NUMBER.fullmatch(manager) or int(manager) >= _LARGEST:
            raise AddressError("the id of its address manager is not a number")
        namespace = int(manager)
    decoded = _from_base32(rest)
    address = Address(protocol, decoded[:-_CHECKSUM], namespace)
    length = len(address.payload)
    if not (length == _LENGTHS[protocol] if protocol in _LENGTHS else 0 < length <= _LONGEST_DELEGATED):
        raise AddressError("it has the wrong length for its kind")
    if address.text(network) != text:
        raise AddressError("its checksum is wrong")
    return address


def _from_ethereum(text: str) -> Address:
    if not _ETHEREUM.fullmatch(text):
        raise AddressError("it is not 0x and 40 hexadecimal digits")
    # As for EVM chains: all lower case carries no checksum, any other spelling is one (EIP-55).
    if text not in (text.lower(), to_checksum_address(text)):
        raise AddressError("its checksum is wrong (EIP-55)")
    raw = bytes.fromhex(text[2:])
    if not any(raw):
        raise AddressError("it is the zero address")
    if raw.startswith(_MASKED_ID):
        return _id_address(str(int.from_bytes(raw[len(_MASKED_ID) :], "big")))
    return Address(_DELEGATED, raw, ETHEREUM_NAMESPACE)


def _id_address(digits: str) -> Address:
    if not _NUMBER.fullmatch(digits) or int(digits) >= _LARGEST:
        raise AddressError("its id is not a number of 64 bits")
    return Address(_ID, digits.encode())


def _from_base32(text: str) -> bytes:
    if not _BASE32.fullmatch(text):
        raise AddressError("it holds characters that no address has")
    try:
        decoded = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError:
        raise AddressError("it has the wrong length") from None
    if len(decoded) <= _CHECKSUM:
        raise AddressError("it has the wrong length")
    return decoded


def _leb128(number: int) -> bytes:
    groups = bytearray()
    while True:
        number, low = divmod(number, 128)
        groups.append(low | (0x80 if number else 0))
        if not number:
            return bytes(groups)


def _letter(network: str) -> str:
    return "f" if network == MAINNET else "t"
