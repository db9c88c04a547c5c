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
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from assay.airflow_api import AirflowApi
from sandbox.processes import HOST, Process, StartError, free_port

_COMPONENTS = ("api-server", "scheduler", "dag-processor")
_START_SECONDS = 120.0


class Airflow:
    """A running Airflow; a context manager.

    Args:
        home: AIRFLOW_HOME.
        folder: For logs.
        environment: Additional variables for all components.
        port: Of the UI and API; a free one by default.
        triggerer: Start the component that waits for approvals, too.

    Attributes:
        api: Client of its API.
    """

    def __init__(
        self, *, home: Path, folder: Path, environment: Mapping[str, str], port: int | None = None, triggerer: bool = False
    ) -> None:
        self._folder = folder
        self._components = (*_COMPONENTS, "triggerer") if triggerer else _COMPONENTS
        self._stack = ExitStack()
        self._processes: list[Process] = []
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
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
            **environment,
        }

    def __enter__(self) -> Self:
        try:
            for component in self._components:
                command = [sys.executable, "-m", "airflow", component]
                process = Process(
                    f"airflow {component}", command, log=self._folder / f"airflow-{component}.log", environment=self._environment
                )
                self._stack.enter_context(process)
                self._processes.append(process)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def wait_until_ready(self, dags: Iterable[str]) -> None:
        """Wait until the API answers and knows the DAGs.

        Raises:
            StartError: A component ended, or the time ran out; also when a DAG file cannot be imported.
        """
        server, _, processor, *_ = self._processes
        server.wait_until(self.api.healthy, seconds=_START_SECONDS)
        processor.wait_until(lambda: set(dags) <= {item["dag_id"] for item in self.api.get("/dags")["dags"]}, seconds=_START_SECONDS)
        if errors := self.api.get("/importErrors")["import_errors"]:
            raise StartError("\n".join(f"{error['filename']}: {error['stack_trace']}" for error in errors))

    def check(self) -> None:
        """Make sure that all components still run.

        Raises:
            StartError: One ended by itself; carries the end of its log.
        """
        for process in self._processes:
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
