"""From chains to reserves: what the tasks of `reserve_snapshot` do, each from files to files.

    check_registry → per chain: resolve_block → read_chunk (per source and chunk) → agree → collect

A step takes and gives paths; rows never travel between tasks. `connect` turns the name of a Connection into an address, so that all of it
runs without Airflow in tests.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from assay.chains.evidence import SUFFIX, EvidenceArchive
from assay.chains.families import family_of
from assay.chains.interface import Balance, Reader, SnapshotBlock, batches
from assay.chains.quorum import agree_on_balances, agree_on_block, agree_on_hash
from assay.config import Chain, Settings
from assay.errors import RegistryError
from assay.lake import format_as_of, parse_as_of, replacing_file
from assay.money import check_amount
from assay.registry import read_wallets, write_wallets

T = TypeVar("T")
Connect = Callable[[str], str]

AMOUNT = pa.decimal128(38, 0)
TIME = pa.timestamp("us", tz="UTC")

_CHUNK_SCHEMA = pa.schema(
    [
        ("address", pa.string()),
        ("asset", pa.string()),
        ("amount", AMOUNT),
        ("evidence", pa.string()),
        ("since", pa.int64()),
        ("read_height", pa.int64()),
        ("read_time", TIME),
    ]
)

BALANCES_SCHEMA = pa.schema(
    [
        ("chain", pa.string()),
        ("address", pa.string()),
        ("asset", pa.string()),
        ("decimals", pa.int32()),
        ("amount", AMOUNT),
        ("block_height", pa.int64()),
        ("block_hash", pa.string()),
        ("block_time", TIME),
        ("sources_asked", pa.int32()),
        ("sources_agreed", pa.int32()),
        ("custody", pa.string()),
        ("encumbrance", pa.string()),
        ("ownership_status", pa.string()),
        ("evidence", pa.string()),
    ]
)
BLOCKS_SCHEMA = pa.schema(
    [
        ("chain", pa.string()),
        ("height", pa.int64()),
        ("hash", pa.string()),
        ("time", TIME),
        ("finality", pa.string()),
        ("distance_seconds", pa.int64()),
        ("sources_asked", pa.int32()),
        ("sources_agreed", pa.int32()),
    ]
)
ASSETS_SCHEMA = pa.schema([("asset", pa.string()), ("name", pa.string()), ("decimals", pa.int32())])


def check_registry(settings: Settings, folder: Path) -> Path:
    """Check every wallet and write `wallets.parquet`.

    Raises:
        RegistryError: See `registry.read_wallets`; also a configured chain without a wallet, which would silently count for nothing.
    """
    wallets = read_wallets(settings)
    for name in settings.chains:
        if not any(wallet.chain == name for wallet in wallets):
            raise RegistryError(
                f"the chain {name} has no wallet",
                subject=str(settings.registry / "wallets.csv"),
                next_step="list its wallets, or remove the chain",
            )
    return write_wallets(wallets, folder / "wallets.parquet")


def resolve_block(settings: Settings, chain_name: str, as_of: datetime, wallets: Path, folder: Path, *, connect: Connect) -> list[Path]:
    """Find the chain's snapshot block, the same through every source, and cut its wallets into chunks.

    `folder` is the run's own for this chain; whatever an earlier try left there is removed.

    Returns:
        One JSON file a chunk: the block, the chunk's number and its addresses.

    Raises:
        SourceMismatchError: Wrong network, behind `as_of`, or the sources resolve different blocks.
        RegistryError: A token is not what the registry says.
        SourceUnavailableError: A source did not answer.
    """
    chain = settings.chain(chain_name)
    # What an earlier try of this run left was read at another block or in other chunks, and nothing rests on it.
    shutil.rmtree(folder, ignore_errors=True)

    async def resolve(reader: Reader) -> SnapshotBlock:
        await reader.check_network()
        block = await reader.resolve(as_of)
        await reader.check_assets(block)
        return block

    block = agree_on_block(_ask_all(settings, chain, resolve, folder / "blocks", connect=connect))
    table = pq.read_table(wallets, columns=["address"], filters=[("chain", "=", chain.name)])
    chunks = []
    for number, addresses in enumerate(batches(table.column("address").to_pylist(), settings.chunk_size)):
        content = {"block": {**asdict(block), "time": format_as_of(block.time)}, "number": number, "addresses": list(addresses)}
        chunks.append(_write_json(content, folder / f"chunk-{number:05d}.json"))
    return chunks


def read_chunk(settings: Settings, chain_name: str, source_name: str, chunk: Path, folder: Path, *, connect: Connect) -> Path:
    """Read one chunk's balances through one source and archive the evidence beside them.

    Returns:
        Parquet of address, asset, amount, evidence; its archive has the same name and the evidence suffix.
    """
    chain = settings.chain(chain_name)
    block, number, addresses = _read_chunk_file(chunk)
    archive = EvidenceArchive(f"chain {chain.name}, source {source_name}")

    async def read(reader: Reader) -> list[Balance]:
        if not reader.replayed:
            await reader.check_network()
        # Balances are published with the first source's evidence; the others' answers are there to be compared.
        return await reader.read(block, addresses, prove=source_name == chain.sources[0].name)

    balances = asyncio.run(_with_reader(settings, chain, source_name, archive, read, connect=connect))
    for balance in balances:
        archive.require(balance.evidence)
        check_amount(balance.amount, subject=f"chain {chain.name}, address {balance.address}, asset {balance.asset}, source {source_name}")
    path = folder / source_name / f"balances-{number:05d}.parquet"
    archive.write(path.with_suffix(SUFFIX))
    columns = {
        "address": [item.address for item in balances],
        "asset": [item.asset for item in balances],
        "amount": [Decimal(item.amount) for item in balances],
        "evidence": [item.evidence for item in balances],
        "since": [item.since for item in balances],
        "read_height": [item.read_height for item in balances],
        "read_time": [item.read_time for item in balances],
    }
    _write_table(pa.table(columns, schema=_CHUNK_SCHEMA), path)
    return path


def agree(
    settings: Settings, chain_name: str, chunks: Sequence[Path], reads: Sequence[Path], wallets: Path, folder: Path, *, connect: Connect
) -> Path:
    """Compare what the sources read, make sure that the block still stands, and write the chain's balances.

    `chunks` is what `resolve_block` gave, `reads` what `read_chunk` gave for every chunk and source.

    Returns:
        The folder with `balances.parquet` and `block.parquet` of the chain.

    Raises:
        SourceMismatchError: The sources disagree, or the block was reorganised away in the meantime.
    """
    chain = settings.chain(chain_name)
    block, _, _ = _read_chunk_file(chunks[0])
    by_source = {source.name: _gather(reads, source.name, len(chunks), chain) for source in chain.sources}
    expected = {address for chunk in chunks for address in _read_chunk_file(chunk)[2]}
    balances = agree_on_balances(chain.name, by_source)
    if {balance.address for balance in balances} != expected:
        raise RegistryError("some wallets were not read", subject=f"chain {chain.name}", next_step="run the chain's reading tasks again")

    since = min((balance.since for balance in balances if balance.since is not None), default=None)

    async def hash_now(reader: Reader) -> str:
        return await reader.recheck(block, since=since)

    agree_on_hash(block, _ask_all(settings, chain, hash_now, folder / "recheck", connect=connect))
    asked = len(chain.sources)
    details = {row["address"]: row for row in pq.read_table(wallets, filters=[("chain", "=", chain.name)]).to_pylist()}
    rows = [_published_row(settings, block, item, details[item.address], asked) for item in balances]
    _write_table(pa.Table.from_pylist(rows, schema=BALANCES_SCHEMA), folder / "balances.parquet")
    row = asdict(block) | {"sources_asked": asked, "sources_agreed": asked}
    _write_table(pa.Table.from_pylist([row], schema=BLOCKS_SCHEMA), folder / "block.parquet")
    return folder


def collect(settings: Settings, chains: Sequence[Path], wallets: Path, folder: Path) -> Path:
    """Put the chains together: `wallet_balances.parquet`, `snapshot_blocks.parquet`, `assets.parquet`.

    Raises:
        RegistryError: A wallet of the registry has no balance; nothing may be left out in silence.
    """
    balances = pa.concat_tables([pq.read_table(chain / "balances.parquet") for chain in chains]).sort_by(
        [("chain", "ascending"), ("address", "ascending"), ("asset", "ascending")]
    )
    read = set(zip(balances.column("chain").to_pylist(), balances.column("address").to_pylist(), strict=True))
    for row in pq.read_table(wallets).to_pylist():
        if (row["chain"], row["address"]) not in read:
            raise RegistryError(
                f"wallet {row['address']} on {row['chain']} was not read", subject=str(wallets), next_step="run the reading tasks again"
            )
    blocks = pa.concat_tables([pq.read_table(chain / "block.parquet") for chain in chains]).sort_by("chain")
    _write_table(balances, folder / "wallet_balances.parquet")
    _write_table(blocks, folder / "snapshot_blocks.parquet")
    assets = [asdict(asset) | {"asset": asset.symbol} for _, asset in sorted(settings.assets.items())]
    _write_table(pa.Table.from_pylist(assets, schema=ASSETS_SCHEMA), folder / "assets.parquet")
    return folder


def _published_row(settings: Settings, block: SnapshotBlock, balance: Balance, wallet: dict[str, Any], asked: int) -> dict[str, Any]:
    return {
        "chain": block.chain,
        "address": balance.address,
        "asset": balance.asset,
        "decimals": settings.assets[balance.asset].decimals,
        "amount": Decimal(balance.amount),
        "block_height": block.height,
        "block_hash": block.hash,
        "block_time": block.time,
        "sources_asked": asked,
        # Whatever differs has stopped the run before this row.
        "sources_agreed": asked,
        "custody": wallet["custody"],
        "encumbrance": wallet["encumbrance"],
        "ownership_status": "none",
        "evidence": balance.evidence,
    }


async def _with_reader(
    settings: Settings, chain: Chain, source_name: str, archive: EvidenceArchive, ask: Callable[[Reader], Awaitable[T]], *, connect: Connect
) -> T:
    source = chain.source(source_name)
    assets = dict(settings.assets)
    async with family_of(chain).reader(chain, source, assets=assets, archive=archive, url=connect(source.connection)) as reader:
        return await ask(reader)


def _ask_all(settings: Settings, chain: Chain, ask: Callable[[Reader], Awaitable[T]], folder: Path, *, connect: Connect) -> dict[str, T]:
    """Ask every source at the same time and archive what each said; the first error ends all of it."""

    async def ask_all() -> dict[str, T]:
        archives = {source.name: EvidenceArchive(f"chain {chain.name}, source {source.name}") for source in chain.sources}
        answers = await asyncio.gather(
            *(_with_reader(settings, chain, name, archive, ask, connect=connect) for name, archive in archives.items())
        )
        for name, archive in archives.items():
            archive.write(folder / f"{name}{SUFFIX}")
        return dict(zip(archives, answers, strict=True))

    return asyncio.run(ask_all())


def _gather(reads: Sequence[Path], source_name: str, chunks: int, chain: Chain) -> list[Balance]:
    mine = sorted(path for path in reads if path.parent.name == source_name)
    if len(mine) != chunks:
        raise RegistryError(
            f"source {source_name} read {len(mine)} of {chunks} chunks",
            subject=f"chain {chain.name}",
            next_step="run the chain's reading tasks again",
        )
    rows = (row for path in mine for row in pq.read_table(path).to_pylist())
    return [Balance(**{**row, "amount": int(row["amount"])}) for row in rows]


def _read_chunk_file(path: Path) -> tuple[SnapshotBlock, int, list[str]]:
    content: dict[str, Any] = json.loads(path.read_text())
    raw = content["block"]
    return SnapshotBlock(**{**raw, "time": parse_as_of(raw["time"])}), content["number"], content["addresses"]


def _write_json(content: dict[str, Any], path: Path) -> Path:
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(content, sort_keys=True))
    return path


def _write_table(table: pa.Table, path: Path) -> None:
    with replacing_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
