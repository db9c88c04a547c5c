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
    from sandbox.airflow import Airflow

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
    from assay.terminal import newest, show, verify
    from sandbox.processes import StartError
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
    with _running(console, port=port) as airflow:
        console.print(f"Airflow is at {airflow.api.url} (no login on this machine); Ctrl-C ends it and the sandbox")
        while True:
            airflow.check()
            time.sleep(1)


@contextmanager
def _running(console: Console, *, port: int | None) -> Iterator[Airflow]:
    """Start the sandbox and Airflow side by side; those of its components that read the sandbox's configuration come last."""
    from assay.attest import DAGS
    from sandbox.airflow import Airflow
    from sandbox.deployment import Deployment

    started = time.monotonic()
    state = STATE / "run"
    with Airflow(home=ROOT, folder=STATE, port=port) as airflow, ThreadPoolExecutor() as pool:
        serving = pool.submit(_serve, airflow)
        with Deployment(state, lake=ROOT / "data", say=console.print) as deployment:
            serving.result()
            console.print(f"the sandbox is up after {time.monotonic() - started:.0f} s: {len(deployment.sources)} nodes and a ledger")
            airflow.start("scheduler", "dag-processor", environment=deployment.environment)
            airflow.wait_until_ready(DAGS)
            console.print(f"Airflow is up after {time.monotonic() - started:.0f} s")
            yield airflow


def _serve(airflow: Airflow) -> None:
    from sandbox.airflow import migrate

    migrate(ROOT, STATE)
    airflow.start("api-server")


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
