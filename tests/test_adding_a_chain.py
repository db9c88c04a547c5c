"""What `docs/adding_a_chain.md` tells its readers to do, done: its data and its family are taken from the page as they stand there."""

from __future__ import annotations

import asyncio
import re
import sys
import tomllib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

from assay.catalogue import FOLDER
from assay.chains import families
from assay.chains.evidence import EvidenceArchive
from assay.chains.interface import Balance, Reader, SnapshotBlock
from assay.chains.quorum import agree_on_balances
from assay.config import Settings
from assay.errors import ConfigError, RegistryError, SourceBehindError, SourceMismatchError
from assay.registry import check_registry
from tests.chains.scripted_server import Answer, NotScripted, Request, ScriptedServer, altered

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "adding_a_chain.md").read_text()
USED, UNUSED = "exa1aaaaaaaa", "exa1bbbbbbbb"
START, BLOCK_SECONDS, FINAL = 1_700_000_000, 10, 120
AS_OF = datetime.fromtimestamp(START + 1_005, UTC)

CHAINS = """
[example]
family = "example"
asset = "EXA"
network = "main"
finality = "finalized"
[[example.sources]]
name = "example_a"
kind = "rest"
connection = "assay_example_a"
"""


def blocks(language: str) -> list[str]:
    """Return the page's blocks of code in one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page's family, with its line in `families.py`."""
    (code,) = blocks("python")
    module = ModuleType("assay.chains.example")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "docs/adding_a_chain.md", "exec"), module.__dict__)
    monkeypatch.setitem(families._MODULES, "example", module.__name__)
    return module


@pytest.fixture
def settings(config_file: Path, example: ModuleType) -> Settings:
    registry = config_file.parent / "registry"
    (registry / "assets.toml").write_text('[EXA]\nname = "Example"\ndecimals = 8\n')
    (registry / "chains.toml").write_text(CHAINS)
    (registry / "wallets.csv").write_text(
        f"chain,address,custody,encumbrance,label\nexample,{USED},hot,none,a\nexample,{UNUSED},cold,none,b\n"
    )
    return Settings.load(config_file)


def node(request: Request) -> object:
    """Answer as the page's API does."""
    if request.path == "/status":
        return {"network": "main", "final": FINAL}
    if found := re.fullmatch(r"/blocks/(\d+)", request.path):
        height = int(found[1])
        return {"height": height, "hash": f"h{height}", "parent": f"h{height - 1}", "time": START + BLOCK_SECONDS * height}
    if re.fullmatch(rf"/blocks/h100/accounts/{USED}", request.path):
        return {"balance": "1234567"}
    if re.fullmatch(r"/blocks/h100/accounts/exa1\w+", request.path):
        return 404, {"error": "no such account"}
    raise NotScripted


def ask(settings: Settings, url: str, question: Callable[[Reader], Awaitable[T]], archive: EvidenceArchive | None = None) -> T:
    chain = settings.chain("example")

    async def run() -> T:
        family = families.family_of(chain)
        kept = archive or EvidenceArchive("test")
        async with family.reader(chain, chain.sources[0], assets=dict(settings.assets), archive=kept, url=url) as reader:
            await reader.check_network() if not reader.replayed else None
            return await question(reader)

    return asyncio.run(run())


async def whole(reader: Reader) -> tuple[SnapshotBlock, list[Balance]]:
    block = await reader.resolve(AS_OF)
    await reader.check_assets(block)
    balances = await reader.read(block, [USED, UNUSED])
    assert await reader.block_hash(block.height) == block.hash
    return block, balances


def test_the_familys_wallets_are_checked_without_a_node(settings: Settings) -> None:
    assert [wallet.address for wallet in check_registry(settings)] == [USED, UNUSED]
    path = settings.registry / "wallets.csv"
    path.write_text(path.read_text().replace(USED, USED.upper()))
    with pytest.raises(RegistryError, match="exa1 and eight letters"):
        check_registry(settings)


def test_the_family_reads_the_last_final_block_and_tells_nothing_from_no_account(settings: Settings) -> None:
    with ScriptedServer(node) as server:
        block, balances = ask(settings, server.url, whole)
    assert (block.height, block.hash, block.distance_seconds) == (100, "h100", 5)
    assert [(item.address, item.amount) for item in balances] == [(USED, 123456700), (UNUSED, 0)]


def test_its_archive_answers_in_the_servers_place(settings: Settings, tmp_path: Path) -> None:
    archive = EvidenceArchive("test")
    with ScriptedServer(node) as server:
        block, balances = ask(settings, server.url, whole, archive)
    path = archive.write(tmp_path / "archive.jsonl.zst")
    assert ask(settings, f"tape:{path}", lambda reader: reader.read(block, [USED, UNUSED])) == balances


@pytest.mark.parametrize(
    ("path", "told", "error"),
    [
        ("/status", {"network": "test", "final": FINAL}, SourceMismatchError),
        ("/status", {"network": "main", "final": 100}, SourceBehindError),
        (f"/blocks/h100/accounts/{USED}", {"balance": None}, SourceMismatchError),
        (f"/blocks/h100/accounts/{USED}", {"error": "busy"}, SourceMismatchError),
        (f"/blocks/h100/accounts/{USED}", (404, {"error": "no such page"}), SourceMismatchError),
    ],
)
def test_it_never_takes_a_failure_for_a_zero(settings: Settings, path: str, told: object, error: type[Exception]) -> None:
    def change(request: Request, honest: Answer) -> object:
        return told if request.path == path else honest

    with ScriptedServer(altered(node, change)) as server, pytest.raises(error):
        ask(settings, server.url, whole)


def test_a_second_source_that_lies_is_caught(settings: Settings) -> None:
    def lie(request: Request, honest: Answer) -> object:
        return {"balance": "1234568"} if request.path.endswith(USED) else honest

    with ScriptedServer(node) as honest, ScriptedServer(altered(node, lie)) as liar:
        told = {name: ask(settings, server.url, whole)[1] for name, server in (("a", honest), ("b", liar))}
    with pytest.raises(SourceMismatchError):
        agree_on_balances("example", told)


def test_without_its_line_the_family_is_unknown(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(families._MODULES, "example")
    with pytest.raises(ConfigError, match="the family 'example' is unknown"):
        check_registry(settings)


def test_the_further_evm_chain_is_the_one_in_the_catalogue() -> None:
    sources, chain, asset = (tomllib.loads(text) for text in blocks("toml"))
    assert chain["celo"] == tomllib.loads((FOLDER / "chains.toml").read_text())["celo"]
    assert asset["CELO"] == tomllib.loads((FOLDER / "assets.toml").read_text())["CELO"]
    assert list(sources["celo"]) == ["sources"]


def test_the_further_evm_chain_needs_nothing_but_its_sources_assets_and_wallets(config_file: Path) -> None:
    registry = config_file.parent / "registry"
    (registry / "chains.toml").write_text(blocks("toml")[0])
    (registry / "assets.toml").write_text("[CELO]\n[USDT]\n")
    (registry / "wallets.csv").write_text(
        "chain,address,custody,encumbrance,label\ncelo,0xdAC17F958D2ee523a2206206994597C13D831ec7,hot,none,a\n"
    )
    settings = Settings.load(config_file)
    assert len(check_registry(settings)) == 1
    chain = settings.chain("celo")
    assert (chain.chain_id, set(chain.tokens), len(chain.sources)) == (42220, {"USDT"}, 2)
    assert replace(chain, sources=()).finality == "finalized"
