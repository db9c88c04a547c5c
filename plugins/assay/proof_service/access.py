"""Who may ask, and how often: bearer tokens of which only the SHA-256 digests are known here.

The tokens belong to the exchange's own backend, which has authenticated its user and asks on the user's behalf; each may ask for any user. The
digests and the limits stand in one Airflow Connection, read again every minute, so tokens are changed without a restart.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from assay.connections import connection
from assay.errors import ConfigError
from assay.proof_service.limits import Rate

__all__ = ["CONNECTION", "Access", "AccessList", "Limits", "read_access"]

CONNECTION = "assay_proof_service"
"""The Airflow Connection."""
_MIN_TOKEN = 32
"""Characters. The digest of a shorter one could be inverted by trying."""
_REFRESH_SECONDS = 60
_RETRY_SECONDS = 5
_MAX_LIMIT = 1_000_000
_DIGEST = re.compile("[0-9a-f]{64}")
_NAME = re.compile("[A-Za-z0-9._-]{1,64}")
_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/=-]{1,512})")
_NEXT_STEP = 'set extra to {"token_sha256": {"website": "<SHA-256 of a random token of 32 characters or more, in hexadecimal>"}}'


log = logging.getLogger("assay.proof_service")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How often.

    Attributes:
        requests_per_second: Of one token.
        requests_per_user_and_minute: For one user id, whichever token asks.
        failures_per_address_and_minute: Requests without a valid token from one address that are answered with more than "later".
    """

    requests_per_second: int = 50
    requests_per_user_and_minute: int = 10
    failures_per_address_and_minute: int = 10

    @property
    def token(self) -> Rate:
        """Of one token."""
        return Rate(self.requests_per_second, 1)

    @property
    def user(self) -> Rate:
        """For one user id."""
        return Rate(self.requests_per_user_and_minute, 60)

    @property
    def failures(self) -> Rate:
        """From one address."""
        return Rate(self.failures_per_address_and_minute, 60)


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may ask, and how often.

    Attributes:
        digests: SHA-256 of each token under the name that the log knows it by. At least one.
        limits: How often.
    """

    digests: Mapping[str, bytes]
    limits: Limits = Limits()

    @classmethod
    def parse(cls, extra: Mapping[str, Any]) -> Self:
        """Read what the Connection's `extra` says.

        Raises:
            ConfigError: There is no token, or something is malformed. Nothing of the content is repeated.
        """
        digests = extra.get("token_sha256")
        if not isinstance(digests, dict) or not digests:
            raise _malformed("it holds no token's digest, and without one everybody would be refused")
        if unknown := extra.keys() - {"token_sha256", "limits"}:
            raise _malformed(f"extra has {len(unknown)} more members than token_sha256 and limits")
        for name, digest in digests.items():
            if not _NAME.fullmatch(name):
                raise _malformed("a token's name is not 1 to 64 letters, digits, dots, dashes or underscores")
            if not isinstance(digest, str) or not _DIGEST.fullmatch(digest.lower()):
                raise _malformed(f"token_sha256 of {name} is not 64 hexadecimal digits")
        return cls(digests={name: bytes.fromhex(digest) for name, digest in digests.items()}, limits=_limits(extra.get("limits", {})))

    def token_of(self, authorization: list[str]) -> str | None:
        """Return the name of the token in a request's `Authorization` headers; None where it is none of ours.

        What it does, and so the time it takes, depends neither on which digest fits nor on whether there is a header at all.
        """
        match = _BEARER.fullmatch(authorization[0]) if len(authorization) == 1 else None
        token = match[1] if match else ""
        digest = hashlib.sha256(token.encode()).digest()
        found = [name for name, known in self.digests.items() if hmac.compare_digest(known, digest)]
        return found[0] if found and len(token) >= _MIN_TOKEN else None


def _limits(raw: object) -> Limits:
    names = {field.name for field in fields(Limits)}
    if not isinstance(raw, dict) or not raw.keys() <= names:
        raise _malformed(f"limits is not an object of {', '.join(sorted(names))}")
    if not all(type(value) is int and 1 <= value <= _MAX_LIMIT for value in raw.values()):
        raise _malformed(f"a limit is not a whole number from 1 to {_MAX_LIMIT:,}")
    return Limits(**raw)


def _malformed(problem: str) -> ConfigError:
    return ConfigError(problem, subject=f"Airflow Connection {CONNECTION}", next_step=_NEXT_STEP)


def read_access() -> Access:
    """Read the Airflow Connection `assay_proof_service`.

    Raises:
        ConfigError: There is none, or it is malformed.
    """
    return Access.parse(connection(CONNECTION).extra_dejson)


class AccessList:
    """The access in force: read again when it is a minute old, and refused altogether where it cannot be read.

    Args:
        read: Reads it; it may block.
        clock: Seconds that never go backwards.
    """

    def __init__(self, read: Callable[[], Access] = read_access, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._lock = asyncio.Lock()
        self._access: Access | None = None
        self._error: ConfigError | None = None
        self._due = float("-inf")

    async def current(self) -> Access:
        """Return the access in force.

        Raises:
            ConfigError: The Connection cannot be read at present, or lets nobody in.
        """
        if self._clock() >= self._due:
            async with self._lock:
                if self._clock() >= self._due:
                    await self._refresh()
        if self._access is None:
            raise (self._error or _malformed("it was not read yet")).with_traceback(None)
        return self._access

    async def _refresh(self) -> None:
        try:
            self._access, self._error = await asyncio.to_thread(self._read), None
        except ConfigError as error:
            self._access, self._error = None, error
            log.error("nobody is let in: %s", error)  # noqa: TRY400 (its text says all)
        self._due = self._clock() + (_REFRESH_SECONDS if self._access else _RETRY_SECONDS)
