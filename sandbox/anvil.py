"""An anvil process with a fixed genesis, and the JSON-RPC calls that drive it.

Two nodes started with the same chain id and driven by the same calls hold the same block hashes: genesis time, genesis
account, hard fork and order of transactions are pinned, blocks are mined on demand only, and gas costs nothing, so
that a wallet's balance changes by what it is sent and by nothing else.
"""

from __future__ import annotations

import http.client
import json
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sandbox.processes import HOST, Process, StartError, free_port

GENESIS_TIME = datetime(2022, 12, 1, tzinfo=UTC)
TREASURY = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
"""The first account of anvil's well-known test mnemonic; the genesis block gives it everything."""
CREATE2_DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""Deploys salt (32 bytes) + initialisation code; anvil's genesis holds it, as most public chains do."""

_MODULES = Path(__file__).parent / "node_modules" / "@foundry-rs"
_PLATFORMS = {
    ("linux", "x86_64"): "linux-amd64",
    ("linux", "aarch64"): "linux-arm64",
    ("darwin", "x86_64"): "darwin-amd64",
    ("darwin", "arm64"): "darwin-arm64",
    ("win32", "AMD64"): "win32-amd64",
}
_ETHER = 10**6  # of the treasury, in whole ether; at least what all wallets of a chain together ever hold
_GAS_LIMIT = 10**9  # so high that no block is half full, because a fuller one would raise the base fee above 0

Call = tuple[str, list[Any]]


class AnvilError(RuntimeError):
    """Anvil refused a call."""


def binary() -> Path:
    """Return anvil's program file of this platform.

    It is started directly: the npm package's own starter is a Node program that costs 0.1 s and hides the process id.

    Raises:
        StartError: It isn't installed.
    """
    name = _PLATFORMS.get((sys.platform, platform.machine()), "")
    path = _MODULES / f"anvil-{name}" / "bin" / ("anvil.exe" if sys.platform == "win32" else "anvil")
    if not path.is_file():
        raise StartError(f"anvil is not installed ({path} is missing): run `npm ci` in the sandbox folder")
    return path


class Anvil:
    """A running anvil with nothing but its genesis block; a context manager.

    Args:
        folder: For its log and what it spills to disk.
        chain_id: EIP-155 chain id.
    """

    def __init__(self, *, folder: Path, chain_id: int) -> None:
        self.folder = folder
        self.chain_id = chain_id
        self.port = 0
        self._process: Process | None = None
        self._connection: http.client.HTTPConnection | None = None

    @property
    def url(self) -> str:
        """Address of its JSON-RPC server."""
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._process = Process(
            f"anvil (chain {self.chain_id})",
            [str(binary()), *self._arguments()],
            log=self.folder / "anvil.log",
            environment={"HOME": str(self.folder)},  # it spills states to $HOME/.foundry
            folder=self.folder,
        )
        try:
            self._process.wait_until(self._answers, seconds=30)
            self.prepare()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def prepare(self) -> None:
        """What happens between start and use; nothing here."""

    def stop(self) -> None:
        """End the process; a second call does nothing."""
        if self._connection:
            self._connection.close()
        if self._process:
            self._process.stop()

    def call(self, method: str, *params: Any) -> Any:
        """Make one JSON-RPC call and return its result.

        Raises:
            AnvilError: It was refused.
        """
        answer = self._post({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
        return _result((method, list(params)), answer)

    def run(self, calls: Sequence[Call]) -> None:
        """Make JSON-RPC calls one after another, for transactions whose order matters."""
        for method, params in calls:
            self.call(method, *params)

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Make JSON-RPC calls in one batch and return their results in order. Anvil works them off in any order.

        Raises:
            AnvilError: One was refused.
        """
        if not calls:
            return []
        answers = self._post(
            [{"jsonrpc": "2.0", "id": index, "method": method, "params": params} for index, (method, params) in enumerate(calls)]
        )
        return [_result(call, answer) for call, answer in zip(calls, sorted(answers, key=lambda answer: int(answer["id"])), strict=True)]

    def _post(self, body: object) -> Any:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        self._connection.request("POST", "/", json.dumps(body), {"content-type": "application/json"})
        return json.loads(self._connection.getresponse().read())

    def mine(self, time: datetime) -> None:
        """Mine one block of that time with everything that was sent."""
        self.call("evm_mine", int(time.timestamp()))

    def mine_many(self, count: int, seconds: int) -> None:
        """Mine blocks, each `seconds` after the one before.

        Each gets its time explicitly: `anvil_mine` with an interval adds the time that has passed on the machine's clock.
        """
        newest = int(self.batch([("eth_getBlockByNumber", ["latest", False])])[0]["timestamp"], 16)
        self.run([("evm_mine", [newest + seconds * number]) for number in range(1, count + 1)])

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.connect()
        except OSError:
            return False
        finally:
            connection.close()
        return int(self.call("eth_chainId"), 16) == self.chain_id

    def _arguments(self) -> list[str]:
        return [
            *("--host", HOST, "--port", str(self.port), "--chain-id", str(self.chain_id), "--hardfork", "prague"),
            *("--timestamp", str(int(GENESIS_TIME.timestamp())), "--accounts", "1", "--balance", str(_ETHER)),
            *("--no-mining", "--order", "fifo", "--auto-impersonate", "--slots-in-an-epoch", "2"),
            *("--base-fee", "0", "--gas-price", "0", "--disable-min-priority-fee", "--gas-limit", str(_GAS_LIMIT)),
            *("--no-request-size-limit", "--quiet"),
        ]


def _result(call: Call, answer: dict[str, Any]) -> Any:
    if "error" in answer:
        method, params = call
        raise AnvilError(f"{method}{str(params)[:200]}: {answer['error']}")
    return answer["result"]
