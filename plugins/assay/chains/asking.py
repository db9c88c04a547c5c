"""Asking the sources of a chain: one or all of them, behind their circuit breakers, and with note taken of how they behaved."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from assay.chains.breaker import Breaker
from assay.chains.evidence import SUFFIX, EvidenceArchive
from assay.chains.families import family_of
from assay.chains.health import MeterFile
from assay.chains.interface import Reader
from assay.config import Chain, Settings, Source
from assay.errors import SourceBehindError, SourceUnavailableError

T = TypeVar("T")
Connect = Callable[[Source, Path], str]
"""Gives a source's address; the path is that of the archive that its answers go to, below the chain's evidence."""

HEALTH = "health"
"""Folder beside a chain's evidence with what its sources were asked; never published as it is."""


async def ask(
    settings: Settings,
    chain: Chain,
    source: Source,
    archive: EvidenceArchive,
    question: Callable[[Reader], Awaitable[T]],
    folder: Path,
    url: str,
) -> T:
    """Open a reader and ask it; what it was like goes into the chain's health files, and into the source's breaker."""
    reader = family_of(chain).reader(chain, source, assets=dict(settings.assets), archive=archive, url=url)
    if reader.replayed:
        async with reader:
            return await question(reader)
    breaker = Breaker(settings.lake / "raw" / "breakers", source.name)
    breaker.check()
    with MeterFile(folder / HEALTH, source.name, reader.meter):
        try:
            async with reader:
                answer = await question(reader)
        except SourceBehindError:
            breaker.succeeded()  # it answered; its blocks are not final yet
            raise
        except SourceUnavailableError:
            breaker.failed()
            raise
    breaker.succeeded()
    return answer


def ask_all(
    settings: Settings, chain: Chain, question: Callable[[Reader], Awaitable[T]], folder: Path, step: str, *, connect: Connect
) -> dict[str, T]:
    """Ask every source at the same time and archive what each said in the step's folder; the first error ends all of it."""

    async def all_of_them() -> dict[str, T]:
        archives = {source: EvidenceArchive(f"chain {chain.name}, source {source.name}") for source in chain.sources}
        places = {source: Path(step) / f"{source.name}{SUFFIX}" for source in chain.sources}
        answers = await asyncio.gather(
            *(
                ask(settings, chain, source, archive, question, folder, connect(source, places[source]))
                for source, archive in archives.items()
            )
        )
        for source, archive in archives.items():
            archive.write(folder / places[source])
        return {source.name: answer for source, answer in zip(archives, answers, strict=True)}

    return asyncio.run(all_of_them())
