"""ElectrumX in front of a Bitcoin-family node, on loopback."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sandbox.processes import HOST, Process, free_port, listens

_POLL_MILLISECONDS = 250


class ElectrumX:
    """An ElectrumX server; a context manager from start to stop. A second `start` goes on with the same index and port.

    Args:
        name: For messages.
        folder: Receives the index and the log.
        coin: ElectrumX's name of the coin: `Bitcoin`, `Litecoin`.
        daemon_url: The node's JSON-RPC.
        settings: Further environment variables of ElectrumX, such as its cost limits.
    """

    def __init__(self, name: str, folder: Path, *, coin: str, daemon_url: str, settings: dict[str, str] | None = None) -> None:
        self.name = name
        self.port = free_port()
        self._folder = folder
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "COIN": coin,
            "NET": "regtest",
            "DAEMON_URL": daemon_url,
            "DB_DIRECTORY": str(folder / "index"),
            "DB_ENGINE": "leveldb",
            "SERVICES": f"tcp://{HOST}:{self.port}",
            "PEER_DISCOVERY": "off",
            "PEER_ANNOUNCE": "",
            # The server meters its clients; the sandbox's only client may take all there is.
            "COST_SOFT_LIMIT": "0",
            "COST_HARD_LIMIT": "0",
            "MAX_SEND": str(64 << 20),
            "MAX_RECV": str(16 << 20),
            "ALLOW_ROOT": "1",
            "CACHE_MB": "100",
            # It serves only after a look at blocks and mempool in agreement, and asks for both at this interval. The
            # default of 5 s is nearly all of its start-up time on a chain of some hundred blocks.
            "DAEMON_POLL_INTERVAL_BLOCKS": str(_POLL_MILLISECONDS),
            "DAEMON_POLL_INTERVAL_MEMPOOL": str(_POLL_MILLISECONDS),
        } | (settings or {})
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Address for clients: `tcp://127.0.0.1:PORT`."""
        return f"tcp://{HOST}:{self.port}"

    def start(self) -> None:
        """Start the server without waiting for it."""
        (self._folder / "index").mkdir(parents=True, exist_ok=True)
        program = Path(sys.executable).parent / "electrumx_server"
        self._process = Process(
            self.name, [sys.executable, str(program)], log=self._folder / "electrumx.log", environment=self._environment
        )

    def wait(self, *, seconds: float = 60.0) -> None:
        """Wait until it has indexed the node's chain and accepts clients.

        Raises:
            StartError: It ended, or the time ran out.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        self._process.wait_until(lambda: listens(self.port), seconds=seconds)

    def stop(self) -> None:
        """Stop the server; a second call does nothing."""
        if self._process is not None:
            self._process.stop()
            self._process = None
