"""UTXO-set files, against a reference in plain Python, a hash that Bitcoin Core publishes, and a file of a real litecoind.

Bitcoin Core cannot be installed here: its version 2 is written by `utxo_files.py` from the description of the format.
"""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coincurve import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.chains.bitcoin import utxo_set
from assay.chains.bitcoin.utxo_kernels import decompress_amount, read_compact, read_varint, write_varint
from assay.chains.bitcoin.utxo_set import LAYOUTS, Claim, CutOffError, UnspentCoin, UtxoSetError, read_utxo_set
from sandbox.bitcoin_blocks import LITECOIN, mine
from sandbox.litecoin import LitecoinNode, find_litecoind
from sandbox.scenario import wallets
from tests.chains.utxo_files import (
    MAGIC,
    Coin,
    claim,
    compact,
    compress_amount,
    compress_script,
    database_order,
    sha256d,
    varint,
    write,
)

BLOCK = "00" * 28 + "0a0b0c0d"
REGTEST = LAYOUTS["regtest"]
MAX_AMOUNT = REGTEST.max_amount
KEY = PrivateKey(b"\x07" * 32).public_key


def uncompressed(secret: int) -> bytes:
    return b"\x41" + PrivateKey(secret.to_bytes(32)).public_key.format(compressed=False) + b"\xac"


SCRIPTS = st.one_of(
    st.binary(min_size=20, max_size=20).map(lambda payload: b"\x76\xa9\x14" + payload + b"\x88\xac"),
    st.binary(min_size=20, max_size=20).map(lambda payload: b"\xa9\x14" + payload + b"\x87"),
    st.binary(min_size=20, max_size=20).map(lambda payload: b"\x00\x14" + payload),
    st.binary(min_size=32, max_size=32).map(lambda payload: b"\x51\x20" + payload),
    st.binary(min_size=32, max_size=32).map(lambda payload: b"\x21\x02" + payload + b"\xac"),
    st.integers(1, 50).map(uncompressed),
    # Of the form of one, with a key that is none: stored as it stands.
    st.binary(min_size=64, max_size=64).map(lambda payload: b"\x41\x04" + payload + b"\xac"),
    st.binary(max_size=300),
    st.integers(250, 10_000).map(lambda length: bytes([length & 0xFF]) * length),
)
COINS = st.builds(
    Coin,
    txid=st.integers(0, 7).map(lambda number: bytes([number]) * 32),
    position=st.one_of(st.integers(0, 300), st.integers(0, 2**32 - 2), st.sampled_from([16_511, 16_512, 16_513, 16_640])),
    height=st.integers(0, 1000),
    coinbase=st.booleans(),
    amount=st.one_of(st.integers(0, 10**9), st.integers(0, 20).map(lambda zeros: 10 ** min(zeros, 13)), st.integers(0, MAX_AMOUNT // 100)),
    script=SCRIPTS,
)
SETS = st.lists(COINS, max_size=40, unique_by=lambda coin: (coin.txid, coin.position))


def owned(coins: list[Coin]) -> dict[bytes, tuple[UnspentCoin, ...]]:
    """Return each script's coins in the order in which they are hashed."""
    found: dict[bytes, tuple[UnspentCoin, ...]] = {}
    for coin in sorted(coins):
        unspent = UnspentCoin(coin.txid[::-1].hex(), coin.position, coin.height, coin.coinbase, coin.amount)
        found[coin.script] = (*found.get(coin.script, ()), unspent)
    return found


COMPILED = settings(deadline=None)  # the first call compiles


@COMPILED
@given(number=st.integers(0, 2**61))
def test_numbers_are_written_as_by_the_reference_and_read_back(number: int) -> None:
    buffer = np.zeros(20, np.uint8)
    end = write_varint(buffer, 3, number)
    assert buffer[3:end].tobytes() == varint(number)
    assert read_varint(buffer, 3) == (number, end)


def test_a_number_without_end_is_refused() -> None:
    assert read_varint(np.full(20, 0xFF, np.uint8), 0)[0] == -1


@COMPILED
@given(number=st.integers(0, 2**32 - 1))
def test_compact_sizes_are_read_and_longer_forms_refused(number: int) -> None:
    raw = np.frombuffer(compact(number) + bytes(8), np.uint8).copy()
    assert read_compact(raw, 0) == (number, len(compact(number)))
    longer = b"\xfe" + struct.pack("<I", number) if number < 0x10000 else b"\xff" + struct.pack("<Q", number)
    assert read_compact(np.frombuffer(longer + bytes(8), np.uint8).copy(), 0)[0] == -1


@COMPILED
@given(amount=st.one_of(st.integers(0, MAX_AMOUNT), st.integers(0, 21_000_000).map(lambda whole: whole * 10**8)))
def test_amounts_are_decompressed_as_the_reference_compresses_them(amount: int) -> None:
    assert decompress_amount(compress_amount(amount), MAX_AMOUNT) == amount


@COMPILED
@given(amount=st.integers(MAX_AMOUNT + 1, 2**58))
def test_amounts_over_the_limit_are_refused(amount: int) -> None:
    assert decompress_amount(compress_amount(amount), MAX_AMOUNT) == -1


@settings(max_examples=150, deadline=None)
@given(coins=SETS, old=st.booleans(), piece=st.sampled_from([48 << 10, 8 << 20]), data=st.data())
def test_any_set_is_read_as_the_reference_has_it(
    tmp_path_factory: Any, coins: list[Coin], old: bool, piece: int, data: st.DataObject
) -> None:
    path = write(tmp_path_factory.mktemp("set") / "file", BLOCK, coins, magic=b"" if old else MAGIC)
    there = sorted({coin.script for coin in coins})
    watched = [*data.draw(st.lists(st.sampled_from(there), unique=True) if there else st.just([])), b"nobody's"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utxo_set, "_PIECE", piece)
        found = read_utxo_set(
            path,
            LAYOUTS["litecoin_regtest"] if old else REGTEST,
            claim(BLOCK, coins, hash_type="hash_serialized_2" if old else "hash_serialized_3"),
            watched,
        )
    assert found.coins == tuple(owned(coins).get(script, ()) for script in watched)
    assert found.total == sum(coin.amount for coin in coins)


def many(count: int, seed: int = 1) -> list[Coin]:
    draw = random.Random(seed)
    coins: dict[tuple[bytes, int], Coin] = {}
    while len(coins) < count:
        txid = draw.randbytes(32)
        for position in draw.sample(range(300), draw.choice([1, 1, 1, 2, 2, 40])):
            form = draw.choice([b"\x76\xa9\x14%b\x88\xac", b"\xa9\x14%b\x87", b"\x00\x14%b"])
            script = form.replace(b"%b", draw.randbytes(1) * 20)
            coins[txid, position] = Coin(txid, position, draw.randrange(1000), draw.random() < 0.1, draw.randrange(10**8), script)
    return list(coins.values())


@pytest.mark.parametrize("old", [False, True])
def test_a_set_of_many_pieces_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool) -> None:
    coins = many(20_000)
    path = write(tmp_path / "file", BLOCK, coins, magic=b"" if old else MAGIC)
    monkeypatch.setattr(utxo_set, "_PIECE", 64 << 10)
    mine = owned(coins)
    found = read_utxo_set(path, LAYOUTS["litecoin_regtest"] if old else REGTEST, claim(BLOCK, coins), list(mine))
    assert found.coins == tuple(mine.values())


def test_positions_are_hashed_as_numbers_though_databases_sort_them_as_text(tmp_path: Path) -> None:
    coins = [Coin(b"\x01" * 32, position, 5, False, position, uncompressed(3)) for position in range(16_000, 17_000)]
    assert database_order(coins) != sorted(coins)
    path = write(tmp_path / "file", BLOCK, coins)
    assert read_utxo_set(path, REGTEST, claim(BLOCK, coins), [uncompressed(3)]).coins == tuple(owned(coins).values())


def test_a_script_stored_in_a_longer_form_is_found_all_the_same(tmp_path: Path) -> None:
    """The hash is over whole scripts, so a file that hides a coin from a search for compressed ones would pass it."""
    script = b"\x76\xa9\x14" + bytes(20) + b"\x88\xac"
    coins = [Coin(b"\x01" * 32, 0, 5, False, 7, script)]
    path = write(tmp_path / "file", BLOCK, coins)
    raw = path.read_bytes()
    assert raw.endswith(compress_script(script))
    path.write_bytes(raw.removesuffix(compress_script(script)) + varint(len(script) + 6) + script)
    assert read_utxo_set(path, REGTEST, claim(BLOCK, coins), [script]).coins == tuple(owned(coins).values())


def test_the_hash_is_the_one_that_bitcoin_core_publishes_for_its_own_test_chain(tmp_path: Path) -> None:
    """The 110 coins of its unit tests' chain, with the hash and block of `chainparams.cpp`, `CRegTestParams`, `m_assumeutxo_data`."""
    script = b"\x21" + PrivateKey((1).to_bytes(32)).public_key.format() + b"\xac"
    commitment = bytes.fromhex("6a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf9")
    coins = []
    for height in range(1, 111):
        sign = bytes([0x50 + height]) if height <= 16 else bytes([1, height])
        start = struct.pack("<I", 2) + b"\x01" + bytes(32) + b"\xff" * 4 + compact(len(sign) + 1) + sign + b"\x00" + b"\xff" * 4
        outputs = b"".join(
            struct.pack("<q", amount) + compact(len(locking)) + locking for amount, locking in ((50 * 10**8, script), (0, commitment))
        )
        txid = sha256d(start + b"\x02" + outputs + bytes(4))
        coins.append(Coin(txid, 0, height, True, 50 * 10**8, script))
    published = Claim(
        block_hash="696e92821f65549c7ee134edceeeeaaa4105647a3c4fd9f298c0aec0ab50425c",
        height=110,
        coins=110,
        hash_type="hash_serialized_3",
        set_hash="6657b736d4fe4db0cbc796789e812d5dba7f5c143764b1b6905612f1830609d1",
    )
    read = read_utxo_set(write(tmp_path / "file", published.block_hash, coins), REGTEST, published, [script])
    assert (len(read.coins[0]), read.total) == (110, 110 * 50 * 10**8)


SMALL = [
    Coin(b"\x01" * 32, 0, 5, False, 10**8, b"\x00\x14" + b"\x11" * 20),
    Coin(b"\x01" * 32, 1, 6, True, 2, b"\x76\xa9\x14" + b"\x22" * 20 + b"\x88\xac"),
    Coin(b"\x02" * 32, 7, 7, False, 3, uncompressed(9)),
]


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        assert old in raw
        return raw.replace(old, new, 1)

    return change


COIN_0 = compact(0) + varint(10) + varint(compress_amount(10**8))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda raw: raw[:-1], CutOffError, "0 coins|1 coins early"),
        (lambda raw: raw[:120], CutOffError, "ends at byte 120"),
        (lambda raw: raw[:51], CutOffError, "3 coins early"),
        (lambda raw: raw[:30], CutOffError, "within its header"),
        (lambda raw: b"", UtxoSetError, "not a UTXO-set file"),
        (lambda raw: raw + b"\x00", UtxoSetError, "goes on after its last coin"),
        (lambda raw: raw + raw[51:], UtxoSetError, "goes on after its last coin"),
        (swap(b"utxo\xff", b"utxo\x00"), UtxoSetError, "not a UTXO-set file of version 2"),
        (swap(b"utxo\xff\x02", b"utxo\xff\x03"), UtxoSetError, "its version 3 is unknown"),
        (swap(MAGIC, bytes.fromhex("f9beb4d9")), UtxoSetError, "magic is f9beb4d9"),
        (swap(bytes.fromhex("0d0c0b0a"), bytes.fromhex("0d0c0b0b")), UtxoSetError, "the set after block"),
        (swap(b"\x03" + bytes(7), b"\x04" + bytes(7)), UtxoSetError, "4 coins and the node said 3"),
        (swap(b"\x11" * 20, b"\x11" * 19 + b"\x13"), UtxoSetError, "hash_serialized_3 of its coins is"),
        (swap(COIN_0, compact(0) + varint(11) + varint(compress_amount(10**8))), UtxoSetError, "hash_serialized_3 of its coins is"),
        (swap(COIN_0, compact(0) + varint(10) + varint(compress_amount(10**8 + 1))), UtxoSetError, "hash_serialized_3 of its coins is"),
        (swap(COIN_0, compact(0) + varint(2002) + varint(compress_amount(10**8))), UtxoSetError, "younger than the block"),
        (swap(COIN_0, compact(0) + varint(10) + varint(compress_amount(MAX_AMOUNT + 1))), UtxoSetError, "more than can exist"),
        (swap(COIN_0, compact(0) + varint(10) + b"\xff" * 12), UtxoSetError, "more than can exist"),
        (swap(COIN_0, compact(0) + varint(10) + varint(compress_amount(MAX_AMOUNT))), UtxoSetError, "together more than can exist"),
        (swap(COIN_0, compact(1) + varint(10) + varint(compress_amount(10**8))), UtxoSetError, "stands in it twice"),
        (swap(COIN_0, b"\xff" * 9 + varint(10)), UtxoSetError, "position"),
        (swap(varint(28) + b"\x00\x14", varint(10_007) + b"\x00\x14"), UtxoSetError, "longer than that of a coin"),
        (swap(b"\x01" * 32 + b"\x02", b"\x01" * 32 + b"\x00"), UtxoSetError, "no coins, or more than are left"),
        (swap(b"\x01" * 32 + b"\x02", b"\x01" * 32 + b"\x04"), UtxoSetError, "no coins, or more than are left"),
        (swap(compress_script(uncompressed(9))[1:], b"\x00" * 31 + b"\x05"), UtxoSetError, "public key that is none"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused_in_clear_words(
    tmp_path: Path, change: Callable[[bytes], bytes], error: type[UtxoSetError], words: str
) -> None:
    path = write(tmp_path / "file", BLOCK, SMALL)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(error, match=words) as caught:
        read_utxo_set(path, REGTEST, claim(BLOCK, SMALL), [])
    assert type(caught.value) is error


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), old=st.booleans())
def test_no_flipped_bit_passes(tmp_path_factory: Any, place: int, bit: int, old: bool) -> None:
    path = write(tmp_path_factory.mktemp("set") / "file", BLOCK, SMALL, magic=b"" if old else MAGIC)
    raw = bytearray(path.read_bytes())
    # The number of transactions in the older header is the only thing that is said nowhere else.
    changeable = [at for at in range(len(raw)) if not (old and 40 <= at < 44)]
    raw[changeable[place % len(changeable)]] ^= 1 << bit
    path.write_bytes(raw)
    with pytest.raises(UtxoSetError):
        read_utxo_set(path, LAYOUTS["litecoin_regtest"] if old else REGTEST, claim(BLOCK, SMALL), [])


def test_the_two_formats_are_not_taken_for_each_other(tmp_path: Path) -> None:
    new, old = write(tmp_path / "new", BLOCK, SMALL), write(tmp_path / "old", BLOCK, SMALL, magic=b"")
    with pytest.raises(UtxoSetError, match="of version 2"):
        read_utxo_set(old, REGTEST, claim(BLOCK, SMALL), [])
    with pytest.raises(UtxoSetError, match="before version 2"):
        read_utxo_set(new, LAYOUTS["litecoin_regtest"], claim(BLOCK, SMALL), [])


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Peaks are compared within one process: after 400,000 coins, and after two million."""
    coins = many(20_000)
    write(tmp_path / "file", BLOCK, coins)
    script = f"""
import struct
from pathlib import Path
from assay.chains.bitcoin.utxo_set import Claim, LAYOUTS, UtxoSetError, read_utxo_set
raw = Path({str(tmp_path / "file")!r}).read_bytes()
large = Path({str(tmp_path / "large")!r})
def use(path, copies):
    with path.open("wb") as file:
        file.write(raw[:43] + struct.pack("<Q", {len(coins)} * copies))
        for _ in range(copies):
            file.write(raw[51:])
    claim = Claim(block_hash={BLOCK!r}, height=1000, coins={len(coins)} * copies, hash_type="hash_serialized_3", set_hash="")
    try:
        read_utxo_set(path, LAYOUTS["regtest"], claim, [])
    except UtxoSetError as error:
        assert "of its coins is" in str(error), error
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])
small = use(large, 20)
print(use(large, 100) - small)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env={"PYTHONPATH": "plugins"})
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20_000, "kilobytes more for a file of 100,000 kilobytes more"


def test_kernels_work_where_compiled_code_cannot_be_kept(tmp_path: Path) -> None:
    script = """
import numba.core.caching as caching
for locator in caching.CacheImpl._locator_classes:
    locator.from_function = classmethod(lambda cls, function, file: None)
from assay.chains.bitcoin.utxo_kernels import decompress_amount
print(decompress_amount(9, 100))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env={"PYTHONPATH": "plugins"})
    assert (done.returncode, done.stdout) == (0, f"{decompress_amount(9, 100)}\n"), done.stderr


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any], dict[str, Any], LitecoinNode]]:
    if find_litecoind() is None:
        pytest.skip("litecoind is not installed, so no file of a real node is read")
    folder = tmp_path_factory.mktemp("litecoin")
    plans = [plan for plan in wallets(litecoin=True) if plan.chain == "litecoin"]
    with LitecoinNode(folder=folder / "node", mined=mine(LITECOIN, plans)) as node:
        told, stated = node.call_many([("dumptxoutset", [str(folder / "file")]), ("gettxoutsetinfo", [])])
        yield folder / "file", told, stated, node


def test_a_real_nodes_file_is_what_the_node_says(dumped: tuple[Path, dict[str, Any], dict[str, Any], LitecoinNode]) -> None:
    path, told, stated, node = dumped
    said = Claim(
        block_hash=told["base_hash"],
        height=told["base_height"],
        coins=told["coins_written"],
        hash_type="hash_serialized_2",
        set_hash=stated["hash_serialized_2"],
    )
    scripts = list(node.mined.scripts.values())
    read = read_utxo_set(path, LAYOUTS["litecoin_regtest"], said, scripts)
    assert read.total == round(stated["total_amount"] * 10**8)
    objects = [f"raw({script.hex()})" for script in scripts]
    (scan,) = node.call_many([("scantxoutset", ["start", objects])])
    of_node = {(coin["txid"], coin["vout"], coin["height"], round(coin["amount"] * 10**8)) for coin in scan["unspents"]}
    assert {(coin.txid, coin.position, coin.height, coin.amount) for coins in read.coins for coin in coins} == of_node
    assert of_node
