"""The ownership of a chain's wallets in a run: statements checked, contracts asked, and one row a wallet for the table `address_ownership`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from assay.chains.interface import Reader, SnapshotBlock
from assay.chains.quorum import agree_on_hash
from assay.config import Chain, Settings
from assay.errors import OwnershipError, SourceMismatchError
from assay.lake import replacing_file
from assay.ownership.proving import MOVES, Proof, prove, prove_by_contract, prove_by_movement
from assay.ownership.statements import OwnershipStatement, pinned

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("chain", "address", "scheme", "status", "message", "signatures", "script", "owners")),
        ("signed_at", pa.timestamp("us", tz="UTC")),
        ("verified_at_block", pa.string()),
        ("note", pa.string()),
    ]
)
NONE = Proof(status="none")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one source said.

    Attributes:
        named_hash: The hash that it has for the height of the block that challenges name; empty where none was asked.
        asked: By address, what contracts made of their statements, and what the chain has of movements.
    """

    named_hash: str
    asked: Mapping[str, Proof]


class ChainOwnership:
    """The statements of one chain's wallets.

    Args:
        settings: The configuration.
        as_of: The attested moment.
        chain: The chain.
        wallets: The run's wallets, with what `statements.pin` left beside them.
    """

    def __init__(self, settings: Settings, as_of: datetime, chain: Chain, wallets: Path) -> None:
        self._settings = settings
        self._as_of = as_of
        self._chain = chain
        self._statements, self._named = pinned(wallets, chain.name)
        self._proofs = {address: prove(settings, as_of, chain, statement, self._named) for address, statement in self._statements.items()}

    async def ask(self, reader: Reader, block: SnapshotBlock) -> Answers:
        """Ask a source what only the chain knows: the block that challenges name, contracts at the snapshot block, and movements up to it."""
        fresh = any(proof.signed_at or proof.waits for proof in self._proofs.values())
        named_hash = await reader.block_hash(self._named.height) if fresh and self._named else ""
        asked = {address: await self._prove(reader, address, block) for address, proof in self._proofs.items() if proof.waits}
        return Answers(named_hash=named_hash, asked=asked)

    async def _prove(self, reader: Reader, address: str, block: SnapshotBlock) -> Proof:
        statement = self._statements[address]
        if self._proofs[address].note == MOVES:
            return await prove_by_movement(reader, statement, block)
        return await prove_by_contract(reader, self._settings, self._as_of, statement, self._named, block)

    def settle(self, answers: Mapping[str, Answers], folder: Path) -> dict[str, Proof]:
        """Return what is proven, by address.

        Args:
            answers: By source.
            folder: Receives `ownership_failures.csv` where something fails.

        Raises:
            SourceMismatchError: The sources disagree, or don't have the block that challenges name.
            OwnershipError: A statement does not hold; nothing is published on a false one.
        """
        (first, own), *others = answers.items()
        for name, other in others:
            if other.asked != own.asked:
                raise SourceMismatchError(
                    f"{first} and {name} say different things of the signatures of contract wallets, or of movements",
                    subject=f"chain {self._chain.name}",
                    next_step="ask a third source; the run can be repeated once the wrong node is out of chains.toml",
                )
        if self._named and own.named_hash:
            agree_on_hash(self._named, {name: answer.named_hash for name, answer in answers.items()})
        proofs = {**self._proofs, **own.asked}
        failed = [(address, proof.note) for address, proof in sorted(proofs.items()) if proof.status == "failed"]
        if failed:
            raise self._failure(failed, folder / "ownership_failures.csv")
        return proofs

    def rows(self, addresses: Sequence[str], proofs: Mapping[str, Proof]) -> list[dict[str, Any]]:
        """Return one row a wallet; what is not there is null."""
        return [self._row(address, proofs.get(address, NONE)) for address in addresses]

    def _row(self, address: str, proof: Proof) -> dict[str, Any]:
        statement = self._statements.get(address, OwnershipStatement(chain=self._chain.name, address=address))
        return {
            "chain": self._chain.name,
            "address": address,
            "scheme": proof.scheme or None,
            "status": proof.status,
            "message": statement.message or None,
            "signatures": "\n".join(statement.signatures.splitlines()) or None,
            "script": statement.script or None,
            "owners": "\n".join(statement.owners.splitlines()) or None,
            "signed_at": proof.signed_at,
            "verified_at_block": proof.verified_at_block or None,
            "note": proof.note or None,
        }

    def _failure(self, failed: Sequence[tuple[str, str]], path: Path) -> OwnershipError:
        with replacing_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["chain", "address", "reason"])
            writer.writerows((self._chain.name, address, reason) for address, reason in failed)
        address, reason = failed[0]
        more = f" (and {len(failed) - 1:,} more, see {path})" if len(failed) > 1 else ""
        return OwnershipError(
            f"its statement of ownership does not hold: {reason}{more}",
            subject=f"wallet {address} on {self._chain.name}",
            next_step="have it signed again and import it, or delete its row from the registry's statements; nothing is published on it",
        )
