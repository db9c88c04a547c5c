"""Bitcoin Script read, not run: operations, numbers, the templates that addresses stand for, and the hashes they use.

Script: https://en.bitcoin.it/wiki/Script. Witness programs: BIP-141. P2SH: BIP-16. Tagged hashes: BIP-340.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from Crypto.Hash import RIPEMD160

from assay_verify.ownership.interface import NotVerifiedError

OP_0, OP_PUSHDATA1, OP_PUSHDATA4, OP_1NEGATE, OP_1, OP_16 = 0x00, 0x4C, 0x4E, 0x4F, 0x51, 0x60
OP_CHECKMULTISIG, OP_CODESEPARATOR = 0xAE, 0xAB
COMPRESSED, UNCOMPRESSED, X_ONLY = 33, 65, 32
_LARGEST_DIRECT_PUSH = 0x4B


def _ripemd160() -> Callable[[bytes], bytes]:
    """Return RIPEMD-160: OpenSSL's where it is built with it, as it is several times faster."""
    try:
        hashlib.new("ripemd160")
    except ValueError:
        return lambda data: RIPEMD160.new(data).digest()
    return lambda data: hashlib.new("ripemd160", data).digest()


ripemd160 = _ripemd160()


def sha256(data: bytes) -> bytes:
    """Return SHA-256."""
    return hashlib.sha256(data).digest()


def hash160(data: bytes) -> bytes:
    """Return RIPEMD-160 of SHA-256: what P2PKH and P2SH addresses hold."""
    return ripemd160(hashlib.sha256(data).digest())


def tagged_hash(tag: str, data: bytes) -> bytes:
    """Return the hash of BIP-340 that is bound to one use."""
    prefix = sha256(tag.encode())
    return sha256(prefix + prefix + data)


def compact_size(number: int) -> bytes:
    """Write a length as transactions do."""
    for limit, marker, size in ((0xFD, b"", 1), (0x10000, b"\xfd", 2), (0x100000000, b"\xfe", 4)):
        if number < limit:
            return marker + number.to_bytes(size, "little")
    return b"\xff" + number.to_bytes(8, "little")


def with_length(data: bytes) -> bytes:
    """Write bytes after their length."""
    return compact_size(len(data)) + data


def push(data: bytes) -> bytes:
    """Write the operation that pushes bytes, by length alone."""
    if len(data) <= _LARGEST_DIRECT_PUSH:
        return bytes([len(data)]) + data
    size = 1 if len(data) < 0x100 else 2 if len(data) < 0x10000 else 4  # noqa: PLR2004
    return bytes([{1: 0x4C, 2: 0x4D, 4: 0x4E}[size]]) + len(data).to_bytes(size, "little") + data


def is_minimal(opcode: int, data: bytes) -> bool:
    """Tell whether no shorter operation pushes the same (rule MINIMALDATA of BIP-62)."""
    if not data:
        return opcode == OP_0
    if len(data) == 1 and (1 <= data[0] <= 16 or data[0] == 0x81):  # noqa: PLR2004 (OP_1 to OP_16, OP_1NEGATE)
        return False
    return opcode == push(data)[0]


def operations(script: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Give the operations of a script: the code, and what it pushes (None where it is no push of bytes).

    Raises:
        NotVerifiedError: A push reaches beyond the end.
    """
    position = 0
    while position < len(script):
        opcode = script[position]
        position += 1
        if opcode > OP_PUSHDATA4:
            yield opcode, None
            continue
        length = opcode
        if opcode >= OP_PUSHDATA1:
            size = 1 << (opcode - OP_PUSHDATA1)
            length = int.from_bytes(script[position : position + size], "little")
            position += size
        data = script[position : position + length]
        position += length
        if position > len(script):
            raise NotVerifiedError("a script that is cut off in the middle of a push")
        yield opcode, data


def to_number(element: bytes, longest: int = 4) -> int:
    """Read a number from the stack: little endian, sign in the highest bit, in as few bytes as it takes."""
    if len(element) > longest:
        raise NotVerifiedError("a script computes with a number that is too long")
    if not element:
        return 0
    if not element[-1] & 0x7F and (len(element) == 1 or not element[-2] & 0x80):
        raise NotVerifiedError("a script computes with a number that could be shorter")
    magnitude = int.from_bytes(element[:-1] + bytes([element[-1] & 0x7F]), "little")
    return -magnitude if element[-1] & 0x80 else magnitude


def from_number(number: int) -> bytes:
    """Write a number for the stack."""
    magnitude = abs(number)
    element = bytearray(magnitude.to_bytes(magnitude.bit_length() // 8 + 1, "little")) if number else bytearray()
    if number < 0:
        element[-1] |= 0x80
    return bytes(element)


def is_true(element: bytes) -> bool:
    """Tell whether an element counts as true: any bit but the sign of zero."""
    return any(element[:-1]) or element[-1:] not in (b"", b"\0", b"\x80")


def is_pay_to_script_hash(script: bytes) -> bool:
    """Tell whether a locking script is of the form of BIP-16."""
    return len(script) == 23 and script[:2] == b"\xa9\x14" and script[-1] == 0x87  # noqa: PLR2004


def witness_program(script: bytes) -> tuple[int, bytes] | None:
    """Return version and program of a script of the form of BIP-141; None for any other."""
    if not 4 <= len(script) <= 42 or script[1] != len(script) - 2:  # noqa: PLR2004 (BIP-141)
        return None
    if script[0] == OP_0:
        return 0, script[2:]
    return (script[0] - OP_1 + 1, script[2:]) if OP_1 <= script[0] <= OP_16 else None


def multisig(script: bytes) -> tuple[int, tuple[bytes, ...]] | None:
    """Return threshold and keys of a script that is `m <key>… n OP_CHECKMULTISIG` and nothing else; None for any other."""
    try:
        steps = list(operations(script))
    except NotVerifiedError:
        return None
    if len(steps) < 4 or steps[-1][0] != OP_CHECKMULTISIG:  # noqa: PLR2004 (threshold, a key, number of keys, operation)
        return None
    threshold, count = steps[0][0] - OP_1 + 1, steps[-2][0] - OP_1 + 1
    keys = tuple(data or b"" for _, data in steps[1:-2])
    if not 1 <= threshold <= count <= OP_16 - OP_1 + 1 or count != len(keys):
        return None
    return (threshold, keys) if all(map(is_key, keys)) else None


def is_key(key: bytes) -> bool:
    """Tell whether bytes have the form of a public key, compressed or not (rule STRICTENC)."""
    return (len(key) == COMPRESSED and key[0] in (2, 3)) or (len(key) == UNCOMPRESSED and key[0] == 4)  # noqa: PLR2004 (SEC 1)
