"""Nodes whose wallets move on request, the steps of a run over them, and what a verifier makes of the evidence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import rfc8785

from assay import reserves
from assay.chains.asking import Connect
from assay.chains.evidence import SUFFIX, TAPE, read_archive
from assay.config import Settings
from assay.ownership.statements import OwnershipStatement, read_csv, write_csv
from assay_verify import facts, headers, manifest
from assay_verify.manifest import Manifest
from assay_verify.ownership import movement, movement_archive, movement_bitcoin, movement_evm
from assay_verify.ownership.checking import Refusal, Report, TableRow, check_rows
from assay_verify.ownership.interface import Statement
from assay_verify.ownership.movement import Coin, Moved
from assay_verify.ownership.movement_evidence import Answers
from assay_verify.ownership.tallies import Tally
from sandbox.bitcoin import BitcoinNode
from sandbox.evm import EvmNode
from sandbox.movement import Request
from sandbox.scenario import SECOND, wallets
from tests.verifier.ownership.test_cli_ownership import OWNERSHIP, WALLETS

TOKEN = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
INDEX = 25
PLANS = {
    chain: [plan for plan in wallets(litecoin=False) if plan.chain == chain and 20 <= plan.index < 30] for chain in ("bitcoin", "ethereum")
}
Node = BitcoinNode | EvmNode


def request(chain: str) -> Request:
    return Request(entity="Test Custodian", series="test", chain=chain, index=INDEX)


def url_of(node: Node) -> str:
    return node.electrum_url if isinstance(node, BitcoinNode) else node.url


def take_snapshot(settings: Settings, chain: str, connect: Connect, folder: Path) -> Path:
    registry = reserves.check_registry(settings, SECOND, folder.with_name(f"{folder.name}-registry"))
    chunks = reserves.resolve_block(settings, chain, SECOND, registry, folder, connect=connect)
    sources = settings.chain(chain).sources
    reads = [reserves.read_chunk(settings, chain, source.name, chunk, folder, connect=connect) for chunk in chunks for source in sources]
    return reserves.agree(settings, chain, chunks, reads, registry, folder, connect=connect)


def change(path: Path, address: str, alter: Callable[[OwnershipStatement], OwnershipStatement]) -> None:
    write_csv([alter(item) if item.address == address else item for _, item in list(read_csv(path))], path)


def again(settings: Settings, chain: str, folder: Path, target: Path) -> Path:
    """Read a chain again from what was archived of it."""
    kept = shutil.copytree(folder, target.with_name("kept"))
    (chunk,) = folder.glob("chunk-*.json")
    target.mkdir()
    shutil.copy(chunk, target / chunk.name)
    tape: Connect = lambda _source, place: f"{TAPE}{kept / place}"  # noqa: E731
    sources = settings.chain(chain).sources
    reads = [reserves.read_chunk(settings, chain, source.name, target / chunk.name, target, connect=tape) for source in sources]
    registry = folder.with_name(f"{folder.name}-registry") / "wallets.parquet"
    return reserves.agree(settings, chain, [target / chunk.name], reads, registry, target, connect=tape)


class Published:
    """As much of a publication as movements need, and what the verifier says of it."""

    def __init__(self, settings: Settings, chain: str, address: str, raw: Path, folder: Path) -> None:
        self.chain, self.address, self.folder = chain, address, folder
        source = settings.chain(chain).sources[0].name
        self.archive = f"evidence/{chain}/recheck/{source}{SUFFIX}"
        (folder / self.archive).parent.mkdir(parents=True)
        shutil.copy(raw / "recheck" / f"{source}{SUFFIX}", folder / self.archive)
        (self.block,) = pq.read_table(raw / "block.parquet").to_pylist()
        self.row = next(row for row in pq.read_table(raw / "ownership.parquet").to_pylist() if row["address"] == address)
        values = {"chain": chain, "height": self.block["height"], "hash": self.block["hash"]}
        self.listed = Manifest({"snapshot_blocks": [values], "files": [{"path": self.archive}]}, "", SECOND)
        known = settings.chain(chain)
        self.facts = facts.Chain(
            name=chain,
            family=known.family,
            asset=known.asset,
            chain_id=known.chain_id,
            network=known.network,
            proofs=known.proofs,
            sources=(source,),
            decimals={},
            tokens={},
        )

    @property
    def coin(self) -> Coin:
        return movement.coin_of(self.facts.family, self.facts.network, self.facts.asset)

    def shown(self, address: str = "", transaction: str = "") -> Moved | Refusal:
        claim = (address or self.address, transaction or self.row["signatures"], self.row["message"])
        (found,) = movement_archive.read(self.folder, self.listed, {self.chain: self.facts}, {self.chain: [claim]}).values()
        return found

    def check(self, moved: Moved | Refusal, message: str = "", **names: str) -> Tally:
        """Check the row as a part of its publication."""
        statement = Statement(
            coin=self.chain, address=self.address, message=message or self.row["message"], signatures=(self.row["signatures"],)
        )
        report = Report(
            names=(names.get("entity", "Test Custodian"), "test", f"{SECOND:%Y-%m-%dT%H:%M:%SZ}"),
            blocks={self.chain: (self.block["height"], self.block["hash"])},
            networks={},
            coins={self.chain: self.coin},
            moved={(self.chain, self.address, self.row["signatures"]): moved},
        )
        return check_rows(report, 1, [TableRow(self.chain, "movement", "movement", False, None, statement)])

    def seal(self, settings: Settings, raw: Path) -> Path:
        """Write what else the command reads of a publication, and its manifest."""
        known = settings.chain(self.chain)
        rows = pq.read_table(raw / "ownership.parquet").to_pylist()
        balances = pq.read_table(raw / "balances.parquet").to_pylist()
        tables = {
            "address_ownership": [{"as_of": SECOND, **row} for row in rows],
            "wallet_balances": [{"as_of": SECOND, **row} for row in balances],
        }
        (self.folder / "tables").mkdir(exist_ok=True)
        for name, schema in (("address_ownership", OWNERSHIP), ("wallet_balances", WALLETS)):
            content = sorted(tables[name], key=lambda row: (row["chain"], row["address"]))
            pq.write_table(pa.Table.from_pylist(content, schema=schema), self.folder / "tables" / f"{name}.parquet")
        told = {
            "asset": known.asset,
            "chain_id": known.chain_id,
            "decimals": {known.asset: 18},
            "family": known.family,
            "genesis": "",
            "network": known.network,
            "past": "",
            "proofs": known.proofs,
            "tokens": {},
            "sources": [{"kind": source.kind, "name": source.name} for source in known.sources],
        }
        (self.folder / "evidence" / "chains.json").write_bytes(rfc8785.dumps({self.chain: told}))
        files = []
        for name in sorted([self.archive, "evidence/chains.json", *(f"tables/{table}.parquet" for table in tables)]):
            size, sha256 = manifest.measure(self.folder / name)
            files.append({"path": name, "sha256": sha256, "size": size} | ({"rows": 1, "rows_sha256": "0" * 64} if name[0] == "t" else {}))
        moment = f"{SECOND:%Y-%m-%dT%H:%M:%SZ}"
        block = {"chain": self.chain, "distance_seconds": 0, "finality": "", "time": moment}
        values = {
            "as_of": moment,
            "code_version": "1",
            "configuration_sha256": "0" * 64,
            "entity": "Test Custodian",
            "files": files,
            "format": manifest.FORMAT,
            "liability_commitment": "0" * 64,
            "previous": None,
            "replaces": None,
            "revision": 1,
            "series": "test",
            "snapshot_blocks": [block | {name: self.block[name] for name in ("hash", "height")}],
            "sources": [],
        }
        (self.folder / "manifest.json").write_bytes(rfc8785.dumps(values))
        return self.folder

    def answers(self) -> list[tuple[str, Any, Any]]:
        return [(item["method"], item["params"], item.get("result")) for _, item in read_archive(self.folder / self.archive)]


def establish(published: Published, exchanges: list[tuple[str, Any, Any]]) -> Moved:
    answers, transaction = Answers(exchanges), published.row["signatures"]
    if published.chain == "ethereum":
        snapshot = movement_evm.Snapshot(chain_id=1, height=published.block["height"], block_hash=published.block["hash"], proofs=True)
        return movement_evm.establish(answers, snapshot, published.address, transaction)
    heights = {params[0]: bytes.fromhex(raw) for method, params, raw in published.answers() if method == movement_bitcoin.HEADER}
    return movement_bitcoin.establish(
        answers, "regtest", published.address, transaction, lambda height, found: headers.read(heights[height]).hash == found
    )
