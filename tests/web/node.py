"""Node.js for tests: it comes with the Python packages, as npm does."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node") or "node"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a user gives to the page."""

    proof: bytes | None = None
    tree: bytes | None = None
    manifest: bytes | None = None
    user_id: str = ""
    nonce: str = ""
    commitment: str = ""

    def as_json(self) -> str:
        files = {"proof": self.proof, "tree": self.tree, "manifest": self.manifest}
        encoded = {name: base64.b64encode(content).decode() for name, content in files.items() if content is not None}
        return json.dumps({"files": encoded, "userId": self.user_id, "nonce": self.nonce, "commitment": self.commitment})


@dataclass(frozen=True)
class Judged:
    """What the page's own code says to it."""

    verdict: str
    headline: str
    sentence: str
    missing: list[str]
    weaknesses: list[str]
    own: dict[str, str]
    total: dict[str, str]


def run(script: str, lines: Iterable[str]) -> list[str]:
    """Run a script of this folder, one line of JSON in for each line out."""
    done = subprocess.run(
        [NODE, str(HERE / script)], input="\n".join(lines), capture_output=True, text=True, encoding="utf-8", check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def judge(givens: Iterable[Given]) -> list[Judged]:
    """Let the JavaScript of `verifier/web/src` judge, without a browser."""
    return [Judged(**json.loads(line)) for line in run("judge.mjs", (given.as_json() for given in givens))]
