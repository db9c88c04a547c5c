"""What the Makefile calls: `python -m sandbox attest`, `python -m sandbox airflow`."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

from assay.lake import format_as_of

if TYPE_CHECKING:
    from assay.orchestration.components import Airflow

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".sandbox"

_RUN_SECONDS = 600.0


def main() -> int:
    """Run one command; the exit code is 0 only if everything held."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("command", choices=["attest", "airflow"])
    parser.add_argument("--port", type=int, default=8080, help="for `airflow`: where its UI listens (default: 8080)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    # Python leaves Ctrl-C ignored where whoever started it had it ignored, and then nothing would be ended.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A lost terminal.
    signal.signal(signal.SIGHUP, _stop)
    # Read by Assay in this process too, and set before anything reads it.
    os.environ["AIRFLOW_HOME"] = str(ROOT)
    os.environ["ASSAY_CONFIG"] = str(STATE / "run" / "assay.toml")
    console = Console(highlight=False)
    try:
        with _only_one():
            return _attest(console) if arguments.command == "attest" else _airflow(console, arguments.port)
    except KeyboardInterrupt:
        console.print("stopped; everything that was started has been ended")
        return 130


def _attest(console: Console) -> int:
    from assay.attest import attest
    from assay.config import Settings
    from assay.errors import AssayError
    from assay.orchestration.processes import StartError
    from assay.terminal import newest, show, verify
    from sandbox.scenario import FIRST, SECOND

    started = time.monotonic()
    try:
        with _running(console, port=None) as airflow:
            settings = Settings.load()
            moments = [format_as_of(moment) for moment in (FIRST, SECOND)]
            attest(airflow.api, settings, moments, console, check=airflow.check, seconds=_RUN_SECONDS)
        publication = newest(settings)
        show(publication, console)
        verified = verify(publication)
    except (AssayError, StartError) as error:
        console.print("[bold red]failed[/]", end=" ")
        console.print(str(error), markup=False, soft_wrap=True)
        return 1
    console.print(f"took {time.monotonic() - started:.0f} s; the report is {publication / 'report.html'}", soft_wrap=True)
    return verified


def _airflow(console: Console, port: int) -> int:
    from assay.errors import AssayError
    from assay.orchestration.processes import StartError
    from assay.orchestration.up import check_port

    try:
        check_port(port)
        _serve_until_interrupted(console, port)
    except (AssayError, StartError) as error:
        console.print("[bold red]failed[/]", end=" ")
        console.print(str(error), markup=False, soft_wrap=True)
    return 1


def _serve_until_interrupted(console: Console, port: int) -> None:
    with _running(console, port=port) as airflow:
        console.print(f"Airflow is at {airflow.api.url} (no login on this machine); Ctrl-C ends it and the sandbox")
        while True:
            airflow.check()
            time.sleep(1)


@contextmanager
def _running(console: Console, *, port: int | None) -> Iterator[Airflow]:
    """Start the sandbox and Airflow side by side; those of its components that read the sandbox's configuration come last."""
    from assay.attest import DAGS
    from assay.orchestration.components import Airflow
    from assay.orchestration.processes import free_port
    from sandbox.deployment import Deployment

    started = time.monotonic()
    state = STATE / "run"
    with (
        Airflow(home=ROOT, logs=STATE, port=port or free_port(), environment=airflow_environment(STATE)) as airflow,
        ThreadPoolExecutor() as pool,
    ):
        serving = pool.submit(_serve, airflow)
        with Deployment(state, lake=ROOT / "data", say=console.print) as deployment:
            serving.result()
            console.print(f"the sandbox is up after {time.monotonic() - started:.0f} s: {len(deployment.sources)} nodes and a ledger")
            airflow.start("scheduler", "dag-processor", environment=deployment.environment)
            airflow.wait_until_ready(DAGS)
            console.print(f"Airflow is up after {time.monotonic() - started:.0f} s")
            yield airflow


def _serve(airflow: Airflow) -> None:
    from assay.orchestration.components import migrate

    migrate(ROOT, STATE, {})
    airflow.start("api-server")


def airflow_environment(state: Path) -> dict[str, str]:
    """Return how the sandbox's Airflow differs from one that people log in to: nobody needs to, and nothing waits to be switched on."""
    from assay.orchestration.processes import free_port

    return {
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(state / "airflow_passwords.json"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        # Short steps on one machine: a second of sleep between looks would be most of the time.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    }


@contextmanager
def _only_one() -> Iterator[None]:
    """Hold the checkout's lock: its Airflow database serves one start at a time. Other checkouts are not concerned."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another `make attest` or `make airflow` is running in this checkout; wait for it, or end it with Ctrl-C")
        yield


def _stop(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
