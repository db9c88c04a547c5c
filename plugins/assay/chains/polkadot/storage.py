"""Addresses, storage keys and stored values of Polkadot's chains, byte by byte.

SCALE by hand rather than with a library: the layouts that are read here are five, fixed and short, and a codec that follows the chain's own
metadata would read a changed layout without a word, where this refuses it.

Sources: SCALE https://docs.polkadot.com/polkadot-protocol/basics/data-encoding/; SS58 https://wiki.polkadot.network/learn/learn-account-advanced/;
storage keys https://docs.polkadot.com/polkadot-protocol/basics/chain-data/ and
https://paritytech.github.io/polkadot-sdk/master/frame_support/struct.Blake2_128Concat.html; header
https://paritytech.github.io/polkadot-sdk/master/sp_runtime/generic/struct.Header.html.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import base58
import xxhash

from assay.chains.answers import AnswerError, data, quantity

ACCOUNT_BYTES = 32
_CHECKSUM_BYTES = 2
_WIDE_PREFIX = 64  # from here on a prefix takes two bytes

_ACCOUNT_INFO_BYTES = 80
_ASSET_DETAILS_BYTES = 190
_LIVE = 0
_STATUSES = ("live", "frozen", "being destroyed")


def decode_ss58(address: str) -> tuple[int, bytes]:
    """Return network prefix and account id of an SS58 address.

    Raises:
        ValueError: Not base58, another length than that of an account, or a wrong checksum.
    """
    raw = base58.b58decode(address)
    width = 2 if raw[:1] and raw[0] >= _WIDE_PREFIX else 1
    if len(raw) != width + ACCOUNT_BYTES + _CHECKSUM_BYTES:
        raise ValueError("it has not the length of an account's address")
    body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if hashlib.blake2b(b"SS58PRE" + body, digest_size=64).digest()[:_CHECKSUM_BYTES] != checksum:
        raise ValueError("its checksum is wrong")
    prefix = raw[0] if width == 1 else ((raw[0] & 0x3F) << 2) | (raw[1] >> 6) | ((raw[1] & 0x3F) << 8)
    return prefix, body[width:]


def encode_ss58(prefix: int, account: bytes) -> str:
    """Return the SS58 address of an account id; prefixes below 64 only."""
    body = bytes([prefix]) + account
    return base58.b58encode(body + hashlib.blake2b(b"SS58PRE" + body, digest_size=64).digest()[:_CHECKSUM_BYTES]).decode()


def _twox128(text: str) -> bytes:
    return b"".join(xxhash.xxh64_intdigest(text.encode(), seed).to_bytes(8, "little") for seed in (0, 1))


def storage_key(pallet: str, item: str, *keys: bytes) -> str:
    """Return the key of a storage item, each map key hashed with `blake2_128_concat`."""
    hashed = (hashlib.blake2b(key, digest_size=16).digest() + key for key in keys)
    return "0x" + (_twox128(pallet) + _twox128(item) + b"".join(hashed)).hex()


def account_key(account: bytes) -> str:
    """Return the key of an account's native balance."""
    return storage_key("System", "Account", account)


def asset_key(item: str, asset: int, *keys: bytes) -> str:
    """Return the key of an item of the assets pallet: `Asset`, `Metadata`, or `Account` with the account id."""
    return storage_key("Assets", item, asset.to_bytes(4, "little"), *keys)


NOW_KEY = storage_key("Timestamp", "Now")
"""The key of a block's own time."""


def milliseconds(value: object) -> int:
    """Read `Timestamp.Now`: u64, milliseconds since 1970 in UTC.

    Raises:
        AnswerError: Not 8 bytes.
    """
    return int.from_bytes(_sized(value, 8, "the block's time"), "little")


def native_balance(value: object) -> int:
    """Read free + reserved of a `System.Account` value; null is an account that doesn't exist, which holds nothing.

    80 bytes: nonce, consumers, providers, sufficients (u32 each), free, reserved, frozen, flags (u128 each). What is frozen (locked, bonded) is a
    part of free and reserved. Before the upgrade that brought `flags` its place held another number, so the sum is the same; layouts
    older than that have another length.
    https://paritytech.github.io/polkadot-sdk/master/pallet_balances/struct.AccountData.html

    Raises:
        AnswerError: Another length, so another layout.
    """
    if value is None:
        return 0
    raw = _sized(value, _ACCOUNT_INFO_BYTES, "an account")
    return int.from_bytes(raw[16:32], "little") + int.from_bytes(raw[32:48], "little")


def asset_balance(value: object) -> int:
    """Read the balance of an `Assets.Account` value; null is an account that doesn't hold the asset.

    Balance u128, status, reason (with a deposit and its depositor for some), no extra data.
    https://paritytech.github.io/polkadot-sdk/master/pallet_assets/struct.AssetAccount.html

    Raises:
        AnswerError: A status or reason that doesn't exist, or another length than the reason's.
    """
    if value is None:
        return 0
    raw = data(value)
    # Consumer, sufficient, deposit held (amount), deposit refunded, deposit from (account, amount).
    lengths = (18, 18, 34, 18, 66)
    if len(raw) < lengths[0] or raw[16] > 2 or raw[17] >= len(lengths) or len(raw) != lengths[raw[17]]:  # noqa: PLR2004 (statuses: liquid, frozen, blocked)
        raise AnswerError("the value is not an account of an asset")
    return int.from_bytes(raw[:16], "little")


def asset_problem(value: object) -> str:
    """Return what is wrong with an asset by its `Assets.Asset` value, in words; empty for a live one.

    Four account ids, supply, deposit, minimum balance (u128 each), a flag, three counts (u32 each), status.
    https://paritytech.github.io/polkadot-sdk/master/pallet_assets/struct.AssetDetails.html

    Raises:
        AnswerError: Another length, or a status that doesn't exist.
    """
    if value is None:
        return "there is no such asset"
    status = _sized(value, _ASSET_DETAILS_BYTES, "an asset")[-1]
    if status >= len(_STATUSES):
        raise AnswerError(f"an asset has the unknown status {status}")
    return "" if status == _LIVE else f"the asset is {_STATUSES[status]}"


def asset_decimals(value: object) -> int | None:
    """Read the decimals of an `Assets.Metadata` value; None where the asset has no metadata.

    Deposit u128, name, symbol (bytes with their length), decimals u8, a flag.
    https://paritytech.github.io/polkadot-sdk/master/pallet_assets/struct.AssetMetadata.html

    Raises:
        AnswerError: Another layout.
    """
    if value is None:
        return None
    raw = data(value)
    position = 16
    for _ in ("name", "symbol"):
        if position >= len(raw) or raw[position] & 3:  # a length below 64 is one byte; the pallet allows 50 characters
            raise AnswerError("the value is not the metadata of an asset")
        position += 1 + (raw[position] >> 2)
    if len(raw) != position + 2 or raw[-1] > 1:
        raise AnswerError("the value is not the metadata of an asset")
    return raw[position]


@dataclass(frozen=True, kw_only=True)
class BlockHeader:
    """A header.

    Attributes:
        number: Height.
        hash: BLAKE2b-256 of the encoded header, computed.
        parent: Hash of the block below.
    """

    number: int
    hash: str
    parent: str


def parse_header(raw: object) -> BlockHeader:
    """Read a header in JSON-RPC form and compute its hash.

    Raises:
        AnswerError: A field is missing or malformed.
    """
    if not isinstance(raw, Mapping):
        raise AnswerError("the answer is not a header")
    number = quantity(raw.get("number"))
    parent, state, extrinsics = (_sized(raw.get(name), 32, f"its {name}") for name in ("parentHash", "stateRoot", "extrinsicsRoot"))
    logs = _logs(raw)
    encoded = parent + compact(number) + state + extrinsics + compact(len(logs)) + b"".join(logs)
    return BlockHeader(number=number, hash="0x" + hashlib.blake2b(encoded, digest_size=32).hexdigest(), parent="0x" + parent.hex())


def compact(number: int) -> bytes:
    """Encode a number below 2^30 the way SCALE writes lengths and header numbers.

    Raises:
        AnswerError: It is larger, which no height and no count of these chains is.
    """
    if number < 1 << 6:
        return bytes([number << 2])
    if number < 1 << 14:
        return (number << 2 | 1).to_bytes(2, "little")
    if number < 1 << 30:
        return (number << 2 | 2).to_bytes(4, "little")
    raise AnswerError(f"{number} is no height")


def _logs(raw: Mapping[str, Any]) -> list[bytes]:
    digest = raw.get("digest")
    logs = digest.get("logs") if isinstance(digest, Mapping) else None
    if not isinstance(logs, list):
        raise AnswerError("the header has no digest")
    return [data(log) for log in logs]


def _sized(value: object, size: int, what: str) -> bytes:
    raw = data(value)
    if len(raw) != size:
        raise AnswerError(f"{what} has {len(raw)} bytes and not {size}: another layout than the one this reads")
    return raw
