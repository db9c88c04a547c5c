"""TON's cells, bags of cells and addresses, as far as jettons need them.

By hand, because none of the installed libraries knows TON and what is needed is small: one cell written (an address), bags read, one key looked up in
a dictionary. A bag's optional checksum is skipped: it guards a file on disk, and these bags come inside an answer. Exotic cells
(library, pruned branch, proof) are refused.

Sources: bag of cells https://docs.ton.org/foundations/serialization/boc, cells https://docs.ton.org/foundations/serialization/cells, addresses
https://docs.ton.org/foundations/addresses/formats, `MsgAddressInt` and `Hashmap` in
https://github.com/ton-blockchain/ton/blob/master/crypto/block/block.tlb, a jetton's content TEP-64
https://github.com/ton-blockchain/TEPs/blob/master/text/0064-token-data-standard.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from assay.chains.answers import AnswerError

HASH_BYTES = 32
_MAGIC = bytes.fromhex("b5ee9c72")
_ADDRESS_BITS = 267
_STANDARD = "100"  # addr_std, no anycast
_RAW = re.compile(r"(0|-1):([0-9a-fA-F]{64})", re.ASCII)
_FRIENDLY = re.compile(r"[A-Za-z0-9_-]{48}|[A-Za-z0-9+/]{48}", re.ASCII)
_BOUNCEABLE, _NON_BOUNCEABLE, _TEST_ONLY = 0x11, 0x51, 0x80
_DECIMALS_KEY = hashlib.sha256(b"decimals").digest()
_URI_KEY = hashlib.sha256(b"uri").digest()
_DEFAULT_DECIMALS = 9  # TEP-64, where the content names none


@dataclass(frozen=True, slots=True)
class Address:
    """An account: workchain and account id."""

    workchain: int
    account: bytes

    @property
    def raw(self) -> str:
        """`0:` or `-1:` and 64 lower-case digits."""
        return f"{self.workchain}:{self.account.hex()}"

    def friendly(self, *, test_only: bool) -> str:
        """Return the non-bounceable user-friendly form: `UQ…` for an account of the basic workchain."""
        body = bytes([_NON_BOUNCEABLE | (_TEST_ONLY if test_only else 0), self.workchain & 0xFF]) + self.account
        return base64.urlsafe_b64encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "big")).decode()


def parse_address(text: str) -> tuple[Address, bool | None]:
    """Read an address in raw or user-friendly form.

    Returns:
        The account, and whether the address is marked as one of the test network's; None for raw ones, which don't say.

    Raises:
        ValueError: Not an address, a wrong checksum, or an unknown workchain.
    """
    if raw := _RAW.fullmatch(text):
        return Address(int(raw[1]), bytes.fromhex(raw[2])), None
    if not _FRIENDLY.fullmatch(text):
        raise ValueError("it is neither workchain:64 hexadecimal digits nor 48 characters of base64")
    content = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_"))
    if binascii.crc_hqx(content[:-2], 0) != int.from_bytes(content[-2:], "big"):
        raise ValueError("its checksum is wrong")
    tag, workchain = content[0], int.from_bytes(content[1:2], "big", signed=True)
    if tag & ~_TEST_ONLY not in (_BOUNCEABLE, _NON_BOUNCEABLE) or workchain not in (0, -1):
        raise ValueError(f"it has the unknown tag {tag:#x} or workchain {workchain}")
    return Address(workchain, content[2:-2]), bool(tag & _TEST_ONLY)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: up to 1023 bits, as a text of `0` and `1`, and up to four references."""

    bits: str
    refs: tuple[Cell, ...] = ()

    @property
    def octets(self) -> bytes:
        """The bits as bytes.

        Raises:
            AnswerError: They don't fill bytes.
        """
        if len(self.bits) % 8:
            raise AnswerError("a cell that should hold bytes holds bits")
        return int(self.bits or "0", 2).to_bytes(len(self.bits) // 8, "big")


def address_cell(address: Address) -> Cell:
    """Return the cell that a get-method takes an address in."""
    return Cell(_STANDARD + f"{address.workchain & 0xFF:08b}" + f"{int.from_bytes(address.account, 'big'):0256b}")


def read_address(cell: Cell) -> Address:
    """Return the address that a cell holds.

    Raises:
        AnswerError: It holds something else, or no address.
    """
    if len(cell.bits) != _ADDRESS_BITS or not cell.bits.startswith(_STANDARD) or cell.refs:
        raise AnswerError("a cell that should hold an address doesn't")
    workchain = int.from_bytes(int(cell.bits[3:11], 2).to_bytes(1, "big"), "big", signed=True)
    return Address(workchain, int(cell.bits[11:], 2).to_bytes(HASH_BYTES, "big"))


def write_bag(cell: Cell) -> str:
    """Return a cell without references as a bag of cells in base64."""
    whole, rest = divmod(len(cell.bits), 8)
    padded = cell.bits + ("1" + "0" * (7 - rest) if rest else "")
    content = bytes([0, 2 * whole + bool(rest)]) + int(padded or "0", 2).to_bytes(len(padded) // 8, "big")
    # No index and no checksum; sizes of one byte; one cell, which is the root; none absent.
    return base64.b64encode(_MAGIC + bytes([1, 1, 1, 1, 0, len(content), 0]) + content).decode()


def read_bag(text: object) -> Cell:
    """Return the root of a bag of cells in base64.

    Raises:
        AnswerError: Not one, cut off, more than one root, or with an exotic cell.
    """
    try:
        content = base64.b64decode(text if isinstance(text, str) else "!", validate=True)
        return _read_bag(content)
    except (binascii.Error, IndexError, ValueError) as error:
        raise AnswerError(f"{str(text)[:60]!r} is not a bag of cells: {error}") from error


def _read_bag(content: bytes) -> Cell:
    if content[:4] != _MAGIC:
        raise ValueError("it does not begin like one")
    flags, width = content[4], content[5]
    size = flags & 7
    numbers = [int.from_bytes(content[6 + place * size : 6 + (place + 1) * size], "big") for place in range(3)]
    count, roots, absent = numbers
    place = 6 + 3 * size
    length = int.from_bytes(content[place : place + width], "big")
    place += width
    root = int.from_bytes(content[place : place + size], "big")
    place += size + (count * width if flags & 0x80 else 0)
    body = content[place : place + length]
    if not 1 <= size <= 4 or not width or roots != 1 or absent or len(body) != length or len(content) != place + length + (flags >> 4 & 4):  # noqa: PLR2004 (bytes)
        raise ValueError("its sizes contradict each other")
    return _link(_split(body, count, size), root)


def _split(body: bytes, count: int, size: int) -> list[tuple[str, list[int]]]:
    """Return bits and references (positions) of each cell."""
    cells, place = [], 0
    for position in range(count):
        references, lengths = body[place], body[place + 1]
        if references > 4:  # noqa: PLR2004 (a cell has four at most; what is above marks exotic cells and stored hashes)
            raise ValueError("a cell is exotic")
        place += 2
        data = body[place : place + (lengths + 1) // 2]
        place += len(data)
        bits = "".join(f"{octet:08b}" for octet in data)
        if lengths % 2:
            bits = bits[: bits.rindex("1")]  # the last byte is filled up with a one and zeros
        targets = [int.from_bytes(body[place + size * number : place + size * (number + 1)], "big") for number in range(references)]
        place += size * references
        if place > len(body) or any(not position < target < count for target in targets):
            raise ValueError("a cell is cut off or refers to none after it")
        cells.append((bits, targets))
    if place != len(body):
        raise ValueError("there is more than its cells")
    return cells


def _link(cells: list[tuple[str, list[int]]], root: int) -> Cell:
    linked: dict[int, Cell] = {}
    for position in range(len(cells) - 1, -1, -1):  # references point forward only
        bits, targets = cells[position]
        linked[position] = Cell(bits, tuple(linked[target] for target in targets))
    if root not in linked:
        raise ValueError("it has no root")
    return linked[root]


def look_up(root: Cell, key: str) -> Cell | None:
    """Return what a dictionary (`Hashmap`) holds under a key, or None: the leaf cell, its bits those after the key.

    Raises:
        AnswerError: The cells are not a dictionary.
    """
    cell = root
    while True:
        label, bits = _label(cell.bits, len(key))
        if not key.startswith(label):
            return None
        key = key[len(label) :]
        if not key:
            return Cell(bits, cell.refs)
        if bits or len(cell.refs) != 2:  # noqa: PLR2004 (a fork has two branches)
            raise AnswerError("a dictionary forks into something else than two branches")
        cell, key = cell.refs[int(key[0])], key[1:]


def _label(bits: str, longest: int) -> tuple[str, str]:
    """Return a dictionary edge's label and the bits after it (`HmLabel`)."""
    width = longest.bit_length()
    if bits.startswith("0"):
        length = bits.find("0", 1) - 1
        start = length + 2
        label = bits[start : start + length] if length >= 0 else ""
    elif bits.startswith("10"):
        length, start = int(bits[2 : 2 + width] or "0", 2), 2 + width
        label = bits[start : start + length]
    else:
        length = int(bits[3 : 3 + width] or "0", 2)
        start, label = 3 + width - length, bits[2:3] * length
    if length < 0 or length > longest or len(label) != length:
        raise AnswerError("a dictionary's edge has no label that fits")
    return label, bits[start + length :]


def jetton_decimals(content: Cell) -> int | None:
    """Return the decimals that a jetton's content names (TEP-64); None where the chain doesn't say, because they stand in a document elsewhere.

    Raises:
        AnswerError: The content has not the form of one.
    """
    if content.bits.startswith("00000001"):
        return None
    if not content.bits.startswith("00000000") or content.bits[8:] not in ("0", "1") or len(content.refs) != int(content.bits[8:]):
        raise AnswerError("a jetton's content is neither on the chain nor elsewhere")
    if not content.refs:
        return _DEFAULT_DECIMALS
    found = look_up(content.refs[0], _key(_DECIMALS_KEY))
    if found is None:
        return None if look_up(content.refs[0], _key(_URI_KEY)) else _DEFAULT_DECIMALS
    if found.bits or len(found.refs) != 1:
        raise AnswerError("a jetton's decimals are not a reference to a text")
    text = found.refs[0].octets
    if not re.fullmatch(rb"\x00[0-9]{1,3}", text):
        raise AnswerError("a jetton's decimals are not a number")
    return int(text[1:])


def _key(name: bytes) -> str:
    return f"{int.from_bytes(name, 'big'):0256b}"
