"""JSON-RPC 2.0 over HTTP for bulk reading: batches, bounded concurrency, and answers that are whole or an error.

aiohttp rather than httpx: httpx logs every request's address, key included, at the level that task logs keep. No text
of an error here holds the server's address, and causes are cut off (`from None`) because theirs may.
msgspec rather than json: encoding the calls took longer than anvil took to answer them, and now takes a tenth of it.
Nothing is retried here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

import aiohttp
import msgspec

from assay.chains.pacing import Pacer
from assay.config import Source
from assay.errors import AssayError, ConfigError, SourceMismatchError, SourceUnavailableError

# The same call may succeed later: HTTP's own code (some providers put it into the body), limit exceeded and resource
# unavailable (EIP-1474), internal error (JSON-RPC 2.0).
_PASSING_CODES = frozenset({429, -32005, -32002, -32603})
_HTTP_OK = 200
_HTTP_PASSING = frozenset({408, 425, 429})
_SHOWN = 200  # characters of a server's own words in an error
_SECRET = 6  # a part of the address shorter than this is no key, and blanking it would garble ordinary words


Call = tuple[str, Sequence[Any]]
"""Method and parameters."""


class RefusedError(SourceMismatchError):
    """The server answered a call with an error of its own."""

    code: int | None = None


class JsonRpc:
    """A client of one server; an async context manager.

    Args:
        source: Name, timeout, concurrency and rate.
        url: Address with credentials; it never gets into an error.
    """

    def __init__(self, source: Source, url: str) -> None:
        self._source = source
        self._url = url
        self._secrets = _secrets(url)
        self._pacer = Pacer(source.task_requests_per_second)
        self._slots = asyncio.Semaphore(source.concurrency)
        self._next_id = 1
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._source.timeout_seconds),
            headers={"content-type": "application/json"},
            trust_env=bool(getproxies()),  # only then, because aiohttp also reads ~/.netrc for each request
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._session:
            await self._session.close()

    async def call(self, method: str, params: list[Any], *, about: str) -> Any:
        """Make one call and return its result, which is never null.

        Raises:
            RefusedError: The server answered with an error.
            SourceMismatchError: The answer is null or belongs to another call.
            SourceUnavailableError: No full answer.
        """
        (number,) = self._numbers(1)
        answer = await self._post({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, requests=1, about=about)
        if not isinstance(answer, dict) or (answer.get("error") is None and not _is(answer.get("id"), number)):
            raise self._wrong("the answer is not one to this call", about)
        return self._result(answer, about)

    async def batch(self, calls: Sequence[Call], *, about: Callable[[int], str]) -> list[Any]:
        """Make calls in one batch and return their results in the calls' order; none is null.

        Args:
            calls: At least one.
            about: What the call at a position asks, in words, for errors.

        Raises:
            RefusedError: The server answered the batch, or a call of it, with an error.
            SourceMismatchError: A result is null, or the answers are not one for each call.
            SourceUnavailableError: No full answer.
        """
        numbers = self._numbers(len(calls))
        whole = f"a batch of {len(calls)} calls from {about(0)}"
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in zip(numbers, calls, strict=True)
        ]
        answers = await self._post(body, requests=len(calls), about=whole)
        if isinstance(answers, dict) and answers.get("error") is not None:
            raise self._refused(answers["error"], whole)
        if not isinstance(answers, list):
            raise self._wrong("a batch was not answered with a list", whole)
        found = self._by_number(answers, numbers, whole)
        if missing := [position for position, number in enumerate(numbers) if number not in found]:
            raise self._wrong(f"{len(missing)} of {len(calls)} calls were not answered, the first one is {about(missing[0])}", whole)
        good = [found[number] for number in numbers]
        for position, answer in enumerate(good):
            if answer.get("error") is not None or answer.get("result") is None:
                self._result(answer, about(position))
        return [answer["result"] for answer in good]

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
                raise self._wrong(f"an answer has the id {str(number)[:_SHOWN]!r}, which was not asked", about)
            if number in found:
                raise self._wrong(f"two answers have the id {number}", about)
            found[number] = answer
        return found

    async def _post(self, body: object, *, requests: int, about: str) -> Any:
        if self._session is None:
            raise RuntimeError("the client is not open")
        async with self._slots:
            data = msgspec.json.encode(body)
            await self._pacer.wait(requests)
            try:
                async with self._session.post(self._url, data=data, allow_redirects=False) as response:
                    status, content = response.status, await response.read()
            except TimeoutError:
                raise self._unavailable(f"it did not answer within {self._source.timeout_seconds} s", about) from None
            except (aiohttp.ClientError, OSError) as error:
                raise self._unavailable(f"the connection failed ({type(error).__name__})", about) from None
        if status != _HTTP_OK:
            raise self._status_error(status, about)
        try:
            return msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError):
            raise self._unavailable(f"the answer is cut off or is not JSON ({len(content)} bytes)", about) from None

    def _result(self, answer: dict[str, Any], about: str) -> Any:
        if answer.get("error") is not None:
            raise self._refused(answer["error"], about)
        if answer.get("result") is None:
            raise self._wrong("the answer has no result", about)
        return answer["result"]

    def _refused(self, error: object, about: str) -> AssayError:
        code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, error)
        words = self._scrubbed(str(message))[:_SHOWN]
        if code in _PASSING_CODES:
            return self._unavailable(f"it answered with error {code}: {words}", about)
        refused = RefusedError(
            f"it answered with error {str(code)[:_SHOWN]}: {words}",
            subject=self._subject(about),
            next_step="check that the node is synchronised, keeps the state of the snapshot block and accepts batches of this size",
        )
        refused.code = code if isinstance(code, int) else None
        return refused

    def _status_error(self, status: int, about: str) -> AssayError:
        if status in _HTTP_PASSING or status >= 500:  # noqa: PLR2004  (server errors start there)
            return self._unavailable(f"it answered with HTTP status {status}", about)
        return ConfigError(
            f"it answered with HTTP status {status}",
            subject=self._subject(about),
            next_step="check address and credentials in the source's Airflow Connection, and its batch_size",
        )

    def _unavailable(self, problem: str, about: str) -> SourceUnavailableError:
        return SourceUnavailableError(
            problem,
            subject=self._subject(about),
            next_step="run the task again later, or lower the source's batch_size, concurrency or requests_per_second",
        )

    def _wrong(self, problem: str, about: str) -> SourceMismatchError:
        return SourceMismatchError(
            problem, subject=self._subject(about), next_step="check the server, or take the source out of the registry"
        )

    def _subject(self, about: str) -> str:
        return f"source {self._source.name}, {about}"

    def _scrubbed(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def _is(number: object, expected: int) -> bool:
    return type(number) is int and number == expected  # True == 1, and neither is an id that was asked


def _secrets(url: str) -> list[str]:
    """Return what must not be shown of an address: as a whole and each part of it, longest first."""
    parts = urlsplit(url)
    pieces = {url, parts.netloc, parts.path, parts.query, parts.username or "", parts.password or "", parts.hostname or ""}
    pieces |= set(parts.path.split("/")) | set(parts.query.replace("=", "&").split("&"))
    pieces |= {unquote(piece) for piece in pieces}
    return sorted((piece for piece in pieces if len(piece) >= _SECRET), key=len, reverse=True)
