"""EVM addresses and their checksum (EIP-55, https://eips.ethereum.org/EIPS/eip-55)."""

from __future__ import annotations

from eth_utils.address import to_checksum_address

from assay.config import Chain
from assay.errors import RegistryError

_ZERO = "0x" + "0" * 40


def check_address(chain: Chain, address: str) -> str:
    """Return the address with its EIP-55 checksum.

    All lower case carries no checksum and is accepted. Any upper-case letter makes the spelling a checksum, which
    must then be right; so all upper case, which nothing writes on purpose, is refused.

    Raises:
        RegistryError: Not an address, a wrong checksum, or the zero address, which nobody owns.
    """

    def fail(problem: str) -> RegistryError:
        return RegistryError(
            problem, subject=f"{chain.name} address {address[:80]!r}", next_step="copy the address again from where it is shown"
        )

    digits = address[2:]
    if (
        len(address) != len(_ZERO)
        or not address.startswith("0x")
        or not digits.isascii()
        or not all(c in "0123456789abcdefABCDEF" for c in digits)
    ):
        raise fail("it is not 0x and 40 hexadecimal digits")
    if address == _ZERO:
        raise fail("it is the zero address")
    checksummed = str(to_checksum_address(address))
    if address not in (checksummed, address.lower()):
        raise fail(f"its checksum is wrong (EIP-55 writes these digits as {checksummed})")
    return checksummed
