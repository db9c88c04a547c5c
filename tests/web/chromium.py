"""A real headless Chromium over the page, driven from Python through `browser.mjs`."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.web.node import HERE, NODE

PAGE = HERE.parent.parent / "verifier" / "web" / "index.html"


class NoBrowserError(Exception):
    """No browser can be started on this machine."""


class Browser:
    """Commands of `browser.mjs`: `browser("visit", dropped=[...], fields={...})` gives what the page shows then."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the script that drives the browser has ended"
        return json.loads(line)  # type: ignore[no-any-return]

    def __call__(self, command: str, **options: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **options}, default=str) + "\n")
        self._process.stdin.flush()
        answer = self.answer()
        assert "error" not in answer, answer["error"]
        return answer["answer"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser as long as the context lasts.

    Raises:
        NoBrowserError: It is not installed, or cannot be started.
    """
    if not (HERE / "node_modules" / "playwright-core").is_dir():
        raise NoBrowserError("tests/web/node_modules is not there; `make test` installs it")
    # The package unpacks the browser into the folder for temporary files, 200 MB.
    with tempfile.TemporaryDirectory(prefix="assay-browser-") as folder:
        process = subprocess.Popen(
            [NODE, str(HERE / "browser.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "TMPDIR": folder, "HOME": folder},
        )
        assert process.stdin is not None
        try:
            browser = Browser(process)
            started = browser.answer()
            if "failure" in started:
                raise NoBrowserError(started["failure"])
            yield browser
        finally:
            process.stdin.close()
            process.wait(timeout=60)
