"""Airflow on loopback: API server, scheduler and DAG processor as child processes.

AIRFLOW_HOME is the repository, so `make airflow` later shows the same runs. Ports are free ones and secrets are random for each start; nothing
here is how production runs it (docs/runbook.md says that).
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from assay.airflow_api import AirflowApi
from sandbox.processes import HOST, Process, StartError, free_port

_START_SECONDS = 120.0


class Airflow:
    """An Airflow of its own; a context manager that ends whatever was started.

    Args:
        home: AIRFLOW_HOME.
        folder: For logs.
        port: Of the UI and API; a free one by default.

    Attributes:
        api: Client of its API.
    """

    def __init__(self, *, home: Path, folder: Path, port: int | None = None) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._processes: dict[str, Process] = {}
        self._started = datetime.now(UTC)
        port = port or free_port()
        self.api = AirflowApi(f"http://{HOST}:{port}")
        self._environment = os.environ | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": self.api.url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.api.url}/execution/",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "airflow_passwords.json"),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            # Short steps on one machine: a second of sleep between looks would be most of the time.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def start(self, *components: str, environment: Mapping[str, str] | None = None) -> None:
        """Start `api-server`, `scheduler`, `dag-processor` or `triggerer`.

        Args:
            components: Which.
            environment: Additional variables; tasks see the scheduler's.
        """
        for component in components:
            command = [sys.executable, "-m", "airflow", component]
            log = self._folder / f"airflow-{component}.log"
            process = Process(f"airflow {component}", command, log=log, environment=self._environment | dict(environment or {}))
            self._processes[component] = self._stack.enter_context(process)

    def wait_until_ready(self, dags: Iterable[str]) -> None:
        """Wait until the API answers and the DAGs were read by this start's own processor.

        Raises:
            StartError: A component ended, or the time ran out; also when a DAG file cannot be imported.
        """
        self._processes["api-server"].wait_until(self.api.healthy, seconds=_START_SECONDS)
        self._processes["dag-processor"].wait_until(lambda: set(dags) <= self._parsed(), seconds=_START_SECONDS)

    def _parsed(self) -> set[str]:
        if errors := self.api.get("/importErrors")["import_errors"]:
            raise StartError("\n".join(f"{error['filename']}: {error['stack_trace']}" for error in errors))
        # What an earlier start left in the database may be of another configuration.
        return {
            item["dag_id"] for item in self.api.get("/dags")["dags"] if datetime.fromisoformat(item["last_parsed_time"]) > self._started
        }

    def check(self) -> None:
        """Make sure that all components still run.

        Raises:
            StartError: One ended by itself; carries the end of its log.
        """
        for process in self._processes.values():
            if not process.running:
                raise StartError(f"{process.name} ended by itself:\n{process.tail()}")


def migrate(home: Path, folder: Path) -> None:
    """Bring the database to this Airflow's schema; skipped when this very version has done so."""
    mark = folder / "airflow_database"
    wanted = f"{version('apache-airflow')} {home}"
    if (home / "airflow.db").exists() and mark.exists() and mark.read_text() == wanted:
        return
    with (folder / "airflow-migrate.log").open("wb") as log:
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(command, env=os.environ | {"AIRFLOW_HOME": str(home)}, stdout=log, stderr=subprocess.STDOUT, check=True)
    mark.write_text(wanted)
