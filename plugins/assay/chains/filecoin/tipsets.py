"""Filecoin's tipsets in Lotus's JSON form, checked against the chain's clock.

A tipset is the set of blocks of one height (an *epoch* of 30 seconds); a height without blocks (a *null round*) has none. Its key is
the list of its blocks' CIDs. Forms: https://docs.filecoin.io/reference/json-rpc/chain; time: every block carries exactly
the time of the first block plus 30 s for each epoch (https://docs.filecoin.io/basics/the-blockchain/blocks-and-tipsets).
The CIDs are taken from the source: recomputing them needs the blocks' CBOR, and each tipset names its parents' CIDs anyway.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from assay.chains.answers import AnswerError

EPOCH_SECONDS = 30

_CID = re.compile(r"[a-z0-9]{10,120}", re.ASCII)
Key = list[dict[str, str]]
"""A tipset key as calls and answers hold it: `[{"/": "bafy…"}, …]`."""


@dataclass(frozen=True, kw_only=True)
class Tipset:
    """What is needed of a tipset.

    Attributes:
        height: Its epoch.
        hash: Its key as one text: the CIDs with commas between them.
        parents: The key of the tipset before it, likewise.
        time: Seconds since 1970 in UTC.
        raw: The source's answer.
    """

    height: int
    hash: str
    parents: str
    time: int
    raw: dict[str, Any]


def parse_tipset(raw: Any) -> Tipset:
    """Read a tipset.

    Raises:
        AnswerError: It is not one, or its blocks disagree on height, time or parents.
    """
    try:
        height, blocks, key = raw["Height"], raw["Blocks"], raw["Cids"]
        seen = {(block["Height"], block["Timestamp"], text_of(block["Parents"])) for block in blocks}
    except (TypeError, KeyError) as error:
        raise AnswerError("the answer is not a tipset") from error
    if not isinstance(blocks, list) or not isinstance(key, list) or not blocks or len(blocks) != len(key):
        raise AnswerError("the tipset has not one block for each of its CIDs")
    if len(seen) != 1:
        raise AnswerError("the tipset's blocks differ in height, time or parents")
    ((own, time, parents),) = seen
    if type(height) is not int or type(time) is not int or own != height or height < 0:
        raise AnswerError("the tipset's height or time is not one")
    return Tipset(height=height, hash=text_of(key), parents=parents, time=time, raw=raw)


def text_of(key: Any) -> str:
    """Write a key as one text.

    Raises:
        AnswerError: It is not a key.
    """
    try:
        cids = [item["/"] for item in key] if isinstance(key, list) else [""]
    except (TypeError, KeyError) as error:
        raise AnswerError("a tipset key is not a list of CIDs") from error
    if not all(isinstance(cid, str) and _CID.fullmatch(cid) for cid in cids) or len(set(cids)) != len(cids):
        raise AnswerError("a tipset key is not a list of CIDs")
    return ",".join(cids)


def key_of(text: str) -> Key:
    """Return the key that `text_of` wrote."""
    return [{"/": cid} for cid in text.split(",")]
