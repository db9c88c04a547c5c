"""The nodes: whether each really answers, for this network, for the moment, for a batch as large as configured."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from assay.chains.evidence import EvidenceArchive
from assay.chains.families import family_of
from assay.chains.interface import Reader, SnapshotBlock
from assay.config import Chain, Source
from assay.doctor.findings import Finding, Patient, ok, refused, warning
from assay.errors import AssayError, SourceBehindError, SourceUnavailableError
from assay.lake import format_as_of
from assay.registry import Wallet, read_wallets

_SECONDS = 120.0


def check(patient: Patient) -> Iterator[Finding]:
    """Look at every source of every chain, all of them at once, and hold those of one chain against each other."""
    try:
        wallets = read_wallets(patient.settings)
    except AssayError:
        wallets = []  # said by the check of the configuration
    sources = [(chain, source) for chain in patient.settings.chains.values() for source in chain.sources]
    with ThreadPoolExecutor(max(1, len(sources))) as pool:
        asked = [(chain, pool.submit(_ask, patient, chain, source, wallets)) for chain, source in sources]
        blocks: dict[str, set[str]] = {}
        for chain, future in asked:
            finding, block = future.result()
            yield finding
            if block:
                blocks.setdefault(chain.name, set()).add(f"{block.height} {block.hash}")
    for name, found in blocks.items():
        if len(found) > 1:
            yield warning(
                f"chain {name}",
                f"its sources see different blocks: {'; '.join(sorted(found))}",
                "a run would stop; find out which one is wrong",
            )
    for chain in patient.settings.chains.values():
        if len(chain.sources) == 1:
            yield warning(
                f"chain {chain.name}",
                "one source alone vouches for it, which is published",
                "name a second, independent one in chains.toml",
            )


def _ask(patient: Patient, chain: Chain, source: Source, wallets: list[Wallet]) -> tuple[Finding, SnapshotBlock | None]:
    subject = f"source {source.name}"
    try:
        return asyncio.run(asyncio.wait_for(_look(patient, chain, source, wallets), _SECONDS))
    except AssayError as error:
        return refused(subject, error), None
    except TimeoutError:
        late = SourceUnavailableError(
            f"it did not answer all questions within {_SECONDS:.0f} s",
            subject=f"chain {chain.name}, source {source.name}",
            next_step="look after it, or lower batch_size in chains.toml",
        )
        return refused(subject, late), None


async def _look(patient: Patient, chain: Chain, source: Source, wallets: list[Wallet]) -> tuple[Finding, SnapshotBlock | None]:
    settings, subject = patient.settings, f"source {source.name}"
    archive = EvidenceArchive(f"chain {chain.name}, source {source.name}")
    url = patient.connect(source.connection)
    reader: Reader = family_of(chain).reader(chain, source, assets=dict(settings.assets), archive=archive, url=url)
    past = family_of(chain).FACTS.past
    async with reader:
        await reader.check_network()
        try:
            block = await reader.resolve(patient.as_of)
        except SourceBehindError as error:
            return warning(subject, f"{error.subject}: {error.problem}", error.next_step), None
        await reader.check_assets(block)
        offsets = [offset for offset in (min(settings.stability.offsets_seconds, default=0),) if offset < 0]
        earlier = [await reader.resolve(patient.as_of + timedelta(seconds=offset)) for offset in offsets] if past else []
        # As many as fill a batch, so that a limit of the provider is found now.
        mine = [wallet.address for wallet in wallets if wallet.chain == chain.name][: source.batch_size]
        prove = source.name == chain.sources[0].name
        for at in (block, *earlier) if past else ():
            if mine:
                await reader.read(at, mine, prove=prove and at is block)
    depth = (
        f", and {len(mine)} wallets there and {abs(offsets[0])} s before" if earlier else f", and {len(mine)} wallets there" if past else ""
    )
    words = f"block {block.height} of {format_as_of(block.time)} at the moment{depth}"
    return ok(subject, words + ("" if past else "; the family is read live, at the moment itself")), block
