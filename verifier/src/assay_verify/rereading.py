"""Reading balances again through a verifier's own node, and holding them against the table.

An EVM node must name the snapshot block at its height and is asked at the block's hash. Of the Bitcoin family a node of either kind must have the
block, and an Electrum server gives histories, which are replayed here as far as the block; Bitcoin Core cannot answer for the past.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay_verify import evm, headers, nodes, tables, transactions
from assay_verify.addresses import locking_script, script_hash
from assay_verify.balances import VerifiedBalances, balance_rows
from assay_verify.bitcoin_answers import DECIMALS
from assay_verify.bitcoin_balances import HISTORY, TRANSACTION
from assay_verify.coins import Ledger
from assay_verify.facts import Chain
from assay_verify.findings import Check, MalformedError, UnusableInputError
from assay_verify.nodes import Call, Client, NodeError
from assay_verify.progress import Progress
from assay_verify.verdicts import Balance

SAMPLE = 25
_BALANCE_OF = "0x70a08231"
_FAMILIES = ("bitcoin", "evm")
_GROUP, _TOGETHER = 200, 50
_WORD = 32
_UNCONFIRMED = -1  # and 0: heights of transactions that stand in no block yet


def reread(
    verified: VerifiedBalances, urls: Mapping[str, str], *, sample: int | None = SAMPLE, seed: int | None = None, progress: Progress
) -> None:
    """Read balances again.

    Args:
        verified: The offline check, which receives the outcome.
        urls: By chain: the node's address.
        sample: How many balances of a chain, drawn at random; None for all.
        seed: What they are drawn with; any by default.
        progress: Told how far it is.

    Raises:
        UnusableInputError: A chain is unknown or of a family that cannot be read again here, or an address is of no known form.
    """
    known = {record.facts.name: record for record in verified.chains}
    for name in urls:
        if name not in known:
            raise UnusableInputError(f"There are no checked balances of a chain {name!r}", f"Name one of {', '.join(sorted(known))}")
        if known[name].facts.family not in _FAMILIES:
            raise UnusableInputError(
                f"{name} is of the family {known[name].facts.family}, which this program cannot read", "Leave its --rpc out"
            )
    verified.seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    for name, url in urls.items():
        record = known[name]
        with verified.findings.check(f"rpc.{name}", f"Your node has the snapshot block of {name}, and says what the table says.") as check:
            chosen = _chosen(verified.folder, name, sample, verified.seed)
            try:
                with nodes.Opened(url) as client:
                    read = _read_evm if record.facts.family == "evm" else _read_bitcoin
                    done = read(check, client, record.facts, record.block, chosen, progress)
            except NodeError as error:
                raise MalformedError(f"{name}: your node could not be read: {error}") from None
            verified.reread.append(f"{name}: {done}")
    progress.clear()


def _chosen(folder: Path, chain: str, sample: int | None, seed: int) -> list[Balance]:
    found = [balance for name, balance, _ in balance_rows(folder) if name == chain and balance.read_height is None]
    if sample is None or len(found) <= sample:
        return found
    return random.Random(f"{seed} {chain}").sample(found, sample)  # noqa: S311  (a sample, which anybody can draw again)


def _read_evm(check: Check, client: Client, chain: Chain, block: tables.Row, chosen: Sequence[Balance], progress: Progress) -> str:
    served = evm.quantity(client.call("eth_chainId"))
    if not check.expect(served == chain.chain_id, f"{chain.name}: your node serves chain id {served}, and this is {chain.chain_id}"):
        return "nothing was compared, your node serves another chain"
    raw = client.call("eth_getBlockByNumber", hex(block["height"]), False)  # noqa: FBT003
    found = str(raw.get("hash")).lower() if isinstance(raw, dict) else "no block"
    if not check.expect(found == block["hash"], f"{chain.name}: your node has {found} at height {block['height']}, not {block['hash']}"):
        return "nothing was compared, your node has another block"
    at = {"blockHash": block["hash"], "requireCanonical": True}
    for start in range(0, len(chosen), _GROUP):
        group = chosen[start : start + _GROUP]
        answers = client.call_many([_question(chain, balance, at) for balance in group])
        for balance, answer in zip(group, answers, strict=True):
            _compare(check, chain, balance, _amount(chain, balance, answer))
        progress(f"{chain.name}: {start + len(group):,} of {len(chosen):,} balances read again")
    return f"block {block['height']} is your node's, and {len(chosen):,} balances were read again at its hash"


def _question(chain: Chain, balance: Balance, at: dict[str, Any]) -> Call:
    if balance.asset == chain.asset:
        return "eth_getBalance", [balance.address, at]
    if balance.asset not in chain.tokens:
        raise MalformedError(f"{chain.name}: chains.json names no contract of {balance.asset}")
    data = _BALANCE_OF + evm.data(balance.address, 20).rjust(_WORD, b"\0").hex()
    return "eth_call", [{"to": chain.tokens[balance.asset].contract, "data": data}, at]


def _amount(chain: Chain, balance: Balance, answer: object) -> int:
    if balance.asset == chain.asset:
        return evm.quantity(answer) * chain.scale(balance.asset, evm.NATIVE_DECIMALS)
    return int.from_bytes(evm.data(answer, _WORD), "big") * chain.scale(balance.asset, chain.tokens[balance.asset].decimals)


def _read_bitcoin(check: Check, client: Client, chain: Chain, block: tables.Row, chosen: Sequence[Balance], progress: Progress) -> str:
    electrum = isinstance(client, nodes.ElectrumNode)
    found = _named(client, chain, block["height"]) if electrum else str(client.call("getblockhash", block["height"]))
    if not check.expect(found == block["hash"], f"{chain.name}: your node has {found} at height {block['height']}, not {block['hash']}"):
        return "nothing was compared, your node has another block"
    if not electrum:
        return f"block {block['height']} is your node's; it cannot tell balances of the past, so none was read again"
    scale = chain.scale(chain.asset, DECIMALS)
    for start in range(0, len(chosen), _TOGETHER):
        group = chosen[start : start + _TOGETHER]
        for balance, amount in zip(group, _replayed(client, chain, group, block["height"]), strict=True):
            _compare(check, chain, balance, amount * scale)
        progress(f"{chain.name}: {start + len(group):,} of {len(chosen):,} balances read again")
    return f"block {block['height']} is your node's, and the histories of {len(chosen):,} addresses were replayed again"


def _named(client: Client, chain: Chain, height: int) -> str:
    """Return the hash of the block that an Electrum server has at a height."""
    # The next header names a block of Dash, whose own hash cannot be computed here.
    is_dash = chain.network.startswith("dash")
    answer = client.call("blockchain.block.header", height + is_dash)
    try:
        header = headers.read(bytes.fromhex(answer)[: headers.HEADER_BYTES])
    except (TypeError, ValueError):
        raise NodeError("a header has not the form of one") from None
    return (header.previous if is_dash else header.hash)[::-1].hex()


def _replayed(client: Client, chain: Chain, balances: Sequence[Balance], height: int) -> list[int]:
    """Return what each address holds after its history up to a height.

    Addresses are asked together, because a server may hold a short answer back for up to a second.
    """
    scripts = [locking_script(chain.network, balance.address) for balance in balances]
    try:
        replies = client.call_many([(HISTORY, [script_hash(script)]) for script in scripts])
        histories = [_confirmed(reply, height) for reply in replies]
        txids = sorted(set().union(*histories))
        ledger = Ledger(scripts, txids)
        for start in range(0, len(txids), _GROUP):
            group = txids[start : start + _GROUP]
            for txid, raw in zip(group, client.call_many([(TRANSACTION, [txid[::-1].hex()]) for txid in group]), strict=True):
                transaction = transactions.read(bytes.fromhex(raw), chain.network)
                if transaction.txid != txid:
                    raise NodeError(f"it gave another transaction in the place of {txid[::-1].hex()}")
                ledger.take(transaction)
    except (TypeError, KeyError, ValueError):
        raise NodeError("its history or a transaction has not the form of one") from None
    left = ledger.settle()
    return [left.of(script, history) for script, history in zip(scripts, histories, strict=True)]


def _confirmed(reply: Any, height: int) -> set[bytes]:
    """Return the ids of a history up to a height. An empty one is a balance of zero, so what is no list of heights is refused."""
    if not isinstance(reply, list) or any(type(item["height"]) is not int or item["height"] < _UNCONFIRMED for item in reply):
        raise TypeError
    return {bytes.fromhex(item["tx_hash"])[::-1] for item in reply if 0 < item["height"] <= height}


def _compare(check: Check, chain: Chain, balance: Balance, amount: int) -> None:
    check.expect(
        amount == balance.amount,
        f"{chain.name} {balance.address} {balance.asset}: your node says {amount} base units and the table says {balance.amount}",
    )
