"""The Substrate JSON-RPC API as far as balances need it: headers, block times and storage values, each checked for its form.

API: https://paritytech.github.io/polkadot-sdk/master/sc_rpc_api/chain/trait.ChainApiServer.html and
https://paritytech.github.io/polkadot-sdk/master/sc_rpc_api/state/trait.StateApiServer.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from assay.chains.interface import Archive
from assay.chains.jsonrpc import JsonRpc, RefusedError
from assay.chains.polkadot.storage import NOW_KEY, BlockHeader, milliseconds, parse_header
from assay.chains.search import Header
from assay.errors import SourceBehindError, SourceMismatchError

STORAGE = "state_queryStorageAt"


class SubstrateRpc(JsonRpc):
    """A client of one node. Arguments as in `HttpClient`."""

    async def name(self, height: int) -> str:
        """Return the hash that the node has for a height, unchecked.

        Raises:
            SourceBehindError: It has none.
            SourceMismatchError: It refuses.
            SourceUnavailableError: No full answer.
        """
        about = f"hash of block {height}"
        name = await self.call("chain_getBlockHash", [height], about=about, nullable=True)
        if name is None:
            raise SourceBehindError(
                f"the node does not have block {height}", subject=self.subject(about), next_step="wait until the node has caught up"
            )
        return str(name)

    async def header(self, name: str, about: str, height: int | None = None) -> tuple[Any, BlockHeader]:
        """Return a header as it was given and as it was read.

        Args:
            name: Its hash, which its fields must give.
            about: Which block it is, in words, for errors.
            height: The height it must have, where that is known.

        Raises:
            SourceMismatchError: It is another block's, or none.
            SourceUnavailableError: No full answer.
        """
        raw = await self.call("chain_getHeader", [name], about=about)
        header = self.parsed(parse_header, raw, about)
        if header.hash != name:
            raise self.wrong(f"the header of block {str(name)[:80]} has the hash {header.hash}", about)
        if height is not None and header.number != height:
            raise self.wrong(f"block {height} was asked and block {header.number} was given", about)
        return raw, header

    async def block(self, name: str, about: str, height: int | None = None) -> Header:
        """Return a header with the block's own time, in milliseconds; `raw` holds the answers `header` and `now`."""
        raw, header = await self.header(name, about, height)
        try:
            now = await self.call("state_getStorage", [NOW_KEY, name], about=f"time of {about}", nullable=header.number == 0)
        except RefusedError as error:
            self._explain(error, f"time of {about}")
        # Only block 0 has no time of its own: nothing was executed in it.
        time = 0 if now is None else self.parsed(milliseconds, now, f"time of {about}")
        return Header(number=header.number, hash=header.hash, parent=header.parent, time=time, raw={"header": raw, "now": now})

    async def storage(self, block: str, keys: Sequence[str], about: str, archive: Archive) -> tuple[dict[str, object], str]:
        """Return the values of keys at a block, None for those that aren't there, and the digest of the archived answer.

        Raises:
            SourceMismatchError: It answers for another block or other keys, or no longer has the block's state.
            SourceUnavailableError: No full answer.
        """
        params = [list(dict.fromkeys(keys)), block]
        try:
            result = await self.call(STORAGE, params, about=about)
        except RefusedError as error:
            self._explain(error, about)
        answer = result[0] if isinstance(result, list) and len(result) == 1 and isinstance(result[0], dict) else {}
        changes = answer.get("changes")
        if not isinstance(changes, list) or not all(isinstance(item, list) and len(item) == 2 for item in changes):  # noqa: PLR2004 (key and value)
            raise self.wrong("storage was not answered with one list of keys and values", about)
        if answer.get("block") != block:
            raise self.wrong(f"block {block} was asked and {str(answer.get('block'))[:80]} answered", about)
        # A key that is left out is no value; only one that is answered with null is not there.
        if sorted(str(key) for key, _ in changes) != sorted(params[0]):
            raise self.wrong("the keys that were answered are not those that were asked", about)
        return {str(key): value for key, value in changes}, archive.record(STORAGE, params, result)

    def _explain(self, error: RefusedError, about: str) -> NoReturn:
        """Say it plainly where a node no longer has the state of a block (`State already discarded`)."""
        if "discarded" not in error.problem:
            raise error
        raise SourceMismatchError(
            f"the node no longer has the state of the block: {error.problem}",
            subject=self.subject(about),
            next_step="use an archive node (--state-pruning archive)",
        ) from error
