"""What is checked before a moment is asked for: whatever would make a run wait for ever, or end in nothing, is refused at once."""

from __future__ import annotations

from collections.abc import Sequence

from assay.airflow_api import AirflowApi
from assay.config import Settings
from assay.errors import AssayError
from assay.lake import parse_as_of
from assay.moments import check_moment

RESERVES = "reserve_snapshot"
LIABILITIES = "liability_snapshot"
ATTESTATION = "reserve_attestation"
DAGS = (RESERVES, LIABILITIES, ATTESTATION)

_LIVING = "healthy"
_COMPONENTS = {"scheduler": "scheduler", "dag_processor": "dag-processor", "triggerer": "triggerer"}


class NotReadyError(AssayError):
    """Airflow could not run what would be asked of it."""


def check_moments(settings: Settings, moments: Sequence[str], correction: str | None) -> None:
    """Refuse moments that cannot be attested, and those that are not in ascending order.

    Raises:
        NotReadyError: They are not in ascending order.
        AssayError: See `moments.check_moment`.
    """
    if list(moments) != sorted(set(moments)):
        raise NotReadyError("the moments are not in ascending order", subject="--as-of", next_step="name each once, the oldest first")
    for text in moments:
        check_moment(settings, parse_as_of(text), correction=correction)


def check_airflow(api: AirflowApi, *, settings: Settings, unpause: bool) -> None:
    """Make sure that Airflow has the three DAGs, without import errors and switched on, and that its components live.

    Args:
        api: Airflow.
        settings: Says whether people approve, for which the triggerer is needed.
        unpause: Switch paused DAGs on instead of refusing.

    Raises:
        AirflowApiError: It does not answer, or refuses the login.
        NotReadyError: A run could not work; says what to do.
    """
    health = api.health()
    wanted = ["scheduler", "dag_processor", *(["triggerer"] if settings.sign_off.required else [])]
    if dead := [name for name in wanted if health.get(name) != _LIVING]:
        names = " and ".join(f"the {_COMPONENTS[name]} ({health.get(name, 'unknown')})" for name in dead)
        raise NotReadyError(
            f"it reports no heartbeat of {names}",
            subject=f"Airflow at {api.url}",
            next_step=f"start {' and '.join(f'`airflow {_COMPONENTS[name]}`' for name in dead)}, or `assay up`",
        )
    if errors := api.import_errors():
        first = errors[0]
        last = str(first["stack_trace"]).strip().splitlines()[-1]
        raise NotReadyError(
            f"it cannot import {len(errors)} of its DAG files: {last}",
            subject=str(first["filename"]),
            next_step="mend what it names; Airflow reads the file again within a minute",
        )
    found = {dag: api.find(f"/dags/{dag}") for dag in DAGS}
    if missing := [dag for dag, details in found.items() if details is None]:
        raise NotReadyError(
            f"it does not know the DAG {missing[0]}",
            subject=f"Airflow at {api.url}",
            next_step="correct the address if it is another Airflow, or point its dags_folder at Assay's DAG files; a new one is read within a minute",
        )
    paused = [dag for dag, details in found.items() if details and details["is_paused"]]
    if paused and not unpause:
        raise NotReadyError(
            f"{', '.join(paused)} {'is' if len(paused) == 1 else 'are'} paused, and a run of a paused DAG waits for ever",
            subject=f"Airflow at {api.url}",
            next_step=f"switch them on in the UI, with `airflow dags unpause {paused[0]}`, or give --unpause",
        )
    for dag in paused:
        api.patch(f"/dags/{dag}", {"is_paused": False})
