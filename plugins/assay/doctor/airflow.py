"""Airflow: whether it answers, knows this configuration's DAGs, takes this login and could run them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from assay import resources
from assay.airflow_api import AirflowApi, AirflowApiError
from assay.attest import pools_of
from assay.config import Settings
from assay.doctor import people, secrets
from assay.doctor.findings import Finding, Patient, failed, ok, refused, skipped, warning
from assay.orchestration.preflight import DAGS, RESERVES

_SUBJECT = "Airflow"
_HEALTHY = "healthy"
_DEFAULT_POOL = "default_pool"
_CLOCK_SECONDS = 5


def check(patient: Patient) -> Iterator[Finding]:
    """Look at Airflow; where it does not answer or refuses the login, nothing else of it is looked at."""
    yield from secrets.check_environment()
    yield from people.check(patient.settings)
    with AirflowApi.from_environment(patient.url) as api:
        try:
            health = api.health()
            api.log_in()
            api.get("/dags", limit=1)
        except AirflowApiError as error:
            yield refused(_SUBJECT, error)
            yield skipped("components, DAGs, pools", "Airflow does not answer, or not to this login")
            return
        yield ok(_SUBJECT, f"{api.url} answers and takes the login")
        yield from secrets.check_api_server(api.token)
        yield from _clock(api)
        yield from _version(api)
        yield from _components(patient.settings, health)
        yield from _dags(api)
        yield from _configuration(api, patient.settings)
        yield from _pools(api, patient.settings)


def _clock(api: AirflowApi) -> Iterator[Finding]:
    """Hold this machine's clock against the server's: Airflow refuses tokens over its leeway, and a moment may be in the future for one alone."""
    theirs = api.time()
    if theirs is None:
        return
    ahead = round((datetime.now(UTC) - theirs).total_seconds())
    if abs(ahead) > _CLOCK_SECONDS:
        yield warning(
            "clock",
            f"this machine's is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} that of Airflow's API server",
            "set the clocks of all machines by NTP; Airflow refuses its own tokens from 10 s on",
        )
    else:
        yield ok("clock", "this machine's and that of Airflow's API server agree")


def _version(api: AirflowApi) -> Iterator[Finding]:
    theirs, mine = str(api.get("/version").get("version")), version("apache-airflow")
    if theirs != mine:
        yield warning("Airflow's version", f"the API server is {theirs}, and {mine} is installed here", "bring both to one version")


def _components(settings: Settings, health: dict[str, str]) -> Iterator[Finding]:
    for key, name in (("scheduler", "scheduler"), ("dag_processor", "dag-processor"), ("triggerer", "triggerer")):
        if health.get(key) == _HEALTHY:
            yield ok(name, "it is alive")
        elif key == "triggerer" and not settings.sign_off.required:
            yield warning(name, "it is not alive; alerts of missed deadlines need it", f"start `airflow {name}`")
        else:
            yield failed(name, f"it is not alive (its heartbeat: {health.get(key, 'unknown')})", f"start `airflow {name}`, or `assay up`")


def _dags(api: AirflowApi) -> Iterator[Finding]:
    for error in api.import_errors():
        last = str(error["stack_trace"]).strip().splitlines()[-1]
        yield failed(
            "DAGs", f"{error['filename']} cannot be imported: {last}", "mend what it names; the file is read again within a minute"
        )
    folder = resources.folder("dags").resolve()
    for dag in DAGS:
        details = api.find(f"/dags/{dag}")
        if details is None:
            yield failed(
                dag,
                f"Airflow at {api.url} does not know it",
                f"correct the address if that is another Airflow; else point its dags_folder at {folder}",
            )
        elif details.get("is_stale"):
            yield failed(dag, f"its file is gone ({details.get('fileloc')})", f"point Airflow's dags_folder at {folder}")
        elif details["is_paused"]:
            yield failed(dag, "it is paused, and a run would wait for ever", f"`airflow dags unpause {dag}`, or `assay attest --unpause`")
        elif details.get("fileloc") and Path(str(details["fileloc"])).parent.resolve() != folder:
            yield warning(
                dag,
                f"Airflow reads it from {details['fileloc']}, and this program's stands in {folder}",
                "make sure that both are one version",
            )
        else:
            yield ok(dag, "it is known and switched on")


def _configuration(api: AirflowApi, settings: Settings) -> Iterator[Finding]:
    """Hold the schedule and the sources of Airflow's DAG against this configuration's: the same DAG files may stand for another deployment."""
    details = api.find(f"/dags/{RESERVES}")
    if details is None or details.get("is_stale"):
        return  # said already
    pools = {str(task["pool"]) for task in api.get(f"/dags/{RESERVES}/tasks")["tasks"]} - {_DEFAULT_POOL}
    wanted = set(pools_of(settings))
    differences = []
    if pools != wanted:
        differences.append(f"it reads the sources {', '.join(sorted(pools))}, and here they are {', '.join(sorted(wanted))}")
    if (schedule := details.get("timetable_summary")) != settings.schedule:
        differences.append(f"its schedule is {schedule!r}, and here it is {settings.schedule!r}")
    if differences:
        yield failed(
            "Airflow's configuration",
            f"{RESERVES} at {api.url} was read with another one: {'; '.join(differences)}",
            f"wait a minute if {settings.path.name} was just changed; else correct the address, or ASSAY_CONFIG of Airflow's components",
        )
    else:
        yield ok("Airflow's configuration", "sources and schedule of its DAG are those of this one")


def _pools(api: AirflowApi, settings: Settings) -> Iterator[Finding]:
    known = api.pools()
    wanted = pools_of(settings)
    wrong = [name for name, slots in wanted.items() if known.get(name) != slots]
    if wrong:
        missing = [name for name in wrong if name not in known]
        words = f"{', '.join(missing or wrong)} {'missing' if missing else 'of another size'}"
        yield warning(
            "pools",
            words,
            "`assay attest` sets them; before a scheduled run: `assay pools > pools.json && airflow pools import pools.json`",
        )
    else:
        yield ok("pools", f"{len(wanted)}, one a source")
