"""From chains to reserves: what the tasks of `reserve_snapshot` do, each from files to files.

    check_registry → per chain: resolve_block → read_chunk (per source and chunk) → agree → collect

A step takes and gives paths; rows never travel between tasks. `connect` turns a source and the place of the archive that is being
written into an address, so that all of it runs without Airflow in tests, and from archives instead of nodes in a replay.

Beside the snapshot block a chain is read at the configured offsets from `as_of`, so that a balance which is there for the snapshot
only is seen. Those readings stand in no total.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay import registry
from assay.chains.asking import HEALTH, Connect, ask, ask_all
from assay.chains.evidence import SUFFIX, EvidenceArchive
from assay.chains.families import family_of
from assay.chains.interface import Balance, Reader, SnapshotBlock, batches
from assay.chains.quorum import DisagreementError, agree_on_balances, agree_on_block, agree_on_hash
from assay.config import Chain, Settings, Source
from assay.errors import RegistryError, SourceMismatchError
from assay.lake import format_as_of
from assay.money import check_amount
from assay.ownership import statements
from assay.ownership.proving import Proof
from assay.ownership.wallets import NONE as NO_PROOF
from assay.ownership.wallets import SCHEMA as OWNERSHIP_SCHEMA
from assay.ownership.wallets import Answers, ChainOwnership
from assay.registry import write_wallets
from assay.reserve_files import (
    ASSETS_SCHEMA,
    BALANCES_SCHEMA,
    BLOCKS_SCHEMA,
    OFFSET_BALANCES_SCHEMA,
    Chunk,
    block_values,
    read_balances,
    write_balances,
    write_disagreements,
    write_table,
)

RESOLVED = "snapshot_block"
"""The method under which a resolved block is archived, with what it was resolved for."""


def check_registry(settings: Settings, as_of: datetime, folder: Path, *, connect: Connect | None = None) -> Path:
    """Check the registry and write `wallets.parquet`, and beside it what their keepers signed for the moment.

    With `connect` the sources' addresses are checked as well; nobody is asked.

    Raises:
        ConfigError: See `registry.check_registry`.
        OwnershipError: The moment's statements are not in their layout.
        RegistryError: See `registry.check_registry`.
    """
    wallets = write_wallets(registry.check_registry(settings, connect=connect), folder / "wallets.parquet")
    statements.pin(settings, as_of, wallets)
    return wallets


def resolve_block(settings: Settings, chain_name: str, as_of: datetime, wallets: Path, folder: Path, *, connect: Connect) -> list[Path]:
    """Find the chain's snapshot block and the blocks around it, the same through every source, and cut its wallets into chunks.

    `folder` is the run's own for this chain; whatever an earlier try left there is removed.

    Returns:
        One JSON file a chunk: the blocks, the chunk's number and its addresses.

    Raises:
        SourceMismatchError: Wrong network, or the sources resolve different blocks.
        SourceBehindError: The blocks after `as_of`, or after the last offset, are not final yet.
        RegistryError: A token is not what the registry says.
        SourceUnavailableError: A source did not answer.
    """
    chain = settings.chain(chain_name)
    offsets = (0, *settings.stability.offsets_seconds) if family_of(chain).FACTS.past else (0,)
    # What an earlier try of this run left was read at another block or in other chunks, and nothing rests on it.
    for left in folder.iterdir() if folder.exists() else ():
        if left.name != HEALTH:
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    async def resolve(reader: Reader) -> dict[int, SnapshotBlock]:
        await reader.check_network()
        blocks = {}
        for offset in offsets:
            moment = as_of + timedelta(seconds=offset)
            blocks[offset] = block = await reader.resolve(moment)
            reader.archive.record(RESOLVED, {"as_of": format_as_of(as_of), "offset_seconds": offset}, block_values(block))
        await reader.check_assets(blocks[0])
        return blocks

    answers = ask_all(settings, chain, resolve, folder, "blocks", connect=connect)
    blocks = {offset: agree_on_block({name: answer[offset] for name, answer in answers.items()}) for offset in offsets}
    table = pq.read_table(wallets, columns=["address"], filters=[("chain", "=", chain.name)])
    return [
        Chunk(blocks=blocks, number=number, addresses=addresses).write(folder / f"chunk-{number:05d}.json")
        for number, addresses in enumerate(batches(table.column("address").to_pylist(), chain.chunk_size or settings.chunk_size))
    ]


def read_chunk(settings: Settings, chain_name: str, source_name: str, chunk: Path, folder: Path, *, connect: Connect) -> Path:
    """Read one chunk's balances through one source, at the snapshot block and at the offsets, and archive the evidence beside them.

    Returns:
        Parquet of offset_seconds, address, asset, amount, evidence, since, read_height, read_time; the archive of the snapshot block has
        the same name and the evidence suffix, those of the offsets have names of their own.
    """
    chain = settings.chain(chain_name)
    wanted = Chunk.read(chunk)
    source = chain.source(source_name)
    path = folder / source_name / f"balances-{wanted.number:05d}.parquet"
    balances = {}
    for offset, block in wanted.blocks.items():
        place = archive_place(source_name, wanted.number, offset)

        async def read(reader: Reader, block: SnapshotBlock = block, offset: int = offset) -> list[Balance]:
            if not reader.replayed:
                await reader.check_network()
            # Balances are published with the first source's evidence; the others' answers are there to be compared.
            prove = offset == 0 and source_name == chain.sources[0].name
            return await reader.read(block, wanted.addresses, prove=prove)

        archive = EvidenceArchive(f"chain {chain.name}, source {source_name}")
        balances[offset] = asyncio.run(ask(settings, chain, source, archive, read, folder, connect(source, place)))
        for balance in balances[offset]:
            archive.require(balance.evidence)
            check_amount(
                balance.amount, subject=f"chain {chain.name}, address {balance.address}, asset {balance.asset}, source {source_name}"
            )
            _check_lag(chain, source, block, balance)
        archive.write(folder / place)
    return write_balances(balances, path)


def archive_place(source_name: str, number: int, offset: int) -> Path:
    """Return where the archive of a source, chunk and offset stands below the chain's evidence."""
    kind = "balances" if offset == 0 else f"{'before' if offset < 0 else 'after'}-{abs(offset)}"
    return Path(source_name) / f"{kind}-{number:05d}{SUFFIX}"


def agree(
    settings: Settings, chain_name: str, chunks: Sequence[Path], reads: Sequence[Path], wallets: Path, folder: Path, *, connect: Connect
) -> Path:
    """Compare what the sources read, make sure that the blocks still stand, and write the chain's balances.

    `chunks` is what `resolve_block` gave, `reads` what `read_chunk` gave for every chunk and source.

    Returns:
        The folder with `balances.parquet`, `offset_balances.parquet`, `ownership.parquet` and `block.parquet` of the chain.

    Raises:
        DisagreementError: The sources disagree; all that they disagree on stands in `disagreements.csv`.
        SourceMismatchError: A block was reorganised away in the meantime.
        OwnershipError: A wallet's statement of ownership does not hold.
    """
    chain = settings.chain(chain_name)
    read = [Chunk.read(chunk) for chunk in chunks]
    blocks = read[0].blocks
    by_source = {source.name: _reads_of(reads, source.name, len(chunks), chain) for source in chain.sources}
    expected = {address for chunk in read for address in chunk.addresses}
    balances = {offset: _agreed(chain, by_source, offset, expected, folder) for offset in blocks}
    since = min((balance.since for balance in balances[0] if balance.since is not None), default=None)
    as_of = blocks[0].time + timedelta(seconds=blocks[0].distance_seconds)
    ownership = ChainOwnership(settings, as_of, chain, wallets)

    async def look_again(reader: Reader) -> tuple[dict[int, str], Answers]:
        hashes = {offset: await reader.recheck(block, since=None if offset else since) for offset, block in blocks.items()}
        return hashes, await ownership.ask(reader, blocks[0])

    answers = ask_all(settings, chain, look_again, folder, "recheck", connect=connect)
    for offset, block in blocks.items():
        agree_on_hash(block, {name: hashes[offset] for name, (hashes, _) in answers.items()})
    proofs = ownership.settle({name: answer for name, (_, answer) in answers.items()}, folder)
    details = {row["address"]: row for row in pq.read_table(wallets, filters=[("chain", "=", chain.name)]).to_pylist()}
    _write_agreed(settings, chain, blocks, balances, details, proofs, folder)
    write_table(pa.Table.from_pylist(ownership.rows(list(details), proofs), schema=OWNERSHIP_SCHEMA), folder / "ownership.parquet")
    return folder


def _agreed(chain: Chain, reads: Mapping[str, Sequence[Path]], offset: int, expected: set[str], folder: Path) -> list[Balance]:
    """Return what all sources read at one of the blocks."""
    try:
        balances = agree_on_balances(chain.name, {source: read_balances(paths, offset) for source, paths in reads.items()})
    except DisagreementError as error:
        write_disagreements(error.found, folder / "disagreements.csv")
        raise
    if {balance.address for balance in balances} != expected:
        raise RegistryError("some wallets were not read", subject=f"chain {chain.name}", next_step="run the chain's reading tasks again")
    return balances


def _write_agreed(
    settings: Settings,
    chain: Chain,
    blocks: Mapping[int, SnapshotBlock],
    balances: Mapping[int, Sequence[Balance]],
    wallets: Mapping[str, Mapping[str, Any]],
    proofs: Mapping[str, Proof],
    folder: Path,
) -> None:
    asked = len(chain.sources)
    rows = [
        _published_row(settings, blocks[0], item, wallets[item.address], asked)
        | {"ownership_status": proofs.get(item.address, NO_PROOF).status}
        for item in balances[0]
    ]
    write_table(pa.Table.from_pylist(rows, schema=BALANCES_SCHEMA), folder / "balances.parquet")
    offset_rows = [_offset_row(offset, blocks[offset], item) for offset, items in balances.items() if offset for item in items]
    write_table(pa.Table.from_pylist(offset_rows, schema=OFFSET_BALANCES_SCHEMA), folder / "offset_balances.parquet")
    row = asdict(blocks[0]) | {"sources_asked": asked, "sources_agreed": asked}
    write_table(pa.Table.from_pylist([row], schema=BLOCKS_SCHEMA), folder / "block.parquet")


def collect(settings: Settings, chains: Sequence[Path], wallets: Path, folder: Path) -> Path:
    """Put the chains together: `wallet_balances`, `offset_balances`, `address_ownership`, `snapshot_blocks` and `assets`, each a Parquet file.

    Raises:
        RegistryError: A wallet of the registry has no balance; nothing may be left out in silence.
    """
    balances = _together(chains, "balances", "chain", "address", "asset")
    read = set(zip(balances.column("chain").to_pylist(), balances.column("address").to_pylist(), strict=True))
    for row in pq.read_table(wallets).to_pylist():
        if (row["chain"], row["address"]) not in read:
            raise RegistryError(
                f"wallet {row['address']} on {row['chain']} was not read", subject=str(wallets), next_step="run the reading tasks again"
            )
    write_table(balances, folder / "wallet_balances.parquet")
    write_table(_together(chains, "offset_balances", "chain", "address", "asset", "offset_seconds"), folder / "offset_balances.parquet")
    write_table(_together(chains, "ownership", "chain", "address"), folder / "address_ownership.parquet")
    write_table(_together(chains, "block", "chain"), folder / "snapshot_blocks.parquet")
    assets = [asdict(asset) | {"asset": asset.symbol} for _, asset in sorted(settings.assets.items())]
    write_table(pa.Table.from_pylist(assets, schema=ASSETS_SCHEMA), folder / "assets.parquet")
    return folder


def _together(chains: Sequence[Path], name: str, *key: str) -> pa.Table:
    return pa.concat_tables([pq.read_table(chain / f"{name}.parquet") for chain in chains]).sort_by([(item, "ascending") for item in key])


def _check_lag(chain: Chain, source: Source, block: SnapshotBlock, balance: Balance) -> None:
    """Make sure that a state which was read live is neither from before the snapshot block nor from long after the moment."""
    if balance.read_time is None:
        return
    as_of = block.time + timedelta(seconds=block.distance_seconds)
    lag = int((balance.read_time - as_of) / timedelta(seconds=1))
    if balance.read_time < block.time or lag > chain.max_lag_seconds:
        raise SourceMismatchError(
            f"its state is of {format_as_of(balance.read_time)}, {lag} s after as_of, and {chain.name} can be read live only: "
            f"from its snapshot block up to {chain.max_lag_seconds} s after as_of",
            subject=f"chain {chain.name}, source {source.name}, address {balance.address}",
            next_step="let the schedule read it at the moment itself, or raise max_lag_seconds",
        )


def _published_row(settings: Settings, block: SnapshotBlock, balance: Balance, wallet: Mapping[str, Any], asked: int) -> dict[str, Any]:
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
        "evidence": balance.evidence,
        "read_height": balance.read_height,
        "read_time": balance.read_time,
    }


def _offset_row(offset: int, block: SnapshotBlock, balance: Balance) -> dict[str, Any]:
    return {
        "chain": block.chain,
        "address": balance.address,
        "asset": balance.asset,
        "offset_seconds": offset,
        "amount": Decimal(balance.amount),
        "block_height": block.height,
        "block_hash": block.hash,
        "block_time": block.time,
    }


def _reads_of(reads: Sequence[Path], source_name: str, chunks: int, chain: Chain) -> list[Path]:
    mine = sorted(path for path in reads if path.parent.name == source_name)
    if len(mine) != chunks:
        raise RegistryError(
            f"source {source_name} read {len(mine)} of {chunks} chunks",
            subject=f"chain {chain.name}",
            next_step="run the chain's reading tasks again",
        )
    return mine
