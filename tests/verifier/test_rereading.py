"""Balances read again through nodes of the verifier's own: anvil, a regtest node's JSON-RPC and ElectrumX; and nodes that lie or fail.

The lies are told by a loopback server that passes everything else on.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.request import Request, urlopen

import pytest

from assay_verify.addresses import locking_script
from assay_verify.cli import main
from sandbox.anvil import Anvil
from sandbox.bitcoin import BitcoinNode
from sandbox.bitcoin_blocks import BITCOIN, mine
from sandbox.scenario import wallets
from tests.verifier.evidence_maker import HOLDERS, Publication, bitcoin_publication, blocks_of, evm_publication, histories, run_token

Twist = Callable[[dict[str, Any], Any], Any]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with Anvil(folder=tmp_path_factory.mktemp("anvil"), chain_id=31337) as started:
        yield started


@pytest.fixture(scope="module")
def ethereum(node: Anvil) -> Publication:
    return evm_publication(node, run_token(node))


@pytest.fixture
def folder(ethereum: Publication, tmp_path: Path) -> Path:
    return ethereum.write(tmp_path / "ethereum")


@contextmanager
def twisted(url: str, twist: Twist, status: int = 200) -> Iterator[str]:
    """Pass JSON-RPC calls on and change what comes back: `twist(call, answer)`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with urlopen(Request(url, body, {"content-type": "application/json"}), timeout=20) as reply:
                answer = json.load(reply)
            call = json.loads(body)
            if isinstance(call, list):
                answer = [twist(one, next(item for item in answer if item["id"] == one["id"])) for one in call]
            else:
                answer = twist(call, answer)
            text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def electrum(answers: dict[str, Any]) -> Iterator[str]:
    """Give the address of an Electrum server that has one answer for each method."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                call = json.loads(line)
                self.wfile.write(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": answers[call["method"]]}).encode() + b"\n")

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def run(folder: Path, *options: str) -> int:
    return main(["balances", str(folder), *options])


def test_everything_is_read_again_through_an_own_node(folder: Path, node: Anvil, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--rpc", f"ethereum={node.url}", "--all", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    check = next(item for item in document["checks"] if item["name"] == "rpc.ethereum")
    assert check["compared"] == 2 + 2 * len(HOLDERS) + 2
    assert check["held"]


def test_a_sample_is_drawn_anew_unless_its_seed_is_given(folder: Path, node: Anvil, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[list[Any]] = []

    def listen(call: dict[str, Any], answer: Any) -> Any:
        asked.append(call["params"])
        return answer

    drawn = []
    with twisted(node.url, listen) as url:
        for options in ((), ("--seed", "7"), ("--seed", "7"), ("--seed", "8")):
            asked.clear()
            assert run(folder, "--rpc", f"ethereum={url}", "--sample", "6", *options) == 0
            drawn.append(copy.deepcopy(asked[2:]))
            said = capsys.readouterr().out
            assert "6 balances were read again" in said
            assert f"--seed {options[1] if options else ''}" in said
    assert drawn[1] == drawn[2] != drawn[3]
    assert all(len(calls) == 6 for calls in drawn)


def _other_balance(call: dict[str, Any], answer: Any) -> Any:
    return answer | {"result": hex(int(answer["result"], 16) + 1)} if call["method"] == "eth_getBalance" else answer


def _other_block(call: dict[str, Any], answer: Any) -> Any:
    return answer | {"result": answer["result"] | {"hash": "0x" + "00" * 32}} if call["method"] == "eth_getBlockByNumber" else answer


def _no_block(call: dict[str, Any], answer: Any) -> Any:
    return answer | {"result": None} if call["method"] == "eth_getBlockByNumber" else answer


def _other_chain(call: dict[str, Any], answer: Any) -> Any:
    return answer | {"result": "0x1"} if call["method"] == "eth_chainId" else answer


def _refusal(call: dict[str, Any], answer: Any) -> Any:
    return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32000, "message": "missing trie node"}}


def _null(call: dict[str, Any], answer: Any) -> Any:
    return answer | {"result": None} if call["method"] == "eth_call" else answer


def _not_json(call: dict[str, Any], answer: Any) -> Any:
    return b'{"jsonrpc": "2.0", '


def _odd_id(call: dict[str, Any], answer: Any) -> Any:
    return answer | {"id": [answer["id"]]}


def _no_answer(call: dict[str, Any], answer: Any) -> Any:
    return {"jsonrpc": "2.0", "id": 4711, "result": answer["result"]}


LIES: list[tuple[Twist, str]] = [
    (_other_balance, "your node says"),
    (_other_block, "your node has 0x0000"),
    (_no_block, "your node has no block at height 1"),
    (_other_chain, "serves chain id 1"),
    (_refusal, "missing trie node"),
    (_null, "is not hexadecimal data"),
    (_not_json, "its answer is not JSON"),
    (_odd_id, "did not answer every question"),
    (_no_answer, "did not answer every question"),
]


@pytest.mark.parametrize(("twist", "said"), LIES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_node_that_says_otherwise_or_fails_is_a_failed_check(
    folder: Path, node: Anvil, capsys: pytest.CaptureFixture[str], twist: Twist, said: str
) -> None:
    with twisted(node.url, twist) as url:
        assert run(folder, "--rpc", f"ethereum={url}", "--all") == 1
    assert said in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("status", [301, 401, 429, 503])
def test_an_http_error_is_a_failed_check(folder: Path, node: Anvil, capsys: pytest.CaptureFixture[str], status: int) -> None:
    with twisted(node.url, lambda call, answer: answer, status) as url:
        assert run(folder, "--rpc", f"ethereum={url}") == 1
    assert f"HTTP status {status}" in " ".join(capsys.readouterr().out.split())


def test_an_address_with_its_password_is_never_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("http://user:hunter2@127.0.0.1:9/key-hunter2", "tcp://hunter2.invalid:9", "ftp://hunter2/", "http://[hunter2"):
        assert run(folder, "--rpc", f"ethereum={url}") in (1, 2)
        captured = capsys.readouterr()
        assert "hunter2" not in captured.out + captured.err


def test_a_password_is_sent_and_nothing_else_is(folder: Path, node: Anvil) -> None:
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers["authorization"])
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(403)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert run(folder, "--rpc", f"ethereum=http://user:p%40ss@127.0.0.1:{server.server_port}") == 1
    server.shutdown()
    thread.join()
    server.server_close()
    assert seen == ["Basic dXNlcjpwQHNz"]


@pytest.mark.parametrize("value", ["ethereum", "=http://x", "mars=http://127.0.0.1:1", "ethereum="])
def test_a_malformed_or_unknown_rpc_ends_with_2(folder: Path, capsys: pytest.CaptureFixture[str], value: str) -> None:
    assert run(folder, "--rpc", value) == 2
    assert capsys.readouterr().err.startswith("assay-verify: ")


@pytest.fixture(scope="module")
def bitcoin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BitcoinNode, Publication]]:
    plans = [plan for plan in wallets(litecoin=False) if plan.chain == "bitcoin"][:20]
    mined = mine(BITCOIN, plans)
    blocks = blocks_of(mined)
    found, amounts = histories(mined, blocks, mined.snapshots[max(mined.snapshots)])
    with BitcoinNode(folder=tmp_path_factory.mktemp("bitcoin") / "a", mined=mined) as started:
        yield started, bitcoin_publication(mined, blocks, amounts, found)


def test_bitcoin_histories_are_replayed_through_an_electrum_server(
    bitcoin: tuple[BitcoinNode, Publication], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node, made = bitcoin
    folder = made.write(tmp_path)
    assert run(folder, "--rpc", f"bitcoin={node.electrum_url}", "--all") == 0
    assert "the histories of 20 addresses were replayed again" in " ".join(capsys.readouterr().out.split())
    assert run(folder, "--rpc", f"bitcoin={node.electrum_url}", "--sample", "3") == 0


def test_of_bitcoin_core_the_block_is_compared(
    bitcoin: tuple[BitcoinNode, Publication], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node, made = bitcoin
    folder = made.write(tmp_path)
    assert run(folder, "--rpc", f"bitcoin={node.rpc_url}") == 0
    assert "none was read again" in capsys.readouterr().out
    with twisted(node.rpc_url, lambda call, answer: answer | {"result": "00" * 32}) as url:
        assert run(folder, "--rpc", f"bitcoin={url}") == 1


@pytest.mark.parametrize(
    "history",
    [{}, "", None, 7, [{"tx_hash": "ab" * 32, "height": float("nan")}], [{"tx_hash": "ab" * 32, "height": -7}], [{"tx_hash": "ab" * 32}]],
    ids=str,
)
def test_a_history_that_is_none_is_never_an_empty_one(
    bitcoin: tuple[BitcoinNode, Publication], tmp_path: Path, capsys: pytest.CaptureFixture[str], history: Any
) -> None:
    made = copy.deepcopy(bitcoin[1])
    for item in made.rows:  # a table of zeros, which such a server would bear out
        item.update(amount=0, evidence="ab" * 32)
    header = made.lines["bitcoin/blocks/bitcoin_a.jsonl.zst"][0][2]["hex"][-2 * 160 : -160]
    answers = {"server.version": ["test", "1.4"], "blockchain.block.header": header, "blockchain.scripthash.get_history": history}
    with electrum(answers) as url:
        assert run(made.write(tmp_path), "--rpc", f"bitcoin={url}", "--sample", "1", "--json") == 1
    check = next(item for item in json.loads(capsys.readouterr().out)["checks"] if item["name"] == "rpc.bitcoin")
    assert any("has not the form of one" in failure for failure in check["failures"]), check


def test_a_table_that_lies_about_bitcoin_contradicts_an_own_server(
    bitcoin: tuple[BitcoinNode, Publication], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node, original = bitcoin
    made = copy.deepcopy(original)
    amount, script = made.rows[0]["amount"] + 1, locking_script("regtest", made.rows[0]["address"]).hex()
    asked = {"block_hash": made.blocks[0]["hash"], "hash_serialized_3": "ab" * 32, "script": script}
    place = made.add("bitcoin/bitcoin_a/balances-00000.jsonl.zst", "utxo_set_coins", asked, [["cd" * 32, 0, 100, False, amount]])
    made.rows[0].update(evidence=place, amount=amount)
    folder = made.write(tmp_path)
    assert run(folder) == 0  # archived, as stated
    assert run(folder, "--rpc", f"bitcoin={node.electrum_url}", "--all") == 1
    assert "your node says" in capsys.readouterr().out


def test_a_family_that_cannot_be_read_again_here_ends_with_2(ethereum: Publication, tmp_path: Path) -> None:
    made = copy.deepcopy(ethereum)
    made.facts["ethereum"]["family"] = "tron"
    assert run(made.write(tmp_path), "--rpc", "ethereum=http://127.0.0.1:1") == 2
