"""How long 10,000 proofs of EVM balances take to fetch and verify, beside the bare loop that does nothing else.

    python -m tests.bench.bench_evm_proofs

The bare loop sends the very same requests, encoded beforehand, and verifies each proof with the package `trie`. Assay verifies, compares
each amount with the one that was read, and archives. Proofs are of token balances; anvil builds the whole trie of accounts anew
for each `eth_getProof` call, so proofs of accounts are measured with 500 of them. Memory is the peak of a process that does nothing else.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp
import msgspec
import rlp
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

from assay.chains.evidence import EvidenceArchive
from assay.chains.evm.proofs import Prover, slot_key
from assay.chains.evm.rpc import EvmRpc
from assay.chains.health import Meter
from assay.chains.interface import Balance, SnapshotBlock
from assay.config import Chain
from sandbox.evm import EvmNode
from sandbox.evm_accounts import BALANCES_SLOT
from sandbox.evm_crowd import Funded, fund_crowd
from tests.bench.bench_evm import CHAIN, SOURCE, TOKENS, Row, measure, newest, show
from tests.bench.memory import peak_of

SLOTS, ACCOUNTS = 10_000, 500
ROUNDS = 3
USDT = TOKENS["USDT"]
PROVEN: Chain = replace(CHAIN, proofs=True, tokens={"USDT": CHAIN.tokens["USDT"]})


def slot_bodies(block: SnapshotBlock, crowd: Sequence[Funded]) -> list[bytes]:
    """Encode the calls that prove token balances."""
    at = {"blockHash": block.hash, "requireCanonical": True}
    keys = [slot_key(member.address, BALANCES_SLOT, "vyper") for member in crowd]
    parts = [keys[start : start + SOURCE.batch_size] for start in range(0, len(keys), SOURCE.batch_size)]
    return [
        msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": "eth_getProof", "params": [USDT, part, at]})
        for number, part in enumerate(parts)
    ]


def account_bodies(block: SnapshotBlock, crowd: Sequence[Funded]) -> list[bytes]:
    """Encode the batches that prove native balances."""
    at = {"blockHash": block.hash, "requireCanonical": True}
    calls = [
        {"jsonrpc": "2.0", "id": number, "method": "eth_getProof", "params": [member.address, [], at]}
        for number, member in enumerate(crowd)
    ]
    return [msgspec.json.encode(calls[start : start + SOURCE.batch_size]) for start in range(0, len(calls), SOURCE.batch_size)]


async def bare_loop(url: str, bodies: Sequence[bytes], state_root: bytes, expected: int) -> None:
    """Fetch and verify, and count what was verified."""
    slots, verified = asyncio.Semaphore(SOURCE.concurrency), 0

    async def post(session: aiohttp.ClientSession, body: bytes) -> None:
        nonlocal verified
        async with slots, session.post(url, data=body) as response:
            decoded = msgspec.json.decode(await response.read())
        for answer in decoded if isinstance(decoded, list) else [decoded]:
            result = answer["result"]
            account = prove(state_root, result["address"], result["accountProof"])
            assert int.from_bytes(rlp.decode(account)[1] if account else b"", "big") == int(result["balance"], 16)
            for slot in result["storageProof"]:
                value = prove(rlp.decode(account)[2], slot["key"], slot["proof"])
                assert int.from_bytes(rlp.decode(value) if value else b"", "big") == int(slot["value"], 16)
            verified += len(result["storageProof"]) or 1

    async with aiohttp.ClientSession(headers={"content-type": "application/json"}) as session:
        await asyncio.gather(*(post(session, body) for body in bodies))
    assert verified == expected


def prove(root: bytes, key: str, nodes: Sequence[str]) -> bytes:
    """Verify with the package `trie`."""
    decoded = [rlp.decode(bytes.fromhex(node[2:])) for node in nodes]
    value: bytes = HexaryTrie.get_from_proof(root, keccak(bytes.fromhex(key[2:])), decoded)  # type: ignore[no-untyped-call]
    return value


async def assay_prover(url: str, block: SnapshotBlock, crowd: Sequence[Funded], asset: str) -> None:
    """Prove balances that were read before."""
    archive = EvidenceArchive("bench")
    read = [
        Balance(address=member.address, asset=asset, amount=member.native if asset == "ETH" else member.token, evidence="")
        for member in crowd
    ]
    async with EvmRpc(PROVEN, SOURCE, url, Meter(), archive) as rpc:
        proven = await Prover(rpc, {"ETH": 1, "USDT": 1}).prove(block, read)
    for balance in proven:
        archive.require(balance.evidence)


def _prove_alone(url: str, block: SnapshotBlock, crowd: Sequence[Funded], asset: str) -> None:
    asyncio.run(assay_prover(url, block, crowd, asset))


def _bare_alone(url: str, bodies: Sequence[bytes], state_root: bytes, expected: int) -> None:
    asyncio.run(bare_loop(url, bodies, state_root, expected))


def rows_of(node: EvmNode, asset: str, count: int, rounds: int) -> list[Row]:
    """Return the rows of one asset's proofs."""
    crowd = fund_crowd(node, token_contract=USDT, count=count)
    block = newest(node)
    bodies = slot_bodies(block, crowd) if asset == "USDT" else account_bodies(block, crowd)
    root = bytes.fromhex(node.call("eth_getBlockByNumber", hex(block.height), False)["stateRoot"][2:])
    what = "token balances" if asset == "USDT" else "accounts"
    bare, mine = f"floor: {count} {what}, verified by trie", f"assay: {count} {what}"
    ways = {
        bare: lambda: asyncio.run(bare_loop(node.url, bodies, root, count)),
        mine: lambda: asyncio.run(assay_prover(node.url, block, crowd, asset)),
    }
    taken = measure(ways, rounds)
    return [
        Row(bare, taken[bare], "", peak_of(_bare_alone, node.url, bodies, root, count)),
        Row(mine, taken[mine], bare, peak_of(_prove_alone, node.url, block, crowd, asset)),
    ]


def run(folder: Path, slots: int = SLOTS, accounts: int = ACCOUNTS, rounds: int = ROUNDS) -> list[Row]:
    """Return a row of each way."""
    rows: list[Row] = []
    for asset, count in (("USDT", slots), ("ETH", accounts)):
        with EvmNode(folder=folder / asset, chain="ethereum", chain_id=1, plans=[], token_contract=USDT) as node:
            rows += rows_of(node, asset, count, rounds)
    return rows


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        rows = run(Path(folder))
    print(f"at most {SOURCE.batch_size} proofs in a request, {SOURCE.concurrency} at once, median of {ROUNDS}")
    show(rows)


if __name__ == "__main__":
    main()
