"""One beacon node and the questions that are asked of it; how answers are read is in `ethereum_beacon_api.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from assay.chains.ethereum_beacon.api import Header, Validator, by_id, number, parse_header, parse_validators
from assay.chains.health import Meter
from assay.chains.http import HTTP_NOT_FOUND, HTTP_OK, Reply, Rest
from assay.chains.interface import Archive, batches
from assay.config import Source
from assay.errors import SourceMismatchError

MAYBE = (HTTP_OK, HTTP_NOT_FOUND)
"""Statuses of a question whose subject need not exist: a slot without a block, an unknown validator, a pruned state."""
FINALIZED = "finalized"
"""The name of the block of the last finalized checkpoint."""


class BeaconNode(Rest):
    """A client of one beacon node. Arguments as in `HttpClient`, and the archive that headers and refusals go to."""

    def __init__(self, source: Source, url: str, meter: Meter, *, archive: Archive) -> None:
        super().__init__(source, url, meter)
        self._archive = archive

    async def absent(self, slot: int, name: str) -> str:
        """Ask for one validator by itself: only there does the API say "not found", where a list leaves out what it doesn't know."""
        about = f"validator {name}"
        reply = await self.get(f"/eth/v1/beacon/states/{slot}/validators/{name}", about=about, accept=MAYBE)
        told = reply.body if isinstance(reply.body, dict) else {}
        words = str(told.get("message")).lower()
        # A state that is gone is "not found" with the same code; in what words the validator is, every client decides for itself.
        gone = "state" in words and "validator" not in words
        if gone or (reply.status, str(told.get("code"))) != (HTTP_NOT_FOUND, str(HTTP_NOT_FOUND)):
            raise self.wrong("it was left out of a list, and is not said to be unknown when it is asked for by itself", about)
        return reply.record(self._archive)

    async def ask(self, slot: int, ids: Sequence[str]) -> list[tuple[Reply, dict[str, Validator]]]:
        """Ask for validators, `batch_size` in a request, and return each answer with what it says by id."""

        async def one(group: list[str]) -> tuple[Reply, dict[str, Validator]]:
            about = f"{len(group)} validators from {group[0]}"
            reply = await self.post(f"/eth/v1/beacon/states/{slot}/validators", {"ids": group}, about=about, accept=MAYBE)
            self.refuse_missing(reply, about)
            return reply, self.parsed(lambda answer: by_id(parse_validators(answer), group), reply, about)

        try:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(one(list(group))) for group in batches(ids, self.source.batch_size)]
        except BaseExceptionGroup as group:
            # The first one stopped the others; what they would have said is not known.
            raise group.exceptions[0] from None
        return [task.result() for task in asked]

    async def clock(self) -> tuple[int, int]:
        """Return the time of slot 0 and the seconds of a slot."""
        about = "genesis"
        genesis = await self.get("/eth/v1/beacon/genesis", about=about)
        time = self.parsed(lambda reply: number(self.field(reply, "genesis_time", about)), genesis, about)
        about = "configuration"
        spec = await self.get("/eth/v1/config/spec", about=about)
        seconds = self.parsed(lambda reply: number(self.field(reply, "SECONDS_PER_SLOT", about)), spec, about)
        if not seconds:
            raise self.wrong("SECONDS_PER_SLOT is 0", about)
        for reply in (genesis, spec):
            reply.record(self._archive)
        return time, seconds

    async def last(self, slot: int, lowest: int) -> Header:
        """Return the block of a slot, or of the last one before it that has one."""
        for below in range(slot, lowest - 1, -1):
            if header := await self.header(str(below)):
                return header
        raise self.wrong(f"no slot from {lowest} to {slot} has a block, and farther back from as_of is not allowed", "snapshot block")

    async def first(self, slot: int, final: int) -> Header:
        """Return the block of a slot, or of the first one after it that has one, which is final."""
        for above in range(slot, final + 1):
            if header := await self.header(str(above)):
                return header
        raise self.wrong(f"it has no block from slot {slot} to its own finalized slot {final}", "snapshot block")

    async def header(self, block_id: str) -> Header | None:
        """Return and, unless it is asked by the name of `FINALIZED`, archive a header; None where the slot has no block."""
        about = f"block {block_id}"
        reply = await self.get(f"/eth/v1/beacon/headers/{block_id}", about=about, accept=MAYBE)
        header = None if reply.status == HTTP_NOT_FOUND else self.parsed(parse_header, reply, about)
        if header and block_id.isdigit() and header.slot != int(block_id):
            raise self.wrong(f"it gave the block of slot {header.slot}", about)
        if block_id != FINALIZED:  # what that means changes, and an archive holds one answer to a question
            reply.record(self._archive)
        return header

    async def known(self, block_id: str, about: str) -> Header:
        """Return and archive the header of a block that must be there."""
        header = await self.header(block_id)
        if header is None:
            raise self.wrong("it has no such block", about)
        return header

    def refuse_missing(self, reply: Reply, about: str) -> None:
        """Refuse "not found" as the answer to a question about a state."""
        if reply.status == HTTP_NOT_FOUND:
            raise SourceMismatchError(
                "it does not have the state (any more)",
                subject=self.subject(about),
                next_step="ask a beacon node that keeps historic states (an archive node)",
            )

    def field(self, reply: Reply, name: str, about: str) -> object:
        """Return one field of an answer's data."""
        data = reply.body.get("data") if isinstance(reply.body, dict) else None
        if not isinstance(data, dict) or name not in data:
            raise self.wrong(f"the answer has no {name}", about)
        return data[name]
