"""The commands that README gives to somebody who begins, and a shell that types them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

_SECONDS = 900.0
HEADING = "## Your own publication"


def commands(readme: Path) -> list[str]:
    """Return every command of the section, in order; a line that ends with a backslash goes on in the next one."""
    section = readme.read_text().split(f"\n{HEADING}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", "").splitlines() if line.strip()]


class Shell:
    """Types commands one after another, as a person does: folder and variables stay as the last one left them.

    Args:
        home: The person's home folder, where it begins.
        environment: All that is set at first, beside HOME.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.folder = home
        self.environment = {**environment, "HOME": str(home)}
        self._state = home / ".state"

    def second(self) -> Shell:
        """Return a second terminal: it begins at home, with what was set at first."""
        kept = {name: self.environment[name] for name in ("PATH", "UV_CACHE_DIR", "LANG", "HOME") if name in self.environment}
        other = Shell(Path(self.environment["HOME"]), kept)
        other._state = other._state.with_suffix(".second")
        return other

    def start(self, command: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a command that stays."""
        with log.open("wb") as output:
            return subprocess.Popen(
                ["bash", "-c", f"exec {command}" if command.split(maxsplit=1)[0] != "set" else command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, command: str) -> str:
        """Run a command and return what it printed; it must end well."""
        typed = f'{command}\ncode=$?; {{ printf "%s\\0" "$PWD"; env -0; }} > "{self._state}"; exit $code'
        done = subprocess.run(
            ["bash", "-c", typed],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
        folder, *variables = self._state.read_text().split("\0")
        self.folder = Path(folder)
        kept = dict(item.split("=", 1) for item in variables if "=" in item)
        self.environment = {name: value for name, value in kept.items() if name not in {"_", "SHLVL", "PWD", "OLDPWD"}}
        return done.stdout


def base_environment(python: str) -> dict[str, str]:
    """Return what is set in a fresh terminal, with the given Python in front; uv may use its cache."""
    cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "REQUESTS_", "HTTP", "http"))}
    return kept | {"PATH": f"{python}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "UV_CACHE_DIR": cache, "LANG": "C.UTF-8"}
