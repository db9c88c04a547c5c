"""What the XRP Ledger says of ledgers and accounts, as checked values.

Forms: https://xrpl.org/docs/references/http-websocket-apis/public-api-methods/ledger-methods/ledger, …/account-methods/account_info
and …/account_lines; numbers: https://xrpl.org/docs/references/protocol/data-types/currency-formats.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import base58

from assay.chains.answers import AnswerError
from assay.chains.search import Header

EPOCH = 946_684_800
"""Seconds from 1970 to 2000-01-01T00:00:00Z, from which the ledger counts."""

_HASH = re.compile(r"[0-9A-F]{64}")
_DROPS = re.compile(r"[0-9]{1,60}")
_DECIMAL = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,100})?(?:[eE][+-]?[0-9]{1,3})?")
_STANDARD = re.compile(r"[A-Za-z0-9?!@#$%^&*<>()\[\]{}|]{3}")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{40}")
_NONSTANDARD = re.compile(r"(?!00)[0-9A-Fa-f]{40}")  # those that begin with 00 are standard codes and XRP
_PREFIX = b"LWR\0"
_CLASSIC, _TAGGED = b"\x00", {True: b"\x05\x44", False: b"\x04\x93"}
_ACCOUNT_BYTES, _TAG_BYTES = 20, 9


def parse_ledger(result: Mapping[str, Any], *, number: int | None = None) -> Header:
    """Read and check an answer of `ledger`.

    The hash is recomputed: SHA-512, first half, of the header's fields
    (https://xrpl.org/docs/references/protocol/ledger-data/ledger-header; the order is that of rippled's `calculateLedgerHash`).

    Args:
        result: The answer.
        number: The ledger index that was asked; None for the newest validated ledger.

    Returns:
        The header with its close time in seconds since 1970.

    Raises:
        AnswerError: It is not validated, a field is malformed, it is another ledger, or its hash is not that of its fields.
    """
    ledger = result.get("ledger")
    if result.get("validated") is not True or not isinstance(ledger, dict):
        raise AnswerError("the answer is not a validated ledger")
    index, closed = _integer(ledger, "ledger_index", 4), _integer(ledger, "close_time", 4)
    fields = [
        index.to_bytes(4, "big"),
        _integer(ledger, "total_coins", 8).to_bytes(8, "big"),
        *(bytes.fromhex(_hash(ledger, name)) for name in ("parent_hash", "transaction_hash", "account_hash")),
        _integer(ledger, "parent_close_time", 4).to_bytes(4, "big"),
        closed.to_bytes(4, "big"),
        bytes([_integer(ledger, "close_time_resolution", 1), _integer(ledger, "close_flags", 1)]),
    ]
    if number is not None and index != number:
        raise AnswerError(f"ledger {number} was asked and ledger {index} was given")
    named, computed = _hash(ledger, "ledger_hash"), hashlib.sha512(_PREFIX + b"".join(fields)).hexdigest()[:64].upper()
    if named != computed:
        raise AnswerError(f"ledger {index} has the hash {named} and its fields give {computed}")
    return Header(number=index, hash=named, parent=_hash(ledger, "parent_hash"), time=closed + EPOCH, raw=result)


def check_ledger(result: Mapping[str, Any], wanted: str, *, required: bool = True) -> None:
    """Make sure that an answer is of the validated ledger with the hash that was asked.

    Args:
        result: The answer.
        wanted: The hash.
        required: Whether the answer must name its ledger; Clio's refusals don't.

    Raises:
        AnswerError: It is of another ledger, or of one that is not validated.
    """
    if (required or "validated" in result) and result.get("validated") is not True:
        raise AnswerError("the answer is not of a validated ledger")
    if (required or "ledger_hash" in result) and result.get("ledger_hash") != wanted:
        raise AnswerError(f"the answer is of ledger {str(result.get('ledger_hash'))[:64]} and not of {wanted}")


def drops(result: Mapping[str, Any], account: str) -> int:
    """Return the whole XRP balance of an `account_info` answer, in drops.

    Raises:
        AnswerError: It is another account, or has no balance.
    """
    data = result.get("account_data")
    if not isinstance(data, dict) or data.get("Account") != account:
        raise AnswerError("the answer is not the account that was asked")
    balance = data.get("Balance")
    if not isinstance(balance, str) or not _DROPS.fullmatch(balance):
        raise AnswerError("the account's balance is not a number of drops")
    return int(balance)


def held(lines: Iterable[Mapping[str, Any]], *, issuer: str, currency: str) -> object:
    """Return the balance of the trust line of a currency, as it is written, from all lines to its issuer; `0` where there is none.

    Raises:
        AnswerError: A line is to somebody else, is of no currency, or is listed twice.
    """
    found: dict[str, object] = {}
    for line in lines:
        code = line.get("currency")
        if line.get("account") != issuer or not isinstance(code, str):
            raise AnswerError(f"a trust line is not one to {issuer}")
        # Another currency's line is passed over, and a line of no currency could be the one that is looked for.
        if not _STANDARD.fullmatch(code) and not _HEXADECIMAL.fullmatch(code):
            raise AnswerError("a trust line is of no currency")
        # The case of three characters tells codes apart, that of hexadecimal digits does not.
        name = code.upper() if _NONSTANDARD.fullmatch(code) else code
        if name in found:
            raise AnswerError("a trust line is listed twice")
        found[name] = line.get("balance")
    return found.get(currency, "0")


def token_units(text: object, decimals: int) -> int | None:
    """Return a token amount (a decimal text, perhaps with an exponent) in units of 10^-decimals; None where it is finer than these.

    Raises:
        AnswerError: It is not a number.
    """
    match = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise AnswerError("the balance of a trust line is not a number")
    sign, digits, exponent = Decimal(match.group()).as_tuple()
    significant = int("".join(map(str, digits)))
    shift = int(exponent) + decimals
    power: int = 10 ** abs(shift)
    if shift < 0 and significant % power:
        return None
    units = significant * power if shift >= 0 else significant // power
    return -units if sign else units


def decode_address(address: str, *, main: bool) -> bytes:
    """Return the account that an address stands for: classic (`r…`), or an X-address without a tag.

    Formats: https://xrpl.org/docs/references/protocol/data-types/base58-encodings and https://github.com/XRPLF/XRPL-Standards/issues/6.

    Args:
        address: The text.
        main: Whether it is for the main network; X-addresses of test networks begin with T.

    Raises:
        ValueError: Bad checksum, other network, with a tag, or not an address.
    """
    raw = base58.b58decode_check(address, alphabet=base58.RIPPLE_ALPHABET)
    if base58.b58encode_check(raw, alphabet=base58.RIPPLE_ALPHABET).decode() != address:
        raise ValueError("it has letters that do not belong to it")
    if raw.startswith(_CLASSIC) and len(raw) == 1 + _ACCOUNT_BYTES:
        return raw[1:]
    if raw[:2] not in _TAGGED.values() or len(raw) != 2 + _ACCOUNT_BYTES + _TAG_BYTES:
        raise ValueError("it is not an address of the XRP Ledger")
    if not raw.startswith(_TAGGED[main]):
        raise ValueError("it is an X-address of another network")
    if any(raw[2 + _ACCOUNT_BYTES :]):
        raise ValueError("it has a tag, which names a customer of the account and not a balance of its own")
    return raw[2 : 2 + _ACCOUNT_BYTES]


def encode_address(account: bytes) -> str:
    """Return the classic address of an account."""
    return base58.b58encode_check(_CLASSIC + account, alphabet=base58.RIPPLE_ALPHABET).decode()


def parse_currency(text: str) -> str:
    """Return a currency code as the ledger writes it: three characters, or 40 hexadecimal digits in upper case.

    Raises:
        ValueError: It is not a code, that of XRP itself, or one of three characters in hexadecimal, which servers never write so.
    """
    if _NONSTANDARD.fullmatch(text):
        return text.upper()
    if not _STANDARD.fullmatch(text) or text == "XRP":
        raise ValueError("it is not the code of an issued currency")
    return text


def _integer(ledger: Mapping[str, Any], name: str, size: int) -> int:
    value = ledger.get(name)
    if isinstance(value, str) and _DROPS.fullmatch(value):
        value = int(value)  # `total_coins` always is a text, `ledger_index` in the first version of the API
    if type(value) is not int or not 0 <= value < 1 << 8 * size:
        raise AnswerError(f"the ledger's {name} is not a number")
    return value


def _hash(ledger: Mapping[str, Any], name: str) -> str:
    value = ledger.get(name)
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise AnswerError(f"the ledger's {name} is not 64 hexadecimal digits")
    return value
