"""Taking signatures back: each is checked at once, and the good ones are kept for their moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assay.config import Settings
from assay.errors import OwnershipError
from assay.ownership.proving import MOVES, Proof, prove
from assay.ownership.statements import path_of, read_blocks, read_csv, write_csv
from assay.registry import read_wallets


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of one row.

    Attributes:
        line: Of the file.
        chain: Name of the chain.
        address: Of the wallet.
        good: It is kept.
        words: `fresh, bip322`, or why it is not kept.
    """

    line: int
    chain: str
    address: str
    good: bool
    words: str


def import_file(settings: Settings, as_of: datetime, path: Path) -> list[Imported]:
    """Check the statements of a file and keep the good ones; rows without a signature are passed over.

    A wallet's newer statement takes the place of an older one. What only the chain can confirm (a contract wallet's word, a movement) is kept, and
    checked at the snapshot block.

    Returns:
        One entry a row that holds a signature, in the file's order.

    Raises:
        OwnershipError: Not a file of the layout, or it holds no signature at all.
    """
    known = {(wallet.chain, wallet.address) for wallet in read_wallets(settings)}
    blocks = read_blocks(settings, as_of)
    target = path_of(settings, as_of)
    kept = {(item.chain, item.address): item for _, item in read_csv(target)} if target.exists() else {}
    results: list[Imported] = []
    seen: dict[tuple[str, str], int] = {}
    for line, item in read_csv(path):
        if not item.signatures:
            continue
        key = (item.chain, item.address)
        if key not in known or key in seen:
            words = f"the wallet stands on line {seen[key]} already" if key in seen else "no such wallet stands in the registry"
            results.append(Imported(line=line, chain=item.chain, address=item.address, good=False, words=words))
            continue
        seen[key] = line
        proof = prove(settings, as_of, settings.chain(item.chain), item, blocks.get(item.chain))
        good = proof.status != "failed" or proof.waits
        if good:
            kept[key] = item
        results.append(Imported(line=line, chain=item.chain, address=item.address, good=good, words=_words(proof)))
    if not results:
        raise OwnershipError("no row of it holds a signature", subject=str(path), next_step="fill in the column `signatures`")
    if any(result.good for result in results):
        write_csv([kept[key] for key in sorted(kept)], target)
    return results


def _words(proof: Proof) -> str:
    if proof.waits:
        return "kept; the transaction is looked up" if proof.note == MOVES else "kept; the contract is asked at the snapshot block"
    return proof.note if proof.status == "failed" else f"{proof.status}, {proof.scheme}"
