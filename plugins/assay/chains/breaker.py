"""A circuit breaker for each source, shared by all tasks that read from it.

Airflow tries a task again every minute, and a month's snapshot has many tasks. A source that failed several times in a row is
left alone for a while, doubling from one minute to eight, so that retries don't pile up on a server that is down or has
asked for peace; a task that comes meanwhile fails at once, without a request, and its own next try comes later. The state is one
small file a source, because tasks are processes and may run on several machines that share the lake.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from assay.errors import SourceUnavailableError
from assay.lake import replacing_file

_FAILURES = 3
"""Failures in a row after which a source is left alone."""
_FIRST_PAUSE, _LONGEST_PAUSE = 60, 480
"""Seconds. The longest is well below the quarter of an hour for which tasks are retried."""


class Breaker:
    """The memory of one source's failures.

    Args:
        folder: Where the sources' states stand.
        source: Name of the source.
        clock: Wall-clock seconds; the processes that share the state must agree on them roughly.
    """

    def __init__(self, folder: Path, source: str, *, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / f"{source}.json"
        self._source = source
        self._clock = clock

    def check(self) -> None:
        """Let a request pass, or not.

        Raises:
            SourceUnavailableError: The source is being left alone.
        """
        failures, last = self._state()
        if failures < _FAILURES:
            return
        pause = min(_FIRST_PAUSE << (failures - _FAILURES), _LONGEST_PAUSE)
        # A clock that went backwards must not keep a source shut for longer than the pause.
        waited = max(0, int(self._clock()) - last)
        if waited < pause:
            raise SourceUnavailableError(
                f"it failed {failures} times in a row and is left alone for another {pause - waited} s",
                subject=f"source {self._source}",
                next_step=f"look at the errors before this one; once it is mended, delete {self._path} to go on at once",
            )

    def failed(self) -> None:
        """Note that the source was unavailable."""
        self._write(self._state()[0] + 1)

    def succeeded(self) -> None:
        """Note that the source answered; what was before is forgotten."""
        self._path.unlink(missing_ok=True)

    def _state(self) -> tuple[int, int]:
        try:
            content = json.loads(self._path.read_text())
            return int(content["failures"]), int(content["last"])
        except FileNotFoundError:
            return 0, 0
        except (ValueError, KeyError, TypeError):  # half a file cannot be there, but whoever edits it by hand must not stop a run
            return 0, 0

    def _write(self, failures: int) -> None:
        with replacing_file(self._path) as temporary:
            temporary.write_text(json.dumps({"failures": failures, "last": int(self._clock())}))
