"""A Litecoin regtest node with the scenario's history, behind an ElectrumX server, where litecoind is installed."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from sandbox.bitcoin_blocks import MinedChain
from sandbox.electrumx import ElectrumX
from sandbox.processes import HOST, Process, free_port, listens

_LOGIN = "sandbox:sandbox"
_IN_WARM_UP = -28
_SUBMITTED_AT_ONCE = 50


class BlocksRefusedError(RuntimeError):
    """litecoind did not make the given blocks its active chain."""


def find_litecoind() -> Path | None:
    """Return the litecoind program, or None where it is not installed (Debian has it as `litecoind`)."""
    found = shutil.which("litecoind") or shutil.which("litecoind", path="/usr/lib/litecoin")
    return Path(found) if found else None


class LitecoinNode:
    """A node of its own: litecoind and ElectrumX; a context manager from start to stop.

    Args:
        folder: Receives data and logs.
        mined: The chain; litecoind validates every block and signature of it.
        litecoind: The program; the one that `find_litecoind` finds by default.

    Raises:
        FileNotFoundError: litecoind is not installed.
    """

    def __init__(self, *, folder: Path, mined: MinedChain, litecoind: Path | None = None) -> None:
        found = litecoind or find_litecoind()
        if found is None:
            raise FileNotFoundError("litecoind is not installed")
        self.mined = mined
        self._folder = folder
        self._litecoind = found
        self._port = free_port()
        self._cleanup = ExitStack()
        self.electrumx = ElectrumX(
            f"electrumx of {folder.name}",
            folder / "electrumx",
            coin="Litecoin",
            daemon_url=f"http://{_LOGIN}@{HOST}:{self._port}/",
        )

    @property
    def electrum_url(self) -> str:
        """Address for Electrum clients: `tcp://127.0.0.1:PORT`."""
        return self.electrumx.url

    @property
    def addresses(self) -> Mapping[int, str]:
        """Address by wallet index."""
        return self.mined.addresses

    def call_many(self, calls: list[tuple[str, list[object]]]) -> list[Any]:
        """Return the results of a batch of JSON-RPC calls.

        Raises:
            RuntimeError: The node refuses one of them.
        """
        body = json.dumps([{"id": number, "method": method, "params": params} for number, (method, params) in enumerate(calls)])
        # litecoind waits for idle connections when it stops, so each batch has a connection of its own.
        headers = {"Authorization": "Basic " + base64.b64encode(_LOGIN.encode()).decode(), "Connection": "close"}
        request = Request(f"http://{HOST}:{self._port}/", body.encode(), headers)
        with urlopen(request, timeout=60) as response:  # noqa: S310 (loopback)
            replies = json.load(response)
        for reply in replies:
            if reply["error"]:
                raise RuntimeError(f"litecoind: {reply['error']['code']} {reply['error']['message']}")
        return [reply["result"] for reply in replies]

    def __enter__(self) -> Self:
        data = self._folder / "litecoind"
        data.mkdir(parents=True, exist_ok=True)
        user, _, password = _LOGIN.partition(":")
        command = [
            str(self._litecoind),
            "-regtest",
            f"-datadir={data.resolve()}",
            "-server",
            "-txindex",
            "-disablewallet",
            "-listen=0",
            "-dnsseed=0",
            "-printtoconsole",
            f"-rpcport={self._port}",
            f"-rpcbind={HOST}",
            f"-rpcallowip={HOST}",
            f"-rpcuser={user}",
            f"-rpcpassword={password}",
            # Extension blocks would become active at block 432 and need data in every block from there on.
            "-vbparams=mweb:9999999999:9999999999",
        ]
        with ExitStack() as started:
            node = started.enter_context(Process(f"litecoind {self._folder.name}", command, log=self._folder / "litecoind.log"))
            node.wait_until(self._ready)
            self._submit()
            self.electrumx.start()
            started.callback(self.electrumx.stop)
            self.electrumx.wait()
            self._cleanup = started.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cleanup.close()

    def _ready(self) -> bool:
        if not listens(self._port):
            return False
        try:
            self.call_many([("getblockcount", [])])
        except HTTPError:
            return False
        except RuntimeError as error:
            if str(_IN_WARM_UP) in str(error):
                return False
            raise
        return True

    def _submit(self) -> None:
        blocks = self.mined.blocks
        for start in range(0, len(blocks), _SUBMITTED_AT_ONCE):
            calls: list[tuple[str, list[object]]] = [("submitblock", [block.hex()]) for block in blocks[start : start + _SUBMITTED_AT_ONCE]]
            self.call_many(calls)
        # submitblock accepts a block that it stores but does not connect: the tip alone shows what was accepted.
        (height,) = self.call_many([("getblockcount", [])])
        if height != len(blocks):
            raise BlocksRefusedError(f"litecoind stopped at block {height} of {len(blocks)}")
