"""What a beacon node answers, checked: headers against their own root, and validators against what was asked.

A header's root is recomputed (`hash_tree_root` of `BeaconBlockHeader`, https://github.com/ethereum/consensus-specs/blob/master/ssz/simple-serialize.md),
so a node cannot give a block another slot, parent or state than it has. That hash is five lines here because no SSZ
library is among the project's packages.

Forms of replies: https://ethereum.github.io/beacon-APIs/
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from assay.chains.answers import AnswerError
from assay.chains.http import Reply

_LEAVES = 8  # the five fields of a header, padded to a power of two
_ZERO = bytes(32)
_ROOT = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_PUBLIC_KEY = re.compile(r"0x[0-9a-f]{96}", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,79}", re.ASCII)  # uint64 in the specification; a longer one is shown to be too long, not cut
_WITHDRAWAL_PREFIXES = ("0x01" + "0" * 22, "0x02" + "0" * 22)


@dataclass(frozen=True, kw_only=True)
class Header:
    """A block header whose root is that of its fields.

    Attributes:
        slot: The slot it was proposed in.
        root: Block root, `0x…`.
        parent: Root of the block before it.
        state: Root of the state after it.
    """

    slot: int
    root: str
    parent: str
    state: str


@dataclass(frozen=True, kw_only=True)
class Validator:
    """One validator of a state.

    Attributes:
        index: Its number in the state's list, which only grows.
        public_key: `0x` and 96 hexadecimal digits.
        balance: Gwei.
        withdrawal_address: `0x…` in lower case where its credentials are of type 0x01 or 0x02, empty for BLS credentials (0x00).
    """

    index: int
    public_key: str
    balance: int
    withdrawal_address: str


def parse_header(reply: Reply) -> Header:
    """Read and check `getBlockHeader`.

    Raises:
        AnswerError: A field is malformed, the block is not canonical or not final, or its root is not that of its fields.
    """
    found = settled(reply)
    try:
        message = found["header"]["message"]
        fields = [message["parent_root"], message["state_root"], message["body_root"]]
        slot, proposer = number(message["slot"]), number(message["proposer_index"])
        root, canonical = found["root"], found["canonical"]
    except (TypeError, KeyError) as error:
        raise AnswerError("the answer is not a block header") from error
    if canonical is not True:
        raise AnswerError(f"the block of slot {slot} is not of the canonical chain")
    computed = header_root(slot, proposer, *(_bytes_of(field) for field in fields))
    if computed != root:
        raise AnswerError(f"the block of slot {slot} has the root {str(root)[:80]} and its fields give {computed}")
    return Header(slot=slot, root=computed, parent=fields[0], state=fields[1])


def header_root(slot: int, proposer: int, parent: bytes, state: bytes, body: bytes) -> str:
    """Compute the `hash_tree_root` of a header: a Merkle tree over its fields.

    Raises:
        AnswerError: A number has more than 64 bits.
    """
    try:
        numbers = [value.to_bytes(8, "little").ljust(32, b"\0") for value in (slot, proposer)]
    except OverflowError as error:
        raise AnswerError("a number of the header has more than 64 bits") from error
    layer = [*numbers, parent, state, body]
    layer += [_ZERO] * (_LEAVES - len(layer))
    while len(layer) > 1:
        layer = [hashlib.sha256(left + right).digest() for left, right in zip(layer[::2], layer[1::2], strict=True)]
    return "0x" + layer[0].hex()


def parse_state_root(reply: Reply) -> str:
    """Read `getStateRoot`.

    Raises:
        AnswerError: It is not one, or of a state that isn't final.
    """
    found = settled(reply)
    if not isinstance(found, dict):
        raise AnswerError("the answer is not a state root")
    return "0x" + _bytes_of(found.get("root")).hex()


def parse_validators(reply: Reply) -> list[Validator]:
    """Read `postStateValidators`.

    Raises:
        AnswerError: An entry is malformed, or the state isn't final.
    """
    found = settled(reply)
    if not isinstance(found, list):
        raise AnswerError("the answer is not a list of validators")
    return [_validator(item) for item in found]


def by_id(validators: Iterable[Validator], asked: Iterable[str]) -> dict[str, Validator]:
    """Return the validators by what they were asked by: index or public key; what is not known is left out.

    Raises:
        AnswerError: An entry was not asked for, or stands there twice.
    """
    wanted = set(asked)
    found: dict[str, Validator] = {}
    for validator in validators:
        names = {str(validator.index), validator.public_key} & wanted
        if not names:
            raise AnswerError(f"validator {validator.index} was given and not asked for")
        if any(name in found for name in names):
            raise AnswerError(f"validator {validator.index} was given twice")
        found.update(dict.fromkeys(names, validator))
    return found


def settled(reply: Reply) -> Any:
    """Return the data of an answer that says of itself that it is final and was verified.

    Raises:
        AnswerError: It says otherwise, or nothing.
    """
    body = reply.body
    if not isinstance(body, dict) or body.get("data") is None:
        raise AnswerError("the answer has no data")
    if body.get("execution_optimistic") is not False:
        raise AnswerError("the answer rests on blocks that the node has not verified (execution_optimistic)")
    if body.get("finalized") is not True:
        raise AnswerError("the answer is not of the finalized chain")
    return body["data"]


def number(text: object) -> int:
    """Read a number, which the API writes as decimal text.

    Raises:
        AnswerError: It is not one.
    """
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise AnswerError(f"{str(text)[:80]!r} is not a number")
    return int(text)


def _validator(item: Any) -> Validator:
    try:
        index, balance = number(item["index"]), number(item["balance"])
        key, credentials = item["validator"]["pubkey"], item["validator"]["withdrawal_credentials"]
    except (TypeError, KeyError) as error:
        raise AnswerError("an entry is not a validator") from error
    if not isinstance(key, str) or not _PUBLIC_KEY.fullmatch(key):
        raise AnswerError(f"the public key of validator {index} is malformed")
    if not isinstance(credentials, str) or not _ROOT.fullmatch(credentials):
        raise AnswerError(f"the withdrawal credentials of validator {index} are malformed")
    address = "0x" + credentials[26:] if credentials.startswith(_WITHDRAWAL_PREFIXES) else ""
    return Validator(index=index, public_key=key, balance=balance, withdrawal_address=address)


def _bytes_of(root: object) -> bytes:
    if not isinstance(root, str) or not _ROOT.fullmatch(root):
        raise AnswerError(f"{str(root)[:80]!r} is not a root")
    return bytes.fromhex(root[2:])
