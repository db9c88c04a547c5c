"""Output descriptors and extended public keys of the Bitcoin family, expanded into addresses.

Descriptors as in BIP-380 to BIP-386 and BIP-389 (https://github.com/bitcoin/bips): `pkh`, `wpkh`, `sh`, `wsh`, `multi`, `sortedmulti`, `pk`, `tr` with
a key alone, `addr` and `raw`; with checksum, key origins, ranges and tuples in paths. What is not of them (`combo`, script trees,
miniscript) is refused. A bare extended key stands for its account's receiving and change addresses (BIP-44), of the kind that its
prefix names (SLIP-132): xpub pays to key hashes, ypub to nested and zpub to native segregated witness.

A private key is refused wherever one stands, and no error shows a key: whoever knows an extended public key can follow every
address of the account, so not even those belong into logs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import base58

from assay.chains.bitcoin import cashaddr as bitcoin_cashaddr
from assay.chains.bitcoin.addresses import NETWORKS, _encoding, parse_address
from assay.chains.bitcoin.descriptor_scripts import DescriptorError, Parser, Script, branches, checksum, refuse_private_keys
from assay.chains.bitcoin.extended_keys import ExtendedKeyError, PrivateKeyError, parse_extended_key
from assay.errors import ConfigError, RegistryError

MAX_ADDRESSES = 100_000
"""Of one descriptor: a larger wallet is split, and a source that calls every address used is stopped."""

Used = Callable[[Sequence[str]], Awaitable[list[bool]]]
"""Tells for each address whether anything ever concerned it."""

_MAX_LENGTH = 10_000
_P2PKH, _P2SH = 25, 23  # bytes of the scripts
_WITNESS = (b"\x00\x14", b"\x00\x20", b"\x51\x20")


@dataclass(frozen=True)
class Descriptor:
    """A descriptor without tuples.

    Attributes:
        network: As in chains.toml.
        ranged: Whether it has a script for each number; otherwise one alone.
        script: Gives the locking script for a number.
        subject: What it is, for errors.
    """

    network: str
    ranged: bool
    script: Script
    subject: str

    def address(self, number: int = 0) -> str:
        """Return the address of the script for a number, in its canonical form.

        Raises:
            RegistryError: The script has no address, or the descriptor no such child.
        """
        try:
            return _address(self.network, self.script(number))
        except (DescriptorError, ExtendedKeyError) as error:
            raise _refusal(error, self.subject) from error


def expand(text: str, network: str, *, subject: str = "descriptor") -> list[Descriptor]:
    """Read a descriptor or a bare extended key.

    Args:
        text: As a wallet exports it, with or without checksum.
        network: As in chains.toml.
        subject: What the text is, for errors, which never show it.

    Returns:
        One descriptor for each value of its tuples (BIP-389); receiving and change addresses for a bare key.

    Raises:
        ConfigError: No such network.
        RegistryError: It is malformed, of another network, holds a private key, or is not of what is known.
    """
    if network not in NETWORKS:
        raise ConfigError(
            f"the network {network!r} is unknown", subject="chains.toml", next_step=f"use one of {', '.join(sorted(NETWORKS))}"
        )
    try:
        refuse_private_keys(text)
        expression = _without_checksum(text)
        if expression.startswith("addr(") and expression.endswith(")"):
            script = parse_address(network, expression[len("addr(") : -1]).script
            return [Descriptor(network, ranged=False, script=lambda _: script, subject=subject)]
        if "(" not in expression:
            expression = _account(expression, network)
        return [_descriptor(branch, network, subject) for branch in branches(expression)]
    except (DescriptorError, ExtendedKeyError, RegistryError) as error:
        raise _refusal(error, subject) from None


async def derive(descriptor: str, network: str, *, gap_limit: int, used: Used, subject: str = "descriptor") -> list[str]:
    """Return a descriptor's addresses, of a range those up to the last one that was used.

    Of a range, addresses are asked for in stretches until `gap_limit` of them in a row were never used. Those up to the last used one are
    returned, the ones between included; those after it hold nothing and would tell where the wallet receives next. Each value of a
    tuple is a range of its own.

    Args:
        descriptor: See `expand`.
        network: As in chains.toml.
        gap_limit: How many unused ones in a row end a range; wallets use 20.
        used: Tells which addresses were used; awaited with at most `gap_limit` of them.
        subject: What the descriptor is, for errors.

    Raises:
        RegistryError: See `expand`; or no address of any range was ever used, so that nothing would be counted; or more
            than `MAX_ADDRESSES` would be derived.
    """
    if gap_limit < 1:
        raise RegistryError(f"its gap limit is {gap_limit}", subject=subject, next_step="set one of at least 1; wallets use 20")
    found: list[str] = []
    for branch in expand(descriptor, network, subject=subject):
        found += await _used_part(branch, gap_limit, used) if branch.ranged else [branch.address()]
    if not found:
        raise RegistryError(
            f"none of its first {gap_limit} addresses was ever used",
            subject=subject,
            next_step="check its script type, its path and its chain, raise its gap limit, or remove it",
        )
    return list(dict.fromkeys(found))


async def _used_part(branch: Descriptor, gap_limit: int, used: Used) -> list[str]:
    addresses: list[str] = []
    end = 0  # behind the last used one
    while len(addresses) - end < gap_limit:
        if len(addresses) >= MAX_ADDRESSES:
            raise RegistryError(
                f"more than {MAX_ADDRESSES} addresses would be derived",
                subject=branch.subject,
                next_step="split the wallet; check the source if it has fewer addresses",
            )
        # No more than the gap still lacks.
        stretch = [branch.address(number) for number in range(len(addresses), end + gap_limit)]
        answers = await used(stretch)
        if len(answers) != len(stretch):
            raise RegistryError(
                f"{len(answers)} answers came for {len(stretch)} addresses",
                subject=branch.subject,
                next_step="report this as a defect of the reader",
            )
        start = len(addresses)
        addresses += stretch
        end = max((start + place + 1 for place, answer in enumerate(answers) if answer), default=end)
    return addresses[:end]


def _descriptor(expression: str, network: str, subject: str) -> Descriptor:
    parser = Parser(network)
    script = parser.script(expression)
    script(0)  # what is wrong with every script of a range is said at once
    return Descriptor(network, ranged=parser.ranged, script=script, subject=subject)


def _without_checksum(text: str) -> str:
    if len(text) > _MAX_LENGTH:
        raise DescriptorError(f"it is longer than {_MAX_LENGTH} characters")
    expression, separator, given = text.partition("#")
    if checksum(expression) != given and separator:
        raise DescriptorError("its checksum is wrong")
    return expression


def _account(key: str, network: str) -> str:
    """Return the descriptor that a bare extended key stands for."""
    kind = parse_extended_key(key, network).kind
    if "wsh" in kind:
        raise DescriptorError("it is one key of several, which a descriptor must name together with their threshold")
    return kind.replace("pkh", f"pkh({key}/<0;1>/*)")


def _address(network: str, script: bytes) -> str:
    """Return a script's address; held against what the address is read as, so that encoding and decoding vouch for each other."""
    prefixes = NETWORKS[network]
    text = ""
    if len(script) == _P2PKH and script.startswith(b"\x76\xa9\x14"):
        text = base58.b58encode_check(bytes([prefixes.p2pkh]) + script[3:23]).decode()
    elif len(script) == _P2SH and script.startswith(b"\xa9\x14"):
        text = base58.b58encode_check(bytes([prefixes.p2sh[0]]) + script[2:22]).decode()
    elif script[:2] in _WITNESS and prefixes.bech32:
        text = _encoding().pubkeyhash_to_addr_bech32(script, prefixes.bech32)
    if text and prefixes.cashaddr:
        text = bitcoin_cashaddr.encode(prefixes.cashaddr, script)
    if not text or parse_address(network, text).script != script:
        raise DescriptorError(f"its scripts have no address on {network}")
    return text


def _refusal(error: Exception, subject: str) -> RegistryError:
    if isinstance(error, RegistryError):  # of an address, whose own words show it
        return RegistryError(error.problem, subject=subject, next_step=error.next_step)
    if isinstance(error, PrivateKeyError):
        return RegistryError(
            "IT HOLDS A PRIVATE KEY",
            subject=subject,
            next_step="treat the key as exposed: move what it controls, and list the public descriptor of the new wallet",
        )
    return RegistryError(str(error), subject=subject, next_step="export it from the wallet again, as a public descriptor")
