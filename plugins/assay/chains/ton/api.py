"""TON Center's HTTP API v2 as far as balances need it: masterchain blocks, accounts and get-methods at one, each answer checked for its form.

API: https://docs.ton.org/ecosystem/api/toncenter/v2/overview (specification: https://toncenter.com/api/v2/openapi.json); software that speaks it:
https://github.com/toncenter/ton-http-api. An answer is `{"ok": true, "result": …}`, or `{"ok": false, "error": …, "code": …}` whatever the HTTP
status is.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assay.chains.http import HTTP_OK, Reply, Rest
from assay.chains.interface import SnapshotBlock
from assay.chains.search import Header
from assay.errors import SourceMismatchError

MASTERCHAIN = -1
_SHARD = "-9223372036854775808"  # the masterchain's only one
_ANSWERS = (HTTP_OK, 400, 416, 422, 500)  # all of them carry a JSON body that says why
_PASSING = 500  # this code and those above, and:
_THROTTLED = 429
_PRUNED = ("gc'd", "cannot load state")
_HASH_BYTES = 32
_NUMBER = re.compile(r"-?0x[0-9a-fA-F]{1,64}", re.ASCII)
_STATES = ("active", "uninitialized", "frozen")


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account's state.

    Attributes:
        balance: Nanotons.
        state: `active`, `uninitialized` (no contract; also where there is no account) or `frozen`.
        reply: The answer that it was read from.
    """

    balance: int
    state: str
    reply: Reply


class TonApi(Rest):
    """A client of one server. Arguments as in `HttpClient`; the address includes the API's version: `https://…/api/v2`."""

    async def last(self) -> tuple[int, str]:
        """Return the newest masterchain block's seqno and the root hash of the network's first state, in hexadecimal."""
        about = "masterchain information"
        result = self._result(await self.get("/getMasterchainInfo", about=about, accept=_ANSWERS), about)
        last, init = result.get("last"), result.get("init")
        if not isinstance(last, dict) or not isinstance(init, dict):
            raise self.wrong("the answer names no last block or no first state", about)
        return self._count(last.get("seqno"), about), self._hash(init.get("root_hash"), about)

    async def block(self, seqno: int) -> tuple[Header, Reply]:
        """Return a masterchain block, by its root hash in hexadecimal, and the answer that it was read from."""
        about = f"block {seqno}"
        query = {"workchain": str(MASTERCHAIN), "shard": _SHARD, "seqno": str(seqno)}
        reply = await self.get("/getBlockHeader", query=query, about=about, accept=_ANSWERS)
        result = self._result(reply, about)
        found, root = self._block_id(result.get("id"), about)
        if found != seqno:
            raise self.wrong(f"block {found} was given", about)
        previous = result.get("prev_blocks")
        if not isinstance(previous, list) or len(previous) != 1:
            raise self.wrong("it does not follow from one block", about)
        below, parent = self._block_id(previous[0], about)
        if below != seqno - 1:
            raise self.wrong(f"it follows from block {below}", about)
        return Header(number=seqno, hash=root, parent=parent, time=self._count(result.get("gen_utime"), about), raw={}), reply

    async def account(self, address: str, block: SnapshotBlock, *, about: str) -> Account:
        """Return an account's state at a masterchain block.

        Raises:
            SourceMismatchError: It answers for another block or in another form, or no longer has the block's state.
            SourceUnavailableError: No full answer.
        """
        query = {"address": address, "seqno": str(block.height)}
        reply = await self.get("/getAddressInformation", query=query, about=about, accept=_ANSWERS)
        result = self._result(reply, about)
        self._check_block(result.get("block_id"), block, about)
        balance, state = result.get("balance"), result.get("state")
        if isinstance(balance, str) and balance.isascii() and balance.isdigit() and len(balance) <= 78:  # noqa: PLR2004 (digits of 256 bits)
            balance = int(balance)
        if type(balance) is not int or balance < 0:
            raise self.wrong(f"{str(balance)[:60]!r} is not a balance", about)
        if state not in _STATES:
            raise self.wrong(f"the account has the unknown state {str(state)[:40]!r}", about)
        return Account(balance=balance, state=state, reply=reply)

    async def run(
        self, address: str, method: str, stack: Sequence[Sequence[str]], block: SnapshotBlock, *, about: str
    ) -> tuple[int, Reply]:
        """Run a get-method of a contract on the state of a masterchain block.

        Returns:
            Exit code, and the answer with its stack of results; the stack means something only where the exit code is 0.

        Raises:
            SourceMismatchError: It answers for another block or in another form, or no longer has the block's state.
            SourceUnavailableError: No full answer.
        """
        body = {"address": address, "method": method, "stack": [list(entry) for entry in stack], "seqno": block.height}
        reply = await self.post("/runGetMethod", body, about=about, accept=_ANSWERS)
        result = self._result(reply, about)
        # A server that doesn't know `seqno` here answers from its newest state, and does not say from which.
        self._check_block(result.get("block_id"), block, about)
        if type(result.get("exit_code")) is not int or not isinstance(result.get("stack"), list):
            raise self.wrong("a get-method was answered without exit code or stack", about)
        return result["exit_code"], reply

    def integer(self, reply: Reply, place: int, about: str) -> int:
        """Return the integer at a place of a get-method's results."""
        kind, value = self._entry(reply, place, about)
        if kind != "num" or not isinstance(value, str) or not _NUMBER.fullmatch(value):
            raise self.wrong(f"result {place} is not an integer", about)
        return int(value, 16)

    def bag(self, reply: Reply, place: int, about: str) -> object:
        """Return the bag of cells, in base64, at a place of a get-method's results."""
        kind, value = self._entry(reply, place, about)
        if kind not in ("cell", "slice") or not isinstance(value, dict):
            raise self.wrong(f"result {place} is not a cell", about)
        return value.get("bytes")

    def _entry(self, reply: Reply, place: int, about: str) -> tuple[object, object]:
        stack = reply.body["result"]["stack"]
        entry = stack[place] if place < len(stack) else None
        if not isinstance(entry, list) or len(entry) != 2:  # noqa: PLR2004 (type and value)
            raise self.wrong(f"the get-method has no result {place}", about)
        return entry[0], entry[1]

    def _result(self, reply: Reply, about: str) -> dict[str, Any]:
        body = reply.body
        if not isinstance(body, dict):
            raise self.wrong("the answer is not an object", about)
        if reply.status == HTTP_OK and body.get("ok") is True:
            if not isinstance(body.get("result"), dict):
                raise self.wrong("the answer has no result", about)
            return dict(body["result"])
        words = self.scrubbed(str(body.get("error")))
        code = body.get("code", reply.status)
        if any(sign in words for sign in _PRUNED):
            raise SourceMismatchError(
                f"it no longer has the state of the block: {words}",
                subject=self.subject(about),
                next_step="use a server in front of an archival liteserver",
            )
        if type(code) is int and (code == _THROTTLED or code >= _PASSING):
            raise self.unavailable(f"it answered with error {code}: {words}", about)
        raise self.wrong(f"it answered with error {str(code)[:20]}: {words}", about)

    def _check_block(self, found: object, block: SnapshotBlock, about: str) -> None:
        seqno, root = self._block_id(found, about)
        if (seqno, root) != (block.height, block.hash):
            raise self.wrong(f"block {block.height} {block.hash} was asked and block {seqno} {root} answered", about)

    def _block_id(self, value: object, about: str) -> tuple[int, str]:
        if not isinstance(value, dict) or value.get("workchain") != MASTERCHAIN:
            raise self.wrong("the answer names no masterchain block", about)
        return self._count(value.get("seqno"), about), self._hash(value.get("root_hash"), about)

    def _count(self, value: object, about: str) -> int:
        if type(value) is not int or value < 0:
            raise self.wrong(f"{str(value)[:60]!r} is not a count", about)
        return value

    def _hash(self, value: object, about: str) -> str:
        try:
            content = base64.b64decode(value if isinstance(value, str) else "", validate=True)
        except ValueError:  # binascii's own, and that of characters beyond ASCII
            content = b""
        if len(content) != _HASH_BYTES:
            raise self.wrong(f"{str(value)[:60]!r} is not a hash in base64", about)
        return content.hex()
