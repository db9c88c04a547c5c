"""Starting and stopping servers on loopback: free ports, own log files, no process left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"


class StartError(RuntimeError):
    """A server ended or stayed silent while it should have come up; carries the end of its log."""


_kept: list[socket.socket] = []


def free_port() -> int:
    """Return a TCP port on loopback that nothing listens on, for a server that will.

    Linux gives it to nobody else while this program runs, neither to a second server nor to a connection: the socket stays bound, and lets another
    one listen that allows the reuse of addresses, as servers do. Elsewhere that would be refused, and the port is free as far as was seen.
    """
    probe = socket.socket()
    if sys.platform == "linux":
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind((HOST, 0))
    port = int(probe.getsockname()[1])
    if sys.platform == "linux":
        _kept.append(probe)
    else:
        probe.close()
    return port


def listens(port: int) -> bool:
    """Tell whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


class Process:
    """A server as a child process in a process group of its own; a context manager that ends the whole group.

    Args:
        name: For messages.
        command: Program and arguments.
        log: File that receives its output.
        environment: The child's whole environment; the parent's by default.
        folder: Working folder.
        stop_signal: What asks it to end; it is killed after `stop_seconds`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 10.0,
    ) -> None:
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        self._stop_seconds = stop_seconds
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id, which is also the id of the group."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the child has not ended."""
        return self._child.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = 60.0) -> None:
        """Poll until `ready` is true.

        Raises:
            StartError: The child ended first, or the time ran out.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise StartError(f"{self.name} ended with code {self._child.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} was not ready after {seconds:.0f} s:\n{self.tail()}")
            time.sleep(0.05)

    def tail(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End the process group; a second call does nothing."""
        for number in (self._stop_signal, signal.SIGKILL):
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                break
            try:
                self._child.wait(self._stop_seconds)
            except subprocess.TimeoutExpired:
                continue
        self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
