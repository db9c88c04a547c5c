"""What nodeos answers, checked: blocks, accounts and amounts in their exact text form.

An amount is an `asset`: decimal text with exactly the symbol's decimals, a blank and the symbol, as in `1.0000 EOS`
(`libraries/chain/include/eosio/chain/asset.hpp` of https://github.com/AntelopeIO/spring). Forms of replies: the source of the chain API,
https://github.com/AntelopeIO/spring, `plugins/chain_plugin/include/eosio/chain_plugin/chain_plugin.hpp`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from assay.chains.answers import AnswerError
from assay.chains.http import HTTP_OK, Reply
from assay.chains.search import Header

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z?", re.ASCII)
_DIGITS = 60  # of an amount's text; more than 38 are shown to be too many, not cut
_ACCOUNT_QUERY = 3060002  # account_query_exception
_UNSPECIFIED = 0


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """A token of the chain.

    Attributes:
        contract: Account of its contract.
        code: `EOS`.
        decimals: Of every amount's text.
    """

    contract: str
    code: str
    decimals: int

    def amount(self, text: object) -> int:
        """Read an amount in units of the last decimal.

        Raises:
            AnswerError: Not an amount of this symbol with its decimals, or negative.
        """
        pattern = rf"(\d{{1,{_DIGITS}}})\.(\d{{{self.decimals}}}) {self.code}" if self.decimals else rf"(\d{{1,{_DIGITS}}})() {self.code}"
        match = re.fullmatch(pattern, text, re.ASCII) if isinstance(text, str) else None
        if not match:
            raise AnswerError(f"{str(text)[:80]!r} is not an amount of {self.code} with {self.decimals} decimals")
        return int(match[1] + match[2])


@dataclass(frozen=True, kw_only=True)
class Info:
    """What `get_info` says. Times are in milliseconds since 1970.

    Attributes:
        chain_id: Hash of the chain's first state.
        head: Number of the block whose state the node answers from.
        head_time: Its time.
        number: Number of the last irreversible block.
        id: Its id.
        time: Its time.
    """

    chain_id: str
    head: int
    head_time: int
    number: int
    id: str
    time: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """What `get_account` says of the native asset.

    Attributes:
        block: Number of the block that the answer is of.
        time: Its time in milliseconds since 1970.
        liquid: None where the token contract has no row.
        staked: What it staked to itself, and a refund of it under way.
    """

    block: int
    time: int
    liquid: int | None
    staked: int


def time_of(moment: datetime) -> int:
    """Return milliseconds since 1970; blocks come every half second."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment_of(milliseconds: int) -> datetime:
    """Return the moment of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def parse_info(body: Any) -> Info:
    """Read `get_info`.

    Raises:
        AnswerError: It is not one.
    """
    fields = _fields(body, "get_info")
    return Info(
        chain_id=_hash(fields.get("chain_id")),
        head=_integer(fields.get("head_block_num")),
        head_time=_milliseconds(fields.get("head_block_time")),
        number=_integer(fields.get("last_irreversible_block_num")),
        id=_hash(fields.get("last_irreversible_block_id")),
        time=_milliseconds(fields.get("last_irreversible_block_time")),
    )


def parse_block(body: Any, number: int) -> Header:
    """Read `get_block_info`; the header's time is in milliseconds.

    Raises:
        AnswerError: It is not one, is of another height, or its id isn't one of that height (an id begins with the number).
    """
    fields = _fields(body, "a block")
    found, block_id = _integer(fields.get("block_num")), _hash(fields.get("id"))
    if found != number or int(block_id[:8], 16) != number:
        raise AnswerError(f"block {number} was asked and block {found} with the id {block_id} was given")
    return Header(
        number=number, hash=block_id, parent=_hash(fields.get("previous")), time=_milliseconds(fields.get("timestamp")), raw=fields
    )


def parse_account(body: Any, name: str, native: Symbol) -> Account:
    """Read `get_account`.

    Raises:
        AnswerError: It is not one, or of another account.
    """
    fields = _fields(body, "an account")
    if fields.get("account_name") != name:
        raise AnswerError(f"the answer is of the account {str(fields.get('account_name'))[:80]!r}")
    liquid = fields.get("core_liquid_balance")
    staked = _parts(fields, "self_delegated_bandwidth", {"from": name, "to": name}, ("net_weight", "cpu_weight"), native)
    refund = _parts(fields, "refund_request", {"owner": name}, ("net_amount", "cpu_amount"), native)
    return Account(
        block=_integer(fields.get("head_block_num")),
        time=_milliseconds(fields.get("head_block_time")),
        liquid=None if liquid is None else native.amount(liquid),
        staked=staked + refund,
    )


def parse_row(body: Any, symbol: Symbol) -> int | None:
    """Read `get_currency_balance` asked with a symbol: the account's row, None where it has none.

    Raises:
        AnswerError: It is not a list of at most one amount of the symbol.
    """
    if not isinstance(body, list) or len(body) > 1:
        raise AnswerError(f"the answer is not a list of at most one amount of {symbol.code}")
    return symbol.amount(body[0]) if body else None


def parse_stats(body: Any, code: str) -> int | None:
    """Read `get_currency_stats`: a token's decimals as its supply is written, None where the contract has no such token.

    Raises:
        AnswerError: It is not one.
    """
    if body == {}:
        return None
    try:
        supply = body[code]["supply"]
    except (TypeError, KeyError) as error:
        raise AnswerError(f"the answer holds no supply of {code}") from error
    match = re.fullmatch(rf"\d{{1,{_DIGITS}}}(?:\.(\d+))? {code}", supply, re.ASCII) if isinstance(supply, str) else None
    if not match:
        raise AnswerError(f"the supply {str(supply)[:80]!r} is not an amount of {code}")
    return len(match[1] or "")


def error_code(reply: Reply) -> int | None:
    """Return the code of the error that nodeos answered with; None where it is none of its own."""
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if type(code) is int else None


def error_words(reply: Reply) -> str:
    """Return what nodeos said of its error."""
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    first = details[0] if isinstance(details, list) and details else None
    words = first.get("message") if isinstance(first, dict) else None
    return words if isinstance(words, str) else str(error)


def account_is_unknown(reply: Reply, name: str) -> bool:
    """Whether `get_account` was answered with "there is no such key", naming the account.

    Older nodes pass the database's own error on (code 0), newer ones wrap it in an account_query_exception; the words are the same.
    """
    words = error_words(reply)
    return (
        reply.status != HTTP_OK
        and error_code(reply) in (_UNSPECIFIED, _ACCOUNT_QUERY)
        and "unknown key" in words
        and f"(0 {name})" in words
    )


def _parts(fields: dict[str, Any], name: str, owner: dict[str, str], amounts: tuple[str, str], native: Symbol) -> int:
    if name not in fields:
        raise AnswerError(f"the answer has no {name}")
    part = fields[name]
    if part is None:
        return 0
    if not isinstance(part, dict) or any(part.get(key) != value for key, value in owner.items()):
        raise AnswerError(f"its {name} is not the account's own")
    return sum(native.amount(part.get(key)) for key in amounts)


def _fields(body: Any, what: str) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise AnswerError(f"the answer is not {what}")
    return body


def _integer(value: object) -> int:
    if type(value) is not int or value < 0:
        raise AnswerError(f"{str(value)[:80]!r} is not a block number")
    return value


def _hash(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise AnswerError(f"{str(value)[:80]!r} is not an id")
    return value


def _milliseconds(value: object) -> int:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise AnswerError(f"{str(value)[:80]!r} is not a time")
    try:
        return time_of(datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=UTC))
    except ValueError as error:
        raise AnswerError(f"{value!r} is not a time") from error
