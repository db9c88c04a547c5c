"""HTTP for readers: bounded concurrency and size, JSON with exact numbers, and answers that are whole or an error.

aiohttp rather than httpx: httpx logs every request's address, key included, at the level that task logs keep. No text
of an error here holds the server's address, and causes are cut off (`from None`) because theirs may. Nothing is retried here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit
from urllib.request import getproxies

import aiohttp
import msgspec

from assay.chains.answers import AnswerError
from assay.chains.evidence import TAPE, tape_of
from assay.chains.health import Meter
from assay.chains.interface import Archive
from assay.chains.pacing import Pacer
from assay.config import Source
from assay.errors import AssayError, ConfigError, SourceBehindError, SourceMismatchError, SourceUnavailableError

T = TypeVar("T")

HTTP_OK = 200
HTTP_NOT_FOUND = 404
_HTTP_PASSING = frozenset({408, 425, 429})
_SCHEMES = frozenset({"http", "https"})
_SHOWN = 200  # characters of a server's own words in an error
_SECRET = 6  # a part of the address shorter than this is no key, and blanking it would garble ordinary words
_LARGEST_ANSWER = 256 << 20  # bytes

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class HttpClient:
    """A client of one server; an async context manager.

    Args:
        source: Name, timeout, concurrency and rate.
        url: Address with credentials, or a tape (`evidence.py`); it never gets into an error. What stands behind a `#` is never part of
            what is asked for: `name=value` pairs there are sent as headers, where a provider takes its key in one.
        meter: Counts what is sent.
    """

    def __init__(self, source: Source, url: str, meter: Meter | None = None) -> None:
        self.source = source
        self.tape = tape_of(url)
        self._url, _, headers = url.partition("#")
        self._parts = server_address(source, self._url)
        self._headers = dict(parse_qsl(headers))
        self._secrets = _secrets(url)
        self._meter = meter or Meter()
        self._pacer = Pacer(source.task_requests_per_second)
        self._slots = asyncio.Semaphore(source.concurrency)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        if self.tape is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self.source.timeout_seconds),
                headers={"content-type": "application/json", **self._headers},
                trust_env=bool(getproxies()),  # only then, because aiohttp also reads ~/.netrc for each request
            )
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._session:
            await self._session.close()

    async def exchange(
        self,
        verb: str,
        path: str,
        *,
        about: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        requests: int = 1,
        accept: Collection[int] = (HTTP_OK,),
    ) -> tuple[int, Any]:
        """Send one request and return status and parsed JSON; fractions come as `Decimal`.

        Args:
            verb: `GET` or `POST`.
            path: Below the source's address, beginning with a slash; empty for the address itself.
            about: What is asked, in words, for errors.
            query: Parameters of the address.
            body: Sent as JSON; None for nothing.
            requests: How many calls it counts as.
            accept: Status codes that are answers; some APIs say "no such account" with 404.

        Raises:
            SourceUnavailableError: No full answer: not reached, timed out, throttled, cut off, over-long or not JSON.
            ConfigError: Any other status code.
        """
        if self._session is None:
            raise RuntimeError("the client is not open")
        async with self._slots:
            data = None if body is None else msgspec.json.encode(body)
            await self._pacer.wait(requests)
            try:
                with self._meter.exchange(requests):
                    status, content = await self._send(self._session, verb, path, query, data, about)
                    if status not in accept:
                        raise self._status_error(status, about)
                    return status, _DECODER.decode(content)
            except TimeoutError:
                raise self.unavailable(f"it did not answer within {self.source.timeout_seconds} s", about) from None
            except aiohttp.ClientConnectorError as error:
                raise self._unreachable(error, about) from None
            except aiohttp.InvalidURL:
                raise ConfigError(
                    "its address cannot be read as one",
                    subject=self.subject(about),
                    next_step=f"correct the Airflow Connection {self.source.connection}",
                ) from None
            except (aiohttp.ClientError, OSError) as error:
                step = f"schema and port in the Airflow Connection {self.source.connection} and the server's log, or lower the source's batch_size"
                raise self.unavailable(f"the connection failed ({type(error).__name__})", about, f"check {step}") from None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise self._unreadable(content, about) from None

    async def _send(
        self, session: aiohttp.ClientSession, verb: str, path: str, query: Mapping[str, str] | None, data: bytes | None, about: str
    ) -> tuple[int, bytes]:
        # A key may stand in the query of the source's address, which goes behind the path; a POST may have a query of its own in its path.
        path, _, inside = path.partition("?")
        query = {**dict(parse_qsl(inside)), **(query or {})}
        address = urlunsplit(self._parts._replace(path=self._parts.path.rstrip("/") + path)) if path else self._url
        async with session.request(verb, address, params=query, data=data, allow_redirects=False) as response:
            pieces, size = [], 0
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > _LARGEST_ANSWER:
                    raise self.unavailable(f"the answer is longer than {_LARGEST_ANSWER >> 20} MiB", about)
                pieces.append(piece)
            return response.status, b"".join(pieces)

    def _status_error(self, status: int, about: str) -> AssayError:
        if status in _HTTP_PASSING or status >= 500:  # noqa: PLR2004  (server errors start there)
            return self.unavailable(f"it answered with HTTP status {status}", about)
        known = next((meant for meant in HTTPStatus if meant == status), None)
        words = f"HTTP status {status}" + (f" ({known.phrase})" if known else "")
        name = f"the Airflow Connection {self.source.connection}"
        match status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                step = (
                    f"correct login, password, path or headers in {name}, wherever the server takes its key; or have it let this machine in"
                )
            case HTTPStatus.NOT_FOUND:
                step = f"correct the path in the extra of {name}; the server answers, and has nothing at that address"
            case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                step = "lower the source's batch_size in chains.toml"
            case _ if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
                step = f"correct schema, host or path in {name}: the server points to another address, and it is not followed there"
            case _:
                step = f"check address and credentials in {name}, and the source's batch_size"
        return ConfigError(f"it answered with {words}", subject=self.subject(about), next_step=step)

    def _unreadable(self, content: bytes, about: str) -> SourceUnavailableError:
        if content.lstrip()[:1] == b"<":
            step = (
                f"correct host, port or path in the Airflow Connection {self.source.connection} if it stays so; a proxy may be in between"
            )
            return self.unavailable(f"the answer is a web page or XML, and not JSON ({len(content)} bytes)", about, step)
        return self.unavailable(f"the answer is cut off or is not JSON ({len(content)} bytes)", about)

    def unavailable(self, problem: str, about: str, next_step: str = "") -> SourceUnavailableError:
        """Return the error of an answer that may come later."""
        lower = "run the task again later, or lower the source's batch_size, concurrency or requests_per_second"
        return SourceUnavailableError(problem, subject=self.subject(about), next_step=next_step or lower)

    def _unreachable(self, error: aiohttp.ClientConnectorError, about: str) -> SourceUnavailableError:
        """Say what kept a connection from coming about; none of it has to do with how much was asked for."""
        name = f"the Airflow Connection {self.source.connection}"
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            problem, step = "its host name is not known here", f"correct the host in {name}, or wait until name resolution works again"
        elif isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
            problem, step = (
                "it cannot be spoken to by TLS, or its certificate is not accepted",
                f"correct schema and port in {name}, or the server's certificate",
            )
        else:
            problem = f"it cannot be reached ({type(error.os_error).__name__})"
            step = f"start it if it is not running, or correct host and port in {name}; Airflow tries again by itself"
        return SourceUnavailableError(problem, subject=self.subject(about), next_step=step)

    def wrong(self, problem: str, about: str) -> SourceMismatchError:
        """Return the error of an answer that cannot be right."""
        return SourceMismatchError(
            problem, subject=self.subject(about), next_step="check the server, or take the source out of the registry"
        )

    def behind(self, problem: str, *, of: str = "the snapshot block") -> SourceBehindError:
        """Return the error of a server that has not come as far as the snapshot block, or not past `as_of`."""
        return SourceBehindError(
            f"it is behind {of}: {problem}",
            subject=self.subject("snapshot block"),
            next_step="wait until the node has caught up and its next blocks are final",
        )

    def parsed(self, parse: Callable[[Any], T], answer: object, about: str) -> T:
        """Read an answer.

        Raises:
            SourceMismatchError: It cannot be read.
        """
        try:
            return parse(answer)
        except AnswerError as error:
            raise self.wrong(self.scrubbed(str(error)), about) from error

    def subject(self, about: str) -> str:
        """Return what errors are about."""
        return f"source {self.source.name}, {about}"

    def scrubbed(self, text: str) -> str:
        """Return a server's own words without any part of its address, cut to what an error can show."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
            # Whoever cut the text may have cut a key in two.
            for length in range(len(secret) - 1, _SECRET, -1):
                if text.endswith(secret[:length]):
                    text = text[:-length] + "…"
        return text[:_SHOWN]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer of a REST API.

    Attributes:
        method: As archived: `GET /v1/accounts/0x1`.
        params: As archived: the query, or the body of a POST.
        status: HTTP status.
        body: Parsed JSON.
    """

    method: str
    params: Any
    status: int
    body: Any

    def record(self, archive: Archive) -> str:
        """Archive the exchange and return its SHA-256 in hexadecimal."""
        return archive.record(self.method, self.params, {"status": self.status, "body": self.body})


class Rest(HttpClient):
    """A client of a REST API that speaks JSON."""

    async def get(self, path: str, *, about: str, query: Mapping[str, str] | None = None, accept: Collection[int] = (HTTP_OK,)) -> Reply:
        """Fetch; `path` is below the source's address. Raises like `HttpClient.exchange`."""
        return await self._ask("GET", path, dict(query or {}), accept, about)

    async def post(self, path: str, body: object, *, about: str, accept: Collection[int] = (HTTP_OK,)) -> Reply:
        """Post JSON and return the answer. Raises like `HttpClient.exchange`."""
        return await self._ask("POST", path, body, accept, about)

    async def _ask(self, verb: str, path: str, params: Any, accept: Collection[int], about: str) -> Reply:
        method = f"{verb} {path}"
        if self.tape is not None:
            taped = self.tape.answer(method, params)
            return Reply(method=method, params=params, status=taped["status"], body=taped["body"])
        sent = {"query": params} if verb == "GET" else {"body": params}
        status, body = await self.exchange(verb, path, about=about, accept=accept, **sent)
        return Reply(method=method, params=params, status=status, body=body)


def server_address(source: Source, url: str) -> SplitResult:
    """Take an address apart; one that cannot be one is known now, and no later try makes it another. That of a tape is taken as it is.

    Raises:
        ConfigError: It is none; it is not repeated, because it may hold a key.
    """
    try:
        parts = urlsplit(url)
        usable = url.startswith(TAPE) or bool(parts.scheme in _SCHEMES and parts.hostname and (parts.port is None or parts.port > 0))
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            "its address is neither http://host[:port][/path] nor https://host[:port][/path]",
            subject=f"source {source.name}",
            next_step=f"correct host, port and schema of the Airflow Connection {source.connection}",
        )
    return parts


def segment(text: str) -> str:
    """Return a text as one segment of a path: an address never changes what is asked."""
    return quote(text, safe="")


def _secrets(url: str) -> list[str]:
    """Return what must not be shown of an address: as a whole and each part of it, longest first."""
    parts = urlsplit(url)
    pieces = {url, parts.netloc, parts.path, parts.query, parts.username or "", parts.password or "", parts.hostname or ""}
    for text in (parts.query, parts.fragment):
        pieces |= {text, *text.replace("=", "&").split("&")}
    pieces |= set(parts.path.split("/"))
    pieces |= {unquote(piece) for piece in pieces}
    return sorted((piece for piece in pieces if len(piece) >= _SECRET), key=len, reverse=True)
