"""Airflow's components as child processes of this one: API server, scheduler, DAG processor, triggerer.

They are started by their console scripts (`airflow scheduler`), as images, the Helm chart and `airflow standalone` do, so that what runs here runs there.
Everything about them is said by environment variables, which a deployment's `.env` holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from assay.airflow_api import AirflowApi
from assay.orchestration.processes import HOST, Process, StartError

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")

_START_SECONDS = 180.0


def program() -> str:
    """Return Airflow's console script, of the environment that this program runs in."""
    return str(Path(sys.executable).parent / "airflow")


class Airflow:
    """An Airflow of its own; a context manager that ends whatever was started.

    Args:
        home: AIRFLOW_HOME.
        logs: Folder for what the components print.
        port: Of the UI and API, on loopback.
        environment: Variables beside those of this process.
        api: Client of its API; one that needs no login by default.

    Attributes:
        api: Client of its API.
    """

    def __init__(self, *, home: Path, logs: Path, port: int, environment: Mapping[str, str], api: AirflowApi | None = None) -> None:
        self._logs = logs
        self._stack = ExitStack()
        self._processes: dict[str, Process] = {}
        self._started = datetime.now(UTC)
        url = f"http://{HOST}:{port}"
        self.api = api or AirflowApi(url)
        self._environment = (
            os.environ
            | dict(environment)
            | {
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__API__HOST": HOST,
                "AIRFLOW__API__PORT": str(port),
                "AIRFLOW__API__BASE_URL": url,
                "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
                "PYTHONUNBUFFERED": "1",
                "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def start(self, *components: str, environment: Mapping[str, str] | None = None) -> None:
        """Start components.

        Args:
            components: Of `COMPONENTS`, or another command of Airflow's, such as `celery worker`.
            environment: Further variables; tasks see the scheduler's.
        """
        for component in components:
            log = self._logs / f"{component.replace(' ', '-')}.log"
            command = [program(), *component.split()]
            process = Process(f"airflow {component}", command, log=log, environment=self._environment | dict(environment or {}))
            self._processes[component] = self._stack.enter_context(process)

    def wait_until_answering(self) -> None:
        """Wait until the API server answers.

        Raises:
            StartError: A component ended, or the time ran out.
        """
        self._processes["api-server"].wait_until(self._alive_and(self.api.healthy), seconds=_START_SECONDS)

    def wait_until_ready(self, dags: Iterable[str]) -> None:
        """Wait until the API answers and the DAGs were read by this start's own processor.

        Raises:
            StartError: A component ended, or the time ran out; also when a DAG file cannot be imported.
        """
        self.wait_until_answering()
        wanted = set(dags)
        self._processes["dag-processor"].wait_until(self._alive_and(lambda: wanted <= self._parsed()), seconds=_START_SECONDS)

    def _alive_and(self, ready: Callable[[], bool]) -> Callable[[], bool]:
        def both() -> bool:
            self.check()
            return ready()

        return both

    def _parsed(self) -> set[str]:
        if errors := self.api.import_errors():
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


def migrate(home: Path, logs: Path, environment: Mapping[str, str]) -> None:
    """Bring the database to this Airflow's schema; skipped when this very version has done so.

    Raises:
        StartError: It failed; carries the end of its log.
    """
    mark, log = home / ".database", logs / "db-migrate.log"
    wanted = f"{version('apache-airflow')} {home} {environment.get('AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', '').partition('@')[2]}"
    if (home / "airflow.db").exists() and mark.exists() and mark.read_text() == wanted:
        return
    with log.open("wb") as output:
        given = os.environ | dict(environment) | {"AIRFLOW_HOME": str(home)}
        done = subprocess.run([program(), "db", "migrate"], env=given, stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise StartError(f"airflow db migrate ended with code {done.returncode}:\n{tail}")
    mark.write_text(wanted)
