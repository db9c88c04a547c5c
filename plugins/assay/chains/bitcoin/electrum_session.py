"""A client's side of the Electrum protocol: JSON-RPC batches, one per line, over TCP or TLS.

Own code of a page, because the protocol's usual client library adapts its own sending rate, bounds replies at a
megabyte and waits for its time-out where a reply is malformed. Here a source is driven as hard as it is configured to
be and no harder, and a connection that said one wrong thing is at its end: every call under way on it fails at once.
There are no retries. Protocol: https://electrum-protocol.readthedocs.io.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import re
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

import msgspec

from assay.chains.evidence import TAPE, tape_of
from assay.chains.health import Meter
from assay.chains.pacing import Pacer, gather
from assay.config import Source
from assay.errors import AssayError, ConfigError, SourceMismatchError, SourceUnavailableError

Call = tuple[str, Sequence[object]]
"""A method and its parameters."""

_LINE_LIMIT = 256 << 20
_FILLER: Call = ("blockchain.block.headers", [0, 8])
_FILLED_UP_TO = 32
# ElectrumX hides the size of what it says: it holds a reply of under a kilobyte back for up to a second, unless more
# follows (`PaddedRSTransport`). A small batch therefore asks for a kilobyte of headers as well, which nobody reads.

_CLIENT_NAME = "assay"
_GREETING = "server.version"
_PROTOCOLS = ["1.4", "1.6"]
_SHOWN = 200

# Of JSON-RPC 2.0 and of the servers (ElectrumX, Fulcrum): no such method or parameters, and "bad request". The same call will not succeed later.
# Everything else may: throttling ("excessive resource usage", "server busy"), trouble with the node behind the server.
_LASTING_CODES = frozenset({1, -32600, -32601, -32602})
_MISSING = re.compile(r"no such mempool or blockchain transaction|pruned", re.IGNORECASE)  # what the node behind the server says
_TOO_LARGE = re.compile(
    r"response too large|history.*(too (large|long|many)|exceed)|(too (large|long|many)|exceed).*history", re.IGNORECASE
)
_DECODER = msgspec.json.Decoder(float_hook=Decimal)  # strict: NaN is no JSON
_STRIDE = 1_000_000  # more than any batch has requests: a reply's number over it is its batch's
_FINGERPRINT = "[0-9a-fA-F]{64}"


class ElectrumSession:
    """One connection to an Electrum server.

    Args:
        source: Batch size, concurrency, rate and time-out.
        url: `tcp://host:port`, or `ssl://host:port` with a certificate that the system trusts, or
            `ssl://host:port/<SHA-256 of the server's certificate in hex>`: most public servers sign their own. Or a tape (`evidence.py`).

    Raises:
        ConfigError: The address is not of one of the known forms.
    """

    def __init__(self, source: Source, url: str, meter: Meter | None = None) -> None:
        self._source = source
        self._meter = meter or Meter()
        self._tape = tape_of(url)
        self._address = server_address(source, url)
        self._pacer = Pacer(source.task_requests_per_second)
        self._places = asyncio.Semaphore(source.concurrency)
        self._batches = itertools.count()
        self._waiting: dict[int, asyncio.Future[list[dict[str, Any]]]] = {}
        self._failure: AssayError | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and agree on a protocol version.

        Raises:
            SourceUnavailableError: No connection, or no answer.
        """
        if self._tape is not None:
            return
        address = self._address
        fingerprint = address.path.removeprefix("/")
        try:
            async with asyncio.timeout(self._source.timeout_seconds):
                reader, self._writer = await asyncio.open_connection(
                    address.hostname, address.port, ssl=_tls(fingerprint) if address.scheme == "ssl" else None, limit=_LINE_LIMIT
                )
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from None
        if fingerprint and (certificate := self._certificate()) != fingerprint.lower():
            await self.close()
            raise self._unavailable(f"its certificate's SHA-256 is {certificate}, and another one is configured")
        self._listener = asyncio.create_task(self._listen(reader))
        await self.call_batch([(_GREETING, [_CLIENT_NAME, _PROTOCOLS])])

    async def close(self) -> None:
        """End the connection; a second call does nothing."""
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        if self._writer is not None:
            self._writer.close()
            with suppress(OSError):
                await self._writer.wait_closed()
            self._writer = None

    async def call_many(self, calls: Sequence[Call]) -> list[Any]:
        """Return the results of calls, in their order.

        Raises:
            SourceUnavailableError: Timed out, throttled, cut off or malformed; nothing is returned of the rest.
            SourceMismatchError: Refused for good: a history larger than the server gives away, or a call that it does not know.
        """
        size = self._source.batch_size
        pieces = [calls[start : start + size] for start in range(0, len(calls), size)]
        return [result for results in await gather([self.call_batch(piece) for piece in pieces]) for result in results]

    async def call_batch(self, calls: Sequence[Call]) -> list[Any]:
        """Return the results of one batch, once a place for it is free. Raises like `call_many`."""
        if self._tape is not None:
            return [self._tape.answer(method, params) for method, params in calls]
        asked = len(calls)
        if asked < min(_FILLED_UP_TO, self._source.batch_size) and calls[0][0] != _GREETING:
            calls = [*calls, _FILLER]
        async with self._places:
            await self._pacer.wait(len(calls))
            batch = next(self._batches)
            numbers = list(range(batch * _STRIDE, batch * _STRIDE + len(calls)))
            message = [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                for number, (method, params) in zip(numbers, calls, strict=True)
            ]
            try:
                with self._meter.exchange(len(calls)):
                    async with asyncio.timeout(self._source.timeout_seconds):
                        replies = await self._exchange(batch, json.dumps(message, separators=(",", ":")).encode() + b"\n")
            except TimeoutError:
                self._fail(f"no answer to {calls[0][0]} in {self._source.timeout_seconds} s")
        if [reply.get("id") for reply in replies] != numbers:
            replies = self._in_order(replies, numbers)
        for reply, (method, _) in zip(replies, calls, strict=True):
            if reply.get("error") is not None or "result" not in reply:
                self._refuse_error(method, reply.get("error"))
        return [reply["result"] for reply in replies[:asked]]

    async def _exchange(self, batch: int, message: bytes) -> list[dict[str, Any]]:
        if self._failure is not None:
            raise self._failure
        if self._writer is None:
            raise self._unavailable("the connection is closed")
        future: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()
        self._waiting[batch] = future
        try:
            self._writer.write(message)
            await self._writer.drain()
            return await future
        except OSError as error:
            self._fail(f"the connection broke ({type(error).__name__})")
        finally:
            self._waiting.pop(batch, None)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Hand each reply to the call that waits for it, until something is wrong; then nobody waits any longer."""
        problem = "it closed the connection"
        failure: AssayError | None = None
        try:
            while line := await reader.readline():
                if not line.endswith(b"\n"):
                    problem = "it closed the connection in the middle of a reply"
                    break
                self._dispatch(_DECODER.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            problem = "a reply is not JSON: it was cut off or garbled"
        except ValueError:
            problem = f"a reply is longer than {_LINE_LIMIT >> 20} MiB"
        except OSError as error:
            problem = f"the connection broke ({type(error).__name__})"
        except AssayError as error:
            failure = error
        self._failure = failure or self._unavailable(problem)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._failure)

    def _dispatch(self, reply: Any) -> None:
        if isinstance(reply, dict) and "method" in reply:
            return  # a notification, such as of a new block
        if isinstance(reply, dict) and reply.get("error") is not None:
            self._refuse_error("a batch", reply["error"])
        if not isinstance(reply, list) or not all(isinstance(item, dict) and type(item.get("id")) is int for item in reply) or not reply:
            raise self._unavailable("a reply has not the form of one")
        future = self._waiting.get(reply[0]["id"] // _STRIDE)
        if future is None or future.done():
            raise self._unavailable("a reply answers no question")
        future.set_result(reply)

    def _in_order(self, replies: list[dict[str, Any]], numbers: list[int]) -> list[dict[str, Any]]:
        by_number = {reply["id"]: reply for reply in replies}
        if len(replies) != len(numbers) or set(by_number) != set(numbers):
            raise self._unavailable(f"it answered {len(set(by_number) & set(numbers))} of {len(numbers)} requests of a batch")
        return [by_number[number] for number in numbers]

    def _refuse_error(self, method: str, error: object) -> NoReturn:
        text = str(error.get("message") if isinstance(error, dict) else error)
        problem = f"it refuses {method}: {text[:_SHOWN]!r}"
        if _TOO_LARGE.search(text):
            raise self._refused(
                problem,
                "raise the server's limit on replies (ElectrumX: MAX_SEND) or lower the source's batch_size, or read through Bitcoin Core "
                "or a UTXO-set file",
            )
        code = error.get("code") if isinstance(error, dict) else None
        if _MISSING.search(text) or (type(code) is int and code in _LASTING_CODES):
            raise self._refused(
                problem, "check that the server and its node keep all blocks and transactions, and that it speaks protocol 1.4 or later"
            )
        raise self._unavailable(problem)

    def _refused(self, problem: str, next_step: str) -> SourceMismatchError:
        return SourceMismatchError(problem, subject=f"source {self._source.name}", next_step=next_step)

    def _fail(self, problem: str) -> NoReturn:
        """End the session: what comes after an unanswered batch could be taken for its answer."""
        self._failure = self._failure or self._unavailable(problem)
        raise self._failure

    def _unreachable(self, error: OSError) -> SourceUnavailableError:
        """Say what kept a connection from coming about; not in the error's own text, which names the server."""
        name = f"the Airflow Connection {self._source.connection}"
        if isinstance(error, socket.gaierror):
            problem, step = (
                "it cannot be reached: its host name is not known here",
                f"correct the host in {name}, or wait until name resolution works again",
            )
        elif isinstance(error, ssl.SSLCertVerificationError):
            problem = "it cannot be reached: its certificate is not one that this system trusts"
            step = f"if the server signs its own, give the certificate's SHA-256 as path in the extra of {name}"
        elif isinstance(error, ssl.SSLError):
            problem, step = "it cannot be reached: it does not speak TLS there", f"correct schema and port in {name}"
        elif isinstance(error, TimeoutError):
            problem = f"it cannot be reached: no connection in {self._source.timeout_seconds} s"
            step = f"start it if it is not running, or correct host, port and schema in {name}"
        else:
            problem = f"it cannot be reached ({type(error).__name__})"
            step = f"start it if it is not running, or correct host and port in {name}; Airflow tries again by itself"
        return SourceUnavailableError(problem, subject=f"source {self._source.name}", next_step=step)

    def _unavailable(self, problem: str) -> SourceUnavailableError:
        return SourceUnavailableError(
            problem,
            subject=f"source {self._source.name}",
            next_step="wait for the next try; if it stays so, lower the source's batch_size, concurrency or requests_per_second, or replace it",
        )

    def _certificate(self) -> str:
        channel = self._writer.get_extra_info("ssl_object") if self._writer else None
        return hashlib.sha256(channel.getpeercert(binary_form=True)).hexdigest() if channel else ""


def server_address(source: Source, url: str) -> SplitResult:
    """Take an address apart; that of a tape is taken as it is.

    Raises:
        ConfigError: It is not of one of the known forms; it is not repeated.
    """
    pinned = ""
    try:
        address = urlsplit(url)
        pinned = address.path.removeprefix("/")
        usable = url.startswith(TAPE) or bool(address.scheme in {"tcp", "ssl"} and address.hostname and address.port)
    except ValueError:
        usable = False
    if not usable or (pinned and not url.startswith(TAPE) and (address.scheme != "ssl" or not re.fullmatch(_FINGERPRINT, pinned))):
        raise ConfigError(
            "its address is neither tcp://host:port nor ssl://host:port[/certificate's SHA-256]",
            subject=f"source {source.name}",
            next_step=f"correct host, port and schema of the Airflow Connection {source.connection}",
        )
    return address


def _tls(fingerprint: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if fingerprint:
        # The certificate itself is compared after the handshake, which says more than a name signed by somebody.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
