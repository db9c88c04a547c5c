"""The full node API of Aptos, as far as balances need it: ledger information, blocks, view functions; each answer is checked for its form.

Refusals that say something about the node's own history become errors here; those that say something about an asset are the caller's.
Forms and error codes: https://aptos.dev/aptos-spec.json (Aptos Node API 1.2.0).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assay.chains.http import HTTP_NOT_FOUND, HTTP_OK, Reply, Rest
from assay.chains.search import Header
from assay.errors import SourceBehindError, SourceMismatchError

REFUSED = 400
_FORBIDDEN = 403
_GONE = 410
_ANSWERS = (HTTP_OK, REFUSED, _FORBIDDEN, HTTP_NOT_FOUND, _GONE)  # all of them carry a JSON body that says why

_AHEAD = ("block_not_found", "version_not_found")
_HASH = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_MOST_DIGITS = 78  # of 256 bits; what is more than an amount may have is refused as such, not as no number


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block.

    Attributes:
        number: Block height.
        hash: `0x…`, lower case.
        time: Its time since 1970 in UTC, in microseconds.
        first_version: Ledger version of its first transaction.
        last_version: Ledger version of its last transaction; the state at the block's end is that of this version.
        reply: The answer that it was read from.
    """

    number: int
    hash: str
    time: int
    first_version: int
    last_version: int
    reply: Reply

    @property
    def header(self) -> Header:
        """The block for the search; the versions at which blocks meet stand for the hashes that link headers elsewhere."""
        return Header(
            number=self.number,
            hash=f"version {self.last_version}",
            parent=f"version {self.first_version - 1}",
            time=self.time,
            raw={},
        )


class AptosApi(Rest):
    """A client of one full node. Arguments as in `HttpClient`; the address includes the API's version: `https://…/v1`."""

    async def ledger(self) -> dict[str, Any]:
        """Return the ledger information, `chain_id` and `block_height` certainly among it."""
        about = "ledger information"
        reply = await self.get("/", about=about, accept=_ANSWERS)
        return self._fields(reply, about, "chain_id", "block_height")

    async def block(self, height: int) -> Block:
        """Return the block at a height.

        Raises:
            SourceBehindError: The node doesn't have it yet.
            SourceMismatchError: The node has pruned it, or gives another one.
            SourceUnavailableError: No full answer.
        """
        about = f"block {height}"
        reply = await self.get(f"/blocks/by_height/{height}", about=about, accept=_ANSWERS)
        fields = self._fields(reply, about, "block_height", "block_hash", "block_timestamp", "first_version", "last_version")
        given, microseconds, first, last = (
            self.number(fields[name], about) for name in ("block_height", "block_timestamp", "first_version", "last_version")
        )
        if given != height:
            raise self.wrong(f"block {given} was given", about)
        if not isinstance(fields["block_hash"], str) or not _HASH.fullmatch(fields["block_hash"]):
            raise self.wrong("its hash is not one", about)
        if last < first:
            raise self.wrong("its last version lies before its first", about)
        return Block(number=height, hash=fields["block_hash"], time=microseconds, first_version=first, last_version=last, reply=reply)

    async def view(self, version: int, function: str, types: Sequence[str], arguments: Sequence[str], *, about: str) -> Reply:
        """Have a view function executed on the state of a ledger version.

        Returns:
            What it gave, a list of one value (status 200), or why it could not be executed (status 400).

        Raises:
            SourceBehindError: The node doesn't have the version yet.
            SourceMismatchError: The node has pruned the version, doesn't execute the function, or answers in another form.
            SourceUnavailableError: No full answer.
        """
        body = {"function": function, "type_arguments": list(types), "arguments": list(arguments)}
        reply = await self.post(f"/view?ledger_version={version}", body, about=about, accept=_ANSWERS)
        if reply.status == REFUSED:
            return reply
        self._check_status(reply, about)
        if not isinstance(reply.body, list) or len(reply.body) != 1:
            raise self.wrong("a view function was not answered with one value", about)
        return reply

    def number(self, value: object, about: str) -> int:
        """Read a number of 64 or 128 bits, which the API writes as a text."""
        if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > _MOST_DIGITS:
            raise self.wrong(f"{str(value)[:60]!r} is not a number of the chain's", about)
        return int(value)

    def words(self, reply: Reply) -> str:
        """Return why the node refuses, in its own words."""
        said = reply.body.get("message") or reply.body.get("error_code") if isinstance(reply.body, dict) else reply.body
        return self.scrubbed(str(said))

    def _fields(self, reply: Reply, about: str, *names: str) -> dict[str, Any]:
        self._check_status(reply, about)
        if not isinstance(reply.body, dict) or any(reply.body.get(name) is None for name in names):
            raise self.wrong(f"the answer does not say {', '.join(names)}", about)
        return reply.body

    def _check_status(self, reply: Reply, about: str) -> None:
        if reply.status == _GONE:
            raise SourceMismatchError(
                f"its history of that time is pruned: {self.words(reply)}",
                subject=self.subject(about),
                next_step="use a node that keeps the state of the snapshot block (an archival full node)",
            )
        if isinstance(reply.body, dict) and reply.body.get("error_code") in _AHEAD:
            raise SourceBehindError(
                f"the node is behind: {self.words(reply)}", subject=self.subject(about), next_step="wait until the node has caught up"
            )
        if reply.status != HTTP_OK:
            raise self.wrong(f"it refuses (HTTP status {reply.status}): {self.words(reply)}", about)
