"""EVM addresses and their checksums."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.evm import check_address
from assay.errors import RegistryError
from tests.chains.evm_asking import chain_of

KNOWN = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0x52908400098527886E0F7030069857D2E4169EE7",
]
"""Test cases of EIP-55; the last one is all upper case by its checksum."""


@pytest.mark.parametrize("address", KNOWN)
def test_known_checksums_are_accepted_and_lower_case_is_given_one(address: str) -> None:
    assert check_address(chain_of("ethereum"), address) == address
    assert check_address(chain_of("ethereum"), address.lower()) == address


@given(st.binary(min_size=20, max_size=20).filter(any), st.integers(0, 39))
def test_any_single_letter_in_the_wrong_case_is_refused(raw: bytes, position: int) -> None:
    chain = chain_of("ethereum")
    checksummed = check_address(chain, "0x" + raw.hex())
    flipped = checksummed[: position + 2] + checksummed[position + 2].swapcase() + checksummed[position + 3 :]
    if flipped in (checksummed, checksummed.lower()):
        assert check_address(chain, flipped) == checksummed
    else:
        with pytest.raises(RegistryError, match="checksum"):
            check_address(chain, flipped)


@given(st.text())
def test_no_other_text_is_an_address(text: str) -> None:
    with pytest.raises(RegistryError):
        check_address(chain_of("ethereum"), text)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "0x",
        KNOWN[0][2:],
        KNOWN[0] + "0",
        KNOWN[0][:-1],
        " " + KNOWN[0],
        KNOWN[0] + "\n",
        "0X" + KNOWN[0][2:],
        "0x" + "g" * 40,
        "0x" + "0" * 40,
        "0x" + "٣" * 40,
        "0x" + KNOWN[0][2:].upper(),
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
    ],
)
def test_text_that_is_not_quite_an_address_is_refused(address: str) -> None:
    with pytest.raises(RegistryError):
        check_address(chain_of("ethereum"), address)
