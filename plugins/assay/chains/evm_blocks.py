"""Block headers of EVM chains: checked against their own hash, and the search for the last one before a moment.

A header's hash is recomputed from its fields (Keccak-256 of their RLP, Ethereum yellow paper 4.4; later fields by
EIP-1559, EIP-4895, EIP-4844, EIP-4788 and EIP-7685), so a source cannot give a block another time than it has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import rlp
from eth_hash.auto import keccak

from assay.chains.evm_abi import AnswerError, data, quantity

UNHASHED_CHAINS = frozenset({324, 43114})
"""Chain ids whose block hash is made of more than these fields, so it is taken from the source: zkSync Era, Avalanche."""


def _as_quantity(value: object) -> bytes:
    number = quantity(value)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


# In the order in which they are hashed. Quantities are written without leading zeros, data as it is.
_FIELDS: tuple[tuple[str, Callable[[object], bytes]], ...] = (
    ("parentHash", data),
    ("sha3Uncles", data),
    ("miner", data),
    ("stateRoot", data),
    ("transactionsRoot", data),
    ("receiptsRoot", data),
    ("logsBloom", data),
    ("difficulty", _as_quantity),
    ("number", _as_quantity),
    ("gasLimit", _as_quantity),
    ("gasUsed", _as_quantity),
    ("timestamp", _as_quantity),
    ("extraData", data),
    ("mixHash", data),
    ("nonce", data),
    ("baseFeePerGas", _as_quantity),
    ("withdrawalsRoot", data),
    ("blobGasUsed", _as_quantity),
    ("excessBlobGas", _as_quantity),
    ("parentBeaconBlockRoot", data),
    ("requestsHash", data),
)
_OPTIONAL = 15  # fields from here on came with later forks and are absent before; the first of them is baseFeePerGas


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the search needs of a block header.

    Attributes:
        number: Height.
        hash: `0x…`, lower case.
        parent: Hash of the block below.
        time: Seconds since 1970 in UTC.
        raw: The source's answer.
    """

    number: int
    hash: str
    parent: str
    time: int
    raw: Mapping[str, Any]


def header_hash(raw: Mapping[str, Any]) -> str:
    """Compute the hash of a header given in JSON-RPC form.

    Raises:
        AnswerError: A field is missing or malformed.
    """
    values = []
    for position, (name, encode) in enumerate(_FIELDS):
        if raw.get(name) is None:
            if position < _OPTIONAL:
                raise AnswerError(f"the block has no {name}")
            continue
        values.append(encode(raw[name]))
    return "0x" + keccak(rlp.encode(values)).hex()


def parse_header(raw: object, *, chain_id: int, number: int | None = None) -> Header:
    """Read and check a block in JSON-RPC form.

    Args:
        raw: The result of `eth_getBlockByNumber`.
        chain_id: Whose header it is; the hash of `UNHASHED_CHAINS` is not recomputed.
        number: The height that was asked; None for a tag.

    Raises:
        AnswerError: A field is malformed, it is another height, or its hash is not that of its fields.
    """
    if not isinstance(raw, dict):
        raise AnswerError("the answer is not a block")
    header = Header(
        number=quantity(raw.get("number")),
        hash="0x" + data(raw.get("hash")).hex(),
        parent="0x" + data(raw.get("parentHash")).hex(),
        time=quantity(raw.get("timestamp")),
        raw=raw,
    )
    if number is not None and header.number != number:
        raise AnswerError(f"block {number} was asked and block {header.number} was given")
    if chain_id not in UNHASHED_CHAINS and (computed := header_hash(raw)) != header.hash:
        raise AnswerError(f"block {header.number} has the hash {header.hash} and its fields give {computed}")
    return header


async def last_at(moment: int, top: Header, fetch: Callable[[int], Awaitable[Header]]) -> tuple[Header, Header] | None:
    """Find the last block at or before a moment, and the one after it.

    It goes down from the top in growing steps before it closes in, because nodes may no longer keep a chain's
    earliest blocks (EIP-4444), and closes in by interpolation and halving in turn: block times are regular, mostly.

    Args:
        moment: Seconds since 1970 in UTC.
        top: A block after the moment.
        fetch: Gives the header of a height.

    Returns:
        Neighbours, the first at or before the moment and the second after it; None when block 0 is after it.

    Raises:
        AnswerError: Times or parent hashes contradict the order of heights.
    """
    above, below, step = top, top, 1
    while below.time > moment:
        if below.number == 0:
            return None
        above = below
        below = await fetch(max(0, above.number - step))
        step *= 4
    halve = False
    while (span := above.number - below.number) > 1:
        stride = span // 2 if halve else (moment - below.time) * span // (above.time - below.time)
        middle = await fetch(below.number + min(max(stride, 1), span - 1))
        if not below.time <= middle.time <= above.time:
            raise AnswerError(f"block {middle.number} is not between blocks {below.number} and {above.number} in time")
        below, above = (middle, above) if middle.time <= moment else (below, middle)
        halve = not halve
    if above.parent != below.hash:
        raise AnswerError(f"block {above.number} does not follow from block {below.number}: its parent is {above.parent}")
    return below, above
