"""Makes publications that hold nothing but balances and their evidence, without a line of the program that publishes.

Evidence comes from a running anvil and from a mined regtest chain; Merkle branches and histories are worked out here, from whole blocks.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import rfc8785

from sandbox.anvil import TREASURY, Anvil
from sandbox.bitcoin_blocks import MinedChain
from sandbox.bitcoin_keys import sha256d
from sandbox.evm_accounts import artifact, call_data
from tests.publication.sample import SCHEMAS

AS_OF = datetime(2023, 2, 17, 16, tzinfo=UTC)
MEMBERS: dict[str, Any] = {"chain_id": 0, "network": "", "genesis": "", "proofs": False, "past": "", "tokens": {}}

Edit = Callable[[Any], Any]


def canonical(method: str, params: Any, result: Any) -> bytes:
    return json.dumps({"method": method, "params": params, "result": result}, sort_keys=True, separators=(",", ":")).encode()


@dataclass
class Publication:
    """What will be written; tests change it as they like before.

    Attributes:
        lines: Exchanges (method, params, result) by archive.
        rows: Of `wallet_balances`; `evidence` may name a line by its place, `(archive, number)`, so that it follows what the line becomes.
        blocks: Of `snapshot_blocks`.
        facts: `evidence/chains.json`.
    """

    lines: dict[str, list[list[Any]]] = field(default_factory=lambda: defaultdict(list))
    rows: list[dict[str, Any]] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, archive: str, method: str, params: Any, result: Any) -> tuple[str, int]:
        """Archive an exchange, once, and return its place."""
        if [method, params, result] in self.lines[archive]:
            return archive, self.lines[archive].index([method, params, result])
        self.lines[archive].append([method, params, result])
        return archive, len(self.lines[archive]) - 1

    def chain(self, name: str, *, height: int, block_hash: str, time: datetime, **facts: Any) -> None:
        self.facts[name] = MEMBERS | {"sources": [{"name": f"{name}_a", "kind": "test"}]} | facts
        self.blocks.append({"chain": name, "height": height, "hash": block_hash, "time": time})

    def balance(self, chain: str, address: str, asset: str, amount: int, evidence: tuple[str, int] | str, **more: Any) -> None:
        self.rows.append({"chain": chain, "address": address, "asset": asset, "amount": amount, "evidence": evidence} | more)

    def digest(self, place: tuple[str, int]) -> str:
        """Return the digest of the line at a place, with references to others of its archive resolved."""
        return hashlib.sha256(self._bytes(*place)).hexdigest()

    def _bytes(self, archive: str, number: int) -> bytes:
        return canonical(*self._resolved(self.lines[archive][number]))

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return self.digest((value[0], value[1]))
        if isinstance(value, list):
            return [self._resolved(item) for item in value]
        return {key: self._resolved(item) for key, item in value.items()} if isinstance(value, dict) else value

    def write(self, folder: Path) -> Path:
        """Write the folder, with a manifest that fits."""
        folder.mkdir(parents=True, exist_ok=True)
        for archive, lines in self.lines.items():
            write_archive(folder / "evidence" / archive, [self._bytes(archive, number) for number in range(len(lines))])
        (folder / "evidence").mkdir(exist_ok=True)
        (folder / "evidence" / "chains.json").write_bytes(rfc8785.dumps(self.facts))
        times = {block["chain"]: block for block in self.blocks}
        rows = []
        for row in self.rows:
            block = times[row["chain"]]
            evidence = row["evidence"] if isinstance(row["evidence"], str) else self.digest(row["evidence"])
            decimals = self.facts[row["chain"]]["decimals"].get(row["asset"], 0)
            fixed = {"sources_asked": 1, "sources_agreed": 1, "custody": "cold", "encumbrance": "none", "ownership_status": "none"}
            read_at = {"block_height": block["height"], "block_hash": block["hash"], "block_time": block["time"]}
            rows.append(
                {"as_of": AS_OF, "decimals": decimals, "read_height": None, "read_time": None}
                | fixed
                | read_at
                | row
                | {"evidence": evidence, "amount": Decimal(row["amount"])}
            )
        rows.sort(key=lambda row: (row["chain"], row["address"], row["asset"]))
        blocks = [
            {"as_of": AS_OF, "finality": "finalized", "distance_seconds": 0, "sources_asked": 1, "sources_agreed": 1} | block
            for block in sorted(self.blocks, key=lambda block: block["chain"])
        ]
        write_table(folder, "wallet_balances", rows)
        write_table(folder, "snapshot_blocks", blocks)
        seal(folder)
        return folder


def write_archive(path: Path, lines: Sequence[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unique = {hashlib.sha256(line).digest(): line for line in lines}
    with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
        stream.write(b"".join(unique[digest] + b"\n" for digest in sorted(unique)))


def write_table(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / "tables").mkdir(exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=pa.schema(SCHEMAS[name]))
    pq.write_table(table, folder / "tables" / f"{name}.parquet", compression="zstd")


def seal(folder: Path) -> None:
    """Write a manifest of what is there."""
    files = []
    for path in sorted(
        (path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.relative_to(folder).as_posix().encode()
    ):
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        if name != "manifest.json":
            table = {"rows": 0, "rows_sha256": "0" * 64} if name.startswith("tables/") else {}
            files.append({"path": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} | table)
    values = {"as_of": "2023-02-17T16:00:00Z", "code_version": "1", "configuration_sha256": "0" * 64, "entity": "Example", "files": files}
    values |= {
        "format": "assay-manifest-v1",
        "liability_commitment": "0" * 64,
        "previous": None,
        "replaces": None,
        "revision": 1,
        "series": "example",
    }
    (folder / "manifest.json").write_bytes(rfc8785.dumps(values | {"snapshot_blocks": [], "sources": []}))


# --- an EVM chain: anvil, with a token whose balances stand in slots ---

TOKEN = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
SLOT = 1
TOKEN_FACTS = {"contract": TOKEN, "decimals": 6, "balance_slot": SLOT, "slot_layout": "vyper", "balance_bits": 256, "slot_note": ""}
HOLDERS = ["0x" + hashlib.sha256(f"holder {number}".encode()).hexdigest()[:40] for number in range(12)]
NOBODY = "0x" + "77" * 20


def run_token(node: Anvil) -> str:
    """Put a token and balances on the chain, and return the hash of the block that has them."""
    node.call("anvil_setCode", TOKEN, artifact("token")["runtime"])
    calls = [call_data("token", "initialise"), call_data("token", "issue", 10**12)]
    calls += [call_data("token", "transfer", holder, 1000 + number) for number, holder in enumerate(HOLDERS)]
    sent = [{"to": TOKEN, "data": data, "value": "0x0"} for data in calls]
    sent += [{"to": holder, "data": "0x", "value": hex(10**18 + number)} for number, holder in enumerate(HOLDERS)]
    for nonce, item in enumerate(sent):
        node.call("eth_sendTransaction", item | {"from": TREASURY, "nonce": hex(nonce), "gas": hex(500_000), "gasPrice": "0x0"})
    node.mine(datetime(2023, 2, 17, 15, 51, tzinfo=UTC))
    return str(node.call("eth_getBlockByNumber", "latest", False)["hash"])


def evm_publication(node: Anvil, block_hash: str, *, name: str = "ethereum") -> Publication:
    """Return a publication of the holders' balances and of one address that holds nothing, all with proofs."""
    made = Publication()
    at = {"blockHash": block_hash, "requireCanonical": True}
    raw = node.call("eth_getBlockByHash", block_hash, False)
    made.chain(
        name,
        height=int(raw["number"], 16),
        block_hash=block_hash,
        time=datetime.fromtimestamp(int(raw["timestamp"], 16), UTC),
        family="evm",
        asset="ETH",
        chain_id=node.chain_id,
        proofs=True,
        decimals={"ETH": 18, "USDT": 8},
        tokens={"USDT": TOKEN_FACTS},
    )
    made.add(f"{name}/blocks/{name}_a.jsonl.zst", "eth_getBlockByNumber", [raw["number"], False], raw)
    balances = f"{name}/{name}_a/balances-00000.jsonl.zst"
    addresses = [*HOLDERS, NOBODY]
    for address in addresses:
        answer = node.call("eth_getProof", address, [], at)
        place = made.add(balances, "eth_getProof", [address, [], at], answer)
        made.balance(name, address, "ETH", int(node.call("eth_getBalance", address, "latest"), 16), place)
    from eth_utils import keccak

    keys = ["0x" + keccak(SLOT.to_bytes(32, "big") + bytes(12) + bytes.fromhex(address[2:])).hex() for address in addresses]
    place = made.add(balances, "eth_getProof", [TOKEN, keys, at], node.call("eth_getProof", TOKEN, keys, at))
    for address in addresses:
        held = int(node.call("eth_call", {"to": TOKEN, "data": call_data("token", "balanceOf", address)}, "latest"), 16)
        made.balance(name, address, "USDT", held * 100, place)
    return made


# --- a Bitcoin-family chain: whole blocks, taken apart here ---


@dataclass(frozen=True)
class Block:
    header: bytes
    transactions: list[bytes]
    txids: list[bytes]


def blocks_of(mined: MinedChain) -> dict[int, Block]:
    """Return the blocks by height, taken apart by python-bitcoinlib's successor here: a small reader of whole blocks."""
    from bitcoinlib.transactions import Transaction

    found = {}
    for height, raw in enumerate(mined.blocks, 1):
        transactions = list(_split_block(raw))
        txids = [bytes.fromhex(Transaction.parse(item, strict=False).txid)[::-1] for item in transactions]
        found[height] = Block(raw[:80], transactions, txids)
    return found


def _split_block(raw: bytes) -> Iterator[bytes]:
    from io import BytesIO

    from bitcoinlib.encoding import read_varbyteint
    from bitcoinlib.transactions import Transaction

    stream = BytesIO(raw[80:])
    for _ in range(read_varbyteint(stream)):
        begin = stream.tell()
        Transaction.parse_bytesio(stream, strict=False)
        yield raw[80 + begin : 80 + stream.tell()]


def branch(txids: Sequence[bytes], position: int) -> list[str]:
    """Return the Merkle branch of a transaction as Electrum servers write it."""
    row, siblings = list(txids), []
    while len(row) > 1:
        if len(row) % 2:
            row.append(row[-1])
        siblings.append(row[position ^ 1][::-1].hex())
        row = [sha256d(row[place] + row[place + 1]) for place in range(0, len(row), 2)]
        position //= 2
    return siblings


def bitcoin_publication(
    mined: MinedChain,
    blocks: Mapping[int, Block],
    amounts: Mapping[int, int],
    history: Mapping[int, Sequence[tuple[int, int]]],
    *,
    name: str = "bitcoin",
    stretch: int = 40,
) -> Publication:
    """Return a publication of wallets' balances.

    Args:
        mined: The chain.
        blocks: Its blocks.
        amounts: Base units by wallet.
        history: By wallet: height and position of each transaction that concerns it.
        name: Of the chain in the publication.
        stretch: Headers in one line.
    """
    made = Publication()
    height = mined.snapshots[max(mined.snapshots)]
    made.chain(
        name,
        height=height,
        block_hash=sha256d(blocks[height].header)[::-1].hex(),
        time=datetime.fromtimestamp(sorted(mined.times[height - 10 : height + 1])[5], UTC),
        family="bitcoin",
        asset=mined.network.asset,
        network=mined.network.network,
        decimals={mined.network.asset: 8},
    )
    archive = f"{name}/{name}_a/balances-00000.jsonl.zst"
    lowest = min((at for entries in history.values() for at, _ in entries), default=height)
    for first in range(max(1, lowest - 3), height + 1, stretch):
        count = min(stretch, height + 1 - first)
        text = b"".join(blocks[number].header for number in range(first, first + count)).hex()
        made.add(f"{name}/recheck/{name}_a.jsonl.zst", "blockchain.block.headers", [first, count], {"hex": text})
    text = b"".join(blocks[number].header for number in range(height - 10, height + 2)).hex()
    made.add(f"{name}/blocks/{name}_a.jsonl.zst", "blockchain.block.headers", [height - 10, 12], {"hex": text})
    for index, amount in amounts.items():
        entries = []
        for at, position in history[index]:
            block = blocks[at]
            txid = block.txids[position][::-1].hex()
            merkle = {"block_height": at, "merkle": branch(block.txids, position), "pos": position}
            places = [
                made.add(archive, "blockchain.transaction.get", [txid], block.transactions[position].hex()),
                made.add(archive, "blockchain.transaction.get_merkle", [txid, at], merkle),
                made.add(archive, "blockchain.block.header", [at], block.header.hex()),
            ]
            entries.append({"tx_hash": txid, "height": at, "evidence": places})
        name_of_script = hashlib.sha256(mined.scripts[index]).digest()[::-1].hex()
        place = made.add(archive, "blockchain.scripthash.get_history", [name_of_script], entries)
        made.balance(name, mined.addresses[index], mined.network.asset, amount, place)
    return made


def histories(mined: MinedChain, blocks: Mapping[int, Block], upto: int) -> tuple[dict[int, list[tuple[int, int]]], dict[int, int]]:
    """Return what concerns each wallet, and what it holds after it, worked out with bitcoinlib's reading of transactions."""
    from bitcoinlib.transactions import Transaction

    wallets = {script: index for index, script in mined.scripts.items()}
    found: dict[int, list[tuple[int, int]]] = {index: [] for index in mined.scripts}
    amounts = dict.fromkeys(mined.scripts, 0)
    coins: dict[tuple[bytes, int], tuple[int, int]] = {}
    for height in range(1, upto + 1):
        for position, raw in enumerate(blocks[height].transactions):
            transaction = Transaction.parse(raw, strict=False)
            concerned = set()
            for item in transaction.inputs:
                spent = coins.pop((item.prev_txid[::-1], int.from_bytes(item.output_n, "big")), None)
                if spent:
                    amounts[spent[0]] -= spent[1]
                    concerned.add(spent[0])
            for number, output in enumerate(transaction.outputs):
                index = wallets.get(bytes(output.lock_script))
                if index is not None:
                    coins[blocks[height].txids[position], number] = (index, output.value)
                    amounts[index] += output.value
                    concerned.add(index)
            for index in concerned:
                found[index].append((height, position))
    return found, amounts
