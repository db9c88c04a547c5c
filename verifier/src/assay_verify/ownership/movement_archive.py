"""Movements of a publication: the transactions that its table names, looked for in its evidence. Format: docs/formats/evidence.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from assay_verify import archives, rows
from assay_verify.facts import Chain
from assay_verify.findings import MalformedError, require
from assay_verify.headers import HEADER_BYTES, HeaderChain
from assay_verify.manifest import Manifest
from assay_verify.ownership import movement, movement_bitcoin, movement_evm
from assay_verify.ownership.archived import place
from assay_verify.ownership.checking import Refusal
from assay_verify.ownership.interface import NotVerifiedError, UnsupportedError
from assay_verify.ownership.movement import Coin, Moved
from assay_verify.ownership.movement_evidence import Answers
from assay_verify.ownership.tallies import Outcome
from assay_verify.ownership.wallets import NAME, check_columns

_HEADERS = "blockchain.block.headers"
Found = dict[tuple[str, str, str], Moved | Refusal]
Claim = tuple[str, str, str]
"""Address, transaction and announcement."""


def coins(chains: Mapping[str, Chain]) -> dict[str, Coin]:
    """Return what amounts are counted in, by the chains whose movements can be shown."""
    found = {}
    for name, chain in chains.items():
        try:
            found[name] = movement.coin_of(chain.family, chain.network, chain.asset)
        except UnsupportedError:
            continue
    return found


def claims(table: Path) -> dict[str, list[Claim]]:
    """Return the movements that a table names, by chain."""
    found: dict[str, list[Claim]] = defaultdict(list)
    check_columns(table)
    for batch in rows.batches(table, ["chain", "address", "status", "signatures", "message"]):
        for row in rows.plain(batch, NAME):
            if row["status"] == Outcome.MOVEMENT and row["signatures"] and row["message"]:
                found[row["chain"]].append((row["address"], row["signatures"], row["message"]))
    return found


def read(folder: Path, known: Manifest, chains: Mapping[str, Chain], claimed: Mapping[str, list[Claim]]) -> Found:
    """Return what the evidence shows of movements, or why it doesn't.

    Args:
        folder: The publication.
        known: Its manifest.
        chains: Its facts about chains.
        claimed: See `claims`.

    Raises:
        MalformedError: An archive cannot be read.
    """
    blocks = {block["chain"]: block for block in known.values["snapshot_blocks"]}
    found: Found = {}
    for name, wanted in claimed.items():
        chain = chains.get(name)
        if chain is None or name not in blocks:
            continue
        show = _Shown(folder, known, chain, blocks[name], min(_named_height(message) for _, _, message in wanted))
        found |= {(name, address, txid): show.of(address, txid, message) for address, txid, message in wanted}
    return found


class _Shown:
    """What the evidence of one chain shows."""

    def __init__(self, folder: Path, known: Manifest, chain: Chain, block: Mapping[str, Any], lowest: int) -> None:
        self._chain = chain
        self._lowest = lowest
        self._block = block
        self._headers = HeaderChain(chain.network, block["height"], block["hash"]) if chain.family == "bitcoin" else None
        path = place(chain)
        listed = [folder / path] if chain.family in ("bitcoin", "evm") and path in known.files else []
        self._answers = Answers(self._lines(listed))
        if self._headers:
            self._headers.link()

    def of(self, address: str, txid: str, announcement: str) -> Moved | Refusal:
        """Return what a transaction moved within an address; the block that the announcement names must be of the same chain, if that can be told."""
        try:
            if self._chain.family == "evm":
                snapshot = movement_evm.Snapshot(
                    chain_id=self._chain.chain_id,
                    height=self._block["height"],
                    block_hash=self._block["hash"],
                    proofs=self._chain.proofs,
                )
                return movement_evm.establish(self._answers, snapshot, address, txid)
            if self._headers:
                moved = movement_bitcoin.establish(self._answers, self._chain.network, address, txid, self._headers.holds)
                return _with_named_block(self._headers, moved, movement.named_block(announcement))
        except (NotVerifiedError, MalformedError) as error:
            return Refusal(Outcome.FAILED, str(error))
        except UnsupportedError as error:
            return Refusal(Outcome.UNSUPPORTED, str(error))
        return Refusal(Outcome.UNSUPPORTED, f"movements on chains of the family {self._chain.family} are not supported")

    def _lines(self, paths: list[Path]) -> Iterator[tuple[str, Any, Any]]:
        for _, exchange in archives.exchanges(paths):
            if exchange.method == _HEADERS and self._headers and self._headers.hashed:
                _add(self._headers, exchange.params, exchange.result, self._lowest)
            elif exchange.method in movement_bitcoin.METHODS | movement_evm.METHODS and not exchange.refused:
                yield exchange.method, exchange.params, exchange.result


def _with_named_block(headers: HeaderChain, moved: Moved, named: tuple[int, str]) -> Moved | Refusal:
    height, block_hash = named
    if headers.lowest is None or height < headers.lowest:
        return replace(moved, note="that the block which the announcement names is of this chain is not shown: headers begin above it")
    if not headers.holds(height, bytes.fromhex(block_hash)[::-1]):
        return Refusal(Outcome.FAILED, f"block {height} is another one than the announcement names")
    return moved


def _named_height(announcement: str) -> int:
    try:
        return movement.named_block(announcement)[0]
    except MalformedError:
        return 0  # it fails whatever the headers say


def _add(chain: HeaderChain, params: Any, result: Any, lowest: int) -> None:
    """Take headers in; what lies below every named block is not needed, and work takes long to check."""
    try:
        first, count = params
        if first + count <= lowest:
            return
        raw = bytes.fromhex(result["hex"])
        require(len(raw) == count * HEADER_BYTES, f"headers from {first} on that are not as many as were asked for")
        chain.add(first, raw)
    except (TypeError, KeyError, ValueError) as error:
        raise MalformedError("an archived answer has not the form of headers") from error
