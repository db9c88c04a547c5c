"""The nodes: whether each really answers, for this network, for the moment, for a batch as large as configured."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from assay.chains.breaker import Breaker
from assay.chains.evidence import EvidenceArchive
from assay.chains.families import family_of
from assay.chains.interface import Reader, SnapshotBlock
from assay.chains.quorum import agree_on_block
from assay.config import Chain, Source
from assay.doctor.at_once import at_once
from assay.doctor.connections import noting_missing
from assay.doctor.findings import Finding, Patient, failed, noting, ok, refused, warning
from assay.errors import AssayError, SourceBehindError, SourceUnavailableError
from assay.lake import format_as_of
from assay.registry import Wallet, read_wallets

_SECONDS = 45.0
"""For all questions to one source."""
_LEFT = 5.0  # longer than `_SECONDS`, for what does not heed a time limit: a secrets backend, a slow disk

_SCANS = frozenset({"core", "utxo_file"})
"""Kinds that go through every coin of the chain whatever is asked: minutes of work, which a node goes on with when nobody waits for it any more."""


@dataclass
class _Look:
    """What is known of a source so far; filled while it is asked, so that what was found in time counts."""

    chain: Chain
    source: Source
    doing: str = "what its Connection says"
    found: list[Finding] = field(default_factory=list)
    block: SnapshotBlock | None = None

    @property
    def subject(self) -> str:
        return f"source {self.source.name}"


def check(patient: Patient) -> Iterator[Finding]:
    """Look at every source of every chain, all of them at once, and hold those of one chain against each other."""
    try:
        wallets = read_wallets(patient.settings)
    except AssayError:
        wallets = []  # said by the check of the configuration
    looks = [_Look(chain, source) for chain in patient.settings.chains.values() for source in chain.sources]
    asked = at_once([partial(_ask, patient, look, wallets) for look in looks], seconds=_SECONDS + _LEFT)
    for look, done in zip(looks, asked, strict=True):
        if done is None:
            _late(look)
        yield from list(look.found)
    for chain in patient.settings.chains.values():
        yield from _together(chain, {look.source.name: look.block for look in looks if look.chain is chain and look.block})


def _together(chain: Chain, blocks: dict[str, SnapshotBlock]) -> Iterator[Finding]:
    subject = f"chain {chain.name}"
    if blocks:
        try:
            agree_on_block(blocks)
        except AssayError as error:
            yield failed(subject, error.problem, error.next_step)
    if len(chain.sources) == 1:
        yield warning(subject, "one source alone vouches for it, which is published", "name a second, independent one in chains.toml")


def _ask(patient: Patient, look: _Look, wallets: list[Wallet]) -> bool:
    try:
        with noting_missing(patient, look.found, look.subject):
            asyncio.run(asyncio.wait_for(_questions(patient, look, wallets), _SECONDS))
    except AssayError as error:
        look.found.append(refused(look.subject, error))
    except TimeoutError:
        _late(look)
    return True


def _late(look: _Look) -> None:
    words = f"it has not answered all questions within {_SECONDS:.0f} s; the one under way is {look.doing}"
    if look.block is None:
        look.found.append(failed(look.subject, words, "look after the server, or the way to it"))
    else:
        # A run gives each batch `timeout_seconds` and a task an hour: slow is not broken.
        look.found.append(warning(look.subject, words, "nothing if it is slow as it should be; a run waits longer"))


async def _questions(patient: Patient, look: _Look, wallets: list[Wallet]) -> None:
    chain, source, found = look.chain, look.source, look.found
    try:
        Breaker(patient.settings.lake / "raw" / "breakers", source.name).check()
    except SourceUnavailableError as error:  # of the runs before; this look asks all the same
        found.append(warning(look.subject, error.problem, error.next_step))
    archive = EvidenceArchive(f"chain {chain.name}, source {source.name}")
    url = patient.connect(source.connection)
    reader: Reader = family_of(chain).reader(chain, source, assets=dict(patient.settings.assets), archive=archive, url=url)
    async with reader:
        look.doing = "which network it serves"
        await reader.check_network()
        look.doing = f"its block at {format_as_of(patient.as_of)}"
        try:
            look.block = block = await reader.resolve(patient.as_of)
        except SourceBehindError as error:
            found.append(warning(look.subject, f"{error.subject}: {error.problem}", error.next_step))
            return
        look.doing = "its tokens"
        with noting(found, look.subject):
            await reader.check_assets(block)
        seen = f"block {block.height} of {format_as_of(block.time)} at the moment"
        with noting(found, look.subject):
            found.append(ok(look.subject, seen + await _read(patient, look, reader, block, wallets)))


async def _read(patient: Patient, look: _Look, reader: Reader, block: SnapshotBlock, wallets: list[Wallet]) -> str:
    """Read wallets as a run would, and say in words which; nothing is kept."""
    chain, source = look.chain, look.source
    live = not family_of(chain).FACTS.past
    # As many as fill a batch, so that a limit of the provider is found now.
    mine = [wallet.address for wallet in wallets if wallet.chain == chain.name][: source.batch_size]
    if source.kind in _SCANS:
        return "; no wallet was read, because it would go through every coin of the chain"
    if not mine:
        return "; no wallet was read, because none of the chain is listed by its address"
    look.doing = f"{len(mine)} balances at block {block.height}"
    await reader.read(block, mine, prove=source.name == chain.sources[0].name)
    if live:
        return f", and {len(mine)} wallets as they are now; the family is read live, at the moment itself"
    offset = min(patient.settings.stability.offsets_seconds, default=0)
    if offset >= 0:
        return f", and {len(mine)} wallets there"
    look.doing = f"its block {-offset} s before"
    earlier = await reader.resolve(patient.as_of + timedelta(seconds=offset))
    look.doing = f"{len(mine)} balances at block {earlier.height}"
    await reader.read(earlier, mine)
    return f", and {len(mine)} wallets there and {-offset} s before"
