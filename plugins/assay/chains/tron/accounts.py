"""What Tron's HTTP API says of accounts and contracts, as numbers.

Forms as described at https://tronprotocol.github.io/documentation-en/api/http/ (`getaccount`, `triggerconstantcontract`) and in
`Tron.proto` of https://github.com/tronprotocol/java-tron (message `Account`): a field that has its default, such as a
balance of zero, is left out of the JSON; an account that does not exist is `{}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import base58

from assay.chains.answers import AnswerError

PREFIX = 0x41
"""First byte of every address of the main network and of its test networks Nile and Shasta."""

_ADDRESS_BYTES = 21
_WORD_DIGITS = 64


class NoFunctionError(AnswerError):
    """The contract refused the call or returned nothing, as it does where it has no such function."""


def decode_address(address: str) -> bytes:
    """Return the 20 bytes that an address (`T…`) stands for on the virtual machine.

    Raises:
        ValueError: Bad checksum, or not an address.
    """
    raw = base58.b58decode_check(address)
    # The library takes blanks at the end.
    if len(raw) != _ADDRESS_BYTES or raw[0] != PREFIX or base58.b58encode_check(raw).decode() != address:
        raise ValueError("it is not an address of Tron")
    return raw[1:]


def owned(account: object, address: str) -> int:
    """Return all TRX in sun that an account owns: free, staked, lent as resources, and on its way out of staking.

    TRX that other accounts lent to this one (`acquired_…`) is theirs, and rewards that were not withdrawn (`allowance`) are
    not the account's yet; neither counts.

    Args:
        account: The answer of `getaccount`, asked with `visible`.
        address: Whose account was asked.

    Raises:
        AnswerError: It is not the account that was asked, or a field is malformed.
    """
    if not isinstance(account, dict):
        raise AnswerError("the answer is not an account")
    if not account:
        return 0  # documented: no such account
    if account.get("address") != address:
        raise AnswerError("the answer is not the account that was asked")
    resource = _object(account, "account_resource")
    amounts = [
        _number(account, "balance"),
        *_each(account, "frozen", "frozen_balance"),
        *_each(account, "frozenV2", "amount"),
        *_each(account, "unfrozenV2", "unfreeze_amount"),
        _number(_object(account, "tron_power"), "frozen_balance"),
        _number(account, "delegated_frozen_balance_for_bandwidth"),
        _number(account, "delegated_frozenV2_balance_for_bandwidth"),
        _number(_object(resource, "frozen_balance_for_energy"), "frozen_balance"),
        _number(resource, "delegated_frozen_balance_for_energy"),
        _number(resource, "delegated_frozenV2_balance_for_energy"),
    ]
    return sum(amounts)


def word(answer: object) -> int:
    """Return the single 32-byte number that a constant call gave.

    Raises:
        NoFunctionError: The contract refused the call or returned nothing.
        AnswerError: There is no contract, the node does not serve such calls, or the answer is another one.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("result"), dict):
        raise AnswerError("the answer is not one to a call")
    result = answer["result"]
    message = str(result.get("message", ""))[:120]
    if result.get("result") is not True or result.get("code") not in (None, "SUCCESS"):
        raise AnswerError(f"the call failed ({str(result.get('code'))[:40]}: {message})")
    transaction = answer.get("transaction")
    statuses = transaction.get("ret", []) if isinstance(transaction, dict) else []
    if not isinstance(statuses, list):
        raise AnswerError("the call has no list of results")
    if message or any(isinstance(status, dict) and status.get("ret") == "FAILED" for status in statuses):
        raise NoFunctionError(f"the contract refused the call ({message})")
    words = answer.get("constant_result")
    if words == [""]:
        raise NoFunctionError("the contract returned nothing")
    if not isinstance(words, list) or len(words) != 1 or not isinstance(words[0], str) or len(words[0]) != _WORD_DIGITS:
        raise AnswerError("the call's result is not one word of 32 bytes")
    try:
        return int.from_bytes(bytes.fromhex(words[0]), "big")
    except ValueError as error:
        raise AnswerError("the call's result is not hexadecimal") from error


def _each(account: Mapping[str, Any], name: str, amount: str) -> Iterable[int]:
    items = account.get(name, [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise AnswerError(f"the account's {name} is not a list")
    return (_number(item, amount) for item in items)


def _object(account: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = account.get(name, {})
    if not isinstance(value, dict):
        raise AnswerError(f"the account's {name} has not the form of one")
    return value


def _number(account: Mapping[str, Any], name: str) -> int:
    value = account.get(name, 0)
    if type(value) is not int or value < 0:
        raise AnswerError(f"the account's {name} is not an amount")
    return value
