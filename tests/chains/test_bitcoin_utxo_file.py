"""UTXO-set files as a source, beside a real ElectrumX on the same chain, and written by a real litecoind.

Bitcoin Core cannot be installed here: the Bitcoin files are written by `utxo_files.py`, from the blocks that its kernel validated.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from assay.chains.bitcoin import reader
from assay.chains.bitcoin import utxo_file as bitcoin_utxo_file
from assay.chains.bitcoin.transactions import Form
from assay.chains.evidence import EvidenceArchive, read_archive
from assay.chains.interface import Balance, Reader, SnapshotBlock
from assay.chains.quorum import agree_on_balances, agree_on_block, agree_on_hash
from assay.config import Asset, Chain, Source
from assay.errors import AssayError, ConfigError, SourceBehindError, SourceMismatchError, SourceUnavailableError
from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, LITECOIN, MinedChain, mine
from sandbox.litecoin import LitecoinNode, find_litecoind
from sandbox.scenario import FIRST, SECOND, wallets
from tests.chains.utxo_files import Coin, hash_3, side_car, unspent, write

T = TypeVar("T")

FILES = Source(name="utxo_files", kind="utxo_file", connection="assay_utxo_files")
ELECTRUM = Source(name="electrum", kind="electrum", connection="assay_electrum")
CHAIN = Chain(
    name="bitcoin", family="bitcoin", asset="BTC", network="regtest", genesis=BITCOIN.genesis, confirmations=6, sources=(ELECTRUM, FILES)
)
LITECOIN_CHAIN = replace(CHAIN, name="litecoin", asset="LTC", network="litecoin_regtest", genesis=LITECOIN.genesis)
ASSETS = {symbol: Asset(symbol=symbol, name=symbol, decimals=8) for symbol in ("BTC", "LTC")}
UNUSED = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
PLANS = [plan for plan in wallets(litecoin=True) if plan.chain == "bitcoin"]
LITECOIN_PLANS = [plan for plan in wallets(litecoin=True) if plan.chain == "litecoin"]


@pytest.fixture(scope="module")
def mined() -> MinedChain:
    return mine(BITCOIN, PLANS)


def lay(folder: Path, mined: MinedChain, moment: datetime, *, change: Callable[[list[Coin]], list[Coin]] = list) -> Path:
    """Write the files of a moment's block; returns the one of the set."""
    height = mined.snapshots[moment]
    coins = change(unspent(mined.blocks[:height], Form(witness=True)))
    told = side_car(mined.blocks, height, BITCOIN.genesis, coins)
    (folder / f"{told['base_hash']}.json").write_text(json.dumps(told))
    return write(folder / f"{told['base_hash']}.utxo", str(told["base_hash"]), coins)


@pytest.fixture
def folder(tmp_path: Path, mined: MinedChain) -> Path:
    (tmp_path / "a folder").mkdir()
    for moment in (FIRST, SECOND):
        lay(tmp_path / "a folder", mined, moment)
    return tmp_path / "a folder"


def url_of(folder: Path) -> str:
    return f"file://localhost{folder}".replace(" ", "%20")


def ask(
    url: str,
    work: Callable[[Reader], Awaitable[T]],
    *,
    chain: Chain = CHAIN,
    source: Source = FILES,
    archive: EvidenceArchive | None = None,
) -> T:
    async def run() -> T:
        async with reader(chain, source, assets=ASSETS, archive=archive or EvidenceArchive("test"), url=url) as opened:
            return await work(opened)

    return asyncio.run(run())


def at(moment: datetime, addresses: list[str]) -> Callable[[Reader], Awaitable[tuple[SnapshotBlock, list[Balance], str]]]:
    async def work(opened: Reader) -> tuple[SnapshotBlock, list[Balance], str]:
        if not opened.replayed:
            await opened.check_network()
        block = await opened.resolve(moment)
        await opened.check_assets(block)
        return block, await opened.read(block, addresses), await opened.recheck(block, since=None)

    return work


def addresses_of(mined: MinedChain) -> list[str]:
    return [mined.addresses[plan.index] for plan in PLANS]


def test_files_and_an_electrum_server_say_the_same_at_both_moments(folder: Path, mined: MinedChain, tmp_path: Path) -> None:
    addresses = [*addresses_of(mined), UNUSED]
    with BitcoinNode(folder=tmp_path / "node", mined=mined) as node:
        for moment in (FIRST, SECOND):
            answers = {
                "electrum": ask(node.electrum_url, at(moment, addresses), source=ELECTRUM),
                "files": ask(url_of(folder), at(moment, addresses)),
            }
            block = agree_on_block({name: answer[0] for name, answer in answers.items()})
            agree_on_balances("bitcoin", {name: answer[1] for name, answer in answers.items()})
            agree_on_hash(block, {name: answer[2] for name, answer in answers.items()})
            held = [(plan.first if moment == FIRST else plan.second)["BTC"] for plan in PLANS]
            assert [balance.amount for balance in answers["files"][1]] == [*held, 0]

            def lie(coins: list[Coin]) -> list[Coin]:
                mine = max(coin for coin in coins if coin.script in mined.scripts.values())
                return [replace(coin, amount=coin.amount - (coin == mine)) for coin in coins]

            lay(folder, mined, moment, change=lie)
            with pytest.raises(SourceMismatchError, match="the sources disagree on BTC"):
                agree_on_balances("bitcoin", {"electrum": answers["electrum"][1], "files": ask(url_of(folder), at(moment, addresses))[1]})


def test_an_archive_gives_the_same_balances_without_the_files(folder: Path, mined: MinedChain, tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    addresses = [*addresses_of(mined), UNUSED]
    block, balances, found = ask(url_of(folder), at(SECOND, addresses), archive=archive)
    kept = archive.write(tmp_path / "kept.jsonl.zst")
    for path in folder.iterdir():
        path.unlink()

    async def work(opened: Reader) -> tuple[list[Balance], str]:
        return await opened.read(block, addresses), await opened.recheck(block, since=None)

    assert ask(f"tape:{kept}", work) == (balances, found)
    assert found == block.hash


def test_the_evidence_of_a_balance_is_the_list_of_its_coins_under_the_sets_hash(folder: Path, mined: MinedChain, tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    addresses = [*addresses_of(mined), UNUSED]
    block, balances, _ = ask(url_of(folder), at(SECOND, addresses), archive=archive)
    lines = dict(read_archive(archive.write(tmp_path / "kept.jsonl.zst")))
    told = json.loads((folder / f"{block.hash}.json").read_text())
    for balance in balances:
        line = lines[balance.evidence]
        assert line["params"]["hash_serialized_3"] == told["txoutset_hash"]
        assert line["params"]["block_hash"] == block.hash
        assert sum(amount for _, _, _, _, amount in line["result"]) == balance.amount
    nobody = lines[balances[-1].evidence]
    assert nobody["result"] == []
    assert "localhost" not in str(lines)
    assert str(folder) not in str(lines)


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_the_files_block_is_resolved_to_the_second(folder: Path, mined: MinedChain, shift: int) -> None:
    """The median times of the block and of the next one bound the moments that the file is for."""
    height = mined.snapshots[SECOND]
    own, following = (sorted(mined.times[end - 10 : end + 1])[5] for end in (height, height + 1))

    async def work(opened: Reader) -> SnapshotBlock:
        return await opened.resolve(moment)

    for edge, inside in ((own, shift >= 0), (following, shift < 0)):
        moment = datetime.fromtimestamp(edge + shift, SECOND.tzinfo)
        if inside:
            block = ask(url_of(folder), work, chain=replace(CHAIN, max_distance_seconds=10**6))
            assert (block.height, block.distance_seconds) == (height, edge + shift - own)
        else:
            with pytest.raises(SourceBehindError, match="no UTXO-set file of the last final block"):
                ask(url_of(folder), work, chain=replace(CHAIN, max_distance_seconds=10**6))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    for path in folder.glob("*.json"):
        told = json.loads(path.read_text())
        change(told)
        path.write_text(json.dumps(told))


def flipped(header: str) -> str:
    return header[:-1] + ("0" if header[-1] != "0" else "1")


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda told: told.update(genesis="00" * 32), SourceMismatchError, "its genesis block is"),
        (lambda told: told.update(genesis=None), SourceMismatchError, "is wrong: Expected `str`, got `null`"),
        (lambda told: told.pop("coins_written"), SourceMismatchError, "is wrong: Object missing required field `coins_written`"),
        (lambda told: told.update(coins_written="5"), SourceMismatchError, "is wrong: Expected `int`"),
        (lambda told: told.update(coins_written=10**40), SourceMismatchError, "is wrong"),
        (lambda told: told.pop("txoutset_hash"), SourceMismatchError, "neither txoutset_hash nor hash_serialized_2"),
        (lambda told: told.update(base_hash="11" * 32), SourceMismatchError, "that of another block"),
        (lambda told: told.update(base_height=told["base_height"] - 1), SourceMismatchError, "its file is of height|younger"),
        (lambda told: told["headers"].pop(0), SourceMismatchError, "not those around the block"),
        (lambda told: told["headers"].pop(), SourceBehindError, "shows 6 blocks after it, and 7 must be there"),
        (lambda told: told.update(headers=told["headers"][:11]), SourceMismatchError, "not those around the block"),
        (lambda told: told.update(headers=[]), SourceMismatchError, "headers in the side-car"),
        (lambda told: told["headers"].__setitem__(3, told["headers"][3][:-2]), SourceMismatchError, "headers in the side-car"),
        (lambda told: told["headers"].__setitem__(3, flipped(told["headers"][3])), SourceMismatchError, "do not form a chain"),
        (lambda told: told["headers"].__setitem__(3, "zz" * 80), SourceMismatchError, "headers in the side-car"),
        (lambda told: told.update(txoutset_hash="22" * 32), SourceMismatchError, "the node said 2222"),
        (lambda told: told.update(coins_written=told["coins_written"] + 1), SourceMismatchError, "and the node said"),
    ],
)
def test_a_side_car_that_cannot_be_right_is_refused(
    folder: Path, mined: MinedChain, change: Callable[[dict[str, Any]], Any], kind: type[AssayError], words: str
) -> None:
    rewrite(folder, change)
    with pytest.raises(kind, match=words) as caught:
        ask(url_of(folder), at(SECOND, addresses_of(mined)))
    assert type(caught.value) is kind
    assert str(folder) not in str(caught.value)


def test_a_side_car_that_is_cut_off_is_refused(folder: Path, mined: MinedChain) -> None:
    for path in folder.glob("*.json"):
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(SourceMismatchError, match="is wrong: Input data was truncated"):
        ask(url_of(folder), at(SECOND, addresses_of(mined)))


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), SourceUnavailableError, "coins early"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\x00"), SourceMismatchError, "goes on after its last coin"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"\x14", b"\x15", 1)), SourceMismatchError, "of its coins is"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"\xfa\xbf", b"\xfa\xbe", 1)), SourceMismatchError, "magic"),
        (lambda path: path.unlink(), SourceUnavailableError, "cannot be read"),
    ],
)
def test_a_file_that_is_not_the_nodes_is_refused(
    folder: Path, mined: MinedChain, change: Callable[[Path], Any], kind: type[AssayError], words: str
) -> None:
    for path in folder.glob("*.utxo"):
        change(path)
    with pytest.raises(kind, match=words) as caught:
        ask(url_of(folder), at(SECOND, addresses_of(mined)))
    assert type(caught.value) is kind
    assert str(folder) not in str(caught.value)


def test_an_empty_folder_may_be_asked_again_later(tmp_path: Path, mined: MinedChain) -> None:
    with pytest.raises(SourceUnavailableError, match="holds no side-car"):
        ask(url_of(tmp_path), at(SECOND, addresses_of(mined)))


def test_a_block_too_far_from_the_moment_is_refused(folder: Path, mined: MinedChain) -> None:
    with pytest.raises(SourceMismatchError, match="s before it and at most 0 s"):
        ask(url_of(folder), at(SECOND + timedelta(seconds=1), addresses_of(mined)), chain=replace(CHAIN, max_distance_seconds=0))


@pytest.mark.parametrize("url", ["https://node.example/secret-key", "file://elsewhere/secret-key", "tcp://127.0.0.1:50001/secret-key"])
def test_an_address_that_is_no_folder_here_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="not that of a folder") as caught:
        ask(url, at(SECOND, []))
    assert "secret-key" not in str(caught.value)


def test_a_network_whose_files_are_unknown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="UTXO-set files of dogecoin are unknown"):
        ask(url_of(tmp_path), at(SECOND, []), chain=replace(CHAIN, network="dogecoin"))


def test_files_cannot_tell_whether_an_address_was_used(folder: Path) -> None:
    async def work(opened: Reader) -> list[bool]:
        return await opened.used(await opened.resolve(SECOND), [UNUSED])

    with pytest.raises(ConfigError, match="utxo_file"):
        ask(url_of(folder), work)


SHIM = """#!{python} -S
# Answers as Bitcoin Core 29 would, from a Litecoin node that has no rollback and no hash_serialized_3.
import base64, json, sys, urllib.request
def call(method, *params):
    headers = {{"Authorization": "Basic " + base64.b64encode(b"sandbox:sandbox").decode(), "Connection": "close"}}
    request = urllib.request.Request("http://127.0.0.1:{port}/", json.dumps({{"method": method, "params": params}}).encode(), headers)
    return json.load(urllib.request.urlopen(request))["result"]
method, *words = [word for word in sys.argv[1:] if not word.startswith("-")]
if method == "dumptxoutset":
    named = dict(word.split("=", 1) for word in words)
    following = call("getblockhash", int(named["rollback"]) + 1)
    call("invalidateblock", following)
    told = call("dumptxoutset", named["path"])
    call("reconsiderblock", following)
    print(json.dumps(told | {{"txoutset_hash": {set_hash!r}}}))
else:
    answer = call(method, *(json.loads(word) if len(word) < 64 else word for word in words))
    print(answer if isinstance(answer, str) else json.dumps(answer))
"""


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed, which the recipe needs")
def test_the_recipe_of_the_documentation_writes_what_is_read(litecoin: tuple[LitecoinNode, Path], tmp_path: Path) -> None:
    """The lines of the docstring, with a stand-in for Bitcoin Core that asks a real litecoind."""
    node, _ = litecoin
    lines = [line.removeprefix("    ") for line in (bitcoin_utxo_file.__doc__ or "").splitlines() if line.startswith("    ")]
    shim, folder = tmp_path / "bin" / "bitcoin-cli", tmp_path / "files"
    for path in (shim.parent, folder):
        path.mkdir()
    # The last block that is final, so that the search for it is short.
    height = len(node.mined.blocks) - 7
    moment = datetime.fromtimestamp(sorted(node.mined.times[height - 10 : height + 1])[5], UTC)
    coins = unspent(node.mined.blocks[:height], Form(witness=True, mweb=True))
    shim.write_text(SHIM.format(python=sys.executable, port=node._port, set_hash=hash_3(coins)))
    shim.chmod(0o755)
    environment = os.environ | {"PATH": f"{shim.parent}:{os.environ['PATH']}", "FOLDER": str(folder), "CONFIRMATIONS": "6"}
    environment["AS_OF"] = moment.isoformat()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    block, balances, _ = ask(url_of(folder), at(moment, [node.addresses[plan.index] for plan in LITECOIN_PLANS]), chain=LITECOIN_CHAIN)
    assert (block.height, block.distance_seconds) == (height, 0)
    held = [sum(coin.amount for coin in coins if coin.script == node.mined.scripts[plan.index]) for plan in LITECOIN_PLANS]
    assert [balance.amount for balance in balances] == held
    assert sum(held)


@pytest.fixture(scope="module")
def litecoin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LitecoinNode, Path]]:
    """A node, and a folder with the files of both moments' blocks: the node is taken back to each for as long as it writes."""
    if find_litecoind() is None:
        pytest.skip("litecoind is not installed, so no file of a real node is read")
    folder = tmp_path_factory.mktemp("litecoin files")
    chain = mine(LITECOIN, LITECOIN_PLANS)
    with LitecoinNode(folder=tmp_path_factory.mktemp("litecoin") / "node", mined=chain) as node:

        def call(method: str, *params: object) -> Any:
            return node.call_many([(method, list(params))])[0]

        for moment in (FIRST, SECOND):
            height = chain.snapshots[moment]
            base, following = call("getblockhash", height), call("getblockhash", height + 1)
            headers = [call("getblockheader", call("getblockhash", number), False) for number in range(height - 10, height + 8)]
            call("invalidateblock", following)
            told = call("dumptxoutset", str(folder / f"{base}.utxo"))
            stated = call("gettxoutsetinfo")
            call("reconsiderblock", following)
            more = {"genesis": call("getblockhash", 0), "headers": headers, "hash_serialized_2": stated["hash_serialized_2"]}
            (folder / f"{base}.json").write_text(json.dumps(told | more))
        yield node, folder


def test_files_of_a_real_node_agree_with_its_electrum_server(litecoin: tuple[LitecoinNode, Path]) -> None:
    node, folder = litecoin
    addresses = [node.addresses[plan.index] for plan in LITECOIN_PLANS]
    for moment in (FIRST, SECOND):
        answers = {
            "electrum": ask(node.electrum_url, at(moment, addresses), source=ELECTRUM, chain=LITECOIN_CHAIN),
            "files": ask(url_of(folder), at(moment, addresses), chain=LITECOIN_CHAIN),
        }
        agree_on_block({name: answer[0] for name, answer in answers.items()})
        agree_on_balances("litecoin", {name: answer[1] for name, answer in answers.items()})
        held = [(plan.first if moment == FIRST else plan.second)["LTC"] for plan in LITECOIN_PLANS]
        assert [balance.amount for balance in answers["files"][1]] == held
