"""The proof service on loopback, over a lake with a log, manifests and notes as publishing leaves them.

Its proofs are stand-ins here: what is tested with them is the service. `test_real_proofs.py` runs it over real trees.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from assay import origin
from assay.config import Settings
from assay.errors import UnknownUserError
from assay.proof_service.access import Access, AccessList, Limits
from assay.proof_service.app import create_app
from assay.proof_service.reports import PublishedReports
from assay.publication.log import Log, folder_name

JANUARY = datetime(2023, 1, 31, 16, tzinfo=UTC)
FEBRUARY = datetime(2023, 2, 28, 16, tzinfo=UTC)
TOKEN = "website-token-" + 32 * "0"
OTHER_TOKEN = "another-token-" + 32 * "1"
USER = "user-canary-73c1"
PLENTY = Limits(requests_per_second=10_000, requests_per_user_and_minute=10_000, failures_per_address_and_minute=10_000)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def publish(settings: Settings, as_of: datetime, revision: int = 1, *, commitment: str | None = "00", index: bool = True) -> str:
    """Leave what publishing leaves, as far as the service looks at it; returns the SHA-256 of the manifest."""
    series = settings.lake / "publications" / settings.series
    folder = series / folder_name(as_of, revision)
    (folder / "liability_tree").mkdir(parents=True)
    content = {"as_of": as_of.isoformat(), "revision": revision}
    if commitment is not None:
        content["liability_commitment"] = commitment
    (folder / "manifest.json").write_text(json.dumps(content))
    manifest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    Log.read(series).append(as_of=as_of, revision=revision, manifest_sha256=manifest, published_at=datetime.now(UTC))
    note = settings.lake / "marts" / "origins" / manifest / "origin.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"index": f"marts/index/{manifest}"}))
    if index:
        (settings.lake / "marts" / "index" / manifest).mkdir(parents=True)
    return manifest


def destroy_index(settings: Settings, manifest: str) -> None:
    shutil.rmtree(settings.lake / "marts" / "index" / manifest)


@dataclass
class StandIn:
    """Cuts proofs that say whose they are; what it does with each can be replaced."""

    commitment: str = "00"
    opened: list[Path] = field(default_factory=list)
    act: Callable[[str], object] = lambda _user: None

    def open(self, tree: Path, _index: Path) -> StandIn:
        self.opened.append(tree)
        return self

    def prove(self, user_id: str) -> dict[str, Any]:
        self.act(user_id)
        if user_id.startswith("nobody"):
            raise UnknownUserError("it has no leaf", subject=f"user {user_id}", next_step="ask for another")
        return {"commitment": self.commitment, "for": user_id}


@dataclass
class Keys:
    """What the Connection says; tests change it as an operator would. Time passes when they say so."""

    access: Access | Exception
    now: float = 1000.0

    def read(self) -> Access:
        if isinstance(self.access, Exception):
            raise self.access
        return self.access

    def list(self) -> AccessList:
        return AccessList(self.read, clock=lambda: self.now)


def application(settings: Settings, stand_in: StandIn, *, keys: Keys | None = None, **arguments: Any) -> FastAPI:
    keys = keys or Keys(Access(digests={"website": digest(TOKEN)}, limits=PLENTY))
    reports = PublishedReports(settings, index_of=origin.index_of, open_prover=stand_in.open)
    return create_app(reports, keys.list(), **arguments)


@contextmanager
def serving(app: FastAPI, *, token: str | None = TOKEN) -> Iterator[httpx.Client]:
    """Serve an application with uvicorn on a free loopback port, and give a client that sends a token."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        # Whoever comes before the server is ready waits for it.
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, server_header=False, timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", headers=headers, timeout=20) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(10)
