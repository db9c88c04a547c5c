"""The few calls of Airflow's public REST API (v2) that starting and following a run needs.

API: https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from assay.errors import AssayError

_PAGE = 100

DEFAULT_URL = "http://127.0.0.1:8080"
URL_VARIABLE = "ASSAY_AIRFLOW_URL"
TOKEN_VARIABLE = "ASSAY_AIRFLOW_TOKEN"  # noqa: S105  (the name of a variable)
USER_VARIABLE = "ASSAY_AIRFLOW_USER"
PASSWORD_VARIABLE = "ASSAY_AIRFLOW_PASSWORD"  # noqa: S105  (as above)
_HOW_TO_LOG_IN = (
    f"set {USER_VARIABLE} and {PASSWORD_VARIABLE}, as the .env of `assay init` does, or {TOKEN_VARIABLE} "
    "(a token: POST /auth/token with username and password)"
)


class AirflowApiError(AssayError):
    """Airflow's API does not answer, or refuses."""


class UnreachableError(AirflowApiError):
    """The server does not answer at all; it may a moment later."""


class NotFoundError(AirflowApiError):
    """Airflow knows no such thing."""


class AirflowApi:
    """A client; a context manager.

    Args:
        url: Address of the API server.
        token: Bearer token.
        user: Who logs in where there is no token. Without either, the server is asked for a token, which it gives only where it is set to treat
            everybody as administrator (the sandbox).
        password: The user's.
    """

    def __init__(self, url: str, *, token: str | None = None, user: str | None = None, password: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=self.url, timeout=30)
        self._token = token
        self._user = user
        self._password = password
        self._logged_in = False

    @classmethod
    def from_environment(cls, url: str | None = None) -> Self:
        """Return a client that logs in as the environment says.

        Variables: ASSAY_AIRFLOW_URL, ASSAY_AIRFLOW_TOKEN, or ASSAY_AIRFLOW_USER and ASSAY_AIRFLOW_PASSWORD.
        """
        return cls(
            url or os.environ.get(URL_VARIABLE) or DEFAULT_URL,
            token=os.environ.get(TOKEN_VARIABLE),
            user=os.environ.get(USER_VARIABLE),
            password=os.environ.get(PASSWORD_VARIABLE),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def healthy(self) -> bool:
        """Whether the server answers at all."""
        try:
            return self._client.get("/api/v2/monitor/health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def health(self) -> dict[str, str]:
        """Return the state of each component that reports one: `scheduler`, `dag_processor`, `triggerer`, `metadatabase`.

        Raises:
            AirflowApiError: No answer, or it is no API server of Airflow.
        """
        answer = self._send("GET", "/api/v2/monitor/health")
        content = self._json(answer)
        if not isinstance(content.get("scheduler"), dict):
            raise self._fail("it answers, and not as an API server of Airflow 3 does", "correct the address (ASSAY_AIRFLOW_URL, or --url)")
        return {name: str(item.get("status")) for name, item in content.items() if isinstance(item, dict)}

    def time(self) -> datetime | None:
        """Return what the server's clock says, to the second; None where it does not say.

        Raises:
            AirflowApiError: No answer.
        """
        said = self._send("GET", "/api/v2/monitor/health").headers.get("date")
        return parsedate_to_datetime(said) if said else None

    def _fail(self, problem: str, next_step: str) -> AirflowApiError:
        return AirflowApiError(problem, subject=f"Airflow at {self.url}", next_step=next_step)

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise UnreachableError(
                f"it does not answer ({error})",
                subject=f"Airflow at {self.url}",
                next_step="start it with `assay up`, or correct the address (ASSAY_AIRFLOW_URL, or --url)",
            ) from error
        except httpx.InvalidURL as error:
            raise self._fail(f"the address is malformed ({error})", "correct ASSAY_AIRFLOW_URL, or --url") from error

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            content = answer.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise self._fail(
                f"it answers {answer.request.url.path} with something else than Airflow's API does ({answer.headers.get('content-type', 'no type')})",
                "correct the address (ASSAY_AIRFLOW_URL, or --url): another program may listen there",
            )
        return content

    def log_in(self) -> None:
        """Get a token, by whatever the client was given.

        Raises:
            AirflowApiError: It was refused; the error says how to log in.
        """
        if self._token:
            token = self._token
        elif self._user:
            answer = self._send("POST", "/auth/token", json={"username": self._user, "password": self._password or ""})
            if answer.status_code not in {httpx.codes.OK, httpx.codes.CREATED}:
                raise self._fail(
                    f"it does not let {self._user!r} in (answer {answer.status_code})", f"correct {USER_VARIABLE} and {PASSWORD_VARIABLE}"
                )
            token = str(self._json(answer)["access_token"])
        else:
            answer = self._send("GET", "/auth/token")
            if answer.status_code not in {httpx.codes.OK, httpx.codes.CREATED}:
                raise self._fail(f"it wants a login (answer {answer.status_code})", _HOW_TO_LOG_IN)
            token = str(self._json(answer)["access_token"])
        self._client.headers["Authorization"] = f"Bearer {token}"
        self._logged_in = True

    @property
    def token(self) -> str:
        """The token in use; empty before `log_in`. A secret."""
        return str(self._client.headers.get("Authorization", "")).removeprefix("Bearer ")

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        fresh = not self._logged_in
        if fresh:
            self.log_in()
        answer = self._send(method, f"/api/v2{path}", **arguments)
        if _unaccepted(answer) and not fresh and not self._token:
            # A token lives for a day, or until the server gets another secret; whoever waits longer logs in again.
            self.log_in()
            answer = self._send(method, f"/api/v2{path}", **arguments)
        if answer.is_success:
            return self._json(answer)
        raise self._refused(method, path, answer)

    def _refused(self, method: str, path: str, answer: httpx.Response) -> AirflowApiError:
        said = _said(answer)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return NotFoundError(f"it knows no {path} ({said})", subject=f"Airflow at {self.url}", next_step="correct the name")
        if _unaccepted(answer):
            which = f"the token in {TOKEN_VARIABLE}" if self._token else f"the login of {self._user or 'everybody'}"
            return self._fail(f"it does not accept {which} ({said})", _HOW_TO_LOG_IN)
        if answer.status_code == httpx.codes.FORBIDDEN:
            who = f"the owner of the token in {TOKEN_VARIABLE}" if self._token else repr(self._user or "this login")
            return self._fail(
                f"{who} may not {method} {path} ({said})",
                "log in as somebody who may; in Airflow's simple login that is the role op or admin",
            )
        return self._fail(
            f"{method} {path} was answered with {answer.status_code}: {said}", "read the answer; the API server's log may say more"
        )

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the JSON of a GET.

        Raises:
            AirflowApiError: No answer, or a refusal.
        """
        return self._call("GET", path, params=query)

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON of a PATCH.

        Raises:
            AirflowApiError: No answer, or a refusal.
        """
        return self._call("PATCH", path, json=dict(body))

    def get_all(self, path: str, key: str) -> list[dict[str, Any]]:
        """Return all items of a listing, page by page: the server cuts pages at a size of its own."""
        items: list[dict[str, Any]] = []
        while True:
            page = self.get(path, limit=_PAGE, offset=len(items))
            items += page[key]
            if not page[key] or len(items) >= page["total_entries"]:
                return items

    def import_errors(self) -> list[dict[str, Any]]:
        """Return the DAG files that cannot be imported: `filename`, `stack_trace`."""
        return self.get_all("/importErrors", "import_errors")

    def find(self, path: str) -> dict[str, Any] | None:
        """Return the JSON of a GET, or None where the server knows no such thing.

        Raises:
            AirflowApiError: No answer, or another refusal.
        """
        try:
            return self.get(path)
        except NotFoundError:
            return None

    def pools(self) -> dict[str, int]:
        """Return the slots of each pool by its name."""
        return {item["name"]: int(item["slots"]) for item in self.get_all("/pools", "pools")}

    def set_pools(self, slots: Mapping[str, int]) -> None:
        """Create the sources' pools, or set their sizes. A task whose pool is missing would wait for ever."""
        known = self.pools()
        for name, number in slots.items():
            pool = {"name": name, "slots": number, "include_deferred": False}
            if known.get(name) == number:
                continue
            if name in known:
                self.patch(f"/pools/{name}", pool)
            else:
                self._call("POST", "/pools", json=pool)

    def trigger(self, dag: str, as_of: str, parameters: Mapping[str, str | None]) -> str:
        """Start a run for a moment and return its id."""
        # The id carries the moment, as those of scheduled runs do. Not the mark of the request: what follows a run that is under way carries that one's.
        run_id = f"manual__{as_of}__{uuid4().hex[:8]}"
        body = {"dag_run_id": run_id, "logical_date": None, "partition_key": as_of, "conf": {"as_of": as_of, **parameters}}
        return str(self._call("POST", f"/dags/{dag}/dagRuns", json=body)["dag_run_id"])

    def runs(self, dag: str, as_of: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG for a moment, newest first."""
        found = self.get(f"/dags/{dag}/dagRuns", order_by="-run_after", limit=_PAGE, partition_key_prefix_pattern=as_of)["dag_runs"]
        # A name that the server does not know would be passed over in silence, and every run be taken for one of this moment.
        return [run for run in found if run["partition_key"] == as_of]

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run, mapped ones singly."""
        return self.get_all(f"/dags/{dag}/dagRuns/{run}/taskInstances", "task_instances")

    def log_tail(self, task: Mapping[str, Any], *, lines: int = 12) -> str:
        """Return what a task's log says of its error, or else the log's end; where it has none, what Airflow noted about the task."""
        path = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        found = self.find(f"{path}?map_index={task['map_index']}&full_content=true") or {}
        content = [item for item in found.get("content") or [] if isinstance(item, dict)]
        errors = [f"{detail.get('exc_type')}: {detail.get('exc_value')}" for item in content for detail in item.get("error_detail") or []]
        said = [text for item in content if (text := str(item.get("event", ""))) and not text.startswith(_NOT_OF_THE_TASK)]
        return "\n".join(errors or said[-lines:]) or self._noted(task)

    def _noted(self, task: Mapping[str, Any]) -> str:
        """Say what Airflow itself noted of a task that wrote no log: it never began, or the log stands elsewhere."""
        query = {"dag_id": task["dag_id"], "run_id": task["dag_run_id"], "task_id": task["task_id"], "order_by": "-when", "limit": 5}
        events = [item for item in self.get("/eventLogs", **query)["event_logs"] if item.get("extra")]
        notes = [f"{item['event']}: {item['extra']}" for item in reversed(events)]
        began = (
            f"it began at {task['start_date']} on {task.get('hostname') or 'an unknown machine'}"
            if task.get("start_date")
            else "it never began"
        )
        where = "the logs of scheduler, worker and API server say more ('Signature verification failed' there: the components have different secrets)"
        return "\n".join([f"it left no log ({began}; state {task['state']}, try {task['try_number']})", *notes, where])


_NO_TOKEN_OF_MINE = "Invalid JWT token"  # noqa: S105  (what the server says)
"""What Airflow says, with 403, of a token that it has not signed itself (`core_api/security.py`); it says 403 of missing rights too."""

_NOT_OF_THE_TASK = ("::group::", "::endgroup::", "Log message source details")
"""Lines that Airflow itself puts before a task's log."""


def _unaccepted(answer: httpx.Response) -> bool:
    """Tell whether the server takes the token for none of its own, or for one that has run out."""
    foreign = answer.status_code == httpx.codes.FORBIDDEN and _said(answer) == _NO_TOKEN_OF_MINE
    return foreign or answer.status_code == httpx.codes.UNAUTHORIZED


def _said(answer: httpx.Response) -> str:
    """Return the server's own words, without the braces around them."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]
    return detail if isinstance(detail, str) else str(detail)[:300]
