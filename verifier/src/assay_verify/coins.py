"""Balances of scripts, replayed from transactions. Pure: no network, no files."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from assay_verify.findings import MalformedError
from assay_verify.transactions import Transaction

_TXID = 32


class Ledger:
    """What transactions pay to some scripts, and what they spend of that.

    Only that is kept of a transaction, so that histories of many large ones fit into memory.

    Args:
        scripts: Locking scripts.
        txids: All transactions that will be taken in, in the order of the wire.
    """

    def __init__(self, scripts: Collection[bytes], txids: Collection[bytes]) -> None:
        self._scripts = frozenset(scripts)
        self._txids = frozenset(txids)
        self._coins: dict[bytes, tuple[bytes, int]] = {}
        self._spends: list[tuple[bytes, bytes]] = []

    def take(self, transaction: Transaction) -> None:
        """Take a transaction in."""
        for position, (value, script) in enumerate(transaction.outputs):
            if script in self._scripts:
                self._coins[transaction.txid + position.to_bytes(4, "little")] = (script, value)
        self._spends += [(outpoint, transaction.txid) for outpoint in transaction.spends if outpoint[:_TXID] in self._txids]

    def settle(self) -> Balances:
        """Return what is left, once all transactions were taken in."""
        return Balances(self._scripts, self._coins, self._spends)


class Balances:
    """What scripts hold after transactions.

    Args:
        scripts: Locking scripts.
        coins: Script and value by outpoint.
        spends: Outpoints that transactions spend, with the transactions' ids; others than of these coins are passed over.
    """

    def __init__(self, scripts: Iterable[bytes], coins: dict[bytes, tuple[bytes, int]], spends: Iterable[tuple[bytes, bytes]]) -> None:
        self._amounts = dict.fromkeys(scripts, 0)
        self._concerned: dict[bytes, set[bytes]] = {script: set() for script in self._amounts}
        self._twice: set[bytes] = set()
        for outpoint, (script, value) in coins.items():
            self._amounts[script] += value
            self._concerned[script].add(outpoint[:_TXID])
        spent: set[bytes] = set()
        for outpoint, txid in spends:
            if outpoint in coins:
                script, value = coins[outpoint]
                self._amounts[script] -= value
                self._concerned[script].add(txid)
                if outpoint in spent:
                    self._twice.add(script)
                spent.add(outpoint)

    def of(self, script: bytes, history: Collection[bytes]) -> int:
        """Return what a script holds.

        Args:
            script: The locking script.
            history: Ids of the transactions that are said to concern it.

        Raises:
            MalformedError: Other transactions do, or a coin is spent twice.
        """
        if script in self._twice:
            raise MalformedError("two of its transactions spend the same coin")
        odd = self._concerned[script] ^ set(history)
        if odd:
            txid = min(odd)
            told = "is listed and does not concern it" if txid in set(history) else "concerns it and is not listed"
            raise MalformedError(f"transaction {txid[::-1].hex()} {told}")
        return self._amounts[script]
