"""Balances of the Bitcoin family, replayed from histories and transactions. Pure: no network, no archive.

A server names the transactions of a script; the transactions themselves say what they pay and spend. Both are held
against each other completely, so a server that leaves out or makes up one of them contradicts the rest, unless it
leaves out everything that would show it (which a second source would).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.chains.bitcoin.transactions import Transaction, double_sha256


class ContradictionError(ValueError):
    """A server's answers can't all be true."""


def replay(histories: Mapping[bytes, Sequence[str]], transactions: Mapping[str, Transaction]) -> dict[bytes, int]:
    """Return what each script holds after its history.

    Args:
        histories: Transaction ids by locking script.
        transactions: Every transaction of the histories, by id.

    Returns:
        The unspent value in base units by locking script, zeros included.

    Raises:
        ContradictionError: A history and its transactions differ, or a coin is spent twice.
    """
    coins: dict[bytes, tuple[bytes, int]] = {}
    concerned: set[tuple[bytes, str]] = set()
    for txid, transaction in transactions.items():
        for position, (value, script) in enumerate(transaction.outputs):
            if script in histories:
                coins[transaction.outpoint(position)] = (script, value)
                concerned.add((script, txid))
    balances = dict.fromkeys(histories, 0)
    for script, value in coins.values():
        balances[script] += value
    spenders: dict[bytes, str] = {}
    for txid, transaction in transactions.items():
        for outpoint in transaction.spends:
            if outpoint in coins:
                if outpoint in spenders:
                    raise ContradictionError(f"transactions {spenders[outpoint]} and {txid} spend the same coin")
                spenders[outpoint] = txid
                script, value = coins[outpoint]
                balances[script] -= value
                concerned.add((script, txid))
    for script, txid in concerned ^ {(script, txid) for script, history in histories.items() for txid in history}:
        told = (
            "is in the history of a script that it does not concern"
            if txid in histories[script]
            else "concerns a script and is not in its history"
        )
        raise ContradictionError(f"transaction {txid} {told}")
    return balances


def check_inclusion(txid: str, branch: Sequence[bytes], position: int, merkle_root: bytes) -> None:
    """Make sure that a transaction stands in a block.

    Args:
        txid: In its usual, reversed text form.
        branch: Sibling hashes from the leaf up, in wire order.
        position: Of the transaction in its block.
        merkle_root: From the block's header, in wire order.

    Raises:
        ContradictionError: The branch leads to another root.
    """
    if merkle_root_of(bytes.fromhex(txid)[::-1], branch, position) != merkle_root:
        raise ContradictionError(f"the Merkle branch of transaction {txid} does not lead to its block's root")


def merkle_root_of(leaf: bytes, branch: Sequence[bytes], position: int) -> bytes:
    """Return the root that a leaf's branch leads to, all in wire order; empty for a position that the tree does not have."""
    for sibling in branch:
        leaf = double_sha256(sibling + leaf if position & 1 else leaf + sibling)
        position >>= 1
    return b"" if position else leaf
