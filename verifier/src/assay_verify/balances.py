"""Verifying the balances of one publication by their evidence, chain by chain, with no network.

The rows of one chain are in memory at a time, and of its archives one line, with what the transactions of one archive
pay and spend. Format: docs/formats/evidence.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from assay_verify import archives, facts, manifest, tables
from assay_verify.archives import Exchange
from assay_verify.bitcoin_balances import BitcoinBalances
from assay_verify.evm_balances import EvmBalances
from assay_verify.facts import Chain
from assay_verify.findings import Findings, MalformedError
from assay_verify.manifest import HEX, Manifest
from assay_verify.progress import Progress
from assay_verify.publication import require_publication
from assay_verify.tables import Row
from assay_verify.verdicts import Balance, ChainRecord, Verdict

_WALLETS, _BLOCKS = "tables/wallet_balances.parquet", "tables/snapshot_blocks.parquet"
_NEEDED = ("amount", "asset", "decimals", "block_height", "block_hash", "block_time", "evidence", "read_height", "read_time")


@dataclass
class VerifiedBalances:
    """What a run found out.

    Attributes:
        folder: The publication.
        findings: All checks.
        manifest: None when it could not be read.
        chains: What became of each chain's balances, in the table's order.
        reread: What was said by nodes of the verifier's own, in sentences.
        seed: What the samples were drawn with; None where nothing was read again.
    """

    folder: Path
    findings: Findings = field(default_factory=Findings)
    manifest: Manifest | None = None
    chains: list[ChainRecord] = field(default_factory=list)
    reread: list[str] = field(default_factory=list)
    seed: int | None = None


class Family(Protocol):
    """How a family's evidence is checked."""

    def answer(self, exchange: Exchange, balances: Sequence[Balance]) -> None:
        """Take in the balances that rest on one line."""

    def finish(self, path: Path) -> None:
        """End an archive, all of whose lines were taken in."""

    def conclude(self) -> None:
        """End the chain."""


class ArchivedBalances:
    """A family without proofs: that the answer is there is all that can be said. See `Family`."""

    def __init__(self, record: ChainRecord) -> None:
        self._record = record

    def answer(self, exchange: Exchange, balances: Sequence[Balance]) -> None:  # noqa: ARG002, D102  (described by the protocol)
        for balance in balances:
            self._record.archived(balance, f"the {self._record.facts.family} family has no proofs here, only answers of its servers")

    def finish(self, path: Path) -> None:
        """Nothing waits for the end of an archive."""

    def conclude(self) -> None:
        """Nothing is left to say."""


def verify(folder: Path, *, required: Collection[str] = (), all_proven: bool = False, progress: Progress | None = None) -> VerifiedBalances:
    """Check every balance of a publication by its evidence.

    Args:
        folder: The publication's folder.
        required: Chains whose balances must all be proven.
        all_proven: Whether those of every chain must be.
        progress: Told how far it is.

    Raises:
        UnusableInputError: The folder is no publication.
    """
    folder = folder.resolve()
    require_publication(folder)
    verified = VerifiedBalances(folder)
    progress = progress or Progress(wanted=False)
    findings = verified.findings
    with findings.check("manifest", "The manifest is in canonical form and of a format that this verifier knows.") as check:
        verified.manifest = manifest.read(folder)
        check.expect(held=True, failure="")
    if verified.manifest is None:
        return verified
    listed = _check_files(findings, folder, verified.manifest)
    chains = _check_facts(findings, folder, listed)
    blocks = _read_blocks(findings, folder)
    for chain, rows in _by_chain(findings, folder):
        with findings.check(f"balances.{chain}", f"Every balance of {chain} is proven, or rests on an archived answer as stated.") as check:
            if chain not in chains or chain not in blocks:
                raise MalformedError(f"{chain}: {facts.FILE_NAME} or snapshot_blocks does not name it")
            record = ChainRecord(chains[chain], blocks[chain], check)
            verified.chains.append(record)
            _check_chain(record, folder, listed, rows, progress)
    progress.clear()
    _check_required(verified, required, all_proven=all_proven)
    return verified


def balance_rows(folder: Path) -> Iterator[tuple[str, Balance, tuple[Any, ...]]]:
    """Yield chain, balance and (height, hash, time) of each row of `wallet_balances`.

    Raises:
        MalformedError: The table cannot be read, or a row has no digest as its evidence.
    """
    for row in tables.read(folder / _WALLETS, "wallet_balances", _NEEDED):
        if not HEX.fullmatch(row["evidence"]):
            raise MalformedError(f"wallet_balances: {row['chain']} {row['address']} {row['asset']} has no digest as its evidence")
        balance = Balance(
            row["address"],
            row["asset"],
            row["decimals"],
            row["amount"],
            bytes.fromhex(row["evidence"]),
            row["read_height"],
            row["read_time"],
        )
        yield row["chain"], balance, (row["block_height"], row["block_hash"], row["block_time"])


def _check_files(findings: Findings, folder: Path, known: Manifest) -> list[str]:
    """Hold what will be read against the manifest; return the names of the archives."""
    wanted = [name for name in known.files if name.startswith("evidence/") or name in (_WALLETS, _BLOCKS)]
    with findings.check("files", "The files that are read here are, byte for byte, those that the manifest lists.") as check:
        for name in (_WALLETS, _BLOCKS, facts.FILE_NAME):
            check.expect(name in known.files, f"{name} is missing, and nothing can be checked without it")
        for name in wanted:
            path, item = folder / name, known.files[name]
            if check.expect(path.is_file() and not path.is_symlink(), f"{name} is listed and not there"):
                check.expect(manifest.measure(path) == (item["size"], item["sha256"]), f"{name} was changed")
    return [name for name in wanted if name.endswith(archives.SUFFIX) and (folder / name).is_file()]


def _check_facts(findings: Findings, folder: Path, listed: Sequence[str]) -> dict[str, Chain]:
    chains: dict[str, Chain] = {}
    with findings.check("facts", "What is published about the chains is readable, and its families are known.") as check:
        path = folder / facts.FILE_NAME
        if not path.is_file():
            raise MalformedError(f"{facts.FILE_NAME} is missing")
        chains = facts.read(path.read_bytes())
        for name in listed:
            check.expect(name.split("/")[1] in chains, f"{name} belongs to a chain that {facts.FILE_NAME} does not name")
        check.expect(bool(chains), f"{facts.FILE_NAME} is empty")
    return chains


def _read_blocks(findings: Findings, folder: Path) -> dict[str, Row]:
    blocks: dict[str, Row] = {}
    with findings.check("blocks", "Each chain has one snapshot block.") as check:
        for row in tables.read(folder / _BLOCKS, "snapshot_blocks"):
            blocks[row["chain"]] = row
            check.expect(row["height"] >= 0, f"{row['chain']} has a block of negative height")
    return blocks


def _by_chain(findings: Findings, folder: Path) -> Iterator[tuple[str, list[tuple[Balance, tuple[Any, ...]]]]]:
    """Yield the balances of one chain after another; a table without rows proves nothing."""
    with findings.check("rows", "The table of balances is readable and in order.") as check:
        for chain, rows in groupby(balance_rows(folder), key=lambda item: item[0]):
            found = [(balance, read_at) for _, balance, read_at in rows]
            check.compared += len(found)
            yield chain, found


def _check_chain(
    record: ChainRecord, folder: Path, listed: Sequence[str], rows: Sequence[tuple[Balance, tuple[Any, ...]]], progress: Progress
) -> None:
    chain, block = record.facts, record.block
    _require_all_assets(record, rows)
    waiting: dict[bytes, list[Balance]] = {}
    for balance, read_at in rows:
        if read_at != (block["height"], block["hash"], block["time"]):
            record.failed(balance, "it names another block than its chain's snapshot block")
        elif balance.decimals != chain.decimals.get(balance.asset):
            record.failed(balance, f"it is counted in {balance.decimals} decimals, and {facts.FILE_NAME} says otherwise")
        elif balance.amount < 0:
            record.failed(balance, "it is negative")
        else:
            waiting.setdefault(balance.evidence, []).append(balance)
    own = [name for name in listed if name.startswith(f"evidence/{chain.name}/")]
    heads = [folder / name for name in own if name.split("/")[2] in ("blocks", "recheck")]
    family = _family(record, heads, progress)
    for path in _answers(folder, own, chain):
        if waiting:
            _check_archive(record, family, path, waiting)
            progress(f"{chain.name}: {record.check.compared:,} of {len(rows):,} balances")
    family.conclude()
    for balance in (balance for balances in waiting.values() for balance in balances):
        record.failed(balance, f"its evidence {balance.evidence.hex()} is in no archive of the chain")


def _require_all_assets(record: ChainRecord, rows: Sequence[tuple[Balance, tuple[Any, ...]]]) -> None:
    """Make sure that no address lacks a row for an asset of its chain: zeros have rows as well, so one that is missing was left out."""
    listed: dict[str, set[str]] = {}
    for balance, _ in rows:
        listed.setdefault(balance.address, set()).add(balance.asset)
    wanted = {record.facts.asset, *record.facts.tokens}
    for address, assets in listed.items():
        for asset in sorted(wanted - assets):
            record.check.failures.append(f"{record.facts.name} {address}: it has no row for {asset}, and zeros have rows as well")


def _check_archive(record: ChainRecord, family: Family, path: Path, waiting: dict[bytes, list[Balance]]) -> None:
    try:
        for digest, line in archives.lines(path):
            if digest in waiting:
                exchange = archives.exchange(line, subject=f"line {digest.hex()} of {path.name}")
                family.answer(exchange, waiting.pop(digest))
    except MalformedError as error:
        record.check.failures.append(f"{record.facts.name}: {error}")
    family.finish(path)


def _family(record: ChainRecord, heads: Sequence[Path], progress: Progress) -> Family:
    if record.facts.family == "evm":
        return EvmBalances(record, heads)
    if record.facts.family == "bitcoin":
        return BitcoinBalances(record, heads, lambda text: progress(f"{record.facts.name}: {text}"))
    return ArchivedBalances(record)


def _answers(folder: Path, own: Sequence[str], chain: Chain) -> list[Path]:
    """Return the archives that balances may refer to, those of the chain's first source first."""
    names = [name for name in own if name.split("/")[2] not in ("blocks", "recheck")]
    order: Mapping[str, int] = {source: number for number, source in enumerate(chain.sources)}
    return [folder / name for name in sorted(names, key=lambda name: (order.get(name.split("/")[2], len(order)), name))]


def _check_required(verified: VerifiedBalances, required: Collection[str], *, all_proven: bool) -> None:
    if not required and not all_proven:
        return
    known = {record.facts.name: record for record in verified.chains}
    with verified.findings.check("required", "Every balance is proven where that is asked for.") as check:
        for name in sorted(set(known) if all_proven else required):
            if check.expect(name in known, f"{name}: there are no balances of this chain"):
                archived = known[name].count(Verdict.ARCHIVED)
                check.expect(not archived, f"{name}: {archived:,} balances are archived and not proven")
