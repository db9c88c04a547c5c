"""JSON-RPC 2.0 over HTTP for bulk reading: batches, and answers that are whole or an error.

msgspec rather than json (in `http.py`): encoding the calls took longer than anvil took to answer them, and now takes a
tenth of it. Nothing is retried here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from assay.chains.evidence import Tape, TapedError
from assay.chains.health import Meter
from assay.chains.http import HttpClient
from assay.config import Source
from assay.errors import AssayError, EvidenceError, SourceMismatchError

# The same call may succeed later: HTTP's own code (some providers put it into the body), limit exceeded and resource
# unavailable (EIP-1474), internal error (JSON-RPC 2.0).
_PASSING_CODES = frozenset({429, -32005, -32002, -32603})
_SHOWN = 200  # characters of an id in an error

Call = tuple[str, Sequence[Any]]
"""Method and parameters."""

BATCH = "batch"
"""The method under which a batch is archived; its parameters are the list of `[method, params]`, its result is the list of results."""


class RefusedError(SourceMismatchError):
    """The server answered a call with an error of its own."""

    code: int | None = None
    answer: object = None
    """The error as the server gave it, for readers to which a refusal is a fact (`Archive.record_error`)."""


class JsonRpc(HttpClient):
    """A client of one server; an async context manager. Arguments as in `HttpClient`."""

    def __init__(self, source: Source, url: str, meter: Meter | None = None) -> None:
        super().__init__(source, url, meter)
        self._next_id = 1

    async def call(self, method: str, params: Any, *, about: str, nullable: bool = False) -> Any:
        """Make one call and return its result, which is null only where that is `nullable`.

        Raises:
            RefusedError: The server answered with an error.
            SourceMismatchError: The answer is null or belongs to another call.
            SourceUnavailableError: No full answer.
        """
        if self.tape is not None:
            return self._played(self.tape, method, params, about)
        (number,) = self._numbers(1)
        answer = await self._post({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, requests=1, about=about)
        own = isinstance(answer, dict) and _is(answer.get("id"), number)
        if not own and not (isinstance(answer, dict) and answer.get("id") is None and answer.get("error") is not None):
            raise self.wrong("the answer is not one to this call", about)
        if answer.get("error") is not None and answer.get("result") is not None:
            raise self.wrong("the answer is a result and an error at once", about)
        try:
            return self._result(answer, about, nullable=nullable)
        except RefusedError as error:
            if not own:  # said of a call that the server could not read, so it is no fact about what was asked
                error.code = error.answer = None
            raise

    async def batch(self, calls: Sequence[Call], *, about: Callable[[int], str]) -> list[Any]:
        """Make calls in one batch and return their results in the calls' order; none is null.

        A batch whose answers are used together is archived as one line (`BATCH`), one whose answers stand for themselves
        as a line for each call; a tape is asked for both.

        Args:
            calls: At least one.
            about: What the call at a position asks, in words, for errors.

        Raises:
            RefusedError: The server answered the batch, or a call of it, with an error.
            SourceMismatchError: A result is null, or the answers are not one for each call.
            SourceUnavailableError: No full answer.
        """
        whole = f"a batch of {len(calls)} calls from {about(0)}"
        if self.tape is not None:
            return self._played_batch(self.tape, calls, about, whole)
        numbers = self._numbers(len(calls))
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in zip(numbers, calls, strict=True)
        ]
        answers = await self._post(body, requests=len(calls), about=whole)
        if isinstance(answers, dict) and answers.get("error") is not None:
            raise self._refused(answers["error"], whole)
        if not isinstance(answers, list):
            raise self.wrong("a batch was not answered with a list", whole)
        found = self._by_number(answers, numbers, whole)
        if missing := [position for position, number in enumerate(numbers) if number not in found]:
            raise self.wrong(f"{len(missing)} of {len(calls)} calls were not answered, the first one is {about(missing[0])}", whole)
        good = [found[number] for number in numbers]
        for position, answer in enumerate(good):
            if answer.get("error") is not None or answer.get("result") is None:
                self._result(answer, about(position))
        return [answer["result"] for answer in good]

    def _played(self, tape: Tape, method: str, params: Any, about: str) -> Any:
        try:
            return tape.answer(method, params)
        except TapedError as error:
            raise self._refused(error.error, about) from None

    def _played_batch(self, tape: Tape, calls: Sequence[Call], about: Callable[[int], str], whole: str) -> list[Any]:
        try:
            return list(self._played(tape, BATCH, calls, whole))
        except EvidenceError:
            return [self._played(tape, method, params, about(position)) for position, (method, params) in enumerate(calls)]

    def _numbers(self, count: int) -> range:
        # Never used twice, so an answer to an earlier call cannot pass for one to this.
        first = self._next_id
        self._next_id += count
        return range(first, first + count)

    def _by_number(self, answers: list[Any], numbers: range, about: str) -> dict[int, dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        for answer in answers:
            number = answer.get("id") if isinstance(answer, dict) else None
            if number is None and isinstance(answer, dict) and answer.get("error") is not None:
                raise self._refused(answer["error"], about)
            if type(number) is not int or number not in numbers:
                raise self.wrong(f"an answer has the id {str(number)[:_SHOWN]!r}, which was not asked", about)
            if number in found:
                raise self.wrong(f"two answers have the id {number}", about)
            found[number] = answer
        return found

    async def _post(self, body: object, *, requests: int, about: str) -> Any:
        _, answer = await self.exchange("POST", "", about=about, body=body, requests=requests)
        return answer

    def _result(self, answer: dict[str, Any], about: str, *, nullable: bool = False) -> Any:
        if answer.get("error") is not None:
            raise self._refused(answer["error"], about)
        if answer.get("result") is None and not (nullable and "result" in answer):
            raise self.wrong("the answer has no result", about)
        return answer["result"]

    def _refused(self, error: object, about: str) -> AssayError:
        code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, error)
        words = self.scrubbed(str(message))
        if type(code) is int and code in _PASSING_CODES:
            return self.unavailable(f"it answered with error {code}: {words}", about)
        refused = RefusedError(
            f"it answered with error {str(code)[:_SHOWN]}: {words}",
            subject=self.subject(about),
            next_step="check that the node is synchronised, keeps the state of the snapshot block and accepts batches of this size",
        )
        refused.code = code if type(code) is int else None
        refused.answer = error
        return refused


def _is(number: object, expected: int) -> bool:
    return type(number) is int and number == expected  # True == 1, and neither is an id that was asked
