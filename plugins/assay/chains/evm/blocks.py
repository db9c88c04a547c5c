"""Block headers of EVM chains: checked against their own hash, and the search for the last one before a moment.

A header's hash is recomputed from its fields (Keccak-256 of their RLP, Ethereum yellow paper 4.4; later fields by
EIP-1559, EIP-4895, EIP-4844, EIP-4788 and EIP-7685), so a source cannot give a block another time than it has. So it is on Ethereum, BNB Chain,
Polygon, Ethereum Classic, Linea, Arbitrum (whose further fields in JSON stand in `extraData` and `mixHash` as well), and on Optimism, Base and other OP
chains. Avalanche has fields of its own among them, and a few chains hash something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import rlp
from eth_hash.auto import keccak

from assay.chains.answers import AnswerError, data, quantity
from assay.chains.search import Header

UNHASHED_CHAINS = frozenset({65, 66, 300, 314, 324, 314159})
"""Chain ids whose block hash is not that of such fields, so it is taken from the source, and nothing can be proven by it.

OKT Chain and its test network (the hash is Tendermint's: `FormatBlock`, https://github.com/okx/exchain/blob/main/app/rpc/types/utils.go), Filecoin and
Calibration (made of the tipset's key: https://docs.filecoin.io/smart-contracts/filecoin-evm-runtime/difference-with-ethereum), zkSync Era and its test network.
"""
AVALANCHE_CHAINS = frozenset({43113, 43114})
"""Chain ids of Avalanche's C-Chain and its test network.

Their headers have further fields, their accounts too, and their storage keys are changed before they are hashed, so headers are checked and
balances are not proven: https://github.com/ava-labs/coreth/blob/master/plugin/evm/customtypes/header_ext.go.
"""
CHAINS_WITH_NULL_ROUNDS = frozenset({314, 314159})
"""Chain ids on which a height may have no block: https://docs.filecoin.io/basics/the-blockchain/blocks-and-tipsets."""

_Field = tuple[str, Callable[[object], bytes]]


def _as_quantity(value: object) -> bytes:
    number = quantity(value)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


# In the order in which they are hashed. Quantities are written without leading zeros, data as it is.
_FIELDS: tuple[_Field, ...] = (
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
)
# Fields of later forks, absent before.
_LATER_FIELDS: tuple[_Field, ...] = (
    ("baseFeePerGas", _as_quantity),
    ("withdrawalsRoot", data),
    ("blobGasUsed", _as_quantity),
    ("excessBlobGas", _as_quantity),
    ("parentBeaconBlockRoot", data),
    ("requestsHash", data),
)
_AVALANCHE_FIELDS: tuple[_Field, ...] = (*_FIELDS, ("extDataHash", data))
_AVALANCHE_LATER_FIELDS: tuple[_Field, ...] = (
    ("baseFeePerGas", _as_quantity),
    ("extDataGasUsed", _as_quantity),
    ("blockGasCost", _as_quantity),
    ("blobGasUsed", _as_quantity),
    ("excessBlobGas", _as_quantity),
    ("parentBeaconBlockRoot", data),
    ("timestampMilliseconds", _as_quantity),
    ("minDelayExcess", _as_quantity),
    ("targetExponent", _as_quantity),
    ("minPriceExponent", _as_quantity),
    ("settledHeight", _as_quantity),
    ("settledGasUnix", _as_quantity),
    ("settledGasNumerator", _as_quantity),
    ("settledExcess", _as_quantity),
)


def header_hash(raw: Mapping[str, Any], chain_id: int) -> str:
    """Compute the hash of a header given in JSON-RPC form.

    Raises:
        AnswerError: A field is missing or malformed.
    """
    avalanche = chain_id in AVALANCHE_CHAINS
    first, later = (_AVALANCHE_FIELDS, _AVALANCHE_LATER_FIELDS) if avalanche else (_FIELDS, _LATER_FIELDS)
    for name, _ in first:
        if raw.get(name) is None:
            raise AnswerError(f"the block has no {name}")
    last = max((position + 1 for position, (name, _) in enumerate(later) if raw.get(name) is not None), default=0)
    # A later field that is absent is left out at the end and empty before one that is there.
    values = [b"" if raw.get(name) is None else encode(raw[name]) for name, encode in (*first, *later[:last])]
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
    if chain_id not in UNHASHED_CHAINS and (computed := header_hash(raw, chain_id)) != header.hash:
        raise AnswerError(f"block {header.number} has the hash {header.hash} and its fields give {computed}")
    return header
