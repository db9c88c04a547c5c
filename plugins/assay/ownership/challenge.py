"""Challenges: for every wallet, the text that its keeper signs for one report. Format: `docs/formats/address_ownership.md`.

The text names a block that nobody could have known before it was made, so a signature is not older than that. All of a chain's challenges name the same one.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from assay.chains.asking import Connect, ask
from assay.chains.evidence import SUFFIX, EvidenceArchive
from assay.chains.interface import Reader, SnapshotBlock
from assay.config import Chain, Settings
from assay.lake import format_as_of, run_folder
from assay.ownership.statements import OwnershipStatement, read_blocks, write_blocks, write_csv
from assay.registry import Wallet, check_registry
from assay_verify.findings import MalformedError
from assay_verify.ownership.challenge import Challenge, build

BEFORE = timedelta(days=1)
"""How long before the moment the named block lies, unless somebody asks for an earlier one."""


def write_challenges(settings: Settings, as_of: datetime, folder: Path, *, connect: Connect, at: datetime | None = None) -> list[Path]:
    """Write one CSV a chain with the text that each wallet is to sign.

    Asked a second time for the same moment, the texts are the same ones: what was signed meanwhile stays good.

    Args:
        settings: The configuration.
        as_of: The moment that will be attested.
        folder: Receives `<chain>.csv` in the layout of `statements.py`, signatures empty.
        connect: Gives a source's address.
        at: The named block is the last final one at or before this; a day before `as_of` by default.

    Raises:
        RegistryError: See `registry.read_wallets`.
        SourceBehindError: The source's final blocks don't pass `at` yet.
        SourceUnavailableError: A chain's first source did not answer.
    """
    wallets = check_registry(settings)
    blocks = read_blocks(settings, as_of)
    for chain in settings.chains.values():
        if chain.name not in blocks:
            blocks[chain.name] = _block(settings, chain, at or as_of - BEFORE, as_of, connect)
    write_blocks(settings, as_of, blocks)
    return [
        write_csv([_challenge(settings, as_of, wallet, blocks[name]) for wallet in wallets if wallet.chain == name], folder / f"{name}.csv")
        for name in settings.chains
    ]


def text_for(settings: Settings, as_of: datetime, chain: str, address: str, block: SnapshotBlock) -> str:
    """Return the text that a wallet signs for the report of a moment.

    It is one line, because published lists of addresses are read line by line; only an entity whose name has commas and the like signs several.
    """
    asked = Challenge(
        entity=settings.entity,
        series=settings.series,
        as_of=format_as_of(as_of),
        chain=chain,
        address=address,
        block_height=block.height,
        block_hash=block.hash,
    )
    try:
        return build(asked, one_line=True)
    except MalformedError:
        return build(asked)


def _challenge(settings: Settings, as_of: datetime, wallet: Wallet, block: SnapshotBlock) -> OwnershipStatement:
    text = text_for(settings, as_of, wallet.chain, wallet.address, block)
    return OwnershipStatement(chain=wallet.chain, address=wallet.address, message=text)


def _block(settings: Settings, chain: Chain, at: datetime, as_of: datetime, connect: Connect) -> SnapshotBlock:
    async def question(reader: Reader) -> SnapshotBlock:
        await reader.check_network()
        return await reader.resolve(at)

    source = chain.sources[0]
    folder = run_folder(settings.lake, "raw", "challenges", as_of, chain.name)
    archive = EvidenceArchive(f"chain {chain.name}, source {source.name}")
    place = Path("blocks") / f"{source.name}{SUFFIX}"
    return asyncio.run(ask(settings, chain, source, archive, question, folder, connect(source, place)))
