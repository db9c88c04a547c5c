"""Questions to an EVM node, with answers that are checked, and archived where a number rests on them.

What differs between chains and not between balances stands here: headers, code, and how a block is named.
API: https://ethereum.org/en/developers/docs/apis/json-rpc/; blocks by hash: https://eips.ethereum.org/EIPS/eip-1898.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from eth_hash.auto import keccak

from assay.chains.answers import AnswerError, data
from assay.chains.evm.blocks import CHAINS_WITH_NULL_ROUNDS, parse_header
from assay.chains.health import Meter
from assay.chains.interface import Archive, SnapshotBlock
from assay.chains.jsonrpc import JsonRpc, RefusedError
from assay.chains.search import Header
from assay.config import Chain, Source
from assay.errors import SourceMismatchError

_LONGEST_GAP = 100
"""Heights in a row without a block, beyond which it is no gap but a node that has lost its blocks."""

T = TypeVar("T")


class EvmRpc(JsonRpc):
    """A client of an EVM node; an async context manager.

    Args:
        chain: Facts about the chain.
        source: The server.
        url: Its address with credentials, or a tape.
        meter: Counts what is sent.
        archive: Receives every response that a number rests on.
    """

    def __init__(self, chain: Chain, source: Source, url: str, meter: Meter, archive: Archive) -> None:
        super().__init__(source, url, meter)
        self.chain = chain
        self.archive = archive

    async def header(self, height: int | str) -> Header:
        """Return the header of a height or tag; not archived, because a search asks for many.

        Raises:
            SourceMismatchError: There is no such block, or it contradicts itself.
            SourceUnavailableError: No full answer.
        """
        number = height if isinstance(height, int) else None
        about = f"block {height}"
        raw = await self.call("eth_getBlockByNumber", [height if number is None else hex(number), False], about=about)
        return self.parsed(lambda answer: parse_header(answer, chain_id=self.chain.chain_id, number=number), raw, about)

    async def last_header(self, height: int) -> Header:
        """Return the header of the last block at or below a height; the height's own wherever every height has a block."""
        if self.chain.chain_id not in CHAINS_WITH_NULL_ROUNDS:
            return await self.header(height)
        for lower in range(height, max(height - _LONGEST_GAP, -1), -1):
            if header := await self._header_of_round(lower):
                return header
        raise self.mismatch(f"it has no block at the {_LONGEST_GAP} heights up to {height}", f"block {height}")

    async def _header_of_round(self, height: int) -> Header | None:
        """Return a header, or None for a height without a block: an error in Lotus, null in earlier versions, the block before in Forest."""
        about = f"block {height}"
        try:
            raw = await self.call("eth_getBlockByNumber", [hex(height), False], about=about, nullable=True)
        except RefusedError as error:
            if "null round" not in error.problem:
                raise
            return None
        if raw is None:
            return None
        header = self.parsed(lambda answer: parse_header(answer, chain_id=self.chain.chain_id), raw, about)
        if header.number > height:
            raise self.mismatch(f"block {height} was asked and block {header.number} was given", about)
        return header if header.number == height else None

    @property
    def workers(self) -> int:
        """How many questions are worth having under way: what the source takes at once, and one that is being made up meanwhile."""
        return self.source.concurrency + 1

    def record_header(self, header: Header) -> None:
        """Archive a header."""
        self.archive.record("eth_getBlockByNumber", [hex(header.number), False], header.raw)

    async def code_hash(self, contract: str, block: SnapshotBlock, about: str) -> str:
        """Return the Keccak-256 of a contract's code, and archive the code."""
        return "0x" + keccak(await self.code(contract, block, about)).hex()

    async def code(self, contract: str, block: SnapshotBlock, about: str) -> bytes:
        """Return a contract's code, and archive it."""
        params = [contract, at(block)]
        result = await self.call("eth_getCode", params, about=about)
        code = self.parsed(data, result, about)
        self.archive.record("eth_getCode", params, result)
        return code

    async def answer(self, contract: str, call: bytes, block: SnapshotBlock, about: str) -> bytes | None:
        """Return what a contract answers to a call, None where its execution was reverted; archive either."""
        params = [{"to": contract, "data": "0x" + call.hex()}, at(block)]
        try:
            result = await self.call("eth_call", params, about=about)
        except RefusedError as error:
            if not is_revert(error):
                raise
            self.archive.record_error("eth_call", params, error.answer)
            return None
        self.archive.record("eth_call", params, result)
        return self.parsed(data, result, about)

    def parsed(self, parse: Callable[[object], T], answer: object, about: str) -> T:
        """Read an answer, and name what was asked where it is malformed.

        Raises:
            SourceMismatchError: It is.
        """
        try:
            return parse(answer)
        except AnswerError as error:
            raise self.mismatch(str(error), about) from error

    def mismatch(self, problem: str, about: str, next_step: str = "") -> SourceMismatchError:
        """Return the error of an answer that cannot be right."""
        return SourceMismatchError(
            problem,
            subject=self.subject(about),
            next_step=next_step or "wait for the node to catch up, check it, or take it out of the registry",
        )


async def side_by_side(questions: Iterable[Callable[[], Awaitable[T]]], workers: int) -> list[T]:
    """Ask questions, so many at a time, and return the answers in the questions' order.

    A question is only made up when its turn comes, so that neither requests nor raw answers pile up.

    Args:
        questions: Functions that ask.
        workers: How many are under way at once.

    Raises:
        Exception: The first one that a question raised; it stops the others, and what they would have said is not known.
    """
    waiting = iter(enumerate(questions))
    answers: dict[int, T] = {}

    async def work() -> None:
        for position, ask in waiting:
            answers[position] = await ask()

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(workers):
                tasks.create_task(work())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return [answers[position] for position in range(len(answers))]


def is_revert(error: RefusedError) -> bool:
    """Tell whether a refusal is the contract's own, whose execution was reverted, and no trouble of the node's.

    The words tell, because the code doesn't: 3 of go-ethereum and most others (execution-apis, `eth_call`), -32000 of Nethermind and Besu, -32015 of
    older ones, which say it in `data`; and Lotus gave 11, and 3 to something else (https://github.com/filecoin-project/lotus/pull/13467).
    """
    answer = error.answer
    if not isinstance(answer, dict) or type(answer.get("code")) is not int:
        return False
    said = (answer.get("message"), answer.get("data"))
    return any(isinstance(words, str) and "revert" in words.lower() for words in said)


def at(block: SnapshotBlock) -> dict[str, Any]:
    """Name the block by hash, and refuse it if it is no longer part of the chain (EIP-1898)."""
    return {"blockHash": block.hash, "requireCanonical": True}
