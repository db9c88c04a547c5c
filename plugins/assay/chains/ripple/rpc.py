"""The XRP Ledger's JSON-RPC, which is not JSON-RPC 2.0: no ids, no batches, and errors inside the result.

Request and response forms: https://xrpl.org/docs/references/http-websocket-apis/api-conventions/request-formatting and
…/response-formatting; errors: …/error-formatting. The transport is `http.py`'s; nothing is retried here.
"""

from __future__ import annotations

from typing import Any

from assay.chains.evidence import TapedError
from assay.chains.http import HttpClient
from assay.chains.interface import Archive
from assay.errors import AssayError, SourceMismatchError

NO_ACCOUNT = "actNotFound"
"""The account does not exist in the ledger that was asked."""

NO_LEDGER = "lgrNotFound"
"""The ledger does not exist, or the server does not have it."""

# The same call may succeed later, by the universal errors of the page above; slowDown is rippled's own rate limit.
_PASSING = frozenset({"tooBusy", "slowDown", "noNetwork", "noCurrent", "noClosed", "failedToForward", "internal", "notReady"})
# What a server says beside the answer, different from one time to the next: https://xrpl.org/docs/references/http-websocket-apis/api-conventions/response-formatting.
_ASIDES = frozenset({"request", "warning", "warnings", "forwarded"})
_NAME = 60  # characters of an error's name that are shown


class LedgerRefusedError(SourceMismatchError):
    """The server answered a call with an error of its own.

    Attributes:
        name: Its name for the error, such as `actNotFound`.
        answer: The whole result.
    """

    name = ""
    answer: object = None


class RippleRpc(HttpClient):
    """A client of one rippled or Clio server; an async context manager. Arguments as in `HttpClient`."""

    async def call(self, method: str, params: dict[str, Any], *, about: str) -> dict[str, Any]:
        """Make one call and return its result, without what the server says of itself, such as that it is under load.

        Raises:
            LedgerRefusedError: The server answered with an error.
            SourceMismatchError: The answer is not one to a call.
            SourceUnavailableError: No full answer, or an error that passes.
        """
        if self.tape is not None:
            try:
                answer: Any = {"result": self.tape.answer(method, [params])}
            except TapedError as taped:
                answer = {"result": taped.error}
        else:
            _, answer = await self.exchange("POST", "", about=about, body={"method": method, "params": [params]})
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, dict):
            raise self.wrong("the answer has no result", about)
        result = {key: value for key, value in result.items() if key not in _ASIDES}
        if "error" in result or result.get("status") == "error":
            raise self._refused(result, about)
        return result

    def _refused(self, result: dict[str, Any], about: str) -> AssayError:
        name = self.scrubbed(str(result.get("error")))[:_NAME]
        if name in _PASSING:
            return self.unavailable(f"it answered with the error {name}", about)
        refused = LedgerRefusedError(
            f"it does not have that ledger ({name}): it keeps only part of the history, or is on another network"
            if name == NO_LEDGER
            else f"it answered with the error {name}: {self.scrubbed(str(result.get('error_message', '')))}",
            subject=self.subject(about),
            next_step="check the server, or use one that keeps the full history",
        )
        refused.name = name
        refused.answer = result
        return refused


def record(archive: Archive, method: str, params: dict[str, Any], result: object, *, refused: bool = False) -> str:
    """Archive one exchange as it was sent and return its SHA-256 in hexadecimal."""
    return (archive.record_error if refused else archive.record)(method, [params], result)
