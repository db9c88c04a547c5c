"""Addresses of the Bitcoin family: checked, brought into one form, and turned into the script that they stand for.

Decoding is bitcoinlib's, except for Bitcoin Cash's own form; the prefixes are not, because its table gives regtest the main
network's and lacks Dash. An address whose script has no spending rules yet (an unknown witness version, BIP-141) is refused:
whoever mines could take the coins.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from assay.chains.bitcoin import cashaddr as bitcoin_cashaddr
from assay.errors import ConfigError, RegistryError

_P2PKH_LENGTH, _TAPROOT_LENGTH = 20, 32
_BASE58_LENGTH = 25  # version, 20 bytes of hash, 4 bytes of checksum
_BASE58_LONGEST = 36  # characters; the shortest address of Bitcoin Cash's own form has 42


@dataclass(frozen=True)
class Prefixes:
    """How a network writes addresses.

    Attributes:
        p2pkh: Version byte.
        p2sh: Version bytes; the first one is the canonical form.
        bech32: Human-readable part (BIP-173); empty where there is no segregated witness.
        cashaddr: Prefix of Bitcoin Cash's own form, which is the canonical one there; BASE58 is read as well.
    """

    p2pkh: int
    p2sh: tuple[int, ...]
    bech32: str = ""
    cashaddr: str = ""


NETWORKS = {
    "bitcoin": Prefixes(0x00, (0x05,), "bc"),
    "testnet": Prefixes(0x6F, (0xC4,), "tb"),
    "regtest": Prefixes(0x6F, (0xC4,), "bcrt"),
    # Litecoin Core reads the old form (3…, the same as Bitcoin's) as well and writes the new one (M…).
    "litecoin": Prefixes(0x30, (0x32, 0x05), "ltc"),
    "litecoin_testnet": Prefixes(0x6F, (0x3A, 0xC4), "tltc"),
    "litecoin_regtest": Prefixes(0x6F, (0x3A, 0xC4), "rltc"),
    "dogecoin": Prefixes(0x1E, (0x16,)),
    "dogecoin_testnet": Prefixes(0x71, (0xC4,)),
    "dogecoin_regtest": Prefixes(0x6F, (0xC4,)),
    "dash": Prefixes(0x4C, (0x10,)),
    "dash_testnet": Prefixes(0x8C, (0x13,)),
    "dash_regtest": Prefixes(0x8C, (0x13,)),
    "bitcoin_cash": Prefixes(0x00, (0x05,), cashaddr="bitcoincash"),
    "bitcoin_cash_testnet": Prefixes(0x6F, (0xC4,), cashaddr="bchtest"),
    "bitcoin_cash_regtest": Prefixes(0x6F, (0xC4,), cashaddr="bchreg"),
}
"""By `network` in chains.toml. Sources: `chainparams.cpp` of Bitcoin Core, Litecoin Core, Dogecoin Core, Dash Core and Bitcoin Cash Node."""

_WITNESS_PARTS = {item.bech32 for item in NETWORKS.values() if item.bech32}


@dataclass(frozen=True)
class Address:
    """A checked address: its canonical text and its locking script."""

    text: str
    script: bytes


def parse_address(network: str, address: str) -> Address:
    """Check an address against a network.

    Raises:
        ConfigError: No such network.
        RegistryError: Bad checksum, other network, unknown script, or not an address at all.
    """
    if network not in NETWORKS:
        raise ConfigError(
            f"the network {network!r} is unknown", subject="chains.toml", next_step=f"use one of {', '.join(sorted(NETWORKS))}"
        )
    prefixes = NETWORKS[network]
    # The separator is the last 1 (BIP-173), and BASE58 texts of 25 bytes have at most 36 characters.
    if address.lower().rpartition("1")[0] in _WITNESS_PARTS:
        return _parse_bech32(network, prefixes, address)
    if prefixes.cashaddr and (":" in address or len(address) > _BASE58_LONGEST):
        return _parse_cashaddr(prefixes.cashaddr, address)
    found = _parse_base58(network, prefixes, address)
    return Address(bitcoin_cashaddr.encode(prefixes.cashaddr, found.script), found.script) if prefixes.cashaddr else found


def _refuse(address: str, problem: str) -> RegistryError:
    return RegistryError(problem, subject=f"address {address[:100]!r}", next_step="correct the address, or the chain it is listed under")


def _parse_base58(network: str, prefixes: Prefixes, address: str) -> Address:
    encoding = _encoding()
    try:
        decoded: bytes = encoding.change_base(address, 58, 256, _BASE58_LENGTH)
        text: str = encoding.pubkeyhash_to_addr_base58(decoded[1:21], decoded[:1])
    except Exception as error:  # bitcoinlib raises whatever its first wrong step raises
        raise _refuse(address, f"it is not a {network} address") from error
    # The library takes look-alike letters and its checksum test is an assertion: only the text itself is proof.
    if len(decoded) != _BASE58_LENGTH or text != address:
        raise _refuse(address, "its checksum or its letters are wrong")
    version, payload = decoded[0], decoded[1:21]
    if version == prefixes.p2pkh:
        return Address(text, b"\x76\xa9\x14" + payload + b"\x88\xac")
    if version in prefixes.p2sh:
        return Address(encoding.pubkeyhash_to_addr_base58(payload, bytes([prefixes.p2sh[0]])), b"\xa9\x14" + payload + b"\x87")
    raise _refuse(address, f"its version byte {version} belongs to another network than {network}")


def _parse_cashaddr(prefix: str, address: str) -> Address:
    try:
        script = bitcoin_cashaddr.decode(prefix, address)
    except bitcoin_cashaddr.NotCashAddrError as error:
        raise _refuse(address, str(error)) from error
    return Address(bitcoin_cashaddr.encode(prefix, script), script)


def _parse_bech32(network: str, prefixes: Prefixes, address: str) -> Address:
    human = address.lower().rpartition("1")[0]
    if human != prefixes.bech32:
        own = f"({prefixes.bech32!r})" if prefixes.bech32 else "(which has no such addresses)"
        raise _refuse(address, f"its prefix {human!r} belongs to another network than {network} {own}")
    try:
        script: bytes = _encoding().addr_bech32_to_pubkeyhash(address, prefix=prefixes.bech32, include_witver=True)
    except Exception as error:  # bitcoinlib raises whatever its first wrong step raises
        raise _refuse(address, "its checksum, its letters or its length are wrong") from error
    version, length = script[0], script[1]
    if version and (version != 0x51 or length != _TAPROOT_LENGTH):  # noqa: PLR2004 (OP_1)
        raise _refuse(address, "it pays to a witness program without spending rules, which anybody could take")
    return Address(address.lower(), script)


@cache
def _encoding() -> Any:
    """Import bitcoinlib's encodings; it writes settings and a log to a folder of its own as soon as it is imported."""
    default = Path(os.environ.get("AIRFLOW_HOME", ".")).resolve() / "data" / "bitcoinlib"
    os.environ.setdefault("BCL_DATA_DIR", str(default))
    from bitcoinlib import encoding

    return encoding
