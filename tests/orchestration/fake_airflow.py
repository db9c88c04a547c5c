"""An HTTP server that answers as Airflow's API does, in whatever state a test needs. What a real one answers is held by the end-to-end tests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qs, urlsplit

from assay.orchestration.preflight import DAGS

HEALTHY = {name: {"status": "healthy"} for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")}


@dataclass
class State:
    """What the server says.

    Attributes:
        users: Passwords by name.
        health: Of the components.
        dags: By name, whether it is paused.
        errors: Import errors.
        pools: Slots by name.
        runs: Of each DAG.
        tasks: Of each run's id.
        logs: Content by task id.
        events: Of the event log.
        token: What a login is given.
        sources: Pools of the tasks that read, besides the default one.
        schedule: Of the snapshots.
        stale: DAGs whose file is gone.
        connections: That are kept in its database.
        version: Of Airflow.
        clock_ahead: Seconds.
        requests: Method and path of what was asked.
    """

    users: dict[str, str] = field(default_factory=lambda: {"operator": "secret"})
    health: dict[str, Any] = field(default_factory=lambda: dict(HEALTHY))
    dags: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(DAGS, False))
    errors: list[dict[str, Any]] = field(default_factory=list)
    pools: dict[str, int] = field(default_factory=dict)
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {dag: [] for dag in DAGS})
    tasks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    logs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    token: str = "good"
    sources: tuple[str, ...] = ()
    schedule: str = ""
    stale: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()
    version: str = field(default_factory=lambda: version("apache-airflow"))
    clock_ahead: int = 0
    url: str = ""


@contextmanager
def fake_airflow() -> Iterator[State]:
    state = State()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def do_PATCH(self) -> None:
            self.answer()

        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            parts = urlsplit(self.path)
            state.requests.append((self.command, parts.path))
            code, content = respond(state, self.command, parts.path, parse_qs(parts.query), body, self.headers.get("authorization", ""))
            data = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((time.time() if timestamp is None else timestamp) + state.clock_ahead)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield state
        server.shutdown()


def respond(state: State, method: str, path: str, query: dict[str, list[str]], body: dict[str, Any], token: str) -> tuple[int, Any]:
    if path == "/api/v2/monitor/health":
        return 200, state.health
    if path == "/auth/token":
        if method == "POST" and state.users.get(body.get("username", "")) == body.get("password"):
            return 201, {"access_token": state.token}
        return (401, {"detail": "Invalid credentials"}) if method == "POST" else (403, {"detail": "only if all are admins"})
    if token != f"Bearer {state.token}":
        return (403, {"detail": "Invalid JWT token"}) if token else (401, {"detail": "Not authenticated"})
    return found(state, method, path.removeprefix("/api/v2").strip("/").split("/"), query, body)


def page(key: str, items: list[dict[str, Any]]) -> tuple[int, Any]:
    return 200, {key: items, "total_entries": len(items)}


def found(state: State, method: str, parts: list[str], query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, Any]:  # noqa: C901, PLR0911, PLR0912
    match parts:
        case ["importErrors"]:
            return page("import_errors", state.errors)
        case ["pools"]:
            if method == "POST":
                state.pools[body["name"]] = body["slots"]
                return 201, body
            return page("pools", [{"name": name, "slots": slots} for name, slots in state.pools.items()])
        case ["eventLogs"]:
            return page("event_logs", state.events)
        case ["dags"]:
            return page("dags", [{"dag_id": dag} for dag in state.dags])
        case ["dags", dag] if dag in state.dags:
            if method == "PATCH":
                state.dags[dag] = body["is_paused"]
            details = {"is_stale": dag in state.stale, "timetable_summary": state.schedule}
            return 200, {"dag_id": dag, "is_paused": state.dags[dag], **details}
        case ["dags", dag, "dagRuns"] if dag in state.dags:
            if method == "POST" and body["dag_run_id"] in {item["dag_run_id"] for item in state.runs[dag]}:
                return 409, {"detail": {"reason": "Unique constraint violation"}}
            if method == "POST":
                run = {"dag_run_id": body["dag_run_id"], "partition_key": body["partition_key"], "state": "queued", "conf": body["conf"]}
                state.runs[dag].insert(0, run | {"queued_at": "2026-01-01T00:00:00Z", "start_date": None, "dag_id": dag})
                return 200, run
            wanted = query.get("state")
            return page("dag_runs", [run for run in state.runs[dag] if not wanted or run["state"] in wanted])
        case ["dags", dag, "dagRuns", run] if dag in state.dags:
            return 200, next(item for item in state.runs[dag] if item["dag_run_id"] == run)
        case ["dags", _, "dagRuns", run, "taskInstances"]:
            return page("task_instances", state.tasks.get(run, []))
        case ["dags", _, "dagRuns", _, "taskInstances", task, "logs", _]:
            return 200, {"content": state.logs.get(task, [])}
    return looked_up(state, parts)


def looked_up(state: State, parts: list[str]) -> tuple[int, Any]:
    match parts:
        case ["dags", dag, "tasks"] if dag in state.dags:
            return 200, {"tasks": [{"task_id": pool, "pool": pool} for pool in ("default_pool", *state.sources)]}
        case ["connections", name] if name in state.connections:
            return 200, {"connection_id": name}
        case ["version"]:
            return 200, {"version": state.version}
    return 404, {"detail": f"nothing is known of {'/'.join(parts)}"}
