"""Nodes in whatever state: what `assay doctor` says of each, and that it takes a bounded time."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assay.chains.breaker import Breaker
from assay.doctor import sources
from assay.doctor.findings import Level
from sandbox.anvil import Anvil
from sandbox.processes import free_port
from tests.chains.lying_proxy import LyingProxy, tamper_results
from tests.chains.scripted_server import Answer, ScriptedServer
from tests.doctor.looking import bad, connect, look, of
from tests.orchestration.fake_airflow import State
from tests.own import custodian

SOURCE, CHAIN = "source ethereum_a", "chain ethereum"


def test_a_node_of_another_network_is_named(folder: Path, airflow: State, tmp_path: Path) -> None:
    with Anvil(folder=tmp_path / "other", chain_id=31337) as other:
        connect("assay_ethereum_a", other.url)
        assert "it serves chain id 31337" in bad(look(folder, airflow, "sources"))[SOURCE]


def test_a_node_that_does_not_reach_the_moment_is_waited_for(folder: Path, airflow: State, tmp_path: Path) -> None:
    with Anvil(folder=tmp_path / "young", chain_id=1) as young:
        connect("assay_ethereum_a", young.url)
        assert "behind" in of(look(folder, airflow, "sources"), Level.WARNING)[SOURCE]


def test_a_node_that_is_not_there_and_a_connection_that_is_malformed_are_told_apart(folder: Path, airflow: State) -> None:
    connect("assay_ethereum_a", f"http://127.0.0.1:{free_port()}")
    assert "it cannot be reached" in bad(look(folder, airflow, "sources"))[SOURCE]
    os.environ["AIRFLOW_CONN_ASSAY_ETHEREUM_A"] = '{"conn_type": "generic", "host": "127.0.0.1"'
    assert "it is set and cannot be read: it is not JSON" in bad(look(folder, airflow, "sources"))[SOURCE]


def forget_states(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Answer as a node does that keeps headers of the past and no states (go-ethereum's words)."""
    if call["method"] not in ("eth_getCode", "eth_getBalance", "eth_call", "eth_getProof"):
        return answer
    refusal = {"code": -32000, "message": "missing trie node 9f5a (path ) state 0x9f5a is not available"}
    return {"jsonrpc": "2.0", "id": answer["id"], "error": refusal}


def test_a_node_without_history_is_named_in_its_own_words(folder: Path, airflow: State, node: custodian.Node) -> None:
    with LyingProxy(node.url, tamper_results(forget_states)) as pruned:
        connect("assay_ethereum_a", pruned.url)
        said = bad(look(folder, airflow, "sources"))[SOURCE]
    assert "missing trie node" in said
    assert "keeps the state of the snapshot block" in said


def test_sources_that_see_different_blocks_are_a_failure_because_a_run_stops_there(folder: Path, airflow: State, tmp_path: Path) -> None:
    chains = folder / "registry" / "chains.toml"
    second = '[[ethereum.sources]]\nname = "ethereum_b"\nkind = "jsonrpc"\nconnection = "assay_ethereum_b"\n'
    chains.write_text(chains.read_text() + "\n" + second)
    with Anvil(folder=tmp_path / "fork", chain_id=1) as fork:
        for seconds in (-2 * 86_400, -86_400, -30, *range(60, 40 * 43_200, 43_200)):
            fork.mine(custodian.MOMENTS[0] + timedelta(seconds=seconds))
        connect("assay_ethereum_b", fork.url)
        found = look(folder, airflow, "sources")
    assert {item.subject for item in found if item.level is Level.OK} == {SOURCE, "source ethereum_b"}
    assert "the sources resolve different snapshot blocks: ethereum_a says" in bad(found)[CHAIN]


def test_a_server_that_says_nothing_is_given_up_and_what_was_asked_is_named(
    folder: Path, airflow: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_SECONDS", 1.0)
    began = time.monotonic()
    with ScriptedServer(lambda _: Answer(delay=4.0)) as silent:
        connect("assay_ethereum_a", silent.url)
        said = bad(look(folder, airflow, "sources"))[SOURCE]
        taken = time.monotonic() - began
    assert "within 1 s; the one under way is which network it serves" in said
    assert taken < 4


def test_a_node_that_is_slow_with_balances_alone_is_a_warning(
    folder: Path, airflow: State, node: custodian.Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getCode":
            time.sleep(6)
        return answer

    monkeypatch.setattr(sources, "_SECONDS", 3.0)
    with LyingProxy(node.url, tamper_results(wait)) as slow:
        connect("assay_ethereum_a", slow.url)
        found = look(folder, airflow, "sources")
    assert "the one under way is 3 balances at block" in of(found, Level.WARNING)[SOURCE]
    assert bad(found) == {}


def test_a_source_that_runs_leave_alone_after_failures_is_said_so_and_asked_all_the_same(folder: Path, airflow: State) -> None:
    breaker = Breaker(folder / "data" / "raw" / "breakers", "ethereum_a")
    for _ in range(3):
        breaker.failed()
    found = look(folder, airflow, "sources")
    assert "it failed 3 times in a row" in of(found, Level.WARNING)[SOURCE]
    assert SOURCE in of(found, Level.OK)


def test_nothing_is_written_where_runs_keep_their_files(folder: Path, airflow: State) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    look(folder, airflow, "sources")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
