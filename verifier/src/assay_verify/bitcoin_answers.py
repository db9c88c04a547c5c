"""What archived answers say of balances of the Bitcoin family that were not read from histories of transactions. Pure: lines in, numbers out.

They prove nothing, but a balance must not be another one than its answer says. Format: docs/formats/evidence.md.
"""

from __future__ import annotations

from decimal import Context, Decimal, DecimalException, Inexact
from typing import Any

from assay_verify.addresses import script_hash
from assay_verify.archives import Exchange
from assay_verify.findings import MalformedError, require

DECIMALS = 8
SCAN, COINS = "scantxoutset", "utxo_set_coins"
_EXACT = Context(prec=100, traps=[Inexact])
_COIN_FIELDS = 5  # id, position, height, coinbase, amount


def said(exchange: Exchange, script: bytes, block_hash: str) -> int | None:
    """Return what an answer says that a script holds at a block, in base units of the chain.

    Returns:
        None where the answer is a history of which this verifier does not follow the transactions.

    Raises:
        MalformedError: It says nothing of the script at this block.
    """
    require(not exchange.refused, "its evidence is a refusal")
    try:
        if exchange.method == SCAN:
            return _scanned(exchange.params, exchange.result, script.hex(), block_hash)
        if exchange.method == COINS:
            return _listed(exchange.params, exchange.result, script.hex(), block_hash)
    except (TypeError, KeyError, ValueError, DecimalException) as error:
        raise MalformedError(f"its evidence has not the form of an answer to {exchange.method}") from error
    require(
        exchange.method == f"GET /scripthash/{script_hash(script)}/txs/chain", "its evidence is an answer to no question for its balance"
    )
    return None


def _scanned(params: Any, result: Any, script: str, block_hash: str) -> int:
    """Read a scan of the unspent outputs, which is of many scripts."""
    action, wanted = params
    require(action == "start" and {"desc": f"raw({script})"} in wanted, "its evidence is a scan for other scripts")
    require(result["success"] is True and result["bestblock"] == block_hash, "its evidence is no whole scan at the snapshot block")
    mine = [item for item in _list(result["unspents"]) if item["scriptPubKey"] == script]
    require(len({(item["txid"], item["vout"]) for item in mine}) == len(mine), "its evidence counts an output twice")
    return sum(_units(item["amount"]) for item in mine)


def _listed(params: Any, result: Any, script: str, block_hash: str) -> int:
    """Read the list of one script's coins in a UTXO set."""
    require(params["script"] == script, "its evidence is the list of another script's coins")
    require(params["block_hash"] == block_hash, "its evidence is of another block's coins")
    coins = [tuple(coin) for coin in _list(result)]
    require(
        all(len(coin) == _COIN_FIELDS and type(coin[4]) is int and coin[4] >= 0 for coin in coins), "its evidence lists what is no coin"
    )
    require(len({coin[:2] for coin in coins}) == len(coins), "its evidence counts an output twice")
    return sum(coin[4] for coin in coins)


def _list(value: Any) -> list[Any]:
    require(isinstance(value, list), "its evidence has no list of coins")
    return list(value)


def _units(amount: Any) -> int:
    """Return an amount of whole coins in base units."""
    require(type(amount) in (int, Decimal) and amount >= 0, "its evidence has an amount that is none")
    units = _EXACT.scaleb(Decimal(amount), DECIMALS)
    require(units == units.to_integral_value(), "its evidence has an amount finer than a base unit")
    return int(units)
