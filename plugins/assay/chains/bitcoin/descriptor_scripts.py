"""Descriptor expressions turned into locking scripts: text in, bytes out. `descriptors.py` says what of them is known.

Sources: BIP-380 (expressions, keys, checksum), BIP-381 (`pk`, `pkh`, `sh`), BIP-382 (`wpkh`, `wsh`), BIP-383 (`multi`, `sortedmulti`), BIP-385
(`raw`), BIP-386 (`tr`), BIP-389 (tuples), each at https://github.com/bitcoin/bips.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from itertools import pairwise

from coincurve import PublicKey
from Crypto.Hash import RIPEMD160

from assay.chains.bitcoin.extended_keys import ExtendedKeyError, PrivateKeyError, parse_extended_key

Script = Callable[[int], bytes]
"""Gives a script, or a key, for each number of a range."""

_CHARACTERS = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
_CHECKSUM_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)
_CHECKSUM = 8

_EXPRESSION = re.compile(r"(?P<name>[a-z]+)\((?P<inner>.*)\)")
_KEY = re.compile(r"(?:\[[0-9a-fA-F]{8}(?P<origin>(?:/[0-9]{1,10}[h']?)*)\])?(?P<key>[0-9A-Za-z]+)(?P<path>(?:/[^/]+)*)")
_TUPLE = re.compile(r"/<([^<>/()]*)>")
_STEP = re.compile(r"[0-9]{1,10}[h']?")
_LAST_STEP = 2**31 - 1
_THRESHOLD = re.compile(r"[1-9][0-9]?")
_HEX = re.compile(r"[0-9a-fA-F]+")
_COMPRESSED, _UNCOMPRESSED, _X_ONLY = 66, 130, 64  # digits

_PRIVATE = re.compile(r"(?<![0-9A-Za-z])[A-Za-z](?:prv|tpv|gpv)[1-9A-HJ-NP-Za-km-z]{20,}")
_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]{50,}")

_WITHIN = {
    "": {"pk", "pkh", "wpkh", "sh", "wsh", "tr", "multi", "sortedmulti", "raw"},
    "sh": {"pk", "pkh", "wpkh", "wsh", "multi", "sortedmulti"},
    "wsh": {"pk", "pkh", "multi", "sortedmulti"},
}
"""What may stand at the top level, and within others."""
_MOST_KEYS = {"": 3, "sh": 15, "wsh": 20}
_REDEEM_BYTES = 520  # of a script that is paid to by its hash (BIP-16)
_OP_CHECKSIG, _OP_CHECKMULTISIG, _OP_16 = b"\xac", b"\xae", 16


class DescriptorError(ValueError):
    """What is wrong, in words that show no key."""


def refuse_private_keys(text: str) -> None:
    """Look for private keys anywhere in a text, also where it is no descriptor at all.

    Raises:
        PrivateKeyError: There is one, or what begins like an extended one.
    """
    if _PRIVATE.search(text):
        raise PrivateKeyError("it holds a private key")
    for found in _BASE58.findall(text):
        try:
            parse_extended_key(found, "")
        except PrivateKeyError:
            raise
        except ExtendedKeyError:
            continue


def checksum(expression: str) -> str:
    """Return the checksum of a descriptor without one (BIP-380).

    Raises:
        DescriptorError: It has characters that no descriptor has.
    """
    symbols: list[int] = []
    groups: list[int] = []
    for character in expression:
        place = _CHARACTERS.find(character)
        if place < 0:
            raise DescriptorError("it has characters that no descriptor has")
        symbols.append(place & 31)
        groups.append(place >> 5)
        if len(groups) == 3:  # noqa: PLR2004 (after every three characters stands what the three groups are)
            symbols.append(groups[0] * 9 + groups[1] * 3 + groups[2])
            groups = []
    if groups:
        symbols.append(groups[0] if len(groups) == 1 else groups[0] * 3 + groups[1])
    value = 1
    for symbol in [*symbols, *[0] * _CHECKSUM]:
        top = value >> 35
        value = (value & 0x7FFFFFFFF) << 5 ^ symbol
        for place, generator in enumerate(_GENERATOR):
            value ^= generator if top >> place & 1 else 0
    value ^= 1
    return "".join(_CHECKSUM_CHARACTERS[value >> 5 * (_CHECKSUM - 1 - place) & 31] for place in range(_CHECKSUM))


def branches(expression: str) -> list[str]:
    """Return the descriptors that one with tuples stands for, itself if it has none."""
    tuples = [found.group(1).split(";") for found in _TUPLE.finditer(expression)]
    if not tuples:
        return [expression]
    if any(len(values) < 2 or len(set(values)) < len(values) or not all(map(_STEP.fullmatch, values)) for values in tuples):  # noqa: PLR2004
        raise DescriptorError("a tuple of its paths is not one of different numbers")
    if re.search(r"\[[^\]]*<", expression):
        raise DescriptorError("a key's origin has a tuple")
    if len({len(values) for values in tuples}) > 1:
        raise DescriptorError("the tuples of its paths are of different lengths")
    for first, second in pairwise(_TUPLE.finditer(expression)):
        if "," not in expression[first.end() : second.start()]:
            raise DescriptorError("a key's path has two tuples")
    return [_TUPLE.sub(lambda found, place=place: "/" + found.group(1).split(";")[place], expression) for place in range(len(tuples[0]))]  # type: ignore[misc]


class Parser:
    """Reads expressions of one network.

    Args:
        network: As in chains.toml.
    """

    def __init__(self, network: str) -> None:
        self._network = network
        self.ranged = False

    def script(self, expression: str, within: str = "") -> Script:
        """Return the scripts of an expression; afterwards `ranged` tells whether they differ by number.

        Args:
            expression: Without checksum and tuples.
            within: The expression around it: `sh`, `wsh` or none.

        Raises:
            DescriptorError: It is malformed, or not of what is known.
            ExtendedKeyError: A key of it cannot be used.
        """
        found = _EXPRESSION.fullmatch(expression)
        if not found or found["name"] not in _WITHIN["wsh" if "wsh" in within else within]:
            name = found["name"] if found else "an expression"
            raise DescriptorError(f"{name} is unknown {f'within {within}' if within else 'at the top level'}, or malformed")
        name, inner = found["name"], found["inner"]
        path = f"{within}({name}" if within else name
        match name:
            case "sh":
                return _to_script_hash(self.script(inner, "sh"))
            case "wsh":
                return _to_witness(self.script(inner, path))
            case "multi" | "sortedmulti":
                return self._multi(inner, within, sort=name == "sortedmulti")
            case "raw":
                if len(inner) % 2 or not _HEX.fullmatch(inner):
                    raise DescriptorError("raw holds no script in hexadecimal")
                return _constant(bytes.fromhex(inner))
        return self._of_one_key(name, inner, path)

    def _of_one_key(self, name: str, inner: str, path: str) -> Script:
        key = self._key(inner, path)
        match name:
            case "pk":
                return lambda number: _push(key(number)) + _OP_CHECKSIG
            case "pkh":
                return lambda number: b"\x76\xa9\x14" + hash160(key(number)) + b"\x88" + _OP_CHECKSIG
            case "wpkh":
                witness: Script = lambda number: b"\x00\x14" + hash160(key(number))  # noqa: E731
                return witness
        return lambda number: b"\x51\x20" + _tweaked(key(number))

    def _multi(self, inner: str, within: str, *, sort: bool) -> Script:
        threshold, *expressions = inner.split(",")
        outer = "wsh" if "wsh" in within else within
        if not _THRESHOLD.fullmatch(threshold) or not int(threshold) <= len(expressions) <= _MOST_KEYS[outer]:
            raise DescriptorError(f"multi takes a threshold and at least as many keys, at most {_MOST_KEYS[outer]} here")
        keys = [self._key(expression, f"{within}(multi" if within else "multi") for expression in expressions]

        def script(number: int) -> bytes:
            found = [key(number) for key in keys]
            pushes = b"".join(map(_push, sorted(found) if sort else found))
            made = _small(int(threshold)) + pushes + _small(len(found)) + _OP_CHECKMULTISIG
            if within == "sh" and len(made) > _REDEEM_BYTES:
                raise DescriptorError(f"its script is longer than the {_REDEEM_BYTES} bytes that sh allows")
            return made

        return script

    def _key(self, expression: str, path: str) -> Script:
        """Return the public keys of a key expression; x-only ones within `tr`."""
        found = _KEY.fullmatch(expression)
        if not found:
            raise DescriptorError("a key expression is malformed")
        for step in (found["origin"] or "").split("/")[1:]:
            _step(step.rstrip("h'"))
        text = found["key"]
        if _HEX.fullmatch(text) and len(text) in {_COMPRESSED, _UNCOMPRESSED, _X_ONLY}:
            if found["path"]:
                raise DescriptorError("a single key has a path, and only extended ones can have one")
            return _constant(_single(text, path))
        key = parse_extended_key(text, self._network)
        if key.kind != "pkh" and path.replace("(multi", "") != key.kind.rstrip(")"):
            raise DescriptorError(f"the prefix of an extended key says {key.kind} and it stands in another expression")
        steps = found["path"].split("/")[1:]
        everyone = steps[-1:] == ["*"]
        for step in steps[:-1] if everyone else steps:
            key = key.child(_step(step))
        first = 1 if path == "tr" else 0
        if everyone:
            self.ranged = True
            return lambda number: key.child(number).key[first:]
        return _constant(key.key[first:])


def hash160(data: bytes) -> bytes:
    """Return RIPEMD-160 of SHA-256; by a library, because hashlib has the former only where OpenSSL still does."""
    return RIPEMD160.new(hashlib.sha256(data).digest()).digest()


def _step(text: str) -> int:
    if text.endswith(("h", "'")):
        raise DescriptorError("its path has a hardened step after an extended public key, which needs the private one")
    if not _STEP.fullmatch(text) or int(text) > _LAST_STEP:
        raise DescriptorError("a step of a path is not a number below 2147483648")
    return int(text)


def _single(text: str, path: str) -> bytes:
    """Return a key that is written out, of the form that its expression takes."""
    segregated = "wpkh" in path or "wsh" in path
    if len(text) == _X_ONLY if path != "tr" else len(text) == _UNCOMPRESSED:
        raise DescriptorError(f"a key has not a form that {path} takes")
    if segregated and len(text) != _COMPRESSED:
        raise DescriptorError(f"a key is not compressed, as {path} takes it")
    raw = bytes.fromhex(text)
    try:
        PublicKey(b"\x02" + raw if len(text) == _X_ONLY else raw)
    except ValueError:
        raise DescriptorError("a public key is not on the curve") from None
    return raw[1:] if path == "tr" and len(text) == _COMPRESSED else raw


def _tweaked(key: bytes) -> bytes:
    """Return the output key of an x-only key without a script path (BIP-341, BIP-386)."""
    tag = hashlib.sha256(b"TapTweak").digest()
    return PublicKey(b"\x02" + key).add(hashlib.sha256(tag + tag + key).digest()).format()[1:]


def _to_script_hash(inner: Script) -> Script:
    return lambda number: b"\xa9\x14" + hash160(inner(number)) + b"\x87"


def _to_witness(inner: Script) -> Script:
    return lambda number: b"\x00\x20" + hashlib.sha256(inner(number)).digest()


def _constant(value: bytes) -> Script:
    return lambda _: value


def _push(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _small(number: int) -> bytes:
    return bytes([0x50 + number]) if number <= _OP_16 else bytes([1, number])
