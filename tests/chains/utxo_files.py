"""UTXO-set files for tests, written and read in plain Python from the description of the formats.

Bitcoin Core cannot be installed here, so files of its version 2 are written by `write`; Litecoin's older format is also
written by a real litecoind in `test_utxo_set.py`, and `hash_serialized_3` is held against a hash that Bitcoin Core publishes.
Sources: Bitcoin Core's `serialize.h`, `compressor.cpp`, `node/utxo_snapshot.h`, `kernel/coinstats.cpp`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from coincurve import PublicKey

from assay.chains.bitcoin.transactions import Form, read_length, read_transaction
from assay.chains.bitcoin.utxo_set import Claim

MAGIC = bytes.fromhex("fabfb5da")


@dataclass(frozen=True, order=True)
class Coin:
    txid: bytes  # as hashed
    position: int
    height: int
    coinbase: bool
    amount: int
    script: bytes


def sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def varint(number: int) -> bytes:
    out = [number & 0x7F]
    while number > 0x7F:
        number = (number >> 7) - 1
        out.append(0x80 | (number & 0x7F))
    return bytes(reversed(out))


def compact(number: int) -> bytes:
    if number < 0xFD:
        return bytes([number])
    return b"\xfd" + struct.pack("<H", number) if number < 0x10000 else b"\xfe" + struct.pack("<I", number)


def compress_amount(amount: int) -> int:
    if amount == 0:
        return 0
    zeros = 0
    while amount % 10 == 0 and zeros < 9:
        amount //= 10
        zeros += 1
    if zeros == 9:
        return 1 + (amount - 1) * 10 + 9
    return 1 + (amount // 10 * 9 + amount % 10 - 1) * 10 + zeros


def _is_key(raw: bytes) -> bool:
    try:
        PublicKey(raw)
    except ValueError:
        return False
    return True


def compress_script(script: bytes) -> bytes:
    if len(script) == 25 and script.startswith(b"\x76\xa9\x14") and script.endswith(b"\x88\xac"):
        return b"\x00" + script[3:23]
    if len(script) == 23 and script.startswith(b"\xa9\x14") and script.endswith(b"\x87"):
        return b"\x01" + script[2:22]
    if len(script) == 35 and script[0] == 33 and script[34] == 0xAC and script[1] in {2, 3}:
        return script[1:34]
    if len(script) == 67 and script[0] == 65 and script[66] == 0xAC and script[1] == 4 and _is_key(script[1:66]):
        return bytes([4 | (script[65] & 1)]) + script[2:34]
    return varint(len(script) + 6) + script


def database_order(coins: Sequence[Coin]) -> list[Coin]:
    return sorted(coins, key=lambda coin: (coin.txid, varint(coin.position)))


def body(coin: Coin) -> bytes:
    return varint(coin.height * 2 + coin.coinbase) + varint(compress_amount(coin.amount)) + compress_script(coin.script)


def write(path: Path, block_hash: str, coins: Sequence[Coin], *, magic: bytes = MAGIC, version: int = 2, count: int | None = None) -> Path:
    """Write a file of version 2, or of the format before it where `magic` is empty."""
    block = bytes.fromhex(block_hash)[::-1]
    number = struct.pack("<Q", len(coins) if count is None else count)
    ordered = database_order(coins)
    if magic:
        parts = [b"utxo\xff" + struct.pack("<H", version) + magic + block + number]
        for txid, group in groupby(ordered, key=lambda coin: coin.txid):
            members = list(group)
            parts.append(txid + compact(len(members)))
            parts.extend(compact(coin.position) + body(coin) for coin in members)
    else:
        parts = [block + number + struct.pack("<I", len({coin.txid for coin in coins}))]
        parts.extend(coin.txid + struct.pack("<I", coin.position) + body(coin) for coin in ordered)
    path.write_bytes(b"".join(parts))
    return path


def stream_of(coins: Sequence[Coin]) -> bytes:
    """Return what `hash_serialized_3` is taken of."""
    return b"".join(
        coin.txid
        + struct.pack("<IIq", coin.position, coin.height * 2 + coin.coinbase, coin.amount)
        + compact(len(coin.script))
        + coin.script
        for coin in sorted(coins)
    )


def hash_3(coins: Sequence[Coin]) -> str:
    return sha256d(stream_of(coins))[::-1].hex()


def hash_2(block_hash: str, coins: Sequence[Coin]) -> str:
    parts = [bytes.fromhex(block_hash)[::-1]]
    for txid, group in groupby(sorted(coins), key=lambda coin: coin.txid):
        members = list(group)
        parts.append(txid + (b"\x01" if members[0].height * 2 + members[0].coinbase else b"\x00"))
        parts.extend(varint(coin.position + 1) + compact(len(coin.script)) + coin.script + varint(coin.amount) for coin in members)
        parts.append(b"\x00")
    return sha256d(b"".join(parts))[::-1].hex()


def claim(block_hash: str, coins: Sequence[Coin], *, height: int = 1000, hash_type: str = "hash_serialized_3") -> Claim:
    value = hash_3(coins) if hash_type == "hash_serialized_3" else hash_2(block_hash, coins)
    return Claim(block_hash=block_hash, height=height, coins=len(coins), hash_type=hash_type, set_hash=value)


def unspent(blocks: Sequence[bytes], form: Form) -> list[Coin]:
    """Return the coins that are left after blocks from height 1 on."""
    left: dict[bytes, Coin] = {}
    for height, block in enumerate(blocks, 1):
        count, at = read_length(block, 80, 1)
        for number in range(count):
            transaction, at = read_transaction(block, at, form)
            for outpoint in transaction.spends:
                left.pop(outpoint, None)
            for position, (amount, script) in enumerate(transaction.outputs):
                if not script.startswith(b"\x6a") and len(script) <= 10_000:
                    txid = bytes.fromhex(transaction.txid)[::-1]
                    left[transaction.outpoint(position)] = Coin(txid, position, height, number == 0, amount, script)
    return list(left.values())


def side_car(blocks: Sequence[bytes], height: int, genesis: str, coins: Sequence[Coin], *, after: int = 7) -> dict[str, object]:
    """Return what an operator writes beside the file of a block from height 11 on."""
    headers = [block[:80] for block in blocks[height - 11 : height + after]]
    return {
        "coins_written": len(coins),
        "base_hash": sha256d(blocks[height - 1][:80])[::-1].hex(),
        "base_height": height,
        "path": "/there/file",
        "txoutset_hash": hash_3(coins),
        "nchaintx": 5,
        "genesis": genesis,
        "headers": [header.hex() for header in headers],
    }
