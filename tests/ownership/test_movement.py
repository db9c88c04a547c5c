"""Ownership by movement on real nodes: asked for, found through every source, and what stops a run.

Nodes are anvil and the sandbox's Bitcoin node behind ElectrumX; an Esplora server is played from its documentation. The transactions are made by the
sandbox's keepers from the format's page, and the rest is the house's own code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assay.chains.asking import Connect
from assay.chains.evidence import SUFFIX
from assay.config import Settings
from assay.errors import ConfigError, OwnershipError, SourceMismatchError
from assay.ownership.challenge import write_challenges
from assay.ownership.statements import OwnershipStatement, read_csv
from assay.ownership.store import import_file
from assay_verify.ownership import movement
from assay_verify.ownership.interface import UnsupportedError
from sandbox.bitcoin import BitcoinNode
from sandbox.scenario import FIRST, SECOND
from tests.chains.esplora_server import EsploraChain, validated_blocks
from tests.chains.lying_proxy import Call, LyingProxy, tamper_results
from tests.chains.scripted_server import ScriptedServer
from tests.ownership.movements import INDEX, PLANS, Node, again, change, take_snapshot, url_of


def test_a_wallet_that_cannot_sign_is_proven_by_what_it_moved(
    settings: Settings, chain: str, connect: Connect, signed: Path, address: str, tmp_path: Path
) -> None:
    results = {item.address: item for item in import_file(settings, SECOND, signed)}
    assert all(item.good for item in results.values())
    assert results[address].words == "kept; the transaction is looked up"
    folder = take_snapshot(settings, chain, connect, tmp_path / "raw")
    rows = {row["address"]: row for row in pq.read_table(folder / "ownership.parquet").to_pylist()}
    assert {row["status"] for found, row in rows.items() if found != address} == {"fresh"}
    row = rows[address]
    assert (row["status"], row["scheme"], row["signed_at"], row["script"]) == ("movement", "movement", None, None)
    assert row["note"].startswith("moved in block ")
    balances = pq.read_table(folder / "balances.parquet").to_pylist()
    (balance,) = [item for item in balances if item["address"] == address]
    assert balance["ownership_status"] == "movement"
    plan = next(plan for plan in PLANS[chain] if plan.index == INDEX)
    assert balance["amount"] == plan.second[balance["asset"]], "a movement within a wallet changes nothing"


def test_the_run_is_the_same_from_its_evidence(
    settings: Settings, chain: str, connect: Connect, signed: Path, address: str, tmp_path: Path
) -> None:
    import_file(settings, SECOND, signed)
    folder = take_snapshot(settings, chain, connect, tmp_path / "raw")
    read = again(settings, chain, folder, tmp_path / "again")
    for name in ("ownership.parquet", "balances.parquet", f"recheck/{settings.chain(chain).sources[0].name}{SUFFIX}"):
        assert (read / name).read_bytes() == (folder / name).read_bytes()


def test_a_movement_for_another_moment_is_refused_at_once(
    settings: Settings, chain: str, nodes: dict[str, Node], connect: Connect, signed: Path, address: str, tmp_path: Path
) -> None:
    """January's transaction is no proof for February, nor is January's announcement."""
    node = nodes[chain]
    write_challenges(settings, FIRST, tmp_path / "january", connect=connect, moving=[(chain, address)])
    (asked,) = [item for _, item in read_csv(tmp_path / "january" / f"{chain}.csv") if item.address == address]
    change(signed, address, lambda item: replace(item, message=asked.message))
    refused = {item.address: item for item in import_file(settings, SECOND, signed) if not item.good}
    assert set(refused) == {address}
    assert "another report, address or block" in refused[address].words
    (right,) = [item for _, item in read_csv(tmp_path / "asked" / f"{chain}.csv") if item.address == address]
    change(signed, address, lambda item: replace(item, message=right.message, signatures=node.movements[FIRST]))
    assert all(item.good for item in import_file(settings, SECOND, signed)), "only the chain can tell"
    with pytest.raises(OwnershipError, match="not after block"):
        take_snapshot(settings, chain, connect, tmp_path / "raw")


@pytest.mark.parametrize(
    "alter",
    [
        lambda item: replace(item, signatures=item.signatures.upper()),
        lambda item: replace(item, signatures=item.signatures[:-1]),
        lambda item: replace(item, signatures=f"{item.signatures}\n{item.signatures}"),
        lambda item: replace(item, script="00"),
        lambda item: replace(item, owners=item.address),
        lambda item: replace(item, message=item.message.replace("amount: 0.0", "amount: 0.1")),
        lambda item: replace(item, message=item.message + " "),
        lambda item: replace(item, scheme="eip191"),
        lambda item: replace(item, message="I moved something"),
    ],
)
def test_a_movement_that_is_stated_wrongly_is_refused_at_once(
    settings: Settings, signed: Path, address: str, alter: Callable[[OwnershipStatement], OwnershipStatement]
) -> None:
    change(signed, address, alter)
    assert [item.address for item in import_file(settings, SECOND, signed) if not item.good] == [address]


def test_a_transaction_that_is_not_there_stops_the_run(
    settings: Settings, chain: str, connect: Connect, signed: Path, address: str, tmp_path: Path
) -> None:
    change(signed, address, lambda item: replace(item, signatures=item.signatures[:-8] + "01234567"))
    import_file(settings, SECOND, signed)
    with pytest.raises(OwnershipError, match="not in the evidence"):
        take_snapshot(settings, chain, connect, tmp_path / "raw")


@pytest.mark.parametrize("chain", ["ethereum"], indirect=True)
def test_sources_that_disagree_on_a_movement_stop_the_run(settings: Settings, nodes: dict[str, Node], signed: Path, tmp_path: Path) -> None:
    import_file(settings, SECOND, signed)
    honest = url_of(nodes["ethereum"])

    def deny(call: Call, answer: Call) -> Call:
        return answer | {"result": None} if call["method"] == "eth_getTransactionByHash" else answer

    with LyingProxy(honest, tamper_results(deny)) as liar:
        two: Connect = lambda source, _: honest if source.name.endswith("_a") else liar.url  # noqa: E731
        with pytest.raises(SourceMismatchError, match="or of movements"):
            take_snapshot(settings, "ethereum", two, tmp_path / "raw")


@pytest.mark.parametrize("chain", ["bitcoin"], indirect=True)
def test_an_esplora_server_shows_the_same_as_a_second_source_and_nothing_as_the_first(
    settings: Settings, config_file: Path, nodes: dict[str, Node], signed: Path, address: str, tmp_path: Path
) -> None:
    import_file(settings, SECOND, signed)
    node = nodes["bitcoin"]
    assert isinstance(node, BitcoinNode)
    chains = settings.registry / "chains.toml"
    electrum = chains.read_text()
    chains.write_text(electrum.replace('name = "bitcoin_b"\nkind = "electrum"', 'name = "bitcoin_b"\nkind = "esplora"'))
    mixed = Settings.load(config_file)
    with ScriptedServer(EsploraChain(validated_blocks(node.mined, tmp_path / "kernel"))) as server:
        both: Connect = lambda source, _: server.url if source.kind == "esplora" else node.electrum_url  # noqa: E731
        folder = take_snapshot(mixed, "bitcoin", both, tmp_path / "raw")
        rows = {row["address"]: row["status"] for row in pq.read_table(folder / "ownership.parquet").to_pylist()}
        assert rows[address] == "movement"
        again(mixed, "bitcoin", folder, tmp_path / "again")
        chains.write_text(chains.read_text().replace('name = "bitcoin_a"\nkind = "electrum"', 'name = "bitcoin_a"\nkind = "esplora"'))
        alone = Settings.load(config_file)
        with pytest.raises(ConfigError, match="is not asked for transactions"):
            take_snapshot(alone, "bitcoin", both, tmp_path / "other")


def test_wallets_that_are_not_listed_and_chains_that_show_nothing_are_named(
    settings: Settings, chain: str, connect: Connect, tmp_path: Path
) -> None:
    with pytest.raises(OwnershipError, match="no such wallet"):
        write_challenges(settings, SECOND, tmp_path, connect=connect, moving=[(chain, "nobody")])
    for family in ("tron", "solana", "ripple", "ton"):
        with pytest.raises(UnsupportedError, match=family):
            movement.coin_of(family, "", "X")
    with pytest.raises(UnsupportedError, match="X11"):
        movement.coin_of("bitcoin", "dash", "DASH")


def test_what_is_asked_a_second_time_is_the_same(
    settings: Settings, chain: str, connect: Connect, signed: Path, address: str, tmp_path: Path
) -> None:
    later = SECOND - timedelta(hours=3)
    write_challenges(settings, SECOND, tmp_path / "again", connect=connect, at=later, moving=[(chain, address)])
    assert (tmp_path / "again" / f"{chain}.csv").read_bytes() == (tmp_path / "asked" / f"{chain}.csv").read_bytes()
