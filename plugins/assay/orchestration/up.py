"""`assay up`: Airflow with all its components for one configuration, until it is interrupted."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from assay import resources
from assay.airflow_api import DEFAULT_URL, PASSWORD_VARIABLE, URL_VARIABLE, USER_VARIABLE, AirflowApi
from assay.attest import pools_of
from assay.config import Settings
from assay.errors import ConfigError
from assay.orchestration.components import COMPONENTS, Airflow, migrate
from assay.orchestration.preflight import DAGS
from assay.orchestration.processes import HOST, StartError

_LOOK_SECONDS = 1.0
_CELERY = "CeleryExecutor"


class UpError(ConfigError):
    """Airflow cannot be started here, or did not come up."""


def up(settings: Settings, console: Console, *, port: int | None = None, unpause: bool = False) -> None:
    """Start all components and keep them running; returns only by an exception.

    AIRFLOW_HOME and everything else that Airflow reads come from the environment, which `.env` has filled; what is not set there gets a value that
    works on one machine.

    Args:
        settings: The configuration in force.
        console: Receives the address, who may log in, and the next step.
        port: Of UI and API; the one of ASSAY_AIRFLOW_URL by default.
        unpause: Switch the DAGs on: from then on, runs also start by themselves at the times of the schedule.

    Raises:
        UpError: The port is taken, another `assay up` runs here, a folder cannot be written, or a component ended.
    """
    home = Path(os.environ.get("AIRFLOW_HOME") or settings.path.parent / "airflow").absolute()
    port = port or urlsplit(os.environ.get(URL_VARIABLE) or DEFAULT_URL).port or 8080
    environment = _defaults()
    with _only_one(home):
        check_port(port)
        logs = home / "logs" / "components"
        _make_folders(logs, settings.lake)
        api = AirflowApi(f"http://{HOST}:{port}", user=os.environ.get(USER_VARIABLE), password=os.environ.get(PASSWORD_VARIABLE))
        try:
            with Airflow(home=home, logs=logs, port=port, environment=environment, api=api) as airflow:
                console.print(f"starting Airflow for {settings.path}; it takes about half a minute", soft_wrap=True)
                migrate(home, logs, environment)
                worker = ["celery worker"] if environment.get("AIRFLOW__CORE__EXECUTOR", "").endswith(_CELERY) else []
                airflow.start(*COMPONENTS, *worker)
                airflow.wait_until_ready(DAGS)
                airflow.api.set_pools(pools_of(settings))
                for dag in DAGS if unpause else ():
                    airflow.api.patch(f"/dags/{dag}", {"is_paused": False})
                _tell(settings, airflow, console)
                while True:
                    airflow.check()
                    time.sleep(_LOOK_SECONDS)
        except StartError as error:
            raise UpError(
                str(error), subject=f"Airflow in {home}", next_step=f"mend what it names; the whole logs stand in {logs}"
            ) from error


def check_port(port: int) -> None:
    """Make sure that nothing listens on a loopback port.

    Raises:
        UpError: Something does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UpError(
                f"the port {port} cannot be used ({error.strerror})",
                subject=f"{HOST}:{port}",
                next_step="end the program that listens there, or give another one with --port",
            ) from error


def _defaults() -> dict[str, str]:
    """Return the environment with what an ordinary start needs and nobody set; Airflow's own configuration file may stand instead."""
    given = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(resources.folder("dags")),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    }
    return given | dict(os.environ)


def _make_folders(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "it is not writable", str(folder))
        except OSError as error:
            raise UpError(
                f"nothing can be written there ({error.strerror})", subject=str(folder), next_step="make it writable, or name another one"
            ) from error


def _tell(settings: Settings, airflow: Airflow, console: Console) -> None:
    def say(words: str) -> None:
        console.print(words, markup=False, soft_wrap=True)

    say(f"Airflow is at {airflow.api.url}")
    if file := os.environ.get("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"):
        people = ", ".join(item.partition(":")[0] for item in os.environ.get("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "").split(","))
        say(f"  to log in: {people}, with the passwords in {file}")
    paused = [dag for dag in DAGS if airflow.api.get(f"/dags/{dag}")["is_paused"]]
    unpause = " --unpause" if paused else ""
    if paused:
        say(f"  {', '.join(paused)}: paused, so nothing runs by schedule before somebody switches them on")
    say(f"  next, in another terminal: cd {settings.path.parent} && assay doctor && assay attest --as-of MOMENT{unpause}")
    say("Ctrl-C ends it.")


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock: its database serves one start at a time."""
    _make_folders(home)
    with (home / ".up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UpError(
                "another `assay up` is running for it", subject=str(home), next_step="use that one, or end it with Ctrl-C"
            ) from error
        yield
