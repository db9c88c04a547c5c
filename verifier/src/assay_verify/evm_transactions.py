"""Transactions and receipts of EVM chains as they are hashed: from their JSON-RPC form to their bytes, and the key that signed.

Legacy and EIP-155 (https://eips.ethereum.org/EIPS/eip-155); typed ones in envelopes (EIP-2718): EIP-2930, EIP-1559, EIP-4844, EIP-7702. Receipts:
yellow paper, section 4.4.1, with the status of EIP-658. Blocks of OP chains begin with deposits
(https://specs.optimism.io/protocol/deposits.html), those of Arbitrum with a transaction of its own
(https://github.com/OffchainLabs/go-ethereum/blob/master/core/types/arb_types.go). Whatever else a block holds cannot be encoded here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from assay_verify import rlp
from assay_verify.digests import keccak256
from assay_verify.evm import data, quantity
from assay_verify.findings import require
from assay_verify.ownership.ecdsa import recover
from assay_verify.ownership.interface import UnsupportedError

_Json = Mapping[str, Any]
_LEGACY, _DEPOSIT = 0, 0x7E
_PROTECTED, _UNPROTECTED = 35, (27, 28)
_WORD = 32


def number(value: object) -> bytes:
    """Return a quantity as RLP has it."""
    return rlp.number(quantity(value))


def _to(value: object) -> bytes:
    return b"" if value is None else data(value, 20)


def _access_list(value: object) -> rlp.Item:
    items = _list(value)
    return [[data(item["address"], 20), [data(key, _WORD) for key in item["storageKeys"]]] for item in items]


def _hashes(value: object) -> rlp.Item:
    return [data(item, _WORD) for item in _list(value)]


def _authorizations(value: object) -> rlp.Item:
    return [
        [number(item["chainId"]), data(item["address"], 20), number(item["nonce"]), *(number(item[name]) for name in ("yParity", "r", "s"))]
        for item in _list(value)
    ]


def _flag(value: object) -> bytes:
    return b"\1" if value is True else b""


def _optional(value: object) -> bytes:
    return b"" if value is None else number(value)


def _list(value: object) -> list[Any]:
    require(isinstance(value, list), "a transaction with a part that should be a list")
    return value if isinstance(value, list) else []


_Field = tuple[str, Callable[[Any], rlp.Item]]
_CALL: tuple[_Field, ...] = (("gas", number), ("to", _to), ("value", number), ("input", data))
_FEES: tuple[_Field, ...] = (("nonce", number), ("maxPriorityFeePerGas", number), ("maxFeePerGas", number))
_LIST: _Field = ("accessList", _access_list)
_CHAIN: _Field = ("chainId", number)
_SIGNED: dict[int, tuple[_Field, ...]] = {
    _LEGACY: (("nonce", number), ("gasPrice", number), *_CALL),
    1: (_CHAIN, ("nonce", number), ("gasPrice", number), *_CALL, _LIST),
    2: (_CHAIN, *_FEES, *_CALL, _LIST),
    3: (_CHAIN, *_FEES, *_CALL, _LIST, ("maxFeePerBlobGas", number), ("blobVersionedHashes", _hashes)),
    4: (_CHAIN, *_FEES, *_CALL, _LIST, ("authorizationList", _authorizations)),
}
"""By type: what is signed; v, r and s follow."""
_UNSIGNED: dict[int, tuple[_Field, ...]] = {
    _DEPOSIT: (
        *(("sourceHash", data), ("from", data), ("to", _to), ("mint", _optional)),
        *(("value", number), ("gas", number), ("isSystemTx", _flag), ("input", data)),
    ),
    0x6A: (_CHAIN, ("input", data)),
}
"""By type: all of it."""


def encoded(transaction: _Json) -> bytes:
    """Return a transaction's bytes, whose Keccak-256 is its hash.

    Raises:
        MalformedError: A field is missing or malformed.
        UnsupportedError: It is of a type that is not known here.
    """
    kind = _kind(transaction)
    if kind in _SIGNED:
        content = [*_fields(transaction, _SIGNED[kind]), *_signature(transaction, kind)]
    elif kind in _UNSIGNED:
        content = _fields(transaction, _UNSIGNED[kind])
    else:
        raise UnsupportedError(f"its block holds a transaction of type {kind:#x}, which this verifier cannot encode")
    return _in_envelope(kind, content)


def encoded_receipt(receipt: _Json) -> bytes:
    """Return a receipt's bytes.

    Raises:
        MalformedError: A field is missing or malformed.
        UnsupportedError: It has no status, as those from before 2017.
    """
    if receipt.get("status") is None:
        raise UnsupportedError("receipts of its block have no status")
    kind = _kind(receipt)
    logs: list[rlp.Item] = [
        [data(log["address"], 20), [data(topic, _WORD) for topic in log["topics"]], data(log["data"])] for log in _list(receipt.get("logs"))
    ]
    content: list[rlp.Item] = [
        number(receipt["status"]),
        number(receipt.get("cumulativeGasUsed")),
        data(receipt.get("logsBloom"), 256),
        logs,
    ]
    if kind == _DEPOSIT:
        content += [number(receipt[name]) for name in ("depositNonce", "depositReceiptVersion") if receipt.get(name) is not None]
    return _in_envelope(kind, content)


def signer(transaction: _Json, chain_id: int) -> bytes:
    """Return the uncompressed key that signed a transaction for a chain.

    Raises:
        MalformedError: It is signed for another chain or for none in particular, by nobody, or is malformed.
        NotVerifiedError: No key can have made its signature.
    """
    kind = _kind(transaction)
    require(kind in _SIGNED, f"a transaction of type {kind:#x} is signed by nobody")
    content = _fields(transaction, _SIGNED[kind])
    parity, r, s = (rlp.integer(item) for item in _signature(transaction, kind))
    if kind == _LEGACY:
        require(parity not in _UNPROTECTED, "the transaction is signed for no chain in particular (EIP-155)")
        signed_for, parity = divmod(parity - _PROTECTED, 2)
        content += [rlp.number(chain_id), b"", b""]
    else:
        signed_for = quantity(transaction.get("chainId"))
    require(signed_for == chain_id and parity in (0, 1), "the transaction is signed for another chain")
    require(max(r, s) >> 8 * _WORD == 0, "the transaction's signature is out of range")
    return recover(keccak256(_in_envelope(kind, content)), r.to_bytes(_WORD, "big") + s.to_bytes(_WORD, "big"), parity)


def _kind(values: _Json) -> int:
    kind = values.get("type")
    return _LEGACY if kind is None else quantity(kind)


def _fields(transaction: _Json, fields: tuple[_Field, ...]) -> list[rlp.Item]:
    return [write(transaction.get(name)) for name, write in fields]


def _signature(transaction: _Json, kind: int) -> list[bytes]:
    # Some servers have the parity under both names, and some under the old one.
    parity = transaction.get("v") if kind == _LEGACY or transaction.get("yParity") is None else transaction["yParity"]
    return [number(parity), number(transaction.get("r")), number(transaction.get("s"))]


def _in_envelope(kind: int, content: list[rlp.Item]) -> bytes:
    return rlp.encode(content) if kind == _LEGACY else bytes([kind]) + rlp.encode(content)
