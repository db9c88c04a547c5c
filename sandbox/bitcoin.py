"""A Bitcoin regtest node with the scenario's history, behind an ElectrumX server."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

from sandbox.bitcoin_blocks import MinedChain
from sandbox.bitcoin_node import write_blocks
from sandbox.electrumx import ElectrumX
from sandbox.processes import HOST, Process, free_port, listens

_PROJECT = Path(__file__).resolve().parent.parent


class BitcoinNode:
    """A node of its own: kernel, JSON-RPC and ElectrumX; a context manager from start to stop.

    Two nodes with the same mined chain hold the same blocks and share nothing else. Nodes may be started from several
    threads at once.

    Args:
        folder: Receives data and logs.
        mined: The chain; the kernel validates every block and signature of it again.
        electrumx: Further settings of the ElectrumX server, such as lower cost limits.
    """

    def __init__(self, *, folder: Path, mined: MinedChain, electrumx: dict[str, str] | None = None) -> None:
        self.mined = mined
        self._folder = folder
        self._port = free_port()
        self._cleanup = ExitStack()
        self.electrumx = ElectrumX(
            f"electrumx of {folder.name}",
            folder / "electrumx",
            coin="Bitcoin",
            daemon_url=f"http://user:password@{HOST}:{self._port}/",
            settings=electrumx,
        )

    @property
    def electrum_url(self) -> str:
        """Address for Electrum clients: `tcp://127.0.0.1:PORT`."""
        return self.electrumx.url

    @property
    def rpc_url(self) -> str:
        """Address of the node's JSON-RPC."""
        return f"http://{HOST}:{self._port}/"

    def call(self, method: str, *params: object) -> Any:
        """Return the result of one JSON-RPC call.

        Raises:
            RuntimeError: The node refuses it.
        """
        request = Request(self.rpc_url, json.dumps({"id": 1, "method": method, "params": params}).encode())  # noqa: S310 (loopback)
        with urlopen(request, timeout=30) as response:  # noqa: S310 (loopback)
            reply = json.load(response)
        if reply["error"]:
            raise RuntimeError(f"{method}: {reply['error']['code']} {reply['error']['message']}")
        return reply["result"]

    @property
    def addresses(self) -> Mapping[int, str]:
        """Address by wallet index."""
        return self.mined.addresses

    @property
    def movements(self) -> Mapping[datetime, str]:
        """Transactions on request, by attested moment."""
        return self.mined.movements

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        blocks = self._folder / "blocks.bin"
        write_blocks(blocks, self.mined.blocks)
        command = [sys.executable, "-m", "sandbox.bitcoin_node", "--data", str(self._folder / "kernel")]
        command += ["--blocks", str(blocks), "--port", str(self._port)]
        with ExitStack() as started:
            node = started.enter_context(
                Process(f"bitcoin node {self._folder.name}", command, log=self._folder / "node.log", folder=_PROJECT)
            )
            # Both start together: by the time that ElectrumX has loaded its modules, the node has validated its chain.
            self.electrumx.start()
            started.callback(self.electrumx.stop)
            node.wait_until(lambda: listens(self._port))
            self.electrumx.wait()
            self._cleanup = started.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cleanup.close()
