"""The people of Airflow's simple login: whether those who approve, and whoever starts runs, are known and may do it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from assay.airflow_api import USER_VARIABLE
from assay.config import Settings
from assay.doctor.findings import Finding, failed, ok, skipped

_PEOPLE, _MANAGER = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "AIRFLOW__CORE__AUTH_MANAGER"
_LOOKS_ON = "viewer"  # the one role that may neither answer an approval nor start a run (`SimpleAuthManager.is_authorized_dag`)
_STARTS = frozenset({"op", "admin"})  # may also set pools, as `assay attest` does (`SimpleAuthManager.is_authorized_pool`)


def check(settings: Settings) -> Iterator[Finding]:
    """Look at who approves and who starts runs, where Airflow's simple login stands in the environment."""
    simple = "SimpleAuthManager" in os.environ.get(_MANAGER, "SimpleAuthManager")
    if not simple or not os.environ.get(_PEOPLE):
        if settings.sign_off.required:
            yield skipped("approvers", "Airflow's users are not named in this environment, so nothing is known of them here")
        return
    named = [item.strip().split(":") for item in os.environ[_PEOPLE].split(",")]
    roles = {name: role[0] if role else "" for name, *role in named}
    if settings.sign_off.required:
        yield from _approvers(roles, sorted({name for group in settings.sign_off.approvers for name in group}))
    me = os.environ.get(USER_VARIABLE)
    if me in roles and roles[me].lower() not in _STARTS:
        yield failed(
            f"user {me}", f"{USER_VARIABLE} names it, and its role {roles[me]!r} may not set pools", f"give it the role op in {_PEOPLE}"
        )


def _approvers(roles: dict[str, str], names: list[str]) -> Iterator[Finding]:
    if strangers := [name for name in names if name not in roles]:
        yield failed(
            "approvers", f"{', '.join(strangers)} cannot log in to Airflow", f"add them to {_PEOPLE}, or correct sign_off.approvers"
        )
    if watching := [name for name in names if roles.get(name, "").lower() == _LOOKS_ON]:
        yield failed(
            "approvers", f"{', '.join(watching)} may look on and not approve, as {_LOOKS_ON}", f"give them the role user in {_PEOPLE}"
        )
    if not strangers and not watching:
        yield ok("approvers", "each of them is a user of Airflow, and may approve")
