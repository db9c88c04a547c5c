"""The verifier against what the publishing program's readers archive: two implementations of one format.

Real nodes: anvil, and ElectrumX in front of a regtest node.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assay.chains.bitcoin import reader as bitcoin_reader
from assay.chains.evidence import EvidenceArchive
from assay.chains.evm import reader as evm_reader
from assay.chains.interface import Balance, Reader, SnapshotBlock
from assay.config import Asset, Chain, Source, Token
from assay_verify.balances import verify
from sandbox.anvil import Anvil
from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, mine
from sandbox.scenario import SECOND, wallets
from tests.verifier.evidence_maker import HOLDERS, NOBODY, SLOT, TOKEN, TOKEN_FACTS, Publication, run_token, seal
from tests.verifier.test_balances_evm import counts, failures

ASSETS = {
    "BTC": Asset(symbol="BTC", name="Bitcoin", decimals=8),
    "ETH": Asset(symbol="ETH", name="Ether", decimals=18),
    "USDT": Asset(symbol="USDT", name="Tether", decimals=8),
}


def publish(folder: Path, open_reader: object, chain: Chain, addresses: list[str], as_of: datetime, **facts: object) -> Path:
    """Read a chain as the publishing program does, and write what it archived."""
    name, source = chain.name, chain.sources[0]
    archives = {part: EvidenceArchive(part) for part in ("blocks", "balances", "recheck")}

    async def read() -> tuple[SnapshotBlock, list[Balance]]:
        async def step(part: str) -> Reader:
            return await open_reader(archives[part]).__aenter__()  # type: ignore[operator]

        first = await step("blocks")
        block = await first.resolve(as_of)
        second = await step("balances")
        balances = await second.read(block, addresses, prove=True)
        third = await step("recheck")
        since = min((balance.since for balance in balances if balance.since is not None), default=None)
        assert await third.recheck(block, since=since) == block.hash
        for opened in (first, second, third):
            await opened.__aexit__(None, None, None)
        return block, balances

    block, balances = asyncio.run(read())
    made = Publication()
    made.chain(name, height=block.height, block_hash=block.hash, time=block.time, family=chain.family, asset=chain.asset, **facts)
    made.facts[name]["sources"] = [{"name": source.name, "kind": source.kind}]
    for balance in balances:
        made.balance(name, balance.address, balance.asset, balance.amount, balance.evidence)
    made.write(folder)
    for part, path in {
        "blocks": f"blocks/{source.name}",
        "balances": f"{source.name}/balances-00000",
        "recheck": f"recheck/{source.name}",
    }.items():
        target = folder / "evidence" / name / f"{path}.jsonl.zst"
        target.parent.mkdir(parents=True, exist_ok=True)
        archives[part].write(target)
    seal(folder)
    return folder


def test_what_the_evm_reader_archives_is_proven(tmp_path: Path) -> None:
    source = Source(name="ethereum_a", kind="jsonrpc", connection="x", batch_size=7)
    token = Token(asset="USDT", contract=TOKEN, decimals=6, source="", balance_slot=SLOT, slot_layout="vyper")
    chain = Chain(
        name="ethereum",
        family="evm",
        asset="ETH",
        chain_id=31337,
        finality="confirmations",
        confirmations=1,
        proofs=True,
        tokens={"USDT": token},
        sources=(source,),
    )
    with Anvil(folder=tmp_path / "anvil", chain_id=31337) as node:
        run_token(node)
        for minutes in range(1, 6):
            node.mine(datetime(2023, 2, 17, 16, minutes, tzinfo=UTC))
        folder = publish(
            tmp_path / "publication",
            lambda archive: evm_reader(chain, source, assets=ASSETS, archive=archive, url=node.url),
            chain,
            [*HOLDERS, NOBODY],
            datetime(2023, 2, 17, 16, tzinfo=UTC),
            chain_id=31337,
            proofs=True,
            decimals={"ETH": 18, "USDT": 8},
            tokens={"USDT": TOKEN_FACTS},
        )
    verified = verify(folder, all_proven=True)
    assert failures(verified) == []
    assert counts(verified) == {"proven": 2 * len(HOLDERS) + 2, "archived": 0, "failed": 0}


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(days=-1)])
def test_what_the_electrum_reader_archives_is_proven(tmp_path: Path, offset: timedelta) -> None:
    mined = mine(BITCOIN, [plan for plan in wallets(litecoin=False) if plan.chain == "bitcoin"][:20])
    source = Source(name="bitcoin_a", kind="electrum", connection="x", batch_size=40)
    chain = Chain(
        name="bitcoin", family="bitcoin", asset="BTC", network="regtest", genesis=BITCOIN.genesis, confirmations=6, sources=(source,)
    )
    with BitcoinNode(folder=tmp_path / "node", mined=mined) as node:
        folder = publish(
            tmp_path / "publication",
            lambda archive: bitcoin_reader(chain, source, assets=ASSETS, archive=archive, url=node.electrum_url),
            chain,
            list(node.addresses.values()),
            SECOND + offset,
            network="regtest",
            decimals={"BTC": 8},
        )
    verified = verify(folder, all_proven=True)
    assert failures(verified) == []
    assert counts(verified) == {"proven": 20, "archived": 0, "failed": 0}
