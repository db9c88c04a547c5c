"""`.env` of a deployment: everything that Airflow's components and the command `assay` need there, secrets included.

Lines `NAME='value'`. A POSIX shell, docker compose's `env_file` and python-dotenv read them alike as long as no value holds a quotation mark or two
backslashes in a row; `lines` makes sure of it.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from assay import resources
from assay.errors import ConfigError
from assay.starting.addresses import secret_connection
from assay.starting.plan import OPERATOR, Plan

_NEVER = "'\"\\$%?#\n\r"
"""Characters that a path may not have: one of the readers of `.env`, or of an address in it, would take them for its own."""
_WORKER_LOGS, _TRIGGERER_LOGS = 713, 714
"""From the API server's port to the ports of the log servers: with 8080, Airflow's own 8793 and 8794."""

Groups = Mapping[str, Mapping[str, str]]
"""Variables by name, in groups whose names are comments in the file."""


def passwords(plan: Plan) -> dict[str, str]:
    """Return fresh passwords of Airflow's users: the operator and whoever approves."""
    return {name: secrets.token_urlsafe(15) for name in (OPERATOR, *plan.approvers)}


def variables(plan: Plan, folder: Path, known_passwords: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return all variables of a deployment, with fresh secrets.

    Args:
        plan: What the deployment is to be.
        folder: Where it will stand, absolute.
        known_passwords: See `passwords`.

    Raises:
        ConfigError: The folder's path has characters that a variable cannot carry.
    """
    if wrong := sorted(set(str(folder)) & set(_NEVER)):
        raise ConfigError(
            f"its path has the character {wrong[0]!r}, which settings of Airflow cannot carry",
            subject=str(folder),
            next_step="name a folder without it",
        )
    home, url = folder / "airflow", f"http://127.0.0.1:{plan.port}"
    # Approvers answer (a `user` may), and do not touch pools, connections and configuration (an `op` may).
    users = ",".join([f"{OPERATOR}:op", *(f"{name}:user" for name in plan.approvers)])
    return {
        "Where things stand": {
            "ASSAY_CONFIG": str(folder / "assay.toml"),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(resources.folder("dags")),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
        },
        "How Airflow runs": {
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        },
        "Its API server, on this machine alone": {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(plan.port),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(plan.port + _WORKER_LOGS),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(plan.port + _TRIGGERER_LOGS),
        },
        "Its secrets, the same for all its components": {
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
        },
        "Its users": {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": users,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        },
        "How the command assay logs in": {
            "ASSAY_AIRFLOW_URL": url,
            "ASSAY_AIRFLOW_USER": OPERATOR,
            "ASSAY_AIRFLOW_PASSWORD": known_passwords[OPERATOR],
        },
        "Servers that are asked": {
            f"AIRFLOW_CONN_ASSAY_{source.name.upper()}": source.connection for chain in plan.chains for source in chain.sources
        },
        **({"The ledger": {"AIRFLOW_CONN_ASSAY_LEDGER": plan.ledger.connection}} if plan.ledger.connection else {}),
        "Keys the pseudonyms of users: made once, and kept": {"AIRFLOW_CONN_ASSAY_PSEUDONYM": secret_connection(secrets.token_hex(32))},
    }


def lines(groups: Groups) -> str:
    """Return the text of `.env`.

    Raises:
        ConfigError: A value cannot be written so that every reader takes it alike.
    """
    text = "# Variables of this deployment, secrets among them: for its owner's eyes alone. A shell reads them with `set -a; . ./.env; set +a`.\n"
    for title, values in groups.items():
        text += f"\n# {title}\n"
        for name, value in values.items():
            if "'" in value or "\\\\" in value or not value.isprintable():
                raise ConfigError("its value has a quotation mark or backslashes", subject=name, next_step="leave them out")
            text += f"{name}='{value}'\n"
    return text


def passwords_file(known_passwords: Mapping[str, str]) -> str:
    """Return the text of the file in which Airflow's simple auth manager looks passwords up; those that it finds there it leaves alone."""
    return json.dumps(known_passwords) + "\n"
