"""From descriptors to wallets: what stands in `descriptors.csv` becomes addresses, beside those of `wallets.csv`.

How many addresses a wallet has used, only the chain knows, so its first source is asked at the last block that the run reads. That source's kind must
keep histories (`Reader.used`). What was derived rests on no evidence and needs none: it says which addresses are read, and the
balances of those are evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from assay.chains.asking import Connect, ask
from assay.chains.bitcoin.descriptors import derive
from assay.chains.evidence import SUFFIX, EvidenceArchive
from assay.chains.interface import Reader
from assay.config import Chain, Settings
from assay.descriptor_registry import ListedDescriptor, read_descriptors
from assay.errors import RegistryError
from assay.registry import Wallet, write_wallets


def derive_wallets(settings: Settings, as_of: datetime, wallets: Path, folder: Path, *, connect: Connect) -> Path:
    """Return the registry's wallets with those that descriptors stand for.

    Args:
        settings: The configuration.
        as_of: The attested moment; addresses that are used until the last offset from it are found.
        wallets: What `write_wallets` wrote of `wallets.csv`.
        folder: Receives the wider file; `wallets` itself is returned where there are no descriptors.
        connect: Gives a source's address.

    Raises:
        RegistryError: See `read_descriptors` and `derive`; or an address is listed, or derived, twice.
        SourceBehindError: The source's final blocks don't pass the moment yet.
        ConfigError: The chain's first source cannot tell which addresses were used.
    """
    listed = read_descriptors(settings)
    if not listed:
        return wallets
    rows = [Wallet(**row) for row in pq.read_table(wallets).to_pylist()]
    known = {(wallet.chain, wallet.address): "wallets.csv" for wallet in rows}
    for name in dict.fromkeys(item.chain for item in listed):
        chain = settings.chain(name)
        mine = [item for item in listed if item.chain == name]
        for item, addresses in zip(mine, _addresses(settings, chain, mine, as_of, folder, connect), strict=True):
            for address in addresses:
                if (name, address) in known:
                    raise RegistryError(
                        f"one of its addresses stands in {known[name, address]} already; counted twice it would inflate the reserves",
                        subject=item.subject,
                        next_step=f"list {address} once",
                    )
                known[name, address] = item.subject
                rows.append(
                    Wallet(chain=name, address=address, custody=item.custody, encumbrance=item.encumbrance, label=item.label, row=item.row)
                )
    return write_wallets(rows, folder / "wallets.parquet")


def _addresses(
    settings: Settings, chain: Chain, listed: Sequence[ListedDescriptor], as_of: datetime, folder: Path, connect: Connect
) -> list[list[str]]:
    """Return the addresses of each of a chain's descriptors."""
    source = chain.sources[0]
    latest = as_of + timedelta(seconds=max((0, *settings.stability.offsets_seconds)))

    async def question(reader: Reader) -> list[list[str]]:
        await reader.check_network()
        block = await reader.resolve(latest)

        async def used(addresses: Sequence[str]) -> list[bool]:
            return await reader.used(block, addresses)

        return [await derive(item.descriptor, chain.network, gap_limit=item.gap_limit, used=used, subject=item.subject) for item in listed]

    # What the source answers here is no evidence, and tells which addresses belong together: it is not kept.
    archive = EvidenceArchive(f"chain {chain.name}, source {source.name}")
    place = Path("descriptors") / f"{source.name}{SUFFIX}"
    return asyncio.run(ask(settings, chain, source, archive, question, folder / chain.name, connect(source, place)))
