"""One nodeos and the questions that are asked of it; how answers are read is in `eos_answers.py`.

nodeos says what is wrong in the body of HTTP status 500, some of it in newer versions under 400. Such a body with an error code of
its own is an answer; any other 500 is a failure that may pass.
"""

from __future__ import annotations

from assay.chains.eos.answers import (
    Account,
    Info,
    Symbol,
    account_is_unknown,
    error_code,
    error_words,
    parse_account,
    parse_block,
    parse_info,
    parse_row,
    parse_stats,
)
from assay.chains.health import Meter
from assay.chains.http import HTTP_OK, Reply, Rest
from assay.chains.interface import Archive
from assay.chains.search import Header
from assay.config import Source
from assay.errors import SourceMismatchError

_BLOCK = "/v1/chain/get_block_info"
_ANSWERED = (HTTP_OK, 400, 500)
_NO_CONTRACT = frozenset({3060002, 3060003})  # account_query_exception, contract_table_query_exception
_PASSING = frozenset({3080006})  # deadline_exception: the node was too busy


class EosNode(Rest):
    """A client of one nodeos. Arguments as in `HttpClient`, and the archive that answers go to."""

    def __init__(self, source: Source, url: str, meter: Meter, *, archive: Archive) -> None:
        super().__init__(source, url, meter)
        self._archive = archive

    async def info(self, *, archived: bool = False) -> Info:
        """Return what the node has now."""
        reply = await self._asked("/v1/chain/get_info", {}, "state of the node")
        info = self.parsed(parse_info, reply.body, "state of the node")
        if archived:
            reply.record(self._archive)
        return info

    async def block(self, number: int) -> Header:
        """Return the header of a height; its time is in milliseconds."""
        about = f"block {number}"
        reply = await self._asked(_BLOCK, {"block_num": number}, about)
        return self.parsed(lambda body: parse_block(body, number), reply.body, about)

    def record(self, header: Header) -> None:
        """Archive the answer that a header was read from."""
        self._archive.record(f"POST {_BLOCK}", {"block_num": header.number}, {"status": HTTP_OK, "body": header.raw})

    async def account(self, name: str, native: Symbol) -> tuple[Account | None, str]:
        """Return what an account holds, None where there is no such account, and the digest of the answer."""
        about = f"{native.code} balance of {name}"
        asked = {"account_name": name, "expected_core_symbol": f"{native.decimals},{native.code}"}
        reply = await self.post("/v1/chain/get_account", asked, about=about, accept=_ANSWERED)
        account = None
        if not account_is_unknown(reply, name):
            self._refuse_error(reply, about)
            account = self.parsed(lambda body: parse_account(body, name, native), reply.body, about)
        return account, reply.record(self._archive)

    async def row(self, name: str, symbol: Symbol) -> tuple[int | None, str]:
        """Return an account's row in a token's contract, None where it has none, and the digest of the answer."""
        about = f"{symbol.code} balance of {name}"
        asked = {"code": symbol.contract, "account": name, "symbol": symbol.code}
        reply = await self._asked("/v1/chain/get_currency_balance", asked, about)
        return self.parsed(lambda body: parse_row(body, symbol), reply.body, about), reply.record(self._archive)

    async def decimals(self, symbol: Symbol) -> int | None:
        """Return the decimals that a token's contract writes its supply with; None where it has no such token, or is none."""
        about = f"decimals of {symbol.code}"
        asked = {"code": symbol.contract, "symbol": symbol.code}
        reply = await self.post("/v1/chain/get_currency_stats", asked, about=about, accept=_ANSWERED)
        decimals = None
        if error_code(reply) not in _NO_CONTRACT:
            self._refuse_error(reply, about)
            decimals = self.parsed(lambda body: parse_stats(body, symbol.code), reply.body, about)
        reply.record(self._archive)
        return decimals

    async def _asked(self, path: str, body: object, about: str) -> Reply:
        reply = await self.post(path, body, about=about, accept=_ANSWERED)
        self._refuse_error(reply, about)
        return reply

    def _refuse_error(self, reply: Reply, about: str) -> None:
        code = error_code(reply)
        if reply.status == HTTP_OK and code is None:
            return
        if code is None or code in _PASSING:
            raise self.unavailable(f"it answered with HTTP status {reply.status} and error {code}", about)
        raise SourceMismatchError(
            f"it answered with error {code}: {self.scrubbed(error_words(reply))}",
            subject=self.subject(about),
            next_step="check that the node is synchronised, keeps blocks back to as_of and serves the chain API",
        )
