"""872 real addresses on 21 chains, against the chains as the catalogue knows them.

The file is a public list of one exchange's wallets (`../shared/addresses/okx.json`). Every one must be accepted by its chain; refused with one
character changed, where the format has a checksum; and refused by every chain that writes addresses otherwise.

Formats without a checksum, where nothing but the owner's eyes notices a changed character: EVM addresses all in lower case (as they stand in the
file), Aptos, Solana.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from assay.chains.families import family_of
from assay.config_chains import read_catalogue
from assay.errors import RegistryError

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FILE = REPOSITORY.parent / "shared" / "addresses" / "okx.json"
_, CHAINS = read_catalogue()

pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"the list of addresses is not there: {FILE}")

RENAMED = {"avax": "avalanche", "doge": "dogecoin", "era": "zksync", "ethereum_staking_withdrawal": "ethereum_beacon"}
"""Where the file and the catalogue call a chain differently."""

NOT_COVERED = {"starknet": "no family reads it"}
"""Chains of the file that the catalogue does not have, and why."""

COUNTED = {"evm": 328, "ethereum_beacon": 5, "bitcoin": 429, "aptos": 6, "polkadot": 8, "ripple": 16, "solana": 41, "ton": 15, "tron": 23}
"""Addresses by family, so that none is left out in silence."""

WITHOUT_CHECKSUM = {"aptos", "solana"}
HEXADECIMAL = {"evm", "ethereum_beacon"}


@cache
def addresses() -> dict[str, list[str]]:
    """Return the file's addresses by the file's own names of chains."""
    return dict(json.loads(FILE.read_text())["chains"]) if FILE.exists() else {}


def covered() -> list[str]:
    """Return the file's names of the chains that the catalogue has."""
    return [name for name in addresses() if name not in NOT_COVERED]


def check(name: str, address: str) -> str:
    """Return an address in its canonical form, or raise."""
    chain = CHAINS[RENAMED.get(name, name)]
    return family_of(chain).check_address(chain, address)


def changed(name: str, address: str, seed: int) -> Iterator[str]:
    """Give the address with one character changed into its neighbour of the same alphabet, at a few places."""
    family = CHAINS[RENAMED.get(name, name)].family
    alphabets = {
        "hexadecimal": ("0123456789abcdef", "0123456789ABCDEF"),
        "base58": ("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",),
        "bech32": ("qpzry9x8gf2tvdw0s3jn54khce6mua7l",),
        "base64": ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",),
        "ripple": ("rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz",),
    }
    kind = {"ton": "base64", "ripple": "ripple"}.get(family, "hexadecimal" if family in HEXADECIMAL else "base58")
    if address.startswith(("bc1", "ltc1")):
        kind = "bech32"
    start = 4 if kind == "bech32" else 2 if kind == "hexadecimal" else 0
    for step in range(4):
        place = start + (seed * 7 + step * 11) % (len(address) - start)
        alphabet = next(letters for letters in alphabets[kind] if address[place] in letters)
        yield address[:place] + alphabet[(alphabet.index(address[place]) + 1) % len(alphabet)] + address[place + 1 :]


def test_every_chain_of_the_file_is_covered_or_named() -> None:
    assert {RENAMED.get(name, name) for name in covered()} <= set(CHAINS)
    assert set(NOT_COVERED) <= set(addresses())
    assert sum(map(len, addresses().values())) == 872
    assert sum(len(addresses()[name]) for name in NOT_COVERED) == 1
    found = dict.fromkeys(COUNTED, 0)
    for name in covered():
        found[CHAINS[RENAMED.get(name, name)].family] += len(addresses()[name])
    assert found == COUNTED


@pytest.mark.parametrize("name", covered())
def test_every_address_is_accepted_and_has_one_form(name: str) -> None:
    forms = [check(name, address) for address in addresses()[name]]
    assert [check(name, form) for form in forms] == forms
    assert len(set(forms)) == len(set(addresses()[name]))


@pytest.mark.parametrize("name", covered())
def test_one_changed_character_is_refused_where_there_is_a_checksum(name: str) -> None:
    family = CHAINS[RENAMED.get(name, name)].family
    if family in WITHOUT_CHECKSUM:
        pytest.skip(f"the {family} format has no checksum")
    for seed, address in enumerate(addresses()[name]):
        # An EVM address has its checksum in the case of its letters.
        written = check(name, address) if family in HEXADECIMAL else address
        for wrong in changed(name, written, seed):
            with pytest.raises(RegistryError):
                print(name, written, wrong, check(name, wrong))


def _also_valid(name: str, other: str, address: str) -> bool:
    """Say whether an address of one chain is one of the other too, because the two write them in one way."""
    here, there = (CHAINS[RENAMED.get(item, item)] for item in (name, other))
    if {here.family, there.family} <= HEXADECIMAL or (here.family, here.network) == (there.family, there.network):
        return True
    # P2SH addresses began with 3 on Litecoin as well, until it gave them a letter of their own.
    return {name, other} == {"bitcoin", "litecoin"} and address.startswith("3")


@pytest.mark.parametrize("name", covered())
def test_an_address_is_refused_by_chains_that_write_addresses_otherwise(name: str) -> None:
    for other in covered():
        for address in addresses()[name]:
            if not _also_valid(name, other, address):
                with pytest.raises(RegistryError):
                    print(name, address, other, check(other, address))
