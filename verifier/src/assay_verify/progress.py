"""How far a long run is, on a terminal only."""

from __future__ import annotations

import sys
import time

_INTERVAL = 0.2


class Progress:
    """One line on standard error that is written over again; nothing where that is no terminal.

    Args:
        wanted: False for none at all.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self._shown = wanted and sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, text: str) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if self._shown and now >= self._next:
            self._next = now + _INTERVAL
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
