"""Airflow: whether it answers, knows this configuration's DAGs, takes this login and could run them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from assay import resources
from assay.airflow_api import TOKEN_VARIABLE, AirflowApi, AirflowApiError
from assay.attest import pools_of
from assay.config import Settings
from assay.doctor.findings import Finding, Patient, failed, ok, refused, skipped, warning
from assay.orchestration.preflight import DAGS

_SUBJECT = "Airflow"
_PEOPLE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
_SECRETS = ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY")
_HEALTHY = "healthy"


def check(patient: Patient) -> Iterator[Finding]:
    """Look at Airflow; where it does not answer or refuses the login, nothing else of it is looked at."""
    yield from _environment(patient.settings)
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
        yield from _same_secret(api.token)
        yield from _components(patient.settings, health)
        yield from _dags(api)
        yield from _pools(api, patient.settings)


def _environment(settings: Settings) -> Iterator[Finding]:
    """Secrets that are set here are the components' too where they read the same `.env`; what those have in fact, no API tells."""
    unset = [name for name in _SECRETS if not os.environ.get(name)]
    if not unset:
        yield ok(
            "Airflow's secrets", "all three are set here; every component must have the same, and those that `assay up` starts have it"
        )
    elif len(unset) == len(_SECRETS):
        yield skipped("Airflow's secrets", "none is set here, so they stand in airflow.cfg or in the components' own environment")
    else:
        yield failed(
            "Airflow's secrets", f"{', '.join(unset)} is not set, and the others are", "set all three, the same for every component"
        )
    if settings.sign_off.required and (people := os.environ.get(_PEOPLE)):
        known = {item.partition(":")[0] for item in people.split(",")}
        if strangers := sorted({name for group in settings.sign_off.approvers for name in group} - known):
            yield failed(
                "approvers", f"{', '.join(strangers)} cannot log in to Airflow", f"add them to {_PEOPLE}, or correct sign_off.approvers"
            )
        else:
            yield ok("approvers", "each of them is a user of Airflow")


def _same_secret(token: str) -> Iterator[Finding]:
    """Hold the API server's secret against the one that is set here: it has signed the token of the login with its own."""
    import jwt

    secret = os.environ.get(_SECRETS[0])
    if not secret or os.environ.get(TOKEN_VARIABLE):
        return
    try:
        jwt.decode(
            token, secret, algorithms=["HS512", "HS384", "HS256"], options={"verify_aud": False, "verify_exp": False, "verify_iss": False}
        )
    except jwt.InvalidSignatureError:
        yield failed(
            "Airflow's secrets",
            f"the API server has another {_SECRETS[0]} than the one that is set here, so tasks that get this one would die before their first line",
            "give every component the same, and start them anew",
        )
    except jwt.PyJWTError:
        yield skipped("Airflow's secrets", "the API server's token is not signed with a shared secret")
    else:
        yield ok("Airflow's secrets", f"the API server has the same {_SECRETS[0]} as this environment")


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
