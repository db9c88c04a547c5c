"""Challenges: for every wallet, the text that its keeper signs for one report, or what the wallet moves where the keeper cannot sign.

Format: `docs/formats/address_ownership.md`. The text names a block that nobody could have known before it was made, so a signature is not older than that. All of a chain's challenges name the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from assay.chains.asking import Connect, ask
from assay.chains.evidence import SUFFIX, EvidenceArchive
from assay.chains.interface import Reader, SnapshotBlock
from assay.config import Chain, Settings
from assay.errors import OwnershipError
from assay.lake import format_as_of, run_folder
from assay.ownership.statements import OwnershipStatement, read_blocks, write_blocks, write_csv
from assay.registry import Wallet, check_registry
from assay_verify.findings import MalformedError
from assay_verify.ownership import movement
from assay_verify.ownership.challenge import Challenge, build
from assay_verify.ownership.interface import UnsupportedError

BEFORE = timedelta(days=1)
"""How long before the moment the named block lies, unless somebody asks for an earlier one."""


def write_challenges(
    settings: Settings,
    as_of: datetime,
    folder: Path,
    *,
    connect: Connect,
    at: datetime | None = None,
    moving: Collection[tuple[str, str]] = (),
) -> list[Path]:
    """Write one CSV a chain with the text that each wallet is to sign, or with what it is to move.

    Asked a second time for the same moment, the texts are the same ones: what was signed meanwhile stays good.

    Args:
        settings: The configuration.
        as_of: The moment that will be attested.
        folder: Receives `<chain>.csv` in the layout of `statements.py`, signatures empty.
        connect: Gives a source's address.
        at: The named block is the last final one at or before this; a day before `as_of` by default.
        moving: Chain and address of wallets that cannot sign.

    Raises:
        RegistryError: See `registry.read_wallets`.
        OwnershipError: A wallet that is to move is not in the registry, or movements cannot be shown on its chain.
        SourceBehindError: The source's final blocks don't pass `at` yet.
        SourceUnavailableError: A chain's first source did not answer.
    """
    wallets = check_registry(settings)
    _check_moving(settings, wallets, moving)
    blocks = read_blocks(settings, as_of)
    for chain in settings.chains.values():
        if chain.name not in blocks:
            blocks[chain.name] = _block(settings, chain, at or as_of - BEFORE, as_of, connect)
    write_blocks(settings, as_of, blocks)
    return [
        write_csv(
            [_asked(settings, as_of, wallet, blocks[name], moving) for wallet in wallets if wallet.chain == name], folder / f"{name}.csv"
        )
        for name in settings.chains
    ]


def text_for(settings: Settings, as_of: datetime, chain: str, address: str, block: SnapshotBlock) -> str:
    """Return the text that a wallet signs for the report of a moment.

    It is one line, because published lists of addresses are read line by line; only an entity whose name has commas and the like signs several.
    """
    return _written(partial(build, _challenge(settings, as_of, chain, address, block)))


def announcement_for(settings: Settings, as_of: datetime, chain: Chain, address: str, block: SnapshotBlock) -> str:
    """Return what a wallet that cannot sign is to move for the report of a moment.

    Raises:
        UnsupportedError: Movements on the chain cannot be shown.
    """
    return _written(partial(movement.announce, coin_of(chain), _challenge(settings, as_of, chain.name, address, block)))


def coin_of(chain: Chain) -> movement.Coin:
    """Return what movements on a chain are counted in.

    Raises:
        UnsupportedError: They cannot be shown.
    """
    return movement.coin_of(chain.family, chain.network, chain.asset)


def age_problem(settings: Settings, as_of: datetime, block: SnapshotBlock) -> str:
    """Say why a text that names a block is too old for a report, or too new; empty for neither."""
    oldest = as_of - timedelta(days=settings.ownership.max_age_days)
    if not oldest <= block.time <= as_of:
        return f"its block is of {block.time:%Y-%m-%d %H:%M} UTC, and a signature may be {settings.ownership.max_age_days} days old"
    return ""


def _challenge(settings: Settings, as_of: datetime, chain: str, address: str, block: SnapshotBlock) -> Challenge:
    return Challenge(
        entity=settings.entity,
        series=settings.series,
        as_of=format_as_of(as_of),
        chain=chain,
        address=address,
        block_height=block.height,
        block_hash=block.hash,
    )


def _written(write: Callable[..., str]) -> str:
    try:
        return write(one_line=True)
    except MalformedError:
        return write()


def _asked(
    settings: Settings, as_of: datetime, wallet: Wallet, block: SnapshotBlock, moving: Collection[tuple[str, str]]
) -> OwnershipStatement:
    if (wallet.chain, wallet.address) in moving:
        text = announcement_for(settings, as_of, settings.chain(wallet.chain), wallet.address, block)
        return OwnershipStatement(chain=wallet.chain, address=wallet.address, scheme=movement.SCHEME, message=text)
    text = text_for(settings, as_of, wallet.chain, wallet.address, block)
    return OwnershipStatement(chain=wallet.chain, address=wallet.address, message=text)


def _check_moving(settings: Settings, wallets: Sequence[Wallet], moving: Collection[tuple[str, str]]) -> None:
    known = {(wallet.chain, wallet.address) for wallet in wallets}
    for chain, address in moving:
        subject = f"wallet {address} on {chain}"
        if (chain, address) not in known:
            raise OwnershipError(
                "no such wallet stands in the registry", subject=subject, next_step="name it as CHAIN:ADDRESS of wallets.csv"
            )
        try:
            coin_of(settings.chain(chain))
        except UnsupportedError as error:
            raise OwnershipError(str(error), subject=subject, next_step="have its keeper sign") from error


def _block(settings: Settings, chain: Chain, at: datetime, as_of: datetime, connect: Connect) -> SnapshotBlock:
    async def question(reader: Reader) -> SnapshotBlock:
        await reader.check_network()
        return await reader.resolve(at)

    source = chain.sources[0]
    folder = run_folder(settings.lake, "raw", "challenges", as_of, chain.name)
    archive = EvidenceArchive(f"chain {chain.name}, source {source.name}")
    place = Path("blocks") / f"{source.name}{SUFFIX}"
    return asyncio.run(ask(settings, chain, source, archive, question, folder, connect(source, place)))
