"""Headers and EIP-1186 proofs of EVM chains. Pure: JSON-RPC values in, numbers out.

A header's hash is Keccak-256 of the RLP of its fields (Ethereum yellow paper, section 4.4; EIP-1559, EIP-4895, EIP-4844,
EIP-4788, EIP-7685 for the later ones). State and storage tries: yellow paper, section 4.1; their keys are hashed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay_verify import rlp
from assay_verify.digests import keccak256
from assay_verify.facts import Token
from assay_verify.findings import MalformedError
from assay_verify.trie import EMPTY_ROOT, value_at

NATIVE_DECIMALS = 18
_QUANTITY = re.compile("0x[0-9a-fA-F]{1,64}")
_ACCOUNT_FIELDS = 4  # nonce, balance, storage root, hash of the code

_DATA = {
    "parentHash": 32,
    "sha3Uncles": 32,
    "miner": 20,
    "stateRoot": 32,
    "transactionsRoot": 32,
    "receiptsRoot": 32,
    "logsBloom": 256,
    "mixHash": 32,
    "nonce": 8,
    "withdrawalsRoot": 32,
    "parentBeaconBlockRoot": 32,
    "requestsHash": 32,
    "extDataHash": 32,
}
"""Fields that are bytes of one length. `extraData` has any length; all other fields are numbers."""

_FIRST = (
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty", "number"),
    *("gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce"),
)
"""What every header begins with; so the state root has one place, whatever follows."""

_ETHEREUM = ("baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash")
_AVALANCHE = (
    *("baseFeePerGas", "extDataGasUsed", "blockGasCost", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot"),
    *("timestampMilliseconds", "minDelayExcess", "targetExponent", "minPriceExponent", "settledHeight", "settledGasUnix"),
    *("settledGasNumerator", "settledExcess"),
)
"""Avalanche's C-Chain, https://github.com/ava-labs/coreth: `HeaderSerializable` in plugin/evm/customtypes."""

_UNHASHED = frozenset(
    {
        *("hash", "size", "totalDifficulty", "transactions", "uncles", "withdrawals", "blockExtraData"),
        *("author", "sealFields", "l1BlockNumber", "sendCount", "sendRoot", "milliTimestamp"),
    }
)
"""What servers add to the fields of a header. Arbitrum's are parts of other fields; `milliTimestamp` is BNB Chain's."""


class UnknownHeaderError(Exception):
    """The block's hash is not made of fields that this verifier knows, so nothing can be said about its state root."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is needed of a header.

    Attributes:
        number: Height.
        time: Seconds since 1970 in UTC.
        state_root: Root of the trie of accounts.
        transactions_root: Root of the trie of transactions.
        receipts_root: Root of the trie of receipts.
        avalanche: Whether it is a header of Avalanche's C-Chain, whose accounts have a field more and whose slots' keys are altered.
    """

    number: int
    time: int
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    avalanche: bool


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it stands in the trie.

    Attributes:
        balance: Of the native asset.
        storage_root: Root of the trie of its storage.
        nonce: How many transactions it sent.
    """

    balance: int
    storage_root: bytes
    nonce: int


def data(value: object, length: int | None = None) -> bytes:
    """Read `0x…`.

    Raises:
        MalformedError: Anything else, or of another length in bytes.
    """
    try:
        read = bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else None
    except ValueError:
        read = None
    if read is None or len(str(value)) != 2 + 2 * len(read):  # fromhex passes over blanks
        raise MalformedError(f"{str(value)[:80]!r} is not hexadecimal data")
    if length is not None and len(read) != length:
        raise MalformedError(f"{len(read)} bytes in the place of {length}")
    return read


def quantity(value: object) -> int:
    """Read a number in hexadecimal.

    Raises:
        MalformedError: Anything else.
    """
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise MalformedError(f"{str(value)[:80]!r} is not a number in hexadecimal")
    return int(value, 16)


def header(raw: Mapping[str, Any], block_hash: str) -> Header:
    """Read a header in JSON-RPC form whose fields must have the block's hash.

    Raises:
        MalformedError: They have another one, or are malformed.
        UnknownHeaderError: They have another one, and there are fields that this verifier does not know.
    """
    if _hash(raw) != data(block_hash, 32):
        known = {*_FIRST, "extDataHash", *_ETHEREUM, *_AVALANCHE, *_UNHASHED}
        if unknown := sorted(name for name, value in raw.items() if name not in known and value is not None):
            raise UnknownHeaderError(f"its block hash is made of more than the fields that this verifier knows (there is {unknown[0]!r})")
        raise MalformedError(f"the header of block {block_hash} was changed: its fields have another hash")
    return stated_header(raw)


def stated_header(raw: Mapping[str, Any]) -> Header:
    """Read what a header says, whatever its hash.

    Raises:
        MalformedError: A field is missing or malformed.
    """
    return Header(
        number=quantity(raw.get("number")),
        time=quantity(raw.get("timestamp")),
        state_root=data(raw.get("stateRoot"), 32),
        transactions_root=data(raw.get("transactionsRoot"), 32),
        receipts_root=data(raw.get("receiptsRoot"), 32),
        avalanche="extDataHash" in raw,
    )


def account(block: Header, address: str, proof: object) -> Account | None:
    """Return what an account proof proves, None where it shows that there is no account.

    Raises:
        MalformedError: It proves nothing under the block's state root.
    """
    encoded = value_at(block.state_root, keccak256(data(address, 20)), nodes(proof))
    if encoded is None:
        return None
    fields = rlp.decode(encoded)
    if not isinstance(fields, list) or len(fields) != _ACCOUNT_FIELDS + block.avalanche:
        raise MalformedError("an account with other fields than an account has")
    root = fields[2]
    if not isinstance(root, bytes) or len(root) != len(EMPTY_ROOT):
        raise MalformedError("an account whose storage has no root")
    return Account(rlp.integer(fields[1]), root, rlp.integer(fields[0]))


def slot_value(storage_root: bytes, key: bytes, proof: object) -> int:
    """Return what a storage proof proves a slot to hold; an empty slot holds zero.

    Raises:
        MalformedError: It proves nothing under this root.
    """
    encoded = value_at(storage_root, keccak256(key), nodes(proof))
    return 0 if encoded is None else rlp.integer(rlp.decode(encoded))


def balance_key(token: Token, address: str) -> bytes:
    """Return the slot in which a token contract keeps a holder's balance.

    Mappings: https://docs.soliditylang.org/en/latest/internals/layout_in_storage.html. Vyper hashes the two in the other order.
    """
    holder, slot = data(address, 20).rjust(32, b"\0"), token.slot.to_bytes(32, "big")
    return keccak256(holder + slot if token.layout == "solidity" else slot + holder)


def nodes(proof: object) -> Sequence[bytes]:
    """Read the encoded nodes of a proof.

    Raises:
        MalformedError: It is no list of them.
    """
    if not isinstance(proof, list):
        raise MalformedError("a proof that is no list")
    return [data(node) for node in proof]


def _hash(raw: Mapping[str, Any]) -> bytes:
    """Hash a header's fields; of those of later forks the last ones may be missing, and one that is missing before others is empty."""
    required, later = ((*_FIRST, "extDataHash"), _AVALANCHE) if "extDataHash" in raw else (_FIRST, _ETHEREUM)
    present = [position for position, name in enumerate(later, 1) if raw.get(name) is not None]
    fields = [_field(name, raw.get(name)) for name in required]
    fields += [b"" if raw.get(name) is None else _field(name, raw[name]) for name in later[: max(present, default=0)]]
    return keccak256(rlp.encode(list(fields)))


def _field(name: str, value: object) -> bytes:
    if value is None:
        raise MalformedError(f"a header without {name}")
    if name == "extraData" or name in _DATA:
        return data(value, _DATA.get(name))
    return rlp.number(quantity(value))
