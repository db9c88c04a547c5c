"""Who may pass, and how often: every request's token, and every proof's user."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import secrets
import time
from collections.abc import Callable

from starlette.requests import Request

from assay.errors import ConfigError
from assay.proof_service.access import Access, AccessList
from assay.proof_service.answers import Refusal, unavailable
from assay.proof_service.limits import Buckets

__all__ = ["Gate"]

log = logging.getLogger("assay.proof_service")


class Gate:
    """Who may pass, and how often.

    Args:
        access: The access in force.
        clock: Seconds that never go backwards.
    """

    def __init__(self, access: AccessList, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._tokens = Buckets(clock=clock)
        self._users = Buckets(clock=clock)
        self._failures = Buckets(clock=clock)
        self._key = secrets.token_bytes(32)

    async def access(self) -> Access:
        """Return the access in force.

        Raises:
            Refusal: It cannot be read, or lets nobody in.
        """
        try:
            return await self._access.current()
        except ConfigError:
            raise unavailable() from None

    async def pass_token(self, request: Request) -> None:
        """Find out whose token a request carries, and note its name as `request.state.token`.

        Whoever has a valid one passes, however many others failed from the same address: behind a proxy all callers may share one.

        Raises:
            Refusal: It has none of ours, or comes too often.
        """
        access = await self.access()
        token = access.token_of(request.headers.getlist("authorization"))
        if token is None:
            address = _address(request)
            if wait := self._failures.take(address, access.limits.failures):
                raise Refusal(429, "too many requests without a valid token", "wait, and send a valid token", retry_after=wait)
            log.warning("a request from %s carried no valid token", address)
            raise Refusal(
                401,
                "the request carries no valid token",
                "send the header Authorization: Bearer, with a token that this service's operator gave out",
                headers={"WWW-Authenticate": 'Bearer realm="inclusion proofs"'},
            )
        if wait := self._tokens.take(token, access.limits.token):
            raise Refusal(429, "too many requests with this token", "wait, and ask less often", retry_after=wait)
        request.state.token = token

    async def pass_user(self, user_id: str) -> None:
        """Count a request for a user; only a keyed hash of the id is kept.

        Raises:
            Refusal: The user is asked for too often.
        """
        key = hashlib.blake2b(user_id.encode(), key=self._key, digest_size=16).digest()
        if wait := self._users.take(key, (await self.access()).limits.user):
            raise Refusal(
                429, "too many requests for this user", "wait; a proof does not change, so keep the one you have", retry_after=wait
            )


def _address(request: Request) -> str:
    """Return what stands for the caller's address: of IPv6 the network of 64 bits, because one caller has all of it."""
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return "an unknown address"
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)
