"""Dogecoin, Dash and Bitcoin Cash through an Electrum server, against chains that are written here from the coins' specifications.

No node of the three can be installed. What their main networks really look like is tried in `test_bitcoin_headers.py` and
`test_transactions.py` on published blocks and transactions.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from assay.chains.bitcoin import check_address, reader
from assay.chains.bitcoin.electrum import ElectrumReader
from assay.chains.evidence import EvidenceArchive
from assay.chains.interface import Balance, SnapshotBlock
from assay.config import Asset, Chain, Source
from assay.errors import SourceBehindError, SourceMismatchError
from sandbox.bitcoin_blocks import scrypt
from sandbox.bitcoin_keys import compact, sha256d, with_length
from tests.chains.electrum_server import Block, WrittenChain, merkle_root

T = TypeVar("T")

SOURCE = Source(name="electrum_a", kind="electrum", connection="assay_electrum_a")
START = int(datetime(2023, 1, 1, tzinfo=UTC).timestamp())
AS_OF = datetime(2023, 1, 1, 2, 30, tzinfo=UTC)
HEIGHTS = 30
PAID, SPENT = 5, 8
"""Heights of the two blocks that move coins of the wallets; both before AS_OF."""

BITS = 0x207FFFFF
TARGET = 0x7FFFFF << 232
HASH_A, HASH_B = b"\xaa" * 20, b"\xbb" * 20
A, B = (b"\x76\xa9\x14" + payload + b"\x88\xac" for payload in (HASH_A, HASH_B))


def transaction(inputs: Sequence[bytes], outputs: Sequence[tuple[int, bytes]], *, version: int = 1, payload: bytes | None = None) -> bytes:
    """Return a transaction of the original form, with Dash's payload behind it if there is one."""
    raw = struct.pack("<I", version) + compact(len(inputs)) + b"".join(point + b"\x00" + b"\xff" * 4 for point in inputs)
    raw += compact(len(outputs)) + b"".join(struct.pack("<q", value) + with_length(script) for value, script in outputs)
    return raw + bytes(4) + (b"" if payload is None else with_length(payload))


def outpoint(raw: bytes, position: int) -> bytes:
    return sha256d(raw) + struct.pack("<I", position)


def coinbase(height: int) -> bytes:
    return transaction([bytes(32) + b"\xff" * 4], [(50 * 10**8, b"\x51")], version=1 + height)


Move = dict[int, list[tuple[bytes, Sequence[bytes]]]]
Seal = Callable[[bytes], bytes]
"""Makes of the first 76 bytes of a header the whole header, with what stands behind it."""


def written(moves: Move, seal: Seal, identify: Callable[[bytes], bytes]) -> WrittenChain:
    """Write a chain of one block every ten minutes."""
    blocks: list[Block] = []
    before = bytes(32)
    for height in range(HEIGHTS):
        transactions = [(coinbase(height), [b"\x51"]), *moves.get(height, [])]
        root = merkle_root([raw for raw, _ in transactions])
        version = 0x620004 if seal is not merged or height % 2 else 0x620104
        header = seal(struct.pack("<I", version) + before + root + struct.pack("<II", START + 600 * height, BITS))
        blocks.append(Block(header, transactions))
        before = identify(header[:80])
    return WrittenChain(blocks, identify(blocks[0].header[:80])[::-1].hex())


def worked(start: bytes, work: Callable[[bytes], bytes]) -> bytes:
    nonce = 0
    while int.from_bytes(work(start + struct.pack("<I", nonce)), "little") > TARGET:
        nonce += 1
    return start + struct.pack("<I", nonce)


def by_sha256(start: bytes) -> bytes:
    return worked(start, sha256d)


def merged(start: bytes) -> bytes:
    """Seal a header of Dogecoin: every second one by the work of a block of another chain."""
    if not int.from_bytes(start[:4], "little") & 0x100:
        return worked(start, scrypt)
    header = start + bytes(4)
    script = b"\xfa\xbemm" + sha256d(header)[::-1] + struct.pack("<II", 1, 7)
    body = struct.pack("<I", 1) + b"\x01" + bytes(32) + b"\xff" * 4 + with_length(script) + b"\xff" * 4
    parents = body + b"\x01" + struct.pack("<q", 0) + with_length(b"\x51") + bytes(4)
    parent = worked(struct.pack("<I", 2) + bytes(32) + sha256d(parents) + struct.pack("<II", START, BITS), scrypt)
    return header + parents + sha256d(parent) + (b"\x00" + bytes(4)) * 2 + parent


def stand_in_for_x11(header: bytes) -> bytes:
    """Name a block of Dash in a way that cannot be computed from the header by any hash that the reader knows."""
    return hashlib.sha256(b"x11" + header).digest()


def plain_moves() -> Move:
    paid = transaction([outpoint(coinbase(1), 0)], [(30 * 10**8, A), (20 * 10**8, B)])
    spent = transaction([outpoint(paid, 0)], [(29 * 10**8, B), (1, A)])
    return {PAID: [(paid, [A, B])], SPENT: [(spent, [A, B])]}


def dash_moves() -> Move:
    paid = transaction([outpoint(coinbase(1), 0)], [(30 * 10**8, A), (20 * 10**8, B)], version=3 | 1 << 16, payload=b"\x02" * 300)
    withdrawn = transaction([], [(7, A)], version=3 | 9 << 16, payload=b"\x01" * 70)
    spent = transaction([outpoint(paid, 0)], [(29 * 10**8, B), (1, A)], version=2)
    return {PAID: [(paid, [A, B])], SPENT: [(spent, [A, B]), (withdrawn, [A])]}


def cash_moves() -> Move:
    token = b"\xef" + bytes(range(32)) + b"\x10\xfd\xe8\x03"
    paid = transaction([outpoint(coinbase(1), 0)], [(30 * 10**8, A), (20 * 10**8, token + B)])
    spent = transaction([outpoint(paid, 0)], [(29 * 10**8, B), (1, token + A)])
    return {PAID: [(paid, [A, B])], SPENT: [(spent, [A, B])]}


WRITTEN = {
    "dogecoin_regtest": written(plain_moves(), merged, sha256d),
    "dash_regtest": written(dash_moves(), by_sha256, stand_in_for_x11),
    "bitcoin_cash_regtest": written(cash_moves(), by_sha256, sha256d),
}
HELD = {"dogecoin_regtest": [1, 49 * 10**8], "dash_regtest": [8, 49 * 10**8], "bitcoin_cash_regtest": [1, 49 * 10**8]}


def chain_of(network: str) -> Chain:
    genesis = str(WRITTEN[network].answer("server.features", [])["genesis_hash"])
    return Chain(name=network, family="bitcoin", asset="COIN", network=network, genesis=genesis, confirmations=2, sources=(SOURCE,))


def addresses_of(network: str) -> list[str]:
    """Write the addresses of the two wallets with an encoder that shares nothing with the parser, and bring them to canonical form."""
    from electrumx.lib.hash import Base58  # type: ignore[import-untyped]

    version = {"dogecoin_regtest": 0x6F, "dash_regtest": 0x8C, "bitcoin_cash_regtest": 0x6F}[network]
    return [check_address(chain_of(network), Base58.encode_check(bytes([version]) + payload)) for payload in (HASH_A, HASH_B)]


def ask(network: str, work: Callable[[ElectrumReader], Awaitable[T]], *, archive: EvidenceArchive | None = None, url: str = "") -> T:
    assets = {"COIN": Asset(symbol="COIN", name="Coin", decimals=8)}

    async def with_reader(address: str) -> T:
        kept = archive or EvidenceArchive("test")
        async with reader(chain_of(network), SOURCE, assets=assets, archive=kept, url=address) as opened:
            assert isinstance(opened, ElectrumReader)
            return await work(opened)

    async def run() -> T:
        if url:
            return await with_reader(url)
        async with WRITTEN[network].served() as address:
            return await with_reader(address)

    return asyncio.run(run())


@pytest.mark.parametrize("network", WRITTEN)
def test_balances_of_every_coin_are_replayed_linked_and_played_back(network: str, tmp_path: Path) -> None:
    archive = EvidenceArchive("test")

    async def work(opened: ElectrumReader) -> tuple[SnapshotBlock, list[Balance]]:
        await opened.check_network()
        block = await opened.resolve(AS_OF)
        await opened.check_assets(block)
        balances = await opened.read(block, addresses_of(network))
        since = min(balance.since for balance in balances if balance.since is not None)
        assert (since, await opened.recheck(block, since=since)) == (PAID, block.hash)
        return block, balances

    block, balances = ask(network, work, archive=archive)
    assert [balance.amount for balance in balances] == HELD[network]
    # The median of eleven blocks of ten minutes lies fifty minutes back.
    assert (block.height, block.distance_seconds) == (20, 0)
    path = archive.write(tmp_path / "a.jsonl.zst")
    assert ask(network, lambda opened: opened.read(block, addresses_of(network)), url=f"tape:{path}") == balances


@pytest.mark.parametrize("network", WRITTEN)
def test_the_amounts_of_every_coin_are_those_of_the_block(network: str) -> None:
    async def work(opened: ElectrumReader) -> list[int]:
        block = replace(await opened.resolve(AS_OF), height=PAID, hash=await opened.block_hash(PAID))
        return [balance.amount for balance in await opened.read(block, addresses_of(network))]

    assert ask(network, work) == [30 * 10**8, 20 * 10**8]


def test_a_header_of_dash_is_named_by_the_next_one() -> None:
    blocks = WRITTEN["dash_regtest"]._blocks
    found = ask("dash_regtest", lambda opened: opened.block_hash(10))
    assert found == stand_in_for_x11(blocks[10].header)[::-1].hex() == blocks[11].header[4:36][::-1].hex()


@pytest.mark.parametrize("network", WRITTEN)
def test_a_server_whose_last_block_is_before_the_snapshot_block_may_be_asked_again_later(
    network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = ask(network, lambda opened: opened.resolve(AS_OF))
    monkeypatch.setattr(WRITTEN[network], "_blocks", WRITTEN[network]._blocks[: block.height])
    with pytest.raises(SourceBehindError, match="its last block is 19, before the snapshot block 20"):
        ask(network, lambda opened: opened.read(block, addresses_of(network)))
    with pytest.raises(SourceBehindError):
        ask(network, lambda opened: opened.used(block, addresses_of(network)))


def test_a_merge_mined_block_without_its_parents_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = WRITTEN["dogecoin_regtest"]
    lazy = honest._blocks[PAID + 1]
    assert len(lazy.header) > 80
    nonce = 0
    while int.from_bytes(scrypt(lazy.header[-80:-4] + struct.pack("<I", nonce)), "little") <= TARGET:
        nonce += 1
    forged = replace(lazy, header=lazy.header[:-4] + struct.pack("<I", nonce))
    blocks = [forged if block is lazy else block for block in honest._blocks]
    monkeypatch.setattr(honest, "_blocks", blocks)

    async def work(opened: ElectrumReader) -> str:
        return await opened.recheck(await opened.resolve(AS_OF), since=PAID)

    with pytest.raises(SourceMismatchError, match="does not carry the work"):
        ask("dogecoin_regtest", work)
