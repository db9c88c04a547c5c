"""What Solana's JSON-RPC says of accounts, as numbers.

Forms: https://solana.com/docs/rpc/http/getmultipleaccounts, …/gettokenaccountsbyowner and …/getaccountinfo; parsed token accounts and
mints as https://docs.rs/solana-account-decoder writes them (`parse_token`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from assay.chains.answers import AnswerError

TOKEN_PROGRAMS = {
    "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA": "spl-token",
    "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb": "spl-token-2022",
}
"""The program that owns a mint and its token accounts, and the name under which nodes parse them."""

_AMOUNT = re.compile(r"[0-9]{1,60}")


class NoMintError(AnswerError):
    """There is no mint at the address."""


def with_context(answer: object) -> tuple[int, Any]:
    """Return the slot that an answer was given at, and its value.

    Raises:
        AnswerError: It names no slot or has no value.
    """
    context = answer.get("context") if isinstance(answer, dict) else None
    slot = context.get("slot") if isinstance(context, dict) else None
    if not isinstance(answer, dict) or type(slot) is not int or slot < 0 or "value" not in answer:
        raise AnswerError("the answer does not say which slot it is of")
    return slot, answer["value"]


def lamports(account: object) -> int:
    """Return the lamports of an account, whatever program owns it; an account that does not exist is null and has none.

    Raises:
        AnswerError: It is not an account.
    """
    if account is None:
        return 0
    amount = account.get("lamports") if isinstance(account, dict) else None
    if type(amount) is not int or amount < 0:
        raise AnswerError("the answer is not an account")
    return amount


def token_units(accounts: object, *, owner: str, mint: str, decimals: int) -> int:
    """Return what all of an owner's token accounts of a mint hold together, in the mint's base units; none of them is a zero.

    Frozen accounts count. Amounts are the raw ones: the multipliers of interest-bearing and scaled mints change what is
    shown, not what is held; withheld transfer fees belong to the mint and confidential amounts can't be seen, so neither counts.

    Raises:
        AnswerError: An account is listed twice, belongs to another owner or mint, or is malformed.
    """
    if not isinstance(accounts, list):
        raise AnswerError("the answer is not a list of token accounts")
    seen, total = set(), 0
    for item in accounts:
        key = item.get("pubkey") if isinstance(item, dict) else None
        if not isinstance(key, str) or key in seen:
            raise AnswerError("a token account is listed twice or without its address")
        seen.add(key)
        info = _parsed(item.get("account"), "account")
        if info.get("owner") != owner or info.get("mint") != mint:
            raise AnswerError(f"token account {key[:60]} belongs to another owner or mint")
        amount = info.get("tokenAmount")
        if not isinstance(amount, dict) or not isinstance(amount.get("amount"), str) or not _AMOUNT.fullmatch(amount["amount"]):
            raise AnswerError(f"token account {key[:60]} has no amount")
        if type(amount.get("decimals")) is not int or amount["decimals"] != decimals:
            raise AnswerError(f"token account {key[:60]} counts in {str(amount.get('decimals'))[:10]} decimals and not in {decimals}")
        total += int(amount["amount"])
    return total


def mint_decimals(account: object) -> int:
    """Return the decimals of a mint.

    Raises:
        NoMintError: There is no account, or it is no mint of a token program.
        AnswerError: It is malformed.
    """
    if account is None:
        raise NoMintError("there is no mint")
    if not isinstance(account, dict):
        raise AnswerError("the answer is not an account")
    if account.get("owner") not in TOKEN_PROGRAMS:
        raise NoMintError("the account belongs to no token program")
    info = _parsed(account, "mint")
    decimals = info.get("decimals")
    if info.get("isInitialized") is not True:
        raise NoMintError("the mint is not initialised")
    if type(decimals) is not int or not 0 <= decimals < 1 << 8:
        raise AnswerError("the mint has no decimals")
    return decimals


def _parsed(account: object, kind: str) -> Mapping[str, Any]:
    """Return the parsed content of an account of a token program."""
    data = account.get("data") if isinstance(account, dict) else None
    program = TOKEN_PROGRAMS.get(str(account.get("owner"))) if isinstance(account, dict) else None
    if not isinstance(data, dict) or program is None or data.get("program") != program:
        raise AnswerError("the account is not one of a token program, or the node does not parse it")
    parsed = data.get("parsed")
    if not isinstance(parsed, dict) or not isinstance(parsed.get("info"), dict):
        raise AnswerError("the node does not parse the account")
    if parsed.get("type") != kind:
        raise NoMintError(f"the account is no {kind} but a {str(parsed.get('type'))[:40]}")
    return dict(parsed["info"])
