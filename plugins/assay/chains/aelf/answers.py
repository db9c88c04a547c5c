"""What an aelf node's Web API answers, checked: the chain's status, and blocks.

Forms of replies: `ChainStatusDto` and `BlockDto` of https://github.com/AElfProject/AElf, `src/AElf.WebApp.Application.Chain/Dto`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from assay.chains.answers import AnswerError
from assay.chains.search import Header

_DECIMALS = 7
TICKS: int = 10**_DECIMALS
"""In a second: times come with seven decimals, and are compared with all of them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?Z", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Status:
    """What `chainStatus` says.

    Attributes:
        chain: `AELF`, `tDVV`.
        genesis: Hash of the first block.
        best: Height of the best chain's newest block, whose state views are executed on.
        best_hash: Its hash.
        final: Height of the last irreversible block.
        final_hash: Its hash.
    """

    chain: str
    genesis: str
    best: int
    best_hash: str
    final: int
    final_hash: str


def parse_status(body: Any) -> Status:
    """Read `chainStatus`.

    Raises:
        AnswerError: It is not one.
    """
    if not isinstance(body, dict):
        raise AnswerError("the answer is not a chain's status")
    status = Status(
        chain=str(body.get("ChainId")),
        genesis=_hash(body.get("GenesisBlockHash")),
        best=_height(body.get("BestChainHeight")),
        best_hash=_hash(body.get("BestChainHash")),
        final=_height(body.get("LastIrreversibleBlockHeight")),
        final_hash=_hash(body.get("LastIrreversibleBlockHash")),
    )
    if status.final > status.best:
        raise AnswerError(f"its last irreversible block, {status.final}, is above its best one, {status.best}")
    return status


def parse_block(body: Any, height: int, chain: str) -> Header:
    """Read `blockByHeight`; the header's time is in ticks.

    Raises:
        AnswerError: It is not one, or is of another height or chain.
    """
    header = body.get("Header") if isinstance(body, dict) else None
    if not isinstance(header, dict):
        raise AnswerError("the answer is not a block")
    if (header.get("ChainId"), _height(header.get("Height"))) != (chain, height):
        raise AnswerError(f"block {height} of {chain} was asked and block {header.get('Height')} of {header.get('ChainId')} was given")
    time = ticks_of(header.get("Time"))
    return Header(number=height, hash=_hash(body.get("BlockHash")), parent=_hash(header.get("PreviousBlockHash")), time=time, raw=body)


def ticks_of(value: object) -> int:
    """Read a time as ticks since 1970.

    Raises:
        AnswerError: It is not one.
    """
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise AnswerError(f"{str(value)[:80]!r} is not a time")
    try:
        whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError as error:
        raise AnswerError(f"{value!r} is not a time") from error
    return (whole - _EPOCH) // timedelta(seconds=1) * TICKS + int((match[2] or "").ljust(_DECIMALS, "0"))


def moment_of(ticks: int) -> datetime:
    """Return the moment of ticks since 1970, rounded down to microseconds."""
    return _EPOCH + timedelta(microseconds=ticks // 10)


def _height(value: object) -> int:
    if type(value) is not int or value < 0:
        raise AnswerError(f"{str(value)[:80]!r} is not a height")
    return value


def _hash(value: object) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise AnswerError(f"{str(value)[:80]!r} is not a hash")
    return value
