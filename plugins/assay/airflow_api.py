"""The few calls of Airflow's public REST API (v2) that starting and following a run needs.

API: https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, cast

import httpx

from assay.errors import AssayError

_PAGE = 100


class AirflowApiError(AssayError):
    """Airflow's API does not answer, or refuses."""


class AirflowApi:
    """A client; a context manager.

    Args:
        url: Address of the API server.
        token: Bearer token. Without one, the server is asked for one, which it gives only where it is set to treat everybody as
            administrator (the sandbox).
    """

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=30)
        self._token = token

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

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            if "Authorization" not in self._client.headers:
                token = self._token or self._client.get("/auth/token").raise_for_status().json()["access_token"]
                self._client.headers["Authorization"] = f"Bearer {token}"
            return cast("dict[str, Any]", self._client.request(method, f"/api/v2{path}", **arguments).raise_for_status().json())
        except httpx.HTTPStatusError as error:
            raise AirflowApiError(
                f"{method} {path} was answered with {error.response.status_code}: {error.response.text[:300]}",
                subject=self.url,
                next_step="check the DAG's name and state, and the token",
            ) from error
        except httpx.TransportError as error:
            raise AirflowApiError(
                f"it does not answer: {error}", subject=self.url, next_step="start Airflow, or correct the address"
            ) from error

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

    def set_pools(self, slots: Mapping[str, int]) -> None:
        """Create the sources' pools, or set their sizes. A task whose pool is missing would wait for ever."""
        known = {item["name"]: item["slots"] for item in self.get_all("/pools", "pools")}
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
        body = {"logical_date": None, "partition_key": as_of, "conf": {"as_of": as_of, **parameters}}
        return str(self._call("POST", f"/dags/{dag}/dagRuns", json=body)["dag_run_id"])

    def runs(self, dag: str, as_of: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG for a moment, newest first."""
        return cast(
            "list[dict[str, Any]]", self.get(f"/dags/{dag}/dagRuns", order_by="-run_after", limit=100, partition_key=as_of)["dag_runs"]
        )

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run, mapped ones singly."""
        return self.get_all(f"/dags/{dag}/dagRuns/{run}/taskInstances", "task_instances")

    def log_tail(self, task: Mapping[str, Any], *, lines: int = 12) -> str:
        """Return what a task's log says of its error, or else the log's end."""
        path = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        content = [item for item in self.get(path, map_index=task["map_index"], full_content=True)["content"] if isinstance(item, dict)]
        errors = [f"{detail.get('exc_type')}: {detail.get('exc_value')}" for item in content for detail in item.get("error_detail") or []]
        return "\n".join(errors or [str(item.get("event", "")) for item in content][-lines:])
