"""One aelf node and the questions that are asked of it; how answers are read is in `aelf_answers.py` and `aelf_messages.py`.

A node refuses with HTTP status 403 and `{"Error": {"Code": "20001", "Message": …}}` (codes: `Error.cs` of
https://github.com/AElfProject/AElf, `src/AElf.WebApp.Application.Chain`).
"""

from __future__ import annotations

from typing import Self

from assay.chains.aelf.answers import Status, parse_block, parse_status
from assay.chains.aelf.messages import balance_question, call, parse_balance, parse_decimals, token_question
from assay.chains.health import Meter
from assay.chains.http import HTTP_OK, Reply, Rest
from assay.chains.interface import Archive, SnapshotBlock
from assay.chains.search import Header
from assay.config import Source
from assay.errors import ConfigError, SourceMismatchError

_BLOCK = "/api/blockChain/blockByHeight"
_REFUSED = 403


class AelfNode(Rest):
    """A client of one node.

    Args:
        source: As in `HttpClient`.
        url: As in `HttpClient`.
        meter: As in `HttpClient`.
        archive: Receives what numbers rest on.
        chain_id: What blocks must be of: `AELF`, `tDVV`.
        contract: Address of the token contract.
    """

    def __init__(self, source: Source, url: str, meter: Meter, *, archive: Archive, chain_id: str, contract: str) -> None:
        super().__init__(source, url, meter)
        self._archive = archive
        self._chain_id = chain_id
        self._contract = contract

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self._session:
            # Text, such as a view's result, comes bare and not as JSON to a client that accepts anything.
            self._session.headers["accept"] = "application/json"
        return self

    async def status(self, *, archived: bool = False) -> Status:
        """Return the chain's status now."""
        about = "chain status"
        reply = self._refused(await self.get("/api/blockChain/chainStatus", about=about, accept=(HTTP_OK, _REFUSED)), about)
        status = self.parsed(parse_status, reply.body, about)
        if archived:
            reply.record(self._archive)
        return status

    async def block(self, height: int) -> Header:
        """Return the header of a height on the best chain; its time is in ticks."""
        about = f"block {height}"
        reply = self._refused(await self.get(_BLOCK, query=_query(height), about=about, accept=(HTTP_OK, _REFUSED)), about)
        return self.parsed(lambda body: parse_block(body, height, self._chain_id), reply.body, about)

    def record(self, header: Header) -> None:
        """Archive the answer that a header was read from."""
        self._archive.record(f"GET {_BLOCK}", _query(header.number), {"status": HTTP_OK, "body": header.raw})

    async def balance(self, symbol: str, owner: str, block: SnapshotBlock) -> tuple[int, str]:
        """Return a balance and the digest of the answer; the call is signed as one that refers to the snapshot block."""
        about = f"{symbol} balance of {owner}"
        reply = await self._view("GetBalance", balance_question(symbol, owner), block, about)
        return self.parsed(lambda body: parse_balance(body, symbol, owner), reply.body, about), reply.record(self._archive)

    async def decimals(self, symbol: str, block: SnapshotBlock) -> int | None:
        """Return a token's decimals, None where the contract has no such token."""
        about = f"decimals of {symbol}"
        reply = await self._view("GetTokenInfo", token_question(symbol), block, about)
        decimals = self.parsed(lambda body: parse_decimals(body, symbol), reply.body, about)
        reply.record(self._archive)
        return decimals

    async def _view(self, method: str, params: bytes, block: SnapshotBlock, about: str) -> Reply:
        raw = call(self._contract, method, params, height=block.height, block_hash=block.hash)
        path = "/api/blockChain/executeTransaction"
        return self._refused(await self.post(path, {"RawTransaction": raw}, about=about, accept=(HTTP_OK, _REFUSED)), about)

    def _refused(self, reply: Reply, about: str) -> Reply:
        """Return an answer that is none of refusal."""
        error = reply.body.get("Error") if isinstance(reply.body, dict) else None
        if isinstance(error, dict):
            words = self.scrubbed(f"{error.get('Code')}: {error.get('Message')} {error.get('Details') or ''}".strip())
            raise SourceMismatchError(
                f"it answered with error {words}",
                subject=self.subject(about),
                next_step="check that the node is synchronised and keeps blocks back to as_of",
            )
        if reply.status != HTTP_OK:
            raise ConfigError(
                f"it answered with HTTP status {reply.status}",
                subject=self.subject(about),
                next_step="check address and credentials in the source's Airflow Connection",
            )
        return reply


def _query(height: int) -> dict[str, str]:
    return {"blockHeight": str(height), "includeTransactions": "false"}
