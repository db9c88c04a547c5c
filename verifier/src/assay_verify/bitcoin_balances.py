"""Checking a Bitcoin-family chain's balances by transactions, Merkle branches and headers. Format: docs/formats/evidence.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assay_verify import bitcoin_answers, headers, transactions
from assay_verify.addresses import locking_script, script_hash
from assay_verify.archives import Exchange, exchange, exchanges, lines
from assay_verify.bitcoin_answers import DECIMALS
from assay_verify.coins import Ledger
from assay_verify.findings import MalformedError, require
from assay_verify.headers import HEADER_BYTES, HeaderChain
from assay_verify.verdicts import Balance, ChainRecord

HISTORY, TRANSACTION = "blockchain.scripthash.get_history", "blockchain.transaction.get"
_MERKLE, _HEADER, _HEADERS = "blockchain.transaction.get_merkle", "blockchain.block.header", "blockchain.block.headers"
_DIGESTS = 3
_HASH = 32
_X11 = "Dash names blocks by X11, which this verifier does not compute: transactions and branches fit, their headers are the server's word"


@dataclass(slots=True)
class _Entry:
    """A transaction of a history, and what its lines say once they were read."""

    height: int
    evidence: tuple[bytes, ...]
    read: bool = False
    branch_root: bytes = b""
    header_root: bytes = b""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _History:
    balance: Balance
    txids: frozenset[bytes]
    problem: str


class BitcoinBalances:
    """The check of one chain.

    Args:
        record: Receives verdicts.
        archives: Archives that may hold headers.
        tick: Called now and then while it takes long.
    """

    def __init__(self, record: ChainRecord, archives: Sequence[Path], tick: Callable[[str], None]) -> None:
        self._record = record
        self._chain = record.facts
        self._tick = tick
        self._headers = HeaderChain(self._chain.network, record.block["height"], record.block["hash"])
        self._entries: dict[bytes, _Entry] = {}
        self._histories: dict[bytes, _History] = {}
        self._empty = 0
        if self._headers.hashed:
            self._link(archives)

    def answer(self, found: Exchange, balances: Sequence[Balance]) -> None:
        """Take in the balances that rest on one line; histories are checked at the end of their archive."""
        for balance in balances:
            try:
                script = locking_script(self._chain.network, balance.address)
                require(balance.asset == self._chain.asset, "the family carries no tokens")
                if not self._record.claim(balance, script):
                    continue
                at_block = balance.read_height in (None, self._record.block["height"])
                require(at_block, "it is said to be of a later state, and its evidence ends at the snapshot block")
                if found.method != HISTORY:
                    self._without_proof(found, script, balance)
                    continue
                self._histories[script] = self._history(found, script, balance)
            except MalformedError as error:
                self._record.failed(balance, str(error))

    def finish(self, path: Path) -> None:
        """Check the histories of an archive against its transactions, branches and headers."""
        ledger = Ledger(self._histories, self._entries)
        wanted = {digest: txid for txid, entry in self._entries.items() for digest in entry.evidence[:2]}
        heads: dict[bytes, list[_Entry]] = {}
        for entry in self._entries.values():
            heads.setdefault(entry.evidence[2], []).append(entry)
        with suppress(MalformedError):  # whoever read the archive before said so, and what is not read proves nothing
            for digest, line in lines(path) if wanted else ():
                if digest in wanted:
                    self._take(wanted[digest], digest, line, ledger)
                if digest in heads:
                    self._take_header(heads[digest], line)
        self._settle(ledger)
        self._entries, self._histories = {}, {}

    def conclude(self) -> None:
        """Say what the headers were worth."""
        chain = self._headers
        if self._empty:
            self._record.notes.append(f"{self._empty:,} balances are zero because no transaction is listed for them; nothing can show that")
        if chain.lowest is not None:
            self._record.notes.append(
                f"headers {chain.lowest:,} to {chain.height:,} are linked, and carry work of about 2^{math.log2(max(chain.work, 1)):.1f} hashes"
            )
        if chain.merged:
            self._record.notes.append(f"{chain.merged:,} headers were mined together with another chain's, and that work is not looked at")

    def _without_proof(self, found: Exchange, script: bytes, balance: Balance) -> None:
        reason = f"answers to {_kind(found.method)} prove nothing; they can be compared with other sources'"
        amount = bitcoin_answers.said(found, script, self._record.block["hash"])
        if amount is None:
            self._record.archived(balance, reason)
        else:
            self._record.compare(balance, amount * self._chain.scale(self._chain.asset, DECIMALS), unproven=reason)

    def _link(self, archives: Sequence[Path]) -> None:
        for _, found in exchanges(archives):
            if found.method == _HEADERS:
                try:
                    first, count = found.params
                    raw = bytes.fromhex(found.result["hex"])
                    require(len(raw) == count * HEADER_BYTES, f"headers from {first} on that are not as many as were asked for")
                    self._headers.add(first, raw)
                    self._tick(f"header {first:,}")
                except (TypeError, KeyError, ValueError):
                    self._fail("an archived answer has not the form of headers")
                except MalformedError as error:
                    self._fail(str(error))
        self._headers.link()
        median = self._headers.median_time()
        if median is not None and datetime.fromtimestamp(median, UTC) != self._record.block["time"]:
            self._fail(f"the median time past of the snapshot block is {median}, and snapshot_blocks says another time")
        if median is None:
            self._record.notes.append("the snapshot block's median time could not be computed: its headers are not archived")

    def _fail(self, problem: str) -> None:
        self._record.check.failures.append(f"{self._chain.name}: {problem}")

    def _history(self, found: Exchange, script: bytes, balance: Balance) -> _History:
        """Read a history and note its transactions."""
        if found.params != [script_hash(script)]:
            raise MalformedError("its evidence is the history of another script")
        require(isinstance(found.result, list), "its evidence has not the form of a history")  # what is empty is a balance of zero
        try:
            listed = {bytes.fromhex(item["tx_hash"])[::-1]: _entry(item) for item in found.result}
        except (TypeError, KeyError, ValueError) as error:
            raise MalformedError("its evidence has not the form of a history") from error
        if len(listed) != len(found.result):
            raise MalformedError("its history names a transaction twice")
        problem = ""
        for txid, entry in listed.items():
            known = self._entries.setdefault(txid, entry)
            if len(txid) != _HASH or not 0 < entry.height <= self._record.block["height"]:
                raise MalformedError("its history names something else than transactions up to the snapshot block")
            if (known.height, known.evidence) != (entry.height, entry.evidence):
                problem = f"transaction {txid[::-1].hex()} stands elsewhere in another history"
        self._empty += not listed
        return _History(balance, frozenset(listed), problem)

    def _take(self, txid: bytes, digest: bytes, line: bytes, ledger: Ledger) -> None:
        """Read the line of a transaction or of its branch."""
        entry, name = self._entries[txid], txid[::-1].hex()
        try:
            found = exchange(line, subject=f"the evidence {digest.hex()}")
            if digest == entry.evidence[0]:
                transaction = transactions.read(bytes.fromhex(_asked(found, TRANSACTION, [name])), self._chain.network)
                require(transaction.txid == txid, "another transaction stands in its place")
                ledger.take(transaction)
                entry.read = True
            else:
                answer = _asked(found, _MERKLE, [name, entry.height])
                branch = [bytes.fromhex(item)[::-1] for item in answer["merkle"]]
                entry.branch_root = transactions.branch_root(txid, branch, _position(answer["pos"]))
        except MalformedError as error:
            entry.problem = f"transaction {name}: {error}"
        except (TypeError, KeyError, ValueError):
            entry.problem = f"transaction {name}: its evidence has not the form of it"

    def _take_header(self, entries: Sequence[_Entry], line: bytes) -> None:
        """Read the header of a block, for all its transactions."""
        height = entries[0].height
        try:
            found = exchange(line, subject="the evidence of a header")
            raw = bytes.fromhex(_asked(found, _HEADER, [height]))
            if self._chain.network.startswith("dogecoin"):
                raw = raw[:HEADER_BYTES]  # the work of another chain may follow
            header = headers.read(raw)
            require(not self._headers.hashed or self._headers.holds(height, header.hash), "it is not linked to the snapshot block")
            root, problem = header.merkle_root, ""
        except MalformedError as error:
            root, problem = b"", f"header {height}: {error}"
        except (TypeError, ValueError):
            root, problem = b"", f"header {height}: its evidence has not the form of it"
        for entry in entries:
            entry.header_root = root if entry.height == height else b""
            entry.problem = entry.problem or problem

    def _settle(self, ledger: Ledger) -> None:
        left = ledger.settle()
        scale = self._chain.scale(self._chain.asset, DECIMALS)
        for script, history in self._histories.items():
            try:
                require(not history.problem, history.problem)
                for txid in sorted(history.txids):
                    _require_included(txid, self._entries[txid])
                amount = left.of(script, history.txids) * scale
                self._record.compare(history.balance, amount, unproven="" if self._headers.hashed else _X11)
            except MalformedError as error:
                self._record.failed(history.balance, str(error))


def _require_included(txid: bytes, entry: _Entry) -> None:
    problem = entry.problem
    if not problem and not entry.read:
        problem = f"transaction {txid[::-1].hex()} is not in the archive"
    if not problem and (not entry.branch_root or entry.branch_root != entry.header_root):
        problem = (
            f"transaction {txid[::-1].hex()}: its Merkle branch does not lead to its block's header, or one of them is not in the archive"
        )
    if problem:
        raise MalformedError(problem)


def _entry(item: dict[str, Any]) -> _Entry:
    evidence = tuple(bytes.fromhex(digest) for digest in item["evidence"])
    if len(evidence) != _DIGESTS or type(item["height"]) is not int:
        raise ValueError
    return _Entry(item["height"], evidence)


def _asked(found: Exchange, method: str, params: list[Any]) -> Any:
    """Return the answer to what must have been asked."""
    if found.method != method or found.params != params:
        raise MalformedError(f"its evidence is an answer to another question than {method}")
    return found.result


def _position(value: object) -> int:
    if type(value) is not int or value < 0:
        raise MalformedError("a Merkle branch without a position")
    return value


def _kind(method: str) -> str:
    """Return the method, of REST calls only that it is one: their paths name addresses."""
    verb, _, path = method.partition(" ")
    return f"{verb} requests" if path else method[:80]
